//! Owners that play a part: they know the wire, and follow a script instead of the protocol.

use std::net::SocketAddr;
use std::time::Duration;

use messages::limits::MAX_DATAGRAM;
use messages::node_to_node::{Bye, ByeReason, Control, Operation, Ping, Request, Welcome};
use messages::{Body, ChunkHeader, Conversation, Datagram, NodeToNode, PieceIndex};

use super::network::Payload;
use super::{Happening, HostId, World};
use crate::content::Content;
use crate::disk::Provenance;

/// What an actor says to a REQUEST, after it has said WELCOME to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// PING, again and again, and never a byte.
    Chatters,
    /// CHOKE, for as long as can be said.
    Chokes,
    /// BUSY, for the shortest time that can be said.
    IsBusy,
    /// Right segments: the first at once, then one each time that this has passed.
    Drips(Duration),
    /// CHOKE, and UNCHOKE right behind it.
    Flaps,
    /// UNCHOKE, CANCEL of what it was asked for, and UNCHOKE again, as often as it can be said.
    CallsInVain,
    /// BYE.
    Leaves,
    /// To HELLO, bytes that are no message behind a header that is one's.
    TalksNonsense,
    /// To HELLO, BUSY.
    IsFull,
    /// What an owner says, but never to a PROBE.
    IgnoresProbes,
    /// What an owner says, probes and all, but no CHUNK beyond the base size.
    DropsLongChunks,
}

/// Who chatters says so much to each REQUEST, so often.
const CHATTER: u32 = 200;
const CHATTERS_EVERY: Duration = Duration::from_millis(10);

impl World {
    /// A datagram reached an actor. Whether it was for its part, and not for the node behind it.
    pub(super) fn play(&mut self, actor: HostId, from: SocketAddr, payload: &Payload, part: Part) -> bool {
        let Payload::Control(bytes) = payload else {
            return true;
        };
        let Ok(Datagram::Peer(conversation, message)) = Datagram::decode(bytes) else {
            return false;
        };
        match part {
            Part::IgnoresProbes => return matches!(message, NodeToNode::Probe(_)),
            Part::DropsLongChunks => return false,
            _ => {}
        }
        let Some(content) = self.hosts[actor.0].disk.files.values().next() else {
            return true;
        };
        let content = self.library.of(*content).expect("a content that exists").clone();
        match message {
            NodeToNode::Hello(_) if part == Part::TalksNonsense => {
                let mut bytes = bytes.clone();
                bytes.iter_mut().skip(4).for_each(|byte| *byte = !*byte);
                self.deliver_later(actor, from, Payload::Control(bytes), self.now);
            }
            NodeToNode::Hello(_) if part == Part::IsFull => {
                let busy = Control { operation: Operation::Busy, retry_after_ms: 1, request: 0 };
                self.say(actor, from, conversation, &busy, Duration::ZERO);
            }
            NodeToNode::Hello(hello) => {
                let layout = content.manifest.layout();
                // Its number for the session is the downloader's, so that it has nothing to remember.
                let welcome = Welcome {
                    nonce: hello.nonce,
                    echoed_at: hello.sent_at,
                    conversation: hello.conversation,
                    length: layout.length(),
                    have: layout.pieces(),
                    max_outstanding: u32::MAX,
                    max_datagram: MAX_DATAGRAM as u16,
                    capabilities: 0,
                    node: self.hosts[actor.0].id,
                };
                self.say(actor, from, conversation, &welcome, Duration::ZERO);
            }
            NodeToNode::Request(request) => self.answer(actor, from, conversation, &request, part, &content),
            _ => {}
        }
        true
    }

    fn answer(
        &mut self,
        actor: HostId,
        to: SocketAddr,
        conversation: Conversation,
        request: &Request,
        part: Part,
        content: &Content,
    ) {
        let control = |operation, retry_after_ms, request| Control { operation, retry_after_ms, request };
        match part {
            Part::Chatters => (1..=CHATTER).for_each(|count| {
                self.say(actor, to, conversation, &Ping::new(7), CHATTERS_EVERY * count);
            }),
            Part::Chokes => {
                let choke = control(Operation::Choke, u16::MAX, 0);
                self.say(actor, to, conversation, &choke, Duration::ZERO);
            }
            Part::Flaps => (request.first_request..).zip(request.ranges.iter()).for_each(|(number, _)| {
                for operation in [Operation::Choke, Operation::Unchoke] {
                    self.say(actor, to, conversation, &control(operation, 0, number), Duration::ZERO);
                }
            }),
            Part::CallsInVain => (0..CHATTER).for_each(|count| {
                for operation in [Operation::Unchoke, Operation::Cancel] {
                    let control = control(operation, 0, request.first_request);
                    self.say(actor, to, conversation, &control, CHATTERS_EVERY * count);
                }
            }),
            Part::IsBusy => (request.first_request..).zip(request.ranges.iter()).for_each(|(number, _)| {
                self.say(actor, to, conversation, &control(Operation::Busy, 0, number), Duration::ZERO);
            }),
            Part::Leaves => {
                self.say(actor, to, conversation, &Bye { reason: ByeReason::Leaving }, Duration::ZERO);
            }
            Part::TalksNonsense | Part::IsFull => {}
            Part::IgnoresProbes | Part::DropsLongChunks => unreachable!("the node behind it answers"),
            Part::Drips(every) => self.drip(actor, to, conversation, request, content, every),
        }
    }

    fn drip(
        &mut self,
        actor: HostId,
        to: SocketAddr,
        conversation: Conversation,
        request: &Request,
        content: &Content,
        every: Duration,
    ) {
        for (number, range) in (request.first_request..).zip(request.ranges.iter()) {
            let (piece, size) = (range.piece(), u32::from(request.segment_size));
            let (manifest, start) = match content.manifest.layout().span(piece) {
                Some(span) => (false, span.start),
                None => (piece == PieceIndex::MANIFEST, 0),
            };
            let count = range.segments(request.segment_size);
            for index in 0..count {
                let offset = range.offset() + index * size;
                let header = ChunkHeader {
                    conversation,
                    sequence: number.wrapping_mul(64).wrapping_add(index),
                    request: number,
                    piece,
                    offset,
                    sent_at: 0,
                    index: index as u8,
                    count: count as u8,
                    hold: 0,
                };
                let source = Provenance { content: content.id, manifest, from: start + u64::from(offset) };
                let length = size.min(range.end() - offset);
                let drips_at = &mut self.hosts[actor.0].drips_at;
                *drips_at = (*drips_at + every).max(self.now);
                let at = *drips_at;
                self.deliver_later(actor, to, Payload::Chunk { header, length, source }, at);
            }
        }
    }

    fn say<B: Body>(&mut self, actor: HostId, to: SocketAddr, on: Conversation, body: &B, later: Duration) {
        let mut bytes = Vec::new();
        messages::encode(on, body, &mut bytes);
        self.deliver_later(actor, to, Payload::Control(bytes), self.now + later);
    }

    fn deliver_later(&mut self, actor: HostId, to: SocketAddr, payload: Payload, at: messages::Timestamp) {
        if let Some(&to) = self.by_address.get(&to) {
            let link = self.hosts[actor.0].link;
            let other = self.hosts.get(to.0).map_or(link.delay, |host| host.link.delay);
            let from = self.hosts[actor.0].address;
            self.schedule(at + link.delay + other, Happening::AtDownlink { to, from, payload });
        }
    }
}
