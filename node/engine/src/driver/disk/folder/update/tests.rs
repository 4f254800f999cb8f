//! Folders that are brought up to date, on real disks.

use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use messages::collection::{Entry, EntryPath, Modified};
use messages::{ContentId, LengthProof, Outboard, piece_value};
use riffle_core::{FetchPlan, Preview, WantedPieces};

use super::super::order::FolderOrder;
use super::super::selection::Selection;
use super::super::unpack::is_same;
use super::*;
use crate::driver::disk::fault_injection::{Call, DiskCalls, Fault};
use crate::driver::disk::hash::scan::StopFlag;

const PIECE: usize = 256 << 10;
/// When the files of a new version were modified.
const MODIFIED: Modified = Modified { seconds: 1_700_000_000, nanos: 250_000_000 };

/// A folder as a test describes it.
#[derive(Clone, Default)]
struct Version(Vec<(Entry, Vec<u8>)>);

impl Version {
    fn file(self, path: &str, bytes: impl Into<Vec<u8>>) -> Version {
        self.file_with(path, bytes, false, Some(MODIFIED))
    }

    fn file_with(
        mut self,
        path: &str,
        bytes: impl Into<Vec<u8>>,
        is_executable: bool,
        modified: Option<Modified>,
    ) -> Version {
        let bytes = bytes.into();
        let (length, hash) = (bytes.len() as u64, blake3::hash(&bytes).into());
        let kind = EntryKind::File(FileEntry { length, hash, is_executable, modified });
        self.0.push((Entry { path: EntryPath::new(path).unwrap(), kind }, bytes));
        self
    }

    fn folder(mut self, path: &str) -> Version {
        self.0
            .push((Entry { path: EntryPath::new(path).unwrap(), kind: EntryKind::EmptyFolder }, Vec::new()));
        self
    }

    fn link(mut self, path: &str, target: &str) -> Version {
        let kind = EntryKind::Link(target.to_owned());
        self.0.push((Entry { path: EntryPath::new(path).unwrap(), kind }, Vec::new()));
        self
    }

    fn without(mut self, path: &str) -> Version {
        self.0.retain(|(entry, _)| entry.path.as_str() != path);
        self
    }

    /// Makes it at `target`.
    fn make_at(&self, target: &Path) {
        for (entry, bytes) in &self.0 {
            let path = target.join(entry.path.as_str());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match &entry.kind {
                EntryKind::File(_) => fs::write(&path, bytes).unwrap(),
                EntryKind::EmptyFolder => fs::create_dir_all(&path).unwrap(),
                EntryKind::Link(target) => symlink(target, &path).unwrap(),
            }
        }
        fs::create_dir_all(target).unwrap();
    }

    fn bench(&self, old: &Version) -> Bench {
        let bench = self.bench_without_folder();
        old.make_at(&bench.target());
        bench
    }

    fn bench_without_folder(&self) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let collection = Collection::new(self.0.iter().map(|(entry, _)| entry.clone()).collect()).unwrap();
        let mut bytes = collection.index();
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by(|one, other| one.0.path.cmp(&other.0.path));
        sorted.iter().for_each(|(_, file)| bytes.extend_from_slice(file));
        let path = folder.path().join("content");
        let content = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        content.set_len(bytes.len() as u64).unwrap();
        let outboard = outboard_of(&bytes);
        Bench {
            folder,
            collection,
            bytes,
            outboard,
            content,
            stored: BTreeSet::new(),
            delete: false,
            select: Vec::new(),
            calls: DiskCalls::default(),
            stop: StopFlag::default(),
        }
    }
}

