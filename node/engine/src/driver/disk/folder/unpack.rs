//! The folder of a content that is here: it grows in a staging folder beside its target, is made durable, and then gets
//! the target's name. A power loss at any moment leaves no folder or the whole one; the content is not touched.
//!
//! Every file is compared with the hash that the index has for it. Nothing is replaced, and no link is followed: what is
//! made is made in folders that are held open, and links are made last.

pub(super) mod copy;
pub(super) mod names;
mod renames;
mod same;
pub(super) mod staging;
pub(super) mod tree;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use messages::collection::{Collection, EntryKind, FileEntry, Modified};
use riffle_core::{DiskError, DiskErrorKind, RenamedEntry};

pub(crate) use self::same::is_same;

use self::copy::{ContentRuns, Copier, CopyError};
use self::staging::Staging;
use self::tree::{Node, Way, nodes, split};
use super::super::errors::{disk_error, error};
use super::super::fault_injection::{Call, DiskCalls};
use super::super::hash::scan::StopFlag;
use super::super::part::allocate::full_or_else;
use super::super::part::download_paths::DownloadPaths;
use super::parallel;
use crate::platform::error_kind::is_unsupported;
use crate::platform::folder::{Folder, SYNCS_AT_ONCE};
use crate::platform::rename::sync_folder;

/// A thread takes files of so many bytes together, or one that has more.
const TASK_BYTES: u64 = 1 << 20;
/// A thread takes at most so many files at a time.
const TASK_FILES: usize = 256;

/// How the folder came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// It was made.
    Made,
    /// The same folder was there already.
    WasThere,
}

/// What is to be said of the names of the folder that cannot stand at the target of `paths`, tried in the folder
/// `staging` beside it; `None` when all can.
///
/// # Errors
/// The system's.
pub(crate) fn name_problems(
    collection: &Collection,
    paths: &DownloadPaths,
    staging: &Path,
) -> Result<Option<String>, DiskError> {
    let staging = Staging::make(staging)?;
    let problems = names::problems(collection, &staging.folder, &paths.target);
    staging.remove();
    let problems = problems.map_err(|cause| disk_error(&paths.target, &cause))?;
    Ok(problems.map(|problems| format!("{problems} (--rename-invalid gives them others)")))
}

/// Makes the folder that `collection` describes at the target of `paths`, from its `content`, by way of the folder
/// `staging` beside the target ([`DownloadPaths::staging`]). With `renamed`, what cannot stand there under
/// its name gets another, which is told there. When it returns, the folder is there for good.
///
/// # Errors
/// [`DiskErrorKind::ExistsOther`] and [`DiskErrorKind::InTheWay`] when something else stands at the target, which is
/// never replaced; [`DiskErrorKind::Full`]; [`DiskErrorKind::Other`] for names that the file system cannot hold and for
/// bytes that have another hash; [`DiskErrorKind::Cancelled`] when `stop` is raised; the system's. Then nothing is left.
pub(crate) fn unpack(
    content: &File,
    collection: &Collection,
    (paths, staging): (&DownloadPaths, &Path),
    (calls, stop): (&DiskCalls, &StopFlag),
    renamed: Option<&mut Vec<RenamedEntry>>,
) -> Result<Unpacked, DiskError> {
    if std::fs::symlink_metadata(&paths.target).is_ok() {
        return was_there(collection, paths, calls);
    }
    let staging = Staging::make(staging)?;
    let other_names = renamed.map(|renamed| {
        let mut names = names::TriedNames::of(&staging.folder, &paths.target)?;
        let (collection, others) = renames::renamed(collection, &mut names)?;
        *renamed = others;
        Ok(collection)
    });
    let other_names = other_names.transpose().map_err(|cause: io::Error| {
        staging.remove();
        disk_error(&paths.target, &cause)
    })?;
    let collection = other_names.as_ref().unwrap_or(collection);
    let runs = ContentRuns::of(content, collection.length());
    let left = AtomicU64::new(0);
    let unpacking = Unpacking {
        content,
        collection,
        target: &paths.target,
        top: &staging.folder,
        runs,
        left,
        calls,
        stop,
    };
    let made = unpacking.check().and_then(|()| unpacking.make()).and_then(|()| {
        staging.open_to_others();
        unpacking.sync()
    });
    if let Err(cause) = made {
        staging.remove();
        return Err(cause);
    }
    match staging.rename(&paths.target) {
        Ok(()) => {}
        Err(cause) => {
            staging.remove();
            return match cause.kind() {
                io::ErrorKind::AlreadyExists => was_there(collection, paths, calls),
                _ => Err(disk_error(&paths.target, &cause)),
            };
        }
    }
    sync_name(paths)?;
    Ok(Unpacked::Made)
}

