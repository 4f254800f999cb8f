//! Files without a name, which nobody else can open: where the system has them.

use std::fs::File;
use std::path::{Path, PathBuf};

use riffle_core::{DiskError, DiskErrorKind};

use super::download_paths::{MAX_NUMBER, Place};
use crate::driver::disk::errors::{disk_error, error};

/// A file in `folder` that has no name, and can be given one. Nobody else can open it before, so it is as any new file.
#[cfg(target_os = "linux")]
pub(crate) fn open_unnamed(folder: &Path) -> Option<File> {
    let file = of_mode(folder, 0o666)?;
    // Without /proc it could never be named.
    std::fs::symlink_metadata(by_descriptor(&file)).is_ok().then_some(file)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open_unnamed(_folder: &Path) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn by_descriptor(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives a file without a name the first working name that is free.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub(crate) fn give_name(
    file: &File,
    place: &Place,
    content: messages::ContentId,
) -> Result<PathBuf, DiskError> {
    use rustix::fs::{AtFlags, CWD};
    for number in 1..=MAX_NUMBER {
        let part = place.working_names(content, number).part;
        match rustix::fs::linkat(CWD, by_descriptor(file), CWD, &part, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => return Ok(part),
            Err(rustix::io::Errno::EXIST) => {}
            Err(cause) => return Err(disk_error(&part, &cause.into())),
        }
    }
    Err(error(&place.target, DiskErrorKind::Other("no name is free beside it".to_owned())))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn give_name(
    _file: &File,
    place: &Place,
    _content: messages::ContentId,
) -> Result<PathBuf, DiskError> {
    Err(super::errors::internal(&place.target))
}

/// A file in `folder` that has no name, as open as `mode` says and the system allows.
#[cfg(target_os = "linux")]
pub(crate) fn of_mode(folder: &Path, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::from_raw_mode(mode)).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn of_mode(_folder: &Path, _mode: u32) -> Option<File> {
    None
}