fn outboard_of(bytes: &[u8]) -> Outboard {
    let layout = Layout::of(bytes.len() as u64).unwrap();
    let content = ContentId::from_bytes(blake3::hash(bytes).into());
    if layout.pieces() < 2 {
        return Outboard::of_one_piece(layout, content).unwrap();
    }
    let pieces: Vec<_> = bytes.chunks(layout.piece_size() as usize).collect();
    let values = (0..).map(PieceIndex).zip(&pieces);
    let values = values.map(|(index, piece)| piece_value(layout, index, piece)).collect();
    Outboard::new(layout, values, LengthProof::of(layout, pieces.last().unwrap())).unwrap()
}

/// A content that is fetched over a folder.
struct Bench {
    folder: tempfile::TempDir,
    collection: Collection,
    /// What an owner has.
    bytes: Vec<u8>,
    outboard: Outboard,
    /// The part file.
    content: File,
    stored: BTreeSet<PieceIndex>,
    delete: bool,
    select: Vec<String>,
    calls: DiskCalls,
    stop: StopFlag,
}

impl StoredPieces for Bench {
    fn has(&self, piece: PieceIndex) -> bool {
        self.stored.contains(&piece)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.content.read_exact_at(bytes, offset)
    }
}

/// A download that has all that it wants.
struct Fetched {
    update: Arc<UpdatePlan>,
    /// How many bytes came from owners.
    bytes: usize,
}

impl Bench {
    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.target().join(path)
    }

    fn read_text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    fn plan(&self, order: &FolderOrder) -> Result<Option<FetchPlan>, DiskError> {
        order.newly_planned(self, &self.planning(None))
    }

    fn planning(&self, end_of_index: Option<PieceIndex>) -> Planning<'_> {
        Planning { outboard: &self.outboard, end_of_index, stop: &self.stop, on_progress: &|_| {} }
    }

    /// What follows when the disk has seen all that it wants to see.
    fn previewed(&self, order: &FolderOrder, plan: FetchPlan) -> FetchPlan {
        let mut plan = plan;
        while let Some(Preview { piece, length }) = plan.preview.filter(|preview| !self.has(preview.piece)) {
            let span = self.outboard.layout().span(piece).unwrap();
            let bytes = &self.bytes[span.start as usize..span.end as usize];
            let seen = &bytes[..bytes.len().min(length as usize)];
            match order.previewed(self, &self.planning(Some(piece)), (piece, seen)) {
                Some(next) => plan = next,
                None => break,
            }
        }
        plan
    }

    /// Plans, and fetches what is wanted, as the core would.
    fn fetch(&mut self) -> Result<Fetched, DiskErrorKind> {
        let staging = self.folder.path().join(".target.riffle-part.d");
        let update = UpdateOrder { target: self.target(), staging, delete: self.delete };
        let selection = Selection::new(&self.select).unwrap().map(Arc::new);
        let order = FolderOrder::new(&self.target(), selection, Some(update)).unwrap();
        let layout = self.outboard.layout();
        let mut bytes = 0;
        while let Some(plan) = self.plan(&order).map_err(|error| error.kind)? {
            let FetchPlan { wanted, known, .. } = self.previewed(&order, plan);
            let WantedPieces::Only(wanted) = wanted else { panic!("not all of it") };
            for piece in wanted.iter().flat_map(|run| run.iter()) {
                if self.has(piece) {
                    continue;
                }
                let span = layout.span(piece).unwrap();
                let right = &self.bytes[span.start as usize..span.end as usize];
                let known: Vec<_> = known.of(piece).collect();
                let mut received = right.to_vec();
                for range in &known {
                    received[range.start as usize..range.end as usize].fill(0xaa);
                }
                bytes += right.len() - known.iter().map(|range| range.len()).sum::<usize>();
                if !known.is_empty() {
                    order.update().unwrap().fill(span.start, &known, &mut received).unwrap();
                }
                assert!(received == right, "{piece:?} {known:?}");
                self.content.write_all_at(right, span.start).unwrap();
                self.stored.insert(piece);
            }
        }
        Ok(Fetched { update: order.update().unwrap(), bytes })
    }

    fn apply(&self, update: &UpdatePlan) -> Result<(), DiskErrorKind> {
        let applied = update.apply(&self.content, self.outboard.layout(), (&self.calls, &self.stop));
        applied.map_err(|error| error.kind)
    }

    /// Brings the folder up to date. Returns how many bytes came from owners, and where its files came from.
    fn update(&mut self) -> Result<(usize, UpdateCounts), DiskErrorKind> {
        let fetched = self.fetch()?;
        self.apply(&fetched.update)?;
        self.leaves_nothing();
        Ok((fetched.bytes, fetched.update.counts()))
    }

    /// Nothing stands beside the folder and the part file.
    fn leaves_nothing(&self) {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "outside");
        names.sort();
        assert_eq!(names, ["content", "target"]);
    }

    fn is_new(&self) -> bool {
        is_same(&self.target(), &self.collection).unwrap()
    }

    /// Something outside of the folder, which is what it was.
    fn outside(&self) -> PathBuf {
        let path = self.folder.path().join("outside");
        fs::create_dir_all(path.join("in")).unwrap();
        fs::write(path.join("file"), "mine").unwrap();
        path
    }

    fn is_untouched(&self) {
        let outside = self.folder.path().join("outside");
        let names = |path: &Path| fs::read_dir(path).unwrap().count();
        assert_eq!((names(&outside), names(&outside.join("in"))), (2, 0));
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"mine");
    }
}

