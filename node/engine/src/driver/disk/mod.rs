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

use self::fault_injection::Writing;
use self::hash::hash_queue::HashQueue;
use self::hash::scan::{Crew, StopFlag};
use self::hash::share::Sharing;
use self::part::download_paths::Place;
use self::part::open::Opening;
use self::part::{Part, SyncRule};
use self::store_queue::{StoreOrder, StoreQueue};
use self::workers::{Lane, Workers};
use super::pool::Pool;

pub use self::hash::hash_cache::HashCache;
pub(crate) use self::identity::FileIdentity;
pub(crate) use self::journal::key::KeyOfState;
pub(crate) use self::results::{Completion, Loan, Results};
pub(crate) use self::served_file::{ServedFile, check, forget, let_go, populate, reopen};
pub(crate) use self::workers::Queue;

/// Where one download stands.
enum Slot {
    /// Too many others are open.
    Waiting(Box<Opening>),
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
    rule: SyncRule,
    writing: Writing,
    hashing: HashQueue,
    stores: StoreQueue,
    downloads: BTreeMap<DownloadId, Slot>,
    /// Those that wait, in the order in which they were asked for, and some that are over by now.
    turns: VecDeque<DownloadId>,
    /// How many are open or being opened, and how many may be.
    open: usize,
    most_open: usize,
    memory: Option<Arc<HashCache>>,
    /// Where locks go that the file system does not have.
    locks: Option<Arc<Path>>,
    /// What journals are sealed under: of this life alone, until another is given.
    key: Arc<KeyOfState>,
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
        let rule = SyncRule { bytes: settings.sync_bytes.as_u64(), period: settings.sync_period };
        Ok(Disk {
            workers,
            results,
            rule,
            writing: Writing::default(),
            hashing: HashQueue::default(),
            stores: StoreQueue::default(),
            downloads: BTreeMap::new(),
            turns: VecDeque::new(),
            open: 0,
            most_open: usize::MAX,
            memory: None,
            locks: None,
            key: Arc::default(),
        })
    }

    /// Journals are sealed under `key`, and believed under no other.
    pub(crate) fn seal_under(&mut self, key: KeyOfState) {
        self.key = Arc::new(key);
    }

    /// Part files on file systems without locks are locked in the folder `locks`.
    pub(crate) fn lock_in(&mut self, locks: &Path) {
        self.locks = Some(locks.into());
    }

    /// Takes what was hashed before for true, and remembers what will be.
    pub(crate) fn remember(&mut self, memory: HashCache) {
        let memory = Arc::new(memory);
        self.memory = Some(memory.clone());
        self.work(move |_| memory.sweep());
    }

    /// Where other work for the workers is handed in.
    pub(crate) fn queue(&self) -> &Queue {
        self.workers.queue()
    }

    /// Hands a request on. Buffers that it names leave `pool` until its result is there.
    pub(crate) fn request(&mut self, request: DiskRequest, pool: &mut Pool) {
        match request {
            DiskRequest::Share { share, path } => {
                self.hashing.add(share, path);
                self.hash_next();
            }
            DiskRequest::Unshare { share } => {
                self.hashing.remove(share);
                self.hash_next();
            }
            DiskRequest::CheckManifest { download, buffer, length, content } => {
                let loan = Loan { buffer, bytes: pool.lend(buffer) };
                self.work(move |results| {
                    let bytes = loan.bytes.get(..length as usize).unwrap_or_default();
                    let decoded =
                        results::unless_it_panics(|| Manifest::decode_of(content, bytes).map(Arc::new));
                    // A description on which the decoder stumbles describes nothing.
                    let result = decoded.unwrap_or(Err(ManifestError::Identity));
                    results.send(Completion::ManifestChecked { download, loan, result });
                });
            }
            DiskRequest::Open { download, share, target, replace, content, manifest } => {
                let stop = StopFlag::default();
                let (place, rule) = (Place::of(target, replace), self.rule);
                let (writing, memory, locks) =
                    (self.writing.clone(), self.memory.clone(), self.locks.clone());
                let key = self.key.clone();
                let opening = Opening {
                    download,
                    share,
                    place,
                    content,
                    manifest,
                    rule,
                    writing,
                    memory,
                    locks,
                    key,
                    stop,
                };
                self.forget(download);
                self.downloads.insert(download, Slot::Waiting(Box::new(opening)));
                self.turns.push_back(download);
                self.open_next();
            }
            DiskRequest::Store { download, piece, buffer, length, expected } => {
                let loan = Loan { buffer, bytes: pool.lend(buffer) };
                self.store(download, piece, loan, length, expected);
            }
            DiskRequest::Finish { download } => self.finish(download),
            DiskRequest::Abandon { download } => self.abandon(download),
        }
    }

    /// Files are opened for hashing a few at a time: each takes a descriptor.
    fn hash_next(&mut self) {
        while let Some((share, path, stop)) = self.hashing.next() {
            let otherwise = DiskResult::Shared { share, result: Err(errors::internal(&path)) };
            let sharing = Sharing { share, path, memory: self.memory.clone(), stop };
            self.with_crew(otherwise, move |crew, results| hash::share::share(crew, results, sharing));
        }
    }

    /// Part files are opened as far as there is place: each takes two descriptors, with its journal.
    fn open_next(&mut self) {
        while self.open < self.most_open
            && let Some(download) = self.turns.pop_front()
        {
            let Some(Slot::Waiting(opening)) = self.downloads.remove(&download) else { continue };
            self.downloads.insert(download, Slot::Opening(opening.stop.clone()));
            self.open += 1;
            let otherwise = Err(errors::internal(&opening.place.target));
            let otherwise = DiskResult::Opened { download, result: otherwise };
            self.with_crew(otherwise, move |crew, results| part::open::open(crew, results, *opening));
        }
    }

    /// Takes a download off the books.
    fn forget(&mut self, download: DownloadId) -> Option<Slot> {
        let slot = self.downloads.remove(&download);
        if matches!(slot, Some(Slot::Opening(_) | Slot::Open { .. })) {
            self.open -= 1;
        }
        slot
    }

    /// So many files are hashed for sharing, and so many part files are open, at the same time.
    pub(crate) fn limit(&mut self, hashed: usize, parts: usize) {
        self.hashing.at_once = hashed;
        self.most_open = parts.max(1);
    }

    fn work(&self, task: impl FnOnce(&Results) + Send + 'static) {
        let results = self.results.clone();
        self.queue().push(Lane::Urgent, Box::new(move |_| task(&results)));
    }

    /// `otherwise` is what is said when the work ends without an answer.
    fn with_crew(&self, otherwise: DiskResult, task: impl FnOnce(&Crew, &Results) + Send + 'static) {
        let crew = Crew::from(&self.workers);
        let results = self.results.owing(Completion::Told(otherwise));
        self.queue().push(Lane::Urgent, Box::new(move |_| task(&crew, &results)));
    }

    fn store(&self, download: DownloadId, piece: PieceIndex, loan: Loan, length: u32, expected: PieceHash) {
        let part = match self.downloads.get(&download) {
            Some(Slot::Open { part, .. }) => Some(part.clone()),
            Some(Slot::Waiting(_) | Slot::Opening(_)) | None => None,
        };
        self.stores.add(StoreOrder { download, piece, loan, length, expected, part });
        let stores = self.stores.clone();
        self.work(move |results| stores.serve(results));
    }

    fn finish(&self, download: DownloadId) {
        let Some(Slot::Open { share, part }) = self.downloads.get(&download) else {
            let result = Err(FinishError::Disk(not_open()));
            return self.results.tell(DiskResult::Finished { download, result });
        };
        let (share, part, memory) = (*share, part.clone(), self.memory.clone());
        let path = part.place().target.clone();
        let result = Err(FinishError::Disk(errors::internal(&path)));
        let results = self.results.owing(Completion::Finished { download, share, path, result });
        let finish = move |_: &mut [u8]| {
            let result = part.finish();
            let path = part.place().target.clone();
            if let (Ok(identity), Some(memory)) = (&result, memory) {
                memory.remember_download(&path, *identity, part.manifest());
            }
            results.send(Completion::Finished { download, share, path, result });
        };
        self.queue().push(Lane::Urgent, Box::new(finish));
    }

    fn abandon(&mut self, download: DownloadId) {
        match self.forget(download) {
            Some(Slot::Waiting(opening)) => {
                let result = Err(errors::error(&opening.place.target, DiskErrorKind::Cancelled));
                self.results.tell(DiskResult::Opened { download, result });
            }
            Some(Slot::Opening(stop)) => stop.raise(),
            Some(Slot::Open { part, .. }) => {
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
            Some(Slot::Open { share, .. }) => Some(*share),
            Some(Slot::Waiting(_) | Slot::Opening(_)) | None => None,
        }
    }

    /// A file is hashed. Whether anybody still wants it.
    pub(crate) fn on_shared(&mut self, share: ShareId) -> bool {
        let wanted = self.hashing.remove(share);
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
        let wanted = matches!(self.forget(download), Some(Slot::Opening(_)));
        match (part, wanted) {
            (Some(part), true) => {
                self.open += 1;
                self.downloads.insert(download, Slot::Open { share, part });
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
    pub(crate) fn on_over(&mut self, download: DownloadId) {
        if let Some(Slot::Open { part, .. }) = self.forget(download) {
            self.close(part);
        }
        self.open_next();
    }

    /// About once a second: what was written becomes durable in time even when nothing more arrives, and what was
    /// hashed is remembered.
    pub(crate) fn tick(&self) {
        for slot in self.downloads.values() {
            if let Slot::Open { part, .. } = slot {
                let part = part.clone();
                self.work(move |_| part.sync_if_due());
            }
        }
        self.save_memory();
    }

    fn save_memory(&self) {
        if let Some(memory) = self.memory.clone() {
            self.work(move |_| memory.save());
        }
    }

    /// Ends the workers. Whether they ended within `patience`.
    pub(crate) fn stop(mut self, patience: Duration) -> bool {
        self.hashing.stop();
        while let Some((_, slot)) = self.downloads.pop_first() {
            if let Slot::Opening(stop) = slot {
                stop.raise();
            }
        }
        self.save_memory();
        self.workers.stop(patience)
    }
}

fn not_open() -> DiskError {
    errors::error(Path::new(""), DiskErrorKind::Other("the download is not open".to_owned()))
}
