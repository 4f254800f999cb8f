//! The files that bursts are taken from, and which parts of them are in memory.
//!
//! A page that is not in memory would stop the network thread inside the system call until the disk has found it. So a
//! burst that touches a cold block waits here, with all that follows it to the same destination, until a worker has
//! read the block; the block after the one that is being sent is read ahead. Of the shared files only so many are open
//! ([`OpenFiles`]): bursts from another one wait until a worker has opened it again and found it unchanged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use riffle_core::{Burst, DiskError, DiskErrorKind, ShareId, Source};

use super::cached_file::{BLOCK, CachedFile, Validity};
use super::folder_cache::{FolderCache, FolderLoss, FolderReadiness};
use super::open_files::OpenFiles;
use crate::driver::disk::{
    FileIdentity, FolderFault, FolderSource, Queue, Results, ServedFile, check, close, evict, populate,
    reopen,
};
use crate::platform::aligned_bytes::AlignedBytes;

/// The most blocks of all files together that stay in the process, 1 GiB; the oldest goes first. The system has its own
/// mind about what stays in memory: this only keeps a node from looking as large as everything that it ever sent. (256
/// MiB cost an owner a tenth of its time, spent on unmapping what the next downloader wanted again.)
const MAX_RESIDENT: usize = 512;
/// The most bursts that wait for the disk, to one destination and in all. The rest is dropped; downloaders request
/// it again.
const MAX_WAITING: usize = 4096;
const MAX_WAITING_IN_ALL: usize = 16 * MAX_WAITING;
/// A send that took longer has met pages that were thrown out of memory again (or the thread lost its core: then a
/// few blocks are looked at in vain).
const STALL: Duration = Duration::from_millis(20);

/// The source of a burst's bytes.
#[derive(Clone, Copy)]
pub(crate) enum Bytes<'a> {
    /// A served file, at the offset that the burst names.
    Served(&'a ServedFile),
    /// Memory that has exactly the bytes of the burst.
    Memory(&'a [u8]),
}

/// The counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileCacheCounters {
    /// Bursts that waited for the disk.
    pub(crate) waited: u64,
    /// Sends that met pages which had left memory again.
    pub(crate) stalls: u64,
    /// Files that were opened again.
    pub(crate) reopened: u64,
    /// Bursts whose file was no longer there, or that found too many waiting.
    pub(crate) dropped: u64,
}

/// Every served file of one node.
pub(crate) struct FileCache {
    files: BTreeMap<ShareId, CachedFile>,
    open: OpenFiles,
    /// Files that the system could not open because too many are open. The next tick tries them again.
    refused: Vec<ShareId>,
    /// Files from which something was sent since they were last compared with what was announced.
    used: Vec<ShareId>,
    waiting: BTreeMap<SocketAddr, VecDeque<Burst>>,
    waiting_in_all: usize,
    /// Blocks that were read, the oldest first.
    resident: VecDeque<(ShareId, usize)>,
    queue: Queue,
    results: Results,
    folders: FolderCache,
    counters: FileCacheCounters,
}

impl FileCache {
    /// An empty one, whose reading is done by the workers behind `queue`, and which holds `most_open` shared files
    /// open.
    pub(crate) fn new(queue: Queue, results: Results, most_open: usize) -> FileCache {
        FileCache {
            files: BTreeMap::new(),
            open: OpenFiles::new(most_open),
            refused: Vec::new(),
            used: Vec::new(),
            waiting: BTreeMap::new(),
            waiting_in_all: 0,
            resident: VecDeque::new(),
            queue,
            results,
            folders: FolderCache::default(),
            counters: FileCacheCounters::default(),
        }
    }

    /// Serves a file under its number, and returns the open file that had the number before.
    pub(crate) fn insert(&mut self, share: ShareId, served: ServedFile) -> Option<ServedFile> {
        let shared = served.identity.is_some();
        let before = self.files.insert(share, CachedFile::new(served));
        if shared {
            self.open.opened(share);
            self.close_too_many();
        }
        before.and_then(|before| before.served)
    }

    /// Serves a folder under its number, and returns the open file that had the number before.
    pub(crate) fn insert_folder(&mut self, share: ShareId, source: Arc<FolderSource>) -> Option<ServedFile> {
        let before = self.remove(share);
        self.folders.insert(share, source);
        before
    }

    /// The folder that is served under that number, if it is one.
    pub(crate) fn folder(&self, share: ShareId) -> Option<&Arc<FolderSource>> {
        self.folders.source(share)
    }

    /// Serves a file or a folder no longer, and returns the open file.
    pub(crate) fn remove(&mut self, share: ShareId) -> Option<ServedFile> {
        if self.folders.remove(share) {
            return None;
        }
        let file = self.files.remove(&share);
        self.open.gone(share);
        self.open_wanted();
        file.and_then(|file| file.served)
    }

