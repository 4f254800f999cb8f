//! The upload slots of one content: which sessions are served and which wait, and since when.
//!
//! ```text
//!   asks ──a slot is free──▶ served ──nothing more to ask, gone, or its turn is over──▶ (next of those that wait)
//!     ╰──────none is───────▶ waiting ──chosen──▶ served
//! ```
//! A session keeps its slot by taking bytes, not by asking. A session that takes next to nothing in its slot while
//! others wait has had its turn. A session that takes little leaves an extra slot for another: the owner could send
//! more, and the number of slots is small so that each slot is worth something, not to keep sessions out.

use std::collections::VecDeque;
use std::time::Duration;

use messages::{Conversation, Timestamp};

use crate::status::UploadStanding;

/// A session with a slot that asks for nothing for this long has given the slot up, when others wait: its UNCHOKE may
/// have been lost.
const UNUSED_AFTER: Duration = Duration::from_secs(1);
/// The rate at which a session takes bytes in its slot is measured at this interval.
const MEASURED_EVERY: Duration = Duration::from_secs(2);
/// A slot is good for at least this many bytes a second, whatever else the owner sends; a limit of the owner may lower
/// it.
pub(super) const MIN_SLOT_RATE: u64 = 16 << 10;
/// A session has had its turn when it takes less than [`MIN_SLOT_RATE`], and less than one part in this many of an
/// equal share of what is taken in all slots.
const PART_OF_SHARE: u64 = 4;
/// A session that takes less than [`MIN_SLOT_RATE`] has had its turn after this many such measurements in a row: a few
/// may be slow because of the owner's own path.
const MAX_SLOW_MEASUREMENTS: u8 = 3;
/// A session that takes fewer bytes a second than this, or less than a limit of the owner leaves for a part of a slot,
/// leaves an extra slot for another.
pub(super) const LIGHT_SLOT_RATE: u64 = 256 << 10;
/// There are at most this many extra slots.
const MAX_EXTRA_SLOTS: usize = 16;
/// A turn under the policy `fair` ends after this long, whatever was taken. A full turn takes about this long where
/// eight sessions share 10 Mbit/s.
const FAIR_TIME: Duration = Duration::from_secs(30);

/// The numbers of bytes that were sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// The bytes that one session was sent.
    pub(super) to_session: u64,
    /// The bytes of the content that all sessions were sent.
    pub(super) in_total: u64,
}

/// One slot that is taken.
#[derive(Debug)]
struct UploadSlot {
    session: Conversation,
    asked_at: Timestamp,
    unchoked_at: Timestamp,
    /// The number of bytes that the session had been sent when it got the slot.
    sent_before: u64,
    /// When the rate was last measured, and what had been sent by then.
    measured_at: Timestamp,
    measured: Sent,
    /// The number of measurements in a row in which the session took too little.
    slow_measurements: u8,
    /// Whether the session takes so little that it leaves an extra slot for another.
    is_light: bool,
}

/// What was sent, and the rates that are enough, for [`UploadSlots::measure`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    /// The bytes of the content that all sessions were sent.
    pub(super) total_sent: u64,
    pub(super) slots: usize,
    /// The rate, in bytes a second, for which a slot is good at least.
    pub(super) min_rate: u64,
    /// The rate, in bytes a second, at which a session uses a whole slot.
    pub(super) light_rate: u64,
}

/// All slots of one content.
#[derive(Debug, Default)]
pub(super) struct UploadSlots {
    served: Vec<UploadSlot>,
    /// The waiting sessions, the one that has waited longest first.
    waiting: VecDeque<Conversation>,
    /// Whether a session got, lost or wanted a slot since the last [`UploadSlots::take_changed`].
    is_changed: bool,
}

impl UploadSlots {
    /// Whether `session` has a slot.
    pub(super) fn has(&self, session: Conversation) -> bool {
        self.served.iter().any(|slot| slot.session == session)
    }

