//! How fast an owner sends to one downloader at most, for the sake of the network between them.
//!
//! The downloader's own rate control decides how much it asks for. This is what is left when there is none: who asks steadily for more than
//! its path carries would have the owner push everybody else off that path. What the owner knows by itself is which of the nonces that it
//! sends among the CHUNKs come back.
//!
//! ```text
//!   Free ──too much is lost, for longer than it takes to slow down──▶ Testing (a little less than arrived) ◀──too much is lost──╮
//!    ▲                                                                   │  │                                                  │
//!    ├──as much is lost as before: the path loses that anyway────────────╯  ╰──far less is lost: it was full──▶ Limited (half, ─┤
//!    ╰──less is asked for───────────────────────────────────────────────────────────────────────────────────    and it grows) ─╯
//! ```
//!
//! So a path that loses by chance costs one look at a lower rate now and then, and a path that is full is given back.

use std::time::Duration;

use messages::Timestamp;

use crate::limiter::Limiter;

/// Out of a thousand nonces so many may be lost, above what is usual.
const TOLERATED: u64 = 80;
/// No more than this is ever usual: beyond it, the rate falls whatever the reason.
const MAX_USUAL: u64 = 500;
/// What is usual is looked at again after so long.
const USUAL_FOR: Duration = Duration::from_secs(300);
/// A period has so many nonces at least, unless so many of them are lost already,
const PERIOD_NONCES: u32 = 32;
const PERIOD_LOST: u32 = 8;
/// and lasts this long, or several round trips: an honest downloader has slowed down by then.
const MIN_PERIOD: Duration = Duration::from_millis(500);
const PERIOD_ROUNDS: u32 = 4;
/// So many bad periods in a row are more than an accident.
const BAD_PERIODS: u32 = 3;
/// Up to so many of a thousand may be lost by chance on a path that is used well: it is looked at only when that has gone on for so long, since
/// an honest downloader takes seconds to come back to its rate.
const MILD: u64 = 250;
const MILD_FOR: Duration = Duration::from_secs(30);
/// What is tested: this part of what arrived, in hundredths.
const TEST_RATE: u64 = 90;
/// It did not help when so many nonces are lost, and half as many as before;
const TEST_LOST: u64 = 6;
/// it did when of so many that would have been lost before, no more than a quarter is.
const TEST_EXPECTED: u64 = 12;
/// Where the path loses that much anyway, so many times what arrives is sent at most.
const MAX_SENT: u64 = 2;
/// The rate falls no lower, in bytes a second: it is what a slow line carries, and enough to find out that all is well again.
const FLOOR: u64 = 128 << 10;
/// Up to half of what was too much it doubles in each good period; from there on it takes so long to double.
const GROWTH: Duration = Duration::from_secs(32);
/// From two thirds of what was too much up to that it takes so many times as long: others that give way hide for a while that it is too much again.
const NEAR_CEILING: u32 = 8;
/// Nonces a second while the rate is limited, about.
const NONCES_A_SECOND: u64 = 32;
/// A nonce goes behind so many bytes while it is tested whether the lower rate helps.
const TEST_SPACING: u64 = 16 << 10;

/// What became of the nonces of a time.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// When the first was heard of: what went before it is not of this time.
    began: Option<Timestamp>,
    answered: u32,
    lost: u32,
    /// Bytes sent before them, each since the nonce before it.
    bytes: u64,
}

impl Tally {
    fn nonces(&self) -> u32 {
        self.answered + self.lost
    }

    /// Out of a thousand.
    fn loss(&self) -> u64 {
        u64::from(self.lost) * 1000 / u64::from(self.nonces().max(1))
    }

    fn lasts(&self, now: Timestamp) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.since(began))
    }

    /// Bytes a second that arrived, as far as nonces tell.
    fn delivered(&self, now: Timestamp) -> u64 {
        let arrived = u128::from(self.bytes) * u128::from(self.answered) / u128::from(self.nonces().max(1));
        u64::try_from(arrived * 1_000_000 / self.lasts(now).as_micros().max(1)).unwrap_or(u64::MAX)
    }

    fn add(&mut self, other: Tally) {
        self.began = self.began.or(other.began);
        self.answered += other.answered;
        self.lost += other.lost;
        self.bytes += other.bytes;
    }
}

