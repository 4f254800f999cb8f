//! Strangers' datagrams at every port during a transfer: they change nothing.
#![expect(clippy::disallowed_types, reason = "strangers have sockets")]

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use messages::node_to_node::Hello;
use messages::{ContentId, Conversation, Cookie, Datagram, NodeId, NodeToNode};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::programs::{Program, pause};
use crate::relay::{Captured, Relay};
use crate::scene::{MIB, PIECE, Scene, says};

const LENGTH: usize = 6 * MIB;
/// Ports that a stranger uses.
const PORTS: usize = 200;
/// The bytes by which the memory of a program may grow under the flood: what a download may use (below) and a little.
const GROWTH: u64 = 24 << 20;
const SETTINGS: &str = "[download]\nmemory = \"16MiB\"\n";
/// The least that the owner must have refused, of what is malformed and of what fits nothing, for this to mean
/// something.
const MIN: u64 = 500;

/// A stranger with many ports who has recorded every datagram.
struct Stranger {
    rng: StdRng,
    sockets: Vec<UdpSocket>,
    captured: Vec<Captured>,
    content: ContentId,
}

impl Stranger {
    fn new(captured: Vec<Captured>) -> Stranger {
        let content = captured.iter().find_map(|one| match Datagram::decode(&one.bytes) {
            Ok(Datagram::Peer(_, NodeToNode::Hello(hello))) => Some(hello.content),
            _ => None,
        });
        let content = content.expect("a HELLO was passed on");
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            socket.set_nonblocking(true).expect("does not wait");
            socket
        };
        let sockets = (0..PORTS).map(socket).collect();
        Stranger { rng: StdRng::seed_from_u64(3), sockets, captured, content }
    }

    /// One round at `to`: every kind of junk once.
    fn annoy(&mut self, to: SocketAddr) {
        let mut bytes = vec![0; self.rng.random_range(0..1500)];
        self.rng.fill_bytes(&mut bytes);
        self.send(&bytes, to);
        // A header that is right, and chance behind it.
        let example = self.example();
        if bytes.len() > 8 {
            bytes[..3].copy_from_slice(&example.bytes[..3]);
            bytes[3] = self.rng.random_range(0..48);
            self.send(&bytes, to);
        }
        let cut = self.rng.random_range(0..example.bytes.len());
        self.send(&example.bytes[..cut], to);
        let mut other = example.bytes.clone();
        other[2] ^= self.rng.random_range(1..=255u8);
        self.send(&other, to);
        let mut flipped = self.example().bytes;
        let at = self.rng.random_range(0..flipped.len());
        flipped[at] ^= 1 << self.rng.random_range(0..8);
        self.send(&flipped, to);
        let replayed = self.example().bytes;
        self.send(&replayed, to);
        let mut longer = replayed;
        longer.extend_from_slice(&bytes[..bytes.len().min(32)]);
        self.send(&longer, to);
        let hello = self.hello(Cookie::NONE);
        self.send(&hello, to);
        // From the address that the receiver knows, to whom it was said: late, and again and again.
        let late = self.example();
        if late.to == to {
            late.replay();
        }
    }

    /// Finishes the handshakes of those ports that were given a cookie, and then is silent.
    fn half_open(&mut self) {
        let mut buffer = [0; 2048];
        for index in 0..self.sockets.len() {
            while let Ok((length, from)) = self.sockets[index].recv_from(&mut buffer) {
                if let Ok(Datagram::Peer(_, NodeToNode::Retry(retry))) = Datagram::decode(&buffer[..length]) {
                    let hello = self.hello(retry.cookie);
                    let _ = self.sockets[index].send_to(&hello, from);
                }
            }
        }
    }

    fn hello(&mut self, cookie: Cookie) -> Vec<u8> {
        let conversation = Conversation(self.rng.random());
        let hello = Hello {
            nonce: self.rng.random(),
            content: self.content,
            node: NodeId::from_bytes(self.rng.random()),
            conversation,
            capabilities: 0,
            sent_at: 0,
            cookie,
        };
        let mut bytes = Vec::new();
        messages::encode(conversation, &hello, &mut bytes);
        bytes
    }

    fn example(&mut self) -> Captured {
        let index = self.rng.random_range(0..self.captured.len());
        self.captured[index].clone()
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) {
        let index = self.rng.random_range(0..self.sockets.len());
        let _ = self.sockets[index].send_to(bytes, to);
    }
}

