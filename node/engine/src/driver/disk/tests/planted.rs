//! Working files that somebody has put there beforehand: the finished file is the content and ours, or there is none.
#![expect(clippy::single_range_in_vec_init, reason = "runs of pieces, of which there may be one")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use proptest::prelude::*;

use super::foreign::unsealed;
use super::*;
use crate::driver::disk::fault_injection::{Call, Fault};
use crate::driver::disk::journal::records::{BootId, Durability, FileMark, Record};
use crate::platform::permissions::{mode_of_new_file, user};

const PIECES: u32 = 6;
/// The piece that is not what a planted journal says.
const WRONG: u32 = 2;

fn content() -> (Vec<u8>, Arc<Outboard>) {
    let bytes = test_bytes(PIECES as usize * PIECE - 77);
    let outboard = described(&bytes);
    (bytes, outboard)
}

/// What stands beside a planted part file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forged {
    /// The right header, and every piece durable with its right value, under seals of another key.
    OtherKey,
    /// The same without any seal, as journals once were.
    Unsealed,
    /// A true header of ours, and records of another key behind it.
    AddedTo,
    /// A true header of ours, and true records of another journal of ours behind it.
    Transplanted,
    /// The journal of another download of the same content, whole and true.
    OfAnother,
    /// This very journal, copied and put back.
    PutBack,
    /// Bytes by chance behind the magic.
    Noise,
}

const FORGED: [Forged; 7] = [
    Forged::OtherKey,
    Forged::Unsealed,
    Forged::AddedTo,
    Forged::Transplanted,
    Forged::OfAnother,
    Forged::PutBack,
    Forged::Noise,
];

/// A journal that calls every piece durable, sealed under `key`; its header has the marks of these files.
fn all_durable((bytes, outboard): (&[u8], &Outboard), names: &WorkingNames, key: &JournalKey) -> Vec<u8> {
    let mark = |path: &Path| fs::File::open(path).map_or(FileMark::NONE, |file| FileMark::of(&file));
    let layout = outboard.layout();
    let header = JournalHeader {
        content: outboard.content(),
        length: layout.length(),
        boot: BootId::current(),
        part: mark(&names.part),
        journal: mark(&names.journal),
    };
    let mut journal = Vec::new();
    let mut chain = header.encode(&mut journal, key);
    for (index, piece) in (0..).zip(bytes.chunks(PIECE)) {
        let (durability, piece, bytes) = (Durability::Durable, PieceIndex(index), piece);
        let record = Record { durability, piece, value: piece_value(layout, piece, bytes) };
        record.encode(&mut journal, &mut chain);
    }
    journal
}

/// Changes what stands in a file, which stays the same file.
fn rewrite(path: &Path, bytes: &[u8]) {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap()
        .write_all_at(bytes, 0)
        .unwrap();
}

/// Plants a part file with one wrong piece and all others right, and `forged` beside it.
fn plant(mut bench: Bench, (bytes, outboard): (&[u8], &Arc<Outboard>), forged: Forged) -> Bench {
    let names = bench.working(outboard);
    let other = JournalKey::of_secret(&[8; 32]);
    let mut planted = bytes.to_vec();
    planted[WRONG as usize * PIECE..][..7].fill(b'!');
    // A download of ours that has nothing yet, but for its journal.
    bench.open(outboard).unwrap();
    bench = bench.restarted();
    rewrite(&names.part, &planted);
    let true_header = fs::read(&names.journal).unwrap()[..HEADER].to_vec();
    let journal = match forged {
        Forged::OtherKey => all_durable((bytes, outboard), &names, &other),
        Forged::Unsealed => unsealed(&all_durable((bytes, outboard), &names, &other), 2),
        Forged::AddedTo => {
            [&true_header[..], &all_durable((bytes, outboard), &names, &other)[HEADER..]].concat()
        }
        Forged::Transplanted => {
            let elsewhere = WorkingNames { part: bench.path("no"), journal: bench.path("no") };
            [&true_header[..], &all_durable((bytes, outboard), &elsewhere, &key())[HEADER..]].concat()
        }
        Forged::OfAnother => {
            let elsewhere = WorkingNames { part: bench.path("no"), journal: bench.path("no") };
            all_durable((bytes, outboard), &elsewhere, &key())
        }
        Forged::PutBack => {
            let copy = bench.path("copy");
            rewrite(&copy, &all_durable((bytes, outboard), &names, &key()));
            fs::rename(copy, &names.journal).unwrap();
            return bench;
        }
        Forged::Noise => [b"riffle\x03\0", &test_bytes(HEADER + 3 * RECORD)[..]].concat(),
    };
    rewrite(&names.journal, &journal);
    bench
}

