//! Hashing the files of a folder on all workers, each worker one file at a time. What changes meanwhile is told apart
//! from what cannot be read.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use messages::collection::{EntryPath, FileEntry, Modified};
use riffle_core::{DiskError, DiskErrorKind};

use super::roots::Roots;
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::hash::scan::{ScanWorkers, StopFlag};
use crate::driver::disk::hash::share::open_regular;
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::workers::{Priority, Queue};
use crate::platform::file_io::read_at;
use crate::platform::permissions::is_executable;

/// A slice hashes so many bytes, for a few milliseconds. Urgent tasks run in between.
const SLICE: u64 = 8 << 20;
/// A file counts as so many bytes beside its own, since opening it takes about as long.
const COST_OF_FILE: u64 = 32 << 10;
/// Progress is reported at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// A file of a folder, hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashedFile {
    pub(super) length: u64,
    pub(super) hash: [u8; 32],
    pub(super) is_executable: bool,
    pub(super) modified: Option<Modified>,
    pub(super) identity: FileIdentity,
}

impl HashedFile {
    /// Leaves out all but its bytes.
    pub(super) fn forget_metadata(&mut self) {
        (self.is_executable, self.modified) = (false, None);
    }

    /// Its fields in the index.
    pub(super) fn entry(&self) -> FileEntry {
        let HashedFile { length, hash, is_executable, modified, .. } = *self;
        FileEntry { length, hash, is_executable, modified }
    }
}

/// Which files of which collection are to be hashed.
pub(super) struct FilesOrder {
    pub(super) roots: Roots,
    pub(super) files: Vec<EntryPath>,
    /// Who may stop it.
    pub(super) stop: StopFlag,
    /// Receives how many bytes are hashed so far, now and then.
    pub(super) progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// A file that is hashed, or why it is not what it was when the hashing of it began.
pub(super) type HashedOrChanged = Result<HashedFile, DiskError>;

/// What is done with the hashes, in the order of the files, which are handed back; runs on a worker. `None`: the
/// hashing was stopped.
pub(super) type OnHashed =
    Box<dyn FnOnce(Vec<EntryPath>, Option<Result<Vec<HashedOrChanged>, DiskError>>) + Send>;

struct Hashing {
    order: FilesOrder,
    queue: Queue,
    state: Mutex<HashingState>,
}

struct HashingState {
    next: usize,
    /// Slices that are queued or at work; the last one to end hands the hashes on.
    slices: usize,
    bytes: u64,
    reported_at: Instant,
    hashed: Vec<Option<HashedOrChanged>>,
    failed: Option<DiskError>,
    on_hashed: Option<OnHashed>,
}

/// A file that is being hashed, in several slices when it is long.
struct OpenFile {
    /// Its index in the order.
    index: usize,
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    identity: FileIdentity,
    is_executable: bool,
    at: u64,
}

/// Starts to hash files. `on_hashed` is called in any case, unless the workers stop.
pub(super) fn hash_files(scan_workers: &ScanWorkers, order: FilesOrder, on_hashed: OnHashed) {
    let count = order.files.len();
    let slices = scan_workers.width.min(count).max(1);
    let state = HashingState {
        next: 0,
        slices,
        bytes: 0,
        reported_at: Instant::now(),
        hashed: (0..count).map(|_| None).collect(),
        failed: None,
        on_hashed: Some(on_hashed),
    };
    let hashing = Arc::new(Hashing { order, queue: scan_workers.queue.clone(), state: Mutex::new(state) });
    for _ in 0..slices {
        Hashing::queue_slice(hashing.clone(), None);
    }
}

impl Hashing {
    fn queue_slice(hashing: Arc<Hashing>, file: Option<OpenFile>) {
        let queue = hashing.queue.clone();
        queue.push(Priority::Background, Box::new(move |block| hashing.slice(file, block)));
    }

