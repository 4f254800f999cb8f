//! One content being fetched: from a person's order to the finished name.
//!
//! ```text
//!   Locating ──content known──▶ Describing ──manifest checked──▶ Opening ──part file──▶ Fetching
//!      │ NEED                     │ CHUNKs of the manifest          │ disk                │ all pieces stored
//!      ▼                          ▼                                 ▼                     ▼
//!    failed                     failed                 failed, or already there        Finishing ──▶ done
//! ```
//!
//! A download knows no packets: sessions carry its requests, flows tell it what is lost.

mod asking;
mod assembly;
mod fetch;
mod owners;
mod session;
mod stretches;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use messages::node_to_node::{Bye, ByeReason, Control, Operation};
use messages::tracker_to_node::{Listed, Owners};
use messages::{
    ChunkHeader, ContentId, Layout, Manifest, ManifestError, Name, NodeId, NodeToNode, PieceIndex, Timestamp,
};

use crate::command::{Destination, DownloadOrder, Wanted};
use crate::context::Context;
use crate::disk::{DiskError, DiskRequest, FinishError, Opened, StoreError};
use crate::event::{Event, Failure, SessionEnd, Share, Summary, Waiting};
use crate::flow::Arrival;
use crate::ids::{BufferId, DownloadId, ShareId};
use crate::meter::Meter;
use crate::output::Place;
use crate::status::DownloadStatus;
use assembly::Assembly;
use fetch::Fetch;
use owners::Candidates;
use session::Session;
pub(crate) use stretches::SessionKey;

/// An owner whose pieces alone were bad this often is not asked again.
const BAD_PIECES: u32 = 2;

/// No more sessions than this are remembered after their end.
const REMEMBERED_SENDERS: usize = 1024;

/// How far a download is.
#[derive(Debug)]
enum Phase {
    /// The tracker is asked for the content, or for its owners.
    Locating,
    /// The manifest is fetched from one owner.
    Describing(Describing),
    /// The part file is being made.
    Opening(Arc<Manifest>),
    /// Pieces are fetched.
    Fetching(Fetch),
    /// The whole is being checked and renamed.
    Finishing(Fetch),
    /// It is over, and the person has been told.
    Over,
}

/// A manifest on its way.
#[derive(Debug)]
enum Describing {
    /// No owner has answered yet.
    NoOwner,
    /// This owner sends it.
    From(SessionKey, Assembly),
    /// A worker checks it.
    Checking(SessionKey),
}

/// A content that is complete here, and how to serve it.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) share: ShareId,
    pub(crate) content: ContentId,
    pub(crate) name: Name,
    pub(crate) manifest: Arc<Manifest>,
}

/// One content being fetched.
#[derive(Debug)]
pub(crate) struct Download {
    id: DownloadId,
    /// The number under which its file will be served.
    share: ShareId,
    order: DownloadOrder,
    began: Timestamp,
    content: Option<ContentId>,
    name: Option<Name>,
    length: Option<u64>,
    phase: Phase,
    sessions: BTreeMap<SessionKey, Session>,
    next_session: u32,
    /// Where the asking went on last time, so that all sessions get their turn.
    turn: u32,
    candidates: Candidates,
    /// When to ask NEED again, and how often it was asked without enough owners.
    need_at: Timestamp,
    needs: usize,
    need_pending: bool,
    /// The tracker's first answer.
    located_at: Option<Timestamp>,
    /// The last verified piece, or the start.
    progress_at: Timestamp,
    /// Whether any owner ever answered.
    answered: bool,
    meter: Meter,
    /// Who is behind each session of late, ended ones included: their pieces may still be on the way to the disk.
    senders: BTreeMap<SessionKey, (NodeId, SocketAddr)>,
    /// Verified bytes by owner.
    given: BTreeMap<NodeId, (SocketAddr, u64)>,
    /// Why it waits, as it was told last, and what it is now and since when.
    told: Option<Waiting>,
    waits: (Waiting, Timestamp),
    completed: Option<Completed>,
}

