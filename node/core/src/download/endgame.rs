//! The end of a download: what a slow owner has been asked for and keeps, a faster one fetches that has nothing to do.

use std::time::Duration;

use messages::node_to_node::{Control, Operation};
use messages::{PieceIndex, Timestamp};

use super::session::Session;
use super::{Download, Phase};
use crate::context::Context;
use crate::ids::SessionKey;
use crate::transport::Flow;

/// While somebody keeps others waiting, it is looked at this often whether another would be sooner.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Nothing is taken from an owner that was asked more recently, or would have sent it in that time.
const MIN_GAIN: Duration = Duration::from_millis(200);

/// No more requests than this are remembered as asked of two.
const MAX_DUPLICATES: usize = 256;

/// What an owner was asked for, and another is asked for too.
#[derive(Clone, Copy, Debug)]
pub(super) struct DuplicateRequest {
    piece: PieceIndex,
    of: SessionKey,
    request: u32,
}

impl Download {
    /// When nothing is left to begin: what the slowest owner keeps others waiting for is asked of one that is idle, if that
    /// has it in half the time. What comes from both is taken once.
    pub(super) fn relieve_slowest(&mut self, cx: &mut Context<'_>) {
        let Phase::Fetching(fetch) = &self.phase else {
            return;
        };
        if !fetch.has_begun_every_piece() {
            return;
        }
        let slow = self.sessions.values().filter(|session| is_late(session, cx.now));
        let slow = slow.max_by_key(|session| late(session, cx.now));
        let Some((slow, late, bytes)) = slow.map(|s| (s.key(), late(s, cx.now), outstanding(s))) else {
            return;
        };
        let kept = self.sessions.get(&slow).and_then(Session::flow);
        let has_it =
            |s: &&Session| kept.is_some_and(|kept| kept.expected().all(|(_, range)| s.has(range.piece().0)));
        let able = |s: &&Session| s.key() != slow && s.is_unchoked() && !s.is_suspect() && fetch.is_free(s);
        let takers = self.sessions.values().filter(able).filter(has_it);
        let taker = takers.min_by_key(|session| expected_time(session, bytes, cx.now));
        let sooner = |taker: &&Session| expected_time(taker, bytes, cx.now) * 2 + MIN_GAIN < late;
        if let Some(taker) = taker.filter(sooner).map(|session| session.key()) {
            self.hand_over(slow, taker, cx);
        }
    }

    /// When what the slow keep others waiting for is looked at next.
    pub(super) fn end_game_at(&self, now: Timestamp) -> Timestamp {
        let Phase::Fetching(fetch) = &self.phase else {
            return Timestamp::NEVER;
        };
        if !fetch.has_begun_every_piece() {
            return Timestamp::NEVER;
        }
        let since = self.sessions.values().filter_map(|session| session.flow().and_then(Flow::waits_since));
        since.map(|since| (since + MIN_GAIN).max(now + CHECK_EVERY)).min().unwrap_or(Timestamp::NEVER)
    }

    fn hand_over(&mut self, slow: SessionKey, taker: SessionKey, cx: &mut Context<'_>) {
        let mut kept = Vec::new();
        self.remember_duplicates(slow);
        if let Some(flow) = self.sessions.get_mut(&slow).and_then(Session::flow_mut) {
            flow.give_up_everything(&mut kept);
        }
        cx.download_limit.refund(kept.iter().map(|range| range.length()).sum());
        kept.into_iter().for_each(|range| self.ask_again(range, slow, Some(taker)));
        self.release(slow);
    }

    /// What `of` was asked for and has not sent is asked of another: when that comes, it is taken back.
    pub(super) fn remember_duplicates(&mut self, of: SessionKey) {
        let Some(flow) = self.sessions.get(&of).and_then(Session::flow) else {
            return;
        };
        let expected =
            flow.expected().map(|(request, range)| DuplicateRequest { piece: range.piece(), of, request });
        self.duplicates.extend(expected);
        let old = self.duplicates.len().saturating_sub(MAX_DUPLICATES);
        self.duplicates.drain(..old);
    }

    /// The pieces that are `unwanted` are there: what is still to come of them is no longer wanted, and owners that have it in line
    /// drop it.
    pub(super) fn withdraw_requests(&mut self, unwanted: impl Fn(PieceIndex) -> bool, cx: &mut Context<'_>) {
        let duplicates = self.duplicates.extract_if(.., |duplicate| unwanted(duplicate.piece));
        let mut requests: Vec<(SessionKey, u32)> =
            duplicates.map(|duplicate| (duplicate.of, duplicate.request)).collect();
        for (&key, session) in &mut self.sessions {
            if let Some(flow) = session.flow_mut().filter(|flow| flow.outstanding() > 0) {
                let (withdrawn, bytes) = flow.withdraw(&unwanted);
                cx.download_limit.refund(bytes);
                requests.extend(withdrawn.into_iter().map(|request| (key, request)));
            }
        }
        for (key, request) in requests {
            let Some(session) = self.sessions.get_mut(&key) else {
                continue;
            };
            session.on_withdrawn();
            self.ready_set.note_local(key, session.local_outstanding());
            if let Some((peer, theirs)) = session.address() {
                cx.counters.cancelled += 1;
                cx.send(peer, theirs, &Control { operation: Operation::Cancel, retry_after_ms: 0, request });
            }
        }
    }
}

/// Whether an owner that all may take from was asked for something a while ago, and has not sent it.
fn is_late(session: &Session, now: Timestamp) -> bool {
    let since = session.flow().and_then(Flow::waits_since);
    !session.on_parole && since.is_some_and(|since| now >= since + MIN_GAIN)
}

/// How long `session` will need for what it was asked for: as long again as it has needed for it so far, whatever its path could do.
fn late(session: &Session, now: Timestamp) -> Duration {
    let since = session.flow().and_then(Flow::waits_since);
    expected_time(session, 0, now).max(since.map_or(Duration::ZERO, |since| now.since(since)))
}

fn outstanding(session: &Session) -> u32 {
    session.flow().map_or(0, Flow::outstanding)
}

/// How long `session` needs for what it was asked for and `more` bytes.
fn expected_time(session: &Session, more: u32, now: Timestamp) -> Duration {
    let bytes = u64::from(outstanding(session)) + u64::from(more);
    let round_trip = session.flow().and_then(Flow::smoothed_rtt).unwrap_or_default();
    round_trip + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / session.speed(now).max(1))
}
