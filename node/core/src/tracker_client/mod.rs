//! The conversation of one node with its tracker: REGISTER, OWN, NEED, UPDATE and EXIT, each repeated until it is
//! answered.
//!
//! No request waits longer than `retry_most` for its next try. A tracker that has forgotten this node reports that
//! (`resync`), and the node announces everything again, several OWNs at a time. A heartbeat in the middle of that
//! compares tables that cannot agree yet: the node announces the rest and then asks once more. However a tracker
//! answers, each of its answers makes the node begin something anew at most once in a while (`cooldown.rs`).
//!
//! A node may begin before the address of its tracker is known. Until it is told the address, it sends no request.
//!
//! `registration` holds whether the tracker knows this node, with a drawing of the states; `announcements` what the
//! node owns and what the tracker knows of that; `credits` what the node has received and from whom; `searches` the
//! searches of a person; `exchange` the requests that are on their way; `liveness` whether the tracker answers at all.
//! `answers` handles the tracker's messages.

mod announcements;
mod answers;
mod cooldown;
mod credits;
mod exchange;
mod liveness;
mod register_conversations;
mod registration;
mod searches;

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_tracker::{OwnEntry, Query};
use messages::tracker_to_node::Owners;
use messages::{BootEpoch, ContentId, Cookie, NodeId, NodeToTracker, Timestamp};

use crate::context::Context;
use crate::event::Event;
use crate::ids::{DownloadId, SearchId};
use crate::output::{Reason, Wait};
use crate::status::TrackerStanding;
use crate::transport::LONG_RTT;
use announcements::Announcements;
use cooldown::Cooldowns;
use credits::Credits;
use exchange::{Exchanges, TrackerRequest};
use liveness::TrackerLiveness;
use registration::{Registration, RegistrationState};
use searches::Searches;

/// The part of the node that has asked a NEED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedTicket {
    Download(DownloadId),
    Search(SearchId),
}

/// What a message of the tracker means to the rest of the node.
#[derive(Debug)]
pub(crate) enum TrackerReply {
    /// The message concerns no other part.
    Nothing,
    /// The answer to a NEED.
    Owners(NeedTicket, Owners),
    /// These contents are in the tracker's tables now.
    Announced(Vec<ContentId>),
}

/// EXIT is repeated faster than other requests, because the node leaves after [`registration::EXIT_TIMEOUT`] at the
/// latest.
const EXIT_RETRY: Duration = Duration::from_millis(200);
/// A tracker that does not answer is sent REGISTER at least at this interval, so that its return is noticed soon even
/// when a datagram or two are lost.
const MAX_REGISTER_RETRY: Duration = Duration::from_secs(5);
/// At most this many OWNs are on their way at once: ten thousand contents are announced in two seconds over a path of
/// 100 ms.
const MAX_OWNS: usize = 32;

/// One node's conversation with its tracker.
#[derive(Debug)]
pub(crate) struct TrackerClient {
    /// The address of the tracker. `None` means that it is not known yet.
    tracker: Option<SocketAddr>,
    registration: Registration,
    exchanges: Exchanges,
    announcements: Announcements,
    credits: Credits,
    searches: Searches,
    liveness: TrackerLiveness,
    cooldowns: Cooldowns,
    /// Whether the tracker was found to be far away, so that a lost NEED costs more than a second one.
    is_far: bool,
}

impl TrackerClient {
    /// A conversation with `tracker`. The first REGISTER is due at once, or as soon as the address of the tracker is
    /// known.
    pub(crate) fn new(
        tracker: Option<SocketAddr>,
        node: NodeId,
        epoch: BootEpoch,
        now: Timestamp,
    ) -> TrackerClient {
        TrackerClient {
            tracker,
            registration: Registration::new(node, epoch, now),
            exchanges: Exchanges::default(),
            announcements: Announcements::default(),
            credits: Credits::new(),
            searches: Searches::default(),
            liveness: TrackerLiveness::new(now),
            cooldowns: Cooldowns::default(),
            is_far: false,
        }
    }

    /// Where the tracker is; `None`: nobody has named one yet.
    pub(crate) const fn tracker(&self) -> Option<SocketAddr> {
        self.tracker
    }

    /// The standing of the tracker, for screens.
    pub(crate) fn standing(&self) -> TrackerStanding {
        if self.liveness.is_silent() {
            TrackerStanding::Silent
        } else if self.registration.is_joined() {
            TrackerStanding::Answers
        } else if self.registration.was_ever_registered() {
            TrackerStanding::Silent
        } else {
            TrackerStanding::Unheard
        }
    }

    /// Whether the tracker answers.
    #[cfg(test)]
    pub(crate) fn answers(&self) -> bool {
        self.standing() == TrackerStanding::Answers
    }

