//! The places of one content: who is served, who waits, and since when.
//!
//! ```text
//!   asks ──a place is free──▶ served ──nothing more to ask, gone, or its turn is over──▶ (next of those who wait)
//!     ╰──────none is────────▶ waiting ──chosen──▶ served
//! ```
//! A place is kept by taking, not by asking: who takes next to nothing in it while others wait has had its turn, and who takes little leaves room
//! for another beside it: the owner could give more, and places are few so that each is worth something, not to keep others out.

use std::collections::VecDeque;
use std::time::Duration;

use messages::{Conversation, Timestamp};

use crate::status::UploadStanding;

/// Who has a place and asks for nothing for so long has given it up, when others wait: its UNCHOKE may be lost.
const UNUSED: Duration = Duration::from_secs(1);
/// How much is taken in a place is looked at this often.
const LOOKED_AT: Duration = Duration::from_secs(2);
/// Bytes a second that a place is good for at least, whatever else the owner sends; a limit of the owner may make it less.
pub(super) const MIN_RATE: u64 = 16 << 10;
/// Who takes less than that, and so many times less than an equal share of what is taken in all places, has had its turn,
const PART_OF_SHARE: u64 = 4;
/// or who takes less than that so many times in a row: the owner's own path may be slow.
const SLOW_LOOKS: u8 = 3;
/// Who takes fewer bytes a second, or less than a limit of the owner leaves for a part of a place, leaves room for another,
pub(super) const LIGHT_RATE: u64 = 256 << 10;
/// for so many in all.
const MAX_LIGHT: usize = 16;
/// A turn under the policy `fair` ends after so long, whatever was taken: about what a full one takes where eight share 10 Mbit/s.
const FAIR_TIME: Duration = Duration::from_secs(30);

/// One place that is taken.
#[derive(Debug)]
struct Place {
    session: Conversation,
    asked_at: Timestamp,
    given_at: Timestamp,
    /// Bytes that the session had been sent when it got the place.
    sent_before: u64,
    /// When it was looked at last how much is taken, and what had been sent by then: to this session, and of the content in all.
    looked_at: Timestamp,
    sent_then: u64,
    all_then: u64,
    /// How often in a row it was too little.
    slow_looks: u8,
    /// Whether it was so little that it leaves room for another.
    is_light: bool,
}

/// How much is sent, for [`UploadSlots::slow`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// Of the content in all, in bytes.
    pub(super) all: u64,
    pub(super) places: usize,
    /// Bytes a second that a place is good for at least.
    pub(super) least_rate: u64,
    /// Bytes a second that make it a whole one.
    pub(super) light_rate: u64,
}

/// All places of one content.
#[derive(Debug, Default)]
pub(super) struct UploadSlots {
    served: Vec<Place>,
    /// The one who waits longest first.
    waiting: VecDeque<Conversation>,
    /// Whether somebody came or went since it was asked last.
    is_changed: bool,
}

impl UploadSlots {
    /// Whether `session` has a place.
    pub(super) fn has(&self, session: Conversation) -> bool {
        self.served.iter().any(|place| place.session == session)
    }

    /// `session` asks for something; whether it has a place.
    pub(super) fn is_used(&mut self, session: Conversation, now: Timestamp) -> bool {
        let place = self.served.iter_mut().find(|place| place.session == session);
        place.map(|place| place.asked_at = now).is_some()
    }

    /// `session`, which has no place, wants to begin a piece; whether it may. If not, it waits. `sent`: bytes that it and all were sent so far.
    pub(super) fn ask(
        &mut self,
        session: Conversation,
        places: usize,
        sent: (u64, u64),
        now: Timestamp,
    ) -> bool {
        // Who waits goes first: free places are given to them, as soon as it is the owner's turn.
        if self.served.len() < places && self.waiting.is_empty() {
            self.give(session, sent, now);
            return true;
        }
        if !self.waiting.contains(&session) {
            self.waiting.push_back(session);
            self.is_changed = true;
        }
        false
    }

