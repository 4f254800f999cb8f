//! Folders are found, hashed and read as they are.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use messages::collection::{Collection, EntryKind, Modified};
use messages::{ContentId, Outboard, PieceRun};
use riffle_core::{DiskError, DiskErrorKind, DiskRequest, DiskResult, FolderOptions, ShareId, SkippedEntry};

use super::source::{FolderFault, FolderSource};
use crate::driver::disk::{Completion, Disk, Results, Served};
use crate::driver::pool::Pool;
use crate::driver::test_bytes;

const SHARE: ShareId = ShareId(3);

/// What sharing the folder came to, with what was skipped.
type Outcome = (Result<(Arc<Outboard>, Arc<FolderSource>), DiskError>, Vec<SkippedEntry>);

fn share(folder: &Path) -> Outcome {
    share_with(folder, FolderOptions::default())
}

fn share_with(folder: &Path, options: FolderOptions) -> Outcome {
    let (results, mut done) = Results::channel();
    let settings = config::DiskSettings { hash_threads: 2, ..config::NodeSettings::default().disk };
    let mut disk = Disk::start(&settings, results, &tracing::Dispatch::none()).expect("threads");
    disk.request(DiskRequest::Share { share: SHARE, path: folder.to_owned(), options }, &mut Pool::default());
    let mut all_skipped = Vec::new();
    loop {
        match done.blocking_recv().expect("each request is answered") {
            Completion::ForCore(DiskResult::Hashing { .. }) => {}
            Completion::ForCore(DiskResult::Skipped { skipped, .. }) => all_skipped.extend(skipped),
            Completion::ForCore(DiskResult::Shared { result: Err(error), .. }) => {
                return (Err(error), all_skipped);
            }
            Completion::Shared { outboard, served: Served::Folder(source), .. } => {
                return (Ok((outboard, source)), all_skipped);
            }
            _ => panic!("another result"),
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("folders");
    fs::write(path, bytes).expect("a file");
}

fn all_bytes(source: &FolderSource) -> Vec<u8> {
    let mut bytes = vec![0; source.length() as usize];
    source.read_exact_at(&mut bytes, 0).expect("unchanged files");
    bytes
}

fn paths(collection: &Collection) -> Vec<&str> {
    collection.entries().iter().map(|entry| entry.path.as_str()).collect()
}

#[test]
fn the_content_of_a_folder_is_its_index_and_the_bytes_of_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let long = test_bytes(3_000_000);
    write(root, "b/long.bin", &long);
    write(root, "a", b"first");
    write(root, ".hidden", b"");
    write(root, "-rf", b"x");
    fs::create_dir_all(root.join("empty/in/it")).expect("folders");
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_000_000_005);
    fs::File::open(root.join("a")).and_then(|file| file.set_modified(time)).expect("a time");
    symlink("b/long.bin", root.join("link")).expect("a link");

    let (shared, skipped) = share(root);
    let (outboard, source) = shared.expect("a folder");
    assert_eq!(skipped, []);
    let bytes = all_bytes(&source);
    assert_eq!(outboard.content(), ContentId::from_bytes(*blake3::hash(&bytes).as_bytes()));
    assert_eq!(outboard.layout().length(), bytes.len() as u64);

    let index_length = messages::collection::index_length_of(&bytes, bytes.len() as u64).expect("a folder");
    let collection = Collection::decode(&bytes[..index_length as usize]).expect("an index");
    assert_eq!(paths(&collection), ["-rf", ".hidden", "a", "b/long.bin", "empty/in/it", "link"]);
    for (entry, path, file) in collection.files() {
        let expected = fs::read(root.join(path.as_str())).expect("a file");
        let span = collection.span(entry).unwrap_or(0..0);
        assert_eq!(bytes[span.start as usize..span.end as usize], expected);
        assert_eq!(file.hash, *blake3::hash(&expected).as_bytes());
        assert_eq!(file.is_executable, path.as_str() == "a");
    }
    let EntryKind::File(first) = &collection.entries()[2].kind else { panic!("a file") };
    assert_eq!(first.modified, Some(Modified { seconds: 1, nanos: 5 }));
    assert_eq!(collection.entries()[4].kind, EntryKind::EmptyFolder);
    assert_eq!(collection.entries()[5].kind, EntryKind::Link("b/long.bin".to_owned()));
}

