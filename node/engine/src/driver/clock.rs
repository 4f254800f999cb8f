//! The one clock that a node reads.

use std::time::{Duration, Instant};

use messages::Timestamp;

/// The core's clock starts here, so that what it subtracts from an early instant is still after its beginning.
const START: Duration = Duration::from_secs(1);

/// Tells a core what time it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// The present time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + START + self.started.elapsed()
    }

    /// The instant of a timestamp; `None` for [`Timestamp::NEVER`].
    pub(crate) fn instant(&self, at: Timestamp) -> Option<Instant> {
        if at == Timestamp::NEVER {
            return None;
        }
        self.started.checked_add(at.since(Timestamp::ZERO + START))
    }
}
