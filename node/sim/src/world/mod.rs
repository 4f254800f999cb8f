//! One heap of timed events, one seed: hosts with nodes on them, a tracker, and the network between them.

pub mod actors;
mod agenda;
mod bothered;
mod cubic;
mod faults;
mod host;
pub mod injecting;
mod network;
mod strangers;
pub mod takers;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use config::{NodeSettings, TrackerSettings};
use messages::{BootEpoch, CHUNK_HEADER, ContentId, Name, NodeId, PieceIndex, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use riffle_core::{
    BurstPart, Command, DiskResult, DownloadId, DownloadOrder, Event, Failure, Identity, Node, Output,
    ShareId, Source,
};

use crate::content::Library;
use crate::disk::{Around, Disk, Provenance};
use crate::link::{IP_HEADERS, LinkSpec, Pipe};
use actors::Part;
use agenda::Agenda;
use bothered::Bothered;
use cubic::Cubic;
pub use faults::{Fault, Move};
pub use host::{Host, Manners, Standing, State, Wish};
use injecting::Injecting;
pub use network::{Cut, Payload};
pub use strangers::{Flood, Strangers};
use takers::Taker;
pub use watch::Watch;

/// A core that asks to be polled this often without time passing goes round in circles.
const MAX_POLLS: u32 = 100_000;
/// What the disk failed at is ordered again after this long.
const ORDERED_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// What a CHUNK of the base size carries.
const BASE_SEGMENT: u32 = 1168;
/// A host's tables are looked at once in so many events.
const LOOKED_AT: u64 = 1024;

/// Which host; the tracker's is [`TRACKER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// The tracker's host.
pub const TRACKER: HostId = HostId(usize::MAX);

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
        life: u32,
        result: Box<DiskResult>,
    },
    Command {
        host: HostId,
        command: Box<Command>,
    },
    /// The person orders what is wanted.
    Order {
        host: HostId,
        wish: usize,
    },
    Fault(Box<Fault>),
    /// A stopped host goes on.
    Continue {
        host: HostId,
    },
    /// A stranger sends something.
    Stranger,
    /// A session of a taker acts, unless it has another timer by now.
    Taker {
        host: HostId,
        session: u32,
        timer: u32,
    },
    /// The connection beside ours learns that a packet has arrived.
    CubicAcknowledged {
        number: u64,
        rtt: Duration,
    },
    /// And that it may have waited for that in vain.
    CubicTimer,
    /// The host's core wanted to be polled, unless it has been since.
    Wake {
        host: HostId,
        round: u64,
    },
}

/// What a swarm has come to on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// The host has this piece of what it downloads.
    Stored(HostId, PieceIndex),
    /// A piece that came to the host from these was bad.
    Rejected(HostId, Vec<NodeId>),
    /// A download of the host has ended.
    Ended(HostId),
}

/// Everything that there is.
#[derive(Debug)]
pub struct World {
    pub now: Timestamp,
    pub hosts: Vec<Host>,
    pub library: Library,
    pub tracker: tracker::Tracker,
    tracker_address: SocketAddr,
    tracker_link: LinkSpec,
    tracker_round: u64,
    tracker_runs: bool,
    tracker_bad: bool,
    cuts: Vec<Cut>,
    pub strangers: Strangers,
    takers: BTreeMap<HostId, Taker>,
    watch: Option<Watch>,
    cubic: Option<Cubic>,
    pub injecting: Option<Injecting>,
    pub bothered: Option<Bothered>,
    /// No more events of a host than this are kept.
    pub events_kept: usize,
    /// Bursts that were sent without offload.
    pub bursts_apart: u64,
    /// Everything that happened on the way to complete files, in order.
    pub milestones: Vec<Milestone>,
    agenda: Agenda,
    rng: StdRng,
    scratch: Output,
    tracker_scratch: tracker::Output,
    by_address: BTreeMap<SocketAddr, HostId>,
    trace: u64,
}