    /// `session` gets a place. `sent`: bytes that it and all were sent so far.
    pub(super) fn give(&mut self, session: Conversation, (sent, all): (u64, u64), now: Timestamp) {
        self.waiting.retain(|waiting| *waiting != session);
        self.is_changed = true;
        self.served.push(Place {
            session,
            asked_at: now,
            given_at: now,
            sent_before: sent,
            looked_at: now,
            sent_then: sent,
            all_then: all,
            slow_looks: 0,
            is_light: false,
        });
    }

    /// `session` wants nothing any more.
    pub(super) fn leave(&mut self, session: Conversation) {
        self.served.retain(|place| place.session != session);
        self.waiting.retain(|waiting| *waiting != session);
        self.is_changed = true;
    }

    /// `session` loses its place, and waits.
    pub(super) fn send_back(&mut self, session: Conversation) {
        self.leave(session);
        self.waiting.push_back(session);
    }

    /// For how many more there is room beside those who take little.
    pub(super) fn beside_light(&self) -> usize {
        self.served.iter().filter(|place| place.is_light).count().min(MAX_LIGHT)
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

    /// Whether somebody came or went since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
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

    /// Those who take next to nothing in their place; `sent` tells how much they were sent in all.
    pub(super) fn slow(
        &mut self,
        taken: Taken,
        sent: impl Fn(Conversation) -> u64,
        now: Timestamp,
    ) -> Vec<Conversation> {
        let mut slow = Vec::new();
        if !self.are_wanted() {
            return slow;
        }
        for place in self.served.iter_mut().filter(|place| now >= place.looked_at + LOOKED_AT) {
            let (sent, all) = (sent(place.session), taken.all);
            let took = sent.saturating_sub(place.sent_then);
            let time = now.since(place.looked_at).as_nanos();
            let [least, light] =
                [taken.least_rate, taken.light_rate].map(|rate| u128::from(rate) * time / 1_000_000_000);
            let share = all.saturating_sub(place.all_then) / taken.places as u64;
            let is_slow = u128::from(took) < least;
            // Where all places together take what makes so many whole ones, more of them would only make each smaller.
            let all_take = u128::from(all.saturating_sub(place.all_then));
            place.is_light = u128::from(took) < light && all_take < light * taken.places as u128;
            place.slow_looks = if is_slow { place.slow_looks + 1 } else { 0 };
            (place.looked_at, place.sent_then, place.all_then) = (now, sent, all);
            if is_slow && (took * PART_OF_SHARE < share || place.slow_looks >= SLOW_LOOKS) {
                slow.push(place.session);
            }
        }
        slow
    }

    /// Whether `session`, which was sent so many bytes in all, took less in its place than that is good for at `least_rate` bytes a second.
    pub(super) fn is_wasted(
        &self,
        session: Conversation,
        sent: u64,
        least_rate: u64,
        now: Timestamp,
    ) -> bool {
        let place = self.served.iter().find(|place| place.session == session);
        place.is_some_and(|place| {
            let least = u128::from(least_rate) * now.since(place.given_at).as_nanos() / 1_000_000_000;
            u128::from(sent.saturating_sub(place.sent_before)) < least
        })
    }

    /// Those who have had `turn` bytes in their place, or enough time; `sent` tells how much they were sent in all.
    pub(super) fn had_their_turn(
        &self,
        turn: u64,
        sent: impl Fn(Conversation) -> u64,
        now: Timestamp,
    ) -> Vec<Conversation> {
        let had = |place: &&Place| {
            sent(place.session) >= place.sent_before + turn || now >= place.given_at + FAIR_TIME
        };
        let had = self.served.iter().filter(had);
        if self.are_wanted() { had.map(|place| place.session).collect() } else { Vec::new() }
    }

    /// When a place may turn out to be unused, or used too little.
    pub(super) fn next_at(&self) -> Timestamp {
        let next = |place: &Place| (place.asked_at + UNUSED).min(place.looked_at + LOOKED_AT);
        self.served.iter().map(next).min().filter(|_| self.are_wanted()).unwrap_or(Timestamp::NEVER)
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
            let mut places = UploadSlots::default();
            let mut now = Timestamp::ZERO;
            for (what, session, millis) in steps {
                let session = Conversation(session);
                now += Duration::from_millis(millis);
                match what {
                    0 | 1 => {
                        let had = places.has(session);
                        let got = places.is_used(session, now) || places.ask(session, 3, (0, 0), now);
                        prop_assert!(got || !had);
                        prop_assert_eq!(got, places.has(session));
                    }
                    2 => places.leave(session),
                    3 => if places.has(session) { places.send_back(session) },
                    _ => for _ in 0..places.vacant(3) {
                        let next = places.waiting().next().expect("somebody");
                        places.give(next, (0, 0), now);
                    },
                }
                let all: Vec<Conversation> = places.served().chain(places.waiting()).collect();
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
                prop_assert!(places.served().count() <= 3);
                if places.next_at() <= now {
                    prop_assert!(places.unused(now, |_| true).is_empty());
                    places.slow(Taken { all: 0, places: 3, least_rate: MIN_RATE, light_rate: 0 }, |_| 0, now);
                    prop_assert!(places.next_at() > now);
                }
            }
        }
    }

