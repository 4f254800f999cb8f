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
}
