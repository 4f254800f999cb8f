//! The bytes of a folder as one content, read from its files.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use messages::collection::{Collection, Entry, EntryKind, EntryPath, Extent, FileEntry};
use messages::{Layout, PieceIndex, PieceRun};
use riffle_core::{DiskError, DiskErrorKind};

use super::parallel;
use super::roots::Roots;
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::hash::share::open_regular;
use crate::driver::disk::identity::FileIdentity;
use crate::platform::file_io::read_exact_at;

/// A thread looks at so many entries at a time.
const LOOKED_AT_TOGETHER: usize = 256;
/// At most so many files of one folder are open.
const MAX_OPEN: usize = 16;

/// Why bytes of a folder cannot be read.
#[derive(Debug)]
pub(crate) enum FolderFault {
    /// These files are not what they were.
    Files(Vec<LostFile>),
    /// It is no file's fault.
    Folder(DiskError),
}

/// A file of a folder that is not what it was, and had bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostFile {
    /// The number of its entry.
    pub(crate) entry: usize,
    /// The pieces that have bytes of it.
    pub(crate) pieces: PieceRun,
    /// What was found.
    pub(crate) error: DiskError,
}

/// A folder whose files must stay as they were when they were hashed.
#[derive(Debug)]
pub(crate) struct FolderSource {
    roots: Roots,
    collection: Collection,
    index: Vec<u8>,
    /// What each file must still be, by the number of its entry.
    identities: Vec<Option<FileIdentity>>,
    /// The files that were read last, the latest at the end.
    open: Mutex<VecDeque<(usize, Arc<File>)>>,
}

impl FolderSource {
    /// The collection whose files are at `roots` and have these identities, by the numbers of their entries.
    pub(super) fn new(
        roots: Roots,
        collection: Collection,
        identities: Vec<Option<FileIdentity>>,
    ) -> FolderSource {
        let index = collection.index();
        FolderSource { roots, collection, index, identities, open: Mutex::default() }
    }

    /// The folder at `root`, in which `collection` was put just now.
    ///
    /// # Errors
    /// When a file is not there.
    pub(crate) fn of_folder(root: &Path, collection: Collection) -> Result<FolderSource, DiskError> {
        let roots = Roots::Folder(root.to_owned());
        let identity = |entry: &Entry| match &entry.kind {
            EntryKind::File(file) => {
                let path = roots.path_of(&entry.path);
                let found = std::fs::symlink_metadata(&path).map_err(|cause| disk_error(&path, &cause))?;
                let is_as_long = found.is_file() && found.len() == file.length;
                let changed = || error(&path, DiskErrorKind::Changed);
                is_as_long.then(|| Some(FileIdentity::of(&found))).ok_or_else(changed)
            }
            EntryKind::EmptyFolder | EntryKind::Link(_) => Ok(None),
        };
        let tasks: Vec<&[Entry]> = collection.entries().chunks(LOOKED_AT_TOGETHER).collect();
        let parts =
            parallel::map(&tasks, |entries| entries.iter().map(identity).collect::<Result<Vec<_>, _>>())?;
        let identities = parts.into_iter().flatten().collect();
        Ok(FolderSource::new(roots, collection, identities))
    }

    /// The entries of the folder.
    pub(crate) fn collection(&self) -> &Collection {
        &self.collection
    }

    /// Where the folder is.
    pub(crate) fn root(&self) -> &Path {
        self.roots.path()
    }

    /// Bytes of the content.
    pub(crate) fn length(&self) -> u64 {
        self.collection.length()
    }

    /// The files that are not what they were, each with the reason.
    pub(super) fn changed(&self) -> Vec<(EntryPath, DiskError)> {
        let changed = |(entry, path, _): (usize, &EntryPath, &FileEntry)| {
            self.changed_file(entry, path).map(|why| (path.clone(), why))
        };
        self.collection.files().filter_map(changed).collect()
    }

