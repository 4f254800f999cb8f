//! How a part file with all its pieces becomes the finished file.

use std::fs::File;
use std::sync::{Arc, PoisonError};

use messages::collection::{Collection, CollectionError, INDEX_HEADER, index_length_of};
use messages::{FileMetadata, PieceIndex, piece_value};
use riffle_core::{DiskError, DiskErrorKind, RenamedEntry};

use super::{Ledger, NamesState, Part, written_at};
use crate::driver::disk::folder::order::FolderOrder;
use crate::driver::disk::folder::source::FolderSource;
use crate::driver::disk::folder::unpack::{name_problems, set_modified, unpack};
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::part::allocate::full_or_else;
use crate::driver::disk::part::unnamed_file::give_name;
use crate::platform::file_id::leads_to;
use crate::platform::file_io::{forget_cached, read_exact_at};
use crate::platform::lock::unlock;
use crate::platform::open::open_regular_file;
use crate::platform::permissions::{OTHERS_WRITE, executable, mode_of_new_file, set_mode};
use crate::platform::rename::sync_folder_of;

/// What a download has become.
pub(crate) enum Finished {
    /// The file, with its identity and what was set of it.
    File(FileIdentity, FileMetadata),
    /// The folder.
    Folder(Arc<FolderSource>),
    /// A folder with the chosen entries alone, or with these names changed, which nobody can be served from.
    Selected(Vec<RenamedEntry>),
}

impl Finished {
    /// What of a folder has another name than in the content.
    pub(crate) fn renamed(&self) -> Vec<RenamedEntry> {
        match self {
            Finished::Selected(renamed) => renamed.clone(),
            _ => Vec::new(),
        }
    }

    /// What is told of the file, when it is one.
    pub(crate) fn told(&self) -> FileMetadata {
        match self {
            Finished::File(_, file) => *file,
            _ => FileMetadata::default(),
        }
    }
}

