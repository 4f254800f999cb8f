//! A map that mostly has one entry, which lies in place; only more entries cost a tree.
//!
//! Nearly every content of a tracker has one owner, one name and one length, and nearly every name has one content. A
//! tree for each of them would cost more than everything else that is kept.

use std::collections::BTreeMap;

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub(crate) enum SmallMap<K, V> {
    /// No entry.
    None,
    /// One entry.
    One(K, V),
    /// Two entries or more.
    Many(BTreeMap<K, V>),
}

/// The entry that lies in place, or the tree.
type Parts<'a, K, V> = (Option<(&'a K, &'a V)>, Option<&'a BTreeMap<K, V>>);

impl<K: Ord, V> SmallMap<K, V> {
    /// An empty map.
    pub(crate) const fn new() -> SmallMap<K, V> {
        SmallMap::None
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            SmallMap::None => 0,
            SmallMap::One(..) => 1,
            SmallMap::Many(map) => map.len(),
        }
    }

    /// The value of the only entry; `None` of several.
    pub(crate) const fn only(&self) -> Option<&V> {
        match self {
            SmallMap::One(_, value) => Some(value),
            SmallMap::None | SmallMap::Many(_) => None,
        }
    }

    /// The first key.
    pub(crate) fn first(&self) -> Option<&K> {
        match self {
            SmallMap::None => None,
            SmallMap::One(only, _) => Some(only),
            SmallMap::Many(map) => map.first_key_value().map(|(first, _)| first),
        }
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            SmallMap::One(only, value) if only == key => Some(value),
            SmallMap::Many(map) => map.get(key),
            SmallMap::None | SmallMap::One(..) => None,
        }
    }

    /// The value of `key`, to change it.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            SmallMap::One(only, value) if only == key => Some(value),
            SmallMap::Many(map) => map.get_mut(key),
            SmallMap::None | SmallMap::One(..) => None,
        }
    }

    /// Gives `key` a value; returns what it had before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match std::mem::replace(self, SmallMap::None) {
            SmallMap::None => {
                *self = SmallMap::One(key, value);
                None
            }
            SmallMap::One(only, before) if only == key => {
                *self = SmallMap::One(key, value);
                Some(before)
            }
            SmallMap::One(other, others) => {
                *self = SmallMap::Many(BTreeMap::from([(other, others), (key, value)]));
                None
            }
            SmallMap::Many(mut map) => {
                let before = map.insert(key, value);
                *self = SmallMap::Many(map);
                before
            }
        }
    }

    /// Takes `key` out; returns its value.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match std::mem::replace(self, SmallMap::None) {
            SmallMap::One(only, value) if only == *key => Some(value),
            SmallMap::Many(mut map) => {
                let removed = map.remove(key);
                *self = match map.len() {
                    0 => SmallMap::None,
                    1 => map.pop_first().map_or(SmallMap::None, |(key, value)| SmallMap::One(key, value)),
                    _ => SmallMap::Many(map),
                };
                removed
            }
            unchanged => {
                *self = unchanged;
                None
            }
        }
    }

    /// All entries in order, from the first at or behind `from` on and then around.
    pub(crate) fn around(&self, from: K) -> impl Iterator<Item = (&K, &V)> + use<'_, K, V>
    where
        K: Copy,
    {
        let (one, many) = self.parts();
        one.into_iter()
            .chain(many.into_iter().flat_map(move |map| map.range(from..).chain(map.range(..from))))
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + use<'_, K, V> {
        let (one, many) = self.parts();
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn parts(&self) -> Parts<'_, K, V> {
        match self {
            SmallMap::None => (None, None),
            SmallMap::One(key, value) => (Some((key, value)), None),
            SmallMap::Many(map) => (None, Some(map)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0..5_u8, 0..100_u8, 0..6_u8), 0..60)) {
            let (mut small, mut model) = (SmallMap::new(), BTreeMap::new());
            for (puts, key, value, from) in steps {
                if puts {
                    prop_assert_eq!(small.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(small.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(small.len(), model.len());
                prop_assert!(small.iter().eq(model.iter()));
                prop_assert_eq!(small.only(), model.values().next().filter(|_| model.len() == 1));
                prop_assert!(small.around(from).eq(model.range(from..).chain(model.range(..from))));
                prop_assert_eq!(small.first(), model.keys().next());
                prop_assert_eq!(small.get(&from), model.get(&from));
                prop_assert_eq!(small.get_mut(&from), model.get_mut(&from));
            }
        }
    }
}
