//! One heap of timed events, one seed: hosts with nodes on them, a tracker, and the network between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use config::{NodeSettings, TrackerSettings};
use messages::{BootEpoch, ChunkHeader, ContentId, NodeId, Timestamp};
use node::{Command, DiskResult, Event, Identity, Node, Output, Source};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::content::Library;
use crate::disk::{Disk, Provenance};
use crate::link::{IP_HEADERS, LinkSpec, Pipe, fate};

/// A core that asks to be polled this often without time passing goes round in circles.
const MOST_POLLS: u32 = 100_000;
/// What a host's receive buffer holds.
const SOCKET_CREDIT: u32 = 3 << 20;

/// Which host; the tracker's is [`TRACKER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) usize);

/// The tracker's host.
pub(crate) const TRACKER: HostId = HostId(usize::MAX);

/// What travels.
#[derive(Clone, Debug)]
enum Payload {
    Control(Vec<u8>),
    Chunk { header: ChunkHeader, length: u32, source: Provenance },
}

impl Payload {
    fn bytes(&self) -> u64 {
        match self {
            Payload::Control(bytes) => bytes.len() as u64,
            Payload::Chunk { length, .. } => u64::from(*length) + messages::CHUNK_HEADER as u64,
        }
    }
}

#[derive(Debug)]
enum Happening {
    /// A packet has crossed the network and reaches the receiver's access link.
    AtDownlink {
        to: HostId,
        from: SocketAddr,
        payload: Payload,
    },
    /// A packet reaches the host.
    Delivered {
        to: HostId,
        from: SocketAddr,
        payload: Payload,
    },
    Disk {
        host: HostId,
        result: DiskResult,
    },
    Command {
        host: HostId,
        command: Command,
    },
    /// The host's power is cut: nothing reaches it any more, and nothing comes from it.
    Crash {
        host: HostId,
    },
    /// From now on the host's access link is like this.
    Relink {
        host: HostId,
        link: LinkSpec,
    },
    /// The tracker starts anew, with empty tables and another key.
    RestartTracker,
    /// The host's core wanted to be polled, unless it has been since.
    Wake {
        host: HostId,
        round: u64,
    },
}

#[derive(Debug)]
struct Timed {
    at: Timestamp,
    order: u64,
    what: Happening,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Timed) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Timed) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    fn cmp(&self, other: &Timed) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// One host with one node.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) disk: Disk,
    pub(crate) address: SocketAddr,
    pub(crate) link: LinkSpec,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    pub(crate) events: Vec<(Timestamp, Event)>,
    settings: NodeSettings,
    crashed: bool,
    round: u64,
    polls: u32,
    polled_at: Timestamp,
}

/// Everything that there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) hosts: Vec<Host>,
    pub(crate) library: Library,
    pub(crate) tracker: tracker::Tracker,
    tracker_address: SocketAddr,
    tracker_link: LinkSpec,
    tracker_round: u64,
    heap: BinaryHeap<Reverse<Timed>>,
    order: u64,
    rng: StdRng,
    scratch: Output,
    tracker_scratch: tracker::Output,
    by_address: BTreeMap<SocketAddr, HostId>,
    trace: u64,
}

