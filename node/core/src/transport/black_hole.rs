//! Whether all datagrams longer than the base size vanish while the flow goes on.
//!
//! A path may stop carrying long datagrams without a report (a black hole, RFC 8899 §4.3). Then long segments are lost,
//! and short ones, the ends of ranges, arrive. A single lost burst proves nothing, because queues are full now and
//! then.

use messages::limits::BASE_DATAGRAM;
use messages::{CHUNK_HEADER, Timestamp};

use super::outstanding::Outstanding;

/// The payload of a datagram of the base size: a segment that is no longer proves nothing about long ones.
const BASE_SEGMENT: u16 = (BASE_DATAGRAM - CHUNK_HEADER) as u16;
/// A black hole is seen when this many long segments in a row are lost while later ones arrive: at 20 % random loss
/// that happens in one case in 400,000.
const BLACK_HOLE_SEGMENTS: u32 = 8;
/// The lost segments must be of this many bursts: one alone may find a queue full, in which its short end still fits
/// (quinn's threshold).
const BLACK_HOLE_BURSTS: u32 = 3;
/// This many timeouts in a row show a black hole, too: a single one also follows when a full queue drops the end of a
/// window.
const BLACK_HOLE_TIMEOUTS: u32 = 2;

/// What has become of long segments lately.
#[derive(Debug, Default)]
pub(super) struct BlackHoleDetector {
    /// The ordinal of the latest long segment that arrived.
    largest_arrived: u64,
    /// The numbers of later bursts that were overtaken without a long segment arriving, and of the segments that they
    /// lost.
    lost_bursts: u32,
    lost_segments: u32,
    /// When the last of the lost long segments were asked for.
    asked_at: Option<Timestamp>,
    /// The number of timeouts since then that lost long segments.
    timeouts: u32,
}

impl BlackHoleDetector {
    /// Records that the segment `ordinal` has arrived, with `length` bytes.
    pub(super) fn on_arrived(&mut self, ordinal: u64, length: usize) {
        if length > usize::from(BASE_SEGMENT) {
            *self = BlackHoleDetector {
                largest_arrived: self.largest_arrived.max(ordinal),
                ..BlackHoleDetector::default()
            };
        }
    }

    /// Records that `bytes` of `burst` were overtaken and are lost.
    pub(super) fn on_overtaken(&mut self, burst: &Outstanding, bytes: u32) {
        if bytes > 0 && burst.segment_size() > BASE_SEGMENT && burst.first_ordinal() > self.largest_arrived {
            self.lost_bursts += 1;
            self.lost_segments += bytes.div_ceil(burst.segment_size().into());
            self.asked_at = self.asked_at.max(Some(burst.asked_at()));
        }
    }

    /// Records that nothing arrived for a whole timeout. The last burst had segments of `segment` bytes and was asked
    /// for at `asked_at`.
    pub(super) fn on_timeout(&mut self, segment: u16, asked_at: Timestamp) {
        if segment > BASE_SEGMENT {
            self.timeouts += 1;
            self.asked_at = self.asked_at.max(Some(asked_at));
        }
    }

    /// Takes the time at which the last of the lost long segments was asked for, if the losses show that the path does
    /// not carry long segments. Each black hole is reported once.
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
