//! How contents are cut, and the outboards that prove their pieces.

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root};
use messages::limits::{
    COMFORTABLE_PIECES, MAX_CONTENT, MAX_OUTBOARD, MAX_PIECE_SIZE, MAX_PIECES, MIN_PIECE_SIZE,
};
use messages::{
    Bits, ChainingValue, ContentId, Layout, LengthProof, Outboard, OutboardError, PieceIndex, PieceRun,
    piece_value, root,
};
use proptest::collection::vec;
use proptest::prelude::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn layout(length: u64) -> Layout {
    Layout::of(length).expect("a length that a content can have")
}

#[test]
fn piece_sizes_as_the_specification_lists_them() {
    let table = [
        (0, 256 * KIB, 0),
        (1, 256 * KIB, 1),
        (256 * KIB, 256 * KIB, 1),
        (256 * KIB + 1, 256 * KIB, 2),
        (GIB, 256 * KIB, 4096),
        (GIB + 1, 512 * KIB, 2049),
        (2 * GIB, 512 * KIB, 4096),
        (2 * GIB + 1, MIB, 2049),
        (4 * GIB + 1, 2 * MIB, 2049),
        (8 * GIB + 1, 4 * MIB, 2049),
        (16 * GIB, 4 * MIB, 4096),
        (16 * GIB + 1, 8 * MIB, 2049),
        (32 * GIB + 1, 8 * MIB, 4097),
        (MAX_CONTENT, 8 * MIB, 1 << 20),
    ];
    for (length, piece_size, pieces) in table {
        let layout = layout(length);
        assert_eq!(
            (layout.length(), u64::from(layout.piece_size()), layout.pieces()),
            (length, piece_size, pieces)
        );
    }
    assert_eq!(Layout::of(MAX_CONTENT + 1), None);
    assert_eq!(Layout::of(u64::MAX), None);
    assert_eq!(layout(MAX_CONTENT).outboard_length(), MAX_OUTBOARD);
    assert_eq!(MAX_OUTBOARD, 33_555_880);
    assert_eq!(layout(256 * KIB).outboard_length(), 0);
}

/// Lengths of every magnitude, and close to where the piece size changes.
fn length() -> impl Strategy<Value = u64> {
    let magnitude = (0..44u32, any::<u64>()).prop_map(|(bits, any)| (any % (1 << bits)).min(MAX_CONTENT));
    let edge = (18..=43u32, 0..5u64).prop_map(|(bits, off)| ((1 << bits) + off - 2).min(MAX_CONTENT));
    prop_oneof![magnitude, edge]
}

proptest! {
    #![proptest_config(crate::tries(256))]

    #[test]
    fn the_piece_size_is_the_smallest_that_makes_few_enough(length in length()) {
        let layout = layout(length);
        let size = layout.piece_size();
        prop_assert!(size.is_power_of_two() && (MIN_PIECE_SIZE..=MAX_PIECE_SIZE).contains(&size));
        prop_assert!(layout.pieces() <= COMFORTABLE_PIECES || size == MAX_PIECE_SIZE);
        prop_assert!(layout.pieces() <= MAX_PIECES);
        let with_half = length.div_ceil(u64::from(size / 2));
        prop_assert!(size == MIN_PIECE_SIZE || with_half > u64::from(COMFORTABLE_PIECES));
        let values = 8 + 32 * layout.pieces();
        let expected = if layout.pieces() < 2 { 0..=0 } else { values + 1..=values + 13 * 32 + 1024 };
        prop_assert!(expected.contains(&layout.outboard_length()));
    }

    #[test]
    fn pieces_partition_the_content(length in length()) {
        let layout = layout(length);
        let mut end = 0;
        for index in 0..layout.pieces() {
            let span = layout.span(PieceIndex(index)).expect("a piece");
            prop_assert_eq!(span.start, end);
            prop_assert!(span.start < span.end);
            prop_assert_eq!(span.end - span.start, u64::from(layout.piece_length(PieceIndex(index))));
            let is_last = index + 1 == layout.pieces();
            prop_assert!(is_last || layout.piece_length(PieceIndex(index)) == layout.piece_size());
            end = span.end;
        }
        prop_assert_eq!(end, length);
        for beyond in [PieceIndex(layout.pieces()), PieceIndex::OUTBOARD] {
            prop_assert_eq!((layout.span(beyond), layout.piece_length(beyond)), (None, 0));
        }
    }

    #[test]
    fn an_outboard_comes_back(outboard in outboard()) {
        let bytes = outboard.encode();
        prop_assert_eq!(bytes.len(), outboard.layout().outboard_length() as usize);
        prop_assert_eq!(Outboard::decode(&bytes), Ok(outboard.clone()));
        prop_assert_eq!(Outboard::decode_of(outboard.content(), &bytes), Ok(outboard));
    }

    #[test]
    fn a_damaged_outboard_is_no_outboard_of_its_content(outboard in outboard(), bit in any::<prop::sample::Index>()) {
        let mut bytes = outboard.encode();
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Outboard::decode_of(outboard.content(), &bytes).is_err());
        if let Ok(other) = Outboard::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
            prop_assert_ne!(other.content(), outboard.content());
        }
    }

    #[test]
    fn any_bytes_are_an_outboard_or_none(bytes in vec(prop_oneof![Just(0u8), Just(4), any::<u8>()], 0..2000)) {
        if let Ok(outboard) = Outboard::decode(&bytes) {
            prop_assert_eq!(outboard.encode(), bytes);
        }
    }

    #[test]
    fn bits_say_which_pieces(first in 0..MAX_PIECES, has in vec(any::<bool>(), 0..3000)) {
        let bits = Bits::of(PieceIndex(first), has.len() as u32, |piece| has[(piece.0 - first) as usize]);
        let expected: Vec<u32> =
            (first..MAX_PIECES).zip(&has).filter(|(_, has)| **has).map(|(piece, _)| piece).collect();
        prop_assert_eq!(bits.pieces().map(|piece| piece.0).collect::<Vec<_>>(), expected);
        prop_assert_eq!(bits.bytes.len(), has.len().div_ceil(8));
    }

    #[test]
    fn a_run_is_within_the_pieces(first: u32, count: u32) {
        let fits = count > 0 && u64::from(first) + u64::from(count) <= u64::from(MAX_PIECES);
        prop_assert_eq!(PieceRun::new(PieceIndex(first), count).is_some(), fits);
        if let Some(run) = PieceRun::new(PieceIndex(first % MAX_PIECES), 1) {
            prop_assert_eq!(run.iter().collect::<Vec<_>>(), [PieceIndex(first % MAX_PIECES)]);
        }
    }
}

