//! Opening a download: what stands at its target, its working files, and which pieces they have from before.

use std::cell::OnceCell;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use messages::{ChainingValue, ContentId, Outboard, PieceIndex, PieceRun, root};
use riffle_core::{
    DiskError, DiskErrorKind, DiskResult, DownloadId, Existing, FetchPlan, HashedAgain, Opened,
    RecheckReason, ShareId,
};

use super::allocate::{allocate_part, full_or_else};
use super::download_paths::DownloadPaths;
use super::working_files::{Found, WorkingFileFinder, WorkingFiles};
use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::fault_injection::DiskCalls;
use crate::driver::disk::folder::order::FolderOrder;
use crate::driver::disk::folder::selection::Selection;
use crate::driver::disk::folder::update::UpdateOrder;
use crate::driver::disk::hash::hash_cache::{Fingerprint, HashCache};
use crate::driver::disk::hash::scan::{
    ScanError, ScanOrder, ScanSource, ScanWorkers, StopFlag, all_pieces, scan,
};
use crate::driver::disk::hash::share::open_regular;
use crate::driver::disk::identity::FileIdentity;
use crate::driver::disk::journal::key::StateKey;
use crate::driver::disk::journal::records::{BootId, Durability, FileMark, JournalHeader, Record, Recovered};
use crate::driver::disk::journal::{self, Journal, JournalSettings};
use crate::driver::disk::part::{Part, PartFile, SyncRule};
use crate::driver::disk::{Completion, Results, ServedFile};
use crate::platform::mapping::MappedFile;

/// How a node keeps the files of its downloads.
#[derive(Clone)]
pub(crate) struct PartSettings {
    /// When written pieces are made durable.
    pub(crate) sync_rule: SyncRule,
    /// How files are written.
    pub(crate) calls: DiskCalls,
    /// What the node has hashed before.
    pub(crate) hash_cache: Option<Arc<HashCache>>,
    /// The folder for locks where the file system of a download has none.
    pub(crate) lock_folder: Option<Arc<Path>>,
    /// What journals are sealed under: of this life alone, until another is given.
    pub(crate) key: Arc<StateKey>,
    /// Whether names in a folder that cannot stand at the target are changed.
    pub(crate) rename_invalid: bool,
}

impl PartSettings {
    /// With nothing remembered, no folder for locks, and a key of this life alone.
    pub(crate) fn new(sync_rule: SyncRule) -> PartSettings {
        let calls = DiskCalls::default();
        let (hash_cache, lock_folder, rename_invalid) = (None, None, false);
        PartSettings { sync_rule, calls, hash_cache, lock_folder, key: Arc::default(), rename_invalid }
    }
}

/// A download that is to be opened.
#[derive(Clone)]
pub(crate) struct OpenRequest {
    /// The download.
    pub(crate) download: DownloadId,
    /// The number under which the download is served.
    pub(crate) share: ShareId,
    /// The paths of its files.
    pub(crate) paths: DownloadPaths,
    /// The content.
    pub(crate) content: ContentId,
    /// What proves the content.
    pub(crate) outboard: Arc<Outboard>,
    /// Which files of a folder are wanted; `None`: all of them.
    pub(crate) selection: Option<Arc<Selection>>,
    /// How the files are kept.
    pub(crate) settings: PartSettings,
    /// Raised when nobody wants the download any more.
    pub(crate) stop: StopFlag,
}

/// A part file whose pieces from before are not all checked yet.
struct UncheckedPart {
    request: OpenRequest,
    part: PartFile,
    /// The journal, if it says already what is known.
    journal: Option<Journal>,
    trusted: Vec<PieceIndex>,
    /// Why some pieces have to be hashed again.
    doubt: Option<RecheckReason>,
}

