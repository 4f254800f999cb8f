//! Lines of a table that are met in turns: each walk goes on where the one before it stopped.
//!
//! A content may have more owners than one question can look at. Were each look to begin at a random id, owners whose
//! ids lie close together would be met less often than others; so everybody waits for its turn instead. It knows nothing
//! of what the lines say.

use messages::NodeId;

use crate::small_map::SmallMap;

/// A map from nodes, and whose turn is next.
#[derive(Clone, Debug)]
pub(crate) struct Rotation<V> {
    lines: SmallMap<NodeId, V>,
    /// The first at or behind this id is met next.
    next: NodeId,
}

impl<V> Rotation<V> {
    /// An empty map.
    pub(crate) const fn new() -> Rotation<V> {
        Rotation { lines: SmallMap::new(), next: NodeId::from_bytes([0; 16]) }
    }

    /// How many lines.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The only line, if there is one and no more.
    pub(crate) fn only(&self) -> Option<&V> {
        self.lines.only()
    }

    /// Whether `node` has a line.
    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.lines.get(&node).is_some()
    }

    /// `node` has `line` from now on.
    pub(crate) fn insert(&mut self, node: NodeId, line: V) {
        self.lines.insert(node, line);
    }

    /// Takes the line of `node` out.
    pub(crate) fn remove(&mut self, node: NodeId) -> Option<V> {
        self.lines.remove(&node)
    }

    /// The next lines whose turn it is, each once and `most` of them. In as many walks as it takes to get around,
    /// everybody is met once.
    pub(crate) fn walk(&mut self, most: usize) -> impl Iterator<Item = (NodeId, &V)> + use<'_, V> {
        let from = self.next;
        if let Some((&behind, _)) = self.lines.around(from).nth(most) {
            self.next = behind;
        }
        self.lines.around(from).take(most).map(|(&node, line)| (node, line))
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

    fn nodes<V>(turns: &Rotation<V>) -> impl Iterator<Item = NodeId> + use<'_, V> {
        turns.lines.iter().map(|(&node, _)| node)
    }

    proptest! {
        /// Whatever the ids: all random, or nearly all in one corner.
        #[test]
        fn everybody_is_met_equally_often(
            ids in prop::collection::btree_set((0..4_u8, any::<u8>()), 1..80),
            most in 1..30_usize, walks in 1..60_usize,
        ) {
            let mut turns = Rotation::new();
            for &(first, second) in &ids {
                turns.insert(id(first, second), 0);
            }
            let mut met: Vec<NodeId> = Vec::new();
            for _ in 0..walks {
                let before = met.len();
                met.extend(turns.walk(most).map(|(node, _)| node));
                let mut walk = met[before..].to_vec();
                walk.sort_unstable();
                walk.dedup();
                prop_assert_eq!(walk.len(), most.min(ids.len()), "each once");
            }
            let times: Vec<usize> = nodes(&turns).map(|node| met.iter().filter(|&&one| one == node).count()).collect();
            let (least, most) = (times.iter().min(), times.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{:?}", times);
        }

        #[test]
        fn who_comes_and_goes_holds_up_nobody(gone in 0..20_u8, come in 20..40_u8, most in 1..8_usize) {
            let mut turns = Rotation::new();
            for number in 0..20 {
                turns.insert(id(number, 0), ());
            }
            turns.walk(most).for_each(drop);
            turns.remove(id(gone, 0));
            turns.insert(id(come, 0), ());
            let mut missing: Vec<NodeId> = nodes(&turns).collect();
            for _ in 0..20_usize.div_ceil(most) {
                let met: Vec<NodeId> = turns.walk(most).map(|(node, _)| node).collect();
                missing.retain(|node| !met.contains(node));
            }
            prop_assert_eq!(missing, Vec::new());
        }
    }
}
