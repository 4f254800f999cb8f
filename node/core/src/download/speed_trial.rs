//! Whether an owner has had time to show how fast it is, and how fast that was.

use std::time::Duration;

use messages::Timestamp;

/// A session shows how fast it is in this many round trips,
const TRIAL_ROUND_TRIPS: u32 = 4;
/// in the first of these times at least, and in the second at most, but never before two round trips.
const TRIAL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(1));
/// An owner that has given nothing at all may have a long queue, and is waited for this long.
const MIN_TRIAL_OF_SILENT: Duration = Duration::from_secs(2);

/// Whether one session was asked long enough to show how fast it is, and what it showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpeedTrial {
    /// Since when the owner has always had something to give.
    backlogged_since: Option<Timestamp>,
    /// How long the owner had something to give before it choked this node: one that does so again and again is not
    /// new each time.
    backlogged_before: Duration,
    /// Bytes that the owner had given when the trial began.
    given_before: u64,
    pub(super) is_slow: bool,
}

impl SpeedTrial {
    /// The owner was asked for something, and has given `given` bytes so far.
    pub(super) fn on_asked(&mut self, given: u64, now: Timestamp) {
        if self.backlogged_since.is_none() && self.backlogged_before.is_zero() {
            self.given_before = given;
        }
        self.backlogged_since.get_or_insert(now);
    }

    /// The owner serves others for now.
    pub(super) fn on_choked(&mut self, now: Timestamp) {
        self.backlogged_before +=
            self.backlogged_since.take().map_or(Duration::ZERO, |since| now.since(since));
    }

    /// The owner has nothing to give for now.
    pub(super) fn on_idle(&mut self) {
        (self.backlogged_since, self.backlogged_before) = (None, Duration::ZERO);
    }

    /// Whether the owner gives too little for a slot.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// When the owner has had time to show its rate over a path with that round-trip time.
    pub(super) fn conclusive_at(&self, given: u64, round_trip: Duration) -> Option<Timestamp> {
        let (least, most) = TRIAL;
        let time = (round_trip * TRIAL_ROUND_TRIPS).clamp(least, most).max(round_trip * 2);
        let time = if given > self.given_before { time } else { time.max(MIN_TRIAL_OF_SILENT) };
        self.backlogged_since.map(|since| since + time.saturating_sub(self.backlogged_before))
    }

    /// Bytes a second that the owner gave since it had something to give, of `given` in all.
    pub(super) fn rate(&self, given: u64, now: Timestamp) -> u64 {
        let time =
            self.backlogged_before + self.backlogged_since.map_or(Duration::ZERO, |since| now.since(since));
        let bytes = u128::from(given.saturating_sub(self.given_before));
        (bytes * 1_000_000_000).checked_div(time.as_nanos()).map_or(0, |rate| rate as u64)
    }
}
