//! What owners say to a download, and the end of a session with one.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_node::{Bye, ByeReason, ByteRange, Control, Operation, Welcome};
use messages::{ChunkHeader, Conversation, NodeToNode, PieceIndex};

use super::session::{Rejection, Session};
use super::{Describing, Download, Phase, REMEMBERED_SENDERS};
use crate::context::Context;
use crate::event::{Event, SessionEnd};
use crate::ids::SessionKey;
use crate::output::Placement;
use crate::transport::Arrival;

/// For a pause that is no longer, what the owner was to give stays its own.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

impl Download {
    /// A message of an owner, other than CHUNK.
    pub(crate) fn handle_message(&mut self, key: SessionKey, message: &NodeToNode, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        self.reachability.on_heard();
        match message {
            NodeToNode::Have(_) | NodeToNode::Bitfield(_) | NodeToNode::Hint(_) | NodeToNode::Ping(_) => {
                self.ready_set.mark(key)
            }
            _ => self.ready_set.mark_all(),
        }
        match message {
            NodeToNode::Retry(retry) => {
                if !session.handle_retry(retry.nonce, retry.cookie, cx) {
                    cx.counters.unexpected += 1;
                }
            }
            NodeToNode::Welcome(welcome) => self.handle_welcome(key, welcome, cx),
            NodeToNode::Bitfield(bitfield) => {
                let news = session.handle_bitfield(&bitfield.bits);
                self.learn(key, &news);
            }
            NodeToNode::Have(have) => {
                let news = session.handle_have(&have.runs);
                self.learn(key, &news);
            }
            NodeToNode::Control(control) => {
                session.on_answer();
                self.handle_control(key, *control, cx);
            }
            NodeToNode::Ping(ping) => session.handle_ping(ping.nonce, cx),
            NodeToNode::Bye(_) => self.end_session(key, SessionEnd::PeerLeft, cx),
            NodeToNode::Pong(_) => {
                session.on_pong();
                if session.is_snubbed() {
                    // It hears, and does not answer what it is asked, again: its picture of the session may be damaged.
                    self.end_session(key, SessionEnd::Forgotten, cx);
                }
            }
            NodeToNode::Probed(probed) => session.handle_probed(*probed, cx),
            NodeToNode::Hint(hint) => {
                session.handle_hint(&hint.runs);
                if let Phase::Fetching(fetch) = &mut self.phase {
                    fetch.availability.on_hint();
                }
            }
            NodeToNode::Hello(_) | NodeToNode::Request(_) | NodeToNode::Probe(_) => {
                cx.counters.unexpected += 1;
            }
        }
    }

    /// The owner of `key` has `pieces` too, as it says: they are counted, and nothing else is.
    fn learn(&mut self, key: SessionKey, pieces: &[u32]) {
        let counts = self.sessions.get(&key).is_some_and(|session| !session.is_suspect());
        if let Phase::Fetching(fetch) = &mut self.phase
            && counts
        {
            fetch.availability.learn(pieces);
        }
    }