fn why<T>(result: Result<T, DiskErrorKind>) -> String {
    match result {
        Err(DiskErrorKind::Other(why) | DiskErrorKind::Refused(why)) => why,
        Err(kind) => panic!("{kind:?}"),
        Ok(_) => panic!("it was done"),
    }
}

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at >> 10) as u8 ^ seed).collect()
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

fn modified(path: &Path) -> Modified {
    let found = fs::symlink_metadata(path).unwrap();
    Modified { seconds: found.mtime(), nanos: found.mtime_nsec() as u32 }
}

fn old() -> Version {
    Version::default()
        .file("kept", "the same in both")
        .file("changed", "old words")
        .file("gone", "nobody wants it")
        .file("moved/from", "moves elsewhere")
        .file("one", "1: these two change their names")
        .file("two", "2: these two change their names")
        .folder("empty")
        .link("link", "kept")
        .file("deep/er/gone", "with its folders")
}

fn new() -> Version {
    Version::default()
        .file("kept", "the same in both")
        .file("changed", "new words, and more of them")
        .file("moved/to/here", "moves elsewhere")
        .file("one", "2: these two change their names")
        .file("two", "1: these two change their names")
        .file("new/file", "never seen")
        .file("new/none", "")
        .folder("empty")
        .folder("hollow/in")
        .link("link", "new/file")
        .link("other", "kept")
}

#[test]
fn files_are_kept_moved_replaced_and_made() {
    for delete in [true, false] {
        let mut bench = new().bench(&old());
        bench.delete = delete;
        let kept = inode(&bench.at("kept"));
        let (_, counts) = bench.update().unwrap();
        let removed = if delete { 5 } else { 0 };
        assert_eq!(counts, UpdateCounts { kept: 1, copied: 3, fetched: 3, removed });
        assert_eq!(inode(&bench.at("kept")), kept, "it is the same file");
        assert_eq!(bench.is_new(), delete);
        for (entry, bytes) in new().0 {
            let path = bench.at(entry.path.as_str());
            match entry.kind {
                EntryKind::File(_) => {
                    assert_eq!(fs::read(&path).unwrap(), bytes, "{path:?}");
                    assert_eq!(modified(&path), MODIFIED, "{path:?}");
                }
                EntryKind::EmptyFolder => assert!(path.is_dir()),
                EntryKind::Link(target) => assert_eq!(fs::read_link(path).unwrap(), Path::new(&target)),
            }
        }
        assert_eq!(bench.at("gone").exists(), !delete, "what the new version lacks");
        assert_eq!(bench.at("deep").exists(), !delete);
        assert!(bench.at("moved/from").exists() != delete);
    }
}

