//! What most say: owners may differ in what they call a content, and one of them may lie about its length.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::small_map::SmallMap;

/// Of more different things than this it is kept what most say; of fewer that is looked for.
const LOOKED_AT: usize = 8;

/// What is said, most said first.
type Ranked<T> = BTreeSet<(Reverse<u32>, T)>;

/// How many say what.
#[derive(Clone, Debug)]
pub(crate) struct Votes<T> {
    counts: SmallMap<T, u32>,
    /// What most say first, of equals the smallest: kept while there is more than one look at all of them is worth.
    ranked: Option<Box<Ranked<T>>>,
}

impl<T: Ord + Clone> Votes<T> {
    /// Nobody said anything yet.
    pub(crate) const fn new() -> Votes<T> {
        Votes { counts: SmallMap::new(), ranked: None }
    }

    /// One more says `what`. Whether it is the first.
    pub(crate) fn add(&mut self, what: T) -> bool {
        let before = self.counts.get(&what).copied().unwrap_or(0);
        self.set(what, before, before.saturating_add(1));
        before == 0
    }

    /// One less says `what`. Whether it was the last.
    pub(crate) fn remove(&mut self, what: &T) -> bool {
        let Some(&before) = self.counts.get(what) else { return false };
        self.set(what.clone(), before, before.saturating_sub(1));
        before == 1
    }

    /// What most say; of equals the smallest.
    pub(crate) fn leader(&self) -> Option<&T> {
        let mut best: Option<(&T, u32)> = None;
        for (what, count) in self.contenders() {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((what, count));
            }
        }
        best.map(|(what, _)| what)
    }

    /// Those among which the leader is looked for, in order: the leader alone where that is kept, else all, which are few.
    fn contenders(&self) -> impl Iterator<Item = (&T, u32)> + use<'_, T> {
        let first = self.ranked.iter().filter_map(|ranked| ranked.first());
        let all = self.ranked.is_none().then_some(&self.counts).into_iter();
        let all = all.flat_map(|counts| counts.iter().map(|(what, &count)| (what, count)));
        first.map(|(Reverse(count), what)| (what, *count)).chain(all)
    }

    fn set(&mut self, what: T, before: u32, after: u32) {
        if let Some(ranked) = &mut self.ranked {
            if before > 0 {
                ranked.remove(&(Reverse(before), what.clone()));
            }
            if after > 0 {
                ranked.insert((Reverse(after), what.clone()));
            }
        }
        match after {
            0 => drop(self.counts.remove(&what)),
            _ => drop(self.counts.insert(what, after)),
        }
        if self.ranked.is_none() && self.counts.len() > LOOKED_AT {
            let ranked = self.counts.iter().map(|(what, &count)| (Reverse(count), what.clone()));
            self.ranked = Some(Box::new(ranked.collect()));
        } else if self.counts.len() <= LOOKED_AT / 2 {
            // Not at once: what comes and goes at the border does not build a tree each time.
            self.ranked = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_majority_leads_and_ties_go_to_the_smallest() {
        let mut votes = Votes::new();
        assert_eq!(votes.leader(), None);
        assert!(votes.add("b"));
        assert!(votes.add("a"));
        assert_eq!(votes.leader(), Some(&"a"));
        assert!(!votes.add("b"));
        assert_eq!(votes.leader(), Some(&"b"));
        assert!(!votes.remove(&"b"));
        assert!(votes.remove(&"b"));
        assert!(!votes.remove(&"b"), "nobody says it any more");
        assert_eq!(votes.leader(), Some(&"a"));
    }

    #[test]
    fn the_leader_is_found_in_one_step_however_many_disagree() {
        let mut votes = Votes::new();
        for what in 0..100_000_u32 {
            votes.add(what);
            assert!(votes.contenders().count() <= LOOKED_AT, "{what}");
        }
        assert_eq!((votes.contenders().count(), votes.leader()), (1, Some(&0)));
        votes.add(77_777);
        assert_eq!(votes.leader(), Some(&77_777));
        votes.remove(&77_777);
        assert!((0..99_997).all(|what| votes.remove(&what)));
        assert!(votes.ranked.is_none(), "of few nothing is kept");
    }

    proptest! {
        /// Votes are a list of who said what.
        #[test]
        fn behaves_like_a_list(steps in prop::collection::vec((any::<bool>(), 0u8..20), 0..200)) {
            let (mut votes, mut list) = (Votes::new(), Vec::new());
            for (adds, what) in steps {
                let before = list.iter().filter(|said| **said == what).count();
                if adds {
                    prop_assert_eq!(votes.add(what), before == 0);
                    list.push(what);
                } else {
                    prop_assert_eq!(votes.remove(&what), before == 1);
                    if let Some(at) = list.iter().position(|said| *said == what) {
                        list.swap_remove(at);
                    }
                }
                let count = |what: u8| list.iter().filter(|said| **said == what).count();
                let leader = (0..20).rev().max_by_key(|what| count(*what)).filter(|what| count(*what) > 0);
                prop_assert_eq!(votes.leader().copied(), leader);
                prop_assert!(votes.contenders().count() <= LOOKED_AT);
            }
        }
    }
}
