//! What a NEED and an OWN cost by how many owners a content has and by how many contents a name, and what a stranger's
//! handshake costs by how many swarms are served: `cargo run -p tracker
//! --example cost`. It prints microseconds and asserts nothing: what a machine is worth is no test.
#![allow(clippy::disallowed_methods, reason = "real time is what it measures")]

use std::net::SocketAddr;
use std::time::Instant;

use channel::{ChannelSettings, Channels, Policy, Role, StaticKey, Suite, SwarmSecret};
use config::TrackerSettings;
use messages::node_to_tracker::{Asker, Need, Own, OwnDigest, OwnEntry, Permille, Query, Register};
use messages::{
    BootEpoch, ContentId, Conversation, Cookie, Cursor, Datagram, Header, Kind, List, Name, NodeId,
    NodeToTracker, Prefix, Timestamp, TrackerToNode,
};
use tracker::{Output, Swarms, Tracker};

const ROUNDS: u32 = 2000;

struct Scene {
    tracker: Tracker,
    out: Output,
    bytes: Vec<u8>,
}

impl Scene {
    fn ask(&mut self, from: SocketAddr, message: &NodeToTracker) -> Option<TrackerToNode> {
        self.bytes.clear();
        message.encode(Conversation(1), &mut self.bytes);
        self.tracker.handle_datagram(from, None, &self.bytes, Timestamp::ZERO);
        self.out.clear();
        self.tracker.poll(Timestamp::ZERO, &mut self.out);
        match Datagram::decode(self.out.datagrams().next()?.1) {
            Ok(Datagram::FromTracker(_, message)) => Some(message),
            _ => None,
        }
    }

    /// A node that has joined, and where it is.
    fn join(&mut self, number: u32) -> Option<(SocketAddr, Asker)> {
        let mut id = [0; 16];
        // Spread over all ids, as those of nodes are.
        id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
        let [_, a, b, c] = number.to_be_bytes();
        let from = SocketAddr::from(([10, a, b, c], 7000));
        let register = |cookie| {
            let asker = Asker { node: NodeId::from_bytes(id), cookie };
            NodeToTracker::from(Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) })
        };
        let Some(TrackerToNode::Refused(refused)) = self.ask(from, &register(Cookie::NONE)) else {
            return None;
        };
        self.ask(from, &register(refused.cookie))?;
        Some((from, Asker { node: NodeId::from_bytes(id), cookie: refused.cookie }))
    }
}

fn own(asker: Asker, have: u32) -> Option<NodeToTracker> {
    let entry = OwnEntry {
        content: ContentId::from_bytes([9; 32]),
        length: 1 << 30,
        permille: Permille::of(have, 1000),
        withdrawn: false,
        name: Name::new("a film.mkv").ok()?,
    };
    Some(Own { asker, entries: List::first_of([entry]) }.into())
}

fn measure(owners: u32) -> Option<()> {
    let mut settings = TrackerSettings::default();
    settings.limits.request_burst = 1_000_000;
    let tracker = Tracker::new(settings, [3; 32], 1, Timestamp::ZERO);
    let mut scene = Scene { tracker, out: Output::default(), bytes: Vec::new() };
    for number in 0..owners {
        let (from, asker) = scene.join(number)?;
        scene.ask(from, &own(asker, if number % 10 == 0 { 1000 } else { number % 1000 })?)?;
    }
    let (from, asker) = scene.join(owners)?;
    let need = Need { asker, query: Query::Content(ContentId::from_bytes([9; 32])) }.into();
    let mut micros = |message: &dyn Fn(u32) -> Option<NodeToTracker>| {
        let start = Instant::now();
        for round in 0..ROUNDS {
            scene.ask(from, &message(round)?)?;
        }
        Some(start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS))
    };
    let asked = micros(&|_| Some(NodeToTracker::clone(&need)))?;
    let said = micros(&|round| own(asker, round % 1000))?;
    println!("{owners:>7} owners: NEED {asked:>6.1} µs, OWN that grows {said:>5.1} µs");
    Some(())
}