#[test]
fn a_folder_that_is_up_to_date_is_not_touched() {
    let mut bench = new().bench(&new());
    for (entry, _) in &new().0 {
        if matches!(entry.kind, EntryKind::File(_)) {
            let file = File::options().write(true).open(bench.at(entry.path.as_str())).unwrap();
            file.set_times(FileTimes::new().set_modified(
                SystemTime::UNIX_EPOCH + Duration::new(MODIFIED.seconds as u64, MODIFIED.nanos),
            ))
            .unwrap();
        }
    }
    let kept = inode(&bench.at("kept"));
    bench.calls.plan(&[(Call::Apply, Fault::Fails(libc::EIO))]);
    let (_, counts) = bench.update().unwrap();
    assert_eq!(counts, UpdateCounts { kept: 7, ..UpdateCounts::default() });
    assert_eq!(inode(&bench.at("kept")), kept);
    assert!(bench.is_new() && !bench.calls.is_over(), "no step was taken");
}

#[test]
fn what_is_fetched_is_what_has_changed() {
    let (mut old, mut new, mut changed) = (Version::default(), Version::default(), 0);
    for number in 0..2000 {
        let path = format!("folder-{}/file-{number}", number % 7);
        let bytes = blake3::hash(path.as_bytes()).as_bytes().repeat(1 + number % 60);
        old = old.file(&path, bytes.clone());
        if number % 100 == 7 {
            let bytes: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
            changed += bytes.len();
            new = new.file(&path, bytes);
        } else {
            new = new.file(&path, bytes);
        }
    }
    let mut bench = new.bench(&old);
    let (bytes, counts) = bench.update().unwrap();
    assert_eq!((counts.kept, counts.fetched), (1980, 20));
    assert!(bench.is_new());
    // Not even the piece with the end of the index was fetched as a whole.
    let index = bench.collection.index_length() as usize;
    assert_eq!(bytes, index + changed, "{index} {changed}");
}

#[test]
fn of_a_long_file_the_pieces_that_differ_are_fetched() {
    let before = pattern(5 << 20, 0);
    let mut after = before.clone();
    after[3 << 20] ^= 1;
    after.extend_from_slice(b"and a longer end");
    for (old_bytes, pieces) in [(before.clone(), 2), (before[..4 << 20].to_vec(), 6), (Vec::new(), 21)] {
        let old = Version::default().file("a", "first").file("big", old_bytes).file("z", "last");
        let new = Version::default().file("a", "first").file("big", after.clone()).file("z", "last");
        let mut bench = new.bench(&old);
        let (bytes, counts) = bench.update().unwrap();
        assert_eq!((counts.kept, counts.fetched), (2, 1));
        // The first piece has the index, and the last one is a short one.
        assert!((pieces - 1) * PIECE < bytes && bytes <= (pieces + 1) * PIECE, "{bytes} {pieces}");
        assert!(bench.is_new());
        let part = bench.content.metadata().unwrap().blocks() * 512;
        assert!(part <= ((pieces + 2) * PIECE) as u64, "{part}: the part file has nothing else");
    }
}

#[test]
fn an_interrupted_download_fetches_the_rest() {
    let old = Version::default().file("a", pattern(1 << 20, 1)).file("b", pattern(1 << 20, 2));
    let new = Version::default().file("a", pattern(1 << 20, 3)).file("b", pattern(1 << 20, 4));
    let mut bench = new.bench(&old);
    let all = bench.fetch().unwrap().bytes;
    bench.stored.retain(|piece| piece.0 % 2 == 0);
    let (bytes, _) = bench.update().unwrap();
    assert!(bytes > 0 && bytes <= all / 2, "{bytes} of {all}");
    assert!(bench.is_new());
}

