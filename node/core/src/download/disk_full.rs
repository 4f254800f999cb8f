//! A full disk. The download keeps what it has, reports that the disk is full, and goes on when there is room.

use std::time::Duration;

use messages::Timestamp;

use crate::disk::{DiskError, DiskErrorKind};
use crate::event::Failure;

/// A full disk is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is known of a disk that had no room.
#[derive(Debug)]
struct DiskFull {
    error: DiskError,
    /// How many bytes are missing.
    needed: u64,
    /// Since when the disk has been full.
    since: Timestamp,
    /// When the disk is tried again; never, while its answer is awaited.
    retry_at: Timestamp,
}

/// Whether the disk has room for a download, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct DiskSpace {
    full: Option<DiskFull>,
    is_changed: bool,
}

impl DiskSpace {
    /// Whether the state of the disk has changed since the download's last turn.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Forgets the change, because the download looks at all sessions now.
    pub(super) fn forget_changes(&mut self) {
        self.is_changed = false;
    }

    /// Waits for room, if `error` is a lack of it. Returns whether it is.
    pub(super) fn wait_if_full(&mut self, error: &DiskError, now: Timestamp) -> bool {
        let DiskErrorKind::Full { needed } = error.kind else {
            return false;
        };
        let since = self.full.as_ref().map_or(now, |full| full.since);
        let retry_at = now + RETRY_AFTER;
        (self.full, self.is_changed) =
            (Some(DiskFull { error: error.clone(), needed, since, retry_at }), true);
        true
    }

    /// Records that the disk has accepted data again.
    pub(super) fn on_room(&mut self) {
        self.is_changed |= self.full.take().is_some();
    }

    /// Whether the disk is to be tried again now. If so, no further try is due until the disk answers, which it always
    /// does.
    pub(super) fn take_retry(&mut self, now: Timestamp) -> bool {
        let due = self.full.as_mut().filter(|full| now >= full.retry_at);
        due.map(|full| full.retry_at = Timestamp::NEVER).is_some()
    }

    /// When the disk is tried again.
    pub(super) fn retry_at(&self) -> Timestamp {
        self.full.as_ref().map_or(Timestamp::NEVER, |full| full.retry_at)
    }

    /// How many bytes are missing, while the disk is full.
    pub(super) fn needed(&self) -> Option<u64> {
        self.full.as_ref().map(|full| full.needed)
    }

    /// Since when the disk has been full, and the failure with which the download ends if that lasts too long.
    pub(super) fn failure(&self) -> Option<(Timestamp, Failure)> {
        self.full.as_ref().map(|full| (full.since, Failure::Disk(full.error.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_and_is_full_since_the_first_time() {
        let error = |kind| DiskError { path: "f".into(), kind };
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        let mut space = DiskSpace::default();
        assert!(!space.wait_if_full(&error(DiskErrorKind::Cancelled), at(1)));
        assert!(space.needed().is_none() && !space.take_retry(at(99)));
        assert!(space.wait_if_full(&error(DiskErrorKind::Full { needed: 7 }), at(1)));
        assert!(!space.take_retry(at(1)) && space.take_retry(at(2)) && !space.take_retry(at(9)));
        assert!(space.wait_if_full(&error(DiskErrorKind::Full { needed: 5 }), at(10)));
        assert_eq!((space.needed(), space.retry_at()), (Some(5), at(11)));
        assert_eq!(space.failure().map(|(since, _)| since), Some(at(1)));
        space.on_room();
        assert_eq!((space.needed(), space.retry_at()), (None, Timestamp::NEVER));
    }
}