    /// Records that `session` asks for something. Returns whether it has a slot.
    pub(super) fn on_asked(&mut self, session: Conversation, now: Timestamp) -> bool {
        let slot = self.served.iter_mut().find(|slot| slot.session == session);
        slot.map(|slot| slot.asked_at = now).is_some()
    }

    /// Requests a slot for `session`, which has none and wants to begin a piece. Returns whether it gets one, because
    /// one of `slots` is free; if not, it waits.
    pub(super) fn request(
        &mut self,
        session: Conversation,
        slots: usize,
        sent: Sent,
        now: Timestamp,
    ) -> bool {
        // The sessions that wait already go first: they are given free slots in the next poll.
        if self.served.len() < slots && self.waiting.is_empty() {
            self.unchoke(session, sent, now);
            return true;
        }
        if !self.waiting.contains(&session) {
            self.waiting.push_back(session);
            self.is_changed = true;
        }
        false
    }

    /// Gives a slot to `session`.
    pub(super) fn unchoke(&mut self, session: Conversation, sent: Sent, now: Timestamp) {
        self.waiting.retain(|waiting| *waiting != session);
        self.is_changed = true;
        self.served.push(UploadSlot {
            session,
            asked_at: now,
            unchoked_at: now,
            sent_before: sent.to_session,
            measured_at: now,
            measured: sent,
            slow_measurements: 0,
            is_light: false,
        });
    }

    /// Releases the slot of `session`, or its place among the waiting sessions, because it wants nothing any more.
    pub(super) fn release(&mut self, session: Conversation) {
        self.served.retain(|slot| slot.session != session);
        self.waiting.retain(|waiting| *waiting != session);
        self.is_changed = true;
    }

    /// Takes the slot of `session`, if it has one. The session waits behind all others.
    pub(super) fn choke(&mut self, session: Conversation) {
        self.release(session);
        self.waiting.push_back(session);
    }

    /// The number of extra slots, one for each slot in which little is taken.
    pub(super) fn extra_slots(&self) -> usize {
        self.served.iter().filter(|slot| slot.is_light).count().min(MAX_EXTRA_SLOTS)
    }

    /// The number of free ones among `slots` that can be given to waiting sessions.
    pub(super) fn vacant(&self, slots: usize) -> usize {
        slots.saturating_sub(self.served.len()).min(self.waiting.len())
    }