#[test]
fn only_chosen_files_are_brought_up_to_date() {
    let mut bench = new().bench(&old());
    bench.select = vec!["changed".to_owned(), "new".to_owned()];
    let (_, counts) = bench.update().unwrap();
    assert_eq!(counts, UpdateCounts { kept: 0, copied: 0, fetched: 3, removed: 0 });
    assert_eq!(bench.read_text("changed"), "new words, and more of them");
    assert_eq!(bench.read_text("one"), "1: these two change their names");
    assert!(bench.at("gone").exists() && bench.at("new/none").exists() && !bench.at("other").exists());
}

#[test]
fn one_file_never_takes_the_place_of_a_folder() {
    let mut bench = new().bench(&old());
    bench.bytes = b"no folder".to_vec();
    bench.outboard = outboard_of(&bench.bytes);
    bench.content.set_len(9).unwrap();
    assert_eq!(bench.fetch().err(), Some(DiskErrorKind::InTheWay));
    let mut bench = new().bench_without_folder();
    fs::write(bench.target(), "a file").unwrap();
    assert!(bench.fetch().is_err());
    fs::remove_file(bench.target()).unwrap();
    symlink(bench.outside(), bench.target()).unwrap();
    assert!(bench.fetch().is_err());
    bench.is_untouched();
}

#[test]
fn what_is_of_another_kind_is_told_or_removed() {
    let old = Version::default().file("a", "a file").file("b/c", "in a folder").link("l", "a").file("k", "k");
    let new = Version::default().file("a/x", "a folder").file("b", "a file").file("l/y", "y").file("k", "k");
    let mut bench = new.bench(&old);
    let said = why(bench.update());
    for path in ["a (no folder", "b (a folder", "l (no folder", "--delete"] {
        assert!(said.contains(path), "{said}");
    }
    assert!(is_same(&bench.target(), &collection_of(&old)).unwrap(), "nothing has changed");
    assert_eq!(bench.stored.len(), 1, "and nothing but the index was fetched");
    bench.delete = true;
    bench.update().unwrap();
    assert!(bench.is_new());
}

fn collection_of(version: &Version) -> Collection {
    Collection::new(version.0.iter().map(|(entry, _)| entry.clone()).collect()).unwrap()
}

#[test]
fn nothing_is_written_where_links_lead() {
    // At the place of a file, of a link, of a folder, and of what is removed.
    let new = Version::default().file("file", "new").link("link", "file").file("folder/file", "new");
    let mut bench = new.bench(&Version::default());
    let outside = bench.outside();
    symlink(outside.join("file"), bench.at("file")).unwrap();
    symlink(outside.join("file"), bench.at("link")).unwrap();
    symlink(&outside, bench.at("folder")).unwrap();
    symlink(&outside, bench.at("lacking")).unwrap();
    assert!(why(bench.update()).contains("folder (no folder"));
    bench.is_untouched();
    bench.delete = true;
    bench.update().unwrap();
    assert!(bench.is_new());
    bench.is_untouched();
}

#[test]
fn a_link_that_is_planted_meanwhile_is_not_followed() {
    let (old, new) = (old().file("in/b", "b"), new().file("in/a", "new").file("in/b", "b"));
    for delete in [false, true] {
        let mut bench = new.bench(&old);
        bench.delete = delete;
        let outside = bench.outside();
        let fetched = bench.fetch().unwrap();
        fs::rename(bench.at("in"), bench.at("aside")).unwrap();
        symlink(outside.join("in"), bench.at("in")).unwrap();
        assert!(why(bench.apply(&fetched.update)).contains("changed while"), "{delete}");
        bench.is_untouched();
        bench.leaves_nothing();
    }
    let mut bench = new.clone().without("in/b").bench(&old.clone().without("in/b"));
    let outside = bench.outside();
    let fetched = bench.fetch().unwrap();
    symlink(outside.join("in"), bench.at("in")).unwrap();
    assert!(bench.apply(&fetched.update).is_err());
    bench.is_untouched();
    // The whole folder is another.
    let mut bench = new.bench(&old);
    let outside = bench.outside();
    let fetched = bench.fetch().unwrap();
    fs::rename(bench.target(), bench.folder.path().join("content.d")).unwrap();
    symlink(outside, bench.target()).unwrap();
    assert!(bench.apply(&fetched.update).is_err());
    bench.is_untouched();
}

