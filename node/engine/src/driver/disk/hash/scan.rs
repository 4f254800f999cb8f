//! Hashing pieces of a file on all workers, each worker one piece at a time, with positioned reads.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use messages::{ChainingValue, Layout, PieceHasher, PieceIndex};

use crate::driver::disk::folder::source::FolderSource;
use crate::driver::disk::workers::{Priority, Queue, Workers};
use crate::platform::file_io::read_exact_at;

/// Progress is reported at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// A slice hashes so many bytes, for a few milliseconds. Urgent tasks run in between.
const SLICE: u64 = 8 << 20;

/// Why a scan has no values.
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

/// Where the bytes of a content are read.
#[derive(Clone)]
pub(crate) enum ScanSource {
    /// One file, which has these bytes.
    File(Arc<File>),
    /// The files of a folder.
    Folder(Arc<FolderSource>),
}

impl ScanSource {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            ScanSource::File(file) => read_exact_at(file, bytes, offset),
            ScanSource::Folder(folder) => folder.read_exact_at(bytes, offset),
        }
    }
}

/// What is to be hashed.
pub(crate) struct ScanOrder {
    /// The bytes.
    pub(crate) source: ScanSource,
    /// How it is cut.
    pub(crate) layout: Layout,
    /// Which pieces.
    pub(crate) pieces: Vec<PieceIndex>,
    /// Who may stop it.
    pub(crate) stop: StopFlag,
    /// Receives how many bytes are hashed so far, now and then.
    pub(crate) progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// What is done with the chaining values, in the order of the pieces; runs on a worker.
pub(crate) type OnValues = Box<dyn FnOnce(Result<Vec<ChainingValue>, ScanError>) + Send>;

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
    state: Mutex<ScanState>,
}

struct ScanState {
    next: usize,
    /// Slices that are queued or at work; the last one to end hands the values on.
    slices: usize,
    hashed: u64,
    reported_at: Instant,
    values: Vec<Option<ChainingValue>>,
    failed: Option<io::Error>,
    on_values: Option<OnValues>,
}

/// A piece that is being hashed, in several slices when it is long.
struct PieceScan {
    /// Its index in the order.
    index: usize,
    hasher: PieceHasher,
    /// The bytes of the file that are still to be hashed.
    rest: Range<u64>,
}

/// Starts a scan. `on_values` is called in any case, unless the workers stop.
pub(crate) fn scan(scan_workers: &ScanWorkers, order: ScanOrder, on_values: OnValues) {
    let count = order.pieces.len();
    let slices = scan_workers.width.min(count).max(1);
    let state = ScanState {
        next: 0,
        slices,
        hashed: 0,
        reported_at: Instant::now(),
        values: vec![None; count],
        failed: None,
        on_values: Some(on_values),
    };
    let scan = Arc::new(Scan { order, queue: scan_workers.queue.clone(), state: Mutex::new(state) });
    for _ in 0..slices {
        Scan::queue_slice(scan.clone(), None);
    }
}

impl Scan {
    fn queue_slice(scan: Arc<Scan>, piece: Option<PieceScan>) {
        let queue = scan.queue.clone();
        queue.push(Priority::Background, Box::new(move |block| scan.slice(piece, block)));
    }

    fn state(&self) -> MutexGuard<'_, ScanState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a slice's bytes: of the piece that the slice before has begun, then of the next ones.
    fn slice(self: Arc<Scan>, mut piece: Option<PieceScan>, block: &mut [u8]) {
        let mut left = SLICE;
        while left > 0 {
            let mut state = self.state();
            let is_given_up = state.failed.is_some() || self.order.stop.is_raised();
            let next = if is_given_up { None } else { piece.take().or_else(|| self.next_piece(&mut state)) };
            let Some(mut at) = next else {
                state.slices -= 1;
                if state.slices == 0 {
                    self.conclude(state);
                }
                return;
            };
            drop(state);
            match self.advance(&mut at, left, block) {
                Ok(hashed) => {
                    left = left.saturating_sub(hashed.max(1));
                    piece = self.record(at, hashed);
                }
                Err(cause) => self.state().failed = Some(cause),
            }
        }
        Scan::queue_slice(self, piece);
    }

    fn next_piece(&self, state: &mut ScanState) -> Option<PieceScan> {
        let (index, layout) = (state.next, self.order.layout);
        let piece = *self.order.pieces.get(index)?;
        state.next += 1;
        let rest = layout.span(piece).expect("a scan is of pieces of its layout");
        Some(PieceScan { index, hasher: PieceHasher::new(layout, piece), rest })
    }

    /// Hashes at most `most` bytes of the piece and returns how many that was.
    fn advance(&self, piece: &mut PieceScan, most: u64, block: &mut [u8]) -> io::Result<u64> {
        let begin = piece.rest.start;
        let end = piece.rest.end.min(begin + most);
        while piece.rest.start < end {
            let length = (end - piece.rest.start).min(block.len() as u64);
            let run = &mut block[..length as usize];
            self.order.source.read_exact_at(run, piece.rest.start)?;
            piece.hasher.update(run);
            piece.rest.start += length;
        }
        Ok(end - begin)
    }

    /// Notes that `hashed` more bytes are hashed. Returns the piece when there is more of it to hash.
    fn record(&self, piece: PieceScan, hashed: u64) -> Option<PieceScan> {
        let mut state = self.state();
        state.hashed += hashed;
        let now = Instant::now();
        if now.duration_since(state.reported_at) >= PROGRESS_PERIOD {
            state.reported_at = now;
            (self.order.progress)(state.hashed);
        }
        if !piece.rest.is_empty() {
            return Some(piece);
        }
        state.values[piece.index] = Some(piece.hasher.finish());
        None
    }

    fn conclude(&self, mut state: MutexGuard<'_, ScanState>) {
        let values: Option<Vec<_>> = std::mem::take(&mut state.values).into_iter().collect();
        let outcome = match (state.failed.take(), values) {
            (Some(cause), _) => Err(ScanError::Read(cause)),
            (None, Some(values)) => Ok(values),
            (None, None) => Err(ScanError::Stopped),
        };
        let on_values = state.on_values.take().expect("one slice is the last to end");
        drop(state);
        on_values(outcome);
    }
}

/// Every piece of a content.
pub(crate) fn all_pieces(layout: Layout) -> Vec<PieceIndex> {
    (0..layout.pieces()).map(PieceIndex).collect()
}
