//! What the tracker gives to the outside: datagrams and events in scratch that the caller owns, and when to come back.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use messages::{Conversation, Timestamp, TrackerToNode};

use crate::event::Event;

/// Scratch for [`crate::Tracker::poll`]: the caller owns it, clears it and uses it again.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The bytes of all datagrams, one behind the other.
    pub bytes: Vec<u8>,
    /// The datagrams to send, in order.
    pub datagrams: Vec<Outgoing>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// One datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The address to which it goes.
    pub to: SocketAddr,
    /// The local address from which it goes: the one at which `to` reached the tracker, if that is known.
    pub from: Option<IpAddr>,
    /// Which part of [`Output::bytes`] it is.
    pub range: Range<usize>,
}

impl Output {
    /// Clears the scratch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.events.clear();
    }

    /// The datagrams with their bytes, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = (&Outgoing, &[u8])> {
        self.datagrams
            .iter()
            .map(|outgoing| (outgoing, self.bytes.get(outgoing.range.clone()).unwrap_or_default()))
    }

    /// Appends the datagram of `message`.
    pub(crate) fn send(
        &mut self,
        to: SocketAddr,
        from: Option<IpAddr>,
        conversation: Conversation,
        message: &TrackerToNode,
    ) {
        let start = self.bytes.len();
        message.encode(conversation, &mut self.bytes);
        self.datagrams.push(Outgoing { to, from, range: start..self.bytes.len() });
    }

    /// Appends a datagram that is sealed, or belongs to a handshake.
    pub(crate) fn send_bytes(&mut self, to: SocketAddr, from: Option<IpAddr>, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.datagrams.push(Outgoing { to, from, range: start..self.bytes.len() });
    }

    /// Moves everything to the end of `out`.
    pub(crate) fn drain_into(&mut self, out: &mut Output) {
        let shift = out.bytes.len();
        out.bytes.extend_from_slice(&self.bytes);
        out.datagrams.extend(self.datagrams.drain(..).map(|mut outgoing| {
            outgoing.range = outgoing.range.start + shift..outgoing.range.end + shift;
            outgoing
        }));
        out.events.append(&mut self.events);
        self.clear();
    }
}

/// The instant until which there is nothing to do, and what has to be done then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The caller comes back at this instant, or with a datagram before it.
    pub until: Timestamp,
    /// What happens then.
    pub reason: WaitReason,
}

/// Why the tracker wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// No node is registered: only a datagram makes work.
    Nothing,
    /// A node's lease ends unless it registers again.
    LeaseEnds,
    /// Departed nodes, or what they had, are not out of the tables yet: there is more to do at once.
    Removing,
    /// A node whose id somebody else claims is asked once more whether it still answers.
    PingAgain,
}
