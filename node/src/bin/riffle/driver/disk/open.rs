//! Making room for a download: what stands at its target, the locked part file, and what is in it from before.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use messages::{ContentId, Manifest, PieceIndex};
use node::{DiskError, DiskErrorKind, DiskResult, Doubt, DownloadId, HashedAgain, Opened, ShareId};
use rustix::fs::FlockOperation;

use super::before::look_back;
use super::fault::{disk_error, error};
use super::identity::FileIdentity;
use super::journal::{self, Journal};
use super::memory::{Fingerprint, Memory};
use super::part::{Part, SyncRule};
use super::place::{Place, sync_folder_of};
use super::records::{BootId, JournalHeader, Kept, Record};
use super::room::{full_or_else, make_room};
use super::scan::{Crew, ScanError, ScanOrder, StopFlag, all_pieces, scan};
use super::share::open_regular;
use super::tree::{PieceDigest, Subtree, root_of};
use super::writing::Writing;
use super::{Done, Results, ServedFile};
use crate::driver::mapping::MappedFile;

/// How often, and how far apart, a lock is tried for: a download that was just given up lets go within moments.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A download that is to be opened.
#[derive(Clone)]
pub(crate) struct Opening {
    /// The download.
    pub(crate) download: DownloadId,
    /// Under which number it is served.
    pub(crate) share: ShareId,
    /// Where it goes.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) content: ContentId,
    /// Its description.
    pub(crate) manifest: Arc<Manifest>,
    /// When to make it durable.
    pub(crate) rule: SyncRule,
    /// How to write.
    pub(crate) writing: Writing,
    /// What was hashed before.
    pub(crate) memory: Option<Arc<Memory>>,
    /// Raised when nobody wants it any more.
    pub(crate) stop: StopFlag,
}

/// The part file while its pieces from before are looked at.
struct Draft {
    opening: Opening,
    file: Arc<File>,
    trusted: Vec<(PieceIndex, Subtree)>,
    /// Why other pieces have to be hashed.
    doubt: Option<Doubt>,
}

/// Opens; reports [`Done::Opened`], at once or when what is there has been hashed.
pub(crate) fn open(crew: &Crew, results: &Results, opening: Opening) {
    match opening.target() {
        Err(error) => opening.report(results, Err(error)),
        Ok(Some(file)) => opening.compare(crew, results, file),
        Ok(None) => match opening.draft() {
            Ok((draft, doubtful)) => draft.look_at(crew, results, doubtful),
            // Another process may have finished the same content between our look at the target and the lock.
            Err(failed) => match opening.target() {
                Ok(Some(file)) => opening.compare(crew, results, file),
                Ok(None) | Err(_) => opening.report(results, Err(failed)),
            },
        },
    }
}

impl Opening {
    fn report(&self, results: &Results, result: Result<(Opened, ServedFile, Option<Arc<Part>>), DiskError>) {
        let (download, share) = (self.download, self.share);
        results.send(match result {
            Ok((opened, served, part)) => Done::Opened { download, share, opened, served, part },
            Err(error) => Done::Told(DiskResult::Opened { download, result: Err(error) }),
        });
    }

    /// The file at the target, if there is one that may be the content.
    fn target(&self) -> Result<Option<File>, DiskError> {
        self.place.check_folder()?;
        let Some(metadata) = self.place.found_at_target()? else { return Ok(None) };
        if !metadata.is_file() || metadata.len() != self.manifest.layout().length() {
            return Err(error(&self.place.target, DiskErrorKind::ExistsOther));
        }
        open_regular(&self.place.target).map(Some)
    }

