//! A part file and its journal on a disk that may die: which pieces the system has, which the disk has, which are
//! torn; and what the journal says of them. The rules are those of the program's disk: `driver/disk/{part,journal}/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use messages::{ContentId, Outboard, PieceIndex, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// The number of written bytes after which pieces are made durable.
const SYNC_BYTES: u64 = 64 << 20;
/// The time after which written pieces are made durable.
const SYNC_PERIOD: Duration = Duration::from_secs(5);
/// How much later than its journal a part file may be touched and still count as what the journal describes.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// The bytes of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Right, and in the hands of the system.
    Cached,
    /// Right, and on the disk.
    Synced,
    /// Not all of them are right.
    Torn,
}

/// How well the journal says that a piece is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// In the hands of the system.
    Written,
    /// On the disk.
    Durable,
}

/// What the journal says.
#[derive(Debug)]
struct Journal {
    boot: u32,
    records: Vec<(Durability, PieceIndex)>,
    /// How many of the records are on the disk.
    synced: usize,
    touched: Timestamp,
}

/// What the process knows of an open part file.
#[derive(Debug)]
struct Ledger {
    stored: BTreeSet<PieceIndex>,
    unsynced: Vec<PieceIndex>,
    unsynced_bytes: u64,
    sync_began: Timestamp,
    /// The sync that is going on: when it will be done, and its pieces.
    syncing: Option<(Timestamp, Vec<PieceIndex>)>,
    /// How long a sync takes.
    takes: Duration,
}

/// `NAME.part` and `NAME.riffle`.
#[derive(Debug)]
pub(super) struct PartFile {
    /// The content of which it is a part.
    pub content: ContentId,
    outboard: Arc<Outboard>,
    pieces: BTreeMap<PieceIndex, Bytes>,
    /// Whether the file is shorter than it has to be.
    short: bool,
    touched: Timestamp,
    /// The journal; a content of one piece has none.
    journal: Option<Journal>,
    /// Whether anything was ever synced.
    ever_synced: bool,
    /// What the process knows, while the file is open.
    ledger: Option<Ledger>,
}

/// What a part file had in it when it was opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Pieces that count as stored; ascending.
    pub have: Vec<PieceIndex>,
    /// Bytes that were hashed to find that out.
    pub hashed: u64,
}

impl PartFile {
    /// A new and empty one.
    pub(super) fn new(content: ContentId, outboard: Arc<Outboard>, now: Timestamp) -> PartFile {
        PartFile {
            content,
            outboard,
            pieces: BTreeMap::new(),
            short: false,
            touched: now,
            journal: None,
            ever_synced: false,
            ledger: None,
        }
    }

    /// Where in the content `piece` begins.
    pub(super) fn start_of(&self, piece: PieceIndex) -> u64 {
        self.outboard.layout().span(piece).expect("a piece of the content").start
    }

    fn length_of(&self, piece: PieceIndex) -> u64 {
        let span = self.outboard.layout().span(piece).expect("a piece of the content");
        span.end - span.start
    }

    /// Whether the bytes of `piece` are right.
    pub(super) fn is_right(&self, piece: PieceIndex) -> bool {
        matches!(self.pieces.get(&piece), Some(Bytes::Cached | Bytes::Synced))
    }

    /// Whether every piece is right.
    pub(super) fn is_whole(&self) -> bool {
        (0..self.outboard.layout().pieces()).map(PieceIndex).all(|piece| self.is_right(piece))
    }

    /// How many bytes are right, in whole pieces.
    pub(super) fn right_bytes(&self) -> u64 {
        self.pieces.keys().filter(|piece| self.is_right(**piece)).map(|piece| self.length_of(*piece)).sum()
    }

    /// How many pieces count as stored.
    pub(super) fn stored(&self) -> usize {
        self.ledger.as_ref().map_or(0, |ledger| ledger.stored.len())
    }

    /// Whether `piece` counts as stored.
    pub(super) fn has_stored(&self, piece: PieceIndex) -> bool {
        self.ledger.as_ref().is_some_and(|ledger| ledger.stored.contains(&piece))
    }

    /// Opens the file under `boot`: believes the journal where it may be believed, hashes what is suspect, and begins
    /// a journal that says what is known now.
    pub(super) fn open(&mut self, boot: u32, takes: Duration, now: Timestamp) -> Found {
        let found = self.recover(boot);
        let pieces = self.outboard.layout().pieces();
        for piece in &found.have {
            // What the journal says without another look must be true: that is its whole purpose.
            assert!(self.is_right(*piece), "piece {piece} is believed and wrong: {self:?}");
        }
        if !found.have.is_empty() {
            self.sync_all();
        }
        let records: Vec<_> = found.have.iter().map(|piece| (Durability::Durable, *piece)).collect();
        let synced = records.len();
        self.journal = (pieces > 1).then_some(Journal { boot, records, synced, touched: now });
        self.short = false;
        self.touched = self.touched.max(now);
        self.ledger = Some(Ledger {
            stored: found.have.iter().copied().collect(),
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            sync_began: now,
            syncing: None,
            takes,
        });
        found
    }