    fn state(&self) -> MutexGuard<'_, HashingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a slice's bytes: of the file that the slice before has begun, then of the next ones.
    fn slice(self: Arc<Hashing>, mut file: Option<OpenFile>, block: &mut [u8]) {
        let mut left = SLICE;
        while left > 0 {
            let mut state = self.state();
            let is_given_up = state.failed.is_some() || self.order.stop.is_raised();
            let has_next = file.is_some() || state.next < self.order.files.len();
            if is_given_up || !has_next {
                state.slices -= 1;
                if state.slices == 0 {
                    self.conclude(state);
                }
                return;
            }
            let begun = file.take();
            let index = begun.as_ref().map_or(state.next, |open| open.index);
            state.next += usize::from(begun.is_none());
            drop(state);
            let opened = begun.map_or_else(|| self.open(index), Ok);
            match opened.and_then(|open| self.advance(open, left, block)) {
                Ok((rest, hashed)) => {
                    left = left.saturating_sub(hashed + COST_OF_FILE);
                    file = rest;
                }
                Err(changed) if is_change(&changed.kind) => self.state().hashed[index] = Some(Err(changed)),
                Err(failed) => self.state().failed = Some(failed),
            }
        }
        Hashing::queue_slice(self, file);
    }

    fn open(&self, index: usize) -> Result<OpenFile, DiskError> {
        let path = self.order.roots.path_of(&self.order.files[index]);
        let file = open_regular(&path)?;
        let found = file.metadata().map_err(|cause| disk_error(&path, &cause))?;
        let (identity, is_executable) = (FileIdentity::of(&found), is_executable(&found));
        Ok(OpenFile { index, path, file, hasher: blake3::Hasher::new(), identity, is_executable, at: 0 })
    }

    /// Hashes at most `most` bytes of the file. Returns the file when there is more of it, and how many bytes that was.
    fn advance(
        &self,
        mut open: OpenFile,
        most: u64,
        block: &mut [u8],
    ) -> Result<(Option<OpenFile>, u64), DiskError> {
        let begin = open.at;
        loop {
            let read = read_at(&open.file, block, open.at).map_err(|cause| disk_error(&open.path, &cause))?;
            if read == 0 {
                break;
            }
            open.hasher.update(&block[..read]);
            open.at += read as u64;
            // A short read of a regular file is its end, so that small files need no second one.
            if open.at == open.identity.length() && read < block.len() {
                break;
            }
            if open.at - begin >= most {
                self.count(open.at - begin);
                let hashed = open.at - begin;
                return Ok((Some(open), hashed));
            }
        }
        let hashed = open.at - begin;
        self.finish(open)?;
        self.count(hashed);
        Ok((None, hashed))
    }

    fn finish(&self, open: OpenFile) -> Result<(), DiskError> {
        let now =
            FileIdentity::of_file(&open.file).map_err(|cause: io::Error| disk_error(&open.path, &cause))?;
        if open.at != open.identity.length() || now != open.identity {
            return Err(error(&open.path, DiskErrorKind::Changed));
        }
        let (seconds, nanos) = open.identity.modified();
        let hashed = HashedFile {
            length: open.at,
            hash: *open.hasher.finalize().as_bytes(),
            is_executable: open.is_executable,
            modified: Some(Modified { seconds, nanos: u32::try_from(nanos).unwrap_or(0).min(999_999_999) }),
            identity: open.identity,
        };
        self.state().hashed[open.index] = Some(Ok(hashed));
        Ok(())
    }

    fn count(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes += bytes;
        let now = Instant::now();
        if now.duration_since(state.reported_at) >= PROGRESS_PERIOD {
            state.reported_at = now;
            (self.order.progress)(state.bytes);
        }
    }

    fn conclude(&self, mut state: MutexGuard<'_, HashingState>) {
        let hashed: Option<Vec<_>> = std::mem::take(&mut state.hashed).into_iter().collect();
        let outcome = match state.failed.take() {
            Some(failed) => Some(Err(failed)),
            None => hashed.map(Ok),
        };
        let on_hashed = state.on_hashed.take().expect("one slice is the last to end");
        drop(state);
        on_hashed(self.order.files.clone(), outcome);
    }
}

/// Whether a file that fails so was changed or taken away by somebody.
pub(super) fn is_change(kind: &DiskErrorKind) -> bool {
    matches!(kind, DiskErrorKind::Changed | DiskErrorKind::NotFound)
}
