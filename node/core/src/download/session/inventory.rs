//! What an owner can give: the pieces that it has announced, those that it prefers to be asked for, and those that it
//! has refused.

use std::time::Duration;

use messages::{Bits, Layout, PieceIndex, PieceRun, Timestamp};

use crate::download::hints::Hints;
use crate::download::remote_pieces::RemotePieces;

/// A complete owner is asked again after this long for a piece that it has refused, because a datagram may have been
/// damaged on its way.
const RETRY_REJECTED_AFTER: Duration = Duration::from_secs(2);
/// An owner that refuses requests this often is at fault.
const MAX_REJECTIONS: u32 = 8;

/// What follows for an owner from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The owner is not asked for that piece any more.
    Forgotten,
    /// The owner is at fault: it refuses what it must have, or refuses too often.
    Fault,
}

/// The pieces of one owner.
#[derive(Debug)]
pub(super) struct Inventory {
    pieces: RemotePieces,
    hints: Hints,
    rejections: u32,
    /// When a complete owner is asked again for what it has refused; never, if it has refused nothing.
    retries_rejected_at: Timestamp,
}

impl Inventory {
    /// The inventory of an owner of which nothing is known yet.
    pub(super) fn new() -> Inventory {
        Inventory {
            pieces: RemotePieces::nothing(0),
            hints: Hints::default(),
            rejections: 0,
            retries_rejected_at: Timestamp::NEVER,
        }
    }

    /// Takes in a WELCOME: the owner has `have` of the pieces of `layout`.
    pub(super) fn on_welcome(&mut self, have: u32, layout: Layout) {
        let complete = have >= layout.pieces();
        self.pieces =
            if complete { RemotePieces::Everything } else { RemotePieces::nothing(layout.pieces()) };
    }

    /// The pieces that the owner has.
    pub(super) fn pieces(&self) -> &RemotePieces {
        &self.pieces
    }

    /// The pieces that the owner prefers to be asked for.
    pub(super) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Whether the owner has every piece.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.pieces, RemotePieces::Everything)
    }

    /// Takes in a BITFIELD, which names pieces that the owner has. Returns the pieces that were not known before.
    pub(super) fn learn_bits(&mut self, bits: &Bits) -> Vec<PieceIndex> {
        self.pieces.learn_bits(bits)
    }

    /// Takes in a HAVE, which names pieces that the owner has now. Returns the pieces that were not known before.
    pub(super) fn learn_runs(&mut self, runs: &[PieceRun]) -> Vec<PieceIndex> {
        self.pieces.learn_runs(runs)
    }

    /// Takes in a HINT, which names the pieces that the owner prefers to be asked for.
    pub(super) fn learn_hints(&mut self, runs: &[PieceRun]) {
        self.hints.learn(runs);
    }

    /// Takes in a REJECT: the owner refuses a range of `piece`, of a content with `pieces` pieces.
    pub(super) fn on_rejected(&mut self, piece: PieceIndex, pieces: u32, now: Timestamp) -> Rejection {
        self.rejections += 1;
        if self.is_complete() {
            self.retries_rejected_at = now + RETRY_REJECTED_AFTER;
        }
        if piece == PieceIndex::OUTBOARD || self.rejections >= MAX_REJECTIONS {
            return Rejection::Fault;
        }
        self.pieces.forget(piece, pieces);
        Rejection::Forgotten
    }

    /// Forgets the refusals of a complete owner, when that is due, so that it is asked again.
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
        assert_eq!(Inventory::new().on_rejected(PieceIndex::OUTBOARD, 1, now), Rejection::Fault);
    }
}
