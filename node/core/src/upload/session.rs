//! One session with a downloader: what the downloader has asked for, whether it answers, and what it contributes. A
//! session does not know whose turn it is or which sessions have a slot.

use std::net::SocketAddr;
use std::ops::Range;

use messages::node_to_node::{ByteRange, HINTS, Hello, Hint, NO_GSO, Ping, Probed};
use messages::{
    Body, CHUNK_HEADER, ContentId, Conversation, Host, List, NodeId, PieceIndex, PieceRun, Timestamp,
};
use rand::rngs::StdRng;

use super::activity::Activity;
use super::begun_pieces::BegunPieces;
use super::challenge::Challenge;
use super::chunk_headers::ChunkHeaders;
use super::circuit_breaker::CircuitBreaker;
use super::contribution::Contribution;
use super::hint_state::HintState;
use super::piece_updates::PieceUpdates;
use super::request_queue::{Queued, RangeRequest, RequestQueue, RequestRefusal};
use super::served_content::ServedContent;
use crate::context::Context;
use crate::ids::ShareId;
use crate::meter::Meter;
use crate::output::{Burst, PingAmong, Source};
use crate::status::{ChannelStatus, UploadStanding, UploadStatus};

/// What a session sends in its turn, with the nonce of a PING, if one is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// A burst of CHUNKs, which contains its PING.
    Burst(Burst),
    Probed(Probed, Option<u64>),
    /// The BITFIELD that tells which of these pieces are here.
    Bitfield(Range<PieceIndex>, Option<u64>),
    /// The nonce of a PING to a downloader that has answered none for too long.
    Ping(u64),
}

/// One session in which this node is the owner.
#[derive(Debug)]
pub(super) struct UploadSession {
    pub(super) peer: SocketAddr,
    pub(super) share: ShareId,
    pub(super) content: ContentId,
    pub(super) node: NodeId,
    pub(super) activity: Activity,
    pub(super) contribution: Contribution,
    pub(super) hints: HintState,
    pub(super) requests: RequestQueue,
    begun: BegunPieces,
    piece_updates: PieceUpdates,
    challenge: Challenge,
    headers: ChunkHeaders,
    /// The meter of the bytes of the file that were sent.
    meter: Meter,
    /// Whether bursts are sent without GSO.
    no_gso: bool,
}

impl UploadSession {
    /// The session with the downloader at `peer`, which has sent `hello`, for the content that is served from `share`.
    pub(super) fn new(peer: SocketAddr, share: ShareId, hello: &Hello, now: Timestamp) -> UploadSession {
        UploadSession {
            peer,
            share,
            content: hello.content,
            node: hello.node,
            activity: Activity::new(now),
            contribution: Contribution::new(now),
            hints: HintState::new(hello.capabilities & HINTS != 0),
            requests: RequestQueue::default(),
            begun: BegunPieces::default(),
            piece_updates: PieceUpdates::default(),
            challenge: Challenge::new(now),
            headers: ChunkHeaders::new(hello.conversation),
            meter: Meter::new(now),
            no_gso: false,
        }
    }

    /// The conversation number that the downloader has chosen for the session.
    pub(super) fn theirs(&self) -> Conversation {
        self.headers.conversation()
    }

    /// The host of the downloader, among which the upload is shared.
    pub(super) fn host(&self) -> Host {
        Host::of(self.peer)
    }

    /// Sends `body` to the downloader.
    pub(super) fn send<B: Body>(&self, body: &B, cx: &mut Context<'_>) {
        cx.send(self.peer, self.theirs(), body);
    }

    /// Sends a PING with `nonce`, if there is one.
    pub(super) fn send_ping(&self, nonce: Option<u64>, cx: &mut Context<'_>) {
        if let Some(nonce) = nonce {
            self.send(&Ping::new(nonce), cx);
        }
    }

    /// Takes in the `capabilities` of a HELLO: what the downloader supports or wants. Returns which of them are
    /// granted.
    pub(super) fn grant(&mut self, capabilities: u32) -> u32 {
        self.no_gso = capabilities & NO_GSO != 0;
        self.hints.set_supported(capabilities & HINTS != 0);
        capabilities & (NO_GSO | HINTS)
    }

    /// The number of bytes of the file that were sent.
    pub(super) fn sent(&self) -> u64 {
        self.meter.total()
    }

    /// The rate, in bytes of the file a second, at which the session was lately served.
    pub(super) fn rate(&self, now: Timestamp) -> u64 {
        self.meter.rate(now)
    }

    /// Records that others have `bytes` that the session was the first to be given.
    pub(super) fn on_passed_on(&mut self, bytes: u64, now: Timestamp) {
        self.contribution.on_passed_on(bytes, self.meter.total(), now);
    }

    /// Records that a nonce has come back.
    pub(super) fn on_pong(&mut self, nonce: u64, breaker: &mut CircuitBreaker, now: Timestamp) {
        self.challenge.on_answer(breaker, nonce, now);
    }

    /// Asks when something may be sent: at once, if the result is not after `now`.
    pub(super) fn poll_ready(&mut self, breaker: &mut CircuitBreaker, now: Timestamp) -> Timestamp {
        self.challenge.poll_ready(breaker, now)
    }

    /// Whether `range` may only be asked for in a slot: it is not of the outboard, nor of a piece that was begun in
    /// one.
    pub(super) fn needs_slot(&self, range: ByteRange) -> bool {
        range.piece() != PieceIndex::OUTBOARD && !self.begun.allow(range)
    }

