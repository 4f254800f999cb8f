//! One script played to three endpoints and the strangers between them, and what must hold after each datagram: only
//! what was said is opened, once, by whom it was said to; whoever has not proven its address gets no more than it sent;
//! no datagram makes anybody allocate much, and what is kept is bounded.

use std::net::SocketAddr;
use std::time::Duration;

use channel::{
    ChannelCounters, ChannelSettings, Channels, Policy, Received, Role, SEALED_CHUNK_PREFIX, StaticKey,
    Suite, SwarmSecret, TAG_LENGTH,
};
use messages::limits::CONTROL_DATAGRAM;
use messages::{BootEpoch, ChunkHeader, Conversation, HEADER_LENGTH, Header, Kind, PieceIndex, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::heap;
use crate::script::Script;

/// The most steps of one script that are played.
const MAX_STEPS: usize = 400;
/// The hub, with which all the others talk.
const HUB: usize = 1;
/// Endpoints: the first and the last talk with the hub.
const SIDES: usize = 3;
/// So few that a script runs into the limit.
const MAX_CHANNELS: usize = 3;
/// Strangers' addresses.
const STRANGERS: usize = 3;
/// Heap bytes that one datagram may need for a moment: a handshake's state, and what waited for it to be over.
const HEAP_A_DATAGRAM: isize = 64 << 10;
/// Heap bytes that one endpoint may keep: its channels, and its attempts with what waits for them.
const HEAP_AN_ENDPOINT: isize = 64 << 10;

/// The kinds of a channel, and how long their datagrams are; a SEALED one may have any length.
const KINDS: [(Kind, usize); 6] = [
    (Kind::Knock, 80),
    (Kind::Cookie, 80),
    (Kind::Initiate, CONTROL_DATAGRAM),
    (Kind::Accept, 78),
    (Kind::Sealed, 60),
    (Kind::Unknown, 24),
];

/// What happened in a script, so that a test can tell that scripts reach everything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) opened: u32,
    pub(crate) greeted: u32,
    pub(crate) forged: u64,
    pub(crate) replayed: u64,
    pub(crate) refused: u64,
    /// Channels that were given up because the other side has said that it does not know them.
    pub(crate) given_up: u32,
}

/// What somebody has said, and whether it was heard.
struct Said {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
    /// Of a sealed one: what it says.
    inner: Option<Vec<u8>>,
    was_heard: bool,
}

struct Play<'a> {
    script: Script<'a>,
    now: Timestamp,
    lives: u8,
    sides: Vec<Channels>,
    /// Everything on the wire so far.
    wire: Vec<Said>,
    /// Which of it has not been delivered yet.
    pending: Vec<usize>,
    /// What was to be said, in whatever form it left.
    spoken: Vec<Vec<u8>>,
    rng: StdRng,
    seen: Seen,
}

/// Plays `bytes`, and panics when something does not hold.
pub(crate) fn hold(bytes: &[u8]) -> Seen {
    let mut play = Play::new(bytes);
    let before = heap::held();
    for _ in 0..MAX_STEPS {
        if play.script.is_over() {
            break;
        }
        play.step();
    }
    play.seen.add(&play.sides);
    let Play { sides, wire, pending, spoken, seen, .. } = play;
    drop((wire, pending, spoken));
    let kept = heap::held() - before;
    assert!(kept <= HEAP_AN_ENDPOINT * SIDES as isize, "{kept} bytes are kept");
    drop(sides);
    seen
}

impl Seen {
    fn add(&mut self, sides: &[Channels]) {
        for ChannelCounters { forged, replayed, refused, .. } in sides.iter().map(Channels::counters) {
            self.forged += forged;
            self.replayed += replayed;
            self.refused += refused;
        }
    }
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + side as u8], 4000))
}

fn stranger(which: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1 + which as u8], 5000))
}

fn endpoint(side: usize, life: u8) -> Channels {
    let suite = if side == 0 { Suite::Aes128Gcm } else { Suite::preferred() };
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([0x20 * (side as u8 + 1); 32]),
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role: if side == HUB { Role::Tracker } else { Role::Node },
        max_channels: MAX_CHANNELS,
        max_channels_per_host: 2,
        epoch: BootEpoch(1_800_000_000_000 + u64::from(life)),
        secret: [side as u8 * 50 + life % 50; 32],
        suite,
    })
}

