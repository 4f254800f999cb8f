//! The tracker through its one door: datagrams in, datagrams out, time by hand.

mod asking;
mod claiming;
mod hostile;
mod leaving;
mod naming;
mod owning;
mod spreading;
mod swarms;
mod updating;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use channel::Members;
use config::TrackerSettings;
use messages::node_to_tracker::{
    Asker, Credit, Exit, Need, Own, OwnDigest, OwnEntry, Permille, Query, Register, TrackerPong, Update,
};
use messages::tracker_to_node::{ContentOwners, Listing, Owners, RefusalCode, Refused, Registered};
use messages::{
    BootEpoch, ContentId, Conversation, Cookie, Cursor, Datagram, Digits, List, Name, NodeId, NodeToTracker,
    Prefix, Timestamp, TrackerToNode,
};

use crate::{Counters, Event, Output, Tracker, Wait, WaitReason};

/// The tracker's own address, as others reach it.
const TRACKER_IP: &str = "10.0.0.100";
const SECOND: Duration = Duration::from_secs(1);
/// What a tracker that has been there for long says of what it does not know.
const UNKNOWN: Owners = Owners::Unknown { whole_in_ms: 0 };

/// A tracker and its time.
struct Scene {
    tracker: Tracker,
    now: Timestamp,
    out: Output,
    events: Vec<Event>,
    /// Datagrams that were sent to others than the one who asked.
    elsewhere: Vec<(SocketAddr, TrackerToNode)>,
}

/// A node as the tests drive it.
#[derive(Clone, Debug)]
struct Client {
    id: NodeId,
    address: SocketAddr,
    cookie: Cookie,
    epoch: BootEpoch,
    digest: OwnDigest,
    count: u32,
}

fn id(number: u16) -> NodeId {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&[high, low]);
    NodeId::from_bytes(bytes)
}

fn content(number: u16) -> ContentId {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [9; 32];
    bytes[..2].copy_from_slice(&[high, low]);
    ContentId::from_bytes(bytes)
}

fn entry(number: u16, name: &str, permille: u32) -> OwnEntry {
    OwnEntry {
        content: content(number),
        length: 1 << 30,
        permille: Permille::of(permille, 1000),
        withdrawn: false,
        name: Name::new(name).unwrap(),
    }
}

/// A node that has not spoken yet, at a host of its own.
fn client(number: u16) -> Client {
    client_at(number, SocketAddr::from(([10, 0, 1 + (number >> 8) as u8, number as u8], 7000)))
}

fn client_at(number: u16, address: SocketAddr) -> Client {
    let (cookie, epoch, digest) = (Cookie::NONE, BootEpoch(1), OwnDigest(0));
    Client { id: id(number), address, cookie, epoch, digest, count: 0 }
}

impl Client {
    fn asker(&self) -> Asker {
        Asker { node: self.id, cookie: self.cookie }
    }

    fn register(&self) -> NodeToTracker {
        let (epoch, contents, digest) = (self.epoch, self.count, self.digest);
        Register { asker: self.asker(), epoch, contents, digest }.into()
    }

    fn own(&self, entries: &[OwnEntry]) -> NodeToTracker {
        Own { asker: self.asker(), entries: List::first_of(entries.iter().cloned()) }.into()
    }

    fn need(&self, query: Query) -> NodeToTracker {
        Need { asker: self.asker(), query }.into()
    }

    fn update(&self, sequence: u32, number: u16, credits: &[(NodeId, u64)]) -> NodeToTracker {
        let credits = credits.iter().map(|&(owner, bytes)| Credit { owner, bytes });
        let (content, credits) = (content(number), List::first_of(credits));
        Update { asker: self.asker(), sequence, content, credits }.into()
    }

