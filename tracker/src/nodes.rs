//! The node table: which nodes are registered, at which address, until when, and how much each has served.
//!
//! The table knows nothing of contents but their ids. Leases are a set ordered by deadline, so each node
//! is taken out at its own deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messages::{BootEpoch, Conversation, Host, NodeId, Timestamp};

use crate::decay::Decaying;
use crate::id_takeover::IdClaim;
use crate::owned_contents::OwnedContents;

/// At which address a node is registered, and in which life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The node's address as the tracker sees it.
    pub(crate) address: SocketAddr,
    /// The tracker's address that the node reached, where it is known.
    pub(crate) reached_at: Option<IpAddr>,
    /// The node's number for its conversation with the tracker.
    pub(crate) conversation: Conversation,
    /// When the node's life began, as the node says.
    pub(crate) epoch: BootEpoch,
}

/// One registered node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    registration: Registration,
    lease_ends: Timestamp,
    /// Whether somebody else claims the node's id. Only [`NodeTable::change_claim`] changes it.
    claim: IdClaim,
    /// What the node owns.
    pub(crate) owned: OwnedContents,
    /// The sequence of the last UPDATE of this life that was counted.
    pub(crate) last_update: u32,
    /// The bytes that downloaders confirm to have from the node: its line of the upload-frequency table.
    pub(crate) uploaded: Decaying,
    /// A decaying count of how often answers named the node.
    pub(crate) assigned: Decaying,
}

impl Node {
    /// A node that has just joined.
    pub(crate) fn new(registration: Registration, now: Timestamp) -> Node {
        Node {
            registration,
            lease_ends: now,
            claim: IdClaim::Free,
            owned: OwnedContents::default(),
            last_update: 0,
            uploaded: Decaying::new(now),
            assigned: Decaying::new(now),
        }
    }

    /// At which address the node is registered, and in which life.
    pub(crate) const fn registration(&self) -> &Registration {
        &self.registration
    }
}

/// Registered nodes.
#[derive(Clone, Debug)]
pub(crate) struct NodeTable {
    nodes: BTreeMap<NodeId, Node>,
    leases: BTreeSet<(Timestamp, NodeId)>,
    pings: BTreeSet<(Timestamp, NodeId)>,
    /// The nodes whose ids are claimed, by the nonce that each was asked with.
    asked: BTreeMap<u64, NodeId>,
    /// The number of nodes of each host, except for loopback.
    at_host: BTreeMap<IpAddr, u32>,
    /// The number of nodes at loopback.
    at_loopback: u32,
    capacity: usize,
    capacity_per_host: u32,
}

impl NodeTable {
    /// An empty table for at most `capacity` nodes, `capacity_per_host` of them at one address.
    pub(crate) const fn new(capacity: usize, capacity_per_host: u32) -> NodeTable {
        NodeTable {
            nodes: BTreeMap::new(),
            leases: BTreeSet::new(),
            pings: BTreeSet::new(),
            asked: BTreeMap::new(),
            at_host: BTreeMap::new(),
            at_loopback: 0,
            capacity,
            capacity_per_host,
        }
    }

    /// The number of registered nodes.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The ids of all nodes, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// The node of that id.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The node of that id, to change its contents and its credit.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// Whether the node may register at the host of `ip`.
    ///
    /// Loopback is one host with any number of nodes. It may have as many as are free after it, so that the nodes of
    /// the tracker's own host shut nobody else out.
    pub(crate) fn has_capacity(&self, id: NodeId, ip: IpAddr) -> bool {
        let known = self.nodes.get(&id).map(|node| node.registration.address.ip());
        let free = self.capacity.saturating_sub(self.nodes.len()) + usize::from(known.is_some());
        let is_at_host = known.is_some_and(|known| {
            if ip.is_loopback() { known.is_loopback() } else { Host::ip(known) == Host::ip(ip) }
        });
        let at_host = self.at_host.get(&Host::ip(ip)).copied().unwrap_or(0);
        let has_share = if ip.is_loopback() {
            (self.at_loopback as usize) < free
        } else {
            at_host < self.capacity_per_host
        };
        free > 0 && (is_at_host || has_share)
    }

