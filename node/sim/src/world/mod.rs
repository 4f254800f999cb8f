//! One heap of timed events, one seed: hosts with nodes on them, a tracker, and the network between them.

mod cubic;
mod driver;
mod event_queue;
mod fault;
mod faults;
mod host;
mod injector;
mod network;
mod outboard_liars;
mod payload;
mod record;
mod scripted_downloaders;
mod scripted_owners;
mod sealing;
mod sim_event;
mod strangers;
mod tracker_host;
mod unsolicited;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use channel::{Policy, StaticKey, SwarmSecret};
use config::NodeSettings;
use messages::{BootEpoch, ContentId, Name, NodeId, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use riffle_core::{Command, DownloadId, DownloadOrder, FolderOptions, Identity, Node, Output, ShareId};

use crate::content::Library;
use crate::link::LinkSpec;
pub use cubic::Cubic;
use event_queue::EventQueue;
pub use fault::{Cut, Fault, Flood, Move};
pub use host::{AccessLink, Host, Manners, Person, Process, ReceiveBuffer, State, Wish, WishState};
pub use injector::Injector;
use network::Network;
pub use outboard_liars::OutboardLie;
pub use payload::Payload;
pub use record::{Milestone, Record};
pub use scripted_downloaders::{
    Behaviour, DownloaderScript, ScriptedDownloader, addresses, addresses_of_one_prefix,
};
pub use scripted_owners::OwnerScript;
use sealing::{Membership, sealed};
use sim_event::SimEvent;
pub use strangers::Strangers;
pub use tracker_host::TrackerHost;
pub use unsolicited::Unsolicited;
pub use watch::{Arrival, Watch};

/// Which host: an index into [`World::hosts`], or [`TRACKER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// The tracker's host.
pub const TRACKER: HostId = HostId(usize::MAX);

/// Everything that there is, and everything that is going to happen.
#[derive(Debug)]
pub struct World {
    /// The present instant.
    pub now: Timestamp,
    /// All hosts but the tracker's; a [`HostId`] is an index into them.
    pub hosts: Vec<Host>,
    /// All contents that exist.
    pub library: Library,
    /// The tracker's host.
    pub tracker: TrackerHost,
    /// Strangers who send what nobody asked for.
    pub strangers: Strangers,
    /// Somebody on the path who forges CHUNKs, if there is one.
    pub injector: Option<Injector>,
    /// What is measured and kept.
    pub record: Record,
    /// How hosts that are added talk. `None`: in the clear, without channels.
    policy: Option<Policy>,
    /// The swarm of hosts that are added.
    swarm: SwarmSecret,
    network: Network,
    scripted_downloaders: BTreeMap<HostId, ScriptedDownloader>,
    cubic: Option<Cubic>,
    queue: EventQueue,
    rng: StdRng,
    scratch: Output,
}

impl World {
    /// A world with a tracker behind `tracker_link` and nothing else; all chance comes from `seed`.
    pub fn new(seed: u64, tracker_link: LinkSpec) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = Timestamp::ZERO + Duration::from_secs(1);
        let tracker = TrackerHost::new(tracker_link, &mut rng, now);
        let mut world = World {
            now,
            hosts: Vec::new(),
            library: Library::default(),
            policy: None,
            swarm: SwarmSecret::open(),
            network: Network::new(tracker.address),
            tracker,
            strangers: Strangers::default(),
            injector: None,
            record: Record::new(),
            scripted_downloaders: BTreeMap::new(),
            cubic: None,
            queue: EventQueue::default(),
            rng,
            scratch: Output::default(),
        };
        if cfg!(feature = "sealed") {
            world.seal(Policy::SEALED);
        }
        world
    }

    /// From now on what hosts and the tracker say travels as `policy` asks for. Hosts that are there already go on as
    /// they began.
    pub fn seal(&mut self, policy: Policy) {
        self.policy = Some(policy);
        self.seal_tracker();
    }

    /// From now on what hosts say that are added travels as `policy` asks for, whatever the tracker does.
    pub fn seal_hosts(&mut self, policy: Policy) {
        self.policy = Some(policy);
    }

    /// Adds a host behind `link` whose node starts now.
    pub fn add_host(&mut self, link: LinkSpec, settings: NodeSettings) -> HostId {
        self.add_host_with(link, settings, host::RECEIVE_BUFFER)
    }

    /// Adds a host with a receive buffer of `receive_buffer` bytes, whose node starts now.
    pub fn add_host_with(&mut self, link: LinkSpec, settings: NodeSettings, receive_buffer: u64) -> HostId {
        let host = HostId(self.hosts.len());
        let (member, id) = match self.policy {
            Some(policy) => {
                let key = StaticKey::from_secret(self.rng.random());
                let id = key.node_id();
                (Some(Membership { key, policy, swarm: self.swarm.clone() }), id)
            }
            None => (None, NodeId::from_bytes(self.rng.random())),
        };
        let identity =
            Identity { node: id, epoch: BootEpoch(1), secret: self.rng.random(), seed: self.rng.random() };
        let receive_buffer = ReceiveBuffer::new(receive_buffer);
        let node = Node::new(
            settings.clone(),
            &identity,
            Some(self.tracker.address),
            receive_buffer.told_to_core(),
            self.now,
        );
        let node = sealed(node, member.as_ref(), &identity);
        let address = self.network.address_of_new(host);
        self.hosts.push(Host::new(node, (identity.node, member), settings, address, link, receive_buffer));
        self.schedule(self.now, SimEvent::Wake { host, round: 0 });
        host
    }

    /// The person at `host` types `command` at `at`, and forgets it.
    pub fn command(&mut self, at: Timestamp, host: HostId, command: Command) {
        self.schedule(at, SimEvent::Command { host, command: Box::new(command) });
    }

    /// The person at `host` wants `order` from `at` on, in all lives of the host, until it is complete.
    pub fn wish(&mut self, at: Timestamp, host: HostId, order: DownloadOrder) {
        let wishes = &mut self.hosts[host.0].person.wishes;
        wishes.push(Wish { at, order, state: WishState::NotOrdered });
        let wish = wishes.len() - 1;
        self.schedule(at, SimEvent::Order { host, wish });
    }

    /// Gives `host` a file with `content`, which it shares now and whenever it starts again.
    pub fn share(&mut self, host: HostId, path: PathBuf, name: Name, content: ContentId) {
        let of = &mut self.hosts[host.0];
        of.disk.files.insert(path.clone(), content);
        of.person.shares.push((path, name));
        let index = of.person.shares.len() - 1;
        self.order_share(host, index);
        self.poll(host);
    }

    /// Kills the process of `host` at `at`.
    pub fn crash(&mut self, at: Timestamp, host: HostId) {
        self.fault(at, Fault::Kill(host));
    }

    /// Starts the tracker anew at `at`, with empty tables.
    pub fn restart_tracker(&mut self, at: Timestamp) {
        self.fault(at, Fault::TrackerStarts);
    }

    /// One number for everything that has happened so far: it is the same when everything is.
    pub fn trace_hash(&self) -> u64 {
        self.record.trace_hash()
    }

    /// Runs until `done` or until `deadline`; returns whether it was done.
    pub fn run(&mut self, deadline: Timestamp, mut done: impl FnMut(&World) -> bool) -> bool {
        while let Some((at, what)) = self.queue.next(deadline) {
            assert!(at >= self.now, "time goes backwards");
            self.now = at;
            let may_be_done =
                matches!(what, SimEvent::Disk { .. } | SimEvent::Delivered { .. } | SimEvent::Wake { .. });
            self.handle_event(what);
            if may_be_done && done(self) {
                return true;
            }
        }
        false
    }

    fn schedule(&mut self, at: Timestamp, what: SimEvent) {
        self.queue.add(at.max(self.now), what);
    }

    /// Mixes one happening into the trace hash.
    fn trace(&mut self, kind: u64, host: HostId, value: u64) {
        self.record.trace(self.now, kind, host, value);
    }

    fn handle_event(&mut self, what: SimEvent) {
        match what {
            SimEvent::AtDownlink { to, from, payload } => self.reach(to, from, payload),
            SimEvent::Delivered { to: TRACKER, from, payload } => self.deliver_to_tracker(from, &payload),
            SimEvent::Delivered { to, from, payload } => {
                let size = payload.bytes();
                match self.hosts[to.0].process.state {
                    State::Down => return,
                    State::Stopped(_) => return self.hosts[to.0].receive_buffer.keep(from, payload, size),
                    State::Runs => {}
                }
                self.trace(2, to, size);
                self.deliver(to, from, payload);
                self.poll(to);
            }
            SimEvent::Disk { host, life, .. } if self.hosts[host.0].process.life != life => {}
            SimEvent::Disk { host, .. } | SimEvent::Command { host, .. } | SimEvent::Order { host, .. }
                if self.hosts[host.0].process.state != State::Runs =>
            {
                // A stopped process finds it when it goes on.
                if let State::Stopped(until) = self.hosts[host.0].process.state {
                    self.schedule(until, what);
                }
            }
            SimEvent::Disk { host, result, .. } => {
                self.trace(3, host, 0);
                self.hosts[host.0].disk.settle(self.now);
                self.hosts[host.0].node.handle_disk(*result, self.now);
                self.poll(host);
            }
            SimEvent::Command { host, command } => self.on_command(host, *command),
            SimEvent::Order { host, wish } => {
                self.on_order(host, wish);
                self.poll(host);
            }
            SimEvent::Fault(fault) => self.on_fault(*fault),
            SimEvent::Continue { host } => self.resume(host),
            SimEvent::Stranger => self.on_stranger(),
            SimEvent::ScriptedSession { host, session, timer } => {
                self.on_scripted_session(host, session, timer)
            }
            SimEvent::CubicAcknowledged { number, rtt } => self.on_cubic_acknowledged(number, rtt),
            SimEvent::CubicTimer => self.on_cubic_timer(),
            SimEvent::Wake { host: TRACKER, round } => {
                if round == self.tracker.round && self.tracker.is_running {
                    self.poll_tracker();
                }
            }
            SimEvent::Wake { host, round } => {
                if round == self.hosts[host.0].polling.round
                    && self.hosts[host.0].process.state == State::Runs
                {
                    self.trace(5, host, 0);
                    self.poll(host);
                }
            }
        }
    }

    fn on_command(&mut self, host: HostId, command: Command) {
        self.trace(4, host, 0);
        self.hosts[host.0].node.handle_command(command, self.now);
        self.poll(host);
    }

    /// The person orders what is wanted, unless it is ordered already.
    fn on_order(&mut self, host: HostId, wish: usize) {
        self.trace(4, host, 1);
        let host = &mut self.hosts[host.0];
        let person = &mut host.person;
        let wish = &mut person.wishes[wish];
        if matches!(wish.state, WishState::NotOrdered | WishState::Again) {
            let (download, order) = (DownloadId(person.next_number), wish.order.clone());
            wish.state = WishState::Ordered(download);
            person.next_number += 1;
            host.node.handle_command(Command::Download { download, order }, self.now);
        }
    }

    /// The person at the host shares one of the files that are to be shared.
    fn order_share(&mut self, host: HostId, index: usize) {
        let host = &mut self.hosts[host.0];
        let (path, name) = host.person.shares[index].clone();
        let share = ShareId(host.person.next_number);
        host.person.next_number += 1;
        host.node.handle_command(
            Command::Share { share, path, name, options: FolderOptions::default() },
            self.now,
        );
    }
}
