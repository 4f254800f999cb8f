//! Folders made from their contents, on real disks.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use messages::collection::{Entry, EntryPath};
use riffle_core::Existing;

use super::*;
use crate::driver::disk::fault_injection::Fault;
use crate::platform::file_io::write_at;

/// A folder as a test describes it.
#[derive(Default)]
struct Plan {
    entries: Vec<Entry>,
    bytes: Vec<(String, Vec<u8>)>,
}

impl Plan {
    fn file(self, path: &str, bytes: impl Into<Vec<u8>>) -> Plan {
        self.file_with(path, bytes, false, None)
    }

    fn file_with(
        mut self,
        path: &str,
        bytes: impl Into<Vec<u8>>,
        is_executable: bool,
        modified: Option<(i64, u32)>,
    ) -> Plan {
        let bytes = bytes.into();
        let (length, hash) = (bytes.len() as u64, blake3::hash(&bytes).into());
        let modified = modified.map(|(seconds, nanos)| Modified { seconds, nanos });
        self.bytes.push((path.to_owned(), bytes));
        self.entry(path, EntryKind::File(FileEntry { length, hash, is_executable, modified }))
    }

    fn folder(self, path: &str) -> Plan {
        self.entry(path, EntryKind::EmptyFolder)
    }

    fn link(self, path: &str, target: &str) -> Plan {
        self.entry(path, EntryKind::Link(target.to_owned()))
    }

    fn entry(mut self, path: &str, kind: EntryKind) -> Plan {
        self.entries.push(Entry { path: EntryPath::new(path).unwrap(), kind });
        self
    }

    fn bench(self) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let collection = Collection::new(self.entries).unwrap();
        let path = folder.path().join("content");
        let content = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        write_all(&content, &collection.index(), 0);
        let numbers = collection.files().map(|(number, path, _)| (path.as_str(), number));
        let numbers: std::collections::BTreeMap<&str, usize> = numbers.collect();
        for (path, bytes) in &self.bytes {
            if let Some(span) = collection.span(numbers[path.as_str()]) {
                write_all(&content, bytes, span.start);
            }
        }
        let calls = DiskCalls::default();
        Bench { folder, content, collection, calls, stop: StopFlag::default(), existing: Existing::Keep }
    }
}

fn write_all(file: &File, bytes: &[u8], at: u64) {
    assert_eq!(write_at(file, bytes, at).unwrap(), bytes.len());
}

/// A content and where its folder is to be.
struct Bench {
    folder: tempfile::TempDir,
    content: File,
    collection: Collection,
    calls: DiskCalls,
    stop: StopFlag,
    existing: Existing,
}

impl Bench {
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn target(&self) -> PathBuf {
        self.path("target")
    }

    fn staging(&self) -> PathBuf {
        self.path(".target.0123.riffle-part.d")
    }

    fn unpack(&self) -> Result<Unpacked, DiskErrorKind> {
        self.unpack_to(&self.target())
    }

    fn unpack_to(&self, target: &Path) -> Result<Unpacked, DiskErrorKind> {
        let paths = DownloadPaths::of(target.to_owned(), self.existing);
        let switches = (&self.calls, &self.stop);
        unpack(&self.content, &self.collection, (&paths, &self.staging()), switches, None)
            .map_err(|error| error.kind)
    }

    fn is_same(&self) -> bool {
        is_same(&self.target(), &self.collection).unwrap()
    }

    /// The names beside the content.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "content");
        names.sort();
        names
    }

    fn leaves_nothing(&self) {
        assert_eq!(self.names(), Vec::<String>::new());
    }
}