    /// Is the file at the target the content already?
    fn compare(self, crew: &Crew, results: &Results, file: File) {
        let (file, began) = (Arc::new(file), SystemTime::now());
        let found = match file.metadata() {
            Ok(found) => found,
            Err(cause) => return self.report(results, Err(disk_error(&self.place.target, &cause))),
        };
        let recalled = self.memory.as_ref().and_then(|memory| memory.recall(&self.place.target, &found));
        if let Some(known) = recalled {
            let same = self.same(known.root(), &file, &found);
            return self.report(results, same.map(|served| (Opened::AlreadyThere, served, None)));
        }
        let layout = self.manifest.layout();
        let order = self.order(&file, all_pieces(layout));
        let results = results.clone();
        let then = move |digests: Result<Vec<PieceDigest>, ScanError>| {
            let target = &self.place.target;
            let same = digests.map_err(|failed| scan_error(target, failed)).and_then(|digests| {
                let subtrees: Vec<_> = digests.iter().map(|digest| digest.subtree).collect();
                let served = self.same(&root_of(layout, &subtrees), &file, &found)?;
                if let Some(memory) = &self.memory {
                    memory.remember(target, Fingerprint::of(&found), began, &self.manifest);
                }
                Ok(served)
            });
            self.report(&results, same.map(|served| (Opened::AlreadyThere, served, None)));
        };
        scan(crew, order, Box::new(then));
    }

    /// The file at the target, to be served, when the hash of its whole is that of the content.
    fn same(&self, root: &[u8; 32], file: &Arc<File>, found: &Metadata) -> Result<ServedFile, DiskError> {
        let target = &self.place.target;
        if root != self.manifest.root() {
            return Err(error(target, DiskErrorKind::ExistsOther));
        }
        served(target, file, found.len(), Some(FileIdentity::of(found)))
    }

    fn order(&self, file: &Arc<File>, pieces: Vec<PieceIndex>) -> ScanOrder {
        ScanOrder {
            file: file.clone(),
            layout: self.manifest.layout(),
            pieces,
            stop: self.stop.clone(),
            progress: Box::new(|_| {}),
        }
    }

    fn header(&self) -> JournalHeader {
        let length = self.manifest.layout().length();
        JournalHeader { content: self.content, length, boot: BootId::current() }
    }

    /// The part file, locked, of the right length, with room for all of it; and the pieces to be hashed again.
    fn draft(&self) -> Result<(Draft, Vec<PieceIndex>), DiskError> {
        let part = &self.place.part;
        let file = open_locked(part)?;
        let metadata = file.metadata().map_err(|cause| disk_error(part, &cause))?;
        let recovered = look_back(&file, &metadata, &self.place.journal, &self.header(), &self.manifest);
        let target_is_free = match self.place.found_at_target()? {
            None => Ok(()),
            Some(_) => Err(error(&self.place.target, DiskErrorKind::ExistsOther)),
        };
        let layout = self.manifest.layout();
        if metadata.len() != layout.length() {
            // What the journal says is not so, and must not look right when the file has its length again.
            let _ = std::fs::remove_file(&self.place.journal);
            sync_folder_of(&self.place.journal);
        }
        let room = (layout.length(), if layout.pieces() > 1 { journal::most(layout.pieces()) } else { 0 });
        let made = target_is_free.and_then(|()| make_room(&self.writing, &file, part, &metadata, room));
        if let Err(error) = made {
            if metadata.len() == 0 {
                // Ours, made just now or left by a crash: there is nothing in it.
                self.place.remove_part(&file);
            }
            return Err(error);
        }
        let (file, trusted, doubt) = (Arc::new(file), recovered.trusted, recovered.doubt);
        Ok((Draft { opening: self.clone(), file, trusted, doubt }, recovered.doubtful))
    }
}

impl Draft {
    /// Hashes the doubtful pieces, and opens with those that match.
    fn look_at(self, crew: &Crew, results: &Results, doubtful: Vec<PieceIndex>) {
        let order = self.opening.order(&self.file, doubtful.clone());
        let results = results.clone();
        let then = move |digests: Result<Vec<PieceDigest>, ScanError>| {
            let opening = self.opening.clone();
            let ready = digests
                .map_err(|failed| scan_error(&opening.place.part, failed))
                .and_then(|digests| self.ready(&doubtful, &digests));
            opening.report(&results, ready);
        };
        scan(crew, order, Box::new(then));
    }