    /// Notes that a part file is finished and has its name: it must not change any more.
    pub(crate) fn finished(&mut self, share: ShareId, path: PathBuf, identity: FileIdentity) {
        if let Some(file) = self.files.get_mut(&share) {
            if let Some(served) = &mut file.served {
                served.path.clone_from(&path);
                served.identity = Some(identity);
            }
            file.path = path;
            file.identity = Some(identity);
            self.open.opened(share);
            self.close_too_many();
        }
    }

    /// Opens the files that bursts wait for, as far as the maximum allows, and closes others for that.
    pub(crate) fn open_wanted(&mut self) {
        loop {
            while self.open.is_short() && self.close_one() {}
            let Some(share) = self.open.next_to_open() else { return };
            match self.files.get(&share).map(|file| (file, file.identity)) {
                Some((file, Some(identity))) if file.served.is_none() => {
                    self.counters.reopened += 1;
                    reopen(&self.queue, &self.results, share, (file.path.clone(), identity));
                }
                _ => self.open.gone(share),
            }
        }
    }

    fn close_too_many(&mut self) {
        while self.open.too_many() > 0 && self.close_one() {}
    }

    /// Closes the least recently used file of those that no burst waits for. Returns whether there was one.
    fn close_one(&mut self) -> bool {
        let source = |burst: &Burst| match burst.source {
            Source::Share(share) => Some(share),
            Source::Outboard(_) => None,
        };
        // Those behind the first of their queue may need a file that needs the place of this one.
        let needed: BTreeSet<ShareId> =
            self.waiting.values().filter_map(|queue| queue.front().and_then(source)).collect();
        let files = &self.files;
        let closed = self.open.next_to_close(|share| {
            let last_use = files.get(&share).map_or(0, |file| file.last_use);
            (!needed.contains(&share)).then_some(last_use)
        });
        let Some(share) = closed else { return false };
        if let Some(served) = self.files.get_mut(&share).and_then(CachedFile::close) {
            close(&self.queue, served);
        }
        true
    }

    /// A worker has opened a file again, or could not. The error when the file is not what it was.
    pub(crate) fn on_reopened(
        &mut self,
        share: ShareId,
        result: Result<ServedFile, DiskError>,
    ) -> Option<DiskError> {
        self.open.gone(share);
        let file = self.files.get_mut(&share).filter(|file| file.served.is_none());
        let changed = match (result, file) {
            (Ok(served), Some(file)) => {
                file.served = Some(served);
                self.open.opened(share);
                None
            }
            (Ok(served), None) => {
                close(&self.queue, served);
                None
            }
            (Err(error), Some(_)) if error.kind == DiskErrorKind::TooManyOpen => {
                // The file itself is as it was. The files that are open have to do.
                self.open.retreat();
                self.refused.push(share);
                None
            }
            (Err(error), Some(file)) => file.mark_changed(error),
            (Err(_), None) => None,
        };
        self.open_wanted();
        changed
    }

    /// The counts since the start.
    pub(crate) fn counters(&self) -> FileCacheCounters {
        self.counters
    }

    /// The bytes of a burst; `None` when its file is no longer served.
    pub(crate) fn bytes<'a>(&'a self, burst: &'a Burst) -> Option<Bytes<'a>> {
        match &burst.source {
            Source::Share(share) if self.folders.has(*share) => {
                self.folders.bytes(*share, burst).map(Bytes::Memory)
            }
            Source::Share(share) => match self.files.get(share)? {
                CachedFile { validity: Validity::Changed, .. } => None,
                file => file.served.as_ref().map(Bytes::Served),
            },
            Source::Outboard(bytes) => {
                let start = usize::try_from(burst.start).ok()?;
                bytes.get(start..start.checked_add(burst.length as usize)?).map(Bytes::Memory)
            }
        }
    }

    /// Returns the burst when it can be sent now. Otherwise the burst waits or is dropped.
    pub(crate) fn admit(&mut self, burst: Burst) -> Option<Burst> {
        let behind_another = self.waiting.contains_key(&burst.to);
        let ready = match self.readiness(&burst) {
            Readiness::Gone => {
                self.counters.dropped += 1;
                return None;
            }
            readiness => readiness == Readiness::Ready && !behind_another,
        };
        if ready {
            return Some(burst);
        }
        self.wait(burst);
        self.open_wanted();
        None
    }

    fn wait(&mut self, burst: Burst) {
        let before = self.waiting.get(&burst.to).map_or(0, VecDeque::len);
        if before >= MAX_WAITING || self.waiting_in_all >= MAX_WAITING_IN_ALL {
            self.counters.dropped += 1;
            return;
        }
        self.waiting_in_all += 1;
        self.counters.waited += 1;
        self.waiting.entry(burst.to).or_default().push_back(burst);
    }

