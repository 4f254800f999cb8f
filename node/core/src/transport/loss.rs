//! What is lost: segments that later ones have overtaken, unless the path is known to reorder.

use std::time::Duration;

use messages::Timestamp;
use messages::node_to_node::ByteRange;

use super::burst_size::Lost;
use super::bursts::Bursts;
use super::outstanding::Outstanding;

/// A segment is taken for lost when this many that were asked for later have arrived (RFC 9002 §6.1.1).
const THRESHOLD: u32 = 3;
/// Nor is more reordering than this waited for.
const MAX_THRESHOLD: u32 = 64;
/// A path that reorders at all does so for this long at least.
const MIN_PATIENCE: Duration = Duration::from_millis(1);

/// So long after the last segment that came late both are halved, and again: paths change back too.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// When a gap is a loss.
#[derive(Debug)]
pub(super) struct LossDetection {
    highest_arrived: u64,
    threshold: u32,
    /// How long an overtaken segment may still come, once reordering was seen.
    patience: Duration,
    /// When both are halved, while they are more than they were at first.
    halves_at: Timestamp,
}

impl LossDetection {
    pub(super) fn new() -> LossDetection {
        LossDetection {
            highest_arrived: 0,
            threshold: THRESHOLD,
            patience: Duration::ZERO,
            halves_at: Timestamp::NEVER,
        }
    }

    /// The segment `ordinal` has arrived.
    pub(super) fn on_arrived(&mut self, ordinal: u64) {
        self.highest_arrived = self.highest_arrived.max(ordinal);
    }

    /// A segment that was given up has arrived: it was not lost, so wait longer next time.
    pub(super) fn on_late(&mut self, min_rtt: Duration, smoothed: Duration, now: Timestamp) {
        self.halves_at = now + FORGOTTEN_AFTER;
        self.threshold = (self.threshold * 2).min(MAX_THRESHOLD);
        let patience = (self.patience * 2).max(min_rtt / 4);
        self.patience = patience.clamp(MIN_PATIENCE, smoothed.max(MIN_PATIENCE));
    }

    /// Gives up what is lost by `now`, appends it to `lost`, and tells `gone` how many bytes of which burst it was. Where in
    /// their bursts it was.
    pub(super) fn detect(
        &mut self,
        bursts: &mut Bursts,
        now: Timestamp,
        lost: &mut Vec<ByteRange>,
        gone: impl FnMut(&Outstanding, u32),
    ) -> Lost {
        if now >= self.halves_at {
            self.halve(now);
        }
        let due = |burst: &mut Outstanding| burst.overtaken(now, self.patience);
        bursts.give_up_before(self.before(), lost, due, gone)
    }

    fn halve(&mut self, now: Timestamp) {
        self.threshold = (self.threshold / 2).max(THRESHOLD);
        self.patience /= 2;
        if self.patience < MIN_PATIENCE {
            self.patience = Duration::ZERO;
        }
        let done = self.threshold == THRESHOLD && self.patience.is_zero();
        self.halves_at = if done { Timestamp::NEVER } else { now + FORGOTTEN_AFTER };
    }

    /// When [`LossDetection::detect`] finds something although nothing arrives.
    pub(super) fn next_at(&self, bursts: &Bursts) -> Option<Timestamp> {
        let before = self.before();
        let overtaken = bursts.open().take_while(|burst| burst.first_ordinal() < before);
        let waited_for = overtaken.filter(|burst| burst.has_gap(before));
        let since = waited_for.filter_map(Outstanding::overtaken_at).min()?;
        Some(since + self.patience)
    }

    /// Gaps before this ordinal are overtaken.
    fn before(&self) -> u64 {
        self.highest_arrived.saturating_sub(u64::from(self.threshold) - 1)
    }
}
