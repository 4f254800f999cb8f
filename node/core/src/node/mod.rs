//! The node as a whole, which routes inputs to the parts and drains their outputs. The parts do not know each other;
//! what they share, the node lends them for one call (`context`).

mod arriving;
mod downloads;
mod poll;
mod sharing;
mod status;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

use channel::{ChannelCounters, Channels, Members, Received};
use config::NodeSettings;
use messages::node_to_node::Operation;
use messages::node_to_tracker::Query;
use messages::tracker_to_node::Owners;
use messages::{
    BootEpoch, ChunkHeader, Conversation, CookieJar, Datagram, Endpoint, NodeId, NodeToNode, PieceIndex,
    Timestamp,
};

use crate::command::Command;
use crate::context::{Route, Shared};
use crate::disk::{DiskRequest, DiskResult, StoreError};
use crate::download::Download;
use crate::event::Event;
use crate::ids::{BufferId, DownloadId, SearchId, ShareId};
use crate::local_content::LocalContent;
use crate::output::Placement;
use crate::status::Counters;
use crate::tracker_client::{NeedTicket, TrackerClient, TrackerReply};
use crate::upload::{PeerSeen, Uploads};
use downloads::Downloads;
use sharing::{HashingFile, PartialShare};

/// The identity of a node, and of one of its lives.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node's id.
    pub node: NodeId,
    /// The number of this life.
    pub epoch: BootEpoch,
    /// 32 secret bytes, which are the key of the cookies that this node gives out.
    pub secret: [u8; 32],
    /// The seed of all randomness in the core.
    pub seed: u64,
}

/// One node: owns, serves and downloads contents.
#[derive(Debug)]
pub struct Node {
    tracker_client: TrackerClient,
    uploads: Uploads,
    downloads: Downloads,
    /// The files that are being hashed to be shared.
    hashing: BTreeMap<ShareId, HashingFile>,
    /// Further files whose content is served from another file: one takes over when that file is withdrawn.
    duplicates: BTreeMap<ShareId, LocalContent>,
    /// The contents that are served while they are fetched.
    partial: BTreeMap<ShareId, PartialShare>,
    /// Whether [`Event::Left`] was reported.
    has_left: bool,
    /// What the parts share.
    shared: Shared,
}

impl Node {
    /// A node that talks to `tracker`. `None` means that it talks to no tracker until [`Command::UseTracker`] names
    /// one. At most `receive_buffer` bytes are outstanding over local paths, which is what the socket's receive buffer
    /// holds.
    #[must_use]
    pub fn new(
        settings: NodeSettings,
        identity: &Identity,
        tracker: Option<SocketAddr>,
        receive_buffer: u32,
        now: Timestamp,
    ) -> Node {
        Node {
            tracker_client: TrackerClient::new(tracker.map(unscoped), identity.node, identity.epoch, now),
            uploads: Uploads::new(CookieJar::new(identity.secret)),
            downloads: Downloads::new(),
            hashing: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            partial: BTreeMap::new(),
            has_left: false,
            shared: Shared::new(settings, identity.node, identity.seed, receive_buffer, now),
        }
    }

    /// The same node, which says and hears sealed what the policy of `channels` asks for. Its id is theirs.
    ///
    /// # Panics
    /// When the channels are another node's.
    #[must_use]
    pub fn with_channels(mut self, channels: Channels) -> Node {
        assert_eq!(channels.node_id(), self.shared.node, "a node speaks for itself");
        self.shared.seal_with(channels);
        self
    }

    /// The sealed channels. `None`: everything is in the clear.
    pub fn channels(&mut self) -> Option<&mut Channels> {
        self.shared.channels.as_deref_mut()
    }

    /// From now on only `members` are talked to ([`Channels::change_members`]). Sessions with others end.
    pub fn change_members(&mut self, members: &Members, now: Timestamp) {
        if let Some(channels) = self.channels() {
            channels.change_members(members.clone());
        }
        let cx = &mut self.shared.context(now);
        self.uploads.let_go(members, cx);
        self.downloads.iter_mut().for_each(|download| download.let_go(members, cx));
    }