/// The same of one name with so many contents, which one node has.
fn measure_name(contents: u32) -> Option<()> {
    let mut settings = TrackerSettings::default();
    settings.limits.request_burst = 1_000_000;
    let tracker = Tracker::new(settings, [3; 32], 1, Timestamp::ZERO);
    let mut scene = Scene { tracker, out: Output::default(), bytes: Vec::new() };
    let (from, asker) = scene.join(1)?;
    let name = Name::new("a film.mkv").ok()?;
    let own = |number: u32| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
        let (content, permille) = (ContentId::from_bytes(id), Permille::COMPLETE);
        let entry = OwnEntry { content, length: 1, permille, withdrawn: false, name: name.clone() };
        NodeToTracker::from(Own { asker, entries: List::first_of([entry]) })
    };
    let mut micros = |messages: &dyn Fn(u32) -> NodeToTracker, rounds: u32| {
        let start = Instant::now();
        for round in 0..rounds {
            scene.ask(from, &messages(round))?;
        }
        Some(start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds))
    };
    let said = micros(&own, contents)?;
    let need = |query: Query| NodeToTracker::from(Need { asker, query });
    let named = micros(&|_| need(Query::Name(name.clone())), ROUNDS)?;
    let newest = micros(&|_| need(Query::Newest(name.clone())), ROUNDS)?;
    // A page in the middle of what one name has too much of.
    let after = Cursor { tier: 8, name: name.clone(), hosts: 1, number: u64::from(contents / 2) };
    let page =
        micros(&|_| need(Query::Search { prefix: Prefix::default(), after: Some(after.clone()) }), ROUNDS)?;
    println!(
        "{contents:>7} contents of one name: NEED by name {named:>5.1} µs, the newest {newest:>5.1}, a page of a search {page:>5.1}, \
         OWN of one more {said:>5.1}"
    );
    Some(())
}

/// What a stranger's first messages cost who serves so many swarms: each is compared with the secret of each.
fn measure_strangers(count: u8) {
    let tracker = |number: u8| {
        let mut tracker = Tracker::new(TrackerSettings::default(), [number; 32], 1, Timestamp::ZERO);
        tracker.seal_with(Channels::new(ChannelSettings {
            key: StaticKey::from_secret([1; 32]),
            swarm: SwarmSecret::from_bytes([number; 32]),
            policy: Policy::SEALED,
            role: Role::Tracker,
            max_channels: 16,
            max_channels_per_host: 16,
            epoch: BootEpoch(1),
            secret: [number; 32],
            suite: Suite::preferred(),
        }));
        tracker
    };
    let mut swarms = Swarms::of(tracker(1));
    (2..=count).for_each(|number| swarms.add(tracker(number)));
    let from = SocketAddr::from(([10, 0, 0, 1], 7000));
    let micros = |swarms: &mut Swarms, kind: Kind, length: usize| {
        let mut datagram = Header { kind, conversation: Conversation(1) }.encode().to_vec();
        datagram.resize(length, 7);
        let start = Instant::now();
        for _ in 0..ROUNDS {
            swarms.handle(from, None, &mut datagram, Timestamp::ZERO);
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
    };
    let knock = micros(&mut swarms, Kind::Knock, 80);
    let initiate = micros(&mut swarms, Kind::Initiate, 1200);
    println!("{count:>7} swarms: a stranger's KNOCK {knock:>5.2} µs, INITIATE {initiate:>5.2}");
}

fn main() {
    for swarms in [1, 2, 4, 15] {
        measure_strangers(swarms);
    }
    for owners in [1, 20, 100, 1000, 10_000, 100_000] {
        measure(owners);
    }
    for contents in [1, 16, 1000, 10_000, 100_000] {
        measure_name(contents);
    }
}
