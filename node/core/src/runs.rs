//! A set of numbers that is kept as runs, for instance the bytes of a piece that are missing or not asked for.

use std::ops::Range;

/// Disjoint, non-adjacent, ascending runs. There are few of them, because arrivals and requests are mostly in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<Range<u32>>);

impl Runs {
    /// The numbers of `run`.
    pub(crate) fn of(run: Range<u32>) -> Runs {
        let mut runs = Runs::default();
        runs.insert(run);
        runs
    }

    /// Whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of numbers in the set.
    pub(crate) fn len(&self) -> u32 {
        self.0.iter().map(|run| run.end - run.start).sum()
    }

    /// The first run.
    pub(crate) fn first(&self) -> Option<Range<u32>> {
        self.0.first().cloned()
    }

    /// The runs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u32>> {
        self.0.iter().cloned()
    }

    /// Adds the numbers of `run`.
    pub(crate) fn insert(&mut self, run: Range<u32>) {
        if run.is_empty() {
            return;
        }
        // All runs that overlap or touch `run` are joined with it.
        let from = self.0.partition_point(|r| r.end < run.start);
        let to = self.0.partition_point(|r| r.start <= run.end);
        let start = self.0.get(from).filter(|_| from < to).map_or(run.start, |r| r.start.min(run.start));
        let end = to
            .checked_sub(1)
            .filter(|_| from < to)
            .and_then(|i| self.0.get(i))
            .map_or(run.end, |r| r.end.max(run.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Removes the numbers of `run`. Returns how many of them were in the set.
    pub(crate) fn remove(&mut self, run: Range<u32>) -> u32 {
        if run.is_empty() {
            return 0;
        }
        let from = self.0.partition_point(|r| r.end <= run.start);
        let to = self.0.partition_point(|r| r.start < run.end);
        if from >= to {
            return 0;
        }
        let touched = &self.0[from..to];
        let removed = touched.iter().map(|r| r.end.min(run.end) - r.start.max(run.start)).sum();
        let left = touched[0].start..run.start.max(touched[0].start);
        let right = run.end.min(touched[to - from - 1].end)..touched[to - from - 1].end;
        self.0.splice(from..to, [left, right].into_iter().filter(|r| !r.is_empty()));
        removed
    }

    /// The parts of `run` that are in the set.
    pub(crate) fn within(&self, run: Range<u32>) -> impl Iterator<Item = Range<u32>> {
        let from = self.0.partition_point(|r| r.end <= run.start);
        self.0[from..].iter().map_while(move |r| {
            let part = r.start.max(run.start)..r.end.min(run.end);
            (!part.is_empty()).then_some(part)
        })
    }

    /// Whether every number of `run` is in the set.
    pub(crate) fn contains(&self, run: Range<u32>) -> bool {
        run.is_empty() || self.within(run.clone()).any(|part| part == run)
    }
}

impl FromIterator<Range<u32>> for Runs {
    fn from_iter<T: IntoIterator<Item = Range<u32>>>(runs: T) -> Runs {
        let mut all = Runs::default();
        runs.into_iter().for_each(|run| all.insert(run));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn naive(runs: &Runs) -> BTreeSet<u32> {
        runs.iter().flatten().collect()
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..60, 0u32..12), 0..60)) {
            let mut runs = Runs::default();
            let mut set = BTreeSet::new();
            for (put, start, length) in steps {
                let run = start..start + length;
                let within: BTreeSet<u32> = runs.within(run.clone()).flatten().collect();
                prop_assert_eq!(within, set.range(run.clone()).copied().collect::<BTreeSet<_>>());
                if put {
                    runs.insert(run.clone());
                    set.extend(run.clone());
                    prop_assert!(runs.contains(run));
                } else {
                    let before = set.len();
                    set.retain(|n| !run.contains(n));
                    prop_assert_eq!(runs.remove(run) as usize, before - set.len());
                }
                prop_assert_eq!(naive(&runs), set.clone());
                prop_assert_eq!(runs.len() as usize, set.len());
                let ordered = runs.0.windows(2).all(|pair| pair[0].end < pair[1].start);
                prop_assert!(ordered, "runs touch or are out of order: {:?}", runs);
            }
        }
    }
}
