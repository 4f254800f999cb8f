//! What decoding allocates is bounded by what was sent, never by what a count in it claims.

#[path = "support/heap.rs"]
mod heap;

use messages::{Datagram, Kind};

/// Bytes that decoding `datagram` asks for, all of them together, those given back among them.
fn asked_for_by_decoding(datagram: &[u8]) -> usize {
    let before = heap::asked_for();
    let decoded = Datagram::decode(datagram);
    let asked_for = heap::asked_for() - before;
    drop(decoded);
    asked_for
}

fn datagram(kind: Kind, body: &[u8]) -> Vec<u8> {
    [&[b'r', b'f', 2, kind as u8, 1, 2, 3, 4], body].concat()
}

/// Where each kind with a list has its count, in bytes of body.
const COUNTS: [(Kind, usize); 6] = [
    (Kind::Own, 32),
    (Kind::Update, 68),
    (Kind::Bitfield, 4),
    (Kind::Have, 0),
    (Kind::Request, 18),
    (Kind::Probe, 4),
];

#[test]
fn what_is_allocated_is_counted() {
    assert_eq!(asked_for_by_decoding(&datagram(Kind::Goodbye, &[])), 0);
    let eight_bytes = [&[0u8; 4][..], &[8, 0], &[0xff; 8]].concat();
    assert!(asked_for_by_decoding(&datagram(Kind::Bitfield, &eight_bytes)) >= 8);
}

#[test]
fn a_count_without_items_allocates_next_to_nothing() {
    for (kind, at) in COUNTS {
        for count in [1u16, 16, 20, 128, 1168, 0x7fff, u16::MAX] {
            let mut body = vec![0u8; at];
            body.extend(count.to_le_bytes());
            let hostile = datagram(kind, &body);
            assert!(Datagram::decode(&hostile).is_err(), "{kind:?} with {count} items that are not there");
            let asked_for = asked_for_by_decoding(&hostile);
            assert!(asked_for <= 128, "{kind:?} with a count of {count}: {asked_for} bytes");
        }
    }
    let listed = [&[0; 32 + 8 + 4 * 4][..], &[1, b'n']].concat();
    for (answer, before) in [(1, &listed[..]), (2, &[])] {
        let mut body = [&[answer, 0, 0, 0], before].concat();
        body.extend(u16::MAX.to_le_bytes());
        let asked_for = asked_for_by_decoding(&datagram(Kind::Owners, &body));
        assert!(asked_for <= 128, "OWNERS with a hostile count: {asked_for} bytes");
    }
}

#[test]
fn a_text_without_bytes_allocates_next_to_nothing() {
    // NEED by a name of 255 bytes, of which none comes.
    let body = [&[0u8; 32][..], &[1, 0, 0, 0], &[255]].concat();
    assert!(asked_for_by_decoding(&datagram(Kind::Need, &body)) <= 128);
}

#[test]
fn no_datagram_allocates_more_than_a_few_kilobytes() {
    let fills = [0u8, 1, 2, 3, 16, 0x41, 0x7f, 0xff];
    for kind in Kind::ALL.iter().filter(|kind| !kind.is_of_channel()) {
        for fill in fills {
            for length in [0, 1, 31, 100, 600, 1192, 4000, 65_499] {
                let asked_for = asked_for_by_decoding(&datagram(*kind, &vec![fill; length]));
                assert!(asked_for <= 8 << 10, "{kind:?} of {length} bytes {fill:#x}: {asked_for} bytes");
            }
        }
    }
}

/// A message with `count` items of these bytes behind `before`, and `after` behind them.
fn with_items(kind: Kind, before: &[u8], count: u16, item: &[u8], after: &[u8]) -> Vec<u8> {
    let items = item.repeat(count.into());
    datagram(kind, &[before, &count.to_le_bytes(), &items, after].concat())
}

#[test]
fn full_messages_allocate_little_more_than_they_are() {
    let own_entry = [&[0u8; 43][..], &[28], &[b'n'; 28]].concat();
    let listed = [&[0u8; 56][..], &[16], &[b'n'; 16]].concat();
    let range = [[1, 0, 0, 0], [0; 4], [1, 0, 0, 0]].concat();
    let full = [
        with_items(Kind::Own, &[0; 32], 16, &own_entry, &[]),
        with_items(Kind::Owners, &[2, 0, 0, 0], 16, &listed, &[0]),
        with_items(Kind::Update, &[0; 68], 32, &[0; 24], &[]),
        with_items(Kind::Bitfield, &[0; 4], 1168, &[0xff], &[]),
        with_items(Kind::Have, &[], 128, &[1, 0, 0, 0, 1, 0, 0, 0], &[]),
        with_items(Kind::Request, &[&[0; 16][..], &[0, 4]].concat(), 16, &range, &[]),
    ];
    for message in full {
        assert!(Datagram::decode(&message).is_ok(), "{message:?}");
        let asked_for = asked_for_by_decoding(&message);
        // Vectors grow by doubling: what they ask for on the way is twice what they hold in the end, or less.
        assert!(asked_for <= 8 << 10, "kind {:#04x}: {asked_for} bytes", message[3]);
    }
}
