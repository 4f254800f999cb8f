//! Files that are not ours under the names of working files, and working files that came a long way: what is not proven
//! to be ours is left byte for byte as it was.
#![expect(clippy::single_range_in_vec_init, reason = "runs of pieces, of which there may be one")]

use proptest::prelude::*;

use super::*;
use crate::driver::disk::fault_injection::{Call, Fault};

const PIECES: u32 = 3;

fn content() -> (Vec<u8>, Arc<Outboard>) {
    let bytes = test_bytes(PIECES as usize * PIECE - 5);
    let outboard = described(&bytes);
    (bytes, outboard)
}

/// Every name that a download of `f` uses, has used or might be thought to use.
fn names_in_question(bench: &Bench, outboard: &Outboard) -> Vec<PathBuf> {
    let paths = DownloadPaths::of(bench.path("f"), Existing::Keep);
    let mut names = vec![bench.path("f.part"), bench.path("f.riffle"), bench.path("f.riffle.new")];
    for number in 1..=3 {
        let WorkingNames { part, journal } = paths.working_names(outboard.content(), number);
        let fresh = PathBuf::from(format!("{}.new", journal.display()));
        names.extend([part, journal, fresh]);
    }
    names
}

/// What a foreign thing is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Empty,
    Text,
    AsLongAsTheContent,
    /// The journal of another content.
    OtherJournal,
    Link,
    DanglingLink,
    Folder,
    Pipe,
}

const KINDS: [Kind; 8] = [
    Kind::Empty,
    Kind::Text,
    Kind::AsLongAsTheContent,
    Kind::OtherJournal,
    Kind::Link,
    Kind::DanglingLink,
    Kind::Folder,
    Kind::Pipe,
];

fn plant(path: &Path, kind: Kind, bench: &Bench, length: usize) {
    match kind {
        Kind::Empty => fs::write(path, b"").unwrap(),
        Kind::Text => fs::write(path, b"thesis").unwrap(),
        Kind::AsLongAsTheContent => fs::write(path, vec![9; length]).unwrap(),
        Kind::OtherJournal => {
            let mut bytes = Vec::new();
            let (content, boot) = (ContentId::from_bytes([1; 32]), records::BootId::current());
            let (part, journal) = (records::FileMark::NONE, records::FileMark::NONE);
            let header = records::JournalHeader { content, length: 5, boot, part, journal };
            header.encode(&mut bytes, &key());
            fs::write(path, bytes).unwrap();
        }
        Kind::Link => std::os::unix::fs::symlink(bench.path("victim"), path).unwrap(),
        Kind::DanglingLink => std::os::unix::fs::symlink(bench.path("nowhere"), path).unwrap(),
        Kind::Folder => fs::create_dir(path).unwrap(),
        Kind::Pipe => {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        }
    }
}

/// All that can be told of what stands at `path`, its inode included.
fn picture(path: &Path) -> Option<(u64, Vec<u8>, Option<PathBuf>)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::symlink_metadata(path).ok()?;
    let bytes = if found.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    Some((found.ino(), bytes, fs::read_link(path).ok()))
}

/// What is done with a download.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Store(u32),
    Finish,
    Abandon,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Open),
        (0..PIECES).prop_map(Step::Store),
        Just(Step::Finish),
        Just(Step::Abandon),
        Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_under_our_names_is_as_before_after_any_steps(
        planted in proptest::collection::vec((0usize..12, 0usize..KINDS.len()), 0..8),
        begun in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..8),
    ) {
        let (bytes, outboard) = content();
        let mut bench = Bench::new();
        fs::write(bench.path("victim"), "victim").unwrap();
        if begun {
            // What is planted may meet a genuine journal or part file.
            bench.open(&outboard).unwrap();
            bench.store_all(&outboard, &bytes, 0..1);
            bench = bench.restarted();
        }
        let names = names_in_question(&bench, &outboard);
        let mut foreign = vec![(bench.path("victim"), picture(&bench.path("victim")))];
        for (name, kind) in planted {
            let path = &names[name];
            if foreign.iter().any(|(known, _)| known == path) {
                continue;
            }
            // Something else takes the place of ours.
            let _ = fs::remove_file(path);
            plant(path, KINDS[kind], &bench, bytes.len());
            foreign.push((path.clone(), picture(path)));
        }
        let mut is_open = false;
        for step in steps {
            match step {
                Step::Open if !is_open && !bench.path("f").exists() => {
                    bench.open(&outboard).unwrap();
                    is_open = true;
                }
                Step::Store(piece) if is_open => {
                    bench.store_all(&outboard, &bytes, piece..piece + 1);
                }
                Step::Finish if is_open => {
                    is_open = bench.finish_again().is_err();
                    if !is_open {
                        bench.disk.on_download_ended(DOWNLOAD);
                    }
                }
                Step::Abandon if is_open => {
                    (bench, is_open) = (bench.abandon(), false);
                }
                Step::Kill => (bench, is_open) = (bench.restarted(), false),
                _ => {}
            }
            for (path, before) in &foreign {
                prop_assert_eq!(&picture(path), before, "{:?} after {:?}", path, step);
            }
        }
        if !is_open && !bench.path("f").exists() {
            bench.open(&outboard).unwrap();
            is_open = true;
        }
        if is_open {
            bench.store_all(&outboard, &bytes, 0..PIECES);
            bench.finish().unwrap();
        }
        prop_assert!(fs::read(bench.path("f")).unwrap() == bytes, "and the download comes to its end all the same");
        for (path, before) in &foreign {
            prop_assert_eq!(&picture(path), before, "{:?}", path);
        }
    }
}

