//! Many nodes with many contents and one tracker, on a lossy path: how soon its tables are whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::{NodeSettings, TrackerSettings};
use messages::{BootEpoch, Datagram, Layout, Name, NodeId, NodeToTracker, Outboard, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use riffle_core::{Command, DiskRequest, DiskResult, Identity, Node, Output, ShareId, TrackerStanding};
use tracker::Tracker;

/// One way from a node to the tracker.
const DELAY: Duration = Duration::from_millis(25);
/// One heartbeat and five seconds: so long may a tracker that came back have gaps in its tables.
const WHOLE_IN: Duration = Duration::from_secs(25);

/// A datagram on its way.
enum Flying {
    ToTracker { from: usize, bytes: Vec<u8> },
    ToNode { to: usize, bytes: Vec<u8> },
}

/// Nodes, a tracker that may be gone, and the path between them.
struct Swarm {
    nodes: Vec<Node>,
    each: usize,
    wakes: Vec<Timestamp>,
    tracker: Option<Tracker>,
    lives: u8,
    flying: BTreeMap<(Timestamp, u64), Flying>,
    sent: u64,
    now: Timestamp,
    loss_percent: u32,
    chance: StdRng,
    /// OWNs that nodes sent, repetitions included.
    owns: u64,
    /// REGISTERs that nodes sent, repetitions included.
    registers: u64,
}

fn address(node: usize) -> SocketAddr {
    let [high, low] = (node as u16).to_be_bytes();
    SocketAddr::from(([10, 1, high, low], 7000))
}

fn tracker_address() -> SocketAddr {
    SocketAddr::from(([10, 2, 0, 1], 12345))
}

impl Swarm {
    /// `nodes` of them share `each` contents of their own.
    fn new(nodes: usize, each: usize, loss_percent: u32) -> Swarm {
        let now = Timestamp::ZERO + Duration::from_secs(1);
        let nodes: Vec<Node> = (0..nodes).map(|number| sharing(number, each, now)).collect();
        let wakes = vec![now; nodes.len()];
        Swarm {
            nodes,
            each,
            wakes,
            tracker: None,
            lives: 0,
            flying: BTreeMap::new(),
            sent: 0,
            now,
            loss_percent,
            chance: StdRng::seed_from_u64(7),
            owns: 0,
            registers: 0,
        }
    }

    /// Another life of the tracker: empty tables, another cookie key, another epoch.
    fn start_tracker(&mut self) {
        self.lives += 1;
        let seed = u64::from(self.lives);
        self.tracker = Some(Tracker::new(TrackerSettings::default(), [self.lives; 32], seed, self.now));
    }

    fn fly(&mut self, datagram: Flying) {
        if self.chance.random_range(0..100) >= self.loss_percent {
            self.sent += 1;
            self.flying.insert((self.now + DELAY, self.sent), datagram);
        }
    }

    fn poll_node(&mut self, node: usize) {
        let mut out = Output::default();
        let mut polls = 0;
        loop {
            self.wakes[node] = self.nodes[node].poll(self.now, &mut out).until;
            for datagram in &out.datagrams {
                let bytes = out.bytes[datagram.range.clone()].to_vec();
                match Datagram::decode(&bytes) {
                    Ok(Datagram::ToTracker(_, NodeToTracker::Own(_))) => self.owns += 1,
                    Ok(Datagram::ToTracker(_, NodeToTracker::Register(_))) => self.registers += 1,
                    _ => {}
                }
                self.fly(Flying::ToTracker { from: node, bytes });
            }
            if self.wakes[node] > self.now {
                return;
            }
            polls += 1;
            assert!(polls < 100, "node {node} spins");
        }
    }

    fn arrive(&mut self, datagram: Flying) {
        match datagram {
            Flying::ToTracker { from, bytes } => {
                let Some(tracker) = &mut self.tracker else { return };
                tracker.handle_datagram(address(from), None, &bytes, self.now);
                let mut out = tracker::Output::default();
                tracker.poll(self.now, &mut out);
                for (outgoing, bytes) in out.datagrams() {
                    let to = (0..self.nodes.len()).find(|&node| address(node) == outgoing.to);
                    let (to, bytes) = (to.expect("one of them"), bytes.to_vec());
                    self.fly(Flying::ToNode { to, bytes });
                }
            }
            Flying::ToNode { to, bytes } => {
                self.nodes[to].handle_datagram(tracker_address(), &bytes, self.now);
                self.poll_node(to);
            }
        }
    }

    /// Runs until `until`, or until `done`; whether it was.
    fn run(&mut self, until: Timestamp, done: impl Fn(&Swarm) -> bool) -> bool {
        while !done(self) {
            let waking = (0..self.wakes.len()).min_by_key(|&node| self.wakes[node]).expect("nodes");
            let arriving = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let wakes_first = arriving.is_none_or(|at| self.wakes[waking] < at);
            let at = if wakes_first { self.wakes[waking] } else { arriving.unwrap_or(Timestamp::NEVER) };
            if at > until {
                self.now = until;
                return done(self);
            }
            self.now = self.now.max(at);
            if wakes_first {
                self.poll_node(waking);
            } else if let Some((_, datagram)) = self.flying.pop_first() {
                self.arrive(datagram);
            }
        }
        true
    }

    fn pass(&mut self, time: Duration) {
        self.run(self.now + time, |_| false);
    }

    /// All that they share is in the tracker's tables.
    fn is_whole(&self) -> bool {
        let tables = self.tracker.as_ref().map(|tracker| (tracker.nodes(), tracker.contents()));
        tables == Some((self.nodes.len(), self.nodes.len() * self.each))
    }

    /// The time from now until the tables are whole.
    fn becomes_whole(&mut self) -> Duration {
        let began = self.now;
        self.run(began + WHOLE_IN * 8, Swarm::is_whole);
        self.now.since(began)
    }
}

/// A node that shares `each` contents of its own, which were hashed at once.
fn sharing(number: usize, each: usize, now: Timestamp) -> Node {
    let identity = Identity {
        node: NodeId::from_bytes([number as u8 + 1; 16]),
        epoch: BootEpoch(1),
        secret: [number as u8; 32],
        seed: number as u64,
    };
    let mut node = Node::new(NodeSettings::default(), &identity, Some(tracker_address()), 1 << 20, now);
    for share in 0..each {
        let name = format!("file-{number}-{share}.bin");
        let (path, name) = (PathBuf::from(&name), Name::new(&name).expect("a name"));
        node.handle_command(
            Command::Share {
                share: ShareId(share as u32),
                path,
                name,
                options: riffle_core::FolderOptions::default(),
            },
            now,
        );
    }
    let mut out = Output::default();
    node.poll(now, &mut out);
    for request in out.disk {
        let DiskRequest::Share { share, path, .. } = request else { panic!("nothing else is asked") };
        let outboard = Outboard::imagined(Layout::of(1).expect("one piece"), &path.to_string_lossy());
        node.handle_disk(
            DiskResult::Shared {
                share,
                result: Ok(Arc::new(outboard)),
                file: messages::FileMetadata::default(),
            },
            now,
        );
    }
    node
}

/// The tracker comes back empty a moment after everybody's heartbeat, and again while it is being told.
fn comes_back(nodes: usize, each: usize) {
    let mut swarm = Swarm::new(nodes, each, 5);
    swarm.start_tracker();
    let first = swarm.becomes_whole();
    assert!(first <= WHOLE_IN, "joining took {first:?}");
    swarm.pass(Duration::from_secs(61));
    assert!(swarm.is_whole());

    swarm.start_tracker();
    let again = swarm.becomes_whole();
    assert!(again <= WHOLE_IN, "after a restart {again:?}");

    swarm.start_tracker();
    swarm.pass(Duration::from_secs(21));
    swarm.start_tracker();
    let twice = swarm.becomes_whole();
    assert!(twice <= WHOLE_IN, "after two restarts {twice:?}");

    swarm.tracker = None;
    swarm.pass(Duration::from_secs(600));
    let now = swarm.now;
    let mut standings = swarm.nodes.iter_mut().map(|node| node.status(now).tracker);
    assert!(standings.all(|state| state == TrackerStanding::Silent), "and they say so");
    swarm.start_tracker();
    let returned = swarm.becomes_whole();
    assert!(returned <= WHOLE_IN, "after ten minutes {returned:?}");

    // Then there is nothing left to say but heartbeats.
    swarm.pass(WHOLE_IN);
    (swarm.owns, swarm.registers) = (0, 0);
    swarm.pass(Duration::from_secs(200));
    assert_eq!(swarm.owns, 0, "they agree");
    assert!(swarm.is_whole());
    let heartbeats = 10 * nodes as u64;
    assert!(swarm.registers <= heartbeats * 3 / 2, "{} REGISTERs", swarm.registers);
}

#[test]
fn a_node_with_ten_thousand_contents_is_whole_within_a_heartbeat_and_five_seconds() {
    comes_back(1, 10_000);
}

#[test]
fn a_hundred_nodes_are_whole_within_a_heartbeat_and_five_seconds() {
    comes_back(100, 100);
}
