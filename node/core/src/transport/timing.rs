//! When an answer is due: the last one, the round-trip time, and how often nothing came at all.

use std::time::Duration;

use messages::Timestamp;

use super::rtt::Rtt;

/// A timeout doubles at most this often.
const MAX_BACKOFF: u32 = 3;
/// A datagram that takes longer, the owner's queue apart, has lain in a stopped process, or a stranger has repeated it:
/// how long to wait for the next one does not follow from that.
const MAX_PATH: Duration = Duration::from_secs(3);

/// Round-trip times, and what is waited for because of them.
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

    /// A request was answered after `path` and the time `hold` that the owner held it. `None`: the hold was longer than
    /// the header can say, and `path` includes it.
    pub(super) fn on_answer(&mut self, path: Duration, hold: Option<Duration>, now: Timestamp) {
        let sample = match hold {
            Some(hold) => hold + path.min(MAX_PATH),
            None => path,
        };
        self.rtt.observe(sample, now);
    }

    /// Silence is counted from now.
    pub(super) fn on_heard(&mut self, now: Timestamp) {
        self.last_heard = now;
    }

    /// Something that was asked for arrived.
    pub(super) fn on_arrived(&mut self, now: Timestamp) {
        self.last_heard = now;
        self.backoff = 0;
    }

    /// Nothing came for a whole timeout.
    pub(super) fn on_timeout(&mut self) {
        self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
    }

    /// The smoothed round-trip time, owner's queue included.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// How long nothing may come before everything outstanding is taken for lost.
    pub(super) fn timeout(&self) -> Duration {
        self.rtt.timeout(self.backoff)
    }

    /// The timeout as it is after an arrival: what the path takes, not how often it failed.
    pub(super) fn unbacked_timeout(&self) -> Duration {
        self.rtt.timeout(0)
    }

    /// When everything outstanding is taken for lost, the oldest of which was asked for at `asked_at`: what was asked
    /// for before that may have been taken back since.
    pub(super) fn timeout_at(&self, asked_at: Timestamp) -> Timestamp {
        self.last_heard.max(asked_at) + self.timeout()
    }
}