#[test]
fn what_changes_meanwhile_is_told_and_nothing_is_lost() {
    let big = |seed: u8| {
        let mut bytes = pattern(2 << 20, 0);
        bytes[1 << 20] = seed;
        bytes
    };
    let (old, new) = (old().file("big", big(1)), new().file("big", big(2)));
    // The first piece has the index and was fetched.
    for (path, at) in [("kept", 0), ("moved/from", 3), ("one", 5), ("big", 500_000)] {
        let mut bench = new.bench(&old);
        let fetched = bench.fetch().unwrap();
        let file = File::options().write(true).open(bench.at(path)).unwrap();
        file.write_all_at(b"my own", at).unwrap();
        drop(file);
        assert!(why(bench.apply(&fetched.update)).contains("changed while"), "{path}");
        bench.leaves_nothing();
        assert_eq!(bench.read_text("changed"), "old words", "nothing has changed yet");
        fs::remove_file(bench.at(path)).unwrap();
        assert!(why(bench.apply(&fetched.update)).contains("changed while"), "{path}");
        // The next try sees what is there now.
        bench.delete = true;
        bench.update().unwrap();
        assert!(bench.is_new());
    }
    // What was known of a piece is not there any more.
    let mut bench = new.bench(&old);
    let fetched = bench.fetch().unwrap();
    let kept = bench.collection.files().find(|(_, path, _)| path.as_str() == "kept").unwrap().0;
    let span = bench.collection.span(kept).unwrap();
    let mut bytes = vec![0; (span.end - span.start) as usize];
    let range = 0..bytes.len() as u32;
    fetched.update.fill(span.start, std::slice::from_ref(&range), &mut bytes).unwrap();
    assert_eq!(bytes, b"the same in both");
    fs::remove_file(bench.at("kept")).unwrap();
    assert!(fetched.update.fill(span.start, &[range], &mut bytes).is_err());
}

#[test]
fn other_names_of_a_file_keep_what_they_have() {
    let new = Version::default()
        .file("bytes", "new")
        .file_with("mode", "same", true, Some(MODIFIED))
        .file("twin", "twins");
    let mut bench = new.bench(&Version::default());
    let outside = bench.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for (name, bytes) in [("bytes", "old"), ("mode", "same")] {
        fs::write(outside.join(name), bytes).unwrap();
        fs::hard_link(outside.join(name), bench.at(name)).unwrap();
    }
    fs::write(bench.at("twin"), "twins").unwrap();
    fs::hard_link(bench.at("twin"), bench.at("lacking")).unwrap();
    let before = ["bytes", "mode"].map(|name| (mode(&outside.join(name)), modified(&outside.join(name))));
    bench.delete = true;
    bench.update().unwrap();
    assert!(bench.is_new());
    assert_eq!((mode(&bench.at("mode")) & 0o100, modified(&bench.at("mode"))), (0o100, MODIFIED));
    assert_eq!(fs::read(outside.join("bytes")).unwrap(), b"old");
    let after = ["bytes", "mode"].map(|name| (mode(&outside.join(name)), modified(&outside.join(name))));
    assert_eq!(before, after);
}

