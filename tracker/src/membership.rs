//! The handling of REGISTER, of EXIT, of the PONG of a node whose id is claimed, and of the passing of time.

use std::net::SocketAddr;
use std::time::Duration;

use channel::Members;
use messages::node_to_tracker::{Exit, Register};
use messages::tracker_to_node::{Goodbye, RefusalCode, Registered, TrackerPing};
use messages::{BootEpoch, Endpoint, NodeId, Timestamp};
use rand::RngExt;

use crate::departed::Leftover;
use crate::event::Event;
use crate::host_key::HostKey;
use crate::id_takeover::{Arrival, ClaimOutcome, IdClaim, arrival};
use crate::nodes::{Node, Registration};
use crate::owned_contents::{Comparison, OwnedContents};
use crate::request::{Answer, Origin, Refusal, millis_up};
use crate::tracker::Tracker;

/// The time after which a node may try again that begins new lives faster than the contents of its old lives leave the
/// tables.
const REMOVAL_PAUSE: Duration = Duration::from_secs(1);

impl Tracker {
    pub(crate) fn on_register(&mut self, origin: Origin, register: &Register, now: Timestamp) -> Answer {
        let (id, epoch) = (register.asker.node, register.epoch);
        let Origin { address, reached_at, conversation, .. } = origin;
        let registration = Registration { address, reached_at, conversation, epoch };
        let held = self.nodes.node(id).map(|node| *node.registration());
        let is_same_life = held.is_some_and(|held| (held.address, held.epoch) == (address, epoch));
        if !is_same_life && !self.departed.has_capacity(id) {
            return Err(Refusal::new(RefusalCode::TooFast, REMOVAL_PAUSE));
        }
        match held {
            None => self.join(id, registration, now)?,
            Some(held) => match arrival(self.life(&held, now), self.life(&registration, now)) {
                Arrival::Renewal => {
                    self.hold(id, now);
                    self.nodes.renew(id, registration, self.lease_end(now));
                }
                Arrival::NewLife => {
                    self.begin_life(id, registration, register, now);
                    self.out.events.push(Event::NodeReturned { node: id, address });
                }
                Arrival::OlderLife => {
                    return Err(Refusal::new(RefusalCode::IdInUse, self.nodes.lease_left(id, now)));
                }
                Arrival::Elsewhere => {
                    self.claim_id(id, &held, origin, now)?;
                    self.require_capacity(id, registration)?;
                    self.take_over(id, &held, registration, register, now);
                }
            },
        }
        self.counters.registered += 1;
        Ok(Registered {
            cookie: self.cookies.bake(address, now),
            tracker_epoch: self.epoch,
            interval_ms: millis_up(self.settings.heartbeat),
            resync: self.compare(id, register, now),
            observed: Endpoint::new(address),
        }
        .into())
    }

    pub(crate) fn on_exit(&mut self, origin: Origin, exit: &Exit, now: Timestamp) -> Answer {
        let id = exit.asker.node;
        if let Some(node) = self.nodes.node(id).map(|node| *node.registration()) {
            self.require_registered(origin, id)?;
            // A late EXIT of an older life does not end this one.
            if self.calendar.rank(exit.epoch, now) >= self.calendar.rank(node.epoch, now) {
                let left = self.nodes.remove(id).expect("the node was found a moment ago");
                self.depart(id, left.owned);
                self.out.events.push(Event::NodeLeft { node: id, address: origin.address });
            }
        }
        self.counters.exits += 1;
        Ok(Goodbye.into())
    }

    /// Takes out all nodes that are not among `members`. Of much that they own, the rest is taken out later, and named
    /// to nobody meanwhile.
    pub(crate) fn let_go(&mut self, members: &Members) {
        let strangers: Vec<NodeId> = self.nodes.ids().filter(|&id| !members.contains(id)).collect();
        for id in strangers {
            let node = self.nodes.remove(id).expect("the node was found a moment ago");
            let address = node.registration().address;
            self.departed.put(id, node.owned.into_contents());
            self.out.events.push(Event::NodeLetGo { node: id, address });
        }
    }

