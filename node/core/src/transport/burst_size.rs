//! How long a burst may be. Where the ends of bursts are lost and their beginnings are not, something on the way takes
//! only a few datagrams at once, and bursts become shorter.
//!
//! A queue of a few packets does that, and so do policers and proxies. (quinn issue 2627: 4 to 5 packets a millisecond
//! passed, so that offloaded bursts of 10 were lost in part every time.)

use std::time::Duration;

use messages::Timestamp;

/// Bursts are made no shorter than this many segments: a shorter burst has hardly an end.
const MIN_SEGMENTS: u32 = 2;
/// The ends must have lost this many segments before bursts become shorter.
const MIN_LOST_ENDS: u32 = 12;
/// Bursts become shorter when the ends have lost more than this many times as many segments as the beginnings, which
/// chance causes in one case of 10^6.
const ENDS_RATIO: u32 = 4;
/// When this many segments were lost in all without such a ratio, the counts are halved.
const DECAY_AT: u32 = 64;
/// A burst may be one segment longer after each time of this length without such losses.
const GROWTH_INTERVAL: Duration = Duration::from_secs(1);

/// Lost segments, by the half of their burst that they were in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BurstLosses {
    pub(super) beginnings: u32,
    pub(super) ends: u32,
}

/// The limit on the length of bursts, and the losses that decide it.
#[derive(Debug)]
pub(super) struct BurstSize {
    /// Bursts longer than this many bytes do harm. `None` means that no length is known to do harm.
    limit: Option<u32>,
    lost: BurstLosses,
    grows_at: Timestamp,
}

impl BurstSize {
    pub(super) fn new() -> BurstSize {
        BurstSize { limit: None, lost: BurstLosses::default(), grows_at: Timestamp::NEVER }
    }

    /// The longest burst, in bytes, where `max` is the length that a burst can have at all.
    pub(super) fn max_bytes(&self, segment: u32, max: u32) -> u32 {
        self.limit.map_or(max, |limit| limit.max(MIN_SEGMENTS * segment).min(max))
    }

    /// Records that segments of bursts of about `burst` bytes were lost.
    pub(super) fn on_lost(&mut self, lost: BurstLosses, burst: u32, segment: u32, now: Timestamp) {
        self.lost.beginnings += lost.beginnings;
        self.lost.ends += lost.ends;
        if self.lost.ends >= MIN_LOST_ENDS && self.lost.ends > ENDS_RATIO * self.lost.beginnings {
            self.limit = Some((burst / 2).max(MIN_SEGMENTS * segment));
            self.grows_at = now + GROWTH_INTERVAL;
            self.lost = BurstLosses::default();
        } else if self.lost.ends + self.lost.beginnings >= DECAY_AT {
            self.lost = BurstLosses { beginnings: self.lost.beginnings / 2, ends: self.lost.ends / 2 };
        }
    }

    /// Raises the limit, when that is due, so that lengths that did harm once are tried again, up to `max`.
    pub(super) fn grow(&mut self, segment: u32, max: u32, now: Timestamp) {
        if now < self.grows_at {
            return;
        }
        self.limit = self.limit.map(|limit| limit + segment).filter(|&limit| limit < max);
        self.grows_at = if self.limit.is_some() { now + GROWTH_INTERVAL } else { Timestamp::NEVER };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u32 = 1000;
    const MAX: u32 = 50_000;

    fn after(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn lost_ends_make_bursts_shorter_down_to_two_segments_and_time_makes_them_longer() {
        let mut burst_size = BurstSize::new();
        for _ in 0..8 {
            let burst = burst_size.max_bytes(SEGMENT, MAX);
            burst_size.on_lost(BurstLosses { beginnings: 0, ends: MIN_LOST_ENDS }, burst, SEGMENT, after(1));
        }
        assert_eq!(burst_size.max_bytes(SEGMENT, MAX), 2 * SEGMENT);
        burst_size.grow(SEGMENT, MAX, after(1));
        assert_eq!(burst_size.max_bytes(SEGMENT, MAX), 2 * SEGMENT);
        (2..60).for_each(|second| burst_size.grow(SEGMENT, MAX, after(second)));
        assert_eq!(burst_size.max_bytes(SEGMENT, MAX), MAX);
    }

    #[test]
    fn losses_all_over_a_burst_do_not() {
        let mut burst_size = BurstSize::new();
        (0..1000)
            .for_each(|_| burst_size.on_lost(BurstLosses { beginnings: 2, ends: 3 }, MAX, SEGMENT, after(1)));
        assert_eq!(burst_size.max_bytes(SEGMENT, MAX), MAX);
    }
}