/// Holds when the folder that stands at the target is the same, and makes that last: an interrupted run may have made it.
fn was_there(
    collection: &Collection,
    paths: &DownloadPaths,
    calls: &DiskCalls,
) -> Result<Unpacked, DiskError> {
    let fault = |cause: io::Error| disk_error(&paths.target, &cause);
    if !is_same(&paths.target, collection).unwrap_or(false) {
        // A folder that cannot be read is not the same, as far as anybody knows.
        let in_the_way = || error(&paths.target, DiskErrorKind::ExistsOther);
        return Err(paths.check_target().err().unwrap_or_else(in_the_way));
    }
    calls.allow(Call::SyncAll).map_err(fault)?;
    Folder::open(&paths.target).and_then(|folder| folder.sync_file_system()).map_err(fault)?;
    sync_name(paths)?;
    Ok(Unpacked::WasThere)
}

/// Makes last that the target has its name, where that can be done.
pub(super) fn sync_name(paths: &DownloadPaths) -> Result<(), DiskError> {
    match sync_folder(&paths.folder) {
        Err(cause) if is_unsupported(&cause) || cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(|cause| disk_error(&paths.folder, &cause)),
    }
}

/// Files that one thread writes one after the other.
struct Task<'a> {
    files: Vec<(&'a str, &'a FileEntry, Range<u64>)>,
    /// How many bytes they have together.
    bytes: u64,
    /// Where the bytes of the last one end.
    end: u64,
}

/// A folder in the making.
struct Unpacking<'a> {
    content: &'a File,
    collection: &'a Collection,
    /// What it will be called.
    target: &'a Path,
    /// The staging folder.
    top: &'a Folder,
    /// Where the content has bytes.
    runs: ContentRuns,
    /// The bytes of files that are not written yet.
    left: AtomicU64,
    calls: &'a DiskCalls,
    stop: &'a StopFlag,
}

