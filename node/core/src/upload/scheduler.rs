//! What is asked of an owner, and whose turn it is to be answered: deficit round robin over the sessions that have something queued.

use std::time::Duration;

use messages::node_to_node::{Control, Operation, Ping, Request};
use messages::{Conversation, Host, PieceIndex};

use super::served_content::ServedContent;
use super::session::{Answer, Refusal, UploadSession};
use super::slot_allocation::{CHOKE_RETRY, pointed_at, slot_count};
use super::{PeerSeen, Uploads, piece_updates};
use crate::context::Context;
use crate::event::Event;
use crate::output::{Burst, Reason, Wait};

/// Bytes that a session may send in one turn, at least one burst (deficit round robin, Shreedhar and Varghese 1995).
const QUANTUM: u32 = 64 << 10;
const _: () = assert!(
    QUANTUM >= messages::limits::MAX_BURST,
    "a whole turn sends something, and what is left of one is kept for the next"
);
/// Bursts in one poll, so that datagrams are let in between.
const BURSTS_A_POLL: usize = 16;
/// A downloader that finds the queue full comes again after this long.
const BUSY_RETRY: Duration = Duration::from_millis(20);

impl Uploads {
    pub(super) fn handle_request(&mut self, ours: Conversation, request: &Request, cx: &mut Context<'_>) {
        let Some(session) = self.sessions.get_mut(&ours) else {
            return;
        };
        let Some(served) = self.shares.get_mut(&session.share) else {
            return;
        };
        let limit = cx.settings.network.requests_per_session as usize;
        session.on_request(request, self.backstops.of(Host::of(session.peer), cx.now), cx.now);
        if request.ranges.iter().any(|range| range.piece() != PieceIndex::MANIFEST)
            && session.on_asked_for_piece(cx.now)
        {
            self.met.push(PeerSeen { content: session.content, node: session.node, peer: session.peer });
        }
        let mut begun = Vec::new();
        for (number, range) in (0u32..).zip(request.ranges.iter()) {
            let number = request.first_request.wrapping_add(number);
            let places = slot_count(&cx.settings.upload);
            let answer = if !served.has(range.piece()) {
                Err(Refusal::NoSuchRange)
            } else if served.finishes_spreading(cx.now) && !session.finishes(*range) {
                served.places.send_back(ours);
                Err(Refusal::NoPlace)
            } else if served.places.is_used(ours, cx.now)
                || session.finishes(*range)
                || served.places.ask(ours, places, (session.sent(), served.sent), cx.now)
            {
                if !session.finishes(*range) {
                    begun.push(range.piece());
                }
                session.queue(number, *range, request.segment_size, &served.manifest, limit, cx.now)
            } else {
                Err(Refusal::NoPlace)
            };
            let (operation, pause) = match answer {
                Ok(()) => continue,
                // REQUESTs repeat the last range of the one before.
                Err(Refusal::Seen) => continue,
                Err(Refusal::NoSuchRange) => (Operation::Reject, Duration::ZERO),
                Err(Refusal::QueueFull) => (Operation::Busy, BUSY_RETRY),
                Err(Refusal::NoPlace) => (Operation::Choke, CHOKE_RETRY),
            };
            let refusal = Control { operation, retry_after_ms: pause.as_millis() as u16, request: number };
            cx.send(session.peer, session.theirs, &refusal);
        }
        begun.into_iter().for_each(|piece| hint(ours, session, served, piece, cx));
        let (wants_turn, share, host) = (session.wants_turn(), session.share, Host::of(session.peer));
        if wants_turn {
            self.turns.push(ours, host);
        }
        if request.ranges.is_empty() {
            // It has nothing to ask for now: others may have its place.
            self.leave_place(share, ours);
        } else if served.places.are_wanted() {
            self.busy.insert(share);
        }
    }

