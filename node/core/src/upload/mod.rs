//! The owner's side: contents that are served, sessions that are served, and whose turn it is.
//!
//! The owner keeps about a kilobyte a session and nothing to send again: whoever misses something asks for it again.
//! It answers each requested range with one burst, and gives no more than it got to an address that has not proven
//! itself with a cookie.
//!
//! ```text
//!   HELLO, no or wrong cookie ──▶ RETRY (nothing kept)        HELLO, right cookie ──▶ WELCOME (a session)
//!   REQUEST ──▶ queued in its session ──its turn──▶ one burst a range
//! ```
//!
//! `served` is a content and which pieces of it are here, `places` and `choking` say who is served when more want to be than there are
//! places, `spreading` what of it the swarm has from here, `greeting` and `session` are one downloader, `seats` says who makes room,
//! `telling` which pieces are here, `answering` and `turns` say whose turn it is, `challenge` whether a downloader listens and how much of what is sent
//! to it arrives, `backstop` how fast it is sent to it at most.

mod challenge;
mod choker;
mod circuit_breaker;
mod circuit_breakers;
mod handshake;
mod penalties;
mod piece_updates;
mod round_robin;
mod scheduler;
mod served_content;
mod session;
mod session_table;
mod slot_allocation;
mod slots;
mod super_seed;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use messages::limits::MAX_DATAGRAM;
use messages::node_to_node::{Bye, ByeReason, Control, Have, Operation, Ping};
use messages::{
    ContentId, Conversation, CookieJar, Host, Manifest, NodeId, NodeToNode, PieceIndex, Timestamp,
};

use crate::context::{Context, Gives};
use crate::event::{Event, SessionEnd};
use crate::ids::ShareId;
use crate::local_content::LocalContent;
use crate::output::{Reason, Wait};
use crate::status::UploadStatus;
use circuit_breakers::CircuitBreakers;
use penalties::Penalties;
use round_robin::RoundRobin;
pub(crate) use served_content::ServedContent;
use session::UploadSession;
use session_table::SessionTable;

/// All that this node serves.
#[derive(Debug)]
pub(crate) struct Uploads {
    jar: CookieJar,
    shares: BTreeMap<ShareId, ServedContent>,
    by_content: BTreeMap<ContentId, ShareId>,
    sessions: BTreeMap<Conversation, UploadSession>,
    /// Our number for each session, by the downloader's address and number.
    by_peer: BTreeMap<(SocketAddr, Conversation), Conversation>,
    seats: SessionTable,
    slowed: Penalties,
    backstops: CircuitBreakers,
    /// Sessions with something queued, in the order of their turns.
    turns: RoundRobin,
    /// When each session should be looked at.
    deadlines: BTreeSet<(Timestamp, Conversation)>,
    /// Contents of which there is news, or for which somebody waits.
    busy: BTreeSet<ShareId>,
    /// Who has asked for pieces for the first time.
    met: Vec<PeerSeen>,
    /// What downloaders were told is here now.
    news: Vec<(ContentId, Have)>,
}

/// Another downloader of a content. It serves what it has of it: it has the manifest, or it would not ask for pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSeen {
    pub(crate) content: ContentId,
    pub(crate) node: NodeId,
    pub(crate) peer: SocketAddr,
}

impl Uploads {
    /// Nothing is served yet; `jar` makes the cookies.
    pub(crate) fn new(jar: CookieJar) -> Uploads {
        Uploads {
            jar,
            shares: BTreeMap::new(),
            by_content: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            seats: SessionTable::default(),
            slowed: Penalties::default(),
            backstops: CircuitBreakers::default(),
            turns: RoundRobin::default(),
            deadlines: BTreeSet::new(),
            busy: BTreeSet::new(),
            met: Vec::new(),
            news: Vec::new(),
        }
    }

    /// What downloaders were just told is here now, once.
    pub(crate) fn take_news(&mut self) -> Option<(ContentId, Have)> {
        self.news.pop()
    }

    /// One of those who have asked for pieces for the first time, once.
    pub(crate) fn take_met(&mut self) -> Option<PeerSeen> {
        self.met.pop()
    }