#[test]
fn the_same_folder_has_the_same_id_wherever_it_is() {
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let time = std::time::UNIX_EPOCH;
    for root in [one.path(), other.path()] {
        for name in ["x", "y/z"] {
            write(root, name, name.as_bytes());
            fs::File::open(root.join(name)).and_then(|file| file.set_modified(time)).expect("a time");
        }
    }
    let content = |root: &Path| share(root).0.expect("a folder").0.content();
    assert_eq!(content(one.path()), content(other.path()));
    write(other.path(), "y/z", b"y/Z");
    assert_ne!(content(one.path()), content(other.path()));
}

#[test]
fn what_is_no_part_of_a_folder_is_skipped_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(root, "a", b"1");
    write(root, "b.log", b"2");
    write(root, "deep/c.log", b"3");
    write(root, "deep/.riffleignore", b"*.log\n");
    write(root, ".x.0123456789abcdef.riffle-part", b"unfinished");
    write(root, ".x.0123456789abcdef.riffle-part.d/a", b"put together");
    write(root, "bad\nname", b"4");
    symlink("/etc/passwd", root.join("out")).expect("a link");
    symlink("../..", root.join("deep/up")).expect("a link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let (shared, mut skipped) = share(root);
    let bytes = all_bytes(&shared.expect("a folder").1);
    let index_length = messages::collection::index_length_of(&bytes, bytes.len() as u64).expect("a folder");
    let collection = Collection::decode(&bytes[..index_length as usize]).expect("an index");
    assert_eq!(paths(&collection), ["a", "b.log", "deep/.riffleignore"]);
    skipped.sort_by(|one, other| one.path.cmp(&other.path));
    let names: Vec<_> = skipped.iter().map(|one| one.path.strip_prefix(root).expect("below it")).collect();
    assert_eq!(names, ["bad\nname", "deep/up", "out", "pipe"].map(Path::new));
    assert!(skipped.iter().all(|one| !one.why.is_empty()));
}

#[test]
fn several_files_and_folders_make_one_collection() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["x/album/a", "x/album/cache/b", "x/album/cache2", "y/cache", "notes"] {
        write(root, name, name.as_bytes());
    }
    fs::create_dir(root.join("y/empty")).expect("made");
    let also = ["notes", "y/empty", "y/cache"].map(|name| root.join(name)).to_vec();
    let shared = |exclude: &[&str]| {
        let exclude = exclude.iter().map(|pattern| (*pattern).to_owned()).collect();
        let options = FolderOptions { also: also.clone(), exclude, ..FolderOptions::default() };
        let source = share_with(&root.join("x/album"), options).0.expect("a collection").1;
        let bytes = all_bytes(&source);
        let index_length = messages::collection::index_length_of(&bytes, bytes.len() as u64).expect("one");
        let collection = Collection::decode(&bytes[..index_length as usize]).expect("an index");
        for (entry, path, _) in collection.files() {
            let span = collection.span(entry).expect("no file is empty");
            let end = format!("/{path}");
            assert!(String::from_utf8_lossy(&bytes[span.start as usize..span.end as usize]).ends_with(
                end.strip_prefix(if path.as_str() == "notes" { "/" } else { "" }).expect("it begins so")
            ));
        }
        paths(&collection).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = ["album/a", "album/cache/b", "album/cache2", "cache", "empty", "notes"];
    assert_eq!(shared(&[]), all);
    assert_eq!(shared(&["cache"]), ["album/a", "album/cache2", "empty", "notes"]);
    assert_eq!(shared(&["/cache", "/album/cache2"]), ["album/a", "album/cache/b", "empty", "notes"]);
    let options = FolderOptions { also: vec![root.join("x/../notes")], ..FolderOptions::default() };
    let error = share_with(&root.join("notes"), options).0.expect_err("two are called notes");
    assert!(error.to_string().contains("is called notes too"), "{error}");
}

