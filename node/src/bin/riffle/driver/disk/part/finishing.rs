//! How a part file with all its pieces becomes the finished file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, PoisonError};

use messages::PieceIndex;
use node::{DiskError, DiskErrorKind, FinishError};

use super::{Ledger, Part, forget, remove};
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::journal::open_regular_file;
use crate::driver::disk::room::full_or_else;
use crate::driver::disk::tree::{Subtree, piece_hash, root_of};
use crate::driver::disk::working_files::give_name;

impl Part {
    /// Checks the whole, makes it durable and gives it its name. The identity is that of the finished file.
    ///
    /// # Errors
    /// When the whole does not match: then nothing is kept. When the disk does not do it: then all is kept.
    pub(crate) fn finish(&self) -> Result<FileIdentity, FinishError> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ledger = self.ledger();
        let subtrees: Option<Vec<Subtree>> = ledger.subtrees.iter().copied().collect();
        let Some(subtrees) = subtrees else { return Err(self.spoiled("does not have all pieces").into()) };
        if root_of(self.manifest.layout(), &subtrees) != *self.manifest.root() {
            ledger.ended = true;
            remove(ledger.journal.take());
            self.part.remove();
            return Err(FinishError::Integrity);
        }
        self.bring_to_disk(&mut ledger)?;
        if self.part.is_lost() {
            return Err(self.spoiled("was removed or replaced while it was written to").into());
        }
        let finished = match self.give_name() {
            // Nothing keeps two programs from fetching the same small file, and the other was sooner.
            Err(other) if other.kind == DiskErrorKind::ExistsOther => self.same_at_target().ok_or(other)?,
            named => named.map(|()| self.part.file.clone())?,
        };
        ledger.ended = true;
        remove(ledger.journal.take());
        drop(ledger);
        // It has its name; whoever opens it now may lock it.
        let _ = rustix::fs::flock(&*self.part.file, rustix::fs::FlockOperation::Unlock);
        FileIdentity::of_file(&finished).map_err(|cause| self.fault(&cause).into())
    }

    /// The file at the target, when it has the one piece that this one has.
    fn same_at_target(&self) -> Option<Arc<File>> {
        let layout = self.manifest.layout();
        if layout.pieces() > 1 {
            return None;
        }
        let file = open_regular_file(&self.place.target).ok()?;
        let is_as_long = file.metadata().is_ok_and(|found| found.len() == layout.length());
        let is_same = is_as_long && self.is_in(&file, PieceIndex(0));
        is_same.then(|| {
            self.part.remove();
            Arc::new(file)
        })
    }

    /// The file becomes the finished one.
    fn give_name(&self) -> Result<(), DiskError> {
        let Some(name) = &self.part.name else {
            let name = give_name(&self.part.file, &self.place, self.content)?;
            return self.place.rename(&name).inspect_err(|_| {
                // It keeps its bytes without a name.
                let _ = std::fs::remove_file(&name);
            });
        };
        self.place.rename(name)
    }

    /// Syncs all, and reads back what cannot be believed to be what was written.
    fn bring_to_disk(&self, ledger: &mut Ledger) -> Result<(), DiskError> {
        let layout = self.manifest.layout();
        if let Err(cause) = self.writing.sync_all(&self.part.file) {
            let unsynced = std::mem::take(&mut ledger.unsynced);
            ledger.suspect(unsynced);
            return Err(full_or_else(&self.part.file, self.path(), &cause, 0, layout.length()));
        }
        let now = self.part.file.metadata().map_err(|cause| self.fault(&cause))?;
        if now.len() != layout.length() {
            ledger.suspect_all(self);
        }
        ledger.look_for_other_writers(self);
        let wrong: Vec<PieceIndex> = std::mem::take(&mut ledger.suspect)
            .into_iter()
            .filter(|piece| !self.is_on_disk(*piece))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        for piece in &wrong {
            ledger.subtrees[piece.0 as usize] = None;
        }
        ledger.doubt(&wrong);
        Err(self.spoiled("does not have the bytes that were written to it"))
    }

    /// Whether the disk itself has what the piece must be.
    fn is_on_disk(&self, piece: PieceIndex) -> bool {
        let Some(span) = self.manifest.layout().span(piece) else { return false };
        forget(&self.part.file, span.start, span.end - span.start);
        self.is_in(&self.part.file, piece)
    }

    /// Whether `file` has what the piece must be.
    fn is_in(&self, file: &File, piece: PieceIndex) -> bool {
        let Some(span) = self.manifest.layout().span(piece) else { return false };
        let mut bytes = vec![0; (span.end - span.start) as usize];
        let read = file.read_exact_at(&mut bytes, span.start);
        read.is_ok() && self.manifest.piece_hash(piece) == Some(&piece_hash(&bytes))
    }
}
