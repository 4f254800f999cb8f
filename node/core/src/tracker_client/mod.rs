//! The conversation of one node with its tracker: REGISTER, OWN, NEED, UPDATE, EXIT, each until it is answered.
//!
//! ```text
//!   Joining ──REGISTERED──▶ Joined ──every T: REGISTER──▶ Joined
//!      ▲  REFUSED Cookie: again, with the cookie             │ REFUSED NotRegistered, or no answer
//!      ╰──────────────────────────────────────────────────────╯
//! ```
//!
//! Nothing here waits longer than `retry_most` for the next try. A tracker that has forgotten this node says so
//! (`resync`), and all OWNs are said again, several at a time. A heartbeat in the middle of that meets tables that
//! cannot agree yet: the node says the rest and then asks once more. Whatever a tracker answers, each of its answers
//! begins nothing more than once in a while (`gate.rs`).
//!
//! A node may begin before anybody knows where its tracker is: until it is told, it asks nothing and says nothing.

mod announcements;
mod answers;
mod cooldown;
mod exchange;
mod registration;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use messages::limits::MAX_CREDITS;
use messages::node_to_tracker::{Asker, Credit, OwnEntry, Query};
use messages::tracker_to_node::Owners;
use messages::{BootEpoch, ContentId, Cookie, Endpoint, NodeId, NodeToTracker, Timestamp};

use crate::context::Context;
use crate::event::Event;
use crate::ids::{DownloadId, SearchId};
use crate::output::{Reason, Wait};
use crate::status::TrackerStanding;
use announcements::Announcements;
use cooldown::Cooldown;
use exchange::{Exchange, Request};
use registration::Registration;

/// Who asked a NEED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedTicket {
    Download(DownloadId),
    Search(SearchId),
}

/// What the tracker's message means to the rest of the node.
#[derive(Debug)]
pub(crate) enum TrackerReply {
    /// Nothing that concerns others.
    Nothing,
    /// The answer to a NEED.
    Owners(NeedTicket, Owners),
    /// These contents are in the tracker's tables now.
    Announced(Vec<ContentId>),
}

/// Received bytes are reported in batches.
const UPDATE_PERIOD: Duration = Duration::from_secs(1);
/// A tracker that answers nothing for this long is said to be silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A search is given up after this long.
const SEARCH_PATIENCE: Duration = Duration::from_secs(5);
/// While the tracker asks the old place of this node's id, it puts this node off for no longer than this: nothing is wrong.
const PUT_OFF: Duration = Duration::from_secs(2);
/// EXIT is repeated faster than other requests,
const EXIT_RETRY: Duration = Duration::from_millis(200);
/// because leaving takes no longer than this.
const LEAVE_PATIENCE: Duration = Duration::from_secs(1);
/// REGISTER comes this often until the tracker says how often.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A tracker that does not answer is asked at least this often, so that its return is noticed soon even when a datagram
/// or two are lost.
const KNOCK: Duration = Duration::from_secs(5);
/// OWNs on their way at once: ten thousand contents are told in two seconds over a path of 100 ms.
const OWN_WINDOW: usize = 32;
/// The tracker can make this node go on with another cookie,
const COOKIE_REST: Duration = Duration::from_secs(1);
/// join again,
const REJOIN_REST: Duration = Duration::from_secs(1);
/// and tell everything again once in so long.
const RESYNC_REST: Duration = Duration::from_secs(2);
/// No tracker is told more often that this node is there.
const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// The tracker does not know this node yet, or no more.
    Joining,
    /// It does.
    Joined,
    /// EXIT is on its way, until then.
    Leaving { until: Timestamp },
    /// The tracker has forgotten us, or it took too long.
    Left,
}