    /// Whether the second of two sessions, which takes so many bytes a second beside another, keeps its place for 20 s.
    fn is_kept(rate: u64, other: u64, least_rate: u64) -> bool {
        let mut places = UploadSlots::default();
        let session = Conversation;
        (0..2).for_each(|number| assert!(places.ask(session(number), 2, (0, 0), Timestamp::ZERO)));
        assert!(!places.ask(session(2), 2, (0, 0), Timestamp::ZERO));
        (1..=20).all(|second| {
            let now = Timestamp::ZERO + Duration::from_secs(second);
            let sent = |of| if of == session(0) { other * second } else { rate * second };
            let taken = Taken { all: (rate + other) * second, places: 2, least_rate, light_rate: 0 };
            !places.slow(taken, sent, now).contains(&session(1))
        })
    }

    #[test]
    fn who_takes_next_to_nothing_keeps_no_place() {
        assert!(!is_kept(1, 1 << 20, MIN_RATE), "a byte now and then");
        assert!(!is_kept(1, 1, MIN_RATE), "nor when all do that");
        assert!(is_kept(MIN_RATE, 100 << 20, MIN_RATE), "who has a slow path beside fast ones");
        assert!(is_kept(1000, 1000, 250), "where the owner gives no more");
    }

    #[test]
    fn who_takes_little_leaves_room_for_another() {
        let (mut places, session) = (UploadSlots::default(), Conversation);
        (0..3).for_each(|number| {
            assert_eq!(places.ask(session(number), 2, (0, 0), Timestamp::ZERO), number < 2)
        });
        let now = Timestamp::ZERO + LOOKED_AT;
        let seconds = LOOKED_AT.as_secs();
        let sent = |of| if of == session(0) { LIGHT_RATE * seconds } else { (LIGHT_RATE - 1) * seconds };
        let taken = Taken {
            all: (LIGHT_RATE * 2 - 1) * seconds,
            places: 2,
            least_rate: MIN_RATE,
            light_rate: LIGHT_RATE,
        };
        assert_eq!((places.beside_light(), places.vacant(2)), (0, 0), "nobody has shown it yet");
        assert!(places.slow(taken, sent, now).is_empty());
        assert_eq!((places.beside_light(), places.vacant(2 + places.beside_light())), (1, 1));
    }

    #[test]
    fn a_turn_ends_by_bytes_or_by_time() {
        let (mut places, start) = (UploadSlots::default(), Timestamp::ZERO);
        let session = Conversation;
        (0..3).for_each(|number| assert_eq!(places.ask(session(number), 2, (0, 0), start), number < 2));
        let sent = |of| if of == session(0) { 1000 } else { 10 };
        assert_eq!(places.had_their_turn(1000, sent, start), [session(0)]);
        assert_eq!(places.had_their_turn(1001, sent, start + FAIR_TIME), [session(0), session(1)]);
        places.leave(session(2));
        assert_eq!(places.had_their_turn(1000, sent, start + FAIR_TIME), [], "nobody else wants it");
    }
}
