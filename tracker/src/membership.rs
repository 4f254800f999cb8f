//! Who is in the swarm: REGISTER, EXIT, the PONG of a node whose id is claimed, and the passing of time.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_tracker::{Exit, Register};
use messages::tracker_to_node::{Goodbye, RefusalCode, Registered, TrackerPing};
use messages::{Endpoint, NodeId, Timestamp};
use rand::RngExt;

use crate::claim::{Arrival, Pressed, arrival};
use crate::event::Event;
use crate::host::Host;
use crate::nodes::{Comparison, Node, Seat};
use crate::tracker::{Answer, Origin, Refusal, Tracker, millis_up};

impl Tracker {
    pub(crate) fn on_register(&mut self, origin: Origin, register: &Register, now: Timestamp) -> Answer {
        let (id, epoch) = (register.asker.node, register.epoch);
        let Origin { address, reached_at, conversation } = origin;
        let seat = Seat { address, reached_at, conversation, epoch };
        match self.nodes.node(id).map(|node| *node.seat()) {
            None => self.join(id, seat, now)?,
            Some(held) => match arrival((held.address, held.epoch), (address, epoch)) {
                Arrival::Renewal => {
                    self.hold(id, now);
                    self.nodes.renew(id, seat, self.lease_end(now));
                }
                Arrival::Moved => {
                    self.hold(id, now);
                    self.nodes.renew(id, seat, self.lease_end(now));
                    self.out.events.push(Event::NodeMoved { node: id, from: held.address, to: address });
                }
                Arrival::NewLife => {
                    self.forget_unless_named(id, register);
                    self.begin_life(id, seat, now);
                    self.out.events.push(Event::NodeReturned { node: id, address });
                }
                Arrival::OlderLife => {
                    return Err(Refusal::new(RefusalCode::IdInUse, self.nodes.lease_left(id, now)));
                }
                Arrival::Elsewhere => {
                    self.press_claim(id, &held, origin, now)?;
                    self.require_room(id, seat)?;
                    self.forget_unless_named(id, register);
                    self.begin_life(id, seat, now);
                    self.rehouse(id, address, now);
                    let (from, to) = (held.address, address);
                    self.out.events.push(Event::NodeTakenOver { node: id, from, to });
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

    pub(crate) fn on_exit(&mut self, origin: Origin, exit: &Exit) -> Answer {
        let id = exit.asker.node;
        if let Some(node) = self.nodes.node(id).map(|node| *node.seat()) {
            self.require_registered(origin, id)?;
            // A late EXIT of an older life does not end this one.
            if exit.epoch >= node.epoch {
                self.forget(id);
                self.out.events.push(Event::NodeLeft { node: id, address: origin.address });
            }
        }
        self.counters.exits += 1;
        Ok(Goodbye.into())
    }

    /// A PONG needs no cookie: its nonce went to the registered address and to nobody else.
    pub(crate) fn on_pong(&mut self, origin: Origin, nonce: u64, now: Timestamp) {
        match self.nodes.asked_with(origin.address, nonce) {
            Some(id) => self.hold(id, now),
            None => self.counters.stray_pongs += 1,
        }
    }

    /// Ends the leases that have ended and repeats the PINGs that are due.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        while let Some(id) = self.nodes.expired(now) {
            if let Some(address) = self.forget(id) {
                self.counters.expired += 1;
                self.out.events.push(Event::NodeExpired { node: id, address });
            }
        }
        while let Some(id) = self.nodes.ping_due(now) {
            let patience = self.settings.takeover_ping;
            if let Some(nonce) = self.nodes.change_claim(id, |claim| claim.ping_due(now, patience)).flatten()
            {
                self.ping(id, nonce);
            }
        }
    }

    fn join(&mut self, id: NodeId, seat: Seat, now: Timestamp) -> Result<(), Refusal> {
        self.require_room(id, seat)?;
        self.nodes.insert(id, Node::new(seat, now), self.lease_end(now));
        self.out.events.push(Event::NodeJoined { node: id, address: seat.address });
        Ok(())
    }

    fn require_room(&self, id: NodeId, seat: Seat) -> Result<(), Refusal> {
        if self.nodes.has_room(id, seat.address.ip()) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalCode::Full, self.settings.heartbeat))
        }
    }

    /// Somebody at another address wants the id: granted when the holder leaves its PINGs unanswered.
    fn press_claim(
        &mut self,
        id: NodeId,
        held: &Seat,
        origin: Origin,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let nonce = self.chance.random();
        let (patience, staleness) = (self.settings.takeover_ping, self.settings.heartbeat);
        let pressed = self
            .nodes
            .change_claim(id, |claim| claim.press(origin.address, nonce, now, patience, staleness))
            .unwrap_or(Pressed::Granted);
        let wait = match pressed {
            Pressed::Granted => return Ok(()),
            Pressed::Wait(wait) => wait,
            Pressed::Asking(wait) => {
                self.ping(id, nonce);
                let (registered, claimant) = (held.address, origin.address);
                self.out.events.push(Event::IdClaimed { node: id, registered, claimant });
                wait
            }
        };
        // By then either the holder has answered, the claimant may have the id, or the lease is over.
        Err(Refusal::new(RefusalCode::IdInUse, wait.min(self.nodes.lease_left(id, now))))
    }

    /// The holder of a claimed id has shown that it is there.
    fn hold(&mut self, id: NodeId, now: Timestamp) {
        let until = now + self.settings.heartbeat;
        self.nodes.change_claim(id, |claim| claim.hold(until));
    }

    /// A new life under a known id: it has served nobody and confirmed nothing yet.
    fn begin_life(&mut self, id: NodeId, seat: Seat, now: Timestamp) {
        let Some(old) = self.nodes.remove(id) else { return };
        let mut node = Node::new(seat, now);
        node.owned = old.owned;
        self.nodes.insert(id, node, self.lease_end(now));
    }

    /// What the node owns is owned at another host now.
    fn rehouse(&mut self, id: NodeId, address: SocketAddr, now: Timestamp) {
        let owned = self.nodes.node(id).map(|node| node.owned.contents());
        for content in owned.into_iter().flatten() {
            self.contents.rehouse(id, content, Host::at(address.ip()), now);
        }
    }

    /// What the old life owned stays only when the new one says that it owns the very same.
    fn forget_unless_named(&mut self, id: NodeId, register: &Register) {
        let Some(node) = self.nodes.node_mut(id) else { return };
        if !node.owned.is(register.contents, register.digest) {
            for content in node.owned.contents() {
                self.withdraw(id, content);
            }
        }
    }

    /// Whether the node must say its contents again. What it was asked to say again and did not is withdrawn.
    fn compare(&mut self, id: NodeId, register: &Register, now: Timestamp) -> bool {
        let patience = self.settings.heartbeat / 2;
        let mut last_chance = true;
        loop {
            let Some(node) = self.nodes.node_mut(id) else { return false };
            let known = node.owned.len();
            match node.owned.compare(register.contents, register.digest, now, patience) {
                Comparison::InStep => return false,
                Comparison::Outdated(contents) if last_chance => {
                    last_chance = false;
                    contents.into_iter().for_each(|content| self.withdraw(id, content));
                }
                Comparison::Differs | Comparison::Outdated(_) => {
                    self.out.events.push(Event::ResyncAsked { node: id, known, told: register.contents });
                    return true;
                }
            }
        }
    }

    fn ping(&mut self, id: NodeId, nonce: u64) {
        let Some(node) = self.nodes.node(id) else { return };
        let Seat { address, reached_at, conversation, .. } = *node.seat();
        self.out.send(address, reached_at, conversation, &TrackerPing { nonce }.into());
    }

    /// Takes a node and all that it owned out of the tables.
    fn forget(&mut self, id: NodeId) -> Option<SocketAddr> {
        for content in self.nodes.node(id)?.owned.contents() {
            self.withdraw(id, content);
        }
        self.nodes.remove(id).map(|node| node.seat().address)
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        let lease: Duration = self.settings.heartbeat * self.settings.missed_heartbeats;
        now + lease
    }
}
