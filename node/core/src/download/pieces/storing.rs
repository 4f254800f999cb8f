//! Pieces on their way to the disk. Each keeps its buffer until the disk has answered.

use std::collections::BTreeMap;

use messages::PieceIndex;

use crate::download::assembly::Assembly;
use crate::ids::{BufferId, SessionKey};

/// The reason why a piece for which the disk answers is here.
const HANDED_OVER: &str = "each piece is handed to the disk once, and the disk answers once";

/// A piece on its way to the disk.
#[derive(Debug)]
struct StoringPiece {
    buffer: BufferId,
    length: u32,
    /// How many of its bytes each session sent.
    contributions: Vec<(SessionKey, u32)>,
    /// Whether the disk had no room for the piece, which keeps its buffer until there is room.
    is_refused: bool,
}

/// A request to the disk to store a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreRequest {
    pub(super) piece: PieceIndex,
    pub(super) buffer: BufferId,
    pub(super) length: u32,
}

/// The pieces for which the disk has not answered, or which it has refused for want of room.
#[derive(Debug, Default)]
pub(super) struct StoringPieces(BTreeMap<PieceIndex, StoringPiece>);

impl StoringPieces {
    /// Whether there is no such piece.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of bytes of all these pieces.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|storing| u64::from(storing.length)).sum()
    }

    /// Takes in `piece` from its complete `assembly`. Returns the request for the disk.
    pub(super) fn insert(&mut self, piece: PieceIndex, assembly: &Assembly) -> StoreRequest {
        let (buffer, length) = (assembly.buffer(), assembly.length());
        let contributions = assembly.contributions().collect();
        let before = self.0.insert(piece, StoringPiece { buffer, length, contributions, is_refused: false });
        debug_assert!(before.is_none(), "a piece that is being stored is not begun again");
        StoreRequest { piece, buffer, length }
    }

    /// Records that the disk has no room for `piece`, which stays in its buffer.
    pub(super) fn on_refused(&mut self, piece: PieceIndex) {
        self.0.get_mut(&piece).expect(HANDED_OVER).is_refused = true;
    }

    /// Whether the disk has refused a piece for want of room.
    pub(super) fn has_refused(&self) -> bool {
        self.0.values().any(|storing| storing.is_refused)
    }

    /// Takes the refused pieces, to hand them to the disk again. Returns the requests for the disk.
    pub(super) fn take_refused(&mut self) -> Vec<StoreRequest> {
        let refused = self.0.iter_mut().filter(|(_, storing)| storing.is_refused);
        let again = refused.map(|(&piece, storing)| {
            storing.is_refused = false;
            StoreRequest { piece, buffer: storing.buffer, length: storing.length }
        });
        again.collect()
    }

    /// Whether `piece` is one of these.
    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        self.0.contains_key(&piece)
    }

    /// Removes `piece`, for which the disk has answered. Returns how many of its bytes each session sent.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        self.0.remove(&piece).expect(HANDED_OVER).contributions
    }

    /// Gives up the refused pieces. Returns their buffers.
    pub(super) fn abandon_refused(&mut self) -> impl Iterator<Item = BufferId> {
        self.0.extract_if(.., |_, storing| storing.is_refused).map(|(_, storing)| storing.buffer)
    }

    /// Whether `session` sent bytes of any of these pieces.
    pub(super) fn has_bytes_of(&self, session: SessionKey) -> bool {
        self.0.values().any(|storing| storing.contributions.iter().any(|(key, _)| *key == session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_piece_is_handed_over_again_and_keeps_its_buffer() {
        let (piece, session) = (PieceIndex(3), SessionKey(1));
        let mut assembly = Assembly::new(piece, 8, BufferId(5), session);
        assembly.place(session, 0, 8);
        let mut storing = StoringPieces::default();
        let request = storing.insert(piece, &assembly);
        assert_eq!(request, StoreRequest { piece, buffer: BufferId(5), length: 8 });
        assert!(storing.take_refused().is_empty() && storing.abandon_refused().next().is_none());
        storing.on_refused(piece);
        assert!(storing.has_refused() && storing.has_bytes_of(session));
        assert_eq!(storing.take_refused(), [request]);
        assert!(!storing.has_refused() && storing.bytes() == 8);
        assert_eq!(storing.remove(piece), [(session, 8)]);
        assert!(storing.is_empty());
    }
}
