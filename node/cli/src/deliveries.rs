//! Who fetches from this node, and who has everything by now. Pure: this part makes the lines and counts, and has
//! neither a clock nor a screen.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use messages::{ContentId, Name, NodeId};
use riffle::{Event, SessionEnd, ShareId, UploadStatus};

use crate::units::rate;

/// At most this many pairs of a node and a content that it fetches are remembered; the log tells of further ones.
const MAX_KNOWN: usize = 500_000;
/// Up to this many files of one node have a line each; more files have one line together.
const MAX_FILES: usize = 3;
/// At most this many nodes have lines of their own at a time; the others have one line together.
const MAX_NODES: usize = 8;
/// At most this many files have a line each at the end; the others have one line together.
const MAX_AT_END: usize = 8;

/// What other nodes have fetched from this one.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// The names of the contents that are shared or fetched.
    names: BTreeMap<ContentId, Name>,
    shares: BTreeMap<ShareId, ContentId>,
    /// The contents that each node has begun to fetch, and whether the node has all of each.
    known: BTreeMap<(ContentId, NodeId), bool>,
    /// How many nodes have all of each content.
    copies: BTreeMap<ContentId, usize>,
    /// How many shares each content has.
    sharers: BTreeMap<ContentId, usize>,
    /// How many of the shared contents have each number of copies.
    by_copies: BTreeMap<usize, usize>,
    /// What nodes have begun to fetch since the last lines.
    begun: NodeContents,
    /// What nodes have completed since the last lines.
    complete: NodeContents,
}

/// The address of each node that there is something to say about, and the contents that it is about.
type NodeContents = BTreeMap<NodeId, (SocketAddr, BTreeSet<ContentId>)>;