impl Download {
    /// The download `id` of what `order` says; its file will be served under `share`.
    pub(crate) fn new(id: DownloadId, share: ShareId, order: DownloadOrder, now: Timestamp) -> Download {
        let content = match &order.wanted {
            Wanted::Content(content) => Some(*content),
            Wanted::Name(..) => None,
        };
        Download {
            id,
            share,
            order,
            began: now,
            content,
            name: None,
            length: None,
            phase: Phase::Locating,
            sessions: BTreeMap::new(),
            next_session: 0,
            turn: 0,
            candidates: Candidates::default(),
            need_at: now,
            needs: 0,
            need_pending: false,
            located_at: None,
            progress_at: now,
            answered: false,
            meter: Meter::new(now),
            senders: BTreeMap::new(),
            given: BTreeMap::new(),
            told: None,
            waits: (Waiting::Tracker, now),
            completed: None,
        }
    }

    /// Whether it is over: it can be forgotten.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What is complete here now, once.
    pub(crate) fn take_completed(&mut self) -> Option<Completed> {
        self.completed.take()
    }

    /// What is fetched, once it is known.
    pub(crate) fn content(&self) -> Option<ContentId> {
        self.content
    }

    /// Whether the session `key` is with the node at `peer`.
    pub(crate) fn is_from(&self, key: SessionKey, peer: SocketAddr) -> bool {
        self.sessions.get(&key).is_some_and(|session| session.peer == peer)
    }

    /// Bytes outstanding over paths so short that they may all arrive at once.
    pub(crate) fn near_outstanding(&self) -> u32 {
        self.sessions.values().map(Session::near_outstanding).sum()
    }

    /// The tracker's answer to NEED.
    pub(crate) fn handle_owners(&mut self, owners: &Owners, cx: &mut Context<'_>) {
        self.need_pending = false;
        self.located_at.get_or_insert(cx.now);
        match owners {
            Owners::Unknown => {}
            Owners::Content(found) => {
                if self.content.is_some_and(|content| content != found.content.content) {
                    return;
                }
                if self.choose(std::slice::from_ref(&found.content), cx) {
                    self.candidates.learn(&found.owners, cx.now);
                }
            }
            Owners::Contents(listing) => {
                if self.content.is_none() && self.choose(&listing.contents, cx) {
                    // Its owners are asked for by id, at once.
                    self.need_at = cx.now;
                }
            }
        }
    }

    /// Takes the one content of `found` that is wanted, if there is exactly one.
    fn choose(&mut self, found: &[Listed], cx: &mut Context<'_>) -> bool {
        let fits = |listed: &&Listed| match &self.order.wanted {
            Wanted::Content(content) => listed.content == *content,
            Wanted::Name(name, prefix) => {
                listed.name == *name && listed.content.to_string().starts_with(prefix)
            }
        };
        let fitting: Vec<&Listed> = found.iter().filter(fits).collect();
        let [chosen] = fitting.as_slice() else {
            if fitting.len() > 1 {
                let contents = fitting.into_iter().cloned().collect();
                self.fail(Failure::Ambiguous(contents), cx);
            }
            return false;
        };
        self.length.get_or_insert(chosen.length);
        if self.name.is_none() {
            self.name = Some(chosen.name.clone());
            self.content = Some(chosen.content);
            self.phase = Phase::Describing(Describing::NoOwner);
            let (download, content) = (self.id, chosen.content);
            let (name, length) = (chosen.name.clone(), chosen.length);
            cx.out.events.push(Event::DownloadIdentified { download, content, name, length });
        }
        true
    }

    /// A message of an owner, other than CHUNK.
    pub(crate) fn handle_message(&mut self, key: SessionKey, message: &NodeToNode, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.on_heard();
        match message {
            NodeToNode::Retry(retry) => {
                if !session.handle_retry(retry.nonce, retry.cookie, cx) {
                    cx.counters.unexpected += 1;
                }
            }
            NodeToNode::Welcome(welcome) => self.handle_welcome(key, welcome, cx),
            NodeToNode::Bitfield(bitfield) => session.handle_bitfield(&bitfield.bits),
            NodeToNode::Have(have) => session.handle_have(&have.runs),
            NodeToNode::Control(control) => self.handle_control(key, *control, cx),
            NodeToNode::Ping(ping) => session.handle_ping(ping.nonce, cx),
            NodeToNode::Bye(_) => self.end_session(key, SessionEnd::PeerLeft, cx),
            NodeToNode::Pong(_) => {}
            NodeToNode::Hello(_) | NodeToNode::Request(_) | NodeToNode::Probe(_) | NodeToNode::Probed(_) => {
                cx.counters.unexpected += 1;
            }
        }
    }

