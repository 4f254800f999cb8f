//! Any bytes as a datagram, by every decoder of the wire.

use messages::limits::{MAX_BURST_SEGMENTS, MAX_CONTENT, MAX_PERMILLE, MAX_PIECES, MAX_SEGMENT};
use messages::node_to_tracker::Query;
use messages::tracker_to_node::Owners;
use messages::{
    Datagram, Digits, HEADER_LENGTH, Kind, MAGIC, Name, NodeToNode, NodeToTracker, TrackerToNode, VERSION,
};

use crate::heap;

/// What decoding one datagram may ask of the heap, in bytes: what a full message holds, and twice that while its lists
/// grow.
const MAX_ASKED: usize = 8 << 10;

/// A refusal, or a message that is said by these bytes alone and obeys its limits.
pub(crate) fn hold(bytes: &[u8]) {
    decode(bytes);
    if bytes.len() < HEADER_LENGTH {
        return;
    }
    // Whatever the header says: every decoder sees every body.
    let mut datagram = bytes.to_vec();
    datagram[..2].copy_from_slice(&MAGIC);
    datagram[2] = VERSION;
    for kind in Kind::ALL {
        datagram[3] = *kind as u8;
        decode(&datagram);
    }
}

fn decode(bytes: &[u8]) {
    let before = heap::asked_for();
    let decoded = Datagram::decode(bytes);
    let asked = heap::asked_for() - before;
    assert!(asked <= MAX_ASKED, "{asked} bytes of heap for a datagram of {}", bytes.len());
    let mut again = Vec::new();
    match decoded {
        Err(_) => return,
        Ok(Datagram::Chunk(header, payload)) => {
            assert!(header.index < header.count && usize::from(header.count) <= MAX_BURST_SEGMENTS);
            assert!(!payload.is_empty() && payload.len() <= usize::from(MAX_SEGMENT));
            again.extend_from_slice(&header.encode());
            again.extend_from_slice(payload);
        }
        Ok(Datagram::ToTracker(conversation, message)) => {
            obeys_to_tracker(&message);
            message.encode(conversation, &mut again);
        }
        Ok(Datagram::FromTracker(conversation, message)) => {
            obeys_from_tracker(&message);
            message.encode(conversation, &mut again);
        }
        Ok(Datagram::Peer(conversation, message)) => {
            obeys_peer(&message);
            message.encode(conversation, &mut again);
        }
        Ok(Datagram::Code(conversation, message)) => message.encode(conversation, &mut again),
    }
    assert_eq!(again, bytes, "a message is said in two ways");
}

fn obeys_name(name: &Name) {
    assert_eq!(Name::new(name.as_str()).as_ref(), Ok(name));
}

fn obeys_to_tracker(message: &NodeToTracker) {
    match message {
        NodeToTracker::Own(own) => own.entries.iter().for_each(|entry| {
            obeys_name(&entry.name);
            assert!(entry.length <= MAX_CONTENT && entry.permille.value() <= MAX_PERMILLE);
        }),
        NodeToTracker::Need(need) => match &need.query {
            Query::Name(name) | Query::Newest(name) | Query::NameFrom { name, .. } => obeys_name(name),
            Query::Digits(digits) => assert_eq!(Digits::new(digits.as_str()).as_ref(), Ok(digits)),
            Query::Search { after: Some(after), .. } => obeys_name(&after.name),
            Query::Content(_) | Query::Search { after: None, .. } => {}
        },
        NodeToTracker::Register(_)
        | NodeToTracker::Update(_)
        | NodeToTracker::Exit(_)
        | NodeToTracker::TrackerPong(_) => {}
    }
}

fn obeys_from_tracker(message: &TrackerToNode) {
    let TrackerToNode::Owners(owners) = message else { return };
    match owners {
        Owners::Unknown { .. } => {}
        Owners::Content(found) => {
            obeys_name(&found.content.name);
            assert!(found.content.length <= MAX_CONTENT);
            assert!(found.owners.iter().all(|owner| owner.permille.value() <= MAX_PERMILLE));
        }
        Owners::Contents(listing) => listing.contents.iter().for_each(|listed| {
            obeys_name(&listed.name);
            assert!(listed.length <= MAX_CONTENT);
        }),
    }
}

fn obeys_peer(message: &NodeToNode) {
    match message {
        NodeToNode::Bitfield(bitfield) => assert!(bitfield.bits.pieces().all(|piece| piece.0 < MAX_PIECES)),
        NodeToNode::Have(have) => {
            let within = |run: &messages::PieceRun| run.start() < run.end() && run.end().0 <= MAX_PIECES;
            assert!(have.runs.iter().all(within));
        }
        NodeToNode::Request(request) => {
            assert!(request.ranges.iter().all(|range| range.fits_burst(request.segment_size)));
            assert!(request.ranges.iter().all(|range| range.length() > 0 && range.end() > range.offset()));
        }
        NodeToNode::Welcome(welcome) => assert!(welcome.length <= MAX_CONTENT),
        _ => {}
    }
}
