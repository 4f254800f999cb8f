//! Where a download is written: the finished file, and what its working files beside it are called.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use messages::ContentId;
use messages::limits::MAX_NAME;
use riffle_core::{DiskError, DiskErrorKind, Existing};

use crate::driver::disk::errors::{disk_error, error};
use crate::platform::error_kind::is_unsupported;
use crate::platform::path_bytes::{bytes_of, of_bytes};
use crate::platform::permissions::check_writable;
use crate::platform::rename::rename_no_replace;

/// Digits of the content id in the name of a working file.
const ID_DIGITS: usize = 16;
/// The endings of the names of working files, which no other program uses.
const PART: &str = ".riffle-part";
const JOURNAL: &str = ".riffle-journal";
/// What follows the name of a part file in that of the folder which is put together beside it.
const STAGING: &str = ".d";
/// A download that finds so many names taken by files that are not its own gives up.
pub(crate) const MAX_NUMBER: u32 = 99;
/// At most so many bytes are put around a name: the longest name is that of a journal which is being replaced.
const AROUND: usize = "..-99".len() + ID_DIGITS + JOURNAL.len() + ".new9".len();

/// The paths of one download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DownloadPaths {
    /// The folder of the finished file and of the working files.
    pub(crate) folder: PathBuf,
    /// The finished file.
    pub(crate) target: PathBuf,
    /// What becomes of what stands at the target.
    pub(crate) existing: Existing,
}

/// The names of one set of working files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkingNames {
    /// The file while it is incomplete.
    pub(crate) part: PathBuf,
    /// Its journal.
    pub(crate) journal: PathBuf,
}

impl DownloadPaths {
    /// The paths of a download that ends at `target`.
    pub(crate) fn of(target: PathBuf, existing: Existing) -> DownloadPaths {
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        DownloadPaths { folder, target, existing }
    }

    /// What the working files of `content` are called: `.NAME.<id>.riffle-part` and `-journal`. `number` counts from 1;
    /// the further ones are for when files that are not ours have these names.
    pub(crate) fn working_names(&self, content: ContentId, number: u32) -> WorkingNames {
        let id = &content.to_string()[..ID_DIGITS];
        let number = if number > 1 { format!("-{number}") } else { String::new() };
        let mut stem = self.folder.join(".").into_os_string();
        stem.push(shortened(self.target.file_name().unwrap_or_default(), AROUND));
        stem.push(format!(".{id}{number}"));
        let stem = PathBuf::from(stem);
        WorkingNames { part: sibling(&stem, PART), journal: sibling(&stem, JOURNAL) }
    }

    /// What the working files were called before they had names of their own: `NAME.part` and `NAME.riffle`.
    pub(crate) fn old_names(&self) -> WorkingNames {
        const LONGEST: usize = ".riffle.new".len();
        let name = self.target.file_name().unwrap_or_default();
        let stem = self.folder.join(shortened(name, LONGEST));
        WorkingNames { part: sibling(&stem, ".part"), journal: sibling(&stem, ".riffle") }
    }

