//! The owner's side: the contents that are served, the sessions with downloaders, and their turns.
//!
//! README.md beside this file describes the rules by which a node serves.
//!
//! [`Uploads`] routes between the parts. No part knows of it. The parts stand in layers: no file uses one of a layer
//! above its own.
//!
//! ```text
//!   handshake: WELCOME     scheduler: REQUESTs, and bursts in turn     slot_allocation: CHOKE and UNCHOKE
//!   sessions (circuit_breakers, round_robin)        contents        choker        penalties
//!   session (request_queue, replay_window, begun_pieces, piece_updates, hint_state, contribution, ...)
//!   served_content (session_table, have_batch, slots, super_seed)
//!   slot_limits     circuit_breaker (nonce_tally)
//! ```

mod activity;
mod begun_pieces;
mod challenge;
mod choker;
mod chunk_headers;
mod circuit_breaker;
mod circuit_breakers;
mod contents;
mod contribution;
mod handshake;
mod have_batch;
mod hint_state;
mod nonce_tally;
mod peer_seen;
mod penalties;
mod piece_updates;
mod replay_window;
mod request_queue;
mod round_robin;
mod scheduler;
mod served_content;
mod session;
mod session_table;
mod sessions;
mod slot_allocation;
mod slot_limits;
mod slots;
mod super_seed;

use std::net::SocketAddr;
use std::sync::Arc;

use channel::Members;
use messages::node_to_node::{Bye, ByeReason, Control, Have, Hello, Operation, Ping, Pong, Request, Retry};
use messages::{
    ContentId, Conversation, CookieJar, FileMetadata, Host, NodeId, NodeToNode, Outboard, PieceIndex,
    PieceRun, Timestamp,
};

use crate::context::{Context, Reciprocation, Route};
use crate::event::{Event, SessionEnd};
use crate::ids::ShareId;
use crate::local_content::LocalContent;
use crate::output::{Reason, Wait};
use crate::status::UploadStatus;
use contents::Contents;
pub(crate) use peer_seen::PeerSeen;
use penalties::Penalties;
pub(crate) use served_content::ServedContent;
use session::UploadSession;
use sessions::{SessionMut, Sessions};
use slot_allocation::SlotAllocation;

/// A downloader that finds all sessions taken tries again after this many milliseconds.
const CROWDED_RETRY_MS: u16 = 1000;
/// The message that tells a downloader that there is no such session, or no such content.
const GONE: Control = Control { operation: Operation::Gone, retry_after_ms: 0, request: 0 };
/// The reason why the content of a session exists.
const SERVED: &str = "a content that is withdrawn ends its sessions first";
/// The reason why a session exists.
const OPEN: &str = "it was there just now";

/// All that this node serves.
#[derive(Debug)]
pub(crate) struct Uploads {
    cookie_jar: CookieJar,
    contents: Contents,
    sessions: Sessions,
    penalties: Penalties,
    /// The downloaders that have asked for pieces for the first time.
    peers_seen: Vec<PeerSeen>,
    /// The new pieces of which downloaders were told.
    piece_news: Vec<(ContentId, Have)>,
}

impl Uploads {
    /// The uploads of a node that serves nothing yet. `cookie_jar` makes the cookies.
    pub(crate) fn new(cookie_jar: CookieJar) -> Uploads {
        Uploads {
            cookie_jar,
            contents: Contents::default(),
            sessions: Sessions::default(),
            penalties: Penalties::default(),
            peers_seen: Vec::new(),
            piece_news: Vec::new(),
        }
    }

    /// Takes one message about new pieces that downloaders were just sent.
    pub(crate) fn take_piece_news(&mut self) -> Option<(ContentId, Have)> {
        self.piece_news.pop()
    }

    /// Takes one of the downloaders that have asked for pieces for the first time.
    pub(crate) fn take_peer_seen(&mut self) -> Option<PeerSeen> {
        self.peers_seen.pop()
    }

    /// Serves all of `local` from now on. Returns whether it was not served before.
    pub(crate) fn serve(&mut self, local: LocalContent) -> bool {
        self.contents.serve(local)
    }

    /// Serves the pieces in `have` of `local` from now on, and others as they come. Returns whether it was not served
    /// before.
    pub(crate) fn serve_part(&mut self, local: LocalContent, have: &[PieceRun]) -> bool {
        self.contents.serve_part(local, have)
    }

    /// Records that `piece` of the content that is served from `share` is here now. Returns how many of its pieces are
    /// here, if the content is served from there and not complete.
    pub(crate) fn on_piece(&mut self, share: ShareId, piece: PieceIndex, now: Timestamp) -> Option<u32> {
        self.contents.on_piece(share, piece, now)
    }

