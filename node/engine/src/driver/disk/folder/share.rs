//! Taking a folder, or several files and folders as one, into service: its files are found and hashed, then its
//! content's pieces. A file that changes under these hands is hashed again once, and left out then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use messages::collection::{Collection, Entry, EntryKind, EntryPath};
use messages::{ChainingValue, FileMetadata, Layout, Outboard};
use riffle_core::{DiskError, DiskErrorKind, DiskResult, FolderOptions, ShareId, SkippedEntry};

use super::files::{FilesOrder, HashedFile, HashedOrChanged, hash_files, is_change};
use super::roots::Roots;
use super::source::FolderSource;
use super::walk::{Found, walk};
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::hash::folder_memory::FolderMemory;
use crate::driver::disk::hash::scan::{
    ScanError, ScanOrder, ScanSource, ScanWorkers, StopFlag, all_pieces, scan,
};
use crate::driver::disk::hash::share::outboard_of;
use crate::driver::disk::{Completion, Results, Served};

/// The pieces of a folder are hashed at most this often. Each time but the last, what has changed meanwhile is hashed
/// again, or left out.
const MAX_ROUNDS: u32 = 8;

/// A folder that is to be taken into service.
#[derive(Clone)]
struct FolderShare {
    share: ShareId,
    path: PathBuf,
    options: FolderOptions,
    /// Where it is remembered what is in it.
    memory: Option<FolderMemory>,
    stop: StopFlag,
    results: Results,
}

/// What is known of the folder so far.
struct Gathered {
    roots: Roots,
    /// The files that are hashed.
    files: BTreeMap<EntryPath, HashedFile>,
    empty_folders: Vec<EntryPath>,
    links: Vec<(EntryPath, String)>,
    /// The files that changed once while they were read.
    changed: BTreeSet<EntryPath>,
    /// How often the pieces were hashed in vain.
    rounds: u32,
}

impl Gathered {
    fn new(roots: Roots, found: Found) -> Gathered {
        let Found { empty_folders, links, .. } = found;
        let (files, changed) = (BTreeMap::new(), BTreeSet::new());
        Gathered { roots, files, empty_folders, links, changed, rounds: 0 }
    }
}

/// Hashes the folder at `path` on all workers, then reports it; silent once `stop` was raised.
pub(crate) fn share_folder(
    scan_workers: &ScanWorkers,
    results: &Results,
    (share, path, options): (ShareId, PathBuf, FolderOptions),
    (memory, stop): (Option<FolderMemory>, StopFlag),
) {
    let folder = FolderShare { share, path, options, memory, stop, results: results.clone() };
    match folder.found() {
        Ok((roots, mut found)) => {
            let files = std::mem::take(&mut found.files);
            folder.hash_files(scan_workers.clone(), Gathered::new(roots, found), files);
        }
        Err(error) => folder.report(Err(error)),
    }
}

impl FolderShare {
    fn found(&self) -> Result<(Roots, Found), DiskError> {
        let roots = Roots::of(&self.path, &self.options.also)?;
        let mut found = walk(&roots, &self.options.exclude)?;
        let skipped = std::mem::take(&mut found.skipped);
        if !skipped.is_empty() {
            self.results.send_result(DiskResult::Skipped { share: self.share, skipped });
        }
        Ok((roots, found))
    }

    fn report(&self, outcome: Result<(Outboard, Arc<FolderSource>), DiskError>) {
        if self.stop.is_raised() {
            return;
        }
        let share = self.share;
        self.results.send(match outcome {
            Ok((outboard, source)) => {
                // Several files and folders have no path that they have together.
                if let Some(memory) = self.memory.as_ref().filter(|_| self.options.also.is_empty()) {
                    memory.remember(&self.path, outboard.content(), source.collection());
                }
                let (outboard, served) = (Arc::new(outboard), Served::Folder(source));
                Completion::Shared { share, outboard, served, file: FileMetadata::default() }
            }
            Err(error) => Completion::ForCore(DiskResult::Shared {
                share,
                result: Err(error),
                file: FileMetadata::default(),
            }),
        });
    }

