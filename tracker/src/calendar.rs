//! Which of two lives of a node is the later one. Pure, over epochs and what the tracker's wall clock said at its start.
//!
//! An epoch is the wall clock of a node at its start, and a node may say what it likes. One that lies further ahead than
//! any clock that is merely wrong is not refused, since it may be the tracker's own clock that is wrong; but it is
//! earlier than all that can be, so that nobody makes a life that no other can ever follow.

use std::time::Duration;

use messages::{BootEpoch, Timestamp};

/// So far ahead of the tracker's a node's clock may be.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// What the tracker knows of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    /// What it said, in milliseconds since 1970, and when that was; without one every epoch can be.
    pub(crate) clock: Option<(u64, Timestamp)>,
}

impl Calendar {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Calendar = Calendar { clock: None };

    /// What lives are compared by at `now`: of two, the later one is greater.
    pub(crate) fn rank(self, epoch: BootEpoch, now: Timestamp) -> (bool, BootEpoch) {
        let can_be = self.clock.is_none_or(|(millis, at)| {
            let ahead = now.since(at) + MAX_AHEAD;
            epoch.0 <= millis.saturating_add(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX))
        });
        (can_be, epoch)
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
