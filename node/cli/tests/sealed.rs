//! What somebody on the way sees: real programs behind a relay that records every datagram between them. Sealed, nothing
//! of a content, its name or the nodes can be found in it; in the clear everything can, so the search is one that finds.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests meet the programs over real sockets and files, in real time"
)]

mod programs;

use std::collections::{BTreeMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use channel::StaticKey;
use programs::{Place, Program, noise};

/// Long enough for several pieces and bursts.
const SIZE: usize = 700_000;
const NAME: &str = "a-film-nobody-knows.bin";
/// So many bytes in a row of a file tell what it is.
const RUN: usize = 16;
/// What a log says of who is spoken to in the clear although that is not preferred.
const IN_THE_CLEAR: &str = "spoken to in the clear";
/// What a person is told may be the cause where nobody answers.
const CAUSE: &str = "compare --encryption there and here (always does not talk with never)";
/// How often a relay's threads look whether the test is over.
const TICK: Duration = Duration::from_millis(50);

/// Which side of a client a socket of the relay is.
#[derive(Clone, Copy)]
enum Side {
    /// What the client takes for the tracker: what it sends here goes on from the client's outer socket.
    Front,
    /// What everybody else takes for the client.
    Outer { client: SocketAddr },
    /// What the client takes for `peer`, who knows the client by its outer socket.
    Inner { client: SocketAddr, peer: SocketAddr },
}

/// A relay in front of a tracker, through which everything of its nodes passes: what of one goes to the tracker leaves
/// from an outer socket of its own, which the tracker then gives to others as the node's address. What others send there
/// comes to the node from an inner socket for each of them.
struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    tracker: SocketAddr,
    front: UdpSocket,
    is_over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outer: BTreeMap<SocketAddr, Arc<UdpSocket>>,
    inner: BTreeMap<(SocketAddr, SocketAddr), Arc<UdpSocket>>,
    recorded: Vec<Vec<u8>>,
}

impl Relay {
    fn before(tracker: &str) -> Relay {
        let front = new_socket();
        let address = front.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            tracker: tracker.parse().expect("an address"),
            front: front.try_clone().expect("a handle"),
            is_over: AtomicBool::new(false),
            state: Mutex::default(),
        });
        Shared::follow(&shared, Arc::new(front), Side::Front);
        Relay { address, shared }
    }

    /// Every datagram so far.
    fn recorded(&self) -> Vec<Vec<u8>> {
        self.shared.state().recorded.clone()
    }

    /// Whether anything went from one node to another.
    fn has_joined_nodes(&self) -> bool {
        !self.shared.state().inner.is_empty()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Relays what arrives at `socket` until the test is over.
    fn follow(shared: &Arc<Shared>, socket: Arc<UdpSocket>, side: Side) {
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let mut datagram = vec![0; 1 << 16];
            while !shared.is_over.load(Ordering::Relaxed) {
                // What fails is the wait for a tick, or that somebody has left: both pass.
                if let Ok((length, from)) = socket.recv_from(&mut datagram) {
                    Shared::relay(&shared, side, from, &datagram[..length]);
                }
            }
        });
    }

    fn relay(shared: &Arc<Shared>, side: Side, from: SocketAddr, datagram: &[u8]) {
        let mut state = shared.state();
        state.recorded.push(datagram.to_vec());
        // What cannot be sent is lost, as on any path.
        let _ = match side {
            Side::Front => {
                let new = || Shared::new_side(shared, Side::Outer { client: from });
                state.outer.entry(from).or_insert_with(new).send_to(datagram, shared.tracker)
            }
            Side::Outer { client } if from == shared.tracker => shared.front.send_to(datagram, client),
            Side::Outer { client } => {
                let new = || Shared::new_side(shared, Side::Inner { client, peer: from });
                state.inner.entry((client, from)).or_insert_with(new).send_to(datagram, client)
            }
            Side::Inner { client, peer } => match state.outer.get(&client) {
                Some(outer) => outer.send_to(datagram, peer),
                None => unreachable!("a peer knows a client by its outer socket"),
            },
        };
    }

    fn new_side(shared: &Arc<Shared>, side: Side) -> Arc<UdpSocket> {
        let socket = Arc::new(new_socket());
        Shared::follow(shared, Arc::clone(&socket), side);
        socket
    }
}

fn new_socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(TICK)).expect("a timeout");
    socket
}

/// What a search in the datagrams found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    name: bool,
    content: bool,
    owner: bool,
    downloader: bool,
    runs_of_the_file: bool,
}

impl Found {
    const NOTHING: Found =
        Found { name: false, content: false, owner: false, downloader: false, runs_of_the_file: false };
    const EVERYTHING: Found =
        Found { name: true, content: true, owner: true, downloader: true, runs_of_the_file: true };
}

fn has(datagrams: &[Vec<u8>], what: &[u8]) -> bool {
    datagrams.iter().any(|datagram| datagram.windows(what.len()).any(|window| window == what))
}

