//! One request to the tracker until it is answered.

use std::time::Duration;

use messages::node_to_tracker::{
    Asker, Credit, Exit, Need, Own, OwnDigest, OwnEntry, Query, Register, Update,
};
use messages::{BootEpoch, ContentId, Conversation, List, NodeToTracker, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::NeedTicket;

/// What is asked; the cookie is put in when it is sent.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Register,
    Own(Vec<OwnEntry>),
    Need(NeedTicket, Query),
    Update { sequence: u32, content: ContentId, credits: Vec<Credit> },
    Exit,
}

impl Request {
    /// Whether it makes sense before the tracker knows this node.
    pub(super) fn needs_no_registration(&self) -> bool {
        matches!(self, Request::Register | Request::Exit)
    }

    /// The message, as it is sent now.
    pub(super) fn message(
        &self,
        asker: Asker,
        epoch: BootEpoch,
        contents: u32,
        digest: OwnDigest,
    ) -> NodeToTracker {
        match self {
            Request::Register => Register { asker, epoch, contents, digest }.into(),
            Request::Own(entries) => Own { asker, entries: List::first_of(entries.iter().cloned()) }.into(),
            Request::Need(_, query) => Need { asker, query: query.clone() }.into(),
            Request::Update { sequence, content, credits } => {
                let credits = List::first_of(credits.iter().copied());
                Update { asker, sequence: *sequence, content: *content, credits }.into()
            }
            Request::Exit => Exit { asker, epoch }.into(),
        }
    }
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) conversation: Conversation,
    pub(super) request: Request,
    /// How often it was sent.
    pub(super) tries: u32,
    /// Since when an answer is awaited.
    pub(super) asked_at: Option<Timestamp>,
    /// When it is sent next.
    pub(super) due: Timestamp,
    /// It was put off once: the tracker asks the old place of this node's id whether anybody is there.
    pub(super) put_off: bool,
}

impl Exchange {
    pub(super) fn new(request: Request, now: Timestamp, rng: &mut StdRng) -> Exchange {
        let conversation = Conversation(rng.random());
        Exchange { conversation, request, tries: 0, asked_at: None, due: now, put_off: false }
    }

    /// It was sent: the next time is twice as late, a little by chance, and never later than `most`.
    pub(super) fn on_sent(&mut self, first: Duration, most: Duration, now: Timestamp, rng: &mut StdRng) {
        let wait = (first * 2u32.pow(self.tries.min(10))).min(most);
        let percent = rng.random_range(80..=100);
        self.tries += 1;
        self.asked_at.get_or_insert(now);
        self.due = now + wait * percent / 100;
    }

    /// It is asked of another tracker, which has heard nothing of it.
    pub(super) fn begin_again(&mut self, now: Timestamp) {
        self.asked_at = None;
        self.restart(now);
    }

    /// It goes out again at once, as if for the first time.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.tries = 0;
        self.due = now;
    }
}
