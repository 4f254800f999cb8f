//! Any datagram of wire version 2, read in one step.

use crate::chunk::ChunkHeader;
use crate::codec::{Body, decode_body};
use crate::codes::{Answer, Call, Offer, Offered, Uncalled, Withdraw};
use crate::error::DecodeError;
use crate::header::{Conversation, Header};
use crate::kind::Kind;
use crate::limits::CONTROL_DATAGRAM;
use crate::node_to_node::{
    Bitfield, Bye, Control, Have, Hello, Hint, Ping, Pong, Probe, Probed, Request, Retry, Welcome,
};
use crate::node_to_tracker::{Exit, Need, Own, Register, TrackerPong, Update};
use crate::tracker_to_node::{Goodbye, Owned, Owners, Refused, Registered, TrackerPing, Updated};

macro_rules! family {
    ($(#[$doc:meta])* $family:ident: $($name:ident)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant is the message of its name")]
        pub enum $family { $($name($name),)* }

        $(impl From<$name> for $family {
            fn from(message: $name) -> $family { $family::$name(message) }
        })*

        impl $family {
            /// Appends the message's datagram to `out`.
            pub fn encode(&self, conversation: Conversation, out: &mut Vec<u8>) {
                match self { $($family::$name(message) => crate::codec::encode(conversation, message, out),)* }
            }

            /// The kind of its datagrams.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $($family::$name(_) => <$name as Body>::KIND,)* }
            }

            fn decode(kind: Kind, datagram: &[u8]) -> Result<Option<$family>, DecodeError> {
                $(if kind == <$name as Body>::KIND {
                    return decode_body::<$name>(datagram).map($family::$name).map(Some);
                })*
                Ok(None)
            }
        }
    };
}

family! {
    /// What a node says to its tracker.
    NodeToTracker: Register Own Need Update Exit TrackerPong
}
family! {
    /// What a tracker says to a node.
    TrackerToNode: Registered Owned Owners Updated Goodbye Refused TrackerPing
}
family! {
    /// What a node says to a node, CHUNK apart.
    NodeToNode: Hello Retry Welcome Bitfield Have Request Control Probe Probed Ping Pong Bye Hint
}

family! {
    /// What is said about codes, by way of a tracker's desk.
    CodeMessage: Offer Offered Withdraw Call Answer Uncalled
}

/// A datagram of wire version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// From a node to its tracker.
    ToTracker(Conversation, NodeToTracker),
    /// From a tracker to a node.
    FromTracker(Conversation, TrackerToNode),
    /// Between nodes.
    Peer(Conversation, NodeToNode),
    /// About a code, to or from a desk.
    Code(Conversation, CodeMessage),
    /// Bytes of a content or an outboard; the conversation is in the header.
    Chunk(ChunkHeader, &'a [u8]),
}

impl<'a> Datagram<'a> {
    /// Reads any bytes.
    ///
    /// # Errors
    /// When they are not a datagram of wire version 2, to the last byte.
    pub fn decode(bytes: &'a [u8]) -> Result<Datagram<'a>, DecodeError> {
        let Header { kind, conversation } = Header::decode(bytes)?;
        if kind == Kind::Chunk {
            let (header, payload) = ChunkHeader::decode(bytes)?;
            return Ok(Datagram::Chunk(header, payload));
        }
        if bytes.len() > CONTROL_DATAGRAM && !matches!(kind, Kind::Probed | Kind::Ping) {
            return Err(DecodeError::Trailing { kind, extra: bytes.len() - CONTROL_DATAGRAM });
        }
        if let Some(message) = NodeToNode::decode(kind, bytes)? {
            return Ok(Datagram::Peer(conversation, message));
        }
        if let Some(message) = TrackerToNode::decode(kind, bytes)? {
            return Ok(Datagram::FromTracker(conversation, message));
        }
        if let Some(message) = CodeMessage::decode(kind, bytes)? {
            return Ok(Datagram::Code(conversation, message));
        }
        match NodeToTracker::decode(kind, bytes)? {
            Some(message) => Ok(Datagram::ToTracker(conversation, message)),
            None => Err(DecodeError::Kind { found: kind as u8 }),
        }
    }
}