fn other_than(result: &Result<Unpacked, DiskErrorKind>) -> &str {
    match result {
        Err(DiskErrorKind::Other(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 + 1).collect()
}

fn small() -> Plan {
    Plan::default().file("a/b/one", "first").file("a/two", "second").folder("c").link("a/l", "b/one")
}

#[test]
fn names_of_all_kinds_are_had_as_they_are() {
    let longest = "ü".repeat(127) + "x";
    let names = [
        "caf\u{e9}",
        "cafe\u{301}",
        "README",
        "readme",
        "🦀 crab 🦀",
        " leading and trailing ",
        "-rf",
        "--",
        ".hidden",
        "...",
        "a\\b",
        "what?*<>|\":",
        "aux.c",
        "$HOME;`ls`'\"",
        "日本語",
        &longest,
    ];
    let mut plan = Plan::default();
    for name in names {
        plan = plan.file(name, name).file(&format!("in/{name}/{name}"), name.to_uppercase());
    }
    let bench = plan.bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    for name in names {
        let path = bench.target().join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), name);
        let path = bench.target().join("in").join(name).join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), name.to_uppercase());
    }
    assert_eq!(fs::read_dir(bench.target()).unwrap().count(), names.len() + 1);
    assert!(bench.is_same());
    assert_eq!(bench.names(), ["target"]);
}

#[test]
fn what_is_deep_down_is_reached_again_and_again() {
    let mut plan = Plan::default();
    let level = |depth: usize, letter: &str| vec![letter; depth].join("/");
    for depth in [1, 2, 15, 16, 17, 18, 40, 99, 100] {
        let path = level(depth, "d");
        plan = plan.file(&format!("{path}/a"), path.clone()).file(&format!("{path}/z"), "z");
        plan = plan.file(&format!("{path}/c/{}/x", level(20, "e")), path.clone());
        plan = plan.folder(&format!("{path}/empty")).link(&format!("{path}/link"), "a");
    }
    let bench = plan.bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same());
    let deepest = level(100, "d");
    assert_eq!(fs::read_to_string(bench.target().join(&deepest).join("link")).unwrap(), deepest);
    assert!(fs::read_dir(bench.target().join(&deepest).join("empty")).unwrap().next().is_none());
}

#[test]
fn folders_without_entries_and_files_without_bytes_are_there() {
    let bench = Plan::default().bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made), "nothing at all");
    assert!(bench.is_same() && fs::read_dir(bench.target()).unwrap().next().is_none());
    let bench = Plan::default().folder("e/f").folder("g").file("h/none", "").file("last", "").bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same() && bench.target().join("e/f").is_dir());
    assert_eq!(fs::metadata(bench.target().join("h/none")).unwrap().len(), 0);
}

#[test]
fn modes_are_those_of_any_new_file_and_folder() {
    let bench = small().file_with("run", "#!", true, None).bench();
    fs::create_dir(bench.path("new")).unwrap();
    fs::write(bench.path("new/file"), "").unwrap();
    let (folder, file) = (mode(&bench.path("new")), mode(&bench.path("new/file")));
    bench.unpack().unwrap();
    let of = |path: &str| mode(&bench.target().join(path));
    assert_eq!([of(""), of("a"), of("a/b"), of("c")], [folder; 4]);
    assert_eq!([of("a/two"), of("a/b/one")], [file; 2]);
    assert_eq!(of("run"), file | (folder & 0o111));
}

#[test]
fn files_have_the_times_that_the_index_names() {
    let times = [(0, 0), (1, 5), (1_700_000_000, 999_999_999), (-1, 0), (-86_400, 250_000_000)];
    let mut plan = Plan::default().file("without", "x");
    for (number, time) in times.iter().enumerate() {
        plan = plan.file_with(&format!("{number}"), "x", false, Some(*time));
    }
    // No file system has such times, and the file is made all the same.
    plan = plan.file_with("before all", "x", false, Some((i64::MIN, 0)));
    plan = plan.file_with("after all", "x", false, Some((i64::MAX, 999_999_999)));
    let bench = plan.bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    for (number, time) in times.iter().enumerate() {
        let found = fs::metadata(bench.target().join(format!("{number}"))).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (time.0, i64::from(time.1)));
    }
    assert!(bench.is_same());
}

