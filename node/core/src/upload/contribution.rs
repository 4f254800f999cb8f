//! What one downloader does for the swarm with the pieces that it is given here. It is ranked by that where it can give
//! nothing to this node.

use messages::Timestamp;

use crate::meter::Meter;

/// What one session contributes.
#[derive(Debug)]
pub(super) struct Contribution {
    /// The bytes that others have now and that the session was the first to be given.
    passed_on: Meter,
    /// The number of pieces that the session was the first to be given.
    given_first: u32,
    /// Whether the session was asked for what this node lacked and gave nothing.
    gave_nothing: bool,
    /// Whether the session was snubbed when slots were last allocated: it is served only if nobody else wants to be.
    is_snubbed: bool,
}

impl Contribution {
    /// The contribution of a session that was given nothing yet.
    pub(super) fn new(now: Timestamp) -> Contribution {
        Contribution { passed_on: Meter::new(now), given_first: 0, gave_nothing: false, is_snubbed: false }
    }

    /// Records that others have `bytes` that the session was the first to be given. The session was `sent` this many
    /// bytes in total, and never counts as having passed on more than that.
    pub(super) fn on_passed_on(&mut self, bytes: u64, sent: u64, now: Timestamp) {
        self.passed_on.count(bytes.min(sent.saturating_sub(self.passed_on.total())), now);
    }

    /// The rate, in bytes a second, at which the session lately passed on what it was given here.
    pub(super) fn pass_on_rate(&self, now: Timestamp) -> u64 {
        self.passed_on.rate(now)
    }

    /// Records that the session is given a piece that nobody else has.
    pub(super) fn on_given_first(&mut self) {
        self.given_first += 1;
    }

    /// Sets whether the session has given nothing, when this node has all of the content.
    pub(super) fn set_gave_nothing(&mut self, gave_nothing: bool) {
        self.gave_nothing = gave_nothing;
    }

    /// Whether the session gave nothing when it was asked.
    pub(super) fn gave_nothing(&self) -> bool {
        self.gave_nothing
    }

    /// Whether the session gave nothing when it was asked, or was the first to be given at least `pieces` pieces and
    /// has passed on none of them.
    pub(super) fn keeps_all(&self, pieces: u32) -> bool {
        self.gave_nothing || (self.passed_on.total() == 0 && self.given_first >= pieces)
    }

    /// Sets whether the session is snubbed, when slots are allocated.
    pub(super) fn set_snubbed(&mut self, is_snubbed: bool) {
        self.is_snubbed = is_snubbed;
    }

    /// Whether the session was snubbed when slots were last allocated: it is served only if nobody else wants to be.
    pub(super) fn is_snubbed(&self) -> bool {
        self.is_snubbed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn praise_counts_for_no_more_than_was_sent() {
        let mut contribution = Contribution::new(Timestamp::ZERO);
        contribution.on_passed_on(1000, 600, Timestamp::ZERO);
        contribution.on_passed_on(1000, 900, Timestamp::ZERO);
        assert_eq!(contribution.passed_on.total(), 900);
    }

    #[test]
    fn a_session_that_was_given_pieces_first_and_passed_on_none_keeps_all() {
        let mut contribution = Contribution::new(Timestamp::ZERO);
        (0..3).for_each(|_| contribution.on_given_first());
        assert!(contribution.keeps_all(3) && !contribution.keeps_all(4));
        contribution.on_passed_on(1, 1, Timestamp::ZERO);
        assert!(!contribution.keeps_all(3));
        contribution.set_gave_nothing(true);
        assert!(contribution.keeps_all(3));
    }
}
