//! A limit on how fast an owner sends to the downloaders on one host, which protects the network between them: a
//! network transport circuit breaker (RFC 8084).
//!
//! The downloader's own congestion control decides how much it asks for. The circuit breaker protects the path when a
//! downloader has no congestion control: one that steadily asks for more than its path carries would have the owner
//! push everybody else off that path. RFC 8084, section 3.1, has a meter at each end of the path, and a report from one
//! to the other. Here the owner measures by itself: the nonces that it sends among the CHUNKs come back or are lost.
//!
//! ```text
//!   Unlimited ──too much is lost, for longer than it takes to slow down──▶ Testing (a little less than arrived) ◀──too much is lost──╮
//!    ▲                                                                        │  │                                                  │
//!    ├──as much is lost as before: the path loses that anyway─────────────────╯  ╰──far less is lost: it was full──▶ Limited (half, ─┤
//!    ╰──less is asked for────────────────────────────────────────────────────────────────────────────────────────    and it grows) ─╯
//! ```
//!
//! So a path with random loss costs one test of a lower rate now and then, and a full path is left to others.

use std::time::Duration;

use messages::Timestamp;

use super::nonce_tally::NonceTally;
use crate::limiter::Limiter;

/// The loss in thousandths that is tolerated above the path's baseline.
const TOLERATED: u64 = 80;
/// The largest loss in thousandths that counts as a path's baseline. Beyond it the rate falls, whatever the reason is.
const MAX_BASELINE: u64 = 500;
/// A measured baseline is believed for this long.
const BASELINE_FOR: Duration = Duration::from_secs(300);
/// The circuit breaker triggers after this many bad periods in a row: fewer may be an accident.
const BAD_PERIODS: u32 = 3;
/// A loss of up to this many thousandths is mild: chance may cause it on a path that is well used.
const MILD: u64 = 250;
/// A mild loss triggers only after this long, because an honest downloader takes seconds to return to its rate.
const MILD_FOR: Duration = Duration::from_secs(30);
/// The rate under test is this many hundredths of the rate that arrived.
const TEST_RATE: u64 = 90;
/// A test has failed when at least this many nonces are lost, and at least half as large a share as before.
const TEST_LOST: u64 = 6;
/// A test has succeeded when, of at least this many nonces that would have been lost at the loss before, at most a
/// quarter is lost.
const TEST_EXPECTED: u64 = 12;
/// An owner sends at most this many times the rate that arrives, where the path loses that much anyway.
const MAX_SENT: u64 = 2;
/// The rate, in bytes a second, never falls below this: a slow line carries it, and it is enough to find out that the
/// path has recovered.
const FLOOR: u64 = 128 << 10;
/// A limited rate takes this long to double, once it is above half of the ceiling; below that it doubles in each good
/// period.
const GROWTH: Duration = Duration::from_secs(32);
/// From two thirds of the ceiling up to the ceiling the rate takes this many times as long to grow: other senders that
/// give way hide for a while that the rate is too high again.
const NEAR_CEILING: u32 = 8;
/// A session under a limit sends about this many nonces a second.
const NONCES_A_SECOND: u64 = 32;
/// During a test the next nonce is sent after this many bytes.
const TEST_SPACING: u64 = 16 << 10;

/// Whether and how the rate is limited.
#[derive(Clone, Copy, Debug)]
enum BreakerState {
    /// The rate is not limited. `bad` is the number of bad periods in a row, and `lost` what was lost in them.
    Unlimited { bad: u32, lost: NonceTally },
    /// The rate was just lowered, to find out whether that helps. `before` is the loss in thousandths until then.
    Testing { before: u64 },
    /// The lower rate helped. The rate is at most half of the ceiling at first, and grows.
    Limited,
}

const UNLIMITED: BreakerState = BreakerState::Unlimited { bad: 0, lost: NonceTally::EMPTY };

/// The loss that a path has at any rate.
#[derive(Clone, Copy, Debug)]
struct BaselineLoss {
    /// The loss in thousandths.
    loss: u64,
    /// The baseline is believed until then.
    until: Timestamp,
}

/// The rate that was too much for the path.
#[derive(Clone, Copy, Debug)]
struct Ceiling {
    /// The rate, in bytes a second, that arrived.
    rate: u64,
    /// Whether enough arrived for the rate to be certain.
    is_certain: bool,
}

/// The limit that all sessions of one host share.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    state: BreakerState,
    limiter: Limiter,
    /// The number of the current limit. Nonces that were sent under an earlier limit say nothing about this one.
    epoch: u32,
    period: NonceTally,
    baseline: BaselineLoss,
    ceiling: Ceiling,
    /// Whether the limit has delayed anything in this period.
    was_limiting: bool,
}

