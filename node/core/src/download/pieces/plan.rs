//! What follows for the pieces of a content from a further plan of the disk.

use fixedbitset::FixedBitSet;
use messages::{Layout, PieceIndex, PieceRun};

use super::Pieces;
use crate::fetch_plan::{FetchPlan, WantedPieces};
use crate::ids::BufferId;

/// What follows from a further plan.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    /// The pieces that are here now and were not before, ascending.
    pub(crate) here: Vec<PieceIndex>,
    /// The buffers of begun pieces that are here now.
    pub(crate) buffers: Vec<BufferId>,
}

impl Pieces {
    /// Takes in a further `plan`: more is wanted, or is here.
    pub(crate) fn extend(&mut self, plan: FetchPlan) -> Extended {
        let mut extended = Extended::default();
        for piece in pieces_in(&bits_of(&plan.have, self.layout)) {
            // The disk answers for each piece that it has been handed.
            let is_at_disk = self.storing.contains(piece) || self.preview.is_reading(Some(piece));
            if is_at_disk || self.have.put(piece.0 as usize) {
                continue;
            }
            self.verified += u64::from(self.layout.piece_length(piece));
            self.known.forget(piece);
            extended.here.push(piece);
            match self.assemblies.remove(&piece) {
                Some(assembly) => extended.buffers.push(assembly.buffer()),
                None if self.wanted.contains(piece.0 as usize) => self.picker.take(piece),
                None => {}
            }
        }
        for piece in pieces_in(&wanted_bits(&plan.wanted, self.layout)) {
            let is_new = !self.wanted.put(piece.0 as usize);
            if is_new && !self.have.contains(piece.0 as usize) {
                self.picker.put_back(piece);
            }
        }
        // What is known of a piece that has been begun is of use when that is begun anew.
        self.known.extend(plan.known, self.layout, |piece| {
            let is = |bits: &FixedBitSet| bits.contains(piece.0 as usize);
            is(&self.wanted) && !is(&self.have)
        });
        plan.preview.into_iter().for_each(|preview| self.want_preview(preview));
        self.is_changed = true;
        extended
    }

    /// Fetches all of `piece` from now on, because what was known of it may be wrong.
    pub(crate) fn forget_known(&mut self, piece: PieceIndex) {
        self.known.forget(piece);
    }
}

/// The pieces that are wanted.
pub(super) fn wanted_bits(wanted: &WantedPieces, layout: Layout) -> FixedBitSet {
    match wanted {
        WantedPieces::All => bits_of(PieceRun::new(PieceIndex(0), layout.pieces()).as_slice(), layout),
        WantedPieces::Only(runs) => bits_of(runs, layout),
    }
}

fn pieces_in(bits: &FixedBitSet) -> impl Iterator<Item = PieceIndex> {
    bits.ones().map(|piece| PieceIndex(piece as u32))
}

