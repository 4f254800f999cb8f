//! `--upload-limit` and `--download-limit`, as `limit` changes them while the prompt runs.

use config::NodeSettings;

use super::verb::LimitChange;
use crate::report;
use crate::setting_values::bytes_per_second;

/// The limits that hold now, in bytes a second; `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// The limit of all uploads together.
    pub(super) upload: Option<u64>,
    /// The limit of all downloads together.
    pub(super) download: Option<u64>,
}

impl Limits {
    /// The limits that the prompt is started with.
    pub(super) fn of(settings: &NodeSettings) -> Limits {
        Limits {
            upload: bytes_per_second(settings.upload.limit),
            download: bytes_per_second(settings.download.limit),
        }
    }

    /// Changes one of the limits.
    pub(super) fn change(&mut self, change: LimitChange) {
        match change {
            LimitChange::Up(limit) => self.upload = limit,
            LimitChange::Down(limit) => self.download = limit,
        }
    }

    /// What a person is told of the limits.
    pub(super) fn line(self) -> String {
        report::limits(self.upload, self.download)
    }
}