/// A place with a tracker, and a relay in front of it.
struct Scene {
    place: Place,
    tracker: Program,
    relay: Relay,
}

impl Scene {
    fn new(encryption: &str) -> Scene {
        let place = Place::new();
        let mut command = place.riffle(&["tracker", "--listen", "127.0.0.1:0"]);
        let tracker = Program::start(command.env("RIFFLE_LOOPBACK_ENCRYPTION", encryption));
        let line = tracker.wait_for("listening on ");
        let relay = Relay::before(line.rsplit("listening on ").next().expect("an address").trim());
        std::fs::write(place.path().join(NAME), noise(SIZE)).expect("written");
        Scene { place, tracker, relay }
    }

    /// A node that knows the tracker by the relay's address.
    fn node(&self, encryption: &str, arguments: &[&str]) -> Command {
        let tracker = self.relay.address.to_string();
        let common = ["--tracker", &tracker, "--listen", "127.0.0.1:0"];
        let mut command = self.place.riffle(&[arguments, &common].concat());
        command.env("RIFFLE_LOOPBACK_ENCRYPTION", encryption);
        command
    }

    fn owner(&self, encryption: &str) -> Program {
        let owner = Program::start(&mut self.node(encryption, &["--id", "owner", "send", NAME]));
        owner.wait_for("riffle download ");
        owner
    }

    /// Fetches the file by its name. Returns the exit code and what was said.
    fn download(&self, encryption: &str) -> (Option<i32>, String) {
        let saved = self.place.folder("saved");
        let arguments = ["--id", "guest", "--dir", saved.to_str().expect("text"), "download", NAME];
        let (status, said) = Program::start(&mut self.node(encryption, &arguments)).end();
        (status.code(), said.join("\n"))
    }

    fn has_arrived(&self) -> bool {
        std::fs::read(self.place.path().join("saved").join(NAME)).is_ok_and(|bytes| bytes == noise(SIZE))
    }

    fn log_of(&self, label: &str) -> String {
        std::fs::read_to_string(self.place.path().join(format!("logs/node-{label}.log"))).expect("a log")
    }

    fn id_of(&self, label: &str) -> [u8; 16] {
        let path = self.place.path().join(format!("state/node-{label}/key"));
        let secret = std::fs::read(Path::new(&path)).expect("a key").try_into().expect("32 bytes");
        *StaticKey::from_secret(secret).node_id().as_bytes()
    }

    fn search(&self) -> Found {
        let datagrams = self.relay.recorded();
        let file = noise(SIZE);
        let runs: HashSet<&[u8]> = file.windows(RUN).collect();
        Found {
            name: has(&datagrams, NAME.as_bytes()),
            content: has(&datagrams, blake3::hash(&file).as_bytes()),
            owner: has(&datagrams, &self.id_of("owner")),
            downloader: has(&datagrams, &self.id_of("guest")),
            runs_of_the_file: datagrams.iter().any(|one| one.windows(RUN).any(|run| runs.contains(run))),
        }
    }
}

/// A whole transfer with everybody's `encryption`, and what was found of it on the way.
fn transfer(encryption: &str) -> (Scene, Found) {
    let scene = Scene::new(encryption);
    let owner = scene.owner(encryption);
    let (code, said) = scene.download(encryption);
    assert_eq!(code, Some(0), "{said}\n{}", scene.place.logs());
    assert!(scene.has_arrived() && scene.relay.has_joined_nodes());
    owner.interrupt();
    owner.end();
    let bytes: usize = scene.relay.recorded().iter().map(Vec::len).sum();
    assert!(bytes > SIZE, "the file passed through the relay: {bytes}");
    let found = scene.search();
    (scene, found)
}

#[test]
fn of_a_sealed_transfer_nothing_can_be_found_on_the_way_and_the_logs_say_with_whom_it_was_sealed() {
    let (scene, found) = transfer("always");
    assert_eq!(found, Found::NOTHING);
    for label in ["owner", "guest"] {
        let log = scene.log_of(label);
        for line in ["sealed channel with the tracker tracker=", "sealed channel with a node peer="] {
            assert_eq!(log.matches(line).count(), 1, "{line:?} of {label}: {log}");
        }
        assert!(!log.contains(IN_THE_CLEAR), "{log}");
    }
    let log = scene.log_of("owner");
    assert!(log.contains("counted of sealed channels opened=2 in_the_clear=0 forged=0"), "{log}");
}

#[test]
fn of_a_transfer_in_the_clear_everything_can_be_found_on_the_way() {
    let (scene, found) = transfer("never");
    assert_eq!(found, Found::EVERYTHING);
    let logs = scene.place.logs();
    assert!(!logs.contains(IN_THE_CLEAR), "it is what was asked for: {logs}");
    assert!(!logs.contains("sealed channel with") && logs.contains("counted of sealed channels opened=0"));
}