#[test]
fn links_are_made_as_they_are_and_may_lead_nowhere() {
    let plan =
        small().link("up", "a/b").link("a/b/back", "../../c").link("nowhere", "x/y").link("self", "self");
    let bench = plan.link("slash", "a/b/").bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    let links =
        [("up", "a/b"), ("a/b/back", "../../c"), ("nowhere", "x/y"), ("self", "self"), ("slash", "a/b/")];
    for (path, target) in links {
        assert_eq!(fs::read_link(bench.target().join(path)).unwrap().as_os_str(), OsStr::new(target));
    }
    assert_eq!(fs::read_to_string(bench.target().join("up/one")).unwrap(), "first");
    assert!(bench.is_same());
}

#[test]
fn zeros_become_holes_and_holes_stay() {
    const LENGTH: usize = 8 << 20;
    let mut zeros = vec![0; LENGTH];
    zeros[5_000_000..5_000_010].copy_from_slice(b"0123456789");
    let bench = Plan::default()
        .file("a", vec![0; LENGTH])
        .file("b", zeros.clone())
        .file("c", [pattern(4096), vec![0; 4096], pattern(10)].concat())
        .file("d", pattern(3_000_001))
        .bench();
    // The first file of the content is a hole.
    let span = bench.collection.span(0).unwrap();
    let content = fs::read(bench.path("content")).unwrap();
    bench.content.set_len(0).unwrap();
    write_all(&bench.content, &content[..span.start as usize], 0);
    write_all(&bench.content, &content[span.end as usize..], span.end);
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same());
    let blocks = |name: &str| fs::metadata(bench.target().join(name)).unwrap().blocks() * 512;
    assert_eq!(blocks("a"), 0);
    assert!((1..=64 << 10).contains(&blocks("b")), "{}", blocks("b"));
    assert!(blocks("c") <= 8192, "{}", blocks("c"));
    assert!(fs::read(bench.target().join("b")).unwrap() == zeros);
    assert!(fs::read(bench.target().join("d")).unwrap() == pattern(3_000_001));
}

#[test]
fn many_files_in_many_folders_are_all_there() {
    let mut plan = Plan::default();
    for number in 0..1500_usize {
        let bytes = pattern(number * 37 % 9000);
        plan = plan.file(&format!("{}/{}/{number}", number % 7, number % 11), bytes);
    }
    let bench = plan.file("7/big", pattern(5 << 20)).bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same());
    let number = 1234;
    let path = bench.target().join(format!("{}/{}/{number}", number % 7, number % 11));
    assert!(fs::read(path).unwrap() == pattern(number * 37 % 9000));
}

#[test]
fn chosen_entries_are_made_from_where_they_lie_and_the_rest_may_be_missing() {
    let mut plan = small();
    for number in 0..40_usize {
        plan = plan.file(&format!("n/{number:02}"), pattern(number * 1000));
    }
    let mut bench = plan.file("z", pattern(3 << 20)).bench();
    let whole = bench.collection.clone();
    bench.collection =
        whole.chosen(|entry| !matches!(entry.path.as_str(), "n/01" | "n/17" | "n/18" | "z" | "c"));
    for (number, path, _) in whole.files() {
        if let ("n/17" | "z", Some(span)) = (path.as_str(), whole.span(number)) {
            write_all(&bench.content, &vec![0xff; (span.end - span.start) as usize], span.start);
        }
    }
    let last =
        whole.files().find(|(_, path, _)| path.as_str() == "z").and_then(|(number, ..)| whole.span(number));
    bench.content.set_len(last.unwrap().start).unwrap();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same() && !bench.target().join("c").exists());
    assert!(fs::read(bench.target().join("n/19")).unwrap() == pattern(19_000));
    assert_eq!(fs::read_dir(bench.target().join("n")).unwrap().count(), 37);
}

