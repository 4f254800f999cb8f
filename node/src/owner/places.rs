//! The places of one content: who is served, who waits, and since when.
//!
//! ```text
//!   asks ──a place is free──▶ served ──nothing more to ask, gone, or its turn is over──▶ (next of those who wait)
//!     ╰──────none is────────▶ waiting ──chosen──▶ served
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use messages::{Conversation, Timestamp};

use crate::status::UploadStanding;

/// Who has a place and asks for nothing for so long has given it up, when others wait: its UNCHOKE may be lost.
const UNUSED: Duration = Duration::from_secs(1);

/// One place that is taken.
#[derive(Debug)]
struct Place {
    session: Conversation,
    asked_at: Timestamp,
    /// Bytes that the session had been sent when it got the place.
    sent_before: u64,
}

/// All places of one content.
#[derive(Debug, Default)]
pub(super) struct Places {
    served: Vec<Place>,
    /// The one who waits longest first.
    waiting: VecDeque<Conversation>,
}

impl Places {
    /// Whether `session` has a place.
    pub(super) fn has(&self, session: Conversation) -> bool {
        self.served.iter().any(|place| place.session == session)
    }

    /// `session` asks for something; whether it has a place.
    pub(super) fn is_used(&mut self, session: Conversation, now: Timestamp) -> bool {
        let place = self.served.iter_mut().find(|place| place.session == session);
        place.map(|place| place.asked_at = now).is_some()
    }

    /// `session`, which has no place, wants to begin a piece; whether it may. If not, it waits. `sent`: bytes that it was sent so far.
    pub(super) fn ask(&mut self, session: Conversation, places: usize, sent: u64, now: Timestamp) -> bool {
        // Who waits goes first: free places are given to them, as soon as it is the owner's turn.
        if self.served.len() < places && self.waiting.is_empty() {
            self.give(session, sent, now);
            return true;
        }
        if !self.waiting.contains(&session) {
            self.waiting.push_back(session);
        }
        false
    }

    /// `session` gets a place.
    pub(super) fn give(&mut self, session: Conversation, sent: u64, now: Timestamp) {
        self.waiting.retain(|waiting| *waiting != session);
        self.served.push(Place { session, asked_at: now, sent_before: sent });
    }

    /// `session` wants nothing any more.
    pub(super) fn leave(&mut self, session: Conversation) {
        self.served.retain(|place| place.session != session);
        self.waiting.retain(|waiting| *waiting != session);
    }

    /// `session` loses its place, and waits.
    pub(super) fn send_back(&mut self, session: Conversation) {
        self.leave(session);
        self.waiting.push_back(session);
    }

    /// How many of `places` can be given to those who wait.
    pub(super) fn vacant(&self, places: usize) -> usize {
        places.saturating_sub(self.served.len()).min(self.waiting.len())
    }

    /// Those who wait, the one who waits longest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Conversation> {
        self.waiting.iter().copied()
    }

    /// Those who have a place.
    pub(super) fn served(&self) -> impl Iterator<Item = Conversation> {
        self.served.iter().map(|place| place.session)
    }

    /// How `session` stands, for screens.
    pub(super) fn standing(&self, session: Conversation) -> UploadStanding {
        match session {
            served if self.has(served) => UploadStanding::Served,
            waiting if self.waiting.contains(&waiting) => UploadStanding::Choked,
            _ => UploadStanding::Idle,
        }
    }

    /// How many want something.
    pub(super) fn count(&self) -> usize {
        self.served.len() + self.waiting.len()
    }

    /// Whether somebody waits.
    pub(super) fn are_wanted(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those whose place nobody uses: `is_busy` tells of whom something is queued.
    pub(super) fn unused(
        &mut self,
        now: Timestamp,
        is_busy: impl Fn(Conversation) -> bool,
    ) -> Vec<Conversation> {
        if !self.are_wanted() {
            return Vec::new();
        }
        let busy = self.served.iter_mut().filter(|place| is_busy(place.session));
        busy.for_each(|place| place.asked_at = now);
        self.served.iter().filter(|place| now >= place.asked_at + UNUSED).map(|place| place.session).collect()
    }

    /// Those who have had `turn` bytes in their place; `sent` tells how much they were sent in all.
    pub(super) fn had_their_turn(&self, turn: u64, sent: impl Fn(Conversation) -> u64) -> Vec<Conversation> {
        let had = self.served.iter().filter(|place| sent(place.session) >= place.sent_before + turn);
        if self.are_wanted() { had.map(|place| place.session).collect() } else { Vec::new() }
    }

    /// When a place may turn out to be unused.
    pub(super) fn next_at(&self) -> Timestamp {
        let next = self.served.iter().map(|place| place.asked_at + UNUSED).min();
        next.filter(|_| self.are_wanted()).unwrap_or(Timestamp::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is asked, given, left and sent back: nobody is in two places, never more are served than there are places.
        #[test]
        fn everybody_is_somewhere_once(steps in prop::collection::vec((0u8..5, 0u32..8, 0u64..400), 0..200)) {
            let mut places = Places::default();
            let mut now = Timestamp::ZERO;
            for (what, session, millis) in steps {
                let session = Conversation(session);
                now += Duration::from_millis(millis);
                match what {
                    0 | 1 => {
                        let had = places.has(session);
                        let got = places.is_used(session, now) || places.ask(session, 3, 0, now);
                        prop_assert!(got || !had);
                        prop_assert_eq!(got, places.has(session));
                    }
                    2 => places.leave(session),
                    3 => if places.has(session) { places.send_back(session) },
                    _ => for _ in 0..places.vacant(3) {
                        let next = places.waiting().next().expect("somebody");
                        places.give(next, 0, now);
                    },
                }
                let all: Vec<Conversation> = places.served().chain(places.waiting()).collect();
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
                prop_assert!(places.served().count() <= 3);
                if places.next_at() <= now {
                    prop_assert!(places.unused(now, |_| true).is_empty() && places.next_at() > now);
                }
            }
        }
    }
}
