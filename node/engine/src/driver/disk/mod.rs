//! The disk, as the network thread sees it: requests are handed to the workers, what they come to arrives as [`Completion`].
//!
//! Nothing here touches a file on the network thread.

mod errors;
mod fault_injection;
mod file_owner;
mod hash;
mod identity;
mod journal;
mod part;
mod results;
mod served_file;
mod store_queue;
mod workers;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use messages::{Manifest, ManifestError, PieceHash, PieceIndex};
use riffle_core::{DiskError, DiskErrorKind, DiskRequest, DiskResult, DownloadId, FinishError, ShareId};

use self::fault_injection::DiskCalls;
use self::hash::hash_queue::HashQueue;
use self::hash::scan::{ScanWorkers, StopFlag};
use self::hash::share::ShareRequest;
use self::part::download_paths::DownloadPaths;
use self::part::open::OpenRequest;
use self::part::{Part, SyncRule};
use self::store_queue::{StoreOrder, StoreQueue};
use self::workers::{Priority, Workers};
use super::pool::Pool;

pub use self::hash::hash_cache::HashCache;
pub(crate) use self::identity::FileIdentity;
pub(crate) use self::journal::key::StateKey;
pub(crate) use self::results::{Completion, LentBuffer, Results};
pub(crate) use self::served_file::{ServedFile, check, close, evict, populate, reopen};
pub(crate) use self::workers::Queue;

/// Where one download stands.
enum DownloadState {
    /// Too many others are open.
    Waiting(Box<OpenRequest>),
    Opening(StopFlag),
    Open {
        share: ShareId,
        part: Arc<Part>,
    },
}

