//! When an answer is due: it follows from the last arrival, the round-trip time, and the number of timeouts in a row.

use std::time::Duration;

use messages::Timestamp;

use super::rtt::Rtt;

/// A timeout doubles at most this often.
const MAX_BACKOFF: u32 = 3;
/// A datagram that takes longer than this, the owner's queue apart, has lain in a stopped process, or a stranger has
/// repeated it. It does not show how long to wait for the next one.
const MAX_PATH: Duration = Duration::from_secs(3);

/// The round-trip times, and the timeout that follows from them.
#[derive(Debug)]
pub(super) struct Timing {
    rtt: Rtt,
    last_heard: Timestamp,
    backoff: u32,
}

impl Timing {
    pub(super) fn new(now: Timestamp) -> Timing {
        Timing { rtt: Rtt::default(), last_heard: now, backoff: 0 }
    }

    /// Records that a request was answered after `path` and the time `hold` for which the owner held it. `None` means
    /// that the hold was longer than the header can express, and that `path` includes it.
    pub(super) fn on_answer(&mut self, path: Duration, hold: Option<Duration>, now: Timestamp) {
        let sample = match hold {
            Some(hold) => hold + path.min(MAX_PATH),
            None => path,
        };
        self.rtt.observe(sample, now);
    }

    /// Counts silence from now on.
    pub(super) fn on_heard(&mut self, now: Timestamp) {
        self.last_heard = now;
    }

    /// Records that a segment that was asked for has arrived.
    pub(super) fn on_arrived(&mut self, now: Timestamp) {
        self.last_heard = now;
        self.backoff = 0;
    }

    /// Records that nothing came for a whole timeout.
    pub(super) fn on_timeout(&mut self) {
        self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
    }

    /// The smoothed round-trip time, which includes the owner's queue.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// The length of a silence after which everything outstanding is taken for lost.
    pub(super) fn timeout(&self) -> Duration {
        self.rtt.timeout(self.backoff)
    }

    /// The timeout after an arrival. It follows from the path alone, not from earlier timeouts.
    pub(super) fn unbacked_timeout(&self) -> Duration {
        self.rtt.timeout(0)
    }

    /// When everything outstanding is taken for lost. `asked_at` is when the oldest outstanding burst was asked for:
    /// earlier ones may have been withdrawn since.
    pub(super) fn timeout_at(&self, asked_at: Timestamp) -> Timestamp {
        self.last_heard.max(asked_at) + self.timeout()
    }
}
