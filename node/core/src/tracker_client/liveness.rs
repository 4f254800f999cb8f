//! Whether the tracker answers at all.

use std::time::Duration;

use messages::Timestamp;

/// A tracker that answers nothing for this long is reported silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// When the tracker last answered, and whether it was reported silent.
#[derive(Debug)]
pub(super) struct TrackerLiveness {
    /// When the last answer came; before the first, when the conversation began.
    heard_at: Timestamp,
    is_silent: bool,
}

impl TrackerLiveness {
    pub(super) fn new(now: Timestamp) -> TrackerLiveness {
        TrackerLiveness { heard_at: now, is_silent: false }
    }

    /// Whether the tracker has been reported silent, and has not answered since.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Records that the tracker answers. Returns whether it had been reported silent.
    pub(super) fn on_heard(&mut self, now: Timestamp) -> bool {
        self.heard_at = now;
        std::mem::take(&mut self.is_silent)
    }

    /// Reports the tracker silent, once, if it was asked at `asked_at` and has not answered for too long. Returns for
    /// how long.
    pub(super) fn report_silence(&mut self, asked_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        let silent = now.since(self.silent_since(asked_at)?);
        self.is_silent = silent >= SILENT_AFTER;
        self.is_silent.then_some(silent)
    }

    /// When the tracker, which was asked at `asked_at`, is to be reported silent.
    pub(super) fn report_at(&self, asked_at: Option<Timestamp>) -> Timestamp {
        self.silent_since(asked_at).map_or(Timestamp::NEVER, |since| since + SILENT_AFTER)
    }

    /// Since when a request is unanswered and the tracker silent, unless that was reported already.
    fn silent_since(&self, asked_at: Option<Timestamp>) -> Option<Timestamp> {
        asked_at.filter(|_| !self.is_silent).map(|at| at.max(self.heard_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_the_question_or_the_last_answer_and_reported_once() {
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        let mut liveness = TrackerLiveness::new(at(0));
        assert_eq!(liveness.report_silence(None, at(100)), None, "nothing was asked");
        assert!(!liveness.on_heard(at(3)));
        assert_eq!(liveness.report_at(Some(at(1))), at(8));
        assert_eq!(liveness.report_silence(Some(at(1)), at(7)), None);
        assert_eq!(liveness.report_silence(Some(at(1)), at(9)), Some(Duration::from_secs(6)));
        assert_eq!(liveness.report_silence(Some(at(1)), at(10)), None, "it is reported already");
        assert_eq!((liveness.is_silent(), liveness.report_at(Some(at(1)))), (true, Timestamp::NEVER));
        assert!(liveness.on_heard(at(11)) && !liveness.is_silent());
    }
}
