//! What is lost: segments that later ones have overtaken, unless the path is known to reorder.
//!
//! The packet threshold is RFC 9002's (§6.1.1); threshold and reordering window grow where a path reorders, as RACK's
//! do (RFC 8985 §6.2).

use std::time::Duration;

use messages::Timestamp;
use messages::node_to_node::ByteRange;

use super::burst_size::BurstLosses;
use super::bursts::Bursts;
use super::outstanding::Outstanding;

/// A segment is taken for lost when this many that were asked for later have arrived (RFC 9002 §6.1.1).
const PACKET_THRESHOLD: u32 = 3;
/// The packet threshold never becomes higher than this, however much a path reorders.
const MAX_PACKET_THRESHOLD: u32 = 64;
/// On a path that reorders the reordering window is this long at least.
const MIN_REORDERING_WINDOW: Duration = Duration::from_millis(1);

/// So long after the last late segment the threshold and the window are halved, and again: paths change back too.
const DECAY_INTERVAL: Duration = Duration::from_secs(5);

/// When a gap is a loss.
#[derive(Debug)]
pub(super) struct LossDetection {
    largest_arrived: u64,
    packet_threshold: u32,
    /// How long an overtaken segment may still come, once reordering has been seen.
    reordering_window: Duration,
    /// When threshold and window are halved, while they are more than they were at first.
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

    /// The segment `ordinal` has arrived.
    pub(super) fn on_arrived(&mut self, ordinal: u64) {
        self.largest_arrived = self.largest_arrived.max(ordinal);
    }

    /// A segment that was given up has arrived: it was not lost, so the next one is waited for longer.
    pub(super) fn on_late(&mut self, min_rtt: Duration, smoothed: Duration, now: Timestamp) {
        self.decays_at = now + DECAY_INTERVAL;
        self.packet_threshold = (self.packet_threshold * 2).min(MAX_PACKET_THRESHOLD);
        let reordering_window = (self.reordering_window * 2).max(min_rtt / 4);
        self.reordering_window =
            reordering_window.clamp(MIN_REORDERING_WINDOW, smoothed.max(MIN_REORDERING_WINDOW));
    }

    /// Gives up what is lost by `now`, appends it to `lost`, and tells `on_lost` how many bytes of which burst it was.
    /// Returns where in their bursts it was.
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

    /// When [`LossDetection::detect`] finds something although nothing arrives.
    pub(super) fn next_at(&self, bursts: &Bursts) -> Option<Timestamp> {
        let before = self.lost_before();
        let overtaken = bursts.open().take_while(|burst| burst.first_ordinal() < before);
        let waited_for = overtaken.filter(|burst| burst.has_gap(before));
        let since = waited_for.filter_map(Outstanding::overtaken_at).min()?;
        Some(since + self.reordering_window)
    }

    /// Segments before this ordinal that have not arrived are overtaken.
    fn lost_before(&self) -> u64 {
        self.largest_arrived.saturating_sub(u64::from(self.packet_threshold) - 1)
    }
}
