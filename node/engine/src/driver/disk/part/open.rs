//! Making room for a download: what stands at its target, its working files, and what is in them from before.

use std::cell::OnceCell;
use std::fs::{File, Metadata};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use messages::{ContentId, Manifest, PieceIndex};
use riffle_core::{DiskError, DiskErrorKind, DiskResult, Doubt, DownloadId, HashedAgain, Opened, ShareId};

use super::allocate::{full_or_else, make_room};
use super::download_paths::Place;
use super::working_files::{Found, Search, WorkingFiles};
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::fault_injection::Writing;
use crate::driver::disk::hash::hash_cache::{Fingerprint, HashCache};
use crate::driver::disk::hash::piece_hasher::{PieceDigest, Subtree, root_of};
use crate::driver::disk::hash::scan::{Crew, ScanError, ScanOrder, StopFlag, all_pieces, scan};
use crate::driver::disk::hash::share::open_regular;
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::journal::key::KeyOfState;
use crate::driver::disk::journal::records::{BootId, FileMark, JournalHeader, Kept, Record, Recovered};
use crate::driver::disk::journal::{self, Journal, Pen};
use crate::driver::disk::part::{Part, PartFile, SyncRule};
use crate::driver::disk::{Completion, Results, ServedFile};
use crate::platform::mapping::MappedFile;

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
    pub(crate) memory: Option<Arc<HashCache>>,
    /// Where locks go that the file system does not have.
    pub(crate) locks: Option<Arc<Path>>,
    /// What its journal is sealed under.
    pub(crate) key: Arc<KeyOfState>,
    /// Raised when nobody wants it any more.
    pub(crate) stop: StopFlag,
}

/// The part file while its pieces from before are looked at.
struct Draft {
    opening: Opening,
    part: PartFile,
    /// The journal, if it says already what is known.
    journal: Option<Journal>,
    trusted: Vec<(PieceIndex, Subtree)>,
    /// Why other pieces have to be hashed.
    doubt: Option<Doubt>,
}

/// Opens; reports [`Completion::Opened`], at once or when what is there has been hashed.
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
            Ok((opened, served, part)) => Completion::Opened { download, share, opened, served, part },
            Err(error) => Completion::Told(DiskResult::Opened { download, result: Err(error) }),
        });
    }

    /// The file at the target, if there is one that may be the content.
    fn target(&self) -> Result<Option<File>, DiskError> {
        self.place.check_folder()?;
        let Some(metadata) = self.place.found_at_target()? else { return Ok(None) };
        if metadata.is_file() && metadata.len() == self.manifest.layout().length() {
            return open_regular(&self.place.target).map(Some);
        }
        self.place.check_target().map(|()| None)
    }

    /// Is the file at the target the content already? If not, it may be one to be replaced.
    fn compare(self, crew: &Crew, results: &Results, file: File) {
        let (file, began) = (Arc::new(file), SystemTime::now());
        let found = match file.metadata() {
            Ok(found) => found,
            Err(cause) => return self.report(results, Err(disk_error(&self.place.target, &cause))),
        };
        let recalled = self.memory.as_ref().and_then(|memory| memory.recall(&self.place.target, &found));
        if let Some(known) = recalled {
            return match self.same(known.root(), &file, &found) {
                Err(other) if other.kind == DiskErrorKind::ExistsOther => self.replace(crew, results, other),
                same => self.report(results, same.map(|served| (Opened::AlreadyThere, served, None))),
            };
        }
        let layout = self.manifest.layout();
        let order = self.order(&file, all_pieces(layout));
        let (results, own_crew) = (results.clone(), crew.clone());
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
            match same {
                Err(other) if other.kind == DiskErrorKind::ExistsOther => {
                    self.replace(&own_crew, &results, other);
                }
                same => self.report(&results, same.map(|served| (Opened::AlreadyThere, served, None))),
            }
        };
        scan(crew, order, Box::new(then));
    }

    /// Another file is at the target: it stays until the new one is whole, if it is to be replaced at all.
    fn replace(self, crew: &Crew, results: &Results, other: DiskError) {
        let drafted = match self.place.replace {
            true => self.draft(),
            false => Err(self.place.check_target().err().unwrap_or(other)),
        };
        match drafted {
            Ok((draft, doubtful)) => draft.look_at(crew, results, doubtful),
            Err(failed) => self.report(results, Err(failed)),
        }
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
        let (part, journal) = (FileMark::NONE, FileMark::NONE);
        JournalHeader { content: self.content, length, boot: BootId::current(), part, journal }
    }

    /// The part file, locked, of the right length, with room for all of it; and the pieces to be hashed again.
    fn draft(&self) -> Result<(Draft, Vec<PieceIndex>), DiskError> {
        self.place.check_target()?;
        let (header, locks) = (self.header(), self.locks.as_deref());
        let Opening { place, manifest, writing, .. } = self;
        let key = &self.key.key().map_err(|cause| disk_error(&place.target, &cause))?;
        let tells_owners = OnceCell::new();
        let files = Search { place, header, manifest, writing, locks, key, tells_owners }.open()?;
        let WorkingFiles { file, part, journal: journal_place, lock, found } = files;
        let mut part = PartFile::new(file, part, journal_place, lock);
        let metadata = part.file.metadata().map_err(|cause| disk_error(part.shown(place), &cause))?;
        let (mut journal, recovered) = match found {
            Found::Nothing(journal) => (journal, Recovered::default()),
            Found::Before { journal, is_moved } => {
                let recovered = journal.look_back((&part.file, &metadata), &header, manifest, is_moved);
                (None, recovered)
            }
        };
        let layout = manifest.layout();
        let is_new = metadata.len() == 0;
        if !is_new && metadata.len() != layout.length() {
            // What the journal says is not so, and must not look right when the file has its length again.
            self.write_journal(&mut part, &recovered.records())?;
        }
        // A new journal has its room already.
        let beside =
            if journal.is_none() && part.journal.is_some() { journal::most(layout.pieces()) } else { 0 };
        let made = make_room(writing, &part.file, part.shown(place), &metadata, (layout.length(), beside));
        if let Err(error) = made {
            if is_new {
                // Made just now, or left by a crash: there is nothing in it.
                journal.take().into_iter().for_each(Journal::remove);
                part.remove();
            }
            return Err(error);
        }
        let Recovered { trusted, doubtful, doubt, .. } = recovered;
        Ok((Draft { opening: self.clone(), part, journal, trusted, doubt }, doubtful))
    }

    /// The journal of `part`, which says `records` and no more.
    fn write_journal(&self, part: &mut PartFile, records: &[Record]) -> Result<Option<Journal>, DiskError> {
        let Some(place) = &mut part.journal else { return Ok(None) };
        let pieces = self.manifest.layout().pieces();
        let header = JournalHeader { part: FileMark::of(&part.file), ..self.header() };
        let key = self.key.key().map_err(|cause| disk_error(&place.path, &cause))?;
        let pen = Pen { pieces, writing: &self.writing, key: &key };
        let made = Journal::create(place, &header, records, pen);
        made.map(Some).map_err(|cause| {
            let most = journal::most(pieces);
            full_or_else(&part.file, &place.path, &cause, most, most)
        })
    }
}

