//! The pieces that an owner prefers to be asked for, because it gives them to nobody else.

use messages::{PieceIndex, PieceRun};

/// At most this many runs are remembered.
const MAX_RUNS: usize = 32;
/// At most this many pieces of a run are looked at.
const MAX_NAMED: usize = 64;

/// The hints of one owner.
#[derive(Debug, Default)]
pub(crate) struct Hints(Vec<PieceRun>);

impl Hints {
    /// Takes in a HINT, which names `runs` of pieces.
    pub(crate) fn learn(&mut self, runs: &[PieceRun]) {
        self.0.extend(runs);
        let old = self.0.len().saturating_sub(MAX_RUNS);
        self.0.drain(..old);
    }

    /// Whether the owner has sent any hint.
    pub(crate) fn are_given(&self) -> bool {
        !self.0.is_empty()
    }

    /// The first of the hinted pieces for which `wanted` holds.
    pub(crate) fn first(&self, wanted: impl Fn(PieceIndex) -> bool) -> Option<PieceIndex> {
        self.0.iter().flat_map(|run| run.iter().take(MAX_NAMED)).find(|&piece| wanted(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hinted_pieces_come_first_and_the_latest_hints_are_remembered() {
        let run = |first, count| PieceRun::new(PieceIndex(first), count).expect("a run");
        let mut hints = Hints::default();
        assert_eq!(hints.first(|_| true), None);
        hints.learn(&[run(8, 2), run(1, 1)]);
        assert_eq!(
            (hints.first(|_| true), hints.first(|piece| piece.0 < 8)),
            (Some(PieceIndex(8)), Some(PieceIndex(1)))
        );
        (0..100).for_each(|piece| hints.learn(&[run(piece, 1)]));
        assert_eq!((hints.0.len(), hints.first(|_| true)), (MAX_RUNS, Some(PieceIndex(68))));
    }
}
