//! What can happen in a world: the events of its queue.

use std::net::SocketAddr;
use std::time::Duration;

use riffle_core::{Command, DiskResult};

use super::HostId;
use super::fault::Fault;
use super::payload::Payload;

/// One event of the queue.
#[derive(Debug)]
pub(super) enum SimEvent {
    /// A packet has crossed the network and reaches the receiver's access link.
    AtDownlink { to: HostId, from: SocketAddr, payload: Payload },
    /// A packet reaches the host.
    Delivered { to: HostId, from: SocketAddr, payload: Payload },
    /// The disk has carried out a request of this life of the host.
    Disk { host: HostId, life: u32, result: Box<DiskResult> },
    /// The person at the host types a command.
    Command { host: HostId, command: Box<Command> },
    /// The person at the host orders what is wanted.
    Order { host: HostId, wish: usize },
    /// Something breaks, or is mended.
    Fault(Box<Fault>),
    /// A stopped host goes on.
    Continue { host: HostId },
    /// A stranger sends something.
    Stranger,
    /// A session of a scripted downloader acts, unless a later timer has replaced this one.
    ScriptedSession { host: HostId, session: u32, timer: u32 },
    /// The CUBIC connection learns that a packet has arrived.
    CubicAcknowledged { number: u64, rtt: Duration },
    /// The CUBIC connection's retransmission timer may be due.
    CubicTimer,
    /// The host's core wanted to be polled; this counts unless the core has been polled since.
    Wake { host: HostId, round: u64 },
}