/// Outboards of contents whose bytes nobody knows.
fn outboard() -> impl Strategy<Value = Outboard> {
    let length = prop_oneof![256 * KIB + 1..10 * MIB, GIB..GIB + 600 * KIB];
    (length, any::<u64>()).prop_map(|(length, seed)| Outboard::imagined(layout(length), &seed.to_string()))
}

/// A content with bytes, its outboard and the values of its pieces.
fn hashed(length: u64) -> (Vec<u8>, Outboard, Vec<ChainingValue>) {
    let bytes: Vec<u8> = (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let layout = layout(length);
    let pieces = (0..layout.pieces()).map(PieceIndex);
    let bytes_of = |piece| {
        let span = layout.span(piece).expect("a piece");
        &bytes[span.start as usize..span.end as usize]
    };
    let values: Vec<_> = pieces.map(|piece| piece_value(layout, piece, bytes_of(piece))).collect();
    let proof = LengthProof::of(layout, bytes_of(PieceIndex(layout.pieces() - 1)));
    let outboard = Outboard::new(layout, values.clone(), proof).expect("what proves the content");
    (bytes, outboard, values)
}

#[test]
fn an_outboard_proves_the_content_whose_blake3_is_its_id() {
    let lengths =
        [256 * KIB + 1, 256 * KIB + 1024, 256 * KIB + 1025, 512 * KIB, 512 * KIB + 3000, 2 * MIB + 77];
    for length in lengths {
        let (bytes, outboard, values) = hashed(length);
        assert_eq!(outboard.content(), ContentId::from_bytes(*blake3::hash(&bytes).as_bytes()), "{length}");
        let pieces = outboard.layout().pieces();
        let said: Vec<_> =
            (0..pieces).map(|piece| *outboard.value(PieceIndex(piece)).expect("a value")).collect();
        assert_eq!(said, values);
        assert_eq!(outboard.value(PieceIndex(pieces)), None);
        assert_eq!(outboard.value(PieceIndex::OUTBOARD), None);
    }
}

#[test]
fn an_outboard_s_bytes() {
    let (content, outboard, values) = hashed(256 * KIB + 1025);
    let mut expected = vec![1, 4, 4, 0, 0, 0, 0, 0];
    expected.extend(values.as_flattened());
    let mut leaf = blake3::Hasher::new();
    leaf.set_input_offset(256 * KIB).update(&content[256 << 10..][..1024]);
    expected.extend(leaf.finalize_non_root());
    expected.push(content[(256 << 10) + 1024]);
    assert_eq!(outboard.encode(), expected);
    insta::assert_snapshot!(outboard.content(), @"eb6b182a1826723fc899b108783ebf42652319809ca931fe717283efe4c8b2c9");
}

/// Who knows a content can make values that merge to its id under another length, and cannot prove that length.
#[test]
fn no_other_length_is_believed() {
    let (_, outboard, values) = hashed(2 * MIB + 77);
    let bytes = outboard.encode();
    for length in [2 * MIB + 1, 2 * MIB + 76, 2 * MIB + 78, 2 * MIB + 1024] {
        let mut other = bytes.clone();
        other[..8].copy_from_slice(&length.to_le_bytes());
        let layout = layout(length);
        assert_eq!(
            (layout.pieces(), root(layout, &values)),
            (9, outboard.content()),
            "the values merge alike"
        );
        assert!(Outboard::decode(&other).is_err(), "{length}");
        // As long as it must be for that length.
        let leaf = (length - 2 * MIB) as usize;
        other.truncate(other.len() - 77);
        other.extend(vec![0; leaf]);
        assert_eq!(other.len(), layout.outboard_length() as usize);
        assert_eq!(Outboard::decode(&other), Err(OutboardError::Length), "{length}");
    }
}

/// Above 1 GiB pieces are twice as long. The values of the first half's pieces, and that of the second half, merge to
/// the same id.
#[test]
fn values_from_another_height_of_the_tree_are_not_believed() {
    let small = Outboard::imagined(layout(GIB), "small");
    let values: Vec<_> = (0..4096).map(|piece| *small.value(PieceIndex(piece)).expect("a value")).collect();
    let half = |values: &[ChainingValue]| {
        let mut level = values.to_vec();
        while level.len() > 1 {
            let pairs = level.chunks(2).map(|pair| merge_subtrees_non_root(&pair[0], &pair[1], Mode::Hash));
            level = pairs.collect();
        }
        level[0]
    };
    let large = layout(GIB + 1);
    let mut lie = values[..2048].to_vec();
    lie.push(half(&values[2048..]));
    assert_eq!((large.pieces(), root(large, &lie)), (2049, small.content()));
    let proof = LengthProof::new(large, vec![], vec![0]).expect("a leaf of one byte");
    assert_eq!(Outboard::new(large, lie, proof), Err(OutboardError::Length));
}

#[test]
fn a_content_of_one_piece_needs_no_outboard() {
    let id = ContentId::from_bytes([7; 32]);
    let outboard = Outboard::of_one_piece(layout(256 * KIB), id).expect("one piece");
    assert_eq!((outboard.value(PieceIndex(0)), outboard.encode()), (Some(id.as_bytes()), vec![]));
    assert_eq!(Outboard::of_one_piece(layout(256 * KIB + 1), id), Err(OutboardError::Size));
    assert_eq!(Outboard::of_one_piece(layout(0), id), Err(OutboardError::OtherContent));
    let empty = ContentId::from_bytes(*blake3::hash(b"").as_bytes());
    assert_eq!(Outboard::of_one_piece(layout(0), empty).map(|outboard| outboard.layout().pieces()), Ok(0));
    assert_eq!(Outboard::decode(&[]), Err(OutboardError::Size));
    assert_eq!(Outboard::decode(&1u64.to_le_bytes()), Err(OutboardError::Size));
}

#[test]
fn an_outboard_of_the_wrong_shape_is_refused() {
    let (_, outboard, _) = hashed(512 * KIB + 3000);
    let bytes = outboard.encode();
    for length in 0..bytes.len() {
        assert_eq!(Outboard::decode(&bytes[..length]), Err(OutboardError::Size), "{length} bytes");
    }
    for extra in [1, 31, 32, 64] {
        let longer = [&bytes[..], &vec![0; extra]].concat();
        assert_eq!(Outboard::decode(&longer), Err(OutboardError::Size), "{extra} bytes more");
    }
    let mut endless = bytes.clone();
    endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(Outboard::decode(&endless), Err(OutboardError::Size));
    let mut wrong_value = bytes.clone();
    wrong_value[8 + 40] ^= 1;
    assert_eq!(Outboard::decode_of(outboard.content(), &wrong_value), Err(OutboardError::OtherContent));
    let (_, other, _) = hashed(512 * KIB + 3001);
    assert_eq!(Outboard::decode_of(outboard.content(), &other.encode()), Err(OutboardError::OtherContent));
}

#[test]
fn bits_know_their_ends() {
    let full = Bits::of(PieceIndex(0), u32::MAX, |_| true);
    assert_eq!((full.pieces().count() as u32, Bits::CAPACITY), (Bits::CAPACITY, 9344));
    // Pieces that no content has are left out, wherever a stranger says that they begin.
    let ones = messages::List::first_of([0xff, 0xff]);
    let at = |first| {
        let bits = Bits { first: PieceIndex(first), bytes: ones.clone() };
        bits.pieces().map(|piece| piece.0).collect::<Vec<_>>()
    };
    assert_eq!(at(MAX_PIECES - 3), [MAX_PIECES - 3, MAX_PIECES - 2, MAX_PIECES - 1]);
    assert_eq!(at(MAX_PIECES), [0u32; 0]);
    assert_eq!(at(u32::MAX - 3), [0u32; 0]);
    let lowest_first =
        Bits { first: PieceIndex(8), bytes: messages::List::first_of([0b0000_0101, 0b1000_0000]) };
    assert_eq!(lowest_first.pieces().collect::<Vec<_>>(), [8, 10, 23].map(PieceIndex));
}
