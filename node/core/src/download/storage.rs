//! The disk's answers to a download: about the outboard, the part file, each piece and the finished file.

use std::path::PathBuf;
use std::sync::Arc;

use messages::node_to_node::{Bye, ByeReason};
use messages::{FileMetadata, NodeId, Outboard, OutboardError, PieceIndex};

use super::Download;
use super::assembly::Assembly;
use super::head_start::HeadStart;
use super::lifecycle::{Ending, Identified, PartialReady, Stage};
use super::piece_verdicts::Suspects;
use super::pieces::{Extended, Pieces};
use super::session::Session;
use crate::context::Context;
use crate::disk::{DiskError, DiskErrorKind, DiskRequest, Evidence, FinishedTarget, Opened, StoreError};
use crate::event::{Event, Failure, SessionEnd, Summary};
use crate::fetch_plan::FetchPlan;
use crate::ids::{BufferId, SessionKey};
use crate::local_content::LocalContent;

/// The reason why a request to the disk has a content: the disk is asked only once the content is known.
pub(super) const IDENTIFIED: &str = "a stage has a content";

/// How a download has succeeded.
#[derive(Clone, Copy, Debug)]
struct Success {
    /// Whether the target had exactly this content before.
    already_there: bool,
    /// Whether all of the content is at the target, and not only what was wanted of it.
    is_whole: bool,
    /// What is told of the file, if the content is one file.
    file: FileMetadata,
}

impl Download {
    /// Has a worker check the outboard, or the only piece, once an owner has sent all of it.
    pub(super) fn check_outboard_if_complete(&mut self, cx: &mut Context<'_>) {
        let Some(sources) = self.lifecycle.sources_mut() else { return };
        let Some((from, sent)) = sources.take_complete() else { return };
        let (buffer, length) = (sent.buffer(), sent.length());
        let others = std::mem::take(sources).into_assemblies().map(|assembly| assembly.buffer());
        others.for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
        let early = self.lifecycle.head_start_mut();
        let is_early = |piece| early.as_ref().is_some_and(|head_start| head_start.has_begun(piece));
        self.peers.withdraw_requests(|piece| !is_early(piece), cx);
        let (download, content) =
            (self.order.download, self.lifecycle.identified().expect(IDENTIFIED).content);
        let evidence = match sent.piece() {
            PieceIndex::OUTBOARD => Evidence::Outboard,
            _ => Evidence::Piece,
        };
        cx.out.disk.push(DiskRequest::CheckOutboard { download, buffer, length, content, evidence });
        self.lifecycle.check_outboard(from, sent);
    }

    /// Handles the worker's answer about the outboard, or about the only piece.
    pub(crate) fn handle_outboard(
        &mut self,
        buffer: BufferId,
        result: Result<Arc<Outboard>, OutboardError>,
        cx: &mut Context<'_>,
    ) {
        let Some((from, sent)) = self.lifecycle.take_checked() else {
            // The download has ended meanwhile.
            cx.buffers.give_back(buffer, cx.out);
            return;
        };
        let is_piece = sent.piece() != PieceIndex::OUTBOARD;
        match result {
            Ok(outboard) if is_piece => self.open(outboard, Some(sent), false, cx),
            Ok(outboard) => {
                cx.buffers.give_back(buffer, cx.out);
                self.open(outboard, None, false, cx);
            }
            Err(_) => {
                cx.buffers.give_back(buffer, cx.out);
                self.drop_head_start(cx);
                let parts = [(from, sent.length())];
                // Bits of a piece may flip on the way, which the owner is forgiven once. That the piece is wrong, and
                // as long as nobody but its owner says, is a lie.
                let is_as_long =
                    u64::from(sent.length()) == self.lifecycle.identified().expect(IDENTIFIED).length;
                if is_piece && is_as_long {
                    self.on_bad_piece(sent.piece(), &parts, Suspects::Senders, cx);
                    return;
                }
                if is_piece {
                    self.reject_piece(sent.piece(), &parts, cx);
                }
                self.on_bad_outboard(from, cx);
            }
        }
    }

