//! How many sessions are served at once and for how long: pure functions of the settings.

use std::time::Duration;

use config::{UploadPolicy, UploadSettings};

/// A choked session asks again after this long, in case its UNCHOKE was lost.
pub(super) const CHOKE_RETRY: Duration = Duration::from_secs(5);
/// Tit-for-tat has this many slots for each content: three by merit and one by lot (BEP 3).
const TIT_FOR_TAT_SLOTS: usize = 4;
/// A turn under the policy `fair` lasts for this many bytes, but at least for one piece.
const FAIR_TURN: u64 = 4 << 20;
/// A node that has only a part of a content has this many downloaders of it, or half as many again as it has slots if
/// that is more: other nodes have as much and more capacity to spare. Each downloader wants about as many owners.
const PARTIAL_SESSIONS: usize = 12;

/// The number of downloaders of a content that are served at once.
pub(super) fn slot_count(upload: &UploadSettings) -> usize {
    match upload.policy {
        UploadPolicy::TitForTat => TIT_FOR_TAT_SLOTS,
        UploadPolicy::Fair => usize::from(upload.slots),
    }
}

/// The largest number of downloaders of a content that have a session while only a part of it is here.
pub(super) fn partial_session_count(upload: &UploadSettings) -> usize {
    PARTIAL_SESSIONS.max(slot_count(upload) * 3 / 2)
}

/// The rate, in bytes a second, that is required in one of `slots`: `rate`, or a quarter of each slot's share of the
/// upload limit, if that is less.
pub(super) fn rate_within_limit(rate: u64, slots: usize, limit: Option<u64>) -> u64 {
    rate.min(limit.map_or(u64::MAX, |limit| limit / (4 * slots as u64)))
}

/// The number of bytes of a turn under the policy `fair`.
pub(super) fn fair_turn(piece_size: u32) -> u64 {
    FAIR_TURN.max(piece_size.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_leaves_a_quarter_of_an_equal_share() {
        assert_eq!(rate_within_limit(1000, 4, None), 1000);
        assert_eq!(rate_within_limit(1000, 4, Some(1 << 20)), 1000);
        assert_eq!(rate_within_limit(1000, 4, Some(1600)), 100);
    }

    #[test]
    fn a_turn_is_a_whole_piece_at_least() {
        assert_eq!(fair_turn(1 << 16), FAIR_TURN);
        assert_eq!(fair_turn(u32::MAX), u32::MAX.into());
    }
}
