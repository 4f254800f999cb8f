//! What this node has told the tracker that it owns, and what it has yet to tell.

use std::collections::BTreeMap;

use messages::ContentId;
use messages::limits::{CONTROL_DATAGRAM, MAX_OWN_ENTRIES};
use messages::node_to_tracker::{Own, OwnDigest, OwnEntry};

/// Whether the tracker knows an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It is to be told.
    No,
    /// It was told, and took it.
    Yes,
    /// It has no room for it; told again when the tracker is another.
    Refused,
}

/// Every content that this node owns, by id.
#[derive(Debug, Default)]
pub(super) struct Owned {
    entries: BTreeMap<ContentId, (OwnEntry, Known)>,
    taken: u32,
    digest: OwnDigest,
}

impl Owned {
    /// `entry` is to be told, in place of what was told of its content before.
    pub(super) fn put(&mut self, entry: OwnEntry) {
        if let Some((old, Known::Yes)) = self.entries.get(&entry.content) {
            if *old == entry {
                return;
            }
            if !old.withdrawn {
                self.digest.toggle(old);
                self.taken -= 1;
            }
        }
        self.entries.insert(entry.content, (entry, Known::No));
    }

    /// How many entries the tracker has taken, and the digest over them.
    pub(super) fn digest(&self) -> (u32, OwnDigest) {
        (self.taken, self.digest)
    }

    /// As many entries that are to be told as fit one OWN.
    pub(super) fn next_batch(&self) -> Option<Vec<OwnEntry>> {
        let mut room = CONTROL_DATAGRAM - Own::WIRE_FIXED;
        let untold = self.entries.values().filter(|(_, known)| *known == Known::No).map(|(entry, _)| entry);
        let fits = |entry: &&OwnEntry| {
            let left = room.checked_sub(entry.wire_length());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let batch: Vec<OwnEntry> = untold.take(MAX_OWN_ENTRIES).take_while(fits).cloned().collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// The tracker took the first `accepted` of `told`: those of them that are still so.
    pub(super) fn on_answer(&mut self, told: &[OwnEntry], accepted: usize) -> Vec<ContentId> {
        let mut taken = Vec::new();
        for (position, entry) in told.iter().enumerate() {
            // Changed while it was on its way: the change is told next.
            let Some((current, known)) =
                self.entries.get_mut(&entry.content).filter(|(current, _)| current == entry)
            else {
                continue;
            };
            if position >= accepted {
                *known = Known::Refused;
                continue;
            }
            taken.push(entry.content);
            if current.withdrawn {
                self.entries.remove(&entry.content);
            } else if *known != Known::Yes {
                *known = Known::Yes;
                self.taken += 1;
                self.digest.toggle(entry);
            }
        }
        taken
    }

    /// The tracker has forgotten, or is another: everything is to be told again.
    pub(super) fn forget_answers(&mut self) {
        self.taken = 0;
        self.digest = OwnDigest::default();
        self.entries.values_mut().for_each(|(_, known)| *known = Known::No);
    }
}

#[cfg(test)]
mod tests {
    use messages::Name;
    use messages::node_to_tracker::Permille;

    use super::*;

    fn entry(id: u8, withdrawn: bool) -> OwnEntry {
        let name = Name::new(&"n".repeat(250)).expect("a name");
        let content = ContentId::from_bytes([id; 32]);
        OwnEntry { content, length: 1, permille: Permille::COMPLETE, withdrawn, name }
    }

    #[test]
    fn everything_is_told_in_batches_that_fit_and_then_nothing() {
        let mut owned = Owned::default();
        (0..10).for_each(|id| owned.put(entry(id, false)));
        let mut told = 0;
        while let Some(batch) = owned.next_batch() {
            let size: usize = batch.iter().map(OwnEntry::wire_length).sum();
            assert!(Own::WIRE_FIXED + size <= CONTROL_DATAGRAM);
            told += owned.on_answer(&batch, batch.len()).len();
        }
        assert_eq!(told, 10);
        assert_eq!(owned.digest().0, 10);
        owned.forget_answers();
        assert!(owned.next_batch().is_some());
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let mut owned = Owned::default();
        for entry in [entry(1, false), entry(1, true)] {
            owned.put(entry);
            let batch = owned.next_batch().expect("untold");
            owned.on_answer(&batch, 1);
        }
        assert_eq!(owned.digest(), (0, OwnDigest::default()));
        assert_eq!(owned.next_batch(), None);
    }

    #[test]
    fn what_was_refused_is_not_told_again_and_not_counted() {
        let mut owned = Owned::default();
        owned.put(entry(1, false));
        let batch = owned.next_batch().expect("untold");
        assert_eq!(owned.on_answer(&batch, 0), []);
        assert_eq!(owned.next_batch(), None);
        assert_eq!(owned.digest().0, 0);
    }

    #[test]
    fn a_change_under_way_is_told_next() {
        let mut owned = Owned::default();
        owned.put(entry(1, false));
        let batch = owned.next_batch().expect("untold");
        owned.put(entry(1, true));
        assert_eq!(owned.on_answer(&batch, 1), []);
        assert_eq!(owned.next_batch(), Some(vec![entry(1, true)]));
    }
}
