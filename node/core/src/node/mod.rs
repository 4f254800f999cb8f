//! The whole core: routes inputs to the parts and drains their outputs. The parts never see each other; what they
//! share, [`Context`] lends them.

mod poll;
mod sharing;
mod status;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use config::NodeSettings;
use messages::node_to_node::Operation;
use messages::node_to_tracker::Query;
use messages::tracker_to_node::Owners;
use messages::{
    BootEpoch, ChunkHeader, Conversation, CookieJar, Datagram, Endpoint, NodeId, NodeToNode, Timestamp,
};

use crate::command::{Command, DownloadOrder};
use crate::context::{Route, Shared};
use crate::disk::{DiskRequest, DiskResult};
use crate::download::Download;
use crate::event::Event;
use crate::ids::{DownloadId, SearchId, ShareId};
use crate::output::Placement;
use crate::status::Counters;
use crate::tracker_client::{NeedTicket, TrackerClient, TrackerReply};
use crate::upload::{PeerSeen, Uploads};
use sharing::{DuplicateFile, Hashing, PartialShare};

/// Numbers that the core gives to files that it downloads start here; those of commands stay below.
const FIRST_OWN_SHARE: u32 = 1 << 31;

/// Who this node is, in this life.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub epoch: BootEpoch,
    /// Keys the cookies that this node hands out: 32 bytes that nobody else knows.
    pub secret: [u8; 32],
    /// Seeds all chance.
    pub seed: u64,
}

/// One node: owns, serves and downloads contents.
#[derive(Debug)]
pub struct Node {
    node: NodeId,
    tracker_client: TrackerClient,
    uploads: Uploads,
    downloads: BTreeMap<DownloadId, Download>,
    /// Where they will be, as far as that is known, and whose place it is.
    targets: BTreeMap<PathBuf, DownloadId>,
    hashing: BTreeMap<ShareId, Hashing>,
    /// Second files with contents that are served from a first one.
    spares: BTreeMap<ShareId, DuplicateFile>,
    /// Contents that are served while they are fetched, and what the tracker was told of how much of each is here.
    growing: BTreeMap<ShareId, PartialShare>,
    next_share: u32,
    left: bool,
    /// Which download asked first last time.
    turn: DownloadId,
    shared: Shared,
}

impl Node {
    /// A node that talks to `tracker`; `None`: it says nothing to anybody until [`Command::UseTracker`] tells where it is. Of what is asked for over short paths, no more than `receive_buffer` bytes are
    /// outstanding: what the socket's receive buffer holds.
    #[must_use]
    pub fn new(
        settings: NodeSettings,
        identity: &Identity,
        tracker: Option<SocketAddr>,
        receive_buffer: u32,
        now: Timestamp,
    ) -> Node {
        Node {
            node: identity.node,
            tracker_client: TrackerClient::new(tracker.map(canonical), identity.node, identity.epoch, now),
            uploads: Uploads::new(CookieJar::new(identity.secret)),
            downloads: BTreeMap::new(),
            targets: BTreeMap::new(),
            hashing: BTreeMap::new(),
            spares: BTreeMap::new(),
            growing: BTreeMap::new(),
            next_share: FIRST_OWN_SHARE,
            left: false,
            turn: DownloadId(0),
            shared: Shared::new(settings, identity.node, identity.seed, receive_buffer, now),
        }
    }

