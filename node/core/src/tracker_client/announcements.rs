//! The contents that this node owns, and what the tracker knows of them.

use std::collections::{BTreeMap, BTreeSet};

use messages::ContentId;
use messages::limits::{CONTROL_DATAGRAM, MAX_OWN_ENTRIES};
use messages::node_to_tracker::{Own, OwnDigest, OwnEntry};

/// What the tracker knows of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrackerKnows {
    /// The tracker knows nothing of the content.
    Nothing,
    /// The tracker knows an earlier entry of the content. A new one needs no room in its tables.
    OldEntry,
    /// The tracker knows the current entry.
    Entry,
}

/// Every content that this node owns, by id.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    entries: BTreeMap<ContentId, (OwnEntry, TrackerKnows)>,
    /// The entries that are to be announced.
    pending: BTreeSet<ContentId>,
    /// The entries in an OWN that is not answered yet. A change of such an entry is announced only after the answer, so
    /// that no OWN overtakes another.
    unanswered: BTreeSet<ContentId>,
    /// The entries for which the tracker had no room. A few of them are tried again at each heartbeat.
    refused: BTreeSet<ContentId>,
    /// The number of entries that the tracker has accepted, and the digest over them.
    accepted: u32,
    digest: OwnDigest,
}

impl Announcements {
    /// Announces `entry` in place of the former entry of its content.
    pub(super) fn put(&mut self, entry: OwnEntry) {
        let content = entry.content;
        let mut known = TrackerKnows::Nothing;
        if let Some((old, was)) = self.entries.get(&content) {
            if *old == entry && !self.refused.contains(&content) {
                return;
            }
            known = *was;
            if *was == TrackerKnows::Entry {
                known = TrackerKnows::OldEntry;
                self.digest.toggle(old);
                self.accepted -= 1;
            }
        }
        self.entries.insert(content, (entry, known));
        self.refused.remove(&content);
        self.pending.insert(content);
    }

    /// The number of entries that the tracker has accepted, and the digest over them.
    pub(super) fn digest(&self) -> (u32, OwnDigest) {
        (self.accepted, self.digest)
    }

    /// Whether an entry is to be announced, or an OWN is not answered yet.
    pub(super) fn are_pending(&self) -> bool {
        !self.pending.is_empty() || !self.unanswered.is_empty()
    }

