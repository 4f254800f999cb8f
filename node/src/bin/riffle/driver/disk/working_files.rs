//! The working files of a download: made anew where nobody has such names, or taken up again when they are proven to be ours.
//!
//! A name proves nothing. A part file is ours when the journal beside it is about the same content and either marks this very
//! inode, or tells of a piece that is in the file. Whatever else stands under our names is left as it is, and other names are
//! used. Nothing is opened for writing before that is known.
//!
//! A content of one piece is never gone on with: its part file has no name at all until it is complete, where the file system
//! can do that, and no journal.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use messages::Manifest;
use node::{DiskError, DiskErrorKind};

use super::before::OldJournal;
use super::fault::{disk_error, error, is_passing};
use super::journal::{self, Journal, leads_to, open_regular_file};
use super::lock::{LOCK_PAUSE, LOCK_TRIES, Lock, NoLock};
use super::place::{MAX_NUMBER, Place, WorkingNames, rename_apart};
use super::records::{JournalHeader, PartMark, from_old_form};
use super::room::{check_room, full_or_else};
use super::writing::Writing;

/// What a download needs to know to find or make its working files.
pub(crate) struct Search<'a> {
    /// Where it goes.
    pub(crate) place: &'a Place,
    /// Whose they are; the mark is not looked at.
    pub(crate) header: JournalHeader,
    /// What it is.
    pub(crate) manifest: &'a Manifest,
    /// How to write.
    pub(crate) writing: &'a Writing,
    /// Where locks go that the file system does not have.
    pub(crate) locks: Option<&'a Path>,
}

/// An open, locked part file, and where the journal stands or will.
#[derive(Debug)]
pub(crate) struct WorkingFiles {
    /// The part file.
    pub(crate) file: File,
    /// Its name; `None` while it has none.
    pub(crate) part: Option<PathBuf>,
    /// The journal's name; `None` for a content of one piece.
    pub(crate) journal: Option<PathBuf>,
    /// Where it is locked.
    pub(crate) lock: Lock,
    /// What is known of it from before.
    pub(crate) found: Found,
}

/// What is in a part file that was opened.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing: it was made just now, with its journal if it has one.
    Nothing(Option<Journal>),
    /// What its journal says. `is_moved`: of another inode.
    Before { journal: OldJournal, is_moved: bool },
}

/// What stands under one set of names.
enum Standing {
    /// Nothing that is in the way.
    Free,
    /// Something that is not ours.
    Foreign,
    /// Ours.
    Ours { file: File, is_moved: bool },
}

/// Removes files that were made just now, unless all went well.
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

