//! What fits a datagram: full messages, the sizes that their builders count with, and no answer larger than its
//! question.

use messages::codes::{Answer, AnswerStep};
use messages::limits::{
    BASE_DATAGRAM, CONTROL_DATAGRAM, MAX_BURST, MAX_BURST_SEGMENTS, MAX_CREDITS, MAX_DATAGRAM, MAX_LISTED,
    MAX_NAME, MAX_OWN_ENTRIES, MAX_OWNERS, MAX_RANGES, MAX_SEALED_GIFT, MAX_SEGMENT, MIN_DIGITS,
};
use messages::node_to_node::{Bitfield, ByteRange, Have, Ping, Request};
use messages::node_to_tracker::{Credit, Need, Own, OwnEntry, Permille, Query, Update};
use messages::tracker_to_node::{ContentOwners, Listed, Listing, Owner, Owners};
use messages::{
    Bits, Body, CHUNK_HEADER, ContentId, Conversation, Cursor, Datagram, Digits, Endpoint, ExchangeId,
    HEADER_LENGTH, List, Name, NodeId, PageEnd, PieceIndex, PieceRun, Prefix,
};
use proptest::prelude::*;

use crate::samples::{self, asker, content};
use crate::strategies::{name, own_entry};

/// The length of the message's datagram, which must decode.
fn length(body: &impl Body) -> usize {
    let mut datagram = Vec::new();
    messages::encode(Conversation(1), body, &mut datagram);
    assert!(Datagram::decode(&datagram).is_ok(), "{} bytes do not decode", datagram.len());
    datagram.len()
}

fn name_of(bytes: usize) -> Name {
    Name::new(&"n".repeat(bytes)).expect("a name")
}

fn entry(name_bytes: usize) -> OwnEntry {
    let name = name_of(name_bytes);
    OwnEntry { content: content(), length: 1, permille: Permille::COMPLETE, withdrawn: false, name }
}

fn listed(name_bytes: usize) -> Listed {
    Listed {
        content: content(),
        length: 1,
        complete: 1,
        partial: 1,
        hosts: 1,
        age_s: 1,
        name: name_of(name_bytes),
    }
}

const END: PageEnd = PageEnd { tier: 3, number: 4 };

/// How many items of `item` bytes fit behind `fixed`.
fn room(fixed: usize, item: usize) -> usize {
    (CONTROL_DATAGRAM - fixed) / item
}

#[test]
fn own_is_filled_by_the_sizes_that_it_states() {
    let longest = entry(MAX_NAME).wire_length();
    let own = |entries: Vec<OwnEntry>| Own { asker: asker(), entries: List::first_of(entries) };
    let three = vec![entry(MAX_NAME); room(Own::WIRE_FIXED, longest)];
    assert_eq!((three.len(), length(&own(three))), (3, Own::WIRE_FIXED + 3 * longest));
    let name_bytes = room(Own::WIRE_FIXED, MAX_OWN_ENTRIES) - OwnEntry::WIRE_FIXED;
    assert_eq!(length(&own(vec![entry(name_bytes); MAX_OWN_ENTRIES])), 1194);
    // One byte more for each would be too much: the count alone does not make an OWN fit.
    assert!(Own::WIRE_FIXED + MAX_OWN_ENTRIES * entry(name_bytes + 1).wire_length() > CONTROL_DATAGRAM);
}

#[test]
fn a_page_of_owners_is_filled_by_the_sizes_that_it_states() {
    let page = |contents: Vec<Listed>| {
        Owners::Contents(Listing { contents: List::first_of(contents), more: Some(END) })
    };
    let longest = listed(MAX_NAME).wire_length();
    let full = vec![listed(MAX_NAME); room(Listing::WIRE_FIXED, longest)];
    assert_eq!((full.len(), length(&page(full))), (3, Listing::WIRE_FIXED + 3 * longest));
    let name_bytes = room(Listing::WIRE_FIXED, MAX_LISTED) - listed(1).wire_length() + 1;
    let full = vec![listed(name_bytes); MAX_LISTED];
    assert_eq!(length(&page(full)), Listing::WIRE_FIXED + MAX_LISTED * listed(name_bytes).wire_length());
}

#[test]
fn full_messages_are_control_datagrams() {
    let endpoint = Endpoint::new(([192, 0, 2, 1], 1).into());
    let owner = Owner { node: NodeId::from_bytes([1; 16]), endpoint, permille: Permille::COMPLETE };
    let owners = List::first_of([owner; MAX_OWNERS]);
    let owners = Owners::Content(ContentOwners { content: listed(MAX_NAME), owners });
    let credits = List::first_of([Credit { owner: NodeId::from_bytes([1; 16]), bytes: 1 }; MAX_CREDITS]);
    let update = Update { asker: asker(), sequence: 1, content: content(), credits };
    let prefix = Prefix::new(name_of(MAX_NAME).as_str()).expect("a prefix");
    let cursor = Cursor { tier: 1, name: name_of(MAX_NAME), hosts: 1, number: 1 };
    let query = Query::Search { prefix, after: Some(cursor) };
    let range = ByteRange::new(PieceIndex(1), 0, MAX_BURST).expect("a range");
    let request = Request {
        first_request: 1,
        highest_sequence: 1,
        ping_echo: 1,
        segment_size: MAX_SEGMENT,
        ranges: List::first_of([range; MAX_RANGES]),
    };
    let have = Have { runs: List::first_of((0..1000).filter_map(|i| PieceRun::new(PieceIndex(2 * i), 1))) };
    let bitfield = Bitfield { bits: Bits::of(PieceIndex(0), u32::MAX, |_| true) };
    let gift = AnswerStep::Gift { proof: [1; 32], sealed: List::first_of([1; MAX_SEALED_GIFT]) };
    let lengths = [
        ("OWNERS", length(&owners)),
        ("UPDATE", length(&update)),
        ("NEED", length(&Need { asker: asker(), query })),
        ("REQUEST", length(&request)),
        ("HAVE", length(&have)),
        ("BITFIELD", length(&bitfield)),
        ("ANSWER", length(&Answer { exchange: ExchangeId::from_bytes([1; 16]), step: gift })),
    ];
    assert!(lengths.iter().all(|(_, length)| *length <= CONTROL_DATAGRAM), "{lengths:?}");
    // As the specification states them.
    let expected = [
        ("OWNERS", 1046),
        ("UPDATE", 846),
        ("NEED", 570),
        ("REQUEST", 220),
        ("HAVE", 1034),
        ("BITFIELD", 1182),
        ("ANSWER", 1182),
    ];
    assert_eq!(lengths, expected);
}

