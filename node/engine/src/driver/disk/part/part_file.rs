//! The open part file of a download, with its name and its lock.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::download_paths::DownloadPaths;
use super::lock::Lock;
use crate::driver::disk::journal::JournalDestination;
use crate::platform::file_id::leads_to;
use crate::platform::lock::unlock;

/// An open part file, with its name and its lock.
pub(crate) struct PartFile {
    /// The open file.
    pub(crate) file: Arc<File>,
    /// The file's name; `None` while the file has none.
    pub(super) name: Option<PathBuf>,
    /// The destination of the journal; `None` for a content of one piece.
    pub(crate) journal: Option<JournalDestination>,
    lock: Lock,
}

impl PartFile {
    /// `file`, called `name` and locked by `lock`, with a journal that goes to `journal`.
    pub(crate) fn new(
        file: File,
        name: Option<PathBuf>,
        journal: Option<JournalDestination>,
        lock: Lock,
    ) -> PartFile {
        PartFile { file: Arc::new(file), name, journal, lock }
    }

    /// The path that people are shown: that of the part file, or of the finished file while the part file has no name.
    pub(crate) fn display_path<'a>(&'a self, paths: &'a DownloadPaths) -> &'a Path {
        self.name.as_deref().unwrap_or(&paths.target)
    }

    /// Whether a lock stands elsewhere; `None` when the file itself is locked, or nobody else can find the file.
    pub(crate) fn is_locked_elsewhere(&self) -> Option<bool> {
        match self.lock {
            Lock::Elsewhere(_) => Some(true),
            Lock::Nowhere if self.name.is_some() => Some(false),
            Lock::Nowhere | Lock::OnFile => None,
        }
    }

    /// Removes the file, if it is still what stands under its name.
    pub(crate) fn remove(&self) {
        if let Some(name) = self.name.as_deref().filter(|name| leads_to(name, &self.file)) {
            // The next download of this name looks at a file that stays behind.
            let _ = std::fs::remove_file(name);
        }
    }

    /// Whether the file can no longer be found under its name.
    pub(super) fn is_lost(&self) -> bool {
        self.name.as_deref().is_some_and(|name| !leads_to(name, &self.file))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if matches!(self.lock, Lock::OnFile) {
            // The mapping of a served part may keep the file open for longer; the lock ends here.
            unlock(&self.file);
        }
    }
}