#[test]
fn a_tracker_that_is_spoken_to_over_a_channel_is_in_the_ticket_with_its_key() {
    let scene = Scene::new("always");
    let owner = Program::start(&mut scene.node("always", &["--id", "owner", "send", NAME]));
    let line = owner.wait_for("riffle download ");
    let ticket = line.trim().rsplit(' ').next().expect("a word");
    assert!(ticket.starts_with("riffle1"), "{line}");
    let (_, lines) = Program::start(&mut scene.place.riffle(&["info", ticket])).end();
    let key = std::fs::read(scene.place.path().join("state/tracker.key")).expect("a key");
    let key = StaticKey::from_secret(key.try_into().expect("32 bytes")).public();
    assert!(lines.contains(&format!("key of the first tracker: {key}")), "{lines:#?}");
}

#[test]
fn status_and_peers_say_what_is_sealed_and_what_is_in_the_clear() {
    for (encryption, in_status, in_peers) in [
        ("always", [" answers, sealed (", ", sealed"], ": sealed with "),
        ("never", [" answers, in the clear", ", in the clear"], "no: in the clear"),
    ] {
        let scene = Scene::new(encryption);
        let _owner = scene.owner(encryption);
        // A guest that takes a while, so that its session is there to be seen.
        let saved = scene.place.folder("saved");
        let folder = saved.to_str().expect("text");
        let slow = ["--id", "guest", "--dir", folder, "--download-limit", "100KiB", "download", NAME];
        let _guest = Program::start(&mut scene.node(encryption, &slow));
        let asked = |verb: &str| {
            let arguments = [verb, "--id", "owner"];
            Program::start(&mut scene.place.riffle(&arguments)).end().1.join("\n")
        };
        programs::wait_until("there is a session", || asked("peers").contains("downloader"));
        let (status, peers) = (asked("status"), asked("peers"));
        assert!(status.contains(in_status[0]), "{status}");
        let upload = status.lines().find(|line| line.starts_with("upload of ")).expect("an upload");
        assert!(upload.ends_with(in_status[1]), "{status}");
        assert!(peers.contains("downloader") && peers.contains(in_peers), "{peers}");
    }
}

#[test]
fn who_prefers_to_seal_talks_in_the_clear_to_who_never_does_and_says_so() {
    let scene = Scene::new("never");
    let _owner = scene.owner("never");
    let (code, said) = scene.download("prefer");
    assert!(code == Some(0) && scene.has_arrived(), "{said}");
    let tracker = format!("the tracker {} opens no sealed channel: ", scene.relay.address);
    assert!(said.contains(&tracker) && said.contains("the node 127.0.0.1:"), "{said}");
    let log = scene.log_of("guest");
    for line in [" WARN the tracker opens no sealed channel", " WARN a node opens no sealed channel"] {
        assert_eq!(log.matches(line).count(), 1, "{line:?}: {log}");
    }
}

#[test]
fn who_only_asks_the_tracker_says_so_too() {
    let scene = Scene::new("never");
    let _owner = scene.owner("never");
    for (encryption, is_said) in [("prefer", true), ("never", false)] {
        let (status, lines) = Program::start(&mut scene.node(encryption, &["list"])).end();
        let said = lines.join("\n");
        assert!(status.code() == Some(0) && said.contains(NAME), "{said}");
        let line = format!("the tracker {} opens no sealed channel: ", scene.relay.address);
        assert_eq!(said.matches(&line).count(), usize::from(is_said), "{encryption}: {said}");
    }
}

#[test]
fn who_prefers_to_seal_serves_in_the_clear_who_never_does_and_says_so() {
    let scene = Scene::new("prefer");
    let owner = scene.owner("prefer");
    let (code, said) = scene.download("never");
    assert!(code == Some(0) && scene.has_arrived(), "{said}");
    owner.wait_for("opens no sealed channel: what is said to it is in the clear");
    let log = scene.log_of("owner");
    assert_eq!(log.matches(" WARN a node opens no sealed channel").count(), 1, "{log}");
    assert!(log.contains("sealed channel with the tracker") && !log.contains("WARN the tracker"), "{log}");
}

#[test]
fn who_seals_always_does_not_talk_to_a_tracker_that_never_does() {
    let mut scene = Scene::new("never");
    let (code, said) = scene.download("always");
    assert_eq!(code, Some(6), "as for a silent tracker: {said}");
    assert!(said.contains("does not answer") && said.contains(CAUSE), "{said}");
    assert!(!has(&scene.relay.recorded(), NAME.as_bytes()) && scene.tracker.is_alive());
}

#[test]
fn who_never_seals_does_not_talk_to_a_tracker_that_always_does() {
    let mut scene = Scene::new("always");
    let (code, said) = scene.download("never");
    assert_eq!(code, Some(6), "as for a silent tracker: {said}");
    assert!(said.contains("does not answer") && said.contains(CAUSE), "{said}");
    assert!(scene.tracker.is_alive());
}
