//! A folder that holds an older version is brought up to date.
//!
//! A plan is made once the index of the new version is there (`UpdatePlan::make`): what stands in the folder
//! (`local.rs`), where each file of the new version comes from (`sources.rs`), and which pieces are to be fetched
//! (`pieces.rs`). When these are stored, the files that are not in their places are put together in a staging folder
//! beside the folder (`stage.rs`), compared with their hashes and made durable. Only then is the folder changed, one name
//! after the other (`apply.rs`): each file is the old or the new one at any moment, and when this is interrupted, the next
//! plan finds what is done already.
//!
//! No link is followed, and nothing is written outside of the folder.

mod apply;
mod local;
mod pieces;
mod sources;
mod stage;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use messages::collection::{Collection, EntryKind, FileEntry};
use messages::{Layout, PieceIndex};
use riffle_core::{DiskError, DiskErrorKind, KnownRanges};

use self::local::{Local, LocalFile, Look};
use self::pieces::{Pieces, Reader};
use self::sources::{Removals, Source, removals, sources};
use super::order::{Planning, StoredPieces};
use super::unpack::names;
use super::unpack::staging::Staging;
use super::unpack::tree::{Node, Way, nodes, split};
use crate::driver::disk::errors::{disk_error, error};
use crate::platform::folder::{Folder, Standing};

/// While a plan is made, it is said this often that the work goes on.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);
/// So many paths are told; of more, their number.
const MAX_TOLD: usize = 20;

/// Which folder is brought up to date, and how.
#[derive(Clone, Debug)]
pub(crate) struct UpdateOrder {
    /// The folder.
    pub(crate) target: PathBuf,
    /// Where files are put together beside it.
    pub(crate) staging: PathBuf,
    /// Whether what the new version lacks is removed.
    pub(crate) delete: bool,
}

/// Nobody wants the work done any more.
#[derive(Clone, Copy, Debug)]
struct Stopped;

/// How a folder is brought up to date.
#[derive(Clone, Debug)]
pub(crate) struct UpdatePlan {
    order: UpdateOrder,
    /// The new version, or what of it is wanted.
    collection: Collection,
    /// Where the bytes of each file come from, by the number of its entry.
    sources: Vec<Option<Source>>,
    /// The pieces of fetched files whose bytes are in older versions of these.
    unchanged: BTreeSet<PieceIndex>,
    /// What stands in the way of the new version and is removed for it.
    in_the_way: Vec<String>,
    /// What the new version lacks and is removed, what is in a folder behind the folder.
    lacking: Vec<String>,
    /// The same, of which the names are no text, each with its folder.
    nameless: Vec<(String, OsString)>,
}

/// How many files of a folder were where they are to be, came from elsewhere in the folder, and were fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UpdateCounts {
    /// They stood at their paths.
    pub(crate) kept: usize,
    /// They stood elsewhere in the folder.
    pub(crate) copied: usize,
    /// They were fetched, at least in part.
    pub(crate) fetched: usize,
    /// Paths that the new version lacks, and that are removed.
    pub(crate) removed: usize,
}

impl UpdatePlan {
    /// Plans how the folder becomes `collection`. The pieces are those to be fetched, and the ranges what is known of
    /// them. `on_progress` is called now and then.
    ///
    /// # Errors
    /// [`DiskErrorKind::InTheWay`] when no folder is there; [`DiskErrorKind::Refused`] for what stands in the way;
    /// [`DiskErrorKind::Other`] for names that the file system cannot hold; [`DiskErrorKind::Full`], [`DiskErrorKind::Permission`];
    /// [`DiskErrorKind::Cancelled`] when it was stopped; the system's. Nothing in the folder has changed then.
    pub(crate) fn make(
        order: &UpdateOrder,
        collection: Collection,
        stored: &(impl StoredPieces + Sync),
        planning: &Planning<'_>,
        on_progress: &(dyn Fn() + Sync),
    ) -> Result<(UpdatePlan, BTreeSet<PieceIndex>, KnownRanges), DiskError> {
        let fault = |cause: io::Error| disk_error(&order.target, &cause);
        let cancelled = || error(&order.target, DiskErrorKind::Cancelled);
        let said_at = Mutex::new(Instant::now());
        let on_progress = || {
            if let Ok(mut said_at) = said_at.try_lock()
                && said_at.elapsed() >= PROGRESS_PERIOD
            {
                *said_at = Instant::now();
                on_progress();
            }
        };
        let top = Folder::open(&order.target).map_err(fault)?;
        let local = Local::find(&top, planning.stop);
        let mut local = local.map_err(|cause| cause.map_or_else(cancelled, fault))?;
        let (lengths, paths): (HashSet<u64>, HashSet<String>) =
            collection.files().map(|(_, path, file)| (file.length, path.as_str().to_owned())).unzip();
        let how = |path: &str, length: u64| match lengths.contains(&length) {
            true => Some(Look::Inside),
            false => paths.contains(path).then_some(Look::Outside),
        };
        local.look(&top, how, planning.stop, &on_progress).map_err(|Stopped| cancelled())?;
        let mut plan = UpdatePlan::of(order, collection, &mut local)?;
        let pieces = Pieces::of(&plan, &top, stored, planning, &on_progress);
        let Pieces { fetched, known, unchanged } = pieces.map_err(|Stopped| cancelled())?;
        plan.unchanged = unchanged;
        plan.check(&top, &local, bytes_of(&fetched, planning.outboard.layout(), stored))?;
        let UpdateCounts { kept, copied, fetched: files, removed } = plan.counts();
        tracing::info!(
            folder = %order.target.display(), kept, copied, fetched = files, removed, pieces = fetched.len(),
            "a folder is brought up to date"
        );
        Ok((plan, fetched, known))
    }

