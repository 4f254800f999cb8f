//! The outcomes of the nonces of one measurement period (RFC 8084, section 4): the share that is lost, and the rate in
//! bytes a second that arrives.

use std::time::Duration;

use messages::Timestamp;

/// A measurement period has at least this many nonces, unless [`PERIOD_LOST`] of them are lost already.
const PERIOD_NONCES: u32 = 32;
/// A measurement period may end as soon as this many of its nonces are lost.
const PERIOD_LOST: u32 = 8;
/// A measurement period lasts at least this long: an honest downloader has slowed down by then.
const MIN_PERIOD: Duration = Duration::from_millis(500);
/// A measurement period lasts at least this many round trips, for the same reason.
const PERIOD_ROUNDS: u32 = 4;

/// The outcomes of the nonces of one measurement period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NonceTally {
    /// When the outcome of the first nonce became known. What was sent before that nonce does not belong to the period.
    began: Option<Timestamp>,
    answered: u32,
    lost: u32,
    /// The sum of the bytes before each nonce since the one before it.
    bytes: u64,
}

impl NonceTally {
    /// The tally of a period in which no outcome is known yet.
    pub(super) const EMPTY: NonceTally = NonceTally { began: None, answered: 0, lost: 0, bytes: 0 };

    /// The number of known outcomes.
    pub(super) fn nonces(&self) -> u32 {
        self.answered + self.lost
    }

    /// The number of lost nonces.
    pub(super) fn lost(&self) -> u32 {
        self.lost
    }

    /// The loss in thousandths.
    pub(super) fn loss(&self) -> u64 {
        u64::from(self.lost) * 1000 / u64::from(self.nonces().max(1))
    }

    /// How long the period lasts so far.
    pub(super) fn duration(&self, now: Timestamp) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.since(began))
    }

    /// The rate in bytes a second that arrived, as far as nonces tell.
    pub(super) fn delivery_rate(&self, now: Timestamp) -> u64 {
        let arrived = u128::from(self.bytes) * u128::from(self.answered) / u128::from(self.nonces().max(1));
        u64::try_from(arrived * 1_000_000 / self.duration(now).as_micros().max(1)).unwrap_or(u64::MAX)
    }

    /// Counts a nonce that was sent after `bytes` bytes and has come back or is lost.
    pub(super) fn count(&mut self, has_come: bool, bytes: u64, now: Timestamp) {
        // The bytes before the first nonce were sent before the period began.
        self.bytes += if self.began.is_some() { bytes } else { 0 };
        self.answered += u32::from(has_come);
        self.lost += u32::from(!has_come);
        self.began.get_or_insert(now);
    }

    /// Adds the later period `other`.
    pub(super) fn add(&mut self, other: NonceTally) {
        self.began = self.began.or(other.began);
        self.answered += other.answered;
        self.lost += other.lost;
        self.bytes += other.bytes;
    }

    /// Whether the period is long enough to judge by, over a path with the round-trip time `rtt`.
    pub(super) fn is_over(&self, rtt: Duration, now: Timestamp) -> bool {
        (self.nonces() >= PERIOD_NONCES || self.lost >= PERIOD_LOST)
            && self.duration(now) >= MIN_PERIOD.max(rtt * PERIOD_ROUNDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_begins_with_the_first_outcome_and_counts_the_bytes_sent_since() {
        let (mut tally, start) = (NonceTally::EMPTY, Timestamp::ZERO + Duration::from_secs(1));
        tally.count(true, 1 << 20, start);
        assert_eq!((tally.nonces(), tally.loss(), tally.duration(start)), (1, 0, Duration::ZERO));
        let end = start + Duration::from_secs(2);
        [true, true, false].into_iter().for_each(|has_come| tally.count(has_come, 1000, end));
        assert_eq!((tally.lost(), tally.loss()), (1, 250));
        // Three quarters of 3000 bytes have arrived in two seconds.
        assert_eq!(tally.delivery_rate(end), 1125);
    }

    #[test]
    fn a_period_is_over_when_it_tells_enough_and_lasts_long_enough() {
        let (mut tally, rtt) = (NonceTally::EMPTY, Duration::from_millis(200));
        let end = Timestamp::ZERO + rtt * PERIOD_ROUNDS;
        (0..PERIOD_LOST).for_each(|_| tally.count(false, 1, Timestamp::ZERO));
        assert!(!tally.is_over(rtt, end - Duration::from_millis(1)) && tally.is_over(rtt, end));
        let mut few = NonceTally::EMPTY;
        few.count(true, 1, Timestamp::ZERO);
        assert!(!few.is_over(rtt, end));
        few.add(tally);
        assert!(few.is_over(rtt, end) && few.nonces() == PERIOD_LOST + 1);
    }
}
