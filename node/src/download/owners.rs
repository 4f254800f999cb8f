//! Which owners a download knows, and whom it may try: the tracker's candidates and what became of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use messages::tracker_to_node::Owner;
use messages::{NodeId, Timestamp};

use crate::event::SessionEnd;

/// An owner that did not answer is tried again after this long, doubled each time.
const FIRST_REST: Duration = Duration::from_secs(1);
/// But no later than this.
const LONGEST_REST: Duration = Duration::from_secs(20);
/// An owner of pieces that do not verify rests for this long.
const BAN: Duration = Duration::from_secs(600);
/// No more owners than this are remembered.
const MOST: usize = 256;

#[derive(Debug)]
struct Candidate {
    peer: SocketAddr,
    failures: u32,
    rests_until: Timestamp,
}

/// The owners of one content, as far as one download knows.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// In the tracker's order: the one to ask first first.
    order: Vec<NodeId>,
    known: BTreeMap<NodeId, Candidate>,
}

impl Candidates {
    /// The tracker's answer. An owner at a new address starts afresh.
    pub(crate) fn learn(&mut self, owners: &[Owner], now: Timestamp) {
        for owner in owners.iter().filter(|owner| owner.endpoint.is_reachable()) {
            let peer = owner.endpoint.address();
            let fresh = Candidate { peer, failures: 0, rests_until: now };
            match self.known.get_mut(&owner.node) {
                Some(candidate) if candidate.peer == peer => continue,
                Some(candidate) => *candidate = fresh,
                None => {
                    if self.known.len() >= MOST {
                        self.forget_the_worst();
                    }
                    self.known.insert(owner.node, fresh);
                    self.order.push(owner.node);
                }
            }
        }
        // The newest answer's order comes first.
        let rank = |node: &NodeId| owners.iter().position(|owner| owner.node == *node).unwrap_or(usize::MAX);
        self.order.sort_by_key(rank);
    }

    /// Whether nobody is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn forget_the_worst(&mut self) {
        let worst = self.known.iter().max_by_key(|(_, candidate)| candidate.failures).map(|(node, _)| *node);
        if let Some(worst) = worst {
            self.known.remove(&worst);
            self.order.retain(|node| *node != worst);
        }
    }

    /// The next owner to try: one that rests no longer and is not `busy`.
    pub(crate) fn next(&self, now: Timestamp, busy: impl Fn(NodeId) -> bool) -> Option<(NodeId, SocketAddr)> {
        self.order.iter().find_map(|node| {
            let candidate = self.known.get(node)?;
            (now >= candidate.rests_until && !busy(*node)).then_some((*node, candidate.peer))
        })
    }

    /// When an owner that is not `busy` has rested enough.
    pub(crate) fn next_at(&self, busy: impl Fn(NodeId) -> bool) -> Option<Timestamp> {
        self.known.iter().filter(|(node, _)| !busy(**node)).map(|(_, candidate)| candidate.rests_until).min()
    }

    /// A session with `owner` ended.
    pub(crate) fn on_ended(&mut self, owner: NodeId, why: SessionEnd, now: Timestamp) {
        let Some(candidate) = self.known.get_mut(&owner) else {
            return;
        };
        candidate.failures += 1;
        let rest = match why {
            SessionEnd::BadPieces | SessionEnd::BadManifest => BAN,
            _ => (FIRST_REST * 2u32.pow((candidate.failures - 1).min(8))).min(LONGEST_REST),
        };
        candidate.rests_until = now + rest;
    }

    /// A session with `owner` is open: what was before is forgiven.
    pub(crate) fn on_ready(&mut self, owner: NodeId) {
        if let Some(candidate) = self.known.get_mut(&owner) {
            candidate.failures = 0;
        }
    }
}