#[test]
fn modes_and_times_follow_the_new_version_as_far_as_it_tells_them() {
    let new = Version::default()
        .file_with("kept", "same", true, Some(MODIFIED))
        .file_with("changed", "new", true, Some(MODIFIED))
        .file_with("untold", "same", false, None)
        .file_with("private", "new", false, None);
    let old = Version::default().file("kept", "same").file("changed", "old").file("untold", "same");
    let mut bench = new.bench(&old.file("private", "old"));
    let set =
        |path: &str, mode| fs::set_permissions(bench.at(path), fs::Permissions::from_mode(mode)).unwrap();
    set("kept", 0o640);
    set("changed", 0o644);
    set("untold", 0o755);
    set("private", 0o600);
    let untold = modified(&bench.at("untold"));
    bench.update().unwrap();
    assert_eq!((mode(&bench.at("kept")), modified(&bench.at("kept"))), (0o750, MODIFIED));
    assert_eq!((mode(&bench.at("changed")), modified(&bench.at("changed"))), (0o755, MODIFIED));
    assert_eq!((mode(&bench.at("untold")), modified(&bench.at("untold"))), (0o755, untold));
    assert_eq!(mode(&bench.at("private")), 0o600, "what others may not read they may not read then");
}

#[test]
fn deleting_spares_what_other_downloads_have_there_and_removes_names_that_are_no_text() {
    let mut bench = new().bench(&old());
    bench.delete = true;
    let nameless = std::ffi::OsStr::from_bytes(b"no \xff text");
    fs::create_dir_all(bench.target().join(nameless).join(nameless)).unwrap();
    fs::write(bench.target().join(nameless).join("f"), "x").unwrap();
    fs::write(bench.at("deep/.f.0123456789abcdef.riffle-part"), "of another download").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    bench.update().unwrap();
    assert!(!bench.target().join(nameless).exists() && !bench.at("pipe").exists());
    assert!(!bench.at("deep/er").exists());
    assert!(bench.at("deep/.f.0123456789abcdef.riffle-part").exists());
    fs::remove_dir_all(bench.at("deep")).unwrap();
    assert!(bench.is_new());
}

#[test]
fn what_comes_to_stand_in_a_folder_meanwhile_stays() {
    let mut bench = new().bench(&old());
    bench.delete = true;
    let fetched = bench.fetch().unwrap();
    fs::write(bench.at("deep/mine"), "mine").unwrap();
    bench.apply(&fetched.update).unwrap();
    assert_eq!(bench.read_text("deep/mine"), "mine");
    assert!(!bench.at("deep/er").exists() && !bench.at("gone").exists());
}

/// The folder is the old or the new version, file by file.
fn is_old_or_new(bench: &Bench) {
    let (old, new) = (old(), new());
    let of = |version: &Version, path: &str| -> Option<Vec<u8>> {
        version.0.iter().find(|(entry, _)| entry.path.as_str() == path).map(|(_, bytes)| bytes.clone())
    };
    for (entry, _) in old.0.iter().chain(&new.0) {
        let path = entry.path.as_str();
        if matches!(entry.kind, EntryKind::File(_)) {
            let found = fs::read(bench.at(path)).ok();
            assert!(found == of(&old, path) || found == of(&new, path), "{path} {found:?}");
        }
    }
}

#[test]
fn after_a_crash_at_any_step_the_next_run_finishes() {
    let pass = (Call::Apply, Fault::Takes(usize::MAX));
    for crashes in [Fault::Panics, Fault::Fails(libc::EIO)] {
        for steps in 0.. {
            let mut bench = new().bench(&old());
            bench.delete = true;
            let fetched = bench.fetch().unwrap();
            bench.calls.plan(&vec![pass; steps]);
            bench.calls.plan(&[(Call::Apply, crashes)]);
            let ended = catch_unwind(AssertUnwindSafe(|| bench.apply(&fetched.update)));
            let is_over = matches!(ended, Ok(Ok(())));
            is_old_or_new(&bench);
            if is_over {
                assert!(steps > 15, "{steps}");
                break;
            }
            assert!(bench.calls.is_over());
            let (bytes, _) = bench.update().unwrap();
            assert_eq!(bytes, 0, "the part file has all that is needed");
            assert!(bench.is_new(), "{steps}");
        }
    }
}

