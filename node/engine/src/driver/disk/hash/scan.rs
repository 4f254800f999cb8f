//! Hashing pieces of a file on all workers, a few side by side, with positioned reads.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use messages::{Layout, PieceIndex};

use super::piece_hasher::{PieceDigest, PieceHasher};
use super::sha1_lanes::MAX_LANES;
use crate::driver::disk::workers::{Priority, Queue, Workers};
use crate::platform::file_io::read_exact_at;

/// Progress is reported at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// A slice hashes so many bytes, for about 5 ms. Urgent tasks run in between.
const SLICE: u64 = 8 << 20;

/// A file is read in multiples of so many bytes.
const PAGE: usize = 4096;

/// Why a scan has no digests.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The result of the scan is no longer wanted.
    Stopped,
    /// The file could not be read.
    Read(io::Error),
}

/// Tells a scan that its result is no longer wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Ends what looks at this flag, soon.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is to be hashed.
pub(crate) struct ScanOrder {
    /// The file.
    pub(crate) file: Arc<File>,
    /// How it is cut.
    pub(crate) layout: Layout,
    /// Which pieces.
    pub(crate) pieces: Vec<PieceIndex>,
    /// Who may stop it.
    pub(crate) stop: StopFlag,
    /// Receives how many bytes are hashed so far, now and then.
    pub(crate) progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// What is done with the digests, in the order of the pieces; runs on a worker.
pub(crate) type OnDigests = Box<dyn FnOnce(Result<Vec<PieceDigest>, ScanError>) + Send>;

/// The workers of a scan: their queue, and how many slices run at the same time.
#[derive(Clone)]
pub(crate) struct ScanWorkers {
    /// Where the slices queue.
    pub(crate) queue: Queue,
    /// How many of one scan are there at once.
    pub(crate) width: usize,
}

impl From<&Workers> for ScanWorkers {
    fn from(workers: &Workers) -> ScanWorkers {
        ScanWorkers { queue: workers.queue().clone(), width: workers.count() }
    }
}

struct Scan {
    order: ScanOrder,
    queue: Queue,
    /// How many slices there are at once, at first.
    width: usize,
    state: Mutex<ScanState>,
}

struct ScanState {
    next: usize,
    /// Slices that are queued or at work; the last one to end hands the digests on.
    slices: usize,
    hashed: u64,
    reported_at: Instant,
    digests: Vec<Option<PieceDigest>>,
    failed: Option<io::Error>,
    on_digests: Option<OnDigests>,
}

/// Pieces that are hashed side by side, in several slices when they are long.
struct Batch {
    /// The index of the first of them in the order.
    first: usize,
    hashers: Vec<PieceHasher>,
    /// How far each of them is hashed.
    at: u64,
}

/// Starts a scan. `on_digests` is called in any case, unless the workers stop.
pub(crate) fn scan(scan_workers: &ScanWorkers, order: ScanOrder, on_digests: OnDigests) {
    let count = order.pieces.len();
    let slices = scan_workers.width.min(count).max(1);
    let state = ScanState {
        next: 0,
        slices,
        hashed: 0,
        reported_at: Instant::now(),
        digests: vec![None; count],
        failed: None,
        on_digests: Some(on_digests),
    };
    let scan =
        Arc::new(Scan { order, queue: scan_workers.queue.clone(), width: slices, state: Mutex::new(state) });
    for _ in 0..slices {
        Scan::queue_slice(scan.clone(), None);
    }
}

impl Scan {
    fn queue_slice(scan: Arc<Scan>, batch: Option<Batch>) {
        let queue = scan.queue.clone();
        queue.push(Priority::Background, Box::new(move |block| scan.slice(batch, block)));
    }