/// Whether and how the rate is limited.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// It is not; the bad periods in a row, and what was lost in them.
    Free { bad: u32, lost: Tally },
    /// It was just lowered: whether that helps, where so many of a thousand were lost `before`.
    Testing { before: u64 },
    /// That helped: half of what was too much, and it grows.
    Limited,
}

const FREE: Course = Course::Free { bad: 0, lost: Tally { began: None, answered: 0, lost: 0, bytes: 0 } };

/// The limit of one session.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    course: Course,
    limiter: Limiter,
    /// Counts the limits: what was sent under an earlier one says nothing of this.
    round: u32,
    period: Tally,
    /// What the path loses anyway, out of a thousand, and until when that is believed.
    usual: (u64, Timestamp),
    /// Bytes a second that arrived when it was too much,
    ceiling: u64,
    /// and whether enough arrived to tell.
    is_sure: bool,
    /// Whether the limit held anything up in this period.
    held_up: bool,
}

impl CircuitBreaker {
    pub(super) fn new(now: Timestamp) -> CircuitBreaker {
        CircuitBreaker {
            course: FREE,
            limiter: Limiter::new(None, now),
            round: 0,
            period: Tally::default(),
            usual: (0, Timestamp::ZERO),
            ceiling: 0,
            is_sure: false,
            held_up: false,
        }
    }

    /// Under which limit something is sent now.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// The limit in bytes a second, if there is one.
    pub(super) fn rate(&self) -> Option<u64> {
        self.limiter.rate()
    }

    /// When something may be sent: now or before, if it may.
    pub(super) fn ready_at(&mut self, now: Timestamp) -> Timestamp {
        let ready = self.limiter.poll_ready(now);
        self.held_up |= ready > now;
        ready
    }

    /// So many bytes were sent.
    pub(super) fn spend(&mut self, bytes: u32) {
        self.limiter.spend(bytes);
    }

    /// A nonce goes behind so many bytes, where `usually` is what is enough while nothing is wrong.
    pub(super) fn spacing(&self, usually: u64) -> u64 {
        match (self.course, self.rate()) {
            (Course::Testing { .. }, _) => TEST_SPACING.min(usually),
            (_, Some(rate)) => (rate / NONCES_A_SECOND).max(TEST_SPACING).min(usually),
            (_, None) => usually,
        }
    }

    /// A nonce that was sent in this round behind so many bytes has come back, or has not, over a path with this round-trip time.
    pub(super) fn on_outcome(&mut self, has_come: bool, bytes: u64, rtt: Duration, now: Timestamp) {
        // What was sent before the first one began before the period.
        self.period.bytes += if self.period.began.is_some() { bytes } else { 0 };
        self.period.answered += u32::from(has_come);
        self.period.lost += u32::from(!has_come);
        self.period.began.get_or_insert(now);
        let (nonces, lost) = (self.period.nonces(), self.period.lost);
        let over = (nonces >= PERIOD_NONCES || lost >= PERIOD_LOST)
            && self.period.lasts(now) >= MIN_PERIOD.max(rtt * PERIOD_ROUNDS);
        match self.course {
            Course::Free { bad, lost } if over => self.on_free_period(bad, lost, now),
            Course::Testing { before } => self.on_test(before, now),
            Course::Limited if over => self.on_limited_period(now),
            Course::Free { .. } | Course::Limited => {}
        }
    }

    fn on_free_period(&mut self, bad: u32, mut lost: Tally, now: Timestamp) {
        let period = std::mem::take(&mut self.period);
        if !self.is_too_much(period.loss(), now) {
            self.course = FREE;
            let more = |rate: u64| rate.max(period.delivered(now) * MAX_SENT);
            self.limiter.change(self.rate().filter(|_| now < self.usual.1).map(more), now);
            return;
        }
        lost.add(period);
        self.course = Course::Free { bad: bad + 1, lost };
        let patience = if lost.loss() <= MILD { MILD_FOR } else { Duration::ZERO };
        if bad + 1 >= BAD_PERIODS && lost.lasts(now) >= patience {
            self.note_ceiling(lost, now);
            self.slow_down(lost, now);
        }
    }

