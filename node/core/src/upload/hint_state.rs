//! The pieces that HINTs suggested to one session, and whether the session understands HINT.

use messages::PieceIndex;

/// The hints of one session.
#[derive(Debug)]
pub(super) struct HintState {
    /// Whether the session understands HINT.
    is_supported: bool,
    /// The pieces that the last HINT suggested.
    pieces: Vec<PieceIndex>,
}

impl HintState {
    /// The state of a session to which no HINT was sent yet.
    pub(super) fn new(is_supported: bool) -> HintState {
        HintState { is_supported, pieces: Vec::new() }
    }

    /// Whether the session understands HINT.
    pub(super) fn is_supported(&self) -> bool {
        self.is_supported
    }

    /// Sets whether the session understands HINT, which each HELLO tells.
    pub(super) fn set_supported(&mut self, is_supported: bool) {
        self.is_supported = is_supported;
    }

    /// Whether the session is to be pointed at more pieces: at most one of those at which it was pointed is still
    /// fresh.
    pub(super) fn wants_more(&self, is_fresh: impl Fn(PieceIndex) -> bool) -> bool {
        self.is_supported && self.pieces.iter().filter(|piece| is_fresh(**piece)).count() <= 1
    }

    /// Points the session at the pieces that `choose` returns for those at which it was pointed last.
    pub(super) fn update(
        &mut self,
        choose: impl FnOnce(Vec<PieceIndex>) -> Vec<PieceIndex>,
    ) -> &[PieceIndex] {
        self.pieces = choose(std::mem::take(&mut self.pieces));
        &self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_hints_are_wanted_when_all_pieces_but_one_are_taken() {
        let mut hints = HintState::new(true);
        assert!(hints.wants_more(|_| true), "it was pointed at nothing");
        assert_eq!(hints.update(|_| [1, 2, 3].map(PieceIndex).into()).len(), 3);
        assert!(
            !hints.wants_more(|piece| piece > PieceIndex(1))
                && hints.wants_more(|piece| piece > PieceIndex(2))
        );
        hints.set_supported(false);
        assert!(!hints.wants_more(|_| false), "it does not understand them");
    }
}
