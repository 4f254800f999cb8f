//! The wire, from outside: round trips, golden and hostile bytes, bounds, and the properties of the values.

mod bounds;
mod golden;
mod hostile;
mod names;
mod pieces;
mod round_trip;
mod samples;
mod specification;
mod strategies;
mod values;

use messages::{ChunkHeader, CodeMessage, Conversation, Datagram, NodeToNode, NodeToTracker, TrackerToNode};
use proptest::test_runner::{Config, RngSeed};

/// Properties are tried on the same values every time, unless `PROPTEST_RNG_SEED` asks for others.
pub(crate) fn tries(cases: u32) -> Config {
    let default = Config::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        asked => asked,
    };
    Config { cases: cases.max(default.cases), rng_seed, failure_persistence: None, ..default }
}

/// A datagram's message, whoever says it to whom, so that tests can hold any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    ToTracker(NodeToTracker),
    FromTracker(TrackerToNode),
    Peer(NodeToNode),
    Code(CodeMessage),
    Chunk(ChunkHeader, Vec<u8>),
}

impl Said {
    /// Its datagram.
    pub(crate) fn encode(&self, conversation: Conversation) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Said::ToTracker(message) => message.encode(conversation, &mut out),
            Said::FromTracker(message) => message.encode(conversation, &mut out),
            Said::Peer(message) => message.encode(conversation, &mut out),
            Said::Code(message) => message.encode(conversation, &mut out),
            Said::Chunk(header, payload) => {
                out.extend_from_slice(&ChunkHeader { conversation, ..*header }.encode());
                out.extend_from_slice(payload);
            }
        }
        out
    }

    /// What `datagram` says, and in which conversation.
    pub(crate) fn of(datagram: Datagram<'_>) -> (Conversation, Said) {
        match datagram {
            Datagram::ToTracker(conversation, message) => (conversation, Said::ToTracker(message)),
            Datagram::FromTracker(conversation, message) => (conversation, Said::FromTracker(message)),
            Datagram::Peer(conversation, message) => (conversation, Said::Peer(message)),
            Datagram::Code(conversation, message) => (conversation, Said::Code(message)),
            Datagram::Chunk(header, payload) => (header.conversation, Said::Chunk(header, payload.to_vec())),
        }
    }
}

impl From<NodeToTracker> for Said {
    fn from(message: NodeToTracker) -> Said {
        Said::ToTracker(message)
    }
}

impl From<TrackerToNode> for Said {
    fn from(message: TrackerToNode) -> Said {
        Said::FromTracker(message)
    }
}

impl From<NodeToNode> for Said {
    fn from(message: NodeToNode) -> Said {
        Said::Peer(message)
    }
}

impl From<CodeMessage> for Said {
    fn from(message: CodeMessage) -> Said {
        Said::Code(message)
    }
}
