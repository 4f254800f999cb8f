//! Which owners hold a download's slots: one that gives little beside what others give, or gave before, holds none,
//! and its session ends in favour of those that were not tried yet. Without this a few owners that send a segment now
//! and then would hold all slots for ever: to give something is not enough, a slot is kept by a rate.
//!
//! An owner that holds no slot is still asked, as long as there may be a session with it: where all are slow, nothing
//! is lost.

use std::time::Duration;

use messages::Timestamp;

use super::session::Session;
use crate::ids::SessionKey;

/// An owner that gives less than this, in bytes a second, is slow: no link over which people share files is slower,
/// and it takes no slot from one that may give more.
pub(super) const MIN_RATE: u64 = 16 << 10;
/// An owner that gives less than one part in this many of what the best gives, or gave a while ago, is slow beside it.
const SLOW_SHARE: u64 = 256;
/// A slow owner must give this many times the bound to be slow no longer: one that is just at the bound does not
/// change all the time.
const HYSTERESIS: u64 = 2;
/// What the best owner gave counts half after this long.
const BEST_HALVES_AFTER: Duration = Duration::from_secs(10);
/// When this many times as many owners as are wanted were greeted in vain, others are tried in haste.
const HASTE_AFTER: u32 = 2;
/// The tracker is asked soon for others at most this often, when all that it named have been tried and give little.
const MAX_QUICK_QUESTIONS: u32 = 64;
/// This many answers that name nobody new, one after the other, mean that there are no others: who is named is drawn
/// by lot in part.
const STALE_ANSWERS: u32 = 5;

/// What one session has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrialResult {
    pub(super) session: SessionKey,
    /// Bytes a second that the owner gave lately.
    pub(super) rate: u64,
    /// Whether the owner has had time to show its rate.
    had_time: bool,
    pub(super) was_slow: bool,
}

/// Whether `shown` is slow beside `best`, in bytes a second, or below `slowest`.
pub(super) fn is_slow(shown: TrialResult, best: u64, slowest: u64) -> bool {
    let bound = slowest.max(best / SLOW_SHARE);
    let bound = if shown.was_slow { bound.saturating_mul(HYSTERESIS) } else { bound };
    shown.had_time && shown.rate < bound
}

/// Which of `spare` sessions, each with its rate, end in favour of `untried` owners: the slowest, but the best `keep`
/// of all stay.
pub(super) fn sessions_to_end(
    mut spare: Vec<(u64, SessionKey)>,
    keep: usize,
    untried: usize,
) -> Vec<SessionKey> {
    spare.sort_unstable();
    let most = spare.len().saturating_sub(keep).min(untried);
    spare.into_iter().take(most).map(|(_, session)| session).collect()
}

/// What a download remembers to tell slow owners from others.
#[derive(Debug)]
pub(super) struct Rotation {
    /// What the best session gave, in bytes a second, and when, or when that was halved last.
    best: u64,
    best_at: Timestamp,
    /// Answers of the tracker, one after the other, that named nobody new.
    stale_answers: u32,
    quick_questions: u32,
    /// Owners that were greeted since one said WELCOME.
    greeted: u32,
}

impl Rotation {
    pub(super) fn new(now: Timestamp) -> Rotation {
        Rotation { best: 0, best_at: now, stale_answers: 0, quick_questions: 0, greeted: 0 }
    }

    /// The tracker has answered; whether it named somebody new.
    pub(super) fn on_answer(&mut self, has_news: bool) {
        self.stale_answers = if has_news { 0 } else { self.stale_answers.saturating_add(1) };
    }

    /// One more is greeted.
    pub(super) fn on_greeted(&mut self) {
        self.greeted = self.greeted.saturating_add(1);
    }

    /// One has answered.
    pub(super) fn on_welcome(&mut self) {
        self.greeted = 0;
    }

    /// Whether so many were greeted in vain, a few times as many as the `owners` that are wanted, that the rest is
    /// better tried in haste.
    pub(super) fn needs_haste(&self, owners: u8) -> bool {
        self.greeted >= HASTE_AFTER * u32::from(owners)
    }

    /// The best of all now gives `best` bytes a second: what is to be compared with.
    pub(super) fn update_best(&mut self, best: u64, now: Timestamp) -> u64 {
        while self.best > 0 && now >= self.best_at + BEST_HALVES_AFTER {
            (self.best, self.best_at) = (self.best / 2, self.best_at + BEST_HALVES_AFTER);
        }
        if best >= self.best {
            (self.best, self.best_at) = (best, now);
        }
        self.best
    }

    /// All owners that are known were tried, and there are not enough. Whether the tracker is asked soon: that is not
    /// done without end.
    pub(super) fn spend_quick_question(&mut self) -> bool {
        let asks = self.stale_answers < STALE_ANSWERS && self.quick_questions < MAX_QUICK_QUESTIONS;
        self.quick_questions += u32::from(asks);
        asks
    }
}

impl Session {
    /// What the owner has shown so far. The trial of one that has nothing to give now begins anew.
    pub(super) fn conclude_trial(&mut self, now: Timestamp) -> TrialResult {
        if !self.is_choked() && self.outstanding() == 0 {
            self.speed_trial.on_idle();
        }
        let had_time = !self.is_choked() && self.conclusive_at().is_some_and(|at| now >= at);
        // What the owner gave of late counts as much as what it gave in all that time.
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

    /// Whether the session may end in favour of another: its owner says nothing, or gives little. One that serves
    /// others for now comes back.
    pub(super) fn is_spare(&self) -> bool {
        !self.holds_slot() && !self.is_choked()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever is slow has had time, and gives less than the bound or than a part of the best; the best itself is
        /// slow only below the bound.
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

        /// As many leave as others come, the slowest, and the best stay.
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
    fn what_was_had_is_compared_with_for_a_while() {
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