    pub(super) fn send_bursts(&mut self, cx: &mut Context<'_>) -> Wait {
        self.turns.wake(cx.now);
        for _ in 0..BURSTS_A_POLL {
            let Some(ours) = self.turns.first() else {
                return Wait { until: self.turns.wake(cx.now), reason: Reason::CircuitBreaker };
            };
            let ready = cx.upload_limit.poll_ready(cx.now);
            if ready > cx.now {
                return Wait { until: ready, reason: Reason::UploadLimit };
            }
            self.take_turn(ours, cx);
        }
        Wait { until: cx.now, reason: Reason::MoreToSend }
    }

    /// The first in turn sends one burst, and keeps its turn while it has bytes left in it.
    fn take_turn(&mut self, ours: Conversation, cx: &mut Context<'_>) {
        let served = self.sessions.get(&ours).map(|session| session.share);
        let (Some(session), Some(served)) =
            (self.sessions.get_mut(&ours), served.and_then(|share| self.shares.get_mut(&share)))
        else {
            self.turns.pop();
            return;
        };
        let backstop = self.backstops.of(Host::of(session.peer), cx.now);
        let ready = session.ready_at(backstop, cx.now);
        if ready > cx.now {
            self.turns.hold(ready);
            return;
        }
        let quantum = self.turns.quantum(QUANTUM);
        let answer =
            session.next_answer(&served.encoded, served.manifest.layout(), quantum, cx.now, cx.rng, backstop);
        match answer {
            Some(Answer::Ping(nonce)) => cx.send(session.peer, session.theirs, &Ping::new(nonce)),
            Some(Answer::Probed(probed, nonce)) => {
                cx.upload_limit.spend(probed.size.bytes().into());
                cx.out.send_probed(session.peer, session.theirs, &probed);
                if let Some(nonce) = nonce {
                    cx.send(session.peer, session.theirs, &Ping::new(nonce));
                }
            }
            Some(Answer::Bits(pieces, nonce)) => {
                cx.upload_limit.spend(piece_updates::length(&pieces));
                cx.send(session.peer, session.theirs, &served.bits(&pieces));
                if let Some(nonce) = nonce {
                    cx.send(session.peer, session.theirs, &Ping::new(nonce));
                }
            }
            Some(Answer::Burst(burst)) => send_burst(served, burst, cx),
            None => {}
        }
        if session.ends_turn() {
            self.turns.pop();
            if session.stays_in_turn() {
                self.turns.push(ours, Host::of(session.peer));
            }
        }
    }
}

fn send_burst(served: &mut ServedContent, burst: Burst, cx: &mut Context<'_>) {
    let (content, peer) = (served.content, burst.to);
    let (piece, offset, length) = (burst.first.piece, burst.first.offset, burst.length);
    cx.upload_limit.spend(length);
    if piece != PieceIndex::MANIFEST {
        cx.counters.sent_bytes += u64::from(length);
        served.sent += u64::from(length);
    }
    cx.out.events.push(Event::RangeSent { content, peer, piece, offset, length });
    cx.out.bursts.push(burst);
}

/// `session` begins `piece`: it, and others with it, are to begin others than they.
fn hint(
    ours: Conversation,
    session: &mut UploadSession,
    served: &mut ServedContent,
    piece: PieceIndex,
    cx: &mut Context<'_>,
) {
    // Who begins what others got may not have heard of what they did not get.
    let strays = !served.spreading.is_fresh(piece.0) && session.takes_hints();
    served.spreading.offer_again(cx.now);
    if served.spreading.is_fresh(piece.0) {
        session.on_given_first();
    }
    served.spreading.give(piece.0, (ours, Host::of(session.peer)), cx.now);
    // Alone, a downloader knows best what it wants next.
    let wants = served.hints() && served.places.count() > 1;
    if wants && (strays || session.wants_hint(|piece| served.spreading.is_fresh(piece))) {
        pointed_at(ours, session, served, cx);
    }
}
