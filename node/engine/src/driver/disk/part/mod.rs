//! `.NAME.<id>.riffle-part`: a download's bytes while they are incomplete, with the values that prove each stored piece.
//!
//! A piece counts when its bytes are written and the journal says so; when either fails it does not, and may be stored
//! again. What the system could not bring to the disk is suspect from then on, whatever it says later: it is told so
//! in the journal, and read back before the file gets its name. So is everything when somebody else has written to it.

pub(crate) mod allocate;
pub(crate) mod download_paths;
mod finishing;
pub(crate) mod lock;
pub(crate) mod open;
pub(crate) mod resume;
pub(crate) mod unnamed_file;
pub(crate) mod working_files;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use messages::{ContentId, Manifest, PieceHash, PieceIndex};
use riffle_core::{DiskError, DiskErrorKind, StoreError};

use self::allocate::full_or_else;
use self::download_paths::DownloadPaths;
use self::lock::Lock;
use super::errors::{disk_error, error};
use super::fault_injection::DiskCalls;
use super::hash::piece_hasher::{PieceDigest, Subtree};
use super::journal::records::{Durability, Record};
use super::journal::{Journal, JournalDestination};
use crate::platform::file_id::{is_unlinked, leads_to};
use crate::platform::lock::unlock;

/// After how much, or how long, written pieces are made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncRule {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Time.
    pub(crate) period: Duration,
}

/// The open file, what it is called, and its lock.
pub(crate) struct PartFile {
    /// The file.
    pub(crate) file: Arc<File>,
    /// Its name; `None` while it has none.
    name: Option<PathBuf>,
    /// Where its journal goes; `None` for a content of one piece.
    pub(crate) journal: Option<JournalDestination>,
    lock: Lock,
}

impl PartFile {
    /// `file`, called `name` and locked by `lock`, with a journal that goes to `journal`.
    pub(crate) fn new(
        file: File,
        name: Option<PathBuf>,
        journal: Option<JournalDestination>,
        lock: Lock,
    ) -> PartFile {
        PartFile { file: Arc::new(file), name, journal, lock }
    }

    /// What to call it to a person: by its own name, or that of what it becomes.
    pub(crate) fn display_path<'a>(&'a self, paths: &'a DownloadPaths) -> &'a Path {
        self.name.as_deref().unwrap_or(&paths.target)
    }

    /// Whether there is a lock, when there is none on the file although others could find it.
    pub(crate) fn is_locked_elsewhere(&self) -> Option<bool> {
        match self.lock {
            Lock::Elsewhere(_) => Some(true),
            Lock::Nowhere if self.name.is_some() => Some(false),
            Lock::Nowhere | Lock::OnFile => None,
        }
    }

    /// Removes it, if it is still what stands under its name.
    pub(crate) fn remove(&self) {
        if let Some(name) = self.name.as_deref().filter(|name| leads_to(name, &self.file)) {
            // What stays behind is looked at the next time, and costs no more than that.
            let _ = std::fs::remove_file(name);
        }
    }

    /// Whether it can no longer be found where it was made.
    fn is_lost(&self) -> bool {
        self.name.as_deref().is_some_and(|name| !leads_to(name, &self.file))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if matches!(self.lock, Lock::OnFile) {
            // The mapping of a served part may keep the file open for longer; the lock ends here.
            unlock(&self.file);
        }
    }
}

/// An open part file; locked until the last handle of it is gone.
pub(crate) struct Part {
    paths: DownloadPaths,
    part: PartFile,
    content: ContentId,
    manifest: Arc<Manifest>,
    sync_rule: SyncRule,
    calls: DiskCalls,
    /// Held during a sync: the system tells of a failed write once, and to whoever asks first. Taken before `ledger`,
    /// or tried only.
    syncing: Mutex<()>,
    ledger: Mutex<Ledger>,
    /// Set when it ended without success: then a file into which nothing was stored is removed.
    abandoned: AtomicBool,
}

/// Which pieces are stored.
struct Ledger {
    /// `None` for a content of one piece, which needs none, and after the end.
    journal: Option<Journal>,
    subtrees: Vec<Option<Subtree>>,
    stored: u32,
    stored_bytes: u64,
    /// Written since the last sync began.
    unsynced: Vec<Record>,
    unsynced_bytes: u64,
    sync_began: Instant,
    /// Stored, as far as we know, after the system said that a write had failed.
    suspect: BTreeSet<PieceIndex>,
    /// When we last wrote to the file, by its own clock.
    written_at: SystemTime,
    /// Our writes under way: while there is one, the file's time does not tell whose it is.
    writes: u32,
    /// The file has its name, or was given up for good.
    ended: bool,
}