    fn exit(&self) -> NodeToTracker {
        Exit { asker: self.asker(), epoch: self.epoch }.into()
    }
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut TrackerSettings)) -> Scene {
        let mut settings = TrackerSettings::default();
        change(&mut settings);
        let now = Timestamp::from_nanos(1_000_000_000_000);
        // It has been there for long: what it does not know, nobody has.
        let tracker = Tracker::new(settings, [3; 32], 42, Timestamp::ZERO);
        let (out, events, elsewhere) = (Output::default(), Vec::new(), Vec::new());
        Scene { tracker, now, out, events, elsewhere }
    }

    /// The tracker forgets all, as by a restart; time goes on.
    fn restart(&mut self) {
        self.tracker = Tracker::new(TrackerSettings::default(), [4; 32], 43, self.now);
    }

    /// A tracker begins where nobody knows it.
    fn start_afresh(&mut self) {
        self.tracker = Tracker::new(TrackerSettings::default(), [5; 32], 44, self.now).without_past();
    }

    fn pass(&mut self, time: Duration) -> Wait {
        self.now += time;
        self.poll(None).1
    }

    /// Drains the tracker: the answer to `from`, and its next wake-up.
    fn poll(&mut self, from: Option<SocketAddr>) -> (Option<(Conversation, TrackerToNode)>, Wait) {
        self.out.clear();
        let wait = self.tracker.poll(self.now, &mut self.out);
        let has_more_to_do = wait.reason == WaitReason::Removing;
        assert!(wait.until > self.now || has_more_to_do, "it would be woken for nothing");
        let mut answer = None;
        for (outgoing, bytes) in self.out.datagrams() {
            assert!(bytes.len() <= 1200, "{} bytes", bytes.len());
            assert_eq!(outgoing.from, Some(TRACKER_IP.parse().unwrap()));
            let Ok(Datagram::FromTracker(conversation, message)) = Datagram::decode(bytes) else {
                panic!("not an answer: {bytes:?}")
            };
            if Some(outgoing.to) == from {
                assert!(answer.replace((conversation, message)).is_none(), "two answers");
            } else {
                self.elsewhere.push((outgoing.to, message));
            }
        }
        self.events.append(&mut self.out.events);
        (answer, wait)
    }

    /// Sends a request and gives its answer, which is never larger than a request without a cookie.
    fn ask(&mut self, from: SocketAddr, message: &NodeToTracker) -> Option<TrackerToNode> {
        let mut request = Vec::new();
        message.encode(Conversation(77), &mut request);
        let reached_at: IpAddr = TRACKER_IP.parse().unwrap();
        self.tracker.handle_datagram(from, Some(reached_at), &request, self.now);
        let (conversation, answer) = self.poll(Some(from)).0?;
        assert_eq!(conversation, Conversation(77));
        Some(answer)
    }

    fn refusal(&mut self, from: SocketAddr, message: &NodeToTracker) -> Refused {
        match self.ask(from, message) {
            Some(TrackerToNode::Refused(refused)) => refused,
            other => panic!("{message:?} was answered {other:?}"),
        }
    }

    /// Gets a cookie.
    fn prove(&mut self, client: &mut Client) {
        let refused =
            self.refusal(client.address, &Client { cookie: Cookie::NONE, ..client.clone() }.register());
        assert_eq!(refused.code, RefusalCode::Cookie);
        client.cookie = refused.cookie;
    }

    fn register(&mut self, client: &mut Client) -> Registered {
        match self.ask(client.address, &client.register()) {
            Some(TrackerToNode::Registered(registered)) => {
                client.cookie = registered.cookie;
                registered
            }
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, client: &mut Client) -> Registered {
        self.prove(client);
        self.register(client)
    }

    /// A node that has joined.
    fn joined(&mut self, number: u16) -> Client {
        let mut client = client(number);
        self.join(&mut client);
        client
    }

    /// Announces new contents; how many were accepted. The client counts them as told.
    fn own(&mut self, client: &mut Client, entries: &[OwnEntry]) -> u16 {
        let Some(TrackerToNode::Owned(owned)) = self.ask(client.address, &client.own(entries)) else {
            panic!("not owned")
        };
        for entry in &entries[..usize::from(owned.accepted)] {
            client.digest.toggle(entry);
            client.count += 1;
        }
        owned.accepted
    }

    fn need(&mut self, client: &Client, query: Query) -> Owners {
        match self.ask(client.address, &client.need(query)) {
            Some(TrackerToNode::Owners(owners)) => owners,
            other => panic!("{other:?}"),
        }
    }

    fn owners(&mut self, client: &Client, number: u16) -> ContentOwners {
        match self.need(client, Query::Content(content(number))) {
            Owners::Content(found) => found,
            other => panic!("{other:?}"),
        }
    }

    fn search(&mut self, client: &Client, prefix: &str, after: Option<Cursor>) -> Listing {
        let query = Query::Search { prefix: Prefix::new(prefix).unwrap(), after };
        match self.need(client, query) {
            Owners::Contents(listing) => listing,
            Owners::Unknown { .. } => Listing { contents: List::new(), more: None },
            other => panic!("{other:?}"),
        }
    }

    /// Those of the first few nodes that own some of `content`, or will.
    fn owners_of(&self, content: ContentId) -> Vec<NodeId> {
        (0..8).map(id).filter(|&node| self.tracker.is_owner(node, content)).collect()
    }

    fn counters(&self) -> Counters {
        *self.tracker.counters()
    }
}