/// Opens a download. Reports [`Completion::Opened`] at once, or when the pieces that are there have been hashed.
pub(crate) fn open(scan_workers: &ScanWorkers, results: &Results, request: OpenRequest) {
    match request.target() {
        Err(error) => request.report(results, Err(error)),
        Ok(Some(file)) => request.compare(scan_workers, results, file),
        Ok(None) => match request.open_part() {
            Ok((open_part, doubtful)) => open_part.check_pieces(scan_workers, results, doubtful),
            // Another process may have finished the same content between our look at the target and the lock.
            Err(failed) => match request.target() {
                Ok(Some(file)) => request.compare(scan_workers, results, file),
                Ok(None) | Err(_) => request.report(results, Err(failed)),
            },
        },
    }
}

impl OpenRequest {
    fn report(&self, results: &Results, result: Result<(Opened, ServedFile, Option<Arc<Part>>), DiskError>) {
        let (download, share) = (self.download, self.share);
        results.send(match result {
            Ok((opened, served, part)) => Completion::Opened { download, share, opened, served, part },
            Err(error) => Completion::ForCore(DiskResult::Opened { download, result: Err(error) }),
        });
    }

    /// The file at the target, if there is one that may be the content.
    fn target(&self) -> Result<Option<File>, DiskError> {
        self.paths.check_folder()?;
        let Some(metadata) = self.paths.found_at_target()? else { return Ok(None) };
        if metadata.is_file() && metadata.len() == self.outboard.layout().length() {
            return open_regular(&self.paths.target).map(Some);
        }
        self.paths.check_target().map(|()| None)
    }

    /// Compares the file at the target with the content. A file that is something else may be one to be replaced.
    fn compare(self, scan_workers: &ScanWorkers, results: &Results, file: File) {
        let (file, began) = (Arc::new(file), SystemTime::now());
        let found = match file.metadata() {
            Ok(found) => found,
            Err(cause) => return self.report(results, Err(disk_error(&self.paths.target, &cause))),
        };
        let recalled = self
            .settings
            .hash_cache
            .as_ref()
            .and_then(|hash_cache| hash_cache.recall(&self.paths.target, &found));
        if let Some(known) = recalled {
            return match self.same(known.content(), &file, &found) {
                Err(other) if other.kind == DiskErrorKind::ExistsOther => {
                    self.replace(scan_workers, results, other)
                }
                same => self.report(results, same.map(|served| (Opened::AlreadyThere, served, None))),
            };
        }
        let layout = self.outboard.layout();
        let order = self.order(&file, all_pieces(layout));
        let (results, own_workers) = (results.clone(), scan_workers.clone());
        let on_values = move |values: Result<Vec<ChainingValue>, ScanError>| {
            let target = &self.paths.target;
            let same = values.map_err(|failed| scan_error(target, failed)).and_then(|values| {
                let served = self.same(root(layout, &values), &file, &found)?;
                if let Some(hash_cache) = &self.settings.hash_cache {
                    hash_cache.remember(target, Fingerprint::of(&found), began, &self.outboard);
                }
                Ok(served)
            });
            match same {
                Err(other) if other.kind == DiskErrorKind::ExistsOther => {
                    self.replace(&own_workers, &results, other);
                }
                same => self.report(&results, same.map(|served| (Opened::AlreadyThere, served, None))),
            }
        };
        scan(scan_workers, order, Box::new(on_values));
    }

    /// Another file is at the target: it stays until the new one is whole, if it is to be replaced at all.
    fn replace(self, scan_workers: &ScanWorkers, results: &Results, other: DiskError) {
        let opened_part = match self.paths.existing.replaces_files() {
            true => self.open_part(),
            false => Err(self.paths.check_target().err().unwrap_or(other)),
        };
        match opened_part {
            Ok((open_part, doubtful)) => open_part.check_pieces(scan_workers, results, doubtful),
            Err(failed) => self.report(results, Err(failed)),
        }
    }

    /// The file at the target, to be served, when it is the content.
    fn same(&self, there: ContentId, file: &Arc<File>, found: &Metadata) -> Result<ServedFile, DiskError> {
        let target = &self.paths.target;
        if there != self.content {
            return Err(error(target, DiskErrorKind::ExistsOther));
        }
        served(target, file, found.len(), Some(FileIdentity::of(found)))
    }

