//! The life of shares and downloads on a real disk, through the requests of the core.

use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use messages::{ContentId, FileMetadata, Layout, LengthProof, piece_value};
use riffle_core::{
    BufferChange, BufferId, DiskErrorKind, Existing, FetchPlan, FolderOptions, HashedAgain, Opened,
    PieceBuffers, RecheckReason, StoreError,
};
use tokio::sync::mpsc;

use super::journal::mac::{JournalKey, SEAL};
use super::journal::records;
use super::journal::records::{HEADER, JournalContents, JournalHeader, RECORD};
use super::part::download_paths::WorkingNames;
use super::*;
use crate::driver::test_bytes;

mod failing;
mod foreign;
mod planted;
mod resume;
mod scanning;
mod turns;

const DOWNLOAD: DownloadId = DownloadId(1);
const SHARE: ShareId = ShareId(7);
const PIECE: usize = 256 << 10;

struct Bench {
    disk: Disk,
    pool: Pool,
    results: mpsc::UnboundedReceiver<Completion>,
    folder: tempfile::TempDir,
    /// Whether a download replaces what is there.
    existing: Existing,
    /// What was said of file systems without locks.
    without_locks: Vec<bool>,
}

impl Bench {
    fn new() -> Bench {
        Bench::in_folder(tempfile::tempdir().unwrap())
    }

    fn in_folder(folder: tempfile::TempDir) -> Bench {
        Bench::with(folder, config::NodeSettings::default().disk)
    }

    fn with(folder: tempfile::TempDir, mut settings: config::DiskSettings) -> Bench {
        let (results, heard) = Results::channel();
        settings.hash_threads = 2;
        let mut disk = Disk::start(&settings, results, &tracing::Dispatch::none()).unwrap();
        disk.seal_under(key().into());
        Bench {
            disk,
            pool: Pool::default(),
            results: heard,
            folder,
            existing: Existing::Keep,
            without_locks: Vec::new(),
        }
    }

