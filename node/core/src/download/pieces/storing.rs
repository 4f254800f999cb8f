//! Pieces on their way to the disk. Each keeps its buffer until the disk has answered.

use std::collections::BTreeMap;

use messages::PieceIndex;

use crate::download::assembly::Assembly;
use crate::ids::{BufferId, SessionKey};
use crate::runs::Runs;

/// The reason why a piece for which the disk answers is here.
const HANDED_OVER: &str = "each piece is handed to the disk once, and the disk answers once";

/// A piece on its way to the disk.
#[derive(Debug)]
struct StoringPiece {
    buffer: BufferId,
    length: u32,
    /// The ranges that the disk fills in.
    known: Runs,
    /// How many of its bytes each session sent.
    contributions: Vec<(SessionKey, u32)>,
    /// Whether the disk had no room for the piece, which keeps its buffer until there is room.
    is_refused: bool,
}

/// A request to the disk to store a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreRequest {
    pub(super) piece: PieceIndex,
    pub(super) buffer: BufferId,
    pub(super) length: u32,
    /// The ranges that the disk fills in.
    pub(super) known: Runs,
}

/// What is known of a piece for which the disk has answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// How many of its bytes each session sent.
    pub(super) contributions: Vec<(SessionKey, u32)>,
    /// The number of its bytes that the disk has filled in.
    pub(super) filled_in: u32,
}

impl StoringPiece {
    fn request(&self, piece: PieceIndex) -> StoreRequest {
        StoreRequest { piece, buffer: self.buffer, length: self.length, known: self.known.clone() }
    }
}

/// The pieces for which the disk has not answered, or which it has refused for want of room.
#[derive(Debug, Default)]
pub(super) struct StoringPieces(BTreeMap<PieceIndex, StoringPiece>);

impl StoringPieces {
    /// Whether there is no such piece.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of bytes of all these pieces that were fetched.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|storing| u64::from(storing.length - storing.known.len())).sum()
    }

    /// Takes in `piece` from its complete `assembly`. Returns the request for the disk.
    pub(super) fn insert(&mut self, piece: PieceIndex, assembly: &Assembly) -> StoreRequest {
        let (buffer, length, known) = (assembly.buffer(), assembly.length(), assembly.known().clone());
        let contributions = assembly.contributions().collect();
        let storing = StoringPiece { buffer, length, known, contributions, is_refused: false };
        let request = storing.request(piece);
        let before = self.0.insert(piece, storing);
        debug_assert!(before.is_none(), "a piece that is being stored is not begun again");
        request
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
            storing.request(piece)
        });
        again.collect()
    }

    /// Whether `piece` is one of these.
    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        self.0.contains_key(&piece)
    }

    /// Removes `piece`, for which the disk has answered.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> Stored {
        let StoringPiece { contributions, known, .. } = self.0.remove(&piece).expect(HANDED_OVER);
        Stored { contributions, filled_in: known.len() }
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
        let mut assembly = Assembly::new(piece, 8, BufferId(5), session).with_known(Runs::of(2..4));
        assembly.place(session, 0, 8);
        let mut storing = StoringPieces::default();
        let request = storing.insert(piece, &assembly);
        let known = Runs::of(2..4);
        assert_eq!(request, StoreRequest { piece, buffer: BufferId(5), length: 8, known });
        assert!(storing.take_refused().is_empty() && storing.abandon_refused().next().is_none());
        storing.on_refused(piece);
        assert!(storing.has_refused() && storing.has_bytes_of(session));
        assert_eq!(storing.take_refused(), [request]);
        assert!(!storing.has_refused() && storing.bytes() == 6);
        assert_eq!(storing.remove(piece), Stored { contributions: vec![(session, 6)], filled_in: 2 });
        assert!(storing.is_empty());
    }
}