    fn order(&self, file: &Arc<File>, pieces: Vec<PieceIndex>) -> ScanOrder {
        ScanOrder {
            source: ScanSource::File(file.clone()),
            layout: self.outboard.layout(),
            pieces,
            stop: self.stop.clone(),
            progress: Box::new(|_| {}),
        }
    }

    /// What is wanted of the folder that the content may be; `None`: everything.
    fn folder_order(&self) -> Option<FolderOrder> {
        let OpenRequest { paths, content, selection, .. } = self;
        let update = match paths.existing {
            Existing::Update { delete } if paths.is_update() => {
                let (target, staging) = (paths.target.clone(), paths.staging(*content));
                Some(UpdateOrder { target, staging, delete })
            }
            _ => None,
        };
        FolderOrder::new(&paths.target, selection.clone(), update)
    }

    fn header(&self) -> JournalHeader {
        let length = self.outboard.layout().length();
        let (part, journal) = (FileMark::NONE, FileMark::NONE);
        JournalHeader { content: self.content, length, boot: BootId::current(), part, journal }
    }

    /// Opens the part file, locked, of the right length and with space for all of it. Returns the pieces to be hashed
    /// again too.
    fn open_part(&self) -> Result<(UncheckedPart, Vec<PieceIndex>), DiskError> {
        self.paths.check_target()?;
        let (header, lock_folder) = (self.header(), self.settings.lock_folder.as_deref());
        let OpenRequest { paths, outboard, settings: PartSettings { calls, .. }, .. } = self;
        let key = &self.settings.key.key().map_err(|cause| disk_error(&paths.target, &cause))?;
        let knows_owners = OnceCell::new();
        // Most of the part file may never be written: it has no space of its own then.
        let is_sparse = self.selection.is_some() || self.paths.is_update();
        let space = if is_sparse { 0 } else { outboard.layout().length() };
        let files =
            WorkingFileFinder { paths, header, outboard, space, calls, lock_folder, key, knows_owners }
                .open()?;
        let WorkingFiles { file, part, journal: journal_place, lock, found } = files;
        let mut part = PartFile::new(file, part, journal_place, lock);
        let metadata = part.file.metadata().map_err(|cause| disk_error(part.display_path(paths), &cause))?;
        let (mut journal, recovered) = match found {
            Found::Nothing(journal) => (journal, Recovered::default()),
            Found::Before { journal, is_moved } => {
                let recovered = journal.recover((&part.file, &metadata), &header, outboard, is_moved);
                (None, recovered)
            }
        };
        let layout = outboard.layout();
        let is_new = metadata.len() == 0;
        if !is_new && metadata.len() != layout.length() {
            // What the journal says is not so, and must not look right when the file has its length again.
            self.write_journal(&mut part, &recovered.records())?;
        }
        // A new journal has its space already.
        let journal_bytes = if journal.is_none() && part.journal.is_some() {
            journal::max_length(layout.pieces())
        } else {
            0
        };
        let made = if is_sparse {
            let grown = part.file.set_len(layout.length());
            grown.map_err(|cause| disk_error(part.display_path(paths), &cause))
        } else {
            allocate_part(
                calls,
                &part.file,
                part.display_path(paths),
                &metadata,
                (layout.length(), journal_bytes),
            )
        };
        if let Err(error) = made {
            if is_new {
                // Made just now, or left by a crash: there is nothing in it.
                journal.take().into_iter().for_each(Journal::remove);
                part.remove();
            }
            return Err(error);
        }
        let Recovered { trusted, doubtful, doubt, .. } = recovered;
        let trusted = trusted.into_iter().map(|(piece, _)| piece).collect();
        Ok((UncheckedPart { request: self.clone(), part, journal, trusted, doubt }, doubtful))
    }

