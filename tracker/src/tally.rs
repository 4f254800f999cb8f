//! The value with the most votes: owners may give one content different names, and one of them may lie about its
//! length.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::small_map::SmallMap;

/// The number of candidates above which the order by votes is kept; among fewer the leader is searched for.
const MAX_SCANNED: usize = 8;

/// The candidates, those with the most votes first.
type ByCount<T> = BTreeSet<(Reverse<u32>, T)>;

/// The number of votes of each candidate.
#[derive(Clone, Debug)]
pub(crate) struct Tally<T> {
    counts: SmallMap<T, u32>,
    /// The order by votes, of equals the smallest first: kept while there are more candidates than one look at all is
    /// worth.
    by_count: Option<Box<ByCount<T>>>,
}

impl<T: Ord + Clone> Tally<T> {
    /// No votes.
    pub(crate) const fn new() -> Tally<T> {
        Tally { counts: SmallMap::new(), by_count: None }
    }

    /// Counts one more vote for `what`; returns whether it is the first.
    pub(crate) fn add(&mut self, what: T) -> bool {
        let before = self.counts.get(&what).copied().unwrap_or(0);
        self.set(what, before, before.saturating_add(1));
        before == 0
    }

    /// Counts one vote for `what` less; returns whether it was the last.
    pub(crate) fn remove(&mut self, what: &T) -> bool {
        let Some(&before) = self.counts.get(what) else { return false };
        self.set(what.clone(), before, before.saturating_sub(1));
        before == 1
    }

    /// The candidate with the most votes; of equals the smallest.
    pub(crate) fn leader(&self) -> Option<&T> {
        let mut best: Option<(&T, u32)> = None;
        for (what, count) in self.contenders() {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((what, count));
            }
        }
        best.map(|(what, _)| what)
    }

    /// The candidates among which the leader is looked for, in order: the leader alone where the order is kept, else
    /// all, which are few.
    fn contenders(&self) -> impl Iterator<Item = (&T, u32)> + use<'_, T> {
        let first = self.by_count.iter().filter_map(|by_count| by_count.first());
        let all = self.by_count.is_none().then_some(&self.counts).into_iter();
        let all = all.flat_map(|counts| counts.iter().map(|(what, &count)| (what, count)));
        first.map(|(Reverse(count), what)| (what, *count)).chain(all)
    }

    fn set(&mut self, what: T, before: u32, after: u32) {
        if let Some(by_count) = &mut self.by_count {
            if before > 0 {
                by_count.remove(&(Reverse(before), what.clone()));
            }
            if after > 0 {
                by_count.insert((Reverse(after), what.clone()));
            }
        }
        match after {
            0 => drop(self.counts.remove(&what)),
            _ => drop(self.counts.insert(what, after)),
        }
        if self.by_count.is_none() && self.counts.len() > MAX_SCANNED {
            let by_count = self.counts.iter().map(|(what, &count)| (Reverse(count), what.clone()));
            self.by_count = Some(Box::new(by_count.collect()));
        } else if self.counts.len() <= MAX_SCANNED / 2 {
            // The tree is dropped at a lower number of candidates than the one at which it is built, so that a tally at
            // the limit does not build one each time.
            self.by_count = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_majority_leads_and_ties_go_to_the_smallest() {
        let mut tally = Tally::new();
        assert_eq!(tally.leader(), None);
        assert!(tally.add("b"));
        assert!(tally.add("a"));
        assert_eq!(tally.leader(), Some(&"a"));
        assert!(!tally.add("b"));
        assert_eq!(tally.leader(), Some(&"b"));
        assert!(!tally.remove(&"b"));
        assert!(tally.remove(&"b"));
        assert!(!tally.remove(&"b"), "nobody is for it any more");
        assert_eq!(tally.leader(), Some(&"a"));
    }

    #[test]
    fn the_leader_is_found_in_one_step_however_many_disagree() {
        let mut tally = Tally::new();
        for what in 0..100_000_u32 {
            tally.add(what);
            assert!(tally.contenders().count() <= MAX_SCANNED, "{what}");
        }
        assert_eq!((tally.contenders().count(), tally.leader()), (1, Some(&0)));
        tally.add(77_777);
        assert_eq!(tally.leader(), Some(&77_777));
        tally.remove(&77_777);
        assert!((0..99_997).all(|what| tally.remove(&what)));
        assert!(tally.by_count.is_none(), "of few nothing is kept");
    }

    proptest! {
        /// A tally is a list of votes.
        #[test]
        fn behaves_like_a_list(steps in prop::collection::vec((any::<bool>(), 0u8..20), 0..200)) {
            let (mut tally, mut list) = (Tally::new(), Vec::new());
            for (adds, what) in steps {
                let before = list.iter().filter(|vote| **vote == what).count();
                if adds {
                    prop_assert_eq!(tally.add(what), before == 0);
                    list.push(what);
                } else {
                    prop_assert_eq!(tally.remove(&what), before == 1);
                    if let Some(at) = list.iter().position(|vote| *vote == what) {
                        list.swap_remove(at);
                    }
                }
                let count = |what: u8| list.iter().filter(|vote| **vote == what).count();
                let leader = (0..20).rev().max_by_key(|what| count(*what)).filter(|what| count(*what) > 0);
                prop_assert_eq!(tally.leader().copied(), leader);
                prop_assert!(tally.contenders().count() <= MAX_SCANNED);
            }
        }
    }
}
