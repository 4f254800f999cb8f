//! When the prompt says how far the downloads are: a person every few seconds, a pipe as often as the settings say.

use std::time::{Duration, Instant};

use crate::plain_progress::PlainProgress;

/// A person is told of the downloads this often.
const PERSON_PERIOD: Duration = Duration::from_secs(5);

/// The lines about progress, and when the next ones are due.
#[derive(Debug)]
pub(super) struct ProgressLines {
    /// When a person is told next.
    person_due: Instant,
    /// What a pipe is told.
    pub(super) plain: PlainProgress,
}

impl ProgressLines {
    /// Nothing was said yet; a pipe is told every `period`, if at all.
    pub(super) fn new(period: Option<Duration>, now: Instant) -> ProgressLines {
        ProgressLines { person_due: now + PERSON_PERIOD, plain: PlainProgress::new(period) }
    }

    /// Whether a person is to be told at `now`.
    pub(super) fn is_person_due(&self, now: Instant) -> bool {
        now >= self.person_due
    }

    /// Begins a period at whose end a person is told.
    pub(super) fn begin_person_period(&mut self, now: Instant) {
        self.person_due = now + PERSON_PERIOD;
    }
}
