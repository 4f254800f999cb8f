//! Taking a folder, or several files and folders as one, into service: its files are found and hashed, then its content's pieces.

use std::path::PathBuf;
use std::sync::Arc;

use messages::collection::{Collection, Entry, EntryKind, EntryPath};
use messages::{ChainingValue, Layout, Outboard};
use riffle_core::{DiskError, DiskErrorKind, DiskResult, FolderOptions, ShareId};

use super::files::{FilesOrder, HashedFile, hash_files};
use super::roots::Roots;
use super::source::FolderSource;
use super::walk::{Found, walk};
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::hash::scan::{
    ScanError, ScanOrder, ScanSource, ScanWorkers, StopFlag, all_pieces, scan,
};
use crate::driver::disk::hash::share::outboard_of;
use crate::driver::disk::{Completion, Results, Served};

/// A folder that is to be taken into service.
#[derive(Clone)]
struct FolderShare {
    share: ShareId,
    path: PathBuf,
    options: FolderOptions,
    stop: StopFlag,
    results: Results,
}

/// Hashes the folder at `path` on all workers, then reports it; silent once `stop` was raised.
pub(crate) fn share_folder(
    scan_workers: &ScanWorkers,
    results: &Results,
    (share, path, options): (ShareId, PathBuf, FolderOptions),
    stop: StopFlag,
) {
    let folder = FolderShare { share, path, options, stop, results: results.clone() };
    match folder.found() {
        Ok((roots, found)) => folder.hash_files(scan_workers.clone(), roots, found),
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
                Completion::Shared { share, outboard: Arc::new(outboard), served: Served::Folder(source) }
            }
            Err(error) => Completion::ForCore(DiskResult::Shared { share, result: Err(error) }),
        });
    }

    /// Reports half the way from `from` on: the bytes are hashed as files, and then as pieces.
    fn progress(&self, from: u64, total: u64) -> Box<dyn Fn(u64) + Send + Sync> {
        let (results, share) = (self.results.clone(), self.share);
        Box::new(move |done| {
            results.send_result(DiskResult::Hashing { share, done: (from + done).min(2 * total) / 2, total });
        })
    }

    fn hash_files(self, scan_workers: ScanWorkers, roots: Roots, found: Found) {
        let total = found.files.iter().map(|file| length_of(&roots, file)).sum();
        let order = FilesOrder {
            roots: roots.clone(),
            files: found.files,
            stop: self.stop.clone(),
            progress: self.progress(0, total),
        };
        let workers = scan_workers.clone();
        let (empty_folders, links) = (found.empty_folders, found.links);
        hash_files(
            &workers,
            order,
            Box::new(move |files, hashed| match hashed {
                None => {}
                Some(Err(error)) => self.report(Err(error)),
                Some(Ok(hashed)) => {
                    let mut files: Vec<_> = files.into_iter().zip(hashed).collect();
                    if self.options.without_metadata {
                        files.iter_mut().for_each(|(_, file)| file.forget_metadata());
                    }
                    match collected(roots, files, empty_folders, links) {
                        Ok(source) => self.hash_pieces(&scan_workers, source),
                        Err(error) => self.report(Err(error)),
                    }
                }
            }),
        );
    }

    fn hash_pieces(self, scan_workers: &ScanWorkers, source: FolderSource) {
        let layout = Layout::of(source.length()).expect("a folder is no longer than a content can be");
        let source = Arc::new(source);
        let order = ScanOrder {
            source: ScanSource::Folder(source.clone()),
            layout,
            pieces: all_pieces(layout),
            stop: self.stop.clone(),
            progress: self.progress(layout.length(), layout.length()),
        };
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
            self.report(outcome.map(|outboard| (outboard, source)));
        };
        scan(scan_workers, order, Box::new(on_values));
    }
}

fn length_of(roots: &Roots, file: &EntryPath) -> u64 {
    std::fs::symlink_metadata(roots.path_of(file)).map_or(0, |found| found.len())
}

fn collected(
    roots: Roots,
    mut files: Vec<(EntryPath, HashedFile)>,
    empty_folders: Vec<EntryPath>,
    links: Vec<(EntryPath, String)>,
) -> Result<FolderSource, DiskError> {
    files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let file = |(path, file): &(EntryPath, HashedFile)| Entry {
        path: path.clone(),
        kind: EntryKind::File(file.entry()),
    };
    let empty = |path| Entry { path, kind: EntryKind::EmptyFolder };
    let link = |(path, target)| Entry { path, kind: EntryKind::Link(target) };
    let entries = files.iter().map(file);
    let entries = entries.chain(empty_folders.into_iter().map(empty)).chain(links.into_iter().map(link));
    let collection = Collection::new(entries.collect()).map_err(|why| {
        error(roots.path(), DiskErrorKind::Other(format!("cannot be shared as a folder: {why}")))
    })?;
    let mut identities = vec![None; collection.entries().len()];
    // Both are in the order of their paths.
    for ((entry, ..), (_, file)) in collection.files().zip(&files) {
        identities[entry] = Some(file.identity);
    }
    Ok(FolderSource::new(roots, collection, identities))
}