    /// Another node in the same folder, once this one has ended.
    fn restarted(self) -> Bench {
        assert!(self.disk.stop(Duration::from_secs(10)));
        Bench::in_folder(self.folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in the folder; working files are called `part` and `journal`, with what tells further ones apart.
    fn names(&self) -> Vec<String> {
        let short = |name: String| match name.split_once(".riffle-") {
            Some((stem, kind)) => {
                let number = stem.rsplit_once('.').unwrap().1.get(16..).unwrap();
                format!("{kind}{number}")
            }
            None => name,
        };
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| short(entry.unwrap().file_name().into_string().unwrap()))
            .collect();
        names.sort();
        names
    }

    /// The names of the working files of the content at `f`.
    fn working(&self, outboard: &Outboard) -> WorkingNames {
        DownloadPaths::of(self.path("f"), Existing::Keep).working_names(outboard.content(), 1)
    }

    fn ask(&mut self, request: DiskRequest) {
        self.disk.request(request, &mut self.pool);
    }

    /// The next result that is not progress.
    fn done(&mut self) -> Completion {
        loop {
            match self.results.blocking_recv().expect("the workers live") {
                Completion::ForCore(DiskResult::Hashing { .. }) => {}
                Completion::ForCore(DiskResult::WithoutLocks { elsewhere, .. }) => {
                    self.without_locks.push(elsewhere)
                }
                done => return done,
            }
        }
    }

    fn share(&mut self, path: PathBuf) -> Result<(Arc<Outboard>, ServedFile), DiskErrorKind> {
        self.ask(DiskRequest::Share { share: SHARE, path, options: FolderOptions::default() });
        match self.done() {
            Completion::Shared { outboard, served: Served::File(served), .. } => {
                assert!(self.disk.on_shared(SHARE));
                Ok((outboard, served))
            }
            Completion::ForCore(DiskResult::Shared { result: Err(error), .. }) => Err(error.kind),
            _ => panic!("another result"),
        }
    }

    fn open(&mut self, outboard: &Arc<Outboard>) -> Result<(Opened, ServedFile), DiskError> {
        let (content, outboard) = (outboard.content(), outboard.clone());
        let target = self.path("f");
        let existing = self.existing;
        self.ask(DiskRequest::Open {
            save: riffle_core::SaveOptions::default(),
            download: DOWNLOAD,
            share: SHARE,
            target,
            existing,
            select: Vec::new(),
            content,
            outboard,
        });
        match self.done() {
            Completion::Opened { download, share, opened, served, part } => {
                assert!(self.disk.on_opened(download, share, part));
                Ok((opened, served))
            }
            Completion::ForCore(DiskResult::Opened { result: Err(error), .. }) => Err(error),
            _ => panic!("another result"),
        }
    }

    /// What is in the part file, and what was hashed to know that.
    fn resumed(&mut self, outboard: &Arc<Outboard>) -> (Vec<Range<u32>>, Option<HashedAgain>) {
        match self.open(outboard).unwrap().0 {
            Opened::Ready { plan, hashed_again } => {
                let have = plan.have;
                (have.iter().map(|run| run.start().0..run.end().0).collect(), hashed_again)
            }
            Opened::AlreadyThere => panic!("not there yet"),
        }
    }

    fn have(&mut self, outboard: &Arc<Outboard>) -> Vec<Range<u32>> {
        self.resumed(outboard).0
    }

    fn store(&mut self, outboard: &Outboard, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let (buffer, length) = (BufferId(piece), bytes.len() as u32);
        self.pool.change(BufferChange::Allocate { buffer, length });
        self.pool.write(riffle_core::Placement { buffer, offset: 0 }, bytes);
        let expected = *outboard.value(PieceIndex(piece)).unwrap();
        let piece = PieceIndex(piece);
        let known = Vec::new();
        self.ask(DiskRequest::Store { download: DOWNLOAD, piece, buffer, length, known, expected });
        let Completion::Stored { lent, result, .. } = self.done() else { panic!("another result") };
        assert_eq!(lent.bytes.get(..bytes.len()), Some(bytes), "the same memory comes back");
        self.pool.put_back(lent.buffer, lent.bytes);
        self.pool.change(BufferChange::Free { buffer });
        result
    }

    fn store_all(&mut self, outboard: &Outboard, bytes: &[u8], pieces: Range<u32>) {
        for index in pieces {
            let span = outboard.layout().span(PieceIndex(index)).unwrap();
            self.store(outboard, index, &bytes[span.start as usize..span.end as usize]).unwrap();
        }
    }

    fn finish(&mut self) -> Result<PathBuf, DiskError> {
        self.ask(DiskRequest::Finish { download: DOWNLOAD, file: Some(FileMetadata::default()) });
        let Completion::Finished { path, result, .. } = self.done() else { panic!("another result") };
        self.disk.on_download_ended(DOWNLOAD);
        result.map(|_| path)
    }

    /// As `finish`, after which the download is still open when it failed.
    fn finish_again(&mut self) -> Result<(), DiskError> {
        self.ask(DiskRequest::Finish { download: DOWNLOAD, file: Some(FileMetadata::default()) });
        let Completion::Finished { result, .. } = self.done() else { panic!("another result") };
        result.map(|_| ())
    }

    /// Opens and stores.
    fn store_all_after_open(&mut self, outboard: &Arc<Outboard>, bytes: &[u8], pieces: Range<u32>) {
        self.open(outboard).unwrap();
        self.store_all(outboard, bytes, pieces);
    }

    /// Gives the download up and waits until the workers are through with it.
    fn abandon(mut self) -> Bench {
        self.ask(DiskRequest::Abandon { download: DOWNLOAD });
        self.restarted()
    }
}

/// What the journals of all benches are sealed under.
fn key() -> JournalKey {
    JournalKey::of_secret(&[7; 32])
}

/// A journal with another header, sealed as ours are.
fn resealed(journal: &[u8], change: impl FnOnce(&mut JournalHeader)) -> Vec<u8> {
    let mut header = JournalContents::read(journal, 0, &key()).unwrap().header;
    change(&mut header);
    let mut bytes = Vec::new();
    let mut chain = header.encode(&mut bytes, &key());
    for record in journal[HEADER..].chunks_exact(RECORD) {
        let fields = &record[..RECORD - SEAL];
        bytes.extend_from_slice(fields);
        bytes.extend_from_slice(&chain.seal(fields));
    }
    bytes
}

/// What `share` must find, computed the simple way.
fn described(bytes: &[u8]) -> Arc<Outboard> {
    let layout = Layout::of(bytes.len() as u64).unwrap();
    let content = ContentId::from_bytes(*blake3::hash(bytes).as_bytes());
    if layout.pieces() < 2 {
        return Arc::new(Outboard::of_one_piece(layout, content).unwrap());
    }
    let pieces: Vec<_> = bytes.chunks(layout.piece_size() as usize).collect();
    let values = (0..).map(PieceIndex).zip(&pieces);
    let values = values.map(|(index, piece)| piece_value(layout, index, piece)).collect();
    let outboard = Outboard::new(layout, values, LengthProof::of(layout, pieces.last().unwrap())).unwrap();
    assert_eq!(outboard.content(), content);
    Arc::new(outboard)
}

#[test]
fn a_shared_file_is_described_as_the_simple_way_does() {
    let mut bench = Bench::new();
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 1234] {
        let bytes = test_bytes(length);
        let path = bench.path("shared");
        fs::write(&path, &bytes).unwrap();
        let (outboard, served) = bench.share(path.clone()).unwrap();
        assert_eq!(outboard, described(&bytes), "{length}");
        assert_eq!((served.map.is_some(), served.path), (length > 0, path));
    }
}

