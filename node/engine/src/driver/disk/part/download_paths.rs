//! Where a download is written: the finished file, and what its working files beside it are called.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use messages::ContentId;
use messages::limits::MAX_NAME;
use riffle_core::{DiskError, DiskErrorKind};
use rustix::fs::Access;

use crate::driver::disk::errors::{disk_error, error};

/// Digits of the content id in the name of a working file.
const ID_DIGITS: usize = 16;
/// What ends the names of working files: nobody else's files end so.
const PART: &str = ".riffle-part";
const JOURNAL: &str = ".riffle-journal";
/// A download that finds so many names taken by files that are not its own gives up.
pub(crate) const MAX_NUMBER: u32 = 99;
/// The most bytes that are ever put around a name: the longest is a journal that is being replaced.
const AROUND: usize = "..-99".len() + ID_DIGITS + JOURNAL.len() + ".new9".len();

/// Where one download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder of the finished file and of the working files.
    pub(crate) folder: PathBuf,
    /// The finished file.
    pub(crate) target: PathBuf,
    /// Whether a file that stands at the target is replaced in the end: a person asked for that.
    pub(crate) replace: bool,
}

/// The names of one set of working files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkingNames {
    /// The file while it is incomplete.
    pub(crate) part: PathBuf,
    /// Its journal.
    pub(crate) journal: PathBuf,
}

impl Place {
    /// The place of a download that ends at `target`.
    pub(crate) fn of(target: PathBuf, replace: bool) -> Place {
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Place { folder, target, replace }
    }

    /// What the working files of `content` are called: `.NAME.<id>.riffle-part` and `-journal`. `number` counts from 1;
    /// the further ones are for when files that are not ours have these names.
    pub(crate) fn working_names(&self, content: ContentId, number: u32) -> WorkingNames {
        let id = &content.to_string()[..ID_DIGITS];
        let number = if number > 1 { format!("-{number}") } else { String::new() };
        let mut stem = self.folder.join(".").into_os_string();
        stem.push(shortened(self.target.file_name().unwrap_or_default().as_bytes(), AROUND));
        stem.push(format!(".{id}{number}"));
        let stem = PathBuf::from(stem);
        WorkingNames { part: sibling(&stem, PART), journal: sibling(&stem, JOURNAL) }
    }

    /// What the working files were called before they had names of their own: `NAME.part` and `NAME.riffle`.
    pub(crate) fn old_names(&self) -> WorkingNames {
        const LONGEST: usize = ".riffle.new".len();
        let name = self.target.file_name().unwrap_or_default();
        let stem = self.folder.join(shortened(name.as_bytes(), LONGEST));
        WorkingNames { part: sibling(&stem, ".part"), journal: sibling(&stem, ".riffle") }
    }

    /// Holds when the folder is there and may be written.
    ///
    /// # Errors
    /// Names the folder.
    pub(crate) fn check_folder(&self) -> Result<(), DiskError> {
        match std::fs::metadata(&self.folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(disk_error(&self.folder, &cause));
            }
            Ok(_) | Err(_) => return Err(error(&self.folder, DiskErrorKind::NoFolder)),
        }
        rustix::fs::access(&self.folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|cause| disk_error(&self.folder, &cause.into()))
    }

    /// What stands at the target.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn found_at_target(&self) -> Result<Option<Metadata>, DiskError> {
        match std::fs::metadata(&self.target) {
            Ok(metadata) => Ok(Some(metadata)),
            // A link that leads nowhere is in the way too.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Ok(std::fs::symlink_metadata(&self.target).ok())
            }
            Err(cause) => Err(disk_error(&self.target, &cause)),
        }
    }

    /// Holds when the finished file may have its name: nothing stands there, or a file that is to be replaced.
    ///
    /// # Errors
    /// [`DiskErrorKind::ExistsOther`] when a file is there, [`DiskErrorKind::InTheWay`] when that is a folder or a link,
    /// and [`DiskErrorKind::NotAFile`] when it is a device or a pipe.
    pub(crate) fn check_target(&self) -> Result<(), DiskError> {
        match self.found_at_target()? {
            None => Ok(()),
            Some(found) if !found.is_file() && !found.is_dir() && !found.is_symlink() => {
                Err(error(&self.target, DiskErrorKind::NotAFile))
            }
            Some(_) if !self.is_own_file() => Err(error(&self.target, DiskErrorKind::InTheWay)),
            Some(_) if self.replace => Ok(()),
            Some(_) => Err(error(&self.target, DiskErrorKind::ExistsOther)),
        }
    }

    /// Whether the target itself is a file, and no link to one.
    fn is_own_file(&self) -> bool {
        std::fs::symlink_metadata(&self.target).is_ok_and(|found| found.is_file())
    }

    /// Gives `part` the target's name. Replaces nothing, unless the person asked for it.
    ///
    /// # Errors
    /// [`DiskErrorKind::ExistsOther`] when something stands there by now.
    pub(crate) fn rename(&self, part: &Path) -> Result<(), DiskError> {
        match rename_apart(part, &self.target) {
            Ok(()) => {}
            Err(cause) if cause == rustix::io::Errno::EXIST && !self.replace => {
                let gone_by_now = || error(&self.target, DiskErrorKind::ExistsOther);
                return Err(self.check_target().err().unwrap_or_else(gone_by_now));
            }
            // What stands there is meant to be replaced; and file systems that promise nothing: look, then rename.
            Err(cause) if cause == rustix::io::Errno::EXIST || promises_nothing(cause) => {
                self.check_target()?;
                std::fs::rename(part, &self.target).map_err(|cause| disk_error(&self.target, &cause))?;
            }
            Err(cause) => return Err(disk_error(&self.target, &cause.into())),
        }
        Ok(())
    }
}