    fn on_bad_outboard(&mut self, from: SessionKey, cx: &mut Context<'_>) {
        if self.peers.sessions.get(from).is_some() {
            self.end_session(from, SessionEnd::BadOutboard, cx);
        } else if let Some(owner) = self.contributors.owner_of(from) {
            // The owner has left already, but is banned all the same.
            self.peers.candidates.on_ended(owner, SessionEnd::BadOutboard, cx.now);
        }
    }

    /// Has the part file made, since the outboard is known. `piece`: the only piece, when it has arrived already.
    pub(super) fn open(
        &mut self,
        outboard: Arc<Outboard>,
        piece: Option<Assembly>,
        is_served_here: bool,
        cx: &mut Context<'_>,
    ) {
        let layout = outboard.layout();
        let length = layout.length();
        if self.lifecycle.head_start_mut().is_some_and(|early| early.contradicts(layout)) {
            self.drop_head_start(cx);
        }
        self.ask_open(outboard.clone(), cx);
        self.lifecycle.open(outboard, piece, is_served_here);
        // The length is proven now: who names another one lies about all of the content.
        let lies = |session: &Session| !session.is_handshaking() && session.claimed_length() != length;
        for key in self.peers.sessions.keys_of(lies) {
            self.end_session(key, SessionEnd::BadOutboard, cx);
        }
    }

    fn ask_open(&self, outboard: Arc<Outboard>, cx: &mut Context<'_>) {
        let content = self.lifecycle.identified().expect(IDENTIFIED).content;
        let (download, share, target) = (self.order.download, self.order.share, self.target());
        if !self.keeps_content() {
            cx.out.disk.push(DiskRequest::OpenIndex { download, outboard });
            return;
        }
        let (existing, select) = (self.order.request.existing, self.order.request.select.clone());
        let save = self.order.request.save;
        cx.out.disk.push(DiskRequest::Open {
            download,
            share,
            target,
            existing,
            select,
            save,
            content,
            outboard,
        });
    }

    /// Handles the disk's answer about the part file. Returns the content that can be served from now on, as far as it
    /// is here.
    pub(crate) fn handle_opened(
        &mut self,
        result: Result<Opened, DiskError>,
        cx: &mut Context<'_>,
    ) -> Option<PartialReady> {
        // The download may have ended meanwhile.
        let Some(&Stage::Opening { ref outboard, is_served_here, .. }) = self.lifecycle.stage() else {
            return None;
        };
        let outboard = outboard.clone();
        if let Err(error) = &result
            && self.disk_space.wait_if_full(error, cx.now)
        {
            return None;
        }
        self.disk_space.on_room();
        match result {
            Err(error) => self.fail(Failure::Disk(error), cx),
            Ok(Opened::AlreadyThere) => {
                let piece = self.lifecycle.take_opened_piece();
                piece.into_iter().for_each(|piece| cx.buffers.give_back(piece.buffer(), cx.out));
                self.drop_head_start(cx);
                let target = self.target();
                self.succeed(
                    target,
                    outboard,
                    Success { already_there: true, is_whole: true, file: FileMetadata::default() },
                    cx,
                );
            }
            Ok(Opened::Ready { .. }) if is_served_here && self.peers.candidates.is_empty() => {
                self.fail(Failure::OnlyHere, cx);
            }
            Ok(Opened::Ready { plan, hashed_again }) => {
                self.progress.on_step(cx.now);
                self.peers.need.on_begun(cx.now);
                let have = plan.have.clone();
                let is_sequential = self.order.request.sequential;
                let mut pieces = Pieces::new(self.order.download, outboard.clone(), plan, is_sequential);
                if let Some(piece) = self.lifecycle.take_opened_piece() {
                    pieces.store_only_piece(piece, cx);
                }
                self.hand_over_head_start(&mut pieces, cx);
                let (download, have_bytes) = (self.order.download, pieces.verified());
                if have_bytes > 0 || hashed_again.is_some() {
                    cx.out.events.push(Event::DownloadResumed { download, have_bytes, hashed_again });
                }
                self.lifecycle.fetch(pieces);
                self.finish_if_complete(cx);
                if !self.keeps_content() {
                    return None;
                }
                let Identified { content, name, .. } = self.lifecycle.identified().expect(IDENTIFIED).clone();
                let file = FileMetadata::default();
                let content = LocalContent { share: self.order.share, content, name, outboard, file };
                return Some(PartialReady { content, have });
            }
        }
        None
    }

