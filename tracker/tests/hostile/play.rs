//! One script played against one tracker, and what must hold after each step.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::TrackerSettings;
use messages::node_to_tracker::{
    Asker, Credit, Exit, Need, Own, OwnDigest, OwnEntry, Permille, Query, Register, TrackerPong, Update,
};
use messages::{
    BootEpoch, ContentId, Conversation, Cookie, CookieJar, Cursor, Datagram, Digits, List, Name, NodeId,
    NodeToTracker, Prefix, Timestamp, TrackerToNode, canonical,
};
use tracker::{Counters, Output, Tracker, Wait, WaitReason};

use crate::accounts::Accounts;
use crate::heap;
use crate::script::{Script, remember};

const SECRET: [u8; 32] = [3; 32];
/// The most steps of one script that are played.
const MAX_STEPS: usize = 400;
/// In how many polls the answers and events of one step leave at the latest.
const MAX_POLLS: usize = 4;
/// How many old datagrams may come again.
const HISTORY: usize = 32;
/// How many of the addresses send more than the others.
const FREQUENT: usize = 4;

const NODES: usize = 8;
const CONTENTS: usize = 40;
/// The longest name, a common one, and one that starts like it.
const NAMES: [usize; 3] = [255, 5, 6];

/// Heap bytes of one registered node: its record and its places in the tables of leases, PINGs, claims and hosts, in
/// tree nodes that may be half empty.
const HEAP_A_NODE: usize = 2 << 10;
/// Of one content of one node: the holding, its votes, the node's own note of it, and a name of 255 bytes of its own.
const HEAP_A_HOLDING: usize = 1 << 10;
/// Of one address whose requests are counted.
const HEAP_AN_ADDRESS: usize = 256;
/// Of the scratch in which the answers and events of one step leave: a few datagrams, and events with names.
const HEAP_SCRATCH: usize = 64 << 10;

/// Limits so small that a script runs into all of them.
fn settings() -> TrackerSettings {
    let mut settings = TrackerSettings::default();
    settings.limits.max_nodes = 5;
    settings.limits.max_nodes_per_address = 3;
    settings.limits.max_contents_per_node = 12;
    settings.limits.max_contents = 24;
    settings.limits.requests_per_second = 2;
    settings.limits.request_burst = 12;
    settings.limits.tracked_addresses = 3;
    settings
}

/// What the tables may hold by their settings.
fn heap_cap(settings: &TrackerSettings) -> isize {
    let limits = &settings.limits;
    let holdings = limits.max_nodes as usize * limits.max_contents_per_node as usize;
    let tables = limits.max_nodes as usize * HEAP_A_NODE
        + holdings * HEAP_A_HOLDING
        + limits.tracked_addresses as usize * HEAP_AN_ADDRESS;
    (tables + HEAP_SCRATCH).cast_signed()
}

/// Where datagrams come from: hosts with one node, with several, both families, loopback, and such as cannot be
/// answered.
fn addresses() -> Vec<SocketAddr> {
    let texts = [
        "10.0.0.1:7000",
        "10.0.0.1:7001",
        "10.0.0.2:7000",
        "10.0.0.3:7000",
        "127.0.0.1:7000",
        "127.0.0.1:7001",
        "[2001:db8::1]:7000",
        "[2001:db8::2]:7000",
        "[::ffff:10.0.0.2]:7000",
        "10.0.0.4:0",
        "224.0.0.1:7000",
    ];
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

struct Play<'a> {
    script: Script<'a>,
    tracker: Tracker,
    jar: CookieJar,
    settings: TrackerSettings,
    now: Timestamp,
    out: Output,
    addresses: Vec<SocketAddr>,
    accounts: Accounts,
    /// The last cookie for each address.
    cookies: BTreeMap<SocketAddr, Cookie>,
    /// PINGs that were received.
    pings: Vec<(SocketAddr, u64)>,
    history: Vec<(SocketAddr, Vec<u8>)>,
    /// Bytes of heap that the tracker holds.
    held: isize,
}

/// What the tables say: all that only their owners may change.
#[derive(Debug, PartialEq)]
struct Tables {
    registered_at: Vec<Option<SocketAddr>>,
    owners: Vec<Vec<NodeId>>,
    rates: Vec<u64>,
    nodes: usize,
    contents: usize,
}

/// Plays `bytes` to their end, lets all time out, and says what the tracker counted.
pub(crate) fn hold(bytes: &[u8]) -> Counters {
    let mut play = Play::new(bytes);
    for _ in 0..MAX_STEPS {
        if play.script.is_over() {
            break;
        }
        play.step();
    }
    play.end()
}