    /// All of `local` is served from now on. Whether it was not served before.
    pub(crate) fn serve(&mut self, local: LocalContent) -> bool {
        let LocalContent { share, content, name, manifest } = local;
        match self.by_content.get(&content) {
            None => {
                self.by_content.insert(content, share);
                self.shares.insert(share, ServedContent::whole(content, name, manifest));
                true
            }
            // It was served while it was fetched.
            Some(&of) if of == share => {
                let served = self.shares.get_mut(&share).filter(|served| !served.is_whole());
                served.map(ServedContent::complete).is_some()
            }
            Some(_) => false,
        }
    }

    /// The pieces in `have` of `local` are served from now on, and others as they come. Whether it was not served before.
    pub(crate) fn serve_part(&mut self, local: LocalContent, have: &[Range<u32>]) -> bool {
        let LocalContent { share, content, name, manifest } = local;
        if self.by_content.contains_key(&content) {
            return false;
        }
        self.by_content.insert(content, share);
        self.shares.insert(share, ServedContent::part(content, name, manifest, have));
        true
    }

    /// `piece` of what is served from `share` is here now. How many pieces are, if it is served from there and not all are.
    pub(crate) fn on_piece(&mut self, share: ShareId, piece: PieceIndex, now: Timestamp) -> Option<u32> {
        let served = self.shares.get_mut(&share).filter(|served| !served.is_whole())?;
        served.add(piece, now);
        self.busy.insert(share);
        Some(served.pieces())
    }

    /// Everything that is served.
    pub(crate) fn all_served(&self) -> impl Iterator<Item = (ShareId, &ServedContent)> {
        self.shares.iter().map(|(&share, served)| (share, served))
    }

    /// Under which number `content` is served.
    pub(crate) fn share_of(&self, content: ContentId) -> Option<ShareId> {
        self.by_content.get(&content).copied()
    }

    /// What describes `content`, if all of it is served.
    pub(crate) fn manifest_of(&self, content: ContentId) -> Option<Arc<Manifest>> {
        let share = self.by_content.get(&content)?;
        self.shares.get(share).filter(|served| served.is_whole()).map(|served| served.manifest.clone())
    }

