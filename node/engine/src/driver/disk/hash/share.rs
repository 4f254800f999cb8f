//! Taking a file into service: hashed or remembered, described, opened and mapped.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use messages::collection::Modified;
use messages::limits::MAX_CONTENT;
use messages::{ChainingValue, FileMetadata, Layout, LengthProof, Outboard, PieceIndex, root};
use riffle_core::{DiskError, DiskErrorKind, DiskResult, FolderOptions, ShareId};

use super::hash_cache::{Fingerprint, HashCache};
use super::scan::{ScanError, ScanOrder, ScanSource, ScanWorkers, StopFlag, all_pieces, scan};
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::folder::share::share_folder;
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::{Completion, Results, Served, ServedFile};
use crate::platform::file_io::{read_at, read_exact_at};
use crate::platform::mapping::MappedFile;
use crate::platform::open::open_without_waiting;
use crate::platform::permissions::is_executable;

/// A file or folder that is to be taken into service.
pub(crate) struct ShareRequest {
    /// Under which number.
    pub(crate) share: ShareId,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What of a folder is shared, and what else.
    pub(crate) options: FolderOptions,
    /// What was hashed before.
    pub(crate) hash_cache: Option<Arc<HashCache>>,
    /// Set when the file is no longer to be shared.
    pub(crate) stop: StopFlag,
}

/// A file that is being taken into service.
struct Candidate {
    path: PathBuf,
    file: Arc<File>,
    found: Metadata,
    opened: SystemTime,
    layout: Layout,
    hash_cache: Option<Arc<HashCache>>,
}

/// Hashes a file on all workers, unless it is remembered, or a folder, then reports it; silent once `stop` was raised.
pub(crate) fn share(
    scan_workers: &ScanWorkers,
    results: &Results,
    ShareRequest { share, path, options, hash_cache, stop }: ShareRequest,
) {
    if path.is_dir() || !options.also.is_empty() {
        let memory = hash_cache.map(|hash_cache| hash_cache.folders());
        return share_folder(scan_workers, results, (share, path, options), (memory, stop));
    }
    let candidate = match Candidate::open(path, hash_cache) {
        Ok(candidate) => candidate,
        Err(error) => {
            return results.send_result(DiskResult::Shared {
                share,
                result: Err(error),
                file: FileMetadata::default(),
            });
        }
    };
    let file = if options.without_metadata { FileMetadata::default() } else { candidate.metadata() };
    if let Some(outboard) = candidate.recall() {
        return results.send(match candidate.serve(outboard) {
            Ok((outboard, served)) => {
                Completion::Shared { share, outboard, served: Served::File(served), file }
            }
            Err(error) => Completion::ForCore(DiskResult::Shared {
                share,
                result: Err(error),
                file: FileMetadata::default(),
            }),
        });
    }
    let total = candidate.layout.length();
    let progress = results.clone();
    let order = ScanOrder {
        source: ScanSource::File(candidate.file.clone()),
        layout: candidate.layout,
        pieces: all_pieces(candidate.layout),
        stop: stop.clone(),
        progress: Box::new(move |done| progress.send_result(DiskResult::Hashing { share, done, total })),
    };
    let results = results.clone();
    scan(
        scan_workers,
        order,
        Box::new(move |values| {
            let outcome = match values {
                Err(ScanError::Stopped) => return,
                Err(ScanError::Read(cause)) => Err(candidate.unreadable(&cause)),
                Ok(values) => candidate.describe(values),
            };
            if stop.is_raised() {
                return;
            }
            results.send(match outcome {
                Ok((outboard, served)) => {
                    Completion::Shared { share, outboard, served: Served::File(served), file }
                }
                Err(error) => Completion::ForCore(DiskResult::Shared {
                    share,
                    result: Err(error),
                    file: FileMetadata::default(),
                }),
            });
        }),
    );
}

impl Candidate {
    fn open(path: PathBuf, hash_cache: Option<Arc<HashCache>>) -> Result<Candidate, DiskError> {
        let opened = SystemTime::now();
        let file = open_regular(&path)?;
        let found = file.metadata().map_err(|cause| disk_error(&path, &cause))?;
        let Some(layout) = Layout::of(found.len()) else {
            debug_assert!(found.len() > MAX_CONTENT);
            return Err(error(&path, DiskErrorKind::TooLong));
        };
        Ok(Candidate { found, opened, file: Arc::new(file), path, layout, hash_cache })
    }

