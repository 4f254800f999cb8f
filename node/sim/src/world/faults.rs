//! What breaks: processes, power, links, addresses, disks, the tracker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use config::TrackerSettings;
use messages::BootEpoch;
use rand::RngExt as _;
use riffle_core::{Command, Identity, Node};

use super::host::{Standing, State, socket_credit};
use super::network::Cut;
use super::strangers::Flood;
use super::{Happening, HostId, TRACKER, World};
use crate::disk::{Around, DiskFaults};
use crate::link::LinkSpec;

/// A stopped host that goes on takes in so much before it speaks.
const TURN_BYTES: u64 = 1 << 20;

/// Where a host is after a change of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Nowhere,
    ToAnotherPort,
    ToAnotherAddress,
}

/// Something that breaks, or is mended.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The process is killed: what the system has of its files stays.
    Kill(HostId),
    /// The power is cut: what is on the disk stays.
    LosePower(HostId),
    /// The host starts again, and its person wants and shares what they did before. Nothing, when it runs.
    Start(HostId, Move),
    /// Its person types `exit`.
    Leave(HostId),
    /// The process does nothing for a while.
    Stop(HostId, Duration),
    /// From now on the host's access link is like this.
    Relink(HostId, LinkSpec),
    /// From now on the tracker's access link is like this.
    RelinkTracker(LinkSpec),
    /// From now on its disk is like this.
    Redisk(HostId, DiskFaults),
    /// The host's address is another one all of a sudden; what goes to the old one is lost.
    Rebind(HostId, Move),
    /// Nothing gets through there any more.
    Cut(Cut),
    /// All cuts are mended.
    MendCuts,
    /// The tracker is gone.
    TrackerGone,
    /// The tracker starts anew, with empty tables and another key.
    TrackerStarts,
    /// Strangers send.
    Flood(Flood),
}

impl World {
    /// `fault` happens at `at`.
    pub fn fault(&mut self, at: messages::Timestamp, fault: Fault) {
        self.schedule(at, Happening::Fault(Box::new(fault)));
    }

    pub(super) fn on_fault(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(host) => self.end_life(host, false),
            Fault::LosePower(host) => self.end_life(host, true),
            Fault::Start(host, moved) => self.start(host, moved),
            Fault::Leave(host) => {
                if self.hosts[host.0].state != State::Down {
                    self.on_command(host, Command::Leave);
                }
            }
            Fault::Stop(id, time) => {
                let until = self.now + time;
                let host = &mut self.hosts[id.0];
                if host.state != State::Down {
                    host.state = State::Stopped(until);
                    self.schedule(until, Happening::Continue { host: id });
                }
            }
            Fault::Relink(host, link) => self.hosts[host.0].link = link,
            Fault::RelinkTracker(link) => self.tracker_link = link,
            Fault::Redisk(host, faults) => self.hosts[host.0].disk.faults = faults,
            Fault::Rebind(host, moved) => self.rebind(host, moved),
            Fault::Cut(cut) => self.cuts.push(cut),
            Fault::MendCuts => self.cuts.clear(),
            Fault::TrackerGone => self.tracker_runs = false,
            Fault::TrackerStarts => self.start_tracker(),
            Fault::Flood(flood) => self.start_flood(flood),
        }
    }

    fn end_life(&mut self, id: HostId, power: bool) {
        self.note(6, id, power.into());
        let around = &mut Around { library: &self.library, now: self.now, rng: &mut self.rng };
        let host = &mut self.hosts[id.0];
        if power {
            host.disk.lose_power(around);
        } else if host.state != State::Down {
            host.disk.kill(around);
        }
        host.state = State::Down;
        host.life += 1;
        host.round += 1;
        host.waiting.clear();
        host.waiting_bytes = 0;
    }

    fn start(&mut self, id: HostId, moved: Move) {
        if self.hosts[id.0].state != State::Down {
            return;
        }
        self.note(9, id, 0);
        self.rebind(id, moved);
        let (secret, seed) = (self.rng.random(), self.rng.random());
        let host = &mut self.hosts[id.0];
        let epoch = BootEpoch(u64::from(host.life) + 1);
        let identity = Identity { node: host.id, epoch, secret, seed };
        let credit = socket_credit(host.receive_buffer);
        host.former.push(host.node.counters());
        host.node = Node::new(host.settings.clone(), &identity, Some(self.tracker_address), credit, self.now);
        host.state = State::Runs;
        host.wishes.iter_mut().for_each(|wish| {
            if matches!(wish.standing, Standing::Ordered(_) | Standing::Again) {
                wish.standing = Standing::NotOrdered;
            }
        });
        let (round, now) = (host.round, self.now);
        let due = (0..host.wishes.len()).filter(|wish| host.wishes[*wish].at <= now).collect::<Vec<_>>();
        for index in 0..host.shares.len() {
            self.say_share(id, index);
        }
        for wish in due {
            self.on_order(id, wish);
        }
        self.schedule(now, Happening::Wake { host: id, round });
    }

    /// `host` is at `address` from now on.
    pub fn move_to(&mut self, host: HostId, address: SocketAddr) {
        self.by_address.remove(&self.hosts[host.0].address);
        self.hosts[host.0].address = address;
        self.by_address.insert(address, host);
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

    pub(super) fn start_tracker(&mut self) {
        self.note(8, TRACKER, 0);
        let settings = TrackerSettings::default();
        self.tracker = tracker::Tracker::new(settings, self.rng.random(), self.rng.random(), self.now);
        self.tracker_runs = true;
        self.poll_tracker();
    }

    /// A stopped host goes on: it takes in what has been waiting, and speaks in between.
    pub(super) fn go_on(&mut self, id: HostId) {
        let host = &mut self.hosts[id.0];
        if host.state != State::Stopped(self.now) {
            return;
        }
        host.state = State::Runs;
        host.waiting_bytes = 0;
        let mut taken = 0;
        while let Some((from, payload)) = self.hosts[id.0].waiting.pop_front() {
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