/// One node's conversation with its tracker.
#[derive(Debug)]
pub(crate) struct TrackerClient {
    /// `None`: nobody knows yet where it is.
    tracker: Option<SocketAddr>,
    node: NodeId,
    epoch: BootEpoch,
    cookie: Cookie,
    link: Link,
    tracker_epoch: Option<u64>,
    /// This node's address as the tracker sees it.
    observed: Option<Endpoint>,
    heartbeat: Duration,
    next_register: Timestamp,
    exchanges: Vec<Exchange>,
    seat: Registration,
    owned: Announcements,
    credits: BTreeMap<ContentId, BTreeMap<NodeId, u64>>,
    update_at: Timestamp,
    updates: u32,
    /// The last answer, or the start.
    heard_at: Timestamp,
    silent: bool,
    searches: BTreeMap<SearchId, Timestamp>,
    gates: Cooldowns,
    /// The tables differed while this node was still telling: it asks again when it has told.
    recheck: bool,
}

/// What a tracker's answers may begin, each once in a while.
#[derive(Debug)]
struct Cooldowns {
    cookie: Cooldown,
    rejoin: Cooldown,
    resync: Cooldown,
}

impl TrackerClient {
    /// A conversation with `tracker`: the first REGISTER is due at once, or as soon as it is known where that is.
    pub(crate) fn new(
        tracker: Option<SocketAddr>,
        node: NodeId,
        epoch: BootEpoch,
        now: Timestamp,
    ) -> TrackerClient {
        TrackerClient {
            tracker,
            node,
            epoch,
            cookie: Cookie::NONE,
            link: Link::Joining,
            tracker_epoch: None,
            observed: None,
            heartbeat: HEARTBEAT,
            next_register: now,
            exchanges: Vec::new(),
            seat: Registration::default(),
            owned: Announcements::default(),
            credits: BTreeMap::new(),
            update_at: Timestamp::NEVER,
            updates: 0,
            heard_at: now,
            silent: false,
            searches: BTreeMap::new(),
            gates: Cooldowns {
                cookie: Cooldown::new(COOKIE_REST),
                rejoin: Cooldown::new(REJOIN_REST),
                resync: Cooldown::new(RESYNC_REST),
            },
            recheck: false,
        }
    }

    /// What is heard of the tracker.
    pub(crate) fn standing(&self) -> TrackerStanding {
        match self.link {
            _ if self.silent => TrackerStanding::Silent,
            Link::Joined => TrackerStanding::Answers,
            _ if self.tracker_epoch.is_none() => TrackerStanding::Unheard,
            Link::Joining | Link::Leaving { .. } | Link::Left => TrackerStanding::Silent,
        }
    }

    /// Whether the tracker answers.
    #[cfg(test)]
    pub(crate) fn answers(&self) -> bool {
        self.standing() == TrackerStanding::Answers
    }

    /// Whether EXIT was answered, or it took too long.
    pub(crate) fn has_left(&self) -> bool {
        self.link == Link::Left
    }

    /// Talks to the tracker at this address from now on.
    pub(crate) fn use_tracker(&mut self, tracker: SocketAddr, cx: &Context<'_>) {
        if matches!(self.link, Link::Leaving { .. } | Link::Left) {
            return;
        }
        self.tracker = Some(tracker);
        self.cookie = Cookie::NONE;
        self.rejoin(cx.now);
        self.tell_all_again();
        // What was asked elsewhere has not been asked here.
        self.exchanges.iter_mut().for_each(|exchange| exchange.begin_again(cx.now));
    }

    /// Announces `entry`, or takes it back when it says so.
    pub(crate) fn own(&mut self, entry: OwnEntry) {
        self.owned.put(entry);
    }

    /// Asks `query` until it is answered.
    pub(crate) fn need(&mut self, ticket: NeedTicket, query: Query, cx: &mut Context<'_>) {
        self.forget_need(ticket);
        if let NeedTicket::Search(search) = ticket {
            self.searches.insert(search, cx.now + SEARCH_PATIENCE);
        }
        self.exchanges.push(Exchange::new(Request::Need(ticket, query), cx.now, cx.rng));
    }

    /// Nobody waits for `ticket`'s answer any more.
    pub(crate) fn forget_need(&mut self, ticket: NeedTicket) {
        self.exchanges.retain(|exchange| !matches!(&exchange.request, Request::Need(of, _) if *of == ticket));
    }

    /// `bytes` of `content` came from `owner` and were verified.
    pub(crate) fn credit(&mut self, content: ContentId, owner: NodeId, bytes: u64, now: Timestamp) {
        *self.credits.entry(content).or_default().entry(owner).or_default() += bytes;
        self.update_at = self.update_at.min(now + UPDATE_PERIOD);
    }

