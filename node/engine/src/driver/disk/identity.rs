//! Whether a file is still the one that was hashed.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use riffle_core::{DiskError, DiskErrorKind};

use super::errors::{disk_error, error};
use crate::platform::file_id::{FileTime, bytes_changed, number_by_metadata};

/// What tells one state of one file from another: device, inode, length, and the time of the last change of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    length: u64,
    modified: FileTime,
}

impl FileIdentity {
    /// The identity that `metadata` shows.
    pub(crate) fn of(metadata: &Metadata) -> FileIdentity {
        let (device, inode) = number_by_metadata(metadata);
        FileIdentity { device, inode, length: metadata.len(), modified: bytes_changed(metadata) }
    }

    /// The length of the file, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// When its bytes last changed: seconds and nanoseconds.
    pub(crate) fn modified(&self) -> FileTime {
        self.modified
    }

    /// Fields of a line of text, with tabs between them.
    pub(crate) fn to_line(self) -> String {
        let (seconds, nanos) = self.modified;
        format!("{}\t{}\t{}\t{seconds}\t{nanos}", self.device, self.inode, self.length)
    }

    /// Reads what [`FileIdentity::to_line`] has written.
    pub(crate) fn from_fields<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<FileIdentity> {
        Some(FileIdentity {
            device: fields.next()?.parse().ok()?,
            inode: fields.next()?.parse().ok()?,
            length: fields.next()?.parse().ok()?,
            modified: (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?),
        })
    }

    /// The present identity of an open file.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn of_file(file: &File) -> io::Result<FileIdentity> {
        file.metadata().map(|metadata| FileIdentity::of(&metadata))
    }

    /// Holds when `path` still leads to this very file in this very state, and `file`, opened then, agrees.
    ///
    /// # Errors
    /// [`DiskErrorKind::Changed`], or what the system says about the path.
    pub(crate) fn check(&self, path: &Path, file: &File) -> Result<(), DiskError> {
        let at_path = std::fs::metadata(path).map_err(|cause| disk_error(path, &cause))?;
        let opened = FileIdentity::of_file(file).map_err(|cause| disk_error(path, &cause))?;
        if FileIdentity::of(&at_path) == *self && opened == *self {
            return Ok(());
        }
        Err(error(path, DiskErrorKind::Changed))
    }
}
