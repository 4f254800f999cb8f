//! What is remembered of hashed files, and when it is not believed. A forged outboard tells what was remembered from
//! what was hashed.

use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use messages::{ContentId, Layout, Outboard};
use riffle_core::{DiskErrorKind, DiskRequest, DiskResult, FolderOptions, Opened, ShareId};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::driver::disk::Served;
use crate::driver::disk::hash::hash_cache::{Fingerprint, HashCache, MAX_FILES};
use crate::driver::disk::{Completion, Disk, FileIdentity, Results};
use crate::driver::pool::Pool;
use crate::driver::test_bytes;
use crate::state::checked_file::GONE_FOR;

const LENGTH: usize = 600_000;

/// A state folder, and files beside it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        fs::create_dir(home.state()).unwrap();
        home
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, test_bytes(LENGTH)).unwrap();
        path
    }

    fn hash_cache(&self) -> HashCache {
        let (hash_cache, note) = HashCache::open(&self.state());
        assert_eq!(note, None);
        hash_cache
    }

    fn outboards(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.state().join("outboards"));
        files.into_iter().flatten().map(|file| file.unwrap().path()).collect()
    }

    /// What a node with this state says the file at `path` is.
    fn share(&self, path: &Path) -> Arc<Outboard> {
        let (mut disk, mut heard) = disk_with(self.hash_cache());
        let share = ShareId(7);
        disk.request(
            DiskRequest::Share { share, path: path.to_owned(), options: FolderOptions::default() },
            &mut Pool::default(),
        );
        let outboard = loop {
            match heard.blocking_recv().expect("the workers live") {
                Completion::Shared { outboard, served, .. } => {
                    let Served::File(served) = served else { panic!("a file") };
                    assert_eq!(served.identity, Some(FileIdentity::of(&found(path))));
                    break outboard;
                }
                Completion::ForCore(DiskResult::Shared { result, .. }) => panic!("{result:?}"),
                _ => {}
            }
        };
        assert!(disk.stop(Duration::from_secs(10)));
        outboard
    }
}

fn disk_with(hash_cache: HashCache) -> (Disk, UnboundedReceiver<Completion>) {
    let (results, heard) = Results::channel();
    let mut settings = config::NodeSettings::default().disk;
    settings.hash_threads = 2;
    let mut disk = Disk::start(&settings, results, &tracing::Dispatch::none()).unwrap();
    disk.remember(hash_cache);
    (disk, heard)
}

fn found(path: &Path) -> fs::Metadata {
    fs::metadata(path).unwrap()
}

/// An outboard that no file here has, and that fits all of them.
fn forged(seed: u8) -> Outboard {
    Outboard::imagined(Layout::of(LENGTH as u64).unwrap(), &seed.to_string())
}

/// As if hashing had begun when the file had been left alone for a while.
fn remember(hash_cache: &HashCache, path: &Path, outboard: &Outboard) {
    hash_cache.remember(
        path,
        Fingerprint::of(&found(path)),
        SystemTime::now() + Duration::from_secs(3),
        outboard,
    );
}

fn is_recalled(hash_cache: &HashCache, path: &Path) -> bool {
    hash_cache.recall(path, &found(path)).is_some()
}