    /// Reports half the way from `from` on: the bytes are hashed as files, and then as pieces.
    fn progress(&self, from: u64, total: u64) -> Box<dyn Fn(u64) + Send + Sync> {
        let (results, share) = (self.results.clone(), self.share);
        Box::new(move |done| {
            results.send_result(DiskResult::Hashing { share, done: (from + done).min(2 * total) / 2, total });
        })
    }

    /// Hashes `files`, which are all of the folder or those that were changed while they were read before.
    fn hash_files(self, scan_workers: ScanWorkers, gathered: Gathered, files: Vec<EntryPath>) {
        let length = |file: &EntryPath| length_of(&gathered.roots, file);
        let again: u64 = files.iter().map(length).sum();
        let total = gathered.files.values().map(|file| file.length).sum::<u64>() + again;
        let order = FilesOrder {
            roots: gathered.roots.clone(),
            files,
            stop: self.stop.clone(),
            progress: self.progress(total - again, total),
        };
        let workers = scan_workers.clone();
        let on_hashed =
            move |files: Vec<EntryPath>, hashed: Option<Result<Vec<HashedOrChanged>, DiskError>>| match hashed
            {
                None => {}
                Some(Err(error)) => self.report(Err(error)),
                Some(Ok(hashed)) => self.on_files_hashed(scan_workers, gathered, files, hashed),
            };
        hash_files(&workers, order, Box::new(on_hashed));
    }

    fn on_files_hashed(
        self,
        scan_workers: ScanWorkers,
        mut gathered: Gathered,
        files: Vec<EntryPath>,
        hashed: Vec<HashedOrChanged>,
    ) {
        let mut changed = Vec::new();
        for (path, hashed) in files.into_iter().zip(hashed) {
            match hashed {
                Ok(mut file) => {
                    if self.options.without_metadata {
                        file.forget_metadata();
                    }
                    gathered.files.insert(path, file);
                }
                Err(why) => changed.push((path, why)),
            }
        }
        self.hash_again_or_pieces(scan_workers, gathered, changed);
    }

    /// Hashes those of the changed files again that changed for the first time, and leaves the others out; then hashes
    /// the pieces.
    fn hash_again_or_pieces(
        self,
        scan_workers: ScanWorkers,
        mut gathered: Gathered,
        changed: Vec<(EntryPath, DiskError)>,
    ) {
        let (again, left_out) = gathered.sort_out(changed);
        if !left_out.is_empty() {
            self.results.send_result(DiskResult::Skipped { share: self.share, skipped: left_out });
        }
        if again.is_empty() {
            self.hash_pieces(scan_workers, gathered);
        } else {
            self.hash_files(scan_workers, gathered, again);
        }
    }

    fn hash_pieces(self, scan_workers: ScanWorkers, mut gathered: Gathered) {
        let source = match gathered.source() {
            Ok(source) => Arc::new(source),
            Err(error) => return self.report(Err(error)),
        };
        let layout = Layout::of(source.length()).expect("a folder is no longer than a content can be");
        let order = ScanOrder {
            source: ScanSource::Folder(source.clone()),
            layout,
            pieces: all_pieces(layout),
            stop: self.stop.clone(),
            progress: self.progress(layout.length(), layout.length()),
        };
        let workers = scan_workers.clone();
        let on_values = move |values: Result<Vec<ChainingValue>, ScanError>| {
            let outcome = match values {
                Err(ScanError::Stopped) => return,
                Err(ScanError::Read(cause)) => Err(disk_error(source.root(), &cause)),
                Ok(values) => outboard_of(layout, values, |bytes, at| source.read_exact_at(bytes, at))
                    .map_err(|cause| disk_error(source.root(), &cause))
                    .and_then(|outboard| {
                        outboard.ok_or_else(|| error(source.root(), DiskErrorKind::Changed))
                    }),
            };
            let changed = match &outcome {
                Err(why) if is_change(&why.kind) && gathered.may_go_on() => source.changed(),
                _ => Vec::new(),
            };
            if changed.is_empty() {
                self.report(outcome.map(|outboard| (outboard, source)));
            } else {
                self.hash_again_or_pieces(scan_workers, gathered, changed);
            }
        };
        scan(&workers, order, Box::new(on_values));
    }
}

