//! A host's disk, without bytes: files are contents, and what is done to them takes time and may fail.

mod folder;
mod part;
mod pool;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use messages::{ContentId, FileMetadata, Outboard, PieceIndex, PieceRun, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;
use riffle_core::{
    BufferId, DiskError, DiskErrorKind, DiskRequest, DiskResult, DownloadId, Evidence, Existing, FetchPlan,
    FinishedTarget, HashedAgain, Opened, RecheckReason, ShareId, StoreError, WantedPieces,
};

use crate::content::Library;
use folder::FolderDownload;
pub use folder::{LocalFile, LocalFolder};
use part::PartFile;
pub use pool::{Pool, Provenance};

/// How long a request takes at least.
const LATENCY: Duration = Duration::from_micros(50);
/// How many nanoseconds hashing and writing one byte takes: about 1 GB/s.
const NANOS_A_BYTE: u64 = 1;
/// How long a download waits for another one that has just been abandoned and still holds the part file's lock.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// What is wrong with a disk.
#[derive(Clone, Debug, Default)]
pub struct DiskFaults {
    /// How much longer each request takes at most, by chance.
    pub latency: Duration,
    /// How many writes, openings and finishes fail, in millionths; half of the failed writes leave a torn piece.
    pub errors: u32,
    /// When the disk is full.
    pub full: Option<Range<Timestamp>>,
    /// Whether finished files cannot be renamed.
    pub nameless: bool,
}

/// An open download: its target, and the share pending which bursts name its file.
#[derive(Debug)]
struct OpenDownload {
    target: PathBuf,
    share: ShareId,
    /// Set when a folder is brought up to date, or made of chosen files.
    folder: Option<FolderDownload>,
}

/// What a download is to become.
struct Wanted {
    content: ContentId,
    outboard: Arc<Outboard>,
    existing: Existing,
    select: Vec<String>,
}

/// A write or rename that has begun and is done later.
#[derive(Debug)]
struct Pending {
    at: Timestamp,
    target: PathBuf,
    what: Doing,
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Store(PieceIndex),
    Tear(PieceIndex),
    Finish,
}

/// One host's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// All whole files.
    pub files: BTreeMap<PathBuf, ContentId>,
    /// The folders that are not just one content: those that were made of chosen files, or are being brought up to date.
    pub folders: BTreeMap<PathBuf, LocalFolder>,
    /// What is told of the files at these paths.
    pub metadata: BTreeMap<PathBuf, FileMetadata>,
    /// What is wrong with the disk.
    pub faults: DiskFaults,
    /// The buffers of the host.
    pub pool: Pool,
    /// How many bytes of part files were hashed to see what is in them.
    pub hashed: u64,
    /// The files that bursts may name.
    open: BTreeMap<ShareId, ContentId>,
    /// The part files, by their targets.
    parts: BTreeMap<PathBuf, PartFile>,
    downloads: BTreeMap<DownloadId, OpenDownload>,
    /// The contents of which the index alone is fetched.
    indexes: BTreeMap<DownloadId, ContentId>,
    pending: Vec<Pending>,
    /// The folders whose download is about to be finished, by their targets.
    finishing: BTreeMap<PathBuf, FolderDownload>,
    /// How often the power was cut.
    boot: u32,
}

/// What a disk needs of its world to carry out a request.
pub struct Around<'a> {
    /// All contents.
    pub library: &'a Library,
    /// The present instant.
    pub now: Timestamp,
    /// All chance.
    pub rng: &'a mut StdRng,
}

impl Disk {
    /// Which content a burst from `share` carries; `None` when the file is not open.
    pub fn source(&self, share: ShareId) -> Option<ContentId> {
        self.open.get(&share).copied()
    }

    /// Whether `piece` of `content` counts as stored in an open part file.
    pub fn has_stored(&self, content: ContentId, piece: PieceIndex) -> bool {
        self.parts.values().any(|part| part.content == content && part.has_stored(piece))
    }

    /// How many bytes of the part file of `target` are right.
    pub fn right_bytes(&self, target: &Path) -> u64 {
        self.parts.get(target).map_or(0, PartFile::right_bytes)
    }