    /// Whether the node has left: EXIT was answered, or not in time.
    pub(crate) fn has_left(&self) -> bool {
        self.registration.state() == RegistrationState::Left
    }

    /// Talks to the tracker at the address `tracker` from now on.
    pub(crate) fn use_tracker(&mut self, tracker: SocketAddr, cx: &Context<'_>) {
        if self.registration.has_ended() {
            return;
        }
        self.tracker = Some(tracker);
        self.registration.set_cookie(Cookie::NONE);
        self.rejoin(cx.now);
        self.announce_everything_again();
        // The requests to the former tracker have not been sent to this one.
        self.exchanges.iter_mut().for_each(|exchange| exchange.begin_again(cx.now));
    }

    /// Announces `entry`, or withdraws it if it is marked as withdrawn.
    pub(crate) fn announce(&mut self, entry: OwnEntry) {
        self.announcements.put(entry);
    }

    /// Asks the tracker `query`, repeatedly, until it is answered.
    pub(crate) fn need(&mut self, ticket: NeedTicket, query: Query, cx: &mut Context<'_>) {
        self.forget_need(ticket);
        if let NeedTicket::Search(search) = ticket {
            self.searches.begin(search, cx.now);
        }
        self.exchanges.begin(TrackerRequest::Need(ticket, query), cx.now, cx.rng);
    }

    /// Drops the NEED of `ticket`, for whose answer nobody waits any more.
    pub(crate) fn forget_need(&mut self, ticket: NeedTicket) {
        self.exchanges.forget(|request| matches!(request, TrackerRequest::Need(of, _) if *of == ticket));
    }

    /// Records that `bytes` of `content` came from `owner` and were verified.
    pub(crate) fn credit(&mut self, content: ContentId, owner: NodeId, bytes: u64, now: Timestamp) {
        self.credits.add(content, owner, bytes, now);
    }

    /// Has the gathered credits reported at once.
    pub(crate) fn flush_credits(&mut self, now: Timestamp) {
        self.credits.flush(now);
    }

