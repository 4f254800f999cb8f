//! Scripted owners: they know the wire, and follow a script instead of the protocol.

use std::net::SocketAddr;
use std::time::Duration;

use messages::limits::MAX_DATAGRAM;
use messages::node_to_node::{Bye, ByeReason, Control, Operation, Ping, Request, Welcome};
use messages::{Body, ChunkHeader, Conversation, Datagram, NodeToNode, PieceIndex};

use super::outboard_liars::OutboardLie;
use super::payload::Payload;
use super::sim_event::SimEvent;
use super::{HostId, World};
use crate::content::Content;
use crate::disk::Provenance;

/// What a scripted owner answers to a REQUEST, after it has answered every HELLO with WELCOME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerScript {
    /// It sends PING again and again, and never a byte.
    Chatters,
    /// It sends CHOKE for the longest time that the message can hold.
    Chokes,
    /// It sends BUSY for the shortest time that the message can hold.
    IsBusy,
    /// It sends right segments: the first at once, and then one each time that this has passed.
    Drips(Duration),
    /// It sends CHOKE, and UNCHOKE right behind it.
    Flaps,
    /// It sends UNCHOKE, CANCEL of what it was asked for, and UNCHOKE again, many times.
    CallsInVain,
    /// It sends BYE.
    Leaves,
    /// It lies about what proves the content.
    Lies(OutboardLie),
    /// It answers HELLO with bytes that are no message behind a valid header.
    TalksNonsense,
    /// It answers HELLO with BUSY.
    IsFull,
    /// It answers as an owner does, but never to a PROBE.
    IgnoresProbes,
    /// It answers as an owner does, PROBEs too, but sends no CHUNK beyond the base size.
    DropsLongChunks,
}

/// How many messages a chattering owner answers to each REQUEST.
const CHATTER: u32 = 200;
/// How far apart these are.
const CHATTER_PERIOD: Duration = Duration::from_millis(10);

impl World {
    /// Hands a packet to a scripted owner. Returns whether the packet was for its script, and not for the node behind
    /// it.
    pub(super) fn deliver_to_scripted_owner(
        &mut self,
        owner: HostId,
        from: SocketAddr,
        payload: &Payload,
        script: OwnerScript,
    ) -> bool {
        let Payload::Control(bytes) = payload else {
            return true;
        };
        let Ok(Datagram::Peer(conversation, message)) = Datagram::decode(bytes) else {
            return false;
        };
        match script {
            OwnerScript::IgnoresProbes => return matches!(message, NodeToNode::Probe(_)),
            OwnerScript::DropsLongChunks => return false,
            _ => {}
        }
        let Some(content) = self.hosts[owner.0].disk.files.values().next() else {
            return true;
        };
        let content = self.library.of(*content).expect("a content that exists").clone();
        match message {
            NodeToNode::Hello(_) if script == OwnerScript::TalksNonsense => {
                let mut bytes = bytes.clone();
                bytes.iter_mut().skip(4).for_each(|byte| *byte = !*byte);
                self.deliver_later(owner, from, Payload::Control(bytes), self.now);
            }
            NodeToNode::Hello(_) if script == OwnerScript::IsFull => {
                let busy = Control { operation: Operation::Busy, retry_after_ms: 1, request: 0 };
                self.send_later(owner, from, conversation, &busy, Duration::ZERO);
            }
            NodeToNode::Hello(hello) => {
                let layout = match script {
                    OwnerScript::Lies(lie) => lie.layout(&content),
                    _ => content.outboard.layout(),
                };
                // Its number for the session is the downloader's, so that the script has nothing to remember.
                let welcome = Welcome {
                    nonce: hello.nonce,
                    echoed_at: hello.sent_at,
                    conversation: hello.conversation,
                    length: layout.length(),
                    have: layout.pieces(),
                    max_outstanding: u32::MAX,
                    max_datagram: MAX_DATAGRAM as u16,
                    capabilities: 0,
                    node: self.hosts[owner.0].id,
                    file: messages::FileMetadata::default(),
                };
                self.send_later(owner, from, conversation, &welcome, Duration::ZERO);
            }
            NodeToNode::Request(request) => {
                self.answer(owner, from, conversation, &request, script, &content)
            }
            _ => {}
        }
        true
    }

