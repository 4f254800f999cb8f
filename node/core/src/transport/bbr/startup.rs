//! Startup: the window doubles in every round trip until the rate does not grow any more (draft-ietf-ccwg-bbr §5.3.1).

use std::time::Duration;

use messages::Timestamp;

use super::CWND_GAIN;
use super::gain::Gain;
use super::round::CongestionSignal;
use crate::transport::Train;

/// The pace that lets the window double in every round trip (4 ln 2, as in the draft).
const PACING_GAIN: Gain = Gain(277);
/// Over a longer round trip than this the first window is longer in proportion, and is spread over the round trip, so
/// that a long path begins at the rate of a shorter one. (1 Gbit/s, 200 ms, 0.1 % loss: 500 MB take 7.00 s instead of
/// 7.23 s.)
pub(crate) const LONG_RTT: Duration = Duration::from_millis(100);
/// Where the segments of the first bursts come fast one after the other, the first window of a long path is half of what
/// such a path holds, and at most this many times the window before anything is known. (50 Mbit/s, 300 ms, 10 % loss each
/// way: half of the path is 6.5 such windows. With it 120 MiB take 26.0 s instead of 26.9.)
const MAX_FIRST_WINDOWS: u32 = 16;
/// When the segments of this many bursts have come fast, the first window of a long path is all that such a path holds.
/// (The same path, when the first piece comes with the outboard: 25.75 s instead of 26.02.)
const MIN_TRAINS: u32 = 4;
/// For this many round trips the pace is at least one initial window a round trip. (In the draft the pace never falls
/// in startup. Here it may fall later, because an owner may be far slower than its path.)
const UNMEASURED_ROUNDS: u32 = 3;
/// A round trip shows a queue when it takes longer than the lowest by more than this and by more than an eighth of it.
const MIN_QUEUE: Duration = Duration::from_millis(2);
/// The path is full after this many rounds in which the rate grew by less than [`FULL_BW_GROWTH`].
const FULL_BW_ROUNDS: u8 = 3;
/// The path is full after this many such rounds when a queue stands.
const FULL_BW_QUEUED_ROUNDS: u8 = 1;
/// The path is not full while its rate grows by this in a round.
const FULL_BW_GROWTH: Gain = Gain(125);

/// What startup has found out.
#[derive(Debug, Default)]
pub(super) struct Startup {
    /// The highest rate in a round so far, and the number of rounds since then that were not much faster (draft:
    /// BBR.full_bw).
    full_bw: u64,
    full_bw_rounds: u8,
    /// When the first sample came.
    first_sample_at: Option<Timestamp>,
    /// Whether the rate can be believed: what an outboard of a few segments says is a lower bound, and so is what the
    /// first bursts of a window say.
    is_measured: bool,
    /// The lowest rate, in bytes a second, at which the segments of a burst have come one after the other.
    train_rate: Option<u64>,
    /// The number of bursts whose segments have shown a rate.
    trains: u32,
    /// Whether a round trip has taken longer than the lowest: startup has filled the path, or another flow has.
    has_queue: bool,
}

impl Startup {
    /// Records that a round trip took `rtt`, and the shortest recent one `lowest`.
    pub(super) fn on_rtt(&mut self, rtt: Duration, lowest: Duration) {
        self.has_queue |= rtt > lowest + (lowest / 8).max(MIN_QUEUE);
    }

    /// Records that a rate was measured on a path with this lowest round-trip time.
    pub(super) fn on_sample(&mut self, min_rtt: Duration, now: Timestamp) {
        let since = *self.first_sample_at.get_or_insert(now);
        self.is_measured |= now >= since + UNMEASURED_ROUNDS * min_rtt;
    }

    /// Records how fast the segments of one burst come.
    pub(super) fn on_packet_train(&mut self, Train { rate, is_new }: Train) {
        self.trains += u32::from(is_new);
        self.train_rate = Some(self.train_rate.map_or(rate, |lowest| lowest.min(rate)));
    }

