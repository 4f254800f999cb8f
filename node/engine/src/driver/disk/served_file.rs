//! What workers do for a file that is served: read and evict its pages; compare, close and reopen the file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use riffle_core::{DiskError, DiskErrorKind, ShareId};

use super::errors::{self, disk_error, error};
use super::folder::source::{FolderFault, FolderSource};
use super::hash::share::open_regular;
use super::identity::FileIdentity;
use super::workers::{Priority, Queue};
use crate::driver::disk::{Completion, Results};
use crate::platform::aligned_bytes::AlignedBytes;
use crate::platform::error_kind::is_out_of_mappings;
use crate::platform::file_io::read_exact_at;
use crate::platform::mapping::MappedFile;

/// A file that bursts are taken from.
pub(crate) struct ServedFile {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// The open file.
    pub(crate) file: Arc<File>,
    /// The mapped bytes of the file; `None` when it has none.
    pub(crate) map: Option<Arc<MappedFile>>,
    /// The identity that the file must keep; `None` for a part file, which changes.
    pub(crate) identity: Option<FileIdentity>,
}

/// Reads `range` of a served file into memory on a worker, then reports `block`.
pub(crate) fn populate(
    queue: &Queue,
    results: &Results,
    served: &ServedFile,
    (share, block, range): (ShareId, usize, Range<u64>),
) {
    let map = served.map.clone().expect("a file without bytes has no blocks");
    let (file, path) = (served.file.clone(), served.path.clone());
    let result = Err(errors::internal(&path));
    let results = results.with_fallback(Completion::Populated { share, block, result });
    queue.push(
        Priority::Urgent,
        Box::new(move |scratch| {
            let populated = match map.populate(range.clone()) {
                // An older system: reading the bytes fills the page cache just as well.
                Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => {
                    read_through(&file, range.clone(), scratch)
                }
                other => other,
            };
            // Whatever keeps the pages from being there, the file can no longer be served from them.
            let result = populated.map_err(|_| match file.metadata() {
                Ok(now) if now.len() >= range.end => {
                    errors::error(&path, DiskErrorKind::Other("cannot be read".to_owned()))
                }
                _ => errors::error(&path, DiskErrorKind::Changed),
            });
            results.send(Completion::Populated { share, block, result });
        }),
    );
}

/// Reads `range` of a served folder on a worker, then reports it as `block`: into `memory` when that is long enough, else
/// into new memory. Files of the entries `lost` are not read: zeros stand for their bytes, which nobody is sent.
pub(crate) fn read_folder(
    queue: &Queue,
    results: &Results,
    (source, lost): (&Arc<FolderSource>, &Arc<BTreeSet<usize>>),
    (share, block, range): (ShareId, usize, Range<u64>),
    memory: AlignedBytes,
) {
    let (source, lost) = (source.clone(), lost.clone());
    let result = Err(FolderFault::Folder(errors::internal(source.root())));
    let results = results.with_fallback(Completion::FolderRead { share, block, result });
    queue.push(
        Priority::Urgent,
        Box::new(move |_| {
            let length = (range.end - range.start) as usize;
            let mut memory = if memory.len() < length { AlignedBytes::zeroed(length) } else { memory };
            let read = source.read_around(&lost, &mut memory[..length], range.start);
            let fault = |cause| source.fault(&lost, disk_error(source.root(), &cause));
            let result = read.map(|()| memory).map_err(fault);
            results.send(Completion::FolderRead { share, block, result });
        }),
    );
}

/// Takes `range` of a served file out of the process's memory, on a worker.
pub(crate) fn evict(queue: &Queue, served: &ServedFile, range: Range<u64>) {
    if let Some(map) = served.map.clone() {
        queue.push(Priority::Urgent, Box::new(move |_| map.evict(range)));
    }
}

/// Compares a served file, which is no part file, with what was announced, on a worker.
pub(crate) fn check(queue: &Queue, results: &Results, served: &ServedFile, share: ShareId) {
    let identity = served.identity.expect("a part file is never compared: it changes");
    let (file, path) = (served.file.clone(), served.path.clone());
    let results = results.with_fallback(Completion::Checked { share, result: Err(errors::internal(&path)) });
    queue.push(
        Priority::Urgent,
        Box::new(move |_| {
            let result = identity.check(&path, &file);
            results.send(Completion::Checked { share, result });
        }),
    );
}

/// Closes what is no longer needed, on a worker.
pub(crate) fn close(queue: &Queue, what: impl Send + 'static) {
    queue.push(Priority::Urgent, Box::new(move |_| drop(what)));
}

/// Opens a served file again, on a worker. The file must be what it was.
pub(crate) fn reopen(
    queue: &Queue,
    results: &Results,
    share: ShareId,
    (path, identity): (PathBuf, FileIdentity),
) {
    let results = results.with_fallback(Completion::Reopened { share, result: Err(errors::internal(&path)) });
    queue.push(
        Priority::Urgent,
        Box::new(move |_| {
            results.send(Completion::Reopened { share, result: open_unchanged(&path, identity) })
        }),
    );
}

fn open_unchanged(path: &Path, identity: FileIdentity) -> Result<ServedFile, DiskError> {
    let file = open_regular(path)?;
    let now = FileIdentity::of_file(&file).map_err(|cause| disk_error(path, &cause))?;
    if now != identity {
        return Err(error(path, DiskErrorKind::Changed));
    }
    let map = MappedFile::of(&file, identity.length()).map_err(|cause| match is_out_of_mappings(&cause) {
        true => error(path, DiskErrorKind::TooManyOpen),
        false => disk_error(path, &cause),
    })?;
    let (path, file) = (path.to_owned(), Arc::new(file));
    Ok(ServedFile { path, file, map: map.map(Arc::new), identity: Some(identity) })
}

fn read_through(file: &File, range: Range<u64>, scratch: &mut [u8]) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let length = scratch.len().min((range.end - at) as usize);
        read_exact_at(file, &mut scratch[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
