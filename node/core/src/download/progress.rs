//! When a download last made progress. The timeout for downloads without progress counts from then.

use messages::Timestamp;

/// The number of bytes that have arrived, verified or not: first of the outboard, then of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrived {
    pub(super) file: u64,
    pub(super) outboard: u32,
}

/// The most that a download has had, and when it last made progress. Bytes that turn out to be bad and are fetched
/// again are no progress.
#[derive(Debug)]
pub(super) struct ProgressWatch {
    most: Arrived,
    at: Timestamp,
}

impl ProgressWatch {
    /// The progress of a download that begins `now`.
    pub(super) fn new(now: Timestamp) -> ProgressWatch {
        ProgressWatch { most: Arrived::default(), at: now }
    }

    /// When the download last had more bytes than ever before, or verified a piece, or began a stage.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Records how much has `arrived` by `now`.
    pub(super) fn update(&mut self, arrived: Arrived, now: Timestamp) {
        if arrived > self.most {
            (self.most, self.at) = (arrived, now);
        }
    }

    /// Records that a piece was verified, or that a stage began.
    pub(super) fn on_step(&mut self, now: Timestamp) {
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_more_than_ever_before_is_progress() {
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        let arrived = |file, outboard| Arrived { file, outboard };
        let mut watch = ProgressWatch::new(at(0));
        for (arrived, now, expected) in [
            (arrived(0, 5), at(1), at(1)),
            (arrived(0, 5), at(2), at(1)),
            (arrived(1, 0), at(3), at(3)),
            (arrived(0, 9), at(4), at(3)),
        ] {
            watch.update(arrived, now);
            assert_eq!(watch.at(), expected);
        }
        watch.on_step(at(9));
        assert_eq!(watch.at(), at(9));
    }
}
