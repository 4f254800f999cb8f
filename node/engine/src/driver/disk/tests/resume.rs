//! What is believed of a part file after a kill, a loss of power, damage and meddling: never a byte that is not there.
#![expect(clippy::single_range_in_vec_init, reason = "runs of pieces, of which there may be one")]

use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::driver::disk::file_owner::FileOwner;
use crate::driver::disk::journal::records::{BootId, Durability, FileMark, Record};
use crate::driver::disk::journal::{JournalDestination, JournalSettings};
use crate::driver::disk::part::resume::OldJournal;

const PIECES: u32 = 6;

/// Pieces of `PIECES`, of which 1, 2 and 5 are stored; then the process was killed.
fn killed() -> (Bench, Vec<u8>, Arc<Outboard>) {
    let mut bench = Bench::new();
    let bytes = test_bytes(PIECES as usize * PIECE - 77);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    for piece in [5, 1, 2] {
        bench.store_all(&outboard, &bytes, piece..piece + 1);
    }
    (bench.restarted(), bytes, outboard)
}

/// Which pieces the part file really has.
fn truth(part: &Path, outboard: &Outboard) -> Vec<u32> {
    let bytes = fs::read(part).unwrap_or_default();
    let right = |piece: &u32| {
        let (layout, piece) = (outboard.layout(), PieceIndex(*piece));
        let span = layout.span(piece).unwrap();
        let found = bytes.get(span.start as usize..span.end as usize);
        found.is_some_and(|found| outboard.value(piece) == Some(&piece_value(layout, piece, found)))
    };
    (0..outboard.layout().pieces()).filter(right).collect()
}

fn record(outboard: &Outboard, durability: Durability, piece: u32) -> Record {
    let piece = PieceIndex(piece);
    Record { durability, piece, value: *outboard.value(piece).unwrap() }
}

fn flat(runs: &[Range<u32>]) -> Vec<u32> {
    runs.iter().cloned().flatten().collect()
}

/// Changes a file's bytes, and leaves its time as it was.
fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    file.set_modified(time).unwrap();
}

/// Writes over some bytes and leaves the file's time as it was; reads nothing, so that holes stay holes.
fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
    file.set_modified(time).unwrap();
}

/// The machine was restarted: the journal is of another boot.
fn restart_the_machine(bench: &Bench, outboard: &Outboard) {
    edit(&bench.working(outboard).journal, |journal| {
        *journal = resealed(journal, |header| header.boot.0[0] ^= 1);
    });
}

fn length_of(outboard: &Outboard, pieces: &[u32]) -> u64 {
    pieces.iter().map(|piece| u64::from(outboard.layout().piece_length(PieceIndex(*piece)))).sum()
}

#[test]
fn after_a_kill_nothing_is_hashed_and_nothing_is_fetched_again() {
    let (mut bench, bytes, outboard) = killed();
    assert_eq!(bench.resumed(&outboard), (vec![1..3, 5..6], None));
    // And again, with more.
    bench.store_all(&outboard, &bytes, 0..1);
    let mut bench = bench.restarted();
    assert_eq!(bench.resumed(&outboard), (vec![0..3, 5..6], None));
    bench.store_all(&outboard, &bytes, 3..5);
    bench.finish().unwrap();
    assert_eq!(fs::read(bench.path("f")).unwrap(), bytes);
}