/// A journal as it was written by earlier versions: 1, when it marked no part file, and 2.
pub(super) fn unsealed(journal: &[u8], version: u8) -> Vec<u8> {
    let checked = |fields: &[u8]| [fields, &crc32fast::hash(fields).to_le_bytes()].concat();
    let mut header = journal[..if version == 1 { 64 } else { 80 }].to_vec();
    header[6] = version;
    let records = journal[HEADER..].chunks_exact(RECORD).map(|record| checked(&record[..RECORD - SEAL]));
    [checked(&header)].into_iter().chain(records).flatten().collect()
}

/// A download of the time when working files were called `f.part` and `f.riffle`.
fn of_the_old_form() -> (Bench, Vec<u8>, Arc<Outboard>) {
    let (bytes, outboard) = content();
    let mut bench = Bench::new();
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..2);
    let bench = bench.restarted();
    let WorkingNames { part, journal } = bench.working(&outboard);
    fs::rename(part, bench.path("f.part")).unwrap();
    fs::write(bench.path("f.riffle"), unsealed(&fs::read(&journal).unwrap(), 1)).unwrap();
    fs::remove_file(journal).unwrap();
    (bench, bytes, outboard)
}

#[test]
fn working_files_of_the_old_form_are_found_by_their_journal_and_taken_over_once() {
    let (mut bench, bytes, outboard) = of_the_old_form();
    assert_eq!(bench.names(), ["f.part", "f.riffle"]);
    let (have, again) = bench.resumed(&outboard);
    assert_eq!(have, [0..2]);
    assert!(again.is_some_and(|again| again.bytes >= 2 * PIECE as u64), "nothing had sealed that journal");
    assert_eq!(bench.names(), ["journal", "part"]);
    let mut bench = bench.restarted();
    assert_eq!(bench.resumed(&outboard), (vec![0..2], None), "and are known from then on");
    bench.store_all(&outboard, &bytes, 2..3);
    bench.finish().unwrap();
    assert!(fs::read(bench.path("f")).unwrap() == bytes);
    assert_eq!(bench.names(), ["f"]);
}

#[test]
fn working_files_of_the_old_form_that_prove_nothing_are_not_guessed() {
    type Tampering = fn(&Bench);
    let ways: [Tampering; 4] = [
        |bench| fs::remove_file(bench.path("f.riffle")).unwrap(),
        |bench| fs::write(bench.path("f.riffle"), "notes").unwrap(),
        |bench| fs::write(bench.path("f.part"), "thesis").unwrap(),
        |bench| {
            fs::rename(bench.path("f.part"), bench.path("mine")).unwrap();
            std::os::unix::fs::symlink("mine", bench.path("f.part")).unwrap();
        },
    ];
    for (way, meddle) in ways.into_iter().enumerate() {
        let (mut bench, bytes, outboard) = of_the_old_form();
        meddle(&bench);
        let before = ["f.part", "f.riffle", "mine"].map(|name| picture(&bench.path(name)));
        assert_eq!(bench.have(&outboard), [], "{way}");
        bench.store_all(&outboard, &bytes, 0..PIECES);
        bench.finish().unwrap();
        assert_eq!(["f.part", "f.riffle", "mine"].map(|name| picture(&bench.path(name))), before, "{way}");
    }
}

