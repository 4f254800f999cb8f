//! Whether the tracker answers at all.

use std::time::Duration;

use messages::Timestamp;

/// A tracker that answers nothing for this long is reported silent.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// When the tracker was heard last.
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

    /// The tracker answers. Whether it had been reported silent.
    pub(super) fn on_heard(&mut self, now: Timestamp) -> bool {
        self.heard_at = now;
        std::mem::take(&mut self.is_silent)
    }

    /// Reports a tracker silent that was asked at `asked_at` and has not answered for too long: for how long, and once.
    pub(super) fn report_silence(&mut self, asked_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        let silent = now.since(self.silent_since(asked_at)?);
        self.is_silent = silent >= SILENT_AFTER;
        self.is_silent.then_some(silent)
    }

    /// When a tracker that was asked at `asked_at` is to be reported silent.
    pub(super) fn report_at(&self, asked_at: Option<Timestamp>) -> Timestamp {
        self.silent_since(asked_at).map_or(Timestamp::NEVER, |since| since + SILENT_AFTER)
    }

    /// Since when something is asked and nothing answered, unless that is reported already.
    fn silent_since(&self, asked_at: Option<Timestamp>) -> Option<Timestamp> {
        asked_at.filter(|_| !self.is_silent).map(|at| at.max(self.heard_at))
    }
}