#[test]
fn after_a_loss_of_power_what_was_not_durable_is_hashed_and_what_was_is_not() {
    let mut settings = config::NodeSettings::default().disk;
    settings.sync_bytes = config::ByteSize::bytes(2 * PIECE as u64);
    let mut bench = Bench::with(tempfile::tempdir().unwrap(), settings);
    let bytes = test_bytes(PIECES as usize * PIECE);
    let outboard = described(&bytes);
    bench.open(&outboard).unwrap();
    bench.store_all(&outboard, &bytes, 0..5);
    let bench = bench.restarted();
    restart_the_machine(&bench, &outboard);
    let part = bench.working(&outboard).part;
    // Damage that nobody can know of tells what was hashed: 0 to 3 were durable.
    let at = 2 * PIECE;
    overwrite(&part, at, &[bytes[at] ^ 1]);
    let mut bench = bench;
    let again = HashedAgain { bytes: PIECE as u64, why: RecheckReason::Restarted };
    assert_eq!(bench.resumed(&outboard), (vec![0..5], Some(again)), "4 is hashed, and there");

    // The un-synced pages are gone with the power.
    overwrite(&part, at, &bytes[at..=at]);
    let mut bench = bench.restarted();
    bench.store_all_after_open(&outboard, &bytes, 5..6);
    let mut bench = bench.restarted();
    restart_the_machine(&bench, &outboard);
    overwrite(&part, 5 * PIECE, &[0; PIECE]);
    assert_eq!(bench.resumed(&outboard), (vec![0..5], Some(again)));
    assert_eq!(truth(&part, &outboard), [0, 1, 2, 3, 4]);
}

#[test]
fn a_record_that_was_lost_with_the_power_costs_a_look_and_no_fetch() {
    let (mut bench, _, outboard) = killed();
    restart_the_machine(&bench, &outboard);
    // The journal's own last page did not reach the disk; the piece did.
    edit(&bench.working(&outboard).journal, |journal| journal.truncate(HEADER + 2 * RECORD));
    let (have, again) = bench.resumed(&outboard);
    assert_eq!((have, again.unwrap().why), (vec![1..3, 5..6], RecheckReason::Restarted));
    assert!(again.unwrap().bytes >= length_of(&outboard, &[1, 2, 5]));
}

#[test]
fn each_way_of_meddling_is_named_and_costs_a_look_only() {
    type Tampering = fn(&Path, &Path);
    let ways: [(RecheckReason, &[u32], Tampering); 5] = [
        (RecheckReason::Damaged, &[1, 2, 5], |_, journal| edit(journal, |bytes| bytes[HEADER + RECORD] ^= 4)),
        (RecheckReason::Damaged, &[1, 2, 5], |_, journal| edit(journal, |bytes| bytes.truncate(HEADER + 1))),
        (RecheckReason::Shorter, &[1, 2], |part, _| edit(part, |bytes| bytes.truncate(5 * PIECE))),
        (RecheckReason::Changed, &[1, 2, 5], |part, _| edit(part, |bytes| bytes.extend([1, 2, 3]))),
        (RecheckReason::Changed, &[1, 5], |part, journal| {
            edit(part, |bytes| bytes[2 * PIECE] ^= 1);
            touch(part, journal, Duration::from_millis(2001));
        }),
    ];
    for (why, there, meddle) in ways {
        let (mut bench, bytes, outboard) = killed();
        meddle(&bench.working(&outboard).part, &bench.working(&outboard).journal);
        let (have, again) = bench.resumed(&outboard);
        assert_eq!((flat(&have), again.map(|again| again.why)), (there.to_vec(), Some(why)));
        let hashed = again.unwrap().bytes;
        assert!(hashed <= outboard.layout().length() && hashed >= length_of(&outboard, &[1]), "{hashed}");
        for piece in (0..PIECES).filter(|piece| !there.contains(piece)) {
            bench.store_all(&outboard, &bytes, piece..piece + 1);
        }
        bench.finish().unwrap();
        assert_eq!(fs::read(bench.path("f")).unwrap(), bytes, "{why}");
    }
}

/// As if the part file was written to this long after the journal.
fn touch(part: &Path, journal: &Path, after: Duration) {
    let written = fs::metadata(journal).unwrap().modified().unwrap();
    fs::File::options().write(true).open(part).unwrap().set_modified(written + after).unwrap();
}

