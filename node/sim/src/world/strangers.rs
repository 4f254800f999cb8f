//! Strangers: they send what nobody asked for, under addresses that are nobody's or somebody else's, and count on
//! getting more back than they sent.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use messages::node_to_node::Hello;
use messages::node_to_tracker::{Asker, Need, OwnDigest, Query, Register};
use messages::{BootEpoch, ChunkHeader, ContentId, Conversation, Cookie, NodeId, NodeToTracker, PieceIndex};
use rand::RngExt as _;

use super::fault::Flood;
use super::payload::Payload;
use super::sim_event::SimEvent;
use super::{HostId, TRACKER, World};
use crate::disk::Provenance;

/// How many overheard datagrams are kept for replay.
const MAX_OVERHEARD: usize = 256;
/// From how many addresses strangers send.
const ADDRESSES: u8 = 8;

/// The strangers of a world, and what is counted of them.
#[derive(Debug, Default)]
pub struct Strangers {
    flood: Option<Flood>,
    overheard: VecDeque<(SocketAddr, HostId, Payload)>,
    /// How many bytes each host got from an address that is nobody's, and sent to it.
    accounts: BTreeMap<(HostId, SocketAddr), (u64, u64)>,
    /// How many datagrams they sent.
    pub sent: u64,
}

/// An address that is nobody's.
fn nobody(number: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, number % ADDRESSES)), 5000)
}

fn is_nobody(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V4(ip) if ip.octets()[..3] == [203, 0, 113])
}

impl Strangers {
    /// How many bytes were sent to addresses that are nobody's.
    pub fn answered(&self) -> u64 {
        self.accounts.values().map(|(_, went)| went).sum()
    }
}

impl World {
    /// Strangers begin to send.
    pub(super) fn start_flood(&mut self, flood: Flood) {
        self.strangers.flood = Some(flood);
        self.schedule(self.now, SimEvent::Stranger);
    }

    /// Keeps a packet for replay, while a flood lasts.
    pub(super) fn overhear(&mut self, from: SocketAddr, to: HostId, payload: &Payload) {
        if self.strangers.flood.is_none() {
            return;
        }
        let overheard = &mut self.strangers.overheard;
        if overheard.len() >= MAX_OVERHEARD {
            overheard.pop_front();
        }
        overheard.push_back((from, to, payload.clone()));
    }

    /// Counts a datagram that a host is about to handle, if it comes from a stranger.
    pub(super) fn count_from_stranger(&mut self, host: HostId, from: SocketAddr, bytes: u64) {
        if is_nobody(from) {
            self.strangers.accounts.entry((host, from)).or_default().0 += bytes;
        }
    }

    /// Counts a datagram to a stranger. An address that is not proven gets no more bytes than it sent.
    pub(super) fn count_to_stranger(&mut self, host: HostId, to: SocketAddr, bytes: u64) {
        if is_nobody(to) {
            let (came, went) = self.strangers.accounts.entry((host, to)).or_default();
            *went += bytes;
            assert!(went <= came, "{host:?} sent {went} bytes to {to}, which sent {came}");
        }
    }

    /// One stranger sends one datagram.
    pub(super) fn on_stranger(&mut self) {
        let Some(flood) = self.strangers.flood.clone() else {
            return;
        };
        if self.now >= flood.until {
            self.strangers.flood = None;
            self.strangers.overheard.clear();
            return;
        }
        self.schedule(self.now + flood.every, SimEvent::Stranger);
        self.strangers.sent += 1;
        let count = self.hosts.len();
        let to = match self.rng.random_range(0..=count) {
            host if host < count => HostId(host),
            _ => TRACKER,
        };
        let from = nobody(self.rng.random());
        let (from, to, payload) = match self.rng.random_range(0..6) {
            0 => (from, to, self.junk()),
            1 => (from, to, self.forged_chunk()),
            2 => (from, to, self.forged(to, flood.content)),
            kind => match self.replay(kind) {
                // Strangers cannot change what passes between others: such an attacker could stop it too.
                Some((source, to, payload)) if kind < 5 => (source, to, payload),
                Some((_, to, payload)) => (from, to, payload),
                None => (from, to, self.junk()),
            },
        };
        self.schedule(self.now, SimEvent::AtDownlink { to, from, payload });
    }

    /// Random bytes, half of them behind a valid header.
    fn junk(&mut self) -> Payload {
        let length = self.rng.random_range(1..1300);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.rng.random()).collect();
        if length >= 8 && self.rng.random() {
            let kinds = [0x01, 0x03, 0x04, 0x11, 0x13, 0x16, 0x21, 0x22, 0x23, 0x26, 0x27, 0x2a, 0x31];
            bytes[..3].copy_from_slice(b"rf\x02");
            bytes[3] = kinds[self.rng.random_range(0..kinds.len())];
        }
        Payload::Control(bytes)
    }

    /// An overheard packet: as it was, or with a byte changed.
    fn replay(&mut self, kind: u32) -> Option<(SocketAddr, HostId, Payload)> {
        let count = self.strangers.overheard.len();
        let index = (count > 0).then(|| self.rng.random_range(0..count))?;
        let (from, to, mut payload) = self.strangers.overheard[index].clone();
        if kind == 5
            && let Payload::Control(bytes) = &mut payload
        {
            let at = self.rng.random_range(0..bytes.len());
            bytes[at] = self.rng.random();
        }
        Some((from, to, payload))
    }

    /// A CHUNK of no session.
    fn forged_chunk(&mut self) -> Payload {
        let header = ChunkHeader {
            conversation: Conversation(self.rng.random()),
            sequence: self.rng.random(),
            request: self.rng.random_range(0..100),
            piece: PieceIndex(self.rng.random_range(0..10)),
            offset: self.rng.random_range(0..1 << 18),
            sent_at: self.rng.random(),
            index: 0,
            count: 1,
            hold: 0,
        };
        Payload::Chunk { header, length: self.rng.random_range(1..1168), source: Provenance::WRONG }
    }

    /// A question under an address that is not the asker's.
    fn forged(&mut self, to: HostId, content: ContentId) -> Payload {
        let (node, cookie) = (NodeId::from_bytes(self.rng.random()), Cookie::from_bytes(self.rng.random()));
        let conversation = Conversation(self.rng.random());
        let mut bytes = Vec::new();
        if to != TRACKER {
            let (nonce, sent_at) = (self.rng.random(), self.rng.random());
            let hello = Hello { nonce, content, node, conversation, capabilities: 0, sent_at, cookie };
            messages::encode(conversation, &hello, &mut bytes);
            return Payload::Control(bytes);
        }
        let asker = Asker { node, cookie };
        let message: NodeToTracker = if self.rng.random() {
            Need { asker, query: Query::Content(content) }.into()
        } else {
            Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) }.into()
        };
        message.encode(conversation, &mut bytes);
        Payload::Control(bytes)
    }
}