    /// Takes as many pending entries as fit in one OWN. They are unanswered from now on.
    pub(super) fn next_batch(&mut self) -> Option<Vec<OwnEntry>> {
        let mut space = CONTROL_DATAGRAM - Own::WIRE_FIXED;
        let ready = self.pending.iter().filter(|content| !self.unanswered.contains(content));
        let fits = |entry: &&OwnEntry| {
            let left = space.checked_sub(entry.wire_length());
            space = left.unwrap_or(0);
            left.is_some()
        };
        let entry = |content| &self.entries.get(content).expect("what is pending has an entry").0;
        let entries = ready.map(entry);
        let batch: Vec<OwnEntry> = entries.take(MAX_OWN_ENTRIES).take_while(fits).cloned().collect();
        for entry in &batch {
            self.pending.remove(&entry.content);
            self.unanswered.insert(entry.content);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Records that the tracker accepted the first `accepted` entries of `own`. Returns the contents whose accepted
    /// entry is still current.
    ///
    /// The tracker had no room for the entry after these, and did not look at the others after that one. Entries that
    /// need no room are announced again.
    pub(super) fn on_answer(&mut self, own: &[OwnEntry], accepted: usize) -> Vec<ContentId> {
        let mut announced = Vec::new();
        for (position, entry) in own.iter().enumerate() {
            let content = entry.content;
            self.unanswered.remove(&content);
            let (current, known) = self
                .entries
                .get_mut(&content)
                .expect("an entry stays until its withdrawal is accepted, and each OWN is answered once");
            let is_so = current == entry;
            if position >= accepted {
                let needs_room = *known == TrackerKnows::Nothing && !entry.withdrawn;
                if is_so && (needs_room || position == accepted) {
                    self.refused.insert(content);
                } else {
                    self.pending.insert(content);
                }
            } else if !is_so {
                // The entry changed while the OWN was on its way; the change is announced next.
                *known = if entry.withdrawn { TrackerKnows::Nothing } else { TrackerKnows::OldEntry };
            } else {
                // The entry may have changed and changed back while the OWN was on its way; nothing is left to
                // announce.
                self.pending.remove(&content);
                announced.push(content);
                if entry.withdrawn {
                    self.entries.remove(&content);
                } else if *known != TrackerKnows::Entry {
                    *known = TrackerKnows::Entry;
                    self.accepted += 1;
                    self.digest.toggle(entry);
                }
            }
        }
        if accepted >= own.len() && !announced.is_empty() {
            // The tracker has room, so the refused entries may be announced again.
            self.pending.append(&mut self.refused);
        }
        announced
    }

    /// Tries some of the refused entries again, as many as fit in one OWN, because the tracker may have room by now.
    pub(super) fn try_refused(&mut self) {
        for _ in 0..MAX_OWN_ENTRIES {
            self.pending.extend(self.refused.pop_first());
        }
    }

    /// Has everything announced again, with nothing on its way, because the tracker has forgotten the entries or is
    /// another one.
    pub(super) fn forget_answers(&mut self) {
        self.accepted = 0;
        self.digest = OwnDigest::default();
        self.entries.values_mut().for_each(|(_, known)| *known = TrackerKnows::Nothing);
        self.unanswered.clear();
        self.refused.clear();
        self.pending = self.entries.keys().copied().collect();
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
        let mut announcements = Announcements::default();
        (0..10).for_each(|id| announcements.put(entry(id, false)));
        let mut told = 0;
        while let Some(batch) = announcements.next_batch() {
            let size: usize = batch.iter().map(OwnEntry::wire_length).sum();
            assert!(Own::WIRE_FIXED + size <= CONTROL_DATAGRAM);
            told += announcements.on_answer(&batch, batch.len()).len();
        }
        assert_eq!(told, 10);
        assert_eq!(announcements.digest().0, 10);
        announcements.forget_answers();
        assert!(announcements.next_batch().is_some());
    }

    #[test]
    fn a_withdrawn_entry_leaves_no_trace() {
        let mut announcements = Announcements::default();
        for entry in [entry(1, false), entry(1, true)] {
            announcements.put(entry);
            let batch = announcements.next_batch().expect("pending entries");
            announcements.on_answer(&batch, 1);
        }
        assert_eq!(announcements.digest(), (0, OwnDigest::default()));
        assert_eq!(announcements.next_batch(), None);
    }

    #[test]
    fn a_refused_entry_is_not_counted_and_is_told_again_when_that_is_due_or_there_is_room() {
        let mut announcements = Announcements::default();
        (0..40).for_each(|id| announcements.put(entry(id, false)));
        while let Some(batch) = announcements.next_batch() {
            assert_eq!(announcements.on_answer(&batch, 0), []);
        }
        assert_eq!((announcements.digest().0, announcements.are_pending()), (0, false));
        announcements.try_refused();
        let batch = announcements.next_batch().expect("a few of them");
        assert_eq!(announcements.on_answer(&batch, 1).len(), 1);
        while let Some(batch) = announcements.next_batch() {
            assert!(announcements.on_answer(&batch, 0).is_empty());
        }
        assert_eq!(announcements.digest().0, 1);
        announcements.try_refused();
        while let Some(batch) = announcements.next_batch() {
            announcements.on_answer(&batch, batch.len());
        }
        assert_eq!(announcements.digest().0, 40, "there is room for all");
    }

    #[test]
    fn an_entry_that_needs_no_room_is_told_again_behind_a_refused_one() {
        let mut announcements = Announcements::default();
        announcements.put(entry(3, false));
        let batch = announcements.next_batch().expect("pending entries");
        announcements.on_answer(&batch, 1);
        [entry(1, false), entry(2, false), entry(3, true)]
            .into_iter()
            .for_each(|entry| announcements.put(entry));
        let batch = announcements.next_batch().expect("pending entries");
        assert_eq!(batch.len(), 3);
        announcements.on_answer(&batch, 0);
        assert_eq!(announcements.next_batch(), Some(vec![entry(3, true)]));
        // A tracker is not told the same without end, whatever it answers.
        announcements.on_answer(&[entry(3, true)], 0);
        assert_eq!(announcements.next_batch(), None);
    }

    #[test]
    fn a_change_under_way_is_told_next() {
        let mut announcements = Announcements::default();
        announcements.put(entry(1, false));
        let batch = announcements.next_batch().expect("pending entries");
        announcements.put(entry(1, true));
        assert_eq!(
            announcements.next_batch(),
            None,
            "not before the first is answered: none overtakes another"
        );
        assert_eq!(announcements.on_answer(&batch, 1), []);
        assert_eq!(announcements.next_batch(), Some(vec![entry(1, true)]));
    }

    /// One of three entries that may be announced of a content.
    fn said(id: u8, what: u8) -> OwnEntry {
        let permille = if what == 1 { Permille::of(1, 2) } else { Permille::COMPLETE };
        OwnEntry { permille, withdrawn: what == 2, ..entry(id, false) }
    }

    /// Puts the first `accepted` entries of `own` into the table of a tracker.
    fn take(table: &mut BTreeMap<ContentId, OwnEntry>, own: &[OwnEntry], accepted: usize) {
        for entry in &own[..accepted] {
            if entry.withdrawn {
                table.remove(&entry.content);
            } else {
                table.insert(entry.content, entry.clone());
            }
        }
    }

    proptest! {
        /// When the tracker has room in the end, it knows the current entries, and both sides have the same digest,
        /// whatever was announced, changed, refused and forgotten before.
        #[test]
        fn in_the_end_both_know_the_same(steps in prop::collection::vec((0u8..8, 0u8..6, 0u8..3), 0..80)) {
            let mut announcements = Announcements::default();
            let mut table = BTreeMap::new();
            let mut so: BTreeMap<ContentId, OwnEntry> = BTreeMap::new();
            let mut under_way: Vec<Vec<OwnEntry>> = Vec::new();
            for (what, id, kind) in steps {
                match what {
                    0..4 => {
                        let entry = said(id, kind);
                        so.insert(entry.content, entry.clone());
                        announcements.put(entry);
                    }
                    4 => under_way.extend(announcements.next_batch()),
                    5 | 6 if !under_way.is_empty() => {
                        let told = under_way.remove(0);
                        let accepted = if what == 5 { told.len() } else { usize::from(id).min(told.len()) };
                        take(&mut table, &told, accepted);
                        announcements.on_answer(&told, accepted);
                    }
                    7 if kind == 0 => {
                        // The tracker has been restarted.
                        (table, under_way) = (BTreeMap::new(), Vec::new());
                        announcements.forget_answers();
                    }
                    _ => announcements.try_refused(),
                }
            }
            for _ in 0..100 {
                announcements.try_refused();
                under_way.extend(announcements.next_batch());
                for told in under_way.drain(..) {
                    take(&mut table, &told, told.len());
                    announcements.on_answer(&told, told.len());
                }
            }
            so.retain(|_, entry| !entry.withdrawn);
            let mut digest = OwnDigest::default();
            so.values().for_each(|entry| digest.toggle(entry));
            prop_assert_eq!(&table, &so);
            prop_assert_eq!(announcements.digest(), (so.len() as u32, digest));
            prop_assert!(!announcements.are_pending());
        }
    }
}
