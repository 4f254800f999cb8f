//! Which owners are not to be tried now: those with a session, and those on a host where enough owners are being
//! greeted. All of many named owners may be on one host that has nothing to do with the swarm, so the number of HELLOs
//! to one host is bounded, and more strictly when nobody there answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use messages::{Host, NodeId};

/// On a host where the number of failed owners is this many times the number of wanted ones, one owner at a time is
/// greeted.
const FAILED: usize = 2;

/// The limits at one moment.
#[derive(Debug)]
pub(super) struct DialLimits {
    owners: BTreeSet<NodeId>,
    /// The number of owners on each host that are being greeted.
    greeted: BTreeMap<Host, usize>,
    /// The number of owners on each host that have failed.
    failed: BTreeMap<Host, usize>,
    /// The number of owners that the download wants.
    wanted: usize,
}

impl DialLimits {
    /// The limits before any session is added: only `node`, which is this node, is forbidden. `failed` is the number of
    /// failed owners on each host, and `wanted` the number of wanted owners.
    pub(super) fn new(node: NodeId, failed: BTreeMap<Host, usize>, wanted: usize) -> DialLimits {
        DialLimits { owners: BTreeSet::from([node]), greeted: BTreeMap::new(), failed, wanted }
    }

    /// Adds a session with `owner` at `peer`. `is_handshaking` tells whether its handshake is still under way.
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

    /// The number of owners, beyond the first, that have failed on the host of `peer`.
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
