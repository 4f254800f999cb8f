//! What a journal says after it was cut, damaged or moved to another boot.

use messages::{ContentId, PieceIndex};
use riffle_core::RecheckReason;

use super::*;
use crate::driver::disk::journal::records::{Durability, Recovered, VERSION_AT};

const NOW: JournalHeader = JournalHeader {
    content: ContentId::from_bytes([7; 32]),
    length: 5 << 20,
    boot: BootId([3; 16]),
    part: FileMark { inode: 9, made: 1 << 60 },
    journal: FileMark::NONE,
};
const PIECES: u32 = 20;

fn key() -> JournalKey {
    JournalKey::of_secret(&[1; 32])
}

/// Makes a journal at `path`, over nothing.
fn create(path: &Path, header: &JournalHeader, records: &[Record]) -> Journal {
    let mut destination = JournalDestination { path: path.to_owned(), replaces: None };
    let journal_settings = JournalSettings { pieces: PIECES, calls: &DiskCalls::default(), key: &key() };
    Journal::create(&mut destination, header, records, journal_settings).unwrap()
}

/// What is believed of a journal's bytes under `now`.
fn recover(bytes: &[u8], now: &JournalHeader, part: Option<RecheckReason>) -> Recovered {
    match JournalContents::read(bytes, PIECES, &key()) {
        Ok(contents) => contents.recover(now, part),
        Err(why) => Recovered::nothing(PIECES, why),
    }
}

fn record(durability: Durability, piece: u32) -> Record {
    Record { durability, piece: PieceIndex(piece), value: [piece as u8; 32] }
}

fn written_to(folder: &Path, records: &[Record]) -> Vec<u8> {
    let path = folder.join("f.riffle");
    let _ = std::fs::remove_file(&path);
    let (first, more) = records.split_at(records.len().min(1));
    let mut journal = create(&path, &NOW, first);
    more.iter().for_each(|record| journal.append(&[*record]).unwrap());
    std::fs::read(path).unwrap()
}

fn trusted(recovered: &Recovered) -> Vec<u32> {
    recovered.trusted.iter().map(|(piece, _)| piece.0).collect()
}

fn numbers(pieces: &[PieceIndex]) -> Vec<u32> {
    pieces.iter().map(|piece| piece.0).collect()
}

#[test]
fn what_was_said_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [record(Durability::Written, 4), record(Durability::Durable, 1), record(Durability::Written, 1)];
    let bytes = written_to(folder.path(), &records);
    assert_eq!(bytes.len(), HEADER + 3 * RECORD);
    let recovered = recover(&bytes, &NOW, None);
    assert_eq!(recovered.trusted, [(PieceIndex(1), [1; 32]), (PieceIndex(4), [4; 32])]);
    assert_eq!((recovered.doubtful, recovered.unknown, recovered.doubt), (vec![], vec![], None));
}

#[test]
fn a_journal_that_starts_over_tells_whose_the_part_is_and_what_comes_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.riffle");
    let records = [record(Durability::Written, 4), record(Durability::Written, 5)];
    let mut journal = create(&path, &NOW, &records);
    journal.start_over().unwrap();
    let header = JournalContents::read(&std::fs::read(&path).unwrap(), PIECES, &key()).unwrap().header;
    let itself = FileMark::of(&File::open(&path).unwrap());
    assert_eq!(header, JournalHeader { journal: itself, ..NOW });
    journal.append(&[record(Durability::Durable, 1)]).unwrap();
    let recovered = recover(&std::fs::read(&path).unwrap(), &NOW, None);
    assert_eq!((trusted(&recovered), recovered.doubt), (vec![1], None));
}