    /// Handles whether the target and the part file of the download are not there, so that nothing is fetched again which
    /// is here.
    pub(crate) fn handle_target_seen(&mut self, has_nothing: bool) {
        if let Some(head_start) = self.lifecycle.head_start_mut() {
            head_start.on_target_seen(has_nothing);
            self.peers.sessions.mark_all();
        }
    }

    /// Gives the piece that was begun with the outboard to `pieces`, which goes on with it, unless it is not wanted.
    fn hand_over_head_start(&mut self, pieces: &mut Pieces, cx: &mut Context<'_>) {
        let Some(assembly) = self.lifecycle.head_start_mut().and_then(HeadStart::take) else { return };
        let piece = assembly.piece();
        if !pieces.lacks(piece) {
            return self.discard(&assembly, cx);
        }
        if pieces.may_know_of(piece) {
            // What was asked for may be known, or will be when the disk has seen the first bytes.
            self.peers.withdraw_requests(|one| one == piece, cx);
        }
        pieces.go_on_with(assembly, cx);
    }

    /// Handles that more is wanted, or is here. Returns the pieces that are here now and were not before.
    pub(crate) fn handle_planned(&mut self, plan: FetchPlan, cx: &mut Context<'_>) -> Vec<PieceIndex> {
        // The download may have ended meanwhile.
        let Some(pieces) = self.lifecycle.pieces_mut() else { return Vec::new() };
        let Extended { here, buffers } = pieces.extend(plan);
        if !buffers.is_empty() {
            self.peers.withdraw_requests(|piece| here.binary_search(&piece).is_ok(), cx);
        }
        buffers.into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
        self.progress.on_step(cx.now);
        here
    }

    /// Handles that the disk has read the first bytes of a piece. Returns the pieces that are here now and were not
    /// before.
    pub(crate) fn handle_previewed(
        &mut self,
        buffer: BufferId,
        plan: Option<FetchPlan>,
        cx: &mut Context<'_>,
    ) -> Vec<PieceIndex> {
        if self.lifecycle.pieces().is_none() {
            // The download ended meanwhile.
            cx.buffers.give_back(buffer, cx.out);
            return Vec::new();
        }
        let next = plan.as_ref().and_then(|plan| plan.preview);
        let here = plan.map_or(Vec::new(), |plan| self.handle_planned(plan, cx));
        let pieces = self.lifecycle.pieces_mut().expect("a plan ends no download");
        pieces.resume_previewed(next, cx);
        here
    }

