//! The node table: who is registered, from where, until when, and how each has served.
//!
//! It knows nothing of contents but their ids. Leases are a set ordered by deadline, so each node goes by its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messages::node_to_tracker::OwnDigest;
use messages::{BootEpoch, ContentId, Conversation, NodeId, Timestamp};

use crate::decay::Decaying;
use crate::id_takeover::Claim;
use crate::rate_limit::host;
use crate::rounds::Rounds;

/// From where a node speaks, and which life of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The node's address as the tracker sees it.
    pub(crate) address: SocketAddr,
    /// The tracker's address that the node reached, where it is known.
    pub(crate) reached_at: Option<IpAddr>,
    /// The node's number for its conversation with the tracker.
    pub(crate) conversation: Conversation,
    /// The life.
    pub(crate) epoch: BootEpoch,
}

/// One registered node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    seat: Seat,
    lease_ends: Timestamp,
    /// Whether somebody else claims its id. Changed through [`NodeTable::change_claim`].
    claim: Claim,
    /// What it owns.
    pub(crate) owned: Owned,
    /// The sequence of the last UPDATE of this life that was counted.
    pub(crate) last_update: u32,
    /// Bytes that downloaders confirm to have from it: its line of the upload-frequency table.
    pub(crate) uploaded: Decaying,
    /// How often it was handed out lately.
    pub(crate) assigned: Decaying,
}

impl Node {
    /// A node that has just joined.
    pub(crate) fn new(seat: Seat, now: Timestamp) -> Node {
        Node {
            seat,
            lease_ends: now,
            claim: Claim::Free,
            owned: Owned::default(),
            last_update: 0,
            uploaded: Decaying::new(now),
            assigned: Decaying::new(now),
        }
    }

    /// From where it speaks.
    pub(crate) const fn seat(&self) -> &Seat {
        &self.seat
    }
}

/// What a node owns, as ids, and whether the node and the tracker agree about it.
///
/// When they do not, the node is told to say all its contents again, and a round begins. What it does not say again
/// until a later heartbeat is forgotten: a withdrawal was lost, or an old OWN came late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owned {
    said: Rounds,
    digest: OwnDigest,
    round: u32,
    /// What was said last in an earlier round than this goes.
    outdated_before: u32,
    agreement: Agreement,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Agreement {
    #[default]
    Agreed,
    /// Asked to say all again; whether it began to. `since` it was asked, or said something for the first time in this
    /// round: who is still at it is not late, however much there is to say.
    Asked { since: Timestamp, heard: bool },
}

/// What a heartbeat's count and digest say about the tracker's own table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// It is the same.
    InStep,
    /// The node must say its contents again.
    Differs,
    /// The node had its chance to say them again: some it does not have. Compare again without those that
    /// [`Owned::take_outdated`] gives.
    Outdated,
}

impl Owned {
    /// How many contents.
    pub(crate) fn len(&self) -> usize {
        self.said.len()
    }

    /// Whether `content` is among them.
    pub(crate) fn contains(&self, content: ContentId) -> bool {
        self.said.contains(content)
    }

    /// All of them.
    pub(crate) fn contents(&self) -> impl Iterator<Item = ContentId> + use<'_> {
        self.said.contents()
    }

    /// What is left of it when the node is gone.
    pub(crate) fn into_contents(self) -> Rounds {
        self.said
    }

    /// Whether the node was asked to say something again and did not.
    pub(crate) fn is_outdated(&self) -> bool {
        self.said.said_before(self.outdated_before).is_some()
    }

    /// Takes out something that the node did not say again; its mark is still in the digest.
    pub(crate) fn take_outdated(&mut self) -> Option<ContentId> {
        let content = self.said.said_before(self.outdated_before)?;
        self.said.remove(content);
        Some(content)
    }

    /// Whether it is what the node itself says, by count and digest.
    pub(crate) fn is(&self, count: u32, digest: OwnDigest) -> bool {
        self.said.len() == count as usize && self.digest == digest
    }

    /// `content` is here, in this round too; `change` is folded into the digest.
    pub(crate) fn say(&mut self, content: ContentId, change: OwnDigest, now: Timestamp) {
        let before = self.said.say(content, self.round);
        self.digest.0 ^= change.0;
        if let Agreement::Asked { since, heard } = &mut self.agreement {
            *heard = true;
            if before != Some(self.round) {
                *since = now;
            }
        }
    }

    /// `content` is no longer here; `mark` is taken out of the digest.
    pub(crate) fn unsay(&mut self, content: ContentId, mark: OwnDigest) {
        self.said.remove(content);
        self.digest.0 ^= mark.0;
    }

    /// Compares with what the node says; `patience` is how long it may pause while it says everything again, and half
    /// of the time until it says REGISTER again.
    pub(crate) fn compare(
        &mut self,
        count: u32,
        digest: OwnDigest,
        now: Timestamp,
        patience: Duration,
    ) -> Comparison {
        if self.is(count, digest) {
            self.agreement = Agreement::Agreed;
            return Comparison::InStep;
        }
        // Who has nothing says nothing again. But a REGISTER from before its first OWN may come late, or be a replay: a
        // node that has something contradicts that with its next one.
        let has_had_its_chance = |since, heard| match count {
            0 => now.since(since) >= patience * 2,
            _ => heard && now.since(since) >= patience,
        };
        match self.agreement {
            Agreement::Asked { since, heard } if !has_had_its_chance(since, heard) => {}
            Agreement::Agreed => self.begin_round(now),
            Agreement::Asked { .. } => {
                self.outdated_before = self.round;
                self.begin_round(now);
                if self.is_outdated() {
                    return Comparison::Outdated;
                }
            }
        }
        Comparison::Differs
    }

    fn begin_round(&mut self, now: Timestamp) {
        self.round = self.round.saturating_add(1);
        self.agreement = Agreement::Asked { since: now, heard: false };
    }
}