    fn handle_welcome(
        &mut self,
        key: SessionKey,
        welcome: &messages::node_to_node::Welcome,
        cx: &mut Context<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if !session.handle_welcome(welcome, cx) {
            cx.counters.unexpected += 1;
            return;
        }
        self.answered = true;
        self.candidates.on_ready(session.owner);
        let rtt = session.flow().and_then(|flow| flow.smoothed_rtt()).unwrap_or_default();
        let (download, owner, peer) = (self.id, session.owner, session.peer);
        if self.senders.len() >= REMEMBERED_SENDERS {
            self.senders.pop_first();
        }
        self.senders.insert(key, (owner, peer));
        cx.out.events.push(Event::OwnerReady { download, owner, peer, rtt });
    }

    fn handle_control(&mut self, key: SessionKey, control: Control, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let retry_after = std::time::Duration::from_millis(control.retry_after_ms.into());
        match control.operation {
            Operation::Busy | Operation::Reject => {
                let given_up = session.flow_mut().and_then(|flow| flow.give_up(control.request));
                if control.operation == Operation::Busy {
                    session.on_choked(retry_after.max(std::time::Duration::from_millis(1)), cx.now);
                }
                if let Some(range) = given_up {
                    cx.download_limit.refund(range.length());
                    self.ask_again(range, None);
                }
            }
            Operation::Choke => {
                session.on_choked(retry_after, cx.now);
                let mut lost = Vec::new();
                if let Some(flow) = session.flow_mut() {
                    flow.give_up_everything(&mut lost);
                }
                lost.into_iter().for_each(|range| self.ask_again(range, None));
                self.release(key);
            }
            Operation::Unchoke => session.on_unchoked(),
            Operation::Gone => self.end_session(key, SessionEnd::Gone, cx),
            Operation::Cancel => cx.counters.unexpected += 1,
        }
    }

    /// A CHUNK of an owner: where its payload belongs, if it is wanted.
    pub(crate) fn handle_chunk(
        &mut self,
        key: SessionKey,
        header: &ChunkHeader,
        length: usize,
        cx: &mut Context<'_>,
    ) -> Option<Place> {
        let session = self.sessions.get_mut(&key)?;
        let arrival =
            session.flow_mut().map_or(Arrival::Stranger, |flow| flow.handle_chunk(header, length, cx.now));
        if arrival == Arrival::Stranger {
            cx.counters.unexpected += 1;
            return None;
        }
        session.on_heard();
        let size = length as u32;
        let place = match &mut self.phase {
            Phase::Describing(Describing::From(from, assembly)) if *from == key => {
                assembly.place(key, header.offset, size).filter(|_| header.piece == PieceIndex::MANIFEST)
            }
            Phase::Fetching(fetch) => fetch.place(key, header.piece, header.offset, size),
            _ => None,
        };
        let is_file = header.piece != PieceIndex::MANIFEST;
        session.on_arrived(header.sequence, if place.is_some() && is_file { size } else { 0 }, cx.now);
        if place.is_none() {
            cx.counters.duplicate_bytes += length as u64;
            return None;
        }
        if is_file {
            cx.counters.received_bytes += length as u64;
            self.meter.count(length as u64, cx.now);
        }
        match &mut self.phase {
            Phase::Fetching(fetch) => fetch.store_if_complete(header.piece, cx),
            Phase::Describing(_) => self.check_manifest_if_complete(cx),
            _ => {}
        }
        place
    }

