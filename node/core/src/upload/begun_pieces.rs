//! The pieces that one session has begun in its slot, and how many bytes of each piece it may still ask for. A choked
//! session may finish the pieces that it has begun.

use std::collections::VecDeque;

use messages::PieceIndex;
use messages::node_to_node::ByteRange;

/// The largest number of begun pieces that are remembered of a session.
const MAX_BEGUN: usize = 32;

/// A piece that the session has begun.
#[derive(Clone, Copy, Debug)]
struct BegunPiece {
    piece: PieceIndex,
    /// How many bytes of the piece the session may still ask for.
    allowance: u32,
}

/// The begun pieces, the latest last.
#[derive(Debug, Default)]
pub(super) struct BegunPieces(VecDeque<BegunPiece>);

impl BegunPieces {
    /// Whether `range` is of a begun piece, and within its allowance.
    pub(super) fn allow(&self, range: ByteRange) -> bool {
        self.0.iter().any(|begun| begun.piece == range.piece() && begun.allowance >= range.length())
    }

    /// Records that `range`, of a piece with `piece_length` bytes, is queued. A piece that was not begun is begun now,
    /// and the oldest begun one may be forgotten.
    pub(super) fn on_queued(&mut self, range: ByteRange, piece_length: u32) {
        if let Some(begun) = self.0.iter_mut().find(|begun| begun.piece == range.piece()) {
            begun.allowance = begun.allowance.saturating_sub(range.length());
            return;
        }
        if self.0.len() == MAX_BEGUN {
            self.0.pop_front();
        }
        // The allowance is half as much again as the piece, because some of the piece is lost on the way and asked for
        // again.
        let allowance = (piece_length + piece_length / 2).saturating_sub(range.length());
        self.0.push_back(BegunPiece { piece: range.piece(), allowance });
    }

    /// The piece that was begun last.
    pub(super) fn latest(&self) -> Option<PieceIndex> {
        self.0.back().map(|begun| begun.piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(piece: u32, length: u32) -> ByteRange {
        ByteRange::new(PieceIndex(piece), 0, length).expect("a range")
    }

    #[test]
    fn one_and_a_half_times_a_piece_may_be_asked_for_once_it_is_begun() {
        let mut begun = BegunPieces::default();
        assert!(!begun.allow(range(7, 1)));
        begun.on_queued(range(7, 1000), 1000);
        assert!(begun.allow(range(7, 500)) && !begun.allow(range(7, 501)) && !begun.allow(range(8, 1)));
        begun.on_queued(range(7, 400), 1000);
        assert!(begun.allow(range(7, 100)) && !begun.allow(range(7, 101)));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut begun = BegunPieces::default();
        (0..=MAX_BEGUN as u32).for_each(|piece| begun.on_queued(range(piece, 10), 1000));
        assert!(!begun.allow(range(0, 10)) && begun.allow(range(1, 10)));
        assert_eq!((begun.0.len(), begun.latest()), (MAX_BEGUN, Some(PieceIndex(MAX_BEGUN as u32))));
    }
}