/// `count` nodes one after the other, each with contents and names of its own, half of which leave and half of which
/// fall silent: the heap that is held after each.
#[allow(dead_code, reason = "who only plays scripts has no use for it")]
pub(crate) fn one_after_the_other(count: u32) -> Vec<isize> {
    let mut play = Play::new(&[]);
    let lease = play.settings.heartbeat * play.settings.missed_heartbeats;
    let one = |number: u32| {
        let [a, b, c, _] = number.to_le_bytes();
        let from = SocketAddr::from(([10, c, b, a], 7000));
        let mut node = [0; 16];
        node[..4].copy_from_slice(&number.to_le_bytes());
        let asker = Asker { node: NodeId::from_bytes(node), cookie: play.jar.bake(from, play.now) };
        let epoch = BootEpoch(1);
        play.say(from, &Register { asker, epoch, contents: 0, digest: OwnDigest::default() }.into());
        let mut content = [1; 32];
        content[..4].copy_from_slice(&number.to_le_bytes());
        let entry = OwnEntry {
            content: ContentId::from_bytes(content),
            length: 1,
            permille: Permille::COMPLETE,
            withdrawn: false,
            name: Name::new(&format!("{number:0200}")).expect("a name"),
        };
        play.say(from, &Own { asker, entries: List::first_of([entry]) }.into());
        assert_eq!((play.tracker.nodes(), play.tracker.contents()), (1, 1));
        match number % 2 {
            0 => play.say(from, &Exit { asker, epoch }.into()),
            _ => play.now += lease,
        }
        // The buckets of those who asked are full again, and may be forgotten.
        play.now += Duration::from_secs(20);
        play.settle();
        assert_eq!((play.tracker.nodes(), play.tracker.contents()), (0, 0));
        play.held
    };
    (0..count).map(one).collect()
}

fn node_id(number: usize) -> NodeId {
    NodeId::from_bytes([number as u8; 16])
}

fn content_id(number: usize) -> ContentId {
    ContentId::from_bytes([number as u8; 32])
}

fn name(number: usize) -> Name {
    let length = NAMES[number % NAMES.len()];
    let letter = char::from(b'a' + (number / NAMES.len()) as u8 % 26);
    Name::new(&letter.to_string().repeat(length)).expect("a name")
}

impl<'a> Play<'a> {
    fn new(bytes: &'a [u8]) -> Play<'a> {
        let settings = settings();
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        let before = heap::held();
        let tracker = Tracker::new(settings.clone(), SECRET, 42, now);
        let held = heap::held() - before;
        Play {
            script: Script::new(bytes),
            tracker,
            jar: CookieJar::new(SECRET),
            settings,
            now,
            out: Output::default(),
            addresses: addresses(),
            accounts: Accounts::default(),
            cookies: BTreeMap::new(),
            pings: Vec::new(),
            history: Vec::new(),
            held,
        }
    }

    fn step(&mut self) {
        match self.script.below(16) {
            0 => self.pass_time(),
            1 => self.replay(),
            2 => {
                let (from, bytes) = (self.address(), self.script.bytes().to_vec());
                self.arrive(from, &bytes);
            }
            3 => self.pong(),
            _ => self.ask(),
        }
    }

    fn pass_time(&mut self) {
        let millis = [0, 1, 2, 10, 50, 200, 500, 1000, 1001, 3000, 10_000, 20_000, 60_000, 120_000, 240_000];
        let step = millis[self.script.below(millis.len())];
        self.now += Duration::from_millis(step);
        self.settle();
    }

    fn replay(&mut self) {
        let Some((from, datagram)) = self.script.replay(&self.history, &self.addresses, FREQUENT) else {
            return;
        };
        self.arrive(from, &datagram);
    }

    fn pong(&mut self) {
        let (mut from, mut nonce) = self.script.pick(&self.pings).copied().unwrap_or((self.addresses[0], 7));
        match self.script.below(4) {
            0 => from = self.address(),
            1 => nonce ^= 1,
            _ => {}
        }
        self.say(from, &TrackerPong { nonce }.into());
    }

    fn address(&mut self) -> SocketAddr {
        self.script.address(&self.addresses, FREQUENT)
    }

    /// A request as nodes make them, with a cookie that may be another's and a node that may be another.
    fn ask(&mut self) {
        let from = self.address();
        let own = self.cookies.get(&canonical(from)).copied().unwrap_or(Cookie::NONE);
        let cookie = match self.script.below(16) {
            0 => Cookie::NONE,
            1 => Cookie::from_bytes([self.script.byte(); 16]),
            2 => {
                let other = canonical(self.address());
                self.cookies.get(&other).copied().unwrap_or(Cookie::NONE)
            }
            _ => own,
        };
        // Mostly the node that lives there.
        let node = match self.script.below(8) {
            0 => self.script.below(NODES),
            _ => self.addresses.iter().position(|address| *address == from).unwrap_or(0) % NODES,
        };
        let asker = Asker { node: node_id(node), cookie };
        let message = match self.script.below(16) {
            0..4 => {
                let (epoch, contents) = (BootEpoch(self.script.byte().into()), self.script.byte().into());
                Register { asker, epoch, contents, digest: OwnDigest(self.script.byte().into()) }.into()
            }
            4..8 => self.own(asker),
            8..11 => self.need(asker),
            11..15 => {
                let credit = |script: &mut Script<'_>| Credit {
                    owner: node_id(script.below(NODES)),
                    bytes: if script.coin() { u64::MAX } else { script.word().into() },
                };
                let credits = List::first_of((0..self.script.below(33)).map(|_| credit(&mut self.script)));
                let sequence = if self.script.coin() { u32::MAX } else { self.script.byte().into() };
                Update { asker, sequence, content: content_id(self.script.below(CONTENTS)), credits }.into()
            }
            _ => Exit { asker, epoch: BootEpoch(self.script.byte().into()) }.into(),
        };
        self.say(from, &message);
    }

