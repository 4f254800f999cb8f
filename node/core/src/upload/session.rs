//! One downloader being served: what it asked for, in order, and its turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use messages::limits::MAX_PROBE_SIZES;
use messages::node_to_node::{APART, ByteRange, HINTS, Hello, Ping, Probe, Probed, Request};
use messages::{
    CHUNK_HEADER, ChunkHeader, ContentId, Conversation, HOLD_UNIT_MICROS, Layout, Manifest, NodeId,
    PieceIndex, Timestamp,
};
use rand::rngs::StdRng;

use super::challenge::Challenge;
use super::circuit_breaker::CircuitBreaker;
use super::piece_updates::{self, PieceUpdates};
use crate::ids::ShareId;
use crate::meter::Meter;
use crate::output::{Burst, PingAmong, Source};
use crate::status::{UploadStanding, UploadStatus};

/// Requests further back than this are taken for repeated ones.
const REMEMBERED_REQUESTS: u32 = 128;

/// So many begun pieces of a session are remembered.
const MAX_BEGUN: usize = 32;

/// Why a range is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was asked for before.
    Seen,
    /// The content has no such bytes.
    NoSuchRange,
    /// There is enough to do.
    QueueFull,
    /// Others are served for now.
    NoPlace,
}

/// Something that was asked for and waits for its turn.
#[derive(Debug)]
enum Queued {
    Range {
        request: u32,
        range: ByteRange,
        segment: u16,
        since: Timestamp,
    },
    Probe(Probed),
    /// Which of these pieces are here.
    Bits(Range<u32>),
}

impl Queued {
    /// What it takes of a turn, in bytes.
    fn length(&self) -> u32 {
        match self {
            Queued::Range { range, .. } => range.length(),
            Queued::Probe(probed) => probed.size.bytes().into(),
            Queued::Bits(pieces) => piece_updates::length(pieces),
        }
    }
}

/// What a session sends when it has its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Burst(Burst),
    /// And the nonce of a PING behind it, if one is due.
    Probed(Probed, Option<u64>),
    /// The nonce of a PING to who has not answered for too long.
    Ping(u64),
    /// Which of these pieces are here, and such a nonce.
    Bits(Range<u32>, Option<u64>),
}

/// One session in which this node is the owner.
#[derive(Debug)]
pub(super) struct UploadSession {
    pub(super) peer: SocketAddr,
    pub(super) theirs: Conversation,
    pub(super) share: ShareId,
    pub(super) content: ContentId,
    pub(super) node: NodeId,
    queue: VecDeque<Queued>,
    /// How many of them are probes.
    probes: usize,
    /// Whether it is told which pieces are here.
    pub(super) telling: PieceUpdates,
    /// The highest request number so far, and one bit for each of those before it.
    highest_request: Option<u32>,
    seen: u128,
    sequence: u32,
    heard_at: Timestamp,
    /// When it is looked at next: whether it is still used.
    pub(super) looked_at: Timestamp,
    in_turns: bool,
    /// Whether it is its turn just now.
    has_turn: bool,
    /// Bytes that may still be sent in this turn; the rest is kept for the next.
    deficit: u32,
    /// Whether it listens, and how fast it is sent to at most.
    challenge: Challenge,
    meter: Meter,
    /// Whether bursts are sent without offload.
    apart: bool,
    /// Pieces that it has begun, the latest last, and how many bytes of each it may still ask for: it may finish them
    /// when it has lost its place.
    begun: VecDeque<(PieceIndex, u32)>,
    /// Whether it understands HINT, and the pieces that it was pointed at and has not begun.
    takes_hints: bool,
    hinted: Vec<u32>,
    /// Whether it has asked for a piece, and when it did so last, or began.
    has_asked: bool,
    asked_at: Timestamp,
    /// Bytes that others have and that it was given first.
    spread: Meter,
    /// Pieces that it was given first.
    given_first: u32,
    /// Whether it was asked for what this node lacked, and gave nothing.
    pub(super) gave_nothing: bool,
    /// Whether it was served only if nobody else wanted to be, when places were given last.
    pub(super) is_snubbed: bool,
}