    /// A datagram that is no CHUNK: any bytes whatever.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Timestamp) {
        if !Endpoint::new(from).is_reachable() {
            // Port 0, a group, or nobody: nothing can be answered there.
            self.shared.counters.unexpected += 1;
            return;
        }
        let from = canonical(from);
        match Datagram::decode(datagram) {
            Ok(Datagram::Peer(conversation, message)) => self.handle_peer(from, conversation, &message, now),
            Ok(Datagram::FromTracker(conversation, message)) => {
                let told = self.tracker_client.handle_message(
                    from,
                    conversation,
                    message,
                    &mut self.shared.context(now),
                );
                self.on_told(told, now);
            }
            Ok(Datagram::ToTracker(..) | Datagram::Chunk(..)) => self.shared.counters.unexpected += 1,
            Err(_) => self.shared.counters.undecodable += 1,
        }
    }

    /// A CHUNK with `length` bytes of payload: where they belong, if they are wanted. The driver puts them there before
    /// it calls the core again.
    pub fn handle_chunk(
        &mut self,
        from: SocketAddr,
        header: &ChunkHeader,
        length: usize,
        now: Timestamp,
    ) -> Option<Placement> {
        let Some(Route::Download(id, key)) = self.shared.routes.find(header.conversation) else {
            self.shared.counters.unexpected += 1;
            return None;
        };
        let Some(download) =
            self.downloads.get_mut(&id).filter(|download| download.is_from(key, canonical(from)))
        else {
            self.shared.counters.unexpected += 1;
            return None;
        };
        download.handle_chunk(key, header, length, &mut self.shared.context(now))
    }

    /// A datagram could not be read: it is counted.
    pub fn count_undecodable(&mut self) {
        self.shared.counters.undecodable += 1;
    }

    fn handle_peer(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        message: &NodeToNode,
        now: Timestamp,
    ) {
        let cx = &mut self.shared.context(now);
        if let NodeToNode::Hello(hello) = message {
            self.uploads.handle_hello(from, hello, cx);
            return;
        }
        match cx.routes.find(conversation) {
            Some(Route::Upload) => {
                self.uploads.handle_message(from, conversation, message, cx);
                self.introduce(now);
            }
            Some(Route::Download(id, key)) => match self.downloads.get_mut(&id) {
                Some(download) if download.is_from(key, from) => download.handle_message(key, message, cx),
                _ => cx.counters.unexpected += 1,
            },
            None => match message {
                NodeToNode::Control(control) if control.operation == Operation::Gone => {
                    let forgotten =
                        |download: &mut Download| download.handle_forgotten(from, conversation, cx);
                    if !self.downloads.values_mut().any(forgotten) {
                        cx.counters.unexpected += 1;
                    }
                }
                _ => Uploads::refuse_stranger(from, conversation, message, cx),
            },
        }
        self.collect_completed(now);
    }

    /// Those who fetch from this node what it fetches itself may give it what they have.
    fn introduce(&mut self, now: Timestamp) {
        while let Some(PeerSeen { content, node, peer }) = self.uploads.take_met() {
            let same = self.downloads.values_mut().find(|download| download.content() == Some(content));
            if let Some(download) = same {
                download.meet(node, peer, now);
            }
        }
    }

    fn on_told(&mut self, told: TrackerReply, now: Timestamp) {
        match told {
            TrackerReply::Nothing => {}
            TrackerReply::Owners(NeedTicket::Download(id), owners) => {
                if let Some(download) = self.downloads.get_mut(&id) {
                    let cx = &mut self.shared.context(now);
                    let was_known = download.is_identified();
                    download.handle_owners(&owners, cx);
                    if !was_known && !self.claim_target(id, now) {
                        return;
                    }
                    let cx = &mut self.shared.context(now);
                    let Some(download) = self.downloads.get_mut(&id) else { return };
                    if let Some(manifest) =
                        download.content().and_then(|content| self.uploads.manifest_of(content))
                    {
                        download.use_manifest(manifest, cx);
                    }
                }
            }
            TrackerReply::Owners(NeedTicket::Search(search), owners) => self.on_found(search, owners),
            TrackerReply::Announced(contents) => {
                for content in contents {
                    if let Some(share) = self.uploads.share_of(content) {
                        self.shared.out.events.push(Event::Announced { share, content });
                    }
                }
            }
        }
    }

    fn on_found(&mut self, search: SearchId, owners: Owners) {
        let (contents, next) = match owners {
            Owners::Unknown { .. } => (Vec::new(), None),
            Owners::Content(found) => (vec![found.content], None),
            Owners::Contents(listing) => {
                let next = listing.next();
                (listing.contents.into_vec(), next)
            }
        };
        self.shared.out.events.push(Event::Found { search, contents, next });
    }

    /// A result of the disk.
    pub fn handle_disk(&mut self, result: DiskResult, now: Timestamp) {
        match result {
            DiskResult::Hashing { share, done, total } => {
                if let Some(hashing) = self.hashing.get_mut(&share) {
                    (hashing.done, hashing.total) = (done, total);
                    let name = hashing.name.clone();
                    self.shared.out.events.push(Event::Hashing { share, name, done, total });
                }
            }
            DiskResult::WithoutLocks { folder, elsewhere } => {
                self.shared.out.events.push(Event::WithoutLocks { folder, elsewhere });
            }
            DiskResult::Shared { share, result } => self.handle_shared(share, result),
            DiskResult::ShareChanged { share, error } => self.withdraw(share, Some(error), now),
            DiskResult::ManifestChecked { download, buffer, result } => {
                let cx = &mut self.shared.context(now);
                match self.downloads.get_mut(&download) {
                    Some(download) => download.handle_manifest(buffer, result, cx),
                    None => cx.buffers.give_back(buffer, cx.out),
                }
            }
            DiskResult::Opened { download, result } => {
                if let Some(download) = self.downloads.get_mut(&download) {
                    download.handle_opened(result, &mut self.shared.context(now));
                    if let Some(begun) = download.take_partial_ready() {
                        self.start_sharing_part(begun);
                    }
                }
            }
            DiskResult::Stored { download, piece, buffer, result } => {
                let cx = &mut self.shared.context(now);
                let Some(download) = self.downloads.get_mut(&download) else {
                    cx.buffers.give_back(buffer, cx.out);
                    return;
                };
                let is_stored = result.is_ok();
                let credits = download.handle_stored(piece, buffer, result, cx);
                let share = download.share();
                if let Some(content) = download.content() {
                    credits
                        .into_iter()
                        .for_each(|(owner, bytes)| self.tracker_client.credit(content, owner, bytes, now));
                }
                if is_stored {
                    self.share_piece(share, piece, now);
                }
            }
            DiskResult::Finished { download, result } => {
                if let Some(download) = self.downloads.get_mut(&download) {
                    download.handle_finished(result, &mut self.shared.context(now));
                }
            }
        }
        self.collect_completed(now);
    }

    /// A person's command.
    pub fn handle_command(&mut self, command: Command, now: Timestamp) {
        match command {
            Command::Share { share, path, name } => {
                self.shared.out.disk.push(DiskRequest::Share { share, path: path.clone() });
                self.hashing.insert(share, Hashing { path, name, done: 0, total: 0 });
            }
            Command::Unshare { share } => self.withdraw(share, None, now),
            Command::Download { download, order } => self.start_download(download, order, now),
            Command::Cancel { download } => {
                if let Some(download) = self.downloads.get_mut(&download) {
                    download.cancel(false, &mut self.shared.context(now));
                }
            }
            Command::Search { search, prefix, after } => {
                let query = Query::Search { prefix, after };
                self.tracker_client.need(NeedTicket::Search(search), query, &mut self.shared.context(now));
            }
            Command::Limit { upload, download } => {
                self.shared.upload_limit.change(upload, now);
                self.shared.download_limit.change(download, now);
                self.downloads.values_mut().for_each(Download::on_shared_change);
            }
            Command::UseTracker { tracker } => {
                self.tracker_client.use_tracker(canonical(tracker), &self.shared.context(now));
            }
            Command::Leave => {
                let cx = &mut self.shared.context(now);
                self.downloads.values_mut().for_each(|download| download.cancel(true, cx));
                self.uploads.leave(cx);
                self.tracker_client.leave(cx);
            }
        }
    }

    /// The download `id` knows what it fetches, if it does: where that will be is its own, or it gives way to the one that has
    /// that place. Whether it goes on.
    fn claim_target(&mut self, id: DownloadId, now: Timestamp) -> bool {
        let is_known = |download: &&Download| download.is_identified() && !download.is_over();
        let Some(target) = self.downloads.get(&id).filter(is_known).map(Download::target) else {
            return true;
        };
        let by = *self.targets.entry(target).or_insert(id);
        if by == id {
            return true;
        }
        let its = self.downloads.get(&by).and_then(Download::content);
        if let Some(download) = self.downloads.get_mut(&id) {
            download.give_way(by, its, &mut self.shared.context(now));
        }
        false
    }

    fn start_download(&mut self, id: DownloadId, order: DownloadOrder, now: Timestamp) {
        let share = ShareId(self.next_share);
        self.next_share = self.next_share.wrapping_add(1).max(FIRST_OWN_SHARE);
        self.downloads.insert(id, Download::new(id, share, order, now));
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters
    }

    /// Who this node is.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.node
    }
}

/// IPv4 is never in its mapped form inside the core.
fn canonical(address: SocketAddr) -> SocketAddr {
    Endpoint::new(address).address()
}
