//! Which owners a download knows and which of these it may try: the tracker's candidates and their history.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use messages::tracker_to_node::Owner;
use messages::{Host, NodeId, Timestamp};

use super::dial_limits::DialLimits;
use super::trust::{Trust, TrustVerdict};
use crate::event::SessionEnd;

/// An owner that did not answer is tried again after this long; the time doubles with each failure.
const FIRST_REST: Duration = Duration::from_secs(1);
/// An owner is tried again after this long at most.
const MAX_REST: Duration = Duration::from_secs(20);
/// An owner that was tried does not count as new for this long.
const TRIED_FOR: Duration = Duration::from_secs(60);
/// At most this many owners are remembered.
const MAX: usize = 256;

#[derive(Debug)]
struct Candidate {
    peer: SocketAddr,
    /// The number of sessions with the owner that have ended since it last gave a good piece.
    failures: u32,
    rests_until: Timestamp,
    /// When the owner was last greeted.
    tried_at: Option<Timestamp>,
    /// Whether the owner was asked for something and has sent nothing since.
    gives_nothing: bool,
    trust: Trust,
}

impl Candidate {
    fn new(peer: SocketAddr, now: Timestamp) -> Candidate {
        let trust = Trust::default();
        Candidate { peer, failures: 0, rests_until: now, tried_at: None, gives_nothing: false, trust }
    }

    /// Whether the owner was greeted within the last [`TRIED_FOR`].
    fn is_tried(&self, now: Timestamp) -> bool {
        self.tried_at.is_some_and(|at| now < at + TRIED_FOR)
    }

    /// When the owner may be tried. As a `last_resort`, when nobody else has what is missing, a ban does not count.
    fn ready_at(&self, last_resort: bool) -> Timestamp {
        if last_resort { self.rests_until } else { self.rests_until.max(self.trust.banned_until()) }
    }
}

/// The owners of one content, as far as one download knows.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// The owners in the tracker's order: the first is to be asked first.
    order: Vec<NodeId>,
    known: BTreeMap<NodeId, Candidate>,
}

impl Candidates {
    /// Records the `owners` that the tracker has named. An owner at a new address is tried at once, but its trust is
    /// kept. Returns whether an owner is new.
    pub(crate) fn learn(&mut self, owners: &[Owner], now: Timestamp) -> bool {
        let mut has_news = false;
        for owner in owners.iter().filter(|owner| owner.endpoint.is_reachable()) {
            let peer = owner.endpoint.address();
            match self.known.get_mut(&owner.node) {
                Some(candidate) if candidate.peer == peer => continue,
                Some(candidate) => {
                    (candidate.peer, candidate.failures, candidate.rests_until) = (peer, 0, now);
                }
                None => {
                    if self.known.len() >= MAX {
                        self.forget_the_worst(now);
                    }
                    self.known.insert(owner.node, Candidate::new(peer, now));
                    self.order.push(owner.node);
                    has_news = true;
                }
            }
        }
        // The owners of the newest answer come first, in its order.
        let rank = |node: &NodeId| owners.iter().position(|owner| owner.node == *node).unwrap_or(usize::MAX);
        self.order.sort_by_key(rank);
        has_news
    }

    /// Records that `node`, at `peer`, fetches the same content, and so will have some of it soon. An address that the
    /// tracker has named takes precedence over one that the node has named, and no known owner is forgotten for a new
    /// one.
    pub(crate) fn meet(&mut self, node: NodeId, peer: SocketAddr, now: Timestamp) {
        if !self.known.contains_key(&node) {
            if self.known.len() >= MAX {
                return;
            }
            self.known.insert(node, Candidate::new(peer, now));
        }
        self.order.retain(|known| *known != node);
        self.order.insert(0, node);
    }

    /// The addresses of the owners, in the order in which they are to be tried.
    pub(crate) fn peers(&self) -> impl Iterator<Item = SocketAddr> {
        self.order.iter().filter_map(|node| Some(self.known.get(node)?.peer))
    }

    /// Whether no owner is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Forgets the owner that has failed most often. Banned owners are kept as long as possible: once forgotten, they
    /// would come back trusted.
    fn forget_the_worst(&mut self, now: Timestamp) {
        let worst = self
            .known
            .iter()
            .max_by_key(|(_, candidate)| (candidate.trust.banned_until() <= now, candidate.failures));
        let worst = worst.map(|(node, _)| *node);
        if let Some(worst) = worst {
            self.known.remove(&worst);
            self.order.retain(|node| *node != worst);
        }
    }