impl CircuitBreaker {
    /// A circuit breaker that limits nothing yet.
    pub(super) fn new(now: Timestamp) -> CircuitBreaker {
        CircuitBreaker {
            state: UNLIMITED,
            limiter: Limiter::new(None, now),
            epoch: 0,
            period: NonceTally::EMPTY,
            baseline: BaselineLoss { loss: 0, until: Timestamp::ZERO },
            ceiling: Ceiling { rate: 0, is_certain: false },
            was_limiting: false,
        }
    }

    /// The number of the limit under which something is sent now.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The limit in bytes a second, if there is one.
    pub(super) fn rate(&self) -> Option<u64> {
        self.limiter.rate()
    }

    /// Asks when something may be sent: at once, if the result is not after `now`. The circuit breaker remembers
    /// whether it delays anything.
    pub(super) fn poll_ready(&mut self, now: Timestamp) -> Timestamp {
        let ready = self.limiter.ready_at(now);
        self.was_limiting |= ready > now;
        ready
    }

    /// Records that `bytes` were sent.
    pub(super) fn spend(&mut self, bytes: u32, now: Timestamp) {
        self.limiter.spend(bytes, now);
    }

    /// The number of bytes between two nonces, where `usual` is enough while nothing is wrong.
    pub(super) fn spacing(&self, usual: u64) -> u64 {
        match (self.state, self.rate()) {
            (BreakerState::Testing { .. }, _) => TEST_SPACING.min(usual),
            (_, Some(rate)) => (rate / NONCES_A_SECOND).max(TEST_SPACING).min(usual),
            (_, None) => usual,
        }
    }

    /// Records whether a nonce has come back that was sent in this epoch after `bytes` bytes, over a path with the
    /// round-trip time `rtt`.
    pub(super) fn on_outcome(&mut self, has_come: bool, bytes: u64, rtt: Duration, now: Timestamp) {
        self.period.count(has_come, bytes, now);
        let is_over = self.period.is_over(rtt, now);
        match self.state {
            BreakerState::Unlimited { bad, lost } if is_over => self.on_unlimited_period(bad, lost, now),
            BreakerState::Testing { before } => self.on_test(before, now),
            BreakerState::Limited if is_over => self.on_limited_period(now),
            BreakerState::Unlimited { .. } | BreakerState::Limited => {}
        }
    }

    fn on_unlimited_period(&mut self, bad: u32, mut lost: NonceTally, now: Timestamp) {
        let period = std::mem::take(&mut self.period);
        if !self.is_too_much(period.loss(), now) {
            self.state = UNLIMITED;
            let more = |rate: u64| rate.max(period.delivery_rate(now) * MAX_SENT);
            self.limiter.change(self.rate().filter(|_| now < self.baseline.until).map(more), now);
            return;
        }
        lost.add(period);
        self.state = BreakerState::Unlimited { bad: bad + 1, lost };
        let tolerated_for = if lost.loss() <= MILD { MILD_FOR } else { Duration::ZERO };
        if bad + 1 >= BAD_PERIODS && lost.duration(now) >= tolerated_for {
            self.set_ceiling(lost, now);
            self.slow_down(lost, now);
        }
    }

    fn on_test(&mut self, before: u64, now: Timestamp) {
        let (nonces, lost) = (u64::from(self.period.nonces()), u64::from(self.period.lost()));
        // The counts are in thousandths of a nonce.
        let (expected, lost_now) = (nonces * before, lost * 1000);
        let has_failed = lost >= TEST_LOST && lost_now * 2 >= expected;
        let has_succeeded = expected >= TEST_EXPECTED * 1000 && lost_now * 4 <= expected;
        let is_undecided = expected >= 4 * TEST_EXPECTED * 1000;
        if !(has_failed || has_succeeded || is_undecided) {
            return;
        }
        let period = std::mem::take(&mut self.period);
        if has_failed && period.loss() <= MAX_BASELINE {
            self.baseline = BaselineLoss { loss: period.loss(), until: now + BASELINE_FOR };
            self.lift(now);
            let arrives = self.ceiling.rate.max(period.delivery_rate(now));
            self.limiter.change(Some((arrives * MAX_SENT).max(FLOOR)), now);
        } else if self.is_too_much(period.loss(), now) {
            self.slow_down(period, now);
        } else {
            self.state = BreakerState::Limited;
            let rate = self.rate().unwrap_or(FLOOR).min(self.ceiling.rate / 2).max(FLOOR);
            self.limiter.change(Some(rate), now);
            self.was_limiting = true;
        }
    }

