//! One round trip's worth of arrivals: what was lost in it, how long the queue was, and whether that is congestion.
//!
//! Loss alone is none: long and lossy paths lose without being full. Congestion is loss while a queue stands, or much
//! more loss than the path has anyway. With a queue 2 % is much (draft-ietf-ccwg-bbr: BBR.LossThresh); without one it
//! takes 15 %, since radio links and policed paths lose several percent at any rate.

use std::time::Duration;

use super::loss_baseline::LossBaseline;

/// A queue is seen from this on, or from a quarter of the round trip: below is jitter.
const MIN_QUEUE: Duration = Duration::from_millis(5);
/// With a queue, so much loss above what the path loses anyway is congestion, out of a thousand bytes.
const LOSS_WITH_QUEUE: u64 = 20;
/// Without a queue, so much is.
const LOSS_ALONE: u64 = 150;
/// With half a round trip of queue that is not this flow's own, any loss is.
const LOSS_WITH_LONG_QUEUE: u64 = 2;
/// Fewer losses in a round are chance.
const MIN_LOSSES: u32 = 4;

/// What happened since the round began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    delivered: u64,
    lost: u64,
    losses: u32,
    min_rtt: Option<Duration>,
    max_outstanding: u32,
}

/// What a round says about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CongestionSignal {
    /// No queue stands, and nothing unusual is lost.
    Clear,
    /// A queue stands, and nothing unusual is lost.
    Queued,
    /// Asking for more lost more, and no queue was seen: the path's buffer holds hardly anything.
    ShallowBuffer,
    /// More is lost than the path loses anyway, because the path is full.
    Congested,
}

impl CongestionSignal {
    /// Whether the flow lost because it asked for too much.
    pub(super) fn is_harmful(self) -> bool {
        matches!(self, CongestionSignal::Congested | CongestionSignal::ShallowBuffer)
    }
}

/// What was asked for in a round, compared with what the path is known to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// What the path gives is not known yet.
    Unknown,
    /// As much as the path gives.
    Steady,
    /// More, to see whether the path gives it.
    Probing,
}

impl Round {
    pub(super) fn on_delivered(&mut self, bytes: u64, outstanding: u32) {
        self.delivered += bytes;
        self.max_outstanding = self.max_outstanding.max(outstanding);
    }

    pub(super) fn on_lost(&mut self, bytes: u64) {
        self.lost += bytes;
        self.losses += 1;
    }

    /// `bytes` were not lost after all.
    pub(super) fn on_late(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_sub(bytes);
    }

    pub(super) fn on_rtt(&mut self, rtt: Duration) {
        self.min_rtt = Some(self.min_rtt.map_or(rtt, |lowest| lowest.min(rtt)));
    }

    /// The lowest round-trip time in it.
    pub(super) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// The most bytes that were outstanding.
    pub(super) fn max_outstanding(&self) -> u64 {
        self.max_outstanding.into()
    }

    /// Bytes that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes that were lost or delivered.
    pub(super) fn sent(&self) -> u64 {
        self.lost + self.delivered
    }

    /// Of a thousand bytes so many were lost.
    pub(super) fn loss_permille(&self) -> u64 {
        self.lost * 1000 / self.sent().max(1)
    }

    /// What the round means on a path that loses `baseline` anyway and whose shortest round trip takes `min_rtt`.
    pub(super) fn signal(&self, baseline: &LossBaseline, min_rtt: Duration, load: Load) -> CongestionSignal {
        let queue = self.min_rtt.unwrap_or(min_rtt).saturating_sub(min_rtt);
        let is_queued = queue > MIN_QUEUE.max(min_rtt / 4);
        let is_long = queue > MIN_QUEUE.max(min_rtt / 2);
        let mean = baseline.mean_permille();
        let excess = self.loss_permille().saturating_sub(mean + mean / 2);
        // Where losses come in bursts, some rounds lose far more than others although nobody asked for more.
        let unheard_of = excess.min(self.loss_permille().saturating_sub(baseline.worst_permille()));
        let are_many = self.losses >= MIN_LOSSES;
        let is_congested = match load {
            // How much the path loses anyway is not known yet.
            Load::Unknown => is_queued && are_many && excess > LOSS_WITH_QUEUE,
            Load::Steady | Load::Probing => {
                is_long && excess > LOSS_WITH_LONG_QUEUE
                    || is_queued && are_many && excess > LOSS_WITH_QUEUE
                    || are_many && unheard_of > LOSS_ALONE
            }
        };
        let is_shallow =
            load == Load::Probing && self.losses >= 2 * MIN_LOSSES && unheard_of > LOSS_WITH_QUEUE;
        match (is_congested, is_shallow, is_queued) {
            (true, _, _) => CongestionSignal::Congested,
            (_, true, _) => CongestionSignal::ShallowBuffer,
            (_, _, true) => CongestionSignal::Queued,
            _ => CongestionSignal::Clear,
        }
    }
}
