//! `.NAME.<id>.riffle-part`: a download's bytes while they are incomplete, and which pieces of it are stored.
//!
//! A piece counts when its bytes are written and the journal says so; when either fails it does not, and may be stored
//! again. What the system could not bring to the disk is suspect from then on, whatever it says later: it is told so
//! in the journal, and read back before the file gets its name. So is everything when somebody else has written to it.

pub(crate) mod allocate;
pub(crate) mod download_paths;
pub(crate) mod finishing;
mod ledger;
pub(crate) mod lock;
pub(crate) mod open;
mod part_file;
pub(crate) mod resume;
pub(crate) mod unnamed_file;
pub(crate) mod working_files;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

use messages::collection::{INDEX_HEADER, index_length_of};
use messages::{ChainingValue, ContentId, Outboard, PieceIndex, piece_value};
use riffle_core::{DiskError, DiskErrorKind, FetchPlan, StoreError};

use self::allocate::full_or_else;
use self::download_paths::DownloadPaths;
use self::ledger::Ledger;
pub(crate) use self::part_file::PartFile;
use super::errors::{disk_error, error};
use super::fault_injection::DiskCalls;
use super::folder::order::{FolderOrder, Planning, StoredPieces};
use super::hash::scan::StopFlag;
use super::journal::Journal;
use crate::platform::file_id::is_unlinked;
use crate::platform::file_io::read_exact_at;

/// After how much, or how long, written pieces are made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncRule {
    /// Written bytes after which a sync is due.
    pub(crate) bytes: u64,
    /// Time after which a sync is due.
    pub(crate) period: Duration,
}

/// An open part file; locked until the last handle of it is gone.
pub(crate) struct Part {
    paths: DownloadPaths,
    part: PartFile,
    content: ContentId,
    outboard: Arc<Outboard>,
    sync_rule: SyncRule,
    calls: DiskCalls,
    /// Held during a sync: the system tells of a failed write once, and to whoever asks first. Taken before `ledger`,
    /// or tried only.
    syncing: Mutex<()>,
    ledger: Mutex<Ledger>,
    /// Set when the download ended without success: then a file into which nothing was stored is removed.
    abandoned: AtomicBool,
    /// Raised when nobody waits any more for the plan of a folder, or for the folder that is put together.
    stop: StopFlag,
    /// What is wanted of a folder; `None`: everything.
    order: Option<FolderOrder>,
    names: Mutex<NamesState>,
}

/// What is known of the names of the folder that the content may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamesState {
    /// They are looked at when the index is here.
    Unknown,
    /// All of them can stand at the target, or there are none.
    Fine,
    /// Those that cannot are changed.
    MayChange,
}