/// The pieces of `runs`, as far as the content has them.
pub(super) fn bits_of(runs: &[PieceRun], layout: Layout) -> FixedBitSet {
    let mut bits = FixedBitSet::with_capacity(layout.pieces() as usize);
    for run in runs {
        bits.insert_range(run.start().0 as usize..run.end().0.min(layout.pieces()) as usize);
    }
    bits
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use messages::Outboard;

    use super::*;
    use crate::fetch_plan::KnownRanges;
    use crate::ids::{DownloadId, SessionKey};

    const PIECE: u64 = 256 << 10;

    fn run(first: u32, count: u32) -> PieceRun {
        PieceRun::new(PieceIndex(first), count).expect("a run")
    }

    fn plan(have: Vec<PieceRun>, wanted: Vec<PieceRun>) -> FetchPlan {
        FetchPlan { wanted: WantedPieces::Only(wanted), ..FetchPlan::of_all(have) }
    }

    fn pieces(plan: FetchPlan) -> Pieces {
        let layout = Layout::of(9 * PIECE + 1).expect("ten pieces");
        Pieces::new(DownloadId(1), Arc::new(Outboard::imagined(layout, "test")), plan, false)
    }

    fn missing(pieces: &Pieces) -> Vec<u32> {
        pieces.picker.pieces().map(|piece| piece.0).collect()
    }

    #[test]
    fn only_what_is_wanted_and_not_here_is_missing() {
        let all = pieces(FetchPlan::of_all(vec![run(0, 4)]));
        assert_eq!(missing(&all), [4, 5, 6, 7, 8, 9]);
        assert!(all.wants_all() && !all.is_complete());
        let some = pieces(plan(vec![run(0, 4)], vec![run(3, 2), run(9, 1)]));
        assert_eq!(missing(&some), [4, 9]);
        assert!(!some.wants_all());
        assert_eq!(some.wanted_bytes(), 5 * PIECE + 1, "what is here counts too");
        assert!(pieces(FetchPlan::of_all(vec![run(0, 10)])).is_complete());
    }

    #[test]
    fn more_may_be_wanted_later_and_what_is_here_is_not_fetched_again() {
        let mut pieces = pieces(plan(vec![run(5, 1)], vec![run(0, 1)]));
        assert_eq!(missing(&pieces), [0]);
        pieces.picker.take(PieceIndex(0));
        pieces.forget_changes();
        // What is wanted already is not wanted twice, and nothing follows from pieces that do not exist.
        pieces.extend(plan(vec![], vec![run(0, 1), run(4, 3), run(9, 5)]));
        assert_eq!(missing(&pieces), [4, 6, 9]);
        assert!(pieces.is_changed());
        pieces.extend(plan(vec![], vec![run(4, 3)]));
        assert_eq!(missing(&pieces), [4, 6, 9]);
        pieces.have.insert(0);
        [4, 6, 9].into_iter().for_each(|piece| pieces.picker.take(PieceIndex(piece)));
        assert!(pieces.is_complete() && !pieces.wants_all());
    }

    #[test]
    fn a_begun_piece_that_the_disk_has_put_together_is_not_fetched() {
        let mut pieces = pieces(plan(vec![], vec![run(0, 3)]));
        pieces.picker.take(PieceIndex(1));
        let begun = pieces.begun(PieceIndex(1), BufferId(4), SessionKey(1), false);
        pieces.assemblies.insert(PieceIndex(1), begun);
        let Extended { here, buffers } = pieces.extend(plan(vec![run(0, 2), run(7, 1)], vec![]));
        assert_eq!(here, [0, 1, 7].map(PieceIndex));
        assert_eq!(buffers, [BufferId(4)]);
        assert_eq!((missing(&pieces), pieces.verified()), (vec![2], 3 * PIECE));
        assert!(pieces.extend(plan(vec![run(0, 2)], vec![])).here.is_empty(), "once is enough");
    }

    #[test]
    fn what_is_known_is_not_fetched_but_by_an_owner_on_parole_or_when_it_may_be_wrong() {
        let mut known = KnownRanges::default();
        known.insert(PieceIndex(2), 0..100);
        known.insert(PieceIndex(5), 0..100);
        let mut pieces = pieces(FetchPlan { known, ..plan(vec![run(1, 1)], vec![run(1, 2)]) });
        assert_eq!(pieces.wanted_bytes() - pieces.known_bytes(), 2 * PIECE - 100, "the other is not wanted");
        let (piece, buffer, session) = (PieceIndex(2), BufferId(4), SessionKey(1));
        let begun = |pieces: &Pieces, on_parole| {
            let assembly = pieces.begun(piece, buffer, session, on_parole);
            (assembly.known().len(), assembly.claimed_by(session), assembly.only())
        };
        let all = PIECE as u32;
        assert_eq!(begun(&pieces, false), (100, all - 100, None));
        assert_eq!(begun(&pieces, true), (0, all, Some(session)), "nobody else may be wrong");
        pieces.forget_known(piece);
        assert_eq!(begun(&pieces, false), (0, all, None));
        assert_eq!(pieces.known_bytes(), 0);
    }
}