    /// All contents that are served, with their shares.
    pub(crate) fn all_served(&self) -> impl Iterator<Item = (ShareId, &ServedContent)> {
        self.contents.iter()
    }

    /// The share from which `content` is served.
    pub(crate) fn share_of(&self, content: ContentId) -> Option<ShareId> {
        self.contents.share_of(content)
    }

    /// What describes `content`, if all of it is served.
    pub(crate) fn outboard_of(&self, content: ContentId) -> Option<Arc<Outboard>> {
        let served = self.contents.get(self.contents.share_of(content)?)?;
        served.is_whole().then(|| served.outboard.clone())
    }

    /// Serves `share` no longer, and tells its sessions. Returns what was served.
    pub(crate) fn withdraw(&mut self, share: ShareId, cx: &mut Context<'_>) -> Option<ServedContent> {
        self.end_sessions_of(share, cx);
        self.contents.withdraw(share)
    }

    /// Serves the pieces in `lost` of `share` no longer, and ends its sessions, which then learn what is left. Returns
    /// what is served and how many of its pieces are left; `None`: nothing is served from there.
    pub(crate) fn lose(
        &mut self,
        share: ShareId,
        lost: &[PieceRun],
        cx: &mut Context<'_>,
    ) -> Option<(LocalContent, u32)> {
        self.contents.get(share)?;
        self.end_sessions_of(share, cx);
        let served = self.contents.get_mut(share).expect("it was there just now");
        served.lose(lost);
        let (content, name, outboard) = (served.content, served.name.clone(), served.outboard.clone());
        let file = FileMetadata::default();
        Some((LocalContent { share, content, name, outboard, file }, served.pieces()))
    }

    /// What is served from `share`.
    pub(crate) fn content_of(&self, share: ShareId) -> Option<ContentId> {
        self.contents.get(share).map(|served| served.content)
    }

    /// The share from which `content` is served, when that has lost pieces.
    pub(crate) fn share_with_losses(&self, content: ContentId) -> Option<ShareId> {
        let share = self.contents.share_of(content)?;
        self.contents.get(share).is_some_and(ServedContent::has_losses).then_some(share)
    }

    fn end_sessions_of(&mut self, share: ShareId, cx: &mut Context<'_>) {
        let of_share = self.sessions.iter().filter(|(_, session)| session.share == share);
        for ours in of_share.map(|(ours, _)| ours).collect::<Vec<_>>() {
            self.sessions[ours].send(&GONE, cx);
            self.end_session(ours, SessionEnd::Ours, cx);
        }
    }

    /// Ends the sessions of who is not among `members`, so that their slots are free at once. They are told nothing.
    pub(crate) fn let_go(&mut self, members: &Members, cx: &mut Context<'_>) {
        let strangers = self.sessions.iter().filter(|(_, session)| !members.contains(session.node));
        for ours in strangers.map(|(ours, _)| ours).collect::<Vec<_>>() {
            self.end_session(ours, SessionEnd::Ours, cx);
        }
    }

