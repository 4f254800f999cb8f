//! What is said is what is understood.

use messages::limits::CONTROL_DATAGRAM;
use messages::{Conversation, Datagram, Header, Kind};
use proptest::prelude::*;

use crate::strategies::said;
use crate::{Said, samples};

proptest! {
    #![proptest_config(crate::tries(1000))]

    #[test]
    fn every_message_comes_back(said in said(), conversation: u32) {
        let conversation = Conversation(conversation);
        let datagram = said.encode(conversation);
        let (heard_in, heard) = Said::of(Datagram::decode(&datagram).expect("a message decodes"));
        let expected = match said {
            Said::Chunk(header, bytes) => Said::Chunk(messages::ChunkHeader { conversation, ..header }, bytes),
            other => other,
        };
        prop_assert_eq!((heard_in, heard), (conversation, expected));
        let kind = Header::decode(&datagram).expect("a header").kind;
        prop_assert!(matches!(kind, Kind::Chunk | Kind::Probed | Kind::Ping) || datagram.len() <= CONTROL_DATAGRAM);
    }

    #[test]
    fn messages_are_appended(before in proptest::collection::vec(any::<u8>(), 0..50)) {
        let mut out = before.clone();
        messages::encode(Conversation(1), &messages::tracker_to_node::Goodbye, &mut out);
        prop_assert_eq!(&out[..before.len()], &before[..]);
        prop_assert_eq!(out.len(), before.len() + 8);
    }
}

#[test]
fn a_message_knows_its_kind() {
    for sample in samples::all() {
        let kind = match &sample.said {
            Said::ToTracker(message) => message.kind(),
            Said::FromTracker(message) => message.kind(),
            Said::Peer(message) => message.kind(),
            Said::Code(message) => message.kind(),
            Said::Chunk(..) => Kind::Chunk,
        };
        assert_eq!(kind, sample.kind, "{}", sample.title);
    }
}