impl UploadSession {
    pub(super) fn new(
        peer: SocketAddr,
        share: ShareId,
        hello: &Hello,
        looked_at: Timestamp,
        now: Timestamp,
    ) -> UploadSession {
        UploadSession {
            peer,
            theirs: hello.conversation,
            share,
            content: hello.content,
            node: hello.node,
            queue: VecDeque::new(),
            probes: 0,
            telling: PieceUpdates::default(),
            highest_request: None,
            seen: 0,
            sequence: 0,
            heard_at: now,
            looked_at,
            in_turns: false,
            has_turn: false,
            deficit: 0,
            challenge: Challenge::new(now),
            meter: Meter::new(now),
            apart: false,
            begun: VecDeque::new(),
            takes_hints: hello.capabilities & HINTS != 0,
            hinted: Vec::new(),
            has_asked: false,
            asked_at: now,
            spread: Meter::new(now),
            given_first: 0,
            gave_nothing: false,
            is_snubbed: false,
        }
    }

    /// Others say that they have `bytes` that it was given first: that counts for no more than it was sent.
    pub(super) fn on_spread(&mut self, bytes: u64, now: Timestamp) {
        self.spread.count(bytes.min(self.sent().saturating_sub(self.spread.total())), now);
    }

    /// Bytes a second that others lately had from it, of what it was given here.
    pub(super) fn spread_rate(&self, now: Timestamp) -> u64 {
        self.spread.rate(now)
    }

    /// It is given a piece that nobody else has.
    pub(super) fn on_given_first(&mut self) {
        self.given_first += 1;
    }

    /// Whether it gave nothing when it was asked, or was given so many pieces first and nobody has any of them from it.
    pub(super) fn keeps_all(&self, pieces: u32) -> bool {
        self.gave_nothing || (self.spread.total() == 0 && self.given_first >= pieces)
    }

    /// It asks for a piece; whether for the first time.
    pub(super) fn on_asked_for_piece(&mut self, now: Timestamp) -> bool {
        self.asked_at = now;
        !std::mem::replace(&mut self.has_asked, true)
    }

    /// When it asked for a piece last, or began.
    pub(super) fn asked_at(&self) -> Timestamp {
        self.asked_at
    }

    pub(super) fn on_heard(&mut self, now: Timestamp) {
        self.heard_at = now;
    }

    /// What HELLO says that the downloader can do or wants; what is granted.
    pub(super) fn grant(&mut self, capabilities: u32) -> u32 {
        self.apart = capabilities & APART != 0;
        self.takes_hints = capabilities & HINTS != 0;
        capabilities & (APART | HINTS)
    }

    pub(super) fn heard_at(&self) -> Timestamp {
        self.heard_at
    }

    /// Bytes of file sent.
    pub(super) fn sent(&self) -> u64 {
        self.meter.total()
    }

    pub(super) fn on_request(&mut self, request: &Request, backstop: &mut CircuitBreaker, now: Timestamp) {
        if request.ping_echo != 0 {
            self.on_pong(request.ping_echo, backstop, now);
        }
    }

    /// A nonce has come back.
    pub(super) fn on_pong(&mut self, nonce: u64, backstop: &mut CircuitBreaker, now: Timestamp) {
        self.challenge.on_answer(backstop, nonce, now);
    }

    /// When it may be sent something: now or before, if it may.
    pub(super) fn ready_at(&mut self, backstop: &mut CircuitBreaker, now: Timestamp) -> Timestamp {
        self.challenge.ready_at(backstop, now)
    }

    /// Puts a requested range in the queue.
    pub(super) fn queue(
        &mut self,
        request: u32,
        range: ByteRange,
        segment: u16,
        manifest: &Manifest,
        limit: usize,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.was_seen(request) {
            return Err(Refusal::Seen);
        }
        let length = match range.piece() {
            PieceIndex::MANIFEST => manifest.layout().manifest_length(),
            piece => manifest.layout().piece_length(piece),
        };
        if range.end() > length || !range.fits_burst(segment) {
            return Err(Refusal::NoSuchRange);
        }
        if self.queue.len() - self.probes - usize::from(self.telling.is_under_way()) >= limit {
            return Err(Refusal::QueueFull);
        }
        self.remember(request);
        self.begin(range, length);
        self.queue.push_back(Queued::Range { request, range, segment, since: now });
        Ok(())
    }