    /// Carries out what has begun and is done by `now`.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some(next) = self.pending.iter().map(|pending| pending.at).min().filter(|at| *at <= now) {
            let index = self.pending.iter().position(|pending| pending.at == next).expect("it is there");
            let Pending { at, target, what } = self.pending.remove(index);
            let Some(part) = self.parts.get_mut(&target) else {
                continue;
            };
            part.settle(at);
            match what {
                Doing::Store(piece) => part.store(piece, at),
                Doing::Tear(piece) => part.tear(piece, at),
                Doing::Finish => self.rename(&target),
            }
        }
        self.parts.values_mut().for_each(|part| part.settle(now));
    }

    fn rename(&mut self, target: &Path) {
        let Some(part) = self.parts.remove(target) else { return };
        if let Some(folder) = self.finishing.remove(target) {
            assert!(folder.is_right(&part), "{} is made of wrong bytes: {part:?}", target.display());
            folder.apply(self.folders.entry(target.to_owned()).or_default(), || true);
            if folder.is_of_all() {
                self.folders.remove(target);
                self.files.insert(target.to_owned(), part.content);
            }
        } else {
            assert!(part.is_whole(), "{} gets its name with wrong bytes in it: {part:?}", target.display());
            self.files.insert(target.to_owned(), part.content);
        }
    }

    /// Kills the process: what the system has stays.
    pub fn kill(&mut self, around: &mut Around<'_>) {
        self.settle(around.now);
        for Pending { target, what, .. } in std::mem::take(&mut self.pending) {
            let Some(part) = self.parts.get_mut(&target) else {
                continue;
            };
            match what {
                Doing::Store(piece) | Doing::Tear(piece) => part.interrupt(piece, around.now, around.rng),
                Doing::Finish if around.rng.random() => self.rename(&target),
                Doing::Finish => {
                    // Some files are in their places, and the part file is still there.
                    if let Some(folder) = self.finishing.remove(&target) {
                        let local = self.folders.entry(target.clone()).or_default();
                        folder.apply(local, || around.rng.random());
                    }
                }
            }
        }
        self.parts.values_mut().for_each(PartFile::close);
        self.open.clear();
        self.downloads.clear();
        self.indexes.clear();
        self.pool = Pool::default();
    }

    /// Cuts the power: what the disk has stays.
    pub fn lose_power(&mut self, around: &mut Around<'_>) {
        self.kill(around);
        self.boot += 1;
        self.parts.retain(|_, part| part.lose_power(around.rng));
    }

    /// Carries out `request`; returns how long it takes, and the results in their order.
    pub fn carry_out(
        &mut self,
        request: DiskRequest,
        around: &mut Around<'_>,
    ) -> (Duration, impl Iterator<Item = DiskResult> + use<>) {
        self.settle(around.now);
        let late = around.chance_up_to(self.faults.latency);
        let mut news = None;
        let answer = self.answer(request, late, &mut news, around);
        let takes = answer.as_ref().map_or(Duration::ZERO, |(takes, _)| *takes + late);
        (takes, news.into_iter().chain(answer.map(|(_, result)| result)))
    }

    fn answer(
        &mut self,
        request: DiskRequest,
        late: Duration,
        news: &mut Option<DiskResult>,
        around: &mut Around<'_>,
    ) -> Option<(Duration, DiskResult)> {
        match request {
            DiskRequest::Share { share, path, .. } => {
                let file = self.metadata.get(&path).copied().unwrap_or_default();
                let found = self.files.get(&path).and_then(|id| around.library.of(*id));
                let result = match found {
                    Some(content) => {
                        self.open.insert(share, content.id);
                        Ok(content.outboard.clone())
                    }
                    None => Err(DiskError { path, kind: DiskErrorKind::NotFound }),
                };
                Some((LATENCY, DiskResult::Shared { share, result, file }))
            }
            DiskRequest::Unshare { share } => {
                self.open.remove(&share);
                None
            }
            DiskRequest::CheckOutboard { download, buffer, length, content, evidence } => {
                let outboard = evidence == Evidence::Outboard;
                let whole = Provenance { content, outboard, from: 0 };
                let known = around.library.of(content).filter(|known| {
                    let layout = known.outboard.layout();
                    let is_all = outboard || u64::from(length) == layout.length();
                    is_all && self.pool.holds(buffer, length, whole)
                });
                let result = known
                    .map(|content| content.outboard.clone())
                    .ok_or(messages::OutboardError::OtherContent);
                Some((LATENCY, DiskResult::OutboardChecked { download, buffer, result }))
            }
            DiskRequest::LookAtTarget { download, target, .. } => {
                let is_there = self.files.contains_key(&target)
                    || self.folders.contains_key(&target)
                    || self.parts.contains_key(&target);
                Some((LATENCY, DiskResult::TargetSeen { download, has_nothing: !is_there }))
            }
            DiskRequest::Open { download, share, target, existing, select, content, outboard, .. } => {
                let hashed = self.hashed;
                let open = OpenDownload { target, share, folder: None };
                let wanted = Wanted { content, outboard, existing, select };
                let result = self.open_part(download, open, wanted, around);
                let hashing = Duration::from_nanos(NANOS_A_BYTE * (self.hashed - hashed));
                Some((LATENCY + hashing, DiskResult::Opened { download, result }))
            }
            DiskRequest::Preview { download, piece, buffer, length } => {
                let plan = self.preview(download, piece, buffer, length);
                Some((LATENCY, DiskResult::Previewed { download, buffer, plan }))
            }
            DiskRequest::OpenIndex { download, outboard } => {
                self.indexes.insert(download, outboard.content());
                let first = PieceRun::new(PieceIndex(0), 1.min(outboard.layout().pieces()));
                let wanted = WantedPieces::Only(first.as_slice().to_vec());
                let plan = FetchPlan { wanted, ..FetchPlan::of_all(Vec::new()) };
                let opened = Opened::Ready { plan, hashed_again: None };
                Some((LATENCY, DiskResult::Opened { download, result: Ok(opened) }))
            }
            // Contents here have no bytes, so that each is one file.
            DiskRequest::ReadIndex { download, .. } => {
                Some((LATENCY, DiskResult::IndexRead { download, result: Ok(None) }))
            }
            DiskRequest::Store { download, piece, buffer, length, .. }
                if self.indexes.contains_key(&download) =>
            {
                let source = Provenance { content: self.indexes[&download], outboard: false, from: 0 };
                assert_eq!(piece, PieceIndex(0), "a piece that is not of the index");
                let is_good = self.pool.holds(buffer, length, source);
                let result = is_good.then_some(()).ok_or(StoreError::Hash);
                Some((LATENCY, DiskResult::Stored { download, piece, buffer, result }))
            }
            DiskRequest::Finish { download, .. } if self.indexes.remove(&download).is_some() => {
                Some((LATENCY, DiskResult::IndexRead { download, result: Ok(None) }))
            }
            DiskRequest::Store { download, piece, buffer, length, known, expected } => {
                let takes = LATENCY + Duration::from_nanos(NANOS_A_BYTE * u64::from(length));
                let at = around.now + takes + late;
                let result = self.store(download, (piece, buffer, length, expected), &known, at, around);
                if result.is_ok() {
                    *news = self.plan(download, piece);
                }
                Some((takes, DiskResult::Stored { download, piece, buffer, result }))
            }
            DiskRequest::Finish { download, file } => {
                let result = self.finish(download, around.now + LATENCY + late, around);
                let file = file.unwrap_or_default();
                let result = result.map(|finished| {
                    self.metadata.insert(finished.path.clone(), file);
                    FinishedTarget { file, ..finished }
                });
                Some((LATENCY, DiskResult::Finished { download, result }))
            }
            DiskRequest::Abandon { download } => {
                self.indexes.remove(&download);
                if let Some(OpenDownload { target, share, .. }) = self.downloads.remove(&download) {
                    self.open.remove(&share);
                    self.close_when_idle(&target);
                }
                None
            }
        }
    }

    /// A part file stays open and locked until its last write is done.
    fn close_when_idle(&mut self, target: &Path) {
        let used = self.downloads.values().any(|open| open.target == target)
            || self.pending.iter().any(|pending| pending.target == target);
        if let Some(part) = self.parts.get_mut(target).filter(|_| !used) {
            part.close();
        }
    }

    fn open_part(
        &mut self,
        download: DownloadId,
        mut open: OpenDownload,
        Wanted { content, outboard, existing, select }: Wanted,
        around: &mut Around<'_>,
    ) -> Result<Opened, DiskError> {
        let target = open.target.clone();
        let locked = self.downloads.values().any(|open| open.target == target)
            || self
                .pending
                .iter()
                .any(|pending| pending.target == target && pending.at > around.now + LOCK_TIMEOUT);
        if locked {
            return Err(DiskError { path: target, kind: DiskErrorKind::InUse });
        }
        // The download that was abandoned is waited for.
        self.settle(around.now + LOCK_TIMEOUT);
        match self.files.get(&target) {
            Some(there) if *there == content => {
                self.open.insert(open.share, content);
                return Ok(Opened::AlreadyThere);
            }
            Some(there) => {
                let there = around.library.of(*there).and_then(|there| folder::local_folder(there));
                let is_updated = matches!(existing, Existing::Update { .. });
                let Some(local) = there.filter(|_| is_updated) else {
                    return Err(DiskError { path: target, kind: DiskErrorKind::ExistsOther });
                };
                self.files.remove(&target);
                self.folders.insert(target.clone(), local);
            }
            None => {}
        }
        if let Some(why) = self.broken(outboard.layout().length(), around) {
            return Err(DiskError { path: target, kind: why });
        }
        let same = self.parts.get(&target).is_some_and(|part| part.content == content);
        if !same {
            self.parts.insert(target.clone(), PartFile::new(content, outboard, around.now));
        }
        let part = self.parts.get_mut(&target).expect("it is there");
        part.close();
        let found = part.open(self.boot, self.faults.latency, around.now);
        self.hashed += found.hashed;
        self.open.insert(open.share, content);
        let mut have = found.have;
        let content = around.library.of(content).filter(|content| content.folder.is_some());
        let is_updated = matches!(existing, Existing::Update { .. }) && self.folders.contains_key(&target);
        let mut plan = FetchPlan::of_all(Vec::new());
        if let Some(content) = content.filter(|_| is_updated || !select.is_empty()) {
            let local = self.folders.entry(target).or_default();
            let (folder, first) = FolderDownload::begin(content.clone(), &select, local, part);
            have.extend(first.have.iter().flat_map(|run| run.iter()));
            have.sort_unstable();
            (open.folder, plan) = (Some(folder), first);
        }
        self.downloads.insert(download, open);
        // Which of its reasons the program would give is the program's own business.
        let hashed_again =
            (found.hashed > 0).then_some(HashedAgain { bytes: found.hashed, why: RecheckReason::Restarted });
        plan.have = PieceRun::runs_of(have);
        Ok(Opened::Ready { plan, hashed_again })
    }

    /// What follows from `piece`, which is about to be stored, for the download of a folder: the plan for its files, when
    /// its index is complete.
    fn plan(&mut self, download: DownloadId, piece: PieceIndex) -> Option<DiskResult> {
        let OpenDownload { target, folder, .. } = self.downloads.get_mut(&download).expect("a part file");
        let folder = folder.as_mut()?;
        let part = self.parts.get_mut(target).expect("a part file");
        let local = self.folders.get_mut(target).expect("a folder that is brought up to date");
        let plan = folder.on_store(piece, local, part)?;
        Some(DiskResult::Planned { download, plan })
    }

    /// What follows from the first `length` bytes of `piece`, if they are right; else they make no sense.
    fn preview(
        &mut self,
        download: DownloadId,
        piece: PieceIndex,
        buffer: BufferId,
        length: u32,
    ) -> Option<FetchPlan> {
        let OpenDownload { target, folder, .. } = self.downloads.get_mut(&download).expect("a part file");
        let part = self.parts.get_mut(target).expect("a part file");
        let from = part.start_of(piece);
        let source = Provenance { content: part.content, outboard: false, from };
        if !self.pool.holds(buffer, length, source) {
            return None;
        }
        let local = self.folders.get_mut(target).expect("a folder that is brought up to date");
        let folder = folder.as_mut().expect("only of a folder anything is looked at");
        Some(folder.on_preview(piece, length, local, part))
    }

    /// Why the disk does not take `needed` bytes just now.
    fn broken(&self, needed: u64, around: &mut Around<'_>) -> Option<DiskErrorKind> {
        if self.faults.full.as_ref().is_some_and(|full| full.contains(&around.now)) {
            return Some(DiskErrorKind::Full { needed });
        }
        around.happens(self.faults.errors).then(|| DiskErrorKind::Other("input/output error".to_owned()))
    }

    fn store(
        &mut self,
        download: DownloadId,
        (piece, buffer, length, expected): (PieceIndex, BufferId, u32, messages::ChainingValue),
        known: &[Range<u32>],
        at: Timestamp,
        around: &mut Around<'_>,
    ) -> Result<(), StoreError> {
        let OpenDownload { target, folder, .. } = self.downloads.get(&download).expect("a part file");
        let target = target.clone();
        let part = self.parts.get(&target).expect("a part file");
        let content = around.library.of(part.content).expect("a content");
        assert_eq!(content.outboard.value(piece), Some(&expected), "another piece's hash");
        let span = content.outboard.layout().span(piece).expect("a piece of the content");
        assert_eq!(span.end - span.start, u64::from(length), "another piece's length");
        let source = Provenance { content: part.content, outboard: false, from: span.start };
        let is_known = known.iter().all(|range| {
            let folder = folder.as_ref().expect("only of a folder anything is known");
            folder.is_known(piece, range, &self.folders[&target])
        });
        if !is_known || !self.pool.holds_all_but(buffer, length, known, source) {
            return Err(if known.is_empty() { StoreError::Hash } else { StoreError::KnownBytes });
        }
        if let Some(kind) = self.broken(u64::from(length), around) {
            if around.rng.random() {
                self.pending.push(Pending { at, target: target.clone(), what: Doing::Tear(piece) });
            }
            return Err(DiskError { path: target, kind }.into());
        }
        self.pending.push(Pending { at, target, what: Doing::Store(piece) });
        Ok(())
    }

    fn finish(
        &mut self,
        download: DownloadId,
        at: Timestamp,
        around: &mut Around<'_>,
    ) -> Result<FinishedTarget, DiskError> {
        let OpenDownload { target, folder, .. } = self.downloads.remove(&download).expect("a part file");
        let part = self.parts.get_mut(&target).expect("a part file");
        let pieces = around.library.of(part.content).expect("a content").outboard.layout().pieces();
        match &folder {
            Some(folder) => assert!(folder.is_complete(part), "finished before every wanted piece is stored"),
            None => assert_eq!(part.stored(), pieces as usize, "finished before every piece is stored"),
        }
        if folder.as_ref().is_some_and(|folder| !folder.is_kept(&self.folders[&target])) {
            self.close_when_idle(&target);
            return Err(DiskError { path: target, kind: DiskErrorKind::Changed });
        }
        let nameless = self.faults.nameless.then(|| DiskErrorKind::Other("read-only file system".to_owned()));
        if let Some(kind) = nameless.or_else(|| self.broken(0, around)) {
            self.close_when_idle(&target);
            return Err(DiskError { path: target, kind });
        }
        self.pending.push(Pending { at, target: target.clone(), what: Doing::Finish });
        let is_whole = folder.as_ref().is_none_or(FolderDownload::is_of_all);
        if let Some(folder) = folder {
            self.finishing.insert(target.clone(), folder);
        }
        Ok(FinishedTarget { path: target, file: FileMetadata::default(), renamed: Vec::new(), is_whole })
    }
}

impl Around<'_> {
    fn happens(&mut self, millionths: u32) -> bool {
        millionths > 0 && self.rng.random_range(0..1_000_000) < millionths
    }

    fn chance_up_to(&mut self, most: Duration) -> Duration {
        if most.is_zero() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.rng.random_range(0..=most.as_nanos() as u64))
    }
}