    fn recover(&self, boot: u32) -> Found {
        let all = (0..self.outboard.layout().pieces()).map(PieceIndex);
        let (mut have, mut suspect) = (Vec::new(), Vec::new());
        match &self.journal {
            Some(journal) => {
                let intact = !self.short && self.touched <= journal.touched + CLOCK_SLACK;
                let mut last = vec![None; all.len()];
                for &(kept, piece) in &journal.records {
                    let slot = &mut last[piece.0 as usize];
                    *slot = Some(slot.filter(|before| *before == Durability::Durable).unwrap_or(kept));
                }
                for (piece, kept) in all.zip(last) {
                    match kept {
                        Some(kept) if intact && (journal.boot == boot || kept == Durability::Durable) => {
                            have.push(piece);
                        }
                        Some(_) => suspect.push(piece),
                        None => {}
                    }
                }
            }
            // A file that was made a moment ago has nothing in it. Else nothing is known, and each piece is hashed.
            None if self.pieces.is_empty() => {}
            None => suspect.extend(all),
        }
        let hashed = suspect.iter().map(|piece| self.length_of(*piece)).sum();
        have.extend(suspect.into_iter().filter(|piece| self.is_right(*piece)));
        have.sort_unstable();
        Found { have, hashed }
    }

    fn sync_all(&mut self) {
        self.pieces.values_mut().filter(|bytes| **bytes == Bytes::Cached).for_each(|b| *b = Bytes::Synced);
        self.ever_synced = true;
    }

    /// Carries out the syncs that are due by `now`.
    pub(super) fn settle(&mut self, now: Timestamp) {
        while let Some(ledger) = &mut self.ledger {
            match &ledger.syncing {
                Some((done, _)) if *done <= now => self.on_synced(),
                Some(_) => return,
                None if ledger.unsynced.is_empty() || ledger.sync_began + SYNC_PERIOD > now => return,
                None => {
                    let began = ledger.sync_began + SYNC_PERIOD;
                    ledger.begin_sync(began);
                }
            }
        }
    }

    fn on_synced(&mut self) {
        let Some((done, pieces)) = self.ledger.as_mut().and_then(|ledger| ledger.syncing.take()) else {
            return;
        };
        self.ever_synced = true;
        for piece in &pieces {
            if let Some(bytes) = self.pieces.get_mut(piece).filter(|bytes| **bytes == Bytes::Cached) {
                *bytes = Bytes::Synced;
            }
        }
        if let Some(journal) = &mut self.journal {
            journal.records.extend(pieces.into_iter().map(|piece| (Durability::Durable, piece)));
            journal.synced = journal.records.len();
            journal.touched = done;
        }
    }

    /// Puts a verified piece into the file, and a record into the journal.
    pub(super) fn store(&mut self, piece: PieceIndex, now: Timestamp) {
        self.write(piece, Bytes::Cached, now);
        let length = self.length_of(piece);
        self.enter(piece, now);
        let has_journal = self.journal.is_some();
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        assert!(ledger.stored.insert(piece), "piece {piece} is stored twice");
        if !has_journal {
            return;
        }
        ledger.unsynced.push(piece);
        ledger.unsynced_bytes += length;
        let due = ledger.unsynced_bytes >= SYNC_BYTES || ledger.sync_began + SYNC_PERIOD <= now;
        if due && ledger.syncing.is_none() {
            ledger.begin_sync(now);
        }
    }

    /// Stores a piece that was put together from what is on the disk.
    pub(super) fn put_together(&mut self, piece: PieceIndex) {
        self.store(piece, self.touched);
    }

    fn write(&mut self, piece: PieceIndex, bytes: Bytes, now: Timestamp) {
        self.pieces.insert(piece, bytes);
        self.touched = now;
    }

    fn enter(&mut self, piece: PieceIndex, now: Timestamp) {
        if let Some(journal) = &mut self.journal {
            journal.records.push((Durability::Written, piece));
            journal.touched = now;
        }
    }

    /// Leaves a torn piece, as a write does that failed half-way.
    pub(super) fn tear(&mut self, piece: PieceIndex, now: Timestamp) {
        if !self.is_right(piece) {
            self.write(piece, Bytes::Torn, now);
        }
    }

    /// Kills the process while it stores `piece`: anything from nothing to all of it has happened.
    pub(super) fn interrupt(&mut self, piece: PieceIndex, now: Timestamp, rng: &mut StdRng) {
        if self.is_right(piece) {
            return;
        }
        match rng.random_range(0..4) {
            0 => {}
            1 => self.write(piece, Bytes::Torn, now),
            2 => self.write(piece, Bytes::Cached, now),
            _ => {
                self.write(piece, Bytes::Cached, now);
                self.enter(piece, now);
            }
        }
    }

    /// Closes the file, as the end of the process does.
    pub(super) fn close(&mut self) {
        self.ledger = None;
    }

    /// Cuts the power: what the disk does not have is gone, torn, or there by luck. Returns whether there still is a
    /// file.
    pub(super) fn lose_power(&mut self, rng: &mut StdRng) -> bool {
        self.close();
        if !self.ever_synced && rng.random_range(0..3) == 0 {
            return false;
        }
        self.pieces.retain(|_, bytes| {
            if *bytes == Bytes::Cached {
                match rng.random_range(0..3) {
                    0 => *bytes = Bytes::Synced,
                    1 => *bytes = Bytes::Torn,
                    _ => return false,
                }
            }
            true
        });
        if let Some(journal) = &mut self.journal {
            // Reading stops at the first record that is not whole.
            let kept = rng.random_range(journal.synced..=journal.records.len());
            journal.records.truncate(kept);
            journal.synced = kept;
        }
        if !self.ever_synced {
            match rng.random_range(0..3) {
                0 => self.journal = None,
                1 => self.short = true,
                _ => {}
            }
        }
        true
    }
}

impl Ledger {
    fn begin_sync(&mut self, now: Timestamp) {
        self.sync_began = now;
        self.unsynced_bytes = 0;
        self.syncing = Some((now + self.takes, std::mem::take(&mut self.unsynced)));
    }
}
