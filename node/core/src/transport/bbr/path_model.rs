//! What is known of a path: its highest delivery rate and its lowest round-trip time, both of late.

use std::time::Duration;

use messages::Timestamp;

/// Rounds in which the highest delivery rate counts: more than one cycle of probing, so that what the last probe found
/// is still known at the next (BBR: 10).
const RATE_ROUNDS: u64 = 10;
/// How long the lowest round-trip time counts (BBR).
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
/// A round trip this much above the lowest, in parts of it, confirms it: nothing but noise was in the way.
const CONFIRMS: u32 = 16;

/// No queue of ours makes a round trip so many times as long, and this much longer, and certainly not for so many rounds.
const UNLIKELY: u32 = 4;
const UNLIKELY_QUEUE: Duration = Duration::from_millis(2);
const DOUBTED_ROUNDS: u32 = 8;

/// Highest rate and lowest round-trip time.
#[derive(Debug)]
pub(super) struct Path {
    /// The highest rates, newest last: (round, bytes a second), falling.
    rates: Vec<(u64, u64)>,
    min_rtt: Option<Duration>,
    /// When it was measured or confirmed.
    min_rtt_at: Timestamp,
    /// Rounds in a row in which a round trip took unlikely long, and the shortest in them.
    doubts: u32,
    doubted: Duration,
}

impl Path {
    pub(super) fn new(now: Timestamp) -> Path {
        Path { rates: Vec::new(), min_rtt: None, min_rtt_at: now, doubts: 0, doubted: Duration::MAX }
    }

    /// The highest rate, in bytes a second; 0 before the first.
    pub(super) fn rate(&self) -> u64 {
        self.rates.first().map_or(0, |&(_, rate)| rate)
    }

    pub(super) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// A rate was measured in `round`. A falling list is all that a maximum over a sliding window needs.
    pub(super) fn on_rate(&mut self, rate: u64, round: u64) {
        self.rates.retain(|&(then, older)| older > rate && then + RATE_ROUNDS > round);
        self.rates.push((round, rate));
    }

    pub(super) fn on_rtt(&mut self, rtt: Duration, now: Timestamp) {
        match self.min_rtt {
            Some(lowest) if rtt > lowest + lowest / CONFIRMS => {}
            Some(lowest) => (self.min_rtt, self.min_rtt_at) = (Some(lowest.min(rtt)), now),
            None => (self.min_rtt, self.min_rtt_at) = (Some(rtt), now),
        }
    }

    /// A round has ended in which the shortest round trip took `lately`. A lowest round-trip time that none comes near any more is not
    /// the path's: it has become longer, or somebody who listens on the way has said again what was said, and was faster.
    pub(super) fn on_round(&mut self, lately: Option<Duration>, now: Timestamp) {
        let (Some(lowest), Some(lately)) = (self.min_rtt, lately) else {
            return;
        };
        if lately <= UNLIKELY * lowest + UNLIKELY_QUEUE {
            (self.doubts, self.doubted) = (0, Duration::MAX);
            return;
        }
        self.doubts += 1;
        self.doubted = self.doubted.min(lately);
        if self.doubts >= DOUBTED_ROUNDS {
            self.renew(self.doubted, now);
            (self.doubts, self.doubted) = (0, Duration::MAX);
        }
    }

    /// Whether the lowest round-trip time is so old that it has to be measured anew.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        self.min_rtt.is_some() && now.since(self.min_rtt_at) > MIN_RTT_WINDOW
    }

    /// The lowest round-trip time is `rtt` now, whatever it was.
    pub(super) fn renew(&mut self, rtt: Duration, now: Timestamp) {
        (self.min_rtt, self.min_rtt_at) = (Some(rtt), now);
    }

    /// Bytes on their way at the highest rate and the lowest round-trip time, with `more` time above it.
    pub(super) fn product(&self, more: Duration) -> u64 {
        let time = self.min_rtt.unwrap_or_default() + more;
        (u128::from(self.rate()) * time.as_nanos() / 1_000_000_000) as u64
    }
}