    pub(super) fn handle_welcome(&mut self, key: SessionKey, welcome: &Welcome, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if welcome.node != session.owner() {
            // Whom the tracker named is not here any more; blame and credit must not fall on another.
            self.end_session(key, SessionEnd::Fault, cx);
            return;
        }
        if matches!(&self.phase, Phase::Fetching(fetch) if fetch.manifest.layout().length() != welcome.length)
        {
            // The manifest is known: a content of another length is another one, or the datagram was damaged.
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
        self.rotation.on_welcome();
        self.answered = true;
        self.recount();
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let rtt = session.flow().and_then(|flow| flow.smoothed_rtt()).unwrap_or_default();
        let (download, owner, peer) = (self.id, session.owner(), session.peer());
        if self.senders.len() >= REMEMBERED_SENDERS {
            // Whoever is still there is credited, and blamed, to the end.
            let ended = self.senders.keys().find(|key| !self.sessions.contains_key(key)).copied();
            ended.and_then(|key| self.senders.remove(&key));
        }
        self.senders.insert(key, (owner, peer));
        cx.out.events.push(Event::OwnerReady { download, owner, peer, rtt });
    }

    pub(super) fn handle_control(&mut self, key: SessionKey, control: Control, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let retry_after = Duration::from_millis(control.retry_after_ms.into());
        if control.operation == Operation::Busy && session.is_handshaking() {
            self.end_session(key, SessionEnd::Crowded, cx);
            return;
        }
        match control.operation {
            Operation::Busy | Operation::Reject => {
                let Some((range, missing)) =
                    session.flow_mut().and_then(|flow| flow.give_up(control.request))
                else {
                    cx.counters.unexpected += 1;
                    return;
                };
                self.ready_set.note_local(key, session.local_outstanding());
                cx.download_limit.refund(missing);
                let rejected = control.operation == Operation::Reject;
                let ends = rejected && session.on_rejected(range.piece(), cx.now) == Rejection::Fault;
                if !rejected {
                    session.on_choked(retry_after.max(Duration::from_millis(1)), false, cx.now);
                }
                self.ask_again(range, key, None);
                if rejected {
                    self.recount();
                    // What it was to give of that piece is for others; on parole, what is under way of it too: it will not
                    // be taken from there any more.
                    if self.sessions.get(&key).is_some_and(|session| session.on_parole) {
                        self.give_up_requests(key, cx);
                    }
                    self.release(key);
                }
                if ends {
                    self.end_session(key, SessionEnd::Fault, cx);
                } else if retry_after > SHORT_PAUSE {
                    self.pause(key, cx);
                }
            }
            Operation::Choke => {
                session.on_choked(retry_after, true, cx.now);
                let refused = session.flow_mut().and_then(|flow| flow.take_back(control.request));
                if let Phase::Fetching(fetch) = &mut self.phase {
                    if let Some((range, missing)) = refused {
                        cx.download_limit.refund(missing);
                        let buffer = fetch.on_choked(range, key);
                        buffer.into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
                    }
                    fetch.release_stretches(key);
                } else if let Some((range, missing)) = refused {
                    cx.download_limit.refund(missing);
                    self.ask_again(range, key, None);
                    self.drop_manifest_source(key, cx);
                }
            }
            Operation::Unchoke => session.on_unchoked(),
            Operation::Gone => self.end_session(key, SessionEnd::Gone, cx),
            Operation::Cancel => cx.counters.unexpected += 1,
        }
    }

    /// Others are to fetch what `key` was to fetch, until it serves again.
    fn pause(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        self.give_up_requests(key, cx);
        self.release(key);
        self.drop_manifest_source(key, cx);
    }

    /// What was asked of `key` and has not arrived is anyone's to ask for.
    pub(super) fn give_up_requests(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        let mut lost = Vec::new();
        if let Some(flow) = self.sessions.get_mut(&key).and_then(Session::flow_mut) {
            flow.give_up_everything(&mut lost);
            self.ready_set.note_local(key, 0);
        }
        cx.download_limit.refund(lost.iter().map(|range| range.length()).sum());
        lost.into_iter().for_each(|range| self.ask_again(range, key, None));
    }

    /// A CHUNK of an owner: where its payload belongs, if it is wanted.
    pub(crate) fn handle_chunk(
        &mut self,
        key: SessionKey,
        header: &ChunkHeader,
        length: usize,
        cx: &mut Context<'_>,
    ) -> Option<Placement> {
        let session = self.sessions.get_mut(&key)?;
        self.ready_set.mark(key);
        let arrival =
            session.flow_mut().map_or(Arrival::Unexpected, |flow| flow.handle_chunk(header, length, cx.now));
        if arrival == Arrival::Unexpected {
            cx.counters.unexpected += 1;
            return None;
        }
        let mut counts_again = false;
        if arrival != Arrival::Duplicate {
            counts_again = session.is_suspect();
            session.on_chunk();
        }
        self.ready_set.note_local(key, session.local_outstanding());
        let size = length as u32;
        if arrival == (Arrival::Asked { late: true }) {
            // It was given back to the limit when it was taken for lost.
            cx.download_limit.spend(size);
        }
        let place = match &mut self.phase {
            Phase::Describing(Describing::From(sources)) if header.piece == PieceIndex::MANIFEST => {
                sources.of(key).and_then(|assembly| assembly.place(key, header.offset, size))
            }
            Phase::Fetching(fetch) => fetch.place(session, header.piece, header.offset, size),
            _ => None,
        };
        let is_file = header.piece != PieceIndex::MANIFEST;
        session.on_arrived(header.sequence, if place.is_some() && is_file { size } else { 0 }, cx.now);
        if counts_again {
            let owner = session.owner();
            self.candidates.note_gives_nothing(owner, false);
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
        match &mut self.phase {
            Phase::Fetching(fetch) => {
                let again = fetch.is_asked_again(header.piece);
                if fetch.store_if_complete(header.piece, cx) {
                    self.ready_set.mark_all();
                    if again {
                        self.withdraw_requests(|piece| piece == header.piece, cx);
                    }
                }
            }
            Phase::Describing(_) => {
                self.ready_set.mark_all();
                self.check_manifest_if_complete(cx);
            }
            _ => {}
        }
        place
    }

    /// The owner at `peer` does not know a session under its number `theirs`. Whether it is one of this download.
    pub(crate) fn handle_forgotten(
        &mut self,
        peer: SocketAddr,
        theirs: Conversation,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.candidates.peers().any(|asked| asked == peer) && self.short_path.on_gone(peer, theirs) {
            self.ready_set.mark_all();
            return true;
        }
        let session = self.sessions.values().find(|session| session.is_with(peer, theirs));
        let Some(key) = session.map(|session| session.key()) else {
            return false;
        };
        self.ready_set.mark_all();
        self.end_session(key, SessionEnd::Forgotten, cx);
        true
    }

    /// Owners that do not answer where they were, and are elsewhere now, are tried there.
    pub(super) fn end_moved_sessions(&mut self, cx: &mut Context<'_>) {
        let moved = |session: &&Session| {
            !session.is_unchoked() && self.candidates.has_moved(session.owner(), session.peer())
        };
        let moved: Vec<SessionKey> =
            self.sessions.values().filter(moved).map(|session| session.key()).collect();
        moved.into_iter().for_each(|key| self.end_session(key, SessionEnd::Forgotten, cx));
    }

    pub(super) fn end_all_sessions(&mut self, why: SessionEnd, reason: ByeReason, cx: &mut Context<'_>) {
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            if let Some((peer, theirs)) = self.sessions.get(&key).and_then(Session::address) {
                cx.send(peer, theirs, &Bye { reason });
            }
            self.end_session(key, why, cx);
        }
    }

    /// The session `key` is over: what it was to fetch is anyone's.
    pub(super) fn end_session(&mut self, key: SessionKey, why: SessionEnd, cx: &mut Context<'_>) {
        self.release(key);
        self.drop_manifest_source(key, cx);
        self.give_up_requests(key, cx);
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        self.accounting.note_rtt(session.owner(), session.rtt());
        self.ready_set.forget(key);
        self.recount();
        cx.routes.close(session.local_conversation());
        let said = match why {
            SessionEnd::BadPieces | SessionEnd::BadManifest | SessionEnd::Fault => Some(ByeReason::Fault),
            // What it may still keep in line for this session is in vain.
            SessionEnd::Forgotten | SessionEnd::Slow => Some(ByeReason::Cancelled),
            _ => None,
        };
        if let (Some(reason), Some((peer, theirs))) = (said, session.address()) {
            cx.send(peer, theirs, &Bye { reason });
        }
        if why != SessionEnd::Done && why != SessionEnd::Ours {
            self.candidates.on_ended(session.owner(), why, cx.now);
            self.need.ask_soon(cx.now);
        }
        let (download, owner, peer) = (self.id, session.owner(), session.peer());
        cx.out.events.push(Event::OwnerLost { download, owner, peer, why });
    }

    /// Who has which piece is counted anew.
    pub(super) fn recount(&mut self) {
        self.ready_set.mark_all();
        if let Phase::Fetching(fetch) = &mut self.phase {
            fetch.availability.mark_stale();
        }
    }

    pub(super) fn release(&mut self, key: SessionKey) {
        self.ready_set.mark_all();
        if let Phase::Fetching(fetch) = &mut self.phase {
            fetch.release(key);
        }
    }

    /// `range` did not arrive from `of`: it is to be asked for again, by `by` or by whoever comes first.
    pub(super) fn ask_again(&mut self, range: ByteRange, of: SessionKey, by: Option<SessionKey>) {
        match &mut self.phase {
            Phase::Fetching(fetch) => {
                // Who has refused the piece meanwhile is not asked for it again.
                let able = |key: &SessionKey| self.sessions.get(key).is_some_and(|s| s.has(range.piece().0));
                fetch.ask_again(range, by.filter(able));
            }
            Phase::Describing(Describing::From(sources)) => {
                if let Some(assembly) = sources.of(of) {
                    assembly.ask_again(range, Some(of));
                }
            }
            _ => {}
        }
    }
}
