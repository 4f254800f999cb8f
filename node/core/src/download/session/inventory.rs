//! What an owner can give: the pieces that it has told of, those that it would rather give, and what it refused all
//! the same.

use std::time::Duration;

use messages::{Bits, Layout, PieceIndex, PieceRun, Timestamp};

use crate::download::hints::Hints;
use crate::download::remote_pieces::RemotePieces;

/// What a complete owner refused is asked of it again after this long: a datagram may have been damaged on its way.
const RETRY_REJECTED_AFTER: Duration = Duration::from_secs(2);
/// An owner that refuses what it said it has this often is at fault.
const MAX_REJECTIONS: u32 = 8;

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The owner is not asked for that piece any more.
    Forgotten,
    /// The owner refuses what it must have, or refuses too often.
    Fault,
}

/// The pieces of one owner.
#[derive(Debug)]
pub(super) struct Inventory {
    pieces: RemotePieces,
    hints: Hints,
    rejections: u32,
    /// When a complete owner is asked again for what it has refused; never, while nothing was refused.
    retries_rejected_at: Timestamp,
}

impl Inventory {
    /// Nothing is known yet.
    pub(super) fn new() -> Inventory {
        Inventory {
            pieces: RemotePieces::nothing(0),
            hints: Hints::default(),
            rejections: 0,
            retries_rejected_at: Timestamp::NEVER,
        }
    }

    /// WELCOME: the owner has `have` of the pieces of `layout`.
    pub(super) fn on_welcome(&mut self, have: u32, layout: Layout) {
        let complete = have >= layout.pieces();
        self.pieces =
            if complete { RemotePieces::Everything } else { RemotePieces::nothing(layout.pieces()) };
    }

    /// The pieces.
    pub(super) fn pieces(&self) -> &RemotePieces {
        &self.pieces
    }

    /// The pieces that the owner would rather give.
    pub(super) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Whether the owner has every piece.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.pieces, RemotePieces::Everything)
    }

    /// BITFIELD: pieces that the owner has. Those that were news.
    pub(super) fn learn_bits(&mut self, bits: &Bits) -> Vec<PieceIndex> {
        self.pieces.learn_bits(bits)
    }

    /// HAVE: pieces that the owner has now. Those that were news.
    pub(super) fn learn_runs(&mut self, runs: &[PieceRun]) -> Vec<PieceIndex> {
        self.pieces.learn_runs(runs)
    }

    /// HINT: these pieces are better asked for than others.
    pub(super) fn learn_hints(&mut self, runs: &[PieceRun]) {
        self.hints.learn(runs);
    }

    /// REJECT: the owner refuses a range of `piece`, of a content of `pieces` pieces.
    pub(super) fn on_rejected(&mut self, piece: PieceIndex, pieces: u32, now: Timestamp) -> Rejection {
        self.rejections += 1;
        if self.is_complete() {
            self.retries_rejected_at = now + RETRY_REJECTED_AFTER;
        }
        if piece == PieceIndex::MANIFEST || self.rejections >= MAX_REJECTIONS {
            return Rejection::Fault;
        }
        self.pieces.forget(piece, pieces);
        Rejection::Forgotten
    }

    /// What a complete owner has refused is asked of it again, when that is due.
    pub(super) fn retry_rejected(&mut self, now: Timestamp) {
        if now >= self.retries_rejected_at {
            self.retries_rejected_at = Timestamp::NEVER;
            self.pieces = RemotePieces::Everything;
        }
    }

    /// When [`Inventory::retry_rejected`] has something to do.
    pub(super) fn next_at(&self) -> Timestamp {
        self.retries_rejected_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_owner_that_refuses_is_asked_again_and_one_that_refuses_often_is_at_fault() {
        let (mut inventory, now) = (Inventory::new(), Timestamp::ZERO);
        let layout = Layout::of(1 << 20).expect("a short content");
        let pieces = layout.pieces();
        inventory.on_welcome(pieces, layout);
        assert_eq!(inventory.on_rejected(PieceIndex(0), pieces, now), Rejection::Forgotten);
        assert!(!inventory.is_complete() && !inventory.pieces().contains(PieceIndex(0)));
        inventory.retry_rejected(now);
        assert!(!inventory.is_complete(), "not yet");
        assert_eq!(inventory.next_at(), now + RETRY_REJECTED_AFTER);
        inventory.retry_rejected(now + RETRY_REJECTED_AFTER);
        assert!(inventory.is_complete() && inventory.next_at() == Timestamp::NEVER);
        let last = (2..=MAX_REJECTIONS).map(|_| inventory.on_rejected(PieceIndex(0), pieces, now)).last();
        assert_eq!(last, Some(Rejection::Fault));
        assert_eq!(Inventory::new().on_rejected(PieceIndex::MANIFEST, 1, now), Rejection::Fault);
    }
}
