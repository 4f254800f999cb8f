//! Whether an owner has had time to show how fast it is, and how fast that was.

use std::time::Duration;

use messages::Timestamp;

/// The trial of a session lasts this many round trips.
const TRIAL_ROUND_TRIPS: u32 = 4;
/// The trial lasts at least the first of these times and at most the second, but never less than two round trips.
const TRIAL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));
/// The trial of an owner that has sent nothing lasts at least this long, because the owner may have a long queue.
const MIN_TRIAL_OF_SILENT: Duration = Duration::from_secs(2);

/// The trial of one session: since when it could show how fast it is, and whether it is slow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpeedTrial {
    /// Since when the owner has always had requests to answer.
    backlogged_since: Option<Timestamp>,
    /// How long the owner had requests to answer before it choked this node. So an owner that chokes again and again
    /// does not get a new trial each time.
    backlogged_before: Duration,
    /// The number of bytes that the owner had sent when the trial began.
    given_before: u64,
    pub(super) is_slow: bool,
}

impl SpeedTrial {
    /// Records that the owner was asked for something. It has sent `given` bytes so far.
    pub(super) fn on_asked(&mut self, given: u64, now: Timestamp) {
        if self.backlogged_since.is_none() && self.backlogged_before.is_zero() {
            self.given_before = given;
        }
        self.backlogged_since.get_or_insert(now);
    }

    /// Records that the owner has choked this node.
    pub(super) fn on_choked(&mut self, now: Timestamp) {
        self.backlogged_before +=
            self.backlogged_since.take().map_or(Duration::ZERO, |since| now.since(since));
    }

    /// Ends the trial, because the owner has no request to answer now.
    pub(super) fn on_idle(&mut self) {
        (self.backlogged_since, self.backlogged_before) = (None, Duration::ZERO);
    }

    /// Whether the owner is too slow for a slot.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// When the owner has had enough time to show its rate, over a path with the round-trip time `round_trip`. It has
    /// sent `given` bytes so far.
    pub(super) fn conclusive_at(&self, given: u64, round_trip: Duration) -> Option<Timestamp> {
        let (least, most) = TRIAL;
        let time = (round_trip * TRIAL_ROUND_TRIPS).clamp(least, most).max(round_trip * 2);
        let time = if given > self.given_before { time } else { time.max(MIN_TRIAL_OF_SILENT) };
        self.backlogged_since.map(|since| since + time.saturating_sub(self.backlogged_before))
    }

    /// The rate of the owner in bytes a second, over the time in which it had requests to answer. It has sent `given`
    /// bytes in all.
    pub(super) fn rate(&self, given: u64, now: Timestamp) -> u64 {
        let time =
            self.backlogged_before + self.backlogged_since.map_or(Duration::ZERO, |since| now.since(since));
        let bytes = u128::from(given.saturating_sub(self.given_before));
        (bytes * 1_000_000_000).checked_div(time.as_nanos()).map_or(0, |rate| rate as u64)
    }
}
