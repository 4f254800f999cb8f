//! A limit in bytes a second, over all transfers of a node.

use std::time::Duration;

use messages::Timestamp;

/// An unused limit is saved up for at most this long, so that a limit also holds over short times.
const MAX_SAVED: Duration = Duration::from_millis(100);
/// The largest burst is at least this many bytes, however low the limit is.
const MIN_BURST: u64 = 2048;

/// A token bucket (RFC 2697 has one form of it) that may go below zero by one burst; the next burst waits until that is
/// earned back. So any burst passes at any limit, and the sum over time keeps to the limit.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// The limit in bytes a second. `None` means no limit.
    rate: Option<u64>,
    /// The number of bytes that may be used, in billionths: bytes a second times nanoseconds are exact at any rate.
    balance: i128,
    refilled_at: Timestamp,
}

const BILLION: i128 = 1_000_000_000;

impl Limiter {
    /// A limiter of `rate` bytes a second.
    pub(crate) fn new(rate: Option<u64>, now: Timestamp) -> Limiter {
        Limiter { rate, balance: 0, refilled_at: now }
    }

    /// The limit, in bytes a second.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// Changes the limit from now on.
    pub(crate) fn change(&mut self, rate: Option<u64>, now: Timestamp) {
        self.refill(now);
        self.rate = rate;
        self.balance = self.balance.min(0);
    }

    /// When bytes may be used: at once, if the result is not after `now`.
    pub(crate) fn ready_at(&self, now: Timestamp) -> Timestamp {
        let balance = self.balance_at(now);
        match self.rate {
            Some(rate) if balance < 0 => {
                let nanos = (-balance).div_euclid(i128::from(rate.max(1))) + 1;
                now + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            _ => now,
        }
    }

    /// Uses `bytes`.
    pub(crate) fn spend(&mut self, bytes: u32, now: Timestamp) {
        self.refill(now);
        if self.rate.is_some() {
            self.balance -= i128::from(bytes) * BILLION;
        }
    }

    /// Gives `bytes` back that were spent and not used.
    pub(crate) fn refund(&mut self, bytes: u32) {
        if self.rate.is_some() {
            self.balance += i128::from(bytes) * BILLION;
        }
    }

    /// The largest burst that keeps the transfer smooth: the bytes that are earned in a twentieth of a second.
    pub(crate) fn burst(&self) -> u32 {
        self.rate.map_or(u32::MAX, |rate| u32::try_from((rate / 20).max(MIN_BURST)).unwrap_or(u32::MAX))
    }

    fn refill(&mut self, now: Timestamp) {
        self.balance = self.balance_at(now);
        self.refilled_at = self.refilled_at.max(now);
    }

    /// The balance with what has been earned by `now`.
    fn balance_at(&self, now: Timestamp) -> i128 {
        let Some(rate) = self.rate else {
            return self.balance;
        };
        let elapsed = now.since(self.refilled_at);
        let most = i128::from(rate) * MAX_SAVED.as_nanos() as i128;
        (self.balance + i128::from(rate) * elapsed.as_nanos() as i128).min(most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_sum_over_ten_seconds_is_the_limit(rate in 10_000u64..2_000_000_000, burst in 1_000u32..65_000) {
            let mut now = Timestamp::ZERO + Duration::from_secs(5);
            let end = now + Duration::from_secs(10);
            let mut limiter = Limiter::new(Some(rate), now);
            let burst = burst.min(limiter.burst());
            // A step costs at least a microsecond, as on a real machine; a rate beyond that is not held by the limiter.
            let reachable = rate < u64::from(burst) * 500_000;
            let mut used = 0u64;
            while now < end {
                limiter.spend(burst, now);
                used += u64::from(burst);
                now = limiter.ready_at(now).max(now + Duration::from_micros(1));
            }
            if reachable {
                let expected = rate * 10;
                prop_assert!(used.abs_diff(expected) <= expected / 50 + u64::from(burst), "{used} of {expected}");
            }
        }
    }

    #[test]
    fn no_limit_never_waits() {
        let now = Timestamp::from_nanos(7);
        let mut limiter = Limiter::new(None, now);
        limiter.spend(u32::MAX, now);
        assert_eq!(limiter.ready_at(now), now);
    }

    #[test]
    fn a_new_limit_forgets_saved_bytes_but_not_owed_ones() {
        let start = Timestamp::ZERO;
        let mut limiter = Limiter::new(Some(1000), start);
        limiter.spend(2000, start);
        limiter.change(Some(2000), start);
        assert_eq!(limiter.ready_at(start).since(start).as_millis(), 1000);
    }

    #[test]
    fn saved_bytes_are_bounded_when_they_are_spent_without_asking() {
        let later = Timestamp::ZERO + Duration::from_secs(10);
        let mut limiter = Limiter::new(Some(1000), Timestamp::ZERO);
        limiter.spend(200, later);
        assert_eq!(limiter.ready_at(later).since(later).as_millis(), 100);
    }
}