#[test]
fn a_remembered_file_is_not_read_and_a_changed_one_is() {
    let home = Home::new();
    let path = home.file("f");
    let hash_cache = home.hash_cache();
    remember(&hash_cache, &path, &forged(1));
    hash_cache.save();
    assert_eq!(*home.share(&path), forged(1), "remembered from the life before");
    let mut bytes = test_bytes(LENGTH);
    bytes[LENGTH / 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let content = ContentId::from_bytes(*blake3::hash(&bytes).as_bytes());
    assert_eq!(home.share(&path).content(), content, "hashed again");
}

#[test]
fn a_target_that_is_remembered_is_compared_without_being_read() {
    let home = Home::new();
    let path = home.file("f");
    let open = |outboard: Outboard| {
        let hash_cache = home.hash_cache();
        remember(&hash_cache, &path, &forged(1));
        let (mut disk, mut heard) = disk_with(hash_cache);
        let (download, share, target) = (riffle_core::DownloadId(1), ShareId(7), path.clone());
        let (content, outboard) = (outboard.content(), Arc::new(outboard));
        disk.request(
            DiskRequest::Open {
                save: riffle_core::SaveOptions::default(),
                download,
                share,
                target,
                existing: riffle_core::Existing::Keep,
                select: Vec::new(),
                content,
                outboard,
            },
            &mut Pool::default(),
        );
        let opened = match heard.blocking_recv().expect("the workers live") {
            Completion::Opened { opened, .. } => Ok(opened),
            Completion::ForCore(DiskResult::Opened { result: Err(error), .. }) => Err(error.kind),
            _ => panic!("another result"),
        };
        assert!(disk.stop(Duration::from_secs(10)));
        opened
    };
    assert_eq!(open(forged(1)), Ok(Opened::AlreadyThere), "as was remembered");
    assert_eq!(open(forged(2)), Err(DiskErrorKind::ExistsOther));
}

#[test]
fn every_kind_of_change_is_seen() {
    let change_in_place = |path: &Path| {
        let before = found(path).modified().unwrap();
        let mut bytes = fs::read(path).unwrap();
        bytes[7] ^= 1;
        fs::write(path, bytes).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    };
    let replace = |path: &Path| {
        let before = found(path).modified().unwrap();
        let other = path.with_extension("other");
        fs::write(&other, fs::read(path).unwrap()).unwrap();
        File::options().write(true).open(&other).unwrap().set_modified(before).unwrap();
        fs::rename(other, path).unwrap();
    };
    let shorten =
        |path: &Path| File::options().write(true).open(path).unwrap().set_len(LENGTH as u64 - 1).unwrap();
    let changes = [
        ("bytes, with the time put back", &change_in_place as &dyn Fn(&Path)),
        ("another file", &replace),
        ("length", &shorten),
    ];
    for (what, change) in changes {
        let home = Home::new();
        let (path, hash_cache) = (home.file("f"), home.hash_cache());
        remember(&hash_cache, &path, &forged(1));
        assert!(is_recalled(&hash_cache, &path), "before: {what}");
        change(&path);
        assert!(!is_recalled(&hash_cache, &path), "{what}");
    }
}

#[test]
fn a_file_that_was_just_changed_is_hashed_and_not_remembered() {
    let home = Home::new();
    let path = home.file("f");
    home.share(&path);
    assert!(!is_recalled(&home.hash_cache(), &path), "it may change again in the same tick of the clock");

    let hash_cache = home.hash_cache();
    let before = Fingerprint::of(&found(&path));
    let changed = found(&path).modified().unwrap();
    for (after, expected) in [(0, false), (1900, false), (2100, true), (60_000, true)] {
        hash_cache.remember(&path, before, changed + Duration::from_millis(after), &forged(1));
        assert_eq!(is_recalled(&hash_cache, &path), expected, "hashed {after} ms after the change");
    }
}

#[test]
fn a_finished_download_is_remembered_at_once() {
    let home = Home::new();
    let (path, hash_cache) = (home.file("f"), home.hash_cache());
    let finished = FileIdentity::of(&found(&path));
    hash_cache.remember_download(&path, finished, &forged(1));
    assert!(is_recalled(&hash_cache, &path));
    let other = home.file("g");
    hash_cache.remember_download(&other, finished, &forged(1));
    assert!(!is_recalled(&hash_cache, &other), "it is another file by now");
}

#[test]
fn an_outboard_that_is_damaged_or_gone_costs_a_hash_and_nothing_else() {
    let home = Home::new();
    let path = home.file("f");
    let truth = home.share(&path);
    for damage in ["flipped", "cut", "gone"] {
        let hash_cache = home.hash_cache();
        remember(&hash_cache, &path, &truth);
        hash_cache.save();
        let [outboard] = &home.outboards()[..] else { panic!("one content") };
        let mut bytes = fs::read(outboard).unwrap();
        bytes[60] ^= 1;
        match damage {
            "flipped" => fs::write(outboard, bytes).unwrap(),
            "cut" => fs::write(outboard, &bytes[..50]).unwrap(),
            _ => fs::remove_file(outboard).unwrap(),
        }
        let hash_cache = home.hash_cache();
        assert!(!is_recalled(&hash_cache, &path), "{damage}");
        assert_eq!(home.share(&path), truth, "{damage}");
        let _ = fs::remove_file(outboard);
    }
}

#[test]
fn a_damaged_table_is_said_and_set_aside() {
    let home = Home::new();
    let (path, hash_cache) = (home.file("f"), home.hash_cache());
    remember(&hash_cache, &path, &forged(1));
    hash_cache.save();
    let table = home.state().join("hashes");
    let whole = fs::read(&table).unwrap();
    fs::write(&table, &whole[..whole.len() - 5]).unwrap();
    let (hash_cache, note) = HashCache::open(&home.state());
    let note = note.expect("said");
    assert!(note.contains("hashes") && note.contains("hashed again"), "{note}");
    assert!(!is_recalled(&hash_cache, &path));
    assert!(home.state().join("hashes.damaged").exists());
    home.hash_cache();
}

#[test]
fn strange_paths_are_remembered_too() {
    let home = Home::new();
    let strange = std::ffi::OsString::from_vec(b"a\n\tb%\xff.bin".to_vec());
    let path = home.0.path().join(strange);
    fs::write(&path, test_bytes(LENGTH)).unwrap();
    let hash_cache = home.hash_cache();
    remember(&hash_cache, &path, &forged(1));
    hash_cache.save();
    assert!(is_recalled(&home.hash_cache(), &path));
}

#[test]
fn the_oldest_go_first_when_there_are_too_many() {
    let home = Home::new();
    let path = home.file("f");
    let hash_cache = home.hash_cache();
    let before = Fingerprint::of(&found(&path));
    remember(&hash_cache, &path, &forged(1));
    hash_cache.age(&path, Duration::from_secs(60));
    for number in 0..MAX_FILES {
        assert!(hash_cache.has(&path), "there is room for {number} more");
        hash_cache.take_in(Path::new(&format!("/f{number}")), before, forged(2).content());
    }
    assert!(!hash_cache.has(&path));
    assert_eq!(hash_cache.count(), MAX_FILES);
    assert!(home.outboards().is_empty(), "nobody needs the outboard of the one that went");
}

#[test]
fn files_that_are_gone_are_forgotten_in_time_and_their_outboards_with_them() {
    let home = Home::new();
    let [gone_long, gone_lately, still_there] = ["a", "b", "c"].map(|name| home.file(name));
    let hash_cache = home.hash_cache();
    for (root, path) in [&gone_long, &gone_lately, &still_there].into_iter().enumerate() {
        remember(&hash_cache, path, &forged(root as u8));
    }
    hash_cache.age(&gone_long, GONE_FOR + Duration::from_secs(60));
    hash_cache.age(&still_there, GONE_FOR + Duration::from_secs(60));
    fs::remove_file(&gone_long).unwrap();
    fs::remove_file(&gone_lately).unwrap();
    fs::write(home.state().join("outboards").join("junk"), "x").unwrap();
    // What was set aside or left unfinished, long ago and lately, beside what is no such file.
    for (name, is_old) in [
        ("hashes.damaged", true),
        ("shares.new", true),
        ("shares.damaged", false),
        ("id.new", false),
        ("id", true),
    ] {
        let file = File::create(home.state().join(name)).unwrap();
        let age = if is_old { GONE_FOR + Duration::from_secs(60) } else { Duration::from_secs(60) };
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    hash_cache.sweep();
    let left = |name: &str| home.state().join(name).exists();
    assert!(!left("hashes.damaged") && !left("shares.new"));
    assert!(left("shares.damaged") && left("id.new") && left("id"));
    assert!(!hash_cache.has(&gone_long) && hash_cache.has(&gone_lately) && hash_cache.has(&still_there));
    assert_eq!(home.outboards().len(), 2);
}
