//! What the tracker answers, and what follows from it.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_tracker::TrackerPong;
use messages::tracker_to_node::{Owner, Owners, RefusalCode, Refused, Registered};
use messages::{Conversation, Cookie, List, Timestamp, TrackerToNode};

use super::exchange::{Exchange, Request};
use super::{HEARTBEAT, Link, MIN_HEARTBEAT, NeedTicket, PUT_OFF, TrackerClient, TrackerReply};
use crate::context::Context;
use crate::event::Event;

impl TrackerClient {
    /// A message of the tracker.
    pub(crate) fn handle_message(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        message: TrackerToNode,
        cx: &mut Context<'_>,
    ) -> TrackerReply {
        if self.tracker != Some(from) {
            cx.counters.unexpected += 1;
            return TrackerReply::Nothing;
        }
        if let TrackerToNode::TrackerPing(ping) = message {
            if self.seat.is_asked_in(conversation) {
                cx.send(from, conversation, &TrackerPong { nonce: ping.nonce });
            } else {
                cx.counters.unexpected += 1;
            }
            return TrackerReply::Nothing;
        }
        let Some(at) = self.exchanges.iter().position(|exchange| exchange.conversation == conversation)
        else {
            cx.counters.unexpected += 1;
            return TrackerReply::Nothing;
        };
        self.on_heard(from, cx);
        if let TrackerToNode::Refused(refused) = message {
            self.handle_refused(at, refused, cx);
            return TrackerReply::Nothing;
        }
        match (&self.exchanges[at].request, message) {
            (Request::Register, TrackerToNode::Registered(registered)) => {
                self.exchanges.swap_remove(at);
                self.handle_registered(from, &registered, cx);
                TrackerReply::Nothing
            }
            (Request::Own(entries), TrackerToNode::Owned(answer)) => {
                let announced = self.owned.on_answer(entries, answer.accepted.into());
                if usize::from(answer.accepted) < entries.len() {
                    cx.out.events.push(Event::TrackerRefused { code: RefusalCode::Full });
                }
                self.exchanges.swap_remove(at);
                TrackerReply::Announced(announced)
            }
            (Request::Need(ticket, _), TrackerToNode::Owners(owners)) => {
                let ticket = *ticket;
                self.exchanges.swap_remove(at);
                if let NeedTicket::Search(search) = ticket {
                    self.searches.remove(&search);
                }
                TrackerReply::Owners(ticket, self.believable(from, owners, cx))
            }
            (Request::Update { sequence, .. }, TrackerToNode::Updated(updated))
                if *sequence == updated.sequence =>
            {
                self.exchanges.swap_remove(at);
                TrackerReply::Nothing
            }
            (Request::Exit, TrackerToNode::Goodbye(_)) => {
                self.exchanges.clear();
                self.link = Link::Left;
                TrackerReply::Nothing
            }
            _ => {
                cx.counters.unexpected += 1;
                TrackerReply::Nothing
            }
        }
    }

    fn on_heard(&mut self, tracker: SocketAddr, cx: &mut Context<'_>) {
        self.heard_at = cx.now;
        if std::mem::take(&mut self.silent) {
            // Whoever waited for it does not wait for the next try as well.
            self.exchanges.iter_mut().for_each(|exchange| exchange.restart(cx.now));
            cx.out.events.push(Event::TrackerRestored { tracker });
        }
    }

    /// An answer without the owners that cannot be: this node itself, and addresses of this host from a tracker that is
    /// elsewhere. Nobody contacts what it runs for itself because a stranger says so.
    fn believable(&self, tracker: SocketAddr, mut owners: Owners, cx: &mut Context<'_>) -> Owners {
        if let Owners::Content(found) = &mut owners {
            let is_near = tracker.ip().is_loopback();
            let can_be = |owner: &&Owner| {
                let here = owner.endpoint.address().ip().is_loopback() && !is_near;
                let us = owner.node == self.node || Some(owner.endpoint) == self.observed;
                owner.endpoint.is_reachable() && !here && !us
            };
            let told = found.owners.len();
            found.owners = List::first_of(found.owners.iter().filter(can_be).copied());
            cx.counters.unexpected += (told - found.owners.len()) as u64;
        }
        owners
    }

