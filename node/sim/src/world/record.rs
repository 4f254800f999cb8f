//! What is kept of what happens in a world, for those who look at it.

use messages::{NodeId, PieceIndex, Timestamp};

use super::HostId;
use super::unsolicited::Unsolicited;
use super::watch::Watch;

/// A step of a swarm on its way to complete files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// The host has stored this piece of its download.
    Stored(HostId, PieceIndex),
    /// A piece that these nodes sent to the host was bad.
    Rejected(HostId, Vec<NodeId>),
    /// A download of the host has ended.
    Ended(HostId),
}

/// What is measured and kept while a world runs.
#[derive(Debug)]
pub struct Record {
    /// All milestones so far, in order; whoever reads them may take them out.
    pub milestones: Vec<Milestone>,
    /// How many events of each host are kept at least, once there are so many; twice as many at most.
    pub max_events: usize,
    /// How many bursts were sent without segmentation offload.
    pub bursts_no_gso: u64,
    /// What [`super::World::count_unsolicited`] counts.
    pub unsolicited: Option<Unsolicited>,
    /// What [`super::World::watch`] looks at.
    pub(super) watch: Option<Watch>,
    trace: u64,
}

impl Record {
    pub(super) fn new() -> Record {
        Record {
            milestones: Vec::new(),
            max_events: usize::MAX,
            bursts_no_gso: 0,
            unsolicited: None,
            watch: None,
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Mixes one happening into the trace hash.
    pub(super) fn trace(&mut self, now: Timestamp, kind: u64, host: HostId, value: u64) {
        for word in [now.as_nanos(), kind, host.0 as u64, value] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
    }

    /// One number for everything that has happened so far.
    pub(super) const fn trace_hash(&self) -> u64 {
        self.trace
    }
}