    /// Why the file at the entry is not what it was, if it is not.
    fn changed_file(&self, entry: usize, path: &EntryPath) -> Option<DiskError> {
        let at = self.roots.path_of(path);
        match std::fs::symlink_metadata(&at) {
            Ok(found) if self.identities[entry] == Some(FileIdentity::of(&found)) => None,
            Ok(_) => Some(error(&at, DiskErrorKind::Changed)),
            Err(cause) => Some(disk_error(&at, &cause)),
        }
    }

    /// What keeps bytes from being read, where `error` is what one of the files said: that file, and all others but
    /// those in `known` that are not what they were.
    pub(crate) fn fault(&self, known: &BTreeSet<usize>, error: DiskError) -> FolderFault {
        let mut lost = Vec::new();
        for (entry, path, _) in self.collection.files() {
            let Some(span) = self.collection.span(entry).filter(|_| !known.contains(&entry)) else {
                continue;
            };
            let error = match self.changed_file(entry, path) {
                Some(changed) => changed,
                None if self.roots.path_of(path) == error.path => error.clone(),
                None => continue,
            };
            lost.push(LostFile { entry, pieces: self.pieces_of(span), error });
        }
        if lost.is_empty() { FolderFault::Folder(error) } else { FolderFault::Files(lost) }
    }

    /// The pieces that have bytes of `span`, which is not empty.
    fn pieces_of(&self, span: Range<u64>) -> PieceRun {
        let layout = Layout::of(self.length()).expect("a folder is no longer than a content can be");
        let piece_at = |at: u64| (at / u64::from(layout.piece_size())) as u32;
        let (first, last) = (piece_at(span.start), piece_at(span.end - 1));
        PieceRun::new(PieceIndex(first), last + 1 - first).expect("a file with bytes is in pieces")
    }

    /// Reads the bytes of the content at `offset`, all of `bytes`.
    ///
    /// # Errors
    /// The inner error is a [`DiskError`] that names the file: when it is not what it was, or cannot be read.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_around(&BTreeSet::new(), bytes, offset)
    }

    /// Reads as [`FolderSource::read_exact_at`] does, but for the files of the entries `lost`, for whose bytes zeros
    /// stand.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn read_around(
        &self,
        lost: &BTreeSet<usize>,
        bytes: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        let mut rest = bytes;
        for extent in self.collection.extents(offset..offset + rest.len() as u64) {
            let (run, behind) = std::mem::take(&mut rest).split_at_mut(extent.length() as usize);
            match extent.entry {
                None => {
                    run.copy_from_slice(&self.index[extent.within.start as usize..extent.within.end as usize])
                }
                Some(entry) if lost.contains(&entry) => run.fill(0),
                Some(entry) => self.read_file(entry, &extent, run).map_err(io::Error::other)?,
            }
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn read_file(&self, entry: usize, extent: &Extent, run: &mut [u8]) -> Result<(), DiskError> {
        let path = self.roots.path_of(&self.collection.entries()[entry].path);
        let file = self.file(entry, &path)?;
        read_exact_at(&file, run, extent.within.start).map_err(|cause| disk_error(&path, &cause))?;
        // What was read before this look is what was announced.
        self.check(entry, &file, &path)
    }

    fn check(&self, entry: usize, file: &File, path: &Path) -> Result<(), DiskError> {
        let now = FileIdentity::of_file(file).map_err(|cause| disk_error(path, &cause))?;
        if self.identities[entry] == Some(now) { Ok(()) } else { Err(error(path, DiskErrorKind::Changed)) }
    }

    fn file(&self, entry: usize, path: &Path) -> Result<Arc<File>, DiskError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().rposition(|(of, _)| *of == entry) {
            let found = open.remove(at).expect("it was found there");
            open.push_back(found.clone());
            return Ok(found.1);
        }
        drop(open);
        let file = Arc::new(open_regular(path)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((entry, file.clone()));
        let closed = if open.len() > MAX_OPEN { open.pop_front() } else { None };
        drop(open);
        drop(closed);
        Ok(file)
    }
}