#[test]
fn a_crash_while_they_are_taken_over_loses_nothing() {
    let (bench, _, outboard) = of_the_old_form();
    let old = fs::read(bench.path("f.riffle")).unwrap();
    let mut bench = bench;
    bench.have(&outboard);
    let bench = bench.restarted();
    // The new journal was made, and the part file has its old name still.
    fs::rename(bench.working(&outboard).part, bench.path("f.part")).unwrap();
    fs::write(bench.path("f.riffle"), old).unwrap();
    let mut bench = bench;
    assert_eq!(bench.have(&outboard), [0..2]);
    assert_eq!(bench.names(), ["journal", "part"]);
}

#[test]
fn a_journal_of_another_version_and_what_belongs_to_it_stay() {
    let (bytes, outboard) = content();
    let mut bench = Bench::new();
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..2);
    let mut bench = bench.restarted();
    let names = bench.working(&outboard);
    let mut journal = fs::read(&names.journal).unwrap();
    journal[6] += 1;
    fs::write(&names.journal, journal).unwrap();
    let before = [picture(&names.part), picture(&names.journal)];
    assert_eq!(bench.have(&outboard), []);
    assert_eq!(bench.names(), ["journal", "journal-2", "part", "part-2"]);
    assert_eq!([picture(&names.part), picture(&names.journal)], before);
}

#[test]
fn a_folder_that_was_copied_is_gone_on_with_after_a_look() {
    let (bytes, outboard) = content();
    let mut bench = Bench::new();
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..2);
    let bench = bench.restarted();
    let names = bench.working(&outboard);
    let copy = bench.path("copy");
    fs::copy(&names.part, &copy).unwrap();
    fs::rename(&copy, &names.part).unwrap();
    let mut bench = bench;
    let again = HashedAgain { bytes: 2 * PIECE as u64, why: RecheckReason::Changed };
    assert_eq!(bench.resumed(&outboard), (vec![0..2], Some(again)));
    let mut bench = bench.restarted();
    assert_eq!(bench.resumed(&outboard), (vec![0..2], None), "it is known by its new inode");
}

#[test]
fn a_file_system_without_locks_is_locked_in_the_state_folder() {
    for number in [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOSYS] {
        let (bytes, outboard) = content();
        let mut bench = Bench::new();
        let locks = tempfile::tempdir().unwrap();
        bench.disk.lock_in(&locks.path().join("locks"));
        let none = (Call::Lock, Fault::Fails(number));
        bench.disk.settings.calls.plan(&[none]);
        bench.open(&outboard).unwrap();
        assert_eq!(bench.without_locks, [true]);
        let held = || fs::read_dir(locks.path().join("locks")).unwrap().count();
        assert_eq!(held(), 1);
        // Another download at the same file, as another process would be.
        let mut other = Bench::in_folder(tempfile::tempdir_in(bench.folder.path()).unwrap());
        other.disk.lock_in(&locks.path().join("locks"));
        other.disk.settings.calls.plan(&[none; 64]);
        let (content, target) = (outboard.content(), bench.path("f"));
        let (outboard, existing) = (outboard.clone(), Existing::Keep);
        let wanted = outboard.clone();
        let request = DiskRequest::Open {
            save: riffle_core::SaveOptions::default(),
            download: DOWNLOAD,
            share: SHARE,
            target,
            existing,
            select: Vec::new(),
            content,
            outboard: wanted,
        };
        other.ask(request);
        let Completion::ForCore(DiskResult::Opened { result: Err(error), .. }) = other.done() else {
            panic!("opened")
        };
        assert_eq!(error.kind, DiskErrorKind::InUse);
        bench.store_all(&outboard, &bytes, 0..PIECES);
        bench.finish().unwrap();
        let bench = bench.restarted();
        assert!(fs::read(bench.path("f")).unwrap() == bytes);
        assert_eq!(held(), 0, "nothing stays behind");
    }
}

#[test]
fn a_file_system_without_locks_nor_a_state_folder_is_written_to_all_the_same() {
    let (bytes, outboard) = content();
    let mut bench = Bench::new();
    bench.disk.settings.calls.plan(&[(Call::Lock, Fault::Fails(libc::ENOLCK))]);
    bench.open(&outboard).unwrap();
    assert_eq!(bench.without_locks, [false]);
    bench.store_all(&outboard, &bytes, 0..PIECES);
    bench.finish().unwrap();
    assert!(fs::read(bench.path("f")).unwrap() == bytes);
}
