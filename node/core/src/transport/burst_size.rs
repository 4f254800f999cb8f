//! How long a burst may be: where the ends of bursts are lost and their beginnings are not, something on the way takes a few datagrams
//! at once and no more, and bursts become shorter.
//!
//! A queue of a few packets does that, and so do policers and proxies (quinn issue 2627: 4 to 5 packets a millisecond passed, so that
//! offloaded bursts of 10 were lost in part every time).

use std::time::Duration;

use messages::Timestamp;

/// Shorter bursts have no end worth speaking of, in segments.
const MIN_SEGMENTS: u32 = 2;
/// The ends must have lost this many segments, and so many times what the beginnings lost: by chance that is one in 10^6.
const EVIDENCE: u32 = 12;
const RATIO: u32 = 4;
/// When this many were lost in all without being evidence, they count half.
const FADES_AT: u32 = 64;
/// A burst may be one segment longer after each time of this length without such losses.
const LENGTHENS_AFTER: Duration = Duration::from_secs(1);

/// Segments of bursts that were lost, by where in it they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) beginnings: u32,
    pub(super) ends: u32,
}

/// How long bursts may be.
#[derive(Debug)]
pub(super) struct BurstSize {
    /// In bytes; longer ones do harm. `None`: none that did is known.
    longest: Option<u32>,
    lost: Lost,
    lengthens_at: Timestamp,
}

impl BurstSize {
    pub(super) fn new() -> BurstSize {
        BurstSize { longest: None, lost: Lost::default(), lengthens_at: Timestamp::NEVER }
    }

    /// The longest burst, in bytes, where `most` is what a burst can be at all.
    pub(super) fn longest(&self, segment: u32, most: u32) -> u32 {
        self.longest.map_or(most, |longest| longest.max(MIN_SEGMENTS * segment).min(most))
    }

    /// Segments of bursts of about `burst` bytes were lost.
    pub(super) fn on_lost(&mut self, lost: Lost, burst: u32, segment: u32, now: Timestamp) {
        self.lost.beginnings += lost.beginnings;
        self.lost.ends += lost.ends;
        if self.lost.ends >= EVIDENCE && self.lost.ends > RATIO * self.lost.beginnings {
            self.longest = Some((burst / 2).max(MIN_SEGMENTS * segment));
            self.lengthens_at = now + LENGTHENS_AFTER;
            self.lost = Lost::default();
        } else if self.lost.ends + self.lost.beginnings >= FADES_AT {
            self.lost = Lost { beginnings: self.lost.beginnings / 2, ends: self.lost.ends / 2 };
        }
    }

    /// Time passes: what did harm once may be tried again, up to `most`.
    pub(super) fn lengthen(&mut self, segment: u32, most: u32, now: Timestamp) {
        if now < self.lengthens_at {
            return;
        }
        self.longest = self.longest.map(|longest| longest + segment).filter(|&longest| longest < most);
        self.lengthens_at = if self.longest.is_some() { now + LENGTHENS_AFTER } else { Timestamp::NEVER };
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
        let mut shape = BurstSize::new();
        for _ in 0..8 {
            let burst = shape.longest(SEGMENT, MAX);
            shape.on_lost(Lost { beginnings: 0, ends: EVIDENCE }, burst, SEGMENT, after(1));
        }
        assert_eq!(shape.longest(SEGMENT, MAX), 2 * SEGMENT);
        shape.lengthen(SEGMENT, MAX, after(1));
        assert_eq!(shape.longest(SEGMENT, MAX), 2 * SEGMENT);
        (2..60).for_each(|second| shape.lengthen(SEGMENT, MAX, after(second)));
        assert_eq!(shape.longest(SEGMENT, MAX), MAX);
    }

    #[test]
    fn losses_all_over_a_burst_do_not() {
        let mut shape = BurstSize::new();
        (0..1000).for_each(|_| shape.on_lost(Lost { beginnings: 2, ends: 3 }, MAX, SEGMENT, after(1)));
        assert_eq!(shape.longest(SEGMENT, MAX), MAX);
    }
}
