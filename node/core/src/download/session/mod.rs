//! A downloader's session with one owner: from HELLO to the end.
//!
//! ```text
//!   Greeting ──WELCOME──▶ Willing ◀──UNCHOKE / time── Choked ◀──CHOKE (finishes what is begun), BUSY (does not)
//!      │  ▲ RETRY           │  ▲ CHUNK; PONG, once
//!      ╰──╯                 ▼  │ nothing that was asked for max(2 s, 4 timeouts)
//!   five tries: over      Snubbed ── 10 s more, or PONG again: over
//! ```
//!
//! Who answers and gives nothing loses its place after a time, and then its session (`patience.rs`).

mod echoes;
mod handshake;
mod mtu_probe;
mod no_gso;

use std::net::SocketAddr;
use std::time::Duration;

use config::NetworkSettings;
use messages::node_to_node::{ByteRange, Ping, Request};
use messages::{
    Bits, CHUNK_HEADER, ContentId, Conversation, Layout, List, NodeId, PieceIndex, PieceRun, Timestamp,
};
use rand::RngExt as _;

use super::hints::Hints;
use super::initial_path::is_local;
use super::remote_pieces::RemotePieces;
use super::rotation::SpeedTrial;
use super::snub::PeerLiveness;
use crate::context::{Context, Route};
use crate::event::SessionEnd;
use crate::ids::DownloadId;
use crate::ids::SessionKey;
use crate::meter::Meter;
use crate::output::{Reason, Wait};
use crate::status::{OwnerState, OwnerStatus};
use crate::transport::Flow;
use crate::transport::mtud::BASE;
use echoes::Echoes;
use handshake::Handshake;
use no_gso::NoGso;

/// A snubbed owner is asked with PING this often.
const SNUBBED_PING: Duration = Duration::from_millis(100);
/// A snubbed owner that stays silent this long is given up.
const SNUBBED_FOR: Duration = Duration::from_secs(10);
/// An owner is snubbed after this many timeouts, but not before `network.snub_after`.
const SNUB_TIMEOUTS: u32 = 4;
/// A choked downloader asks again after this long, when the owner named no time.
const CHOKED_FOR: Duration = Duration::from_secs(10);
/// What a complete owner refused is asked of it again after this long.
const RETRY_REJECTED_AFTER: Duration = Duration::from_secs(2);
/// An owner that refuses what it said it has this often is at fault.
const MAX_REJECTIONS: u32 = 8;
/// How a session stands.
#[derive(Debug)]
enum SessionState {
    /// HELLO is under way.
    Handshake(Handshake),
    /// The owner answers.
    Willing,
    /// The owner serves others until then, or until it says otherwise. What it has begun it may still be asked for, when it
    /// `finishes`.
    Choked { until: Timestamp, finishes: bool },
    /// Nothing came for too long; since then it is only pinged.
    Snubbed { since: Timestamp, next_ping: Timestamp },
}