impl Deliveries {
    /// Takes in an event.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match event {
            Event::Shared { share, content, name, .. } => {
                self.names.entry(*content).or_insert_with(|| name.clone());
                self.on_shared(*share, *content);
            }
            Event::DownloadIdentified { content, name, .. } => {
                self.names.entry(*content).or_insert_with(|| name.clone());
            }
            Event::ShareFailed { share, .. } | Event::Unshared { share, .. } => {
                self.on_unshared(*share);
            }
            Event::UploadStarted { content, peer, node } => self.on_begun(*content, *node, *peer),
            Event::UploadEnded { content, peer, node, why: SessionEnd::Done, .. } => {
                self.on_complete(*content, *node, *peer);
            }
            _ => {}
        }
    }

    fn on_shared(&mut self, share: ShareId, content: ContentId) {
        self.on_unshared(share);
        self.shares.insert(share, content);
        let sharers = self.sharers.entry(content).or_default();
        *sharers += 1;
        if *sharers == 1 {
            *self.by_copies.entry(self.copies_of(content)).or_default() += 1;
        }
    }

    fn on_unshared(&mut self, share: ShareId) {
        let Some(content) = self.shares.remove(&share) else { return };
        if take_one(&mut self.sharers, content) {
            let copies = self.copies_of(content);
            take_one(&mut self.by_copies, copies);
        }
    }

    fn on_begun(&mut self, content: ContentId, node: NodeId, peer: SocketAddr) {
        let is_full = self.known.len() >= MAX_KNOWN;
        if let Entry::Vacant(unknown) = self.known.entry((content, node))
            && !is_full
        {
            unknown.insert(false);
            self.begun.entry(node).or_insert((peer, BTreeSet::new())).1.insert(content);
        }
    }

    fn on_complete(&mut self, content: ContentId, node: NodeId, peer: SocketAddr) {
        // A complete copy is counted even beyond `MAX_KNOWN`, because `send --copies` waits for it.
        if self.known.insert((content, node), true) == Some(true) {
            return;
        }
        let copies = self.copies.entry(content).or_default();
        *copies += 1;
        let copies = *copies;
        if self.sharers.contains_key(&content) {
            take_one(&mut self.by_copies, copies - 1);
            *self.by_copies.entry(copies).or_default() += 1;
        }
        self.complete.entry(node).or_insert((peer, BTreeSet::new())).1.insert(content);
    }

    /// Takes the lines about what has happened since the last call.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        let (begun, complete) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.complete));
        let mut lines = self.lines(&begun, "begins to fetch", "begin to fetch");
        lines.extend(self.lines(&complete, "has all of", "have all of"));
        lines
    }

    /// Whether at least `copies` other nodes have each file that is shared.
    pub(crate) fn are_delivered(&self, copies: usize) -> bool {
        self.by_copies.first_key_value().is_some_and(|(&fewest, _)| fewest >= copies)
    }

    /// Whether no other node has begun to fetch anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// One line about now: how many nodes fetch, how fast, and how many copies were given.
    pub(crate) fn standing(&self, uploads: &[UploadStatus]) -> String {
        let nodes: BTreeSet<NodeId> = uploads.iter().map(|upload| upload.node).collect();
        let together = uploads.iter().map(|upload| upload.rate).fold(0, u64::saturating_add);
        let fetch = if nodes.len() == 1 { "node fetches" } else { "nodes fetch" };
        let copies = self.copies.values().sum();
        format!("{} {fetch}, {} together, {}", nodes.len(), rate(together), copies_given(copies))
    }

    /// The last lines: how many other nodes have each file.
    pub(crate) fn closing(&self) -> Vec<String> {
        let shared: BTreeSet<ContentId> = self.shares.values().copied().collect();
        let mut lines: Vec<String> = shared
            .iter()
            .take(MAX_AT_END)
            .map(|content| match self.copies_of(*content) {
                0 => format!("{}: no other node has all of it", self.name_of(*content)),
                1 => format!("{}: 1 other node has all of it", self.name_of(*content)),
                copies => format!("{}: {copies} other nodes have all of it", self.name_of(*content)),
            })
            .collect();
        if shared.len() > MAX_AT_END {
            let copies = shared.iter().skip(MAX_AT_END).map(|content| self.copies_of(*content)).sum();
            lines.push(format!("and of {} more: {}", shared.len() - MAX_AT_END, copies_given(copies)));
        }
        lines
    }

    fn copies_of(&self, content: ContentId) -> usize {
        self.copies.get(&content).copied().unwrap_or(0)
    }

    fn name_of(&self, content: ContentId) -> String {
        self.names.get(&content).map_or_else(|| content.short(), Name::to_string)
    }

    fn lines(&self, contents_by_node: &NodeContents, does: &str, they_do: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (peer, contents) in contents_by_node.values().take(MAX_NODES) {
            if contents.len() > MAX_FILES {
                lines.push(format!("{peer} {does} {} files", contents.len()));
            } else {
                lines.extend(
                    contents.iter().map(|content| format!("{peer} {does} {}", self.name_of(*content))),
                );
            }
        }
        let others = contents_by_node.len().saturating_sub(MAX_NODES);
        if others > 0 {
            let contents: BTreeSet<ContentId> = contents_by_node
                .values()
                .skip(MAX_NODES)
                .flat_map(|(_, contents)| contents)
                .copied()
                .collect();
            let what = match contents.first() {
                Some(only) if contents.len() == 1 => self.name_of(*only),
                _ => format!("one or more of {} files", contents.len()),
            };
            let who = if others == 1 { "1 more node".to_owned() } else { format!("{others} more nodes") };
            lines.push(format!("and {who} {} {what}", if others == 1 { does } else { they_do }));
        }
        lines
    }
}

/// Counts one fewer of `key`. Whether it was the last.
fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> bool {
    let Entry::Occupied(mut count) = counts.entry(key) else { return false };
    *count.get_mut() -= 1;
    let was_last = *count.get() == 0;
    if was_last {
        count.remove();
    }
    was_last
}

fn copies_given(copies: usize) -> String {
    if copies == 1 { "1 copy given".to_owned() } else { format!("{copies} copies given") }
}

#[cfg(test)]
mod tests {
    use riffle::UploadStanding;

    use super::*;
    use crate::fixtures::{self, name};