#[test]
fn two_seconds_after_the_journal_are_the_slack() {
    for (after, why) in [(1_999, None), (2_000, None), (2_001, Some(RecheckReason::Changed))] {
        let (mut bench, _, outboard) = killed();
        touch(
            &bench.working(&outboard).part,
            &bench.working(&outboard).journal,
            Duration::from_millis(after),
        );
        let (have, again) = bench.resumed(&outboard);
        assert_eq!((have, again.map(|again| again.why)), (vec![1..3, 5..6], why), "{after}");
        assert!(again.is_none_or(|again| again.bytes == length_of(&outboard, &[1, 2, 5])));
    }
}

#[test]
fn a_shortened_part_file_is_not_believed_the_second_time_either() {
    let (mut bench, _, outboard) = killed();
    edit(&bench.working(&outboard).part, |part| part.truncate(2 * PIECE));
    let (target, existing) = (bench.path("f"), Existing::Keep);
    let (content, outboard) = (outboard.content(), outboard.clone());
    let wanted = outboard.clone();
    bench.ask(DiskRequest::Open {
        save: riffle_core::SaveOptions::default(),
        download: DOWNLOAD,
        share: SHARE,
        target,
        existing,
        select: Vec::new(),
        content,
        outboard: wanted,
    });
    // Killed before the pieces are hashed: the file has its length again by now, and looks untouched.
    bench.ask(DiskRequest::Abandon { download: DOWNLOAD });
    let mut bench = bench.restarted();
    assert_eq!(bench.have(&outboard), [1..2]);
}

#[test]
fn zeros_that_a_lost_record_told_of_are_not_fetched_again() {
    let mut bench = Bench::new();
    let mut bytes = vec![0; 4 * PIECE];
    bytes[3 * PIECE..].copy_from_slice(&test_bytes(PIECE));
    let outboard = described(&bytes);
    assert_eq!(bench.resumed(&outboard), (vec![], None), "nothing was there of a fresh one");
    bench.store_all(&outboard, &bytes, 0..2);
    bench.store_all(&outboard, &bytes, 3..4);
    let mut bench = bench.restarted();
    edit(&bench.working(&outboard).journal, |journal| journal.truncate(HEADER + 1));
    assert_eq!(bench.have(&outboard), [0..4], "zeros are there without being written");
}

/// What `recover` believes without hashing. All that is `there` is believed, or would be hashed.
fn believed(bench: &Bench, outboard: &Outboard, there: &[u32]) -> Vec<u32> {
    let part = fs::File::open(bench.working(outboard).part).unwrap();
    let (content, length) = (outboard.content(), outboard.layout().length());
    let (boot, mark) = (BootId::current(), FileMark::NONE);
    let header = JournalHeader { content, length, boot, part: mark, journal: mark };
    let metadata = part.metadata().unwrap();
    let read = |bytes: &[u8]| JournalContents::read(bytes, PIECES, &key());
    let path = bench.working(outboard).journal;
    // What is not a journal of this content stands in the way like anything else.
    let Some(journal) = OldJournal::read(&path, PIECES, read, |_| FileOwner::Ours).unwrap() else {
        return vec![];
    };
    let found = journal.recover((&part, &metadata), &header, outboard, false);
    let known: Vec<_> = found.trusted.iter().map(|(piece, _)| piece.0).collect();
    let mut listed_pieces = known.clone();
    listed_pieces.extend(found.doubtful.iter().map(|piece| piece.0));
    listed_pieces.sort_unstable();
    listed_pieces.dedup();
    assert_eq!(listed_pieces.len(), known.len() + found.doubtful.len(), "each piece once");
    for piece in there {
        assert!(listed_pieces.contains(piece), "{piece} is there, and would be fetched again");
    }
    known
}

