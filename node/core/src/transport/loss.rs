//! Which segments are lost: those that later ones have overtaken. A path that is known to reorder gets more time.
//!
//! The packet threshold is that of RFC 9002 (§6.1.1). The threshold and the reordering window grow where a path
//! reorders, like those of RACK (RFC 8985 §6.2).

use std::time::Duration;

use messages::Timestamp;
use messages::node_to_node::ByteRange;

use super::burst_size::BurstLosses;
use super::bursts::Bursts;
use super::outstanding::Outstanding;

/// A segment is taken for lost when this many that were asked for later have arrived (RFC 9002 §6.1.1).
const PACKET_THRESHOLD: u32 = 3;
/// The packet threshold is at most this, however much a path reorders.
const MAX_PACKET_THRESHOLD: u32 = 64;
/// The reordering window of a path that reorders is at least this long.
const MIN_REORDERING_WINDOW: Duration = Duration::from_millis(1);

/// The threshold and the window are halved each time this long passes without a late segment, because a path may stop
/// reordering.
const DECAY_INTERVAL: Duration = Duration::from_secs(5);

/// The rules that decide when a gap is a loss.
#[derive(Debug)]
pub(super) struct LossDetection {
    largest_arrived: u64,
    packet_threshold: u32,
    /// How long an overtaken segment may still come, once reordering has been seen.
    reordering_window: Duration,
    /// When the threshold and the window are halved next; never, if they have their first values.
    decays_at: Timestamp,
}

impl LossDetection {
    pub(super) fn new() -> LossDetection {
        LossDetection {
            largest_arrived: 0,
            packet_threshold: PACKET_THRESHOLD,
            reordering_window: Duration::ZERO,
            decays_at: Timestamp::NEVER,
        }
    }

    /// Records that the segment `ordinal` has arrived.
    pub(super) fn on_arrived(&mut self, ordinal: u64) {
        self.largest_arrived = self.largest_arrived.max(ordinal);
    }

    /// Records that a segment that was given up has arrived. It was not lost, so the next one is waited for longer.
    pub(super) fn on_late(&mut self, min_rtt: Duration, smoothed: Duration, now: Timestamp) {
        self.decays_at = now + DECAY_INTERVAL;
        self.packet_threshold = (self.packet_threshold * 2).min(MAX_PACKET_THRESHOLD);
        let reordering_window = (self.reordering_window * 2).max(min_rtt / 4);
        self.reordering_window =
            reordering_window.clamp(MIN_REORDERING_WINDOW, smoothed.max(MIN_REORDERING_WINDOW));
    }

    /// Gives up the segments that are lost by `now`, appends them to `lost`, and calls `on_lost` with each burst and
    /// its number of lost bytes. Returns where in their bursts the segments were.
    pub(super) fn detect(
        &mut self,
        bursts: &mut Bursts,
        now: Timestamp,
        lost: &mut Vec<ByteRange>,
        on_lost: impl FnMut(&Outstanding, u32),
    ) -> BurstLosses {
        if now >= self.decays_at {
            self.decay(now);
        }
        let due = |burst: &mut Outstanding| burst.on_overtaken(now, self.reordering_window);
        bursts.give_up_before(self.lost_before(), lost, due, on_lost)
    }

    fn decay(&mut self, now: Timestamp) {
        self.packet_threshold = (self.packet_threshold / 2).max(PACKET_THRESHOLD);
        self.reordering_window /= 2;
        if self.reordering_window < MIN_REORDERING_WINDOW {
            self.reordering_window = Duration::ZERO;
        }
        let done = self.packet_threshold == PACKET_THRESHOLD && self.reordering_window.is_zero();
        self.decays_at = if done { Timestamp::NEVER } else { now + DECAY_INTERVAL };
    }

    /// When [`LossDetection::detect`] may find a loss even if nothing arrives before.
    pub(super) fn next_at(&self, bursts: &Bursts) -> Option<Timestamp> {
        let before = self.lost_before();
        let overtaken = bursts.open().take_while(|burst| burst.first_ordinal() < before);
        let waited_for = overtaken.filter(|burst| burst.has_gap(before));
        let since = waited_for.filter_map(Outstanding::overtaken_at).min()?;
        Some(since + self.reordering_window)
    }

    /// The ordinal before which segments that have not arrived are overtaken.
    fn lost_before(&self) -> u64 {
        self.largest_arrived.saturating_sub(u64::from(self.packet_threshold) - 1)
    }
}
