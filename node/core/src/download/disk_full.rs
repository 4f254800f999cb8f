//! A full disk: the download keeps what it has, says so, and goes on when there is room.

use std::time::Duration;

use messages::Timestamp;

use super::{Download, Phase};
use crate::context::Context;
use crate::disk::{DiskError, DiskErrorKind};
use crate::event::Failure;

/// A full disk is tried again this often.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The disk had no room.
#[derive(Debug)]
pub(super) struct DiskFull {
    error: DiskError,
    since: Timestamp,
    again_at: Timestamp,
}

impl DiskFull {
    /// How many bytes are missing.
    pub(super) fn needed(&self) -> u64 {
        match self.error.kind {
            DiskErrorKind::Full { needed } => needed,
            _ => 0,
        }
    }

    /// When it is tried again.
    pub(super) fn again_at(&self) -> Timestamp {
        self.again_at
    }

    /// When a person's patience for room ends, and with what.
    pub(super) fn timeout(&self, after: Option<Duration>) -> Option<(Timestamp, Failure)> {
        after.map(|time| (self.since + time, Failure::Disk(self.error.clone())))
    }
}

impl Download {
    /// Whether `error` is a lack of room: then the download waits for some.
    pub(super) fn wait_if_full(&mut self, error: &DiskError, cx: &Context<'_>) -> bool {
        if !matches!(error.kind, DiskErrorKind::Full { .. }) {
            return false;
        }
        let since = self.disk_full.as_ref().map_or(cx.now, |full| full.since);
        self.disk_full = Some(DiskFull { error: error.clone(), since, again_at: cx.now + RETRY_AFTER });
        true
    }

    /// Asks a disk that was full again.
    pub(super) fn retry_full_disk(&mut self, cx: &mut Context<'_>) {
        let Some(full) = self.disk_full.as_mut().filter(|full| cx.now >= full.again_at) else {
            return;
        };
        // Until the answer comes, which it does.
        full.again_at = Timestamp::NEVER;
        match &mut self.phase {
            Phase::Fetching(fetch) => fetch.retry_refused(cx),
            Phase::Opening(manifest) => {
                let manifest = manifest.clone();
                if let Some(content) = self.content {
                    self.ask_open(content, manifest, cx);
                }
            }
            _ => self.disk_full = None,
        }
    }
}