    /// Whether `range` needs no place: it is of the manifest, or of a piece that was begun in one.
    pub(super) fn finishes(&self, range: ByteRange) -> bool {
        let begun = |(piece, left): &(PieceIndex, u32)| *piece == range.piece() && *left >= range.length();
        range.piece() == PieceIndex::MANIFEST || self.begun.iter().any(begun)
    }

    /// Whether it is to be pointed at more pieces: it takes hints, and all but one that it was pointed at are no longer `fresh`.
    pub(super) fn wants_hint(&self, fresh: impl Fn(u32) -> bool) -> bool {
        self.takes_hints && self.hinted.iter().filter(|piece| fresh(**piece)).count() <= 1
    }

    /// Whether it understands HINT.
    pub(super) fn takes_hints(&self) -> bool {
        self.takes_hints
    }

    /// The pieces that it was pointed at.
    pub(super) fn hinted(&mut self) -> &mut Vec<u32> {
        &mut self.hinted
    }

    /// Bytes of `range`, of a piece of so many bytes, are given.
    fn begin(&mut self, range: ByteRange, piece_length: u32) {
        let known = self.begun.iter_mut().find(|(piece, _)| *piece == range.piece());
        if let Some((_, left)) = known {
            *left = left.saturating_sub(range.length());
            return;
        }
        if self.begun.len() == MAX_BEGUN {
            self.begun.pop_front();
        }
        // Some of it is lost on the way, and asked for again.
        let left = (piece_length + piece_length / 2).saturating_sub(range.length());
        self.begun.push_back((range.piece(), left));
    }

    /// Whether something that it asked for waits to be sent to it.
    pub(super) fn is_busy(&self) -> bool {
        self.queue.len() > usize::from(self.telling.is_under_way())
    }

    /// Bytes a second that it was sent lately.
    pub(super) fn rate(&self, now: Timestamp) -> u64 {
        self.meter.rate(now)
    }

    /// Puts the answers to a PROBE in the queue, as many as may wait there: they take their turn like everything that is
    /// sent, so who asks for them again and again gets no more than by asking for ranges.
    pub(super) fn queue_probe(&mut self, probe: &Probe, most: u16) {
        let room = MAX_PROBE_SIZES - self.probes;
        let sizes = probe.sizes.iter().filter(|size| size.bytes() <= most).take(room);
        let before = self.queue.len();
        self.queue.extend(sizes.map(|&size| Queued::Probe(Probed { id: probe.id, size })));
        self.probes += self.queue.len() - before;
    }

    /// Puts the bits of `pieces` in the queue.
    pub(super) fn queue_bits(&mut self, pieces: Range<u32>) {
        self.queue.push_back(Queued::Bits(pieces));
    }

    /// The downloader no longer wants `request`.
    pub(super) fn cancel(&mut self, request: u32) {
        self.queue.retain(|queued| !matches!(queued, Queued::Range { request: of, .. } if *of == request));
    }

    /// Whether it has just got something to do, and is to get in line.
    pub(super) fn wants_turn(&mut self) -> bool {
        let wants = !self.in_turns && !self.queue.is_empty();
        self.in_turns |= wants;
        wants
    }