impl World {
    /// A world with a tracker and nothing else.
    pub(crate) fn new(seed: u64, tracker_link: LinkSpec) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Timestamp::ZERO + Duration::from_secs(1);
        let tracker = tracker::Tracker::new(TrackerSettings::default(), rng.random(), rng.random(), now);
        let tracker_address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1)), 12345);
        World {
            now,
            hosts: Vec::new(),
            library: Library::default(),
            tracker,
            tracker_address,
            tracker_link,
            tracker_round: 0,
            heap: BinaryHeap::new(),
            order: 0,
            rng,
            scratch: Output::default(),
            tracker_scratch: tracker::Output::default(),
            by_address: BTreeMap::from([(tracker_address, TRACKER)]),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Adds a host whose node starts now.
    pub(crate) fn add_host(&mut self, link: LinkSpec, settings: NodeSettings) -> HostId {
        let host = HostId(self.hosts.len());
        let [high, low] = (host.0 as u16).to_be_bytes();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 4000);
        let identity = Identity {
            node: NodeId::from_bytes(self.rng.random()),
            epoch: BootEpoch(1),
            secret: self.rng.random(),
            seed: self.rng.random(),
        };
        let node = Node::new(settings.clone(), &identity, self.tracker_address, SOCKET_CREDIT, self.now);
        self.by_address.insert(address, host);
        self.hosts.push(Host {
            node,
            disk: Disk::default(),
            address,
            link,
            up: Pipe::default(),
            down: Pipe::default(),
            events: Vec::new(),
            settings,
            crashed: false,
            round: 0,
            polls: 0,
            polled_at: Timestamp::ZERO,
        });
        self.schedule(self.now, Happening::Wake { host, round: 0 });
        host
    }

    /// A person at `host` types `command` at `at`.
    pub(crate) fn command(&mut self, at: Timestamp, host: HostId, command: Command) {
        self.schedule(at, Happening::Command { host, command });
    }

    /// The power of `host` is cut at `at`.
    pub(crate) fn crash(&mut self, at: Timestamp, host: HostId) {
        self.schedule(at, Happening::Crash { host });
    }

    /// The access link of `host` changes at `at`.
    pub(crate) fn relink(&mut self, at: Timestamp, host: HostId, link: LinkSpec) {
        self.schedule(at, Happening::Relink { host, link });
    }

    /// The tracker starts anew at `at`.
    pub(crate) fn restart_tracker(&mut self, at: Timestamp) {
        self.schedule(at, Happening::RestartTracker);
    }

    /// One number for everything that has happened so far.
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace
    }

    /// Runs until `done` or until `deadline`; whether it was done.
    pub(crate) fn run(&mut self, deadline: Timestamp, mut done: impl FnMut(&World) -> bool) -> bool {
        while let Some(Reverse(next)) = self.heap.pop() {
            if next.at > deadline {
                self.heap.push(Reverse(next));
                return false;
            }
            assert!(next.at >= self.now, "time goes backwards");
            self.now = next.at;
            let matters = matches!(
                next.what,
                Happening::Disk { .. } | Happening::Delivered { .. } | Happening::Wake { .. }
            );
            self.happen(next.what);
            if matters && done(self) {
                return true;
            }
        }
        false
    }

    fn schedule(&mut self, at: Timestamp, what: Happening) {
        let order = self.order;
        self.order += 1;
        self.heap.push(Reverse(Timed { at: at.max(self.now), order, what }));
    }

    fn note(&mut self, kind: u64, host: HostId, value: u64) {
        for word in [self.now.as_nanos(), kind, host.0 as u64, value] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
    }

    fn happen(&mut self, what: Happening) {
        let host = match &what {
            Happening::AtDownlink { to: host, .. }
            | Happening::Delivered { to: host, .. }
            | Happening::Disk { host, .. }
            | Happening::Command { host, .. }
            | Happening::Crash { host }
            | Happening::Relink { host, .. }
            | Happening::Wake { host, .. } => *host,
            Happening::RestartTracker => TRACKER,
        };
        if self.hosts.get(host.0).is_some_and(|host| host.crashed) {
            return;
        }
        match what {
            Happening::AtDownlink { to, from, payload } => self.reach(to, from, payload),
            Happening::Delivered { to: TRACKER, from, payload } => {
                self.note(1, TRACKER, payload.bytes());
                if let Payload::Control(bytes) = &payload {
                    let reached_at = Some(self.tracker_address.ip());
                    self.tracker.handle_datagram(from, reached_at, bytes, self.now);
                    self.poll_tracker();
                }
            }
            Happening::Delivered { to, from, payload } => {
                self.note(2, to, payload.bytes());
                self.deliver(to, from, payload);
                self.poll(to);
            }
            Happening::Disk { host, result } => {
                self.note(3, host, 0);
                self.hosts[host.0].node.handle_disk(result, self.now);
                self.poll(host);
            }
            Happening::Command { host, command } => {
                self.note(4, host, 0);
                self.hosts[host.0].node.handle_command(command, self.now);
                self.poll(host);
            }
            Happening::Crash { host } => {
                self.note(6, host, 0);
                self.hosts[host.0].crashed = true;
            }
            Happening::Relink { host, link } => {
                self.note(7, host, 0);
                self.hosts[host.0].link = link;
            }
            Happening::RestartTracker => {
                self.note(8, TRACKER, 0);
                let settings = TrackerSettings::default();
                self.tracker =
                    tracker::Tracker::new(settings, self.rng.random(), self.rng.random(), self.now);
                self.poll_tracker();
            }
            Happening::Wake { host: TRACKER, round } => {
                if round == self.tracker_round {
                    self.poll_tracker();
                }
            }
            Happening::Wake { host, round } => {
                if round == self.hosts[host.0].round {
                    self.note(5, host, 0);
                    self.poll(host);
                }
            }
        }
    }

    fn deliver(&mut self, to: HostId, from: SocketAddr, payload: Payload) {
        let host = &mut self.hosts[to.0];
        match payload {
            Payload::Control(bytes) => host.node.handle_datagram(from, &bytes, self.now),
            Payload::Chunk { header, length, source } => {
                if let Some(place) = host.node.handle_chunk(from, &header, length as usize, self.now) {
                    host.disk.place(place.buffer, place.offset, length, source);
                }
            }
        }
    }

    /// Polls the node on `host` until it waits, and carries out what it says.
    fn poll(&mut self, id: HostId) {
        let mut out = std::mem::take(&mut self.scratch);
        let wait = loop {
            let now = self.now;
            let host = &mut self.hosts[id.0];
            host.polls = if host.polled_at == now { host.polls + 1 } else { 0 };
            host.polled_at = now;
            let wait = host.node.poll(now, &mut out);
            assert!(host.polls < MOST_POLLS, "the core of {id:?} goes round in circles at {now:?}: {wait:?}");
            self.carry_out(id, &mut out);
            if wait.until > now {
                break wait;
            }
        };
        self.scratch = out;
        let host = &mut self.hosts[id.0];
        host.round += 1;
        let round = host.round;
        if wait.until < Timestamp::NEVER {
            self.schedule(wait.until, Happening::Wake { host: id, round });
        }
    }

    fn carry_out(&mut self, id: HostId, out: &mut Output) {
        let (now, address) = (self.now, self.hosts[id.0].address);
        self.hosts[id.0].disk.change_buffers(&out.buffers);
        self.check_memory(id);
        for request in out.disk.drain(..) {
            if let Some((takes, result)) = self.hosts[id.0].disk.carry_out(request, &self.library) {
                self.schedule(now + takes, Happening::Disk { host: id, result });
            }
        }
        for datagram in &out.datagrams {
            let bytes = out.bytes[datagram.range.clone()].to_vec();
            self.send(id, address, datagram.to, Payload::Control(bytes));
        }
        for burst in &out.bursts {
            let (content, manifest) = match &burst.source {
                Source::Share(share) => (self.hosts[id.0].disk.source(*share), false),
                Source::Manifest(bytes) => {
                    (Some(ContentId::from_bytes(*blake3::hash(bytes).as_bytes())), true)
                }
            };
            let content = content.expect("a burst from a file that is not open");
            for index in 0..burst.segments() {
                let payload = burst.payload(index);
                let source = Provenance { content, manifest, from: payload.start };
                let length = (payload.end - payload.start) as u32;
                self.send(
                    id,
                    address,
                    burst.to,
                    Payload::Chunk { header: burst.header(index), length, source },
                );
            }
        }
        self.hosts[id.0].events.extend(out.events.drain(..).map(|event| (now, event)));
    }

    /// Memory is bounded by the setting, a single larger buffer apart.
    fn check_memory(&self, id: HostId) {
        let host = &self.hosts[id.0];
        let budget = host.settings.download.memory.as_u64().max(u64::from(messages::limits::MAX_PIECE_SIZE));
        assert!(host.disk.buffered <= budget, "{id:?} buffers {} of {budget} bytes", host.disk.buffered);
    }

    fn poll_tracker(&mut self) {
        let mut out = std::mem::take(&mut self.tracker_scratch);
        let wait = loop {
            let wait = self.tracker.poll(self.now, &mut out);
            for datagram in &out.datagrams {
                let bytes = out.bytes[datagram.range.clone()].to_vec();
                self.send(TRACKER, self.tracker_address, datagram.to, Payload::Control(bytes));
            }
            out.clear();
            if wait.until > self.now {
                break wait;
            }
        };
        self.tracker_scratch = out;
        self.tracker_round += 1;
        if wait.until < Timestamp::NEVER {
            let round = self.tracker_round;
            self.schedule(wait.until, Happening::Wake { host: TRACKER, round });
        }
    }

    /// A packet leaves `from` over its access link.
    fn send(&mut self, from: HostId, source: SocketAddr, to: SocketAddr, payload: Payload) {
        let Some(&to) = self.by_address.get(&to) else {
            return;
        };
        let (sender, receiver) = (self.link_of(from), self.link_of(to));
        let size = payload.bytes() + IP_HEADERS;
        let now = self.now;
        let sent_at = match from {
            TRACKER => Some(now),
            HostId(index) => self.hosts[index].up.enqueue(sender.up, sender.queue, size, now),
        };
        let Some(sent_at) = sent_at else {
            return;
        };
        let fate = fate(&sender, &receiver, &mut self.rng);
        let mut payload = payload;
        // What a tracker says is taken on trust: there is nothing to check it against.
        let corrupt = fate.corrupt.filter(|_| from != TRACKER && to != TRACKER);
        if let (Payload::Control(bytes), Some(bit)) = (&mut payload, corrupt) {
            let bit = bit as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let arrives = sent_at + sender.delay + receiver.delay + fate.late;
        for _ in 0..fate.copies {
            self.schedule(arrives, Happening::AtDownlink { to, from: source, payload: payload.clone() });
        }
    }

    fn reach(&mut self, to: HostId, from: SocketAddr, payload: Payload) {
        let link = self.link_of(to);
        let size = payload.bytes() + IP_HEADERS;
        let at = match to {
            TRACKER => Some(self.now),
            HostId(index) => self.hosts[index].down.enqueue(link.down, link.queue, size, self.now),
        };
        if let Some(at) = at {
            self.schedule(at, Happening::Delivered { to, from, payload });
        }
    }

    fn link_of(&self, host: HostId) -> LinkSpec {
        match host {
            TRACKER => self.tracker_link,
            HostId(index) => self.hosts[index].link,
        }
    }
}