impl Part {
    /// A part file that is open, locked and of the right length, with the pieces that are in it already.
    pub(crate) fn new(
        (paths, part, content): (DownloadPaths, PartFile, ContentId),
        outboard: Arc<Outboard>,
        (sync_rule, calls): (SyncRule, DiskCalls),
        (order, stop): (Option<FolderOrder>, StopFlag),
        journal: Option<Journal>,
        have: &[PieceIndex],
    ) -> Part {
        let ledger = Ledger::new(outboard.layout(), journal, have, written_at(&part.file));
        let (syncing, ledger) = (Mutex::default(), Mutex::new(ledger));
        let abandoned = AtomicBool::new(false);
        // Whoever brings a folder up to date looks at the names by itself.
        let names = if paths.is_update() { NamesState::Fine } else { NamesState::Unknown };
        let names = Mutex::new(names);
        Part {
            paths,
            part,
            content,
            outboard,
            sync_rule,
            calls,
            syncing,
            ledger,
            abandoned,
            stop,
            order,
            names,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path that people are shown.
    pub(crate) fn path(&self) -> &Path {
        self.part.display_path(&self.paths)
    }

    fn fault(&self, cause: &io::Error) -> DiskError {
        disk_error(self.path(), cause)
    }

    /// The error that `cause` is, when `length` more bytes were to be stored.
    fn full_or_else(&self, cause: &io::Error, length: u64) -> DiskError {
        let still = self.outboard.layout().length().saturating_sub(self.ledger().stored_bytes());
        full_or_else(&self.part.file, self.path(), cause, still, length)
    }

    /// Fills the ranges `known` of `bytes` in from files that are here. Checks that `bytes` are the piece whose chaining
    /// value is `expected`, and writes them at its offset.
    ///
    /// # Errors
    /// When the bytes are not the piece's, some were to be filled in and are not here any more, or the disk does not take them: then the piece does not count, and may be
    /// stored again.
    pub(crate) fn store(
        &self,
        piece: PieceIndex,
        bytes: &mut [u8],
        known: &[Range<u32>],
        expected: &ChainingValue,
    ) -> Result<(), StoreError> {
        let layout = self.outboard.layout();
        let span = layout.span(piece).expect("only pieces of this content are handed over");
        let length = bytes.len() as u64;
        let is_filled = known.is_empty() || self.fill(span.start, known, bytes);
        let is_as_long = length == span.end - span.start;
        if !is_as_long || !is_filled || piece_value(layout, piece, bytes) != *expected {
            return Err(if known.is_empty() { StoreError::Hash } else { StoreError::KnownBytes });
        }
        self.check_ours()?;
        let write = OwnWrite::begin(self);
        let written = self.calls.write_all_at(&self.part.file, bytes, span.start);
        drop(write);
        let stored = written.and_then(|()| self.record_stored(piece, *expected, length));
        stored.map_err(|cause| self.full_or_else(&cause, length).into())
    }

    /// Fills the ranges `known` of the piece that begins at `start` in. Whether all these bytes are still here.
    fn fill(&self, start: u64, known: &[Range<u32>], bytes: &mut [u8]) -> bool {
        let update = self.order.as_ref().and_then(FolderOrder::update);
        let filled = update.map(|update| update.fill(start, known, bytes));
        if let Some(Err(cause)) = &filled {
            tracing::info!(path = %self.path().display(), %cause, "what was here of a piece is not here any more");
        }
        filled.is_some_and(|filled| filled.is_ok())
    }

    /// What is wanted, when that is more than before: of a folder of which files were chosen, or that is brought up to
    /// date. `on_progress` is called now and then while that is found out, with a plan that adds nothing.
    ///
    /// # Errors
    /// When nothing can be chosen, or the folder at the target cannot be brought up to date.
    pub(crate) fn newly_planned(
        &self,
        on_progress: &(dyn Fn(FetchPlan) + Sync),
    ) -> Result<Option<FetchPlan>, DiskError> {
        let Some(order) = &self.order else { return Ok(None) };
        let planning =
            Planning { outboard: &self.outboard, end_of_index: None, stop: &self.stop, on_progress };
        order.newly_planned(self, &planning)
    }

    /// What follows from `bytes`, the first of `piece`, which nothing proves yet. `on_progress` is called as by
    /// [`Part::newly_planned`].
    pub(crate) fn previewed(
        &self,
        piece: PieceIndex,
        bytes: &[u8],
        on_progress: &(dyn Fn(FetchPlan) + Sync),
    ) -> Option<FetchPlan> {
        let end_of_index = Some(piece);
        let planning = Planning { outboard: &self.outboard, end_of_index, stop: &self.stop, on_progress };
        self.order.as_ref()?.previewed(self, &planning, (piece, bytes))
    }

    /// The same part file, whose folder gets other names for those that cannot stand at the target.
    pub(crate) fn with_other_names(mut self) -> Part {
        self.names = Mutex::new(NamesState::MayChange);
        self
    }

    /// Holds unless names of the folder cannot stand at the target. They are looked at once, when the index is here.
    ///
    /// # Errors
    /// All such names.
    pub(crate) fn check_names(&self) -> Result<(), DiskError> {
        // Another worker looks at them, or has.
        let Ok(mut names) = self.names.try_lock() else { return Ok(()) };
        if *names != NamesState::Unknown || !self.has(PieceIndex(0)) {
            return Ok(());
        }
        let layout = self.outboard.layout();
        let mut header = [0; INDEX_HEADER];
        let header = &mut header[..(layout.length() as usize).min(INDEX_HEADER)];
        self.read(header, 0).map_err(|cause| self.fault(&cause))?;
        let Some(length) = index_length_of(header, layout.length()) else {
            *names = NamesState::Fine;
            return Ok(());
        };
        let last = ((length - 1) / u64::from(layout.piece_size())) as u32;
        if !(0..=last).all(|piece| self.has(PieceIndex(piece))) {
            return Ok(());
        }
        match self.name_problems()? {
            Some(problems) => Err(error(&self.paths.target, DiskErrorKind::Other(problems))),
            None => {
                *names = NamesState::Fine;
                Ok(())
            }
        }
    }

    /// Holds while nobody has removed the file, replaced it or cut it short.
    fn check_ours(&self) -> Result<(), DiskError> {
        let now = self.part.file.metadata().map_err(|cause| self.fault(&cause))?;
        if is_unlinked(&now) && self.part.name.is_some() {
            return Err(self.other_error("was removed or replaced while it was written to"));
        }
        if now.len() != self.outboard.layout().length() {
            // The journal is about bytes that are gone, and must not be believed when others take their place.
            self.ledger().forget_journal();
            return Err(self.other_error("was cut short or made longer by something else"));
        }
        Ok(())
    }

    fn other_error(&self, what: &str) -> DiskError {
        error(self.path(), DiskErrorKind::Other(what.to_owned()))
    }

    fn record_stored(&self, piece: PieceIndex, value: ChainingValue, length: u64) -> io::Result<()> {
        let mut ledger = self.ledger();
        ledger.record_stored(piece, value, length)?;
        if ledger.is_sync_due(self.sync_rule) { self.sync(ledger) } else { Ok(()) }
    }

    /// Makes what was written durable when it has waited long enough; for when no more pieces come by.
    pub(crate) fn sync_if_due(&self) {
        let ledger = self.ledger();
        if ledger.is_sync_overdue(self.sync_rule)
            && let Err(cause) = self.sync(ledger)
        {
            tracing::warn!(path = %self.path().display(), %cause, "cannot sync");
        }
    }

    fn sync(&self, mut ledger: MutexGuard<'_, Ledger>) -> io::Result<()> {
        let _syncing = match self.syncing.try_lock() {
            Ok(syncing) => syncing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another worker syncs. What that sync does not take along the next one does.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if ledger.has_ended() {
            return Ok(());
        }
        let pieces = ledger.begin_sync();
        drop(ledger);

        // Others go on storing meanwhile.
        let synced = self.calls.sync_data(&self.part.file);
        let mut ledger = self.ledger();
        if let Err(cause) = synced {
            ledger.suspect(&pieces);
            return Err(cause);
        }
        let handle = match ledger.record_durable(pieces) {
            Ok(Some(journal)) => journal.handle(),
            Ok(None) => return Ok(()),
            Err(cause) => {
                tracing::warn!(path = %self.path().display(), %cause, "cannot note what is durable");
                return Ok(());
            }
        };
        drop(ledger);
        if let Err(cause) = handle.and_then(|journal| journal.sync_data()) {
            tracing::warn!(path = %self.path().display(), %cause, "cannot sync the journal");
        }
        Ok(())
    }

    fn warn_of_other_writers(&self) {
        tracing::warn!(path = %self.path().display(), "something else has written to it");
    }

    /// The end of the bytes from `offset` on that are stored without a gap, as far as `end`: `offset` itself while its
    /// piece is not stored.
    pub(crate) fn stored_from(&self, offset: u64, end: u64) -> u64 {
        let (layout, ledger) = (self.outboard.layout(), self.ledger());
        let size = u64::from(layout.piece_size());
        let last = u64::from(layout.pieces()).min(end.div_ceil(size)) as u32;
        let pieces = ((offset / size) as u32..last).map(PieceIndex);
        let stored = pieces.take_while(|piece| ledger.has(*piece)).last();
        stored.and_then(|piece| layout.span(piece)).map_or(offset, |span| span.end.min(end))
    }

    /// Fills `bytes` from `offset` on, all of which must be stored.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read_stored(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        read_exact_at(&self.part.file, bytes, offset)
    }

    /// What proves the content.
    pub(crate) fn outboard(&self) -> &Outboard {
        &self.outboard
    }

    /// The paths of the download.
    pub(crate) fn paths(&self) -> &DownloadPaths {
        &self.paths
    }

    /// Notes that the download is over without success.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Ends the planning and the putting together of a folder, soon.
    pub(crate) fn stop(&self) {
        self.stop.raise();
    }
}

impl StoredPieces for Part {
    fn has(&self, piece: PieceIndex) -> bool {
        self.ledger().has(piece)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        read_exact_at(&self.part.file, bytes, offset)
    }
}

/// One of our writes to a part file, from before to after it.
struct OwnWrite<'a>(&'a Part);

impl OwnWrite<'_> {
    fn begin(part: &Part) -> OwnWrite<'_> {
        if part.ledger().begin_write(written_at(&part.part.file)) {
            part.warn_of_other_writers();
        }
        OwnWrite(part)
    }
}

impl Drop for OwnWrite<'_> {
    fn drop(&mut self) {
        let now = written_at(&self.0.part.file);
        self.0.ledger().end_write(now);
    }
}

/// When the bytes of a file were last written to, by the file system's clock.
fn written_at(file: &File) -> SystemTime {
    file.metadata().and_then(|now| now.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Drop for Part {
    /// The last handle is gone, so no store is under way.
    fn drop(&mut self) {
        let ledger = self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A file that is never resumed does not stay, nor one that has nothing in it.
        let is_of_no_use = ledger.is_empty() || self.part.journal.is_none();
        if *self.abandoned.get_mut() && !ledger.has_ended() && is_of_no_use {
            ledger.remove_journal();
            self.part.remove();
        }
    }
}