#[test]
fn a_journal_cut_at_any_byte_or_with_any_bit_flipped_is_never_believed_too_much() {
    let (bench, _, outboard) = killed();
    let journal = fs::read(bench.working(&outboard).journal).unwrap();
    assert_eq!(journal.len(), HEADER + 3 * RECORD);
    let there = truth(&bench.working(&outboard).part, &outboard);
    assert_eq!(there, [1, 2, 5]);
    for length in (0..=journal.len()).rev() {
        let file = fs::OpenOptions::new().write(true).open(bench.working(&outboard).journal).unwrap();
        file.set_len(length as u64).unwrap();
        let whole = length.saturating_sub(HEADER) / RECORD;
        let mut expected = vec![5, 1, 2][..whole].to_vec();
        expected.sort_unstable();
        if length != HEADER + whole * RECORD {
            assert_eq!(believed(&bench, &outboard, &there), expected, "cut at {length}");
        }
    }
    fs::write(bench.working(&outboard).journal, &journal).unwrap();
    for bit in 0..8 * journal.len() {
        let at = bit / 8;
        overwrite(&bench.working(&outboard).journal, at, &[journal[at] ^ 1 << (bit % 8)]);
        let known = believed(&bench, &outboard, &there);
        assert!(known.iter().all(|piece| there.contains(piece)), "bit {bit}: {known:?}");
        assert!(known.len() < 3, "bit {bit} is noticed");
        overwrite(&bench.working(&outboard).journal, at, &journal[at..=at]);
    }
}

/// Something that befalls the files of a download that was killed.
#[derive(Clone, Debug)]
enum Mishap {
    Cut(usize),
    Flip(usize),
    Duplicate(usize),
    Swap(usize, usize),
    Restart,
    OtherContent,
    OtherLength,
    Shorten(usize),
    /// Some piece is overwritten, and the file's time shows it.
    Overwrite(u32),
    NoJournal,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        (0..200usize).prop_map(Mishap::Cut),
        (0..1600usize).prop_map(Mishap::Flip),
        (0..3usize).prop_map(Mishap::Duplicate),
        (0..3usize, 0..3usize).prop_map(|(a, b)| Mishap::Swap(a, b)),
        Just(Mishap::Restart),
        Just(Mishap::OtherContent),
        Just(Mishap::OtherLength),
        (0..PIECES as usize * PIECE).prop_map(Mishap::Shorten),
        (0..PIECES).prop_map(Mishap::Overwrite),
        Just(Mishap::NoJournal),
    ]
}

