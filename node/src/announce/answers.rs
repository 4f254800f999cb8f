//! What the tracker answers, and what follows from it.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_tracker::TrackerPong;
use messages::tracker_to_node::{RefusalCode, Refused, Registered};
use messages::{Conversation, Cookie, TrackerToNode};

use super::exchange::Request;
use super::{Announce, HEARTBEAT, Link, NeedTicket, Told};
use crate::context::Context;
use crate::event::Event;

impl Announce {
    /// A message of the tracker.
    pub(crate) fn handle_message(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        message: TrackerToNode,
        cx: &mut Context<'_>,
    ) -> Told {
        if from != self.tracker {
            cx.counters.unexpected += 1;
            return Told::Nothing;
        }
        if let TrackerToNode::TrackerPing(ping) = message {
            cx.send(from, conversation, &TrackerPong { nonce: ping.nonce });
            return Told::Nothing;
        }
        let Some(at) = self.exchanges.iter().position(|exchange| exchange.conversation == conversation)
        else {
            cx.counters.unexpected += 1;
            return Told::Nothing;
        };
        self.on_heard(cx);
        if let TrackerToNode::Refused(refused) = message {
            self.handle_refused(at, refused, cx);
            return Told::Nothing;
        }
        match (&self.exchanges[at].request, message) {
            (Request::Register, TrackerToNode::Registered(registered)) => {
                self.exchanges.swap_remove(at);
                self.handle_registered(&registered, cx);
                Told::Nothing
            }
            (Request::Own(entries), TrackerToNode::Owned(answer)) => {
                let announced = self.owned.on_answer(entries, answer.accepted.into());
                if usize::from(answer.accepted) < entries.len() {
                    cx.out.events.push(Event::TrackerRefused { code: RefusalCode::Full });
                }
                self.exchanges.swap_remove(at);
                Told::Announced(announced)
            }
            (Request::Need(ticket, _), TrackerToNode::Owners(owners)) => {
                let ticket = *ticket;
                self.exchanges.swap_remove(at);
                if let NeedTicket::Search(search) = ticket {
                    self.searches.remove(&search);
                }
                Told::Owners(ticket, owners)
            }
            (Request::Update { sequence, .. }, TrackerToNode::Updated(updated))
                if *sequence == updated.sequence =>
            {
                self.exchanges.swap_remove(at);
                Told::Nothing
            }
            (Request::Exit, TrackerToNode::Goodbye(_)) => {
                self.exchanges.clear();
                self.link = Link::Left;
                Told::Nothing
            }
            _ => {
                cx.counters.unexpected += 1;
                Told::Nothing
            }
        }
    }

    fn on_heard(&mut self, cx: &mut Context<'_>) {
        self.heard_at = cx.now;
        if std::mem::take(&mut self.silent) {
            cx.out.events.push(Event::TrackerRestored { tracker: self.tracker });
        }
    }

    fn handle_registered(&mut self, registered: &Registered, cx: &mut Context<'_>) {
        self.cookie = registered.cookie;
        self.heartbeat = Duration::from_millis(registered.interval_ms.into())
            .clamp(Duration::from_millis(100), HEARTBEAT * 3);
        self.next_register = cx.now + self.heartbeat;
        let restarted =
            self.tracker_epoch.replace(registered.tracker_epoch) != Some(registered.tracker_epoch);
        if restarted {
            let (tracker, observed) = (self.tracker, registered.observed);
            cx.out.events.push(Event::TrackerReached { tracker, observed });
        }
        if registered.resync {
            // OWNs on their way would be answered twice: all is said anew.
            self.exchanges.retain(|exchange| !matches!(exchange.request, Request::Own(_)));
            self.owned.forget_answers();
        }
        if self.link == Link::Joining {
            self.link = Link::Joined;
            self.exchanges.iter_mut().for_each(|exchange| exchange.restart(cx.now));
        }
    }

    fn handle_refused(&mut self, at: usize, refused: Refused, cx: &mut Context<'_>) {
        let exchange = &mut self.exchanges[at];
        match refused.code {
            RefusalCode::Cookie if refused.cookie != Cookie::NONE && refused.cookie != self.cookie => {
                self.cookie = refused.cookie;
                // Everything that was sent with the old cookie will be refused as well.
                self.exchanges.iter_mut().for_each(|exchange| exchange.restart(cx.now));
            }
            RefusalCode::NotRegistered if self.link == Link::Joined => self.rejoin(cx.now),
            RefusalCode::NotRegistered if matches!(exchange.request, Request::Exit) => self.link = Link::Left,
            code => {
                let wait = Duration::from_millis(refused.retry_after_ms.into());
                exchange.due = exchange.due.max(cx.now + wait.min(HEARTBEAT));
                exchange.asked_at = None;
                cx.out.events.push(Event::TrackerRefused { code });
            }
        }
    }
}