    /// Tells all sessions that the node leaves. No new sessions are opened.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>) {
        self.contents.close();
        for ours in self.sessions.iter().map(|(ours, _)| ours).collect::<Vec<_>>() {
            self.sessions[ours].send(&Bye { reason: ByeReason::Leaving }, cx);
            self.end_session(ours, SessionEnd::Ours, cx);
        }
    }

    /// Records which sessions have given nothing of `content` until now, as `reciprocation` tells. This node has all of
    /// the content, so that nothing more will be given.
    pub(crate) fn record_contributions(
        &mut self,
        content: ContentId,
        reciprocation: impl Fn(NodeId) -> Reciprocation,
    ) {
        let of_content = self.sessions.iter().filter(|(_, session)| session.content == content);
        for ours in of_content.map(|(ours, _)| ours).collect::<Vec<_>>() {
            let mut session = self.sessions.get_mut(ours).expect(OPEN);
            let gave_nothing = reciprocation(session.node).is_snubbed;
            session.contribution.set_gave_nothing(gave_nothing);
        }
    }

    /// Handles HELLO. Its conversation is the number that the downloader has chosen.
    pub(crate) fn handle_hello(&mut self, from: SocketAddr, hello: &Hello, cx: &mut Context<'_>) {
        let known = self.sessions.find(from, hello.conversation);
        let is_anothers = |ours| self.sessions.get(ours).is_some_and(|session| session.node != hello.node);
        if !cx.may_be_from(hello.node) || cx.sender.is_some() && known.is_some_and(is_anothers) {
            // Nobody speaks in the name of another.
            cx.counters.unexpected += 1;
            return;
        }
        if cx.sender.is_none() && !self.cookie_jar.accepts(hello.cookie, from, cx.now) {
            cx.counters.unproven += 1;
            let cookie = self.cookie_jar.bake(from, cx.now);
            let retry = Retry { nonce: hello.nonce, echoed_at: hello.sent_at, cookie };
            cx.send(from, hello.conversation, &retry);
            return;
        }
        let Some(share) = self.contents.share_of(hello.content) else {
            cx.send(from, hello.conversation, &GONE);
            return;
        };
        let Some(ours) = known.or_else(|| self.open_session(from, hello, share, cx)) else {
            let busy = Control { operation: Operation::Busy, retry_after_ms: CROWDED_RETRY_MS, request: 0 };
            cx.send(from, hello.conversation, &busy);
            return;
        };
        let mut session = self.sessions.get_mut(ours).expect(OPEN);
        let served = self.contents.get_mut(session.share).expect(SERVED);
        handshake::welcome(ours, &mut session, served, hello, cx);
    }

    fn open_session(
        &mut self,
        from: SocketAddr,
        hello: &Hello,
        share: ShareId,
        cx: &mut Context<'_>,
    ) -> Option<Conversation> {
        let host = Host::of(from);
        let served =
            self.contents.get_mut(share).expect("a content is found by its number while it is served");
        for ours in handshake::decide_admission(host, &mut self.sessions, served, cx)? {
            self.sessions[ours].send(&Bye { reason: ByeReason::Done }, cx);
            self.end_session(ours, SessionEnd::Silent, cx);
        }
        let ours = cx.open_route(from, Route::Upload);
        let session = UploadSession::new(from, share, hello, cx.now);
        self.sessions.open(ours, session, cx.now + cx.settings.network.session_idle, cx.now);
        self.contents.get_mut(share).expect(SERVED).on_session_opened(ours, host, cx.now);
        let (content, peer, node) = (hello.content, from, hello.node);
        cx.tell_of_the_clear(peer);
        cx.out.events.push(Event::UploadStarted { content, peer, node });
        Some(ours)
    }

    /// Handles a message in the session `ours`, other than HELLO.
    pub(crate) fn handle_message(
        &mut self,
        from: SocketAddr,
        ours: Conversation,
        message: &NodeToNode,
        cx: &mut Context<'_>,
    ) {
        let is_its = |session: &SessionMut<'_>| session.peer == from && cx.may_be_from(session.node);
        let Some(mut session) = self.sessions.get_mut(ours).filter(is_its) else {
            Uploads::reject_unexpected(from, ours, message, cx);
            return;
        };
        session.activity.on_heard(cx.now);
        match message {
            NodeToNode::Request(request) => {
                drop(session);
                self.handle_request(ours, request, cx);
            }
            NodeToNode::Probe(probe) => {
                session.requests.push_probe(probe, handshake::max_datagram(from, cx));
            }
            NodeToNode::Control(control) if control.operation == Operation::Cancel => {
                session.requests.cancel(control.request);
            }
            NodeToNode::Ping(ping) => {
                session.send(&Pong { nonce: ping.nonce }, cx);
                // A downloader that sends PING may have nothing to ask for because it has missed which pieces there
                // are.
                let served = &self.contents[session.share];
                session.want_piece_updates(served, cx.now);
            }
            NodeToNode::Pong(pong) => {
                let (session, breaker) = session.parts();
                session.on_pong(pong.nonce, breaker, cx.now);
            }
            NodeToNode::Bye(bye) => {
                drop(session);
                let why = if bye.reason == ByeReason::Done { SessionEnd::Done } else { SessionEnd::PeerLeft };
                self.end_session(ours, why, cx);
            }
            NodeToNode::Have(have) => {
                drop(session);
                self.handle_have(ours, &have.runs, cx.now);
            }
            _ => cx.counters.unexpected += 1,
        }
    }

    fn handle_request(&mut self, ours: Conversation, request: &Request, cx: &mut Context<'_>) {
        let mut session = self.sessions.get_mut(ours).expect(OPEN);
        let served = self.contents.get_mut(session.share).expect(SERVED);
        if request.ping_echo != 0 {
            let (session, breaker) = session.parts();
            session.on_pong(request.ping_echo, breaker, cx.now);
        }
        let asks_for_piece = request.ranges.iter().any(|range| range.piece() != PieceIndex::OUTBOARD);
        if asks_for_piece && session.activity.on_asked(cx.now) {
            let (content, node, peer) = (session.content, session.node, session.peer);
            self.peers_seen.push(PeerSeen { content, node, peer });
        }
        scheduler::handle_request(ours, &mut session, served, request, cx);
    }

    /// Handles HAVE: the downloader of the session `ours` has the pieces in `runs`. The session that was first given
    /// such a piece has passed it on.
    fn handle_have(&mut self, ours: Conversation, runs: &[PieceRun], now: Timestamp) {
        let session = &self.sessions[ours];
        let (share, host) = (session.share, session.host());
        let served = self.contents.get_mut(share).expect(SERVED);
        if !served.is_whole() {
            return;
        }
        let piece_size = u64::from(served.outboard.layout().piece_size());
        for (from, pieces) in served.super_seed.on_have(runs, (ours, host)) {
            // The session that passed the piece on may have ended, because it has all pieces.
            if let Some(mut session) = self.sessions.get_mut(from) {
                session.on_passed_on(piece_size * u64::from(pieces), now);
            }
        }
    }

    /// Rejects a message that belongs to no session of this node. A node that sends REQUEST or a short PING is told,
    /// under the number that it used, that there is no session: this node may have been restarted since, or the
    /// downloader's address has changed on the way. The answer is no longer than the message.
    pub(crate) fn reject_unexpected(
        from: SocketAddr,
        conversation: Conversation,
        message: &NodeToNode,
        cx: &mut Context<'_>,
    ) {
        cx.counters.unexpected += 1;
        let asks = match message {
            NodeToNode::Request(_) => true,
            // A longer PING comes from an owner, among CHUNKs that nobody wants any more.
            NodeToNode::Ping(ping) => ping.size == Ping::MIN_SIZE,
            _ => false,
        };
        if asks {
            cx.send(from, conversation, &GONE);
        }
    }

    /// Serves the sessions in turn, and ends those that nobody uses. `reciprocation` tells what a node gives to this
    /// one.
    pub(crate) fn poll(
        &mut self,
        reciprocation: &dyn Fn(ContentId, NodeId) -> Reciprocation,
        cx: &mut Context<'_>,
    ) -> Wait {
        self.end_idle_sessions(cx);
        let idle = Wait { until: self.sessions.next_due(), reason: Reason::IdleTimeout };
        let contents = self.poll_contents(reciprocation, cx);
        scheduler::send_bursts(&mut self.sessions, &mut self.contents, cx).earlier(contents).earlier(idle)
    }

    fn end_idle_sessions(&mut self, cx: &mut Context<'_>) {
        while let Some(ours) = self.sessions.first_due(cx.now) {
            let mut session = self.sessions.get_mut(ours).expect("only open sessions have deadlines");
            // The deadline does not move with each message: a session is looked at only when it could end.
            let ends_at = session.activity.heard_at() + cx.settings.network.session_idle;
            if ends_at <= cx.now {
                session.send(&Bye { reason: ByeReason::Done }, cx);
                drop(session);
                self.end_session(ours, SessionEnd::Silent, cx);
            } else {
                let served = &self.contents[session.share];
                session.begin_piece_updates(served, cx.now);
                session.set_deadline(ends_at);
            }
        }
    }

    /// Announces the new pieces and allocates the slots of every content for which that is due.
    fn poll_contents(
        &mut self,
        reciprocation: &dyn Fn(ContentId, NodeId) -> Reciprocation,
        cx: &mut Context<'_>,
    ) -> Wait {
        for share in self.contents.ready(cx.now) {
            let served = self.contents.get_mut(share).expect("only what is served has a turn");
            for have in served.poll_news(cx.now) {
                let sessions = self.sessions.iter().filter(|(_, session)| session.share == share);
                sessions.for_each(|(_, session)| session.send(&have, cx));
                self.piece_news.push((served.content, have));
            }
            let (sessions, penalties) = (&mut self.sessions, &mut self.penalties);
            SlotAllocation { served, sessions, penalties, reciprocation, cx }.run();
            self.contents.settle(share, cx.now);
        }
        self.contents.next_due()
    }

    fn end_session(&mut self, ours: Conversation, why: SessionEnd, cx: &mut Context<'_>) {
        let session = self.sessions.close(ours);
        cx.routes.close(ours);
        self.contents.get_mut(session.share).expect(SERVED).on_session_ended(ours, why);
        let (content, node, peer, bytes) = (session.content, session.node, session.peer, session.sent());
        cx.out.events.push(Event::UploadEnded { content, peer, node, bytes, why });
    }

    /// The status of all sessions, for screens.
    pub(crate) fn uploads(&self, now: Timestamp) -> Vec<UploadStatus> {
        let status = |(ours, session): (Conversation, &UploadSession)| {
            let served = &self.contents[session.share];
            session.status(served.slots.standing(ours), served.outboard.layout().length(), now)
        };
        self.sessions.iter().map(status).collect()
    }
}

#[cfg(test)]
mod tests;