    /// The number of bytes that may be outstanding before anything is measured over a whole round trip: `initial`, and
    /// more on a long path of which the first bursts have shown that it is fast.
    pub(super) fn first_window(&self, initial: u32, min_rtt: Duration) -> u32 {
        let Some(rate) = self.train_rate.filter(|_| min_rtt >= LONG_RTT) else { return initial };
        let parts = if self.trains >= MIN_TRAINS { 1 } else { 2 };
        let most = u128::from(rate) * min_rtt.as_nanos() / (parts * 1_000_000_000);
        u32::try_from(most).unwrap_or(u32::MAX).clamp(initial, initial.saturating_mul(MAX_FIRST_WINDOWS))
    }

    /// Takes in a round that ended at this rate. Returns whether the path is full.
    pub(super) fn on_round(&mut self, signal: CongestionSignal, rate: u64) -> bool {
        if signal != CongestionSignal::Congested && rate >= FULL_BW_GROWTH.of(self.full_bw) {
            self.full_bw = rate;
            self.full_bw_rounds = 0;
            return false;
        }
        self.full_bw_rounds += 1;
        let enough = if signal == CongestionSignal::Clear { FULL_BW_ROUNDS } else { FULL_BW_QUEUED_ROUNDS };
        self.full_bw_rounds >= enough
    }

    /// The ratio of the window to the bandwidth-delay product. Once a queue was seen, the window is twice the product,
    /// so that the queue holds at most one product.
    pub(super) fn cwnd_gain(&self) -> Gain {
        if self.has_queue { CWND_GAIN } else { PACING_GAIN }
    }

    /// The pace in bytes a second, on a path of this `rate`, where one first window a round trip is `initial_rate`. Before
    /// a rate can be believed, the segments of the bursts show what is too fast for a long path.
    pub(super) fn pacing_rate(&self, rate: u64, initial_rate: u64, min_rtt: Duration) -> u64 {
        let measured = PACING_GAIN.of(rate);
        if self.is_measured {
            return measured;
        }
        let most = self.train_rate.filter(|_| min_rtt >= LONG_RTT).unwrap_or(u64::MAX);
        measured.max(PACING_GAIN.of(initial_rate).min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_that_come_fast_over_a_long_path_allow_a_longer_first_window_and_slow_ones_do_not() {
        let (rtt, mut startup) = (Duration::from_millis(200), Startup::default());
        assert_eq!(startup.first_window(100_000, rtt), 100_000, "nothing is known");
        let train = |rate| Train { rate, is_new: true };
        startup.on_packet_train(train(u64::MAX));
        assert_eq!(startup.first_window(100_000, rtt), 1_600_000);
        startup.on_packet_train(train(5_000_000));
        startup.on_packet_train(Train { is_new: false, ..train(5_000_000) });
        startup.on_packet_train(train(5_000_000));
        assert_eq!(startup.first_window(100_000, rtt), 500_000);
        startup.on_packet_train(train(6_000_000));
        assert_eq!(startup.first_window(100_000, rtt), 1_000_000, "four bursts say the same");
        assert_eq!(startup.first_window(100_000, Duration::from_millis(20)), 100_000, "no long path");
        startup.on_packet_train(train(200_000));
        startup.on_packet_train(train(5_000_000));
        assert_eq!(startup.first_window(100_000, rtt), 100_000, "the slowest burst counts");
    }

    #[test]
    fn before_a_rate_can_be_believed_the_pace_over_a_long_path_is_not_above_that_of_the_bursts() {
        let mut startup = Startup::default();
        assert_eq!(startup.pacing_rate(0, 1_000_000, LONG_RTT), 2_770_000);
        startup.on_packet_train(Train { rate: 2_000_000, is_new: true });
        assert_eq!(startup.pacing_rate(0, 1_000_000, LONG_RTT), 2_000_000);
        assert_eq!(startup.pacing_rate(0, 1_000_000, LONG_RTT / 2), 2_770_000);
        assert_eq!(startup.pacing_rate(1_500_000, 1_000_000, LONG_RTT), 4_155_000, "what has come can come");
    }

    #[test]
    fn the_path_is_full_after_three_clear_rounds_without_growth_or_one_with_a_queue() {
        let mut startup = Startup::default();
        assert!(!startup.on_round(CongestionSignal::Clear, 1000));
        assert!(!startup.on_round(CongestionSignal::Clear, 1249));
        assert!(!startup.on_round(CongestionSignal::Clear, 1249));
        assert!(!startup.on_round(CongestionSignal::Clear, 1250), "it grew by a quarter");
        assert!(startup.on_round(CongestionSignal::Queued, 1251));
    }
}