    /// Queues a requested range of what is `served`, where at most `limit` may wait.
    pub(super) fn queue_range(
        &mut self,
        request: RangeRequest,
        served: &ServedContent,
        limit: usize,
    ) -> Result<(), RequestRefusal> {
        let layout = served.outboard.layout();
        let length = match request.range.piece() {
            PieceIndex::OUTBOARD => layout.outboard_length(),
            piece => layout.piece_length(piece),
        };
        self.requests.push_range(request, length, limit)?;
        self.begun.on_queued(request.range, length);
        Ok(())
    }

    /// Has the downloader told, as soon as that is allowed again, which pieces of the content `served` are here.
    pub(super) fn want_piece_updates(&mut self, served: &ServedContent, now: Timestamp) {
        if served.is_whole() && self.piece_updates.is_first() {
            return;
        }
        self.piece_updates.want();
        self.begin_piece_updates(served, now);
    }

    /// Queues the first BITFIELD of the pieces of the content `served` that are here, if that is due.
    pub(super) fn begin_piece_updates(&mut self, served: &ServedContent, now: Timestamp) {
        if let Some(pieces) = self.piece_updates.begin(served.outboard.layout().pieces(), now) {
            self.requests.push_bitfield(pieces);
        }
    }

    /// When the downloader is to be told again which pieces are here; never, if it is not.
    pub(super) fn piece_updates_due(&self) -> Timestamp {
        self.piece_updates.due()
    }

    /// Sends a HINT, which points the session, whose number here is `ours`, at pieces at which no other session is
    /// pointed.
    pub(super) fn send_hint(&mut self, ours: Conversation, served: &mut ServedContent, cx: &mut Context<'_>) {
        let others = served.slots.served().filter(|other| *other != ours).count();
        let pieces = self.hints.update(|pieces| served.super_seed.choose_hint(pieces, ours, others));
        if !pieces.is_empty() {
            let runs = List::first_of(pieces.iter().filter_map(|piece| PieceRun::new(*piece, 1)));
            self.send(&Hint { runs }, cx);
        }
    }

    /// Takes what is sent next in the session's turn. The session may send `deficit` bytes; the bytes that are taken
    /// are subtracted from these.
    pub(super) fn poll_response(
        &mut self,
        served: &ServedContent,
        deficit: &mut u32,
        breaker: &mut CircuitBreaker,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Option<Response> {
        if self.challenge.is_unresponsive(now) {
            self.drop_queued();
            return self.challenge.poll_probe(breaker, now, rng).map(Response::Ping);
        }
        let queued = self.requests.pop(*deficit)?;
        let length = queued.length();
        *deficit -= length;
        Some(match queued {
            Queued::Range(request) => Response::Burst(self.burst(&request, served, breaker, now, rng)),
            Queued::Probe(probed) => {
                let nonce = self.challenge.on_sent(breaker, length, Ping::MIN_SIZE, now, rng);
                Response::Probed(probed, nonce)
            }
            Queued::Bitfield(pieces) => {
                let nonce = self.challenge.on_sent(breaker, length, Ping::MIN_SIZE, now, rng);
                if let Some(next) = self.piece_updates.advance(pieces.end, served.outboard.layout().pieces())
                {
                    self.requests.push_bitfield(next);
                }
                Response::Bitfield(pieces, nonce)
            }
        })
    }

    /// Drops everything in the queue, because the downloader has not answered for too long. It may ask again.
    pub(super) fn drop_queued(&mut self) {
        self.requests.clear();
        self.piece_updates.stop();
    }

    /// The burst that answers `request`.
    fn burst(
        &mut self,
        request: &RangeRequest,
        served: &ServedContent,
        breaker: &mut CircuitBreaker,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Burst {
        let range = request.range;
        let (source, start) = match served.outboard.layout().span(range.piece()) {
            Some(span) => {
                self.meter.count(u64::from(range.length()), now);
                (Source::Share(self.share), span.start + u64::from(range.offset()))
            }
            None => (Source::Outboard(served.encoded_outboard.clone()), u64::from(range.offset())),
        };
        Burst {
            to: self.peer,
            source,
            start,
            length: range.length(),
            segment_size: request.segment_size,
            first: self.headers.first_of(request, now),
            no_gso: self.no_gso,
            ping: self.ping_among(request, breaker, now, rng),
        }
    }

    /// The PING among the segments that answer `request`, if a nonce is due. The PING is as long as the segments,
    /// except that the last of several may be shorter. The place of the PING is as hard to guess as its nonce.
    fn ping_among(
        &mut self,
        request: &RangeRequest,
        breaker: &mut CircuitBreaker,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Option<PingAmong> {
        let RangeRequest { range, segment_size, .. } = *request;
        let longest = u32::from(segment_size).min(range.length()) as u16;
        let size = longest.saturating_add(CHUNK_HEADER as u16).max(Ping::MIN_SIZE);
        let nonce = self.challenge.on_sent(breaker, range.length(), size, now, rng)?;
        let before = (nonce % u64::from(range.segments(segment_size))) as u8;
        Some(PingAmong { ping: Ping { nonce, size }, before })
    }

    /// The status of the session, for screens. The content has `length` bytes.
    pub(super) fn status(&self, standing: UploadStanding, length: u64, now: Timestamp) -> UploadStatus {
        UploadStatus {
            node: self.node,
            peer: self.peer,
            content: self.content,
            sent: self.meter.total(),
            rate: self.meter.rate(now),
            queued: self.requests.len(),
            standing,
            piece: self.begun.latest(),
            length,
            channel: ChannelStatus::default(),
        }
    }
}

#[cfg(test)]
mod tests;
