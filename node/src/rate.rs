//! How fast one path may be used: a model of its bottleneck, in bytes and instants only.
//!
//! After BBR (Cardwell and others, "BBR: Congestion-Based Congestion Control", 2016; gains as in
//! draft-ietf-ccwg-bbr): the window is a multiple of (highest delivery rate seen lately) × (lowest round-trip time
//! seen lately). Loss alone does not slow a flow down: long and lossy paths lose without being full. What a full
//! queue does to the round-trip time does: the rate stops growing while the time does.

use std::time::Duration;

use messages::Timestamp;

/// Startup: the window doubles every round trip (2/ln 2 for the rate, rounded as the draft has it).
const STARTUP_GAIN: Gain = Gain(277);
/// Window over the bandwidth-delay product: room for arrivals that come in lumps.
const WINDOW_GAIN: Gain = Gain(200);
/// One probing cycle of the cruise: up, give the queue back, then level.
const CYCLE: [Gain; 8] =
    [Gain(125), Gain(80), Gain(100), Gain(100), Gain(100), Gain(100), Gain(100), Gain(100)];
/// Rounds in which the highest delivery rate counts.
const RATE_ROUNDS: u64 = 10;
/// How long the lowest round-trip time counts.
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
/// Startup ends after this many rounds in which the rate grew by less than a quarter.
const FULL_ROUNDS: u8 = 3;
/// What stands in a host's own queues is not the path's: the window covers this much time above the round trip.
const HOST_DELAY: Duration = Duration::from_micros(500);

/// A factor in hundredths.
#[derive(Clone, Copy, Debug)]
struct Gain(u64);

impl Gain {
    fn of(self, value: u64) -> u64 {
        value.saturating_mul(self.0) / 100
    }
}

/// The state of the model.
///
/// ```text
///   Startup ──(the rate stops growing)──▶ Drain ──(queue is empty)──▶ Cruise ⟲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Doubling every round.
    Startup,
    /// Letting go of the queue that startup built.
    Drain,
    /// Following the rate, probing now and then; the step of the cycle and when it began.
    Cruise { step: usize, since: Timestamp },
}

/// What one burst that has arrived tells about its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Bytes a second from when it was asked for until now, as [`crate::flow`] measures it.
    pub(crate) rate: u64,
    /// Whether there was less to ask for than the window allowed: then the rate is only a lower bound.
    pub(crate) limited: bool,
    /// Whether the burst was asked for after the last round's end arrived.
    pub(crate) round_ended: bool,
}

/// The model of one path.
#[derive(Debug)]
pub(crate) struct RateControl {
    phase: Phase,
    /// The highest rates, newest last: (round, bytes a second), falling.
    rates: Vec<(u64, u64)>,
    round: u64,
    min_rtt: Option<Duration>,
    min_rtt_at: Timestamp,
    full_rate: u64,
    full_rounds: u8,
    first_window: u32,
    most: u32,
    least: u32,
    /// Set after a timeout, until something arrives: ask for little.
    collapsed: bool,
}

impl RateControl {
    /// A model that knows nothing: `first` bytes may be outstanding at once, never more than `most`, never fewer than
    /// `least`.
    pub(crate) fn new(first: u32, least: u32, most: u32, now: Timestamp) -> RateControl {
        RateControl {
            phase: Phase::Startup,
            rates: Vec::new(),
            round: 0,
            min_rtt: None,
            min_rtt_at: now,
            full_rate: 0,
            full_rounds: 0,
            first_window: first.clamp(least, most),
            most,
            least,
            collapsed: false,
        }
    }

    /// A round-trip time, without what the owner held it.
    pub(crate) fn on_rtt(&mut self, rtt: Duration, now: Timestamp) {
        let expired = now.since(self.min_rtt_at) > MIN_RTT_WINDOW;
        if self.min_rtt.is_none_or(|lowest| rtt <= lowest) || expired {
            self.min_rtt = Some(rtt);
            self.min_rtt_at = now;
        }
    }

    /// A burst has arrived; `outstanding` bytes are still on their way.
    pub(crate) fn on_sample(&mut self, sample: Sample, outstanding: u32, now: Timestamp) {
        self.collapsed = false;
        if sample.round_ended {
            self.round += 1;
        }
        if !sample.limited || sample.rate > self.rate() {
            self.remember(sample.rate);
        }
        match self.phase {
            Phase::Startup => {
                if sample.round_ended && !sample.limited {
                    self.look_for_full_pipe();
                }
            }
            Phase::Drain => {
                if u64::from(outstanding) <= self.bandwidth_delay().max(u64::from(self.least)) {
                    self.phase = Phase::Cruise { step: 2, since: now };
                }
            }
            Phase::Cruise { step, since } => {
                let step_time = self.min_rtt.unwrap_or_default().max(Duration::from_millis(1));
                if now.since(since) >= step_time {
                    self.phase = Phase::Cruise { step: (step + 1) % CYCLE.len(), since: now };
                }
            }
        }
    }