/// Goes on with what was found, to the end: the file is the content, and ours as any new one.
fn finishes(bench: &mut Bench, (bytes, outboard): (&[u8], &Arc<Outboard>), have: &[Range<u32>]) {
    for piece in (0..PIECES).filter(|piece| !have.iter().any(|run| run.contains(piece))) {
        bench.store_all(outboard, bytes, piece..piece + 1);
    }
    bench.finish().unwrap();
    assert!(fs::read(bench.path("f")).unwrap() == bytes, "other bytes got the name");
    is_ours_as_any_new_file(bench);
}

fn is_ours_as_any_new_file(bench: &Bench) {
    let found = fs::symlink_metadata(bench.path("f")).unwrap();
    let mode = mode_of_new_file(bench.folder.path());
    assert_eq!((found.uid(), found.mode() & 0o777, found.nlink()), (user(), mode, 1));
}

#[test]
fn a_forged_journal_is_not_believed_and_what_is_right_is_kept_all_the_same() {
    let (bytes, outboard) = content();
    for forged in FORGED {
        let mut bench = plant(Bench::new(), (&bytes, &outboard), forged);
        let (have, again) = bench.resumed(&outboard);
        let hashed = again.map(|again| (again.bytes, again.why));
        match forged {
            // It does not tell of any piece of this content.
            Forged::Noise => assert_eq!((have.clone(), hashed), (vec![], None), "{forged:?}"),
            _ => {
                assert_eq!(have, [0..2, 3..6], "{forged:?}");
                let why = match forged {
                    // The header is ours, and its records end at once.
                    Forged::AddedTo | Forged::Transplanted => RecheckReason::Damaged,
                    _ => RecheckReason::Unsealed,
                };
                assert_eq!(hashed, Some((outboard.layout().length(), why)), "{forged:?}");
            }
        }
        finishes(&mut bench, (&bytes, &outboard), &have);
    }
}

#[test]
fn what_another_life_without_the_secret_has_fetched_is_hashed_and_not_fetched_again() {
    let (bytes, outboard) = content();
    let mut bench = Bench::new();
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 1..4);
    let mut bench = bench.restarted();
    bench.disk.seal_under(JournalKey::of_secret(&[9; 32]).into());
    let again = HashedAgain { bytes: 3 * PIECE as u64, why: RecheckReason::Unsealed };
    assert_eq!(bench.resumed(&outboard), (vec![1..4], Some(again)));
    assert_eq!(bench.names(), ["journal", "part"]);
    let mut bench = bench.restarted();
    bench.disk.seal_under(JournalKey::of_secret(&[9; 32]).into());
    assert_eq!(bench.resumed(&outboard), (vec![1..4], None), "and is known from then on");
    finishes(&mut bench, (&bytes, &outboard), &[1..4]);
    assert_eq!(bench.names(), ["f"]);
}

/// How a file comes to be one that others can have written to.
type Open = fn(&Bench, &Path);

fn ways_to_be_others() -> Vec<Open> {
    let mut ways: Vec<Open> = vec![
        |_, path| fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap(),
        |_, path| fs::set_permissions(path, fs::Permissions::from_mode(0o606)).unwrap(),
        |_, path| fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap(),
        |bench, path| fs::hard_link(path, bench.path("thesis")).unwrap(),
        |bench, path| {
            fs::rename(path, bench.path("thesis")).unwrap();
            std::os::unix::fs::symlink("thesis", path).unwrap();
        },
    ];
    if user() == 0 {
        ways.push(|_, path| std::os::unix::fs::chown(path, Some(1000), None).unwrap());
    }
    ways
}

/// All that can be told of what stands at `path`.
fn picture(path: &Path) -> (u64, u32, u32, u64, Vec<u8>) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.ino(), found.uid(), found.mode(), found.nlink(), fs::read(path).unwrap())
}

#[test]
fn working_files_that_others_can_have_written_to_stand_in_the_way_and_stay() {
    let (bytes, outboard) = content();
    for (way, open) in ways_to_be_others().into_iter().enumerate() {
        for is_part in [true, false] {
            let mut bench = Bench::new();
            bench.open(&outboard).unwrap();
            bench.store_all(&outboard, &bytes, 1..4);
            let mut bench = bench.restarted();
            let names = bench.working(&outboard);
            open(&bench, if is_part { &names.part } else { &names.journal });
            let before = [picture(&names.part), picture(&names.journal)];
            assert_eq!(bench.resumed(&outboard), (vec![], None), "{way} {is_part}");
            assert!(bench.names().contains(&"part-2".to_owned()), "{way} {is_part}");
            finishes(&mut bench, (&bytes, &outboard), &[]);
            assert!([picture(&names.part), picture(&names.journal)] == before, "{way} {is_part}");
        }
    }
}