fn befall(bench: &Bench, outboard: &Outboard, mishap: &Mishap) {
    let WorkingNames { part, journal } = bench.working(outboard);
    if !journal.exists() || fs::metadata(&journal).unwrap().len() < HEADER as u64 {
        return;
    }
    let records = |bytes: &[u8]| (bytes.len() - HEADER) / RECORD;
    let record = |index: usize| HEADER + index * RECORD..HEADER + (index + 1) * RECORD;
    let header = |change: fn(&mut JournalHeader)| {
        edit(&journal, |bytes| {
            if JournalContents::read(bytes, PIECES, &key()).is_ok() {
                *bytes = resealed(bytes, change);
            }
        });
    };
    match *mishap {
        Mishap::Cut(length) => edit(&journal, |bytes| bytes.truncate(length)),
        Mishap::Flip(bit) => edit(&journal, |bytes| {
            let bit = bit % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }),
        Mishap::Duplicate(index) => edit(&journal, |bytes| {
            if index < records(bytes) {
                bytes.extend_from_within(record(index));
            }
        }),
        Mishap::Swap(a, b) => edit(&journal, |bytes| {
            if a.max(b) < records(bytes) {
                let durability = bytes[record(a)].to_vec();
                bytes.copy_within(record(b), record(a).start);
                bytes[record(b)].copy_from_slice(&durability);
            }
        }),
        Mishap::Restart => header(|header| header.boot.0[0] ^= 1),
        Mishap::OtherContent => header(|header| header.content = ContentId::from_bytes([1; 32])),
        Mishap::OtherLength => header(|header| header.length ^= 1),
        Mishap::Shorten(length) => edit(&part, |bytes| bytes.truncate(length)),
        Mishap::Overwrite(piece) => {
            edit(&part, |bytes| {
                if let Some(byte) = bytes.get_mut(piece as usize * PIECE + 9) {
                    *byte ^= 1;
                }
            });
            let later = SystemTime::now() + Duration::from_secs(60);
            fs::File::options().write(true).open(&part).unwrap().set_modified(later).unwrap();
        }
        Mishap::NoJournal => fs::remove_file(&journal).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_befalls_a_download_only_what_is_there_is_believed_and_the_whole_comes_out(
        mishaps in proptest::collection::vec(mishap(), 1..4),
    ) {
        let (mut bench, bytes, outboard) = killed();
        for mishap in &mishaps {
            befall(&bench, &outboard, mishap);
        }
        let there = truth(&bench.working(&outboard).part, &outboard);
        let have = flat(&bench.have(&outboard));
        prop_assert!(have.iter().all(|piece| there.contains(piece)), "{:?} of {:?}", have, there);
        for piece in (0..PIECES).filter(|piece| !have.contains(piece)) {
            bench.store_all(&outboard, &bytes, piece..piece + 1);
        }
        bench.finish().unwrap();
        prop_assert!(fs::read(bench.path("f")).unwrap() == bytes);
    }
}

#[test]
fn a_journal_that_names_more_than_once_is_read_to_its_last_word() {
    let (mut bench, _, outboard) = killed();
    let length = outboard.layout().length();
    let path = bench.working(&outboard).journal;
    let JournalContents { header, .. } =
        JournalContents::read(&fs::read(&path).unwrap(), PIECES, &key()).unwrap();
    assert_eq!((header.content, header.length), (outboard.content(), length));
    let record = |durability, piece| record(&outboard, durability, piece);
    let records =
        [record(Durability::Written, 1), record(Durability::Doubtful, 1), record(Durability::Doubtful, 5)];
    let calls = crate::driver::disk::fault_injection::DiskCalls::default();
    let mut place = JournalDestination {
        replaces: crate::platform::file_id::file_number(&fs::File::open(&path).unwrap()),
        path,
    };
    let journal_settings = JournalSettings { pieces: PIECES, calls: &calls, key: &key() };
    journal::Journal::create(&mut place, &header, &records, journal_settings).unwrap();
    let (have, again) = bench.resumed(&outboard);
    let hashed = length_of(&outboard, &[1, 5]);
    assert_eq!(have, [1..2, 5..6]);
    assert_eq!(again, Some(HashedAgain { bytes: hashed, why: RecheckReason::WriteFailed }));
}

#[test]
fn of_a_journal_that_is_too_long_to_be_read_nothing_is_believed() {
    for (times, is_believed) in [(5, true), (7, false)] {
        let (mut bench, _, outboard) = killed();
        let path = bench.working(&outboard).journal;
        let JournalContents { header, .. } =
            JournalContents::read(&fs::read(&path).unwrap(), PIECES, &key()).unwrap();
        let record = |durability, piece| record(&outboard, durability, piece);
        let mut records = vec![record(Durability::Written, 3); times * PIECES as usize];
        // It is not there, and the last word says so.
        records.extend([record(Durability::Written, 1), record(Durability::Doubtful, 3)]);
        let calls = crate::driver::disk::fault_injection::DiskCalls::default();
        let mut place = JournalDestination {
            replaces: crate::platform::file_id::file_number(&fs::File::open(&path).unwrap()),
            path,
        };
        let journal_settings = JournalSettings { pieces: PIECES, calls: &calls, key: &key() };
        journal::Journal::create(&mut place, &header, &records, journal_settings).unwrap();
        let (have, again) = bench.resumed(&outboard);
        let why = again.map(|again| again.why);
        let expected = match is_believed {
            true => (vec![1..2], Some(RecheckReason::WriteFailed)),
            false => (vec![1..3, 5..6], Some(RecheckReason::Damaged)),
        };
        assert_eq!((have, why), expected, "{times}");
    }
}