    /// What is told of the file.
    fn metadata(&self) -> FileMetadata {
        let (seconds, nanos) = FileIdentity::of(&self.found).modified();
        let nanos = u32::try_from(nanos).unwrap_or(0).min(999_999_999);
        let modified = Some(Modified { seconds, nanos });
        FileMetadata { modified, is_executable: is_executable(&self.found) }
    }

    fn recall(&self) -> Option<Arc<Outboard>> {
        self.hash_cache.as_ref()?.recall(&self.path, &self.found)
    }

    fn describe(self, values: Vec<ChainingValue>) -> Result<(Arc<Outboard>, ServedFile), DiskError> {
        // Bytes that changed while they were read belong to no content.
        FileIdentity::of(&self.found).check(&self.path, &self.file)?;
        if self.goes_on() {
            return Err(error(&self.path, DiskErrorKind::UnknownLength));
        }
        let outboard = self.outboard(values)?;
        if let Some(hash_cache) = &self.hash_cache {
            hash_cache.remember(&self.path, Fingerprint::of(&self.found), self.opened, &outboard);
        }
        self.serve(Arc::new(outboard))
    }

    fn outboard(&self, values: Vec<ChainingValue>) -> Result<Outboard, DiskError> {
        let described = outboard_of(self.layout, values, |bytes, at| read_exact_at(&self.file, bytes, at));
        described
            .map_err(|cause| self.unreadable(&cause))?
            .ok_or_else(|| error(&self.path, DiskErrorKind::Changed))
    }

    /// Whether there are bytes behind the end that the system tells of: what it makes up as it is read (`/proc`) has no
    /// length before that.
    fn goes_on(&self) -> bool {
        read_at(&self.file, &mut [0], self.layout.length()).is_ok_and(|read| read > 0)
    }

    /// Why it could not be read to its end. A file that is shorter than the system says, and has not changed, is one of
    /// those whose length it does not know (`/sys`).
    fn unreadable(&self, cause: &io::Error) -> DiskError {
        let is_short = cause.kind() == io::ErrorKind::UnexpectedEof;
        if is_short && FileIdentity::of(&self.found).check(&self.path, &self.file).is_ok() {
            return error(&self.path, DiskErrorKind::UnknownLength);
        }
        disk_error(&self.path, cause)
    }

    fn serve(self, outboard: Arc<Outboard>) -> Result<(Arc<Outboard>, ServedFile), DiskError> {
        let map = MappedFile::of(&self.file, self.layout.length())
            .map_err(|cause| disk_error(&self.path, &cause))?;
        let identity = Some(FileIdentity::of(&self.found));
        Ok((outboard, ServedFile { path: self.path, file: self.file, map: map.map(Arc::new), identity }))
    }
}

/// What proves the content whose pieces have these values. The last piece is read once more, for what is below it at the
/// right edge of the tree; `None` when its bytes are not those that were hashed.
///
/// # Errors
/// Those of `read`, which fills its bytes from an offset of the content on.
pub(crate) fn outboard_of(
    layout: Layout,
    values: Vec<ChainingValue>,
    read: impl FnOnce(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Option<Outboard>> {
    let Some(last) = layout.pieces().checked_sub(1).filter(|last| *last > 0) else {
        let content = root(layout, &values);
        let outboard = Outboard::of_one_piece(layout, content).expect("a content of no more than one piece");
        return Ok(Some(outboard));
    };
    let span = layout.span(PieceIndex(last)).expect("the last piece");
    let mut bytes = vec![0; (span.end - span.start) as usize];
    read(&mut bytes, span.start)?;
    let proof = LengthProof::of(layout, &bytes);
    Ok(Outboard::new(layout, values, proof).ok())
}

/// Opens what `send` may share: a regular file, by whatever path.
///
/// # Errors
/// When there is none, it is something else, or it may not be read.
pub(crate) fn open_regular(path: &Path) -> Result<File, DiskError> {
    let file = open_without_waiting(path).map_err(|cause| disk_error(path, &cause))?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(error(path, DiskErrorKind::NotAFile)),
        Err(cause) => Err(disk_error(path, &cause)),
    }
}