#[test]
fn a_torn_tail_leaves_to_be_looked_at_what_it_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [record(Durability::Written, 0), record(Durability::Written, 1), record(Durability::Written, 2)];
    let bytes = written_to(folder.path(), &records);
    for length in HEADER..bytes.len() {
        let whole = ((length - HEADER) / RECORD) as u32;
        let torn = !(length - HEADER).is_multiple_of(RECORD);
        let recovered = recover(&bytes[..length], &NOW, None);
        assert_eq!(trusted(&recovered), (0..whole).collect::<Vec<_>>());
        assert_eq!(recovered.doubt, torn.then_some(RecheckReason::Damaged));
        let unknown = if torn { (whole..PIECES).collect() } else { vec![] };
        assert_eq!(numbers(&recovered.unknown), unknown);
    }
    for length in 0..HEADER {
        assert_eq!(recover(&bytes[..length], &NOW, None), Recovered::nothing(PIECES, RecheckReason::Damaged));
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written_to(folder.path(), &[record(Durability::Durable, 0), record(Durability::Durable, 1)]);
    for bit in 0..8 * bytes.len() {
        let (at, mut damaged) = (bit / 8, bytes.clone());
        damaged[at] ^= 1 << (bit % 8);
        let recovered = recover(&damaged, &NOW, None);
        match at.checked_sub(HEADER) {
            None => assert_eq!((trusted(&recovered), recovered.unknown.len()), (vec![], PIECES as usize)),
            Some(at) => assert_eq!(trusted(&recovered).len(), at / RECORD, "{bit}"),
        }
        let why = match at {
            // The version before this one had checksums, which do not hold.
            VERSION_AT if damaged[at] == 2 => RecheckReason::Damaged,
            VERSION_AT => RecheckReason::OtherVersion,
            8..48 => RecheckReason::OtherContent,
            48..HEADER => RecheckReason::Unsealed,
            _ => RecheckReason::Damaged,
        };
        assert_eq!(recovered.doubt, Some(why), "{bit}");
    }
}

#[test]
fn another_boot_makes_the_merely_written_doubtful_and_what_it_may_have_forgotten_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [record(Durability::Written, 0), record(Durability::Written, 1), record(Durability::Durable, 1)];
    let bytes = written_to(folder.path(), &records);
    let rebooted = JournalHeader { boot: BootId([4; 16]), ..NOW };
    let recovered = recover(&bytes, &rebooted, None);
    assert_eq!((trusted(&recovered), numbers(&recovered.doubtful)), (vec![1], vec![0]));
    assert_eq!(numbers(&recovered.unknown), (2..PIECES).collect::<Vec<_>>());
    assert_eq!(recovered.doubt, Some(RecheckReason::Restarted));
}

#[test]
fn a_system_without_boot_ids_never_believes_the_merely_written() {
    let folder = tempfile::tempdir().unwrap();
    let unnumbered = JournalHeader { boot: BootId([0; 16]), ..NOW };
    let records = [record(Durability::Written, 0), record(Durability::Durable, 1)];
    create(&folder.path().join("f.riffle"), &unnumbered, &records);
    let bytes = std::fs::read(folder.path().join("f.riffle")).unwrap();
    assert_eq!(trusted(&recover(&bytes, &unnumbered, None)), [1]);
}

#[test]
fn a_part_file_that_was_touched_makes_everything_doubtful() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written_to(folder.path(), &[record(Durability::Written, 0), record(Durability::Durable, 1)]);
    for why in [RecheckReason::Changed, RecheckReason::Shorter] {
        let recovered = recover(&bytes, &NOW, Some(why));
        assert_eq!((trusted(&recovered), numbers(&recovered.doubtful)), (vec![], vec![0, 1]));
        assert_eq!((recovered.unknown, recovered.doubt), (vec![], Some(why)));
    }
}

#[test]
fn the_journal_of_another_content_or_version_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = written_to(folder.path(), &[record(Durability::Written, 0)]);
    let other = JournalHeader { content: ContentId::from_bytes([8; 32]), ..NOW };
    let nothing = |why| Recovered::nothing(PIECES, why);
    assert_eq!(recover(&bytes, &other, None), nothing(RecheckReason::OtherContent));
    let longer = JournalHeader { length: NOW.length + 1, ..NOW };
    assert_eq!(recover(&bytes, &longer, None), nothing(RecheckReason::OtherContent));
    bytes[VERSION_AT] += 1;
    assert_eq!(recover(&bytes, &NOW, None), nothing(RecheckReason::OtherVersion));
}