    fn content(number: u32) -> ContentId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ContentId::from_bytes(bytes)
    }

    fn peer(node: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, node], 4000))
    }

    fn shared(number: u32) -> Event {
        let name = name(&format!("f{number}"));
        Event::Shared { share: ShareId(number), content: content(number), name, length: 1 }
    }

    fn started(number: u32, node: u8) -> Event {
        let node_id = NodeId::from_bytes([node; 16]);
        Event::UploadStarted { content: content(number), peer: peer(node), node: node_id }
    }

    fn ended(number: u32, node: u8, why: SessionEnd) -> Event {
        let node_id = NodeId::from_bytes([node; 16]);
        Event::UploadEnded { content: content(number), peer: peer(node), node: node_id, bytes: 1, why }
    }

    #[test]
    fn a_node_is_told_once_when_it_begins_and_once_when_it_has_everything() {
        let mut deliveries = Deliveries::default();
        deliveries.on_event(&shared(1));
        // Two sessions, one that is lost, and one that comes back after everything.
        for event in [started(1, 7), started(1, 7), ended(1, 7, SessionEnd::Silent), started(1, 7)] {
            deliveries.on_event(&event);
        }
        assert_eq!(deliveries.take_lines(), ["10.0.0.7:4000 begins to fetch f1"]);
        assert!(!deliveries.are_delivered(1));
        deliveries.on_event(&ended(1, 7, SessionEnd::Done));
        assert_eq!(deliveries.take_lines(), ["10.0.0.7:4000 has all of f1"]);
        for event in [ended(1, 7, SessionEnd::Done), started(1, 7), ended(1, 7, SessionEnd::Done)] {
            deliveries.on_event(&event);
        }
        assert_eq!(deliveries.take_lines(), Vec::<String>::new());
        assert!(deliveries.are_delivered(1) && !deliveries.are_delivered(2), "one node is one copy");
        assert_eq!(deliveries.closing(), ["f1: 1 other node has all of it"]);
    }

    #[test]
    fn every_file_that_is_still_shared_counts_for_delivered() {
        let mut deliveries = Deliveries::default();
        assert!(!deliveries.are_delivered(1), "nothing is shared yet");
        for event in [shared(1), shared(2), started(1, 1), ended(1, 1, SessionEnd::Done)] {
            deliveries.on_event(&event);
        }
        assert!(!deliveries.are_delivered(1));
        // A second file with the same content, and what is told twice.
        let second = Event::Shared { share: ShareId(3), content: content(2), name: name("copy"), length: 1 };
        for event in [second, shared(2), Event::Unshared { share: ShareId(2), content: content(2) }] {
            deliveries.on_event(&event);
            assert!(!deliveries.are_delivered(1));
        }
        deliveries.on_event(&Event::Unshared { share: ShareId(3), content: content(2) });
        assert!(deliveries.are_delivered(1));
        deliveries.on_event(&shared(2));
        assert!(!deliveries.are_delivered(1));
        deliveries.on_event(&started(2, 1));
        deliveries.on_event(&ended(2, 1, SessionEnd::Done));
        assert!(deliveries.are_delivered(1) && !deliveries.are_delivered(2));
    }

    #[test]
    fn many_files_and_many_nodes_have_few_lines() {
        let mut deliveries = Deliveries::default();
        (0..5000).for_each(|number| deliveries.on_event(&shared(number)));
        (0..5000).for_each(|number| deliveries.on_event(&started(number, 1)));
        assert_eq!(deliveries.take_lines(), ["10.0.0.1:4000 begins to fetch 5000 files"]);
        (10..30).for_each(|node| deliveries.on_event(&started(1, node)));
        (10..30).for_each(|node| deliveries.on_event(&ended(1, node, SessionEnd::Done)));
        let lines = deliveries.take_lines();
        assert_eq!(lines.len(), 18);
        assert_eq!(lines[8], "and 12 more nodes begin to fetch f1");
        assert_eq!(lines[17], "and 12 more nodes have all of f1");
        let closing = deliveries.closing();
        assert_eq!((closing.len(), closing[1].as_str()), (9, "f1: 20 other nodes have all of it"));
        assert_eq!(closing[8], "and of 4992 more: 0 copies given");
    }

    #[test]
    fn how_it_stands_is_one_line() {
        let upload = |node| UploadStatus {
            content: content(1),
            rate: 2 << 20,
            ..fixtures::upload(node, 1, UploadStanding::Served)
        };
        let mut deliveries = Deliveries::default();
        for event in [shared(1), started(1, 1), ended(1, 1, SessionEnd::Done)] {
            deliveries.on_event(&event);
        }
        let expected = "2 nodes fetch, 6.00 MiB/s together, 1 copy given";
        assert_eq!(deliveries.standing(&[upload(2), upload(3), upload(3)]), expected);
        assert_eq!(deliveries.standing(&[]), "0 nodes fetch, 0 B/s together, 1 copy given");
    }
}
