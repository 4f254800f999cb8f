//! The BLAKE3 of a content from the values of its pieces, so that nothing is read twice.
//!
//! A piece is a whole subtree of the content's BLAKE3 tree (its size is a power of two), so its value does not depend
//! on its neighbours and the values merge to the root. A content of one piece *is* its piece: there the value is the
//! root itself.

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use messages::{ChainingValue, Layout, PieceIndex};
use sha1::{Digest, Sha1};

use super::sha1_lanes::{self, Lane};

/// So much of each piece is hashed one way, then the other: [`sha1_lanes::MAX_LANES`] times this stays in the
/// second-level cache.
pub(crate) const RUN: usize = 64 << 10;

/// The BLAKE3 value of one piece.
pub(crate) type ChainingValue = [u8; 32];

/// The hash of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PieceDigest {
    /// Its SHA-1, as in the outboard.
    pub(crate) hash: ChainingValue,
    /// Its BLAKE3 value.
    pub(crate) subtree: ChainingValue,
}

/// Hashes one piece both ways in one pass.
pub(crate) struct PieceHasher {
    sha1: Lane,
    blake3: Hasher,
    whole: bool,
}

impl PieceHasher {
    /// For piece `index` of a content cut like `layout`.
    pub(crate) fn new(layout: Layout, index: PieceIndex) -> PieceHasher {
        let mut blake3 = Hasher::new();
        let whole = layout.pieces() <= 1;
        if !whole {
            blake3.set_input_offset(u64::from(index.0) * u64::from(layout.piece_size()));
        }
        PieceHasher { sha1: Lane::new(), blake3, whole }
    }

    /// Takes the next bytes of each of up to [`sha1_lanes::MAX_LANES`] pieces: whole blocks of 64, but for the last of
    /// a piece.
    pub(crate) fn update(pieces: &mut [PieceHasher], bytes: &[&[u8]]) {
        sha1_lanes::update(pieces.iter_mut().map(|piece| &mut piece.sha1).zip(bytes.iter().copied()));
        for (piece, bytes) in pieces.iter_mut().zip(bytes) {
            piece.blake3.update(bytes);
        }
    }

    /// The values, once every byte of the piece was taken.
    pub(crate) fn finish(self) -> PieceDigest {
        let subtree =
            if self.whole { *self.blake3.finalize().as_bytes() } else { self.blake3.finalize_non_root() };
        PieceDigest { hash: self.sha1.finish(), subtree }
    }
}

/// What up to [`sha1_lanes::MAX_LANES`] pieces hash to that are in memory as a whole.
pub(crate) fn digests_of(pieces: &[(Layout, PieceIndex, &[u8])]) -> Vec<PieceDigest> {
    let mut hashers: Vec<_> =
        pieces.iter().map(|(layout, index, _)| PieceHasher::new(*layout, *index)).collect();
    let longest = pieces.iter().map(|(.., bytes)| bytes.len()).max().unwrap_or(0);
    for at in (0..longest).step_by(RUN) {
        let run = |bytes: &[u8]| at.min(bytes.len())..(at + RUN).min(bytes.len());
        let runs: Vec<&[u8]> = pieces.iter().map(|(.., bytes)| &bytes[run(bytes)]).collect();
        PieceHasher::update(&mut hashers, &runs);
    }
    hashers.into_iter().map(PieceHasher::finish).collect()
}

/// The SHA-1 of a piece that is in memory as a whole.
pub(crate) fn piece_hash(bytes: &[u8]) -> ChainingValue {
    Sha1::digest(bytes).into()
}

/// The BLAKE3 of the whole from the values of all pieces, in their order.
pub(crate) fn root_of(layout: Layout, subtrees: &[ChainingValue]) -> [u8; 32] {
    assert_eq!(subtrees.len(), layout.pieces() as usize, "one value for each piece");
    match subtrees {
        [] => *blake3::hash(b"").as_bytes(),
        [only] => *only,
        _ => {
            let (left, right) = halves(layout.length(), layout.piece_size(), subtrees);
            *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
        }
    }
}

/// The values of the two children of the node that stands above `subtrees` and covers `length` bytes.
fn halves(length: u64, piece_size: u32, subtrees: &[ChainingValue]) -> (ChainingValue, ChainingValue) {
    let left_length = left_subtree_len(length);
    let cut = (left_length / u64::from(piece_size)) as usize;
    let (left, right) = subtrees.split_at(cut);
    (merged(left_length, piece_size, left), merged(length - left_length, piece_size, right))
}

fn merged(length: u64, piece_size: u32, subtrees: &[ChainingValue]) -> ChainingValue {
    match subtrees {
        [only] => *only,
        _ => {
            let (left, right) = halves(length, piece_size, subtrees);
            merge_subtrees_non_root(&left, &right, Mode::Hash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::test_bytes;

    #[test]
    fn the_pieces_values_merge_to_the_hash_of_the_whole() {
        const PIECE: usize = 256 << 10;
        let bytes = test_bytes(9 * PIECE + 77);
        let edges = [0, 1, 1023, 1024, 1025, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 1, 2 * PIECE];
        let more = (2..=9).flat_map(|pieces| [pieces * PIECE - 5, pieces * PIECE, pieces * PIECE + 70]);
        for length in edges.into_iter().chain(more) {
            let whole = &bytes[..length];
            let layout = Layout::of(length as u64).expect("a short content");
            assert_eq!(layout.piece_size() as usize, PIECE);
            let mut values = Vec::new();
            for (index, piece) in whole.chunks(PIECE).enumerate() {
                let index = PieceIndex(index as u32);
                let mut hasher = [PieceHasher::new(layout, index)];
                piece.chunks(10_048).for_each(|run| PieceHasher::update(&mut hasher, &[run]));
                let digest = hasher.map(PieceHasher::finish)[0];
                assert_eq!(digest.hash, piece_hash(piece), "{length} {index}");
                values.push(digest.subtree);
            }
            assert_eq!(root_of(layout, &values), *blake3::hash(whole).as_bytes(), "{length}");
            assert_eq!(together(layout, whole), values, "{length}");
        }
    }

    /// The values of the pieces, hashed as many at a time as there may be.
    fn together(layout: Layout, whole: &[u8]) -> Vec<ChainingValue> {
        let pieces = whole.chunks(layout.piece_size() as usize).enumerate();
        let pieces: Vec<_> = pieces.map(|(index, bytes)| (layout, PieceIndex(index as u32), bytes)).collect();
        let digests: Vec<_> = pieces.chunks(sha1_lanes::MAX_LANES).flat_map(digests_of).collect();
        for ((.., bytes), digest) in pieces.iter().zip(&digests) {
            assert_eq!(digest.hash, piece_hash(bytes));
        }
        digests.iter().map(|digest| digest.subtree).collect()
    }

    #[test]
    fn a_piece_in_another_place_gives_another_root() {
        let bytes = test_bytes(3 * (256 << 10));
        let layout = Layout::of(bytes.len() as u64).expect("a short content");
        let mut values = together(layout, &bytes);
        values.swap(0, 1);
        assert_ne!(root_of(layout, &values), *blake3::hash(&bytes).as_bytes());
    }
}
