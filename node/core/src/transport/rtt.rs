//! Round-trip times, smoothed (RFC 6298), and the timeout that follows from them.

use std::time::Duration;

use messages::Timestamp;

/// The timeout before anything was measured.
const INITIAL_TIMEOUT: Duration = Duration::from_millis(500);
/// A timeout is at least this long: a host may be busy for that time.
const MIN_TIMEOUT: Duration = Duration::from_millis(30);
/// A timeout is at most this long, doubled or not, unless the path itself takes longer.
const MAX_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that scheduling and timers add on both sides.
const GRANULARITY: Duration = Duration::from_millis(10);

/// The smoothed round-trip time and its mean deviation.
#[derive(Debug, Default)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    deviation: Duration,
    /// Whether the last sample was far beyond the timeout, and when such a sample was last believed.
    is_outlier: bool,
    outlier_believed_at: Timestamp,
}

impl Rtt {
    /// Records that a request was answered after `sample`, which includes the owner's queue.
    pub(super) fn observe(&mut self, sample: Duration, now: Timestamp) {
        let expected = MAX_TIMEOUT.max(self.timeout(0));
        if sample > expected {
            // Answers that lay in a stopped process or behind a broken path, or that a stranger repeats, show how long
            // that took, and not how long to wait for the next one. One such answer alone is not believed, and several
            // that come at once count as one. Where answers really take longer and longer, the timeout grows with each
            // round trip.
            let is_alone = !std::mem::replace(&mut self.is_outlier, true);
            if self.smoothed.is_some() && (is_alone || now < self.outlier_believed_at + expected) {
                return;
            }
            self.outlier_believed_at = now;
        } else {
            self.is_outlier = false;
        }
        let sample = match self.smoothed {
            Some(_) => sample.min(2 * expected),
            None if sample > expected => INITIAL_TIMEOUT,
            None => sample,
        };
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.deviation = sample / 2;
            }
            Some(smoothed) => {
                self.deviation = (self.deviation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long to wait for any arrival, after `backoff` timeouts in a row.
    pub(super) fn timeout(&self, backoff: u32) -> Duration {
        let base = match self.smoothed {
            Some(smoothed) => (smoothed + 4 * self.deviation + GRANULARITY).max(MIN_TIMEOUT),
            None => INITIAL_TIMEOUT,
        };
        (base * 2u32.pow(backoff)).min(MAX_TIMEOUT.max(base))
    }
}
