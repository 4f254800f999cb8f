//! The disk, as the network thread sees it: requests are handed to the workers, what they come to arrives as [`Done`].
//!
//! Nothing here touches a file on the network thread.

mod before;
mod fault;
mod identity;
mod journal;
mod memory;
mod open;
mod part;
mod place;
mod room;
mod scan;
mod share;
mod tree;
mod workers;
mod writing;

#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use messages::{Manifest, ManifestError, PieceHash, PieceIndex};
use node::{
    BufferId, DiskError, DiskErrorKind, DiskRequest, DiskResult, DownloadId, FinishError, Opened, ShareId,
    StoreError,
};
use tokio::sync::mpsc;

use self::open::Opening;
use self::part::{Part, SyncRule};
use self::place::Place;
use self::scan::{Crew, StopFlag};
use self::share::Sharing;
use self::workers::{Lane, Workers};
use self::writing::Writing;
use super::mapping::MappedFile;
use super::pool::Pool;

pub(crate) use self::identity::FileIdentity;
pub(crate) use self::memory::Memory;
pub(crate) use self::workers::Queue;

/// A file that bursts are taken from.
pub(crate) struct ServedFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// It, opened.
    pub(crate) file: Arc<File>,
    /// Its bytes; `None` when it has none.
    pub(crate) map: Option<Arc<MappedFile>>,
    /// What it must stay; `None` while it is a part file, which changes.
    pub(crate) identity: Option<FileIdentity>,
}

/// What a worker has done.
pub(crate) enum Done {
    /// Something that only the core needs to hear.
    Told(DiskResult),
    /// A file is hashed and open.
    Shared { share: ShareId, manifest: Arc<Manifest>, served: ServedFile },
    /// A manifest was checked.
    ManifestChecked { download: DownloadId, loan: Loan, result: Result<Arc<Manifest>, ManifestError> },
    /// A download's files are open; `part` is `None` when the target was there already.
    Opened {
        download: DownloadId,
        share: ShareId,
        opened: Opened,
        served: ServedFile,
        part: Option<Arc<Part>>,
    },
    /// A piece was stored, or not.
    Stored { download: DownloadId, piece: PieceIndex, loan: Loan, result: Result<(), StoreError> },
    /// A download has its name, or not.
    Finished {
        download: DownloadId,
        share: ShareId,
        path: PathBuf,
        result: Result<FileIdentity, FinishError>,
    },
    /// A block of a served file was read into memory.
    Populated { share: ShareId, block: usize, result: Result<(), DiskError> },
    /// A served file was compared with what was announced.
    Checked { share: ShareId, result: Result<(), DiskError> },
}

/// A pool buffer on its way through a worker.
pub(crate) struct Loan {
    /// Its number.
    pub(crate) buffer: BufferId,
    /// Its memory.
    pub(crate) bytes: Box<[u8]>,
}

/// Where workers say what they have done.
#[derive(Clone)]
pub(crate) struct Results(mpsc::UnboundedSender<Done>);

impl Results {
    /// Results, and where they arrive.
    pub(crate) fn channel() -> (Results, mpsc::UnboundedReceiver<Done>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Results(sender), receiver)
    }

    /// Says it; nobody listens when the node has ended.
    pub(crate) fn send(&self, done: Done) {
        let _ = self.0.send(done);
    }

    fn tell(&self, result: DiskResult) {
        self.send(Done::Told(result));
    }
}

/// Where one download stands.
enum Slot {
    Opening(StopFlag),
    Open { share: ShareId, part: Arc<Part> },
}