    /// Whether the burst's pages are in memory; asks for those that are not, and for the next, or for the file.
    fn readiness(&mut self, burst: &Burst) -> Readiness {
        let Source::Share(share) = burst.source else { return Readiness::Ready };
        if self.folders.has(share) {
            return match self.folders.readiness((share, burst), &self.queue, &self.results) {
                FolderReadiness::Ready => Readiness::Ready,
                FolderReadiness::Cold => Readiness::Cold,
                FolderReadiness::Gone => Readiness::Gone,
            };
        }
        let Some(file) = self.files.get_mut(&share) else { return Readiness::Gone };
        let blocks = blocks_of(burst);
        if file.validity == Validity::Changed || *blocks.end() >= file.blocks {
            return Readiness::Gone;
        }
        file.last_use = self.open.number_use();
        if !std::mem::replace(&mut file.used, true) {
            self.used.push(share);
        }
        let Some(served) = &file.served else {
            self.open.want(share);
            return Readiness::Cold;
        };
        let warm = blocks.clone().all(|block| file.warm.contains(block));
        for block in *blocks.start()..file.blocks.min(blocks.end() + 2) {
            if !file.warm.contains(block) && !file.requested.put(block) {
                let order = (share, block, file.span(block));
                populate(&self.queue, &self.results, served, order);
            }
        }
        if warm { Readiness::Ready } else { Readiness::Cold }
    }

    /// A worker has read a block of a folder, or could not: then files of the folder have changed.
    pub(crate) fn on_folder_read(
        &mut self,
        share: ShareId,
        block: usize,
        result: Result<AlignedBytes, FolderFault>,
    ) -> Option<FolderLoss> {
        self.folders.on_read(share, block, result)
    }

    /// A worker has read a block, or could not: then the file has changed.
    pub(crate) fn on_populated(
        &mut self,
        share: ShareId,
        block: usize,
        result: Result<(), DiskError>,
    ) -> Option<DiskError> {
        let file = self.files.get_mut(&share)?;
        if block < file.blocks {
            file.requested.remove(block);
            file.warm.set(block, file.served.is_some());
        }
        let changed = result.err().and_then(|error| file.mark_changed(error));
        self.resident.push_back((share, block));
        if self.resident.len() > MAX_RESIDENT {
            self.evict_oldest();
        }
        changed
    }

    fn evict_oldest(&mut self) {
        let (share, block) = self.resident.pop_front().expect("more blocks are resident than may be");
        if let Some(file) = self.files.get_mut(&share).filter(|file| block < file.blocks) {
            file.warm.remove(block);
            if let Some(served) = &file.served {
                evict(&self.queue, served, file.span(block));
            }
        }
    }

    /// A worker has compared a file with what was announced.
    pub(crate) fn on_checked(&mut self, share: ShareId, result: Result<(), DiskError>) -> Option<DiskError> {
        let file = self.files.get_mut(&share)?;
        if file.validity == Validity::Checking {
            file.validity = Validity::Unchanged;
        }
        result.err().and_then(|error| file.mark_changed(error))
    }

    /// The system found that the burst's file does not have its bytes.
    pub(crate) fn on_fault(&mut self, burst: &Burst) -> Option<(ShareId, DiskError)> {
        let Source::Share(share) = burst.source else { return None };
        let file = self.files.get_mut(&share)?;
        let error = DiskError { path: file.path.clone(), kind: DiskErrorKind::Changed };
        file.mark_changed(error).map(|error| (share, error))
    }

    /// A burst was sent, and this is how long the system call took.
    pub(crate) fn on_sent(&mut self, burst: &Burst, took: Duration) {
        if took < STALL {
            return;
        }
        let Source::Share(share) = burst.source else { return };
        if let Some(file) = self.files.get_mut(&share) {
            self.counters.stalls += 1;
            file.warm.clear();
        }
    }

    /// Moves what no longer has to wait into `ready`, in order. When that is sent, [`FileCache::open_wanted`].
    pub(crate) fn take_ready(&mut self, ready: &mut Vec<Burst>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|_, queue| {
            while let Some(burst) = queue.front() {
                match self.readiness(burst) {
                    Readiness::Cold => return true,
                    Readiness::Ready => ready.extend(queue.pop_front()),
                    Readiness::Gone => {
                        self.counters.dropped += 1;
                        queue.pop_front();
                    }
                }
                self.waiting_in_all -= 1;
            }
            false
        });
        self.waiting = waiting;
    }

    /// About once a second: compares the files that were served since with what was announced, and asks again for those
    /// that the system had no place for.
    pub(crate) fn tick(&mut self) {
        for share in std::mem::take(&mut self.used) {
            let Some(file) = self.files.get_mut(&share) else { continue };
            match (file.validity, &file.served) {
                // The comparison that is under way may have looked too early.
                (Validity::Checking, Some(_)) => self.used.push(share),
                (Validity::Unchanged, Some(served)) if served.identity.is_some() => {
                    file.used = false;
                    file.validity = Validity::Checking;
                    check(&self.queue, &self.results, served, share);
                }
                // A part file; or it is looked at when it is opened again.
                _ => file.used = false,
            }
        }
        for share in std::mem::take(&mut self.refused) {
            self.open.want(share);
        }
        self.open_wanted();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    Cold,
    Gone,
}

fn blocks_of(burst: &Burst) -> RangeInclusive<usize> {
    let last = burst.start + u64::from(burst.length.max(1)) - 1;
    (burst.start / BLOCK) as usize..=(last / BLOCK) as usize
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod many_tests;
