//! Many nodes' conversations and a real tracker core, on a lossy path, in simulated time.

use std::collections::BTreeMap;

use config::TrackerSettings;
use tracker::Tracker;

use super::*;

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
    nodes: Vec<Fixture>,
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

impl Swarm {
    /// `nodes` of them share `each` contents of their own.
    fn new(nodes: usize, each: usize, loss_percent: u32) -> Swarm {
        let now = Timestamp::ZERO + Duration::from_secs(1);
        let nodes: Vec<Fixture> = (0..nodes)
            .map(|number| {
                let mut fixture = Fixture::of(NodeId::from_bytes([number as u8 + 1; 16]), number as u64);
                let contents = (0..each).map(|index| shared((number * each + index) as u32));
                fixture.with(|announce, _| contents.for_each(|entry| announce.own(entry)));
                fixture
            })
            .collect();
        let wakes = vec![now; nodes.len()];
        Swarm {
            nodes,
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
        let fixture = &mut self.nodes[node];
        fixture.now = self.now;
        fixture.out.clear();
        self.wakes[node] = fixture.with(|announce, cx| announce.poll(cx)).until;
        assert!(self.wakes[node] > self.now, "node {node} spins");
        let all: Vec<Vec<u8>> = fixture
            .out
            .datagrams
            .iter()
            .map(|datagram| fixture.out.bytes[datagram.range.clone()].to_vec())
            .collect();
        for bytes in all {
            match Datagram::decode(&bytes) {
                Ok(Datagram::ToTracker(_, NodeToTracker::Own(_))) => self.owns += 1,
                Ok(Datagram::ToTracker(_, NodeToTracker::Register(_))) => self.registers += 1,
                _ => {}
            }
            self.fly(Flying::ToTracker { from: node, bytes });
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
                let Ok(Datagram::FromTracker(conversation, message)) = Datagram::decode(&bytes) else {
                    panic!("not from a tracker")
                };
                self.nodes[to].now = self.now;
                self.nodes[to].answer(conversation, message);
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

    /// All that they share is in the tracker's tables, and each node knows that it is.
    fn is_whole(&self) -> bool {
        let shared: usize = self.nodes.iter().map(|node| node.announce.owned.digest().0 as usize).sum();
        let tables = self.tracker.as_ref().map(|tracker| (tracker.nodes(), tracker.contents()));
        tables == Some((self.nodes.len(), self.shared())) && shared == self.shared()
    }

    fn shared(&self) -> usize {
        self.nodes.iter().map(|node| node.announce.owned.len()).sum()
    }

    /// How long it takes from now on until the tables are whole.
    fn becomes_whole(&mut self) -> Duration {
        let began = self.now;
        self.run(began + WHOLE_IN * 8, Swarm::is_whole);
        self.now.since(began)
    }
}

fn shared(number: u32) -> OwnEntry {
    let mut id = [9; 32];
    id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    let name = Name::new(&format!("file-{number}.bin")).expect("a name");
    OwnEntry { content: ContentId::from_bytes(id), name, ..entry(0) }
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
    assert!(swarm.nodes.iter().all(|node| !node.announce.answers()), "and they say so");
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
