//! One round trip's worth of arrivals: what was lost in it, how long the queue was, and whether that is congestion.
//!
//! Loss alone is none: long and lossy paths lose without being full. It is when a queue stands at the same time, or when much
//! more is lost than the path loses anyway (reference figures, protocol.md §1.5: 2 % with a queue, 15 % without).

use std::time::Duration;

/// A queue is seen from this on, or from a quarter of the round trip: below is jitter.
const MIN_QUEUE: Duration = Duration::from_millis(5);
/// Out of a thousand bytes, above what the path loses anyway: with a queue, and without.
const LOSS_WITH_QUEUE: u64 = 20;
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
    /// The most that was outstanding.
    pub(super) most_outstanding: u32,
}

/// What a round says about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Clear,
    /// A queue stands, nothing unusual is lost.
    Queued,
    /// Asking for more lost more, and no queue was seen: there is hardly any.
    Shallow,
    /// More is lost than the path loses anyway, because it is full.
    Congested,
}

impl Round {
    pub(super) fn on_delivered(&mut self, bytes: u64, outstanding: u32) {
        self.delivered += bytes;
        self.most_outstanding = self.most_outstanding.max(outstanding);
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

    /// Bytes that were lost in it.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Out of a thousand bytes.
    pub(super) fn loss(&self) -> u64 {
        self.lost * 1000 / (self.lost + self.delivered).max(1)
    }

    /// Adds what was lost and what arrived to sums of both.
    pub(super) fn add_to(&self, sums: &mut (u64, u64)) {
        sums.0 += self.lost;
        sums.1 += self.lost + self.delivered;
    }

    /// What it means where `base` of a thousand bytes are lost anyway, up to `worst` in a round, and a round trip takes `min_rtt`;
    /// `asks`: more was asked for than before.
    pub(super) fn verdict(&self, (base, worst): (u64, u64), min_rtt: Duration, asks: Asks) -> Verdict {
        let queue = self.min_rtt.unwrap_or(min_rtt).saturating_sub(min_rtt);
        let (queued, long) = (queue > MIN_QUEUE.max(min_rtt / 4), queue > MIN_QUEUE.max(min_rtt / 2));
        let excess = self.loss().saturating_sub(base + base / 2);
        // Where losses come in bursts, some rounds lose far more than others although nobody asked for more.
        let unheard_of = excess.min(self.loss().saturating_sub(worst));
        let many = self.losses >= MIN_LOSSES;
        let congested = match asks {
            // How much the path loses anyway is not known yet.
            Asks::Unknown => queued && many && excess > LOSS_WITH_QUEUE,
            Asks::AsMuch | Asks::More => {
                long && excess > LOSS_WITH_LONG_QUEUE
                    || queued && many && excess > LOSS_WITH_QUEUE
                    || many && unheard_of > LOSS_ALONE
            }
        };
        let shallow = asks == Asks::More && self.losses >= 2 * MIN_LOSSES && unheard_of > LOSS_WITH_QUEUE;
        match (congested, shallow, queued) {
            (true, _, _) => Verdict::Congested,
            (_, true, _) => Verdict::Shallow,
            (_, _, true) => Verdict::Queued,
            _ => Verdict::Clear,
        }
    }
}

/// What was asked for in a round, compared with what the path is known to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Unknown,
    AsMuch,
    More,
}