    fn check_manifest_if_complete(&mut self, cx: &mut Context<'_>) {
        let (Phase::Describing(Describing::From(key, assembly)), Some(content)) = (&self.phase, self.content)
        else {
            return;
        };
        if !assembly.is_complete() {
            return;
        }
        let (key, buffer, length) = (*key, assembly.buffer(), assembly.length());
        cx.out.disk.push(DiskRequest::CheckManifest { download: self.id, buffer, length, content });
        self.phase = Phase::Describing(Describing::Checking(key));
    }

    /// The worker's word on the manifest.
    pub(crate) fn handle_manifest(
        &mut self,
        buffer: BufferId,
        result: Result<Arc<Manifest>, ManifestError>,
        cx: &mut Context<'_>,
    ) {
        cx.buffers.give_back(buffer, cx.out);
        let Phase::Describing(Describing::Checking(key)) = &self.phase else {
            return;
        };
        let key = *key;
        match result {
            Ok(manifest) => self.open(manifest, cx),
            Err(_) => {
                self.phase = Phase::Describing(Describing::NoOwner);
                self.end_session(key, SessionEnd::BadManifest, cx);
            }
        }
    }

    fn open(&mut self, manifest: Arc<Manifest>, cx: &mut Context<'_>) {
        let (Some(content), Some(name)) = (self.content, &self.name) else {
            return;
        };
        self.length = Some(manifest.layout().length());
        let target = match &self.order.destination {
            Destination::Folder(folder) => folder.join(name.as_str()),
            Destination::File(file) => file.clone(),
        };
        let (download, share) = (self.id, self.share);
        cx.out.disk.push(DiskRequest::Open { download, share, target, content, manifest: manifest.clone() });
        self.phase = Phase::Opening(manifest);
    }

    /// The part file is there, or cannot be.
    pub(crate) fn handle_opened(&mut self, result: Result<Opened, DiskError>, cx: &mut Context<'_>) {
        let Phase::Opening(manifest) = &self.phase else {
            return;
        };
        let manifest = manifest.clone();
        match result {
            Err(error) => self.fail(Failure::Disk(error), cx),
            Ok(Opened::AlreadyThere) => {
                let target = self.target();
                self.succeed(target, manifest, true, cx);
            }
            Ok(Opened::Ready { have }) => {
                self.progress_at = cx.now;
                self.phase = Phase::Fetching(Fetch::new(self.id, manifest, &have));
                self.finish_if_complete(cx);
            }
        }
    }

    fn target(&self) -> PathBuf {
        let name = self.name.as_ref().map_or("", Name::as_str);
        match &self.order.destination {
            Destination::Folder(folder) => folder.join(name),
            Destination::File(file) => file.clone(),
        }
    }

    /// A piece is on the disk, or not.
    pub(crate) fn handle_stored(
        &mut self,
        piece: PieceIndex,
        buffer: BufferId,
        result: Result<(), StoreError>,
        cx: &mut Context<'_>,
    ) -> Vec<(NodeId, u64)> {
        cx.buffers.give_back(buffer, cx.out);
        let Phase::Fetching(fetch) = &mut self.phase else {
            return Vec::new();
        };
        match result {
            Ok(()) => {
                let contributions = fetch.on_stored(piece);
                self.progress_at = cx.now;
                let credits = self.credit(&contributions);
                let owners = credits.iter().map(|(owner, _)| *owner).collect();
                cx.out.events.push(Event::PieceVerified { download: self.id, piece, owners });
                self.finish_if_complete(cx);
                credits
            }
            Err(StoreError::Hash) => {
                let contributions = fetch.on_not_stored(piece);
                self.on_bad_piece(piece, &contributions, cx);
                Vec::new()
            }
            Err(StoreError::Disk(error)) => {
                fetch.on_not_stored(piece);
                self.fail(Failure::Disk(error), cx);
                Vec::new()
            }
        }
    }

    fn credit(&mut self, contributions: &[(SessionKey, u32)]) -> Vec<(NodeId, u64)> {
        let mut credits = Vec::new();
        for &(key, bytes) in contributions {
            let Some(&(owner, peer)) = self.senders.get(&key) else {
                continue;
            };
            self.given.entry(owner).or_insert((peer, 0)).1 += u64::from(bytes);
            credits.push((owner, u64::from(bytes)));
        }
        credits
    }