    /// The waiting sessions, the one that has waited longest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Conversation> {
        self.waiting.iter().copied()
    }

    /// The sessions that have a slot.
    pub(super) fn served(&self) -> impl Iterator<Item = Conversation> {
        self.served.iter().map(|slot| slot.session)
    }

    /// The standing of `session`, for screens.
    pub(super) fn standing(&self, session: Conversation) -> UploadStanding {
        match session {
            served if self.has(served) => UploadStanding::Served,
            waiting if self.waiting.contains(&waiting) => UploadStanding::Choked,
            _ => UploadStanding::Idle,
        }
    }

    /// The number of sessions that have a slot or wait for one.
    pub(super) fn count(&self) -> usize {
        self.served.len() + self.waiting.len()
    }

    /// Whether a session waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a session got, lost or wanted a slot since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Finds the sessions that do not use their slot, if others wait. A session for which `is_busy` holds has requests
    /// in its queue and so uses its slot.
    pub(super) fn find_unused(
        &mut self,
        now: Timestamp,
        is_busy: impl Fn(Conversation) -> bool,
    ) -> Vec<Conversation> {
        if !self.has_waiting() {
            return Vec::new();
        }
        let busy = self.served.iter_mut().filter(|slot| is_busy(slot.session));
        busy.for_each(|slot| slot.asked_at = now);
        let unused = self.served.iter().filter(|slot| now >= slot.asked_at + UNUSED_AFTER);
        unused.map(|slot| slot.session).collect()
    }

    /// Measures the rate in each slot, if others wait and the measurement is due. Returns the sessions that take next
    /// to nothing. `sent` yields the number of bytes that a session was sent in total.
    pub(super) fn measure(
        &mut self,
        delivered: Delivered,
        sent: impl Fn(Conversation) -> u64,
        now: Timestamp,
    ) -> Vec<Conversation> {
        let mut slow = Vec::new();
        if !self.has_waiting() {
            return slow;
        }
        for slot in self.served.iter_mut().filter(|slot| now >= slot.measured_at + MEASURED_EVERY) {
            let sent = Sent { to_session: sent(slot.session), in_total: delivered.total_sent };
            if slot.measure(delivered, sent, now) {
                slow.push(slot.session);
            }
        }
        slow
    }

    /// Whether `session`, which was `sent` this many bytes in total, took less than `min_rate` bytes a second in its
    /// slot.
    pub(super) fn is_wasted(&self, session: Conversation, sent: u64, min_rate: u64, now: Timestamp) -> bool {
        let slot = self.served.iter().find(|slot| slot.session == session);
        slot.is_some_and(|slot| {
            let least = u128::from(min_rate) * now.since(slot.unchoked_at).as_nanos() / 1_000_000_000;
            u128::from(sent.saturating_sub(slot.sent_before)) < least
        })
    }

    /// The sessions that have taken `turn` bytes in their slot, or have had it for long enough, if others wait. `sent`
    /// yields the number of bytes that a session was sent in total.
    pub(super) fn ended_turns(
        &self,
        turn: u64,
        sent: impl Fn(Conversation) -> u64,
        now: Timestamp,
    ) -> Vec<Conversation> {
        let is_over = |slot: &&UploadSlot| {
            sent(slot.session) >= slot.sent_before + turn || now >= slot.unchoked_at + FAIR_TIME
        };
        let ended = self.served.iter().filter(is_over);
        if self.has_waiting() { ended.map(|slot| slot.session).collect() } else { Vec::new() }
    }

    /// When a slot may next be found unused, or used too little.
    pub(super) fn next_due(&self) -> Timestamp {
        let due = |slot: &UploadSlot| (slot.asked_at + UNUSED_AFTER).min(slot.measured_at + MEASURED_EVERY);
        self.served.iter().map(due).min().filter(|_| self.has_waiting()).unwrap_or(Timestamp::NEVER)
    }
}