    fn on_limited_period(&mut self, now: Timestamp) {
        let period = std::mem::take(&mut self.period);
        let was_limiting = std::mem::replace(&mut self.was_limiting, false);
        if self.is_too_much(period.loss(), now) {
            self.set_ceiling(period, now);
            self.slow_down(period, now);
        } else if was_limiting {
            let rate = self.rate().unwrap_or(FLOOR);
            let Ceiling { rate: ceiling, is_certain } = self.ceiling;
            let is_near = is_certain && rate <= ceiling && rate > ceiling / 3 * 2;
            let growth = if is_near { GROWTH * NEAR_CEILING } else { GROWTH };
            let more = u128::from(rate) * period.duration(now).as_millis() / growth.as_millis();
            let grown = rate + u64::try_from(more).unwrap_or(u64::MAX);
            self.limiter.change(Some(grown.max((rate * 2).min(ceiling / 2))), now);
        } else {
            self.lift(now);
        }
    }

    fn set_ceiling(&mut self, lost: NonceTally, now: Timestamp) {
        self.ceiling = Ceiling { rate: lost.delivery_rate(now), is_certain: lost.loss() <= MAX_BASELINE };
    }

    /// Lowers the rate a little below what arrived, to test whether that helps.
    fn slow_down(&mut self, lost: NonceTally, now: Timestamp) {
        let arrived = lost.delivery_rate(now).min(self.rate().unwrap_or(u64::MAX));
        self.state = BreakerState::Testing { before: lost.loss() };
        self.limiter.change(Some((arrived * TEST_RATE / 100).max(FLOOR)), now);
        self.begin_epoch();
    }

    /// Ends the limit.
    fn lift(&mut self, now: Timestamp) {
        self.state = UNLIMITED;
        self.limiter.change(None, now);
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.period = NonceTally::EMPTY;
        self.was_limiting = false;
    }

    fn is_too_much(&self, loss: u64, now: Timestamp) -> bool {
        let baseline = if now < self.baseline.until { self.baseline.loss } else { 0 };
        loss > TOLERATED + baseline + baseline / 2
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

    /// Sends `wanted` bytes a second over a path that carries `carried` and loses `loss` of a thousand by chance.
    /// Returns the number of bytes that were sent in each second.
    fn sent(wanted: u64, carried: u64, loss: u32, seconds: usize, rng: &mut StdRng) -> Vec<u64> {
        let mut now = Timestamp::ZERO + Duration::from_secs(1);
        let began = now;
        let mut breaker = CircuitBreaker::new(now);
        let mut by_second = vec![0; seconds + 1];
        let (mut behind, mut pending) = (0, std::collections::VecDeque::new());
        let gap = |rate: u64| Duration::from_nanos(u64::from(BURST) * 1_000_000_000 / rate);
        while now.since(began).as_secs() < seconds as u64 {
            let at = breaker.poll_ready(now);
            if at > now {
                now = at;
                continue;
            }
            breaker.spend(BURST, now);
            by_second[now.since(began).as_secs() as usize] += u64::from(BURST);
            behind += u64::from(BURST);
            if behind >= breaker.spacing(MIB) {
                let rate = breaker.rate().map_or(wanted, |rate| rate.min(wanted));
                let carries = (carried * 1000 / rate).min(1000) as u32 * (1000 - loss) / 1000;
                pending.push_back((now, behind, breaker.epoch(), rng.random_range(0..1000) < carries));
                behind = 0;
            }
            while let Some((_, bytes, epoch, comes)) =
                pending.pop_front_if(|(sent_at, ..)| now.since(*sent_at) >= RTT)
            {
                if epoch == breaker.epoch() {
                    breaker.on_outcome(comes, bytes, RTT, now);
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

    /// How many of two hundred random cases do not hold: a decision by random observations errs now and then.
    fn misses(holds: impl Fn(&mut StdRng) -> bool) -> usize {
        (0..200).filter(|case| !holds(&mut StdRng::seed_from_u64(*case))).count()
    }

    #[test]
    fn a_downloader_that_asks_for_more_than_the_path_carries_gets_three_quarters_of_it() {
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
            let mut breaker = CircuitBreaker::new(now);
            for (chance, bytes, millis, sends) in outcomes {
                now += Duration::from_millis(millis);
                if sends && breaker.poll_ready(now) <= now {
                    breaker.spend(bytes % MIB as u32, now);
                }
                breaker.on_outcome(chance < bias, bytes.into(), RTT * (chance + 1), now);
                prop_assert!(breaker.rate().is_none_or(|rate| rate >= FLOOR));
                prop_assert!((1..=MIB).contains(&breaker.spacing(MIB)));
                // At most one burst is owed, at the lowest rate.
                prop_assert!(breaker.poll_ready(now).since(now) <= Duration::from_secs(1 + MIB / FLOOR));
            }
        }
    }

    #[test]
    fn a_moment_of_loss_changes_nothing() {
        let mut now = Timestamp::ZERO;
        let mut breaker = CircuitBreaker::new(now);
        // The start asks for too much for a second.
        for nonce in 0..1000 {
            now += Duration::from_millis(10);
            breaker.on_outcome(!(100..200).contains(&nonce), MIB, RTT, now);
            assert_eq!(breaker.rate(), None, "{nonce}");
        }
    }
}