impl Gathered {
    /// Which of the files that changed are hashed again, and what is left out of the folder from now on.
    fn sort_out(&mut self, changed: Vec<(EntryPath, DiskError)>) -> (Vec<EntryPath>, Vec<SkippedEntry>) {
        let (mut again, mut left_out) = (Vec::new(), Vec::new());
        for (path, why) in changed {
            self.files.remove(&path);
            if self.changed.insert(path.clone()) {
                again.push(path);
                continue;
            }
            let what = match why.kind {
                DiskErrorKind::NotFound => "it was taken away while it was read",
                _ => "it changes while it is read",
            };
            left_out.push(SkippedEntry { path: self.roots.path_of(&path), why: what.to_owned() });
        }
        (again, left_out)
    }

    /// Whether the pieces may be hashed once more.
    fn may_go_on(&mut self) -> bool {
        self.rounds += 1;
        self.rounds < MAX_ROUNDS
    }

    fn source(&self) -> Result<FolderSource, DiskError> {
        let file = |(path, file): (&EntryPath, &HashedFile)| Entry {
            path: path.clone(),
            kind: EntryKind::File(file.entry()),
        };
        let empty = |path: &EntryPath| Entry { path: path.clone(), kind: EntryKind::EmptyFolder };
        let link = |(path, target): &(EntryPath, String)| Entry {
            path: path.clone(),
            kind: EntryKind::Link(target.clone()),
        };
        let entries = self.files.iter().map(file);
        let entries = entries.chain(self.empty_folders.iter().map(empty)).chain(self.links.iter().map(link));
        let collection = Collection::new(entries.collect()).map_err(|why| {
            let what = format!("cannot be shared as a folder: {why}");
            error(self.roots.path(), DiskErrorKind::Other(what))
        })?;
        let mut identities = vec![None; collection.entries().len()];
        // Both are in the order of their paths.
        for ((entry, ..), file) in collection.files().zip(self.files.values()) {
            identities[entry] = Some(file.identity);
        }
        Ok(FolderSource::new(self.roots.clone(), collection, identities))
    }
}

fn length_of(roots: &Roots, file: &EntryPath) -> u64 {
    std::fs::symlink_metadata(roots.path_of(file)).map_or(0, |found| found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_hashed_again_once_and_left_out_then() {
        let mut gathered = Gathered::new(Roots::Folder("/f".into()), Found::default());
        let path = |name| EntryPath::new(name).expect("a path");
        let failed = |name, kind| (path(name), error(&gathered.roots.path_of(&path(name)), kind));
        let first = vec![failed("a", DiskErrorKind::Changed), failed("b", DiskErrorKind::Changed)];
        let second = vec![failed("a", DiskErrorKind::NotFound), failed("c", DiskErrorKind::Changed)];
        assert_eq!(gathered.sort_out(first), (vec![path("a"), path("b")], vec![]));
        let why = "it was taken away while it was read".to_owned();
        let left_out = vec![SkippedEntry { path: "/f/a".into(), why }];
        assert_eq!(gathered.sort_out(second), (vec![path("c")], left_out));
    }

    #[test]
    fn a_folder_that_never_rests_is_given_up() {
        let mut gathered = Gathered::new(Roots::Folder("/f".into()), Found::default());
        assert_eq!((1..100).take_while(|_| gathered.may_go_on()).count(), MAX_ROUNDS as usize - 1);
    }
}
