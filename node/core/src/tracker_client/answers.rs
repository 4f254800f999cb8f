//! The answers of the tracker, and what follows from them.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_tracker::TrackerPong;
use messages::tracker_to_node::{Owner, Owners, RefusalCode, Refused, Registered};
use messages::{Conversation, Cookie, List, Timestamp, TrackerToNode};

use super::exchange::{Exchange, TrackerRequest};
use super::registration::{HEARTBEAT, RegistrationState};
use super::{NeedTicket, TrackerClient, TrackerReply};
use crate::context::Context;
use crate::event::Event;
use crate::transport::LONG_RTT;

/// The tracker may put this node off for this long without a report, while it asks the old address of this node's id
/// whether anybody is there: nothing is wrong then.
const MAX_TAKEOVER_WAIT: Duration = Duration::from_secs(2);

impl TrackerClient {
    /// Handles a message of the tracker.
    pub(crate) fn handle_message(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        message: TrackerToNode,
        cx: &mut Context<'_>,
    ) -> TrackerReply {
        // Whoever can send from the tracker's address may have a channel there, too.
        let is_other = cx.sender.is_some() && cx.sender != cx.proven(from);
        if self.tracker != Some(from) || is_other {
            cx.counters.unexpected += 1;
            return TrackerReply::Nothing;
        }
        if let TrackerToNode::TrackerPing(ping) = message {
            if self.registration.is_asked_in(conversation) {
                cx.send(from, conversation, &TrackerPong { nonce: ping.nonce });
            } else {
                cx.counters.unexpected += 1;
            }
            return TrackerReply::Nothing;
        }
        let Some(at) = self.exchanges.position(conversation) else {
            cx.counters.unexpected += 1;
            return TrackerReply::Nothing;
        };
        self.on_heard(from, cx);
        if let TrackerToNode::Refused(refused) = message {
            self.handle_refused(at, refused, cx);
            return TrackerReply::Nothing;
        }
        match (self.exchanges.request(at), message) {
            (TrackerRequest::Register, TrackerToNode::Registered(registered)) => {
                self.exchanges.end(at);
                self.handle_registered(from, &registered, cx);
                TrackerReply::Nothing
            }
            (TrackerRequest::Own(entries), TrackerToNode::Owned(answer)) => {
                let announced = self.announcements.on_answer(entries, answer.accepted.into());
                if usize::from(answer.accepted) < entries.len() {
                    cx.out.events.push(Event::TrackerRefused { code: RefusalCode::Full });
                }
                self.exchanges.end(at);
                TrackerReply::Announced(announced)
            }
            (TrackerRequest::Need(ticket, _), TrackerToNode::Owners(owners)) => {
                let ticket = *ticket;
                self.exchanges.end(at);
                if let NeedTicket::Search(search) = ticket {
                    self.searches.end(search);
                }
                TrackerReply::Owners(ticket, self.believable(from, owners, cx))
            }
            (TrackerRequest::Update { sequence, .. }, TrackerToNode::Updated(updated))
                if *sequence == updated.sequence =>
            {
                self.exchanges.end(at);
                TrackerReply::Nothing
            }
            (TrackerRequest::Exit, TrackerToNode::Goodbye(_)) => {
                self.exchanges.forget(|_| true);
                self.registration.on_left();
                TrackerReply::Nothing
            }
            _ => {
                cx.counters.unexpected += 1;
                TrackerReply::Nothing
            }
        }
    }

    fn on_heard(&mut self, tracker: SocketAddr, cx: &mut Context<'_>) {
        if self.liveness.on_heard(cx.now) {
            // All requests are sent at once, so that nothing waits for its next try as well.
            self.exchanges.restart(cx.now);
            cx.out.events.push(Event::TrackerRestored { tracker });
        }
    }

