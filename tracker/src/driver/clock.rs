//! The driver's one clock: instants since it started.

use std::time::Instant;

use messages::Timestamp;

/// Counts from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the tracker learns the time")]
    pub(super) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time since its start.
    pub(super) fn now(self) -> Timestamp {
        Timestamp::ZERO + self.0.elapsed()
    }
}
