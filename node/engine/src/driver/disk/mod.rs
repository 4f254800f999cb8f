//! The disk, as the network thread sees it: requests go to the workers, and their results arrive as [`Completion`]s.
//!
//! Nothing here touches a file on the network thread.

mod downloads;
mod errors;
mod fault_injection;
mod file_owner;
mod folder;
mod hash;
mod identity;
mod journal;
mod part;
mod results;
mod served_file;
mod workers;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use messages::{
    ChainingValue, ContentId, FileMetadata, Layout, Outboard, OutboardError, PieceIndex, piece_value,
};
use riffle_core::{
    DiskError, DiskErrorKind, DiskRequest, DiskResult, DownloadId, Evidence, Existing, Opened, ShareId,
    StoreError,
};

use self::downloads::{DownloadState, Downloads};
use self::folder::index_fetch::IndexFetch;
pub(crate) use self::folder::selection::Selection;
use self::hash::hash_queue::HashQueue;
use self::hash::scan::{ScanWorkers, StopFlag};
use self::hash::share::ShareRequest;
use self::part::SyncRule;
use self::part::download_paths::DownloadPaths;
use self::part::open::{OpenRequest, PartSettings};
use self::workers::{Priority, Workers};
use super::pool::Pool;

pub(crate) use self::errors::{disk_error, error};
pub(crate) use self::folder::describe::{DescribedFolder, describe, files_in};
pub(crate) use self::folder::source::{FolderFault, FolderSource};
pub use self::hash::folder_memory::KnownFolder;
pub(crate) use self::hash::hash_cache::HashCache;
pub(crate) use self::hash::share::open_regular;
pub(crate) use self::identity::FileIdentity;
pub(crate) use self::journal::key::StateKey;
pub(crate) use self::part::Part;
pub(crate) use self::part::finishing::Finished;
pub(crate) use self::results::{Completion, LentBuffer, Results, Served};
pub(crate) use self::served_file::{ServedFile, check, close, evict, populate, read_folder, reopen};
pub(crate) use self::workers::Queue;

/// Why a download is refused of which some files are wanted, and which is to delete what the new version lacks.
const SELECTS_AND_DELETES: &str = "some files are selected, and nobody can tell which others to delete";

/// The network thread's end of the disk.
pub(crate) struct Disk {
    workers: Workers,
    results: Results,
    hash_queue: HashQueue,
    downloads: Downloads,
    /// The indexes that are fetched.
    indexes: BTreeMap<DownloadId, Arc<IndexFetch>>,
    settings: PartSettings,
}