    fn state(&self) -> MutexGuard<'_, ScanState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slice(self: Arc<Scan>, batch: Option<Batch>, block: &mut [u8]) {
        let mut state = self.state();
        let given_up = state.failed.is_some() || self.order.stop.is_raised();
        let batch = if given_up { None } else { batch.or_else(|| self.next_batch(&mut state)) };
        let Some(mut batch) = batch else {
            state.slices -= 1;
            if state.slices == 0 {
                self.conclude(state);
            }
            return;
        };
        drop(state);

        let batch = match self.advance(&mut batch, block) {
            Ok(hashed) => self.record(batch, hashed),
            Err(cause) => {
                self.state().failed = Some(cause);
                None
            }
        };
        Scan::queue_slice(self, batch);
    }

    /// The next pieces, as many as can be hashed side by side; towards the end fewer, so that all workers have some.
    fn next_batch(&self, state: &mut ScanState) -> Option<Batch> {
        let (first, pieces) = (state.next, &self.order.pieces);
        let count = (pieces.len() - first).div_ceil(self.width).min(MAX_LANES);
        state.next += count;
        let hasher = |piece: &PieceIndex| PieceHasher::new(self.order.layout, *piece);
        let hashers = pieces[first..state.next].iter().map(hasher).collect();
        (count > 0).then_some(Batch { first, hashers, at: 0 })
    }

    /// Hashes a slice of the batch, and returns how many bytes that was.
    fn advance(&self, batch: &mut Batch, block: &mut [u8]) -> io::Result<u64> {
        let pieces = &self.order.pieces[batch.first..][..batch.hashers.len()];
        // Whole pages of the file are whole blocks of the hash too.
        let share = block.len() / pieces.len() / PAGE * PAGE;
        let mut hashed = 0;
        while hashed < SLICE && batch.at < self.longest(batch) {
            let mut runs: Vec<&[u8]> = Vec::with_capacity(MAX_LANES);
            for (piece, run) in pieces.iter().zip(block.chunks_mut(share)) {
                let span = self.order.layout.span(*piece).expect("a scan is of pieces of its layout");
                let start = span.end.min(span.start + batch.at);
                let run = &mut run[..share.min((span.end - start) as usize)];
                read_exact_at(&self.order.file, run, start)?;
                hashed += run.len() as u64;
                runs.push(run);
            }
            PieceHasher::update(&mut batch.hashers, &runs);
            batch.at += share as u64;
        }
        Ok(hashed)
    }

    fn longest(&self, batch: &Batch) -> u64 {
        // Only the last piece of a content may be shorter than others.
        u64::from(self.order.layout.piece_length(self.order.pieces[batch.first]))
    }

    /// Notes the progress of a slice. Returns the batch when there is more of it to hash.
    fn record(&self, batch: Batch, hashed: u64) -> Option<Batch> {
        let mut state = self.state();
        state.hashed += hashed;
        let now = Instant::now();
        if now.duration_since(state.reported_at) >= PROGRESS_PERIOD {
            state.reported_at = now;
            (self.order.progress)(state.hashed);
        }
        if batch.at < self.longest(&batch) {
            return Some(batch);
        }
        let digests = state.digests[batch.first..].iter_mut();
        for (digest, hasher) in digests.zip(batch.hashers) {
            *digest = Some(hasher.finish());
        }
        None
    }

    fn conclude(&self, mut state: MutexGuard<'_, ScanState>) {
        let digests: Option<Vec<_>> = std::mem::take(&mut state.digests).into_iter().collect();
        let outcome = match (state.failed.take(), digests) {
            (Some(cause), _) => Err(ScanError::Read(cause)),
            (None, Some(digests)) => Ok(digests),
            (None, None) => Err(ScanError::Stopped),
        };
        let on_digests = state.on_digests.take().expect("one slice is the last to end");
        drop(state);
        on_digests(outcome);
    }
}

/// Every piece of a content.
pub(crate) fn all_pieces(layout: Layout) -> Vec<PieceIndex> {
    (0..layout.pieces()).map(PieceIndex).collect()
}
