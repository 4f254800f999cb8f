//! Which shares a node has, with and without handles: under which name, of which content, and in which order they
//! began.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use messages::{ContentId, Name};
use riffle_core::{Event, ShareId};

/// One share.
#[derive(Debug)]
struct IndexedShare {
    name: Name,
    /// What the file is, once it is hashed.
    content: Option<ContentId>,
    /// How many shares began before this one.
    order: u64,
}

/// The shares of one content.
#[derive(Debug, Default)]
struct SharedContent {
    shares: BTreeSet<ShareId>,
    /// Whether the tracker knows that the content is here: it is told once, however many shares of the content there
    /// are.
    is_announced: bool,
}

/// The shares of a node. What happens to one of them costs the same however many there are.
#[derive(Debug, Default)]
pub(crate) struct ShareIndex {
    shares: BTreeMap<ShareId, IndexedShare>,
    by_name: BTreeMap<Name, BTreeSet<ShareId>>,
    by_content: BTreeMap<ContentId, SharedContent>,
    next_order: u64,
}

impl ShareIndex {
    /// Enters a share that begins.
    pub(crate) fn insert(&mut self, share: ShareId, name: Name) {
        let order = self.next_order;
        self.next_order += 1;
        self.by_name.entry(name.clone()).or_default().insert(share);
        self.shares.insert(share, IndexedShare { name, content: None, order });
    }