    /// Repeats the requests that a full disk has refused, when that is due.
    pub(super) fn retry_full_disk(&mut self, cx: &mut Context<'_>) {
        if !self.disk_space.take_retry(cx.now) {
            return;
        }
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            pieces.retry_refused(cx);
        } else if let Some(Stage::Opening { outboard, .. }) = self.lifecycle.stage() {
            self.ask_open(outboard.clone(), cx);
        }
    }

    /// Handles the disk's answer about a piece. Returns how many bytes are credited to which node.
    pub(crate) fn handle_stored(
        &mut self,
        piece: PieceIndex,
        buffer: BufferId,
        result: Result<(), StoreError>,
        cx: &mut Context<'_>,
    ) -> Vec<(NodeId, u64)> {
        let Some(pieces) = self.lifecycle.pieces_mut() else {
            // The download ended meanwhile.
            cx.buffers.give_back(buffer, cx.out);
            return Vec::new();
        };
        if let Err(StoreError::Disk(error)) = &result
            && matches!(error.kind, DiskErrorKind::Full { .. })
        {
            pieces.on_refused(piece);
            self.disk_space.wait_if_full(error, cx.now);
            return Vec::new();
        }
        cx.buffers.give_back(buffer, cx.out);
        match result {
            Ok(()) => {
                let sent = pieces.on_stored(piece);
                // A piece that was handed over before the disk was full says nothing about the pieces that it has
                // refused since.
                if !pieces.is_refused() {
                    self.disk_space.on_room();
                }
                self.on_good_piece(piece, &sent, cx)
            }
            Err(StoreError::Hash) => {
                let sent = pieces.on_not_stored(piece);
                self.on_bad_piece(piece, &sent, Suspects::Senders, cx);
                Vec::new()
            }
            Err(StoreError::KnownBytes) => {
                pieces.forget_known(piece);
                let sent = pieces.on_not_stored(piece);
                self.on_bad_piece(piece, &sent, Suspects::SendersAndDisk, cx);
                Vec::new()
            }
            Err(StoreError::Disk(error)) => {
                pieces.on_not_stored(piece);
                self.fail(Failure::Disk(error), cx);
                Vec::new()
            }
        }
    }

    /// Has the file renamed, if every piece is stored. Nothing more is wanted of the owners, and other nodes may have
    /// this node's slots. The owners hear that the download is done only when the file has its name, because the disk
    /// may still fail.
    pub(super) fn finish_if_complete(&mut self, cx: &mut Context<'_>) {
        if !self.lifecycle.finish_if_complete() {
            return;
        }
        let keeps_metadata = !self.order.request.save.without_metadata;
        let file = keeps_metadata.then(|| self.contributors.file());
        cx.out.disk.push(DiskRequest::Finish { download: self.order.download, file });
        for key in self.peers.sessions.keys_of(Session::is_handshaking) {
            self.end_session(key, SessionEnd::Done, cx);
        }
        self.peers.withdraw_requests(|_| true, cx);
        self.peers.sessions.all_in_turn().for_each(|session| session.release_slot(cx));
    }

    /// Handles the disk's answer about the finished file.
    pub(crate) fn handle_finished(
        &mut self,
        result: Result<FinishedTarget, DiskError>,
        cx: &mut Context<'_>,
    ) {
        // The download may have ended meanwhile.
        let Some(Stage::Finishing(pieces)) = self.lifecycle.stage() else { return };
        let outboard = pieces.outboard.clone();
        match result {
            Ok(FinishedTarget { path, file, renamed, is_whole }) => {
                if !renamed.is_empty() {
                    let download = self.order.download;
                    cx.out.events.push(Event::DownloadRenamed { download, renamed });
                }
                self.succeed(path, outboard, Success { already_there: false, is_whole, file }, cx);
            }
            Err(error) => self.fail(Failure::Disk(error), cx),
        }
    }

    fn succeed(&mut self, path: PathBuf, outboard: Arc<Outboard>, success: Success, cx: &mut Context<'_>) {
        // Nobody answers a BYE, so it is sent twice.
        for (peer, remote) in self.peers.sessions.iter().filter_map(Session::address) {
            cx.send(peer, remote, &Bye { reason: ByeReason::Done });
        }
        self.end_all_sessions(SessionEnd::Done, ByeReason::Done, cx);
        self.account(true, cx);
        let shares = self.contributors.totals();
        let fetched = shares.iter().map(|share| share.bytes).sum();
        let length = outboard.layout().length();
        let wanted = match self.lifecycle.stored_pieces() {
            Some(pieces) if !success.is_whole => pieces.wanted_bytes(),
            _ => length,
        };
        let here_before = wanted.saturating_sub(fetched);
        let summary = Summary {
            content: self.lifecycle.identified().expect(IDENTIFIED).content,
            length,
            took: cx.now.since(self.order.began),
            shares,
            here_before,
            already_there: success.already_there,
        };
        cx.out.events.push(Event::DownloadDone { download: self.order.download, path, summary });
        let completed = Ending::Completed(outboard, success.file);
        self.lifecycle.end(if success.is_whole { completed } else { Ending::Selected });
    }
}