#[test]
fn pieces_that_the_content_does_not_have_end_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [record(Durability::Written, 3), record(Durability::Written, PIECES), record(Durability::Written, 5)];
    let bytes = written_to(folder.path(), &records);
    let recovered = recover(&bytes, &NOW, None);
    assert_eq!((trusted(&recovered), recovered.doubt), (vec![3], Some(RecheckReason::Damaged)));
}

#[test]
fn the_last_word_on_a_piece_counts_but_durable_is_not_taken_back_by_written() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = [Durability::Written, Durability::Durable, Durability::Doubtful];
    for first in kinds {
        for last in kinds {
            let bytes = written_to(folder.path(), &[record(first, 2), record(last, 2)]);
            let recovered = recover(&bytes, &NOW, None);
            let believed = last != Durability::Doubtful;
            assert_eq!(trusted(&recovered), if believed { vec![2] } else { vec![] }, "{first:?} {last:?}");
            assert_eq!(recovered.doubt, (!believed).then_some(RecheckReason::WriteFailed));
            let rebooted = JournalHeader { boot: BootId([4; 16]), ..NOW };
            let durable = believed && (first == Durability::Durable || last == Durability::Durable);
            let recovered = recover(&bytes, &rebooted, None);
            // Doubt comes before: what was durable once and failed since is written anew, and looked at.
            let taken_back = first == Durability::Doubtful && last == Durability::Written;
            let expected = if durable && !taken_back { vec![2] } else { vec![] };
            assert_eq!(trusted(&recovered), expected, "{first:?} {last:?}");
        }
    }
}

#[test]
fn what_another_key_has_sealed_tells_where_to_look_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [record(Durability::Doubtful, 1), record(Durability::Written, 4), record(Durability::Durable, 7)];
    let bytes = written_to(folder.path(), &records);
    let contents = JournalContents::read(&bytes, PIECES, &JournalKey::of_secret(&[2; 32])).unwrap();
    assert!(!contents.is_sealed);
    assert_eq!(numbers(&contents.listed_pieces().collect::<Vec<_>>()), [4, 7, 1], "the surest first");
    assert_eq!(contents.recover(&NOW, None), Recovered::nothing(PIECES, RecheckReason::Unsealed));
}

#[test]
fn records_of_another_journal_are_not_ours_though_our_key_has_sealed_them() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = written_to(folder.path(), &[record(Durability::Written, 0), record(Durability::Durable, 9)]);
    let ours = written_to(folder.path(), &[record(Durability::Written, 0)]);
    let last = ours.len();
    assert_eq!(theirs[HEADER..HEADER + 37], ours[HEADER..HEADER + 37]);
    let forged = [&ours[..], &theirs[last..]].concat();
    let recovered = recover(&forged, &NOW, None);
    assert_eq!((trusted(&recovered), recovered.doubt), (vec![0], Some(RecheckReason::Damaged)));
    // Nor is one that was said before, once more.
    let again = [&ours[..], &ours[HEADER..]].concat();
    assert_eq!(recover(&again, &NOW, None).doubt, Some(RecheckReason::Damaged));
}

#[test]
fn nothing_is_replaced_but_the_file_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.riffle");
    std::fs::write(&path, "mine").unwrap();
    let (calls, key) = (DiskCalls::default(), key());
    let journal_settings = JournalSettings { pieces: PIECES, calls: &calls, key: &key };
    let other = File::open(folder.path()).unwrap();
    for replaces in [None, file_number(&other)] {
        let mut destination = JournalDestination { path: path.clone(), replaces };
        let refused = Journal::create(&mut destination, &NOW, &[], journal_settings).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
    std::fs::remove_file(&path).unwrap();
    let mut destination = JournalDestination { path: path.clone(), replaces: None };
    Journal::create(&mut destination, &NOW, &[], journal_settings).unwrap();
    Journal::create(&mut destination, &NOW, &[record(Durability::Written, 3)], journal_settings).unwrap();
    assert_eq!(trusted(&recover(&std::fs::read(&path).unwrap(), &NOW, None)), [3]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no half a one stays");
}