    fn on_test(&mut self, before: u64, now: Timestamp) {
        let (nonces, lost) = (u64::from(self.period.nonces()), u64::from(self.period.lost));
        // Thousandths of a nonce.
        let (expected, lost_now) = (nonces * before, lost * 1000);
        let in_vain = lost >= TEST_LOST && lost_now * 2 >= expected;
        let helped = expected >= TEST_EXPECTED * 1000 && lost_now * 4 <= expected;
        let undecided = expected >= 4 * TEST_EXPECTED * 1000;
        if !(in_vain || helped || undecided) {
            return;
        }
        let period = std::mem::take(&mut self.period);
        if in_vain && period.loss() <= MAX_USUAL {
            self.usual = (period.loss(), now + USUAL_FOR);
            self.set_free(now);
            self.limiter.change(Some((self.ceiling.max(period.delivered(now)) * MAX_SENT).max(FLOOR)), now);
        } else if self.is_too_much(period.loss(), now) {
            self.slow_down(period, now);
        } else {
            self.course = Course::Limited;
            let rate = self.rate().unwrap_or(FLOOR).min(self.ceiling / 2).max(FLOOR);
            self.limiter.change(Some(rate), now);
            self.held_up = true;
        }
    }

    fn on_limited_period(&mut self, now: Timestamp) {
        let period = std::mem::take(&mut self.period);
        let held_up = std::mem::replace(&mut self.held_up, false);
        if self.is_too_much(period.loss(), now) {
            self.note_ceiling(period, now);
            self.slow_down(period, now);
        } else if held_up {
            let rate = self.rate().unwrap_or(FLOOR);
            let is_near = self.is_sure && rate <= self.ceiling && rate > self.ceiling / 3 * 2;
            let growth = if is_near { GROWTH * NEAR_CEILING } else { GROWTH };
            let more = u128::from(rate) * period.lasts(now).as_millis() / growth.as_millis();
            let grown = rate + u64::try_from(more).unwrap_or(u64::MAX);
            self.limiter.change(Some(grown.max((rate * 2).min(self.ceiling / 2))), now);
        } else {
            self.set_free(now);
        }
    }

    fn note_ceiling(&mut self, lost: Tally, now: Timestamp) {
        (self.ceiling, self.is_sure) = (lost.delivered(now), lost.loss() <= MAX_USUAL);
    }

    /// Less than what arrived, and it is tested whether that helps.
    fn slow_down(&mut self, lost: Tally, now: Timestamp) {
        let arrived = lost.delivered(now).min(self.rate().unwrap_or(u64::MAX));
        self.course = Course::Testing { before: lost.loss() };
        self.limiter.change(Some((arrived * TEST_RATE / 100).max(FLOOR)), now);
        self.renew();
    }

    fn set_free(&mut self, now: Timestamp) {
        self.course = FREE;
        self.limiter.change(None, now);
        self.renew();
    }

    fn renew(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.period = Tally::default();
        self.held_up = false;
    }

