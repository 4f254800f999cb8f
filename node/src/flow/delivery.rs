//! How fast the path delivers: samples for rate control, from what had arrived when a burst was asked for and what has
//! when it is complete (draft-cheng-iccrg-delivery-rate-estimation).

use std::time::Duration;

use messages::Timestamp;

use super::outstanding::Outstanding;
use crate::rate::Sample;

/// What has arrived so far.
#[derive(Debug)]
pub(super) struct Delivery {
    bytes: u64,
    at: Timestamp,
    /// The round ends when a burst arrives that was asked for when this much had been delivered.
    round_ends: u64,
    limited: bool,
}

impl Delivery {
    pub(super) fn new(now: Timestamp) -> Delivery {
        Delivery { bytes: 0, at: now, round_ends: 0, limited: false }
    }

    /// Something is asked for after everything had arrived: an idle time is not a slow one.
    pub(super) fn on_idle_ends(&mut self, now: Timestamp) {
        self.at = now;
    }

    /// There was room to ask, and nothing to ask for: the next samples are lower bounds.
    pub(super) fn on_nothing_to_ask(&mut self) {
        self.limited = true;
    }

    /// Notes in `burst`, which is asked for now, what has been delivered until now.
    pub(super) fn mark(&mut self, burst: Outstanding) -> Outstanding {
        let limited = std::mem::take(&mut self.limited);
        burst.delivered(self.bytes, self.at).limited(limited)
    }

    /// `bytes` have arrived. `complete`: with them all of that burst.
    pub(super) fn on_arrived(
        &mut self,
        bytes: u32,
        complete: Option<&Outstanding>,
        min_rtt: Duration,
        now: Timestamp,
    ) -> Option<Sample> {
        self.bytes += u64::from(bytes);
        let sample = complete.map(|burst| self.sample(burst, min_rtt, now));
        self.at = now;
        sample
    }

    fn sample(&mut self, burst: &Outstanding, min_rtt: Duration, now: Timestamp) -> Sample {
        let delivered = self.bytes - burst.delivered_then();
        let elapsed = now.since(burst.delivered_then_at().min(burst.asked_at()));
        let round_ended = burst.delivered_then() >= self.round_ends;
        if round_ended {
            self.round_ends = self.bytes;
        }
        // Over less than the lowest round-trip time it is the burst's own clock that is measured, not the path's.
        let span = elapsed.max(min_rtt).max(Duration::from_micros(1));
        let rate = (u128::from(delivered) * 1_000_000_000 / span.as_nanos()) as u64;
        Sample { rate, limited: burst.is_limited(), round_ended }
    }
}
