//! Any bytes give a message or a `DecodeError`, and what they give is said by these bytes alone.

use messages::limits::{MAX_CONTENT, MAX_OUTBOARD, MAX_PIECE_SIZE, MAX_PIECES};
use messages::{Datagram, DecodeError, HEADER_LENGTH, Kind};
use proptest::prelude::*;

use crate::Said;
use crate::samples::{self, Sample};
use crate::strategies::said;

/// Decodes `bytes`: a refusal, or a message whose datagram is these very bytes.
fn decodes(bytes: &[u8]) -> bool {
    match Datagram::decode(bytes) {
        Ok(datagram) => {
            let (conversation, said) = Said::of(datagram);
            assert_eq!(said.encode(conversation), bytes, "{said:?} is said in two ways");
            true
        }
        Err(_) => false,
    }
}

#[test]
fn cut_short_anywhere_it_is_refused() {
    for sample in samples::all() {
        let datagram = sample.expected();
        for length in 0..datagram.len() {
            // A CHUNK's payload is the rest of the datagram: it may be shorter, but not missing.
            let still_a_chunk = sample.kind == Kind::Chunk && length > 32;
            assert_eq!(decodes(&datagram[..length]), still_a_chunk, "{} cut to {length}", sample.title);
        }
    }
}

#[test]
fn extended_it_is_refused() {
    for sample in samples::all().into_iter().filter(|sample| sample.kind != Kind::Chunk) {
        for (extra, fill) in [(1, 0u8), (1, 1), (8, 0xff), (700, 0), (2000, 0), (64_000, 7)] {
            let mut datagram = sample.expected();
            datagram.resize(datagram.len() + extra, fill);
            assert!(!decodes(&datagram), "{} and {extra} times {fill}", sample.title);
        }
    }
}