    fn handle_registered(&mut self, tracker: SocketAddr, registered: &Registered, cx: &mut Context<'_>) {
        self.cookie = registered.cookie;
        self.observed = Some(registered.observed);
        self.heartbeat =
            Duration::from_millis(registered.interval_ms.into()).clamp(MIN_HEARTBEAT, HEARTBEAT * 3);
        self.next_register = cx.now + self.heartbeat;
        let restarted =
            self.tracker_epoch.replace(registered.tracker_epoch) != Some(registered.tracker_epoch);
        let fresh = restarted || self.link == Link::Joining;
        if restarted {
            let observed = registered.observed;
            cx.out.events.push(Event::TrackerReached { tracker, observed });
        }
        if self.link == Link::Joining {
            self.link = Link::Joined;
            // What was asked while joining is on its way.
            let asked = |exchange: &Exchange| {
                matches!(exchange.request, Request::Need(..)) && exchange.asked_at.is_some()
            };
            let held_up = self.exchanges.iter_mut().filter(|exchange| !asked(exchange));
            held_up.for_each(|exchange| exchange.restart(cx.now));
        }
        if registered.resync {
            self.on_tables_differ(fresh, cx.now);
        } else {
            self.owned.try_refused();
        }
    }

    /// The tracker's table is not what this node says: all is told again, unless just that is under way.
    fn on_tables_differ(&mut self, fresh: bool, now: Timestamp) {
        if (fresh || !self.owned.is_telling()) && self.gates.resync.pass(now) {
            self.tell_all_again();
        } else {
            self.recheck = true;
        }
    }

    fn handle_refused(&mut self, at: usize, refused: Refused, cx: &mut Context<'_>) {
        let exchange = &mut self.exchanges[at];
        if exchange.asked_at.take().is_none() {
            // It was refused before, and has not been said again since.
            cx.counters.unexpected += 1;
            return;
        }
        match (refused.code, self.link) {
            (RefusalCode::Cookie, _) if refused.cookie != Cookie::NONE && refused.cookie != self.cookie => {
                self.cookie = refused.cookie;
                if self.gates.cookie.pass(cx.now) {
                    // Everything that was sent with the old cookie will be refused as well.
                    self.exchanges.iter_mut().for_each(|exchange| exchange.restart(cx.now));
                }
            }
            // It was sent before the last cookie came.
            (RefusalCode::Cookie, _) if exchange.tries <= 2 => {}
            (RefusalCode::NotRegistered, Link::Joined) if self.gates.rejoin.pass(cx.now) => {
                self.rejoin(cx.now);
            }
            (RefusalCode::NotRegistered, Link::Joined) => {
                self.next_register = self.next_register.min(self.gates.rejoin.opens_at());
            }
            (RefusalCode::NotRegistered, Link::Joining) => {}
            (RefusalCode::NotRegistered, _) if matches!(exchange.request, Request::Exit) => {
                self.link = Link::Left;
            }
            (code, _) => {
                let wait = Duration::from_millis(refused.retry_after_ms.into());
                exchange.due = exchange.due.max(cx.now + wait.min(HEARTBEAT));
                let is_asking = code == RefusalCode::IdInUse && wait <= PUT_OFF;
                if is_asking && !std::mem::replace(&mut exchange.put_off, true) {
                    return;
                }
                cx.out.events.push(Event::TrackerRefused { code });
                if let (RefusalCode::Full, Request::Own(entries)) = (code, &exchange.request) {
                    self.owned.on_answer(entries, 0);
                    self.exchanges.swap_remove(at);
                }
            }
        }
    }
}