impl Part {
    /// A part file that is open, locked and of the right length, with the pieces that are in it already.
    pub(crate) fn new(
        (paths, part, content): (DownloadPaths, PartFile, ContentId),
        manifest: Arc<Manifest>,
        (sync_rule, calls): (SyncRule, DiskCalls),
        journal: Option<Journal>,
        have: &[(PieceIndex, Subtree)],
    ) -> Part {
        let layout = manifest.layout();
        let mut subtrees = vec![None; layout.pieces() as usize];
        for (piece, subtree) in have {
            subtrees[piece.0 as usize] = Some(*subtree);
        }
        let ledger = Ledger {
            journal,
            stored: have.len() as u32,
            stored_bytes: have.iter().map(|(piece, _)| u64::from(layout.piece_length(*piece))).sum(),
            subtrees,
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            sync_began: Instant::now(),
            suspect: BTreeSet::new(),
            written_at: written_at(&part.file),
            writes: 0,
            ended: false,
        };
        let (syncing, ledger) = (Mutex::default(), Mutex::new(ledger));
        let abandoned = AtomicBool::new(false);
        Part { paths, part, content, manifest, sync_rule, calls, syncing, ledger, abandoned }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to call the file to a person.
    pub(crate) fn path(&self) -> &Path {
        self.part.display_path(&self.paths)
    }

    fn fault(&self, cause: &io::Error) -> DiskError {
        disk_error(self.path(), cause)
    }

    /// What `cause` is, when `length` more bytes were to be stored.
    fn full_or_else(&self, cause: &io::Error, length: u64) -> DiskError {
        let still = self.manifest.layout().length().saturating_sub(self.ledger().stored_bytes);
        full_or_else(&self.part.file, self.path(), cause, still, length)
    }

    /// Writes a piece, which hashes to `digest`, to its place.
    ///
    /// # Errors
    /// When the bytes are not the piece's, or the disk does not take them: then the piece does not count, and may be
    /// stored again.
    pub(crate) fn store(
        &self,
        piece: PieceIndex,
        bytes: &[u8],
        (digest, expected): (&PieceDigest, &PieceHash),
    ) -> Result<(), StoreError> {
        let span = self.manifest.layout().span(piece).unwrap_or_default();
        let length = bytes.len() as u64;
        if length != span.end - span.start || digest.hash != *expected {
            return Err(StoreError::Hash);
        }
        self.check_ours()?;
        let write = OwnWrite::begin(self);
        let written = self.calls.write_all_at(&self.part.file, bytes, span.start);
        drop(write);
        let stored = written.and_then(|()| self.record_stored(piece, digest.subtree, length));
        stored.map_err(|cause| self.full_or_else(&cause, length).into())
    }

    /// Holds while nobody has removed the file, replaced it or cut it short.
    fn check_ours(&self) -> Result<(), DiskError> {
        let now = self.part.file.metadata().map_err(|cause| self.fault(&cause))?;
        if is_unlinked(&now) && self.part.name.is_some() {
            return Err(self.other_error("was removed or replaced while it was written to"));
        }
        if now.len() != self.manifest.layout().length() {
            // The journal is about bytes that are gone, and must not be believed when others take their place.
            self.ledger().start_over();
            return Err(self.other_error("was cut short or made longer by something else"));
        }
        Ok(())
    }

    fn other_error(&self, what: &str) -> DiskError {
        error(self.path(), DiskErrorKind::Other(what.to_owned()))
    }

    fn record_stored(&self, piece: PieceIndex, subtree: Subtree, length: u64) -> io::Result<()> {
        let mut ledger = self.ledger();
        let record = Record { durability: Durability::Written, piece, subtree };
        if let Some(journal) = &mut ledger.journal {
            journal.append(&[record])?;
        }
        ledger.suspect.remove(&piece);
        if ledger.subtrees[piece.0 as usize].replace(subtree).is_none() {
            ledger.stored += 1;
            ledger.stored_bytes += length;
        }
        ledger.unsynced.push(record);
        ledger.unsynced_bytes += length;
        let waited = ledger.sync_began.elapsed() >= self.sync_rule.period;
        let due = ledger.journal.is_some() && (ledger.unsynced_bytes >= self.sync_rule.bytes || waited);
        if due { self.sync(ledger) } else { Ok(()) }
    }

    /// Makes what was written durable when it has waited long enough; for when no more pieces come by.
    pub(crate) fn sync_if_due(&self) {
        let ledger = self.ledger();
        if ledger.journal.is_some()
            && !ledger.unsynced.is_empty()
            && ledger.sync_began.elapsed() >= self.sync_rule.period
            && let Err(cause) = self.sync(ledger)
        {
            tracing::warn!(path = %self.path().display(), %cause, "cannot sync");
        }
    }

    fn sync(&self, mut ledger: MutexGuard<'_, Ledger>) -> io::Result<()> {
        let _syncing = match self.syncing.try_lock() {
            Ok(syncing) => syncing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another is at it; what it does not take along the next one does.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if ledger.ended {
            return Ok(());
        }
        ledger.sync_began = Instant::now();
        let mut pieces = std::mem::take(&mut ledger.unsynced);
        ledger.unsynced_bytes = 0;
        drop(ledger);

        // Others go on storing meanwhile.
        let synced = self.calls.sync_data(&self.part.file);
        let mut ledger = self.ledger();
        if let Err(cause) = synced {
            ledger.suspect(pieces);
            return Err(cause);
        }
        pieces.iter_mut().for_each(|record| record.durability = Durability::Durable);
        let Some(journal) = &mut ledger.journal else { return Ok(()) };
        // Without it the pieces stay `written`: less is said than is so.
        if let Err(cause) = journal.append(&pieces) {
            tracing::warn!(path = %self.path().display(), %cause, "cannot note what is durable");
            return Ok(());
        }
        let handle = journal.handle();
        drop(ledger);
        if let Err(cause) = handle.and_then(|journal| journal.sync_data()) {
            tracing::warn!(path = %self.path().display(), %cause, "cannot sync the journal");
        }
        Ok(())
    }

    /// What it will be.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the finished file is.
    pub(crate) fn paths(&self) -> &DownloadPaths {
        &self.paths
    }

    /// The download is over without success.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

/// One of our writes to a part file, from before to after it.
struct OwnWrite<'a>(&'a Part);

impl OwnWrite<'_> {
    fn begin(part: &Part) -> OwnWrite<'_> {
        let mut ledger = part.ledger();
        ledger.detect_other_writers(part);
        ledger.writes += 1;
        OwnWrite(part)
    }
}

