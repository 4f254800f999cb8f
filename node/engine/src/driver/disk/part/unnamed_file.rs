//! A part file without a name, which nobody else can open: where the system has such files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use messages::ContentId;
use riffle_core::{DiskError, DiskErrorKind};

use super::download_paths::{DownloadPaths, MAX_NUMBER};
use crate::driver::disk::errors::{disk_error, error};
use crate::platform::permissions::ANYBODY;
use crate::platform::unnamed_file;

/// A file in `folder` that has no name, and can be given one. Nobody else can open it before, so it is as any new file.
pub(crate) fn open_unnamed(folder: &Path) -> Option<File> {
    if unnamed_file::can_be_named() { unnamed_file::open_unnamed(folder, ANYBODY) } else { None }
}

/// Gives a file without a name the first working name that is free.
///
/// # Errors
/// The system's.
pub(crate) fn give_name(
    file: &File,
    paths: &DownloadPaths,
    content: ContentId,
) -> Result<PathBuf, DiskError> {
    for number in 1..=MAX_NUMBER {
        let part = paths.working_names(content, number).part;
        match unnamed_file::give_name(file, &part) {
            Ok(()) => return Ok(part),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(disk_error(&part, &cause)),
        }
    }
    Err(error(&paths.target, DiskErrorKind::Other("no name is free beside it".to_owned())))
}
