//! Which owners hold a download's slots. An owner that is slow beside the others, or beside what others gave before,
//! holds none, and its session ends in favour of owners that were not tried yet. Without this a few owners that send a
//! segment now and then would hold all slots for ever. To send something is not enough: a slot is kept by a rate.
//!
//! An owner that holds no slot is still asked, as long as its session is open. So nothing is lost where all owners are
//! slow.

use std::time::Duration;

use messages::Timestamp;

use super::session::Session;
use crate::ids::SessionKey;

/// An owner that gives less than this, in bytes a second, is slow: no link over which people share files is slower, and
/// a slow owner must not take a slot from one that may give more.
pub(super) const MIN_RATE: u64 = 16 << 10;
/// An owner is slow beside the best when it gives less than one part in this many of what the best gives, or gave a
/// while ago.
const SLOW_SHARE: u64 = 256;
/// A slow owner is slow until it gives this many times the bound, so that an owner that is just at the bound does not
/// change all the time.
const HYSTERESIS: u64 = 2;
/// The remembered rate of the best owner is halved after this long.
const BEST_HALVES_AFTER: Duration = Duration::from_secs(10);
/// When the number of owners that were greeted in vain is this many times the number of wanted owners, others are tried
/// in haste.
const HASTE_AFTER: u32 = 2;
/// The tracker is asked for others without the usual pause at most this often, when all owners that it named have been
/// tried and give little.
const MAX_QUICK_QUESTIONS: u32 = 64;
/// After this many answers in a row that name nobody new, there are taken to be no other owners: the tracker chooses
/// the owners that it names partly at random.
const STALE_ANSWERS: u32 = 5;

/// The result of one session's trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrialResult {
    pub(super) session: SessionKey,
    /// The rate of the owner in bytes a second.
    pub(super) rate: u64,
    /// Whether the owner has had time to show its rate.
    had_time: bool,
    pub(super) was_slow: bool,
}

/// Whether the owner of the result `shown` is slow: beside `best`, in bytes a second, or because it is below `slowest`.
pub(super) fn is_slow(shown: TrialResult, best: u64, slowest: u64) -> bool {
    let bound = slowest.max(best / SLOW_SHARE);
    let bound = if shown.was_slow { bound.saturating_mul(HYSTERESIS) } else { bound };
    shown.had_time && shown.rate < bound
}

/// The sessions of `spare`, each with its rate, that end in favour of `untried` owners: the slowest. The best `keep` of
/// them stay.
pub(super) fn sessions_to_end(
    mut spare: Vec<(u64, SessionKey)>,
    keep: usize,
    untried: usize,
) -> Vec<SessionKey> {
    spare.sort_unstable();
    let most = spare.len().saturating_sub(keep).min(untried);
    spare.into_iter().take(most).map(|(_, session)| session).collect()
}

/// What a download remembers of all its owners, to tell the slow ones from the others.
#[derive(Debug)]
pub(super) struct Rotation {
    /// The rate of the best session in bytes a second, and when it was measured or last halved.
    best: u64,
    best_at: Timestamp,
    /// The number of the tracker's answers in a row that named nobody new.
    stale_answers: u32,
    quick_questions: u32,
    /// The number of owners that were greeted since the last WELCOME.
    greeted: u32,
}

impl Rotation {
    pub(super) fn new(now: Timestamp) -> Rotation {
        Rotation { best: 0, best_at: now, stale_answers: 0, quick_questions: 0, greeted: 0 }
    }

    /// Records an answer of the tracker. `has_news` tells whether it named somebody new.
    pub(super) fn on_answer(&mut self, has_news: bool) {
        self.stale_answers = if has_news { 0 } else { self.stale_answers.saturating_add(1) };
    }

    /// Records that one more owner is greeted.
    pub(super) fn on_greeted(&mut self) {
        self.greeted = self.greeted.saturating_add(1);
    }

    /// Records that an owner has answered with WELCOME.
    pub(super) fn on_welcome(&mut self) {
        self.greeted = 0;
    }

    /// Whether so many owners were greeted in vain, compared with the number of wanted `owners`, that the rest is
    /// better tried in haste.
    pub(super) fn needs_haste(&self, owners: u8) -> bool {
        self.greeted >= HASTE_AFTER * u32::from(owners)
    }

    /// Takes in that the best session now gives `best` bytes a second. Returns the rate with which sessions are
    /// compared.
    pub(super) fn update_best(&mut self, best: u64, now: Timestamp) -> u64 {
        while self.best > 0 && now >= self.best_at + BEST_HALVES_AFTER {
            (self.best, self.best_at) = (self.best / 2, self.best_at + BEST_HALVES_AFTER);
        }
        if best >= self.best {
            (self.best, self.best_at) = (best, now);
        }
        self.best
    }

    /// Whether the tracker is to be asked soon, when all known owners were tried and are not enough. The number of such
    /// questions is limited, and the question counts as asked.
    pub(super) fn spend_quick_question(&mut self) -> bool {
        let asks = self.stale_answers < STALE_ANSWERS && self.quick_questions < MAX_QUICK_QUESTIONS;
        self.quick_questions += u32::from(asks);
        asks
    }
}

