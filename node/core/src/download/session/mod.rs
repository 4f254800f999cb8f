//! A downloader's session with one owner: from HELLO to the end.
//!
//! ```text
//!   Handshake ──WELCOME──▶ Unchoked ◀──UNCHOKE / time── Choked ◀──CHOKE (finishes what is begun), BUSY (does not)
//!      │  ▲ RETRY            │  ▲ CHUNK; PONG, once
//!      ╰──╯                  ▼  │ nothing that was asked for max(2 s, 4 timeouts)
//!   five tries: over       Snubbed ── 10 s more, or PONG again: over
//! ```
//!
//! An owner that answers and gives nothing loses its slot after a time, and then its session (`snub.rs`).

mod contact;
mod established;
mod feedback;
mod handshake;
mod inventory;
mod mtu_probe;
mod no_gso;
mod requests;
mod status;
mod timers;

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_node::{Pong, Welcome};
use messages::{Bits, ContentId, Conversation, Layout, NodeId, PieceIndex, PieceRun, Timestamp};
use rand::RngExt as _;

use super::hints::Hints;
use super::initial_path::is_local;
use super::snub::PeerLiveness;
use super::speed_trial::SpeedTrial;
use crate::context::{Context, Route};
use crate::ids::{DownloadId, SessionKey};
use crate::meter::Meter;
use crate::transport::Flow;
use contact::Contact;
use established::{Established, Standing};
use feedback::Feedback;
use handshake::Handshake;
use inventory::Inventory;
pub(crate) use inventory::Rejection;

/// A choked downloader asks again after this long, when the owner named no time.
const CHOKED_FOR: Duration = Duration::from_secs(10);

/// How far a session is.
#[derive(Debug)]
enum SessionState {
    /// HELLO is under way.
    Handshake(Handshake),
    /// The owner has answered.
    Established(Box<Established>),
}

/// One owner of one content, as one download sees it.
#[derive(Debug)]
pub(crate) struct Session {
    contact: Contact,
    state: SessionState,
    inventory: Inventory,
    feedback: Feedback,
    liveness: PeerLiveness,
    pub(super) speed_trial: SpeedTrial,
    meter: Meter,
    /// The piece that the owner was asked for last.
    pub(crate) last_piece: Option<PieceIndex>,
    /// Whether the owner was told that this node asks for nothing, since it asked last.
    has_released_slot: bool,
    /// How often the owner was asked for the manifest.
    pub(crate) manifest_tries: u32,
    /// When anything was sent to the owner last.
    sent_at_last: Timestamp,
    /// Whether the owner gives one whole piece at a time: a piece in which it had a part did not verify.
    pub(crate) on_parole: bool,
}

impl Session {
    /// A session with the owner `owner` at `peer`: its first HELLO is due at once.
    pub(crate) fn new(
        key: SessionKey,
        download: DownloadId,
        content: ContentId,
        owner: NodeId,
        peer: SocketAddr,
        cx: &mut Context<'_>,
    ) -> Session {
        let local = cx.routes.open(Route::Download(download, key), cx.rng);
        let handshake = Handshake::new(cx.rng.random(), cx.now);
        Session {
            contact: Contact { key, download, content, owner, peer, local },
            state: SessionState::Handshake(handshake),
            inventory: Inventory::new(),
            feedback: Feedback::default(),
            liveness: PeerLiveness::default(),
            speed_trial: SpeedTrial::default(),
            meter: Meter::new(cx.now),
            last_piece: None,
            has_released_slot: true,
            manifest_tries: 0,
            sent_at_last: cx.now,
            on_parole: false,
        }
    }

    /// The number of the session in its download.
    pub(crate) fn key(&self) -> SessionKey {
        self.contact.key
    }

    /// The node that owns the content.
    pub(crate) fn owner(&self) -> NodeId {
        self.contact.owner
    }

