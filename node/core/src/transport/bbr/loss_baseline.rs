//! The loss that a path has at any rate. Loss beyond that may be congestion; less is not.

/// The loss of a path that is not full. Older rounds count less and less.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossBaseline {
    /// The bytes that were lost, and those that were lost or delivered, over about the last eight rounds in which the
    /// path was not full.
    lost: u64,
    sent: u64,
    /// The largest loss, in bytes out of a thousand, of a recent round that asked for no more than before.
    worst_permille: u64,
}

impl LossBaseline {
    /// The number of bytes out of a thousand that are lost at any rate.
    pub(super) fn mean_permille(&self) -> u64 {
        self.lost * 1000 / self.sent.max(1)
    }

    /// The number of bytes out of a thousand that were lost in the worst recent round that did not ask for more.
    pub(super) fn worst_permille(&self) -> u64 {
        self.worst_permille
    }

    /// Records that a round has ended that asked for no more than before, and lost `loss_permille` bytes out of a
    /// thousand.
    pub(super) fn on_steady_round(&mut self, loss_permille: u64) {
        self.worst_permille = (self.worst_permille * 15 / 16).max(loss_permille);
    }

    /// Records that a round has ended in which the path was not full, so that it loses `lost` of `sent` bytes at any
    /// rate.
    pub(super) fn on_clear_round(&mut self, lost: u64, sent: u64) {
        self.lost = self.lost * 7 / 8 + lost;
        self.sent = self.sent * 7 / 8 + sent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_loss_of_a_path_is_learned_and_forgotten() {
        let mut baseline = LossBaseline::default();
        assert_eq!(baseline.mean_permille(), 0, "nothing is known");
        for _ in 0..50 {
            baseline.on_clear_round(100, 1000);
            baseline.on_steady_round(300);
        }
        assert!((98..=102).contains(&baseline.mean_permille()), "{}", baseline.mean_permille());
        assert_eq!(baseline.worst_permille(), 300);
        for _ in 0..100 {
            baseline.on_clear_round(0, 1000);
            baseline.on_steady_round(0);
        }
        assert_eq!(baseline.mean_permille(), 0);
        assert!(baseline.worst_permille() < 20, "{}", baseline.worst_permille());
    }
}