impl Session {
    /// The result of the owner's trial so far. The trial of an owner that has nothing to give now begins anew.
    pub(super) fn conclude_trial(&mut self, now: Timestamp) -> TrialResult {
        if !self.is_choked() && self.outstanding() == 0 {
            self.speed_trial.on_idle();
        }
        let had_time = !self.is_choked() && self.conclusive_at().is_some_and(|at| now >= at);
        // The higher of two rates counts: the one of late, and the one over the whole trial.
        let rate = self.rate(now).max(self.speed_trial.rate(self.given(), now));
        TrialResult { session: self.key(), rate, had_time, was_slow: self.speed_trial.is_slow() }
    }

    pub(super) fn conclusive_at(&self) -> Option<Timestamp> {
        self.speed_trial.conclusive_at(self.given(), self.rtt().unwrap_or_default())
    }

    pub(super) fn set_slow(&mut self, is_slow: bool) {
        self.speed_trial.is_slow = is_slow;
    }

    /// Whether the session holds one of the download's slots.
    pub(super) fn holds_slot(&self) -> bool {
        self.is_useful() && !self.speed_trial.is_slow()
    }

    /// Whether the session may end in favour of another: its owner is silent or slow. A choked session is kept, because
    /// it will be unchoked later.
    pub(super) fn is_spare(&self) -> bool {
        !self.holds_slot() && !self.is_choked()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A slow owner has had time, and gives less than the bound or than a part of the best; the best itself is slow
        /// only below the bound.
        #[test]
        fn who_is_slow_is_slow_beside_somebody(
            rate in 0u64..20_000_000,
            best in 0u64..200_000_000,
            had_time: bool,
            was_slow: bool,
        ) {
            let one = TrialResult { session: SessionKey(1), rate, had_time, was_slow };
            let slow = is_slow(one, best.max(rate), MIN_RATE);
            prop_assert!(!slow || had_time);
            if rate >= HYSTERESIS * MIN_RATE.max(best / SLOW_SHARE) {
                prop_assert!(!slow, "fast enough, whatever it was");
            }
            if had_time && rate < MIN_RATE.max(best / SLOW_SHARE) {
                prop_assert!(slow);
            }
            let again = is_slow(TrialResult { was_slow: true, ..one }, best.max(rate), MIN_RATE);
            prop_assert!(!slow || again, "no to and fro at the bound");
        }

        /// The slowest leave, as many as others come, and the best stay.
        #[test]
        fn the_slowest_leave_for_as_many_others(
            rates in prop::collection::vec(0u64..1000, 0..40),
            keep in 0usize..10,
            untried in 0usize..40,
        ) {
            let numbered = (0u32..).zip(&rates);
            let spare: Vec<_> = numbered.map(|(key, &rate)| (rate, SessionKey(key))).collect();
            let leave = sessions_to_end(spare.clone(), keep, untried);
            prop_assert!(leave.len() <= untried && spare.len() - leave.len() >= keep.min(spare.len()));
            let rate = |key: &SessionKey| rates[key.0 as usize];
            let stays = spare.iter().filter(|(_, key)| !leave.contains(key)).map(|(rate, _)| *rate).min();
            if let (Some(fastest), Some(stays)) = (leave.iter().map(rate).max(), stays) {
                prop_assert!(fastest <= stays);
            }
        }
    }

    #[test]
    fn the_best_rate_is_compared_with_for_a_while() {
        let now = Timestamp::ZERO;
        let mut rotation = Rotation::new(now);
        assert_eq!(rotation.update_best(8_000_000, now), 8_000_000);
        assert_eq!(rotation.update_best(1_000_000, now + BEST_HALVES_AFTER), 4_000_000);
        assert_eq!(rotation.update_best(1_000_000, now + 3 * BEST_HALVES_AFTER), 1_000_000);
    }

    #[test]
    fn haste_begins_when_many_were_greeted_in_vain_and_ends_when_one_answers() {
        let mut rotation = Rotation::new(Timestamp::ZERO);
        let mut greeted = |count: u32| {
            (0..count).for_each(|_| rotation.on_greeted());
            rotation.needs_haste(8)
        };
        assert!(!greeted(2 * 8 - 1) && greeted(1));
        rotation.on_welcome();
        assert!(!rotation.needs_haste(8));
    }

    #[test]
    fn the_tracker_is_not_asked_without_end() {
        let mut rotation = Rotation::new(Timestamp::ZERO);
        (0..STALE_ANSWERS - 1).for_each(|_| rotation.on_answer(false));
        assert!(rotation.spend_quick_question());
        rotation.on_answer(false);
        assert!(!rotation.spend_quick_question(), "there seem to be no others");
        rotation.on_answer(true);
        assert_eq!(
            (0..1000).filter(|_| rotation.spend_quick_question()).count(),
            MAX_QUICK_QUESTIONS as usize - 1
        );
    }
}