    fn on_bad_piece(&mut self, piece: PieceIndex, contributions: &[(SessionKey, u32)], cx: &mut Context<'_>) {
        cx.counters.bad_pieces += 1;
        let sessions = contributions.iter().filter_map(|(key, _)| self.sessions.get(key));
        let owners = sessions.map(|session| session.owner).collect();
        cx.out.events.push(Event::PieceRejected { download: self.id, piece, owners });
        // With one sender it is clear who sent the bad bytes.
        if let [(key, _)] = contributions
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.bad_pieces += 1;
            if session.bad_pieces >= BAD_PIECES {
                self.end_session(*key, SessionEnd::BadPieces, cx);
            }
        }
    }

    fn finish_if_complete(&mut self, cx: &mut Context<'_>) {
        if !matches!(&self.phase, Phase::Fetching(fetch) if fetch.is_complete()) {
            return;
        }
        if let Phase::Fetching(fetch) = std::mem::replace(&mut self.phase, Phase::Locating) {
            cx.out.disk.push(DiskRequest::Finish { download: self.id });
            self.phase = Phase::Finishing(fetch);
        }
        self.end_all_sessions(SessionEnd::Done, ByeReason::Done, cx);
    }

    /// The file has its name, or not.
    pub(crate) fn handle_finished(&mut self, result: Result<PathBuf, FinishError>, cx: &mut Context<'_>) {
        let Phase::Finishing(fetch) = &self.phase else {
            return;
        };
        let manifest = fetch.manifest.clone();
        match result {
            Ok(path) => self.succeed(path, manifest, false, cx),
            Err(FinishError::Integrity) => self.fail(Failure::Integrity, cx),
            Err(FinishError::Disk(error)) => self.fail(Failure::Disk(error), cx),
        }
    }

    fn succeed(&mut self, path: PathBuf, manifest: Arc<Manifest>, already_there: bool, cx: &mut Context<'_>) {
        self.end_all_sessions(SessionEnd::Done, ByeReason::Done, cx);
        let mut shares: Vec<Share> =
            self.given.iter().map(|(&owner, &(peer, bytes))| Share { owner, peer, bytes }).collect();
        shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
        if let (Some(content), Some(name)) = (self.content, self.name.clone()) {
            let took = cx.now.since(self.began);
            let length = manifest.layout().length();
            let summary = Summary { content, length, took, shares, already_there };
            cx.out.events.push(Event::DownloadDone { download: self.id, path, summary });
            self.completed = Some(Completed { share: self.share, content, name, manifest });
        }
        self.phase = Phase::Over;
    }

    /// A person gives it up, or the node leaves.
    pub(crate) fn cancel(&mut self, leaving: bool, cx: &mut Context<'_>) {
        if self.is_over() {
            return;
        }
        let reason = if leaving { ByeReason::Leaving } else { ByeReason::Cancelled };
        self.end_all_sessions(SessionEnd::Ours, reason, cx);
        self.fail(Failure::Cancelled, cx);
    }

    fn fail(&mut self, why: Failure, cx: &mut Context<'_>) {
        self.end_all_sessions(SessionEnd::Ours, ByeReason::Cancelled, cx);
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        match phase {
            Phase::Fetching(mut fetch) => {
                fetch.abandon().into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
                cx.out.disk.push(DiskRequest::Abandon { download: self.id });
            }
            Phase::Describing(Describing::From(_, assembly)) => {
                cx.buffers.give_back(assembly.buffer(), cx.out)
            }
            Phase::Opening(_) | Phase::Finishing(_) => {
                cx.out.disk.push(DiskRequest::Abandon { download: self.id })
            }
            Phase::Locating | Phase::Describing(_) | Phase::Over => {}
        }
        cx.out.events.push(Event::DownloadFailed { download: self.id, why });
    }

    fn end_all_sessions(&mut self, why: SessionEnd, reason: ByeReason, cx: &mut Context<'_>) {
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            if let Some((peer, theirs)) = self.sessions.get(&key).and_then(Session::address) {
                cx.send(peer, theirs, &Bye { reason });
            }
            self.end_session(key, why, cx);
        }
    }

    /// The session `key` is over: what it was to fetch is anyone's.
    fn end_session(&mut self, key: SessionKey, why: SessionEnd, cx: &mut Context<'_>) {
        self.release(key);
        if let Phase::Describing(Describing::From(from, assembly)) = &self.phase
            && *from == key
        {
            cx.buffers.give_back(assembly.buffer(), cx.out);
            self.phase = Phase::Describing(Describing::NoOwner);
        }
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        cx.routes.close(session.ours);
        if matches!(why, SessionEnd::BadPieces | SessionEnd::BadManifest | SessionEnd::Fault)
            && let Some((peer, theirs)) = session.address()
        {
            cx.send(peer, theirs, &Bye { reason: ByeReason::Fault });
        }
        if why != SessionEnd::Done && why != SessionEnd::Ours {
            self.candidates.on_ended(session.owner, why, cx.now);
            self.look_for_owners_soon(cx.now);
        }
        let (download, owner, peer) = (self.id, session.owner, session.peer);
        cx.out.events.push(Event::OwnerLost { download, owner, peer, why });
    }

    fn release(&mut self, key: SessionKey) {
        if let Phase::Fetching(fetch) = &mut self.phase {
            fetch.release(key);
        }
    }

    fn ask_again(&mut self, range: messages::node_to_node::ByteRange, by: Option<SessionKey>) {
        match &mut self.phase {
            Phase::Fetching(fetch) => fetch.ask_again(range, by),
            Phase::Describing(Describing::From(from, assembly)) => assembly.ask_again(range, Some(*from)),
            _ => {}
        }
    }

    /// For screens.
    pub(crate) fn status(&self, limited: bool, now: Timestamp) -> DownloadStatus {
        let (verified, unstored) = match &self.phase {
            Phase::Fetching(fetch) | Phase::Finishing(fetch) => (fetch.verified(), fetch.unstored()),
            _ => (0, 0),
        };
        let pieces = |key| match &self.phase {
            Phase::Fetching(fetch) => fetch.pieces_of(key),
            _ => 0..0,
        };
        let wanted = match &self.order.wanted {
            Wanted::Content(content) => content.short(),
            Wanted::Name(name, _) => name.to_string(),
        };
        DownloadStatus {
            download: self.id,
            name: self.name.as_ref().map_or(wanted, Name::to_string),
            content: self.content,
            length: self.length,
            verified,
            received: verified + unstored,
            rate: self.meter.rate(now),
            waiting: self.waiting(limited),
            owners: self.sessions.values().map(|session| session.status(pieces(session.key), now)).collect(),
        }
    }

    /// Why it does not go faster.
    fn waiting(&self, limited: bool) -> Waiting {
        let willing = self.sessions.values().any(Session::is_willing);
        match &self.phase {
            Phase::Locating if self.located_at.is_none() => Waiting::Tracker,
            Phase::Locating => Waiting::Unknown,
            Phase::Describing(Describing::NoOwner) => Waiting::Owners,
            Phase::Describing(_) => Waiting::Manifest,
            Phase::Opening(_) => Waiting::Disk,
            Phase::Finishing(_) | Phase::Over => Waiting::Finishing,
            Phase::Fetching(_) if !willing && self.sessions.values().any(|s| s.is_choked()) => {
                Waiting::OwnersBusy
            }
            Phase::Fetching(_) if !willing => Waiting::Owners,
            Phase::Fetching(fetch) if fetch.is_starved() => Waiting::DiskBehind,
            Phase::Fetching(_) if limited => Waiting::Limit,
            Phase::Fetching(fetch) => {
                let wanted =
                    self.sessions.values().any(|s| s.flow().is_some_and(|flow| flow.outstanding() > 0));
                if wanted || fetch.unstored() > 0 { Waiting::Nothing } else { Waiting::MissingPieces }
            }
        }
    }
}

/// How long the manifest of a content of `length` bytes is; `None` for a length that no content has.
fn manifest_length(length: u64) -> Option<u32> {
    Layout::of(length).map(Layout::manifest_length)
}