impl<'a> Play<'a> {
    fn new(bytes: &'a [u8]) -> Play<'a> {
        Play {
            script: Script::new(bytes),
            now: Timestamp::ZERO + Duration::from_secs(1000),
            lives: 0,
            sides: (0..SIDES).map(|side| endpoint(side, 0)).collect(),
            wire: Vec::new(),
            pending: Vec::new(),
            spoken: Vec::new(),
            rng: StdRng::seed_from_u64(1),
            seen: Seen::default(),
        }
    }

    fn step(&mut self) {
        match self.script.below(16) {
            0..=3 => self.say(),
            4..=9 => self.deliver_pending(),
            10 | 11 => self.replay(),
            12 | 13 => self.forge(),
            14 => {
                let steps = [20, 100, 500, 1000, 11_000, 25_000, 130_000];
                self.now += Duration::from_millis(*self.script.pick(&steps).unwrap_or(&20));
            }
            _ => self.other(),
        }
    }

    /// Somebody says something.
    fn say(&mut self) {
        let (from, to) = self.speaker();
        let kinds = [Kind::Hello, Kind::Ping, Kind::Have, Kind::Register];
        let kind = *self.script.pick(&kinds).unwrap_or(&Kind::Ping);
        let conversation = if from != HUB && self.script.coin() {
            self.sides[from].draw_conversation(address(to), |_| true, &mut self.rng, self.now)
        } else {
            Conversation(self.script.half().into())
        };
        let mut datagram = Header { kind, conversation }.encode().to_vec();
        datagram.extend_from_slice(self.script.bytes());
        if self.script.coin() {
            datagram.resize(CONTROL_DATAGRAM, 0);
        }
        self.spoken.push(datagram.clone());
        let mut sealed = Vec::new();
        let is_sealed = self.sides[from].seal(address(to), &datagram, self.now, &mut sealed);
        assert_eq!(is_sealed, !sealed.is_empty());
        self.collect(from, to);
        if is_sealed {
            self.put(Said { from, to, bytes: sealed, inner: Some(datagram), was_heard: false });
        }
    }

    /// Who says something, and to whom.
    fn speaker(&mut self) -> (usize, usize) {
        let other = if self.script.coin() { 0 } else { SIDES - 1 };
        if self.script.coin() { (HUB, other) } else { (other, HUB) }
    }

    fn put(&mut self, said: Said) {
        self.pending.push(self.wire.len());
        self.wire.push(said);
    }

    /// What the handshakes of `from` have to say, which is all to `to`.
    fn collect(&mut self, from: usize, to: usize) {
        for (at, bytes) in self.sides[from].take_outbox() {
            assert_eq!(at, address(to), "said to nobody else");
            self.put(Said { from, to, bytes, inner: None, was_heard: false });
        }
    }

    fn deliver_pending(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        // Mostly in order.
        let which = if self.script.below(4) == 0 { self.script.below(self.pending.len()) } else { 0 };
        let which = self.pending.remove(which);
        let Said { from, to, bytes, .. } = &self.wire[which];
        let (from, to, bytes) = (*from, *to, bytes.clone());
        if self.script.below(8) != 0 {
            self.arrive(to, address(from), bytes);
        }
    }

    /// Something comes again, from anywhere, to anybody, whole or damaged.
    fn replay(&mut self) {
        let Some(said) = self.script.pick(&self.wire) else { return };
        let (bytes, from, to) = (said.bytes.clone(), said.from, said.to);
        let bytes = self.script.damage(&bytes);
        let (from, to) = match self.script.below(4) {
            0 => (stranger(self.script.below(STRANGERS)), to),
            1 => (address(self.script.below(SIDES)), self.script.below(SIDES)),
            _ => (address(from), to),
        };
        self.arrive(to, from, bytes);
    }

    /// A stranger makes something up, with a number that it may have overheard.
    fn forge(&mut self) {
        let &(kind, length) = self.script.pick(&KINDS).unwrap_or(&KINDS[0]);
        let overheard =
            self.script.pick(&self.wire).and_then(|said| said.bytes.get(4..HEADER_LENGTH)?.try_into().ok());
        let conversation = Conversation(overheard.map_or(0, u32::from_le_bytes));
        let mut bytes = Header { kind, conversation }.encode().to_vec();
        bytes.extend_from_slice(self.script.bytes());
        bytes.resize(if self.script.coin() { length } else { bytes.len() }, 0);
        let from = if self.script.coin() {
            address(self.script.below(SIDES))
        } else {
            stranger(self.script.below(STRANGERS))
        };
        let to = self.script.below(SIDES);
        self.arrive(to, from, bytes);
    }

    fn other(&mut self) {
        match self.script.below(4) {
            0 => {
                // Another life, which knows nothing of the one before.
                let side = self.script.below(SIDES);
                self.seen.add(&self.sides[side..=side]);
                self.lives = self.lives.wrapping_add(1);
                self.sides[side] = endpoint(side, self.lives);
            }
            1 => {
                let key = self.sides[HUB].node_id();
                self.sides[0].expect(address(HUB), key);
            }
            _ => self.say_chunk(),
        }
    }

    fn say_chunk(&mut self) {
        let (from, to) = self.speaker();
        let now = self.now;
        let conversation = self.sides[to].draw_conversation(address(from), |_| true, &mut self.rng, now);
        let Some(sealer) = self.sides[from].sealer(address(to), conversation) else { return };
        let chunk = ChunkHeader {
            conversation,
            sequence: 1,
            request: 2,
            piece: PieceIndex(3),
            offset: 4,
            sent_at: 5,
            index: 0,
            count: 1,
            hold: 6,
        };
        let payload = vec![self.script.byte(); 1 + self.script.below(1200)];
        let mut frame = vec![0; SEALED_CHUNK_PREFIX];
        frame.extend_from_slice(&payload);
        frame.resize(frame.len() + TAG_LENGTH, 0);
        sealer.seal_chunk(&chunk, &mut frame);
        let inner = [&chunk.encode()[..], &payload].concat();
        self.put(Said { from, to, bytes: frame, inner: Some(inner), was_heard: false });
    }

    /// A datagram arrives at `side`, and what must hold holds.
    fn arrive(&mut self, side: usize, from: SocketAddr, mut bytes: Vec<u8>) {
        if !Kind::is_channel(&bytes) {
            // The layer above reads these.
            return;
        }
        // Any number of a channel may stand before its token.
        let is_token = |said: &Said| {
            said.to == side && said.bytes[3] == Kind::Unknown as u8 && said.bytes[8..] == bytes[8..]
        };
        let is_true_token = bytes.len() > HEADER_LENGTH && self.wire.iter().any(is_token);
        let of_sender =
            |said: &&mut Said| said.to == side && address(said.from) == from && said.bytes == bytes;
        let said = self.wire.iter_mut().find(of_sender);
        let (length, kind) = (bytes.len(), bytes[3]);
        let had_channel = self.sides[side].peer(from).is_some();
        let (sides, now) = (&mut self.sides, self.now);
        let (received, peak) = heap::peak_of(|| sides[side].handle(from, &mut bytes, now));
        assert!(peak <= HEAP_A_DATAGRAM, "{length} bytes made it need {peak}");
        let is_true = said.is_some();
        match received {
            Received::Opened { range, peer } => {
                let said = said.expect("what is opened was said, by whom it came from");
                assert_eq!(said.inner.as_ref(), Some(&bytes[range].to_vec()), "as it was said");
                assert!(!std::mem::replace(&mut said.was_heard, true), "once");
                assert_eq!(peer, sides[said.from].node_id());
                self.seen.opened += 1;
            }
            Received::Greeted { early, peer } => {
                // The same handshake is heard until its channel is used: the answers may be lost. With an ACCEPT comes
                // what has overtaken it.
                let greeter = said.expect("who has greeted was there").from;
                let was_said = |datagram: &Vec<u8>| {
                    self.spoken.contains(datagram)
                        || self.wire.iter().any(|said| said.inner.as_ref() == Some(datagram))
                };
                assert!(early.iter().all(was_said), "as it was said");
                assert_eq!(peer, sides[greeter].node_id());
                self.seen.greeted += 1;
            }
            Received::Answered | Received::Nothing => {}
        }
        let was_given_up = kind == Kind::Unknown as u8 && had_channel && sides[side].peer(from).is_none();
        assert!(!was_given_up || is_true_token, "only the other side says that it does not know a channel");
        self.seen.given_up += u32::from(was_given_up);
        assert!(sides[side].len() <= MAX_CHANNELS);
        let answers = sides[side].take_outbox();
        assert!(answers.iter().all(|(to, _)| *to == from), "an answer goes to whoever asked");
        // Who answers with the right cookie, or with the handshake, was asked by this side and has proven its address.
        let is_proof = is_true && (kind == Kind::Cookie as u8 || kind == Kind::Accept as u8);
        let said: usize = answers.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(is_proof || said <= length, "{said} bytes in answer to {length} of kind {kind:#x}");
        if let Some(to) = (0..SIDES).find(|&to| address(to) == from) {
            for (_, bytes) in answers {
                let is_sealed = bytes[3] == Kind::Sealed as u8;
                // What waited for the handshake leaves sealed with it; which of it this is, is not known here.
                let said = Said { from: side, to, bytes, inner: None, was_heard: false };
                if is_sealed { self.put_waiting(said) } else { self.put(said) }
            }
        }
    }

    /// Delivers what waited at once, since what it says is only known as one of what was spoken.
    fn put_waiting(&mut self, said: Said) {
        let Said { from, to, mut bytes, .. } = said;
        if let Received::Opened { range, peer } = self.sides[to].handle(address(from), &mut bytes, self.now) {
            assert!(self.spoken.iter().any(|spoken| spoken[..] == bytes[range.clone()]));
            assert_eq!(peer, self.sides[from].node_id());
        }
        self.collect(to, from);
    }
}