#[test]
fn what_cannot_be_shared_says_why() {
    let mut bench = Bench::new();
    let path = bench.path("nothing");
    assert_eq!(bench.share(path).err(), Some(DiskErrorKind::NotFound));
    let pipe = bench.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(bench.share(pipe).err(), Some(DiskErrorKind::NotAFile));
    let endless = bench.path("endless");
    let too_long = fs::File::create(&endless).unwrap().set_len(messages::limits::MAX_CONTENT + 1);
    if too_long.is_ok() {
        assert_eq!(bench.share(endless).err(), Some(DiskErrorKind::TooLong));
    }
}

#[test]
fn a_share_that_nobody_wants_any_more_is_not_reported() {
    let mut bench = Bench::new();
    let path = bench.path("f");
    fs::write(&path, test_bytes(3 * PIECE)).unwrap();
    let stopped = ShareId(1);
    bench.ask(DiskRequest::Share { share: stopped, path: path.clone(), options: FolderOptions::default() });
    bench.ask(DiskRequest::Unshare { share: stopped });
    bench.ask(DiskRequest::Share { share: SHARE, path, options: FolderOptions::default() });
    // The first may have been through before it was stopped; the one that is wanted arrives in any case.
    while !matches!(bench.done(), Completion::Shared { share: SHARE, .. }) {}
    assert!(bench.disk.on_shared(SHARE));
    assert!(!bench.disk.on_shared(stopped));
}

#[test]
fn a_changed_file_is_noticed() {
    let mut bench = Bench::new();
    let path = bench.path("f");
    fs::write(&path, test_bytes(1000)).unwrap();
    let (_, served) = bench.share(path.clone()).unwrap();
    let identity = served.identity.unwrap();
    assert_eq!(identity.check(&path, &served.file), Ok(()));
    fs::write(bench.path("other"), test_bytes(1000)).unwrap();
    fs::rename(bench.path("other"), &path).unwrap();
    assert_eq!(identity.check(&path, &served.file).unwrap_err().kind, DiskErrorKind::Changed);
    fs::remove_file(&path).unwrap();
    assert_eq!(identity.check(&path, &served.file).unwrap_err().kind, DiskErrorKind::NotFound);
}

#[test]
fn a_download_is_stored_finished_and_leaves_nothing_beside_it() {
    for length in [0, 1, PIECE, 3 * PIECE + 17] {
        let mut bench = Bench::new();
        let bytes = test_bytes(length);
        let outboard = described(&bytes);
        let (opened, served) = bench.open(&outboard).unwrap();
        assert_eq!(opened, Opened::Ready { plan: FetchPlan::of_all(vec![]), hashed_again: None });
        let working: &[&str] = if length > PIECE { &["journal", "part"] } else { &[] };
        assert_eq!(bench.names(), working, "what is never gone on with has no name before it is whole");
        bench.store_all(&outboard, &bytes, 0..outboard.layout().pieces());
        let path = bench.path("f");
        assert_eq!(bench.finish(), Ok(path.clone()));
        assert_eq!(bench.names(), ["f"]);
        assert_eq!(fs::read(path).unwrap(), bytes);
        let map = served.map.map(|map| map.populate(0..length as u64).is_ok());
        assert_eq!(map, (length > 0).then_some(true), "the mapping outlives the rename");
    }
}

