//! The exact bytes of a whole exchange with fixed keys, chance and time, in each suite: `known_answers.txt`. No change of
//! the layout, of the handshake or of the key schedule goes unseen.
//!
//! Chance comes from `rand`'s `StdRng`, which another major version may change: nonces, numbers and ephemeral keys are
//! others then, and all that follows from them. The key schedule alone is held in `src/direction/tests.rs`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use channel::{
    ChannelSettings, Channels, Policy, Received, Role, SEALED_CHUNK_PREFIX, StaticKey, Suite, SwarmSecret,
    TAG_LENGTH,
};
use messages::{BootEpoch, ChunkHeader, Conversation, Header, Kind, PieceIndex, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const KNOWN: &str = include_str!("known_answers.txt");
const NODE: usize = 0;
const OWNER: usize = 1;

/// What is said in order, each with its name.
struct Exchange {
    now: Timestamp,
    suite: Suite,
    sides: [Channels; 2],
    text: String,
}

fn address(side: usize) -> SocketAddr {
    [SocketAddr::from(([192, 0, 2, 1], 4001)), SocketAddr::from(([192, 0, 2, 2], 4002))][side]
}

fn settings(side: usize, suite: Suite) -> ChannelSettings {
    ChannelSettings {
        key: StaticKey::from_secret([0x11 * (side as u8 + 1); 32]),
        swarm: SwarmSecret::from_bytes([0x5a; 32]),
        policy: Policy::SEALED,
        role: Role::Node,
        max_channels: 8,
        max_channels_per_host: 8,
        epoch: BootEpoch(1_800_000_000_000),
        secret: [0xa0 + side as u8; 32],
        suite,
    }
}

fn datagram(kind: Kind, conversation: Conversation, body: &[u8]) -> Vec<u8> {
    let mut bytes = Header { kind, conversation }.encode().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

impl Exchange {
    fn new(suite: Suite) -> Exchange {
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        let sides = [NODE, OWNER].map(|side| Channels::new(settings(side, suite)));
        Exchange { now, suite, sides, text: format!("== {} ==\n", suite.name()) }
    }

    /// Writes what `side` says down.
    fn note(&mut self, name: &str, bytes: &[u8]) {
        let _ = writeln!(self.text, "{name} ({} bytes)", bytes.len());
        for line in bytes.chunks(32) {
            let digits: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(self.text, "  {digits}");
        }
    }

    /// The one datagram that the handshake has to say.
    fn handshake(&mut self, side: usize, name: &str) -> Vec<u8> {
        let mut outbox = self.sides[side].take_outbox();
        assert_eq!(outbox.len(), 1, "{name} and nothing else");
        let (_, bytes) = outbox.remove(0);
        self.note(name, &bytes);
        bytes
    }

    /// `side` says `datagram` over the channel.
    fn seal(&mut self, side: usize, name: &str, datagram: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        assert!(self.sides[side].seal(address(1 - side), datagram, self.now, &mut sealed), "{name}");
        self.note(name, &sealed);
        sealed
    }

    fn take(&mut self, side: usize, mut bytes: Vec<u8>) -> Vec<u8> {
        match self.sides[side].handle(address(1 - side), &mut bytes, self.now) {
            Received::Opened { range, .. } => bytes[range].to_vec(),
            Received::Greeted { early, .. } => early.concat(),
            Received::Answered | Received::Nothing => Vec::new(),
        }
    }

    fn run(mut self) -> String {
        let owner = self.sides[OWNER].node_id();
        self.sides[NODE].expect(address(OWNER), owner);
        let mut rng = StdRng::seed_from_u64(17);
        let now = self.now;
        let session = self.sides[NODE].draw_conversation(address(OWNER), |_| true, &mut rng, now);
        let mut hello = datagram(Kind::Hello, session, b"which pieces are there?");
        hello.resize(1200, 0);
        assert!(!self.sides[NODE].seal(address(OWNER), &hello, now, &mut Vec::new()));
        let knock = self.handshake(NODE, "KNOCK");
        self.take(OWNER, knock);
        let cookie = self.handshake(OWNER, "COOKIE");
        self.take(NODE, cookie);
        let initiate = self.handshake(NODE, "INITIATE with a HELLO");
        assert_eq!(self.take(OWNER, initiate), hello);
        let accept = self.handshake(OWNER, "ACCEPT");
        self.take(NODE, accept);
        let ping = datagram(Kind::Ping, session, &[0x33; 10]);
        let sealed = self.seal(OWNER, "SEALED: PING of a session of the channel", &ping);
        assert_eq!(self.take(NODE, sealed), ping);
        let other = datagram(Kind::Pong, Conversation(0x0102_0304), &[0x44; 8]);
        let sealed = self.seal(NODE, "SEALED: PONG of another conversation", &other);
        assert_eq!(self.take(OWNER, sealed), other);
        let chunk = ChunkHeader {
            conversation: session,
            sequence: 1,
            request: 2,
            piece: PieceIndex(3),
            offset: 4,
            sent_at: 5,
            index: 6,
            count: 7,
            hold: 8,
        };
        let mut frame = vec![0x77; SEALED_CHUNK_PREFIX + 100 + TAG_LENGTH];
        let sealer =
            self.sides[OWNER].sealer(address(NODE), session).expect("it is a session of the channel");
        sealer.seal_chunk(&chunk, &mut frame);
        self.note("SEALED: CHUNK with 100 bytes", &frame);
        let opened = self.take(NODE, frame);
        assert_eq!(ChunkHeader::decode(&opened), Ok((chunk, &[0x77; 100][..])));
        // The owner begins another life with the same key, in the open swarm: in a closed one it would not answer.
        let another_life = ChannelSettings { swarm: SwarmSecret::open(), ..settings(OWNER, self.suite) };
        self.sides[OWNER] = Channels::new(another_life);
        let lost = self.seal(NODE, "SEALED: PONG of a channel that is forgotten", &other);
        self.take(OWNER, lost);
        let unknown = self.handshake(OWNER, "UNKNOWN");
        self.take(NODE, unknown);
        // Only in the open swarm is it believed: a stranger can ask for it there.
        assert!(!self.sides[NODE].is_empty(), "a member of a closed swarm believes no UNKNOWN");
        self.text
    }
}

#[test]
fn every_byte_of_an_exchange_is_known() {
    let text: String =
        [Suite::Aes128Gcm, Suite::ChaCha20Poly1305].map(|suite| Exchange::new(suite).run()).concat();
    assert!(text == KNOWN, "known_answers.txt says something else than this:\n{text}");
}