#[test]
fn with_any_bit_flipped_it_is_refused_or_another_message() {
    for sample in samples::all() {
        let mut datagram = sample.expected();
        for bit in 0..8 * datagram.len() {
            datagram[bit / 8] ^= 1 << (bit % 8);
            if decodes(&datagram) {
                let heard = Datagram::decode(&datagram).map(Said::of);
                assert_ne!(heard, Ok((samples::CONVERSATION, sample.said.clone())), "bit {bit} says nothing");
            }
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_wrong_header_is_named() {
    let ping = samples::titled("PING").expected();
    let with = |at: usize, byte: u8| {
        let mut datagram = ping.clone();
        datagram[at] = byte;
        Datagram::decode(&datagram).map(Said::of)
    };
    assert_eq!(Datagram::decode(&ping[..7]), Err(DecodeError::Short { length: 7 }));
    assert_eq!(with(0, b'R'), Err(DecodeError::Magic));
    assert_eq!(with(1, b'F'), Err(DecodeError::Magic));
    // What was never released is not spoken either.
    assert_eq!(with(2, 1), Err(DecodeError::Version { found: 1 }));
    for found in (0..=u8::MAX).filter(|byte| Kind::ALL.iter().all(|kind| *kind as u8 != *byte)) {
        assert_eq!(with(3, found), Err(DecodeError::Kind { found }));
    }
}

#[test]
fn padding_is_zeros_of_exactly_one_length() {
    for title in ["HELLO", "PROBED", "PING"] {
        let sample = samples::titled(title);
        let datagram = sample.expected();
        let first_zero = sample.offset_of("zeros");
        for at in [first_zero, first_zero + 500, datagram.len() - 1] {
            let mut marked = datagram.clone();
            marked[at] = 1;
            let extra = datagram.len() - first_zero;
            let refusal = Err(DecodeError::Trailing { kind: sample.kind, extra });
            assert_eq!(Datagram::decode(&marked), refusal, "{title} with a mark at {at}");
        }
        let longer = [&datagram[..], &[0]].concat();
        assert!(!decodes(&datagram[..datagram.len() - 1]) && !decodes(&longer), "{title} of another length");
    }
}

/// A field of a sample, bytes that it may just have, and bytes that it must not have.
struct Edge(&'static str, &'static str, Vec<u8>, Vec<u8>);

fn edges() -> Vec<Edge> {
    let word = |value: u32| value.to_le_bytes().to_vec();
    let half = |value: u16| value.to_le_bytes().to_vec();
    let long = |value: u64| value.to_le_bytes().to_vec();
    let beyond = MAX_CONTENT + 1;
    vec![
        Edge("OWN", "entries[0].permille", half(1000), half(1001)),
        Edge("OWN", "entries[0].permille", half(0), half(u16::MAX)),
        Edge("OWN", "entries[0].withdrawn", vec![0], vec![2]),
        Edge("OWN", "entries[0].length", long(MAX_CONTENT), long(beyond)),
        Edge("NEED: Content", "query", word(0), word(3)),
        Edge("NEED: Content", "query", word(0), word(u32::MAX)),
        Edge("NEED: Search", "after", vec![1], vec![2]),
        Edge("REGISTERED", "resync", vec![0], vec![0xff]),
        Edge("OWNERS: Unknown", "answer", word(0), word(3)),
        Edge("OWNERS: Content", "length", long(MAX_CONTENT), long(beyond)),
        Edge("OWNERS: Content", "chosen[0].permille", half(1000), half(1001)),
        Edge("OWNERS: Contents", "contents[0].length", long(MAX_CONTENT), long(u64::MAX)),
        Edge("OWNERS: Contents", "more", vec![1], vec![2]),
        Edge("REFUSED", "code", word(4), word(5)),
        Edge("WELCOME", "length", long(MAX_CONTENT), long(beyond)),
        Edge("WELCOME", "max_datagram", half(1200), half(1199)),
        Edge("WELCOME", "max_datagram", half(65_507), half(65_508)),
        Edge("HAVE", "runs[0].count", word(MAX_PIECES - 5), word(MAX_PIECES - 4)),
        Edge("HAVE", "runs[0].count", word(1), word(0)),
        Edge("HAVE", "runs[0].first", word(MAX_PIECES - 3), word(u32::MAX)),
        // 32 KiB are 64 segments of 512 bytes.
        Edge("REQUEST", "segment_size", half(512), half(511)),
        Edge("REQUEST", "segment_size", half(65_475), half(65_476)),
        Edge("REQUEST", "segment_size", half(1168), half(0)),
        Edge("REQUEST", "ranges[0].piece", word(MAX_PIECES - 1), word(MAX_PIECES)),
        Edge("REQUEST", "ranges[0].piece", word(u32::MAX), word(u32::MAX - 1)),
        Edge("REQUEST", "ranges[0].offset", word(MAX_PIECE_SIZE - 32_768), word(MAX_PIECE_SIZE - 32_767)),
        Edge("REQUEST", "ranges[0].offset", word(0), word(u32::MAX)),
        Edge("REQUEST", "ranges[0].length", word(1), word(0)),
        // 55 segments of 1168 bytes at most, with 55 headers of 32 bytes.
        Edge("REQUEST", "ranges[0].length", word(63_747), word(63_748)),
        Edge("REQUEST", "ranges[0].length", word(1168), word(u32::MAX)),
        Edge("CONTROL", "operation", word(0), word(6)),
        Edge("PROBE", "sizes", half(1200), half(1199)),
        Edge("PROBE", "sizes", half(65_507), half(65_508)),
        Edge("PING", "nonce", long(1), long(0)),
        Edge("BYE", "reason", word(0), word(4)),
        Edge("OFFER", "number", half(1), half(0)),
        Edge("CALL: Begin", "number", half(9999), half(10_000)),
        Edge("CALL: Begin", "step", word(1), word(2)),
        Edge("ANSWER: Wrong", "step", word(3), word(4)),
        Edge("UNCALLED", "reason", word(0), word(5)),
        Edge("CHUNK", "index", vec![28], vec![29]),
        Edge("CHUNK", "count", vec![64], vec![65]),
        Edge("CHUNK", "count", vec![2], vec![1]),
        Edge("CHUNK", "count", vec![2], vec![0]),
    ]
}

#[test]
fn values_at_their_limit_are_taken_and_beyond_it_refused() {
    for Edge(title, field, within, beyond) in edges() {
        let sample = samples::titled(title);
        let kind = sample.kind;
        assert!(decodes(&patched(&sample, field, &within)), "{title}.{field} = {within:?}");
        let refusal = Datagram::decode(&patched(&sample, field, &beyond)).map(Said::of);
        // Where the first wrong value is an enum's tag, what follows may be what is wrong: any refusal will do.
        assert_eq!(refusal, Err(DecodeError::Body { kind }), "{title}.{field} = {beyond:?}");
    }
}

#[test]
fn a_range_of_the_outboard_ends_with_the_longest_outboard() {
    let mut request = samples::titled("REQUEST");
    let at = request.fields.iter().position(|(name, _)| *name == "ranges[0].piece").expect("a piece");
    request.fields[at].1 = vec![0xff; 4];
    let last = MAX_OUTBOARD - 32_768;
    assert!(decodes(&patched(&request, "ranges[0].offset", &last.to_le_bytes())));
    assert!(!decodes(&patched(&request, "ranges[0].offset", &(last + 1).to_le_bytes())));
}

#[test]
fn counts_over_their_limit_are_refused_whatever_follows() {
    let limits = [
        ("ANSWER: Gift", 1120),
        ("OWN", 16),
        ("UPDATE", 32),
        ("OWNERS: Content", 20),
        ("OWNERS: Contents", 16),
        ("BITFIELD", 1168),
        ("HAVE", 128),
        ("REQUEST", 16),
        ("PROBE", 16),
    ];
    for (title, limit) in limits {
        let sample = samples::titled(title);
        let items = item_bytes(&sample);
        for count in [0, 3, limit, limit + 1, 0x100, 0x7fff, u16::MAX] {
            let alone = patched(&sample, "count", &count.to_le_bytes());
            assert!(!decodes(&alone), "{title} with less and a count of {count}");
        }
        // As many items as the count says: only the limit, or the datagram's, stands in the way.
        for count in [limit - 1, limit, limit + 1] {
            let datagram = with_items(&sample, &items, count);
            let fits = count <= limit && datagram.len() <= 1200;
            assert_eq!(decodes(&datagram), fits, "{title} with {count} items");
        }
    }
}

#[test]
fn lists_within_their_count_are_refused_beyond_a_control_datagram() {
    for (title, name) in [("OWN", "entries[0].name"), ("OWNERS: Contents", "contents[0].name")] {
        let mut sample = samples::titled(title);
        let (_, bytes) = sample.fields.iter_mut().find(|(field, _)| *field == name).expect("a name");
        *bytes = [&[255], &[b'n'; 255][..]].concat();
        let item = item_bytes(&sample);
        assert!(decodes(&with_items(&sample, &item, 3)), "{title} of three long names");
        let four = with_items(&sample, &item, 4);
        assert!(four.len() > 1200 && !decodes(&four), "{title} of four long names");
    }
}

/// The bytes of the one item of a sample's list.
fn item_bytes(sample: &Sample) -> Vec<u8> {
    let item = sample.fields.iter().filter(|(name, _)| name.contains("[0]"));
    match sample.title {
        "BITFIELD" => vec![0b101],
        "PROBE" => vec![0xc0, 0x05],
        _ => item.flat_map(|(_, bytes)| bytes.clone()).collect(),
    }
}

/// The sample with `count` times its item.
fn with_items(sample: &Sample, item: &[u8], count: u16) -> Vec<u8> {
    let at = sample.offset_of("count");
    let tail: &[u8] = if sample.title == "OWNERS: Contents" { &[0] } else { &[] };
    let mut datagram = sample.expected()[..at].to_vec();
    datagram.extend_from_slice(&count.to_le_bytes());
    datagram.extend(item.iter().cycle().take(item.len() * usize::from(count)));
    datagram.extend_from_slice(tail);
    datagram
}

/// The sample with other bytes in `field`, which keeps its place.
fn patched(sample: &Sample, field: &str, bytes: &[u8]) -> Vec<u8> {
    let mut datagram = sample.expected();
    let at = sample.offset_of(field);
    datagram[at..at + bytes.len()].copy_from_slice(bytes);
    datagram
}

proptest! {
    #![proptest_config(crate::tries(4000))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..1400)) {
        decodes(&bytes);
    }

    #[test]
    fn any_body_behind_a_right_header(
        kind in proptest::sample::select(Kind::ALL),
        body in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0..4u8, 1 => any::<u8>()], 0..1300),
    ) {
        let header = [b'r', b'f', 2, kind as u8, 1, 2, 3, 4];
        decodes(&[&header[..], &body[..]].concat());
    }

    #[test]
    fn any_message_with_any_damage(
        said in said(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut datagram = said.encode(samples::CONVERSATION);
        for (at, byte) in damage {
            let at = HEADER_LENGTH + at.index(datagram.len().max(HEADER_LENGTH + 1) - HEADER_LENGTH);
            if let Some(spot) = datagram.get_mut(at) {
                *spot = byte;
            }
        }
        if is_cut {
            datagram.truncate(cut.index(datagram.len()));
        }
        decodes(&datagram);
    }
}
