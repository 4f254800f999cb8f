//! What is asked of whom: in turn each session for as much as its window, the limits and the socket allow.

use messages::node_to_node::ByteRange;
use messages::{List, PieceIndex};

use super::initial_path::is_local;
use super::session::Session;
use super::{Describing, Download, Phase};
use crate::context::Context;
use crate::ids::SessionKey;
use crate::output::{Reason, Wait};

impl Download {
    /// Asks each of those that are due for what its window and the limits allow, in turn: all when the `whole` is looked at, those that have
    /// come since included.
    pub(super) fn ask(&mut self, due: &[SessionKey], whole: bool, cx: &mut Context<'_>) {
        let all: Vec<SessionKey>;
        let keys = if whole {
            all = self.sessions.keys().copied().collect();
            &all
        } else {
            due
        };
        let first = keys.partition_point(|key| key.0 <= self.turn);
        for &key in keys[first..].iter().chain(&keys[..first]) {
            let asks = self.ask_session(key, whole, cx);
            if let Some(session) = self.sessions.get(&key) {
                let timers = session.next_timer(&cx.settings.network).earlier(session.path_timer(cx));
                self.ready_set.plan_session(key, timers.earlier(asks), session.local_outstanding());
            }
        }
        if let Some(key) = keys.get(first).or(keys.first()) {
            self.turn = key.0;
        }
    }

    fn ask_session(&mut self, key: SessionKey, whole: bool, cx: &mut Context<'_>) -> Wait {
        let mut batch = Batch::default();
        if let Some(session) = self.sessions.get_mut(&key) {
            session.apply_path_mtu(cx);
        }
        loop {
            let Some(session) = self.sessions.get_mut(&key).filter(|session| session.is_askable()) else {
                return Wait::IDLE;
            };
            let most = match allowance(session, cx) {
                Ok(most) => most,
                Err(wait) => {
                    batch.send(session, cx);
                    return wait;
                }
            };
            let range = match &mut self.phase {
                Phase::Fetching(fetch) => fetch.next_range(session, most, cx),
                Phase::Describing(Describing::From(sources)) => {
                    let most = most.min(session.max_manifest_range());
                    sources.of(key).and_then(|assembly| assembly.next_range(key, most))
                }
                _ => None,
            };
            let Some(range) = range else {
                if let Some(flow) = session.flow_mut() {
                    flow.on_app_limited();
                }
                batch.send(session, cx);
                if let Phase::Fetching(fetch) = &self.phase
                    && fetch.needs_nothing_of(session)
                {
                    session.release_slot_if_unchoked(cx);
                    if !whole {
                        // Why it waits may be another reason now.
                        self.ready_set.mark_all();
                    }
                }
                return Wait::IDLE;
            };
            session.last_piece = Some(range.piece()).filter(|piece| *piece != PieceIndex::MANIFEST);
            batch.ask(session, range, cx);
        }
    }
}

/// How many bytes `session` may be asked for next, or when to come again.
fn allowance(session: &mut Session, cx: &mut Context<'_>) -> Result<u32, Wait> {
    let Some(flow) = session.askable_flow() else {
        return Err(Wait::IDLE);
    };
    let limited = cx.download_limit.poll_ready(cx.now);
    if limited > cx.now {
        return Err(Wait { until: limited, reason: Reason::DownloadLimit });
    }
    if flow.ready_at() > cx.now {
        return Err(Wait { until: flow.ready_at(), reason: Reason::Pacing });
    }
    let credit = if is_local(flow) { cx.receive_budget.available() } else { u32::MAX };
    // Whole segments, so that only a piece's end makes a short one; one at least, however low the limit.
    let segment = u32::from(flow.segment());
    let window = flow.window_available();
    if credit < window {
        cx.receive_budget.note_shortage();
    }
    let most = window.min(credit).min(cx.download_limit.burst().max(segment));
    if most < segment { Err(Wait::IDLE) } else { Ok(most - most % segment) }
}

/// Ranges that go out in one REQUEST: their request numbers follow each other.
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
        let Some(flow) = session.flow_mut() else {
            return;
        };
        // The last range of the REQUEST before goes along: one lost REQUEST is made good by the next.
        let repeated = flow.repeatable().filter(|_| self.ranges.is_empty());
        let local = is_local(flow);
        let request = flow.ask(range, cx.now);
        cx.download_limit.spend(range.length());
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

    fn send(&mut self, session: &mut Session, cx: &mut Context<'_>) {
        let ranges = std::mem::take(&mut self.ranges);
        if !ranges.is_empty() {
            session.send_request(self.first, ranges, cx);
        }
    }
}
