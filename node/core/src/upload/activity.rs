//! When one downloader last sent a message, and when it last asked for a piece.

use messages::Timestamp;

/// When a session was last active.
#[derive(Clone, Copy, Debug)]
pub(super) struct Activity {
    heard_at: Timestamp,
    /// When the session last asked for a piece; before its first request, when it began.
    asked_at: Timestamp,
    has_asked: bool,
}

impl Activity {
    /// The activity of a session that begins at `now`.
    pub(super) fn new(now: Timestamp) -> Activity {
        Activity { heard_at: now, asked_at: now, has_asked: false }
    }

    /// Records that a message of the session has come.
    pub(super) fn on_heard(&mut self, now: Timestamp) {
        self.heard_at = now;
    }

    /// Records that the session asks for a piece. Returns whether it is the session's first request.
    pub(super) fn on_asked(&mut self, now: Timestamp) -> bool {
        self.asked_at = now;
        !std::mem::replace(&mut self.has_asked, true)
    }

    /// When the last message of the session came.
    pub(super) fn heard_at(&self) -> Timestamp {
        self.heard_at
    }

    /// When the session last asked for a piece; before its first request, when it began.
    pub(super) fn asked_at(&self) -> Timestamp {
        self.asked_at
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_asks_for_the_first_time_once() {
        let start = Timestamp::ZERO;
        let (mut activity, later) = (Activity::new(start), start + Duration::from_secs(1));
        activity.on_heard(later);
        assert_eq!((activity.heard_at(), activity.asked_at()), (later, start));
        assert!(activity.on_asked(later) && !activity.on_asked(later));
        assert_eq!(activity.asked_at(), later);
    }
}
