//! Queues or refuses the ranges for which downloaders ask, and sends what is queued, one session's turn after the
//! other.

use std::time::Duration;

use messages::node_to_node::{Control, Operation, Request};
use messages::{Conversation, PieceIndex};

use super::contents::Contents;
use super::piece_updates;
use super::request_queue::{RangeRequest, RequestRefusal};
use super::served_content::ServedContent;
use super::session::{Response, UploadSession};
use super::sessions::Sessions;
use super::slot_limits::{CHOKE_RETRY, slot_count};
use super::slots::Sent;
use crate::context::Context;
use crate::event::Event;
use crate::output::{Burst, Reason, Wait};

/// Each turn allows a session to send this many more bytes: at least one burst.
const QUANTUM: u32 = 64 << 10;
const _: () = assert!(
    QUANTUM >= messages::limits::MAX_BURST,
    "a whole turn sends something, and what is left of one is kept for the next"
);
/// One poll sends no more bursts than this, so that incoming datagrams are handled between bursts.
const MAX_BURSTS_A_POLL: usize = 16;
/// A downloader whose queue is full asks again after this long.
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// Handles a REQUEST of the session `ours` for ranges of `served`. An empty REQUEST releases the session's slot.
pub(super) fn handle_request(
    ours: Conversation,
    session: &mut UploadSession,
    served: &mut ServedContent,
    request: &Request,
    cx: &mut Context<'_>,
) {
    let mut begun = Vec::new();
    for (number, range) in (0u32..).zip(request.ranges.iter()) {
        let number = request.first_request.wrapping_add(number);
        let segment_size = request.segment_size;
        let asked = RangeRequest { number, range: *range, segment_size, asked_at: cx.now };
        if let Err(refusal) = accept(ours, session, served, asked, &mut begun, cx) {
            refuse(session, number, refusal, cx);
        }
    }
    begun.into_iter().for_each(|piece| on_piece_begun(ours, session, served, piece, cx));
    if request.ranges.is_empty() {
        served.slots.release(ours);
    }
}

/// Queues the range `asked`, if the session may have it now. The piece is added to `begun` if the range needs a slot.
fn accept(
    ours: Conversation,
    session: &mut UploadSession,
    served: &mut ServedContent,
    asked: RangeRequest,
    begun: &mut Vec<PieceIndex>,
    cx: &Context<'_>,
) -> Result<(), RequestRefusal> {
    if !served.has(asked.range.piece()) {
        return Err(RequestRefusal::NoSuchRange);
    }
    let needs_slot = session.needs_slot(asked.range);
    if needs_slot && served.is_finishing_super_seed(cx.now) {
        served.slots.choke(ours);
        return Err(RequestRefusal::Choked);
    }
    let has_slot = served.slots.on_asked(ours, cx.now);
    if needs_slot {
        let (slots, sent) = (slot_count(&cx.settings.upload), session.sent());
        let sent = Sent { to_session: sent, in_total: served.sent };
        if !has_slot && !served.slots.request(ours, slots, sent, cx.now) {
            return Err(RequestRefusal::Choked);
        }
        begun.push(asked.range.piece());
    }
    session.queue_range(asked, served, cx.settings.network.requests_per_session as usize)
}

fn refuse(session: &UploadSession, request: u32, refusal: RequestRefusal, cx: &mut Context<'_>) {
    let (operation, pause) = match refusal {
        // A REQUEST repeats the last range of the REQUEST before it, so a duplicate is no fault.
        RequestRefusal::Duplicate => return,
        RequestRefusal::NoSuchRange => (Operation::Reject, Duration::ZERO),
        RequestRefusal::QueueFull => (Operation::Busy, BUSY_RETRY),
        RequestRefusal::Choked => (Operation::Choke, CHOKE_RETRY),
    };
    session.send(&Control { operation, retry_after_ms: pause.as_millis() as u16, request }, cx);
}