#[test]
fn a_file_with_another_hash_ends_it_and_nothing_is_left() {
    let bench = small().file("a/wrong", "right").bench();
    let wrong = bench.collection.files().find(|(_, path, _)| path.as_str() == "a/wrong").unwrap().0;
    write_all(&bench.content, b"w", bench.collection.span(wrong).unwrap().start);
    assert_eq!(other_than(&bench.unpack()), "the folder's index names another hash for a/wrong");
    bench.leaves_nothing();
}

#[test]
fn a_content_that_is_cut_short_ends_it_and_nothing_is_left() {
    let bench = small().file("z", pattern(100_000)).bench();
    bench.content.set_len(bench.collection.length() - 50_000).unwrap();
    assert!(bench.unpack().is_err());
    bench.leaves_nothing();
}

#[test]
fn the_same_folder_counts_as_made() {
    let bench = small().bench();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    let before = fs::symlink_metadata(bench.target()).unwrap().ino();
    assert_eq!(bench.unpack(), Ok(Unpacked::WasThere));
    assert_eq!(fs::symlink_metadata(bench.target()).unwrap().ino(), before);
    assert_eq!(bench.names(), ["target"]);
}

#[test]
fn any_difference_makes_it_another_folder() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 13] = [
        ("one more file", |folder| fs::write(folder.join("a/more"), "").unwrap()),
        ("one more at the top", |folder| fs::write(folder.join("more"), "").unwrap()),
        ("one more folder", |folder| fs::create_dir(folder.join("c/more")).unwrap()),
        ("one file less", |folder| fs::remove_file(folder.join("a/two")).unwrap()),
        ("one folder less", |folder| fs::remove_dir(folder.join("c")).unwrap()),
        ("one link less", |folder| fs::remove_file(folder.join("a/l")).unwrap()),
        ("other bytes", |folder| fs::write(folder.join("a/two"), "secund").unwrap()),
        ("more bytes", |folder| fs::write(folder.join("a/two"), "second!").unwrap()),
        ("another name", |folder| fs::rename(folder.join("a/two"), folder.join("a/Two")).unwrap()),
        ("another link", |folder| {
            fs::remove_file(folder.join("a/l")).unwrap();
            symlink("two", folder.join("a/l")).unwrap();
        }),
        ("a link for a file", |folder| {
            fs::rename(folder.join("a/two"), folder.with_file_name("two")).unwrap();
            symlink(folder.with_file_name("two"), folder.join("a/two")).unwrap();
        }),
        ("a link for a folder", |folder| {
            fs::rename(folder.join("a/b"), folder.with_file_name("b")).unwrap();
            symlink(folder.with_file_name("b"), folder.join("a/b")).unwrap();
        }),
        ("a file for a folder", |folder| {
            fs::remove_dir(folder.join("c")).unwrap();
            fs::write(folder.join("c"), "").unwrap();
        }),
    ];
    for (what, change) in changes {
        let bench = small().bench();
        bench.unpack().unwrap();
        change(&bench.target());
        let before = bench.names();
        assert!(!bench.is_same(), "{what}");
        assert_eq!(bench.unpack(), Err(DiskErrorKind::FolderExists), "{what}");
        assert_eq!(bench.names(), before, "{what}");
    }
}

#[test]
fn what_stands_at_the_target_is_never_touched() {
    for existing in [Existing::Keep, Existing::Replace] {
        let mut bench = small().bench();
        bench.existing = existing;
        fs::write(bench.target(), "mine").unwrap();
        assert_eq!(bench.unpack(), Err(DiskErrorKind::ExistsOther));
        assert_eq!(fs::read_to_string(bench.target()).unwrap(), "mine");
        fs::remove_file(bench.target()).unwrap();
        fs::create_dir(bench.target()).unwrap();
        assert_eq!(bench.unpack(), Err(DiskErrorKind::FolderExists), "an empty folder");
        fs::remove_dir(bench.target()).unwrap();
        bench.unpack_to(&bench.path("elsewhere")).unwrap();
        symlink("elsewhere", bench.target()).unwrap();
        assert_eq!(bench.unpack(), Err(DiskErrorKind::InTheWay), "a link to the same folder");
        fs::remove_file(bench.target()).unwrap();
        symlink("nowhere", bench.target()).unwrap();
        assert_eq!(bench.unpack(), Err(DiskErrorKind::InTheWay), "a link to nothing");
        assert_eq!(bench.names(), ["elsewhere", "target"]);
    }
}

