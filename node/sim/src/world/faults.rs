//! What breaks: processes, power, links, addresses, disks, the tracker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use messages::BootEpoch;
use rand::RngExt as _;
use riffle_core::{Command, Identity, Node};

use super::fault::{Fault, Move};
use super::host::{State, WishState};
use super::sealing::sealed;
use super::sim_event::SimEvent;
use super::{HostId, World};
use crate::disk::Around;

/// How many bytes a stopped host that goes on takes in before it is polled.
const TURN_BYTES: u64 = 1 << 20;

impl World {
    /// `fault` happens at `at`.
    pub fn fault(&mut self, at: messages::Timestamp, fault: Fault) {
        self.schedule(at, SimEvent::Fault(Box::new(fault)));
    }

    pub(super) fn on_fault(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(host) => self.end_life(host, false),
            Fault::LosePower(host) => self.end_life(host, true),
            Fault::Start(host, moved) => self.start(host, moved),
            Fault::Leave(host) => {
                if self.hosts[host.0].process.state != State::Down {
                    self.on_command(host, Command::Leave);
                }
            }
            Fault::Stop(id, time) => {
                let until = self.now + time;
                let host = &mut self.hosts[id.0];
                if host.process.state != State::Down {
                    host.process.state = State::Stopped(until);
                    self.schedule(until, SimEvent::Continue { host: id });
                }
            }
            Fault::Relink(host, link) => self.hosts[host.0].link.spec = link,
            Fault::RelinkTracker(link) => self.tracker.link = link,
            Fault::Redisk(host, faults) => self.hosts[host.0].disk.faults = faults,
            Fault::Rebind(host, moved) => self.rebind(host, moved),
            Fault::Cut(cut) => self.network.cuts.push(cut),
            Fault::MendCuts => self.network.cuts.clear(),
            Fault::TrackerGone => self.tracker.is_running = false,
            Fault::TrackerStarts => self.start_tracker(),
            Fault::Flood(flood) => self.start_flood(flood),
        }
    }

    /// Ends the process of a host, and its power too if `power`.
    fn end_life(&mut self, id: HostId, power: bool) {
        self.trace(6, id, power.into());
        let around = &mut Around { library: &self.library, now: self.now, rng: &mut self.rng };
        let host = &mut self.hosts[id.0];
        if power {
            host.disk.lose_power(around);
        } else if host.process.state != State::Down {
            host.disk.kill(around);
        }
        host.process.state = State::Down;
        host.process.life += 1;
        host.polling.round += 1;
        host.receive_buffer.clear();
    }

    /// Starts a host that is down.
    fn start(&mut self, id: HostId, moved: Move) {
        if self.hosts[id.0].process.state != State::Down {
            return;
        }
        self.trace(9, id, 0);
        self.rebind(id, moved);
        let (secret, seed) = (self.rng.random(), self.rng.random());
        let host = &mut self.hosts[id.0];
        let epoch = BootEpoch(u64::from(host.process.life) + 1);
        let identity = Identity { node: host.id, epoch, secret, seed };
        let buffer = host.receive_buffer.told_to_core();
        host.process.former.push(host.node.counters());
        let node = Node::new(host.settings.clone(), &identity, Some(self.tracker.address), buffer, self.now);
        host.node = sealed(node, host.member.as_ref(), &identity);
        host.process.state = State::Runs;
        host.person.wishes.iter_mut().for_each(|wish| {
            if matches!(wish.state, WishState::Ordered(_) | WishState::Again) {
                wish.state = WishState::NotOrdered;
            }
        });
        let (round, now) = (host.polling.round, self.now);
        let due = (0..host.person.wishes.len())
            .filter(|wish| host.person.wishes[*wish].at <= now)
            .collect::<Vec<_>>();
        for index in 0..host.person.shares.len() {
            self.order_share(id, index);
        }
        for wish in due {
            self.on_order(id, wish);
        }
        self.schedule(now, SimEvent::Wake { host: id, round });
    }

    /// Moves `host` to `address`.
    pub fn move_to(&mut self, host: HostId, address: SocketAddr) {
        self.network.by_address.remove(&self.hosts[host.0].address);
        self.hosts[host.0].address = address;
        self.network.by_address.insert(address, host);
    }

    /// The host's address changes.
    fn rebind(&mut self, id: HostId, moved: Move) {
        let host = &self.hosts[id.0];
        let (ip, port) = (host.address.ip(), host.address.port());
        let address = match (moved, ip) {
            (Move::Nowhere, _) => return,
            (Move::ToAnotherAddress, IpAddr::V4(ip)) => {
                let [ten, network, high, low] = ip.octets();
                SocketAddr::new(IpAddr::V4(Ipv4Addr::new(ten, network + 1, high, low)), port)
            }
            _ => SocketAddr::new(ip, port + 1),
        };
        self.move_to(id, address);
    }

    /// Lets a stopped host go on: it takes in what has been waiting, and is polled in between.
    pub(super) fn resume(&mut self, id: HostId) {
        let host = &mut self.hosts[id.0];
        if host.process.state != State::Stopped(self.now) {
            return;
        }
        host.process.state = State::Runs;
        host.receive_buffer.begin_drain();
        let mut taken = 0;
        while let Some((from, payload)) = self.hosts[id.0].receive_buffer.waiting.pop_front() {
            taken += payload.bytes();
            self.deliver(id, from, payload);
            if taken >= TURN_BYTES {
                taken = 0;
                self.poll(id);
            }
        }
        self.poll(id);
    }
}
