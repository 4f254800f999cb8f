//! The requests to the tracker that are not answered yet.

use std::time::Duration;

use messages::node_to_tracker::{
    Asker, Credit, Exit, Need, Own, OwnDigest, OwnEntry, Query, Register, Update,
};
use messages::{BootEpoch, ContentId, Conversation, List, NodeToTracker, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::NeedTicket;

/// A request to the tracker. Its cookie is filled in when it is sent.
#[derive(Clone, Debug)]
pub(super) enum TrackerRequest {
    Register,
    Own(Vec<OwnEntry>),
    Need(NeedTicket, Query),
    Update { sequence: u32, content: ContentId, credits: Vec<Credit> },
    Exit,
}

impl TrackerRequest {
    /// Whether the tracker would refuse the request while this node is not registered, and its address is proven or
    /// not. A node that asks for owners needs no registration: over a long path that saves a round trip before the
    /// first byte.
    pub(super) fn needs_registration(&self, is_proven: bool) -> bool {
        match self {
            TrackerRequest::Register | TrackerRequest::Exit => false,
            TrackerRequest::Need(..) => !is_proven,
            TrackerRequest::Own(_) | TrackerRequest::Update { .. } => true,
        }
    }

    /// The message as it is sent now.
    pub(super) fn message(
        &self,
        asker: Asker,
        epoch: BootEpoch,
        contents: u32,
        digest: OwnDigest,
    ) -> NodeToTracker {
        match self {
            TrackerRequest::Register => Register { asker, epoch, contents, digest }.into(),
            TrackerRequest::Own(entries) => {
                Own { asker, entries: List::first_of(entries.iter().cloned()) }.into()
            }
            TrackerRequest::Need(_, query) => Need { asker, query: query.clone() }.into(),
            TrackerRequest::Update { sequence, content, credits } => {
                let credits = List::first_of(credits.iter().copied());
                Update { asker, sequence: *sequence, content: *content, credits }.into()
            }
            TrackerRequest::Exit => Exit { asker, epoch }.into(),
        }
    }
}

/// One request and its repetitions.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) conversation: Conversation,
    pub(super) request: TrackerRequest,
    /// How often the request was sent.
    pub(super) tries: u32,
    /// Since when an answer is awaited.
    pub(super) asked_at: Option<Timestamp>,
    /// When the request is sent next.
    pub(super) due: Timestamp,
    /// Whether the request was put off once, while the tracker asked the old address of this node's id whether anybody
    /// is there.
    pub(super) was_put_off: bool,
}

impl Exchange {
    pub(super) fn new(request: TrackerRequest, now: Timestamp, rng: &mut StdRng) -> Exchange {
        let conversation = Conversation(rng.random());
        Exchange { conversation, request, tries: 0, asked_at: None, due: now, was_put_off: false }
    }

    /// Records that the request was sent. The time to the next try doubles, with a little randomness, and is never
    /// longer than `max`.
    pub(super) fn on_sent(&mut self, first: Duration, max: Duration, now: Timestamp, rng: &mut StdRng) {
        let wait = (first * 2u32.pow(self.tries.min(10))).min(max);
        let percent = rng.random_range(80..=100);
        self.tries += 1;
        self.asked_at.get_or_insert(now);
        self.due = now + wait * percent / 100;
    }

    /// Begins the request anew, because it goes to another tracker.
    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.asked_at = None;
        self.restart(now);
    }

    /// Has the request sent again at once, as if for the first time.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.tries = 0;
        self.due = now;
    }
}

/// All requests that are not answered yet, in the order in which they are sent.
#[derive(Debug, Default)]
pub(super) struct Exchanges(Vec<Exchange>);

impl Exchanges {
    /// Adds a request that is due at once. Returns its conversation.
    pub(super) fn begin(
        &mut self,
        request: TrackerRequest,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Conversation {
        let exchange = Exchange::new(request, now, rng);
        let conversation = exchange.conversation;
        self.0.push(exchange);
        conversation
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.0.iter_mut()
    }

    /// The position of the request of `conversation`, for the methods below.
    pub(super) fn position(&self, conversation: Conversation) -> Option<usize> {
        self.0.iter().position(|exchange| exchange.conversation == conversation)
    }

    pub(super) fn request(&self, at: usize) -> &TrackerRequest {
        &self.0[at].request
    }

    pub(super) fn exchange_mut(&mut self, at: usize) -> &mut Exchange {
        &mut self.0[at]
    }

    /// Removes the request at this position, which is answered.
    pub(super) fn end(&mut self, at: usize) {
        self.0.swap_remove(at);
    }

    /// Drops the requests for which `unwanted` holds. Answers to them are not awaited any more.
    pub(super) fn forget(&mut self, unwanted: impl Fn(&TrackerRequest) -> bool) {
        self.0.retain(|exchange| !unwanted(&exchange.request));
    }

    pub(super) fn is_registering(&self) -> bool {
        self.0.iter().any(|exchange| matches!(exchange.request, TrackerRequest::Register))
    }

    pub(super) fn is_updating(&self) -> bool {
        self.0.iter().any(|exchange| matches!(exchange.request, TrackerRequest::Update { .. }))
    }

    /// The number of OWNs that are on their way.
    pub(super) fn owns(&self) -> usize {
        self.0.iter().filter(|exchange| matches!(exchange.request, TrackerRequest::Own(_))).count()
    }

    /// When the oldest unanswered request was first sent.
    pub(super) fn asked_at(&self) -> Option<Timestamp> {
        self.0.iter().filter_map(|exchange| exchange.asked_at).min()
    }

    /// Has all requests sent again at once.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.0.iter_mut().for_each(|exchange| exchange.restart(now));
    }
}