impl Draft {
    /// Hashes the doubtful pieces, and opens with those that match.
    fn look_at(self, crew: &Crew, results: &Results, doubtful: Vec<PieceIndex>) {
        if let Some(elsewhere) = self.part.is_locked_elsewhere() {
            let folder = self.opening.place.folder.clone();
            results.tell(DiskResult::WithoutLocks { folder, elsewhere });
        }
        let order = self.opening.order(&self.part.file, doubtful.clone());
        let results = results.clone();
        let then = move |digests: Result<Vec<PieceDigest>, ScanError>| {
            let opening = self.opening.clone();
            let ready = digests
                .map_err(|failed| scan_error(self.part.shown(&opening.place), failed))
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
        let manifest = self.opening.manifest.clone();
        for (piece, digest) in doubtful.iter().zip(digests) {
            if manifest.piece_hash(*piece) == Some(&digest.hash) {
                self.trusted.push((*piece, digest.subtree));
            }
        }
        let layout = manifest.layout();
        let bytes = doubtful.iter().map(|piece| u64::from(layout.piece_length(*piece))).sum();
        let hashed_again = self.doubt.map(|why| HashedAgain { bytes, why });
        self.trusted.sort_unstable_by_key(|(piece, _)| *piece);
        let journal = match self.journal.take() {
            Some(journal) => Some(journal),
            None => self.journal_of_what_is_trusted()?,
        };
        let Opening { place, rule, writing, content, .. } = &self.opening;
        let served = served(self.part.shown(place), &self.part.file, layout.length(), None)?;
        let have = runs(self.trusted.iter().map(|(piece, _)| piece.0));
        let part = Part::new(
            (place.clone(), self.part, *content),
            manifest,
            (*rule, writing.clone()),
            journal,
            &self.trusted,
        );
        Ok((Opened::Ready { have, hashed_again }, served, Some(Arc::new(part))))
    }

    /// The journal of this boot, which says what is known now and no more.
    fn journal_of_what_is_trusted(&mut self) -> Result<Option<Journal>, DiskError> {
        let place = &self.opening.place;
        if !self.trusted.is_empty() {
            let synced = self.opening.writing.sync_data(&self.part.file);
            synced.map_err(|cause| full_or_else(&self.part.file, self.part.shown(place), &cause, 0, 0))?;
        }
        let record = |(piece, subtree): &(PieceIndex, Subtree)| Record {
            kept: Kept::Durable,
            piece: *piece,
            subtree: *subtree,
        };
        let records: Vec<_> = self.trusted.iter().map(record).collect();
        self.opening.write_journal(&mut self.part, &records)
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