impl Part {
    /// Makes the whole durable and gives it its name. Each piece was compared
    /// with its chaining value before it was written, and these merge to the id: the whole is not read again.
    ///
    /// # Errors
    /// When the disk does not do it: then all is kept.
    pub(crate) fn finish(&self, file: Option<FileMetadata>) -> Result<Finished, DiskError> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ledger = self.ledger();
        if !ledger.has_all() && self.order.is_none() {
            return Err(self.other_error("does not have all pieces"));
        }
        self.sync_and_verify(&mut ledger)?;
        if self.part.is_lost() {
            return Err(self.other_error("was removed or replaced while it was written to"));
        }
        let finished = match (self.collection()?, &self.order) {
            (Some(collection), Some(order)) => self.finish_order(collection, order, file.is_some())?,
            (Some(collection), None) => self.finish_folder(collection, file.is_some())?,
            (None, _) => self.finish_file(file.unwrap_or_default())?,
        };
        ledger.end();
        drop(ledger);
        // It has its name; whoever opens it now may lock it.
        unlock(&self.part.file);
        Ok(finished)
    }

    fn finish_file(&self, file: FileMetadata) -> Result<Finished, DiskError> {
        if let Some(modified) = file.modified {
            set_modified(&self.part.file, modified);
        }
        let finished = match self.give_name(file.is_executable) {
            // Nothing keeps two programs from fetching the same small file, and the other was sooner.
            Err(other) if other.kind == DiskErrorKind::ExistsOther => self.same_at_target().ok_or(other)?,
            named => named.map(|()| self.part.file.clone())?,
        };
        let identity = FileIdentity::of_file(&finished);
        identity.map(|identity| Finished::File(identity, file)).map_err(|cause| self.fault(&cause))
    }

    /// The folder that the content is, if it is one.
    fn collection(&self) -> Result<Option<Collection>, DiskError> {
        let length = self.outboard.layout().length();
        let mut header = [0; INDEX_HEADER];
        if length < header.len() as u64 {
            return Ok(None);
        }
        read_exact_at(&self.part.file, &mut header, 0).map_err(|cause| self.fault(&cause))?;
        let Some(index_length) = index_length_of(&header, length) else { return Ok(None) };
        let mut index = vec![0; index_length as usize];
        read_exact_at(&self.part.file, &mut index, 0).map_err(|cause| self.fault(&cause))?;
        let collection = Collection::decode(&index);
        let collection = collection.and_then(|folder| match folder.length() == length {
            true => Ok(folder),
            false => Err(CollectionError::Size),
        });
        collection
            .map(Some)
            .map_err(|why| self.other_error(&format!("is a folder that nobody can unpack: {why}")))
    }

    /// Brings the folder at the target up to date, or makes the folder of the chosen entries alone.
    fn finish_order(
        &self,
        collection: Collection,
        order: &FolderOrder,
        keeps_metadata: bool,
    ) -> Result<Finished, DiskError> {
        let renamed = match (order.update(), order.selection()) {
            (Some(update), _) => {
                let (layout, switches) = (self.outboard.layout(), (&self.calls, &self.stop));
                let bare = (!keeps_metadata).then(|| update.without_metadata());
                bare.as_ref().unwrap_or(&update).apply(&self.part.file, layout, switches)?;
                Vec::new()
            }
            (None, Some(selection)) => {
                self.unpack(&collection.chosen(|entry| selection.has(entry)), keeps_metadata)?
            }
            (None, None) => return Err(self.other_error("does not have all pieces")),
        };
        self.part.remove();
        match order.selection() {
            Some(_) => Ok(Finished::Selected(renamed)),
            None => self.served(collection),
        }
    }

    fn finish_folder(&self, collection: Collection, keeps_metadata: bool) -> Result<Finished, DiskError> {
        let renamed = self.unpack(&collection, keeps_metadata)?;
        self.part.remove();
        if !renamed.is_empty() {
            return Ok(Finished::Selected(renamed));
        }
        self.served(collection)
    }

    /// The folder at the target, to be served.
    fn served(&self, collection: Collection) -> Result<Finished, DiskError> {
        FolderSource::of_folder(&self.paths.target, collection)
            .map(|source| Finished::Folder(Arc::new(source)))
    }

    /// Makes the folder. Returns which names it has changed.
    fn unpack(&self, collection: &Collection, keeps_metadata: bool) -> Result<Vec<RenamedEntry>, DiskError> {
        let bare = (!keeps_metadata).then(|| collection.without_metadata());
        let collection = bare.as_ref().unwrap_or(collection);
        let staging = self.paths.staging(self.content);
        let may_change = *self.names.lock().unwrap_or_else(PoisonError::into_inner) == NamesState::MayChange;
        let mut renamed = Vec::new();
        let names = may_change.then_some(&mut renamed);
        let place = (&self.paths, &*staging);
        unpack(&self.part.file, collection, place, (&self.calls, &self.stop), names)?;
        Ok(renamed)
    }

    /// What is to be said of the names of the folder, whose index is here.
    pub(super) fn name_problems(&self) -> Result<Option<String>, DiskError> {
        let Some(collection) = self.collection()? else { return Ok(None) };
        let collection = match self.order.as_ref().and_then(FolderOrder::selection) {
            Some(selection) => collection.chosen(|entry| selection.has(entry)),
            None => collection,
        };
        name_problems(&collection, &self.paths, &self.paths.staging(self.content))
    }

    /// The file at the target, when it has the one piece that this one has.
    fn same_at_target(&self) -> Option<Arc<File>> {
        let layout = self.outboard.layout();
        if layout.pieces() != 1 {
            return None;
        }
        let file = open_regular_file(&self.paths.target).ok()?;
        let is_as_long = file.metadata().is_ok_and(|found| found.len() == layout.length());
        let is_same = is_as_long && self.has_piece(&file, PieceIndex(0));
        is_same.then(|| {
            self.part.remove();
            Arc::new(file)
        })
    }

    /// Gives the file its name, with the permissions of any new file in its folder.
    fn give_name(&self, is_executable: bool) -> Result<(), DiskError> {
        let (paths, file) = (&self.paths, &*self.part.file);
        match &self.part.name {
            Some(name) => {
                let mode = mode_of_new_file(&paths.folder);
                let mode = if is_executable { executable(mode) } else { mode };
                // After a crash in between it is still a part file of ours.
                set_mode(file, mode & !OTHERS_WRITE);
                paths.rename(name)?;
                if mode & OTHERS_WRITE != 0 {
                    set_mode(file, mode);
                }
            }
            None => {
                let name = give_name(file, paths, self.content)?;
                if is_executable {
                    set_mode(file, executable(mode_of_new_file(&paths.folder)));
                }
                paths.rename(&name).inspect_err(|_| {
                    // It keeps its bytes without a name.
                    let _ = std::fs::remove_file(&name);
                })?;
            }
        }
        sync_folder_of(&paths.target);
        // Names are all that the system renames: another file may have had that one by then.
        if leads_to(&paths.target, file) {
            return Ok(());
        }
        Err(self.other_error("was replaced by something else as it got its name"))
    }

    /// Syncs all, and reads back what cannot be believed to be what was written.
    fn sync_and_verify(&self, ledger: &mut Ledger) -> Result<(), DiskError> {
        let layout = self.outboard.layout();
        if let Err(cause) = self.calls.sync_all(&self.part.file) {
            ledger.suspect_unsynced();
            return Err(full_or_else(&self.part.file, self.path(), &cause, 0, layout.length()));
        }
        let now = self.part.file.metadata().map_err(|cause| self.fault(&cause))?;
        if now.len() != layout.length() {
            ledger.suspect_all();
            self.warn_of_other_writers();
        }
        if ledger.detect_other_writers(written_at(&self.part.file)) {
            self.warn_of_other_writers();
        }
        let wrong: Vec<PieceIndex> =
            ledger.take_suspects().into_iter().filter(|piece| !self.is_on_disk(*piece)).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        ledger.record_lost(&wrong);
        Err(self.other_error("does not have the bytes that were written to it"))
    }

    /// Whether the disk itself has what the piece must be.
    fn is_on_disk(&self, piece: PieceIndex) -> bool {
        let span = self.outboard.layout().span(piece).expect("the ledger knows pieces of this content alone");
        forget_cached(&self.part.file, span.start, span.end - span.start);
        self.has_piece(&self.part.file, piece)
    }

    /// Whether `file` has the piece at its offset.
    fn has_piece(&self, file: &File, piece: PieceIndex) -> bool {
        let layout = self.outboard.layout();
        let span = layout.span(piece).expect("the ledger knows pieces of this content alone");
        let mut bytes = vec![0; (span.end - span.start) as usize];
        read_exact_at(file, &mut bytes, span.start).is_ok()
            && self.outboard.value(piece) == Some(&piece_value(layout, piece, &bytes))
    }
}
