//! What this node has told the tracker that it owns, and what it has yet to tell.

use std::collections::{BTreeMap, BTreeSet};

use messages::ContentId;
use messages::limits::{CONTROL_DATAGRAM, MAX_OWN_ENTRIES};
use messages::node_to_tracker::{Own, OwnDigest, OwnEntry};

/// Whether the tracker knows an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It does not.
    No,
    /// It knows what was said of the content before: what follows needs no room there.
    Before,
    /// It was told, and took it.
    Yes,
}

/// Every content that this node owns, by id.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    entries: BTreeMap<ContentId, (OwnEntry, Known)>,
    /// To be told.
    untold: BTreeSet<ContentId>,
    /// In an OWN that is not answered yet. What changes meanwhile is told only then, so that none overtakes another.
    asked: BTreeSet<ContentId>,
    /// The tracker had no room for them; a few of them are tried again at each heartbeat.
    refused: BTreeSet<ContentId>,
    taken: u32,
    digest: OwnDigest,
}

impl Announcements {
    /// `entry` is to be told, in place of what was told of its content before.
    pub(super) fn put(&mut self, entry: OwnEntry) {
        let content = entry.content;
        let mut known = Known::No;
        if let Some((old, was)) = self.entries.get(&content) {
            if *old == entry && !self.refused.contains(&content) {
                return;
            }
            known = *was;
            if *was == Known::Yes {
                known = Known::Before;
                self.digest.toggle(old);
                self.taken -= 1;
            }
        }
        self.entries.insert(content, (entry, known));
        self.refused.remove(&content);
        self.untold.insert(content);
    }

    /// How many entries the tracker has taken, and the digest over them.
    pub(super) fn digest(&self) -> (u32, OwnDigest) {
        (self.taken, self.digest)
    }

    /// Whether something is to be told, or is not answered yet.
    pub(super) fn is_telling(&self) -> bool {
        !self.untold.is_empty() || !self.asked.is_empty()
    }

