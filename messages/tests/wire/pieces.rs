//! How contents are cut, and the manifests that describe them.

use messages::limits::{
    COMFORTABLE_PIECES, MAX_CONTENT, MAX_MANIFEST, MAX_PIECE_SIZE, MAX_PIECES, MIN_PIECE_SIZE,
};
use messages::{
    Bits, ContentId, Layout, MANIFEST_FIXED, Manifest, ManifestError, PieceHash, PieceIndex, PieceRun,
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
    assert_eq!(layout(MAX_CONTENT).manifest_length(), MAX_MANIFEST);
    assert_eq!(MAX_MANIFEST, 20_971_561);
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
        prop_assert_eq!(layout.manifest_length() as usize, MANIFEST_FIXED + 20 * layout.pieces() as usize);
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
        for beyond in [PieceIndex(layout.pieces()), PieceIndex::MANIFEST] {
            prop_assert_eq!((layout.span(beyond), layout.piece_length(beyond)), (None, 0));
        }
    }

    #[test]
    fn a_manifest_comes_back(manifest in manifest()) {
        let bytes = manifest.encode();
        prop_assert_eq!(bytes.len(), manifest.layout().manifest_length() as usize);
        let id = manifest.content_id();
        prop_assert_eq!(id, ContentId::from_bytes(*blake3::hash(&bytes).as_bytes()));
        prop_assert_eq!(Manifest::decode(&bytes), Ok(manifest.clone()));
        prop_assert_eq!(Manifest::decode_of(id, &bytes), Ok(manifest));
    }

    #[test]
    fn a_damaged_manifest_is_no_manifest_of_its_content(manifest in manifest(), bit in any::<prop::sample::Index>()) {
        let mut bytes = manifest.encode();
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Manifest::decode_of(manifest.content_id(), &bytes), Err(ManifestError::Identity));
        if let Ok(other) = Manifest::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
            prop_assert_ne!(other.content_id(), manifest.content_id());
        }
    }

    #[test]
    fn any_bytes_are_a_manifest_or_none(bytes in vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..200)) {
        if let Ok(manifest) = Manifest::decode(&bytes) {
            prop_assert_eq!(manifest.encode(), bytes);
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

fn manifest() -> impl Strategy<Value = Manifest> {
    let length = prop_oneof![0..10 * MIB, GIB..GIB + 600 * KIB];
    (length, any::<[u8; 32]>(), any::<u8>()).prop_map(|(length, root, seed)| {
        let hash = |index: u32| {
            let mut hash = [seed; 20];
            hash[..4].copy_from_slice(&index.to_le_bytes());
            hash
        };
        let hashes: Vec<PieceHash> = (0..layout(length).pieces()).map(hash).collect();
        Manifest::new(length, root, hashes).expect("as many hashes as pieces")
    })
}

#[test]
fn a_manifest_s_canonical_bytes() {
    let length = 256 * KIB + 1;
    let manifest = Manifest::new(length, [0xbb; 32], vec![[0x01; 20], [0x02; 20]]).expect("a manifest");
    let mut expected = vec![1, 1, 0, 4, 0, 0, 0, 0, 0];
    expected.extend([0xbb; 32]);
    expected.extend([0x01; 20]);
    expected.extend([0x02; 20]);
    assert_eq!(manifest.encode(), expected);
    insta::assert_snapshot!(manifest.content_id(), @"d8e90e2b4af45aad3874556be322ec8d3783ac242c53aa59884ec61857d58758");
    assert_eq!(manifest.piece_hash(PieceIndex(1)), Some(&[0x02; 20]));
    assert_eq!(manifest.piece_hash(PieceIndex(2)), None);
    assert_eq!(manifest.piece_hash(PieceIndex::MANIFEST), None);
    assert_eq!(manifest.root(), &[0xbb; 32]);
}

#[test]
fn a_manifest_of_the_wrong_shape_is_refused() {
    assert_eq!(Manifest::new(1, [0; 32], vec![]), Err(ManifestError::Length));
    assert_eq!(Manifest::new(0, [0; 32], vec![[0; 20]]), Err(ManifestError::Length));
    assert_eq!(Manifest::new(MAX_CONTENT + 1, [0; 32], vec![]), Err(ManifestError::Length));
    let bytes = Manifest::new(1, [0; 32], vec![[0; 20]]).expect("a manifest").encode();
    for length in 0..bytes.len() {
        assert_eq!(Manifest::decode(&bytes[..length]), Err(ManifestError::Length), "{length} bytes");
    }
    for extra in [1, 19, 20, 40] {
        let longer = [&bytes[..], &vec![0; extra]].concat();
        assert_eq!(Manifest::decode(&longer), Err(ManifestError::Length), "{extra} bytes more");
    }
    let mut other_version = bytes;
    other_version[0] = 2;
    assert_eq!(Manifest::decode(&other_version), Err(ManifestError::Version { found: 2 }));
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
