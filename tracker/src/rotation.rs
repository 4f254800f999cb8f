//! Entries of nodes that have their turn one after the other: each walk goes on where the one before it stopped.
//!
//! A content may have more owners than one question can look at. If each look began at a random id, owners whose ids
//! lie close together would be met less often than others; so every owner waits for its turn instead. The rotation
//! knows nothing of what the entries are.

use messages::NodeId;

use crate::small_map::SmallMap;

/// A map from nodes, and whose turn is next.
#[derive(Clone, Debug)]
pub(crate) struct Rotation<V> {
    entries: SmallMap<NodeId, V>,
    /// The first node at or behind this id is met next.
    next: NodeId,
}

impl<V> Rotation<V> {
    /// An empty map.
    pub(crate) const fn new() -> Rotation<V> {
        Rotation { entries: SmallMap::new(), next: NodeId::from_bytes([0; 16]) }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The only entry, if there is one and no more.
    pub(crate) fn only(&self) -> Option<&V> {
        self.entries.only()
    }

    /// Whether `node` has a entry.
    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.entries.get(&node).is_some()
    }

    /// `node` has `entry` from now on.
    pub(crate) fn insert(&mut self, node: NodeId, entry: V) {
        self.entries.insert(node, entry);
    }

    /// Takes the entry of `node` out.
    pub(crate) fn remove(&mut self, node: NodeId) -> Option<V> {
        self.entries.remove(&node)
    }

    /// Takes the `most` entries whose turn it is, each once. In as many walks as it takes to get around, every entry is
    /// met once.
    pub(crate) fn walk(&mut self, most: usize) -> impl Iterator<Item = (NodeId, &V)> + use<'_, V> {
        let from = self.next;
        if let Some((&behind, _)) = self.entries.around(from).nth(most) {
            self.next = behind;
        }
        self.entries.around(from).take(most).map(|(&node, entry)| (node, entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(first: u8, second: u8) -> NodeId {
        let mut bytes = [0; 16];
        (bytes[0], bytes[1]) = (first, second);
        NodeId::from_bytes(bytes)
    }

    fn nodes<V>(rotation: &Rotation<V>) -> impl Iterator<Item = NodeId> + use<'_, V> {
        rotation.entries.iter().map(|(&node, _)| node)
    }

    proptest! {
        /// Whatever the ids: all random, or nearly all in one corner.
        #[test]
        fn everybody_is_met_equally_often(
            ids in prop::collection::btree_set((0..4_u8, any::<u8>()), 1..80),
            most in 1..30_usize, walks in 1..60_usize,
        ) {
            let mut rotation = Rotation::new();
            for &(first, second) in &ids {
                rotation.insert(id(first, second), 0);
            }
            let mut met: Vec<NodeId> = Vec::new();
            for _ in 0..walks {
                let before = met.len();
                met.extend(rotation.walk(most).map(|(node, _)| node));
                let mut walk = met[before..].to_vec();
                walk.sort_unstable();
                walk.dedup();
                prop_assert_eq!(walk.len(), most.min(ids.len()), "each once");
            }
            let times: Vec<usize> = nodes(&rotation).map(|node| met.iter().filter(|&&one| one == node).count()).collect();
            let (least, most) = (times.iter().min(), times.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{:?}", times);
        }

        #[test]
        fn who_comes_and_goes_holds_up_nobody(gone in 0..20_u8, come in 20..40_u8, most in 1..8_usize) {
            let mut rotation = Rotation::new();
            for number in 0..20 {
                rotation.insert(id(number, 0), ());
            }
            rotation.walk(most).for_each(drop);
            rotation.remove(id(gone, 0));
            rotation.insert(id(come, 0), ());
            let mut missing: Vec<NodeId> = nodes(&rotation).collect();
            for _ in 0..20_usize.div_ceil(most) {
                let met: Vec<NodeId> = rotation.walk(most).map(|(node, _)| node).collect();
                missing.retain(|node| !met.contains(node));
            }
            prop_assert_eq!(missing, Vec::new());
        }
    }
}
