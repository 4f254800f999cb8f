//! One datagram of every kind and variant, beside the bytes that each of its fields must be, written out by hand.

mod codes;
mod nodes;
mod tracker;

use messages::node_to_tracker::Asker;
use messages::{ContentId, Conversation, Cookie, Kind, NodeId};

use crate::Said;

/// The conversation of every sample.
pub(crate) const CONVERSATION: Conversation = Conversation(0xc4c3_c2c1);

/// One datagram of which every byte is accounted for.
pub(crate) struct Sample {
    /// As the specification heads its table: the kind in capitals, and behind a colon which variant of it.
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) said: Said,
    /// Name and bytes of each field, in order, from the header on. Fields of list items are called `list[i].field`.
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
}

impl Sample {
    fn new(
        title: &'static str,
        kind: Kind,
        said: impl Into<Said>,
        body: impl IntoIterator<Item = (&'static str, Vec<u8>)>,
    ) -> Sample {
        let header = vec![b'r', b'f', 2, kind as u8, 0xc1, 0xc2, 0xc3, 0xc4];
        let fields = [("header", header)].into_iter().chain(body).collect();
        Sample { title, kind, said: said.into(), fields }
    }

    /// The bytes that its fields make.
    pub(crate) fn expected(&self) -> Vec<u8> {
        self.fields.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    /// Where `field` begins.
    pub(crate) fn offset_of(&self, field: &str) -> usize {
        let before = self.fields.iter().take_while(|(name, _)| *name != field);
        let offset = before.map(|(_, bytes)| bytes.len()).sum();
        assert!(offset < self.expected().len(), "{} has no field {field}", self.title);
        offset
    }
}

/// The sample with that title.
pub(crate) fn titled(title: &str) -> Sample {
    all().into_iter().find(|sample| sample.title == title).expect("a sample of that title")
}

/// One of every kind and variant.
pub(crate) fn all() -> Vec<Sample> {
    let mut samples = tracker::to_tracker();
    samples.extend(tracker::from_tracker());
    samples.extend(nodes::sessions());
    samples.extend(nodes::requests());
    samples.extend(codes::all());
    samples
}

/// An asker for messages that are built in tests.
pub(crate) fn asker() -> Asker {
    Asker { node: NodeId::from_bytes([0x11; 16]), cookie: cookie() }
}

fn cookie() -> Cookie {
    Cookie::from_bytes([0x22; 16])
}

/// A content for messages that are built in tests.
pub(crate) fn content() -> ContentId {
    ContentId::from_bytes([0xcc; 32])
}
