//! How a content is cut into pieces.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::limits::{COMFORTABLE_PIECES, MAX_CONTENT, MAX_PIECE_SIZE, MIN_PIECE_SIZE};

/// Which piece of a content, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PieceIndex(pub u32);

impl PieceIndex {
    /// The reserved number under which an outboard's own bytes are asked for.
    pub const OUTBOARD: PieceIndex = PieceIndex(u32::MAX);
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a content of a given length is cut into pieces. A pure function of the length, fixed for wire version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    length: u64,
    piece_size: u32,
}

impl Layout {
    /// The layout of a content of `length` bytes; `None` above [`MAX_CONTENT`].
    #[must_use]
    pub const fn of(length: u64) -> Option<Layout> {
        if length > MAX_CONTENT {
            return None;
        }
        let mut piece_size = MIN_PIECE_SIZE;
        while piece_size < MAX_PIECE_SIZE && length > piece_size as u64 * COMFORTABLE_PIECES as u64 {
            piece_size *= 2;
        }
        Some(Layout { length, piece_size })
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.length
    }

    /// Bytes of every piece but the last.
    #[must_use]
    pub const fn piece_size(self) -> u32 {
        self.piece_size
    }

    /// How many pieces there are; none for an empty content.
    #[must_use]
    pub const fn pieces(self) -> u32 {
        self.length.div_ceil(self.piece_size as u64) as u32
    }

    /// Where piece `index` lies in the content, in bytes; `None` when there is no such piece.
    #[must_use]
    pub fn span(self, index: PieceIndex) -> Option<Range<u64>> {
        let start = u64::from(index.0) * u64::from(self.piece_size);
        (start < self.length).then(|| start..self.length.min(start + u64::from(self.piece_size)))
    }

    /// Bytes of piece `index`: zero when there is no such piece.
    #[must_use]
    pub fn piece_length(self, index: PieceIndex) -> u32 {
        self.span(index).map_or(0, |span| (span.end - span.start) as u32)
    }

    /// Where the last piece lies in the content, in bytes; empty in an empty content.
    pub(crate) const fn last_span(self) -> Range<u64> {
        match self.pieces() {
            0 => 0..0,
            pieces => (pieces - 1) as u64 * self.piece_size as u64..self.length,
        }
    }
}
