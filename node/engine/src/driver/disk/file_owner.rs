//! Who owns a file in a download folder, which others may write to as well.

use std::fs::Metadata;

use crate::platform::file_id::names;
use crate::platform::permissions::is_written_by_user_alone;

/// Who can have written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileOwner {
    /// Nobody but us can have written to it.
    Ours,
    /// The file system does not know owners (a stick, a share): the file may be ours.
    Unknown,
    /// Another user owns the file, or others may write to it, or it has a second name.
    Others,
}

impl FileOwner {
    /// The owner of the file of which `found` tells. `knows_owners` is asked, in case of need, whether the file system
    /// has owners.
    pub(crate) fn of(found: &Metadata, knows_owners: impl FnOnce() -> bool) -> FileOwner {
        if is_ours(found) {
            return FileOwner::Ours;
        }
        let is_one_file = found.is_file() && has_one_name(found);
        if is_one_file && !knows_owners() { FileOwner::Unknown } else { FileOwner::Others }
    }
}

/// Whether only this user can have written to the file of which `found` tells, under no other name than the one by
/// which it was found.
pub(crate) fn is_ours(found: &Metadata) -> bool {
    found.is_file() && is_written_by_user_alone(found) && has_one_name(found)
}

/// Whether no second name is known of the file.
fn has_one_name(found: &Metadata) -> bool {
    names(found).is_none_or(|names| names <= 1)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::platform::permissions::user;

    #[test]
    fn a_file_is_ours_while_nobody_else_can_write_to_it_nor_knows_it_by_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "x").unwrap();
        let owner = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            FileOwner::of(&std::fs::symlink_metadata(&path).unwrap(), || true)
        };
        for (mode, expected) in [
            (0o600, FileOwner::Ours),
            (0o644, FileOwner::Ours),
            (0o755, FileOwner::Ours),
            (0o664, FileOwner::Others),
            (0o620, FileOwner::Others),
            (0o602, FileOwner::Others),
        ] {
            assert_eq!(owner(mode), expected, "{mode:o}");
        }
        let of = |name: &str, tells: bool| {
            FileOwner::of(&std::fs::symlink_metadata(folder.path().join(name)).unwrap(), || tells)
        };
        assert_eq!(of("f", false), FileOwner::Unknown, "who knows");
        std::fs::hard_link(&path, folder.path().join("other")).unwrap();
        std::os::unix::fs::symlink("f", folder.path().join("link")).unwrap();
        for name in ["f", "other", "link"] {
            assert_eq!((of(name, true), of(name, false)), (FileOwner::Others, FileOwner::Others), "{name}");
        }
        if user() == 0 {
            let theirs = folder.path().join("theirs");
            std::fs::write(&theirs, "x").unwrap();
            std::os::unix::fs::chown(&theirs, Some(1000), None).unwrap();
            assert_eq!((of("theirs", true), of("theirs", false)), (FileOwner::Others, FileOwner::Unknown));
        }
    }
}
