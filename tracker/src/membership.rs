//! Who is in the swarm: REGISTER, EXIT, the PONG of a node whose id is claimed, and the passing of time.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_tracker::{Exit, Register};
use messages::tracker_to_node::{Goodbye, RefusalCode, Registered, TrackerPing};
use messages::{BootEpoch, Endpoint, NodeId, Timestamp};
use rand::RngExt;

use crate::departed::Leftover;
use crate::event::Event;
use crate::host::Host;
use crate::id_takeover::{Arrival, Claim, Pressed, arrival};
use crate::nodes::{Comparison, Node, Owned, Seat};
use crate::tracker::{Answer, Origin, Refusal, Tracker, millis_up};

/// Whoever begins one life after the other before what it had is out of the tables comes again after this time.
const TAKES_OUT: Duration = Duration::from_secs(1);

impl Tracker {
    pub(crate) fn on_register(&mut self, origin: Origin, register: &Register, now: Timestamp) -> Answer {
        let (id, epoch) = (register.asker.node, register.epoch);
        let Origin { address, reached_at, conversation } = origin;
        let seat = Seat { address, reached_at, conversation, epoch };
        let held = self.nodes.node(id).map(|node| *node.seat());
        let goes_on = held.is_some_and(|held| (held.address, held.epoch) == (address, epoch));
        if !goes_on && !self.departed.has_room(id) {
            return Err(Refusal::new(RefusalCode::TooFast, TAKES_OUT));
        }
        match held {
            None => self.join(id, seat, now)?,
            Some(held) => match arrival(self.life(&held, now), self.life(&seat, now)) {
                Arrival::Renewal => {
                    self.hold(id, now);
                    self.nodes.renew(id, seat, self.lease_end(now));
                }
                Arrival::NewLife => {
                    self.begin_life(id, seat, register, now);
                    self.out.events.push(Event::NodeReturned { node: id, address });
                }
                Arrival::OlderLife => {
                    return Err(Refusal::new(RefusalCode::IdInUse, self.nodes.lease_left(id, now)));
                }
                Arrival::Elsewhere => {
                    self.press_claim(id, &held, origin, now)?;
                    self.require_room(id, seat)?;
                    self.take_over(id, &held, seat, register, now);
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
        if let Some(node) = self.nodes.node(id).map(|node| *node.seat()) {
            self.require_registered(origin, id)?;
            // A late EXIT of an older life does not end this one.
            if self.calendar.rank(exit.epoch, now) >= self.calendar.rank(node.epoch, now) {
                if let Some(node) = self.nodes.remove(id) {
                    self.depart(id, node.owned);
                }
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

    /// Ends some of the leases that have ended, takes out some of what those had that are gone, and repeats the PINGs that are due.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        for _ in 0..self.departed.in_one_step {
            let Some(id) = self.nodes.expired(now) else { break };
            if let Some(node) = self.nodes.remove(id) {
                let address = node.seat().address;
                self.departed.put(id, node.owned.into_contents());
                self.counters.expired += 1;
                self.out.events.push(Event::NodeExpired { node: id, address });
            }
        }
        for _ in 0..self.departed.in_one_step {
            match self.departed.next() {
                Some(Leftover::Gone(id, content)) => self.take_out(id, content),
                Some(Leftover::Outdated(id)) => {
                    if !self.withdraw_outdated(id) {
                        self.departed.forget_outdated(id);
                    }
                }
                None => break,
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

    /// What the lives of a node are compared by.
    fn life(&self, seat: &Seat, now: Timestamp) -> (SocketAddr, (bool, BootEpoch)) {
        (seat.address, self.calendar.rank(seat.epoch, now))
    }

    /// Somebody elsewhere wants the id: granted when the holder leaves its PINGs unanswered.
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

    /// The old place was silent: the id is at `seat` now. The same life on the same host has only moved.
    fn take_over(&mut self, id: NodeId, held: &Seat, seat: Seat, register: &Register, now: Timestamp) {
        let (node, from, to) = (id, held.address, seat.address);
        let is_near = from.ip() == to.ip();
        if is_near && held.epoch == seat.epoch {
            self.nodes.renew(id, seat, self.lease_end(now));
            self.nodes.change_claim(id, |claim| *claim = Claim::Free);
            self.out.events.push(Event::NodeMoved { node, from, to });
            return;
        }
        self.begin_life(id, seat, register, now);
        if Host::at(from.ip()) != Host::at(to.ip()) {
            self.rehouse(id, to, now);
        }
        self.out.events.push(match is_near {
            true => Event::NodeReturned { node, address: to },
            false => Event::NodeTakenOver { node, from, to },
        });
    }

    /// A new life under a known id: it has served nobody and confirmed nothing yet. What the old one owned stays only
    /// when the new one says that it owns the very same; of what is much it says each once more from another host.
    fn begin_life(&mut self, id: NodeId, seat: Seat, register: &Register, now: Timestamp) {
        let Some(old) = self.nodes.remove(id) else { return };
        let mut node = Node::new(seat, now);
        let stays = Host::at(old.seat().address.ip()) == Host::at(seat.address.ip());
        let is_little = old.owned.len() <= self.departed.in_one_step;
        if old.owned.is(register.contents, register.digest) && (stays || is_little) {
            node.owned = old.owned;
        } else {
            self.depart(id, old.owned);
        }
        self.nodes.insert(id, node, self.lease_end(now));
    }

    /// What the node owns, which is little, is owned at another host now.
    fn rehouse(&mut self, id: NodeId, address: SocketAddr, now: Timestamp) {
        let owned = self.nodes.node(id).map(|node| &node.owned);
        for content in owned.into_iter().flat_map(Owned::contents) {
            self.contents.rehouse(id, content, Host::at(address.ip()), now);
        }
    }

    /// A life is over that had `owned`: some of it is taken out at once, which is all if it was not much.
    fn depart(&mut self, id: NodeId, owned: Owned) {
        let number = self.departed.put(id, owned.into_contents());
        for _ in 0..self.departed.in_one_step {
            let Some(content) = self.departed.next_of(id, number) else { return };
            self.take_out(id, content);
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
                Comparison::Outdated if last_chance && !self.withdraw_some_outdated(id) => {
                    last_chance = false;
                }
                Comparison::Differs | Comparison::Outdated => {
                    self.out.events.push(Event::ResyncAsked { node: id, known, told: register.contents });
                    return true;
                }
            }
        }
    }

    /// Takes out some of what the node did not say again, which is all if it is not much. Whether there is more, to be taken
    /// out later.
    fn withdraw_some_outdated(&mut self, id: NodeId) -> bool {
        for _ in 0..self.departed.in_one_step {
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

    fn ping(&mut self, id: NodeId, nonce: u64) {
        let Some(node) = self.nodes.node(id) else { return };
        let Seat { address, reached_at, conversation, .. } = *node.seat();
        self.out.send(address, reached_at, conversation, &TrackerPing { nonce }.into());
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        let lease: Duration = self.settings.heartbeat * self.settings.missed_heartbeats;
        now + lease
    }
}
