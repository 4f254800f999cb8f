//! The recent rate of bytes, for screens and for choosing between peers.

use std::time::Duration;

use messages::Timestamp;

/// The meter looks back about this long.
const WINDOW: Duration = Duration::from_secs(2);

/// A meter that counts bytes in two halves of a sliding window.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    total: u64,
    /// The bytes of the half window that began at `began_at`.
    current: u64,
    /// The bytes of the half window before that one.
    previous: u64,
    began_at: Timestamp,
    /// When the first byte was counted.
    first_at: Option<Timestamp>,
}

impl Meter {
    /// A meter that has counted nothing yet.
    pub(crate) fn new(now: Timestamp) -> Meter {
        Meter { total: 0, current: 0, previous: 0, began_at: now, first_at: None }
    }

    /// Counts `bytes`.
    pub(crate) fn count(&mut self, bytes: u64, now: Timestamp) {
        self.slide(now);
        self.first_at.get_or_insert(now);
        self.total += bytes;
        self.current += bytes;
    }

    /// The number of all bytes so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The recent rate in bytes a second.
    pub(crate) fn rate(&self, now: Timestamp) -> u64 {
        let mut seen = self.clone();
        seen.slide(now);
        let half = WINDOW / 2;
        let since_first = seen.first_at.map_or(Duration::ZERO, |first| now.since(first));
        let span = (half + now.since(seen.began_at)).min(since_first).max(Duration::from_millis(1));
        ((seen.previous + seen.current) as u128 * 1_000_000_000 / span.as_nanos()) as u64
    }

    /// Begins the half windows that have begun by `now`.
    fn slide(&mut self, now: Timestamp) {
        let half = WINDOW / 2;
        if now.since(self.began_at) >= 2 * half {
            (self.previous, self.current, self.began_at) = (0, 0, now);
        } else if now.since(self.began_at) >= half {
            (self.previous, self.current, self.began_at) = (self.current, 0, self.began_at + half);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn follows_the_rate_and_forgets() {
        let mut now = Timestamp::ZERO;
        let mut meter = Meter::new(now);
        for _ in 0..5000 {
            now += Duration::from_millis(1);
            meter.count(1000, now);
        }
        let rate = meter.rate(now);
        assert!((950_000..=1_050_000).contains(&rate), "{rate}");
        assert_eq!(meter.rate(now + Duration::from_secs(5)), 0);
        assert_eq!(meter.total(), 5_000_000);
    }

    proptest! {
        /// The rate is that of the last one to two seconds, and never more than all of them in the least time there
        /// was.
        #[test]
        fn the_rate_is_that_of_the_bytes_of_late(steps in prop::collection::vec((0u64..1500, 0u64..100_000), 1..60)) {
            let mut now = Timestamp::ZERO + Duration::from_secs(9);
            let mut meter = Meter::new(now);
            let mut counted: Vec<(Timestamp, u64)> = Vec::new();
            for (millis, bytes) in steps {
                now += Duration::from_millis(millis);
                meter.count(bytes, now);
                counted.push((now, bytes));
                let within = |time: Duration| -> u64 {
                    counted.iter().filter(|(at, _)| now.since(*at) < time).map(|(_, bytes)| bytes).sum()
                };
                let first = counted.iter().map(|(at, _)| *at).min().expect("one");
                let span = now.since(first).clamp(Duration::from_millis(1), WINDOW).as_nanos();
                let shortest = span.min((WINDOW / 2).as_nanos());
                let most = u128::from(within(WINDOW)) * 1_000_000_000 / shortest;
                let least = u128::from(within(WINDOW / 2)) * 1_000_000_000 / span;
                let rate = u128::from(meter.rate(now));
                prop_assert!(least <= rate + 1 && rate <= most, "{rate} is not from {least} to {most}");
            }
            prop_assert_eq!(meter.total(), counted.iter().map(|(_, bytes)| bytes).sum::<u64>());
            prop_assert_eq!(meter.rate(now + WINDOW), 0);
        }
    }
}