#[test]
fn what_gets_the_target_meanwhile_is_not_replaced() {
    let bench = small().bench();
    let staging = bench.staging();
    let staging = Staging::make(&staging).unwrap();
    fs::create_dir(bench.target()).unwrap();
    let refused = staging.rename(&bench.target()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    staging.remove();
    assert_eq!(bench.names(), ["target"]);
}

#[test]
fn a_staging_folder_that_was_exchanged_is_neither_named_nor_removed() {
    let bench = small().bench();
    let path = bench.staging();
    let staging = Staging::make(&path).unwrap();
    fs::rename(&path, bench.path("moved")).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("theirs"), "").unwrap();
    assert!(staging.rename(&bench.target()).is_err());
    staging.remove();
    assert!(path.join("theirs").exists() && !bench.target().exists());
}

#[test]
fn what_an_interrupted_run_has_left_is_made_anew() {
    let bench = small().bench();
    fs::create_dir_all(bench.staging().join("a/b")).unwrap();
    fs::write(bench.staging().join("a/two"), "sec").unwrap();
    fs::write(bench.staging().join("old"), "").unwrap();
    fs::create_dir(bench.path("elsewhere")).unwrap();
    fs::write(bench.path("elsewhere/kept"), "").unwrap();
    symlink(bench.path("elsewhere"), bench.staging().join("a/b/link")).unwrap();
    fs::set_permissions(bench.staging(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same() && bench.path("elsewhere/kept").exists());
    assert_eq!(bench.names(), ["elsewhere", "target"]);
}

#[test]
fn a_run_that_ends_in_the_middle_leaves_no_target_and_is_gone_on_with() {
    let bench = small().bench();
    bench.calls.plan(&[(Call::Write, Fault::Panics)]);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.unpack()));
    assert!(ended.is_err() && bench.staging().is_dir() && !bench.target().exists());
    assert_eq!(mode(&bench.staging()), 0o700);
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same());
    assert_eq!(bench.names(), ["target"]);
}