#[test]
fn a_journal_without_its_part_file_is_replaced_only_when_it_is_ours() {
    let (bytes, outboard) = content();
    for forged in FORGED {
        let bench = plant(Bench::new(), (&bytes, &outboard), forged);
        let names = bench.working(&outboard);
        fs::remove_file(&names.part).unwrap();
        let before = picture(&names.journal);
        let mut bench = bench;
        assert_eq!(bench.resumed(&outboard), (vec![], None), "{forged:?}");
        let is_ours = matches!(forged, Forged::AddedTo | Forged::Transplanted);
        let expected: &[&str] =
            if is_ours { &["journal", "part"] } else { &["journal", "journal-2", "part-2"] };
        assert_eq!(bench.names(), expected, "{forged:?}");
        assert!(is_ours || picture(&names.journal) == before, "{forged:?}");
        finishes(&mut bench, (&bytes, &outboard), &[]);
    }
}

#[test]
fn where_files_have_no_owners_everything_is_hashed_and_nothing_is_fetched_again() {
    let (bytes, outboard) = content();
    let mut bench = Bench::new();
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 1..4);
    let mut bench = bench.restarted();
    let names = bench.working(&outboard);
    for path in [&names.part, &names.journal] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    // As on a stick: a file of ours looks no different.
    bench.disk.settings.calls.plan(&[(Call::Owner, Fault::Fails(libc::EPERM))]);
    let (have, again) = bench.resumed(&outboard);
    assert_eq!(have, [1..4]);
    assert_eq!(again.map(|again| again.bytes), Some(3 * PIECE as u64));
    assert!(bench.disk.settings.calls.is_over());
    finishes(&mut bench, (&bytes, &outboard), &have);
    assert_eq!(bench.names(), ["f"]);
}

#[test]
fn working_files_are_for_their_owner_alone_and_the_finished_one_is_as_any_new_one() {
    for length in [5, PIECE, 3 * PIECE] {
        let mut bench = Bench::new();
        let bytes = test_bytes(length);
        let outboard = described(&bytes);
        bench.open(&outboard).unwrap();
        if length > PIECE {
            let WorkingNames { part, journal } = bench.working(&outboard);
            for path in [part, journal] {
                assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "{path:?}");
            }
        }
        bench.store_all(&outboard, &bytes, 0..outboard.layout().pieces());
        bench.finish().unwrap();
        is_ours_as_any_new_file(&bench);
    }
}

/// What befalls the working files, one after the other.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Forge(usize),
    /// Some byte of the part file becomes another, and its time stays.
    Damage(usize),
    OpenPart(usize),
    OpenJournal(usize),
    OtherKey,
    SwapNames,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        (0..FORGED.len()).prop_map(Mishap::Forge),
        (0..PIECES as usize * PIECE - 77).prop_map(Mishap::Damage),
        (0..6usize).prop_map(Mishap::OpenPart),
        (0..6usize).prop_map(Mishap::OpenJournal),
        Just(Mishap::OtherKey),
        Just(Mishap::SwapNames),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_in_the_working_files_before_the_finished_file_is_the_content(
        forged in 0..FORGED.len(),
        mishaps in proptest::collection::vec(mishap(), 0..4),
    ) {
        let (bytes, outboard) = content();
        let mut bench = plant(Bench::new(), (&bytes, &outboard), FORGED[forged]);
        let names = bench.working(&outboard);
        let ways = ways_to_be_others();
        for mishap in mishaps {
            let open = |way: usize, path: &Path| {
                if fs::symlink_metadata(path).is_ok() && !bench.path("thesis").exists() {
                    ways[way % ways.len()](&bench, path);
                }
            };
            match mishap {
                Mishap::Forge(forged) if bench.names() == ["journal", "part"] => {
                    bench = plant(bench, (&bytes, &outboard), FORGED[forged]);
                }
                Mishap::Forge(_) => {}
                Mishap::Damage(at) => {
                    let file = fs::OpenOptions::new().write(true).open(&names.part).unwrap();
                    let time = file.metadata().unwrap().modified().unwrap();
                    file.write_all_at(&[!bytes[at]], at as u64).unwrap();
                    file.set_modified(time).unwrap();
                }
                Mishap::OpenPart(way) => open(way, &names.part),
                Mishap::OpenJournal(way) => open(way, &names.journal),
                Mishap::OtherKey => bench.disk.seal_under(JournalKey::of_secret(&[3; 32]).into()),
                Mishap::SwapNames => {
                    fs::rename(&names.part, bench.path("swap")).unwrap();
                    fs::rename(&names.journal, &names.part).unwrap();
                    fs::rename(bench.path("swap"), &names.journal).unwrap();
                }
            }
        }
        let have = bench.have(&outboard);
        finishes(&mut bench, (&bytes, &outboard), &have);
    }
}