/// Records that the session `ours` begins `piece`, and has it pointed at other pieces than other sessions.
fn on_piece_begun(
    ours: Conversation,
    session: &mut UploadSession,
    served: &mut ServedContent,
    piece: PieceIndex,
    cx: &mut Context<'_>,
) {
    // A session that begins a piece that others got may have missed the HINT of pieces that they did not get.
    let strays = !served.super_seed.is_fresh(piece) && session.hints.is_supported();
    served.super_seed.offer_again(cx.now);
    if served.super_seed.is_fresh(piece) {
        session.contribution.on_given_first();
    }
    served.super_seed.on_given(piece, (ours, session.host()), cx.now);
    // A downloader that is alone knows best what it wants next.
    let gives_hints = served.gives_hints() && served.slots.count() > 1;
    if gives_hints && (strays || session.hints.wants_more(|piece| served.super_seed.is_fresh(piece))) {
        session.send_hint(ours, served, cx);
    }
}

/// Sends what is queued, as much as may be sent in one poll. Returns when to go on.
pub(super) fn send_bursts(sessions: &mut Sessions, contents: &mut Contents, cx: &mut Context<'_>) -> Wait {
    sessions.round_robin.wake(cx.now);
    for _ in 0..MAX_BURSTS_A_POLL {
        let Some(ours) = sessions.round_robin.first() else {
            return Wait { until: sessions.round_robin.wake(cx.now), reason: Reason::CircuitBreaker };
        };
        let ready = cx.upload_limit.ready_at(cx.now);
        if ready > cx.now {
            return Wait { until: ready, reason: Reason::UploadLimit };
        }
        take_turn(ours, sessions, contents, cx);
    }
    Wait { until: cx.now, reason: Reason::MoreToSend }
}

/// Lets the session `ours`, the first in line, send one burst. Its turn goes on while it has bytes left.
fn take_turn(ours: Conversation, sessions: &mut Sessions, contents: &mut Contents, cx: &mut Context<'_>) {
    const OPEN: &str = "a session that ends leaves the line";
    let ready = {
        let mut lent = sessions.get_mut(ours).expect(OPEN);
        let (session, breaker) = lent.parts();
        session.poll_ready(breaker, cx.now)
    };
    if ready > cx.now {
        sessions.round_robin.hold(ready);
        return;
    }
    let mut deficit = sessions.round_robin.begin_turn(QUANTUM);
    let next = {
        let mut lent = sessions.get_mut(ours).expect(OPEN);
        let (session, breaker) = lent.parts();
        let served = contents.get_mut(session.share).expect("a session ends with what it is served of");
        let response = session.poll_response(served, &mut deficit, breaker, cx.now, cx.rng);
        if let Some(response) = response {
            send_response(session, served, response, cx);
        }
        session.requests.next_length()
    };
    sessions.round_robin.on_sent(deficit, next);
}

fn send_response(
    session: &UploadSession,
    served: &mut ServedContent,
    response: Response,
    cx: &mut Context<'_>,
) {
    match response {
        Response::Burst(burst) => send_burst(served, burst, cx),
        Response::Probed(probed, nonce) => {
            cx.upload_limit.spend(probed.size.bytes().into(), cx.now);
            cx.out.send_probed(session.peer, session.theirs(), &probed);
            session.send_ping(nonce, cx);
        }
        Response::Bitfield(pieces, nonce) => {
            cx.upload_limit.spend(piece_updates::bitfield_bytes(&pieces), cx.now);
            session.send(&served.bitfield(&pieces), cx);
            session.send_ping(nonce, cx);
        }
        Response::Ping(nonce) => session.send_ping(Some(nonce), cx),
    }
}

fn send_burst(served: &mut ServedContent, burst: Burst, cx: &mut Context<'_>) {
    let (content, peer) = (served.content, burst.to);
    let (piece, offset, length) = (burst.first.piece, burst.first.offset, burst.length);
    cx.upload_limit.spend(length, cx.now);
    if piece != PieceIndex::OUTBOARD {
        cx.counters.sent_bytes += u64::from(length);
        served.sent += u64::from(length);
    }
    cx.out.events.push(Event::RangeSent { content, peer, piece, offset, length });
    cx.out.bursts.push(burst);
}