#[test]
fn what_is_not_ours_in_the_place_of_the_staging_folder_stays() {
    let bench = small().bench();
    let in_the_way = || {
        assert_eq!(bench.unpack(), Err(DiskErrorKind::InTheWay));
        assert!(!bench.target().exists());
    };
    fs::create_dir(bench.path("elsewhere")).unwrap();
    fs::write(bench.path("elsewhere/kept"), "").unwrap();
    symlink(bench.path("elsewhere"), bench.staging()).unwrap();
    in_the_way();
    assert_eq!(fs::read_dir(bench.path("elsewhere")).unwrap().count(), 1, "the link was not followed");
    fs::remove_file(bench.staging()).unwrap();
    fs::write(bench.staging(), "mine").unwrap();
    in_the_way();
    assert_eq!(fs::read_to_string(bench.staging()).unwrap(), "mine");
    fs::remove_file(bench.staging()).unwrap();
    fs::create_dir(bench.staging()).unwrap();
    fs::set_permissions(bench.staging(), Permissions::from_mode(0o770)).unwrap();
    in_the_way();
    if crate::platform::permissions::user() == 0 {
        fs::set_permissions(bench.staging(), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(bench.staging(), Some(1000), None).unwrap();
        in_the_way();
    }
    assert!(bench.staging().is_dir());
}

#[test]
fn a_link_on_the_way_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("top/a/b")).unwrap();
    fs::create_dir_all(folder.path().join("elsewhere/b")).unwrap();
    symlink(folder.path().join("elsewhere"), folder.path().join("top/link")).unwrap();
    symlink(folder.path().join("elsewhere/new"), folder.path().join("top/a/new")).unwrap();
    symlink(folder.path().join("top"), folder.path().join("to top")).unwrap();
    assert!(Folder::open(&folder.path().join("to top")).is_err());
    let top = Folder::open(&folder.path().join("top")).unwrap();
    let mut way = Way::from(&top);
    assert!(way.enter("link").is_err() && way.enter("link/b").is_err());
    // A way that ended there goes on from where it was.
    let parent = way.enter("a").unwrap();
    assert_eq!(parent.make_file("new", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(parent.open_file("new").is_err());
    assert!(way.enter("a/b").unwrap().make_file("f", false).is_ok());
    assert!(folder.path().join("top/a/b/f").exists() && !folder.path().join("elsewhere/new").exists());
}

#[test]
fn a_disk_that_fills_up_says_how_much_is_missing_and_nothing_is_left() {
    for number in [libc::ENOSPC, libc::EDQUOT] {
        let bench = small().file("z", pattern(100_000)).bench();
        bench.calls.plan(&[(Call::Write, Fault::Fails(number))]);
        let result = bench.unpack();
        assert!(matches!(result, Err(DiskErrorKind::Full { needed: 1.. })), "{result:?}");
        bench.leaves_nothing();
        assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    }
    let bench = small().bench();
    bench.calls.plan(&[(Call::Write, Fault::Takes(1)), (Call::Write, Fault::Fails(libc::EINTR))]);
    assert_eq!(bench.unpack(), Ok(Unpacked::Made));
    assert!(bench.is_same());
}

#[test]
fn what_the_disk_does_not_take_for_good_gets_no_name() {
    let bench = small().bench();
    bench.calls.plan(&[(Call::SyncAll, Fault::Fails(libc::EIO))]);
    assert!(matches!(bench.unpack(), Err(DiskErrorKind::Other(_))));
    bench.leaves_nothing();
}

#[test]
fn where_there_is_no_room_nothing_is_begun() {
    let bench = Plan::default().bench();
    let length = 1 << 42;
    let file = FileEntry { length, hash: [0; 32], is_executable: false, modified: None };
    let entry = Entry { path: EntryPath::new("huge").unwrap(), kind: EntryKind::File(file) };
    let collection = Collection::new(vec![entry]).unwrap();
    let top = Folder::open(bench.folder.path()).unwrap();
    let runs = ContentRuns(std::iter::once(0..collection.length()).collect());
    let unpacking = Unpacking {
        content: &bench.content,
        collection: &collection,
        target: &bench.target(),
        top: &top,
        runs,
        left: AtomicU64::new(0),
        calls: &bench.calls,
        stop: &bench.stop,
    };
    let free = top.room().unwrap().0;
    let kind = unpacking.check().unwrap_err().kind;
    assert!(matches!(kind, DiskErrorKind::Full { needed } if needed > (length - free) / 2), "{kind:?}");
}

#[test]
fn names_that_do_not_fit_are_all_told_before_anything_is_written() {
    let deep = vec!["x".repeat(250); 16].join("/");
    let bench = small().file(&format!("{deep}/one"), "1").file(&format!("{deep}/two"), "2").bench();
    let target = bench.path("n".repeat(200));
    let result = bench.unpack_to(&target);
    let why = other_than(&result);
    assert!(why.contains("/one: a path has at most") && why.contains("/two: a path has at most"), "{why}");
    bench.leaves_nothing();
}

#[test]
fn what_is_no_longer_wanted_ends_and_leaves_nothing() {
    let bench = small().bench();
    bench.stop.raise();
    assert_eq!(bench.unpack(), Err(DiskErrorKind::Cancelled));
    bench.leaves_nothing();
}