    fn is_too_much(&self, loss: u64, now: Timestamp) -> bool {
        let (usual, until) = self.usual;
        let usual = if now < until { usual } else { 0 };
        loss > TOLERATED + usual + usual / 2
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const RTT: Duration = Duration::from_millis(20);
    const MIB: u64 = 1 << 20;
    const BURST: u32 = 58_400;

    /// Who asks for `wanted` bytes a second is sent them over a path that carries `carried` and loses `loss` of a thousand by chance. Bytes a
    /// second that were sent in each of the seconds.
    fn sent(wanted: u64, carried: u64, loss: u32, seconds: usize, rng: &mut StdRng) -> Vec<u64> {
        let mut now = Timestamp::ZERO + Duration::from_secs(1);
        let began = now;
        let mut backstop = CircuitBreaker::new(now);
        let mut by_second = vec![0; seconds + 1];
        let (mut behind, mut pending) = (0, std::collections::VecDeque::new());
        let gap = |rate: u64| Duration::from_nanos(u64::from(BURST) * 1_000_000_000 / rate);
        while now.since(began).as_secs() < seconds as u64 {
            let at = backstop.ready_at(now);
            if at > now {
                now = at;
                continue;
            }
            backstop.spend(BURST);
            by_second[now.since(began).as_secs() as usize] += u64::from(BURST);
            behind += u64::from(BURST);
            if behind >= backstop.spacing(MIB) {
                let rate = backstop.rate().map_or(wanted, |rate| rate.min(wanted));
                let carries = (carried * 1000 / rate).min(1000) as u32 * (1000 - loss) / 1000;
                pending.push_back((now, behind, backstop.round(), rng.random_range(0..1000) < carries));
                behind = 0;
            }
            while let Some((_, bytes, round, comes)) =
                pending.pop_front_if(|(sent_at, ..)| now.since(*sent_at) >= RTT)
            {
                if round == backstop.round() {
                    backstop.on_outcome(comes, bytes, RTT, now);
                }
            }
            now += gap(wanted);
        }
        by_second.truncate(seconds);
        by_second
    }

    fn mean(of: &[u64]) -> u64 {
        of.iter().sum::<u64>() / of.len() as u64
    }

    /// How many of two hundred drawn cases do not hold: what decides by what is seen by chance errs now and then.
    fn misses(holds: impl Fn(&mut StdRng) -> bool) -> usize {
        (0..200).filter(|case| !holds(&mut StdRng::seed_from_u64(*case))).count()
    }

    #[test]
    fn who_asks_for_more_than_the_path_carries_gets_three_quarters_of_it() {
        let misses = misses(|rng| {
            let carried = rng.random_range(20..200) * 125_000;
            let sent = sent(carried * rng.random_range(3..30), carried, 0, 60, rng);
            let mean = mean(&sent[15..]);
            mean * 100 <= carried * 85 && mean > FLOOR / 2
        });
        assert!(misses <= 10, "{misses}");
    }

    #[test]
    fn a_path_that_loses_by_chance_is_used_as_before() {
        let misses = misses(|rng| {
            let (wanted, loss) = (rng.random_range(50..200) * 125_000, rng.random_range(0..300));
            let sent = sent(wanted, u64::MAX / 1000, loss, 60, rng);
            mean(&sent) * 100 >= wanted * 95
        });
        assert!(misses <= 10, "{misses}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn whatever_comes_back_the_rate_never_falls_below_its_floor_nor_lets_more_through_than_it_says(
            outcomes in prop::collection::vec((0u32..100, any::<u32>(), 0u64..3000, any::<bool>()), 1..400), bias in 0u32..100,
        ) {
            let mut now = Timestamp::ZERO + Duration::from_secs(1);
            let mut backstop = CircuitBreaker::new(now);
            for (chance, bytes, millis, sends) in outcomes {
                now += Duration::from_millis(millis);
                if sends && backstop.ready_at(now) <= now {
                    backstop.spend(bytes % MIB as u32);
                }
                backstop.on_outcome(chance < bias, bytes.into(), RTT * (chance + 1), now);
                prop_assert!(backstop.rate().is_none_or(|rate| rate >= FLOOR));
                prop_assert!((1..=MIB).contains(&backstop.spacing(MIB)));
                // No more is owed than one burst, at the lowest rate.
                prop_assert!(backstop.ready_at(now).since(now) <= Duration::from_secs(1 + MIB / FLOOR));
            }
        }
    }

    #[test]
    fn a_moment_of_loss_changes_nothing() {
        let mut now = Timestamp::ZERO;
        let mut backstop = CircuitBreaker::new(now);
        // A start that goes too far: a second of it.
        for nonce in 0..1000 {
            now += Duration::from_millis(10);
            backstop.on_outcome(!(100..200).contains(&nonce), MIB, RTT, now);
            assert_eq!(backstop.rate(), None, "{nonce}");
        }
    }
}