    /// Where the owner is.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.contact.peer
    }

    /// The number that this node has chosen for the session.
    pub(crate) fn local_conversation(&self) -> Conversation {
        self.contact.local
    }

    fn established(&self) -> Option<&Established> {
        match &self.state {
            SessionState::Handshake(_) => None,
            SessionState::Established(established) => Some(established),
        }
    }

    fn established_mut(&mut self) -> Option<&mut Established> {
        match &mut self.state {
            SessionState::Handshake(_) => None,
            SessionState::Established(established) => Some(established),
        }
    }

    /// Whether the owner may be asked for something now, and be it the rest of what it has begun.
    pub(crate) fn is_askable(&self) -> bool {
        self.established().is_some_and(Established::is_askable)
    }

    /// The flow, from WELCOME on.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        self.established().map(|open| &open.flow)
    }

    /// The flow, from WELCOME on.
    pub(crate) fn flow_mut(&mut self) -> Option<&mut Flow> {
        self.established_mut().map(|open| &mut open.flow)
    }

    /// Bytes that the owner was asked for and that have not arrived.
    pub(crate) fn outstanding(&self) -> u32 {
        self.flow().map_or(0, Flow::outstanding)
    }

    /// Whether the owner may be asked for pieces now.
    pub(crate) fn is_unchoked(&self) -> bool {
        self.established().is_some_and(Established::is_unchoked)
    }

    /// Whether the owner serves others for now.
    pub(crate) fn is_choked(&self) -> bool {
        self.established().is_some_and(|open| matches!(open.standing, Standing::Choked { .. }))
    }

    /// Whether nothing came for too long.
    pub(crate) fn is_snubbed(&self) -> bool {
        self.established().is_some_and(|open| matches!(open.standing, Standing::Snubbed { .. }))
    }

    /// Whether the owner should have sent something, and has not since: what it has is not counted on, and it is
    /// asked for a little that others are asked for too.
    pub(crate) fn is_suspect(&self) -> bool {
        self.liveness.is_suspect()
    }

    /// Nothing of what the owner was asked for came within a timeout. Whether it is suspect from now on, and was not
    /// before.
    pub(crate) fn on_timeout(&mut self) -> bool {
        self.liveness.on_timeout()
    }

    /// Whether the session is worth one of the download's slots: the owner answers and gives, or its first HELLO is
    /// under way.
    pub(crate) fn is_useful(&self) -> bool {
        match &self.state {
            SessionState::Handshake(handshake) => handshake.tries <= 1,
            SessionState::Established(_) => {
                !self.is_snubbed() && !self.liveness.is_unproductive() && !self.is_suspect()
            }
        }
    }

    /// Whether HELLO is still under way.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.state, SessionState::Handshake(_))
    }

    /// Whether a HELLO was sent and another one is due.
    pub(crate) fn is_unanswered(&self, now: Timestamp) -> bool {
        match &self.state {
            SessionState::Handshake(handshake) => handshake.tries > 0 && now >= handshake.next_at,
            SessionState::Established(_) => false,
        }
    }

    /// Whether this is the session in which the owner at `peer` chose the number `remote`.
    pub(crate) fn is_with(&self, peer: SocketAddr, remote: Conversation) -> bool {
        self.address() == Some((peer, remote))
    }

    /// Whether the owner was asked for something, and has said nothing since.
    pub(crate) fn owes_answer(&self) -> bool {
        self.liveness.owes_since().is_some()
    }

    /// The content's length in bytes, as this owner says; 0 before it has answered.
    pub(crate) fn claimed_length(&self) -> u64 {
        self.established().map_or(0, |open| open.length)
    }

    /// How many pieces the content has, as this owner says.
    fn claimed_pieces(&self) -> u32 {
        Layout::of(self.claimed_length()).map_or(0, Layout::pieces)
    }

    /// Whether the owner has `piece`.
    pub(crate) fn has(&self, piece: PieceIndex) -> bool {
        self.inventory.pieces().contains(piece)
    }

    /// No more of the manifest is asked for in one range, in bytes: when it did not come at the first try, single
    /// segments, since too few are asked for to find out whether bursts arrive at all.
    pub(crate) fn max_manifest_range(&self) -> u32 {
        let single = self.flow().filter(|_| self.manifest_tries > 1).map(Flow::segment_size);
        single.map_or(u32::MAX, u32::from)
    }

    /// Whether the owner has every piece.
    pub(crate) fn has_everything(&self) -> bool {
        self.inventory.is_complete()
    }

    /// Bytes outstanding over a path so short that they may all arrive at once.
    pub(crate) fn local_outstanding(&self) -> u32 {
        self.flow().filter(|flow| is_local(flow)).map_or(0, Flow::outstanding)
    }

    /// How fast this owner is, in bytes a second: what it did lately, or what its path seems to allow; 0: unknown.
    pub(crate) fn speed(&self, now: Timestamp) -> u64 {
        let measured = self.meter.rate(now);
        // Who sent much and now owes an answer is as slow as can be, whatever its path could do.
        let stopped = self.meter.total() > 0 && self.owes_answer();
        if measured > 0 || stopped { measured.max(1) } else { self.flow().map_or(0, Flow::rate) }
    }

    /// BITFIELD: pieces that the owner has. Those that were news.
    pub(crate) fn handle_bitfield(&mut self, bits: &Bits) -> Vec<PieceIndex> {
        self.inventory.learn_bits(bits)
    }

    /// HAVE: pieces that the owner has now. Those that were news.
    pub(crate) fn handle_have(&mut self, runs: &[PieceRun]) -> Vec<PieceIndex> {
        self.inventory.learn_runs(runs)
    }

    /// HINT: these pieces are better asked for than others.
    pub(crate) fn handle_hint(&mut self, runs: &[PieceRun]) {
        self.inventory.learn_hints(runs);
    }

    /// What the owner would rather give.
    pub(crate) fn hints(&self) -> &Hints {
        self.inventory.hints()
    }

    /// The pieces of a partial owner that can be counted on; `None`: it has all, or nothing is known of it.
    pub(crate) fn partial(&self) -> Option<impl Iterator<Item = PieceIndex>> {
        let counts = !self.is_handshaking() && !self.is_suspect();
        counts.then(|| self.inventory.pieces().partial()).flatten()
    }

    /// Bytes a second that the owner gave lately.
    pub(crate) fn rate(&self, now: Timestamp) -> u64 {
        self.meter.rate(now)
    }

    /// Bytes that the owner gave.
    pub(crate) fn given(&self) -> u64 {
        self.meter.total()
    }

    /// What the owner was asked for is no longer wanted.
    pub(crate) fn on_withdrawn(&mut self) {
        if self.flow().is_some_and(|flow| flow.outstanding() == 0) {
            self.liveness.on_withdrawn();
        }
    }

    /// WELCOME to a HELLO that asked for segments apart. Whether it was one.
    pub(crate) fn handle_no_gso_welcome(&mut self, welcome: &Welcome) -> bool {
        self.established_mut().is_some_and(|open| open.handle_no_gso_welcome(welcome))
    }

    /// PING of the owner: answered at once, and in later REQUESTs once more.
    pub(crate) fn handle_ping(&mut self, nonce: u64, cx: &mut Context<'_>) {
        self.feedback.on_ping(nonce);
        let remote = self.established().map_or(Conversation(0), |open| open.remote);
        cx.send(self.contact.peer, remote, &Pong { nonce });
    }

    /// The owner answers PING. One that does so and sends nothing is not believed for ever.
    pub(crate) fn on_pong(&mut self) {
        if self.is_snubbed() && self.liveness.revive() {
            self.set_standing(Standing::Unchoked);
        }
    }

    /// The owner answers what it was asked for, and be it with CONTROL. What else it says is no answer.
    pub(crate) fn on_answer(&mut self) {
        self.liveness.on_answer();
        self.on_pong();
    }

    /// A CHUNK that was asked for came from the owner.
    pub(crate) fn on_chunk(&mut self) {
        self.liveness.on_given();
        self.on_pong();
    }

    /// REJECT: the owner refuses a range of `piece`, since it does not have it.
    pub(crate) fn on_rejected(&mut self, piece: PieceIndex, now: Timestamp) -> Rejection {
        let pieces = self.claimed_pieces();
        self.inventory.on_rejected(piece, pieces, now)
    }

    /// CHUNK with this sequence number and so many wanted bytes.
    pub(crate) fn on_arrived(&mut self, sequence: u32, bytes: u32, now: Timestamp) {
        self.feedback.on_chunk(sequence);
        self.meter.count(u64::from(bytes), now);
    }

    /// CHOKE or BUSY: the owner serves others for a time.
    pub(crate) fn on_choked(&mut self, retry_after: Duration, finishes: bool, now: Timestamp) {
        if !self.is_handshaking() {
            self.liveness.on_choked(now);
            self.speed_trial.on_choked(now);
            let pause = if retry_after.is_zero() { CHOKED_FOR } else { retry_after };
            self.set_standing(Standing::Choked { until: now + pause, finishes });
        }
    }

    /// UNCHOKE.
    pub(crate) fn on_unchoked(&mut self) {
        if self.is_choked() {
            self.set_standing(Standing::Unchoked);
        }
    }

    fn set_standing(&mut self, standing: Standing) {
        let established = self.established_mut();
        established.expect("only an owner that has answered is choked, snubbed or neither").standing =
            standing;
    }

    /// Where messages to the owner go, once it has chosen its number.
    pub(crate) fn address(&self) -> Option<(SocketAddr, Conversation)> {
        self.established().map(|open| (self.contact.peer, open.remote))
    }

    /// The smoothed round-trip time, once there is one.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.flow().and_then(Flow::smoothed_rtt)
    }
}