    fn own(&mut self, asker: Asker) -> NodeToTracker {
        let mut entries = List::new();
        let mut bytes_left = 1200 - Own::WIRE_FIXED;
        for _ in 0..self.script.below(17) {
            let entry = OwnEntry {
                content: content_id(self.script.below(CONTENTS)),
                length: self.script.half().into(),
                permille: Permille::of(self.script.half().into(), 1000),
                withdrawn: self.script.below(4) == 0,
                name: name(self.script.byte().into()),
            };
            let Some(left) = bytes_left.checked_sub(entry.wire_length()) else { break };
            bytes_left = left;
            entries.push(entry).expect("the list takes sixteen");
        }
        Own { asker, entries }.into()
    }

    fn need(&mut self, asker: Asker) -> NodeToTracker {
        let query = match self.script.below(6) {
            0 => Query::Content(content_id(self.script.below(CONTENTS))),
            1 => Query::Name(name(self.script.byte().into())),
            2 => Query::Newest(name(self.script.byte().into())),
            3 => {
                let id = content_id(self.script.below(CONTENTS)).to_string();
                Query::Digits(Digits::new(&id[..8 + self.script.below(56)]).expect("a beginning"))
            }
            4 => {
                let name = name(self.script.byte().into());
                Query::NameFrom { name, from: content_id(self.script.below(CONTENTS)) }
            }
            _ => {
                let prefix = name(self.script.byte().into());
                let prefix = &prefix.as_str()[..self.script.below(6)];
                let after = self.script.coin().then(|| Cursor {
                    tier: self.script.byte() % 12,
                    name: name(self.script.byte().into()),
                    hosts: self.script.below(4) as u32,
                    number: self.script.byte().into(),
                });
                Query::Search { prefix: Prefix::new(prefix).expect("short enough"), after }
            }
        };
        Need { asker, query }.into()
    }

    fn say(&mut self, from: SocketAddr, message: &NodeToTracker) {
        let mut datagram = Vec::new();
        message.encode(Conversation(self.script.byte().into()), &mut datagram);
        remember(&mut self.history, HISTORY, (from, datagram.clone()));
        self.arrive(from, &datagram);
    }

    /// A datagram arrives: what it may change, and what may be sent for it.
    fn arrive(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.settle();
        let before = self.tables();
        let may_change = self.may_change(canonical(from), datagram);
        let proves = is_proven(&self.jar, canonical(from), datagram, self.now);
        self.accounts.receive(canonical(from), datagram.len(), proves);
        let reached_at: Option<IpAddr> = Some(IpAddr::from([10, 0, 0, 100]));
        let held = heap::held();
        self.tracker.handle_datagram(from, reached_at, datagram, self.now);
        self.held += heap::held() - held;
        self.settle();
        if !may_change {
            assert_eq!(self.tables(), before, "changed by {from} with {datagram:02x?}");
        }
    }

