//! How a download handles the messages of owners, and how a session with an owner ends.

use std::net::SocketAddr;
use std::time::Duration;

use channel::Members;
use messages::node_to_node::{Bye, ByeReason, ByteRange, Control, Operation, Welcome};
use messages::{ChunkHeader, Conversation, NodeToNode, PieceIndex};

use super::Download;
use super::assembly::Assembly;
use super::head_start::HeadStart;
use super::session::{Rejection, Session};
use crate::context::Context;
use crate::event::{Event, SessionEnd};
use crate::ids::SessionKey;
use crate::output::Placement;
use crate::transport::Arrival;

/// For a pause of at most this long, the session keeps its claims.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// The reason why the session of a message exists.
const ACCEPTED: &str = "the node hands over what a session says that is_from has found";

impl Download {
    /// Handles a message of an owner, other than CHUNK.
    pub(crate) fn handle_message(&mut self, key: SessionKey, message: &NodeToNode, cx: &mut Context<'_>) {
        let sessions = &mut self.peers.sessions;
        self.peers.reachability.on_heard();
        match message {
            NodeToNode::Bitfield(bitfield) => {
                let news = sessions.get_mut(key).expect(ACCEPTED).handle_bitfield(&bitfield.bits);
                self.learn(key, &news);
            }
            NodeToNode::Have(have) => {
                let news = sessions.get_mut(key).expect(ACCEPTED).handle_have(&have.runs);
                self.learn(key, &news);
            }
            NodeToNode::Hint(hint) => {
                sessions.get_mut(key).expect(ACCEPTED).handle_hint(&hint.runs);
                if let Some(pieces) = self.lifecycle.pieces_mut() {
                    pieces.on_hint();
                }
            }
            NodeToNode::Ping(ping) => sessions.get_mut(key).expect(ACCEPTED).handle_ping(ping.nonce, cx),
            NodeToNode::Retry(retry) => {
                let session = sessions.get_mut_for_all(key).expect(ACCEPTED);
                if !session.handle_retry(retry.nonce, retry.cookie, cx) {
                    cx.counters.unexpected += 1;
                }
            }
            NodeToNode::Probed(probed) => {
                sessions.get_mut_for_all(key).expect(ACCEPTED).handle_probed(*probed, cx);
            }
            NodeToNode::Pong(_) => {
                let session = sessions.get_mut_for_all(key).expect(ACCEPTED);
                session.on_pong();
                if session.is_snubbed() {
                    // The owner receives messages, and again does not answer requests: its state of the session may be
                    // damaged.
                    self.end_session(key, SessionEnd::Forgotten, cx);
                }
            }
            NodeToNode::Welcome(welcome) => self.handle_welcome(key, welcome, cx),
            NodeToNode::Control(control) => self.handle_control(key, *control, cx),
            NodeToNode::Bye(_) => self.end_session(key, SessionEnd::PeerLeft, cx),
            NodeToNode::Hello(_) | NodeToNode::Request(_) | NodeToNode::Probe(_) => {
                sessions.mark_all();
                cx.counters.unexpected += 1;
            }
        }
    }

    /// Counts `pieces` as available, which the owner of `key` has announced. Nothing else changes.
    fn learn(&mut self, key: SessionKey, pieces: &[PieceIndex]) {
        let counts = self.peers.sessions.get(key).is_some_and(|session| !session.is_suspect());
        if counts && let Some(known) = self.lifecycle.pieces_mut() {
            known.learn(pieces);
        }
    }

