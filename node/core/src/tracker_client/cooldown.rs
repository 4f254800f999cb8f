//! How often a tracker can make this node begin something again: it may be confused, or not be honest.

use std::time::Duration;

use messages::Timestamp;

/// A tracker can make this node go on with another cookie once in so long.
const COOKIE_COOLDOWN: Duration = Duration::from_secs(1);
/// A tracker can make this node join again once in so long.
const REJOIN_COOLDOWN: Duration = Duration::from_secs(1);
/// A tracker can make this node announce everything again once in so long.
const RESYNC_COOLDOWN: Duration = Duration::from_secs(2);

/// Lets something begin once in a while.
#[derive(Debug)]
pub(super) struct Cooldown {
    length: Duration,
    ends_at: Timestamp,
}

impl Cooldown {
    /// Something may begin at once, and then not for `length` each time that it has begun.
    const fn new(length: Duration) -> Cooldown {
        Cooldown { length, ends_at: Timestamp::ZERO }
    }

    /// Begins it, if it may begin now. Whether it has.
    pub(super) fn pass(&mut self, now: Timestamp) -> bool {
        let may_begin = now >= self.ends_at;
        if may_begin {
            self.ends_at = now + self.length;
        }
        may_begin
    }

    /// When it may begin.
    pub(super) const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}

/// What a tracker's answers may begin, each once in a while.
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