    /// What is next in its turn; `quantum` more bytes at the turn's start.
    pub(super) fn next_answer(
        &mut self,
        manifest: &Arc<[u8]>,
        layout: Layout,
        quantum: u32,
        now: Timestamp,
        rng: &mut StdRng,
        backstop: &mut CircuitBreaker,
    ) -> Option<Answer> {
        if self.challenge.is_deaf(now) {
            // It has not answered for too long: what it asked for is dropped, and it may ask again.
            self.queue.clear();
            self.probes = 0;
            self.telling.stop();
            return self.challenge.knock(backstop, now, rng).map(Answer::Ping);
        }
        if !std::mem::replace(&mut self.has_turn, true) {
            self.deficit += quantum;
        }
        let queued = self.queue.pop_front_if(|queued| queued.length() <= self.deficit)?;
        self.deficit -= queued.length();
        Some(match queued {
            Queued::Range { request, range, segment, since } => {
                let (source, start) = match layout.span(range.piece()) {
                    Some(span) => {
                        self.meter.count(u64::from(range.length()), now);
                        (Source::Share(self.share), span.start + u64::from(range.offset()))
                    }
                    None => (Source::Manifest(manifest.clone()), u64::from(range.offset())),
                };
                let first = self.first_header(request, range, segment, (since, now));
                let (length, ping) = (range.length(), self.ping_among(range, segment, now, rng, backstop));
                let (to, segment_size, apart) = (self.peer, segment, self.apart);
                Answer::Burst(Burst { to, source, start, length, segment_size, first, apart, ping })
            }
            Queued::Probe(probed) => {
                self.probes -= 1;
                let size = probed.size.bytes();
                let nonce = self.challenge.on_sent(backstop, size.into(), Ping::SHORTEST, now, rng);
                Answer::Probed(probed, nonce)
            }
            Queued::Bits(pieces) => {
                let nonce = self.challenge.on_sent(
                    backstop,
                    piece_updates::length(&pieces),
                    Ping::SHORTEST,
                    now,
                    rng,
                );
                let next = self.telling.next(pieces.end, layout.pieces());
                self.queue.extend(next.map(Queued::Bits));
                Answer::Bits(pieces, nonce)
            }
        })
    }

    /// The header of the first of the segments that answer what came at `since`.
    fn first_header(
        &mut self,
        request: u32,
        range: ByteRange,
        segment: u16,
        (since, now): (Timestamp, Timestamp),
    ) -> ChunkHeader {
        let count = range.segments(segment);
        let hold = now.since(since).as_micros() as u64 / HOLD_UNIT_MICROS;
        let first = ChunkHeader {
            conversation: self.theirs,
            sequence: self.sequence,
            request,
            piece: range.piece(),
            offset: range.offset(),
            sent_at: now.wire_micros(),
            index: 0,
            count: count as u8,
            hold: u16::try_from(hold).unwrap_or(u16::MAX),
        };
        self.sequence = self.sequence.wrapping_add(count);
        first
    }

    /// What goes among the segments of `range`, if a nonce is due: as long as they, the last of several apart. Before which of them is as little to be
    /// guessed as the nonce.
    fn ping_among(
        &mut self,
        range: ByteRange,
        segment: u16,
        now: Timestamp,
        rng: &mut StdRng,
        backstop: &mut CircuitBreaker,
    ) -> Option<PingAmong> {
        let longest = u32::from(segment).min(range.length()) as u16;
        let size = longest.saturating_add(CHUNK_HEADER as u16).max(Ping::SHORTEST);
        let nonce = self.challenge.on_sent(backstop, range.length(), size, now, rng)?;
        let before = (nonce % u64::from(range.segments(segment))) as u8;
        Some(PingAmong { ping: Ping { nonce, size }, before })
    }

    /// Whether its turn is over: nothing is queued, or the next range has to wait for the next turn's bytes.
    pub(super) fn ends_turn(&self) -> bool {
        self.queue.front().is_none_or(|next| next.length() > self.deficit)
    }

    /// Whether it gets in line again at the end of its turn.
    pub(super) fn stays_in_turn(&mut self) -> bool {
        self.has_turn = false;
        self.in_turns = !self.queue.is_empty();
        if !self.in_turns {
            self.deficit = 0;
        }
        self.in_turns
    }

    /// For screens.
    pub(super) fn status(&self, standing: UploadStanding, length: u64, now: Timestamp) -> UploadStatus {
        UploadStatus {
            node: self.node,
            peer: self.peer,
            content: self.content,
            sent: self.meter.total(),
            rate: self.meter.rate(now),
            queued: self.queue.len(),
            standing,
            piece: self.begun.back().map(|(piece, _)| piece.0),
            length,
        }
    }

    fn was_seen(&self, request: u32) -> bool {
        let Some(highest) = self.highest_request else {
            return false;
        };
        // Numbers wrap: what is less than half of them ahead is new.
        let ahead = request.wrapping_sub(highest).cast_signed();
        let behind = ahead.unsigned_abs();
        ahead <= 0 && (behind >= REMEMBERED_REQUESTS || self.seen >> behind & 1 == 1)
    }