#[test]
fn the_bytes_of_files_that_changed_are_read_around() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["a", "b", "c", "d"] {
        write(root, name, &test_bytes(600_000));
    }
    let source = share(root).0.expect("a folder").1;
    let whole = all_bytes(&source);
    fs::write(root.join("b"), b"other").expect("written");
    fs::remove_file(root.join("d")).expect("removed");
    let mut bytes = vec![0; whole.len()];
    let cause = source.read_exact_at(&mut bytes, 0).expect_err("b is not what it was");
    let error = crate::driver::disk::errors::disk_error(root, &cause);
    let FolderFault::Files(lost) = source.fault(&BTreeSet::new(), error.clone()) else { panic!("two files") };
    let told: Vec<_> = lost.iter().map(|file| (file.entry, file.error.kind.clone())).collect();
    assert_eq!(told, [(1, DiskErrorKind::Changed), (3, DiskErrorKind::NotFound)]);
    let ends = |run: PieceRun| (run.start().0, run.end().0);
    let index = whole.len() - 4 * 600_000;
    let piece = 256 << 10;
    let of_b = ((index + 600_000) / piece, (index + 2 * 600_000 - 1) / piece + 1);
    assert_eq!(ends(lost[0].pieces), (of_b.0 as u32, of_b.1 as u32));
    assert_eq!(ends(lost[1].pieces).1 as usize, whole.len().div_ceil(piece));
    let lost: BTreeSet<usize> = lost.iter().map(|file| file.entry).collect();
    source.read_around(&lost, &mut bytes, 0).expect("the others are as they were");
    let (c, d) = (index + 1_200_000, index + 1_800_000);
    assert_eq!(bytes[..index + 600_000], whole[..index + 600_000]);
    assert_eq!(bytes[c..d], whole[c..d]);
    assert!(bytes[index + 600_000..c].iter().chain(&bytes[d..]).all(|byte| *byte == 0));
    assert!(matches!(source.fault(&lost, error), FolderFault::Folder(_)), "no file beside these");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_never_is_what_it_was_is_left_out_and_the_rest_is_shared() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "quiet", b"1");
    // The system makes up its bytes as it is read: it is longer than it was said to be, each time.
    let changing = Path::new("/proc/version");
    let options = FolderOptions { also: vec![changing.to_owned()], ..FolderOptions::default() };
    let (shared, skipped) = share_with(&folder.path().join("quiet"), options);
    let bytes = all_bytes(&shared.expect("the rest is a folder").1);
    let index_length = messages::collection::index_length_of(&bytes, bytes.len() as u64).expect("a folder");
    let collection = Collection::decode(&bytes[..index_length as usize]).expect("an index");
    assert_eq!(paths(&collection), ["quiet"]);
    let why = "it changes while it is read".to_owned();
    assert_eq!(skipped, [SkippedEntry { path: changing.to_owned(), why }]);
}

#[test]
fn an_empty_folder_is_a_content_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (outboard, source) = share(folder.path()).0.expect("a folder");
    assert_eq!(outboard.layout().length(), messages::collection::INDEX_HEADER as u64);
    assert_eq!(all_bytes(&source).len(), messages::collection::INDEX_HEADER);
}

#[test]
fn a_file_that_changes_is_named_when_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write(root, "a", &[1; 5000]);
    write(root, "b", &[2; 5000]);
    let source = share(root).0.expect("a folder").1;
    fs::write(root.join("b"), [3; 5000]).expect("written");
    let mut bytes = vec![0; source.length() as usize];
    let cause = source.read_exact_at(&mut bytes, 0).expect_err("b is not what it was");
    let error = crate::driver::disk::errors::disk_error(root, &cause);
    assert_eq!(error.kind, DiskErrorKind::Changed);
    assert_eq!(error.path.file_name(), Some("b".as_ref()));
    let without_last = &mut bytes[..source.length() as usize - 5000];
    source.read_exact_at(without_last, 0).expect("the rest is as it was");
    fs::remove_file(root.join("a")).expect("removed");
    let source = share(root).0.expect("a folder").1;
    assert_eq!(source.length(), all_bytes(&source).len() as u64);
}
