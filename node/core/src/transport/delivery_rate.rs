//! How fast the path delivers: samples for the rate control, from what had been delivered when a burst was asked for
//! and what has been delivered when that burst arrives (draft-cheng-iccrg-delivery-rate-estimation).

use std::time::Duration;

use messages::Timestamp;

use super::outstanding::{Outstanding, SendState};
use crate::transport::bbr::{Asking, RateSample};

/// The bytes that have been delivered so far.
#[derive(Debug)]
pub(super) struct DeliveryRateEstimator {
    delivered: u64,
    delivered_at: Timestamp,
    /// When the latest delivered burst had been asked for.
    delivered_asked_at: Timestamp,
    /// The round ends when a burst arrives that was asked for after this many bytes had been delivered.
    round_ends: u64,
    /// Bursts that are asked for before this many bytes have been delivered do not show how fast the path is (draft:
    /// C.app_limited).
    app_limited_until: u64,
}

impl DeliveryRateEstimator {
    pub(super) fn new(now: Timestamp) -> DeliveryRateEstimator {
        DeliveryRateEstimator {
            delivered: 0,
            delivered_at: now,
            delivered_asked_at: now,
            round_ends: 0,
            app_limited_until: 0,
        }
    }

    /// Records that a burst is asked for after everything has arrived, so that the idle time does not count as a slow
    /// one.
    pub(super) fn on_idle_ends(&mut self, now: Timestamp) {
        (self.delivered_at, self.delivered_asked_at) = (now, now);
    }

    /// Records that there was nothing to ask for although the window allowed more, with `outstanding` bytes on their
    /// way. Until these have arrived, samples are lower bounds.
    pub(super) fn on_app_limited(&mut self, outstanding: u32) {
        self.app_limited_until = self.delivered + u64::from(outstanding).max(1);
    }

    /// The send state of a burst that is asked for now.
    pub(super) fn send_state(&self, asking: Asking) -> SendState {
        SendState {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            delivered_asked_at: self.delivered_asked_at,
            is_app_limited: self.delivered < self.app_limited_until,
            asking,
        }
    }

    /// Records that `bytes` of `burst` have arrived. Returns a sample if they show the rate.
    pub(super) fn on_arrived(
        &mut self,
        bytes: u32,
        burst: &Outstanding,
        shows_rate: bool,
        min_rtt: Duration,
        now: Timestamp,
    ) -> Option<RateSample> {
        self.delivered += u64::from(bytes);
        let sample = shows_rate.then(|| self.sample(burst, min_rtt, now));
        self.delivered_at = now;
        self.delivered_asked_at = self.delivered_asked_at.max(burst.asked_at());
        sample
    }

    fn sample(&mut self, burst: &Outstanding, min_rtt: Duration, now: Timestamp) -> RateSample {
        let SendState { delivered, delivered_at, delivered_asked_at, is_app_limited, .. } = burst.send_state;
        let ends_round = delivered >= self.round_ends;
        if ends_round {
            self.round_ends = self.delivered;
        }
        // Bytes never come faster than they were asked for, even if they arrive in a lump. A span shorter than the
        // lowest round-trip time would measure the burst's own clock, not that of the path.
        let asked = burst.asked_at().since(delivered_asked_at);
        let span = now.since(delivered_at).max(asked).max(min_rtt).max(Duration::from_micros(1));
        let rate = (u128::from(self.delivered - delivered) * 1_000_000_000 / span.as_nanos()) as u64;
        RateSample { rate, is_app_limited, ends_round }
    }
}