#[test]
fn a_disk_that_is_full_or_fails_leaves_the_old_version() {
    let cases = [
        (Call::Write, libc::ENOSPC, "full"),
        (Call::SyncAll, libc::EIO, "other"),
        (Call::Write, libc::EIO, "other"),
    ];
    for (call, number, expected) in cases {
        let mut bench = new().bench(&old());
        let fetched = bench.fetch().unwrap();
        bench.calls.plan(&[(call, Fault::Fails(number))]);
        let failed = bench.apply(&fetched.update).unwrap_err();
        assert_eq!(matches!(failed, DiskErrorKind::Full { .. }), expected == "full", "{failed:?}");
        assert!(is_same(&bench.target(), &collection_of(&old())).unwrap());
        bench.leaves_nothing();
        bench.apply(&fetched.update).unwrap();
    }
}

#[test]
fn nobody_waits_for_a_plan_that_is_stopped() {
    let mut bench = new().bench(&old());
    let fetched = bench.fetch().unwrap();
    bench.stop.raise();
    assert_eq!(bench.apply(&fetched.update), Err(DiskErrorKind::Cancelled));
    bench.leaves_nothing();
    assert_eq!(bench.fetch().err(), Some(DiskErrorKind::Cancelled));
    assert!(is_same(&bench.target(), &collection_of(&old())).unwrap());
}

#[test]
fn an_index_that_names_another_hash_changes_nothing() {
    let mut bench = new().bench(&old());
    let at = bench.bytes.windows(9).position(|bytes| bytes == b"new words").unwrap();
    bench.bytes[at] ^= 1;
    bench.outboard = outboard_of(&bench.bytes);
    let fetched = bench.fetch().unwrap();
    assert!(why(bench.apply(&fetched.update)).contains("another hash for changed"));
    assert!(is_same(&bench.target(), &collection_of(&old())).unwrap());
}

#[test]
fn an_index_that_an_owner_has_made_up_is_planned_anew_when_the_right_one_is_proven() {
    let version =
        |word: &str| Version::default().file("a", "first").file("b", word).file("c", vec![7; 300_000]);
    let mut bench = version("new").bench(&version("old"));
    let lie = version("lie").bench_without_folder().collection.index();
    let staging = bench.folder.path().join(".target.riffle-part.d");
    let update = UpdateOrder { target: bench.target(), staging, delete: false };
    let order = FolderOrder::new(&bench.target(), None, Some(update)).unwrap();
    assert!(bench.plan(&order).unwrap().is_some_and(|plan| plan.preview.is_some()));
    let first = PieceIndex(0);
    let see = |bytes: &[u8]| order.previewed(&bench, &bench.planning(Some(first)), (first, bytes));
    assert_eq!(see(&[0x55; 4096]), None, "that is no index");
    let plan = see(&lie).unwrap();
    assert!(plan.preview.is_none() && !plan.known.is_empty() && see(&lie).is_none());
    // Nothing follows from other pieces before the index is proven.
    bench.stored.insert(PieceIndex(1));
    assert_eq!(bench.plan(&order).unwrap(), None);
    bench.content.write_all_at(&bench.bytes[..PIECE], 0).unwrap();
    bench.stored.insert(first);
    let proven = order.update();
    assert!(bench.plan(&order).unwrap().is_some());
    let again = order.update();
    assert!(!Arc::ptr_eq(&proven.unwrap(), &again.unwrap()), "nothing of the lie counts");
    assert_eq!(bench.plan(&order).unwrap(), None);
}

#[test]
fn what_cannot_be_read_is_fetched() {
    let mut bench = new().bench(&old());
    fs::remove_file(bench.at("kept")).unwrap();
    fs::create_dir(bench.at("elsewhere")).unwrap();
    symlink("elsewhere", bench.at("folder")).unwrap();
    let (_, counts) = bench.update().unwrap();
    assert_eq!((counts.kept, counts.copied, counts.fetched), (0, 3, 4));
}
