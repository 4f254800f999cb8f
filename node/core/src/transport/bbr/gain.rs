//! Factors in hundredths, as whole numbers, which give the same results on every machine.

/// A factor in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gain(pub(super) u64);

impl Gain {
    pub(super) fn of(self, value: u64) -> u64 {
        value.saturating_mul(self.0) / 100
    }
}
