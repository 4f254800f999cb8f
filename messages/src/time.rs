//! Instants as the cores see them: a number of nanoseconds that somebody else read from a clock.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// Nanoseconds since an instant that the driver chose; only differences mean anything.
///
/// It cannot be made from a clock here: a core is told what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The earliest instant.
    pub const ZERO: Timestamp = Timestamp(0);
    /// Later than every instant that is ever met.
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// The instant `nanos` nanoseconds after [`Timestamp::ZERO`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Timestamp {
        Timestamp(nanos)
    }

    /// Nanoseconds since [`Timestamp::ZERO`].
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Microseconds as they travel in CHUNK and HELLO: they wrap after 71 minutes, so only differences count.
    #[must_use]
    pub const fn wire_micros(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// How long ago a wrapped wire timestamp of our own was taken, seen from `self`.
    #[must_use]
    pub const fn since_wire_micros(self, then: u32) -> Duration {
        Duration::from_micros(self.wire_micros().wrapping_sub(then) as u64)
    }

    /// The time from `earlier` to `self`, or zero when it is the other way round.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    /// Saturates at [`Timestamp::NEVER`].
    fn add(self, after: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, after: Duration) {
        *self = *self + after;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    /// Saturates at [`Timestamp::ZERO`].
    fn sub(self, before: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(u64::try_from(before.as_nanos()).unwrap_or(u64::MAX)))
    }
}
