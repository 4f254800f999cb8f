//! How files are opened: for their owner alone, without following a link, without waiting for anybody.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

use super::error_kind::no_regular_file;

/// Options for files that only their owner reads and writes.
///
/// Windows: what the folder's access list says; the folders of a person's profile are for that person alone.
pub(crate) fn private() -> OpenOptions {
    #[cfg(unix)]
    {
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, super::permissions::PRIVATE);
        options
    }
    #[cfg(not(unix))]
    OpenOptions::new()
}

/// As [`private`], for a file whose path must not be a link.
///
/// Windows: a link that stands there is opened itself, and is no regular file.
pub(crate) fn private_without_links() -> OpenOptions {
    let mut options = private();
    without_links(&mut options, false);
    options
}

/// Makes a folder, and those above it that are not there, for their owner alone. Windows: see [`private`].
///
/// # Errors
/// When the system refuses one of them.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, super::permissions::PRIVATE_FOLDER);
    builder.recursive(true).create(folder)
}

/// Opens a file for reading, by whatever path. Opening a pipe would wait for a writer; this function never waits.
///
/// # Errors
/// The system's.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.read(true).open(path)
}

/// Opens a regular file for reading. The function follows no link and never waits.
///
/// # Errors
/// [`super::error_kind::is_no_regular_file`] when it is something else; the system's.
pub(crate) fn open_regular_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    without_links(&mut options, true);
    let file = options.read(true).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_regular_file()) }
}

/// Opens a file for reading and writing. The function follows no link and never waits.
///
/// # Errors
/// The system's.
pub(crate) fn open_for_writing(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    without_links(&mut options, true);
    options.read(true).write(true).open(path)
}

fn without_links(options: &mut OpenOptions, without_waiting: bool) {
    #[cfg(unix)]
    {
        let waiting = if without_waiting { libc::O_NONBLOCK } else { 0 };
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | waiting);
    }
    #[cfg(windows)]
    {
        let _ = without_waiting;
        let flags = windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OPEN_REPARSE_POINT;
        std::os::windows::fs::OpenOptionsExt::custom_flags(options, flags);
    }
}
