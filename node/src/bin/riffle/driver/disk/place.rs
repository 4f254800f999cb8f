//! Where a download is written: the target, and the part file and the journal beside it.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use messages::limits::MAX_NAME;
use node::{DiskError, DiskErrorKind};
use rustix::fs::Access;

use super::fault::{disk_error, error};

/// The longest that is ever put behind a name: a journal that is being replaced.
const LONGEST_SUFFIX: usize = ".riffle.new".len();

/// The three paths of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder that they are in.
    pub(crate) folder: PathBuf,
    /// The finished file.
    pub(crate) target: PathBuf,
    /// The file while it is incomplete.
    pub(crate) part: PathBuf,
    /// Its journal.
    pub(crate) journal: PathBuf,
}

impl Place {
    /// The paths of a download that ends at `target`.
    pub(crate) fn of(target: PathBuf) -> Place {
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let stem = folder.join(stem(&target));
        Place { part: sibling(&stem, ".part"), journal: sibling(&stem, ".riffle"), folder, target }
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

    /// Whether `file` is what the part file's path leads to.
    pub(crate) fn leads_to(&self, file: &File) -> bool {
        let of = |found: Metadata| (found.dev(), found.ino());
        let there = std::fs::symlink_metadata(&self.part).map(of).ok();
        there.is_some() && there == file.metadata().map(of).ok()
    }

    /// Removes the part file, if `file` is still what stands at its path.
    pub(crate) fn remove_part(&self, file: &File) {
        if self.leads_to(file) {
            // What stays behind is looked at the next time, and costs no more than that.
            let _ = std::fs::remove_file(&self.part);
        }
    }

    /// Gives the part file its name, replacing nothing, and makes that last.
    ///
    /// # Errors
    /// [`DiskErrorKind::ExistsOther`] when something stands there by now.
    pub(crate) fn rename(&self) -> Result<(), DiskError> {
        match rename_apart(&self.part, &self.target) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(error(&self.target, DiskErrorKind::ExistsOther)),
            // File systems that cannot promise it: look, then rename.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
                if self.found_at_target()?.is_some() {
                    return Err(error(&self.target, DiskErrorKind::ExistsOther));
                }
                std::fs::rename(&self.part, &self.target)
                    .map_err(|cause| disk_error(&self.target, &cause))?;
            }
            Err(cause) => return Err(disk_error(&self.target, &cause.into())),
        }
        sync_folder_of(&self.target);
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
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_apart(from: &Path, to: &Path) -> rustix::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags};
    rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_apart(_from: &Path, _to: &Path) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOSYS)
}

/// `path` with `suffix` behind its last component.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The target's name, shortened and told apart by a hash when a suffix would make it longer than file systems take.
fn stem(target: &Path) -> OsString {
    let name = target.file_name().unwrap_or_default();
    if name.len() + LONGEST_SUFFIX <= MAX_NAME {
        return name.to_owned();
    }
    let digest = blake3::hash(name.as_bytes()).to_hex();
    let mark = format!("~{}", &digest[..16]);
    let mut room = MAX_NAME - LONGEST_SUFFIX - mark.len();
    // Not in the middle of a character.
    while room > 0 && name.as_bytes()[room] & 0xc0 == 0x80 {
        room -= 1;
    }
    let mut short = name.as_bytes()[..room].to_vec();
    short.extend_from_slice(mark.as_bytes());
    OsString::from_vec(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_file_and_the_journal_stand_beside_the_target() {
        let place = Place::of(PathBuf::from("/d/a b"));
        assert_eq!(place.folder, Path::new("/d"));
        assert_eq!(place.part, Path::new("/d/a b.part"));
        assert_eq!(place.journal, Path::new("/d/a b.riffle"));
        assert_eq!(Place::of(PathBuf::from("x")).part, Path::new("./x.part"));
    }

    #[test]
    fn the_longest_names_leave_room_for_the_suffixes_and_stay_apart() {
        let part = |name: &str| Place::of(Path::new("/d").join(name)).part.file_name().unwrap().to_owned();
        for letter in ["a", "ä", "€", "🦀"] {
            let name = letter.repeat(MAX_NAME / letter.len());
            let short = part(&name);
            assert!(short.len() + LONGEST_SUFFIX - ".part".len() <= MAX_NAME);
            assert!(short.to_str().is_some(), "cut between characters");
            assert_ne!(short, part(&format!("{}x", &name[..name.len() - letter.len()])));
        }
    }
}