#[test]
fn no_answer_is_longer_than_what_it_may_answer_unproven() {
    let length_of = |title: &str| samples::titled(title).expected().len();
    let empty_own = length(&Own { asker: asker(), entries: List::new() });
    assert_eq!(empty_own, Own::WIRE_FIXED);
    let shortest_need = length(&Need { asker: asker(), query: Query::Name(name_of(1)) });
    let shortest_digits = Digits::new(&"d".repeat(MIN_DIGITS)).expect("digits");
    let shortest_digits = length(&Need { asker: asker(), query: Query::Digits(shortest_digits) });
    assert_eq!(shortest_digits, 53);
    let start = length_of("NEED: Search from the start");
    let empty_update = length(&Update {
        asker: asker(),
        sequence: 1,
        content: ContentId::from_bytes([0; 32]),
        credits: List::new(),
    });
    for request in [
        empty_own,
        shortest_need,
        shortest_digits,
        start,
        empty_update,
        length_of("REGISTER"),
        length_of("EXIT"),
    ] {
        assert!(length_of("REFUSED") <= request);
    }
    assert!(length_of("RETRY") <= length_of("HELLO") && length_of("WELCOME") <= length_of("HELLO"));
    assert!(length_of("REGISTERED") <= length_of("REGISTER"));
    assert!(
        length_of("PONG") <= usize::from(Ping::MIN_SIZE) && length(&Ping::new(1)) == Ping::MIN_SIZE.into()
    );
    let empty_request = length(&Request {
        first_request: 0,
        highest_sequence: 0,
        ping_echo: 0,
        segment_size: 1,
        ranges: List::new(),
    });
    assert!(length_of("CONTROL") <= empty_request, "GONE for a session that is not there");
}

#[test]
fn a_range_that_fits_a_burst_is_one_send() {
    for segment_size in [1, 19, 1000, 1168, 1440, 8940, 32_000, 65_474, MAX_SEGMENT] {
        let longest = (1..=MAX_BURST).rev().find_map(|length| {
            ByteRange::new(PieceIndex(0), 0, length).filter(|range| range.fits_burst(segment_size))
        });
        let longest = longest.expect("one byte is a burst");
        let segments = longest.segments(segment_size) as usize;
        let sent = longest.length() as usize + segments * CHUNK_HEADER;
        assert!(segments <= MAX_BURST_SEGMENTS && sent <= MAX_DATAGRAM, "{segments} segments, {sent} bytes");
        // What is left of either bound is less than one more segment.
        let is_full =
            segments == MAX_BURST_SEGMENTS || sent + CHUNK_HEADER + usize::from(segment_size) > MAX_DATAGRAM;
        assert!(is_full, "{longest:?} could be longer");
    }
    assert_eq!(HEADER_LENGTH + 24, CHUNK_HEADER);
    assert_eq!(usize::from(MAX_SEGMENT) + CHUNK_HEADER, MAX_DATAGRAM);
    const { assert!(BASE_DATAGRAM == CONTROL_DATAGRAM) };
}

proptest! {
    #![proptest_config(crate::tries(256))]

    #[test]
    fn stated_lengths_are_exact(entry in own_entry(), name in name(), length_bytes in 0..1u64 << 40, more: bool) {
        let (complete, partial, hosts, age_s) = (1, 2, 2, 3);
        let listed = Listed { content: entry.content, length: length_bytes, complete, partial, hosts, age_s, name };
        let listing = Listing { contents: List::first_of([listed.clone()]), more: more.then_some(END) };
        let fixed = Listing::WIRE_FIXED - if more { 0 } else { PageEnd::WIRE_LENGTH };
        prop_assert_eq!(length(&Owners::Contents(listing)), fixed + listed.wire_length());
        let wire_length = entry.wire_length();
        let own = Own { asker: asker(), entries: List::first_of([entry]) };
        prop_assert_eq!(length(&own), Own::WIRE_FIXED + wire_length);
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "Own of 4826 bytes")]
fn an_own_that_was_filled_by_count_alone_is_a_mistake() {
    let own = Own { asker: asker(), entries: List::first_of(vec![entry(MAX_NAME); MAX_OWN_ENTRIES]) };
    messages::encode(Conversation(1), &own, &mut Vec::new());
}