    /// Whether `datagram` from there may change a table: it proves its address, and speaks for a node that is
    /// registered there, or registers.
    fn may_change(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let Ok(Datagram::ToTracker(_, message)) = Datagram::decode(datagram) else { return false };
        let (asker, registers) = match message {
            NodeToTracker::Register(register) => (register.asker, true),
            NodeToTracker::Own(own) => (own.asker, false),
            NodeToTracker::Update(update) => (update.asker, false),
            NodeToTracker::Exit(exit) => (exit.asker, false),
            NodeToTracker::Need(_) | NodeToTracker::TrackerPong(_) => return false,
        };
        let lives_there = self.tracker.address_of(asker.node) == Some(from);
        self.jar.accepts(asker.cookie, from, self.now) && (registers || lives_there)
    }

    fn tables(&self) -> Tables {
        let nodes = || (0..NODES).map(node_id);
        Tables {
            registered_at: nodes().map(|node| self.tracker.address_of(node)).collect(),
            owners: (0..CONTENTS)
                .map(|content| {
                    nodes().filter(|&node| self.tracker.is_owner(node, content_id(content))).collect()
                })
                .collect(),
            rates: nodes().map(|node| self.tracker.upload_rate(node, self.now)).collect(),
            nodes: self.tracker.nodes(),
            contents: self.tracker.contents(),
        }
    }

    /// Drains the tracker until it waits for the future, and looks at what it said and holds.
    fn settle(&mut self) -> Wait {
        for _ in 0..MAX_POLLS {
            // What the answers and events hold is the tracker's until they are dropped.
            let held = heap::held();
            self.out.clear();
            let wait = self.tracker.poll(self.now, &mut self.out);
            self.held += heap::held() - held;
            self.check_answers();
            assert!(self.tracker.nodes() <= self.settings.limits.max_nodes as usize);
            assert!(self.tracker.contents() <= self.settings.limits.max_contents as usize);
            let cap = heap_cap(&self.settings);
            assert!(self.held <= cap, "{} bytes of heap, of {cap}", self.held);
            if wait.until > self.now {
                return wait;
            }
        }
        panic!("the tracker is never done");
    }

    fn check_answers(&mut self) {
        for (outgoing, bytes) in self.out.datagrams() {
            let to = outgoing.to;
            self.accounts.send(to, bytes.len(), false);
            match Datagram::decode(bytes) {
                Ok(Datagram::FromTracker(_, TrackerToNode::Refused(refused)))
                    if refused.cookie != Cookie::NONE =>
                {
                    self.cookies.insert(to, refused.cookie);
                }
                Ok(Datagram::FromTracker(_, TrackerToNode::Registered(registered))) => {
                    self.cookies.insert(to, registered.cookie);
                }
                Ok(Datagram::FromTracker(_, TrackerToNode::TrackerPing(ping))) => {
                    remember(&mut self.pings, HISTORY, (to, ping.nonce));
                }
                Ok(Datagram::FromTracker(..)) => {}
                other => panic!("a tracker says {other:?}"),
            }
        }
    }

    /// Nobody speaks any more: when the last lease has ended nothing is left.
    fn end(mut self) -> Counters {
        let lease = self.settings.heartbeat * self.settings.missed_heartbeats;
        self.now += lease + self.settings.takeover_ping;
        let wait = self.settle();
        assert_eq!((self.tracker.nodes(), self.tracker.contents()), (0, 0));
        assert_eq!(wait, Wait { until: Timestamp::NEVER, reason: WaitReason::Nothing });
        let held = heap::held();
        self.out = Output::default();
        self.held += heap::held() - held;
        let addresses = self.settings.limits.tracked_addresses as usize * HEAP_AN_ADDRESS;
        let idle = (addresses + HEAP_SCRATCH).cast_signed();
        assert!(self.held <= idle, "{} bytes of heap when all is over, of {idle}", self.held);
        *self.tracker.counters()
    }
}

/// Whether `datagram` shows a cookie that was given to this address.
fn is_proven(jar: &CookieJar, from: SocketAddr, datagram: &[u8], now: Timestamp) -> bool {
    let Ok(Datagram::ToTracker(_, message)) = Datagram::decode(datagram) else { return false };
    let asker = match message {
        NodeToTracker::Register(register) => register.asker,
        NodeToTracker::Own(own) => own.asker,
        NodeToTracker::Need(need) => need.asker,
        NodeToTracker::Update(update) => update.asker,
        NodeToTracker::Exit(exit) => exit.asker,
        NodeToTracker::TrackerPong(_) => return false,
    };
    jar.accepts(asker.cookie, from, now)
}
