//! What proves the pieces of a content before the whole is here: its length and the chaining value of each piece.
//!
//! The values merge to the content id, so whoever knows the id can check them. The merge alone does not prove the
//! length: two lengths with as many pieces merge alike, and values from another height of the tree can merge as well.
//! So an outboard ends with a [`LengthProof`], the right edge of the tree below the last piece: the leaf at its end
//! counts the leaves before it and how many bytes it has, and both go into its chaining value. Bao proves a length in
//! the same way (bao's specification, "length is authenticated by the last chunk").

use crate::hash_tree::{ChainingValue, LEAF, left_length, parent, root, subtree_value};
use crate::id::ContentId;
use crate::limits::{CHAINING_VALUE, OUTBOARD_LENGTH};
use crate::piece::{Layout, PieceIndex};

/// Why some bytes are not an outboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboardError {
    /// The values merge to another id.
    #[error("the outboard is of another content")]
    OtherContent,
    /// There are not as many bytes as an outboard of such a length has, or no content of such a length has one.
    #[error("the outboard is not as long as its content's length says")]
    Size,
    /// The leaf at the end does not merge to the value of the last piece.
    #[error("the outboard does not prove the length that it names")]
    Length,
}

/// The right edge of a content's tree below its last piece: it proves where the content ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LengthProof {
    /// The left siblings of the nodes on the edge, from the top down.
    siblings: Vec<ChainingValue>,
    /// The bytes of the last leaf: 1 to 1024.
    leaf: Vec<u8>,
}

impl LengthProof {
    /// The proof for a content of several pieces that is cut like `layout`, from the bytes of its last piece.
    ///
    /// # Panics
    /// When `last_piece` is not as long as the last piece of `layout`.
    #[must_use]
    pub fn of(layout: Layout, last_piece: &[u8]) -> LengthProof {
        let span = layout.last_span();
        assert_eq!(last_piece.len() as u64, span.end - span.start, "the bytes of the last piece");
        let (mut start, mut rest) = (span.start, last_piece);
        let mut siblings = Vec::new();
        while rest.len() as u64 > LEAF {
            let (left, right) = rest.split_at(left_length(rest.len() as u64) as usize);
            siblings.push(subtree_value(start, left));
            start += left.len() as u64;
            rest = right;
        }
        LengthProof { siblings, leaf: rest.to_vec() }
    }

    /// The proof with these left siblings, from the top down, above this last leaf.
    ///
    /// # Errors
    /// [`OutboardError::Size`] when a content that is cut like `layout` has not so many, or a leaf of another length.
    pub fn new(
        layout: Layout,
        siblings: Vec<ChainingValue>,
        leaf: Vec<u8>,
    ) -> Result<LengthProof, OutboardError> {
        let edge = RightEdge::of(layout).ok_or(OutboardError::Size)?;
        let fits = siblings.len() == edge.siblings as usize && leaf.len() == edge.leaf as usize;
        fits.then_some(LengthProof { siblings, leaf }).ok_or(OutboardError::Size)
    }

    /// What the last piece of the content hashes to, if its length is that of `layout`.
    #[must_use]
    pub fn last_value(&self, layout: Layout) -> ChainingValue {
        let leaf = subtree_value(layout.length() - self.leaf.len() as u64, &self.leaf);
        self.siblings.iter().rev().fold(leaf, |right, left| parent(left, &right))
    }
}

/// How long the parts of a [`LengthProof`] are.
struct RightEdge {
    siblings: u32,
    /// Bytes of the last leaf.
    leaf: u32,
}

impl RightEdge {
    /// For contents of several pieces.
    const fn of(layout: Layout) -> Option<RightEdge> {
        if layout.pieces() < 2 {
            return None;
        }
        let span = layout.last_span();
        let (mut rest, mut siblings) = (span.end - span.start, 0);
        while rest > LEAF {
            rest -= left_length(rest);
            siblings += 1;
        }
        Some(RightEdge { siblings, leaf: rest as u32 })
    }
}

impl Layout {
    /// Bytes of the outboard of such a content; none for a content of one piece or without bytes.
    #[must_use]
    pub const fn outboard_length(self) -> u32 {
        match RightEdge::of(self) {
            Some(RightEdge { siblings, leaf }) => {
                OUTBOARD_LENGTH as u32 + CHAINING_VALUE as u32 * (self.pieces() + siblings) + leaf
            }
            None => 0,
        }
    }
}

/// The length of a content and the chaining value of each piece, proven by the content id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outboard {
    content: ContentId,
    layout: Layout,
    values: Vec<ChainingValue>,
    /// `None` for a content of one piece or without bytes.
    proof: Option<LengthProof>,
}