/// The network thread's end of the disk.
pub(crate) struct Disk {
    workers: Workers,
    results: Results,
    sync_rule: SyncRule,
    calls: DiskCalls,
    hash_queue: HashQueue,
    store_queue: StoreQueue,
    downloads: BTreeMap<DownloadId, DownloadState>,
    /// Those that wait, in the order in which they were asked for, and some that are over by now.
    waiting: VecDeque<DownloadId>,
    /// How many are open or being opened, and how many may be.
    open: usize,
    max_open: usize,
    hash_cache: Option<Arc<HashCache>>,
    /// Where locks go that the file system does not have.
    lock_folder: Option<Arc<Path>>,
    /// What journals are sealed under: of this life alone, until another is given.
    key: Arc<StateKey>,
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
            sync_rule,
            calls: DiskCalls::default(),
            hash_queue: HashQueue::default(),
            store_queue: StoreQueue::default(),
            downloads: BTreeMap::new(),
            waiting: VecDeque::new(),
            open: 0,
            max_open: usize::MAX,
            hash_cache: None,
            lock_folder: None,
            key: Arc::default(),
        })
    }

    /// Journals are sealed under `key`, and believed under no other.
    pub(crate) fn seal_under(&mut self, key: StateKey) {
        self.key = Arc::new(key);
    }

    /// Part files on file systems without locks are locked in the folder `lock_folder`.
    pub(crate) fn lock_in(&mut self, lock_folder: &Path) {
        self.lock_folder = Some(lock_folder.into());
    }

    /// Takes what was hashed before for true, and remembers what will be.
    pub(crate) fn remember(&mut self, hash_cache: HashCache) {
        let hash_cache = Arc::new(hash_cache);
        self.hash_cache = Some(hash_cache.clone());
        self.work(move |_| hash_cache.sweep());
    }

    /// Where other work for the workers is handed in.
    pub(crate) fn queue(&self) -> &Queue {
        self.workers.queue()
    }

    /// Hands a request on. Buffers that it names leave `pool` until its result is there.
    pub(crate) fn request(&mut self, request: DiskRequest, pool: &mut Pool) {
        match request {
            DiskRequest::Share { share, path } => {
                self.hash_queue.add(share, path);
                self.hash_next();
            }
            DiskRequest::Unshare { share } => {
                self.hash_queue.remove(share);
                self.hash_next();
            }
            DiskRequest::CheckManifest { download, buffer, length, content } => {
                let lent = LentBuffer { buffer, bytes: pool.lend(buffer) };
                self.work(move |results| {
                    let bytes = lent.bytes.get(..length as usize).unwrap_or_default();
                    let decoded =
                        results::unless_it_panics(|| Manifest::decode_of(content, bytes).map(Arc::new));
                    // A description on which the decoder stumbles describes nothing.
                    let result = decoded.unwrap_or(Err(ManifestError::Identity));
                    results.send(Completion::ManifestChecked { download, lent, result });
                });
            }
            DiskRequest::Open { download, share, target, replace, content, manifest } => {
                let stop = StopFlag::default();
                let (paths, sync_rule) = (DownloadPaths::of(target, replace), self.sync_rule);
                let (calls, hash_cache, lock_folder) =
                    (self.calls.clone(), self.hash_cache.clone(), self.lock_folder.clone());
                let key = self.key.clone();
                let opening = OpenRequest {
                    download,
                    share,
                    paths,
                    content,
                    manifest,
                    sync_rule,
                    calls,
                    hash_cache,
                    lock_folder,
                    key,
                    stop,
                };
                self.remove(download);
                self.downloads.insert(download, DownloadState::Waiting(Box::new(opening)));
                self.waiting.push_back(download);
                self.open_next();
            }
            DiskRequest::Store { download, piece, buffer, length, expected } => {
                let lent = LentBuffer { buffer, bytes: pool.lend(buffer) };
                self.store(download, piece, lent, length, expected);
            }
            DiskRequest::Finish { download } => self.finish(download),
            DiskRequest::Abandon { download } => self.abandon(download),
        }
    }

    /// Files are opened for hashing a few at a time: each takes a descriptor.
    fn hash_next(&mut self) {
        while let Some((share, path, stop)) = self.hash_queue.next() {
            let fallback = DiskResult::Shared { share, result: Err(errors::internal(&path)) };
            let sharing = ShareRequest { share, path, hash_cache: self.hash_cache.clone(), stop };
            self.with_scan_workers(fallback, move |scan_workers, results| {
                hash::share::share(scan_workers, results, sharing)
            });
        }
    }

    /// Part files are opened as far as there is place: each takes two descriptors, with its journal.
    fn open_next(&mut self) {
        while self.open < self.max_open
            && let Some(download) = self.waiting.pop_front()
        {
            let Some(DownloadState::Waiting(opening)) = self.downloads.remove(&download) else { continue };
            self.downloads.insert(download, DownloadState::Opening(opening.stop.clone()));
            self.open += 1;
            let fallback = Err(errors::internal(&opening.paths.target));
            let fallback = DiskResult::Opened { download, result: fallback };
            self.with_scan_workers(fallback, move |scan_workers, results| {
                part::open::open(scan_workers, results, *opening)
            });
        }
    }

    /// Takes a download off the books.
    fn remove(&mut self, download: DownloadId) -> Option<DownloadState> {
        let state = self.downloads.remove(&download);
        if matches!(state, Some(DownloadState::Opening(_) | DownloadState::Open { .. })) {
            self.open -= 1;
        }
        state
    }

    /// So many files are hashed for sharing, and so many part files are open, at the same time.
    pub(crate) fn limit(&mut self, hashed: usize, parts: usize) {
        self.hash_queue.max_at_work = hashed;
        self.max_open = parts.max(1);
    }

    fn work(&self, task: impl FnOnce(&Results) + Send + 'static) {
        let results = self.results.clone();
        self.queue().push(Priority::Urgent, Box::new(move |_| task(&results)));
    }

    /// `fallback` is what is said when the work ends without an answer.
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
        lent: LentBuffer,
        length: u32,
        expected: PieceHash,
    ) {
        let part = match self.downloads.get(&download) {
            Some(DownloadState::Open { part, .. }) => Some(part.clone()),
            Some(DownloadState::Waiting(_) | DownloadState::Opening(_)) | None => None,
        };
        self.store_queue.add(StoreOrder { download, piece, lent, length, expected, part });
        let store_queue = self.store_queue.clone();
        self.work(move |results| store_queue.serve(results));
    }

    fn finish(&self, download: DownloadId) {
        let Some(DownloadState::Open { share, part }) = self.downloads.get(&download) else {
            let result = Err(FinishError::Disk(not_open()));
            return self.results.send_result(DiskResult::Finished { download, result });
        };
        let (share, part, hash_cache) = (*share, part.clone(), self.hash_cache.clone());
        let path = part.paths().target.clone();
        let result = Err(FinishError::Disk(errors::internal(&path)));
        let results = self.results.with_fallback(Completion::Finished { download, share, path, result });
        let finish = move |_: &mut [u8]| {
            let result = part.finish();
            let path = part.paths().target.clone();
            if let (Ok(identity), Some(hash_cache)) = (&result, hash_cache) {
                hash_cache.remember_download(&path, *identity, part.manifest());
            }
            results.send(Completion::Finished { download, share, path, result });
        };
        self.queue().push(Priority::Urgent, Box::new(finish));
    }

    fn abandon(&mut self, download: DownloadId) {
        match self.remove(download) {
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

    /// The number under which a download is served, while it is open.
    pub(crate) fn share_of(&self, download: DownloadId) -> Option<ShareId> {
        match self.downloads.get(&download) {
            Some(DownloadState::Open { share, .. }) => Some(*share),
            Some(DownloadState::Waiting(_) | DownloadState::Opening(_)) | None => None,
        }
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
        let wanted = matches!(self.remove(download), Some(DownloadState::Opening(_)));
        match (part, wanted) {
            (Some(part), true) => {
                self.open += 1;
                self.downloads.insert(download, DownloadState::Open { share, part });
            }
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
        if let Some(DownloadState::Open { part, .. }) = self.remove(download) {
            self.close(part);
        }
        self.open_next();
    }

    /// About once a second: what was written becomes durable in time even when nothing more arrives, and what was
    /// hashed is remembered.
    pub(crate) fn tick(&self) {
        for state in self.downloads.values() {
            if let DownloadState::Open { part, .. } = state {
                let part = part.clone();
                self.work(move |_| part.sync_if_due());
            }
        }
        self.save_hash_cache();
    }

    fn save_hash_cache(&self) {
        if let Some(hash_cache) = self.hash_cache.clone() {
            self.work(move |_| hash_cache.save());
        }
    }

    /// Ends the workers. Whether they ended within `timeout`.
    pub(crate) fn stop(mut self, timeout: Duration) -> bool {
        self.hash_queue.stop();
        while let Some((_, state)) = self.downloads.pop_first() {
            if let DownloadState::Opening(stop) = state {
                stop.raise();
            }
        }
        self.save_hash_cache();
        self.workers.stop(timeout)
    }
}

fn not_open() -> DiskError {
    errors::error(Path::new(""), DiskErrorKind::Other("the download is not open".to_owned()))
}
