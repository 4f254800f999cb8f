//! Describing a folder as it would be shared, for those who are no node.

use std::path::Path;
use std::sync::Arc;

use messages::Outboard;
use messages::collection::EntryPath;
use riffle_core::{DiskError, DiskErrorKind, DiskResult, FolderOptions, ShareId, SkippedEntry};

use super::roots::Roots;
use super::share::share_folder;
use super::source::FolderSource;
use super::walk::walk;
use crate::driver::disk::errors::{disk_error, error, internal};
use crate::driver::disk::hash::scan::{ScanWorkers, StopFlag};
use crate::driver::disk::workers::Workers;
use crate::driver::disk::{Completion, Results, Served};

/// A folder that was hashed and is not shared.
#[derive(Debug)]
pub(crate) struct DescribedFolder {
    /// What proves its content.
    pub(crate) outboard: Arc<Outboard>,
    /// Its entries, and the bytes of its files.
    pub(crate) source: Arc<FolderSource>,
    /// What in it would not be shared.
    pub(crate) skipped: Vec<SkippedEntry>,
}

/// Holds when there is a folder at `path`.
fn check_folder(path: &Path) -> Result<(), DiskError> {
    let found = std::fs::metadata(path).map_err(|cause| disk_error(path, &cause))?;
    let is_none = || error(path, DiskErrorKind::Other("not a folder".to_owned()));
    found.is_dir().then_some(()).ok_or_else(is_none)
}

/// The files in the folder at `path` that would be shared with it.
///
/// # Errors
/// When it is no folder, or cannot be read.
pub(crate) fn files_in(path: &Path) -> Result<Vec<EntryPath>, DiskError> {
    check_folder(path)?;
    walk(&Roots::of(path, &[])?, &[]).map(|found| found.files)
}

/// Hashes the folder at `path` on all cores, with workers of its own, and waits for them.
///
/// # Errors
/// When it is no folder, something in it cannot be read, or changes meanwhile.
pub(crate) fn describe(path: &Path, options: &FolderOptions) -> Result<DescribedFolder, DiskError> {
    check_folder(path)?;
    let log = tracing::dispatcher::get_default(Clone::clone);
    let workers = Workers::start(0, &log).map_err(|cause| disk_error(path, &cause))?;
    let (results, mut done) = Results::channel();
    let order = (ShareId(0), path.to_owned(), options.clone());
    share_folder(&ScanWorkers::from(&workers), &results, order, (None, StopFlag::default()));
    drop(results);
    let wait = || {
        let mut skipped = Vec::new();
        loop {
            match done.blocking_recv() {
                Some(Completion::Shared { outboard, served: Served::Folder(source), .. }) => {
                    return Ok(DescribedFolder { outboard, source, skipped });
                }
                Some(Completion::ForCore(DiskResult::Skipped { skipped: those, .. })) => {
                    skipped.extend(those);
                }
                Some(Completion::ForCore(DiskResult::Shared { result: Err(failed), .. })) => {
                    return Err(failed);
                }
                Some(_) => {}
                // The work ended without a word: the log says why.
                None => return Err(internal(path)),
            }
        }
    };
    // This may be a thread of an async runtime, where that channel refuses to block.
    std::thread::scope(|scope| scope.spawn(wait).join().expect("waiting does not panic"))
}
