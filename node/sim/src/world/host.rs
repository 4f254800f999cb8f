//! One host: a node, its disk, its link, and the person in front of it, who is patient and remembers what was wanted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use config::NodeSettings;
use messages::{Name, NodeId, Timestamp};
use riffle_core::{Counters, DownloadId, DownloadOrder, Event, Failure, Node};

use super::actors::Part;
use super::network::Payload;
use crate::disk::Disk;
use crate::link::{LinkSpec, Pipe};

/// What a host's receive buffer holds, unless it is said otherwise; the core is told of 45 % of it.
pub(super) const RECEIVE_BUFFER: u64 = 6_990_507;

/// How a node treats others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    Honest,
    /// Out of a million of its CHUNKs so many carry wrong bytes.
    Liar(u32),
    /// Says WELCOME, and never sends a byte of a file.
    Mute,
    /// Talks to the tracker and to nobody else.
    Silent,
    /// Talks to the tracker like any other, and to nodes by a script.
    Plays(Part),
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Runs,
    /// It is stopped until then: what comes waits, as far as there is room.
    Stopped(Timestamp),
    /// Its process is gone.
    Down,
}

/// Something that the person wants, until it is there.
#[derive(Clone, Debug)]
pub struct Wish {
    pub at: Timestamp,
    pub order: DownloadOrder,
    pub standing: Standing,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    NotOrdered,
    Ordered(DownloadId),
    Done(Timestamp),
    /// The disk failed; it is ordered again.
    Again,
    Failed(Failure),
}

/// One host with one node.
#[derive(Debug)]
pub struct Host {
    pub node: Node,
    pub id: NodeId,
    pub disk: Disk,
    pub address: SocketAddr,
    pub link: LinkSpec,
    pub up: Pipe,
    pub down: Pipe,
    pub manners: Manners,
    /// When an actor sent its last drop.
    pub(super) drips_at: Timestamp,
    pub events: Vec<(Timestamp, Event)>,
    /// How many downloads have ended.
    pub ended: usize,
    pub wishes: Vec<Wish>,
    pub shares: Vec<(PathBuf, Name)>,
    /// What the receive buffer holds, in bytes.
    pub receive_buffer: u64,
    pub overflowed: u64,
    pub state: State,
    /// What the lives before this one had counted.
    pub former: Vec<Counters>,
    pub(super) settings: NodeSettings,
    /// Which life this is, from 0.
    pub(super) life: u32,
    pub(super) next_number: u32,
    /// What waits in the receive buffer of a stopped host.
    pub(super) waiting: VecDeque<(SocketAddr, Payload)>,
    pub(super) waiting_bytes: u64,
    /// Whether its link is in a bad state.
    pub(super) bad: bool,
    pub(super) round: u64,
    pub(super) polls: u32,
    pub(super) polled_at: Timestamp,
}

impl Host {
    /// Whether everything that the person wanted is there.
    pub fn is_content(&self) -> bool {
        self.wishes.iter().all(|wish| matches!(wish.standing, Standing::Done(_)))
    }

    /// What was counted in all lives.
    pub fn counters(&self) -> Counters {
        let now = self.node.counters();
        let sum = |of: fn(&Counters) -> u64| self.former.iter().map(of).sum::<u64>() + of(&now);
        Counters {
            sent_bytes: sum(|counters| counters.sent_bytes),
            received_bytes: sum(|counters| counters.received_bytes),
            duplicate_bytes: sum(|counters| counters.duplicate_bytes),
            ..now
        }
    }

    /// File bytes that arrived and were wanted, in all lives.
    pub fn received_bytes(&self) -> u64 {
        self.counters().received_bytes
    }

    /// What comes while it is stopped waits, as far as there is room.
    pub(super) fn keep_waiting(&mut self, from: SocketAddr, payload: Payload, bytes: u64) {
        if self.waiting_bytes + bytes > self.receive_buffer {
            self.overflowed += 1;
            return;
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back((from, payload));
    }
}

/// What the core is told of a receive buffer: what the program tells it of what the system grants.
pub(super) fn socket_credit(receive_buffer: u64) -> u32 {
    (receive_buffer * 45 / 100) as u32
}