    /// The journal of `part`, which says `records` and no more.
    fn write_journal(&self, part: &mut PartFile, records: &[Record]) -> Result<Option<Journal>, DiskError> {
        let Some(destination) = &mut part.journal else { return Ok(None) };
        let pieces = self.outboard.layout().pieces();
        let header = JournalHeader { part: FileMark::of(&part.file), ..self.header() };
        let key = self.settings.key.key().map_err(|cause| disk_error(&destination.path, &cause))?;
        let journal_settings = JournalSettings { pieces, calls: &self.settings.calls, key: &key };
        let made = Journal::create(destination, &header, records, journal_settings);
        made.map(Some).map_err(|cause| {
            let max_length = journal::max_length(pieces);
            full_or_else(&part.file, &destination.path, &cause, max_length, max_length)
        })
    }
}

impl UncheckedPart {
    /// Hashes the doubtful pieces, and opens with those that match.
    fn check_pieces(self, scan_workers: &ScanWorkers, results: &Results, doubtful: Vec<PieceIndex>) {
        if let Some(elsewhere) = self.part.is_locked_elsewhere() {
            let folder = self.request.paths.folder.clone();
            results.send_result(DiskResult::WithoutLocks { folder, elsewhere });
        }
        let order = self.request.order(&self.part.file, doubtful.clone());
        let results = results.clone();
        let on_values = move |values: Result<Vec<ChainingValue>, ScanError>| {
            let request = self.request.clone();
            let ready = values
                .map_err(|failed| scan_error(self.part.display_path(&request.paths), failed))
                .and_then(|values| self.ready(&doubtful, &values));
            request.report(&results, ready);
        };
        scan(scan_workers, order, Box::new(on_values));
    }

    fn ready(
        mut self,
        doubtful: &[PieceIndex],
        values: &[ChainingValue],
    ) -> Result<(Opened, ServedFile, Option<Arc<Part>>), DiskError> {
        let outboard = self.request.outboard.clone();
        let right =
            doubtful.iter().zip(values).filter(|(piece, value)| outboard.value(**piece) == Some(value));
        self.trusted.extend(right.map(|(piece, _)| *piece));
        let layout = outboard.layout();
        let bytes = doubtful.iter().map(|piece| u64::from(layout.piece_length(*piece))).sum();
        let hashed_again = self.doubt.map(|why| HashedAgain { bytes, why });
        self.trusted.sort_unstable();
        let journal = match self.journal.take() {
            Some(journal) => Some(journal),
            None => self.journal_of_what_is_trusted()?,
        };
        let order = self.request.folder_order();
        let OpenRequest { paths, content, settings, stop, .. } = &self.request;
        let served = served(self.part.display_path(paths), &self.part.file, layout.length(), None)?;
        let have = PieceRun::runs_of(self.trusted.iter().copied());
        let rename_invalid = settings.rename_invalid;
        let part = Part::new(
            (paths.clone(), self.part, *content),
            outboard,
            (settings.sync_rule, settings.calls.clone()),
            (order, stop.clone()),
            journal,
            &self.trusted,
        );
        let part = if rename_invalid { part.with_other_names() } else { part };
        // The disk always answers: nobody waits for signs of progress here.
        let plan = match part.newly_planned(&|_| {})? {
            Some(plan) => FetchPlan { have, ..plan },
            None => FetchPlan::of_all(have),
        };
        Ok((Opened::Ready { plan, hashed_again }, served, Some(Arc::new(part))))
    }

    /// The journal of this boot, which says what is known now and no more.
    fn journal_of_what_is_trusted(&mut self) -> Result<Option<Journal>, DiskError> {
        let paths = &self.request.paths;
        if !self.trusted.is_empty() {
            let synced = self.request.settings.calls.sync_data(&self.part.file);
            synced.map_err(|cause| {
                full_or_else(&self.part.file, self.part.display_path(paths), &cause, 0, 0)
            })?;
        }
        let outboard = &self.request.outboard;
        let record = |piece: &PieceIndex| Record {
            durability: Durability::Durable,
            piece: *piece,
            value: *outboard.value(*piece).expect("only pieces of this outboard are there"),
        };
        let records: Vec<_> = self.trusted.iter().map(record).collect();
        self.request.write_journal(&mut self.part, &records)
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
