//! A run of consecutive pieces.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::MAX_PIECES;
use crate::piece::PieceIndex;

/// The pieces from `start` up to `end`, without `end`; never empty, never beyond [`MAX_PIECES`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PieceRun {
    start: PieceIndex,
    end: PieceIndex,
}

impl PieceRun {
    /// The run of `count` pieces from `first` on; `None` when it is empty or reaches beyond [`MAX_PIECES`].
    #[must_use]
    pub fn new(first: PieceIndex, count: u32) -> Option<PieceRun> {
        PieceRun::between(first, PieceIndex(first.0.checked_add(count)?))
    }

    /// The run from `start` up to `end`, without `end`; `None` when it is empty or reaches beyond [`MAX_PIECES`].
    #[must_use]
    pub fn between(start: PieceIndex, end: PieceIndex) -> Option<PieceRun> {
        (start < end && end.0 <= MAX_PIECES).then_some(PieceRun { start, end })
    }

    /// The runs that ascending `pieces` make, ascending and with a gap between any two of them. Pieces that no content
    /// has are left out.
    pub fn runs_of(pieces: impl IntoIterator<Item = PieceIndex>) -> Vec<PieceRun> {
        let mut runs: Vec<PieceRun> = Vec::new();
        for single in pieces.into_iter().filter_map(|piece| PieceRun::new(piece, 1)) {
            match runs.last_mut().and_then(|run| Some((run.joined(single)?, run))) {
                Some((joined, run)) => *run = joined,
                None => runs.push(single),
            }
        }
        runs
    }

    /// This run and `next` as one, where `next` begins where this one ends.
    #[must_use]
    pub fn joined(self, next: PieceRun) -> Option<PieceRun> {
        (self.end == next.start).then_some(PieceRun { start: self.start, end: next.end })
    }

    /// Its first piece.
    #[must_use]
    pub const fn start(self) -> PieceIndex {
        self.start
    }

    /// The piece behind its last one.
    #[must_use]
    pub const fn end(self) -> PieceIndex {
        self.end
    }

    /// How many pieces it has; at least one.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.end.0 - self.start.0
    }

    /// Whether `piece` is in it.
    #[must_use]
    pub fn contains(self, piece: PieceIndex) -> bool {
        (self.start..self.end).contains(&piece)
    }

    /// Its pieces, ascending.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PieceIndex> + ExactSizeIterator {
        (self.start.0..self.end.0).map(PieceIndex)
    }
}

impl fmt::Debug for PieceRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A run as people's formats show it.
#[derive(Serialize, Deserialize)]
#[serde(rename = "PieceRun")]
struct Ends {
    start: PieceIndex,
    end: PieceIndex,
}

/// On the wire a run is its first piece and how many it has; where people read it, its two ends.
impl Serialize for PieceRun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Ends { start: self.start, end: self.end }.serialize(serializer)
        } else {
            (self.start, self.count()).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for PieceRun {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PieceRun, D::Error> {
        let run = if deserializer.is_human_readable() {
            let Ends { start, end } = Ends::deserialize(deserializer)?;
            PieceRun::between(start, end)
        } else {
            let (first, count) = <(PieceIndex, u32)>::deserialize(deserializer)?;
            PieceRun::new(first, count)
        };
        run.ok_or_else(|| D::Error::custom("no such run of pieces"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_its_first_piece_and_not_its_end() {
        let run = PieceRun::new(PieceIndex(5), 3).expect("a run");
        assert_eq!((run.start(), run.end(), run.count()), (PieceIndex(5), PieceIndex(8), 3));
        assert_eq!(run.iter().collect::<Vec<_>>(), [5, 6, 7].map(PieceIndex));
        assert_eq!([4, 5, 7, 8].map(|piece| run.contains(PieceIndex(piece))), [false, true, true, false]);
        assert_eq!(PieceRun::between(PieceIndex(5), PieceIndex(8)), Some(run));
    }

    #[test]
    fn no_run_is_empty_or_beyond_the_pieces() {
        let between = |start, end| PieceRun::between(PieceIndex(start), PieceIndex(end));
        assert_eq!([between(3, 3), between(4, 3), between(0, MAX_PIECES + 1)], [None; 3]);
        assert_eq!(between(0, MAX_PIECES).map(PieceRun::count), Some(MAX_PIECES));
        assert_eq!(PieceRun::new(PieceIndex::OUTBOARD, 1), None);
    }

    #[test]
    fn neighbours_make_one_run() {
        let runs = PieceRun::runs_of([1, 2, 3, 7, 9, 10].map(PieceIndex));
        let ends: Vec<_> = runs.iter().map(|run| (run.start().0, run.end().0)).collect();
        assert_eq!(ends, [(1, 4), (7, 8), (9, 11)]);
    }
}