    /// `share` is not served any more: its sessions are told. What was served.
    pub(crate) fn withdraw(&mut self, share: ShareId, cx: &mut Context<'_>) -> Option<ServedContent> {
        let served = self.shares.remove(&share)?;
        self.by_content.remove(&served.content);
        self.busy.remove(&share);
        let ended: Vec<Conversation> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.share == share)
            .map(|(&ours, _)| ours)
            .collect();
        for ours in ended {
            if let Some(session) = self.sessions.get(&ours) {
                let gone = Control { operation: Operation::Gone, retry_after_ms: 0, request: 0 };
                cx.send(session.peer, session.theirs, &gone);
            }
            self.end(ours, SessionEnd::Ours, cx);
        }
        Some(served)
    }

    /// The node leaves: sessions are told, and no new ones are opened.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>) {
        self.by_content.clear();
        for ours in self.sessions.keys().copied().collect::<Vec<_>>() {
            if let Some(session) = self.sessions.get(&ours) {
                cx.send(session.peer, session.theirs, &Bye { reason: ByeReason::Leaving });
            }
            self.end(ours, SessionEnd::Ours, cx);
        }
    }

    /// A message in a session of ours, other than HELLO.
    pub(crate) fn handle_message(
        &mut self,
        from: SocketAddr,
        ours: Conversation,
        message: &NodeToNode,
        cx: &mut Context<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(&ours).filter(|session| session.peer == from) else {
            Uploads::refuse_stranger(from, ours, message, cx);
            return;
        };
        session.on_heard(cx.now);
        match message {
            NodeToNode::Request(request) => self.handle_request(ours, request, cx),
            NodeToNode::Probe(probe) => {
                session.queue_probe(probe, longest_datagram(cx.settings));
                if session.wants_turn() {
                    self.turns.push(ours, Host::of(session.peer));
                }
            }
            NodeToNode::Control(control) if control.operation == Operation::Cancel => {
                session.cancel(control.request)
            }
            NodeToNode::Ping(ping) => {
                let pong = messages::node_to_node::Pong { nonce: ping.nonce };
                cx.send(session.peer, session.theirs, &pong);
                // Who has nothing to ask for may have missed what there is.
                self.tell_pieces(ours, cx.now);
            }
            NodeToNode::Pong(pong) => {
                let backstop = self.backstops.of(Host::of(from), cx.now);
                session.on_pong(pong.nonce, backstop, cx.now);
            }
            NodeToNode::Bye(bye) => {
                let why = if bye.reason == ByeReason::Done { SessionEnd::Done } else { SessionEnd::PeerLeft };
                self.end(ours, why, cx);
            }
            NodeToNode::Have(have) => self.on_have(ours, &have.runs, cx.now),
            _ => cx.counters.unexpected += 1,
        }
    }

    /// A message in no session of ours. Who asks for something, or whether anybody is there, learns that there is no session, by the number that
    /// it used: the node may have been restarted since, or the downloader got another address on the way. No bytes above the request's.
    pub(crate) fn refuse_stranger(
        from: SocketAddr,
        conversation: Conversation,
        message: &NodeToNode,
        cx: &mut Context<'_>,
    ) {
        cx.counters.unexpected += 1;
        let asks = match message {
            NodeToNode::Request(_) => true,
            // A longer one is an owner's, among CHUNKs that nobody wants any more.
            NodeToNode::Ping(ping) => ping.size == Ping::SHORTEST,
            _ => false,
        };
        if asks {
            let gone = Control { operation: Operation::Gone, retry_after_ms: 0, request: 0 };
            cx.send(from, conversation, &gone);
        }
    }

    /// Serves the sessions in turn, and ends those that nobody uses. `gives` tells what a node gives to this one.
    pub(crate) fn poll(&mut self, gives: &dyn Fn(ContentId, NodeId) -> Gives, cx: &mut Context<'_>) -> Wait {
        self.end_idle_sessions(cx);
        let next = self.deadlines.first().map_or(Timestamp::NEVER, |&(until, _)| until);
        let tended = self.tend(gives, cx);
        self.send_bursts(cx).earlier(tended).earlier(Wait { until: next, reason: Reason::IdleTimeout })
    }

    fn end_idle_sessions(&mut self, cx: &mut Context<'_>) {
        while let Some(&(due, ours)) = self.deadlines.first().filter(|(due, _)| *due <= cx.now) {
            self.deadlines.remove(&(due, ours));
            let Some(session) = self.sessions.get_mut(&ours) else {
                continue;
            };
            // Looked at no more often than it may end: hearing from a session moves nothing in the table.
            let ends = session.heard_at() + cx.settings.network.session_idle;
            if ends <= cx.now {
                cx.send(session.peer, session.theirs, &Bye { reason: ByeReason::Done });
                self.end(ours, SessionEnd::Silent, cx);
            } else {
                self.begin_telling(ours, cx.now);
                self.look_again(ours, ends);
            }
        }
    }

    /// The session `ours`, which is not in the table of deadlines, is looked at when it may end or has to be told something.
    fn look_again(&mut self, ours: Conversation, ends: Timestamp) {
        if let Some(session) = self.sessions.get_mut(&ours) {
            session.looked_at = ends.min(session.telling.due());
            self.deadlines.insert((session.looked_at, ours));
        }
    }

    pub(super) fn end(&mut self, ours: Conversation, why: SessionEnd, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.remove(&ours) else {
            return;
        };
        cx.routes.close(ours);
        self.turns.remove(ours);
        self.leave_place(session.share, ours);
        if let Some(served) = self.shares.get_mut(&session.share) {
            served.seats.close(ours);
            if why != SessionEnd::Done {
                served.spreading.on_left(ours);
            }
        }
        self.by_peer.remove(&(session.peer, session.theirs));
        self.deadlines.remove(&(session.looked_at, ours));
        self.seats.close(ours);
        self.backstops.close(Host::of(session.peer));
        let (content, node, peer, bytes) = (session.content, session.node, session.peer, session.sent());
        cx.out.events.push(Event::ServingEnded { content, peer, node, bytes, why });
    }

    /// For screens.
    pub(crate) fn uploads(&self, now: Timestamp) -> Vec<UploadStatus> {
        let status = |(&ours, session): (&Conversation, &UploadSession)| {
            let served = self.shares.get(&session.share)?;
            Some(session.status(served.places.standing(ours), served.manifest.layout().length(), now))
        };
        self.sessions.iter().filter_map(status).collect()
    }
}

/// No longer datagram is sent.
fn longest_datagram(settings: &config::NodeSettings) -> u16 {
    match settings.network.segment_size {
        0 => MAX_DATAGRAM as u16,
        longest => longest,
    }
}