impl World {
    /// A world with a tracker and nothing else.
    pub fn new(seed: u64, tracker_link: LinkSpec) -> World {
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
            tracker_runs: true,
            tracker_bad: false,
            cuts: Vec::new(),
            strangers: Strangers::default(),
            takers: BTreeMap::new(),
            watch: None,
            cubic: None,
            injecting: None,
            bothered: None,
            events_kept: usize::MAX,
            bursts_apart: 0,
            milestones: Vec::new(),
            agenda: Agenda::default(),
            rng,
            scratch: Output::default(),
            tracker_scratch: tracker::Output::default(),
            by_address: BTreeMap::from([(tracker_address, TRACKER)]),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Adds a host whose node starts now.
    pub fn add_host(&mut self, link: LinkSpec, settings: NodeSettings) -> HostId {
        self.add_host_with(link, settings, host::RECEIVE_BUFFER)
    }

    /// Adds a host with a receive buffer of so many bytes.
    pub fn add_host_with(&mut self, link: LinkSpec, settings: NodeSettings, receive_buffer: u64) -> HostId {
        let host = HostId(self.hosts.len());
        let [high, low] = (host.0 as u16).to_be_bytes();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 4000);
        let identity = Identity {
            node: NodeId::from_bytes(self.rng.random()),
            epoch: BootEpoch(1),
            secret: self.rng.random(),
            seed: self.rng.random(),
        };
        let credit = host::socket_credit(receive_buffer);
        let node = Node::new(settings.clone(), &identity, Some(self.tracker_address), credit, self.now);
        self.by_address.insert(address, host);
        self.hosts.push(Host {
            node,
            id: identity.node,
            disk: Disk::default(),
            address,
            link,
            up: Pipe::default(),
            down: Pipe::default(),
            manners: Manners::Honest,
            drips_at: Timestamp::ZERO,
            events: Vec::new(),
            ended: 0,
            wishes: Vec::new(),
            shares: Vec::new(),
            receive_buffer,
            overflowed: 0,
            state: State::Runs,
            former: Vec::new(),
            settings,
            life: 0,
            next_number: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            bad: false,
            round: 0,
            polls: 0,
            polled_at: Timestamp::ZERO,
        });
        self.schedule(self.now, Happening::Wake { host, round: 0 });
        host
    }

    /// A person at `host` types `command` at `at`, and forgets it.
    pub fn command(&mut self, at: Timestamp, host: HostId, command: Command) {
        self.schedule(at, Happening::Command { host, command: Box::new(command) });
    }

    /// A person at `host` wants `order` from `at` on, whatever happens.
    pub fn wish(&mut self, at: Timestamp, host: HostId, order: DownloadOrder) {
        let wishes = &mut self.hosts[host.0].wishes;
        wishes.push(Wish { at, order, standing: Standing::NotOrdered });
        let wish = wishes.len() - 1;
        self.schedule(at, Happening::Order { host, wish });
    }

    /// `host` has a file with `content` and shares it, now and whenever it starts again.
    pub fn share(&mut self, host: HostId, path: PathBuf, name: Name, content: ContentId) {
        let of = &mut self.hosts[host.0];
        of.disk.files.insert(path.clone(), content);
        of.shares.push((path, name));
        let index = of.shares.len() - 1;
        self.say_share(host, index);
        self.poll(host);
    }

    /// The process of `host` is killed at `at`.
    pub fn crash(&mut self, at: Timestamp, host: HostId) {
        self.fault(at, Fault::Kill(host));
    }

    /// The tracker starts anew at `at`.
    pub fn restart_tracker(&mut self, at: Timestamp) {
        self.fault(at, Fault::TrackerStarts);
    }

    /// One number for everything that has happened so far.
    pub fn trace_hash(&self) -> u64 {
        self.trace
    }

    /// Runs until `done` or until `deadline`; whether it was done.
    pub fn run(&mut self, deadline: Timestamp, mut done: impl FnMut(&World) -> bool) -> bool {
        while let Some((at, what)) = self.agenda.next(deadline) {
            assert!(at >= self.now, "time goes backwards");
            self.now = at;
            let matters =
                matches!(what, Happening::Disk { .. } | Happening::Delivered { .. } | Happening::Wake { .. });
            self.happen(what);
            if matters && done(self) {
                return true;
            }
        }
        false
    }

    fn schedule(&mut self, at: Timestamp, what: Happening) {
        self.agenda.add(at.max(self.now), what);
    }