impl Search<'_> {
    /// The working files of this download: those from before, or new ones.
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
            let names = self.place.working_names(self.header.content, number);
            let opened = match self.look_at(&names)? {
                Standing::Free => self.make(&names),
                Standing::Ours { file, is_moved } => self.take_up(&names, &file, is_moved),
                // Perhaps ours, and its journal is about to be made.
                Standing::Foreign if self.is_held(&names.part) || is_empty(&names.part) => {
                    Err(Obstacle::Changed)
                }
                Standing::Foreign => Err(Obstacle::Foreign),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(Obstacle::Failed(error)) => return Err(error),
                Err(Obstacle::Foreign) => number += 1,
                // Whoever is at it is through within moments.
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
        self.manifest.layout().pieces()
    }

    fn no_name_left(&self) -> DiskError {
        let names = self.place.working_names(self.header.content, 1);
        let what = "this name and others like it are taken by files that are not of this download";
        error(&names.part, DiskErrorKind::Other(what.to_owned()))
    }

    fn look_at(&self, names: &WorkingNames) -> Result<Standing, DiskError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| disk_error(&path, &cause)
        };
        let journal = self.journal_at(&names.journal, Some).map_err(failed(&names.journal))?;
        let part = match open_regular_file(&names.part) {
            Ok(file) => Some(file),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) if is_passing(&cause) => return Err(disk_error(&names.part, &cause)),
            Err(_) => return Ok(Standing::Foreign),
        };
        Ok(match (journal, part) {
            (Some((header, journal)), Some(file)) => {
                let is_moved = header.part == PartMark::NONE || header.part != PartMark::of(&file);
                let is_ours = !is_moved || journal.tells_of(&file, &self.header, self.manifest);
                if is_ours { Standing::Ours { file, is_moved } } else { Standing::Foreign }
            }
            // What the journal is about is gone; it is replaced.
            (Some(_), None) => Standing::Free,
            (None, Some(_)) => Standing::Foreign,
            (None, None) if std::fs::symlink_metadata(&names.journal).is_ok() => Standing::Foreign,
            (None, None) => Standing::Free,
        })
    }

    /// The journal of this content at `path`.
    fn journal_at(
        &self,
        path: &Path,
        form: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
    ) -> io::Result<Option<(JournalHeader, OldJournal)>> {
        let Some(journal) = OldJournal::read(path, self.pieces(), form)? else { return Ok(None) };
        let header = journal.header().filter(|header| header.is_about(&self.header));
        Ok(header.map(|header| (header, journal)))
    }

    /// Whether somebody has locked the file at `path`.
    fn is_held(&self, path: &Path) -> bool {
        let Ok(file) = open_regular_file(path) else { return false };
        match Lock::take(path, &file, (self.locks, self.writing)) {
            Ok(_) => false,
            Err(NoLock::Held) => true,
            Err(NoLock::Failed(_)) => false,
        }
    }

    fn make(&self, names: &WorkingNames) -> Result<WorkingFiles, Obstacle> {
        let file = create(&names.part)?;
        let mut undo = Undo { part: &names.part, file: Some(&file) };
        let lock =
            Lock::take(&names.part, &file, (self.locks, self.writing)).map_err(self.no_lock(&names.part))?;
        let (layout, pieces) = (self.manifest.layout(), self.pieces());
        check_room(&file, &names.part, layout.length(), journal::most(pieces)).map_err(Obstacle::Failed)?;
        let header = JournalHeader { part: PartMark::of(&file), ..self.header };
        let journal = Journal::create(&names.journal, &header, &[], (pieces, self.writing));
        let journal = journal.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => Obstacle::Changed,
            _ => {
                let most = journal::most(pieces);
                Obstacle::Failed(full_or_else(&file, &names.journal, &cause, most, most))
            }
        })?;
        undo.file = None;
        drop(undo);
        let (part, journal_path) = (Some(names.part.clone()), Some(names.journal.clone()));
        Ok(WorkingFiles { file, part, journal: journal_path, lock, found: Found::Nothing(Some(journal)) })
    }

    fn take_up(&self, names: &WorkingNames, proven: &File, is_moved: bool) -> Result<WorkingFiles, Obstacle> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&names.part);
        let file = opened.map_err(|cause| Obstacle::Failed(disk_error(&names.part, &cause)))?;
        if !same_file(proven, &file) {
            return Err(Obstacle::Changed);
        }
        let lock =
            Lock::take(&names.part, &file, (self.locks, self.writing)).map_err(self.no_lock(&names.part))?;
        // The lock is worth something only while the path still leads to what is locked; and who had it before may have
        // written meanwhile.
        let current = self.journal_at(&names.journal, Some);
        let current = current.map_err(|cause| Obstacle::Failed(disk_error(&names.journal, &cause)))?;
        let Some((_, current)) = current.filter(|_| leads_to(&names.part, &file)) else {
            return Err(Obstacle::Changed);
        };
        let (part, journal) = (Some(names.part.clone()), Some(names.journal.clone()));
        Ok(WorkingFiles { file, part, journal, lock, found: Found::Before { journal: current, is_moved } })
    }

    fn no_lock(&self, part: &Path) -> impl Fn(NoLock) -> Obstacle {
        let part = part.to_owned();
        move |why| match why {
            NoLock::Held => Obstacle::Held,
            NoLock::Failed(cause) => Obstacle::Failed(disk_error(&part, &cause)),
        }
    }

    /// Files of the time when working files had no names of their own: renamed once, when their journal and a piece say whose
    /// they are.
    fn take_over_old_form(&self) {
        let (old, new) = (self.place.old_names(), self.place.working_names(self.header.content, 1));
        let Ok(Some((_, journal))) = self.journal_at(&old.journal, |bytes| from_old_form(&bytes)) else {
            return;
        };
        let Ok(file) = open_regular_file(&old.part) else { return };
        let is_free = matches!(self.look_at(&new), Ok(Standing::Free));
        if !is_free || self.is_held(&old.part) || !journal.tells_of(&file, &self.header, self.manifest) {
            return;
        }
        let Ok(metadata) = file.metadata() else { return };
        let header = JournalHeader { part: PartMark::of(&file), ..self.header };
        let recovered = journal.look_back((&file, &metadata), &self.header, self.manifest, false);
        let records = recovered.records();
        let made = Journal::create(&new.journal, &header, &records, (self.pieces(), self.writing));
        // The new journal first: after a crash in between both are found again.
        let Ok(made) = made else { return };
        match rename_apart(&old.part, &new.part) {
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
        if let Some(file) = nameless(&self.place.folder) {
            let (lock, found) = (Lock::Nowhere, Found::Nothing(None));
            return Ok(WorkingFiles { file, part: None, journal: None, lock, found });
        }
        for number in 1..=MAX_NUMBER {
            let part = self.place.working_names(self.header.content, number).part;
            match create(&part) {
                Ok(file) => {
                    let lock = Lock::take(&part, &file, (self.locks, self.writing)).unwrap_or(Lock::Nowhere);
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
    /// Something else has them.
    Foreign,
    /// Another download is at them.
    Held,
    /// They became something else while they were looked at.
    Changed,
    /// The system says no.
    Failed(DiskError),
}

/// Whether there is nothing in the file at `path` yet, as in one that was made a moment ago.
fn is_empty(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Makes a file where there is none.
fn create(part: &Path) -> Result<File, Obstacle> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).custom_flags(libc::O_NOFOLLOW);
    options.open(part).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => Obstacle::Changed,
        _ => Obstacle::Failed(disk_error(part, &cause)),
    })
}

/// A file in `folder` that has no name, and can be given one.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)).ok()?);
    // Without /proc it could never be named.
    std::fs::symlink_metadata(by_descriptor(&file)).is_ok().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_folder: &Path) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn by_descriptor(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives a file without a name the first working name that is free.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
pub(crate) fn give_name(
    file: &File,
    place: &Place,
    content: messages::ContentId,
) -> Result<PathBuf, DiskError> {
    use rustix::fs::{AtFlags, CWD};
    for number in 1..=MAX_NUMBER {
        let part = place.working_names(content, number).part;
        match rustix::fs::linkat(CWD, by_descriptor(file), CWD, &part, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => return Ok(part),
            Err(rustix::io::Errno::EXIST) => {}
            Err(cause) => return Err(disk_error(&part, &cause.into())),
        }
    }
    Err(error(&place.target, DiskErrorKind::Other("no name is free beside it".to_owned())))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn give_name(
    _file: &File,
    place: &Place,
    _content: messages::ContentId,
) -> Result<PathBuf, DiskError> {
    Err(super::fault::internal(&place.target))
}

impl PartMark {
    /// The mark of an open file; [`PartMark::NONE`] where the system does not tell.
    pub(crate) fn of(file: &File) -> PartMark {
        let Ok(metadata) = file.metadata() else { return PartMark::NONE };
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = made.map_or(0, |made| u64::try_from(made.as_nanos()).unwrap_or(0));
        PartMark { inode: metadata.ino(), made }
    }
}

fn same_file(one: &File, other: &File) -> bool {
    let of = |file: &File| file.metadata().map(|found: Metadata| (found.dev(), found.ino())).ok();
    of(one).is_some() && of(one) == of(other)
}