    /// Remembers a request that was not seen before.
    fn remember(&mut self, request: u32) {
        let ahead = self.highest_request.map_or(0, |highest| request.wrapping_sub(highest).cast_signed());
        if ahead >= 0 {
            self.seen = self.seen.checked_shl(ahead.unsigned_abs()).unwrap_or(0) | 1;
            self.highest_request = Some(request);
        } else {
            self.seen |= 1u128.checked_shl(ahead.unsigned_abs()).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messages::node_to_node::ProbeSize;
    use messages::{Cookie, List};

    use std::cell::RefCell;

    use super::*;

    fn serving() -> (UploadSession, Manifest) {
        let hello = Hello {
            nonce: 1,
            content: ContentId::from_bytes([1; 32]),
            node: NodeId::from_bytes([2; 16]),
            conversation: Conversation(3),
            capabilities: 0,
            sent_at: 0,
            cookie: Cookie::NONE,
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let manifest = Manifest::new(300_000, [0; 32], vec![[0; 20]; 2]).expect("two pieces");
        (UploadSession::new(peer, ShareId(0), &hello, Timestamp::NEVER, Timestamp::ZERO), manifest)
    }

    fn range(piece: u32, offset: u32, length: u32) -> ByteRange {
        ByteRange::new(PieceIndex(piece), offset, length).expect("a range")
    }

    fn ask(
        serving: &mut UploadSession,
        manifest: &Manifest,
        request: u32,
        range: ByteRange,
    ) -> Result<(), Refusal> {
        serving.queue(request, range, 1168, manifest, 4, Timestamp::ZERO)
    }

    #[test]
    fn a_request_is_answered_once_whatever_the_order() {
        let (mut serving, manifest) = serving();
        for request in [u32::MAX, 1, 0] {
            assert_eq!(ask(&mut serving, &manifest, request, range(0, 0, 1000)), Ok(()));
        }
        for request in [0, 1, u32::MAX, 1u32.wrapping_sub(200)] {
            assert_eq!(ask(&mut serving, &manifest, request, range(0, 0, 1000)), Err(Refusal::Seen));
        }
    }

    #[test]
    fn what_is_half_of_all_numbers_ahead_is_new_and_beyond_that_is_old() {
        let half = 1u32 << 31;
        for (request, answer) in [
            (half, Ok(())),
            (half + 1, Err(Refusal::Seen)),
            (half + 2, Err(Refusal::Seen)),
            (u32::MAX - 200, Err(Refusal::Seen)),
        ] {
            let (mut serving, manifest) = serving();
            ask(&mut serving, &manifest, 1, range(0, 0, 1000)).expect("room");
            assert_eq!(ask(&mut serving, &manifest, request, range(0, 0, 1000)), answer, "{request}");
        }
    }

    #[test]
    fn what_the_content_does_not_have_is_refused() {
        let (mut serving, manifest) = serving();
        let last = manifest.layout().piece_length(PieceIndex(1));
        assert_eq!(ask(&mut serving, &manifest, 1, range(1, last - 10, 11)), Err(Refusal::NoSuchRange));
        assert_eq!(ask(&mut serving, &manifest, 1, range(2, 0, 1)), Err(Refusal::NoSuchRange));
        let beyond = ByteRange::new(PieceIndex::MANIFEST, 80, 10).expect("a range");
        assert_eq!(ask(&mut serving, &manifest, 1, beyond), Err(Refusal::NoSuchRange));
        assert_eq!(ask(&mut serving, &manifest, 1, range(1, last - 10, 10)), Ok(()));
    }

    #[test]
    fn a_full_queue_says_so_and_the_request_may_come_again() {
        let (mut serving, manifest) = serving();
        for request in 1..=4 {
            ask(&mut serving, &manifest, request, range(0, 0, 1000)).expect("room");
        }
        assert_eq!(ask(&mut serving, &manifest, 5, range(0, 0, 1000)), Err(Refusal::QueueFull));
        serving.cancel(2);
        assert_eq!(ask(&mut serving, &manifest, 5, range(0, 0, 1000)), Ok(()));
    }

    #[test]
    fn who_asks_for_probes_without_end_gets_no_more_than_its_turns_and_has_to_listen() {
        use rand::SeedableRng as _;
        let (mut serving, manifest) = serving();
        let encoded: Arc<[u8]> = manifest.encode().into();
        let mut rng = StdRng::seed_from_u64(1);
        let size = |bytes| ProbeSize::new(bytes).expect("a size");
        let probe = Probe { id: 1, sizes: List::first_of([size(65_507); MAX_PROBE_SIZES]) };
        let (mut now, mut sent, mut pings) = (Timestamp::ZERO, 0, 0);
        let mut backstop = CircuitBreaker::new(now);
        for turn in 1..10_000u64 {
            now += Duration::from_millis(1);
            (0..3).for_each(|_| serving.queue_probe(&probe, 65_507));
            assert!(serving.queue.len() <= MAX_PROBE_SIZES + 4, "no more than that wait, and four ranges");
            ask(&mut serving, &manifest, turn as u32, range(0, 0, 1000)).ok();
            if serving.ready_at(&mut backstop, now) > now {
                continue;
            }
            while let Some(answer) =
                serving.next_answer(&encoded, manifest.layout(), 1 << 16, now, &mut rng, &mut backstop)
            {
                match answer {
                    Answer::Probed(_, nonce) => {
                        sent += 65_507;
                        pings += u64::from(nonce.is_some());
                    }
                    Answer::Burst(burst) => {
                        sent += 1000;
                        pings += u64::from(burst.ping.is_some());
                    }
                    Answer::Bits(..) => unreachable!("nobody asked which pieces are here"),
                    Answer::Ping(_) => break,
                }
            }
            serving.stays_in_turn();
            assert!(sent <= turn << 16, "{sent} bytes in {turn} turns");
        }
        assert!(pings >= 60, "it is asked {pings} times whether it listens, in {sent} bytes");
        // It answers nothing for three seconds, at most 64 KiB in each millisecond; then what waits is dropped.
        assert!(sent <= 3_100 << 16, "{sent} bytes to who does not answer");
        assert!(serving.queue.is_empty() && serving.probes == 0);
        serving.queue_probe(&Probe { id: 2, sizes: List::first_of([size(9000)]) }, 1500);
        assert!(serving.queue.is_empty(), "longer than this owner sends");
    }

    #[test]
    fn a_downloader_that_does_not_answer_is_sent_nothing_more() {
        use rand::SeedableRng as _;
        let (mut serving, manifest) = serving();
        let encoded: Arc<[u8]> = manifest.encode().into();
        let mut rng = StdRng::seed_from_u64(1);
        let backstop = RefCell::new(CircuitBreaker::new(Timestamp::ZERO));
        let mut answer = |serving: &mut UploadSession, request, now| {
            let mut backstop = backstop.borrow_mut();
            ask(serving, &manifest, request, range(0, 0, 1000)).expect("room");
            let answer =
                serving.next_answer(&encoded, manifest.layout(), 1 << 16, now, &mut rng, &mut backstop);
            serving.stays_in_turn();
            answer
        };
        let mut now = Timestamp::ZERO + Duration::from_secs(10);
        let mut request = 0;
        let last = loop {
            request += 1;
            now += Duration::from_millis(100);
            match answer(&mut serving, request, now) {
                Some(Answer::Burst(_)) => {}
                other => break other,
            }
        };
        let seconds = now.since(Timestamp::ZERO).as_secs();
        assert!((13..=14).contains(&seconds), "{last:?} after {seconds} s");
        let knocked =
            (0..10).find_map(|tries| answer(&mut serving, 1000 + tries, now + Duration::from_millis(600)));
        let Some(Answer::Ping(nonce)) = knocked else { panic!("{knocked:?}") };
        serving.on_pong(nonce ^ 1, &mut backstop.borrow_mut(), now);
        assert_eq!(answer(&mut serving, 2000, now + Duration::from_millis(700)), None, "no nonce of its own");
        serving.on_pong(nonce, &mut backstop.borrow_mut(), now + Duration::from_millis(700));
        assert!(matches!(
            answer(&mut serving, 2001, now + Duration::from_millis(700)),
            Some(Answer::Burst(_))
        ));
    }
}
