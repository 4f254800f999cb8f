//! The files that bursts are taken from, and which parts of them are in memory.
//!
//! A page that is not in memory would stop the network thread inside the system call until the disk has found it. So a
//! burst that touches a cold block waits here, with all that follows it to the same destination, until a worker has
//! read the block; the block after the one that is being sent is read ahead.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use fixedbitset::FixedBitSet;
use node::{Burst, DiskError, DiskErrorKind, ShareId, Source};

use super::disk::{FileIdentity, Queue, Results, ServedFile, check, forget, populate};

/// What is read into memory at once, in bytes.
const BLOCK: u64 = 2 << 20;
/// So many blocks of all files together stay in the process, 256 MiB; the oldest goes first. The system has its own
/// mind about what stays in memory: this only keeps a node from looking as large as everything that it ever sent.
const MOST_RESIDENT: usize = 128;
/// More bursts than this never wait for the disk: the rest is dropped, and asked for again.
const MOST_WAITING: usize = 4096;
/// A send that took longer has met pages that were thrown out of memory again (or the thread lost its core: then a
/// few blocks are looked at in vain).
const STALL: Duration = Duration::from_millis(20);

/// Where a burst's bytes are.
#[derive(Clone, Copy)]
pub(crate) enum Bytes<'a> {
    /// At the burst's place in this file.
    Served(&'a ServedFile),
    /// All of them, here.
    Memory(&'a [u8]),
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShelfCounters {
    /// Bursts that waited for the disk.
    pub(crate) waited: u64,
    /// Sends that met pages which had left memory again.
    pub(crate) stalls: u64,
    /// Bursts whose file was no longer there, or that found too many waiting.
    pub(crate) dropped: u64,
}

/// Every served file of one node.
pub(crate) struct Shelf {
    files: BTreeMap<ShareId, Shelved>,
    waiting: BTreeMap<SocketAddr, VecDeque<Burst>>,
    /// Blocks that were read, the oldest first.
    resident: VecDeque<(ShareId, usize)>,
    queue: Queue,
    results: Results,
    counters: ShelfCounters,
}

struct Shelved {
    served: ServedFile,
    blocks: usize,
    warm: FixedBitSet,
    /// Being read by a worker.
    asked: FixedBitSet,
    /// Something was sent since it was last compared with what was announced.
    used: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// A worker compares it.
    Checking,
    /// It changed: nothing more is sent from it.
    Spoiled,
}

impl Shelf {
    /// An empty one, whose reading is done by the workers behind `queue`.
    pub(crate) fn new(queue: Queue, results: Results) -> Shelf {
        Shelf {
            files: BTreeMap::new(),
            waiting: BTreeMap::new(),
            resident: VecDeque::new(),
            queue,
            results,
            counters: ShelfCounters::default(),
        }
    }

    /// Puts a file up under its number; gives back what stood there.
    pub(crate) fn put(&mut self, share: ShareId, served: ServedFile) -> Option<ServedFile> {
        let length = served.map.as_ref().map_or(0, |map| map.length() as u64);
        let blocks = length.div_ceil(BLOCK) as usize;
        let (warm, asked) = (FixedBitSet::with_capacity(blocks), FixedBitSet::with_capacity(blocks));
        let shelved = Shelved { served, blocks, warm, asked, used: false, state: State::Good };
        self.files.insert(share, shelved).map(|before| before.served)
    }

    /// Takes a file down.
    pub(crate) fn take_down(&mut self, share: ShareId) -> Option<ServedFile> {
        self.files.remove(&share).map(|shelved| shelved.served)
    }

    /// A part file has its name, and must not change any more.
    pub(crate) fn finished(&mut self, share: ShareId, path: PathBuf, identity: FileIdentity) {
        if let Some(shelved) = self.files.get_mut(&share) {
            shelved.served.path = path;
            shelved.served.identity = Some(identity);
        }
    }

    /// What was counted.
    pub(crate) fn counters(&self) -> ShelfCounters {
        self.counters
    }

    /// The bytes of a burst; `None` when its file is no longer served.
    pub(crate) fn bytes<'a>(&'a self, burst: &'a Burst) -> Option<Bytes<'a>> {
        match &burst.source {
            Source::Share(share) => match self.files.get(share)? {
                Shelved { state: State::Spoiled, .. } => None,
                shelved => Some(Bytes::Served(&shelved.served)),
            },
            Source::Manifest(bytes) => {
                let start = usize::try_from(burst.start).ok()?;
                bytes.get(start..start.checked_add(burst.length as usize)?).map(Bytes::Memory)
            }
        }
    }

    /// Gives the burst back when it can be sent now; else it waits, or is dropped.
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
        let queue = self.waiting.entry(burst.to).or_default();
        if queue.len() < MOST_WAITING {
            self.counters.waited += 1;
            queue.push_back(burst);
        } else {
            self.counters.dropped += 1;
        }
        None
    }

    /// Whether the burst's pages are in memory; asks for those that are not, and for the next.
    fn readiness(&mut self, burst: &Burst) -> Readiness {
        let Source::Share(share) = burst.source else { return Readiness::Ready };
        let Some(shelved) = self.files.get_mut(&share) else { return Readiness::Gone };
        let blocks = blocks_of(burst);
        if shelved.state == State::Spoiled || *blocks.end() >= shelved.blocks {
            return Readiness::Gone;
        }
        shelved.used = true;
        let warm = blocks.clone().all(|block| shelved.warm.contains(block));
        for block in *blocks.start()..shelved.blocks.min(blocks.end() + 2) {
            if !shelved.warm.contains(block) && !shelved.asked.put(block) {
                let order = (share, block, shelved.span(block));
                populate(&self.queue, &self.results, &shelved.served, order);
            }
        }
        if warm { Readiness::Ready } else { Readiness::Cold }
    }

    /// A worker has read a block, or could not: then the file has changed.
    pub(crate) fn on_populated(
        &mut self,
        share: ShareId,
        block: usize,
        result: Result<(), DiskError>,
    ) -> Option<DiskError> {
        let shelved = self.files.get_mut(&share)?;
        if block < shelved.blocks {
            shelved.asked.remove(block);
            shelved.warm.insert(block);
        }
        let changed = result.err().and_then(|error| shelved.spoil(error));
        self.resident.push_back((share, block));
        if self.resident.len() > MOST_RESIDENT {
            self.let_go_of_the_oldest();
        }
        changed
    }

    fn let_go_of_the_oldest(&mut self) {
        let Some((share, block)) = self.resident.pop_front() else { return };
        if let Some(shelved) = self.files.get_mut(&share).filter(|shelved| block < shelved.blocks) {
            shelved.warm.remove(block);
            forget(&self.queue, &shelved.served, shelved.span(block));
        }
    }

    /// A worker has compared a file with what was announced.
    pub(crate) fn on_checked(&mut self, share: ShareId, result: Result<(), DiskError>) -> Option<DiskError> {
        let shelved = self.files.get_mut(&share)?;
        if shelved.state == State::Checking {
            shelved.state = State::Good;
        }
        result.err().and_then(|error| shelved.spoil(error))
    }

    /// The system found that the burst's file does not have its bytes.
    pub(crate) fn on_fault(&mut self, burst: &Burst) -> Option<(ShareId, DiskError)> {
        let Source::Share(share) = burst.source else { return None };
        let shelved = self.files.get_mut(&share)?;
        let error = DiskError { path: shelved.served.path.clone(), kind: DiskErrorKind::Changed };
        shelved.spoil(error).map(|error| (share, error))
    }

    /// A burst was sent, and this is how long the system call took.
    pub(crate) fn on_sent(&mut self, burst: &Burst, took: Duration) {
        if took < STALL {
            return;
        }
        let Source::Share(share) = burst.source else { return };
        if let Some(shelved) = self.files.get_mut(&share) {
            self.counters.stalls += 1;
            shelved.warm.clear();
        }
    }

    /// Moves what no longer has to wait into `ready`, in order.
    pub(crate) fn release(&mut self, ready: &mut Vec<Burst>) {
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
            }
            false
        });
        self.waiting = waiting;
    }

    /// About once a second: compares the files that were served since with what was announced.
    pub(crate) fn tick(&mut self) {
        for (share, shelved) in &mut self.files {
            if shelved.used && shelved.state == State::Good && shelved.served.identity.is_some() {
                shelved.used = false;
                shelved.state = State::Checking;
                check(&self.queue, &self.results, &shelved.served, *share);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    Cold,
    Gone,
}

impl Shelved {
    fn span(&self, block: usize) -> Range<u64> {
        let length = self.served.map.as_ref().map_or(0, |map| map.length() as u64);
        let start = block as u64 * BLOCK;
        start..length.min(start + BLOCK)
    }

    /// Nothing more is sent from it; the error the first time that this is found.
    fn spoil(&mut self, error: DiskError) -> Option<DiskError> {
        let before = std::mem::replace(&mut self.state, State::Spoiled);
        (before != State::Spoiled).then_some(error)
    }
}

fn blocks_of(burst: &Burst) -> RangeInclusive<usize> {
    let last = burst.start + u64::from(burst.length.max(1)) - 1;
    (burst.start / BLOCK) as usize..=(last / BLOCK) as usize
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