    /// The next owner to try. New owners come before others, and of these come first the ones on hosts with the fewest
    /// failures: one host can call itself many owners. The owner has rested, and `limits` do not forbid it. As a
    /// `last_resort` a banned owner is tried too.
    pub(super) fn next(
        &self,
        now: Timestamp,
        last_resort: bool,
        limits: &DialLimits,
    ) -> Option<(NodeId, SocketAddr)> {
        let able = self.order.iter().filter_map(|node| Some((*node, self.known.get(node)?)));
        let able = able.filter(|(node, candidate)| {
            now >= candidate.ready_at(last_resort) && !limits.forbids(*node, candidate.peer)
        });
        // `min_by_key` takes the first of equals.
        let next =
            able.min_by_key(|(_, candidate)| (candidate.is_tried(now), limits.more_failed(candidate.peer)));
        next.map(|(node, candidate)| (node, candidate.peer))
    }

    /// The number of owners with failures on each host.
    pub(super) fn failed(&self) -> BTreeMap<Host, usize> {
        let mut failed = BTreeMap::new();
        for candidate in self.known.values().filter(|candidate| candidate.failures > 0) {
            *failed.entry(Host::of(candidate.peer)).or_default() += 1;
        }
        failed
    }

    /// When the next owner that `limits` do not forbid may be tried. As a `last_resort` a banned owner is tried too.
    pub(super) fn next_at(&self, last_resort: bool, limits: &DialLimits) -> Option<Timestamp> {
        let known = self.known.iter().filter(|(node, candidate)| !limits.forbids(**node, candidate.peer));
        known.map(|(_, candidate)| candidate.ready_at(last_resort)).min()
    }

    /// Records that `owner` is greeted.
    pub(crate) fn on_tried(&mut self, owner: NodeId, now: Timestamp) {
        if let Some(candidate) = self.known.get_mut(&owner) {
            candidate.tried_at = Some(now);
        }
    }

    /// The number of owners that `limits` do not forbid, that may be tried now, and that were not tried for a long
    /// time.
    pub(super) fn untried(&self, now: Timestamp, limits: &DialLimits) -> usize {
        let is_untried = |candidate: &Candidate| now >= candidate.ready_at(false) && !candidate.is_tried(now);
        self.known
            .iter()
            .filter(|(node, candidate)| is_untried(candidate) && !limits.forbids(**node, candidate.peer))
            .count()
    }

    /// Whether any owner is banned.
    pub(crate) fn has_banned(&self, now: Timestamp) -> bool {
        self.known.values().any(|candidate| candidate.trust.banned_until() > now)
    }

    /// Whether `owner` gives one whole piece at a time.
    pub(crate) fn on_parole(&self, owner: NodeId) -> bool {
        self.known.get(&owner).is_some_and(|candidate| candidate.trust.on_parole())
    }

    /// Whether `owner` has another address than `peer`.
    pub(crate) fn has_moved(&self, owner: NodeId, peer: SocketAddr) -> bool {
        self.known.get(&owner).is_some_and(|candidate| candidate.peer != peer)
    }

    /// Sets whether `owner` was asked for something and sends nothing.
    pub(crate) fn note_gives_nothing(&mut self, owner: NodeId, gives_nothing: bool) {
        if let Some(candidate) = self.known.get_mut(&owner) {
            candidate.gives_nothing = gives_nothing;
        }
    }

    /// Whether `owner` was asked for something and has sent nothing since.
    pub(crate) fn gives_nothing(&self, owner: NodeId) -> bool {
        self.known.get(&owner).is_some_and(|candidate| candidate.gives_nothing)
    }

    /// Records that a session with `owner` has ended for the reason `why`.
    pub(crate) fn on_ended(&mut self, owner: NodeId, why: SessionEnd, now: Timestamp) {
        let Some(candidate) = self.known.get_mut(&owner) else {
            return;
        };
        if why == SessionEnd::BadOutboard {
            candidate.trust.ban(now);
        }
        candidate.failures += 1;
        let rest = (FIRST_REST * 2u32.pow((candidate.failures - 1).min(8))).min(MAX_REST);
        // An owner that was restarted, or that sees this node at another address, is greeted anew at once.
        let rests = why != SessionEnd::Forgotten || candidate.failures > 1;
        candidate.rests_until = if rests { now + rest } else { now };
    }

    /// Records that a piece to which `owner` contributed has verified. Its failures are forgiven. Returns whether that
    /// ends its parole.
    pub(crate) fn on_good_piece(&mut self, owner: NodeId, alone: bool) -> bool {
        self.known.get_mut(&owner).is_some_and(|candidate| {
            candidate.failures = 0;
            candidate.gives_nothing = false;
            candidate.trust.on_good_piece(alone)
        })
    }

