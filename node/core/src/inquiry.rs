//! A question to a tracker from somebody who does not register with it, and neither shares nor fetches anything: which
//! contents there are, and which nodes have them.
//!
//! One input, then drain: pass in datagrams, then call [`Inquiry::poll`] until it returns [`InquiryStep::Wait`] or
//! [`InquiryStep::Over`]. An inquiry knows no address: its driver talks to one tracker. The question is repeated until
//! it is answered, the pages of an answer are asked for up to the last, and a tracker that is silent for the timeout is
//! given up.

use std::time::Duration;

use messages::node_to_tracker::{Asker, Need, Query};
use messages::tracker_to_node::{Listed, Owners, RefusalCode, Refused};
use messages::{Conversation, Cookie, Cursor, Datagram, NodeId, Prefix, Timestamp, TrackerToNode};

use crate::command::Wanted;
use crate::query::{ask_for, fits, may_still_come};

/// A question is first repeated after this long.
const FIRST_RETRY: Duration = Duration::from_millis(150);
/// The time to the next repetition doubles up to this.
const LAST_RETRY: Duration = Duration::from_secs(1);
/// More than this many refusals in a row end the inquiry.
const MAX_REFUSALS: u32 = 32;
/// A tracker that refuses is asked again after this long at the latest, whatever it says.
const MAX_REST: Duration = Duration::from_secs(5);

/// The question of an inquiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The question for all contents whose names start with this.
    All(Prefix),
    /// The question for the contents that this may mean, of which there are no further pages.
    Meant(Wanted),
}

/// What the driver is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InquiryStep {
    /// Send the datagram that was written.
    Send,
    /// Wait until then, or until a datagram comes.
    Wait(Timestamp),
    /// Take these contents, which are a part of the answer.
    Found(Vec<Listed>),
    /// The inquiry is over.
    Over(InquiryEnd),
}

/// How an inquiry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InquiryEnd {
    /// All contents that there are have been found.
    Answered {
        /// For how long others may still turn up, because the tracker has just started.
        may_still_come: Duration,
    },
    /// The tracker did not answer in time.
    Silent,
    /// The tracker refused again and again.
    Refused(RefusalCode),
}

/// One question on its way.
#[derive(Debug)]
pub struct Inquiry {
    asker: Asker,
    question: Question,
    /// Where the previous page ended.
    after: Option<Cursor>,
    /// The conversation number of the current question. Each page has its own.
    conversation: Conversation,
    found: Vec<Listed>,
    end: Option<InquiryEnd>,
    timeout: Duration,
    repeat_at: Timestamp,
    repeat_in: Duration,
    give_up_at: Timestamp,
    refusals: u32,
}

impl Inquiry {
    /// An inquiry that asks `question` as `node`, an id that no node has. Conversation numbers count up from `seed`,
    /// which nobody can guess. A tracker that is silent for `timeout` is given up.
    #[must_use]
    pub fn new(question: Question, node: NodeId, seed: u32, timeout: Duration, now: Timestamp) -> Inquiry {
        Inquiry {
            asker: Asker { node, cookie: Cookie::NONE },
            question,
            after: None,
            conversation: Conversation(seed),
            found: Vec::new(),
            end: None,
            timeout,
            repeat_at: now,
            repeat_in: FIRST_RETRY,
            give_up_at: now + timeout,
            refusals: 0,
        }
    }

    /// Returns what to do next. A datagram that is to be sent is appended to `datagram`.
    pub fn poll(&mut self, now: Timestamp, datagram: &mut Vec<u8>) -> InquiryStep {
        if !self.found.is_empty() {
            return InquiryStep::Found(std::mem::take(&mut self.found));
        }
        if let Some(end) = self.end {
            return InquiryStep::Over(end);
        }
        if now >= self.give_up_at {
            self.end = Some(InquiryEnd::Silent);
            return InquiryStep::Over(InquiryEnd::Silent);
        }
        if now >= self.repeat_at {
            messages::encode(self.conversation, &Need { asker: self.asker, query: self.query() }, datagram);
            self.repeat_at = now + self.repeat_in;
            self.repeat_in = (2 * self.repeat_in).min(LAST_RETRY);
            return InquiryStep::Send;
        }
        InquiryStep::Wait(self.repeat_at.min(self.give_up_at))
    }

    /// Takes in a datagram of the tracker. A datagram that does not answer the current question is ignored.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Timestamp) {
        let Ok(Datagram::FromTracker(conversation, message)) = Datagram::decode(datagram) else { return };
        if conversation != self.conversation || self.end.is_some() {
            return;
        }
        match message {
            TrackerToNode::Owners(owners) => self.on_answer(owners, now),
            TrackerToNode::Refused(refused) => self.on_refused(&refused, now),
            _ => {}
        }
    }

    fn query(&self) -> Query {
        match &self.question {
            Question::All(prefix) => Query::Search { prefix: prefix.clone(), after: self.after.clone() },
            Question::Meant(wanted) => ask_for(wanted),
        }
    }

    fn on_answer(&mut self, owners: Owners, now: Timestamp) {
        let end = InquiryEnd::Answered { may_still_come: may_still_come(&owners) };
        match (owners, &self.question) {
            (Owners::Unknown { .. }, _) => self.end = Some(end),
            (Owners::Content(found), _) => {
                self.found.push(found.content);
                self.end = Some(end);
            }
            (Owners::Contents(listing), Question::Meant(wanted)) => {
                self.found.extend(listing.contents.iter().filter(|listed| fits(wanted, listed)).cloned());
                self.end = Some(end);
            }
            (Owners::Contents(listing), Question::All(_)) => {
                // Pages that lead back, or to themselves, would be followed for ever.
                let next = listing.next().filter(|next| self.after.as_ref().is_none_or(|after| next > after));
                self.found.extend(listing.contents.iter().cloned());
                match next {
                    Some(next) => self.ask_on(next, now),
                    None => self.end = Some(end),
                }
            }
        }
    }

    /// Asks for the page that follows `after`.
    fn ask_on(&mut self, after: Cursor, now: Timestamp) {
        self.after = Some(after);
        self.conversation = Conversation(self.conversation.0.wrapping_add(1));
        self.refusals = 0;
        (self.repeat_at, self.repeat_in) = (now, FIRST_RETRY);
        self.give_up_at = now + self.timeout;
    }

    fn on_refused(&mut self, refused: &Refused, now: Timestamp) {
        self.refusals += 1;
        if self.refusals > MAX_REFUSALS {
            self.end = Some(InquiryEnd::Refused(refused.code));
            return;
        }
        let rest = match refused.code {
            RefusalCode::Cookie => {
                self.asker.cookie = refused.cookie;
                Duration::ZERO
            }
            _ => Duration::from_millis(refused.retry_after_ms.into()).clamp(FIRST_RETRY, MAX_REST),
        };
        // The tracker answers and names when to ask again, so the timeout begins anew then.
        self.repeat_at = now + rest;
        self.give_up_at = self.repeat_at + self.timeout;
    }
}

#[cfg(test)]
mod tests;
