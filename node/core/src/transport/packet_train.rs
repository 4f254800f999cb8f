//! How fast the segments of one burst come one after the other. That shows how fast the bottleneck is, before anything was
//! asked for over a whole round trip (Keshav 1991, "A Control-Theoretic Approach to Flow Control").
//!
//! A train that comes slowly shows a slow path. One that comes fast may have lain in a queue of the hosts, which hand over
//! several segments at once. So a train may only allow a somewhat larger first window.

use messages::Timestamp;

/// A train of fewer segments shows no rate.
const MIN_SEGMENTS: u32 = 5;

/// The burst of which segments are arriving.
#[derive(Debug)]
pub(super) struct PacketTrain {
    request: u32,
    /// When the first segment came.
    since: Timestamp,
    /// The number of segments that have come, and the bytes of those after the first.
    segments: u32,
    bytes: u64,
}

impl PacketTrain {
    pub(super) fn new(now: Timestamp) -> PacketTrain {
        PacketTrain { request: 0, since: now, segments: 0, bytes: 0 }
    }

    /// Records that a segment of `request` with `bytes` bytes has come. Returns the rate of the train in bytes a second,
    /// once the train is long enough.
    pub(super) fn on_arrived(&mut self, request: u32, bytes: u32, now: Timestamp) -> Option<u64> {
        if self.segments == 0 || self.request != request {
            *self = PacketTrain { request, since: now, segments: 1, bytes: 0 };
            return None;
        }
        self.segments += 1;
        self.bytes += u64::from(bytes);
        if self.segments < MIN_SEGMENTS {
            return None;
        }
        let took = now.since(self.since).as_nanos().max(1);
        Some(u64::try_from(u128::from(self.bytes) * 1_000_000_000 / took).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn five_segments_of_one_burst_show_the_rate_at_which_they_come() {
        let mut train = PacketTrain::new(Timestamp::ZERO);
        let at = |millis| Timestamp::ZERO + Duration::from_millis(millis);
        let rates: Vec<_> = (0..6).map(|index| train.on_arrived(7, 1000, at(index))).collect();
        assert_eq!(rates, [None, None, None, None, Some(1_000_000), Some(1_000_000)]);
        assert_eq!(train.on_arrived(8, 1000, at(6)), None, "another burst");
    }
}
