//! How many of the partial owners in session have each piece, and which piece to fetch next from one of them: rarest
//! first.

use messages::{PieceIndex, PieceRun};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// A download chooses its first pieces, this many, among the rarest without regard to their order, so that it soon has
/// something to give that others lack (libtorrent's `initial_picker_threshold`: 4).
pub(super) const FIRST_PIECES: u32 = 4;
/// At most this many pieces are compared for one choice.
pub(super) const MAX_COMPARED: usize = 16_384;

/// The number of partial owners that have each piece. Complete owners are not counted, because they make no difference
/// between pieces.
#[derive(Debug, Default)]
pub(super) struct Availability {
    counts: Vec<u16>,
    /// Whether pieces are chosen one by one: there is a partial owner, or one that sends hints, or their order counts.
    is_partial: bool,
    is_stale: bool,
    /// Whether an owner has sent a HINT.
    is_hinted: bool,
    /// Whether pieces are chosen in the order of the content, however rare they are.
    is_sequential: bool,
}

impl Availability {
    /// The availability of `pieces` pieces, of which nothing is known yet. `is_sequential`: pieces are chosen in the order
    /// of the content.
    pub(super) fn new(pieces: u32, is_sequential: bool) -> Availability {
        let counts = vec![0; pieces as usize];
        Availability { counts, is_partial: is_sequential, is_stale: true, is_hinted: false, is_sequential }
    }

    /// Whether pieces are chosen in the order of the content.
    pub(super) fn is_sequential(&self) -> bool {
        self.is_sequential
    }

    /// Whether the pieces of the owners are to be counted anew.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Marks the counts as out of date, because an owner came, left, or does not have what it announced.
    pub(super) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Records that an owner has sent a HINT, which shows that other downloaders want pieces of this content.
    pub(super) fn on_hint(&mut self) {
        if !std::mem::replace(&mut self.is_hinted, true) {
            self.is_stale = true;
        }
    }

    /// Counts anew. `partial` yields the pieces of each partial owner.
    pub(super) fn count<'a, I: Iterator<Item = PieceIndex>>(
        &mut self,
        partial: impl Iterator<Item = I> + 'a,
    ) {
        self.counts.fill(0);
        (self.is_partial, self.is_stale) = (self.is_hinted || self.is_sequential, false);
        for owner in partial {
            self.is_partial = true;
            owner.for_each(|piece| self.add(piece));
        }
    }

    /// Counts `pieces`, which a partial owner has now and did not have before.
    pub(super) fn learn(&mut self, pieces: &[PieceIndex]) {
        pieces.iter().for_each(|&piece| self.add(piece));
    }

    fn add(&mut self, piece: PieceIndex) {
        if let Some(count) = self.counts.get_mut(piece.0 as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Whether pieces are chosen one by one: because there are partial owners, since which pieces are rare changes with
    /// each piece that is announced; or because their order counts.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The rarest piece of `free` for which `has` holds: the piece `next`, in the order of the file, if none is rarer,
    /// or else one at random. The first one where pieces are chosen in the order of the content.
    pub(super) fn rarest(
        &self,
        free: impl Iterator<Item = PieceRun>,
        has: impl Fn(PieceIndex) -> bool,
        next: Option<PieceIndex>,
        rng: &mut StdRng,
    ) -> Option<PieceIndex> {
        let mut able = free.flat_map(PieceRun::iter).filter(|&piece| has(piece));
        if self.is_sequential {
            return able.next();
        }
        let (mut rarest, mut ties, mut chosen, mut next_count) = (u16::MAX, 0u32, None, None);
        for piece in able.take(MAX_COMPARED) {
            let count = self.counts.get(piece.0 as usize).copied().unwrap_or(0);
            if next == Some(piece) {
                next_count = Some(count);
            }
            if count < rarest || chosen.is_none() {
                (rarest, ties, chosen) = (count, 1, Some(piece));
            } else if count == rarest {
                // Each of the equals is chosen with the same probability (reservoir sampling).
                ties += 1;
                if rng.random_range(0..ties) == 0 {
                    chosen = Some(piece);
                }
            }
        }
        next.filter(|_| next_count == Some(rarest)).or(chosen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    proptest! {
        /// The chosen piece is free, its owner has it, and no other such piece is rarer.
        #[test]
        fn nothing_rarer_is_left_for_later(
            owners in prop::collection::vec(prop::collection::vec(any::<bool>(), 40), 1..6),
            free in prop::collection::vec(any::<bool>(), 40),
            next in prop::option::of((0u32..40).prop_map(PieceIndex)),
            seed in any::<u64>(),
        ) {
            let mut availability = Availability::new(40, false);
            let pieces = |owner: &Vec<bool>| owner.iter().positions();
            availability.count(owners.iter().map(|owner| pieces(owner).into_iter()));
            prop_assert!(availability.is_partial());
            let count = |piece: PieceIndex| owners.iter().filter(|owner| owner[piece.0 as usize]).count();
            let able = |piece: &PieceIndex| free[piece.0 as usize] && owners[0][piece.0 as usize];
            let runs =
                (0..40).filter_map(|piece| PieceRun::new(PieceIndex(piece), free[piece as usize].into()));
            let mut rng = StdRng::seed_from_u64(seed);
            let chosen = availability.rarest(runs, |piece| owners[0][piece.0 as usize], next, &mut rng);
            let least = (0..40).map(PieceIndex).filter(able).map(count).min();
            prop_assert_eq!(chosen.map(count), least);
            prop_assert!(chosen.is_none_or(|piece| able(&piece)));
            if let Some(next) = next.filter(able).filter(|next| Some(count(*next)) == least) {
                prop_assert_eq!(chosen, Some(next));
            }
        }
    }

    trait Positions {
        fn positions(self) -> Vec<PieceIndex>;
    }

    impl<'a, I: Iterator<Item = &'a bool>> Positions for I {
        fn positions(self) -> Vec<PieceIndex> {
            self.enumerate().filter(|(_, is)| **is).map(|(at, _)| PieceIndex(at as u32)).collect()
        }
    }

    #[test]
    fn equals_are_chosen_alike() {
        let mut availability = Availability::new(8, false);
        availability.count([vec![PieceIndex(0), PieceIndex(1)].into_iter()].into_iter());
        let mut rng = StdRng::seed_from_u64(1);
        let mut chosen = [0; 8];
        for _ in 0..6000 {
            let piece = availability
                .rarest(PieceRun::new(PieceIndex(0), 8).into_iter(), |_| true, None, &mut rng)
                .expect("one");
            chosen[piece.0 as usize] += 1;
        }
        assert_eq!(chosen[..2], [0, 0], "not rare");
        assert!(chosen[2..].iter().all(|times| (850..1150).contains(times)), "{chosen:?}");
    }

    #[test]
    fn in_the_order_of_the_content_rarity_does_not_count() {
        let mut availability = Availability::new(8, true);
        availability.count(std::iter::once([PieceIndex(2), PieceIndex(3)].into_iter()));
        let mut rng = StdRng::seed_from_u64(1);
        let free = PieceRun::new(PieceIndex(1), 7);
        let mut first = |has: fn(PieceIndex) -> bool| {
            availability.rarest(free.into_iter(), has, Some(PieceIndex(7)), &mut rng)
        };
        assert_eq!(first(|_| true), Some(PieceIndex(1)));
        assert_eq!(first(|piece| piece.0 % 3 == 0), Some(PieceIndex(3)));
        availability.count(std::iter::empty::<std::iter::Empty<PieceIndex>>());
        assert!(availability.is_partial(), "no owner gets a range of its own");
    }
}