impl UploadSlot {
    /// Measures the rate since the last measurement. Returns whether the session has had its turn, because it takes
    /// next to nothing.
    fn measure(&mut self, delivered: Delivered, sent: Sent, now: Timestamp) -> bool {
        let took = sent.to_session.saturating_sub(self.measured.to_session);
        let took_in_total = sent.in_total.saturating_sub(self.measured.in_total);
        let time = now.since(self.measured_at).as_nanos();
        let [least, light] =
            [delivered.min_rate, delivered.light_rate].map(|rate| u128::from(rate) * time / 1_000_000_000);
        let share = took_in_total / delivered.slots as u64;
        let is_slow = u128::from(took) < least;
        // Where all slots together take as much as this many whole ones, more slots would only make each smaller.
        self.is_light =
            u128::from(took) < light && u128::from(took_in_total) < light * delivered.slots as u128;
        self.slow_measurements = if is_slow { self.slow_measurements + 1 } else { 0 };
        (self.measured_at, self.measured) = (now, sent);
        is_slow && (took * PART_OF_SHARE < share || self.slow_measurements >= MAX_SLOW_MEASUREMENTS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// No session is in two slots, and never more are served than there are slots, whatever is asked for, unchoked,
        /// released and choked.
        #[test]
        fn everybody_is_somewhere_once(steps in prop::collection::vec((0u8..5, 0u32..8, 0u64..400), 0..200)) {
            let mut slots = UploadSlots::default();
            let mut now = Timestamp::ZERO;
            for (what, session, millis) in steps {
                let session = Conversation(session);
                now += Duration::from_millis(millis);
                match what {
                    0 | 1 => {
                        let had = slots.has(session);
                        let got = slots.on_asked(session, now) || slots.request(session, 3, Sent::default(), now);
                        prop_assert!(got || !had);
                        prop_assert_eq!(got, slots.has(session));
                    }
                    2 => slots.release(session),
                    3 => if slots.has(session) { slots.choke(session) },
                    _ => for _ in 0..slots.vacant(3) {
                        let next = slots.waiting().next().expect("somebody");
                        slots.unchoke(next, Sent::default(), now);
                    },
                }
                let all: Vec<Conversation> = slots.served().chain(slots.waiting()).collect();
                prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
                prop_assert!(slots.served().count() <= 3);
                if slots.next_due() <= now {
                    prop_assert!(slots.find_unused(now, |_| true).is_empty());
                    slots.measure(Delivered { total_sent: 0, slots: 3, min_rate: MIN_SLOT_RATE, light_rate: 0 }, |_| 0, now);
                    prop_assert!(slots.next_due() > now);
                }
            }
        }
    }

    /// Whether the second of two sessions, which takes `rate` bytes a second while the first takes `other`, keeps its
    /// slot for 20 s.
    fn is_kept(rate: u64, other: u64, min_rate: u64) -> bool {
        let mut slots = UploadSlots::default();
        let session = Conversation;
        (0..2)
            .for_each(|number| assert!(slots.request(session(number), 2, Sent::default(), Timestamp::ZERO)));
        assert!(!slots.request(session(2), 2, Sent::default(), Timestamp::ZERO));
        (1..=20).all(|second| {
            let now = Timestamp::ZERO + Duration::from_secs(second);
            let sent = |of| if of == session(0) { other * second } else { rate * second };
            let delivered =
                Delivered { total_sent: (rate + other) * second, slots: 2, min_rate, light_rate: 0 };
            !slots.measure(delivered, sent, now).contains(&session(1))
        })
    }

    #[test]
    fn a_session_that_takes_next_to_nothing_keeps_no_slot() {
        assert!(!is_kept(1, 1 << 20, MIN_SLOT_RATE), "a byte now and then");
        assert!(!is_kept(1, 1, MIN_SLOT_RATE), "nor when all do that");
        assert!(is_kept(MIN_SLOT_RATE, 100 << 20, MIN_SLOT_RATE), "who has a slow path beside fast ones");
        assert!(is_kept(1000, 1000, 250), "where the owner gives no more");
    }

    #[test]
    fn a_session_that_takes_little_leaves_an_extra_slot() {
        let (mut slots, session) = (UploadSlots::default(), Conversation);
        (0..3).for_each(|number| {
            assert_eq!(slots.request(session(number), 2, Sent::default(), Timestamp::ZERO), number < 2)
        });
        let now = Timestamp::ZERO + MEASURED_EVERY;
        let seconds = MEASURED_EVERY.as_secs();
        let sent =
            |of| if of == session(0) { LIGHT_SLOT_RATE * seconds } else { (LIGHT_SLOT_RATE - 1) * seconds };
        let delivered = Delivered {
            total_sent: (LIGHT_SLOT_RATE * 2 - 1) * seconds,
            slots: 2,
            min_rate: MIN_SLOT_RATE,
            light_rate: LIGHT_SLOT_RATE,
        };
        assert_eq!((slots.extra_slots(), slots.vacant(2)), (0, 0), "nobody has shown it yet");
        assert!(slots.measure(delivered, sent, now).is_empty());
        assert_eq!((slots.extra_slots(), slots.vacant(2 + slots.extra_slots())), (1, 1));
    }

    #[test]
    fn a_turn_ends_by_bytes_or_by_time() {
        let (mut slots, start) = (UploadSlots::default(), Timestamp::ZERO);
        let session = Conversation;
        (0..3).for_each(|number| {
            assert_eq!(slots.request(session(number), 2, Sent::default(), start), number < 2)
        });
        let sent = |of| if of == session(0) { 1000 } else { 10 };
        assert_eq!(slots.ended_turns(1000, sent, start), [session(0)]);
        assert_eq!(slots.ended_turns(1001, sent, start + FAIR_TIME), [session(0), session(1)]);
        slots.release(session(2));
        assert_eq!(slots.ended_turns(1000, sent, start + FAIR_TIME), [], "nobody else wants it");
    }
}
