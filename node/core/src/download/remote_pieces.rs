//! Which pieces an owner has, as far as it has announced them.

use std::ops::Range;

use fixedbitset::FixedBitSet;
use messages::{Bits, PieceIndex, PieceRun};

/// The pieces of one owner.
#[derive(Debug)]
pub(crate) enum RemotePieces {
    /// The owner has all pieces.
    Everything,
    /// The owner has the pieces whose bit is set.
    Some(FixedBitSet),
}

impl RemotePieces {
    /// The owner has announced none of the content's `pieces` pieces yet.
    pub(crate) fn nothing(pieces: u32) -> RemotePieces {
        RemotePieces::Some(FixedBitSet::with_capacity(pieces as usize))
    }

    /// Whether the owner has `piece`.
    pub(crate) fn contains(&self, piece: PieceIndex) -> bool {
        match self {
            RemotePieces::Everything => true,
            RemotePieces::Some(pieces) => pieces.contains(piece.0 as usize),
        }
    }

    /// The number of pieces that the owner has, of a content with `all` pieces.
    pub(crate) fn count(&self, all: u32) -> u32 {
        match self {
            RemotePieces::Everything => all,
            RemotePieces::Some(pieces) => pieces.count_ones(..) as u32,
        }
    }

    /// The pieces of a partial owner. `None` means that the owner has all pieces.
    pub(crate) fn partial(&self) -> Option<impl Iterator<Item = PieceIndex>> {
        match self {
            RemotePieces::Everything => None,
            RemotePieces::Some(pieces) => Some(pieces.ones().map(|piece| PieceIndex(piece as u32))),
        }
    }

    /// Takes in a BITFIELD: the owner has the pieces whose bit is set. Bits beyond the content's pieces are ignored.
    /// Returns the pieces that were not known before.
    pub(crate) fn learn_bits(&mut self, bits: &Bits) -> Vec<PieceIndex> {
        let RemotePieces::Some(pieces) = self else {
            return Vec::new();
        };
        let all = pieces.len();
        let is_news = |piece: &PieceIndex| (piece.0 as usize) < all && !pieces.put(piece.0 as usize);
        bits.pieces().filter(is_news).collect()
    }

    /// Takes in a HAVE: the owner has the pieces of these runs. At most as many pieces are taken in as the content has,
    /// and known pieces are skipped a block at a time, so that an owner that repeats itself costs little work. Returns
    /// the pieces that were not known before.
    pub(crate) fn learn_runs(&mut self, runs: &[PieceRun]) -> Vec<PieceIndex> {
        let mut news = Vec::new();
        let RemotePieces::Some(pieces) = self else {
            return news;
        };
        let mut left = pieces.len() as u32;
        for run in runs {
            let (start, end) = (run.start().0, run.end().0.min(run.start().0.saturating_add(left)));
            left -= end - start;
            let known = pieces.len() as u32;
            let run = start.min(known) as usize..end.min(known) as usize;
            let before = news.len();
            news.extend(zeroes_in(pieces, run.clone()).map(|piece| PieceIndex(piece as u32)));
            if news.len() > before {
                pieces.insert_range(run);
            }
        }
        news
    }

    /// Records that the owner does not have `piece` after all, of a content with `all` pieces.
    pub(crate) fn forget(&mut self, piece: PieceIndex, all: u32) {
        if let RemotePieces::Everything = self {
            let mut pieces = FixedBitSet::with_capacity(all as usize);
            pieces.insert_range(..);
            *self = RemotePieces::Some(pieces);
        }
        if let RemotePieces::Some(pieces) = self
            && (piece.0 as usize) < pieces.len()
        {
            pieces.set(piece.0 as usize, false);
        }
    }
}

/// The bits of `bits` in `range` that are not set. A full block of bits is skipped in one step.
fn zeroes_in(bits: &FixedBitSet, range: Range<usize>) -> impl Iterator<Item = usize> {
    const BLOCK: usize = usize::BITS as usize;
    let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
    let zeroes = blocks.filter_map(|block| Some((block, !bits.as_slice().get(block)?)));
    let of_block = |(block, mut zeroes): (usize, usize)| {
        std::iter::from_fn(move || {
            let bit = (zeroes != 0).then_some(zeroes.trailing_zeros() as usize)?;
            zeroes &= zeroes - 1;
            Some(block * BLOCK + bit)
        })
    };
    zeroes.flat_map(of_block).filter(move |bit| range.contains(bit))
}