    /// Puts a node in whose lease ends at `lease_ends`.
    pub(crate) fn insert(&mut self, id: NodeId, node: Node, lease_ends: Timestamp) {
        self.remove(id);
        self.count(node.registration.address.ip(), 1);
        self.leases.insert((lease_ends, id));
        self.nodes.insert(id, Node { lease_ends, ..node });
    }

    /// Takes a node out.
    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Node> {
        self.change_claim(id, |claim| *claim = IdClaim::Free);
        let node = self.nodes.remove(&id)?;
        self.leases.remove(&(node.lease_ends, id));
        self.count(node.registration.address.ip(), -1);
        Some(node)
    }

    /// Registers a known node anew at `registration`, until `lease_ends`.
    pub(crate) fn renew(&mut self, id: NodeId, registration: Registration, lease_ends: Timestamp) {
        let node = self.nodes.get_mut(&id).expect("only a node that was found in the table is renewed");
        self.leases.remove(&(node.lease_ends, id));
        self.leases.insert((lease_ends, id));
        node.lease_ends = lease_ends;
        let before = std::mem::replace(&mut node.registration, registration);
        self.count(before.address.ip(), -1);
        self.count(registration.address.ip(), 1);
    }

    /// How long the node's lease still lasts.
    pub(crate) fn lease_left(&self, id: NodeId, now: Timestamp) -> Duration {
        self.nodes.get(&id).map_or(Duration::ZERO, |node| node.lease_ends.since(now))
    }

    /// Changes the claim on a node's id, and moves the claim's next PING and nonce to where they are looked up.
    pub(crate) fn change_claim<T>(
        &mut self,
        id: NodeId,
        change: impl FnOnce(&mut IdClaim) -> T,
    ) -> Option<T> {
        let node = self.nodes.get_mut(&id)?;
        let before = node.claim;
        let result = change(&mut node.claim);
        let after = node.claim;
        if let Some(at) = before.next_ping() {
            self.pings.remove(&(at, id));
        }
        if let Some(nonce) = before.nonce() {
            self.asked.remove(&nonce);
        }
        if let Some(at) = after.next_ping() {
            self.pings.insert((at, id));
        }
        if let Some(nonce) = after.nonce() {
            self.asked.insert(nonce, id);
        }
        Some(result)
    }

    /// The node at `address` that was asked with `nonce` whether it still answers.
    pub(crate) fn asked_with(&self, address: SocketAddr, nonce: u64) -> Option<NodeId> {
        let id = self.asked.get(&nonce).copied()?;
        self.nodes.get(&id).filter(|node| node.registration.address == address).map(|_| id)
    }

    /// A node whose lease has ended.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<NodeId> {
        self.leases.first().filter(|(at, _)| *at <= now).map(|&(_, id)| id)
    }

    /// A node that has to be asked again whether it still answers.
    pub(crate) fn ping_due(&self, now: Timestamp) -> Option<NodeId> {
        self.pings.first().filter(|(at, _)| *at <= now).map(|&(_, id)| id)
    }

    /// When the next lease ends.
    pub(crate) fn next_lease_end(&self) -> Option<Timestamp> {
        self.leases.first().map(|&(at, _)| at)
    }

    /// When the next PING is due.
    pub(crate) fn next_ping(&self) -> Option<Timestamp> {
        self.pings.first().map(|&(at, _)| at)
    }

    fn count(&mut self, ip: IpAddr, change: i32) {
        if ip.is_loopback() {
            self.at_loopback = self.at_loopback.saturating_add_signed(change);
            return;
        }
        let count = self.at_host.entry(Host::ip(ip)).or_insert(0);
        *count = count.saturating_add_signed(change);
        if *count == 0 {
            self.at_host.remove(&Host::ip(ip));
        }
    }
}

#[cfg(test)]
mod tests;
