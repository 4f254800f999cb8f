//! Startup: the window doubles every round trip until the rate does not grow any more (draft-ietf-ccwg-bbr §5.3.1).

use std::time::Duration;

use messages::Timestamp;

use super::CWND_GAIN;
use super::gain::Gain;
use super::round::CongestionSignal;

/// The pace lets the window double every round trip (4 ln 2, as the draft has it).
const PACING_GAIN: Gain = Gain(277);
/// For so many round trips the pace is not below one initial window a round trip (in the draft the pace never falls in
/// startup; here that ends, since an owner may be far slower than its path).
const UNMEASURED_ROUNDS: u32 = 3;
/// A round trip shows a queue when it takes this much longer than the lowest, or an eighth of the lowest.
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
    /// The highest rate in a round so far, and the rounds since then that were not much faster (draft: BBR.full_bw).
    full_bw: u64,
    full_bw_rounds: u8,
    /// When the first sample came.
    first_sample_at: Option<Timestamp>,
    /// Whether the rate can be believed: what a manifest of a few segments says is a lower bound, and so is what the
    /// first bursts of a window say.
    is_measured: bool,
    /// Whether a round trip has taken longer than another: startup has found the path's end, or something else has.
    has_queue: bool,
}

impl Startup {
    /// A round trip took `rtt`, and the shortest one lately `lowest`.
    pub(super) fn on_rtt(&mut self, rtt: Duration, lowest: Duration) {
        self.has_queue |= rtt > lowest + (lowest / 8).max(MIN_QUEUE);
    }

    /// A rate was measured on a path with this lowest round-trip time.
    pub(super) fn on_sample(&mut self, min_rtt: Duration, now: Timestamp) {
        let since = *self.first_sample_at.get_or_insert(now);
        self.is_measured |= now >= since + UNMEASURED_ROUNDS * min_rtt;
    }

    /// Takes in a round that ended at this rate. Whether the path is full.
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

    /// The window over the bandwidth-delay product. While a queue is in sight, twice the product is all that a queue of
    /// one product takes.
    pub(super) fn cwnd_gain(&self) -> Gain {
        if self.has_queue { CWND_GAIN } else { PACING_GAIN }
    }

    /// The pace in bytes a second, on a path of this `rate`, where one initial window a round trip is `initial_rate`.
    pub(super) fn pacing_rate(&self, rate: u64, initial_rate: u64) -> u64 {
        PACING_GAIN.of(if self.is_measured { rate } else { rate.max(initial_rate) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
