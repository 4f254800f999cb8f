//! When a download asks the tracker for owners.

use std::time::Duration;

use messages::Timestamp;

/// After the first quick steps the tracker is asked again at this interval, which is that of this node's heartbeat.
const PERIOD: Duration = Duration::from_secs(20);
/// Nodes that begin to fetch the same content at the same time have announced that to the tracker this long after this
/// node has.
const OTHERS_BEGIN: Duration = Duration::from_millis(50);
/// A question that is not answered for this long has been repeated by then, so that the tracker seems not to receive
/// it.
const UNHEARD_AFTER: Duration = Duration::from_secs(2);
/// The tracker is asked again at the latest this long after an owner was lost.
const SOON: Duration = Duration::from_millis(250);

/// When the tracker is asked next with NEED.
#[derive(Debug)]
pub(crate) struct NeedSchedule {
    at: Timestamp,
    /// The number of steps that were taken since the last owner was lost.
    asked: usize,
    /// Whether an answer is awaited. The tracker client repeats a question that is not answered.
    pending: bool,
    asked_at: Timestamp,
    /// Whether the tracker is far away.
    is_far: bool,
}

impl NeedSchedule {
    /// The schedule of a new download, which asks the tracker at once.
    pub(crate) fn new(now: Timestamp) -> NeedSchedule {
        NeedSchedule { at: now, asked: 0, pending: false, asked_at: now, is_far: false }
    }

    /// Decides whether the tracker is to be asked now; if so, it counts as asked. `steps` are the pauses after the
    /// first questions. The later pauses are those of the heartbeat, or of the last step if there is `nobody` at all.
    pub(crate) fn poll(&mut self, now: Timestamp, steps: &[Duration], nobody: bool) -> bool {
        if self.pending || now < self.at {
            return false;
        }
        let at_last = steps.last().copied().filter(|_| nobody).unwrap_or(PERIOD);
        self.at = now + steps.get(self.asked).copied().unwrap_or(at_last);
        self.asked += 1;
        self.pending = true;
        self.asked_at = now;
        true
    }

    /// Records that the tracker, which may be far away, has answered.
    pub(crate) fn on_answer(&mut self, is_far: bool) {
        (self.pending, self.is_far) = (false, is_far);
    }

    /// Whether the tracker is far away, so that owners may be far away, too.
    pub(crate) fn is_far(&self) -> bool {
        self.is_far
    }

    /// Whether the tracker has owed an answer for so long that it seems not to receive the question.
    pub(crate) fn is_unanswered(&self, now: Timestamp) -> bool {
        self.pending && now >= self.asked_at + UNHEARD_AFTER
    }

    /// Has the tracker asked at once, because its answer calls for another question.
    pub(crate) fn ask_now(&mut self, now: Timestamp) {
        self.at = now;
    }

    /// Has the tracker asked soon, because other nodes that want the same content have begun to fetch it with this one,
    /// and have just announced that.
    pub(crate) fn on_begun(&mut self, now: Timestamp) {
        self.at = self.at.min(now + OTHERS_BEGIN);
    }

    /// Has the tracker asked soon, because owners were lost.
    pub(crate) fn ask_soon(&mut self, now: Timestamp) {
        self.asked = self.asked.min(1);
        self.at = self.at.min(now + SOON);
    }

    /// When [`NeedSchedule::poll`] has the tracker asked next; never, while an answer is awaited.
    pub(crate) fn next_at(&self) -> Timestamp {
        if self.pending { Timestamp::NEVER } else { self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_in_growing_steps_and_only_after_the_answer() {
        let steps = [250, 500, 1000].map(Duration::from_millis);
        let mut now = Timestamp::ZERO;
        let mut need = NeedSchedule::new(now);
        let mut gaps = Vec::new();
        for _ in 0..5 {
            assert!(need.poll(now, &steps, false));
            assert_eq!(need.next_at(), Timestamp::NEVER);
            need.on_answer(false);
            assert!(!need.poll(now, &steps, false));
            gaps.push(need.next_at().since(now));
            now = need.next_at();
        }
        assert_eq!(
            gaps.iter().map(Duration::as_millis).collect::<Vec<_>>(),
            [250, 500, 1000, 20_000, 20_000]
        );
        assert!(need.poll(now, &steps, true));
        need.on_answer(false);
        assert_eq!(need.next_at().since(now).as_millis(), 1000, "nobody shares it yet");
        need.ask_soon(now);
        assert_eq!(need.next_at().since(now), SOON);
        now = need.next_at();
        assert!(need.poll(now, &steps, true) && !need.is_unanswered(now));
        assert!(need.is_unanswered(now + UNHEARD_AFTER));
        need.on_answer(false);
        assert!(!need.is_unanswered(now + UNHEARD_AFTER));
    }
}
