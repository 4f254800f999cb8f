//! What of a content is to be fetched, and what of it the disk has already.

use std::collections::BTreeMap;
use std::ops::Range;

use messages::{PieceIndex, PieceRun};

use crate::runs::Runs;

/// Which pieces of a content are to be fetched, and what of them the disk has already. A later plan adds to the one
/// before, and takes nothing back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// The pieces that are wanted, whether they are here or not. Some of them may have been wanted before.
    pub wanted: WantedPieces,
    /// The pieces that are verified and stored in the part file, from before or because the disk has put them together
    /// from what is at the target: ascending runs with a gap between any two.
    pub have: Vec<PieceRun>,
    /// The ranges of wanted pieces which need not be fetched.
    pub known: KnownRanges,
    /// The bytes that the disk wants to see before it plans on.
    pub preview: Option<Preview>,
}

/// The first bytes of a wanted piece that has not been begun. They are fetched before the rest, and the disk may read
/// them unverified with [`DiskRequest::Preview`](crate::DiskRequest::Preview): of the piece with the end of a folder's index
/// the rest may be known once the index is read. It may happen that a piece is fetched as a whole all the same; then the
/// disk plans on when the piece is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The piece.
    pub piece: PieceIndex,
    /// The number of bytes.
    pub length: u32,
}

impl FetchPlan {
    /// The plan that wants all of a content, of which the pieces `have` are here.
    #[must_use]
    pub fn of_all(have: Vec<PieceRun>) -> FetchPlan {
        FetchPlan { wanted: WantedPieces::All, have, known: KnownRanges::default(), preview: None }
    }
}

/// Which pieces of a content are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedPieces {
    /// All of them.
    All,
    /// These, until another plan names more.
    Only(Vec<PieceRun>),
}

/// The ranges of wanted pieces whose bytes the disk fills in itself, when the piece is handed over with
/// [`DiskRequest::Store`](crate::DiskRequest::Store). These bytes are expected to be right, but only the hash of the whole
/// piece proves that. A piece of which all bytes are known is verified by the disk, and stands in [`FetchPlan::have`];
/// when it stands here, it is fetched as if nothing of it were known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownRanges(BTreeMap<PieceIndex, Runs>);

impl KnownRanges {
    /// Whether there is no such range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the bytes of `range`, which counts from the beginning of `piece`.
    pub fn insert(&mut self, piece: PieceIndex, range: Range<u32>) {
        if !range.is_empty() {
            self.0.entry(piece).or_default().insert(range);
        }
    }

    /// The ranges of `piece`: ascending, with a gap between any two.
    pub fn of(&self, piece: PieceIndex) -> impl Iterator<Item = Range<u32>> {
        self.0.get(&piece).into_iter().flat_map(Runs::iter)
    }

    /// The pieces, ascending, and the ranges of each.
    pub(crate) fn into_pieces(self) -> impl Iterator<Item = (PieceIndex, Runs)> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_piece_that_touch_are_one() {
        let mut known = KnownRanges::default();
        known.insert(PieceIndex(3), 5..5);
        assert!(known.is_empty());
        known.insert(PieceIndex(3), 10..20);
        known.insert(PieceIndex(3), 0..5);
        known.insert(PieceIndex(3), 5..7);
        known.insert(PieceIndex(1), 1..2);
        assert_eq!(known.of(PieceIndex(3)).collect::<Vec<_>>(), [0..7, 10..20]);
        assert_eq!(known.of(PieceIndex(2)).count(), 0);
    }
}