    /// Nothing came for a whole timeout.
    pub(crate) fn on_timeout(&mut self) {
        self.collapsed = true;
    }

    /// Bytes that may be outstanding.
    pub(crate) fn window(&self) -> u32 {
        if self.collapsed {
            return self.least;
        }
        let gain = if self.phase == Phase::Startup { STARTUP_GAIN } else { WINDOW_GAIN };
        let modelled = match self.min_rtt {
            Some(_) if self.rate() > 0 => gain.of(self.bandwidth_delay()),
            _ => 0,
        };
        let floor = if self.phase == Phase::Startup { self.first_window } else { self.least };
        u32::try_from(modelled).unwrap_or(u32::MAX).clamp(floor.min(self.most), self.most)
    }

    /// Bytes a second at which to ask, once a rate is known.
    pub(crate) fn pacing(&self) -> Option<u64> {
        let rate = self.rate();
        let gain = match self.phase {
            Phase::Startup => STARTUP_GAIN,
            Phase::Drain => Gain(35),
            Phase::Cruise { step, .. } => CYCLE[step],
        };
        (rate > 0).then(|| gain.of(rate).max(1))
    }

    /// The highest delivery rate lately, in bytes a second; 0 before the first.
    pub(crate) fn rate(&self) -> u64 {
        self.rates.first().map_or(0, |&(_, rate)| rate)
    }

    /// The lowest round-trip time lately.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    fn bandwidth_delay(&self) -> u64 {
        let time = self.min_rtt.unwrap_or_default() + HOST_DELAY;
        (u128::from(self.rate()) * time.as_nanos() / 1_000_000_000) as u64
    }

    /// A falling list is all that a maximum over a sliding window needs.
    fn remember(&mut self, rate: u64) {
        self.rates.retain(|&(round, older)| older > rate && round + RATE_ROUNDS > self.round);
        self.rates.push((self.round, rate));
    }

    fn look_for_full_pipe(&mut self) {
        if self.rate() >= Gain(125).of(self.full_rate) {
            self.full_rate = self.rate();
            self.full_rounds = 0;
            return;
        }
        self.full_rounds += 1;
        if self.full_rounds >= FULL_ROUNDS {
            self.phase = Phase::Drain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts through a model link of `rate` bytes a second and `rtt`, one round trip after the other.
    fn run(rate: u64, rtt: Duration, rounds: u32) -> RateControl {
        let mut now = Timestamp::ZERO;
        let mut control = RateControl::new(12_000, 4_000, 64 << 20, now);
        for _ in 0..rounds {
            now += rtt;
            control.on_rtt(rtt, now);
            let window_rate = u64::from(control.window()) * 1_000_000_000 / rtt.as_nanos() as u64;
            let sample = Sample { rate: window_rate.min(rate), limited: false, round_ended: true };
            control.on_sample(sample, 0, now);
        }
        control
    }

    #[test]
    fn finds_the_rate_of_the_path_and_leaves_startup() {
        let control = run(12_500_000, Duration::from_millis(100), 20);
        assert_eq!(control.rate(), 12_500_000);
        assert!(matches!(control.phase, Phase::Cruise { .. }));
        let product = 1_250_000;
        assert!((2 * product..2 * product + 100_000).contains(&control.window()), "{}", control.window());
    }

    #[test]
    fn a_timeout_asks_for_little_until_something_arrives() {
        let mut control = run(12_500_000, Duration::from_millis(100), 20);
        control.on_timeout();
        assert_eq!(control.window(), 4_000);
        let sample = Sample { rate: 1000, limited: true, round_ended: true };
        control.on_sample(sample, 0, Timestamp::ZERO + Duration::from_secs(3));
        assert!(control.window() > 1_000_000);
    }

    #[test]
    fn the_highest_rate_is_forgotten_after_ten_rounds() {
        let mut control = run(12_500_000, Duration::from_millis(100), 20);
        let mut now = Timestamp::ZERO + Duration::from_secs(2);
        for _ in 0..12 {
            now += Duration::from_millis(100);
            control.on_sample(Sample { rate: 1_000_000, limited: false, round_ended: true }, 0, now);
        }
        assert_eq!(control.rate(), 1_000_000);
    }
}