#[test]
fn a_piece_that_does_not_match_is_not_stored() {
    let mut bench = Bench::new();
    let bytes = test_bytes(2 * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    assert_eq!(bench.store(&outboard, 0, &bytes[PIECE..]), Err(StoreError::Hash));
    assert_eq!(bench.store(&outboard, 0, &bytes[..PIECE - 1]), Err(StoreError::Hash));
    assert_eq!(fs::read(bench.working(&outboard).part).unwrap(), vec![0; 2 * PIECE]);
    assert!(bench.finish().is_err(), "not all is there");
}

#[test]
fn the_same_file_is_already_there_and_another_is_left_alone() {
    let mut bench = Bench::new();
    let bytes = test_bytes(2 * PIECE + 5);
    let outboard = described(&bytes);
    fs::write(bench.path("f"), &bytes).unwrap();
    assert_eq!(bench.open(&outboard).unwrap().0, Opened::AlreadyThere);
    let mut other = bytes.clone();
    other[PIECE] ^= 1;
    for other in [&other[..], &bytes[1..], b""] {
        fs::write(bench.path("f"), other).unwrap();
        let error = bench.open(&outboard).err().unwrap();
        assert_eq!((error.path, error.kind), (bench.path("f"), DiskErrorKind::ExistsOther));
        assert_eq!(fs::read(bench.path("f")).unwrap(), other);
    }
    assert_eq!(bench.names(), ["f"]);
}

#[test]
fn a_target_that_appears_meanwhile_is_not_replaced() {
    let mut bench = Bench::new();
    let bytes = test_bytes(2 * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..2);
    fs::write(bench.path("f"), "mine").unwrap();
    let Err(error) = bench.finish() else { panic!("replaced") };
    assert_eq!(error.kind, DiskErrorKind::ExistsOther);
    assert_eq!(fs::read(bench.path("f")).unwrap(), b"mine");
    assert_eq!(bench.names(), ["f", "journal", "part"], "what was fetched stays");
}

#[test]
fn a_small_file_that_another_has_finished_meanwhile_is_there() {
    for (there, is_same) in [(test_bytes(1000), true), (vec![7; 1000], false), (test_bytes(999), false)] {
        let mut bench = Bench::new();
        let bytes = test_bytes(1000);
        let outboard = described(&bytes);
        bench.open(&outboard).unwrap();
        bench.store_all(&outboard, &bytes, 0..1);
        fs::write(bench.path("f"), &there).unwrap();
        assert_eq!(bench.finish().is_ok(), is_same);
        assert_eq!(fs::read(bench.path("f")).unwrap(), there);
        bench.disk.on_download_ended(DOWNLOAD);
        assert_eq!(bench.names(), ["f"], "nothing stays of it");
    }
}

#[test]
fn what_was_stored_is_found_again() {
    let mut bench = Bench::new();
    let bytes = test_bytes(6 * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 1..3);
    bench.store_all(&outboard, &bytes, 5..6);
    let mut bench = bench.abandon();
    assert_eq!(bench.names(), ["journal", "part"]);
    assert_eq!(bench.have(&outboard), [1..3, 5..6]);
    bench.store_all(&outboard, &bytes, 0..1);
    bench.store_all(&outboard, &bytes, 3..5);
    bench.finish().unwrap();
    assert_eq!(fs::read(bench.path("f")).unwrap(), bytes);
}

#[test]
fn each_content_has_part_files_of_its_own() {
    let mut bench = Bench::new();
    let before = test_bytes(4 * PIECE);
    let first = described(&before);
    bench.open(&first).unwrap();
    bench.store_all(&first, &before, 0..4);
    let mut bench = bench.abandon();
    let after = &before[..3 * PIECE];
    let second = described(after);
    assert_eq!(bench.have(&second), [], "nothing of another content is touched");
    bench.store_all(&second, after, 0..3);
    bench.finish().unwrap();
    assert_eq!(fs::read(bench.path("f")).unwrap(), after);
    assert_eq!(fs::read(bench.working(&first).part).unwrap(), before);
}

#[test]
fn a_file_is_replaced_when_the_new_one_is_whole_and_not_before() {
    let mut bench = Bench::new();
    let bytes = test_bytes(2 * PIECE + 5);
    let outboard = described(&bytes);
    bench.existing = Existing::Replace;
    for old in [&b"mine"[..], &vec![7; bytes.len()], b""] {
        fs::write(bench.path("f"), old).unwrap();
        bench.open(&outboard).unwrap();
        bench.store_all(&outboard, &bytes, 0..2);
        assert_eq!(fs::read(bench.path("f")).unwrap(), old);
        bench.store_all(&outboard, &bytes, 2..3);
        bench.finish().unwrap();
        assert_eq!(fs::read(bench.path("f")).unwrap(), bytes);
        assert_eq!(bench.names(), ["f"]);
        assert_eq!(bench.open(&outboard).unwrap().0, Opened::AlreadyThere, "what is right is not replaced");
        bench.disk.on_download_ended(DOWNLOAD);
    }
    fs::remove_file(bench.path("f")).unwrap();
    fs::create_dir(bench.path("f")).unwrap();
    assert_eq!(bench.open(&outboard).err().unwrap().kind, DiskErrorKind::FolderExists, "a folder is not");
    fs::remove_dir(bench.path("f")).unwrap();
    fs::write(bench.path("mine"), "mine").unwrap();
    std::os::unix::fs::symlink("mine", bench.path("f")).unwrap();
    for existing in [Existing::Replace, Existing::Keep] {
        bench.existing = existing;
        assert_eq!(bench.open(&outboard).err().unwrap().kind, DiskErrorKind::InTheWay, "nor a link");
    }
    assert_eq!(fs::read(bench.path("mine")).unwrap(), b"mine");
}

#[test]
fn a_device_in_the_way_is_called_what_it_is() {
    let mut bench = Bench::new();
    rustix::fs::mknodat(rustix::fs::CWD, bench.path("f"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    assert_eq!(bench.open(&described(b"x")).err().unwrap().kind, DiskErrorKind::NotAFile);
}

#[test]
fn a_file_whose_length_the_system_does_not_know_is_refused_with_the_reason() {
    let mut bench = Bench::new();
    for path in ["/proc/self/status", "/proc/cpuinfo"] {
        let path = PathBuf::from(path);
        assert!(fs::metadata(&path).unwrap().len() == 0 && !fs::read(&path).unwrap().is_empty());
        assert_eq!(bench.share(path).err(), Some(DiskErrorKind::UnknownLength));
    }
    // One that the system calls longer than it is.
    let path = PathBuf::from("/sys/kernel/mm/transparent_hugepage/enabled");
    if path.exists() {
        assert_eq!(bench.share(path).err(), Some(DiskErrorKind::UnknownLength));
    }
}

#[test]
fn a_part_file_into_which_nothing_was_stored_does_not_stay() {
    let mut bench = Bench::new();
    bench.open(&described(&test_bytes(3 * PIECE))).unwrap();
    assert_eq!(bench.names(), ["journal", "part"]);
    let bench = bench.abandon();
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_part_file_belongs_to_one_download() {
    let mut bench = Bench::new();
    let bytes = test_bytes(2 * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..1);
    let mut bench = bench.abandon();
    let held = fs::File::open(bench.working(&outboard).part).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(bench.open(&outboard).err().unwrap().kind, DiskErrorKind::InUse);
    drop(held);
    assert_eq!(bench.have(&outboard).len(), 1);
}

#[test]
fn a_content_that_the_disk_has_no_room_for_is_refused_before_a_byte_is_fetched() {
    let mut bench = Bench::new();
    let length = messages::limits::MAX_CONTENT;
    let outboard = Arc::new(Outboard::imagined(Layout::of(length).unwrap(), "endless"));
    let error = bench.open(&outboard).err().unwrap();
    assert!(matches!(error.kind, DiskErrorKind::Full { needed } if needed > 0 && needed < length), "{error}");
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let mut bench = Bench::new();
    let outboard = described(b"x");
    let target = bench.path("no/f");
    let content = outboard.content();
    let existing = Existing::Keep;
    bench.ask(DiskRequest::Open {
        save: riffle_core::SaveOptions::default(),
        download: DOWNLOAD,
        share: SHARE,
        target,
        existing,
        select: Vec::new(),
        content,
        outboard,
    });
    let Completion::ForCore(DiskResult::Opened { result: Err(error), .. }) = bench.done() else {
        panic!("opened")
    };
    assert_eq!((error.path.file_name(), error.kind), (Some(OsStr::new("no")), DiskErrorKind::NoFolder));
}

#[test]
fn an_outboard_is_checked_and_its_buffer_comes_back() {
    let mut bench = Bench::new();
    let several = described(&test_bytes(3 * PIECE));
    let one = described(&test_bytes(1234));
    let cases = [(Evidence::Outboard, several.encode(), several), (Evidence::Piece, test_bytes(1234), one)];
    for (number, (evidence, bytes, outboard)) in (0..).zip(cases) {
        let (buffer, length) = (BufferId(number), bytes.len() as u32);
        bench.pool.change(BufferChange::Allocate { buffer, length });
        bench.pool.write(riffle_core::Placement { buffer, offset: 0 }, &bytes);
        let other = ContentId::from_bytes([0; 32]);
        for (content, length, good) in [
            (outboard.content(), length, true),
            (other, length, false),
            (outboard.content(), length - 1, false),
        ] {
            bench.ask(DiskRequest::CheckOutboard { download: DOWNLOAD, buffer, length, content, evidence });
            let Completion::OutboardChecked { lent, result, .. } = bench.done() else {
                panic!("another result")
            };
            assert_eq!(result.ok(), good.then(|| outboard.clone()));
            bench.pool.put_back(lent.buffer, lent.bytes);
        }
    }
}
