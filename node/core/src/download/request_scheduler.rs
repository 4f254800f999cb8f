//! What each session is asked for: in turn, as much as its window, the limits and the socket allow.

use messages::node_to_node::ByteRange;
use messages::{List, PieceIndex};

use super::initial_path::is_local;
use super::lifecycle::Lifecycle;
use super::session::Session;
use super::sessions::OpenSessions;
use crate::context::Context;
use crate::ids::SessionKey;
use crate::output::{Reason, Wait};
use crate::transport::{Flow, WindowShare};

/// Where the round of requests goes on, so that all sessions get their turn.
#[derive(Debug, Default)]
pub(super) struct RequestScheduler {
    /// The key of the session that was asked first in the last round.
    turn: u32,
}

impl RequestScheduler {
    /// Asks each of the `due` sessions, in turn, for as much as its window and the limits allow. If the `whole`
    /// download is looked at, all sessions are asked, including those that were opened in this turn.
    pub(super) fn run(
        &mut self,
        due: &[SessionKey],
        whole: bool,
        sessions: &mut OpenSessions,
        lifecycle: &mut Lifecycle,
        cx: &mut Context<'_>,
    ) {
        let all: Vec<SessionKey>;
        let keys = if whole {
            all = sessions.all().keys().copied().collect();
            &all
        } else {
            due
        };
        let first = keys.partition_point(|key| key.0 <= self.turn);
        for &key in keys[first..].iter().chain(&keys[..first]) {
            // The session may have ended in this turn.
            let Some(session) = sessions.in_turn(key) else { continue };
            let asks = ask(session, lifecycle, cx);
            let timers = session.next_timer(&cx.settings.network).earlier(session.path_timer(cx));
            if asks == Asked::Everything && !whole {
                // The reason why the download waits may have changed.
                sessions.mark_all();
            }
            sessions.plan_session(key, timers.earlier(asks.wait()));
        }
        if let Some(key) = keys.get(first).or(keys.first()) {
            self.turn = key.0;
        }
    }
}

/// The reason why one session is asked for nothing more now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The session's window or a limit is used up until then.
    Until(Wait),
    /// There is nothing to ask for, but requests are outstanding.
    Nothing,
    /// There is nothing to ask for and no request is outstanding. The owner was told so.
    Everything,
}

impl Asked {
    /// When the session is to be asked again.
    fn wait(self) -> Wait {
        match self {
            Asked::Until(wait) => wait,
            Asked::Nothing | Asked::Everything => Wait::IDLE,
        }
    }
}

/// Asks the owner of `session` for as much as its window and the limits allow.
fn ask(session: &mut Session, lifecycle: &mut Lifecycle, cx: &mut Context<'_>) -> Asked {
    let mut batch = Batch::default();
    session.apply_path_mtu(cx);
    while session.is_askable() {
        let most = match allowance(session, cx) {
            Ok(most) => most,
            Err(wait) => {
                batch.send(session, cx);
                return Asked::Until(wait);
            }
        };
        let Some(range) = lifecycle.next_range(session, most, cx) else {
            if let Some(flow) = session.flow_mut() {
                flow.on_app_limited();
            }
            batch.send_last(session, cx);
            let needs_nothing = lifecycle.pieces().is_some_and(|pieces| pieces.needs_nothing_of(session));
            if needs_nothing {
                session.release_slot_if_unchoked(cx);
                return Asked::Everything;
            }
            let repeats_at = lifecycle.pieces().and_then(|pieces| pieces.repeats_at(session));
            return repeats_at.map_or(Asked::Nothing, |until| {
                Asked::Until(Wait { until: until.max(cx.now), reason: Reason::Reassignment })
            });
        };
        session.last_piece = Some(range.piece()).filter(|piece| *piece != PieceIndex::OUTBOARD);
        batch.ask(session, range, cx);
    }
    Asked::Nothing
}

/// The number of bytes for which `session` may be asked next, or when to try again.
fn allowance(session: &mut Session, cx: &mut Context<'_>) -> Result<u32, Wait> {
    let shares = &cx.path_shares;
    let (max, fair) = (shares.max_window(session.peer()), shares.fair_local_window());
    let flow = session.flow_mut().expect("an owner that may be asked for something has answered");
    let limited = cx.download_limit.ready_at(cx.now);
    if limited > cx.now {
        return Err(Wait { until: limited, reason: Reason::DownloadLimit });
    }
    if flow.ready_at() > cx.now {
        return Err(Wait { until: flow.ready_at(), reason: Reason::Pacing });
    }
    let credit = if is_local(flow) { cx.receive_budget.available() } else { u32::MAX };
    // Whole segments are asked for, so that only the end of a piece makes a short one. At least one segment is asked
    // for, however low the limit is.
    let segment = u32::from(flow.segment_size());
    let share = WindowShare { max, fair: fair.filter(|_| is_local(flow)) };
    let window = flow.window_available(share);
    if credit < window {
        cx.receive_budget.note_shortage();
    }
    let most = window.min(credit).min(cx.download_limit.burst().max(segment));
    if most < segment { Err(Wait::IDLE) } else { Ok(most - most % segment) }
}

/// The ranges of one REQUEST. Their request numbers follow each other.
#[derive(Default)]
struct Batch {
    first: u32,
    ranges: List<ByteRange, 16>,
}

impl Batch {
    fn ask(&mut self, session: &mut Session, range: ByteRange, cx: &mut Context<'_>) {
        if self.ranges.is_full() {
            self.send(session, cx);
        }
        let flow = session.flow_mut().expect("an owner that may be asked for something has answered");
        // The last range of the previous REQUEST is repeated, so that the next REQUEST makes up for one lost REQUEST.
        let repeated = flow.repeatable().filter(|_| self.ranges.is_empty());
        let local = is_local(flow);
        let request = flow.ask(range, cx.now);
        cx.download_limit.spend(range.length(), cx.now);
        if local {
            cx.receive_budget.spend(range.length());
        }
        if let Some((number, repeated)) = repeated
            && number.wrapping_add(1) == request
        {
            self.first = number;
            let _full = self.ranges.push(repeated);
        }
        if self.ranges.is_empty() {
            self.first = request;
        }
        let _full = self.ranges.push(range);
    }

    /// Sends the REQUEST that no other follows for now, so that none repeats a range of it.
    fn send_last(&mut self, session: &mut Session, cx: &mut Context<'_>) {
        if !self.ranges.is_empty() && session.flow().is_some_and(Flow::sends_last_request_twice) {
            session.send_request(self.first, self.ranges.clone(), cx);
        }
        self.send(session, cx);
    }

    fn send(&mut self, session: &mut Session, cx: &mut Context<'_>) {
        let ranges = std::mem::take(&mut self.ranges);
        if !ranges.is_empty() {
            session.send_request(self.first, ranges, cx);
        }
    }
}
