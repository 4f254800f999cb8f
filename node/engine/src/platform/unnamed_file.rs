//! Files without a name, which nobody else can open and which are gone when they are closed: where the system has them
//! (Linux).

use std::fs::File;
use std::io;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::LazyLock;

/// Where a process finds its open files.
#[cfg(target_os = "linux")]
const DESCRIPTORS: &str = "/proc/self/fd";

/// A file in `folder` that has no name, as open as `mode` says and the system allows; `None` where there are no such
/// files.
#[cfg(target_os = "linux")]
pub(crate) fn open_unnamed(folder: &Path, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::from_raw_mode(mode)).ok().map(File::from)
}

/// A file in `folder` that has no name, as open as `mode` says and the system allows; `None` where there are no such
/// files.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_unnamed(_folder: &Path, _mode: u32) -> Option<File> {
    None
}

/// Whether files without a name can be given one: without `/proc` never.
pub(crate) fn can_be_named() -> bool {
    #[cfg(target_os = "linux")]
    {
        static HAS_DESCRIPTORS: LazyLock<bool> = LazyLock::new(|| Path::new(DESCRIPTORS).is_dir());
        *HAS_DESCRIPTORS
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Gives a file without a name the name `path`, where nothing stands there.
///
/// # Errors
/// `AlreadyExists` when something stands there; the system's.
pub(crate) fn give_name(file: &File, path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD};
        Ok(rustix::fs::linkat(CWD, by_descriptor(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, path);
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
fn by_descriptor(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd as _;
    std::path::PathBuf::from(format!("{DESCRIPTORS}/{}", file.as_raw_fd()))
}
