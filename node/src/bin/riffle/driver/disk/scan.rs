//! Hashing pieces of a file on all workers, a piece at a time, with positioned reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use messages::{Layout, PieceIndex};

use super::tree::{PieceDigest, PieceHasher};
use super::workers::{Lane, Queue, Workers};

/// Progress is told at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// Why a scan has no digests.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// Nobody wants it any more.
    Stopped,
    /// The file could not be read.
    Read(io::Error),
}

/// Tells a scan that nobody wants it any more.
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
    /// Told the bytes hashed so far, now and then.
    pub(crate) progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// What is done with the digests, in the order of the pieces; runs on a worker.
pub(crate) type Then = Box<dyn FnOnce(Result<Vec<PieceDigest>, ScanError>) + Send>;

/// A place to run slices: the queue, and how many slices to run at once.
#[derive(Clone)]
pub(crate) struct Crew {
    /// Where the slices queue.
    pub(crate) queue: Queue,
    /// How many of one scan are there at once.
    pub(crate) width: usize,
}

impl From<&Workers> for Crew {
    fn from(workers: &Workers) -> Crew {
        Crew { queue: workers.queue().clone(), width: workers.count() }
    }
}

struct Scan {
    order: ScanOrder,
    queue: Queue,
    state: Mutex<State>,
}

struct State {
    next: usize,
    /// Slices that are queued or at work; the last one to end hands the digests on.
    slices: usize,
    hashed: u64,
    told: Instant,
    digests: Vec<Option<PieceDigest>>,
    failed: Option<io::Error>,
    then: Option<Then>,
}

/// Starts a scan; `then` hears of it in any case, unless the workers stop.
pub(crate) fn scan(crew: &Crew, order: ScanOrder, then: Then) {
    let count = order.pieces.len();
    let slices = crew.width.min(count).max(1);
    let state = State {
        next: 0,
        slices,
        hashed: 0,
        told: Instant::now(),
        digests: vec![None; count],
        failed: None,
        then: Some(then),
    };
    let scan = Arc::new(Scan { order, queue: crew.queue.clone(), state: Mutex::new(state) });
    for _ in 0..slices {
        Scan::queue_slice(scan.clone());
    }
}

impl Scan {
    fn queue_slice(scan: Arc<Scan>) {
        let queue = scan.queue.clone();
        queue.push(Lane::Background, Box::new(move |block| scan.slice(block)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slice(self: Arc<Scan>, block: &mut [u8]) {
        let mut state = self.state();
        let ended = state.next == self.order.pieces.len() || state.failed.is_some();
        if ended || self.order.stop.is_raised() {
            state.slices -= 1;
            if state.slices == 0 {
                self.conclude(state);
            }
            return;
        }
        let at = state.next;
        state.next += 1;
        drop(state);

        let index = self.order.pieces[at];
        let digest = digest_of(&self.order.file, self.order.layout, index, block);
        self.record(at, digest);
        Scan::queue_slice(self);
    }

    fn record(&self, at: usize, digest: io::Result<PieceDigest>) {
        let mut state = self.state();
        match digest {
            Ok(digest) => state.digests[at] = Some(digest),
            Err(cause) => state.failed = Some(cause),
        }
        state.hashed += u64::from(self.order.layout.piece_length(self.order.pieces[at]));
        let now = Instant::now();
        if now.duration_since(state.told) >= PROGRESS_PERIOD {
            state.told = now;
            (self.order.progress)(state.hashed);
        }
    }

    fn conclude(&self, mut state: MutexGuard<'_, State>) {
        let digests: Option<Vec<_>> = std::mem::take(&mut state.digests).into_iter().collect();
        let outcome = match (state.failed.take(), digests) {
            (Some(cause), _) => Err(ScanError::Read(cause)),
            (None, Some(digests)) => Ok(digests),
            (None, None) => Err(ScanError::Stopped),
        };
        let then = state.then.take();
        drop(state);
        if let Some(then) = then {
            then(outcome);
        }
    }
}

/// Every piece of a content.
pub(crate) fn all_pieces(layout: Layout) -> Vec<PieceIndex> {
    (0..layout.pieces()).map(PieceIndex).collect()
}

fn digest_of(file: &File, layout: Layout, index: PieceIndex, block: &mut [u8]) -> io::Result<PieceDigest> {
    let span = layout.span(index).unwrap_or_default();
    let mut hasher = PieceHasher::new(layout, index);
    let mut at = span.start;
    while at < span.end {
        let length = block.len().min((span.end - at) as usize);
        file.read_exact_at(&mut block[..length], at)?;
        hasher.update(&block[..length]);
        at += length as u64;
    }
    Ok(hasher.finish())
}
