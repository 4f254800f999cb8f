//! Which owners are not to be tried just now: those that there is a session with, and those at a host where enough
//! are being greeted. All of many owners may be at one host that never asked for it, so what it is sent is bounded;
//! and the more so when nobody there answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use messages::{Host, NodeId};

/// At a host where this many times as many owners have failed as are wanted, one at a time is greeted.
const FAILED: usize = 2;

/// The limits of one moment.
#[derive(Debug)]
pub(super) struct DialLimits {
    owners: BTreeSet<NodeId>,
    /// How many are being greeted, by host.
    greeted: BTreeMap<Host, usize>,
    /// How many have failed, by host.
    failed: BTreeMap<Host, usize>,
    /// How many owners are wanted.
    wanted: usize,
}

impl DialLimits {
    /// Only `node`, which is this node, is forbidden yet. So many owners have `failed` at each host, and so many are
    /// `wanted`.
    pub(super) fn new(node: NodeId, failed: BTreeMap<Host, usize>, wanted: usize) -> DialLimits {
        DialLimits { owners: BTreeSet::from([node]), greeted: BTreeMap::new(), failed, wanted }
    }

    /// There is a session with `owner` at `peer`, whose handshake is under way or not.
    pub(super) fn add(&mut self, owner: NodeId, peer: SocketAddr, is_handshaking: bool) {
        self.owners.insert(owner);
        if is_handshaking {
            *self.greeted.entry(Host::of(peer)).or_default() += 1;
        }
    }

    /// Whether `owner` at `peer` is not to be tried.
    pub(super) fn forbids(&self, owner: NodeId, peer: SocketAddr) -> bool {
        let host = Host::of(peer);
        let most = if self.failed(peer) >= FAILED * self.wanted { 1 } else { self.wanted };
        self.owners.contains(&owner) || self.greeted.get(&host).is_some_and(|count| *count >= most)
    }

    /// How many more than one have failed at the host of `peer`.
    pub(super) fn more_failed(&self, peer: SocketAddr) -> usize {
        self.failed(peer).saturating_sub(1)
    }

    fn failed(&self, peer: SocketAddr) -> usize {
        self.failed.get(&Host::of(peer)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_greeted_by_few_at_a_time_and_by_one_where_many_have_failed() {
        let node = |number| NodeId::from_bytes([number; 16]);
        let at = |host, port| SocketAddr::from(([10, 0, 0, host], port));
        for (failed, most) in [(0, 8), (15, 8), (16, 1)] {
            let failed = BTreeMap::from([(Host::of(at(1, 0)), failed)]);
            let mut limits = DialLimits::new(node(0), failed, 8);
            assert!(limits.forbids(node(0), at(1, 9)), "this node itself");
            for number in 0..most {
                assert!(!limits.forbids(node(100), at(1, 100)), "{number} of {most}");
                limits.add(node(200), at(2, 200), false);
                limits.add(node(1 + number as u8), at(1, number), true);
            }
            assert!(limits.forbids(node(100), at(1, 100)) && !limits.forbids(node(100), at(2, 100)));
            assert!(limits.forbids(node(200), at(2, 200)), "there is a session");
        }
    }
}
