//! `NAME.part`: a download's bytes while they are incomplete, with the values that prove each stored piece.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use messages::{Manifest, PieceHash, PieceIndex};
use node::{DiskError, DiskErrorKind, FinishError, StoreError};

use super::fault::{disk_error, error};
use super::identity::FileIdentity;
use super::journal::{Journal, Kept, Record};
use super::place::Place;
use super::tree::{Subtree, piece_hash, root_of, subtree_of};

/// After how much, or how long, written pieces are made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncRule {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Time.
    pub(crate) period: Duration,
}

/// An open part file; locked until the last handle of it is gone.
pub(crate) struct Part {
    place: Place,
    file: Arc<File>,
    manifest: Arc<Manifest>,
    rule: SyncRule,
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
    /// Written since the last sync began.
    unsynced: Vec<Record>,
    unsynced_bytes: u64,
    sync_began: Instant,
    syncing: bool,
    /// The file has its name, or was given up for good.
    ended: bool,
}

impl Part {
    /// A part file that is open, locked and of the right length, with the pieces that are in it already.
    pub(crate) fn new(
        place: Place,
        file: Arc<File>,
        manifest: Arc<Manifest>,
        rule: SyncRule,
        journal: Option<Journal>,
        have: &[(PieceIndex, Subtree)],
    ) -> Part {
        let mut subtrees = vec![None; manifest.layout().pieces() as usize];
        for (piece, subtree) in have {
            subtrees[piece.0 as usize] = Some(*subtree);
        }
        let ledger = Ledger {
            journal,
            stored: have.len() as u32,
            subtrees,
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            sync_began: Instant::now(),
            syncing: false,
            ended: false,
        };
        let abandoned = AtomicBool::new(false);
        Part { place, file, manifest, rule, ledger: Mutex::new(ledger), abandoned }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, cause: &io::Error) -> DiskError {
        disk_error(&self.place.part, cause)
    }

    /// Checks a piece and writes it to its place.
    ///
    /// # Errors
    /// When the bytes are not the piece's, or the disk does not take them.
    pub(crate) fn store(
        &self,
        piece: PieceIndex,
        bytes: &[u8],
        expected: &PieceHash,
    ) -> Result<(), StoreError> {
        let layout = self.manifest.layout();
        let Some(span) = layout.span(piece) else { return Err(StoreError::Hash) };
        if bytes.len() as u64 != span.end - span.start || piece_hash(bytes) != *expected {
            return Err(StoreError::Hash);
        }
        let subtree = subtree_of(layout, piece, bytes);
        self.file.write_all_at(bytes, span.start).map_err(|cause| match self.fault(&cause) {
            DiskError { path, kind: DiskErrorKind::Full { .. } } => {
                DiskError { path, kind: DiskErrorKind::Full { needed: bytes.len() as u64 } }
            }
            other => other,
        })?;
        self.enter(piece, subtree, bytes.len() as u64).map_err(|cause| self.fault(&cause))?;
        Ok(())
    }

    fn enter(&self, piece: PieceIndex, subtree: Subtree, length: u64) -> io::Result<()> {
        let mut ledger = self.ledger();
        let slot = &mut ledger.subtrees[piece.0 as usize];
        if slot.replace(subtree).is_none() {
            ledger.stored += 1;
        }
        let record = Record { kept: Kept::Written, piece, subtree };
        let Some(journal) = &mut ledger.journal else { return Ok(()) };
        journal.append(&[record])?;
        ledger.unsynced.push(record);
        ledger.unsynced_bytes += length;
        let due = ledger.unsynced_bytes >= self.rule.bytes || ledger.sync_began.elapsed() >= self.rule.period;
        if due { self.sync(ledger) } else { Ok(()) }
    }

    /// Makes what was written durable when it has waited long enough; for when no more pieces come by.
    pub(crate) fn sync_if_due(&self) {
        let ledger = self.ledger();
        if !ledger.unsynced.is_empty()
            && ledger.sync_began.elapsed() >= self.rule.period
            && let Err(cause) = self.sync(ledger)
        {
            // The pieces stay `written`; the next sync says it again.
            tracing::warn!(path = %self.place.part.display(), %cause, "cannot sync");
        }
    }

    fn sync(&self, mut ledger: MutexGuard<'_, Ledger>) -> io::Result<()> {
        if ledger.syncing || ledger.ended {
            return Ok(());
        }
        ledger.syncing = true;
        ledger.sync_began = Instant::now();
        let mut pieces = std::mem::take(&mut ledger.unsynced);
        ledger.unsynced_bytes = 0;
        drop(ledger);

        // Others go on storing meanwhile.
        let synced = self.file.sync_data();
        let mut ledger = self.ledger();
        ledger.syncing = false;
        synced?;
        pieces.iter_mut().for_each(|record| record.kept = Kept::Durable);
        let Some(journal) = &mut ledger.journal else { return Ok(()) };
        journal.append(&pieces)?;
        let handle = journal.handle()?;
        drop(ledger);
        handle.sync_data()
    }

    /// Checks the whole, makes it durable and gives it its name. The identity is that of the finished file.
    ///
    /// # Errors
    /// When the whole does not match: then nothing is kept. When the disk does not do it: then all is kept.
    pub(crate) fn finish(&self) -> Result<FileIdentity, FinishError> {
        let mut ledger = self.ledger();
        let subtrees: Option<Vec<Subtree>> = ledger.subtrees.iter().copied().collect();
        let Some(subtrees) = subtrees else {
            let missing = DiskErrorKind::Other("not all pieces are stored".to_owned());
            return Err(error(&self.place.part, missing).into());
        };
        if root_of(self.manifest.layout(), &subtrees) != *self.manifest.root() {
            ledger.ended = true;
            remove(ledger.journal.take());
            let _ = std::fs::remove_file(&self.place.part);
            return Err(FinishError::Integrity);
        }
        self.file.sync_all().map_err(|cause| self.fault(&cause))?;
        self.place.rename()?;
        ledger.ended = true;
        remove(ledger.journal.take());
        drop(ledger);
        // It has its name; whoever opens it now may lock it.
        let _ = rustix::fs::flock(&*self.file, rustix::fs::FlockOperation::Unlock);
        FileIdentity::of_file(&self.file).map_err(|cause| self.fault(&cause).into())
    }

    /// What it will be.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the finished file is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The download is over without success.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
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
        if *self.abandoned.get_mut() && !ledger.ended && ledger.stored == 0 {
            remove(ledger.journal.take());
            let _ = std::fs::remove_file(&self.place.part);
        }
        // The mapping of a served part may keep the file open for longer; the lock ends here.
        let _ = rustix::fs::flock(&*self.file, rustix::fs::FlockOperation::Unlock);
    }
}