impl Outboard {
    /// The outboard of the content of several pieces that is cut like `layout`, whose pieces hash to `values`.
    ///
    /// # Errors
    /// [`OutboardError::Size`] when these are not so many values, or there is none for such a content;
    /// [`OutboardError::Length`] when `proof` does not fit the last of them.
    pub fn new(
        layout: Layout,
        values: Vec<ChainingValue>,
        proof: LengthProof,
    ) -> Result<Outboard, OutboardError> {
        if layout.pieces() < 2 || values.len() != layout.pieces() as usize {
            return Err(OutboardError::Size);
        }
        if values.last() != Some(&proof.last_value(layout)) {
            return Err(OutboardError::Length);
        }
        Ok(Outboard { content: root(layout, &values), layout, values, proof: Some(proof) })
    }

    /// What stands for the outboard of a content of one piece, or of none: the id says it all but the length, which the
    /// piece itself proves.
    ///
    /// # Errors
    /// [`OutboardError::Size`] when a content that is cut like `layout` has more pieces;
    /// [`OutboardError::OtherContent`] when it is empty and `content` is not.
    pub fn of_one_piece(layout: Layout, content: ContentId) -> Result<Outboard, OutboardError> {
        let values = match layout.pieces() {
            0 if content == root(layout, &[]) => Vec::new(),
            0 => return Err(OutboardError::OtherContent),
            1 => vec![*content.as_bytes()],
            _ => return Err(OutboardError::Size),
        };
        Ok(Outboard { content, layout, values, proof: None })
    }

    /// The outboard of a content that has no bytes anywhere: its values follow from `seed`. For simulators and tests,
    /// whose contents are numbers.
    #[must_use]
    pub fn imagined(layout: Layout, seed: &str) -> Outboard {
        let value =
            |index: u32| *blake3::hash(format!("{seed} {} {index}", layout.length()).as_bytes()).as_bytes();
        let Some(edge) = RightEdge::of(layout) else {
            let content =
                if layout.pieces() == 0 { root(layout, &[]) } else { ContentId::from_bytes(value(0)) };
            return Outboard::of_one_piece(layout, content).expect("a content of no more than one piece");
        };
        let last = layout.pieces() - 1;
        let siblings = (0..edge.siblings).map(|level| value(last + level)).collect();
        let proof = LengthProof::new(layout, siblings, vec![seed.len() as u8; edge.leaf as usize]);
        let proof = proof.expect("as long as the edge is");
        let values = (0..last).map(value).chain([proof.last_value(layout)]).collect();
        Outboard::new(layout, values, proof).expect("one value for each piece, the last one the proof's")
    }

    /// Reads the bytes of an outboard, whatever content it is of.
    ///
    /// # Errors
    /// When they are not the bytes of any outboard.
    pub fn decode(bytes: &[u8]) -> Result<Outboard, OutboardError> {
        let (length, rest) = bytes.split_first_chunk::<OUTBOARD_LENGTH>().ok_or(OutboardError::Size)?;
        let layout = Layout::of(u64::from_le_bytes(*length)).ok_or(OutboardError::Size)?;
        let edge = RightEdge::of(layout).ok_or(OutboardError::Size)?;
        if bytes.len() != layout.outboard_length() as usize {
            return Err(OutboardError::Size);
        }
        let (values, leaf) = rest.split_at(rest.len() - edge.leaf as usize);
        let (values, []) = values.as_chunks::<CHAINING_VALUE>() else { return Err(OutboardError::Size) };
        let (values, siblings) = values.split_at(layout.pieces() as usize);
        let proof = LengthProof::new(layout, siblings.to_vec(), leaf.to_vec())?;
        Outboard::new(layout, values.to_vec(), proof)
    }

    /// Reads bytes that must be the outboard of `content`.
    ///
    /// # Errors
    /// When they are not.
    pub fn decode_of(content: ContentId, bytes: &[u8]) -> Result<Outboard, OutboardError> {
        let outboard = Outboard::decode(bytes)?;
        if outboard.content != content {
            return Err(OutboardError::OtherContent);
        }
        Ok(outboard)
    }

    /// Its bytes: the length, the value of each piece, the left siblings of the proof from the top down, the last leaf.
    /// There are none for a content of one piece.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Some(LengthProof { siblings, leaf }) = &self.proof else { return Vec::new() };
        let mut bytes = Vec::with_capacity(self.layout.outboard_length() as usize);
        bytes.extend_from_slice(&self.layout.length().to_le_bytes());
        bytes.extend_from_slice(self.values.as_flattened());
        bytes.extend_from_slice(siblings.as_flattened());
        bytes.extend_from_slice(leaf);
        bytes
    }

    /// The content that it proves.
    #[must_use]
    pub const fn content(&self) -> ContentId {
        self.content
    }

    /// How the content is cut.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The chaining value of piece `index`; `None` when there is no such piece.
    #[must_use]
    pub fn value(&self, index: PieceIndex) -> Option<&ChainingValue> {
        self.values.get(index.0 as usize)
    }
}