impl Disk {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        settings: &config::DiskSettings,
        results: Results,
        log: &tracing::Dispatch,
    ) -> io::Result<Disk> {
        let workers = Workers::start(settings.hash_threads, log)?;
        let sync_rule = SyncRule { bytes: settings.sync_bytes.as_u64(), period: settings.sync_period };
        Ok(Disk {
            workers,
            results,
            hash_queue: HashQueue::default(),
            downloads: Downloads::default(),
            indexes: BTreeMap::new(),
            settings: PartSettings::new(sync_rule),
        })
    }

    /// Journals are sealed under `key`, and believed under no other.
    pub(crate) fn seal_under(&mut self, key: StateKey) {
        self.settings.key = Arc::new(key);
    }

    /// Part files on file systems without locks are locked in the folder `lock_folder`.
    pub(crate) fn lock_in(&mut self, lock_folder: &Path) {
        self.settings.lock_folder = Some(lock_folder.into());
    }

    /// Believes what was hashed before, and remembers what will be hashed.
    pub(crate) fn remember(&mut self, hash_cache: HashCache) {
        let hash_cache = Arc::new(hash_cache);
        self.settings.hash_cache = Some(hash_cache.clone());
        self.work(move |_| hash_cache.sweep());
    }

    /// Where other work for the workers is handed in.
    pub(crate) fn queue(&self) -> &Queue {
        self.workers.queue()
    }

    /// Hands a request on. Buffers that it names leave `pool` until its result is there.
    pub(crate) fn request(&mut self, request: DiskRequest, pool: &mut Pool) {
        match request {
            DiskRequest::Share { share, path, options } => {
                self.hash_queue.add(share, (path, options));
                self.hash_next();
            }
            DiskRequest::Unshare { share } => {
                self.hash_queue.remove(share);
                self.hash_next();
            }
            DiskRequest::CheckOutboard { download, buffer, length, content, evidence } => {
                let lent = LentBuffer { buffer, bytes: pool.lend(buffer) };
                self.work(move |results| {
                    let bytes = lent.bytes.get(..length as usize).unwrap_or_default();
                    let checked = results::unless_it_panics(|| proven(content, evidence, bytes));
                    // What a check stumbles over proves nothing.
                    let result = checked.unwrap_or(Err(OutboardError::OtherContent)).map(Arc::new);
                    results.send(Completion::OutboardChecked { download, lent, result });
                });
            }
            DiskRequest::LookAtTarget { download, target, content } => {
                let paths = DownloadPaths::of(target, Existing::Keep);
                self.work(move |results| {
                    let has_nothing = !paths.may_have_some_of(content);
                    results.send_result(DiskResult::TargetSeen { download, has_nothing });
                });
            }
            DiskRequest::Open { download, share, target, existing, select, save, content, outboard } => {
                let deletes = existing == Existing::Update { delete: true };
                let selection = match Selection::new(&select) {
                    Ok(Some(_)) if deletes => Err(SELECTS_AND_DELETES.to_owned()),
                    selection => selection,
                };
                let selection = match selection {
                    Ok(selection) => selection.map(Arc::new),
                    Err(why) => {
                        let result = Err(errors::error(&target, DiskErrorKind::Refused(why)));
                        return self.results.send_result(DiskResult::Opened { download, result });
                    }
                };
                let (paths, settings) = (DownloadPaths::of(target, existing), self.settings.clone());
                let settings = PartSettings { rename_invalid: save.rename_invalid, ..settings };
                let stop = StopFlag::default();
                let request =
                    OpenRequest { download, share, paths, content, outboard, selection, settings, stop };
                self.downloads.add(request);
                self.open_next();
            }
            DiskRequest::OpenIndex { download, outboard } => {
                let fetch = Arc::new(IndexFetch::new(outboard));
                let opened = Opened::Ready { plan: fetch.first_plan(), hashed_again: None };
                self.indexes.insert(download, fetch);
                self.results.send_result(DiskResult::Opened { download, result: Ok(opened) });
            }
            DiskRequest::ReadIndex { download, share: _ } => {
                // The network thread has those that are served from folders.
                self.results.send_result(DiskResult::IndexRead { download, result: Ok(None) });
            }
            DiskRequest::Preview { download, piece, buffer, length } => {
                let lent = LentBuffer { buffer, bytes: pool.lend(buffer) };
                self.preview(download, piece, lent, length);
            }
            DiskRequest::Store { download, piece, buffer, length, known, expected } => {
                let lent = LentBuffer { buffer, bytes: pool.lend(buffer) };
                match self.indexes.get(&download).cloned() {
                    Some(index) => self.store_index(download, piece, (index, lent), length, expected),
                    None => self.store(download, piece, lent, (length, known), expected),
                }
            }
            DiskRequest::Finish { download, file } => match self.indexes.remove(&download) {
                Some(index) => self.read_index(download, index),
                None => self.finish(download, file),
            },
            DiskRequest::Abandon { download } => self.abandon(download),
        }
    }

    /// Files are opened for hashing a few at a time: each takes a descriptor.
    fn hash_next(&mut self) {
        while let Some((share, (path, options), stop)) = self.hash_queue.next() {
            let fallback = DiskResult::Shared {
                share,
                result: Err(errors::internal(&path)),
                file: FileMetadata::default(),
            };
            let hash_cache = self.settings.hash_cache.clone();
            let sharing = ShareRequest { share, path, options, hash_cache, stop };
            self.with_scan_workers(fallback, move |scan_workers, results| {
                hash::share::share(scan_workers, results, sharing)
            });
        }
    }

    /// Part files are opened as far as the maximum allows: each takes two descriptors, with its journal.
    fn open_next(&mut self) {
        while let Some(request) = self.downloads.next_to_open() {
            let fallback = Err(errors::internal(&request.paths.target));
            let fallback = DiskResult::Opened { download: request.download, result: fallback };
            self.with_scan_workers(fallback, move |scan_workers, results| {
                part::open::open(scan_workers, results, request)
            });
        }
    }

    /// So many files are hashed for sharing, and so many part files are open, at the same time.
    pub(crate) fn limit(&mut self, hashed: usize, parts: usize) {
        self.hash_queue.max_at_work = hashed;
        self.downloads.limit(parts);
    }

    fn work(&self, task: impl FnOnce(&Results) + Send + 'static) {
        let results = self.results.clone();
        self.queue().push(Priority::Urgent, Box::new(move |_| task(&results)));
    }

    /// `fallback` is the answer when the work ends without one.
    fn with_scan_workers(
        &self,
        fallback: DiskResult,
        task: impl FnOnce(&ScanWorkers, &Results) + Send + 'static,
    ) {
        let scan_workers = ScanWorkers::from(&self.workers);
        let results = self.results.with_fallback(Completion::ForCore(fallback));
        self.queue().push(Priority::Urgent, Box::new(move |_| task(&scan_workers, &results)));
    }

    fn store(
        &self,
        download: DownloadId,
        piece: PieceIndex,
        mut lent: LentBuffer,
        (length, known): (u32, Vec<Range<u32>>),
        expected: ChainingValue,
    ) {
        let part = self.downloads.part(download).map(|(_, part)| part.clone());
        self.work(move |results| {
            let bytes = lent.bytes.get_mut(..length as usize);
            let result = match (&part, bytes) {
                (None, _) => Err(StoreError::Disk(not_open())),
                (Some(_), None) => Err(StoreError::Hash),
                (Some(part), Some(bytes)) => {
                    let stored = results::unless_it_panics(|| {
                        part.store(piece, bytes, &known, &expected)?;
                        part.check_names()?;
                        let planned = |plan| results.send_result(DiskResult::Planned { download, plan });
                        part.newly_planned(&planned)?.into_iter().for_each(planned);
                        Ok(())
                    });
                    stored.unwrap_or_else(|| Err(StoreError::Disk(errors::internal(part.path()))))
                }
            };
            results.send(Completion::Stored { download, piece, lent, result });
        });
    }

    fn preview(&self, download: DownloadId, piece: PieceIndex, lent: LentBuffer, length: u32) {
        let part = self.downloads.part(download).map(|(_, part)| part.clone());
        self.work(move |results| {
            let planned = |plan| results.send_result(DiskResult::Planned { download, plan });
            let bytes = lent.bytes.get(..length as usize).unwrap_or_default();
            let plan = part.and_then(|part| {
                results::unless_it_panics(|| part.previewed(piece, bytes, &planned)).flatten()
            });
            results.send(Completion::Previewed { download, lent, plan });
        });
    }

    fn store_index(
        &self,
        download: DownloadId,
        piece: PieceIndex,
        (index, lent): (Arc<IndexFetch>, LentBuffer),
        length: u32,
        expected: ChainingValue,
    ) {
        self.work(move |results| {
            let bytes = lent.bytes.get(..length as usize).ok_or(StoreError::Hash);
            let stored = bytes.and_then(|bytes| index.store(piece, bytes, &expected));
            let result = stored.map(|plan| {
                let planned = |plan| results.send_result(DiskResult::Planned { download, plan });
                plan.into_iter().for_each(planned);
            });
            results.send(Completion::Stored { download, piece, lent, result });
        });
    }

    fn read_index(&self, download: DownloadId, index: Arc<IndexFetch>) {
        let failed = DiskResult::IndexRead { download, result: Err(errors::internal(Path::new("index"))) };
        let results = self.results.with_fallback(Completion::ForCore(failed));
        self.work(move |_| results.send_result(DiskResult::IndexRead { download, result: index.read() }));
    }

    /// Reads the index of a folder that is served.
    pub(crate) fn read_own_index(&self, download: DownloadId, source: Arc<FolderSource>) {
        self.work(move |results| {
            let folder = Arc::new(source.collection().clone());
            results.send_result(DiskResult::IndexRead { download, result: Ok(Some(folder)) });
        });
    }

    fn finish(&self, download: DownloadId, file: Option<FileMetadata>) {
        let Some((share, part)) = self.downloads.part(download) else {
            let result = Err(not_open());
            return self.results.send_result(DiskResult::Finished { download, result });
        };
        let (share, part, hash_cache) = (share, part.clone(), self.settings.hash_cache.clone());
        let path = part.paths().target.clone();
        let result = Err(errors::internal(&path));
        let results = self.results.with_fallback(Completion::Finished { download, share, path, result });
        let finish = move |_: &mut [u8]| {
            let result = part.finish(file);
            let path = part.paths().target.clone();
            match (&result, hash_cache) {
                (Ok(Finished::File(identity, _)), Some(hash_cache)) => {
                    hash_cache.remember_download(&path, *identity, part.outboard());
                }
                (Ok(Finished::Folder(source)), Some(hash_cache)) => {
                    let content = part.outboard().content();
                    hash_cache.folders().remember(&path, content, source.collection());
                }
                _ => {}
            }
            results.send(Completion::Finished { download, share, path, result });
        };
        self.queue().push(Priority::Urgent, Box::new(finish));
    }

    fn abandon(&mut self, download: DownloadId) {
        if self.indexes.remove(&download).is_some() {
            return;
        }
        match self.downloads.remove(download) {
            Some(DownloadState::Waiting(opening)) => {
                let result = Err(errors::error(&opening.paths.target, DiskErrorKind::Cancelled));
                self.results.send_result(DiskResult::Opened { download, result });
            }
            Some(DownloadState::Opening(stop)) => stop.raise(),
            Some(DownloadState::Open { part, .. }) => {
                part.abandon();
                self.close(part);
            }
            None => {}
        }
        self.open_next();
    }

    /// Drops something that holds files open, off the network thread.
    pub(crate) fn close(&self, what: impl Send + 'static) {
        self.work(move |_| drop(what));
    }

    /// The part file of a download, while it is open.
    pub(crate) fn part_of(&self, download: DownloadId) -> Option<Arc<Part>> {
        self.downloads.part(download).map(|(_, part)| part.clone())
    }

    /// The number under which a download is served, while it is open.
    pub(crate) fn share_of(&self, download: DownloadId) -> Option<ShareId> {
        self.downloads.part(download).map(|(share, _)| share)
    }

    /// A file is hashed. Whether anybody still wants it.
    pub(crate) fn on_shared(&mut self, share: ShareId) -> bool {
        let wanted = self.hash_queue.remove(share);
        self.hash_next();
        wanted
    }

    /// A download is open. Whether anybody still wants it.
    pub(crate) fn on_opened(
        &mut self,
        download: DownloadId,
        share: ShareId,
        part: Option<Arc<Part>>,
    ) -> bool {
        let wanted = matches!(self.downloads.remove(download), Some(DownloadState::Opening(_)));
        match (part, wanted) {
            (Some(part), true) => self.downloads.insert_open(download, share, part),
            (Some(part), false) => {
                part.abandon();
                self.close(part);
            }
            (None, _) => {}
        }
        self.open_next();
        wanted
    }

    /// A download could not be opened, has its name or has failed: its part file is closed.
    pub(crate) fn on_download_ended(&mut self, download: DownloadId) {
        if let Some(DownloadState::Open { part, .. }) = self.downloads.remove(download) {
            self.close(part);
        }
        self.open_next();
    }

    /// About once a second: what was written becomes durable in time even when nothing more arrives, and what was
    /// hashed is remembered.
    pub(crate) fn tick(&self) {
        for part in self.downloads.parts() {
            let part = part.clone();
            self.work(move |_| part.sync_if_due());
        }
        self.save_hash_cache();
    }

    fn save_hash_cache(&self) {
        if let Some(hash_cache) = self.settings.hash_cache.clone() {
            self.work(move |_| hash_cache.save());
        }
    }

    /// Ends the workers. Whether they ended within `timeout`.
    pub(crate) fn stop(mut self, timeout: Duration) -> bool {
        self.hash_queue.stop();
        self.downloads.stop();
        self.save_hash_cache();
        self.workers.stop(timeout)
    }
}

/// What `bytes` prove about `content`.
fn proven(content: ContentId, evidence: Evidence, bytes: &[u8]) -> Result<Outboard, OutboardError> {
    match evidence {
        Evidence::Outboard => Outboard::decode_of(content, bytes),
        Evidence::Piece => {
            let layout = Layout::of(bytes.len() as u64).ok_or(OutboardError::Size)?;
            if piece_value(layout, PieceIndex(0), bytes) != *content.as_bytes() {
                return Err(OutboardError::OtherContent);
            }
            Outboard::of_one_piece(layout, content)
        }
    }
}

fn not_open() -> DiskError {
    errors::error(Path::new(""), DiskErrorKind::Other("the download is not open".to_owned()))
}
