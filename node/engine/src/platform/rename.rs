//! Giving a file another name without replacing what has that name, and making such a change last.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error_kind::is_unsupported;

/// Renames only where nothing stands at the new path.
///
/// # Errors
/// `AlreadyExists` when something stands there; [`is_unsupported`] when the file system cannot promise to replace
/// nothing; the system's.
pub(crate) fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    match rename_at_once(from, to) {
        // Network file systems have no such rename, and second names, which replace nothing either.
        Err(cause) if is_unsupported(&cause) => match link_and_remove(from, to) {
            Err(refused) if refused.kind() != io::ErrorKind::AlreadyExists => Err(cause),
            linked => linked,
        },
        renamed => renamed,
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_at_once(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags};
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_at_once(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives a file another name in two steps, of which the first replaces nothing.
fn link_and_remove(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

/// Makes last what was created, renamed or removed in `folder`. Windows: the file system does so by itself, in its own
/// time.
///
/// # Errors
/// The system's; not every file system can sync a folder.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}

/// As [`sync_folder`] for the folder of `path`, where it can be done: the files themselves are synced where it matters.
pub(crate) fn sync_folder_of(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _ = sync_folder(folder.unwrap_or(Path::new(".")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_rename_promises_to_replace_nothing_a_second_name_does() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to, taken] = ["from", "to", "taken"].map(|name| folder.path().join(name));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&taken, "mine").unwrap();
        let refused = link_and_remove(&from, &taken).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
        link_and_remove(&from, &to).unwrap();
        assert_eq!((std::fs::read(&to).unwrap(), from.exists()), (b"new".to_vec(), false));
    }
}