    /// The rest of the credits is reported at once.
    pub(crate) fn flush_credits(&mut self, now: Timestamp) {
        if !self.credits.is_empty() {
            self.update_at = now;
        }
    }

    /// Says EXIT.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>) {
        if matches!(self.link, Link::Leaving { .. } | Link::Left) {
            return;
        }
        let known = self.link == Link::Joined;
        self.exchanges.retain(|exchange| matches!(exchange.request, Request::Update { .. }));
        self.link = if known { Link::Leaving { until: cx.now + LEAVE_PATIENCE } } else { Link::Left };
        if known {
            // What was received last is still reported, once.
            while !self.credits.is_empty() {
                self.start_update(cx);
            }
            self.exchanges.push(Exchange::new(Request::Exit, cx.now, cx.rng));
        }
    }

    fn rejoin(&mut self, now: Timestamp) {
        self.link = Link::Joining;
        self.next_register = now;
        self.exchanges.retain(|exchange| !matches!(exchange.request, Request::Register));
    }

    /// Everything is told from the start; OWNs on their way would be answered twice.
    fn tell_all_again(&mut self) {
        self.exchanges.retain(|exchange| !matches!(exchange.request, Request::Own(_)));
        self.owned.forget_answers();
        self.recheck = false;
    }

    /// When REGISTER is said next.
    fn register_at(&self) -> Timestamp {
        if self.recheck && !self.owned.is_telling() {
            self.next_register.min(self.gates.resync.opens_at())
        } else {
            self.next_register
        }
    }

    /// Sends what is due by `cx.now`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Wait {
        match self.link {
            Link::Left => return Wait::IDLE,
            Link::Leaving { until } if cx.now >= until => {
                self.link = Link::Left;
                return Wait::IDLE;
            }
            Link::Leaving { .. } => {}
            Link::Joining | Link::Joined => self.start_requests(cx),
        }
        self.give_up_searches(cx);
        let Some(tracker) = self.tracker else {
            let until = self.searches.values().min().copied().unwrap_or(Timestamp::NEVER);
            return Wait { until, reason: Reason::Timeout };
        };
        self.notice_silence(tracker, cx);
        self.send_due(tracker, cx);
        self.next_timer()
    }

    fn start_requests(&mut self, cx: &mut Context<'_>) {
        let has =
            |wanted: fn(&Request) -> bool| self.exchanges.iter().any(|exchange| wanted(&exchange.request));
        let registering = has(|request| matches!(request, Request::Register));
        let updating = has(|request| matches!(request, Request::Update { .. }));
        if !registering && cx.now >= self.register_at() {
            self.recheck = false;
            let exchange = Exchange::new(Request::Register, cx.now, cx.rng);
            self.seat.registers_in(exchange.conversation);
            self.exchanges.push(exchange);
            self.next_register = cx.now + self.heartbeat;
        }
        if self.link != Link::Joined {
            return;
        }
        let mut owns =
            self.exchanges.iter().filter(|exchange| matches!(exchange.request, Request::Own(_))).count();
        while owns < OWN_WINDOW
            && let Some(entries) = self.owned.next_batch()
        {
            owns += 1;
            self.exchanges.push(Exchange::new(Request::Own(entries), cx.now, cx.rng));
        }
        if !updating && cx.now >= self.update_at {
            self.start_update(cx);
        }
    }

    fn start_update(&mut self, cx: &mut Context<'_>) {
        let Some((content, mut owners)) = self.credits.pop_first() else {
            self.update_at = Timestamp::NEVER;
            return;
        };
        let mut credits = Vec::new();
        while credits.len() < MAX_CREDITS
            && let Some((owner, bytes)) = owners.pop_first()
        {
            credits.push(Credit { owner, bytes });
        }
        if !owners.is_empty() {
            self.credits.insert(content, owners);
        }
        self.update_at = if self.credits.is_empty() { Timestamp::NEVER } else { cx.now };
        self.updates += 1;
        let request = Request::Update { sequence: self.updates, content, credits };
        self.exchanges.push(Exchange::new(request, cx.now, cx.rng));
    }

    fn notice_silence(&mut self, tracker: SocketAddr, cx: &mut Context<'_>) {
        // Who leaves does not wait for it: what it does not hear it finds out.
        let notices = !self.silent && !matches!(self.link, Link::Leaving { .. });
        let Some(since) = self.unanswered_since().filter(|_| notices) else {
            return;
        };
        let silent = cx.now.since(since);
        if silent >= SILENT_AFTER {
            self.silent = true;
            cx.out.events.push(Event::TrackerSilent { tracker, silent });
        }
    }

    /// Since when something is asked and nothing answered.
    fn unanswered_since(&self) -> Option<Timestamp> {
        let asked = self.exchanges.iter().filter_map(|exchange| exchange.asked_at).min()?;
        Some(asked.max(self.heard_at))
    }

    fn give_up_searches(&mut self, cx: &mut Context<'_>) {
        let due: Vec<SearchId> =
            self.searches.iter().filter(|(_, at)| **at <= cx.now).map(|(id, _)| *id).collect();
        for search in due {
            self.searches.remove(&search);
            self.forget_need(NeedTicket::Search(search));
            cx.out.events.push(Event::SearchFailed { search });
        }
    }

    fn send_due(&mut self, tracker: SocketAddr, cx: &mut Context<'_>) {
        let asker = Asker { node: self.node, cookie: self.cookie };
        let (first, most) = (cx.settings.retry_first, cx.settings.retry_most);
        for exchange in &mut self.exchanges {
            if waits(self.link, self.cookie, &exchange.request) || exchange.due > cx.now {
                continue;
            }
            let (contents, digest) = self.owned.digest();
            let message: NodeToTracker = exchange.request.message(asker, self.epoch, contents, digest);
            cx.out.send(tracker, |bytes| message.encode(exchange.conversation, bytes));
            let (first, most) = match exchange.request {
                Request::Exit => (EXIT_RETRY, most),
                Request::Register => (first, most.min(KNOCK)),
                _ => (first, most),
            };
            exchange.on_sent(first, most, cx.now, cx.rng);
        }
    }

    fn next_timer(&self) -> Wait {
        if let Link::Leaving { until } = self.link {
            let due = self.exchanges.iter().map(|exchange| exchange.due).min().unwrap_or(until);
            return Wait { until: due.min(until), reason: Reason::ExitDeadline };
        }
        let goes = |exchange: &&Exchange| !waits(self.link, self.cookie, &exchange.request);
        let retry = self.exchanges.iter().filter(goes).map(|exchange| exchange.due).min();
        let retry = Wait { until: retry.unwrap_or(Timestamp::NEVER), reason: Reason::TrackerRetry };
        let registering = self.exchanges.iter().any(|exchange| matches!(exchange.request, Request::Register));
        let register = if registering { Timestamp::NEVER } else { self.register_at() };
        let updating =
            self.exchanges.iter().any(|exchange| matches!(exchange.request, Request::Update { .. }));
        let update = if updating || self.link != Link::Joined { Timestamp::NEVER } else { self.update_at };
        let search = self.searches.values().min().copied().unwrap_or(Timestamp::NEVER);
        let silence = self.unanswered_since().filter(|_| !self.silent);
        let silence = silence.map_or(Timestamp::NEVER, |since| since + SILENT_AFTER);
        retry
            .earlier(Wait { until: register, reason: Reason::Heartbeat })
            .earlier(Wait { until: update, reason: Reason::UpdateBatch })
            .earlier(Wait { until: search, reason: Reason::Timeout })
            .earlier(Wait { until: silence, reason: Reason::TrackerRetry })
    }
}

/// Whether `request` would only be refused now. Who asks for owners need not be registered, only have a cookie: over a long
/// path that is a round trip less before the first byte.
fn waits(link: Link, cookie: Cookie, request: &Request) -> bool {
    let is_question = matches!(request, Request::Need(..)) && cookie != Cookie::NONE;
    link == Link::Joining && !is_question && !request.needs_no_registration()
}

#[cfg(test)]
mod tests;
