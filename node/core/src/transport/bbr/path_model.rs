//! What is known of a path: its highest recent delivery rate and its lowest recent round-trip time.

use std::time::Duration;

use messages::Timestamp;

/// The number of rounds for which the highest delivery rate counts. That is more than one cycle of probing, so that the
/// result of the last probe is still known at the next (BBR: 10).
const RATE_FILTER_ROUNDS: u64 = 10;
/// How long the lowest round-trip time counts (draft-ietf-ccwg-bbr: MinRTTFilterLen).
const MIN_RTT_FILTER: Duration = Duration::from_secs(10);
/// A round trip that exceeds the lowest by at most one part in this many confirms the lowest: the difference is noise.
const CONFIRMING_PART: u32 = 16;
/// A round trip is implausible when it takes more than this many times the lowest and [`IMPLAUSIBLE_QUEUE`] more: no
/// queue of this flow makes it so long.
const IMPLAUSIBLE_FACTOR: u32 = 4;
/// A round trip is implausible when it takes more than [`IMPLAUSIBLE_FACTOR`] times the lowest and this much more.
const IMPLAUSIBLE_QUEUE: Duration = Duration::from_millis(2);
/// After this many implausible rounds in a row the lowest round-trip time is replaced.
const IMPLAUSIBLE_ROUNDS: u32 = 8;
/// A lowest round-trip time of more than this many times the one before is that of another path, or of a queue at the
/// owner, and the rates of before say nothing of it: the rate of a single segment over a millisecond, times a round trip
/// of ten seconds, would be a window of megabytes for an owner that gives two kilobytes a second.
const ANOTHER_PATH_FACTOR: u32 = 4;
/// The bandwidth-delay product covers this much time above the round trip, for the hosts' own queues, which are not the
/// path's.
pub(super) const HOST_DELAY: Duration = Duration::from_micros(500);

/// The model of one path.
#[derive(Debug)]
pub(super) struct PathModel {
    /// The highest rates as (round, bytes a second): the rates fall, and the newest is last.
    rates: Vec<(u64, u64)>,
    /// The highest rate that the path has had, in bytes a second.
    best_rate: u64,
    min_rtt: Option<Duration>,
    /// When the lowest round-trip time was measured or confirmed.
    min_rtt_at: Timestamp,
    /// The number of rounds in a row in which round trips took implausibly long, and the shortest round trip in these.
    implausible_rounds: u32,
    implausible_min: Duration,
}

impl PathModel {
    pub(super) fn new(now: Timestamp) -> PathModel {
        PathModel {
            rates: Vec::new(),
            best_rate: 0,
            min_rtt: None,
            min_rtt_at: now,
            implausible_rounds: 0,
            implausible_min: Duration::MAX,
        }
    }

    /// The highest rate, in bytes a second; 0 before the first.
    pub(super) fn rate(&self) -> u64 {
        self.rates.first().map_or(0, |&(_, rate)| rate)
    }

    /// The highest rate that the path has had, in bytes a second.
    pub(super) fn best_rate(&self) -> u64 {
        self.best_rate
    }

    /// The lowest round-trip time.
    pub(super) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// Records a rate that was measured in `round`. A falling list is all that a maximum over a sliding window needs.
    pub(super) fn on_rate(&mut self, rate: u64, round: u64) {
        self.rates.retain(|&(then, older)| older > rate && then + RATE_FILTER_ROUNDS > round);
        self.rates.push((round, rate));
        self.best_rate = self.best_rate.max(rate);
    }

    /// Records that a round trip took `rtt`.
    pub(super) fn on_rtt(&mut self, rtt: Duration, now: Timestamp) {
        match self.min_rtt {
            Some(lowest) if rtt > lowest + lowest / CONFIRMING_PART => {}
            Some(lowest) => (self.min_rtt, self.min_rtt_at) = (Some(lowest.min(rtt)), now),
            None => (self.min_rtt, self.min_rtt_at) = (Some(rtt), now),
        }
    }

    /// Records that a round has ended in which the shortest round trip took `lately`. A lowest round-trip time to which
    /// no round trip comes near any more is not the path's: the path has become longer, or somebody who listens on the
    /// way has repeated a datagram, and was faster.
    pub(super) fn on_round(&mut self, lately: Option<Duration>, now: Timestamp) {
        let (Some(lowest), Some(lately)) = (self.min_rtt, lately) else {
            return;
        };
        if lately <= IMPLAUSIBLE_FACTOR * lowest + IMPLAUSIBLE_QUEUE {
            (self.implausible_rounds, self.implausible_min) = (0, Duration::MAX);
            return;
        }
        self.implausible_rounds += 1;
        self.implausible_min = self.implausible_min.min(lately);
        if self.implausible_rounds >= IMPLAUSIBLE_ROUNDS {
            self.set_min_rtt(self.implausible_min, now);
            (self.implausible_rounds, self.implausible_min) = (0, Duration::MAX);
        }
    }

    /// Whether the lowest round-trip time is so old that it has to be measured anew.
    pub(super) fn is_min_rtt_stale(&self, now: Timestamp) -> bool {
        self.min_rtt.is_some() && now.since(self.min_rtt_at) > MIN_RTT_FILTER
    }

    /// Sets the lowest round-trip time to `rtt`, whatever it was. When the path has become that much longer, only the
    /// latest rate counts.
    pub(super) fn set_min_rtt(&mut self, rtt: Duration, now: Timestamp) {
        if self.min_rtt.is_some_and(|lowest| rtt > ANOTHER_PATH_FACTOR * lowest.max(HOST_DELAY)) {
            self.rates.drain(..self.rates.len().saturating_sub(1));
            self.best_rate = self.rate();
        }
        (self.min_rtt, self.min_rtt_at) = (Some(rtt), now);
    }

    /// The bandwidth-delay product: the bytes that are on their way at this `rate` and the lowest round-trip time,
    /// [`HOST_DELAY`] included.
    pub(super) fn bdp(&self, rate: u64) -> u64 {
        let time = self.min_rtt.unwrap_or_default() + HOST_DELAY;
        (u128::from(rate) * time.as_nanos() / 1_000_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_that_is_too_short_to_be_the_path_s_is_forgotten_after_eight_rounds() {
        let mut path = PathModel::new(Timestamp::ZERO);
        path.on_rtt(Duration::from_millis(1), Timestamp::ZERO);
        for round in 1..=8u64 {
            assert_eq!(path.min_rtt(), Some(Duration::from_millis(1)), "round {round}");
            path.on_round(Some(Duration::from_millis(20 + round)), Timestamp::ZERO);
        }
        assert_eq!(path.min_rtt(), Some(Duration::from_millis(21)));
        // A queue of three round trips may be this flow's own.
        for _ in 0..20 {
            path.on_round(Some(Duration::from_millis(60)), Timestamp::ZERO);
        }
        assert_eq!(path.min_rtt(), Some(Duration::from_millis(21)));
    }

    #[test]
    fn the_rates_of_a_path_that_has_become_much_longer_are_forgotten() {
        let mut path = PathModel::new(Timestamp::ZERO);
        path.on_rtt(Duration::from_millis(3), Timestamp::ZERO);
        path.on_rate(400_000, 1);
        path.on_rate(2000, 2);
        path.set_min_rtt(Duration::from_millis(12), Timestamp::ZERO);
        assert_eq!(path.rate(), 400_000, "a queue may be this flow's own");
        path.set_min_rtt(Duration::from_secs(10), Timestamp::ZERO);
        assert_eq!(path.rate(), 2000);
        assert_eq!(path.bdp(path.rate()), 20_001);
    }
}
