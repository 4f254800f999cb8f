//! The end of a download, when an idle, faster owner is asked for what a slow owner has been asked for and has not
//! sent.

use std::time::Duration;

use messages::Timestamp;

use super::pieces::Pieces;
use super::session::Session;
use super::sessions::OpenSessions;
use crate::ids::SessionKey;
use crate::transport::Flow;

/// While an owner keeps the download waiting, it is checked at this interval whether another owner would be sooner.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Requests stay with an owner that was asked less than this long ago, or whose delay exceeds twice the time of the
/// other owner by less than this.
const MIN_GAIN: Duration = Duration::from_millis(200);

/// The session that keeps the download waiting, and the one that is to fetch its ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relief {
    pub(super) slow: SessionKey,
    pub(super) taker: SessionKey,
}

/// The slowest session that keeps the download waiting, and an idle one that has all its pieces and needs at most half
/// the time; `None` while pieces are left to begin, or if there are no such sessions.
pub(super) fn relief(pieces: &Pieces, sessions: &OpenSessions, now: Timestamp) -> Option<Relief> {
    if !pieces.has_begun_every_piece() {
        return None;
    }
    let slow = sessions.iter().filter(|session| is_late(session, now));
    let slow = slow.max_by_key(|session| expected_delay(session, now))?;
    let delay = expected_delay(slow, now);
    let has_it =
        |s: &&Session| slow.flow().is_some_and(|kept| kept.expected().all(|(_, range)| s.has(range.piece())));
    let able =
        |s: &&Session| s.key() != slow.key() && s.is_unchoked() && !s.is_suspect() && pieces.is_free(s);
    let takers = sessions.iter().filter(able).filter(has_it);
    let taker = takers.min_by_key(|session| expected_time(session, slow.outstanding(), now))?;
    let is_sooner = expected_time(taker, slow.outstanding(), now) * 2 + MIN_GAIN < delay;
    is_sooner.then_some(Relief { slow: slow.key(), taker: taker.key() })
}

/// When [`relief`] is to be called next.
pub(super) fn relief_at(pieces: &Pieces, sessions: &OpenSessions, now: Timestamp) -> Timestamp {
    if !pieces.has_begun_every_piece() {
        return Timestamp::NEVER;
    }
    let since = sessions.iter().filter_map(|session| session.flow().and_then(Flow::oldest_asked_at));
    since.map(|since| (since + MIN_GAIN).max(now + CHECK_EVERY)).min().unwrap_or(Timestamp::NEVER)
}

/// Whether the owner of `session`, which is not on parole, was asked for something a while ago and has not sent it.
fn is_late(session: &Session, now: Timestamp) -> bool {
    let since = session.flow().and_then(Flow::oldest_asked_at);
    !session.on_parole && since.is_some_and(|since| now >= since + MIN_GAIN)
}

/// How long `session` will need for what it was asked for: at least as long again as it has needed so far, whatever its
/// path allows.
fn expected_delay(session: &Session, now: Timestamp) -> Duration {
    let since = session.flow().and_then(Flow::oldest_asked_at);
    expected_time(session, 0, now).max(since.map_or(Duration::ZERO, |since| now.since(since)))
}

/// How long `session` needs for its outstanding bytes and `more` bytes.
fn expected_time(session: &Session, more: u32, now: Timestamp) -> Duration {
    let bytes = u64::from(session.outstanding()) + u64::from(more);
    let round_trip = session.rtt().unwrap_or_default();
    round_trip + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / session.speed(now))
}
