//! Which of two lives of a node is the later one. Pure, over epochs and what the tracker's wall clock said at its
//! start.
//!
//! An epoch is the wall clock of a node at its start, and a node may report any number. An epoch further ahead than a
//! clock that is merely wrong is not refused, since the tracker's own clock may be the wrong one. But it ranks below
//! all epochs that can be true, so that nobody makes a life that no other can ever follow.

use std::time::Duration;

use messages::{BootEpoch, Timestamp};

/// The time by which a node's clock may be ahead of the tracker's.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// What the tracker knows of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    /// What the clock showed, in milliseconds since 1970, and when that was; without a clock every epoch can be true.
    pub(crate) clock: Option<(u64, Timestamp)>,
}

impl Calendar {
    /// No wall clock.
    pub(crate) const UNKNOWN: Calendar = Calendar { clock: None };

    /// By what lives are compared at `now`: the later one of two is greater.
    pub(crate) fn rank(self, epoch: BootEpoch, now: Timestamp) -> (bool, BootEpoch) {
        let can_be_true = self.clock.is_none_or(|(millis, at)| {
            let ahead = now.since(at) + MAX_AHEAD;
            epoch.0 <= millis.saturating_add(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX))
        });
        (can_be_true, epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    #[test]
    fn what_lies_more_than_a_day_ahead_is_earlier_than_all_that_can_be() {
        let (start, today) = (Timestamp::from_nanos(7_000_000_000), 20_000 * DAY);
        let known = Calendar { clock: Some((today, start)) };
        let later = |calendar: Calendar, now, one, other| {
            calendar.rank(BootEpoch(one), now) > calendar.rank(BootEpoch(other), now)
        };
        assert!(later(known, start, today + DAY, today));
        assert!(later(known, start, today, today + DAY + 1));
        assert!(later(known, start, 0, u64::MAX));
        assert!(later(known, start, u64::MAX, today + DAY + 1), "clocks that are all wrong are right enough");
        assert!(later(known, start + Duration::from_millis(1), today + DAY + 1, today), "time passes");
        assert!(later(Calendar::UNKNOWN, start, u64::MAX, today));
    }
}
