//! One host: a node, its disk, its link, and the person in front of it, who does not give up and remembers what was
//! wanted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use config::NodeSettings;
use messages::{Name, NodeId, Timestamp};
use riffle_core::{Counters, DownloadId, DownloadOrder, Event, Failure, Node};

use super::payload::Payload;
use super::scripted_owners::OwnerScript;
use super::sealing::Membership;
use crate::disk::Disk;
use crate::link::{LinkSpec, Pipe};

/// How many bytes a host's receive buffer holds, unless it is given another one.
pub(super) const RECEIVE_BUFFER: u64 = 6_990_507;
/// The share of a receive buffer that the core is told of, in percent: what the program tells it of what the system
/// grants.
const TOLD_PERCENT: u64 = 45;

/// How a node treats others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// As the protocol says.
    Honest,
    /// Of a million of its CHUNKs so many carry wrong bytes.
    Liar(u32),
    /// The node says WELCOME, and never sends a byte of a file.
    Mute,
    /// The node talks to the tracker and to nobody else.
    Silent,
    /// The node talks to the tracker like any other, and to nodes by a script.
    Scripted(OwnerScript),
}

/// What the process of a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Runs,
    /// It is stopped until this instant: packets wait as long as the receive buffer holds them.
    Stopped(Timestamp),
    /// It is gone.
    Down,
}

/// A download that the person wants until it is complete.
#[derive(Clone, Debug)]
pub struct Wish {
    /// From when on it is wanted.
    pub at: Timestamp,
    /// What is ordered.
    pub order: DownloadOrder,
    /// What became of it.
    pub state: WishState,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WishState {
    /// It is not ordered yet, or not in this life of the host.
    NotOrdered,
    /// It is ordered, as this download.
    Ordered(DownloadId),
    /// It was complete at this instant.
    Done(Timestamp),
    /// The disk failed, and it is ordered again soon.
    Again,
    /// It failed for this reason.
    Failed(Failure),
}

/// A host's access link.
#[derive(Debug)]
pub struct AccessLink {
    /// What it is like.
    pub spec: LinkSpec,
    /// What leaves.
    pub up: Pipe,
    /// What arrives.
    pub down: Pipe,
    /// Whether burst losses are in their bad state.
    pub(super) is_bad: bool,
}

/// What waits for a process that is stopped.
#[derive(Debug)]
pub struct ReceiveBuffer {
    /// How many bytes it holds.
    pub capacity: u64,
    /// How many packets were lost because it was full.
    pub overflowed: u64,
    pub(super) waiting: VecDeque<(SocketAddr, Payload)>,
    waiting_bytes: u64,
}

impl ReceiveBuffer {
    pub(super) fn new(capacity: u64) -> ReceiveBuffer {
        ReceiveBuffer { capacity, overflowed: 0, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    /// How many bytes the core is told that the system keeps.
    pub(super) const fn told_to_core(&self) -> u32 {
        (self.capacity * TOLD_PERCENT / 100) as u32
    }

    /// Keeps a packet for a stopped process, unless the buffer is full.
    pub(super) fn keep(&mut self, from: SocketAddr, payload: Payload, bytes: u64) {
        if self.waiting_bytes + bytes > self.capacity {
            self.overflowed += 1;
            return;
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back((from, payload));
    }

    /// The process goes on and takes in what waits: the buffer counts as empty.
    pub(super) const fn begin_drain(&mut self) {
        self.waiting_bytes = 0;
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
    }
}

/// The person in front of a host, who remembers through all lives of it what was wanted and shared.
#[derive(Debug, Default)]
pub struct Person {
    /// The downloads that are wanted.
    pub wishes: Vec<Wish>,
    /// The files that are shared, and their names.
    pub shares: Vec<(PathBuf, Name)>,
    /// The number of the next share or download.
    pub(super) next_number: u32,
}

/// The process of a host.
#[derive(Debug)]
pub struct Process {
    /// What it does.
    pub state: State,
    /// What earlier lives had counted.
    pub former: Vec<Counters>,
    /// Which life this is, from 0.
    pub(super) life: u32,
}

/// How often a core was polled.
#[derive(Debug)]
pub(super) struct Polling {
    /// How many times the core has waited: a wake-up from before the last one counts no more.
    pub(super) round: u64,
    /// How many polls there were at the same instant.
    pub(super) polls: u32,
    pub(super) polled_at: Timestamp,
}

/// One host with one node.
#[derive(Debug)]
pub struct Host {
    /// The node, in its present life.
    pub node: Node,
    /// The node's id, which stays.
    pub id: NodeId,
    /// The disk.
    pub disk: Disk,
    /// The address at which the node is now.
    pub address: SocketAddr,
    /// The access link.
    pub link: AccessLink,
    /// The receive buffer.
    pub receive_buffer: ReceiveBuffer,
    /// How the node treats others.
    pub manners: Manners,
    /// The person in front of the host.
    pub person: Person,
    /// The process in which the node runs.
    pub process: Process,
    /// What the node reported, and when.
    pub events: Vec<(Timestamp, Event)>,
    /// How many downloads have ended.
    pub ended: usize,
    pub(super) settings: NodeSettings,
    /// With what its channels are opened. `None`: everything is in the clear.
    pub(super) member: Option<Membership>,
    pub(super) polling: Polling,
    /// When a scripted owner sends its last segment so far.
    pub(super) drips_at: Timestamp,
}

impl Host {
    /// A host whose node has just started.
    pub(super) fn new(
        node: Node,
        (id, member): (NodeId, Option<Membership>),
        settings: NodeSettings,
        address: SocketAddr,
        link: LinkSpec,
        receive_buffer: ReceiveBuffer,
    ) -> Host {
        Host {
            node,
            id,
            disk: Disk::default(),
            address,
            link: AccessLink { spec: link, up: Pipe::default(), down: Pipe::default(), is_bad: false },
            receive_buffer,
            manners: Manners::Honest,
            person: Person::default(),
            process: Process { state: State::Runs, former: Vec::new(), life: 0 },
            events: Vec::new(),
            ended: 0,
            settings,
            member,
            polling: Polling { round: 0, polls: 0, polled_at: Timestamp::ZERO },
            drips_at: Timestamp::ZERO,
        }
    }

    /// Whether every download that the person wanted is complete.
    pub fn is_content(&self) -> bool {
        self.person.wishes.iter().all(|wish| matches!(wish.state, WishState::Done(_)))
    }

    /// The counters of all lives together; those that are not about bytes are of the present life.
    pub fn counters(&self) -> Counters {
        let now = self.node.counters();
        let sum = |of: fn(&Counters) -> u64| self.process.former.iter().map(of).sum::<u64>() + of(&now);
        Counters {
            sent_bytes: sum(|counters| counters.sent_bytes),
            received_bytes: sum(|counters| counters.received_bytes),
            duplicate_bytes: sum(|counters| counters.duplicate_bytes),
            ..now
        }
    }

    /// How many file bytes arrived and were wanted, in all lives.
    pub fn received_bytes(&self) -> u64 {
        self.counters().received_bytes
    }
}