    /// Records that a piece to which `owner` contributed did not verify.
    pub(crate) fn on_bad_piece(&mut self, owner: NodeId, alone: bool, now: Timestamp) -> TrustVerdict {
        match self.known.get_mut(&owner) {
            Some(candidate) => candidate.trust.on_bad_piece(alone, now),
            None => TrustVerdict::Parole,
        }
    }
}

#[cfg(test)]
mod tests {
    use messages::Endpoint;
    use messages::node_to_tracker::Permille;
    use proptest::prelude::*;

    use super::*;

    fn owner(node: u16, host: u8) -> Owner {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&node.to_le_bytes());
        // Host 0 is a group address, at which no node can be reached.
        let ip = if host == 0 { [224, 0, 0, 1] } else { [10, 0, 0, host] };
        let endpoint = Endpoint::new(SocketAddr::from((ip, 7000)));
        Owner { node: NodeId::from_bytes(id), endpoint, permille: Permille::COMPLETE }
    }

    /// The limits while there is no session.
    fn nobody(candidates: &Candidates) -> DialLimits {
        DialLimits::new(NodeId::from_bytes([255; 16]), candidates.failed(), 8)
    }

    #[test]
    fn an_address_that_a_node_names_itself_moves_no_known_owner_and_one_from_the_tracker_does() {
        let (mut candidates, now) = (Candidates::default(), Timestamp::ZERO);
        let (here, there) = (owner(1, 1), owner(1, 2));
        let peer =
            |candidates: &Candidates| candidates.next(now, false, &nobody(candidates)).map(|(_, peer)| peer);
        candidates.meet(there.node, there.endpoint.address(), now);
        assert_eq!(peer(&candidates), Some(there.endpoint.address()));
        candidates.learn(&[here], now);
        assert_eq!(peer(&candidates), Some(here.endpoint.address()));
        candidates.meet(there.node, there.endpoint.address(), now);
        assert_eq!(peer(&candidates), Some(here.endpoint.address()));
    }

    #[test]
    fn of_many_owners_at_one_host_each_that_fails_lets_those_of_others_go_first() {
        let (mut candidates, now) = (Candidates::default(), Timestamp::ZERO);
        let many: Vec<Owner> = (0..100).map(|node| owner(node, 1)).collect();
        candidates.learn(&many, now);
        candidates.learn(&[owner(200, 2)], now);
        candidates.learn(&many, now);
        let next =
            |candidates: &Candidates| candidates.next(now, false, &nobody(candidates)).map(|(node, _)| node);
        let first = next(&candidates).expect("somebody");
        assert_eq!(first, owner(0, 1).node, "the tracker's order");
        for owner in &many[..2] {
            candidates.on_tried(owner.node, now);
            candidates.on_ended(owner.node, SessionEnd::NoAnswer, now);
        }
        assert_eq!(next(&candidates), Some(owner(200, 2).node));
        candidates.on_good_piece(first, true);
        assert_eq!(next(&candidates), Some(owner(2, 1).node), "one alone may fail");
    }

    proptest! {
        /// A bounded number of owners is remembered, each at its last address, and the next owner to try has rested,
        /// however many owners are named, moved and lost.
        #[test]
        fn few_are_remembered_and_the_rested_are_tried(
            steps in prop::collection::vec((0u8..3, 0u16..600, 0u8..4, 0u64..30), 0..120),
        ) {
            let (mut candidates, mut now) = (Candidates::default(), Timestamp::ZERO);
            let mut seen: BTreeMap<NodeId, SocketAddr> = BTreeMap::new();
            for (what, node, host, seconds) in steps {
                let named = owner(node, host);
                match what {
                    0 => {
                        let named: Vec<Owner> = (node..node + 20).map(|node| owner(node, host)).collect();
                        candidates.learn(&named, now);
                        let reachable = named.iter().filter(|owner| owner.endpoint.is_reachable());
                        seen.extend(reachable.map(|owner| (owner.node, owner.endpoint.address())));
                    }
                    1 => {
                        candidates.on_ended(named.node, SessionEnd::NoAnswer, now);
                        let known = candidates.known.get(&named.node);
                        let rests = known.is_none_or(|of| of.ready_at(false) > now);
                        prop_assert!(rests, "it did not answer just now");
                    }
                    _ => now += Duration::from_secs(seconds),
                }
                prop_assert!(candidates.known.len() <= MAX);
                prop_assert_eq!(candidates.order.len(), candidates.known.len());
                let next = candidates.next(now, false, &nobody(&candidates));
                let next_at = candidates.next_at(false, &nobody(&candidates));
                prop_assert_eq!(next.is_some(), next_at.is_some_and(|at| at <= now));
                if let Some((node, peer)) = next {
                    prop_assert_eq!(seen.get(&node), Some(&peer));
                }
            }
        }
    }
}