    fn handle_welcome(&mut self, key: SessionKey, welcome: &Welcome, cx: &mut Context<'_>) {
        let session = self.peers.sessions.get_mut_for_all(key).expect(ACCEPTED);
        // The node that the tracker named is not at this address any more. Blame and credit must not fall on another
        // node.
        let is_another_node = welcome.node != session.owner();
        // Once the outboard is known, another length means another content or a damaged datagram.
        let pieces = self.lifecycle.pieces();
        let is_another_content =
            pieces.is_some_and(|pieces| pieces.outboard.layout().length() != welcome.length);
        if is_another_node || is_another_content {
            self.end_session(key, SessionEnd::Fault, cx);
            return;
        }
        if session.handle_no_gso_welcome(welcome) {
            return;
        }
        if !session.handle_welcome(welcome, cx) {
            cx.counters.unexpected += 1;
            return;
        }
        if welcome.length == 0 && self.lifecycle.wants_owners() {
            // An empty content is known by its id, and is not fetched.
            self.end_session(key, SessionEnd::BadOutboard, cx);
            return;
        }
        let (owner, peer, rtt) = (session.owner(), session.peer(), session.rtt().unwrap_or_default());
        if session.has_everything() {
            self.contributors.on_told(owner, welcome.file);
        }
        self.peers.rotation.on_welcome();
        self.peers.reachability.on_answered();
        self.recount();
        self.contributors.learn(key, owner, peer, &self.peers.sessions);
        cx.tell_of_the_clear(peer);
        cx.out.events.push(Event::OwnerReady { download: self.order.download, owner, peer, rtt });
    }

    fn handle_control(&mut self, key: SessionKey, control: Control, cx: &mut Context<'_>) {
        let session = self.peers.sessions.get_mut_for_all(key).expect(ACCEPTED);
        session.on_answer();
        match control.operation {
            Operation::Busy if session.is_handshaking() => self.end_session(key, SessionEnd::Crowded, cx),
            Operation::Busy => self.handle_busy(key, control, cx),
            Operation::Reject => self.handle_reject(key, control, cx),
            Operation::Choke => self.handle_choke(key, control, cx),
            Operation::Unchoke => session.on_unchoked(),
            Operation::Gone => self.end_session(key, SessionEnd::Gone, cx),
            Operation::Cancel => cx.counters.unexpected += 1,
        }
    }

    /// Handles BUSY: the owner serves others and does not answer a request.
    fn handle_busy(&mut self, key: SessionKey, control: Control, cx: &mut Context<'_>) {
        let Some(range) = self.give_up_request(key, control.request, cx) else { return };
        let retry_after = Duration::from_millis(control.retry_after_ms.into());
        let session = self.peers.sessions.get_mut_for_all(key).expect(ACCEPTED);
        session.on_choked(retry_after.max(Duration::from_millis(1)), false, cx.now);
        self.ask_again(range, key, None);
        if retry_after > SHORT_PAUSE {
            self.pause(key, cx);
        }
    }

    /// Handles REJECT: the owner does not have what it is asked for.
    fn handle_reject(&mut self, key: SessionKey, control: Control, cx: &mut Context<'_>) {
        let Some(range) = self.give_up_request(key, control.request, cx) else { return };
        let session = self.peers.sessions.get_mut_for_all(key).expect(ACCEPTED);
        let rejection = session.on_rejected(range.piece(), cx.now);
        let on_parole = session.on_parole;
        self.ask_again(range, key, None);
        self.recount();
        // Other owners fetch the rest of that piece. For an owner on parole, its outstanding requests are given up too,
        // because their bytes would not be accepted from it any more.
        if on_parole {
            self.give_up_requests(key, cx);
        }
        self.release(key);
        if rejection == Rejection::Fault {
            self.end_session(key, SessionEnd::Fault, cx);
        } else if Duration::from_millis(control.retry_after_ms.into()) > SHORT_PAUSE {
            self.pause(key, cx);
        }
    }

