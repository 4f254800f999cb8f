//! Whose a file in a download folder is, which others may write to as well; and what a new file of ours is allowed there.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::part::unnamed_file;

/// What a working file may be: our own to read and to write.
pub(crate) const PRIVATE: u32 = 0o600;
/// What lets others write. An access list says it here as well: it shows as the group's.
pub(crate) const OTHERS_WRITE: u32 = 0o022;

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Nobody but us can have written to it.
    Ours,
    /// The file system does not know owners (a stick, a share): it may be ours.
    Anybodys,
    /// Of another user, or open to others, or known by another name as well.
    Others,
}

impl Whose {
    /// Whose the file is of which `found` tells; `tells_owners`: whether its file system does, in case of need.
    pub(crate) fn of(found: &Metadata, tells_owners: impl FnOnce() -> bool) -> Whose {
        if is_ours(found) {
            return Whose::Ours;
        }
        let is_one_file = found.is_file() && found.nlink() <= 1;
        if is_one_file && !tells_owners() { Whose::Anybodys } else { Whose::Others }
    }
}

/// Whether only this user can have written to the file of which `found` tells, under no other name than the one by which it was
/// found.
pub(crate) fn is_ours(found: &Metadata) -> bool {
    let is_closed = found.uid() == user() && found.mode() & OTHERS_WRITE == 0;
    found.is_file() && is_closed && found.nlink() <= 1
}

/// The user that this process writes as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// What the system lets a new file in `folder` be: as the umask says, or an access list of the folder.
pub(crate) fn mode_of_new_file(folder: &Path) -> u32 {
    const ANY: u32 = 0o666;
    let tried = unnamed_file::of_mode(folder, ANY).and_then(|file| file.metadata().ok());
    tried.map_or_else(|| ANY & !umask(), |found| found.mode() & 0o777)
}

/// What the system takes away from the mode of every new file of this process.
#[cfg(target_os = "linux")]
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o077)
}

/// There is no way to ask but to change it: what others make meanwhile is open to fewer, not to more.
#[cfg(not(target_os = "linux"))]
fn umask() -> u32 {
    use rustix::fs::Mode;
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    u32::from(mask.as_raw_mode())
}

/// Lets `file` be `mode`. Not every file system has modes, and then it is as good as it gets.
pub(crate) fn set_mode(file: &File, mode: u32) {
    if let Err(cause) = file.set_permissions(std::fs::Permissions::from_mode(mode)) {
        tracing::debug!(%cause, "a mode is not taken");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_while_nobody_else_can_write_to_it_nor_knows_it_by_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "x").unwrap();
        let whose = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Whose::of(&std::fs::symlink_metadata(&path).unwrap(), || true)
        };
        for (mode, expected) in [
            (0o600, Whose::Ours),
            (0o644, Whose::Ours),
            (0o755, Whose::Ours),
            (0o664, Whose::Others),
            (0o620, Whose::Others),
            (0o602, Whose::Others),
        ] {
            assert_eq!(whose(mode), expected, "{mode:o}");
        }
        let of = |name: &str, tells: bool| {
            Whose::of(&std::fs::symlink_metadata(folder.path().join(name)).unwrap(), || tells)
        };
        assert_eq!(of("f", false), Whose::Anybodys, "who knows");
        std::fs::hard_link(&path, folder.path().join("other")).unwrap();
        std::os::unix::fs::symlink("f", folder.path().join("link")).unwrap();
        for name in ["f", "other", "link"] {
            assert_eq!((of(name, true), of(name, false)), (Whose::Others, Whose::Others), "{name}");
        }
        if user() == 0 {
            let theirs = folder.path().join("theirs");
            std::fs::write(&theirs, "x").unwrap();
            std::os::unix::fs::chown(&theirs, Some(1000), None).unwrap();
            assert_eq!((of("theirs", true), of("theirs", false)), (Whose::Others, Whose::Anybodys));
        }
    }

    #[test]
    fn a_new_file_is_what_any_other_is_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("other"), "").unwrap();
        let expected = std::fs::metadata(folder.path().join("other")).unwrap().mode() & 0o777;
        assert_eq!(mode_of_new_file(folder.path()), expected);
        assert_eq!(0o666 & !umask(), expected, "and where no file without a name can be made");
    }
}
