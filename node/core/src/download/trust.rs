//! How far a download trusts one owner, judged by the pieces to which it contributed.
//!
//! ```text
//!   trusted ──a bad piece it had a part in──▶ on parole ──a whole piece verifies──▶ trusted
//!                                                │ its second bad piece
//!                                                ▼
//!                                             banned: asked only for what nobody else has
//! ```
//! This follows libtorrent's parole mode. A downloader that holds no block hashes cannot tell which of several senders
//! lied. On parole each owner sends whole pieces, so that the next bad piece has one sender.

use std::time::Duration;

use messages::Timestamp;

/// An owner is banned after this many bad pieces that it alone sent.
const BAD_PIECES: u32 = 2;
/// The first ban lasts this long, and each further one twice as long as the one before.
const BAN: Duration = Duration::from_secs(600);
/// The length of a ban doubles at most this often.
const MAX_DOUBLINGS: u32 = 6;
/// After this many good pieces in a row one bad piece is forgiven, because on a long path some bits flip by themselves.
const FORGIVEN_AFTER: u32 = 32;

/// What follows for an owner from a bad piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrustVerdict {
    /// The owner gives one whole piece at a time, until one verifies.
    Parole,
    /// The owner is asked, for a time, only for what nobody else has.
    Ban,
}

/// What is known of one owner's honesty.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// How many bad pieces came from the owner alone.
    bad: u32,
    /// How many good pieces came since the last bad one.
    good: u32,
    bans: u32,
    on_parole: bool,
    banned_until: Timestamp,
}

impl Trust {
    /// Whether the owner gives one whole piece at a time.
    pub(super) fn on_parole(&self) -> bool {
        self.on_parole
    }

    /// Until when the owner is asked only for what nobody else has.
    pub(super) fn banned_until(&self) -> Timestamp {
        self.banned_until
    }

    /// Records that a piece to which the owner contributed did not verify. `alone` tells whether the owner sent all of
    /// it.
    pub(super) fn on_bad_piece(&mut self, alone: bool, now: Timestamp) -> TrustVerdict {
        self.on_parole = true;
        self.good = 0;
        self.bad += u32::from(alone);
        if self.bad < BAD_PIECES {
            return TrustVerdict::Parole;
        }
        self.ban(now);
        TrustVerdict::Ban
    }

    /// Bans an owner that is certain to be at fault.
    pub(super) fn ban(&mut self, now: Timestamp) {
        self.banned_until = now + BAN * 2u32.pow(self.bans.min(MAX_DOUBLINGS));
        self.bans += 1;
        self.on_parole = true;
        // One more bad piece leads to the next ban.
        self.bad = BAD_PIECES - 1;
    }

    /// Records that a piece to which the owner contributed has verified. `alone` tells whether the owner sent all of
    /// it. Returns whether that ends its parole.
    pub(super) fn on_good_piece(&mut self, alone: bool) -> bool {
        self.good += 1;
        if self.good == FORGIVEN_AFTER {
            self.good = 0;
            self.bad = self.bad.saturating_sub(1);
        }
        alone && std::mem::take(&mut self.on_parole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    #[test]
    fn two_bad_pieces_of_its_own_are_a_ban_and_each_ban_is_longer() {
        let mut trust = Trust::default();
        assert_eq!(trust.on_bad_piece(false, NOW), TrustVerdict::Parole);
        assert_eq!(trust.on_bad_piece(true, NOW), TrustVerdict::Parole);
        assert_eq!(trust.on_bad_piece(true, NOW), TrustVerdict::Ban);
        assert_eq!(trust.banned_until(), NOW + BAN);
        assert_eq!(trust.on_bad_piece(true, NOW), TrustVerdict::Ban, "once is enough from now on");
        assert_eq!(trust.banned_until(), NOW + BAN * 2);
    }

    #[test]
    fn parole_ends_with_a_whole_piece_only() {
        let mut trust = Trust::default();
        trust.on_bad_piece(false, NOW);
        assert!(!trust.on_good_piece(false));
        assert!(trust.on_parole());
        assert!(trust.on_good_piece(true));
        assert!(!trust.on_parole());
    }

    #[test]
    fn many_good_pieces_make_good_for_a_bad_one() {
        let mut trust = Trust::default();
        trust.on_bad_piece(true, NOW);
        (0..FORGIVEN_AFTER).for_each(|_| {
            trust.on_good_piece(true);
        });
        assert_eq!(trust.on_bad_piece(true, NOW), TrustVerdict::Parole);
        assert_eq!(trust.on_bad_piece(true, NOW), TrustVerdict::Ban);
    }
}