/// Makes last what was created, renamed or removed beside `path`.
pub(crate) fn sync_folder_of(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Not every file system can sync a folder; the files themselves are synced where it matters.
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
}

/// Renames only where nothing stands at the new path.
///
/// # Errors
/// Those of the system: `EXIST` when something stands there; see also [`promises_nothing`].
pub(crate) fn rename_apart(from: &Path, to: &Path) -> rustix::io::Result<()> {
    match rename_noreplace(from, to) {
        // Network file systems have no such rename, and second names, which replace nothing either.
        Err(cause) if promises_nothing(cause) => match link_apart(from, to) {
            Err(refused) if refused != rustix::io::Errno::EXIST => Err(cause),
            linked => linked,
        },
        renamed => renamed,
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_noreplace(from: &Path, to: &Path) -> rustix::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags};
    rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_noreplace(_from: &Path, _to: &Path) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOSYS)
}

/// Gives a file another name in two steps, of which the first replaces nothing.
fn link_apart(from: &Path, to: &Path) -> rustix::io::Result<()> {
    rustix::fs::link(from, to)?;
    rustix::fs::unlink(from)
}

/// Whether [`rename_apart`] failed because the file system cannot promise to replace nothing.
pub(crate) fn promises_nothing(cause: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(cause, Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
}

/// `path` with `suffix` behind its last component.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A name that leaves room for `around` more bytes: shortened, and told apart by a hash, when it would be longer than file
/// systems take.
fn shortened(name: &[u8], around: usize) -> std::ffi::OsString {
    if name.len() + around <= MAX_NAME {
        return std::ffi::OsString::from_vec(name.to_vec());
    }
    let digest = blake3::hash(name).to_hex();
    let mark = format!("~{}", &digest[..16]);
    let mut room = MAX_NAME - around - mark.len();
    // Not in the middle of a character.
    while room > 0 && name[room] & 0xc0 == 0x80 {
        room -= 1;
    }
    let mut short = name[..room].to_vec();
    short.extend_from_slice(mark.as_bytes());
    std::ffi::OsString::from_vec(short)
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
        assert_eq!(link_apart(&from, &taken), Err(rustix::io::Errno::EXIST));
        assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
        link_apart(&from, &to).unwrap();
        assert_eq!((std::fs::read(&to).unwrap(), from.exists()), (b"new".to_vec(), false));
    }

    fn names(target: &str, number: u32) -> WorkingNames {
        Place::of(PathBuf::from(target), false).working_names(ContentId::from_bytes([0xab; 32]), number)
    }

    #[test]
    fn working_files_stand_beside_the_target_under_names_of_their_own() {
        let first = names("/d/a b", 1);
        assert_eq!(first.part, Path::new("/d/.a b.abababababababab.riffle-part"));
        assert_eq!(first.journal, Path::new("/d/.a b.abababababababab.riffle-journal"));
        assert_eq!(names("x", 12).part, Path::new("./.x.abababababababab-12.riffle-part"));
        let old = Place::of(PathBuf::from("/d/a b"), false).old_names();
        assert_eq!((old.part, old.journal), ("/d/a b.part".into(), "/d/a b.riffle".into()));
    }

    #[test]
    fn the_longest_names_leave_room_and_stay_apart() {
        let journal = |name: &str| {
            let journal = names(&format!("/d/{name}"), MAX_NUMBER).journal;
            journal.file_name().unwrap().to_str().expect("cut between characters").to_owned()
        };
        for letter in ["a", "ä", "€", "🦀"] {
            let name = letter.repeat(MAX_NAME / letter.len());
            let short = journal(&name);
            assert!(short.len() + ".new9".len() <= MAX_NAME, "{}", short.len());
            assert_ne!(short, journal(&format!("{}x", &name[..name.len() - letter.len()])));
        }
    }
}
