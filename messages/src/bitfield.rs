//! Which pieces somebody has, as BITFIELD tells: one bit a piece.

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_BITFIELD_BYTES, MAX_PIECES};
use crate::list::List;
use crate::piece::PieceIndex;

/// Bits of consecutive pieces: bit `i % 8` of byte `i / 8` is piece `first + i`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bits {
    /// The piece of the first bit.
    pub first: PieceIndex,
    /// Eight pieces a byte, the lowest bit first.
    pub bytes: List<u8, MAX_BITFIELD_BYTES>,
}

impl Bits {
    /// How many pieces the bits of one full message stand for.
    pub const CAPACITY: u32 = 8 * MAX_BITFIELD_BYTES as u32;

    /// The bits of `count` pieces from `first` on, at most [`Bits::CAPACITY`] of them. Numbers that no piece can have
    /// are not asked for.
    pub fn of(first: PieceIndex, count: u32, has: impl Fn(PieceIndex) -> bool) -> Bits {
        let count = count.min(Bits::CAPACITY);
        let has_at = |at: u32| at < count && first.0.checked_add(at).map(PieceIndex).is_some_and(&has);
        let byte =
            |index: u32| (0..8).filter(|bit| has_at(index * 8 + bit)).fold(0u8, |byte, bit| byte | 1 << bit);
        Bits { first, bytes: List::first_of((0..count.div_ceil(8)).map(byte)) }
    }

    /// The pieces whose bit is set; those that no content has are left out.
    pub fn pieces(&self) -> impl Iterator<Item = PieceIndex> {
        self.bytes.iter().enumerate().flat_map(move |(index, byte)| {
            (0..8).filter(move |bit| byte >> bit & 1 == 1).filter_map(move |bit| {
                let piece = self.first.0.checked_add(index as u32 * 8 + bit)?;
                (piece < MAX_PIECES).then_some(PieceIndex(piece))
            })
        })
    }
}
