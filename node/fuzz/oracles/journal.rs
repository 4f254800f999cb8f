//! Any bytes as a journal, and any records in a journal that is whole, cut, of another boot or under another's seal.

use std::collections::BTreeMap;

use messages::{ContentId, PieceIndex};
use riffle_core::RecheckReason;

use super::{
    BootId, Durability, FileMark, HEADER, JournalContents, JournalHeader, JournalKey, RECORD, Record,
    Recovered,
};

const NOW: JournalHeader = JournalHeader {
    content: ContentId::from_bytes([7; 32]),
    length: 5 << 20,
    boot: BootId([3; 16]),
    part: FileMark { inode: 9, made: 1 << 60 },
    journal: FileMark { inode: 8, made: 1 << 60 },
};
const PIECES: u32 = 20;
/// Bytes of a script that make one record.
const RECORD_SCRIPT: usize = 3;

/// What is believed is what a naive reading says, and nothing when the part file itself is in doubt.
pub(crate) fn hold(bytes: &[u8]) {
    let key = JournalKey::of_secret(&[1; 32]);
    for part in [None, Some(RecheckReason::Changed)] {
        for contents in
            [JournalContents::read(bytes, PIECES, &key), JournalContents::read_oldest(bytes, PIECES)]
        {
            let Ok(contents) = contents else { continue };
            assert!(contents.listed_pieces().count() <= PIECES as usize);
            let recovered = contents.recover(&NOW, part);
            is_sound(&recovered, part);
            assert!(contents.is_sealed || recovered.trusted.is_empty(), "what nobody has sealed is trusted");
        }
        hold_records(bytes, part, &key);
    }
}

/// Pieces of the content, each once, in order.
fn is_sound(recovered: &Recovered, part: Option<RecheckReason>) {
    let trusted = || recovered.trusted.iter().map(|(piece, _)| *piece);
    let doubtful = || recovered.doubtful.iter().copied();
    let unknown = || recovered.unknown.iter().copied();
    for list in [trusted().collect::<Vec<_>>(), doubtful().collect(), unknown().collect()] {
        assert!(
            list.is_sorted_by(|one, next| one < next) && list.iter().all(|piece| piece.0 < PIECES),
            "{list:?}"
        );
    }
    let mut all: Vec<PieceIndex> = trusted().chain(doubtful()).chain(unknown()).collect();
    all.sort();
    assert!(all.is_sorted_by(|one, next| one < next), "a piece is two things: {recovered:?}");
    assert!(part.is_none() || recovered.trusted.is_empty(), "a part file in doubt is trusted");
    assert!(recovered.doubt.is_some() || (recovered.doubtful.is_empty() && recovered.unknown.is_empty()));
}

/// A journal that `script` makes: its boot, where it is cut, and its records.
fn hold_records(script: &[u8], part: Option<RecheckReason>, key: &JournalKey) {
    let Some((&[boot, cut, torn], rest)) = script.split_first_chunk::<3>() else { return };
    let same_boot = boot & 1 == 0;
    let boot = if same_boot { NOW.boot } else { BootId([4; 16]) };
    let mut bytes = Vec::new();
    let mut chain = JournalHeader { boot, ..NOW }.encode(&mut bytes, key);
    assert_eq!(bytes.len(), HEADER);
    let (records, _) = rest.as_chunks::<RECORD_SCRIPT>();
    let records: Vec<Record> = records.iter().map(record).collect();
    records.iter().for_each(|record| record.encode(&mut bytes, &mut chain));
    assert_eq!(bytes.len(), HEADER + records.len() * RECORD);
    let whole = bytes.len();
    if torn & 1 == 1 {
        bytes.truncate(whole.saturating_sub(cut.into()).max(HEADER));
    }
    let readable = (bytes.len() - HEADER) / RECORD;
    let recover = |key| JournalContents::read(&bytes, PIECES, key).expect("a header").recover(&NOW, part);
    let recovered = recover(key);
    is_sound(&recovered, part);
    let stranger = recover(&JournalKey::of_secret(&[2; 32]));
    assert_eq!(stranger, Recovered::nothing(PIECES, RecheckReason::Unsealed), "another's seal");

    let mut contents: BTreeMap<u32, Record> = BTreeMap::new();
    let mut damaged = !(bytes.len() - HEADER).is_multiple_of(RECORD);
    for record in &records[..readable] {
        if record.piece.0 >= PIECES {
            damaged = true;
            break;
        }
        let before = contents.get(&record.piece.0).map(|before| before.durability);
        if !(before == Some(Durability::Durable) && record.durability == Durability::Written) {
            contents.insert(record.piece.0, *record);
        }
    }
    let believed = |record: &&Record| {
        part.is_none()
            && match record.durability {
                Durability::Written => same_boot,
                Durability::Durable => true,
                Durability::Doubtful => false,
            }
    };
    let trusted: Vec<_> =
        contents.values().filter(believed).map(|record| (record.piece, record.value)).collect();
    assert_eq!(recovered.trusted, trusted);
    assert_eq!(recovered.trusted.len() + recovered.doubtful.len(), contents.len());
    let complete = same_boot && !damaged;
    assert!(!complete || recovered.unknown.is_empty());
    assert!(complete || recovered.unknown.len() == PIECES as usize - contents.len());
}

fn record(&[durability, piece, value]: &[u8; RECORD_SCRIPT]) -> Record {
    let durability = match durability % 3 {
        0 => Durability::Written,
        1 => Durability::Durable,
        _ => Durability::Doubtful,
    };
    // One in eight is of no piece of the content.
    let piece = if piece >= 224 { PIECES + u32::from(piece) } else { u32::from(piece) % PIECES };
    Record { durability, piece: PieceIndex(piece), value: [value; 32] }
}
