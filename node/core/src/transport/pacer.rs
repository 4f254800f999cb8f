//! How requests are spread in time: how long a burst is, and when the next one may be asked for.

use std::time::Duration;

use messages::Timestamp;

use crate::transport::bbr::RateControl;

/// The bytes that the pace allows in this time may be asked for at once, because a timer is coarse.
const MAX_BURSTINESS: Duration = Duration::from_millis(2);
/// The pace never delays the next range for longer than this.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// A burst lasts about this long at the path's rate: long enough to be worth one send with offload, and not more than
/// a millisecond or two of a bottleneck's queue (draft-ietf-ccwg-bbr: BBR.send_quantum allows 1 ms, up to 64 KB).
const BURST_TIME: Duration = Duration::from_micros(1500);
/// Before the rate is known, a window has this many bursts.
const BURSTS_PER_WINDOW: u32 = 16;

/// When the next range may be asked for.
#[derive(Debug)]
pub(super) struct Pacer {
    next_at: Timestamp,
}

impl Pacer {
    pub(super) fn new(now: Timestamp) -> Pacer {
        Pacer { next_at: now }
    }

    /// When the next range may be asked for.
    pub(super) fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// The length that one burst should have, in bytes. It has at least a few segments, because each burst has its
    /// cost.
    pub(super) fn burst(&self, rate_control: &RateControl, segment: u32, max: u32) -> u32 {
        let burst = match rate_control.rate() {
            0 => rate_control.window() / BURSTS_PER_WINDOW,
            rate => {
                let bytes = u128::from(rate) * BURST_TIME.as_nanos() / 1_000_000_000;
                u32::try_from(bytes).unwrap_or(u32::MAX)
            }
        };
        burst.max(2 * segment).min(max)
    }

    /// Records that `bytes` are asked for now.
    pub(super) fn on_asked(&mut self, bytes: u32, rate_control: &RateControl, now: Timestamp) {
        let Some(rate) = rate_control.pacing_rate() else {
            return;
        };
        let takes = Duration::from_nanos((u128::from(bytes) * 1_000_000_000 / u128::from(rate)) as u64);
        // A rate that is far too low is corrected by asking, not by waiting.
        self.next_at = (self.next_at.max(now - MAX_BURSTINESS) + takes).min(now + MAX_DELAY);
    }
}
