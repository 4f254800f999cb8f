//! What the disk has of pieces that are still to be fetched, so that these bytes are not asked for.

use std::collections::BTreeMap;

use messages::{Layout, PieceIndex};

use crate::fetch_plan::KnownRanges;
use crate::runs::Runs;

/// The known ranges of the pieces that are not stored.
#[derive(Debug, Default)]
pub(super) struct KnownBytes {
    by_piece: BTreeMap<PieceIndex, Runs>,
    /// The number of bytes in `by_piece`.
    expected: u64,
    /// The number of bytes that the disk has filled in, of pieces that are stored.
    filled_in: u64,
}

impl KnownBytes {
    /// Adds `ranges` of the pieces for which `is_missing` holds. What lies beyond the end of a piece is left out, and a
    /// piece of which all is known is to be fetched as if nothing were known: one byte at least has a sender.
    pub(super) fn extend(
        &mut self,
        ranges: KnownRanges,
        layout: Layout,
        is_missing: impl Fn(PieceIndex) -> bool,
    ) {
        for (piece, mut runs) in ranges.into_pieces().filter(|(piece, _)| is_missing(*piece)) {
            let length = layout.piece_length(piece);
            runs.remove(length..u32::MAX);
            let before = self.by_piece.remove(&piece).unwrap_or_default();
            before.iter().for_each(|run| runs.insert(run));
            self.expected -= u64::from(before.len());
            if !runs.is_empty() && runs.len() < length {
                self.expected += u64::from(runs.len());
                self.by_piece.insert(piece, runs);
            }
        }
    }

    /// The known ranges of `piece`.
    pub(super) fn of(&self, piece: PieceIndex) -> Runs {
        self.by_piece.get(&piece).cloned().unwrap_or_default()
    }

    /// Forgets what is known of `piece`, which may be wrong, or is of no use any more.
    pub(super) fn forget(&mut self, piece: PieceIndex) {
        let forgotten = self.by_piece.remove(&piece);
        self.expected -= forgotten.map_or(0, |runs| u64::from(runs.len()));
    }

    /// Records that `piece` is stored, of which the disk has filled in `filled_in` bytes.
    pub(super) fn on_stored(&mut self, piece: PieceIndex, filled_in: u32) {
        self.forget(piece);
        self.filled_in += u64::from(filled_in);
    }

    /// The number of bytes that the disk has filled in, of pieces that are stored.
    pub(super) fn filled_in(&self) -> u64 {
        self.filled_in
    }

    /// The number of bytes that the disk has filled in, or is expected to.
    pub(super) fn bytes(&self) -> u64 {
        self.filled_in + self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_while_they_are_of_use() {
        let layout = Layout::of((256 << 10) + 100).expect("two pieces");
        let (first, last) = (PieceIndex(0), PieceIndex(1));
        let mut ranges = KnownRanges::default();
        ranges.insert(first, 10..20);
        ranges.insert(last, 90..200);
        ranges.insert(PieceIndex(2), 0..5);
        let mut known = KnownBytes::default();
        known.extend(ranges.clone(), layout, |piece| piece.0 < 2);
        assert_eq!(
            (known.of(first), known.of(last), known.bytes()),
            (Runs::of(10..20), Runs::of(90..100), 20)
        );
        known.extend(ranges, layout, |piece| piece.0 < 2);
        assert_eq!(known.bytes(), 20, "the same once more");
        let mut rest = KnownRanges::default();
        rest.insert(last, 0..90);
        known.extend(rest, layout, |_| true);
        assert!(known.of(last).is_empty() && known.bytes() == 10, "a piece is never known as a whole");
        known.on_stored(first, 10);
        assert_eq!((known.filled_in(), known.bytes()), (10, 10));
        known.forget(first);
        assert_eq!(known.bytes(), 10);
    }
}