    fn note(&mut self, kind: u64, host: HostId, value: u64) {
        for word in [self.now.as_nanos(), kind, host.0 as u64, value] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::AtDownlink { to, from, payload } => self.reach(to, from, payload),
            Happening::Delivered { to: TRACKER, from, payload } => self.deliver_to_tracker(from, &payload),
            Happening::Delivered { to, from, payload } => {
                let size = payload.bytes();
                match self.hosts[to.0].state {
                    State::Down => return,
                    State::Stopped(_) => return self.hosts[to.0].keep_waiting(from, payload, size),
                    State::Runs => {}
                }
                self.note(2, to, size);
                self.deliver(to, from, payload);
                self.poll(to);
            }
            Happening::Disk { host, life, .. } if self.hosts[host.0].life != life => {}
            Happening::Disk { host, .. }
            | Happening::Command { host, .. }
            | Happening::Order { host, .. }
                if self.hosts[host.0].state != State::Runs =>
            {
                // A stopped process finds it when it goes on.
                if let State::Stopped(until) = self.hosts[host.0].state {
                    self.schedule(until, what);
                }
            }
            Happening::Disk { host, result, .. } => {
                self.note(3, host, 0);
                self.hosts[host.0].disk.settle(self.now);
                self.hosts[host.0].node.handle_disk(*result, self.now);
                self.poll(host);
            }
            Happening::Command { host, command } => self.on_command(host, *command),
            Happening::Order { host, wish } => {
                self.on_order(host, wish);
                self.poll(host);
            }
            Happening::Fault(fault) => self.on_fault(*fault),
            Happening::Continue { host } => self.go_on(host),
            Happening::Stranger => self.on_stranger(),
            Happening::Taker { host, session, timer } => self.on_taker(host, session, timer),
            Happening::CubicAcknowledged { number, rtt } => self.on_cubic_acknowledged(number, rtt),
            Happening::CubicTimer => self.on_cubic_timer(),
            Happening::Wake { host: TRACKER, round } => {
                if round == self.tracker_round && self.tracker_runs {
                    self.poll_tracker();
                }
            }
            Happening::Wake { host, round } => {
                if round == self.hosts[host.0].round && self.hosts[host.0].state == State::Runs {
                    self.note(5, host, 0);
                    self.poll(host);
                }
            }
        }
    }

    fn on_command(&mut self, host: HostId, command: Command) {
        self.note(4, host, 0);
        self.hosts[host.0].node.handle_command(command, self.now);
        self.poll(host);
    }

    /// The person orders what is wanted and not ordered.
    fn on_order(&mut self, host: HostId, wish: usize) {
        self.note(4, host, 1);
        let host = &mut self.hosts[host.0];
        let wish = &mut host.wishes[wish];
        if matches!(wish.standing, Standing::NotOrdered | Standing::Again) {
            let (download, order) = (DownloadId(host.next_number), wish.order.clone());
            wish.standing = Standing::Ordered(download);
            host.next_number += 1;
            host.node.handle_command(Command::Download { download, order }, self.now);
        }
    }

    fn say_share(&mut self, host: HostId, index: usize) {
        let host = &mut self.hosts[host.0];
        let (path, name) = host.shares[index].clone();
        let share = ShareId(host.next_number);
        host.next_number += 1;
        host.node.handle_command(Command::Share { share, path, name }, self.now);
    }

    fn deliver_to_tracker(&mut self, from: SocketAddr, payload: &Payload) {
        self.note(1, TRACKER, payload.bytes());
        if let (Payload::Control(bytes), true) = (payload, self.tracker_runs) {
            self.count_from_stranger(TRACKER, from, bytes.len() as u64);
            let reached_at = Some(self.tracker_address.ip());
            self.tracker.handle_datagram(from, reached_at, bytes, self.now);
            self.poll_tracker();
        }
    }

    fn deliver(&mut self, to: HostId, from: SocketAddr, payload: Payload) {
        self.count_from_stranger(to, from, payload.bytes());
        if self.take(to, &payload) {
            return;
        }
        if let Manners::Plays(part) = self.hosts[to.0].manners
            && self.play(to, from, &payload, part)
        {
            return;
        }
        let host = &mut self.hosts[to.0];
        match payload {
            Payload::Control(bytes) => host.node.handle_datagram(from, &bytes, self.now),
            Payload::Chunk { header, length, source } => {
                if let Some(place) = host.node.handle_chunk(from, &header, length as usize, self.now) {
                    let again = header.piece != PieceIndex::MANIFEST
                        && host.disk.has_stored(source.content, header.piece);
                    assert!(!again, "{to:?} fetches {}, which it has", header.piece);
                    host.disk.pool.place(place.buffer, place.offset, length, source);
                    if header.piece != PieceIndex::MANIFEST {
                        self.on_arrived(to, u64::from(length) + CHUNK_HEADER as u64 + IP_HEADERS);
                    }
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
            assert!(host.polls < MAX_POLLS, "the core of {id:?} goes round in circles at {now:?}: {wait:?}");
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
        let (life, manners) = (self.hosts[id.0].life, self.hosts[id.0].manners);
        self.hosts[id.0].disk.pool.change(&out.buffers);
        self.check_bounds(id);
        for request in out.disk.drain(..) {
            let around = &mut Around { library: &self.library, now, rng: &mut self.rng };
            if let Some((takes, result)) = self.hosts[id.0].disk.carry_out(request, around) {
                self.schedule(now + takes, Happening::Disk { host: id, life, result: Box::new(result) });
            }
        }
        for datagram in &out.datagrams {
            let bytes = out.whole(datagram);
            self.send(id, address, datagram.to, Payload::Control(bytes));
        }
        for burst in out.bursts.iter().filter(|_| manners != Manners::Mute) {
            let (content, manifest) = match &burst.source {
                Source::Share(share) => (self.hosts[id.0].disk.source(*share), false),
                Source::Manifest(bytes) => {
                    (Some(ContentId::from_bytes(*blake3::hash(bytes).as_bytes())), true)
                }
            };
            let content = content.expect("a burst from a file that is not open");
            self.bursts_apart += u64::from(burst.apart);
            let link = self.hosts[id.0].link;
            let joined = burst.segments() > 1 && (link.always || !burst.apart);
            let leave = link.offload.filter(|_| joined).unwrap_or(usize::MAX);
            let bytes = burst.wire_length() as u64 + burst.datagrams() as u64 * IP_HEADERS;
            if link.joins && joined && !self.hosts[id.0].up.has_room(link.up, link.queue, bytes, now) {
                self.hosts[id.0].up.dropped += 1;
                continue;
            }
            for index in 0..burst.datagrams().min(leave) {
                let index = match burst.part(index) {
                    BurstPart::Segment(index) => index,
                    BurstPart::Ping(ping) => {
                        let mut bytes = Vec::new();
                        messages::encode(burst.first.conversation, &ping, &mut bytes);
                        self.send(id, address, burst.to, Payload::Control(bytes));
                        continue;
                    }
                };
                let payload = burst.payload(index);
                let lies = match manners {
                    Manners::Liar(millionths) => self.rng.random_range(0..1_000_000) < millionths,
                    _ => false,
                };
                let right = Provenance { content, manifest, from: payload.start };
                let source = if lies { Provenance::WRONG } else { right };
                let (header, length) = (burst.header(index), (payload.end - payload.start) as u32);
                if manners == Manners::Plays(Part::DropsLongChunks) && length > BASE_SEGMENT {
                    continue;
                }
                self.send(id, address, burst.to, Payload::Chunk { header, length, source });
            }
        }
        for event in out.events.drain(..) {
            self.on_event(id, event);
        }
    }

    fn on_event(&mut self, id: HostId, event: Event) {
        let now = self.now;
        let end = match &event {
            Event::DownloadDone { download, path, .. } => Some((*download, Ok(path.clone()))),
            Event::DownloadFailed { download, why } => Some((*download, Err(why.clone()))),
            _ => None,
        };
        match &event {
            Event::PieceVerified { piece, .. } => self.milestones.push(Milestone::Stored(id, *piece)),
            Event::PieceRejected { owners, .. } => {
                self.milestones.push(Milestone::Rejected(id, owners.clone()));
            }
            _ => {}
        }
        if event == Event::Left {
            // The program ends when it has said what it had to say.
            self.schedule(now, Happening::Fault(Box::new(Fault::Kill(id))));
        }
        let host = &mut self.hosts[id.0];
        host.events.push((now, event));
        if host.events.len() > self.events_kept.saturating_mul(2) {
            host.events.drain(..self.events_kept);
        }
        let Some((download, end)) = end else {
            return;
        };
        host.ended += 1;
        self.milestones.push(Milestone::Ended(id));
        let Some(wish) = host.wishes.iter().position(|wish| wish.standing == Standing::Ordered(download))
        else {
            return;
        };
        host.wishes[wish].standing = match end {
            Ok(path) => {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                host.shares.push((path.clone(), Name::new(name).expect("the name of a file")));
                Standing::Done(now)
            }
            Err(Failure::Disk(_)) => Standing::Again,
            // Whoever leaves wants it when the host starts again.
            Err(Failure::Cancelled) => Standing::NotOrdered,
            Err(why) => Standing::Failed(why),
        };
        if host.wishes[wish].standing == Standing::Again {
            self.schedule(now + ORDERED_AGAIN_AFTER, Happening::Order { host: id, wish });
        }
    }

    /// Memory is bounded by the setting, a single larger buffer apart; sessions are, now and then looked at.
    fn check_bounds(&mut self, id: HostId) {
        let now = self.now;
        let host = &mut self.hosts[id.0];
        let budget = host.settings.download.memory.as_u64().max(u64::from(messages::limits::MAX_PIECE_SIZE));
        assert!(host.disk.pool.bytes <= budget, "{id:?} buffers {} of {budget} bytes", host.disk.pool.bytes);
        if host.round.is_multiple_of(LOOKED_AT) {
            let status = host.node.status(now);
            let sessions = status.uploads.len();
            assert!(sessions <= host.settings.network.max_sessions as usize, "{id:?} serves {sessions}");
            // Those that give nothing take no places, up to a bound.
            let owners = 4 * usize::from(host.settings.download.owners);
            let most = status.downloads.iter().map(|download| download.owners.len()).max().unwrap_or(0);
            assert!(most <= owners, "{id:?} talks to {most} owners of {owners}");
        }
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
}
