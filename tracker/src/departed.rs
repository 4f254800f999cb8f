//! What goes out of the file-owner table so much in one step: what nodes had that are gone, and what nodes that are here
//! did not say again.
//!
//! A node leaves in one step, however many contents it had; taking them out one by one takes its time. Meanwhile nobody
//! is told of them, and the same node may come back in a new life and announce what it wants: what it announces is taken
//! out of here first, so that the rest of the old life never touches the new one.

use std::collections::{BTreeMap, BTreeSet};

use messages::{ContentId, NodeId};

use crate::rounds::Rounds;

/// So many lives of one node may have a rest here before it begins another one: each is looked into when the node announces
/// something. An honest node has one or two, for it takes longer to start than what it had to be taken out.
const MAX_RESTS: usize = 8;

/// What is to be taken out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Of a life of this node that is over.
    Gone(NodeId, ContentId),
    /// Something that this node, which is here, did not say again, if there still is anything.
    Outdated(NodeId),
}

/// The rests of lives that are over, and who has not said again all that it had.
#[derive(Clone, Debug)]
pub(crate) struct Departed {
    /// By node and by how many lives were over before; none is empty.
    rests: BTreeMap<(NodeId, u64), Rounds>,
    oldest_first: BTreeSet<(u64, NodeId)>,
    lives: u64,
    /// Nodes that are here and did not say something again.
    outdated: BTreeSet<NodeId>,
    /// So many contents are taken out in one step.
    pub(crate) in_one_step: usize,
}

impl Departed {
    /// Nobody has left yet; `in_one_step` contents are taken out in one step.
    pub(crate) const fn new(in_one_step: usize) -> Departed {
        Departed {
            rests: BTreeMap::new(),
            oldest_first: BTreeSet::new(),
            lives: 0,
            outdated: BTreeSet::new(),
            in_one_step,
        }
    }

    /// Whether nothing is left to take out.
    pub(crate) fn is_empty(&self) -> bool {
        self.rests.is_empty() && self.outdated.is_empty()
    }

    /// Whether another life of `node` may begin.
    pub(crate) fn has_room(&self, node: NodeId) -> bool {
        self.rests_of(node).count() < MAX_RESTS
    }

    /// A life of `node` is over that had `contents`. Its number, for [`Departed::next_of`].
    pub(crate) fn put(&mut self, node: NodeId, contents: Rounds) -> u64 {
        let number = self.lives;
        self.lives += 1;
        if !contents.is_empty() {
            self.rests.insert((node, number), contents);
            self.oldest_first.insert((number, node));
        }
        number
    }

    /// `node`, which is here, did not say something again.
    pub(crate) fn put_outdated(&mut self, node: NodeId) {
        self.outdated.insert(node);
    }

    /// Nothing of `node`, if that is here, is outdated any more.
    pub(crate) fn forget_outdated(&mut self, node: NodeId) {
        self.outdated.remove(&node);
    }

    /// Whether what the file-owner table says of `node` and `content` is from a life that is over.
    pub(crate) fn holds(&self, node: NodeId, content: ContentId) -> bool {
        // Nearly always nobody is leaving.
        !self.rests.is_empty() && self.rests_of(node).any(|(_, rest)| rest.contains(content))
    }

    /// `content` of `node` is taken out now. Whether it was here.
    pub(crate) fn take(&mut self, node: NodeId, content: ContentId) -> bool {
        let holder = self.rests_of(node).find(|(_, rest)| rest.contains(content));
        let Some(key) = holder.map(|(&key, _)| key) else { return false };
        self.change(key, |rest| rest.remove(content))
    }

    /// The next content to take out: of the life that has waited longest, and then what is outdated.
    pub(crate) fn next(&mut self) -> Option<Leftover> {
        if let Some(&(number, node)) = self.oldest_first.first() {
            return self.next_of(node, number).map(|content| Leftover::Gone(node, content));
        }
        self.outdated.first().copied().map(Leftover::Outdated)
    }

    /// The next content to take out of this life of `node`.
    pub(crate) fn next_of(&mut self, node: NodeId, number: u64) -> Option<ContentId> {
        self.change((node, number), Rounds::pop_oldest)
    }

    fn rests_of(&self, node: NodeId) -> impl Iterator<Item = (&(NodeId, u64), &Rounds)> {
        self.rests.range((node, 0)..=(node, u64::MAX))
    }

    fn change<T: Default>(&mut self, key: (NodeId, u64), change: impl FnOnce(&mut Rounds) -> T) -> T {
        let Some(rest) = self.rests.get_mut(&key) else { return T::default() };
        let changed = change(rest);
        if rest.is_empty() {
            self.rests.remove(&key);
            self.oldest_first.remove(&(key.1, key.0));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    fn content(number: u8) -> ContentId {
        ContentId::from_bytes([number; 32])
    }

    proptest! {
        /// The rests are a list of (node, content) in the order of departure; no two lives of a node have the same one.
        #[test]
        fn behaves_like_a_list(steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..12_u8, 0..6_u8), 0..120)) {
            let (mut departed, mut list) = (Departed::new(1), Vec::new());
            for (what, of, first, count) in steps {
                let (of, one) = (node(of), content(first));
                match what {
                    0 => {
                        let fresh = (first..first + count).map(content);
                        let fresh: Vec<ContentId> =
                            fresh.filter(|&one| !list.contains(&(of, one))).collect();
                        let mut life = Rounds::default();
                        for &one in &fresh {
                            life.say(one, 0);
                        }
                        list.extend(fresh.iter().map(|&one| (of, one)));
                        departed.put(of, life);
                    }
                    1 => {
                        let at = list.iter().position(|&held| held == (of, one));
                        prop_assert_eq!(departed.take(of, one), at.is_some());
                        at.map(|at| list.remove(at));
                    }
                    _ => {
                        let next = (!list.is_empty()).then(|| list.remove(0));
                        let next = next.map(|(node, content)| Leftover::Gone(node, content));
                        prop_assert_eq!(departed.next(), next);
                    }
                }
                prop_assert_eq!(departed.is_empty(), list.is_empty());
                for number in 0..18 {
                    prop_assert_eq!(departed.holds(of, content(number)), list.contains(&(of, content(number))));
                }
            }
        }
    }
}
