//! The part of BLAKE3's tree that stands above the pieces of a content (BLAKE3 specification §2.4, §5.1.3).
//!
//! A piece size is a power of two of BLAKE3's chunks. So each piece is a whole subtree, its chaining value does not
//! depend on its neighbours, and the values of all pieces merge to the content id. A content of one piece *is* its
//! piece: there the value is the id itself.

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::id::ContentId;
use crate::limits::CHAINING_VALUE;
use crate::piece::{Layout, PieceIndex};

/// What a subtree of a content's BLAKE3 tree hashes to; of a content of one piece the BLAKE3 hash itself.
pub type ChainingValue = [u8; CHAINING_VALUE];

/// Bytes of a leaf of the tree ("chunk" in BLAKE3's words, which is no CHUNK of this protocol).
pub(crate) const LEAF: u64 = blake3::CHUNK_LEN as u64;

/// Computes the chaining value of one piece, a run of bytes at a time.
#[derive(Debug)]
pub struct PieceHasher {
    blake3: blake3::Hasher,
    /// Whether the piece is the whole content.
    is_root: bool,
}

impl PieceHasher {
    /// For piece `index` of a content that is cut like `layout`.
    #[must_use]
    pub fn new(layout: Layout, index: PieceIndex) -> PieceHasher {
        let mut blake3 = blake3::Hasher::new();
        let is_root = layout.pieces() <= 1;
        if !is_root {
            blake3.set_input_offset(u64::from(index.0) * u64::from(layout.piece_size()));
        }
        PieceHasher { blake3, is_root }
    }

    /// Takes the next bytes of the piece. Long runs are hashed faster than short ones.
    pub fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
    }

    /// The value, once every byte of the piece was taken.
    #[must_use]
    pub fn finish(self) -> ChainingValue {
        if self.is_root { *self.blake3.finalize().as_bytes() } else { self.blake3.finalize_non_root() }
    }
}

/// The chaining value of piece `index`, whose bytes are `bytes`, of a content that is cut like `layout`.
#[must_use]
pub fn piece_value(layout: Layout, index: PieceIndex, bytes: &[u8]) -> ChainingValue {
    let mut hasher = PieceHasher::new(layout, index);
    hasher.update(bytes);
    hasher.finish()
}

/// The chaining value of a subtree of several that begins at byte `start` of its content.
pub(crate) fn subtree_value(start: u64, bytes: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(start).update(bytes);
    hasher.finalize_non_root()
}

/// The chaining value of the node above `left` and `right`, which is not the root.
pub(crate) fn parent(left: &ChainingValue, right: &ChainingValue) -> ChainingValue {
    merge_subtrees_non_root(left, right, Mode::Hash)
}

/// How many of `length` bytes the left child of their node covers, where there are more than a leaf has: the largest
/// power of two of leaves that leaves something to the right child.
pub(crate) const fn left_length(length: u64) -> u64 {
    LEAF << ((length - 1) / LEAF).ilog2()
}

/// The id of the content whose pieces have these values, in their order.
///
/// # Panics
/// When there are not as many values as `layout` has pieces.
#[must_use]
pub fn root(layout: Layout, values: &[ChainingValue]) -> ContentId {
    assert_eq!(values.len(), layout.pieces() as usize, "one value for each piece");
    ContentId::from_bytes(match values {
        [] => *blake3::hash(b"").as_bytes(),
        [only] => *only,
        _ => {
            let (left, right) = children(layout.length(), layout.piece_size(), values);
            *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
        }
    })
}

/// The values of the two children of the node above `values`, which covers `length` bytes.
fn children(length: u64, piece_size: u32, values: &[ChainingValue]) -> (ChainingValue, ChainingValue) {
    let left_length = left_length(length);
    let (left, right) = values.split_at((left_length / u64::from(piece_size)) as usize);
    (merged(left_length, piece_size, left), merged(length - left_length, piece_size, right))
}

fn merged(length: u64, piece_size: u32, values: &[ChainingValue]) -> ChainingValue {
    match values {
        [only] => *only,
        _ => {
            let (left, right) = children(length, piece_size, values);
            parent(&left, &right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_left_child_is_as_long_as_blake3_says() {
        for length in (LEAF + 1..40 * LEAF).step_by(331).chain([1 << 40, (1 << 40) + 1, (1 << 43) - 1]) {
            assert_eq!(left_length(length), blake3::hazmat::left_subtree_len(length), "{length}");
        }
    }

    #[test]
    fn the_values_of_the_pieces_merge_to_the_hash_of_the_content() {
        const PIECE: usize = 256 << 10;
        let bytes: Vec<u8> =
            (0..9 * PIECE as u32 + 77).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let edges = [0, 1, 1023, 1024, 1025, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 1, 2 * PIECE];
        let more = (2..=9).flat_map(|pieces| [pieces * PIECE - 5, pieces * PIECE, pieces * PIECE + 70]);
        for length in edges.into_iter().chain(more) {
            let content = &bytes[..length];
            let layout = Layout::of(length as u64).expect("a short content");
            assert_eq!(layout.piece_size() as usize, PIECE);
            let pieces = content.chunks(PIECE).zip((0..).map(PieceIndex));
            let mut values: Vec<_> = pieces.map(|(piece, index)| piece_value(layout, index, piece)).collect();
            let expected = ContentId::from_bytes(*blake3::hash(content).as_bytes());
            assert_eq!(root(layout, &values), expected, "{length}");
            if values.len() > 1 {
                values.swap(0, 1);
                assert_ne!(root(layout, &values), expected, "two pieces in each other's place");
            }
        }
    }
}
