//! A map whose entries expire, and which never grows past its capacity.
//!
//! When the map is full, the entry that expires first is forgotten: that one has the least to remember.

use std::collections::{BTreeMap, BTreeSet};

use messages::Timestamp;

/// How many expired entries one sweep removes: more than the one that each use adds, so that the map shrinks.
const SWEEP: usize = 2;

/// Entries by key, and the keys by the instant at which each expires.
#[derive(Clone, Debug)]
pub(crate) struct ExpiringMap<K, V> {
    entries: BTreeMap<K, (Timestamp, V)>,
    soonest_first: BTreeSet<(Timestamp, K)>,
    capacity: usize,
}

impl<K: Ord + Copy, V: Copy> ExpiringMap<K, V> {
    /// An empty map for at most `capacity` entries; a capacity of 0 is taken as 1.
    pub(crate) fn new(capacity: usize) -> ExpiringMap<K, V> {
        ExpiringMap { entries: BTreeMap::new(), soonest_first: BTreeSet::new(), capacity: capacity.max(1) }
    }

    /// When the entry of `key` expires, and its value.
    pub(crate) fn get(&self, key: K) -> Option<(Timestamp, V)> {
        self.entries.get(&key).copied()
    }

    /// Gives `key` a value that expires at `expires`, in place of what it had.
    pub(crate) fn insert(&mut self, key: K, value: V, expires: Timestamp) {
        if let Some(&(before, _)) = self.entries.get(&key) {
            self.soonest_first.remove(&(before, key));
        } else if self.entries.len() >= self.capacity
            && let Some((_, forgotten)) = self.soonest_first.pop_first()
        {
            self.entries.remove(&forgotten);
        }
        self.entries.insert(key, (expires, value));
        self.soonest_first.insert((expires, key));
    }

    /// Removes some of the entries that have expired by `now`.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.soonest_first.first().copied() {
                Some((expires, key)) if expires <= now => {
                    self.soonest_first.remove(&(expires, key));
                    self.entries.remove(&key);
                }
                _ => return,
            }
        }
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.soonest_first.len(), "both orders hold the same entries");
        self.entries.len()
    }
}
