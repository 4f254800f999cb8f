//! How fast bytes went lately, for screens and for choosing between owners.

use std::time::Duration;

use messages::Timestamp;

/// The meter looks back about this long.
const WINDOW: Duration = Duration::from_secs(2);

/// Counts bytes in two halves of a sliding window.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    total: u64,
    /// Bytes of the half window that began at `began`, and of the one before it.
    current: u64,
    previous: u64,
    began: Timestamp,
    /// When the first byte was counted.
    first: Option<Timestamp>,
}

impl Meter {
    pub(crate) fn new(now: Timestamp) -> Meter {
        Meter { total: 0, current: 0, previous: 0, began: now, first: None }
    }

    /// Counts `bytes`.
    pub(crate) fn count(&mut self, bytes: u64, now: Timestamp) {
        self.turn(now);
        self.first.get_or_insert(now);
        self.total += bytes;
        self.current += bytes;
    }

    /// All bytes so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes a second, lately.
    pub(crate) fn rate(&self, now: Timestamp) -> u64 {
        let mut seen = self.clone();
        seen.turn(now);
        let half = WINDOW / 2;
        let since_first = seen.first.map_or(Duration::ZERO, |first| now.since(first));
        let span = (half + now.since(seen.began)).min(since_first).max(Duration::from_millis(1));
        ((seen.previous + seen.current) as u128 * 1_000_000_000 / span.as_nanos()) as u64
    }

    fn turn(&mut self, now: Timestamp) {
        let half = WINDOW / 2;
        if now.since(self.began) >= 2 * half {
            (self.previous, self.current, self.began) = (0, 0, now);
        } else if now.since(self.began) >= half {
            (self.previous, self.current, self.began) = (self.current, 0, self.began + half);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
