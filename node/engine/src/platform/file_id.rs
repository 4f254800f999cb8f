//! What tells one file from another, whatever the file is called, and one state of a file from another.

use std::fs::{File, Metadata};
use std::path::Path;

/// Device and inode of a file. Windows: the volume's serial number and the index of the file on the volume.
pub(crate) type FileNumber = (u64, u64);

/// A time of a file: seconds since the epoch, and nanoseconds.
pub(crate) type FileTime = (i64, i64);

/// The number of an open file; `None` where the system does not tell.
pub(crate) fn file_number(file: &File) -> Option<FileNumber> {
    #[cfg(unix)]
    return file.metadata().ok().map(|found| number_by_metadata(&found));
    #[cfg(windows)]
    windows::number_of(file)
}

/// The number of what stands at `path`, a link itself and not what it leads to; `None` when nothing stands there.
pub(crate) fn number_at(path: &Path) -> Option<FileNumber> {
    #[cfg(unix)]
    return std::fs::symlink_metadata(path).ok().map(|found| number_by_metadata(&found));
    #[cfg(windows)]
    windows::open_itself(path).ok().and_then(|file| windows::number_of(&file))
}

/// Whether `file` is what stands at `path`.
pub(crate) fn leads_to(path: &Path, file: &File) -> bool {
    let there = number_at(path);
    there.is_some() && there == file_number(file)
}

/// Whether both are handles of one file.
pub(crate) fn is_same_file(one: &File, other: &File) -> bool {
    let number = file_number(one);
    number.is_some() && number == file_number(other)
}

/// Device and inode of the file of which `metadata` tells.
///
/// Windows: metadata has no number. The time of making takes its place, which a file that follows under the same name
/// within seconds may share; so this tells whether a file is what it was, and never which file is removed.
#[cfg(unix)]
pub(crate) fn number_by_metadata(metadata: &Metadata) -> FileNumber {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// Device and inode of the file of which `metadata` tells.
///
/// Windows: metadata has no number. The time of making takes its place, which a file that follows under the same name
/// within seconds may share; so this tells whether a file is what it was, and never which file is removed.
#[cfg(windows)]
pub(crate) fn number_by_metadata(metadata: &Metadata) -> FileNumber {
    (0, std::os::windows::fs::MetadataExt::creation_time(metadata))
}

/// The time at which the bytes of a file last changed (mtime).
pub(crate) fn bytes_changed(metadata: &Metadata) -> FileTime {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.mtime(), metadata.mtime_nsec())
    }
    #[cfg(windows)]
    windows::file_time(std::os::windows::fs::MetadataExt::last_write_time(metadata))
}

/// The time at which anything about a file last changed, its name and permissions included (ctime). No program can set
/// this time back.
///
/// Windows: that of the bytes, because metadata has no other. A file whose time was set back by hand is taken for
/// unchanged.
pub(crate) fn anything_changed(metadata: &Metadata) -> FileTime {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.ctime(), metadata.ctime_nsec())
    }
    #[cfg(windows)]
    bytes_changed(metadata)
}

/// Whether the file has no name any more. Windows: a file that is open keeps its name.
pub(crate) fn is_unlinked(metadata: &Metadata) -> bool {
    names(metadata) == Some(0)
}

/// The number of names of a file; `None` where the system does not tell it (Windows).
pub(crate) fn names(metadata: &Metadata) -> Option<u64> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::MetadataExt::nlink(metadata));
    #[cfg(windows)]
    {
        let _ = metadata;
        None
    }
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "the number of a file is not offered by any safe interface; see the block")]
mod windows {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::windows::fs::OpenOptionsExt as _;
    use std::os::windows::io::AsRawHandle as _;
    use std::path::Path;

    use windows_sys::Win32::Storage::FileSystem::{
        BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
        GetFileInformationByHandle,
    };

    use super::{FileNumber, FileTime};

    /// Opens what stands at `path` without any rights, only to be asked what it is: a folder or a link too.
    pub(super) fn open_itself(path: &Path) -> io::Result<File> {
        let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
        OpenOptions::new().access_mode(0).custom_flags(flags).open(path)
    }

    pub(super) fn number_of(file: &File) -> Option<FileNumber> {
        let mut found = BY_HANDLE_FILE_INFORMATION::default();
        // SAFETY: the handle is that of an open file, which outlives the call; `found` is a plain structure of the
        // right type, which the system fills in and does not keep.
        let told = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut found) };
        let index = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
        (told != 0).then_some((found.dwVolumeSerialNumber.into(), index))
    }

    /// A time of Windows: units of 100 ns since 1601.
    pub(super) fn file_time(units: u64) -> FileTime {
        const UNITS_A_SECOND: u64 = 10_000_000;
        const SECONDS_FROM_1601_TO_1970: i64 = 11_644_473_600;
        let seconds = i64::try_from(units / UNITS_A_SECOND).unwrap_or(i64::MAX);
        let nanos = i64::try_from(units % UNITS_A_SECOND * 100).unwrap_or(0);
        (seconds - SECONDS_FROM_1601_TO_1970, nanos)
    }
}
