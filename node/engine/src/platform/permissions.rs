//! The owner of a file, and the users who may read and write it.
//!
//! Windows has access lists instead of modes, and the standard library reads none. So nobody is known there to be the
//! only one who can have written to a file: working files that are found again are hashed again, and modes are not set.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// The mode of a file of this user alone.
pub(crate) const PRIVATE: u32 = 0o600;
/// The mode of a folder of this user alone.
#[cfg(unix)]
pub(crate) const PRIVATE_FOLDER: u32 = 0o700;
/// What lets others write. An access list says it here as well: it shows as the group's.
pub(crate) const OTHERS_WRITE: u32 = 0o022;
/// The mode that programs ask for when they make a file for everybody.
pub(crate) const ANYBODY: u32 = 0o666;

/// The user that this process writes as.
#[cfg(unix)]
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether only this user can write to the file of which `found` tells. Windows: nobody knows, so `false`.
pub(crate) fn is_written_by_user_alone(found: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        found.uid() == user() && found.mode() & OTHERS_WRITE == 0
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        false
    }
}

/// Whether the owner of the file of which `found` tells may execute it. Windows: no file is executable by its mode.
pub(crate) fn is_executable(found: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        found.mode() & 0o100 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        false
    }
}

/// The mode of the file of which `found` tells: who may read, write and execute it. Windows: there is none.
pub(crate) fn mode_of(found: &Metadata) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::MetadataExt::mode(found) & 0o777);
    #[cfg(not(unix))]
    {
        let _ = found;
        None
    }
}

/// `mode`, but that whoever may read the file may execute it, or nobody.
pub(crate) const fn with_execution(mode: u32, is_executable: bool) -> u32 {
    if is_executable { mode | (mode & 0o444) >> 2 } else { mode & !0o111 }
}

/// Closes a folder of this user to all others, when it is open to them. Where it cannot be closed, the files in it are.
///
/// # Errors
/// When the system does not tell what the folder is.
pub(crate) fn close_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let found = std::fs::symlink_metadata(folder)?;
        if found.is_dir() && found.uid() == user() && found.mode() & 0o077 != 0 {
            let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(PRIVATE_FOLDER));
        }
    }
    let _ = folder;
    Ok(())
}

/// Holds when files can be made in `folder`. Windows: the first one that is made will tell.
///
/// # Errors
/// The system's.
pub(crate) fn check_writable(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::Access;
        rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?;
    }
    let _ = folder;
    Ok(())
}

/// Lets `file` be `mode`. Not every file system has modes, and then it is as good as it gets. Windows: nothing is set.
pub(crate) fn set_mode(file: &File, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if let Err(cause) = file.set_permissions(std::fs::Permissions::from_mode(mode)) {
            tracing::debug!(%cause, "a mode is not taken");
        }
    }
    let _ = (file, mode);
}

/// `mode`, by which those who may read the file may execute it too.
pub(crate) fn executable(mode: u32) -> u32 {
    mode | ((mode & 0o444) >> 2)
}

/// What the system lets a new file in `folder` be: as the umask says, or an access list of the folder.
#[cfg(unix)]
pub(crate) fn mode_of_new_file(folder: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    let tried = super::unnamed_file::open_unnamed(folder, ANYBODY).and_then(|file| file.metadata().ok());
    tried.map_or_else(|| ANYBODY & !umask(), |found| found.mode() & 0o777)
}

/// What the system lets a new file in `folder` be. Windows: no mode is set, whatever is said here.
#[cfg(not(unix))]
pub(crate) fn mode_of_new_file(_folder: &Path) -> u32 {
    PRIVATE
}

/// The mode bits that the system takes away from every new file of this process (the umask).
#[cfg(target_os = "linux")]
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o077)
}

/// There is no way to ask but to change it: what others make meanwhile is open to fewer, not to more.
#[cfg(all(unix, not(target_os = "linux")))]
fn umask() -> u32 {
    use rustix::fs::Mode;
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    u32::from(mask.as_raw_mode())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_what_any_other_is_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("other"), "").unwrap();
        let expected = std::fs::metadata(folder.path().join("other")).unwrap().mode() & 0o777;
        assert_eq!(mode_of_new_file(folder.path()), expected);
        assert_eq!(ANYBODY & !umask(), expected, "and where no file without a name can be made");
    }
}
