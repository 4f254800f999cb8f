//! Hashing pieces of a file on all workers, a few side by side, with positioned reads.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use messages::{Layout, PieceIndex};

use super::piece_hasher::{PieceDigest, PieceHasher};
use super::sha1_lanes::LANES;
use crate::driver::disk::workers::{Lane, Queue, Workers};
use crate::platform::file_io::read_exact_at;

/// Progress is told at most this often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// So much is hashed in one slice, about 5 ms: what somebody waits for gets its turn in between.
const SLICE: u64 = 8 << 20;

/// What a file is read in multiples of.
const PAGE: usize = 4096;

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
    /// How many slices there are at once, at first.
    width: usize,
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

/// Pieces that are hashed side by side, in several slices when they are long.
struct Turn {
    /// The first of them, by its place in the order.
    first: usize,
    hashers: Vec<PieceHasher>,
    /// How far each of them is hashed.
    at: u64,
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
    let scan = Arc::new(Scan { order, queue: crew.queue.clone(), width: slices, state: Mutex::new(state) });
    for _ in 0..slices {
        Scan::queue_slice(scan.clone(), None);
    }
}

impl Scan {
    fn queue_slice(scan: Arc<Scan>, turn: Option<Turn>) {
        let queue = scan.queue.clone();
        queue.push(Lane::Background, Box::new(move |block| scan.slice(turn, block)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slice(self: Arc<Scan>, turn: Option<Turn>, block: &mut [u8]) {
        let mut state = self.state();
        let given_up = state.failed.is_some() || self.order.stop.is_raised();
        let turn = if given_up { None } else { turn.or_else(|| self.next_turn(&mut state)) };
        let Some(mut turn) = turn else {
            state.slices -= 1;
            if state.slices == 0 {
                self.conclude(state);
            }
            return;
        };
        drop(state);

        let turn = match self.advance(&mut turn, block) {
            Ok(hashed) => self.record(turn, hashed),
            Err(cause) => {
                self.state().failed = Some(cause);
                None
            }
        };
        Scan::queue_slice(self, turn);
    }

    /// The next pieces, as many as can be hashed side by side; towards the end fewer, so that all workers have some.
    fn next_turn(&self, state: &mut State) -> Option<Turn> {
        let (first, pieces) = (state.next, &self.order.pieces);
        let count = (pieces.len() - first).div_ceil(self.width).min(LANES);
        state.next += count;
        let hasher = |piece: &PieceIndex| PieceHasher::new(self.order.layout, *piece);
        let hashers = pieces[first..state.next].iter().map(hasher).collect();
        (count > 0).then_some(Turn { first, hashers, at: 0 })
    }

    /// Hashes on for a slice. How many bytes that was.
    fn advance(&self, turn: &mut Turn, block: &mut [u8]) -> io::Result<u64> {
        let pieces = &self.order.pieces[turn.first..][..turn.hashers.len()];
        // Whole pages of the file are whole blocks of the hash too.
        let share = block.len() / pieces.len() / PAGE * PAGE;
        let mut hashed = 0;
        while hashed < SLICE && turn.at < self.longest(turn) {
            let mut runs: Vec<&[u8]> = Vec::with_capacity(LANES);
            for (piece, run) in pieces.iter().zip(block.chunks_mut(share)) {
                let span = self.order.layout.span(*piece).unwrap_or_default();
                let start = span.end.min(span.start + turn.at);
                let run = &mut run[..share.min((span.end - start) as usize)];
                read_exact_at(&self.order.file, run, start)?;
                hashed += run.len() as u64;
                runs.push(run);
            }
            PieceHasher::update(&mut turn.hashers, &runs);
            turn.at += share as u64;
        }
        Ok(hashed)
    }

    fn longest(&self, turn: &Turn) -> u64 {
        // Only the last piece of a content may be shorter than others.
        u64::from(self.order.layout.piece_length(self.order.pieces[turn.first]))
    }

    /// Notes what a slice came to. The turn, when there is more of it.
    fn record(&self, turn: Turn, hashed: u64) -> Option<Turn> {
        let mut state = self.state();
        state.hashed += hashed;
        let now = Instant::now();
        if now.duration_since(state.told) >= PROGRESS_PERIOD {
            state.told = now;
            (self.order.progress)(state.hashed);
        }
        if turn.at < self.longest(&turn) {
            return Some(turn);
        }
        let places = state.digests[turn.first..].iter_mut();
        for (place, hasher) in places.zip(turn.hashers) {
            *place = Some(hasher.finish());
        }
        None
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