    /// The plan, without the pieces, for a folder in which that stands.
    fn of(order: &UpdateOrder, collection: Collection, local: &mut Local) -> Result<UpdatePlan, DiskError> {
        let sources = sources(&collection, local);
        let Removals { in_the_way, lacking } = removals(&collection, local);
        if !order.delete && !in_the_way.is_empty() {
            return Err(in_the_way_of(&order.target, &in_the_way));
        }
        let (lacking, nameless) = match order.delete {
            true => (lacking, std::mem::take(&mut local.nameless)),
            false => Default::default(),
        };
        Ok(UpdatePlan {
            order: order.clone(),
            collection,
            sources,
            unchanged: BTreeSet::new(),
            in_the_way: in_the_way.into_iter().map(|(path, _)| path).collect(),
            lacking,
            nameless,
        })
    }

    /// Where each file comes from.
    pub(crate) fn counts(&self) -> UpdateCounts {
        let mut counts =
            UpdateCounts { removed: self.lacking.len() + self.nameless.len(), ..UpdateCounts::default() };
        for source in self.sources.iter().flatten() {
            match source {
                Source::Kept(_) => counts.kept += 1,
                Source::Copied { .. } => counts.copied += 1,
                Source::Fetched { .. } => counts.fetched += 1,
            }
        }
        counts
    }

    /// The plan that leaves times and modes as they are.
    pub(crate) fn without_metadata(&self) -> UpdatePlan {
        UpdatePlan { collection: self.collection.without_metadata(), ..self.clone() }
    }

    /// Fills the ranges `known` of the piece that begins at `start` of the content in, from files that are here.
    ///
    /// # Errors
    /// The system's, or that the bytes are not here any more.
    pub(crate) fn fill(&self, start: u64, known: &[Range<u32>], bytes: &mut [u8]) -> io::Result<()> {
        let top = Folder::open(&self.order.target)?;
        let mut reader = Reader::new(self, &top);
        known.iter().try_for_each(|range| {
            let run = bytes.get_mut(range.start as usize..range.end as usize);
            reader.read(start + u64::from(range.start), run.ok_or(io::ErrorKind::InvalidInput)?)
        })
    }

    /// What the entry of a file says.
    fn file_entry(&self, entry: usize) -> &FileEntry {
        match &self.collection.entries()[entry].kind {
            EntryKind::File(file) => file,
            EntryKind::EmptyFolder | EntryKind::Link(_) => unreachable!("only files have sources"),
        }
    }

    /// The path of the entry.
    fn path(&self, entry: usize) -> &str {
        self.collection.entries()[entry].path.as_str()
    }

    /// Where a file stands in the folder that has the bytes of the entry, or an older version of them.
    fn local_path(&self, entry: usize) -> Option<&str> {
        match self.sources[entry].as_ref()? {
            Source::Kept(_) | Source::Fetched { older: Some(_) } => Some(self.path(entry)),
            Source::Copied { from, .. } => Some(from),
            Source::Fetched { older: None } => None,
        }
    }

    /// The files that do not stand in their places, by the numbers of their entries.
    fn staged(&self) -> impl Iterator<Item = usize> {
        let is_staged =
            |source: &Option<Source>| matches!(source, Some(Source::Copied { .. } | Source::Fetched { .. }));
        self.sources.iter().enumerate().filter(move |(_, source)| is_staged(source)).map(|(entry, _)| entry)
    }

