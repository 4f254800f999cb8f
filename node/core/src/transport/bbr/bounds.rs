//! How much may be outstanding, because more has done harm (draft-ietf-ccwg-bbr §5.5.10, `BBR.inflight_hi`).

use messages::CHUNK_HEADER;

use super::CWND_GAIN;
use super::gain::Gain;
use super::round::{CongestionSignal, Round};
use crate::transport::mtud::BASE;

/// The part of what was outstanding that is still asked for after congestion (draft: BBRBeta, 0.7).
const BETA: Gain = Gain(70);
/// A cut shows after one round trip, so there is no second cut until this many rounds have ended.
const CUT_SHOWS_AFTER: u64 = 3;
/// The part of the bound that is used while the flow does not probe; the rest is left to others (draft: BBRHeadroom,
/// 0.15).
const HEADROOM: Gain = Gain(85);
/// The bound is raised by this factor in each round of probing that fills it without harm.
const RAISE: Gain = Gain(125);
/// Ranges are asked for in whole segments, none of which is shorter than this, in bytes.
const MIN_SEGMENT: u64 = BASE as u64 - CHUNK_HEADER as u64;

/// The bound that losses have shown on how much the path holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CongestionBounds {
    /// More than this many outstanding bytes have done harm.
    inflight_hi: Option<u64>,
    /// The round in which the last cut shows.
    cut_shows_at: u64,
}

impl CongestionBounds {
    /// The number of outstanding bytes beyond which harm was done, if that is known.
    pub(super) fn inflight_hi(&self) -> Option<u64> {
        self.inflight_hi
    }

    /// Whether the last cut cannot have helped yet in `round`.
    pub(super) fn is_cut_pending(&self, round: u64) -> bool {
        round < self.cut_shows_at
    }

    /// `window` limited by the bound, with headroom for others, and never below `bdp`, which keeps the path itself
    /// full.
    pub(super) fn limit(&self, window: u64, bdp: u64) -> u64 {
        self.inflight_hi.map_or(window, |bound| window.min(HEADROOM.of(bound).max(bdp)))
    }

    /// `window` limited by all of the bound, while the flow probes for more.
    pub(super) fn limit_probe(&self, window: u64, bdp: u64) -> u64 {
        self.inflight_hi.map_or(window, |bound| window.min(bound.max(bdp)))
    }

    /// Records that the `count`th round has ended, on a path with this `bdp`.
    pub(super) fn on_round(
        &mut self,
        round: &Round,
        signal: CongestionSignal,
        is_probing_up: bool,
        bdp: u64,
        count: u64,
    ) {
        let held = round.max_outstanding().min(CWND_GAIN.of(bdp));
        match signal {
            CongestionSignal::Congested => {
                self.inflight_hi = Some(BETA.of(held));
                self.cut_shows_at = count + CUT_SHOWS_AFTER;
            }
            CongestionSignal::ShallowBuffer => self.inflight_hi = Some(held.saturating_sub(round.lost())),
            CongestionSignal::Clear | CongestionSignal::Queued if is_probing_up => {
                // The bound also counts as filled when no further whole segment fits below it.
                let fills = |bound: u64| held * 10 >= bound * 9 || held + MIN_SEGMENT > bound;
                self.inflight_hi =
                    self.inflight_hi.map(|bound| if fills(bound) { RAISE.of(bound) } else { bound });
            }
            CongestionSignal::Clear | CongestionSignal::Queued => {}
        }
        // A bound that is out of reach is dropped.
        self.inflight_hi = self.inflight_hi.filter(|&bound| HEADROOM.of(bound) < CWND_GAIN.of(bdp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BDP: u64 = 1_000_000;

    fn round(outstanding: u32) -> Round {
        let mut round = Round::default();
        round.on_delivered(1, outstanding);
        round
    }

    #[test]
    fn congestion_cuts_probing_that_fills_the_bound_raises_it_until_it_is_out_of_reach() {
        let mut bounds = CongestionBounds::default();
        bounds.on_round(&round(1_000_000), CongestionSignal::Congested, true, BDP, 10);
        assert_eq!(bounds.inflight_hi(), Some(700_000));
        assert!(bounds.is_cut_pending(12) && !bounds.is_cut_pending(13));
        bounds.on_round(&round(100_000), CongestionSignal::Clear, true, BDP, 11);
        assert_eq!(bounds.inflight_hi(), Some(700_000), "it was not filled");
        let raises = (0..20).take_while(|_| {
            let held = bounds.inflight_hi().unwrap_or_default() as u32;
            bounds.on_round(&round(held), CongestionSignal::Clear, true, BDP, 12);
            bounds.inflight_hi().is_some()
        });
        assert_eq!(raises.count(), 5, "0.85 × 0.7 × 1.25⁶ is more than two products");
    }

    #[test]
    fn the_path_itself_is_kept_full_whatever_was_lost() {
        let mut bounds = CongestionBounds::default();
        bounds.on_round(&round(1_000_000), CongestionSignal::Congested, false, BDP, 1);
        assert_eq!((bounds.limit(2 * BDP, BDP), bounds.limit_probe(2 * BDP, BDP)), (BDP, BDP));
        assert_eq!((bounds.limit(2 * BDP, 0), bounds.limit_probe(2 * BDP, 0)), (595_000, 700_000));
    }
}
