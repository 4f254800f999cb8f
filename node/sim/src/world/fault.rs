//! What can break in a world, as values.

use std::time::Duration;

use messages::{ContentId, Timestamp};

use super::HostId;
use crate::disk::DiskFaults;
use crate::link::LinkSpec;

/// How the address of a host changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It stays.
    Nowhere,
    /// It gets another port.
    ToAnotherPort,
    /// It gets another IP address.
    ToAnotherAddress,
}

/// Something that breaks, or is mended.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The process is killed: what the system has of its files stays.
    Kill(HostId),
    /// The power is cut: what is on the disk stays.
    LosePower(HostId),
    /// The host starts again, and its person wants and shares the same as before. A host that runs goes on.
    Start(HostId, Move),
    /// The person at the host types `exit`.
    Leave(HostId),
    /// The process does nothing for a while.
    Stop(HostId, Duration),
    /// From now on the host's access link is like this.
    Relink(HostId, LinkSpec),
    /// From now on the tracker's access link is like this.
    RelinkTracker(LinkSpec),
    /// From now on the host's disk is like this.
    Redisk(HostId, DiskFaults),
    /// The host's address changes while it runs; what goes to the old one is lost.
    Rebind(HostId, Move),
    /// Nothing gets through this cut any more.
    Cut(Cut),
    /// All cuts are mended.
    MendCuts,
    /// The tracker is gone.
    TrackerGone,
    /// The tracker starts anew, with empty tables and another key.
    TrackerStarts,
    /// Strangers send.
    Flood(Flood),
}

/// A cut in the network: nothing gets from any of `from` to any of `to`.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The senders.
    pub from: Vec<HostId>,
    /// The receivers.
    pub to: Vec<HostId>,
}

/// What strangers send, and for how long.
#[derive(Clone, Debug)]
pub struct Flood {
    /// When the flood ends.
    pub until: Timestamp,
    /// In this time one datagram is sent.
    pub every: Duration,
    /// The content for which the forged HELLOs and NEEDs ask.
    pub content: ContentId,
}
