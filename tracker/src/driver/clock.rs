//! The driver's one clock: instants since it started, and what day it was then.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// The wall clock, in milliseconds since 1970; `None` when it is not set, or nonsense.
#[expect(clippy::disallowed_methods, reason = "the one place where the tracker learns the day")]
pub(super) fn unix_ms() -> Option<u64> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since_1970.as_millis()).ok()
}
