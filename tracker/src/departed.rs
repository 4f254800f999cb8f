//! The entries that have to leave the file-owner table, a bounded number in each step: the contents of departed nodes,
//! and contents that registered nodes did not announce again.
//!
//! A node departs in one step, however many contents it had; taking the contents out one by one takes time. Meanwhile
//! no answer names them, and the same node may come back in a new life and announce any content. An announced content
//! is taken out of here first, so that the old life never touches the new one.

use std::collections::{BTreeMap, BTreeSet};

use messages::{ContentId, NodeId};

use crate::rounds::Rounds;

/// The most lives of one node that may wait here before the node begins another one: each of them is looked into when
/// the node announces something. An honest node has one or two, since it takes longer to start than its contents to be
/// taken out.
const MAX_DEPARTED_LIVES: usize = 8;

/// The next entry that has to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// This content of a departed life of this node.
    Gone(NodeId, ContentId),
    /// A content that this registered node did not announce again, if there still is one.
    Outdated(NodeId),
}

/// Departed lives with what they had, and the registered nodes that did not announce everything again.
#[derive(Clone, Debug)]
pub(crate) struct Departed {
    /// What is left of each departed life, by node and number; none is empty.
    lives: BTreeMap<(NodeId, u64), Rounds>,
    oldest_first: BTreeSet<(u64, NodeId)>,
    /// The number of lives that have departed so far, which is the number of the next one.
    departures: u64,
    /// Registered nodes that did not announce something again.
    outdated: BTreeSet<NodeId>,
    /// The number of contents that are taken out in one step.
    pub(crate) batch: usize,
}

impl Departed {
    /// Nobody has departed yet; `batch` contents are taken out in one step.
    pub(crate) const fn new(batch: usize) -> Departed {
        Departed {
            lives: BTreeMap::new(),
            oldest_first: BTreeSet::new(),
            departures: 0,
            outdated: BTreeSet::new(),
            batch,
        }
    }

    /// Whether nothing is left to take out.
    pub(crate) fn is_empty(&self) -> bool {
        self.lives.is_empty() && self.outdated.is_empty()
    }

    /// Whether another life of `node` may begin.
    pub(crate) fn has_capacity(&self, node: NodeId) -> bool {
        self.lives_of(node).count() < MAX_DEPARTED_LIVES
    }

    /// Puts in a departed life of `node` with its `contents`; returns its number, for [`Departed::take_next_of`].
    pub(crate) fn put(&mut self, node: NodeId, contents: Rounds) -> u64 {
        let number = self.departures;
        self.departures += 1;
        if !contents.is_empty() {
            self.lives.insert((node, number), contents);
            self.oldest_first.insert((number, node));
        }
        number
    }

    /// Puts in the registered `node`, which did not announce something again.
    pub(crate) fn put_outdated(&mut self, node: NodeId) {
        self.outdated.insert(node);
    }

    /// Forgets that contents of `node` are outdated.
    pub(crate) fn forget_outdated(&mut self, node: NodeId) {
        self.outdated.remove(&node);
    }

    /// Whether a departed life of `node` had `content`, so that what the file-owner table says of them is out of date.
    pub(crate) fn holds(&self, node: NodeId, content: ContentId) -> bool {
        // Nearly always no node is departing.
        !self.lives.is_empty() && self.lives_of(node).any(|(_, life)| life.contains(content))
    }

    /// Takes `content` out of the departed life of `node` that had it; returns whether one had.
    pub(crate) fn take(&mut self, node: NodeId, content: ContentId) -> bool {
        let holder = self.lives_of(node).find(|(_, life)| life.contains(content));
        let Some(key) = holder.map(|(&key, _)| key) else { return false };
        self.change(key, |life| life.remove(content))
    }

    /// Takes the next leftover: of the life that has waited longest, and then what is outdated.
    pub(crate) fn take_next(&mut self) -> Option<Leftover> {
        if let Some(&(number, node)) = self.oldest_first.first() {
            return self.take_next_of(node, number).map(|content| Leftover::Gone(node, content));
        }
        self.outdated.first().copied().map(Leftover::Outdated)
    }

    /// Takes the next content of this departed life of `node`.
    pub(crate) fn take_next_of(&mut self, node: NodeId, number: u64) -> Option<ContentId> {
        self.change((node, number), Rounds::pop_oldest)
    }

    fn lives_of(&self, node: NodeId) -> impl Iterator<Item = (&(NodeId, u64), &Rounds)> {
        self.lives.range((node, 0)..=(node, u64::MAX))
    }

    /// Changes what is left of a life, and forgets the life when nothing is; a life that is not here has nothing.
    fn change<T: Default>(&mut self, key: (NodeId, u64), change: impl FnOnce(&mut Rounds) -> T) -> T {
        let Some(life) = self.lives.get_mut(&key) else { return T::default() };
        let changed = change(life);
        if life.is_empty() {
            self.lives.remove(&key);
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
        /// The lives are a list of (node, content) in the order of departure; no two lives of a node have the same
        /// content.
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
                            life.announce(one, 0);
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
                        prop_assert_eq!(departed.take_next(), next);
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
