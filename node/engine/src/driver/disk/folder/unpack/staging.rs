//! The staging folder: where a folder grows beside its target, until it is whole and gets the target's name.

use std::io;
use std::path::Path;

use riffle_core::{DiskError, DiskErrorKind};

use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::part::download_paths::sibling;
use crate::platform::error_kind::is_unsupported;
use crate::platform::file_id::number_at;
use crate::platform::folder::Folder;
use crate::platform::permissions::{OTHERS_WRITE, is_written_by_user_alone};
use crate::platform::rename::rename_no_replace;

/// The ending of the name of a folder that is made only to be looked at.
const PROBE: &str = ".new";
/// A name that is in it for a moment.
const NEW_FOLDER: &str = "new";

/// A staging folder that was made just now.
pub(crate) struct Staging<'a> {
    path: &'a Path,
    /// The folder, held open.
    pub(crate) folder: Folder,
    /// The mode of any new folder there.
    mode: u32,
}

impl<'a> Staging<'a> {
    /// Makes it at `path`. One that an interrupted run has left there is removed.
    ///
    /// # Errors
    /// [`DiskErrorKind::InTheWay`] when something else stands there; the system's.
    pub(crate) fn make(path: &'a Path) -> Result<Staging<'a>, DiskError> {
        let fault = |cause: io::Error| disk_error(path, &cause);
        let folder = match Folder::make_private(path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                remove_left_over(path)?;
                Folder::make_private(path).map_err(fault)?
            }
            made => made.map_err(fault)?,
        };
        let mut staging = Staging { path, folder, mode: 0 };
        match staging.mode_of_new_folder() {
            Ok(mode) => staging.mode = mode,
            Err(cause) => {
                staging.remove();
                return Err(fault(cause));
            }
        }
        Ok(staging)
    }

    fn mode_of_new_folder(&self) -> io::Result<u32> {
        self.folder.make_folder(NEW_FOLDER)?;
        let mode = self.folder.folder(NEW_FOLDER).and_then(|new| new.mode());
        self.folder.remove_folder(NEW_FOLDER)?;
        mode
    }

    fn is_at(&self, path: &Path) -> bool {
        let number = self.folder.number();
        number.is_some() && number == number_at(path)
    }

    /// Lets it be what any new folder is, but that others do not write to it yet: after a crash it is still one of ours.
    pub(crate) fn open_to_others(&self) {
        self.folder.set_mode(self.mode & !OTHERS_WRITE);
    }

    /// Gives it the name `target`, which nothing has.
    ///
    /// # Errors
    /// `AlreadyExists` when something has; the system's.
    pub(crate) fn rename(&self, target: &Path) -> io::Result<()> {
        if !self.is_at(self.path) {
            return Err(io::Error::other("the folder in which it grew was renamed or removed"));
        }
        match rename_no_replace(self.path, target) {
            // A file system that promises nothing: look, then rename.
            Err(cause) if is_unsupported(&cause) => {
                if std::fs::symlink_metadata(target).is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                std::fs::rename(self.path, target)?;
            }
            renamed => renamed?,
        }
        // Names are all that the system renames: another folder may have had that one by then.
        if !self.is_at(target) {
            return Err(io::Error::other("it was replaced by something else as it got its name"));
        }
        if self.mode & OTHERS_WRITE != 0 {
            self.folder.set_mode(self.mode);
        }
        Ok(())
    }

    /// Removes it with all that is in it, when it still has its name.
    pub(crate) fn remove(&self) {
        if self.is_at(self.path)
            && let Err(cause) = std::fs::remove_dir_all(self.path)
        {
            tracing::warn!(path = %self.path.display(), %cause, "a part of a folder stays");
        }
    }
}

/// Removes what an interrupted run has left at `path`: a folder to which nobody but this user can have written.
fn remove_left_over(path: &Path) -> Result<(), DiskError> {
    let fault = |cause: io::Error| disk_error(path, &cause);
    let found = std::fs::symlink_metadata(path).map_err(fault)?;
    // On a stick or a share all may be of one user and open to all; nobody but us gives folders such names.
    let is_ours = found.is_dir() && (is_written_by_user_alone(&found) || !knows_owners(path));
    if !is_ours {
        return Err(error(path, DiskErrorKind::InTheWay));
    }
    tracing::info!(path = %path.display(), "what an interrupted run has left is removed");
    std::fs::remove_dir_all(path).map_err(fault)
}

/// Whether a folder that is made beside `path` is this user's.
fn knows_owners(path: &Path) -> bool {
    let probe = sibling(path, PROBE);
    let Ok(folder) = Folder::make_private(&probe) else { return true };
    let knows = folder.metadata().is_ok_and(|found| is_written_by_user_alone(&found));
    // It is empty, or not the one that was made.
    let _ = std::fs::remove_dir(&probe);
    knows
}