    /// Whether something stands at the target, or a part file of `content` does, or may: nothing is opened or locked.
    pub(crate) fn may_have_some_of(&self, content: ContentId) -> bool {
        let parts = [self.working_names(content, 1).part, self.old_names().part];
        let may_be_there = |path: &PathBuf| match std::fs::symlink_metadata(path) {
            Ok(_) => true,
            Err(cause) => cause.kind() != io::ErrorKind::NotFound,
        };
        parts.iter().chain([&self.target]).any(may_be_there)
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
        check_writable(&self.folder).map_err(|cause| disk_error(&self.folder, &cause))
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

    /// Whether a folder stands at the target, and is to be brought up to date. A link to one is no folder.
    pub(crate) fn is_update(&self) -> bool {
        matches!(self.existing, Existing::Update { .. }) && self.is_own_folder()
    }

    /// Where the files of a folder are put together.
    pub(crate) fn staging(&self, content: ContentId) -> PathBuf {
        sibling(&self.working_names(content, 1).part, STAGING)
    }

    /// Holds when what is finished may have its name: nothing stands there, a file that is to be replaced, or a folder
    /// that is to be brought up to date.
    ///
    /// # Errors
    /// [`DiskErrorKind::ExistsOther`] when a file is there, [`DiskErrorKind::FolderExists`] when that is a folder,
    /// [`DiskErrorKind::InTheWay`] when it is a link, and [`DiskErrorKind::NotAFile`] when it is a device or a pipe.
    pub(crate) fn check_target(&self) -> Result<(), DiskError> {
        match self.found_at_target()? {
            None => Ok(()),
            Some(found) if !found.is_file() && !found.is_dir() && !found.is_symlink() => {
                Err(error(&self.target, DiskErrorKind::NotAFile))
            }
            Some(_) if self.is_update() => Ok(()),
            Some(_) if !self.is_own_file() => Err(error(
                &self.target,
                match self.is_own_folder() {
                    true => DiskErrorKind::FolderExists,
                    false => DiskErrorKind::InTheWay,
                },
            )),
            Some(_) if self.existing.replaces_files() => Ok(()),
            Some(_) => Err(error(&self.target, DiskErrorKind::ExistsOther)),
        }
    }

    /// Whether the target itself is a folder, and no link to one.
    fn is_own_folder(&self) -> bool {
        std::fs::symlink_metadata(&self.target).is_ok_and(|found| found.is_dir())
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
        match rename_no_replace(part, &self.target) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && !self.existing.replaces_files() => {
                let gone_by_now = || error(&self.target, DiskErrorKind::ExistsOther);
                return Err(self.check_target().err().unwrap_or_else(gone_by_now));
            }
            // What stands there is meant to be replaced; and file systems that promise nothing: look, then rename.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists || is_unsupported(&cause) => {
                self.check_target()?;
                std::fs::rename(part, &self.target).map_err(|cause| disk_error(&self.target, &cause))?;
            }
            Err(cause) => return Err(disk_error(&self.target, &cause)),
        }
        Ok(())
    }
}

/// Whether a file is called like a working file of a download.
pub(crate) fn is_working_file(name: &OsStr) -> bool {
    let name = bytes_of(name);
    let name = name.strip_suffix(STAGING.as_bytes()).unwrap_or(name);
    let is_hidden = name.starts_with(b".");
    is_hidden && [PART, JOURNAL].iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// `path` with `suffix` behind its last component.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A name that leaves room for `around` more bytes: shortened, and told apart by a hash, when it would be longer than
/// file systems take.
fn shortened(name: &OsStr, around: usize) -> OsString {
    let bytes = bytes_of(name);
    if bytes.len() + around <= MAX_NAME {
        return name.to_owned();
    }
    let digest = blake3::hash(bytes).to_hex();
    let mark = format!("~{}", &digest[..16]);
    let mut end = MAX_NAME - around - mark.len();
    // Not in the middle of a character.
    while end > 0 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    // A name that is no text at all is called by its hash alone.
    let mut short = of_bytes(bytes[..end].to_vec()).unwrap_or_default();
    short.push(mark);
    short
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn names(target: &str, number: u32) -> WorkingNames {
        DownloadPaths::of(PathBuf::from(target), Existing::Keep)
            .working_names(ContentId::from_bytes([0xab; 32]), number)
    }

    #[test]
    fn what_stands_at_the_target_or_beside_it_may_be_some_of_the_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let content = ContentId::from_bytes([0xab; 32]);
        let paths = DownloadPaths::of(folder.path().join("film.bin"), Existing::Keep);
        std::fs::write(folder.path().join("film"), b"").expect("another file");
        assert!(!paths.may_have_some_of(content));
        let part = paths.working_names(content, 1).part;
        for path in [paths.target.clone(), part, paths.old_names().part] {
            std::fs::write(&path, b"").expect("it is written");
            assert!(paths.may_have_some_of(content), "{path:?}");
            std::fs::remove_file(&path).expect("it is removed");
        }
        assert!(!paths.may_have_some_of(content));
    }

    #[test]
    fn working_files_stand_beside_the_target_under_names_of_their_own() {
        let first = names("/d/a b", 1);
        assert_eq!(first.part, Path::new("/d/.a b.abababababababab.riffle-part"));
        assert_eq!(first.journal, Path::new("/d/.a b.abababababababab.riffle-journal"));
        assert_eq!(names("x", 12).part, Path::new("./.x.abababababababab-12.riffle-part"));
        let old = DownloadPaths::of(PathBuf::from("/d/a b"), Existing::Keep).old_names();
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
