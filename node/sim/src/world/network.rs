//! What becomes of a packet between two hosts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::event_queue::LinkQueue;
use super::fault::Cut;
use super::host::Manners;
use super::payload::Payload;
use super::sim_event::SimEvent;
use super::{HostId, TRACKER, World};
use crate::link::{IP_HEADERS, LinkSpec, fate};

/// Who is at which address, and between whom nothing gets through.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) by_address: BTreeMap<SocketAddr, HostId>,
    pub(super) cuts: Vec<Cut>,
}

impl Network {
    /// A network in which there is only the tracker.
    pub(super) fn new(tracker: SocketAddr) -> Network {
        Network { by_address: BTreeMap::from([(tracker, TRACKER)]), cuts: Vec::new() }
    }

    /// Gives a new host its address.
    pub(super) fn address_of_new(&mut self, host: HostId) -> SocketAddr {
        let [high, low] = (host.0 as u16).to_be_bytes();
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 4000);
        self.by_address.insert(address, host);
        address
    }
}

impl World {
    /// A packet leaves `from` over its access link.
    pub(super) fn send(&mut self, from: HostId, source: SocketAddr, to: SocketAddr, payload: Payload) {
        let Some(&receiver) = self.network.by_address.get(&to) else {
            self.count_to_stranger(from, to, payload.bytes());
            return;
        };
        self.note_unsolicited(from, receiver);
        let silent = |host: HostId| {
            self.hosts.get(host.0).is_some_and(|host| host.manners == Manners::Silent) && receiver != TRACKER
        };
        if silent(from) || self.is_cut(from, receiver) {
            return;
        }
        let to = receiver;
        let (sender, receiver) = (self.link_of(from), self.link_of(to));
        let size = payload.bytes() + IP_HEADERS;
        if sender.drops(size) || receiver.drops(size) {
            return;
        }
        let now = self.now;
        if let HostId(index) = from
            && from != TRACKER
        {
            let waits = self.hosts[index].link.up.waits(now);
            self.on_sent(from, waits);
        }
        let (sent_at, bad) = match from {
            TRACKER => (Some(now), &mut self.tracker.is_link_bad),
            HostId(index) => {
                let host = &mut self.hosts[index];
                (host.link.up.enqueue(sender.up, sender.queue, size, now), &mut host.link.is_bad)
            }
        };
        let Some(sent_at) = sent_at else {
            return;
        };
        let fate = fate(&sender, &receiver, bad, &mut self.rng);
        let mut payload = payload;
        // A tracker's datagrams stay as they are: nodes have nothing against which they could check them.
        if let Some(bit) = fate.corrupt.filter(|_| from != TRACKER && to != TRACKER) {
            payload.corrupt(bit);
        }
        if let Some(bit) = fate.damage {
            payload.damage(bit);
        }
        self.overhear(source, to, &payload);
        self.inject(source, to, &payload);
        let arrives = sent_at + sender.delay + receiver.delay + fate.late;
        for _ in 1..fate.copies {
            self.schedule(arrives, SimEvent::AtDownlink { to, from: source, payload: payload.clone() });
        }
        if fate.copies > 0 {
            let what = SimEvent::AtDownlink { to, from: source, payload };
            match from {
                TRACKER => self.schedule(arrives, what),
                HostId(index) => self.queue.add_to(LinkQueue::Up(index), arrives.max(now), what),
            }
        }
    }

    /// A packet comes to the receiver's access link.
    pub(super) fn reach(&mut self, to: HostId, from: SocketAddr, payload: Payload) {
        let link = self.link_of(to);
        let size = payload.bytes() + IP_HEADERS;
        let at = match to {
            TRACKER => Some(self.now),
            HostId(index) => self.hosts[index].link.down.enqueue(link.down, link.queue, size, self.now),
        };
        if let Some(at) = at {
            let what = SimEvent::Delivered { to, from, payload };
            match to {
                TRACKER => self.schedule(at, what),
                HostId(index) => self.queue.add_to(LinkQueue::Down(index), at.max(self.now), what),
            }
        }
    }

    fn link_of(&self, host: HostId) -> LinkSpec {
        match host {
            TRACKER => self.tracker.link,
            HostId(index) => self.hosts[index].link.spec,
        }
    }

    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.network.cuts.iter().any(|cut| cut.from.contains(&from) && cut.to.contains(&to))
    }
}
