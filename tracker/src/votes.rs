//! What most say: owners may differ in what they call a content, and one of them may lie about its length.

use crate::few::Few;

/// How many say what.
#[derive(Clone, Debug)]
pub(crate) struct Votes<T>(Few<T, u32>);

impl<T: Ord> Votes<T> {
    /// Nobody said anything yet.
    pub(crate) const fn new() -> Votes<T> {
        Votes(Few::new())
    }

    /// One more says `what`. Whether it is the first.
    pub(crate) fn add(&mut self, what: T) -> bool {
        match self.0.get_mut(&what) {
            Some(count) => {
                *count += 1;
                false
            }
            None => self.0.insert(what, 1).is_none(),
        }
    }

    /// One less says `what`. Whether it was the last.
    pub(crate) fn remove(&mut self, what: &T) -> bool {
        let Some(count) = self.0.get_mut(what) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.0.remove(what);
        }
        last
    }

    /// What most say; of equals the smallest.
    pub(crate) fn leader(&self) -> Option<&T> {
        let mut best: Option<(&T, u32)> = None;
        for (what, &count) in self.0.iter() {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((what, count));
            }
        }
        best.map(|(what, _)| what)
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

    proptest! {
        /// Votes are a list of who said what.
        #[test]
        fn behaves_like_a_list(steps in prop::collection::vec((any::<bool>(), 0u8..5), 0..60)) {
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
                let leader = (0..5).rev().max_by_key(|what| count(*what)).filter(|what| count(*what) > 0);
                prop_assert_eq!(votes.leader().copied(), leader);
            }
        }
    }
}
