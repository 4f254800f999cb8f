//! What a journal says after it was cut, damaged or moved to another boot.

use super::*;

const NOW: JournalHeader =
    JournalHeader { content: ContentId::from_bytes([7; 32]), length: 5 << 20, boot: BootId([3; 16]) };
const PIECES: u32 = 20;

fn record(kept: Kept, piece: u32) -> Record {
    Record { kept, piece: PieceIndex(piece), subtree: [piece as u8; 32] }
}

fn written_to(folder: &Path, records: &[Record]) -> Vec<u8> {
    let path = folder.join("f.riffle");
    let (first, more) = records.split_at(records.len().min(1));
    let mut journal = Journal::create(&path, &NOW, first).unwrap();
    more.iter().for_each(|record| journal.append(&[*record]).unwrap());
    std::fs::read(path).unwrap()
}

fn trusted(recovered: &Recovered) -> Vec<u32> {
    recovered.trusted.iter().map(|(piece, _)| piece.0).collect()
}

fn doubtful(recovered: &Recovered) -> Vec<u32> {
    recovered.doubtful.iter().map(|piece| piece.0).collect()
}

#[test]
fn what_was_said_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let records = [record(Kept::Written, 4), record(Kept::Durable, 1), record(Kept::Written, 1)];
    let bytes = written_to(folder.path(), &records);
    assert_eq!(bytes.len(), HEADER + 3 * RECORD);
    let recovered = recover(&bytes, &NOW, PIECES, true).unwrap();
    assert_eq!(recovered.trusted, [(PieceIndex(1), [1; 32]), (PieceIndex(4), [4; 32])]);
    assert_eq!(recovered.doubtful, []);
}

#[test]
fn a_torn_tail_loses_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let records = [record(Kept::Written, 0), record(Kept::Written, 1), record(Kept::Written, 2)];
    let bytes = written_to(folder.path(), &records);
    for length in HEADER..bytes.len() {
        let whole = ((length - HEADER) / RECORD) as u32;
        let recovered = recover(&bytes[..length], &NOW, PIECES, true).unwrap();
        assert_eq!(trusted(&recovered), (0..whole).collect::<Vec<_>>());
    }
    for length in 0..HEADER {
        assert_eq!(recover(&bytes[..length], &NOW, PIECES, true), None);
    }
}

#[test]
fn any_flipped_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written_to(folder.path(), &[record(Kept::Durable, 0), record(Kept::Durable, 1)]);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        let recovered = recover(&damaged, &NOW, PIECES, true);
        match at.checked_sub(HEADER) {
            None => assert_eq!(recovered, None, "{at}"),
            Some(at) => assert_eq!(trusted(&recovered.unwrap()).len(), at / RECORD, "{at}"),
        }
    }
}

#[test]
fn another_boot_makes_the_merely_written_doubtful() {
    let folder = tempfile::tempdir().unwrap();
    let records = [record(Kept::Written, 0), record(Kept::Written, 1), record(Kept::Durable, 1)];
    let bytes = written_to(folder.path(), &records);
    let rebooted = JournalHeader { boot: BootId([4; 16]), ..NOW };
    let recovered = recover(&bytes, &rebooted, PIECES, true).unwrap();
    assert_eq!((trusted(&recovered), doubtful(&recovered)), (vec![1], vec![0]));
}

#[test]
fn a_part_file_that_was_touched_makes_everything_doubtful() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written_to(folder.path(), &[record(Kept::Written, 0), record(Kept::Durable, 1)]);
    let recovered = recover(&bytes, &NOW, PIECES, false).unwrap();
    assert_eq!((trusted(&recovered), doubtful(&recovered)), (vec![], vec![0, 1]));
}

#[test]
fn the_journal_of_another_content_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written_to(folder.path(), &[record(Kept::Written, 0)]);
    let other = JournalHeader { content: ContentId::from_bytes([8; 32]), ..NOW };
    assert_eq!(recover(&bytes, &other, PIECES, true), None);
    let longer = JournalHeader { length: NOW.length + 1, ..NOW };
    assert_eq!(recover(&bytes, &longer, PIECES, true), None);
}

#[test]
fn pieces_that_the_content_does_not_have_end_the_reading() {
    let folder = tempfile::tempdir().unwrap();
    let records = [record(Kept::Written, 3), record(Kept::Written, PIECES), record(Kept::Written, 5)];
    let bytes = written_to(folder.path(), &records);
    assert_eq!(trusted(&recover(&bytes, &NOW, PIECES, true).unwrap()), [3]);
}
