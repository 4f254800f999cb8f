//! How often a tracker, which may be confused or dishonest, can make this node begin something again.

use std::time::Duration;

use messages::Timestamp;

/// A tracker can make this node send its requests again with another cookie once in this time.
const COOKIE_COOLDOWN: Duration = Duration::from_secs(1);
/// A tracker can make this node join again once in this time.
const REJOIN_COOLDOWN: Duration = Duration::from_secs(1);
/// A tracker can make this node announce everything again once in this time.
const RESYNC_COOLDOWN: Duration = Duration::from_secs(2);

/// A limit that lets one thing begin once in a while.
#[derive(Debug)]
pub(super) struct Cooldown {
    length: Duration,
    ends_at: Timestamp,
}

impl Cooldown {
    /// A limit under which the thing may begin at once, and again `length` after each beginning.
    const fn new(length: Duration) -> Cooldown {
        Cooldown { length, ends_at: Timestamp::ZERO }
    }

    /// Lets the thing begin, if it may begin now. Returns whether it may.
    pub(super) fn pass(&mut self, now: Timestamp) -> bool {
        let may_begin = now >= self.ends_at;
        if may_begin {
            self.ends_at = now + self.length;
        }
        may_begin
    }

    /// When the thing may begin.
    pub(super) const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}

/// The limits for what a tracker's answers may begin.
#[derive(Debug)]
pub(super) struct Cooldowns {
    pub(super) cookie: Cooldown,
    pub(super) rejoin: Cooldown,
    pub(super) resync: Cooldown,
}

impl Default for Cooldowns {
    fn default() -> Cooldowns {
        Cooldowns {
            cookie: Cooldown::new(COOKIE_COOLDOWN),
            rejoin: Cooldown::new(REJOIN_COOLDOWN),
            resync: Cooldown::new(RESYNC_COOLDOWN),
        }
    }
}