#[cfg(test)]
mod tests {
    use messages::limits::MAX_PIECES;
    use proptest::prelude::*;

    use super::*;

    fn run(first: u32, count: u32) -> PieceRun {
        PieceRun::new(PieceIndex(first), count).expect("a run")
    }

    fn pieces(run: Range<u32>) -> Vec<PieceIndex> {
        run.map(PieceIndex).collect()
    }

    #[test]
    fn announced_pieces_are_known_and_nothing_beyond_the_content() {
        let mut has = RemotePieces::nothing(10);
        has.learn_runs(&[run(3, 2), run(8, MAX_PIECES - 8)]);
        assert_eq!(has.learn_bits(&Bits::of(PieceIndex(0), 4, |piece| piece.0 != 2)), pieces(0..2));
        assert_eq!(has.learn_bits(&Bits::of(PieceIndex(8), 8, |_| true)), Vec::new(), "no news");
        assert_eq!(
            (0..12).filter(|&piece| has.contains(PieceIndex(piece))).collect::<Vec<_>>(),
            [0, 1, 3, 4, 8, 9]
        );
        has.forget(PieceIndex(4), 10);
        has.forget(PieceIndex(99), 10);
        assert!(!has.contains(PieceIndex(4)));
    }

    #[test]
    fn one_message_makes_no_more_work_than_the_content_has_pieces() {
        let mut has = RemotePieces::nothing(10);
        assert_eq!(has.learn_runs(&[run(0, 8), run(0, 8), run(9, 1)]), pieces(0..8));
        assert_eq!((0..10).filter(|&piece| has.contains(PieceIndex(piece))).count(), 8);
        assert_eq!(has.learn_runs(&[run(7, 2), run(9, 1)]), pieces(8..10));
        assert_eq!((0..10).filter(|&piece| has.contains(PieceIndex(piece))).count(), 10);
    }

    #[test]
    fn an_owner_of_everything_may_lack_one_piece() {
        let mut has = RemotePieces::Everything;
        has.forget(PieceIndex(4), 10);
        assert_eq!((0..10).filter(|&piece| !has.contains(PieceIndex(piece))).collect::<Vec<_>>(), [4]);
    }

    proptest! {
        #[test]
        fn what_is_not_set_is_found(
            set in prop::collection::vec(any::<bool>(), 0..300),
            from in 0usize..300,
            to in 0usize..300,
        ) {
            let ones = set.iter().enumerate().filter(|(_, is)| **is);
            let mut bits: FixedBitSet = ones.map(|(bit, _)| bit).collect();
            bits.grow(set.len());
            let range = from.min(set.len())..to.min(set.len());
            let naive: Vec<usize> = range.clone().filter(|bit| !set[*bit]).collect();
            prop_assert_eq!(zeroes_in(&bits, range).collect::<Vec<_>>(), naive);
        }

        /// Bits, runs and refusals in any order give the same result as a list of booleans.
        #[test]
        fn behaves_like_a_list_of_booleans(
            pieces in 1u32..200,
            all in any::<bool>(),
            steps in prop::collection::vec((0u8..3, 0u32..250, 0u32..60, any::<u64>()), 0..40),
        ) {
            let mut has = if all { RemotePieces::Everything } else { RemotePieces::nothing(pieces) };
            let mut list = vec![all; pieces as usize];
            for (what, first, count, bits) in steps {
                let news = match what {
                    0 => has.learn_runs(PieceRun::new(PieceIndex(first), count).as_slice()),
                    1 => has.learn_bits(&Bits::of(PieceIndex(first), 64, |piece| bits >> (piece.0 - first) & 1 == 1)),
                    _ => {
                        has.forget(PieceIndex(first), pieces);
                        Vec::new()
                    }
                };
                let before = list.clone();
                for (piece, is_there) in (0u32..).zip(&mut list) {
                    match what {
                        0 => *is_there |= (first..first + count).contains(&piece),
                        1 => {
                            let bit = piece.checked_sub(first).filter(|bit| *bit < 64);
                            *is_there |= bit.is_some_and(|bit| bits >> bit & 1 == 1);
                        }
                        _ => *is_there &= piece != first,
                    }
                }
                let known: Vec<bool> = (0..pieces).map(|piece| has.contains(PieceIndex(piece))).collect();
                prop_assert_eq!(known, list.clone());
                let came = |piece: &u32| list[*piece as usize] && !before[*piece as usize];
                prop_assert_eq!(news, (0..pieces).filter(came).map(PieceIndex).collect::<Vec<_>>());
            }
        }
    }
}