/// Registered nodes.
#[derive(Clone, Debug)]
pub(crate) struct NodeTable {
    nodes: BTreeMap<NodeId, Node>,
    leases: BTreeSet<(Timestamp, NodeId)>,
    pings: BTreeSet<(Timestamp, NodeId)>,
    /// Whose claim is out with which nonce.
    asked: BTreeMap<u64, NodeId>,
    /// Nodes of each host, loopback apart.
    at_host: BTreeMap<IpAddr, u32>,
    /// Nodes at loopback.
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

    /// How many nodes are registered.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of that id.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The node of that id, to change what it owns and how it served.
    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// Whether a node that is not registered yet, or not at that host, has a place there.
    ///
    /// Loopback is many nodes of one host, however many those are: what is free is the most that it may have, so that
    /// who uses the tracker's own host shuts nobody else out.
    pub(crate) fn has_room(&self, id: NodeId, ip: IpAddr) -> bool {
        let known = self.nodes.get(&id).map(|node| node.seat.address.ip());
        let free = self.capacity.saturating_sub(self.nodes.len()) + usize::from(known.is_some());
        let is_there =
            known.is_some_and(
                |known| {
                    if ip.is_loopback() { known.is_loopback() } else { host(known) == host(ip) }
                },
            );
        let at_host = self.at_host.get(&host(ip)).copied().unwrap_or(0);
        let has_share = if ip.is_loopback() {
            (self.at_loopback as usize) < free
        } else {
            at_host < self.capacity_per_host
        };
        free > 0 && (is_there || has_share)
    }

    /// Puts a node in, whose lease ends at `lease_ends`.
    pub(crate) fn insert(&mut self, id: NodeId, node: Node, lease_ends: Timestamp) {
        self.remove(id);
        self.count(node.seat.address.ip(), 1);
        self.leases.insert((lease_ends, id));
        self.nodes.insert(id, Node { lease_ends, ..node });
    }

    /// Takes a node out.
    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Node> {
        self.change_claim(id, |claim| *claim = Claim::Free);
        let node = self.nodes.remove(&id)?;
        self.leases.remove(&(node.lease_ends, id));
        self.count(node.seat.address.ip(), -1);
        Some(node)
    }

    /// The node speaks from `seat` now and has registered until `lease_ends`.
    pub(crate) fn renew(&mut self, id: NodeId, seat: Seat, lease_ends: Timestamp) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        self.leases.remove(&(node.lease_ends, id));
        self.leases.insert((lease_ends, id));
        node.lease_ends = lease_ends;
        let left = std::mem::replace(&mut node.seat, seat);
        self.count(left.address.ip(), -1);
        self.count(seat.address.ip(), 1);
    }

    /// How long the node's lease still lasts.
    pub(crate) fn lease_left(&self, id: NodeId, now: Timestamp) -> Duration {
        self.nodes.get(&id).map_or(Duration::ZERO, |node| node.lease_ends.since(now))
    }

    /// Changes the claim on a node's id and keeps its next PING and its nonce where they are looked up.
    pub(crate) fn change_claim<T>(&mut self, id: NodeId, change: impl FnOnce(&mut Claim) -> T) -> Option<T> {
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

    /// The node at `address` that was asked with `nonce` whether it is there.
    pub(crate) fn asked_with(&self, address: SocketAddr, nonce: u64) -> Option<NodeId> {
        let id = self.asked.get(&nonce).copied()?;
        self.nodes.get(&id).filter(|node| node.seat.address == address).map(|_| id)
    }

    /// A node whose lease has ended.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<NodeId> {
        self.leases.first().filter(|(at, _)| *at <= now).map(|&(_, id)| id)
    }

    /// A node that is to be asked again whether it is there.
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
        let count = self.at_host.entry(host(ip)).or_insert(0);
        *count = count.saturating_add_signed(change);
        if *count == 0 {
            self.at_host.remove(&host(ip));
        }
    }
}

#[cfg(test)]
mod tests;
