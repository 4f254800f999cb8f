//! A downloader's session with one owner, from HELLO to the end.
//!
//! ```text
//!   Handshake ──WELCOME──▶ Unchoked ◀──UNCHOKE / time── Choked ◀──CHOKE (finishes what is begun), BUSY (does not)
//!      │  ▲ RETRY            │  ▲ CHUNK; PONG, once
//!      ╰──╯                  ▼  │ nothing that was asked for max(2 s, 4 timeouts)
//!   five tries: over       Snubbed ── 10 s more, or PONG again: over
//! ```
//!
//! An owner that answers and sends no CHUNKs loses its slot after a time, and its session later (`snub.rs`).

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

/// A choked downloader asks again after this long when the owner names no time.
const CHOKED_FOR: Duration = Duration::from_secs(10);
/// An owner of unknown speed is taken to be this fast, in bytes a second, beside others: it is tried rather than that the
/// download waits for a slow one.
const UNKNOWN_SPEED: u64 = 1 << 20;

/// The state of a session's handshake.
#[derive(Debug)]
enum SessionState {
    /// The owner has not answered HELLO yet.
    Handshake(Handshake),
    /// The owner has answered HELLO with WELCOME.
    Established(Box<Established>),
}

/// A session of one download with one owner.
#[derive(Debug)]
pub(crate) struct Session {
    contact: Contact,
    state: SessionState,
    inventory: Inventory,
    feedback: Feedback,
    liveness: PeerLiveness,
    pub(super) speed_trial: SpeedTrial,
    meter: Meter,
    /// The piece for which the owner was last asked.
    pub(crate) last_piece: Option<PieceIndex>,
    /// Whether the owner was told, after its last request, that this node asks it for nothing more.
    has_released_slot: bool,
    /// How often the owner was asked for the outboard.
    pub(crate) outboard_tries: u32,
    /// When a message was last sent to the owner.
    sent_at_last: Timestamp,
    /// Whether the owner gives one whole piece at a time, because a piece to which it contributed did not verify.
    pub(crate) on_parole: bool,
}

