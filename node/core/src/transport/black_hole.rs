//! Whether all datagrams longer than the base size vanish while the flow goes on.
//!
//! A path may stop carrying what it carried, and say nothing (a black hole, RFC 8899 §4.3). Then long segments are lost
//! and short ones, the ends of ranges, arrive. A single lost burst says nothing: queues are full now and then.

use messages::limits::BASE_DATAGRAM;
use messages::{CHUNK_HEADER, Timestamp};

use super::outstanding::Outstanding;

/// The payload of a datagram of the base size: a segment that is no longer proves nothing about long ones.
const BASE_SEGMENT: u16 = (BASE_DATAGRAM - CHUNK_HEADER) as u16;
/// So many long segments in a row are lost while later ones arrive: at 20 % random loss that is one case in 400,000.
const BLACK_HOLE_SEGMENTS: u32 = 8;
/// So many bursts they must be of: one alone finds a queue full, and its short end may still fit (quinn's threshold).
const BLACK_HOLE_BURSTS: u32 = 3;
/// So many timeouts in a row say the same: one is what the end of a window looks like that a full queue has dropped.
const BLACK_HOLE_TIMEOUTS: u32 = 2;

/// What became of long segments lately.
#[derive(Debug, Default)]
pub(super) struct BlackHoleDetector {
    /// The ordinal of the latest long segment that arrived.
    largest_arrived: u64,
    /// Bursts asked for since then that were overtaken and gave no long segment, and the segments that they lost.
    lost_bursts: u32,
    lost_segments: u32,
    /// When the last long segments were asked for that are lost.
    asked_at: Option<Timestamp>,
    /// Timeouts since then that lost long segments.
    timeouts: u32,
}

impl BlackHoleDetector {
    /// A segment of `length` bytes arrived.
    pub(super) fn on_arrived(&mut self, ordinal: u64, length: usize) {
        if length > usize::from(BASE_SEGMENT) {
            *self = BlackHoleDetector {
                largest_arrived: self.largest_arrived.max(ordinal),
                ..BlackHoleDetector::default()
            };
        }
    }

    /// `bytes` of `burst` were overtaken, and are lost.
    pub(super) fn on_overtaken(&mut self, burst: &Outstanding, bytes: u32) {
        if bytes > 0 && burst.segment_size() > BASE_SEGMENT && burst.first_ordinal() > self.largest_arrived {
            self.lost_bursts += 1;
            self.lost_segments += bytes.div_ceil(burst.segment_size().into());
            self.asked_at = self.asked_at.max(Some(burst.asked_at()));
        }
    }

    /// Nothing at all arrived for too long; the last of all that was asked for had such segments.
    pub(super) fn on_timeout(&mut self, segment: u16, asked_at: Timestamp) {
        if segment > BASE_SEGMENT {
            self.timeouts += 1;
            self.asked_at = self.asked_at.max(Some(asked_at));
        }
    }

    /// When the last of the lost long segments was asked for, if so many are lost that the path does not carry them.
    /// Each black hole is reported once.
    pub(super) fn take(&mut self) -> Option<Timestamp> {
        let overtaken = self.lost_bursts >= BLACK_HOLE_BURSTS && self.lost_segments >= BLACK_HOLE_SEGMENTS;
        if !overtaken && self.timeouts < BLACK_HOLE_TIMEOUTS {
            return None;
        }
        let asked_at = self.asked_at;
        *self = BlackHoleDetector { largest_arrived: self.largest_arrived, ..BlackHoleDetector::default() };
        asked_at
    }
}
