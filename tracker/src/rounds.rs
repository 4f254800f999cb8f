//! The contents of one node, by the round in which the node announced each last: the content that was announced longest
//! ago is found at once, however many there are.

use messages::ContentId;

use crate::small_map::SmallMap;

/// Contents in two orders that are kept in step.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    round_of: SmallMap<ContentId, u32>,
    oldest_first: SmallMap<(u32, ContentId), ()>,
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds { round_of: SmallMap::new(), oldest_first: SmallMap::new() }
    }
}

impl Rounds {
    /// The number of contents.
    pub(crate) fn len(&self) -> usize {
        self.round_of.len()
    }

    /// Whether there are no contents.
    pub(crate) fn is_empty(&self) -> bool {
        self.round_of.len() == 0
    }

    /// Whether `content` was announced.
    pub(crate) fn contains(&self, content: ContentId) -> bool {
        self.round_of.get(&content).is_some()
    }

    /// All contents, in the order of their ids.
    pub(crate) fn contents(&self) -> impl Iterator<Item = ContentId> + use<'_> {
        self.round_of.iter().map(|(&content, _)| content)
    }

    /// Takes in that `content` was announced in `round`; returns the round of the time before.
    pub(crate) fn announce(&mut self, content: ContentId, round: u32) -> Option<u32> {
        let before = self.round_of.insert(content, round);
        if before != Some(round) {
            if let Some(before) = before {
                self.oldest_first.remove(&(before, content));
            }
            self.oldest_first.insert((round, content), ());
        }
        before
    }

    /// Takes `content` out; returns whether it was there.
    pub(crate) fn remove(&mut self, content: ContentId) -> bool {
        let round = self.round_of.remove(&content);
        round.is_some_and(|round| self.oldest_first.remove(&(round, content)).is_some())
    }

    /// A content that was announced last in an earlier round than `round`.
    pub(crate) fn announced_before(&self, round: u32) -> Option<ContentId> {
        self.oldest_first.first().filter(|(announced, _)| *announced < round).map(|&(_, content)| content)
    }

    /// Takes out a content of the earliest round.
    pub(crate) fn pop_oldest(&mut self) -> Option<ContentId> {
        let &(_, content) = self.oldest_first.first()?;
        self.remove(content);
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_list_of_what_was_announced_when(
            steps in prop::collection::vec((0..4_u8, 0..8_u8, 0..5_u32), 0..80),
        ) {
            let (mut rounds, mut list) = (Rounds::default(), BTreeMap::new());
            for (what, number, round) in steps {
                let content = ContentId::from_bytes([number; 32]);
                match what {
                    0 => prop_assert_eq!(rounds.remove(content), list.remove(&content).is_some()),
                    1 => {
                        let oldest = list.values().min().copied();
                        let popped = rounds.pop_oldest().and_then(|content| list.remove(&content));
                        prop_assert_eq!(popped, oldest);
                    }
                    _ => prop_assert_eq!(rounds.announce(content, round), list.insert(content, round)),
                }
                prop_assert_eq!((rounds.len(), rounds.is_empty()), (list.len(), list.is_empty()));
                prop_assert_eq!(rounds.contains(content), list.contains_key(&content));
                prop_assert!(rounds.contents().eq(list.keys().copied()));
                let early = list.values().any(|&announced| announced < round);
                let found = rounds.announced_before(round);
                prop_assert_eq!(found.is_some(), early);
                prop_assert!(found.is_none_or(|content| list[&content] < round));
                prop_assert_eq!(rounds.oldest_first.len(), list.len());
            }
        }
    }
}