    /// Holds when the folder can have all of the new version: there is room, it has such names, and they may be written.
    /// `fetched`: how many bytes are to be fetched.
    fn check(&self, top: &Folder, local: &Local, fetched: u64) -> Result<(), DiskError> {
        let fault = |cause: io::Error| disk_error(&self.order.target, &cause);
        let is_new = |node: &Node<'_>| !matches!(local.standing.get(node.path), Some(Standing::Folder));
        let new_folders = nodes(&self.collection).filter(|node| node.is_folder() && is_new(node)).count();
        let is_done = self.staged().next().is_none() && new_folders == 0;
        if !is_done {
            let staging = Staging::make(&self.order.staging)?;
            let checked = self.check_staging(&staging.folder, local, fetched, new_folders as u64);
            staging.remove();
            checked?;
        }
        let changed = self.staged().map(|entry| self.path(entry));
        let removed = self.lacking.iter().chain(&self.in_the_way).map(String::as_str);
        let parents = changed.chain(removed).map(|path| existing_parent(path, local));
        let mut way = Way::from(top);
        for parent in parents.collect::<BTreeSet<_>>() {
            let checked = way.enter(parent).and_then(Folder::check_writable);
            checked.map_err(|cause| disk_error(&self.order.target.join(parent), &cause))?;
        }
        top.check_writable().or_else(|cause| if is_done { Ok(()) } else { Err(fault(cause)) })
    }

    /// Holds when the file system of the staging folder has room for what is made, and has its names.
    fn check_staging(
        &self,
        staging: &Folder,
        local: &Local,
        fetched: u64,
        new_folders: u64,
    ) -> Result<(), DiskError> {
        let target = &self.order.target;
        let fault = |cause: io::Error| disk_error(target, &cause);
        let (bytes, files) = staging.room().map_err(fault)?;
        let allocated = |file: &LocalFile, entry: usize| file.allocated.min(self.file_entry(entry).length);
        let copied = self.staged().map(|entry| match &self.sources[entry] {
            Some(Source::Copied { from, .. }) => {
                local.files.get(from).map_or(0, |file| allocated(file, entry))
            }
            Some(Source::Fetched { older: Some(older) }) => allocated(older, entry),
            _ => 0,
        });
        // What is fetched stands in the part file and in the staging folder.
        let needed = 2 * fetched + copied.sum::<u64>();
        if needed > bytes {
            return Err(error(target, DiskErrorKind::Full { needed: needed - bytes }));
        }
        let count = self.staged().count() as u64 + new_folders;
        if count > files {
            let why =
                format!("its file system has room for {files} more files and folders, and {count} are new");
            return Err(error(target, DiskErrorKind::Other(why)));
        }
        match names::problems(&self.collection, staging, target).map_err(fault)? {
            Some(problems) => Err(error(target, DiskErrorKind::Other(problems))),
            None => Ok(()),
        }
    }

    fn error_at(&self, path: &str, cause: &io::Error) -> DiskError {
        disk_error(&self.order.target.join(path), cause)
    }

    /// The error that what stands at `path` is not what it was when the plan was made.
    fn changed(&self, path: &str) -> DiskError {
        let why = "changed while the folder was brought up to date".to_owned();
        error(&self.order.target.join(path), DiskErrorKind::Other(why))
    }
}

/// The error that what stands in a folder is in the way of the new version.
fn in_the_way_of(target: &Path, in_the_way: &[(String, &'static str)]) -> DiskError {
    let told = in_the_way.iter().take(MAX_TOLD).map(|(path, why)| format!("{path} ({why})"));
    let told = told.collect::<Vec<_>>().join("; ");
    let more = match in_the_way.len().saturating_sub(MAX_TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let why =
        format!("what stands there is in the way of the new version: {told}{more}; --delete removes it");
    error(target, DiskErrorKind::Refused(why))
}

/// The folder nearest to `path` that stands there.
fn existing_parent<'a>(path: &'a str, local: &Local) -> &'a str {
    let mut parent = split(path).0;
    while !parent.is_empty() && local.standing.get(parent) != Some(&Standing::Folder) {
        parent = split(parent).0;
    }
    parent
}

/// How many bytes the pieces have that are not stored yet.
fn bytes_of(pieces: &BTreeSet<PieceIndex>, layout: Layout, stored: &impl StoredPieces) -> u64 {
    let missing = pieces.iter().filter(|piece| !stored.has(**piece));
    missing.map(|piece| u64::from(layout.piece_length(*piece))).sum()
}

/// Of the new paths, by what they have in common with all that a file system may take for the same.
fn by_likeness(collection: &Collection) -> HashMap<String, &str> {
    nodes(collection).map(|node| (names::alike(node.path), node.path)).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
