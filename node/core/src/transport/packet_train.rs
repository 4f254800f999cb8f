//! How fast the segments of one burst come one after the other. That shows how fast the bottleneck is, before anything was
//! asked for over a whole round trip (Keshav 1991, "A Control-Theoretic Approach to Flow Control").
//!
//! A train that comes slowly shows a slow path. One that comes fast may have lain in a queue of the hosts, which hand over
//! several segments at once. So trains only allow a larger first window, and one of them a smaller one than several.

use messages::Timestamp;

/// A train of fewer segments shows no rate.
const MIN_SEGMENTS: u32 = 5;

/// What a train shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Train {
    /// How many bytes a second came.
    pub(crate) rate: u64,
    /// Whether nothing was seen of this train before.
    pub(crate) is_new: bool,
}

/// The burst of which segments are arriving.
#[derive(Debug)]
pub(super) struct PacketTrain {
    request: u32,
    /// When the first segment came.
    since: Timestamp,
    /// The place in the burst of the first segment that has come.
    first: u8,
    /// The number of segments that have come.
    segments: u32,
}

impl PacketTrain {
    pub(super) fn new(now: Timestamp) -> PacketTrain {
        PacketTrain { request: 0, since: now, first: 0, segments: 0 }
    }

    /// Records that the segment `index` of `request` with `bytes` bytes has come. Returns the rate of the train in bytes a
    /// second, once the train is long enough. A lost segment has taken its time all the same.
    pub(super) fn on_arrived(
        &mut self,
        request: u32,
        index: u8,
        bytes: u32,
        now: Timestamp,
    ) -> Option<Train> {
        if self.segments == 0 || self.request != request || index <= self.first {
            *self = PacketTrain { request, since: now, first: index, segments: 1 };
            return None;
        }
        self.segments += 1;
        if self.segments < MIN_SEGMENTS {
            return None;
        }
        let took = now.since(self.since).as_nanos().max(1);
        let bytes = u128::from(index - self.first) * u128::from(bytes);
        let rate = u64::try_from(bytes * 1_000_000_000 / took).unwrap_or(u64::MAX);
        Some(Train { rate, is_new: self.segments == MIN_SEGMENTS })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn five_segments_of_one_burst_show_the_rate_at_which_they_come() {
        let mut train = PacketTrain::new(Timestamp::ZERO);
        let at = |millis: u8| Timestamp::ZERO + Duration::from_millis(millis.into());
        let rates: Vec<_> = (0..6).map(|index| train.on_arrived(7, index, 1000, at(index))).collect();
        let shown = |is_new| Some(Train { rate: 1_000_000, is_new });
        assert_eq!(rates, [None, None, None, None, shown(true), shown(false)]);
        assert_eq!(train.on_arrived(8, 0, 1000, at(6)), None, "another burst");
    }

    #[test]
    fn lost_segments_make_no_train_slower() {
        let mut train = PacketTrain::new(Timestamp::ZERO);
        let at = |index: u8| Timestamp::ZERO + Duration::from_millis(index.into());
        let arrived = [1, 2, 4, 7, 8];
        let rates = arrived.map(|index| train.on_arrived(7, index, 1000, at(index)));
        assert_eq!(rates[4], Some(Train { rate: 1_000_000, is_new: true }));
        assert_eq!(train.on_arrived(7, 0, 1000, at(9)), None, "one that was overtaken begins anew");
    }
}
