//! What becomes of a packet between two hosts.

use std::net::SocketAddr;

use messages::{CHUNK_HEADER, ChunkHeader};

use super::agenda::Queue;
use super::host::Manners;
use super::{Happening, HostId, TRACKER, World};
use crate::disk::Provenance;
use crate::link::{IP_HEADERS, LinkSpec, fate};

/// What travels.
#[derive(Clone, Debug)]
pub enum Payload {
    Control(Vec<u8>),
    Chunk { header: ChunkHeader, length: u32, source: Provenance },
}

impl Payload {
    pub fn bytes(&self) -> u64 {
        match self {
            Payload::Control(bytes) => bytes.len() as u64,
            Payload::Chunk { length, .. } => u64::from(*length) + CHUNK_HEADER as u64,
        }
    }

    /// One bit of a control datagram is turned.
    fn corrupt(&mut self, bit: u32) {
        if let Payload::Control(bytes) = self {
            let bit = bit as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// One bit of a CHUNK is turned, in its header or behind it.
    fn spoil(&mut self, bit: u32) {
        let Payload::Chunk { header, length, source } = self else {
            return;
        };
        let (in_header, bit) = (bit.is_multiple_of(2), bit as usize / 2 % (CHUNK_HEADER * 8));
        if !in_header {
            *source = Provenance::WRONG;
            return;
        }
        let mut bytes = header.encode().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes.resize(CHUNK_HEADER + *length as usize, 0);
        match ChunkHeader::decode(&bytes) {
            Ok((other, _)) => *header = other,
            Err(_) => *self = Payload::Control(bytes),
        }
    }
}

/// Nothing gets from any of `from` to any of `to`.
#[derive(Clone, Debug)]
pub struct Cut {
    pub from: Vec<HostId>,
    pub to: Vec<HostId>,
}

impl World {
    /// A packet leaves `from` over its access link.
    pub(super) fn send(&mut self, from: HostId, source: SocketAddr, to: SocketAddr, payload: Payload) {
        let Some(&receiver) = self.by_address.get(&to) else {
            self.count_to_stranger(from, to, payload.bytes());
            return;
        };
        self.bother(from, receiver);
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
            let waits = self.hosts[index].up.waits(now);
            self.on_sent(from, waits);
        }
        let (sent_at, bad) = match from {
            TRACKER => (Some(now), &mut self.tracker_bad),
            HostId(index) => {
                let host = &mut self.hosts[index];
                (host.up.enqueue(sender.up, sender.queue, size, now), &mut host.bad)
            }
        };
        let Some(sent_at) = sent_at else {
            return;
        };
        let fate = fate(&sender, &receiver, bad, &mut self.rng);
        let mut payload = payload;
        // What a tracker says is taken on trust: there is nothing to check it against.
        if let Some(bit) = fate.corrupt.filter(|_| from != TRACKER && to != TRACKER) {
            payload.corrupt(bit);
        }
        if let Some(bit) = fate.spoiled {
            payload.spoil(bit);
        }
        self.overhear(source, to, &payload);
        self.inject(source, to, &payload);
        let arrives = sent_at + sender.delay + receiver.delay + fate.late;
        for _ in 1..fate.copies {
            self.schedule(arrives, Happening::AtDownlink { to, from: source, payload: payload.clone() });
        }
        if fate.copies > 0 {
            let what = Happening::AtDownlink { to, from: source, payload };
            match from {
                TRACKER => self.schedule(arrives, what),
                HostId(index) => self.agenda.add_to(Queue::Up(index), arrives.max(now), what),
            }
        }
    }

    /// A packet comes to the receiver's access link.
    pub(super) fn reach(&mut self, to: HostId, from: SocketAddr, payload: Payload) {
        let link = self.link_of(to);
        let size = payload.bytes() + IP_HEADERS;
        let at = match to {
            TRACKER => Some(self.now),
            HostId(index) => self.hosts[index].down.enqueue(link.down, link.queue, size, self.now),
        };
        if let Some(at) = at {
            let what = Happening::Delivered { to, from, payload };
            match to {
                TRACKER => self.schedule(at, what),
                HostId(index) => self.agenda.add_to(Queue::Down(index), at.max(self.now), what),
            }
        }
    }

    fn link_of(&self, host: HostId) -> LinkSpec {
        match host {
            TRACKER => self.tracker_link,
            HostId(index) => self.hosts[index].link,
        }
    }

    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cuts.iter().any(|cut| cut.from.contains(&from) && cut.to.contains(&to))
    }
}