    /// Takes in a datagram in the clear that is not a CHUNK. The bytes may be anything.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Timestamp) {
        if self.is_answerable(from) && self.takes_in_the_clear(from) {
            self.handle_plain(unscoped(from), datagram, now);
        }
    }

    /// Takes in a datagram of a channel ([`messages::Kind::is_channel`]), which is opened where it stands. Of a CHUNK it
    /// returns the header and where in the datagram the payload is: the driver hands it to
    /// [`Node::handle_opened_chunk`].
    pub fn open(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        now: Timestamp,
    ) -> Option<(ChunkHeader, Range<usize>)> {
        if !self.is_answerable(from) {
            return None;
        }
        let from = unscoped(from);
        let Some(channels) = self.shared.channels.as_deref_mut() else {
            self.shared.counters.unexpected += 1;
            return None;
        };
        let received = channels.handle(from, datagram, now);
        self.handle_received(from, received, datagram, now)
    }

    /// Handles what became of a datagram of a channel. Of a CHUNK it returns the header and where in `datagram` the
    /// payload is.
    fn handle_received(
        &mut self,
        from: SocketAddr,
        received: Received,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<(ChunkHeader, Range<usize>)> {
        match received {
            Received::Opened { range, peer } => {
                self.shared.sender = Some(peer);
                let plain = &datagram[range.clone()];
                if let Ok((header, payload)) = ChunkHeader::decode(plain) {
                    let is_its = self.is_from_owner(&header, from, now);
                    self.shared.sender = None;
                    self.shared.counters.unexpected += u64::from(!is_its);
                    return is_its.then_some((header, range.end - payload.len()..range.end));
                }
                self.handle_plain(from, plain, now);
            }
            Received::Greeted { early, peer } => {
                self.shared.sender = Some(peer);
                early.iter().for_each(|plain| self.handle_plain(from, plain, now));
            }
            Received::Answered => {
                let cx = &mut self.shared.context(now);
                self.tracker_client.handle_answered(from, cx);
                self.downloads.iter_mut().for_each(|download| download.handle_answered(from, cx));
            }
            Received::Nothing => {}
        }
        self.shared.sender = None;
        None
    }

    /// Whether a CHUNK comes from the owner in whose session it is.
    fn is_from_owner(&mut self, header: &ChunkHeader, from: SocketAddr, now: Timestamp) -> bool {
        let cx = self.shared.context(now);
        match cx.routes.find(header.conversation) {
            Some(Route::Download(id, key)) => {
                self.downloads.get_mut(id).is_some_and(|download| download.is_from(key, from, &cx))
            }
            _ => false,
        }
    }

    /// Whether an answer can go to the address: it has a port, and is not that of a group or of nobody.
    fn is_answerable(&mut self, from: SocketAddr) -> bool {
        let is_reachable = Endpoint::new(from).is_reachable();
        self.shared.counters.unexpected += u64::from(!is_reachable);
        is_reachable
    }

    fn takes_in_the_clear(&mut self, from: SocketAddr) -> bool {
        let channels = self.shared.channels.as_deref_mut();
        channels.is_none_or(|channels| channels.takes_in_the_clear(unscoped(from)))
    }

    /// Takes in a datagram that was opened, or may be in the clear.
    fn handle_plain(&mut self, from: SocketAddr, datagram: &[u8], now: Timestamp) {
        match Datagram::decode(datagram) {
            Ok(Datagram::Peer(conversation, message)) => self.handle_peer(from, conversation, &message, now),
            Ok(Datagram::FromTracker(conversation, message)) => {
                let cx = &mut self.shared.context(now);
                let reply = self.tracker_client.handle_message(from, conversation, message, cx);
                self.on_tracker_reply(reply, now);
            }
            Ok(Datagram::ToTracker(..) | Datagram::Chunk(..) | Datagram::Code(..)) => {
                self.shared.counters.unexpected += 1;
            }
            Err(_) => self.shared.counters.undecodable += 1,
        }
    }

    /// Takes in a CHUNK in the clear with `length` bytes of payload. Returns where they are to be written, if they are
    /// wanted: the driver writes them there before it calls the core again.
    pub fn handle_chunk(
        &mut self,
        from: SocketAddr,
        header: &ChunkHeader,
        length: usize,
        now: Timestamp,
    ) -> Option<Placement> {
        if !self.takes_in_the_clear(from) {
            return None;
        }
        self.handle_opened_chunk(from, header, length, now)
    }

    /// As [`Node::handle_chunk`], for a CHUNK that [`Node::open`] returned.
    pub fn handle_opened_chunk(
        &mut self,
        from: SocketAddr,
        header: &ChunkHeader,
        length: usize,
        now: Timestamp,
    ) -> Option<Placement> {
        let cx = &mut self.shared.context(now);
        let Some(Route::Download(id, key)) = cx.routes.find(header.conversation) else {
            cx.counters.unexpected += 1;
            return None;
        };
        let is_its = |download: &&mut Download| download.is_from(key, unscoped(from), cx);
        let Some(download) = self.downloads.get_mut(id).filter(is_its) else {
            cx.counters.unexpected += 1;
            return None;
        };
        download.handle_chunk(key, header, length, cx)
    }

    /// Counts a datagram that the driver could not decode.
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
            Some(Route::Download(id, key)) => match self.downloads.get_mut(id) {
                Some(download) if download.is_from(key, from, cx) => {
                    download.handle_message(key, message, cx);
                }
                _ => cx.counters.unexpected += 1,
            },
            None => match message {
                NodeToNode::Control(control) if control.operation == Operation::Gone => {
                    let forgotten =
                        |download: &mut Download| download.handle_forgotten(from, conversation, cx);
                    if !self.downloads.iter_mut().any(forgotten) {
                        cx.counters.unexpected += 1;
                    }
                }
                _ => Uploads::reject_unexpected(from, conversation, message, cx),
            },
        }
        self.collect_completed(now);
    }

    /// Introduces nodes that fetch a content from this node to its own download of that content: they may serve it,
    /// too.
    fn introduce(&mut self, now: Timestamp) {
        while let Some(PeerSeen { content, node, peer }) = self.uploads.take_peer_seen() {
            if let Some(download) = self.downloads.fetching_mut(content) {
                download.meet(node, peer, now);
            }
        }
    }

    fn on_tracker_reply(&mut self, reply: TrackerReply, now: Timestamp) {
        match reply {
            TrackerReply::Nothing => {}
            TrackerReply::Owners(NeedTicket::Download(id), owners) => self.on_owners(id, &owners, now),
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

    /// Handles the tracker's answer for the download `id`, which may be over by now.
    fn on_owners(&mut self, id: DownloadId, owners: &Owners, now: Timestamp) {
        let cx = &mut self.shared.context(now);
        let Some(download) = self.downloads.get_mut(id) else {
            return;
        };
        let was_identified = download.is_identified();
        download.handle_owners(owners, self.tracker_client.is_far(), cx);
        if !was_identified && !self.downloads.claim_target(id, cx) {
            return;
        }
        let download = self.downloads.get_mut(id).expect("claiming a target removes no download");
        let Some(content) = download.content() else { return };
        let Some(outboard) = self.uploads.outboard_of(content) else { return };
        match self.uploads.share_of(content) {
            Some(share) if !download.keeps_content() => download.read_own_index(share, outboard, cx),
            _ => download.use_outboard(outboard, cx),
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

    /// Takes in a result of the disk.
    pub fn handle_disk(&mut self, result: DiskResult, now: Timestamp) {
        match result {
            DiskResult::Hashing { share, done, total } => {
                if let Some(hashing) = self.hashing.get_mut(&share) {
                    (hashing.done, hashing.total) = (done, total);
                    let name = hashing.name.clone();
                    self.shared.out.events.push(Event::Hashing { share, name, done, total });
                }
            }
            DiskResult::Skipped { share, skipped } => {
                self.shared.out.events.push(Event::Skipped { share, skipped });
            }
            DiskResult::WithoutLocks { folder, elsewhere } => {
                self.shared.out.events.push(Event::WithoutLocks { folder, elsewhere });
            }
            DiskResult::Shared { share, result, file } => {
                let result = result.map(|outboard| (outboard, file));
                self.handle_shared(share, result, now);
            }
            DiskResult::ShareChanged { share, error } => self.withdraw(share, Some(error), now),
            DiskResult::PartChanged { share, pieces, files } => {
                self.withdraw_pieces(share, &pieces, files, now);
            }
            DiskResult::OutboardChecked { download, buffer, result } => {
                let cx = &mut self.shared.context(now);
                match self.downloads.get_mut(download) {
                    Some(download) => download.handle_outboard(buffer, result, cx),
                    None => cx.buffers.give_back(buffer, cx.out),
                }
            }
            DiskResult::TargetSeen { download, has_nothing } => {
                if let Some(download) = self.downloads.get_mut(download) {
                    download.handle_target_seen(has_nothing);
                }
            }
            DiskResult::Opened { download, result } => {
                if let Some(download) = self.downloads.get_mut(download) {
                    let partial = download.handle_opened(result, &mut self.shared.context(now));
                    if let Some(partial) = partial {
                        self.start_sharing_part(partial);
                    }
                }
            }
            DiskResult::Planned { download, plan } => {
                if let Some(download) = self.downloads.get_mut(download) {
                    let (share, cx) = (download.share(), &mut self.shared.context(now));
                    let here = download.handle_planned(plan, cx);
                    here.into_iter().for_each(|piece| self.share_piece(share, piece, now));
                }
            }
            DiskResult::Previewed { download, buffer, plan } => {
                let cx = &mut self.shared.context(now);
                let Some(download) = self.downloads.get_mut(download) else {
                    cx.buffers.give_back(buffer, cx.out);
                    return;
                };
                let (share, here) = (download.share(), download.handle_previewed(buffer, plan, cx));
                here.into_iter().for_each(|piece| self.share_piece(share, piece, now));
            }
            DiskResult::Stored { download, piece, buffer, result } => {
                self.handle_stored(download, (piece, buffer), result, now);
            }
            DiskResult::Finished { download, result } => {
                if let Some(download) = self.downloads.get_mut(download) {
                    download.handle_finished(result, &mut self.shared.context(now));
                }
            }
            DiskResult::IndexRead { download, result } => {
                if let Some(download) = self.downloads.get_mut(download) {
                    download.handle_index(result, &mut self.shared.context(now));
                }
            }
        }
        self.collect_completed(now);
    }

    /// Takes in that the disk has stored a piece, or has not: its senders are credited, and it is served on.
    fn handle_stored(
        &mut self,
        id: DownloadId,
        (piece, buffer): (PieceIndex, BufferId),
        result: Result<(), StoreError>,
        now: Timestamp,
    ) {
        let cx = &mut self.shared.context(now);
        let Some(download) = self.downloads.get_mut(id) else {
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

    /// Takes in a person's command.
    pub fn handle_command(&mut self, command: Command, now: Timestamp) {
        match command {
            Command::Share { share, path, name, options } => {
                self.shared.out.disk.push(DiskRequest::Share { share, path: path.clone(), options });
                self.hashing.insert(share, HashingFile { path, name, done: 0, total: 0 });
            }
            Command::Unshare { share } => self.withdraw(share, None, now),
            Command::Download { download, order } => self.downloads.start(download, order, now),
            Command::Index { download, wanted, timeouts } => {
                self.downloads.start_index(download, (wanted, timeouts), now);
            }
            Command::Cancel { download } => {
                if let Some(download) = self.downloads.get_mut(download) {
                    download.cancel(false, &mut self.shared.context(now));
                }
            }
            Command::Search { search, prefix, after } => {
                let query = Query::Search { prefix, after };
                self.tracker_client.need(NeedTicket::Search(search), query, &mut self.shared.context(now));
            }
            Command::Limit { upload, download } => {
                self.shared.set_limits(upload, download, now);
            }
            Command::UseTracker { tracker, key } => {
                if let (Some(channels), Some(key)) = (&mut self.shared.channels, key) {
                    channels.expect_key(unscoped(tracker), key);
                }
                self.tracker_client.use_tracker(unscoped(tracker), &self.shared.context(now));
            }
            Command::Leave => {
                let cx = &mut self.shared.context(now);
                self.downloads.iter_mut().for_each(|download| download.cancel(true, cx));
                self.uploads.leave(cx);
                self.tracker_client.leave(cx);
            }
        }
    }

    /// The events that were counted since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters
    }

    /// What was counted of the sealed channels since the start.
    #[must_use]
    pub fn channel_counters(&self) -> ChannelCounters {
        self.shared.channels.as_ref().map(|channels| channels.counters()).unwrap_or_default()
    }

    /// The id of this node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.shared.node
    }
}

/// The address in the form in which OWNERS names peers: IPv4 is never mapped into IPv6, and IPv6 has no scope.
fn unscoped(address: SocketAddr) -> SocketAddr {
    Endpoint::new(address).address()
}
