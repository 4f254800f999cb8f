//! The working files of a download: made anew where nobody has such names, or taken up again when they are proven to be
//! ours.
//!
//! A name proves nothing, and a folder may be open to others. Both files are looked at only when nobody but this user
//! can have written to them (`file_owner.rs`). Then the part file is ours when the journal beside it is about the same
//! content and either carries our seal and marks this very inode, or tells of a piece that is in the file: in that case
//! nothing else of what it says is believed. Whatever else stands under our names is left as it is, and other names are
//! used. Nothing is opened for writing before that is known.
//!
//! Working files are made for this user alone; the finished file is as open as any new file in its folder.
//!
//! A content of one piece is never gone on with: its part file has no name at all until it is complete, where the file
//! system can do that, and no journal.

use std::cell::OnceCell;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use messages::Outboard;
use riffle_core::{DiskError, DiskErrorKind, RecheckReason};

use super::allocate::{check_space, full_or_else};
use super::download_paths::{DownloadPaths, MAX_NUMBER, WorkingNames};
use super::lock::{LOCK_PAUSE, LOCK_TRIES, Lock, NoLock};
use super::resume::OldJournal;
use super::unnamed_file::open_unnamed;
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::fault_injection::{Call, DiskCalls};
use crate::driver::disk::file_owner::{FileOwner, is_ours};
use crate::driver::disk::journal::mac::JournalKey;
use crate::driver::disk::journal::records::{FileMark, JournalContents, JournalHeader};
use crate::driver::disk::journal::{self, Journal, JournalDestination, JournalSettings, create_fresh};
use crate::platform::error_kind::is_passing;
use crate::platform::file_id::{FileNumber, is_same_file, leads_to};
use crate::platform::open::{open_for_writing, open_regular_file, private_without_links};
use crate::platform::permissions::{PRIVATE, set_mode};
use crate::platform::rename::rename_no_replace;

/// What a download needs to know to find or make its working files.
pub(crate) struct WorkingFileFinder<'a> {
    /// The paths of the download.
    pub(crate) paths: &'a DownloadPaths,
    /// The header that the journal of this download has; the marks of files in the header are not compared.
    pub(crate) header: JournalHeader,
    /// What describes the content.
    pub(crate) outboard: &'a Outboard,
    /// How much of the disk the part file will take, as far as that is known.
    pub(crate) space: u64,
    /// The calls that write.
    pub(crate) calls: &'a DiskCalls,
    /// The folder for locks where the file system of the download has none.
    pub(crate) lock_folder: Option<&'a Path>,
    /// The key under which this user's journals are sealed.
    pub(crate) key: &'a JournalKey,
    /// Whether the file system of the folder knows the owners of files; found out when that is asked first.
    pub(crate) knows_owners: OnceCell<bool>,
}

/// An open, locked part file, and where the journal stands or will.
#[derive(Debug)]
pub(crate) struct WorkingFiles {
    /// The part file.
    pub(crate) file: File,
    /// The part file's name; `None` while the file has none.
    pub(crate) part: Option<PathBuf>,
    /// The destination of the journal; `None` for a content of one piece.
    pub(crate) journal: Option<JournalDestination>,
    /// The lock of the part file.
    pub(crate) lock: Lock,
    /// What the part file has from before.
    pub(crate) found: Found,
}

/// What is in a part file that was opened.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing: the part file was created just now, with its journal if it has one.
    Nothing(Option<Journal>),
    /// The pieces that the journal tells of. `is_moved`: the part file is another inode than the journal's, or one that
    /// others can have written to.
    Before { journal: OldJournal, is_moved: bool },
}

/// What stands under one set of names.
enum Standing {
    /// Nothing is in the way; at most a journal of ours is there, whose part file is gone.
    Free(Option<FileNumber>),
    /// A file that is not ours has one of the names.
    Foreign,
    /// A part file of ours has the name.
    Ours { file: File, is_moved: bool },
}