    /// Leaves the tracker with EXIT.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>) {
        if self.registration.has_ended() {
            return;
        }
        self.exchanges.forget(|request| !matches!(request, TrackerRequest::Update { .. }));
        if self.registration.leave(cx.now) {
            // The last credits are still reported, each once.
            while !self.credits.is_empty() {
                self.send_update(cx);
            }
            self.exchanges.begin(TrackerRequest::Exit, cx.now, cx.rng);
        }
    }

    /// Handles the first answer of who is at `address`, where a channel is being opened: if that is the tracker, what
    /// was asked is asked again as if for the first time, as after a refused cookie.
    pub(crate) fn handle_answered(&mut self, address: SocketAddr, cx: &mut Context<'_>) {
        if self.tracker == Some(address) {
            let (first, max) = (cx.settings.retry_first, cx.settings.retry_most);
            for exchange in self.exchanges.iter_mut() {
                let Some(asked_at) = exchange.asked_at.take() else { continue };
                self.is_far = cx.now.since(asked_at) >= LONG_RTT;
                exchange.restart(cx.now);
                exchange.on_sent(first, max, cx.now, cx.rng);
            }
        }
    }

    fn rejoin(&mut self, now: Timestamp) {
        self.registration.rejoin(now);
        self.exchanges.forget(|request| matches!(request, TrackerRequest::Register));
    }

    /// Has everything announced from the start. The OWNs that are on their way are dropped, because they would be
    /// answered twice.
    fn announce_everything_again(&mut self) {
        self.exchanges.forget(|request| matches!(request, TrackerRequest::Own(_)));
        self.announcements.forget_answers();
        self.registration.forget_recheck();
    }

    /// When REGISTER is sent next.
    fn register_at(&self) -> Timestamp {
        let is_announcing = self.announcements.are_pending();
        self.registration.register_at((!is_announcing).then(|| self.cooldowns.resync.ends_at()))
    }

    /// Sends what is due by `cx.now`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Wait {
        match self.registration.state() {
            RegistrationState::Left => return Wait::IDLE,
            RegistrationState::Leaving { until } if cx.now >= until => {
                self.registration.on_left();
                return Wait::IDLE;
            }
            RegistrationState::Leaving { .. } => {}
            RegistrationState::Joining | RegistrationState::Joined => self.begin_requests(cx),
        }
        self.give_up_searches(cx);
        let Some(tracker) = self.tracker else {
            return Wait { until: self.searches.next_timeout(), reason: Reason::Timeout };
        };
        self.report_silence(tracker, cx);
        self.send_due(tracker, cx);
        self.next_timer(cx.is_sealed(tracker))
    }

    fn begin_requests(&mut self, cx: &mut Context<'_>) {
        let is_updating = self.exchanges.is_updating();
        if !self.exchanges.is_registering() && cx.now >= self.register_at() {
            let conversation = self.exchanges.begin(TrackerRequest::Register, cx.now, cx.rng);
            self.registration.on_register(conversation, cx.now);
        }
        if !self.registration.is_joined() {
            return;
        }
        let mut owns = self.exchanges.owns();
        while owns < MAX_OWNS
            && let Some(entries) = self.announcements.next_batch()
        {
            owns += 1;
            self.exchanges.begin(TrackerRequest::Own(entries), cx.now, cx.rng);
        }
        if !is_updating && cx.now >= self.credits.report_at() {
            self.send_update(cx);
        }
    }

    fn send_update(&mut self, cx: &mut Context<'_>) {
        if let Some(update) = self.credits.next_report(cx.now) {
            self.exchanges.begin(update, cx.now, cx.rng);
        }
    }

    fn report_silence(&mut self, tracker: SocketAddr, cx: &mut Context<'_>) {
        // A node that leaves does not report silence, because it waits for no tracker.
        if self.registration.has_ended() {
            return;
        }
        if let Some(silent) = self.liveness.report_silence(self.exchanges.asked_at(), cx.now) {
            cx.out.events.push(Event::TrackerSilent { tracker, silent });
        }
    }

    fn give_up_searches(&mut self, cx: &mut Context<'_>) {
        for search in self.searches.give_up(cx.now) {
            self.forget_need(NeedTicket::Search(search));
            cx.out.events.push(Event::SearchFailed { search });
        }
    }

    /// Whether the tracker was found to be far away.
    pub(crate) fn is_far(&self) -> bool {
        self.is_far
    }

    fn send_due(&mut self, tracker: SocketAddr, cx: &mut Context<'_>) {
        let (asker, epoch) = (self.registration.asker(), self.registration.epoch());
        let (contents, digest) = self.announcements.digest();
        let (first, max) = (cx.settings.retry_first, cx.settings.retry_most);
        let is_sealed = cx.is_sealed(tracker);
        for exchange in self.exchanges.iter_mut() {
            let held_back = is_held_back(&self.registration, &exchange.request, is_sealed);
            if held_back || exchange.due > cx.now {
                continue;
            }
            let message: NodeToTracker = exchange.request.message(asker, epoch, contents, digest);
            let is_first_need = matches!(exchange.request, TrackerRequest::Need(..)) && exchange.tries == 0;
            let copies = if is_first_need && self.is_far { 2 } else { 1 };
            for _ in 0..copies {
                cx.out.send(tracker, |bytes| message.encode(exchange.conversation, bytes));
            }
            let (first, max) = match exchange.request {
                TrackerRequest::Exit => (EXIT_RETRY, max),
                TrackerRequest::Register => (first, max.min(MAX_REGISTER_RETRY)),
                _ => (first, max),
            };
            exchange.on_sent(first, max, cx.now, cx.rng);
        }
    }

    fn next_timer(&self, is_sealed: bool) -> Wait {
        if let RegistrationState::Leaving { until } = self.registration.state() {
            let due = self.exchanges.iter().map(|exchange| exchange.due).min().unwrap_or(until);
            return Wait { until: due.min(until), reason: Reason::ExitDeadline };
        }
        let is_sent =
            |exchange: &&exchange::Exchange| !is_held_back(&self.registration, &exchange.request, is_sealed);
        let retry = self.exchanges.iter().filter(is_sent).map(|exchange| exchange.due).min();
        let retry = Wait { until: retry.unwrap_or(Timestamp::NEVER), reason: Reason::TrackerRetry };
        let register = if self.exchanges.is_registering() { Timestamp::NEVER } else { self.register_at() };
        let may_update = self.registration.is_joined() && !self.exchanges.is_updating();
        let update = if may_update { self.credits.report_at() } else { Timestamp::NEVER };
        let silence = self.liveness.report_at(self.exchanges.asked_at());
        retry
            .earlier(Wait { until: register, reason: Reason::Heartbeat })
            .earlier(Wait { until: update, reason: Reason::UpdateBatch })
            .earlier(Wait { until: self.searches.next_timeout(), reason: Reason::Timeout })
            .earlier(Wait { until: silence, reason: Reason::TrackerRetry })
    }
}

/// Whether the tracker would refuse `request` now. A sealed request proves the address without a cookie.
fn is_held_back(registration: &Registration, request: &TrackerRequest, is_sealed: bool) -> bool {
    let is_proven = is_sealed || registration.cookie() != Cookie::NONE;
    registration.state() == RegistrationState::Joining && request.needs_registration(is_proven)
}

#[cfg(test)]
mod tests;