impl Unpacking<'_> {
    /// Holds when the file system can have all of it: there is room, and it has such names.
    fn check(&self) -> Result<(), DiskError> {
        let fault = |cause: io::Error| disk_error(self.target, &cause);
        let (bytes, files) = self.top.room().map_err(fault)?;
        let spans = self.collection.files().filter_map(|(number, ..)| self.collection.span(number));
        let needed = spans.map(|span| self.runs.bytes_within(span)).sum();
        self.left.store(needed, Ordering::Relaxed);
        if needed > bytes {
            return Err(error(self.target, DiskErrorKind::Full { needed: needed - bytes }));
        }
        let count = nodes(self.collection).count() as u64;
        if count > files {
            let why =
                format!("its file system has room for {files} more files and folders, and it has {count}");
            return Err(self.other(why));
        }
        match names::problems(self.collection, self.top, self.target).map_err(fault)? {
            Some(problems) => Err(self.other(problems)),
            None => Ok(()),
        }
    }

    /// Makes folders, then files, then links.
    fn make(&self) -> Result<(), DiskError> {
        let mut way = Way::from(self.top);
        for node in nodes(self.collection).filter(Node::is_folder) {
            let (parent, name) = node.split();
            let made = way.enter(parent).and_then(|parent| parent.make_folder(name));
            made.map_err(|cause| self.fault(node.path, &cause))?;
        }
        let begin = || {
            let copier = Copier::new(self.content, &self.runs, (self.calls, self.stop));
            (Way::from(self.top), copier)
        };
        parallel::each(&self.tasks(), begin, |(way, copier), task| {
            task.files.iter().try_for_each(|(path, file, span)| {
                self.make_file((path, file), (span.clone(), task.end), way, copier)
            })
        })?;
        for entry in self.collection.entries() {
            let EntryKind::Link(target) = &entry.kind else { continue };
            let (parent, name) = split(entry.path.as_str());
            let made = way.enter(parent).and_then(|parent| parent.make_link(name, target));
            made.map_err(|cause| self.fault(entry.path.as_str(), &cause))?;
        }
        Ok(())
    }

    /// The files, in tasks of such as lie side by side in the content.
    fn tasks(&self) -> Vec<Task<'_>> {
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for (number, path, file) in self.collection.files() {
            let end = tasks.last().map_or(0, |task| task.end);
            let span = self.collection.span(number).unwrap_or(end..end);
            let is_next = |task: &Task<'_>| {
                task.end == span.start
                    && task.files.len() < TASK_FILES
                    && task.bytes + file.length <= TASK_BYTES
            };
            if !tasks.last().is_some_and(is_next) {
                tasks.push(Task { files: Vec::new(), bytes: 0, end: span.start });
            }
            let task = tasks.last_mut().expect("one was just pushed when there was none");
            (task.bytes, task.end) = (task.bytes + file.length, span.end);
            task.files.push((path.as_str(), file, span));
        }
        tasks
    }

    fn make_file(
        &self,
        (path, expected): (&str, &FileEntry),
        (span, ahead): (Range<u64>, u64),
        way: &mut Way<'_>,
        copier: &mut Copier<'_>,
    ) -> Result<(), DiskError> {
        if self.stop.is_raised() {
            return Err(error(self.target, DiskErrorKind::Cancelled));
        }
        let fault = |cause: io::Error| self.fault(path, &cause);
        let (parent, name) = split(path);
        let parent = way.enter(parent).map_err(fault)?;
        let file = parent.make_file(name, expected.is_executable).map_err(fault)?;
        let hash = match copier.copy(span.clone(), ahead, &file) {
            Ok(hash) => hash,
            Err(CopyError::Stopped) => return Err(error(self.target, DiskErrorKind::Cancelled)),
            Err(CopyError::System(cause)) => return Err(fault(cause)),
        };
        if hash != expected.hash {
            return Err(self.other(format!("the folder's index names another hash for {path}")));
        }
        if let Some(modified) = expected.modified {
            set_modified(&file, modified);
        }
        if !SYNCS_AT_ONCE {
            self.calls.sync_all(&file).map_err(fault)?;
        }
        self.left.fetch_sub(self.runs.bytes_within(span), Ordering::Relaxed);
        Ok(())
    }

    /// Makes all of it last.
    fn sync(&self) -> Result<(), DiskError> {
        let fault = |cause: io::Error| self.fault("", &cause);
        self.calls.allow(Call::SyncAll).map_err(fault)?;
        if SYNCS_AT_ONCE {
            return self.top.sync_file_system().map_err(fault);
        }
        let mut way = Way::from(self.top);
        let paths = nodes(self.collection).filter(Node::is_folder).map(|node| node.path);
        for path in std::iter::once("").chain(paths) {
            match way.enter(path).and_then(Folder::sync) {
                Err(cause) if !is_unsupported(&cause) => return Err(self.fault(path, &cause)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The error that `cause` is, met at the entry `path`.
    fn fault(&self, path: &str, cause: &io::Error) -> DiskError {
        if cause.kind() == io::ErrorKind::AlreadyExists {
            // It was empty, and is open to nobody else.
            return self.other(format!("{path}: this file system has it under another name already"));
        }
        let left = self.left.load(Ordering::Relaxed);
        match full_or_else(self.content, self.target, cause, left, left) {
            DiskError { kind: kind @ DiskErrorKind::Full { .. }, .. } => error(self.target, kind),
            other => DiskError { path: self.target.join(path), ..other },
        }
    }

    fn other(&self, why: String) -> DiskError {
        error(self.target, DiskErrorKind::Other(why))
    }
}

/// Sets when a file was last modified, as far as the system has such a time.
pub(crate) fn set_modified(file: &File, modified: Modified) {
    let since = Duration::from_secs(modified.seconds.unsigned_abs());
    let time = if modified.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    };
    let time = time.and_then(|time| time.checked_add(Duration::from_nanos(modified.nanos.into())));
    let set = time.map(|time| file.set_modified(time));
    if !matches!(set, Some(Ok(()))) {
        tracing::debug!(?modified, "a time is not taken");
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