impl Drop for OwnWrite<'_> {
    fn drop(&mut self) {
        let written_at = written_at(&self.0.part.file);
        let mut ledger = self.0.ledger();
        ledger.written_at = ledger.written_at.max(written_at);
        ledger.writes -= 1;
    }
}

impl Ledger {
    /// Between our writes the file's time stands still, or somebody else writes too: then everything is read back
    /// before the file gets its name.
    fn detect_other_writers(&mut self, part: &Part) {
        let now = written_at(&part.part.file);
        if self.writes == 0 && now > self.written_at {
            self.written_at = now;
            self.suspect_all(part);
        }
    }

    fn suspect_all(&mut self, part: &Part) {
        tracing::warn!(path = %part.path().display(), "something else has written to it");
        self.suspect.extend((0..part.manifest.layout().pieces()).map(PieceIndex));
    }

    /// The system could not bring these to the disk: neither this one nor a later one may believe that they are there.
    fn suspect(&mut self, pieces: Vec<Record>) {
        let pieces: Vec<PieceIndex> = pieces.into_iter().map(|record| record.piece).collect();
        self.suspect.extend(&pieces);
        self.record_doubtful(&pieces);
    }

    fn record_doubtful(&mut self, pieces: &[PieceIndex]) {
        let doubtful =
            |piece: &PieceIndex| Record { durability: Durability::Doubtful, piece: *piece, subtree: [0; 32] };
        let records: Vec<Record> = pieces.iter().map(doubtful).collect();
        let Some(journal) = &mut self.journal else { return };
        if journal.append(&records).is_err() {
            self.start_over();
        }
    }

    /// Nothing that the journal says is to be believed.
    fn start_over(&mut self) {
        if self.journal.as_mut().is_some_and(|journal| journal.start_over().is_err()) {
            // None says less than one that is believed; but then nobody knows any more whose the part file is.
            remove(self.journal.take());
        }
    }
}

/// When the bytes of a file were last written to, by the file system's clock.
fn written_at(file: &File) -> SystemTime {
    file.metadata().and_then(|now| now.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn remove(journal: Option<Journal>) {
    if let Some(journal) = journal {
        journal.remove();
    }
}

impl Drop for Part {
    /// The last handle is gone, so no store is under way.
    fn drop(&mut self) {
        let ledger = self.ledger.get_mut().unwrap_or_else(PoisonError::into_inner);
        // What is never gone on with does not stay, nor what has nothing in it.
        let is_of_no_use = ledger.stored == 0 || self.part.journal.is_none();
        if *self.abandoned.get_mut() && !ledger.ended && is_of_no_use {
            remove(ledger.journal.take());
            self.part.remove();
        }
    }
}
