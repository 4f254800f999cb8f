//! What an owner would rather give than other pieces: what nobody else gets from it.

use messages::{PieceIndex, PieceRun};

/// No more runs than this are remembered.
const MAX_RUNS: usize = 32;
/// No more pieces of a run than this are looked at.
const MAX_NAMED: usize = 64;

/// The hints of one owner.
#[derive(Debug, Default)]
pub(crate) struct Hints(Vec<PieceRun>);

impl Hints {
    /// HINT: `runs` before others.
    pub(crate) fn learn(&mut self, runs: &[PieceRun]) {
        self.0.extend(runs);
        let old = self.0.len().saturating_sub(MAX_RUNS);
        self.0.drain(..old);
    }

    /// Whether there was any.
    pub(crate) fn are_given(&self) -> bool {
        !self.0.is_empty()
    }

    /// The first of the pieces it would rather give that is `wanted`.
    pub(crate) fn first(&self, wanted: impl Fn(PieceIndex) -> bool) -> Option<PieceIndex> {
        self.0.iter().flat_map(|run| run.iter().take(MAX_NAMED)).find(|&piece| wanted(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_first_and_the_latest_are_remembered() {
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