    /// Handles CHOKE: the owner serves others, and still sends the rest of the pieces that this node has begun to fetch
    /// from it.
    fn handle_choke(&mut self, key: SessionKey, control: Control, cx: &mut Context<'_>) {
        let session = self.peers.sessions.get_mut_for_all(key).expect(ACCEPTED);
        session.on_choked(Duration::from_millis(control.retry_after_ms.into()), true, cx.now);
        let refused = session.flow_mut().and_then(|flow| flow.take_back(control.request));
        if let Some((_, missing)) = refused {
            cx.download_limit.refund(missing);
        }
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            let buffer = refused.and_then(|(range, _)| pieces.on_choked(range, key));
            buffer.into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
            pieces.release_stretches(key);
        } else if let Some((range, _)) = refused {
            self.ask_again(range, key, None);
            self.drop_outboard_source(key, cx);
        }
    }

    /// Gives up `request`, which the owner of `key` does not answer. Returns its range, if the request is known.
    fn give_up_request(&mut self, key: SessionKey, request: u32, cx: &mut Context<'_>) -> Option<ByteRange> {
        let Some((range, missing)) = self.peers.sessions.give_up(key, request) else {
            cx.counters.unexpected += 1;
            return None;
        };
        cx.download_limit.refund(missing);
        Some(range)
    }

    /// Frees what the session `key` was to fetch, for other sessions, until its owner serves again.
    fn pause(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        self.give_up_requests(key, cx);
        self.release(key);
        self.drop_outboard_source(key, cx);
    }

    /// Gives up the outstanding requests of the session `key`. Any session may ask for their bytes.
    pub(super) fn give_up_requests(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        let lost = self.peers.sessions.give_up_requests(key);
        cx.download_limit.refund(lost.iter().map(|range| range.length()).sum());
        lost.into_iter().for_each(|range| self.ask_again(range, key, None));
    }

    /// Stops waiting for the outboard from `key`, so that another owner can be asked.
    pub(super) fn drop_outboard_source(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        if let Some(assembly) = self.lifecycle.sources_mut().and_then(|sources| sources.leave(key)) {
            cx.buffers.give_back(assembly.buffer(), cx.out);
            if self.lifecycle.head_start_mut().is_some_and(|head_start| head_start.is_from(key)) {
                self.drop_head_start(cx);
            }
        }
    }

    /// Throws away the piece that was begun before the outboard was proven.
    pub(super) fn drop_head_start(&mut self, cx: &mut Context<'_>) {
        if let Some(assembly) = self.lifecycle.head_start_mut().and_then(HeadStart::take) {
            self.discard(&assembly, cx);
        }
    }

    /// Throws away what has come of a begun piece, and counts it as of no use.
    pub(super) fn discard(&mut self, assembly: &Assembly, cx: &mut Context<'_>) {
        self.peers.withdraw_requests(|piece| piece == assembly.piece(), cx);
        cx.buffers.give_back(assembly.buffer(), cx.out);
        cx.counters.duplicate_bytes += u64::from(assembly.arrived());
        self.accounting.duplicate_bytes += u64::from(assembly.arrived());
    }

    /// Handles the header of a CHUNK from the owner of `key`. Returns where its payload belongs, if that is wanted.
    pub(crate) fn handle_chunk(
        &mut self,
        key: SessionKey,
        header: &ChunkHeader,
        length: usize,
        cx: &mut Context<'_>,
    ) -> Option<Placement> {
        let size = length as u32;
        let (arrival, gives_again) = self.peers.sessions.handle_chunk(key, header, length, cx.now);
        if arrival == Arrival::Unexpected {
            cx.counters.unexpected += 1;
            return None;
        }
        if arrival == (Arrival::Asked { late: true }) {
            // Its bytes were given back to the limit when they were taken for lost.
            cx.download_limit.spend(size, cx.now);
        }
        let session = self.peers.sessions.in_turn(key).expect(ACCEPTED);
        let place = self.lifecycle.place(session, header, size);
        let is_file = header.piece != PieceIndex::OUTBOARD;
        session.on_arrived(header.sequence, if place.is_some() && is_file { size } else { 0 }, cx.now);
        if gives_again {
            let owner = session.owner();
            self.peers.on_gives_again(owner);
            self.recount();
        }
        if place.is_none() {
            cx.counters.duplicate_bytes += length as u64;
            self.accounting.duplicate_bytes += length as u64;
            return None;
        }
        if is_file {
            cx.counters.received_bytes += length as u64;
            self.meter.count(length as u64, cx.now);
        }
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            let again = pieces.is_asked_again(header.piece);
            if pieces.store_if_complete(header.piece, cx) && again {
                self.peers.withdraw_requests(|piece| piece == header.piece, cx);
            }
        }
        self.check_outboard_if_complete(cx);
        place
    }

    /// Handles the word of the node at `peer` that it does not know its conversation `remote`. Returns whether that
    /// concerns this download.
    pub(crate) fn handle_forgotten(
        &mut self,
        peer: SocketAddr,
        remote: Conversation,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.peers.on_short_answer(peer, remote) {
            return true;
        }
        let is_its = |session: &&Session| session.is_with(peer, remote) && cx.may_be_from(session.owner());
        let session = self.peers.sessions.iter().find(is_its);
        let Some(key) = session.map(Session::key) else {
            return false;
        };
        self.end_session(key, SessionEnd::Forgotten, cx);
        true
    }

    pub(super) fn end_all_sessions(&mut self, why: SessionEnd, reason: ByeReason, cx: &mut Context<'_>) {
        for key in self.peers.sessions.keys_of(|_| true) {
            if let Some((peer, remote)) = self.peers.sessions.get(key).and_then(Session::address) {
                cx.send(peer, remote, &Bye { reason });
            }
            self.end_session(key, why, cx);
        }
    }

    /// Ends the sessions with owners that are not among `members`: others are asked for what they were to send.
    pub(crate) fn let_go(&mut self, members: &Members, cx: &mut Context<'_>) {
        for key in self.peers.sessions.keys_of(|session| !members.contains(session.owner())) {
            self.end_session(key, SessionEnd::NoAnswer, cx);
        }
    }

    /// Ends the session `key`. Any other session may fetch what it was to fetch.
    pub(super) fn end_session(&mut self, key: SessionKey, why: SessionEnd, cx: &mut Context<'_>) {
        self.release(key);
        self.drop_outboard_source(key, cx);
        self.give_up_requests(key, cx);
        let session = self.peers.sessions.remove(key).expect("whoever ends a session has just found it");
        self.accounting.note_rtt(session.owner(), session.rtt());
        self.recount();
        cx.routes.close(session.local_conversation());
        let said = match why {
            SessionEnd::BadPieces | SessionEnd::BadOutboard | SessionEnd::Fault => Some(ByeReason::Fault),
            // The owner may still have requests of this session in its queue; it is told to drop them.
            SessionEnd::Forgotten | SessionEnd::Slow => Some(ByeReason::Cancelled),
            _ => None,
        };
        if let (Some(reason), Some((peer, remote))) = (said, session.address()) {
            cx.send(peer, remote, &Bye { reason });
        }
        if why != SessionEnd::Done && why != SessionEnd::Ours {
            self.peers.on_lost(&session, why, cx.now);
        }
        let (download, owner, peer) = (self.order.download, session.owner(), session.peer());
        cx.out.events.push(Event::OwnerLost { download, owner, peer, why });
    }

    /// Has the availability of the pieces counted anew.
    pub(super) fn recount(&mut self) {
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            pieces.recount();
        }
    }

    /// Frees the claims of the session `key`, which asks for nothing any more.
    pub(super) fn release(&mut self, key: SessionKey) {
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            pieces.release(key);
        } else if let Some(head_start) = self.lifecycle.head_start_mut() {
            head_start.release(key);
        }
    }

    /// Marks `range`, which did not arrive from the session `of`, as to be asked for again by the session `by`, or by
    /// any session.
    pub(super) fn ask_again(&mut self, range: ByteRange, of: SessionKey, by: Option<SessionKey>) {
        // A session whose owner has refused the piece meanwhile is not asked for it again.
        let sessions = &self.peers.sessions;
        let able = |key: &SessionKey| sessions.get(*key).is_some_and(|s| s.has(range.piece()));
        let by = by.filter(able);
        if let Some(pieces) = self.lifecycle.pieces_mut() {
            pieces.ask_again(range, by);
        } else if self.lifecycle.head_start_mut().is_some_and(|early| early.ask_again(range, of, by)) {
            // It was a part of the piece that is fetched with the outboard.
        } else if let Some(sources) = self.lifecycle.sources_mut() {
            sources.ask_again(range, of);
        }
    }
}
