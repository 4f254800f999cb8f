//! An amount that decays: in each window it loses half of its weight.
//!
//! All numbers are integers, so that every machine computes the same. Each sixteenth of a window multiplies by the
//! sixteenth root of a half, which is the exponential that halves once a window.

use std::time::Duration;

use messages::Timestamp;

/// The number of steps in a window.
const STEPS: u64 = 16;
/// The number of fractional bits of a [`Decaying`] level.
const FRACTION: u32 = 16;
/// One whole unit of a level.
pub(crate) const ONE: u64 = 1 << FRACTION;
/// The share that one step leaves, in 2^-32: 2^(-1/16).
const KEPT: u64 = 4_112_874_773;
/// ln 2, in millionths: a steady rate times the window divided by this is the level that it settles at.
const LN_2_MILLIONTHS: u128 = 693_147;

/// A decaying amount, in units of 1 / [`ONE`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decaying {
    level: u64,
    as_of: Timestamp,
}

impl Decaying {
    /// An amount of zero.
    pub(crate) const fn new(now: Timestamp) -> Decaying {
        Decaying { level: 0, as_of: now }
    }

    /// Adds `amount`, in units of 1 / [`ONE`]; saturates.
    pub(crate) fn add(&mut self, amount: u64, now: Timestamp, window: Duration) {
        let (level, as_of) = self.decayed(now, window);
        *self = Decaying { level: level.saturating_add(amount), as_of };
    }

    /// Adds `amount` whole units; saturates.
    pub(crate) fn add_whole(&mut self, amount: u64, now: Timestamp, window: Duration) {
        self.add(amount.saturating_mul(ONE), now, window);
    }

    /// What is left at `now`, in units of 1 / [`ONE`].
    pub(crate) fn level(&self, now: Timestamp, window: Duration) -> u64 {
        self.decayed(now, window).0
    }

    /// What is left at `now`, as whole units per second: a steady rate is found after a few windows.
    pub(crate) fn per_second(&self, now: Timestamp, window: Duration) -> u64 {
        let per_nano_window = u128::from(self.level(now, window)) * LN_2_MILLIONTHS * 1000;
        let per_second = per_nano_window / window.as_nanos().max(1);
        u64::try_from(per_second >> FRACTION).unwrap_or(u64::MAX)
    }

    /// The level at the last whole step before `now`, and the instant of that step.
    fn decayed(&self, now: Timestamp, window: Duration) -> (u64, Timestamp) {
        let step = (u64::try_from(window.as_nanos()).unwrap_or(u64::MAX) / STEPS).max(1);
        let steps = now.since(self.as_of).as_nanos() as u64 / step;
        let level = (u128::from(self.level) * u128::from(kept_after(steps))) >> 32;
        (level as u64, self.as_of + Duration::from_nanos(steps * step))
    }
}

/// [`KEPT`] to the power of `steps`, in 2^-32.
fn kept_after(mut steps: u64) -> u64 {
    let (mut result, mut factor) = (1_u64 << 32, KEPT);
    while steps > 0 && result > 0 {
        if steps & 1 == 1 {
            result = ((u128::from(result) * u128::from(factor)) >> 32) as u64;
        }
        factor = ((u128::from(factor) * u128::from(factor)) >> 32) as u64;
        steps >>= 1;
    }
    result
}

#[cfg(test)]
mod tests;