    /// Takes in an event. Returns the shares, beside the one that the event is about, that the tracker knows from now
    /// on; after [`Event::Shared`] this may be the share of the event itself.
    pub(crate) fn on_event(&mut self, event: &Event) -> Vec<ShareId> {
        match event {
            Event::Shared { share, content, name, .. } => {
                if !self.shares.contains_key(share) {
                    self.insert(*share, name.clone());
                }
                let indexed =
                    self.shares.get_mut(share).expect("a share that was missing was inserted above");
                indexed.content = Some(*content);
                let same = self.by_content.entry(*content).or_default();
                let is_new = same.shares.insert(*share);
                if is_new && same.is_announced { vec![*share] } else { Vec::new() }
            }
            Event::Announced { share, content } => {
                let same = self.by_content.entry(*content).or_default();
                if std::mem::replace(&mut same.is_announced, true) {
                    return Vec::new();
                }
                same.shares.iter().copied().filter(|other| other != share).collect()
            }
            Event::Unshared { share, content } => {
                // What was fetched in part may be announced without being among the shares.
                self.remove_from_content(*share, *content);
                self.remove(*share);
                Vec::new()
            }
            Event::ShareFailed { share, .. } => {
                self.remove(*share);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The shares of the name of `share` that began before it and are not known to have the same content.
    pub(crate) fn earlier_versions(&self, share: ShareId) -> Vec<ShareId> {
        let Some(newest) = self.shares.get(&share) else { return Vec::new() };
        let is_earlier = |other: &ShareId| {
            let other = self.shares.get(other).expect("what has a name is among the shares");
            other.order < newest.order && other.content != newest.content
        };
        let same_name = self.by_name.get(&newest.name).expect("every share stands under its name");
        same_name.iter().copied().filter(is_earlier).collect()
    }

    fn remove(&mut self, share: ShareId) {
        // A file that stops being shared may be withdrawn first and fail then.
        let Some(removed) = self.shares.remove(&share) else { return };
        if let Some(content) = removed.content {
            self.remove_from_content(share, content);
        }
        if let Entry::Occupied(mut same_name) = self.by_name.entry(removed.name) {
            same_name.get_mut().remove(&share);
            if same_name.get().is_empty() {
                same_name.remove();
            }
        }
    }

    fn remove_from_content(&mut self, share: ShareId, content: ContentId) {
        if let Entry::Occupied(mut same) = self.by_content.entry(content) {
            same.get_mut().shares.remove(&share);
            if same.get().shares.is_empty() {
                same.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use riffle_core::{DiskError, DiskErrorKind};

    use super::*;

    fn content(byte: u8) -> ContentId {
        ContentId::from_bytes([byte; 32])
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn shared(share: u32, byte: u8) -> Event {
        Event::Shared { share: ShareId(share), content: content(byte), name: name("f"), length: 3 }
    }

    fn announced(share: u32, byte: u8) -> Event {
        Event::Announced { share: ShareId(share), content: content(byte) }
    }

    fn unshared(share: u32, byte: u8) -> Event {
        Event::Unshared { share: ShareId(share), content: content(byte) }
    }

    fn failed(share: u32) -> Event {
        let error = DiskError { path: "f".into(), kind: DiskErrorKind::Changed };
        Event::ShareFailed { share: ShareId(share), error }
    }

    fn index(shares: &[u32]) -> ShareIndex {
        let mut index = ShareIndex::default();
        shares.iter().for_each(|&share| index.insert(ShareId(share), name("f")));
        index
    }

    #[test]
    fn a_content_is_announced_for_each_of_its_shares_once() {
        let mut index = index(&[1, 2, 3]);
        for share in [1, 2] {
            assert_eq!(index.on_event(&shared(share, 7)), []);
        }
        assert_eq!(index.on_event(&announced(1, 7)), [ShareId(2)]);
        assert_eq!(index.on_event(&announced(1, 7)), [], "a tracker that came back is told again");
        assert_eq!(index.on_event(&shared(3, 7)), [ShareId(3)]);
        assert_eq!(index.on_event(&unshared(1, 7)), []);
        assert_eq!(index.on_event(&shared(2, 7)), [], "another share takes its place");
    }

    #[test]
    fn a_content_is_known_to_the_tracker_as_long_as_one_share_has_it() {
        let mut index = index(&[1, 2, 3]);
        index.on_event(&shared(1, 7));
        index.on_event(&announced(1, 7));
        index.on_event(&shared(2, 7));
        index.on_event(&unshared(2, 7));
        assert_eq!(index.on_event(&shared(3, 7)), [ShareId(3)]);
        for share in [1, 3] {
            index.on_event(&unshared(share, 7));
            index.on_event(&failed(share));
        }
        index.insert(ShareId(4), name("f"));
        assert_eq!(index.on_event(&shared(4, 7)), []);
    }

    #[test]
    fn what_a_download_brought_may_be_announced_before_it_is_whole() {
        let mut index = index(&[1]);
        assert_eq!(index.on_event(&announced(9, 7)), []);
        assert_eq!(index.on_event(&shared(1, 7)), [ShareId(1)]);
    }

    #[test]
    fn earlier_versions_have_the_same_name_and_other_content() {
        let mut index = index(&[1, 2]);
        index.on_event(&shared(3, 9));
        index.insert(ShareId(4), name("other"));
        for share in [1, 2] {
            index.on_event(&shared(share, 7));
        }
        index.insert(ShareId(5), name("f"));
        index.on_event(&shared(5, 8));
        assert_eq!(index.earlier_versions(ShareId(5)), [1, 2, 3].map(ShareId));
        index.insert(ShareId(6), name("f"));
        index.on_event(&shared(6, 8));
        assert_eq!(
            index.earlier_versions(ShareId(6)),
            [1, 2, 3].map(ShareId),
            "the same bytes are no other version"
        );
    }

    #[test]
    fn of_two_versions_the_later_one_is_the_newer_however_long_the_first_is_hashed() {
        let mut index = ShareIndex::default();
        // What a download has brought has a number of another kind.
        index.on_event(&Event::Shared {
            share: ShareId(u32::MAX),
            content: content(9),
            name: name("f"),
            length: 3,
        });
        for share in [1, 2] {
            index.insert(ShareId(share), name("f"));
        }
        index.on_event(&shared(2, 8));
        assert_eq!(index.earlier_versions(ShareId(2)), [ShareId(1), ShareId(u32::MAX)]);
        index.on_event(&shared(1, 7));
        assert_eq!(index.earlier_versions(ShareId(1)), [ShareId(u32::MAX)]);
    }

    #[test]
    fn nothing_is_kept_of_shares_that_are_over() {
        let mut index = index(&[1, 2, 3]);
        index.on_event(&shared(1, 7));
        index.on_event(&shared(2, 7));
        index.on_event(&announced(1, 7));
        for event in [failed(3), unshared(1, 7), unshared(2, 7), failed(2)] {
            index.on_event(&event);
        }
        assert!(index.shares.is_empty() && index.by_name.is_empty() && index.by_content.is_empty());
        assert_eq!(index.earlier_versions(ShareId(1)), []);
    }
}
