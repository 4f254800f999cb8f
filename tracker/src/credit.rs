//! How much of what downloaders confirm is believed: nobody can see whether a confirmation is true.
//!
//! One host invents as many reporters and as many bytes as it likes. So what a host confirms counts up to a rate,
//! summed over all its nodes and all the owners that they credit; an owner that is to count as much faster than others
//! must be praised from several hosts. What a host has confirmed decays as what its owners are credited does. This file
//! knows nothing of owners or contents.

use std::time::Duration;

use messages::{Host, Timestamp};

use crate::decay::{Decaying, ONE};
use crate::expiring_map::ExpiringMap;

/// The level at which a steady rate settles, in thousandths of what comes in a window: one by the natural logarithm of
/// two.
const SETTLED_PERMILLE: u128 = 1443;

/// How many bytes the hosts that reported lately may still confirm.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    /// What each host has confirmed lately; an entry expires when nothing is left of that.
    confirmed: ExpiringMap<Host, Decaying>,
    /// The most that one host may have confirmed lately, in bytes.
    depth: u64,
    window: Duration,
}

impl Budgets {
    /// Budgets for at most `capacity` hosts. What one host confirms is never worth more than `per_second` bytes a
    /// second that last, whether it comes at once or bit by bit; it loses half of its weight in each `window`.
    pub(crate) fn new(per_second: u64, window: Duration, capacity: usize) -> Budgets {
        let depth = u128::from(per_second) * window.as_millis() * SETTLED_PERMILLE / 1_000_000;
        Budgets {
            confirmed: ExpiringMap::new(capacity),
            depth: u64::try_from(depth).unwrap_or(u64::MAX).min(u64::MAX / ONE),
            window,
        }
    }

    /// Takes `wanted` bytes out of the budget of `host`, or what is left of it; returns how many bytes it took.
    pub(crate) fn take(&mut self, host: Host, wanted: u64, now: Timestamp) -> u64 {
        self.confirmed.sweep(now);
        let mut confirmed = self.confirmed.get(host).map_or(Decaying::new(now), |(_, confirmed)| confirmed);
        let used = confirmed.level(now, self.window).div_ceil(ONE);
        let taken = wanted.min(self.depth.saturating_sub(used));
        if taken > 0 {
            confirmed.add_whole(taken, now, self.window);
            // The level halves once a window.
            let windows = confirmed.level(now, self.window).checked_ilog2().unwrap_or(0) + 2;
            self.confirmed.insert(host, confirmed, now + self.window * windows);
        }
        taken
    }
}

/// What each of `reported` counts when `taken` bytes count of all of them together. Every byte counts alike, so that
/// the order of the owners makes no difference.
pub(crate) fn shares(reported: &[u64], taken: u64) -> impl Iterator<Item = u64> + use<'_> {
    let all: u128 = reported.iter().copied().map(u128::from).sum();
    reported.iter().map(move |&bytes| {
        let share = u128::from(bytes) * u128::from(taken) / all.max(1);
        u64::try_from(share).unwrap_or(u64::MAX).min(bytes)
    })
}

#[cfg(test)]
mod tests;
