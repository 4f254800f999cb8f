//! How much of what downloaders confirm is believed: nobody can see whether it is so.
//!
//! One host invents as many reporters and as many bytes as it likes. So what a host confirms counts up to a rate, all its
//! nodes and all the owners that they credit together, and who is to count as much faster than others must be praised
//! from several hosts. What a host has confirmed fades as what its owners are credited does. It knows nothing of owners or
//! contents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use messages::{Host, Timestamp};

use crate::decay::{Decaying, ONE};

/// Budgets forgotten at each report because nothing is left of what was taken: more than one, so that the table shrinks.
const SWEEP: usize = 2;

/// A steady rate comes to a level of so many windows' worth, in thousandths: one by the natural logarithm of two.
const SETTLED_PERMILLE: u128 = 1443;

/// How many bytes the hosts that reported lately may still confirm.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    lines: BTreeMap<Host, Line>,
    /// Who has least to remember first.
    soonest_gone: BTreeSet<(Timestamp, Host)>,
    depth: u64,
    window: Duration,
    capacity: usize,
}

/// What one host has confirmed lately, and when nothing is left of it.
#[derive(Clone, Copy, Debug)]
struct Line {
    confirmed: Decaying,
    gone_at: Timestamp,
}

impl Budgets {
    /// Budgets for at most `capacity` hosts, each as large as what `per_second` bytes come to, when that lasts, in a `window`
    /// in which they lose half of their weight: what one host confirms is never worth more, whether it comes at once or bit
    /// by bit.
    pub(crate) fn new(per_second: u64, window: Duration, capacity: usize) -> Budgets {
        let depth = u128::from(per_second) * window.as_millis() * SETTLED_PERMILLE / 1_000_000;
        Budgets {
            lines: BTreeMap::new(),
            soonest_gone: BTreeSet::new(),
            depth: u64::try_from(depth).unwrap_or(u64::MAX).min(u64::MAX / ONE),
            window,
            capacity: capacity.max(1),
        }
    }

    /// Takes `wanted` bytes out of the budget of `host`, or what is left of it. How many they are.
    pub(crate) fn take(&mut self, host: Host, wanted: u64, now: Timestamp) -> u64 {
        self.sweep(now);
        let before = self.lines.get(&host).copied();
        let mut confirmed = before.map_or(Decaying::new(now), |line| line.confirmed);
        let used = confirmed.level(now, self.window).div_ceil(ONE);
        let taken = wanted.min(self.depth.saturating_sub(used));
        if taken > 0 {
            confirmed.add_whole(taken, now, self.window);
            // It halves once a window.
            let windows = confirmed.level(now, self.window).checked_ilog2().unwrap_or(0) + 2;
            let line = Line { confirmed, gone_at: now + self.window * windows };
            self.remember(host, before, line);
        }
        taken
    }

    fn remember(&mut self, host: Host, before: Option<Line>, line: Line) {
        if let Some(before) = before {
            self.soonest_gone.remove(&(before.gone_at, host));
        } else if self.lines.len() >= self.capacity
            && let Some((_, forgotten)) = self.soonest_gone.pop_first()
        {
            self.lines.remove(&forgotten);
        }
        self.lines.insert(host, line);
        self.soonest_gone.insert((line.gone_at, host));
    }

    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.soonest_gone.first().copied() {
                Some((gone_at, host)) if gone_at <= now => {
                    self.soonest_gone.remove(&(gone_at, host));
                    self.lines.remove(&host);
                }
                _ => return,
            }
        }
    }
}

/// What each of `claims` counts when `taken` bytes count of all of them together: alike for each byte, so that it makes no
/// difference who is named first.
pub(crate) fn shares(claims: &[u64], taken: u64) -> impl Iterator<Item = u64> + use<'_> {
    let all: u128 = claims.iter().copied().map(u128::from).sum();
    claims.iter().map(move |&claim| {
        let share = u128::from(claim) * u128::from(taken) / all.max(1);
        u64::try_from(share).unwrap_or(u64::MAX).min(claim)
    })
}

#[cfg(test)]
mod tests;
