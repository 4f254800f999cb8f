//! How often a tracker can make this node begin something again: it may be confused, or not be honest.

use std::time::Duration;

use messages::Timestamp;

/// Lets something begin once in a while.
#[derive(Debug)]
pub(super) struct Cooldown {
    rest: Duration,
    opens_at: Timestamp,
}

impl Cooldown {
    /// Open, and closed for `rest` each time that something has begun.
    pub(super) const fn new(rest: Duration) -> Cooldown {
        Cooldown { rest, opens_at: Timestamp::ZERO }
    }

    /// Whether it may begin now; then it has.
    pub(super) fn pass(&mut self, now: Timestamp) -> bool {
        let open = now >= self.opens_at;
        if open {
            self.opens_at = now + self.rest;
        }
        open
    }

    /// When it may begin.
    pub(super) const fn opens_at(&self) -> Timestamp {
        self.opens_at
    }
}