impl Session {
    /// A session with the node `owner` at `peer`. Its first HELLO is due at once.
    pub(crate) fn new(
        key: SessionKey,
        download: DownloadId,
        content: ContentId,
        owner: NodeId,
        peer: SocketAddr,
        cx: &mut Context<'_>,
    ) -> Session {
        cx.expect(peer, owner);
        let local = cx.open_route(peer, Route::Download(download, key));
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
            outboard_tries: 0,
            sent_at_last: cx.now,
            on_parole: false,
        }
    }

    /// The key of the session in its download.
    pub(crate) fn key(&self) -> SessionKey {
        self.contact.key
    }

    /// The node that owns the content.
    pub(crate) fn owner(&self) -> NodeId {
        self.contact.owner
    }

    /// The address of the owner.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.contact.peer
    }

    /// The conversation number that this node has chosen for the session.
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

    /// Whether the owner may be asked for something now, even if only for the rest of a piece that it has begun to
    /// send.
    pub(crate) fn is_askable(&self) -> bool {
        self.established().is_some_and(Established::is_askable)
    }

    /// The flow of the session, which exists from WELCOME on.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        self.established().map(|open| &open.flow)
    }

    /// The flow of the session, which exists from WELCOME on.
    pub(crate) fn flow_mut(&mut self) -> Option<&mut Flow> {
        self.established_mut().map(|open| &mut open.flow)
    }

    /// The number of bytes that the owner was asked for and that have not arrived.
    pub(crate) fn outstanding(&self) -> u32 {
        self.flow().map_or(0, Flow::outstanding)
    }

    /// Whether the owner may be asked for pieces now.
    pub(crate) fn is_unchoked(&self) -> bool {
        self.established().is_some_and(Established::is_unchoked)
    }

    /// Whether the owner has choked this node: it serves others for now.
    pub(crate) fn is_choked(&self) -> bool {
        self.established().is_some_and(|open| matches!(open.standing, Standing::Choked { .. }))
    }

    /// Whether the owner is snubbed, because nothing that it was asked for came for too long.
    pub(crate) fn is_snubbed(&self) -> bool {
        self.established().is_some_and(|open| matches!(open.standing, Standing::Snubbed { .. }))
    }

    /// Whether the owner is suspect: it should have sent something and has not. Its pieces are not counted as
    /// available, and it is asked for little, which others are asked for too.
    pub(crate) fn is_suspect(&self) -> bool {
        self.liveness.is_suspect()
    }

    /// Records that nothing of what the owner was asked for came within a timeout. Returns whether the owner turns
    /// suspect by that.
    pub(crate) fn on_timeout(&mut self) -> bool {
        self.liveness.on_timeout()
    }

    /// Whether the session is worth one of the download's slots: the owner answers and sends, or its first HELLO is
    /// under way.
    pub(crate) fn is_useful(&self) -> bool {
        match &self.state {
            SessionState::Handshake(handshake) => handshake.tries <= 1,
            SessionState::Established(_) => {
                !self.is_snubbed() && !self.liveness.is_unproductive() && !self.is_suspect()
            }
        }
    }

    /// Whether the owner has not answered HELLO yet.
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

    /// Whether this is the session in which the owner at `peer` chose the conversation number `remote`.
    pub(crate) fn is_with(&self, peer: SocketAddr, remote: Conversation) -> bool {
        self.address() == Some((peer, remote))
    }

    /// Whether the owner was asked for something and has sent nothing since.
    pub(crate) fn owes_answer(&self) -> bool {
        self.liveness.owes_since().is_some()
    }

    /// The content's length in bytes according to this owner; 0 before the owner has answered.
    pub(crate) fn claimed_length(&self) -> u64 {
        self.established().map_or(0, |open| open.length)
    }

    /// The number of the content's pieces according to this owner.
    fn claimed_pieces(&self) -> u32 {
        Layout::of(self.claimed_length()).map_or(0, Layout::pieces)
    }

    /// Whether the owner has `piece`.
    pub(crate) fn has(&self, piece: PieceIndex) -> bool {
        self.inventory.pieces().contains(piece)
    }

    /// The most bytes of the outboard that one range asks for. After a first try that failed these are single segments,
    /// since too few are asked for to find out whether bursts arrive at all.
    pub(crate) fn max_outboard_range(&self) -> u32 {
        let single = self.flow().filter(|_| self.outboard_tries > 1).map(Flow::segment_size);
        single.map_or(u32::MAX, u32::from)
    }

    /// Whether the owner has every piece.
    pub(crate) fn has_everything(&self) -> bool {
        self.inventory.is_complete()
    }

    /// The number of outstanding bytes, if the path is so short that all of them may arrive at once; otherwise 0.
    pub(crate) fn local_outstanding(&self) -> u32 {
        self.flow().filter(|flow| is_local(flow)).map_or(0, Flow::outstanding)
    }

    /// The speed of this owner in bytes a second: the rate at which it sent lately, or else what its path seems to
    /// allow, or else [`UNKNOWN_SPEED`].
    pub(crate) fn speed(&self, now: Timestamp) -> u64 {
        let measured = self.meter.rate(now);
        // An owner that has sent bytes and now owes an answer counts as the slowest, whatever its path allows.
        let stopped = self.meter.total() > 0 && self.owes_answer();
        if measured > 0 || stopped {
            return measured.max(1);
        }
        let modelled = self.flow().map_or(0, Flow::rate);
        if modelled > 0 { modelled } else { UNKNOWN_SPEED }
    }

    /// Handles BITFIELD, which names pieces that the owner has. Returns the pieces that were not known before.
    pub(crate) fn handle_bitfield(&mut self, bits: &Bits) -> Vec<PieceIndex> {
        self.inventory.learn_bits(bits)
    }

    /// Handles HAVE, which names pieces that the owner has now. Returns the pieces that were not known before.
    pub(crate) fn handle_have(&mut self, runs: &[PieceRun]) -> Vec<PieceIndex> {
        self.inventory.learn_runs(runs)
    }

    /// Handles HINT, which names the pieces that the owner prefers to be asked for.
    pub(crate) fn handle_hint(&mut self, runs: &[PieceRun]) {
        self.inventory.learn_hints(runs);
    }

    /// The pieces that the owner prefers to be asked for.
    pub(crate) fn hints(&self) -> &Hints {
        self.inventory.hints()
    }

    /// The pieces of a partial owner that count as available. `None` means that the owner has all pieces, or that it is
    /// handshaking or suspect.
    pub(crate) fn partial(&self) -> Option<impl Iterator<Item = PieceIndex>> {
        let counts = !self.is_handshaking() && !self.is_suspect();
        counts.then(|| self.inventory.pieces().partial()).flatten()
    }

    /// The rate, in bytes a second, at which the owner sent lately.
    pub(crate) fn rate(&self, now: Timestamp) -> u64 {
        self.meter.rate(now)
    }

    /// The number of wanted bytes that the owner has sent.
    pub(crate) fn given(&self) -> u64 {
        self.meter.total()
    }

    /// Records that requests to the owner were withdrawn.
    pub(crate) fn on_withdrawn(&mut self) {
        if self.flow().is_some_and(|flow| flow.outstanding() == 0) {
            self.liveness.on_withdrawn();
        }
    }

    /// Handles a WELCOME that answers a HELLO which asked for segments without GSO. Returns whether the WELCOME was
    /// such an answer.
    pub(crate) fn handle_no_gso_welcome(&mut self, welcome: &Welcome) -> bool {
        self.established_mut().is_some_and(|open| open.handle_no_gso_welcome(welcome))
    }

    /// Handles a PING of the owner. The nonce is returned at once in PONG, and once more in later REQUESTs.
    pub(crate) fn handle_ping(&mut self, nonce: u64, cx: &mut Context<'_>) {
        self.feedback.on_ping(nonce);
        let remote = self.established().map_or(Conversation(0), |open| open.remote);
        cx.send(self.contact.peer, remote, &Pong { nonce });
    }

    /// Records that the owner has answered PING. A snubbed owner is unchoked again by that, but not without limit: an
    /// owner that answers PING and sends nothing is not believed for ever.
    pub(crate) fn on_pong(&mut self) {
        if self.is_snubbed() && self.liveness.revive() {
            self.set_standing(Standing::Unchoked);
        }
    }

    /// Records that the owner has answered a request, even if only with CONTROL. Other messages do not count as
    /// answers.
    pub(crate) fn on_answer(&mut self) {
        self.liveness.on_answer();
        self.on_pong();
    }

    /// Records that a CHUNK that was asked for has come from the owner.
    pub(crate) fn on_chunk(&mut self) {
        self.liveness.on_given();
        self.on_pong();
    }

    /// Handles REJECT: the owner refuses a range of `piece` because it does not have the piece.
    pub(crate) fn on_rejected(&mut self, piece: PieceIndex, now: Timestamp) -> Rejection {
        let pieces = self.claimed_pieces();
        self.inventory.on_rejected(piece, pieces, now)
    }

    /// Records a CHUNK with the sequence number `sequence` and `bytes` wanted bytes.
    pub(crate) fn on_arrived(&mut self, sequence: u32, bytes: u32, now: Timestamp) {
        self.feedback.on_chunk(sequence);
        self.meter.count(u64::from(bytes), now);
    }

    /// Handles CHOKE or BUSY: the owner serves others for a time. `finishes` tells whether the owner still sends the
    /// rest of begun pieces.
    pub(crate) fn on_choked(&mut self, retry_after: Duration, finishes: bool, now: Timestamp) {
        if !self.is_handshaking() {
            self.liveness.on_choked(now);
            self.speed_trial.on_choked(now);
            let pause = if retry_after.is_zero() { CHOKED_FOR } else { retry_after };
            self.set_standing(Standing::Choked { until: now + pause, finishes });
        }
    }

    /// Handles UNCHOKE.
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

    /// The address and the conversation number to which messages to the owner go, once the owner has chosen the number.
    pub(crate) fn address(&self) -> Option<(SocketAddr, Conversation)> {
        self.established().map(|open| (self.contact.peer, open.remote))
    }

    /// The smoothed round-trip time, once it was measured.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.flow().and_then(Flow::smoothed_rtt)
    }
}