/// Removes files that were created just now, unless all of them could be created.
struct Undo<'a> {
    part: &'a Path,
    file: Option<&'a File>,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.file
            && leads_to(self.part, file)
        {
            // There is nothing in it.
            let _ = std::fs::remove_file(self.part);
        }
    }
}

impl WorkingFileFinder<'_> {
    /// Opens the working files of this download: those from before, or new ones.
    ///
    /// # Errors
    /// [`DiskErrorKind::InUse`] when another download has them; the system's.
    pub(crate) fn open(&self) -> Result<WorkingFiles, DiskError> {
        if self.pieces() <= 1 {
            return self.open_small();
        }
        self.take_over_old_form();
        let mut tries = 0;
        let mut number = 1;
        while number <= MAX_NUMBER {
            let names = self.paths.working_names(self.header.content, number);
            let opened = match self.inspect(&names)? {
                Standing::Free(replaces) => self.make(&names, replaces),
                Standing::Ours { file, is_moved } => self.resume(&names, &file, is_moved),
                // The file may be ours while its journal is about to be made.
                Standing::Foreign if self.is_held(&names.part) || is_empty(&names.part) => {
                    Err(Obstacle::Changed)
                }
                Standing::Foreign => Err(Obstacle::Foreign),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(Obstacle::Failed(error)) => return Err(error),
                Err(Obstacle::Foreign) => number += 1,
                // Another download that works on these files is done within moments.
                Err(Obstacle::Held | Obstacle::Changed) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(Obstacle::Changed) => number += 1,
                Err(Obstacle::Held) => return Err(error(&names.part, DiskErrorKind::InUse)),
            }
        }
        Err(self.no_name_left())
    }

    fn pieces(&self) -> u32 {
        self.outboard.layout().pieces()
    }

    fn no_name_left(&self) -> DiskError {
        let names = self.paths.working_names(self.header.content, 1);
        let what = "this name and others like it are taken by files that are not of this download";
        error(&names.part, DiskErrorKind::Other(what.to_owned()))
    }

    fn inspect(&self, names: &WorkingNames) -> Result<Standing, DiskError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| disk_error(&path, &cause)
        };
        let journal = self.journal_at(&names.journal).map_err(failed(&names.journal))?;
        let part = match open_regular_file(&names.part) {
            Ok(file) => Some(file),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) if is_passing(&cause) => return Err(disk_error(&names.part, &cause)),
            Err(_) => return Ok(Standing::Foreign),
        };
        Ok(match (journal, part) {
            (Some(journal), Some(file)) => match self.owner(&file) {
                FileOwner::Others => Standing::Foreign,
                owner => {
                    let is_moved = owner == FileOwner::Unknown || !journal.header().part.is_of(&file);
                    let is_ours =
                        (journal.is_proven() && !is_moved) || journal.has_a_piece_in(&file, self.outboard);
                    if is_ours { Standing::Ours { file, is_moved } } else { Standing::Foreign }
                }
            },
            // What the journal is about is gone; it is replaced.
            (Some(journal), None) if journal.is_proven() => Standing::Free(journal.number()),
            (Some(_), None) | (None, Some(_)) => Standing::Foreign,
            (None, None) if std::fs::symlink_metadata(&names.journal).is_ok() => Standing::Foreign,
            (None, None) => Standing::Free(None),
        })
    }

    /// The journal of this content at `path`.
    fn journal_at(&self, path: &Path) -> io::Result<Option<OldJournal>> {
        self.read_journal(path, |bytes| JournalContents::read(bytes, self.pieces(), self.key))
    }

    fn read_journal(
        &self,
        path: &Path,
        read: impl Fn(&[u8]) -> Result<JournalContents, RecheckReason>,
    ) -> io::Result<Option<OldJournal>> {
        let journal = OldJournal::read(path, self.pieces(), read, |found| self.owner_of(found))?;
        Ok(journal.filter(|journal| journal.header().is_about(&self.header)))
    }

    /// The owner of an open file in the folder.
    fn owner(&self, file: &File) -> FileOwner {
        file.metadata().map_or(FileOwner::Others, |found| self.owner_of(&found))
    }

    fn owner_of(&self, found: &Metadata) -> FileOwner {
        FileOwner::of(found, || *self.knows_owners.get_or_init(|| self.probe_owners()))
    }

    /// Whether a file that we make in the folder is ours there: on a stick or a share all may be of one user and open
    /// to all.
    fn probe_owners(&self) -> bool {
        if self.calls.allow(Call::Owner).is_err() {
            return false;
        }
        let names = self.paths.working_names(self.header.content, 1);
        let Ok((file, path)) = create_fresh(&names.journal, self.journal_settings()) else { return true };
        let tells = file.metadata().is_ok_and(|found| is_ours(&found));
        if leads_to(&path, &file) {
            let _ = std::fs::remove_file(&path);
        }
        tells
    }

    fn journal_settings(&self) -> JournalSettings<'_> {
        JournalSettings { pieces: self.pieces(), calls: self.calls, key: self.key }
    }

    /// Whether somebody has locked the file at `path`.
    fn is_held(&self, path: &Path) -> bool {
        let Ok(file) = open_regular_file(path) else { return false };
        match Lock::take(path, &file, (self.lock_folder, self.calls)) {
            Ok(_) => false,
            Err(NoLock::Held) => true,
            Err(NoLock::Failed(_)) => false,
        }
    }

    fn make(&self, names: &WorkingNames, replaces: Option<FileNumber>) -> Result<WorkingFiles, Obstacle> {
        let file = create(&names.part)?;
        let mut undo = Undo { part: &names.part, file: Some(&file) };
        let lock = Lock::take(&names.part, &file, (self.lock_folder, self.calls))
            .map_err(self.no_lock(&names.part))?;
        let pieces = self.pieces();
        check_space(&file, &names.part, self.space, journal::max_length(pieces)).map_err(Obstacle::Failed)?;
        let header = JournalHeader { part: FileMark::of(&file), ..self.header };
        let mut destination = JournalDestination { path: names.journal.clone(), replaces };
        let journal = Journal::create(&mut destination, &header, &[], self.journal_settings());
        let journal = journal.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => Obstacle::Changed,
            _ => {
                let max_length = journal::max_length(pieces);
                Obstacle::Failed(full_or_else(&file, &names.journal, &cause, max_length, max_length))
            }
        })?;
        undo.file = None;
        drop(undo);
        let (part, journal_at) = (Some(names.part.clone()), Some(destination));
        Ok(WorkingFiles { file, part, journal: journal_at, lock, found: Found::Nothing(Some(journal)) })
    }

    fn resume(&self, names: &WorkingNames, proven: &File, is_moved: bool) -> Result<WorkingFiles, Obstacle> {
        let file = open_for_writing(&names.part)
            .map_err(|cause| Obstacle::Failed(disk_error(&names.part, &cause)))?;
        if !is_same_file(proven, &file) {
            return Err(Obstacle::Changed);
        }
        let lock = Lock::take(&names.part, &file, (self.lock_folder, self.calls))
            .map_err(self.no_lock(&names.part))?;
        // The lock is worth something only while the path still leads to what is locked; and who had it before may have
        // written meanwhile.
        let current = self.journal_at(&names.journal);
        let current = current.map_err(|cause| Obstacle::Failed(disk_error(&names.journal, &cause)))?;
        let Some(current) = current.filter(|_| leads_to(&names.part, &file)) else {
            return Err(Obstacle::Changed);
        };
        // While nobody had the lock, the file may have been moved or given another name.
        let is_as_seen = is_moved || current.header().part.is_of(&file);
        if !is_as_seen || self.owner(&file) == FileOwner::Others {
            return Err(Obstacle::Changed);
        }
        set_mode(&file, PRIVATE);
        let destination = JournalDestination { path: names.journal.clone(), replaces: current.number() };
        let (part, journal) = (Some(names.part.clone()), Some(destination));
        Ok(WorkingFiles { file, part, journal, lock, found: Found::Before { journal: current, is_moved } })
    }

    fn no_lock(&self, part: &Path) -> impl Fn(NoLock) -> Obstacle {
        let part = part.to_owned();
        move |why| match why {
            NoLock::Held => Obstacle::Held,
            NoLock::Failed(cause) => Obstacle::Failed(disk_error(&part, &cause)),
        }
    }

    /// Files of the time when working files had no names of their own: renamed once, when their journal and a piece say
    /// whose they are. Nothing sealed that journal, so all that may be there is to be hashed.
    fn take_over_old_form(&self) {
        let (old, new) = (self.paths.old_names(), self.paths.working_names(self.header.content, 1));
        let read = |bytes: &[u8]| JournalContents::read_oldest(bytes, self.pieces());
        let Ok(Some(journal)) = self.read_journal(&old.journal, read) else { return };
        let Ok(file) = open_regular_file(&old.part) else { return };
        let Ok(Standing::Free(replaces)) = self.inspect(&new) else { return };
        let is_others = self.owner(&file) == FileOwner::Others || self.is_held(&old.part);
        if is_others || !journal.has_a_piece_in(&file, self.outboard) {
            return;
        }
        let Ok(metadata) = file.metadata() else { return };
        let header = JournalHeader { part: FileMark::of(&file), ..self.header };
        let recovered = journal.recover((&file, &metadata), &self.header, self.outboard, false);
        let mut destination = JournalDestination { path: new.journal, replaces };
        let made = Journal::create(&mut destination, &header, &recovered.records(), self.journal_settings());
        // The new journal is made first: after a crash in between both journals are found again.
        let Ok(made) = made else { return };
        match rename_no_replace(&old.part, &new.part) {
            Ok(()) => {
                tracing::info!(from = %old.part.display(), to = %new.part.display(), "working files have names of their own now");
                let _ = std::fs::remove_file(&old.journal);
            }
            Err(cause) => {
                tracing::warn!(path = %old.part.display(), %cause, "working files of the old form stay");
                made.remove();
            }
        }
    }

    /// The part file of a content of one piece.
    fn open_small(&self) -> Result<WorkingFiles, DiskError> {
        if let Some(file) = open_unnamed(&self.paths.folder) {
            let (lock, found) = (Lock::Nowhere, Found::Nothing(None));
            return Ok(WorkingFiles { file, part: None, journal: None, lock, found });
        }
        for number in 1..=MAX_NUMBER {
            let part = self.paths.working_names(self.header.content, number).part;
            match create(&part) {
                Ok(file) => {
                    let lock =
                        Lock::take(&part, &file, (self.lock_folder, self.calls)).unwrap_or(Lock::Nowhere);
                    let found = Found::Nothing(None);
                    return Ok(WorkingFiles { file, part: Some(part), journal: None, lock, found });
                }
                Err(Obstacle::Failed(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Err(self.no_name_left())
    }
}

/// Why working files cannot be had under some names.
enum Obstacle {
    /// Files that are not ours have these names.
    Foreign,
    /// Another download has locked the files.
    Held,
    /// The files changed while they were looked at.
    Changed,
    /// The system refuses.
    Failed(DiskError),
}

/// Whether there is nothing in the file at `path` yet, as in one that was made a moment ago.
fn is_empty(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Makes a file where there is none.
fn create(part: &Path) -> Result<File, Obstacle> {
    private_without_links().read(true).write(true).create_new(true).open(part).map_err(|cause| {
        match cause.kind() {
            io::ErrorKind::AlreadyExists => Obstacle::Changed,
            _ => Obstacle::Failed(disk_error(part, &cause)),
        }
    })
}