/// The network thread's end of the disk.
pub(crate) struct Disk {
    workers: Workers,
    results: Results,
    rule: SyncRule,
    writing: Writing,
    hashing: BTreeMap<ShareId, StopFlag>,
    downloads: BTreeMap<DownloadId, Slot>,
    memory: Option<Arc<Memory>>,
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
        let (writing, hashing, downloads) = (Writing::default(), BTreeMap::new(), BTreeMap::new());
        Ok(Disk { workers, results, rule, writing, hashing, downloads, memory: None })
    }

    /// Takes what was hashed before for true, and remembers what will be.
    pub(crate) fn remember(&mut self, memory: Memory) {
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
                let stop = StopFlag::default();
                self.hashing.insert(share, stop.clone());
                let sharing = Sharing { share, path, memory: self.memory.clone(), stop };
                self.with_crew(move |crew, results| share::share(crew, results, sharing));
            }
            DiskRequest::Unshare { share } => {
                if let Some(stop) = self.hashing.remove(&share) {
                    stop.raise();
                }
            }
            DiskRequest::CheckManifest { download, buffer, length, content } => {
                let loan = Loan { buffer, bytes: pool.lend(buffer) };
                self.work(move |results| {
                    let bytes = loan.bytes.get(..length as usize).unwrap_or_default();
                    let result = Manifest::decode_of(content, bytes).map(Arc::new);
                    results.send(Done::ManifestChecked { download, loan, result });
                });
            }
            DiskRequest::Open { download, share, target, content, manifest } => {
                let stop = StopFlag::default();
                self.downloads.insert(download, Slot::Opening(stop.clone()));
                let (place, rule) = (Place::of(target), self.rule);
                let (writing, memory) = (self.writing.clone(), self.memory.clone());
                let opening =
                    Opening { download, share, place, content, manifest, rule, writing, memory, stop };
                self.with_crew(move |crew, results| open::open(crew, results, opening));
            }
            DiskRequest::Store { download, piece, buffer, length, expected } => {
                let loan = Loan { buffer, bytes: pool.lend(buffer) };
                self.store(download, piece, loan, length, expected);
            }
            DiskRequest::Finish { download } => self.finish(download),
            DiskRequest::Abandon { download } => self.abandon(download),
        }
    }

    fn work(&self, task: impl FnOnce(&Results) + Send + 'static) {
        let results = self.results.clone();
        self.queue().push(Lane::Urgent, Box::new(move |_| task(&results)));
    }

    fn with_crew(&self, task: impl FnOnce(&Crew, &Results) + Send + 'static) {
        let crew = Crew::from(&self.workers);
        self.work(move |results| task(&crew, results));
    }

    fn store(&self, download: DownloadId, piece: PieceIndex, loan: Loan, length: u32, expected: PieceHash) {
        let part = match self.downloads.get(&download) {
            Some(Slot::Open { part, .. }) => Some(part.clone()),
            Some(Slot::Opening(_)) | None => None,
        };
        self.work(move |results| {
            let result = match part {
                Some(part) => {
                    part.store(piece, loan.bytes.get(..length as usize).unwrap_or_default(), &expected)
                }
                None => Err(StoreError::Disk(not_open())),
            };
            results.send(Done::Stored { download, piece, loan, result });
        });
    }

    fn finish(&self, download: DownloadId) {
        let Some(Slot::Open { share, part }) = self.downloads.get(&download) else {
            let result = Err(FinishError::Disk(not_open()));
            return self.results.tell(DiskResult::Finished { download, result });
        };
        let (share, part, memory) = (*share, part.clone(), self.memory.clone());
        self.work(move |results| {
            let result = part.finish();
            let path = part.place().target.clone();
            if let (Ok(identity), Some(memory)) = (&result, memory) {
                memory.remember_download(&path, *identity, part.manifest());
            }
            results.send(Done::Finished { download, share, path, result });
        });
    }

    fn abandon(&mut self, download: DownloadId) {
        match self.downloads.remove(&download) {
            Some(Slot::Opening(stop)) => stop.raise(),
            Some(Slot::Open { part, .. }) => {
                part.abandon();
                self.close(part);
            }
            None => {}
        }
    }

    /// Drops something that holds files open, off the network thread.
    pub(crate) fn close(&self, what: impl Send + 'static) {
        self.work(move |_| drop(what));
    }

    /// The number under which a download is served, while it is open.
    pub(crate) fn share_of(&self, download: DownloadId) -> Option<ShareId> {
        match self.downloads.get(&download) {
            Some(Slot::Open { share, .. }) => Some(*share),
            Some(Slot::Opening(_)) | None => None,
        }
    }

    /// A file is hashed. Whether anybody still wants it.
    pub(crate) fn on_shared(&mut self, share: ShareId) -> bool {
        self.hashing.remove(&share).is_some()
    }

    /// A download is open. Whether anybody still wants it.
    pub(crate) fn on_opened(
        &mut self,
        download: DownloadId,
        share: ShareId,
        part: Option<Arc<Part>>,
    ) -> bool {
        let wanted = matches!(self.downloads.remove(&download), Some(Slot::Opening(_)));
        match (part, wanted) {
            (Some(part), true) => {
                self.downloads.insert(download, Slot::Open { share, part });
            }
            (Some(part), false) => {
                part.abandon();
                self.close(part);
            }
            (None, _) => {}
        }
        wanted
    }

    /// A download could not be opened, has its name or has failed: its part file is closed.
    pub(crate) fn on_over(&mut self, download: DownloadId) {
        if let Some(Slot::Open { part, .. }) = self.downloads.remove(&download) {
            self.close(part);
        }
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
        while let Some((_, stop)) = self.hashing.pop_first() {
            stop.raise();
        }
        while let Some((_, slot)) = self.downloads.pop_first() {
            if let Slot::Opening(stop) = slot {
                stop.raise();
            }
        }
        self.save_memory();
        self.workers.stop(patience)
    }
}

/// Reads `range` of a served file into memory on a worker, then reports `block`.
pub(crate) fn populate(
    queue: &Queue,
    results: &Results,
    served: &ServedFile,
    (share, block, range): (ShareId, usize, Range<u64>),
) {
    let Some(map) = served.map.clone() else { return };
    let (file, path, results) = (served.file.clone(), served.path.clone(), results.clone());
    queue.push(
        Lane::Urgent,
        Box::new(move |scratch| {
            let populated = match map.populate(range.clone()) {
                // An older system: reading the bytes fills the page cache just as well.
                Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => read_over(&file, range, scratch),
                other => other,
            };
            // Whatever keeps the pages from being there, the file can no longer be served from them.
            let result = populated.map_err(|_| fault::error(&path, DiskErrorKind::Changed));
            results.send(Done::Populated { share, block, result });
        }),
    );
}

/// Takes `range` of a served file out of the process's memory, on a worker.
pub(crate) fn forget(queue: &Queue, served: &ServedFile, range: Range<u64>) {
    if let Some(map) = served.map.clone() {
        queue.push(Lane::Urgent, Box::new(move |_| map.forget(range)));
    }
}

/// Looks on a worker whether a served file is still what was announced, if it must be.
pub(crate) fn check(queue: &Queue, results: &Results, served: &ServedFile, share: ShareId) {
    let Some(identity) = served.identity else { return };
    let (file, path, results) = (served.file.clone(), served.path.clone(), results.clone());
    queue.push(
        Lane::Urgent,
        Box::new(move |_| {
            let result = identity.check(&path, &file);
            results.send(Done::Checked { share, result });
        }),
    );
}

fn read_over(file: &File, range: Range<u64>, scratch: &mut [u8]) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let length = scratch.len().min((range.end - at) as usize);
        file.read_exact_at(&mut scratch[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

fn not_open() -> DiskError {
    fault::error(Path::new(""), DiskErrorKind::Other("the download is not open".to_owned()))
}