    /// As many entries that are to be told as fit one OWN, which is under way from now on.
    pub(super) fn next_batch(&mut self) -> Option<Vec<OwnEntry>> {
        let mut room = CONTROL_DATAGRAM - Own::WIRE_FIXED;
        let ready = self.untold.iter().filter(|content| !self.asked.contains(content));
        let fits = |entry: &&OwnEntry| {
            let left = room.checked_sub(entry.wire_length());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let entries = ready.filter_map(|content| self.entries.get(content).map(|(entry, _)| entry));
        let batch: Vec<OwnEntry> = entries.take(MAX_OWN_ENTRIES).take_while(fits).cloned().collect();
        for entry in &batch {
            self.untold.remove(&entry.content);
            self.asked.insert(entry.content);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// The tracker took the first `accepted` of `told`: those of them that are still so.
    ///
    /// It had no room for the one behind them. The others behind that one it did not look at: what needs no room is
    /// told again.
    pub(super) fn on_answer(&mut self, told: &[OwnEntry], accepted: usize) -> Vec<ContentId> {
        let mut taken = Vec::new();
        for (position, entry) in told.iter().enumerate() {
            let content = entry.content;
            self.asked.remove(&content);
            let Some((current, known)) = self.entries.get_mut(&content) else { continue };
            let is_so = current == entry;
            if position >= accepted {
                let needs_room = *known == Known::No && !entry.withdrawn;
                if is_so && (needs_room || position == accepted) {
                    self.refused.insert(content);
                } else {
                    self.untold.insert(content);
                }
            } else if !is_so {
                // Changed while it was on its way: the change is told next.
                *known = if entry.withdrawn { Known::No } else { Known::Before };
            } else {
                // Changed and changed back while it was on its way: it is told.
                self.untold.remove(&content);
                taken.push(content);
                if entry.withdrawn {
                    self.entries.remove(&content);
                } else if *known != Known::Yes {
                    *known = Known::Yes;
                    self.taken += 1;
                    self.digest.toggle(entry);
                }
            }
        }
        if accepted >= told.len() && !taken.is_empty() {
            // There is room: what it had none for may be told again.
            self.untold.append(&mut self.refused);
        }
        taken
    }

    /// There may be room by now: one OWN tries.
    pub(super) fn try_refused(&mut self) {
        for _ in 0..MAX_OWN_ENTRIES {
            self.untold.extend(self.refused.pop_first());
        }
    }

    /// The tracker has forgotten, or is another: everything is to be told again, and nothing is under way.
    pub(super) fn forget_answers(&mut self) {
        self.taken = 0;
        self.digest = OwnDigest::default();
        self.entries.values_mut().for_each(|(_, known)| *known = Known::No);
        self.asked.clear();
        self.refused.clear();
        self.untold = self.entries.keys().copied().collect();
    }
}

#[cfg(test)]
mod tests {
    use messages::Name;
    use messages::node_to_tracker::Permille;
    use proptest::prelude::*;

    use super::*;

    fn entry(id: u8, withdrawn: bool) -> OwnEntry {
        let name = Name::new(&"n".repeat(250)).expect("a name");
        let content = ContentId::from_bytes([id; 32]);
        OwnEntry { content, length: 1, permille: Permille::COMPLETE, withdrawn, name }
    }

    #[test]
    fn everything_is_told_in_batches_that_fit_and_then_nothing() {
        let mut owned = Announcements::default();
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
        let mut owned = Announcements::default();
        for entry in [entry(1, false), entry(1, true)] {
            owned.put(entry);
            let batch = owned.next_batch().expect("untold");
            owned.on_answer(&batch, 1);
        }
        assert_eq!(owned.digest(), (0, OwnDigest::default()));
        assert_eq!(owned.next_batch(), None);
    }

    #[test]
    fn what_was_refused_is_not_counted_and_told_again_when_it_is_time_or_there_is_room() {
        let mut owned = Announcements::default();
        (0..40).for_each(|id| owned.put(entry(id, false)));
        while let Some(batch) = owned.next_batch() {
            assert_eq!(owned.on_answer(&batch, 0), []);
        }
        assert_eq!((owned.digest().0, owned.is_telling()), (0, false));
        owned.try_refused();
        let batch = owned.next_batch().expect("a few of them");
        assert_eq!(owned.on_answer(&batch, 1).len(), 1);
        while let Some(batch) = owned.next_batch() {
            assert!(owned.on_answer(&batch, 0).is_empty());
        }
        assert_eq!(owned.digest().0, 1);
        owned.try_refused();
        while let Some(batch) = owned.next_batch() {
            owned.on_answer(&batch, batch.len());
        }
        assert_eq!(owned.digest().0, 40, "there is room for all");
    }

    #[test]
    fn what_needs_no_room_is_told_again_behind_what_was_refused() {
        let mut owned = Announcements::default();
        owned.put(entry(3, false));
        let batch = owned.next_batch().expect("untold");
        owned.on_answer(&batch, 1);
        [entry(1, false), entry(2, false), entry(3, true)].into_iter().for_each(|entry| owned.put(entry));
        let batch = owned.next_batch().expect("untold");
        assert_eq!(batch.len(), 3);
        owned.on_answer(&batch, 0);
        assert_eq!(owned.next_batch(), Some(vec![entry(3, true)]));
        // Whatever a tracker says, it is not told the same without end.
        owned.on_answer(&[entry(3, true)], 0);
        assert_eq!(owned.next_batch(), None);
    }

    #[test]
    fn a_change_under_way_is_told_next() {
        let mut owned = Announcements::default();
        owned.put(entry(1, false));
        let batch = owned.next_batch().expect("untold");
        owned.put(entry(1, true));
        assert_eq!(owned.next_batch(), None, "not before the first is answered: none overtakes another");
        assert_eq!(owned.on_answer(&batch, 1), []);
        assert_eq!(owned.next_batch(), Some(vec![entry(1, true)]));
    }

    /// One of three things that may be said of a content.
    fn said(id: u8, what: u8) -> OwnEntry {
        let permille = if what == 1 { Permille::of(1, 2) } else { Permille::COMPLETE };
        OwnEntry { permille, withdrawn: what == 2, ..entry(id, false) }
    }

    /// A tracker that takes the first `accepted` of `told`.
    fn take(table: &mut BTreeMap<ContentId, OwnEntry>, told: &[OwnEntry], accepted: usize) {
        for entry in &told[..accepted] {
            if entry.withdrawn {
                table.remove(&entry.content);
            } else {
                table.insert(entry.content, entry.clone());
            }
        }
    }

    proptest! {
        /// Whatever is said, changed, refused and forgotten meanwhile: when the tracker has room at last it knows what is
        /// so, and both count it alike.
        #[test]
        fn in_the_end_both_know_the_same(steps in prop::collection::vec((0u8..8, 0u8..6, 0u8..3), 0..80)) {
            let mut owned = Announcements::default();
            let mut table = BTreeMap::new();
            let mut so: BTreeMap<ContentId, OwnEntry> = BTreeMap::new();
            let mut under_way: Vec<Vec<OwnEntry>> = Vec::new();
            for (what, id, kind) in steps {
                match what {
                    0..4 => {
                        let entry = said(id, kind);
                        so.insert(entry.content, entry.clone());
                        owned.put(entry);
                    }
                    4 => under_way.extend(owned.next_batch()),
                    5 | 6 if !under_way.is_empty() => {
                        let told = under_way.remove(0);
                        let accepted = if what == 5 { told.len() } else { usize::from(id).min(told.len()) };
                        take(&mut table, &told, accepted);
                        owned.on_answer(&told, accepted);
                    }
                    7 if kind == 0 => {
                        // The tracker began anew.
                        (table, under_way) = (BTreeMap::new(), Vec::new());
                        owned.forget_answers();
                    }
                    _ => owned.try_refused(),
                }
            }
            for _ in 0..100 {
                owned.try_refused();
                under_way.extend(owned.next_batch());
                for told in under_way.drain(..) {
                    take(&mut table, &told, told.len());
                    owned.on_answer(&told, told.len());
                }
            }
            so.retain(|_, entry| !entry.withdrawn);
            let mut digest = OwnDigest::default();
            so.values().for_each(|entry| digest.toggle(entry));
            prop_assert_eq!(&table, &so);
            prop_assert_eq!(owned.digest(), (so.len() as u32, digest));
            prop_assert!(!owned.is_telling());
        }
    }
}