    /// Takes in a PONG. It needs no cookie: its nonce went to the registered address and to nobody else.
    pub(crate) fn on_pong(&mut self, origin: Origin, nonce: u64, now: Timestamp) {
        match self.nodes.asked_with(origin.address, nonce) {
            Some(id) => self.hold(id, now),
            None => self.counters.stray_pongs += 1,
        }
    }

    /// Takes out some of the nodes whose leases have ended and some of what departed nodes had, and repeats the PINGs
    /// that are due.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        for _ in 0..self.departed.batch {
            let Some(id) = self.nodes.expired(now) else { break };
            let node = self.nodes.remove(id).expect("a lease is kept for a node of the table alone");
            let address = node.registration().address;
            self.departed.put(id, node.owned.into_contents());
            self.counters.expired += 1;
            self.out.events.push(Event::NodeExpired { node: id, address });
        }
        for _ in 0..self.departed.batch {
            match self.departed.take_next() {
                Some(Leftover::Gone(id, content)) => self.remove_departed(id, content),
                Some(Leftover::Outdated(id)) => {
                    if !self.withdraw_outdated(id) {
                        self.departed.forget_outdated(id);
                    }
                }
                None => break,
            }
        }
        while let Some(id) = self.nodes.ping_due(now) {
            let answer_timeout = self.settings.takeover_ping;
            let nonce = self.nodes.change_claim(id, |claim| claim.take_due_ping(now, answer_timeout));
            if let Some(nonce) = nonce.flatten() {
                self.ping(id, nonce, now);
            }
        }
    }

    fn join(&mut self, id: NodeId, registration: Registration, now: Timestamp) -> Result<(), Refusal> {
        self.require_capacity(id, registration)?;
        self.nodes.insert(id, Node::new(registration, now), self.lease_end(now));
        self.out.events.push(Event::NodeJoined { node: id, address: registration.address });
        Ok(())
    }

    fn require_capacity(&self, id: NodeId, registration: Registration) -> Result<(), Refusal> {
        if self.nodes.has_capacity(id, registration.address.ip()) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalCode::Full, self.settings.heartbeat))
        }
    }

    /// The key by which the lives of a node are compared.
    fn life(&self, registration: &Registration, now: Timestamp) -> (SocketAddr, (bool, BootEpoch)) {
        (registration.address, self.calendar.rank(registration.epoch, now))
    }

    /// Claims the id for somebody elsewhere: granted when the holder leaves its PINGs unanswered.
    fn claim_id(
        &mut self,
        id: NodeId,
        held: &Registration,
        origin: Origin,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let nonce = self.chance.random();
        let (answer_timeout, stale_after) = (self.settings.takeover_ping, self.settings.heartbeat);
        let outcome = self
            .nodes
            .change_claim(id, |claim| claim.claim(origin.address, nonce, now, answer_timeout, stale_after))
            .expect("only the id of a node of the table is claimed");
        let wait = match outcome {
            ClaimOutcome::Granted => return Ok(()),
            ClaimOutcome::Wait(wait) => wait,
            ClaimOutcome::Asking(wait) => {
                self.ping(id, nonce, now);
                let (registered, claimant) = (held.address, origin.address);
                self.out.events.push(Event::IdClaimed { node: id, registered, claimant });
                wait
            }
        };
        // After that time the holder has answered, the claimant may have the id, or the lease has ended.
        Err(Refusal::new(RefusalCode::IdInUse, wait.min(self.nodes.lease_left(id, now))))
    }

    /// Takes in that the holder of an id has answered.
    fn hold(&mut self, id: NodeId, now: Timestamp) {
        let until = now + self.settings.heartbeat;
        self.nodes.change_claim(id, |claim| claim.hold(until));
    }

    /// Gives the id to `registration`, since the old address was silent. The same life on the same host has only moved.
    fn take_over(
        &mut self,
        id: NodeId,
        held: &Registration,
        registration: Registration,
        register: &Register,
        now: Timestamp,
    ) {
        let (node, from, to) = (id, held.address, registration.address);
        let is_near = from.ip() == to.ip();
        if is_near && held.epoch == registration.epoch {
            self.nodes.renew(id, registration, self.lease_end(now));
            self.nodes.change_claim(id, |claim| *claim = IdClaim::Free);
            self.out.events.push(Event::NodeMoved { node, from, to });
            return;
        }
        self.begin_life(id, registration, register, now);
        if HostKey::at(from.ip()) != HostKey::at(to.ip()) {
            self.change_host(id, to, now);
        }
        self.out.events.push(match is_near {
            true => Event::NodeReturned { node, address: to },
            false => Event::NodeTakenOver { node, from, to },
        });
    }

    /// Begins a new life under a known id: it has served nobody and confirmed nothing yet. What the old life owned
    /// stays only when the new one reports that it owns the very same. From another host the node has to announce it
    /// again, unless it is little.
    fn begin_life(&mut self, id: NodeId, registration: Registration, register: &Register, now: Timestamp) {
        let old = self.nodes.remove(id).expect("a new life begins only under an id of the table");
        let mut node = Node::new(registration, now);
        let is_same_host =
            HostKey::at(old.registration().address.ip()) == HostKey::at(registration.address.ip());
        let is_little = old.owned.len() <= self.departed.batch;
        if old.owned.matches(register.contents, register.digest) && (is_same_host || is_little) {
            node.owned = old.owned;
        } else {
            self.depart(id, old.owned);
        }
        self.nodes.insert(id, node, self.lease_end(now));
    }

    /// Moves what the node owns, which is little, to the host of `address`.
    fn change_host(&mut self, id: NodeId, address: SocketAddr, now: Timestamp) {
        let node = self.nodes.node(id).expect("the node has just been put in");
        for content in node.owned.contents() {
            self.contents.change_host(id, content, HostKey::at(address.ip()), now);
        }
    }

    /// Ends a life that had `owned`: some of it is taken out at once, which is all if it was not much.
    fn depart(&mut self, id: NodeId, owned: OwnedContents) {
        let number = self.departed.put(id, owned.into_contents());
        for _ in 0..self.departed.batch {
            let Some(content) = self.departed.take_next_of(id, number) else { return };
            self.remove_departed(id, content);
        }
    }

    /// Compares what the node owns with what it reports, and withdraws what it was asked to announce again and did not.
    /// Returns whether the node must announce its contents again.
    fn compare(&mut self, id: NodeId, register: &Register, now: Timestamp) -> bool {
        let resync_timeout = self.settings.heartbeat / 2;
        let mut may_withdraw = true;
        loop {
            let node = self.nodes.node_mut(id).expect("the node has just registered");
            let known = node.owned.len();
            match node.owned.compare(register.contents, register.digest, now, resync_timeout) {
                Comparison::InSync => return false,
                Comparison::Outdated if may_withdraw && !self.withdraw_some_outdated(id) => {
                    may_withdraw = false;
                }
                Comparison::Differs | Comparison::Outdated => {
                    self.out.events.push(Event::ResyncAsked { node: id, known, reported: register.contents });
                    return true;
                }
            }
        }
    }

    /// Takes out some of what the node did not announce again, which is all if it is not much. Returns whether there is
    /// more, to be taken out later.
    fn withdraw_some_outdated(&mut self, id: NodeId) -> bool {
        for _ in 0..self.departed.batch {
            if !self.withdraw_outdated(id) {
                break;
            }
        }
        let has_more = self.nodes.node(id).is_some_and(|node| node.owned.is_outdated());
        if has_more {
            self.departed.put_outdated(id);
        }
        has_more
    }

    fn ping(&mut self, id: NodeId, nonce: u64, now: Timestamp) {
        let node = self.nodes.node(id).expect("only the holder of an id of the table is asked");
        let Registration { address, reached_at, conversation, .. } = *node.registration();
        self.send(address, reached_at, conversation, &TrackerPing { nonce }.into(), now);
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        now + self.settings.heartbeat * self.settings.missed_heartbeats
    }
}
