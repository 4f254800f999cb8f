//! A tracker that lies about who is where: a downloader speaks to nobody but the node whose id it was given, so that to
//! put another in its place gains nothing. The same tracker that tells the truth is believed.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tracker of these tests has a socket, a thread and a clock of its own"
)]

mod programs;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use channel::{ChannelSettings, Channels, Policy, Received, Role, StaticKey, Suite, SwarmSecret};
use messages::node_to_tracker::Permille;
use messages::tracker_to_node::{ContentOwners, Goodbye, Listed, Owned, Owner, Owners, Registered, Updated};
use messages::{
    BootEpoch, ContentId, Conversation, Cookie, Datagram, Endpoint, List, NodeId, NodeToTracker, Timestamp,
    TrackerToNode,
};
use programs::{Place, Program, noise};

const NAME: &str = "film.mkv";

/// A tracker that gives everybody the same answer. It ends with the test.
struct Scripted {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl Scripted {
    /// Says to everybody that `owner` has the film and is at `endpoint`.
    fn start(film: &[u8], owner: NodeId, endpoint: SocketAddr) -> Scripted {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
        let content = Listed {
            content: ContentId::from_bytes(*blake3::hash(film).as_bytes()),
            length: film.len() as u64,
            complete: 1,
            partial: 0,
            hosts: 1,
            age_s: 1,
            name: NAME.parse().expect("a name"),
        };
        let owner = Owner { node: owner, endpoint: Endpoint::new(endpoint), permille: Permille::COMPLETE };
        let owners = List::first_of([owner]);
        let answer = Owners::Content(ContentOwners { content, owners });
        let address = socket.local_addr().expect("an address");
        let is_over = Arc::new(AtomicBool::new(false));
        let watched = is_over.clone();
        std::thread::spawn(move || {
            let mut channels = channels();
            let began = Instant::now();
            let mut bytes = [0; 2048];
            while !watched.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
                let now = Timestamp::ZERO + Duration::from_secs(1) + began.elapsed();
                let heard: Vec<Vec<u8>> = match channels.handle(from, &mut bytes[..length], now) {
                    Received::Opened { range, .. } => vec![bytes[range].to_vec()],
                    Received::Greeted { early, .. } => early,
                    Received::Answered | Received::Nothing => Vec::new(),
                };
                let mut leaving = channels.take_outbox();
                for plain in heard {
                    let Ok(Datagram::ToTracker(conversation, message)) = Datagram::decode(&plain) else {
                        continue;
                    };
                    let mut sealed = Vec::new();
                    channels.seal(from, &said(&answer, conversation, &message, from), now, &mut sealed);
                    leaving.push((from, sealed));
                }
                for (to, datagram) in leaving {
                    socket.send_to(&datagram, to).expect("sent");
                }
            }
        });
        Scripted { address, is_over }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn channels() -> Channels {
    Channels::new(ChannelSettings {
        key: StaticKey::from_secret([3; 32]),
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role: Role::Tracker,
        max_channels: 8,
        max_channels_per_host: 8,
        epoch: BootEpoch(1),
        secret: [4; 32],
        suite: Suite::preferred(),
    })
}

/// The datagram that answers `message`.
fn said(answer: &Owners, conversation: Conversation, message: &NodeToTracker, from: SocketAddr) -> Vec<u8> {
    let answer: TrackerToNode = match message {
        NodeToTracker::Register(_) => Registered {
            cookie: Cookie::NONE,
            tracker_epoch: 1,
            interval_ms: 30_000,
            resync: false,
            observed: Endpoint::new(from),
        }
        .into(),
        NodeToTracker::Own(own) => Owned { accepted: own.entries.len() as u16 }.into(),
        NodeToTracker::Need(_) => answer.clone().into(),
        NodeToTracker::Update(update) => Updated { sequence: update.sequence }.into(),
        NodeToTracker::Exit(_) | NodeToTracker::TrackerPong(_) => Goodbye.into(),
    };
    let mut bytes = Vec::new();
    answer.encode(conversation, &mut bytes);
    bytes
}

/// A place with an owner of the film that seals everything, and who and where it is.
fn owner(place: &Place, film: &[u8]) -> ([Program; 2], NodeId, SocketAddr) {
    std::fs::write(place.path().join(NAME), film).expect("written");
    let tracker = Program::start(&mut sealed(place, &["tracker"]));
    let address = tracker.wait_for("listening on ").trim().rsplit(' ').next().expect("an address").to_owned();
    let owner = Program::start(&mut sealed(place, &["send", NAME, "--tracker", &address, "--id", "owner"]));
    owner.wait_for("riffle download ");
    let key = std::fs::read(place.path().join("state/node-owner/key")).expect("a key");
    let id = StaticKey::from_secret(key.try_into().expect("32 bytes")).node_id();
    ([tracker, owner], id, place.address_of("owner"))
}

fn sealed(place: &Place, words: &[&str]) -> Command {
    place.riffle(&[words, &["--listen", "127.0.0.1:0", "--loopback-encryption", "always"]].concat())
}

fn downloader(place: &Place, tracker: &Scripted, label: &str) -> Program {
    let folder = place.folder(label);
    let (folder, tracker) = (folder.to_str().expect("text"), tracker.address.to_string());
    Program::start(&mut sealed(
        place,
        &["download", NAME, "--dir", folder, "--tracker", &tracker, "--id", label],
    ))
}

#[test]
fn who_is_put_in_the_place_of_an_owner_is_not_spoken_to() {
    let (place, film) = (Place::new(), noise(300_000));
    let (_programs, _, at) = owner(&place, &film);
    let another = StaticKey::from_secret([77; 32]).node_id();
    let tracker = Scripted::start(&film, another, at);
    let download = downloader(&place, &tracker, "deceived");
    download.wait_for("no owner answers");
    download.interrupt();
    let (status, lines) = download.end();
    assert_ne!(status.code(), Some(0), "{lines:?}");
    assert!(!place.path().join("deceived").join(NAME).exists());
    let log = std::fs::read_to_string(place.path().join("logs/node-owner.log")).expect("a log");
    assert!(!log.contains("serving a downloader"), "{log}");
}

#[test]
fn the_same_tracker_is_believed_when_it_names_who_is_there() {
    let (place, film) = (Place::new(), noise(300_000));
    let (_programs, id, at) = owner(&place, &film);
    let tracker = Scripted::start(&film, id, at);
    let (status, lines) = downloader(&place, &tracker, "guest").end();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!(std::fs::read(place.path().join("guest").join(NAME)).is_ok_and(|bytes| bytes == film));
}