    /// Answers a REQUEST as the script says.
    fn answer(
        &mut self,
        owner: HostId,
        to: SocketAddr,
        conversation: Conversation,
        request: &Request,
        script: OwnerScript,
        content: &Content,
    ) {
        let control = |operation, retry_after_ms, request| Control { operation, retry_after_ms, request };
        match script {
            OwnerScript::Chatters => (1..=CHATTER).for_each(|count| {
                self.send_later(owner, to, conversation, &Ping::new(7), CHATTER_PERIOD * count);
            }),
            OwnerScript::Chokes => {
                let choke = control(Operation::Choke, u16::MAX, 0);
                self.send_later(owner, to, conversation, &choke, Duration::ZERO);
            }
            OwnerScript::Flaps => {
                (request.first_request..).zip(request.ranges.iter()).for_each(|(number, _)| {
                    for operation in [Operation::Choke, Operation::Unchoke] {
                        self.send_later(
                            owner,
                            to,
                            conversation,
                            &control(operation, 0, number),
                            Duration::ZERO,
                        );
                    }
                })
            }
            OwnerScript::CallsInVain => (0..CHATTER).for_each(|count| {
                for operation in [Operation::Unchoke, Operation::Cancel] {
                    let control = control(operation, 0, request.first_request);
                    self.send_later(owner, to, conversation, &control, CHATTER_PERIOD * count);
                }
            }),
            OwnerScript::IsBusy => {
                (request.first_request..).zip(request.ranges.iter()).for_each(|(number, _)| {
                    self.send_later(
                        owner,
                        to,
                        conversation,
                        &control(Operation::Busy, 0, number),
                        Duration::ZERO,
                    );
                })
            }
            OwnerScript::Leaves => {
                self.send_later(owner, to, conversation, &Bye { reason: ByeReason::Leaving }, Duration::ZERO);
            }
            OwnerScript::TalksNonsense | OwnerScript::IsFull => {}
            OwnerScript::IgnoresProbes | OwnerScript::DropsLongChunks => {
                unreachable!("the node behind it answers")
            }
            OwnerScript::Drips(every) => self.drip(owner, to, conversation, request, content, every),
            OwnerScript::Lies(lie) => self.lie(owner, to, conversation, request, (lie, content)),
        }
    }

    /// Sends right segments, one each time that `every` has passed.
    fn drip(
        &mut self,
        owner: HostId,
        to: SocketAddr,
        conversation: Conversation,
        request: &Request,
        content: &Content,
        every: Duration,
    ) {
        self.send_segments(owner, to, conversation, request, every, |piece, (offset, _)| {
            let (outboard, start) = match content.outboard.layout().span(piece) {
                Some(span) => (false, span.start),
                None => (piece == PieceIndex::OUTBOARD, 0),
            };
            Some(Provenance { content: content.id, outboard, from: start + u64::from(offset) })
        });
    }

    /// Sends the segments that `request` asks for, one each time that `every` has passed. `source` says which bytes are
    /// sent for those of a piece that begin and end at two offsets; those for which there are none are left out.
    pub(super) fn send_segments(
        &mut self,
        owner: HostId,
        to: SocketAddr,
        conversation: Conversation,
        request: &Request,
        every: Duration,
        source: impl Fn(PieceIndex, (u32, u32)) -> Option<Provenance>,
    ) {
        for (number, range) in (request.first_request..).zip(request.ranges.iter()) {
            let (piece, size) = (range.piece(), u32::from(request.segment_size));
            let count = range.segments(request.segment_size);
            for index in 0..count {
                let offset = range.offset() + index * size;
                let length = size.min(range.end() - offset);
                let Some(source) = source(piece, (offset, offset + length)) else { continue };
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
                let drips_at = &mut self.hosts[owner.0].drips_at;
                *drips_at = (*drips_at + every).max(self.now);
                let at = *drips_at;
                self.deliver_later(owner, to, Payload::Chunk { header, length, source }, at);
            }
        }
    }

    /// Sends a message after this time.
    fn send_later<B: Body>(
        &mut self,
        owner: HostId,
        to: SocketAddr,
        on: Conversation,
        body: &B,
        later: Duration,
    ) {
        let mut bytes = Vec::new();
        messages::encode(on, body, &mut bytes);
        self.deliver_later(owner, to, Payload::Control(bytes), self.now + later);
    }

    /// Lets a packet arrive as if it left at `at` over empty links.
    fn deliver_later(&mut self, owner: HostId, to: SocketAddr, payload: Payload, at: messages::Timestamp) {
        if let Some(&to) = self.network.by_address.get(&to) {
            let link = self.hosts[owner.0].link.spec;
            let other = self.hosts.get(to.0).map_or(link.delay, |host| host.link.spec.delay);
            let from = self.hosts[owner.0].address;
            self.schedule(at + link.delay + other, SimEvent::AtDownlink { to, from, payload });
        }
    }
}