    fn ready(
        mut self,
        doubtful: &[PieceIndex],
        digests: &[PieceDigest],
    ) -> Result<(Opened, ServedFile, Option<Arc<Part>>), DiskError> {
        let Opening { place, manifest, rule, writing, .. } = &self.opening;
        for (piece, digest) in doubtful.iter().zip(digests) {
            if manifest.piece_hash(*piece) == Some(&digest.hash) {
                self.trusted.push((*piece, digest.subtree));
            }
        }
        // A content of one piece never has a journal: that is no news.
        let layout = manifest.layout();
        let bytes = doubtful.iter().map(|piece| u64::from(layout.piece_length(*piece))).sum();
        let hashed_again = self.doubt.filter(|_| layout.pieces() > 1).map(|why| HashedAgain { bytes, why });
        self.trusted.sort_unstable_by_key(|(piece, _)| *piece);
        let journal = match manifest.layout().pieces() {
            0 | 1 => None,
            pieces => {
                let made = self.journal().map_err(|cause| {
                    let most = journal::most(pieces);
                    full_or_else(&self.file, &place.journal, &cause, most, most)
                });
                Some(made?)
            }
        };
        let served = served(&place.part, &self.file, manifest.layout().length(), None)?;
        let have = runs(self.trusted.iter().map(|(piece, _)| piece.0));
        let part = Part::new(
            (place.clone(), self.file.clone()),
            manifest.clone(),
            (*rule, writing.clone()),
            journal,
            &self.trusted,
        );
        Ok((Opened::Ready { have, hashed_again }, served, Some(Arc::new(part))))
    }

    /// The journal of this boot, which says what is known now and no more.
    fn journal(&self) -> io::Result<Journal> {
        if !self.trusted.is_empty() {
            self.opening.writing.sync_data(&self.file)?;
        }
        let record = |(piece, subtree): &(PieceIndex, Subtree)| Record {
            kept: Kept::Durable,
            piece: *piece,
            subtree: *subtree,
        };
        let records: Vec<_> = self.trusted.iter().map(record).collect();
        let Opening { place, manifest, writing, .. } = &self.opening;
        let pieces = manifest.layout().pieces();
        Journal::create(&place.journal, &self.opening.header(), &records, (pieces, writing))
    }
}

fn served(
    path: &Path,
    file: &Arc<File>,
    length: u64,
    identity: Option<FileIdentity>,
) -> Result<ServedFile, DiskError> {
    let map = MappedFile::of(file, length).map_err(|cause| disk_error(path, &cause))?;
    Ok(ServedFile { path: PathBuf::from(path), file: file.clone(), map: map.map(Arc::new), identity })
}

fn scan_error(path: &Path, failed: ScanError) -> DiskError {
    match failed {
        ScanError::Read(cause) => disk_error(path, &cause),
        ScanError::Stopped => error(path, DiskErrorKind::Other("given up".to_owned())),
    }
}

/// Opens or creates a part file that nobody else has, at that path and no other.
fn open_locked(path: &Path) -> Result<File, DiskError> {
    let fault = |cause: io::Error| disk_error(path, &cause);
    let mut tries = 0;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(fault)?;
        let metadata = file.metadata().map_err(fault)?;
        if !metadata.is_file() {
            return Err(error(path, DiskErrorKind::NotAFile));
        }
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        // The lock is worth something only while the path still leads to what is locked.
        let still_there = || std::fs::symlink_metadata(path).is_ok_and(|there| there.ino() == metadata.ino());
        match locked {
            Ok(()) if still_there() => return Ok(file),
            Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Ok(()) | Err(rustix::io::Errno::WOULDBLOCK) => return Err(error(path, DiskErrorKind::InUse)),
            Err(cause) => return Err(fault(cause.into())),
        }
    }
}

/// Ascending numbers as runs.
fn runs(numbers: impl Iterator<Item = u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}
