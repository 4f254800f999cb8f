//! The runs of bytes that a REQUEST asks for.

use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::{
    CHUNK_HEADER, MAX_BURST, MAX_BURST_SEGMENTS, MAX_DATAGRAM, MAX_OUTBOARD, MAX_PIECE_SIZE, MAX_PIECES,
};
use crate::piece::PieceIndex;

/// A run of bytes of one piece, or of the outboard: never empty, never longer than a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ByteRange {
    piece: PieceIndex,
    offset: u32,
    length: u32,
}

impl ByteRange {
    /// `length` bytes of `piece` from byte `offset` on; `None` when that is nothing, more than a burst, or beyond what
    /// any piece or outboard has.
    #[must_use]
    pub fn new(piece: PieceIndex, offset: u32, length: u32) -> Option<ByteRange> {
        let end = offset.checked_add(length)?;
        let longest = match piece {
            PieceIndex::OUTBOARD => MAX_OUTBOARD,
            PieceIndex(..MAX_PIECES) => MAX_PIECE_SIZE,
            PieceIndex(_) => 0,
        };
        (length > 0 && length <= MAX_BURST && end <= longest).then_some(ByteRange { piece, offset, length })
    }

    /// The piece, or [`PieceIndex::OUTBOARD`].
    #[must_use]
    pub const fn piece(self) -> PieceIndex {
        self.piece
    }

    /// Where the run begins in the piece, in bytes.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn length(self) -> u32 {
        self.length
    }

    /// Where the run ends in the piece, in bytes: the first byte behind it.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.offset + self.length
    }

    /// How many CHUNKs of `segment_size` bytes of payload it takes.
    #[must_use]
    pub const fn segments(self, segment_size: u16) -> u32 {
        self.length.div_ceil(if segment_size == 0 { 1 } else { segment_size as u32 })
    }

    /// Whether its CHUNKs of `segment_size` bytes of payload are one burst: at most [`MAX_BURST_SEGMENTS`] of them, and
    /// with their headers no longer than [`MAX_DATAGRAM`], which is what one send takes.
    #[must_use]
    pub const fn fits_burst(self, segment_size: u16) -> bool {
        let segments = self.segments(segment_size) as usize;
        segments <= MAX_BURST_SEGMENTS && self.length as usize + segments * CHUNK_HEADER <= MAX_DATAGRAM
    }
}

impl<'de> Deserialize<'de> for ByteRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteRange, D::Error> {
        let (piece, offset, length) = <(PieceIndex, u32, u32)>::deserialize(deserializer)?;
        ByteRange::new(piece, offset, length).ok_or_else(|| serde::de::Error::custom("no such range"))
    }
}
