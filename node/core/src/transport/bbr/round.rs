//! The arrivals of one round trip: what was lost, how long the queue was, and whether that is congestion.
//!
//! Loss alone is no congestion: long and lossy paths lose without being full. Congestion is loss while a queue stands,
//! or much more loss than the path has at any rate. With a queue 2 % is much (draft-ietf-ccwg-bbr: BBR.LossThresh);
//! without one it takes 15 %, because radio links and policed paths lose several percent at any rate.

use std::time::Duration;

use super::loss_baseline::LossBaseline;

/// A queue is seen when the round trips take longer than the lowest by more than this and by more than a quarter of it:
/// less is jitter.
const MIN_QUEUE: Duration = Duration::from_millis(5);
/// With a queue, more than this much loss above the baseline is congestion, in bytes out of a thousand.
const LOSS_WITH_QUEUE: u64 = 20;
/// Without a queue, more than this much loss above the baseline is congestion, in bytes out of a thousand.
const LOSS_ALONE: u64 = 150;
/// With a queue of half a round trip, which is not only this flow's, more than this much loss is congestion, in bytes
/// out of a thousand.
const LOSS_WITH_LONG_QUEUE: u64 = 2;
/// Fewer losses than this in a round are chance.
const MIN_LOSSES: u32 = 4;

/// What has happened since the round began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    delivered: u64,
    lost: u64,
    losses: u32,
    min_rtt: Option<Duration>,
    max_outstanding: u32,
}

/// What a round shows of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CongestionSignal {
    /// No queue stands, and no unusual share is lost.
    Clear,
    /// A queue stands, and no unusual share is lost.
    Queued,
    /// When the flow asked for more, more was lost, and no queue was seen: the path's buffer holds hardly anything.
    ShallowBuffer,
    /// More is lost than the path loses at any rate, because the path is full.
    Congested,
}

impl CongestionSignal {
    /// Whether the losses were caused by asking for too much.
    pub(super) fn is_harmful(self) -> bool {
        matches!(self, CongestionSignal::Congested | CongestionSignal::ShallowBuffer)
    }
}

/// How much was asked for in a round, compared with what the path is known to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// What the path gives is not known yet.
    Unknown,
    /// The flow asked for as much as the path gives.
    Steady,
    /// The flow asked for more, to find out whether the path gives it.
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

    /// Records that `bytes` were not lost after all.
    pub(super) fn on_late(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_sub(bytes);
    }

    pub(super) fn on_rtt(&mut self, rtt: Duration) {
        self.min_rtt = Some(self.min_rtt.map_or(rtt, |lowest| lowest.min(rtt)));
    }

    /// The lowest round-trip time in the round.
    pub(super) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// The largest number of bytes that were outstanding.
    pub(super) fn max_outstanding(&self) -> u64 {
        self.max_outstanding.into()
    }

    /// The number of bytes that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The number of bytes that were lost or delivered.
    pub(super) fn sent(&self) -> u64 {
        self.lost + self.delivered
    }

    /// The number of lost bytes out of a thousand.
    pub(super) fn loss_permille(&self) -> u64 {
        self.lost * 1000 / self.sent().max(1)
    }

    /// What the round shows of a path that has the loss `baseline` at any rate and whose shortest round trip takes
    /// `min_rtt`.
    pub(super) fn signal(&self, baseline: &LossBaseline, min_rtt: Duration, load: Load) -> CongestionSignal {
        let queue = self.min_rtt.unwrap_or(min_rtt).saturating_sub(min_rtt);
        let is_queued = queue > MIN_QUEUE.max(min_rtt / 4);
        let is_long = queue > MIN_QUEUE.max(min_rtt / 2);
        let mean = baseline.mean_permille();
        let excess = self.loss_permille().saturating_sub(mean + mean / 2);
        // Where losses come in bursts, some rounds lose far more than others although the flow did not ask for more.
        let unheard_of = excess.min(self.loss_permille().saturating_sub(baseline.worst_permille()));
        let are_many = self.losses >= MIN_LOSSES;
        let is_congested = match load {
            // The baseline of the path is not known yet.
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