/// One owner of one content, as one download sees it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    download: DownloadId,
    pub(crate) owner: NodeId,
    pub(crate) peer: SocketAddr,
    pub(crate) ours: Conversation,
    theirs: Conversation,
    content: ContentId,
    state: SessionState,
    /// Present from WELCOME on.
    flow: Option<Flow>,
    length: u64,
    /// The longest datagram that the owner sends.
    max_datagram: u16,
    no_gso: NoGso,
    remote_pieces: RemotePieces,
    highest_sequence: u32,
    echoes: Echoes,
    liveness: PeerLiveness,
    pub(super) speed_trial: SpeedTrial,
    rejections: u32,
    /// When a complete owner is asked again for what it has refused: a datagram may have been damaged on its way.
    retries_rejected_at: Option<Timestamp>,
    /// The piece that it began last.
    pub(crate) last_piece: Option<u32>,
    has_released_slot: bool,
    hints: Hints,
    /// How often it was asked for the manifest.
    pub(crate) manifest_tries: u32,
    /// When anything was said to it last.
    sent_at_last: Timestamp,
    meter: Meter,
    /// Whether it gives one whole piece at a time: a piece in which it had a part did not verify.
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
        let ours = cx.routes.open(Route::Download(download, key), cx.rng);
        let handshake = Handshake::new(cx.rng.random(), cx.now);
        Session {
            key,
            download,
            owner,
            peer,
            ours,
            theirs: Conversation(0),
            content,
            state: SessionState::Handshake(handshake),
            flow: None,
            length: 0,
            max_datagram: BASE,
            no_gso: NoGso::default(),
            remote_pieces: RemotePieces::nothing(0),
            highest_sequence: 0,
            echoes: Echoes::default(),
            liveness: PeerLiveness::default(),
            speed_trial: SpeedTrial::default(),
            rejections: 0,
            retries_rejected_at: None,
            last_piece: None,
            has_released_slot: true,
            hints: Hints::default(),
            manifest_tries: 0,
            sent_at_last: cx.now,
            meter: Meter::new(cx.now),
            on_parole: false,
        }
    }

    /// The flow of a session that may be asked for something now.
    pub(crate) fn askable_flow(&mut self) -> Option<&mut Flow> {
        self.is_askable().then_some(self.flow.as_mut()).flatten()
    }

    /// Whether it may be asked for something now, and be it the rest of what it has begun.
    pub(crate) fn is_askable(&self) -> bool {
        matches!(self.state, SessionState::Willing | SessionState::Choked { finishes: true, .. })
    }

    /// The flow, from WELCOME on.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        self.flow.as_ref()
    }

    /// The flow, from WELCOME on.
    pub(crate) fn flow_mut(&mut self) -> Option<&mut Flow> {
        self.flow.as_mut()
    }

    /// Whether it may be asked for pieces now.
    pub(crate) fn is_willing(&self) -> bool {
        matches!(self.state, SessionState::Willing)
    }

    /// Whether the owner serves others for now.
    pub(crate) fn is_choked(&self) -> bool {
        matches!(self.state, SessionState::Choked { .. })
    }

    /// Whether nothing came for too long.
    pub(crate) fn is_snubbed(&self) -> bool {
        matches!(self.state, SessionState::Snubbed { .. })
    }

    /// Whether it should have sent something, and has not since: what it has is not counted on, and it is asked for a little that others are
    /// asked for too.
    pub(crate) fn is_suspect(&self) -> bool {
        self.liveness.is_suspect()
    }

    /// Nothing of what it was asked for came within a timeout. Whether that puts it in doubt.
    pub(crate) fn on_timeout(&mut self) -> bool {
        self.liveness.on_timeout()
    }

    /// Whether it is worth one of the download's places: it answers and gives, or its first HELLO is under way.
    pub(crate) fn is_useful(&self) -> bool {
        match &self.state {
            SessionState::Handshake(handshake) => handshake.tries <= 1,
            SessionState::Willing | SessionState::Choked { .. } => {
                !self.liveness.is_unproductive() && !self.is_suspect()
            }
            SessionState::Snubbed { .. } => false,
        }
    }

    /// Whether HELLO is still under way.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.state, SessionState::Handshake(_))
    }

    /// Whether a HELLO was said and another one is due.
    pub(crate) fn is_unanswered(&self, now: Timestamp) -> bool {
        matches!(&self.state, SessionState::Handshake(handshake) if handshake.tries > 0 && now >= handshake.next_at)
    }

    /// Whether this is the session in which the owner chose the number `theirs`.
    pub(crate) fn is_with(&self, peer: SocketAddr, theirs: Conversation) -> bool {
        self.peer == peer && self.theirs == theirs && self.flow.is_some()
    }

    /// Whether it was asked for something, and has said nothing since.
    pub(crate) fn owes(&self) -> bool {
        self.liveness.owes_since().is_some()
    }

    /// The content's length in bytes, as this owner says.
    pub(crate) fn claimed_length(&self) -> u64 {
        self.length
    }

    /// Whether the owner has `piece`.
    pub(crate) fn has(&self, piece: u32) -> bool {
        self.remote_pieces.contains(piece)
    }

    /// No more of the manifest is asked for in one range, in bytes: when it did not come at the first try, single segments, since too few are
    /// asked for to find out whether bursts arrive at all.
    pub(crate) fn longest_of_manifest(&self) -> u32 {
        let single = self.flow.as_ref().filter(|_| self.manifest_tries > 1).map(Flow::segment);
        single.map_or(u32::MAX, u32::from)
    }

    /// Whether the owner has every piece.
    pub(crate) fn has_everything(&self) -> bool {
        matches!(self.remote_pieces, RemotePieces::Everything)
    }

    /// Bytes outstanding over a path so short that they may all arrive at once.
    pub(crate) fn local_outstanding(&self) -> u32 {
        self.flow.as_ref().filter(|flow| is_local(flow)).map_or(0, Flow::outstanding)
    }

    /// How fast this owner is, in bytes a second: what it did lately, or what its path seems to allow; 0: unknown.
    pub(crate) fn speed(&self, now: Timestamp) -> u64 {
        let measured = self.meter.rate(now);
        // Who sent much and now owes an answer is as slow as can be, whatever its path could do.
        let stopped = self.meter.total() > 0 && self.owes();
        if measured > 0 || stopped { measured.max(1) } else { self.flow.as_ref().map_or(0, Flow::rate) }
    }

    /// BITFIELD: pieces that the owner has. Those that were news.
    pub(crate) fn handle_bitfield(&mut self, bits: &Bits) -> Vec<u32> {
        self.remote_pieces.learn_bits(bits)
    }

    /// HAVE: pieces that the owner has now. Those that were news.
    pub(crate) fn handle_have(&mut self, runs: &[PieceRun]) -> Vec<u32> {
        self.remote_pieces.learn_runs(runs)
    }

    /// HINT: these pieces are better asked for than others.
    pub(crate) fn handle_hint(&mut self, runs: &[PieceRun]) {
        self.hints.learn(runs);
    }

    /// What the owner would rather give.
    pub(crate) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// The pieces of a partial owner that can be counted on; `None`: it has all, or nothing is known of it.
    pub(crate) fn partial(&self) -> Option<impl Iterator<Item = usize>> {
        self.flow.as_ref().filter(|_| !self.is_suspect()).and_then(|_| self.remote_pieces.partial())
    }

    /// Bytes a second that it gave lately.
    pub(crate) fn rate(&self, now: Timestamp) -> u64 {
        self.meter.rate(now)
    }

    /// Bytes that it gave.
    pub(crate) fn given(&self) -> u64 {
        self.meter.total()
    }

    /// Says once that there is nothing to ask for now: others may have this node's place.
    pub(crate) fn release_slot_if_willing(&mut self, cx: &mut Context<'_>) {
        if self.is_willing() {
            self.release_slot(cx);
        }
    }

    /// Says once since it asked last that it wants nothing more, and be it that it waits for its turn.
    pub(crate) fn release_slot(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.has_released_slot, true) {
            let (first, none) = (0, List::default());
            self.write_request(first, none, cx);
        }
    }

    /// What it was asked for is no longer wanted.
    pub(crate) fn on_withdrawn(&mut self) {
        if self.flow.as_ref().is_some_and(|flow| flow.outstanding() == 0) {
            self.liveness.on_withdrawn();
        }
    }

    /// PING of the owner: answered at once, and in later REQUESTs once more.
    pub(crate) fn handle_ping(&mut self, nonce: u64, cx: &mut Context<'_>) {
        self.echoes.learn(nonce);
        cx.send(self.peer, self.theirs, &messages::node_to_node::Pong { nonce });
    }

    /// The owner answers PING. One that does so and sends nothing is not believed for ever.
    pub(crate) fn on_pong(&mut self) {
        if matches!(self.state, SessionState::Snubbed { .. }) && self.liveness.revive() {
            self.state = SessionState::Willing;
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

    /// The owner refuses a range of `piece`: it does not have it. Whether that is once too often.
    pub(crate) fn on_rejected(&mut self, piece: PieceIndex, now: Timestamp) -> bool {
        self.rejections += 1;
        if matches!(self.remote_pieces, RemotePieces::Everything) {
            self.retries_rejected_at = Some(now + RETRY_REJECTED_AFTER);
        }
        if piece == PieceIndex::MANIFEST || self.rejections >= MAX_REJECTIONS {
            return true;
        }
        self.remote_pieces.forget(piece.0, Layout::of(self.length).map_or(0, Layout::pieces));
        false
    }

    /// CHUNK with this sequence and so many wanted bytes.
    pub(crate) fn on_arrived(&mut self, sequence: u32, bytes: u32, now: Timestamp) {
        if sequence.wrapping_sub(self.highest_sequence) < u32::MAX / 2 {
            self.highest_sequence = sequence;
        }
        self.meter.count(u64::from(bytes), now);
    }

    /// CHOKE or BUSY: the owner serves others for a time.
    pub(crate) fn on_choked(&mut self, retry_after: Duration, finishes: bool, now: Timestamp) {
        if self.flow.is_some() {
            self.liveness.on_choked_for_now(now);
            self.speed_trial.on_choked_for_now(now);
            let pause = if retry_after.is_zero() { CHOKED_FOR } else { retry_after };
            self.state = SessionState::Choked { until: now + pause, finishes };
        }
    }

    /// UNCHOKE.
    pub(crate) fn on_unchoked(&mut self) {
        if matches!(self.state, SessionState::Choked { .. }) {
            self.state = SessionState::Willing;
        }
    }

    /// What time brings: a repeated HELLO, the end of a pause, a silent owner. The reason, when the session is over.
    pub(crate) fn handle_time(&mut self, cx: &mut Context<'_>) -> Option<SessionEnd> {
        let now = cx.now;
        if self.retries_rejected_at.is_some_and(|at| now >= at) {
            self.retries_rejected_at = None;
            self.remote_pieces = RemotePieces::Everything;
        }
        if self.liveness.has_ended(now) {
            return Some(SessionEnd::Silent);
        }
        match &mut self.state {
            SessionState::Handshake(handshake) if now >= handshake.next_at => {
                if handshake.is_exhausted(&cx.settings.network) {
                    return Some(SessionEnd::NoAnswer);
                }
                self.repeat_hello(cx);
            }
            SessionState::Choked { until, .. } if now >= *until => self.state = SessionState::Willing,
            SessionState::Snubbed { since, next_ping } => {
                if now.since(*since) >= SNUBBED_FOR {
                    return Some(SessionEnd::Silent);
                }
                if now >= *next_ping {
                    *next_ping = now + SNUBBED_PING;
                    let nonce = cx.rng.random_range(1..=u64::MAX);
                    cx.send(self.peer, self.theirs, &Ping::new(nonce));
                }
            }
            SessionState::Willing if now >= self.sent_at_last + cx.settings.network.session_idle / 3 => {
                // Nothing to ask for now; the owner is to keep the session all the same.
                self.sent_at_last = now;
                let nonce = cx.rng.random_range(1..=u64::MAX);
                cx.send(self.peer, self.theirs, &Ping::new(nonce));
            }
            SessionState::Handshake(_) | SessionState::Willing | SessionState::Choked { .. } => {}
        }
        None
    }

    /// Whether nothing was asked of a willing owner for so long that it is due to be told that the session goes on.
    pub(crate) fn is_unused(&self, cx: &Context<'_>) -> bool {
        matches!(self.state, SessionState::Willing)
            && cx.now >= self.sent_at_last + cx.settings.network.session_idle / 3
    }

    /// Whether the owner has just been silent for too long: from now on it is snubbed.
    pub(crate) fn snub_if_silent(&mut self, cx: &Context<'_>) -> bool {
        let due = self.snub_at(cx.settings.network.snub_after).is_some_and(|at| cx.now >= at);
        if due {
            self.state = SessionState::Snubbed { since: cx.now, next_ping: cx.now };
            self.liveness.on_snubbed();
        }
        due
    }

    /// Whether the owner has just been waited for too long to keep its place.
    pub(crate) fn turn_unproductive(&mut self, now: Timestamp) -> bool {
        self.liveness.turn_unproductive(now)
    }

    /// When [`Session::handle_time`] has something to do.
    pub(crate) fn next_timer(&self, network: &NetworkSettings) -> Wait {
        let own = match &self.state {
            SessionState::Handshake(handshake) => {
                Wait { until: handshake.next_at, reason: Reason::HelloRetry }
            }
            SessionState::Choked { until, .. } => Wait { until: *until, reason: Reason::Snub },
            SessionState::Snubbed { since, next_ping } => {
                Wait { until: (*next_ping).min(*since + SNUBBED_FOR), reason: Reason::Snub }
            }
            SessionState::Willing => {
                Wait { until: self.sent_at_last + network.session_idle / 3, reason: Reason::KeepAlive }
            }
        };
        let snub =
            self.snub_at(network.snub_after).map_or(Wait::IDLE, |until| Wait { until, reason: Reason::Snub });
        let loss = self.flow.as_ref().map_or(Wait::IDLE, Flow::next_timer);
        let forgives =
            Wait { until: self.retries_rejected_at.unwrap_or(Timestamp::NEVER), reason: Reason::HelloRetry };
        let barren = Wait { until: self.liveness.next_at(), reason: Reason::Snub };
        own.earlier(snub).earlier(loss).earlier(forgives).earlier(barren)
    }

    /// Sends one REQUEST for consecutive request numbers from `first` on.
    pub(crate) fn send_request(&mut self, first: u32, ranges: List<ByteRange, 16>, cx: &mut Context<'_>) {
        self.has_released_slot = false;
        if self.flow.is_some() {
            self.liveness.on_asked(cx.now);
            self.speed_trial.on_asked(self.meter.total(), cx.now);
        }
        self.write_request(first, ranges, cx);
    }

    fn write_request(&mut self, first: u32, ranges: List<ByteRange, 16>, cx: &mut Context<'_>) {
        let Some(flow) = &self.flow else {
            return;
        };
        self.sent_at_last = cx.now;
        let request = Request {
            first_request: first,
            highest_sequence: self.highest_sequence,
            ping_echo: self.echoes.next(),
            segment_size: flow.segment(),
            ranges,
        };
        cx.send(self.peer, self.theirs, &request);
    }

    /// Where messages to the owner go, once it has chosen its number.
    pub(crate) fn address(&self) -> Option<(SocketAddr, Conversation)> {
        self.flow.is_some().then_some((self.peer, self.theirs))
    }

    /// The smoothed round-trip time, once there is one.
    pub(super) fn rtt(&self) -> Option<Duration> {
        self.flow.as_ref().and_then(Flow::smoothed_rtt)
    }

    /// For screens.
    pub(crate) fn status(&self, pieces: std::ops::Range<u32>, now: Timestamp) -> OwnerStatus {
        OwnerStatus {
            node: self.owner,
            peer: self.peer,
            state: match self.state {
                SessionState::Handshake(_) => OwnerState::Connecting,
                SessionState::Willing => OwnerState::Ready,
                SessionState::Choked { .. } => OwnerState::Choked,
                SessionState::Snubbed { .. } => OwnerState::Snubbed,
            },
            pieces,
            received: self.meter.total(),
            rate: self.meter.rate(now),
            rtt: self.rtt(),
            outstanding: self.flow.as_ref().map_or(0, Flow::outstanding),
            datagram: self.flow.as_ref().map_or(BASE, |flow| flow.segment() + CHUNK_HEADER as u16),
            permille: self.permille(),
        }
    }

    fn permille(&self) -> u16 {
        let all = Layout::of(self.length).map_or(0, Layout::pieces);
        let have = if self.flow.is_some() { self.remote_pieces.count(all) } else { 0 };
        (u64::from(have) * 1000 / u64::from(all.max(1))) as u16
    }

    fn snub_at(&self, snub_after: Duration) -> Option<Timestamp> {
        let flow = self.flow.as_ref().filter(|_| matches!(self.state, SessionState::Willing))?;
        Some(self.liveness.owes_since()? + snub_after.max(flow.unbacked_timeout() * SNUB_TIMEOUTS))
    }
}