/// The memory of its own that a program has in use, in bytes.
fn memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse().ok());
    kilobytes.unwrap_or(0u64) << 10
}

#[test]
fn a_flood_of_junk_at_every_port_changes_nothing() {
    let mut scene = Scene::new();
    scene.settings(SETTINGS);
    scene.file("one", "film.bin", LENGTH);
    let tracker: SocketAddr = scene.address.parse().expect("an address");
    let relay = Relay::new(tracker);
    scene.address = relay.address();
    let mut owner = scene.owner("one", &["film.bin"], &["--id", "owner"]);
    let [owner_address] = relay.nodes()[..] else { panic!("one node has spoken") };
    // A whole download from start to end, so that there is something of everything to say again.
    scene.fetch("film.bin", LENGTH);
    std::fs::remove_file(scene.saved.join("film.bin")).expect("saved");
    let gone = relay.nodes();

    // Another node than the one before, which would have its port.
    // What it says while it goes on would name its owner too.
    let flooded = ["film.bin", "--download-limit", "2MiB", "--id", "flooded", "--progress", "none"];
    let mut download = scene.download(&flooded);
    scene.wait_for_pieces("film.bin", 1);
    let downloader = relay.nodes().into_iter().find(|node| !gone.contains(node)).expect("it has spoken");
    let mut stranger = Stranger::new(relay.captured());
    let targets = [tracker, owner_address, downloader];
    let before = [&scene.tracker, &owner, &download].map(memory);
    let mut most = before;
    let mut rounds = 0u64;
    while download.is_alive() && scene.pieces("film.bin") < LENGTH / PIECE {
        targets.into_iter().for_each(|to| stranger.annoy(to));
        rounds += 1;
        if rounds.is_multiple_of(16) {
            stranger.half_open();
            stranger.captured = relay.captured();
            let now = [&scene.tracker, &owner, &download].map(memory);
            most = std::array::from_fn(|index| most[index].max(now[index]));
            // The flood is one of strangers, not of this machine's two cores.
            pause(Duration::from_millis(10));
        }
    }
    let said = scene.arrives(download, "film.bin", LENGTH);
    assert!(!says(&said, "owner") && !says(&said, "verify"), "nothing was noticed: {said:#?}");
    for (before, most) in before.into_iter().zip(most) {
        assert!(most <= before + GROWTH, "memory grew from {before} to {most} bytes");
    }
    assert!(owner.is_alive() && scene.tracker.is_alive());
    scene.fetch("film.bin", LENGTH);

    owner.interrupt();
    owner.end();
    let log = std::fs::read_to_string(scene.place.path().join("logs/node-owner.log")).expect("a log");
    let number = |line: &str, name: &str| -> u64 {
        let digits = line.rsplit(name).next().expect("named").split(|c: char| !c.is_ascii_digit());
        digits.into_iter().next().and_then(|digits| digits.parse().ok()).expect("a number")
    };
    let counted = log.lines().rfind(|line| line.contains("undecodable=")).expect("counted");
    for refused in ["undecodable=", "unexpected="] {
        assert!(number(counted, refused) >= MIN, "no flood: {counted}");
    }
    // The first session was the one before the flood, the second under it: no replayed REQUEST was served again.
    let sessions: Vec<&str> = log.lines().filter(|line| line.contains("why=done")).collect();
    let served = number(sessions[1], "bytes=");
    assert!(served <= LENGTH as u64 * 5 / 4, "{served} bytes were served for {LENGTH}");
}