    /// Removes from an answer the owners that cannot be right: this node itself, and addresses of this host from a
    /// tracker that is elsewhere. A node never contacts the programs of its own host because a stranger names them.
    fn believable(&self, tracker: SocketAddr, mut owners: Owners, cx: &mut Context<'_>) -> Owners {
        if let Owners::Content(found) = &mut owners {
            let is_local = tracker.ip().is_loopback();
            let can_be = |owner: &&Owner| {
                let here = owner.endpoint.address().ip().is_loopback() && !is_local;
                owner.endpoint.is_reachable() && !here && !self.registration.is_this_node(owner)
            };
            let named = found.owners.len();
            found.owners = List::first_of(found.owners.iter().filter(can_be).copied());
            cx.counters.unexpected += (named - found.owners.len()) as u64;
        }
        owners
    }

    fn handle_registered(&mut self, tracker: SocketAddr, registered: &Registered, cx: &mut Context<'_>) {
        let changes = self.registration.on_registered(registered, cx.now);
        if changes.is_new_tracker {
            let observed = registered.observed;
            cx.tell_of_the_clear(tracker);
            cx.out.events.push(Event::TrackerReached { tracker, observed });
        }
        if changes.has_joined {
            // The NEEDs that were sent while joining are on their way; all other requests are sent now.
            let is_asked = |exchange: &Exchange| {
                matches!(exchange.request, TrackerRequest::Need(..)) && exchange.asked_at.is_some()
            };
            let held_back = self.exchanges.iter_mut().filter(|exchange| !is_asked(exchange));
            held_back.for_each(|exchange| exchange.restart(cx.now));
        }
        if registered.resync {
            self.on_tables_differ(changes.is_new_tracker || changes.has_joined, cx.now);
        } else {
            self.announcements.try_refused();
        }
    }

    /// Handles the tracker's word that its table differs from what this node announces. Everything is announced again,
    /// unless that is under way.
    fn on_tables_differ(&mut self, is_new: bool, now: Timestamp) {
        if (is_new || !self.announcements.are_pending()) && self.cooldowns.resync.pass(now) {
            self.announce_everything_again();
        } else {
            self.registration.recheck();
        }
    }

    fn handle_refused(&mut self, at: usize, refused: Refused, cx: &mut Context<'_>) {
        let exchange = self.exchanges.exchange_mut(at);
        let Some(asked_at) = exchange.asked_at.take() else {
            // The request was refused before, and has not been sent again since.
            cx.counters.unexpected += 1;
            return;
        };
        self.is_far = cx.now.since(asked_at) >= LONG_RTT;
        let cookie = self.registration.cookie();
        match (refused.code, self.registration.state()) {
            (RefusalCode::Cookie, _) if refused.cookie != Cookie::NONE && refused.cookie != cookie => {
                self.registration.set_cookie(refused.cookie);
                if self.cooldowns.cookie.pass(cx.now) {
                    // All requests that were sent with the old cookie will be refused as well.
                    self.exchanges.restart(cx.now);
                }
            }
            // The request was sent before the last cookie came.
            (RefusalCode::Cookie, _) if exchange.tries <= 2 => {}
            (RefusalCode::NotRegistered, RegistrationState::Joined) if self.cooldowns.rejoin.pass(cx.now) => {
                self.rejoin(cx.now);
            }
            (RefusalCode::NotRegistered, RegistrationState::Joined) => {
                self.registration.register_by(self.cooldowns.rejoin.ends_at());
            }
            (RefusalCode::NotRegistered, RegistrationState::Joining) => {}
            (RefusalCode::NotRegistered, _) if matches!(exchange.request, TrackerRequest::Exit) => {
                self.registration.on_left();
            }
            (code, _) => {
                let wait = Duration::from_millis(refused.retry_after_ms.into());
                exchange.due = exchange.due.max(cx.now + wait.min(HEARTBEAT));
                let is_asking = code == RefusalCode::IdInUse && wait <= MAX_TAKEOVER_WAIT;
                if is_asking && !std::mem::replace(&mut exchange.was_put_off, true) {
                    return;
                }
                cx.out.events.push(Event::TrackerRefused { code });
                if let (RefusalCode::Full, TrackerRequest::Own(entries)) = (code, &exchange.request) {
                    self.announcements.on_answer(entries, 0);
                    self.exchanges.end(at);
                }
            }
        }
    }
}
