//! What stands in a journal, as bytes: whose it is, and one record for each piece and how well it is kept, each under
//! its seal (`mac.rs`). Reading takes any bytes whatever. The file itself is in `mod.rs`.

use messages::{ChainingValue, ContentId, Outboard, PieceIndex};
use riffle_core::RecheckReason;

use super::mac::{Chain, JournalKey, SEAL};

/// The first bytes of all journals. The version follows.
const PROGRAM: &[u8; VERSION_AT] = b"riffle";
/// The offset of the version.
pub(crate) const VERSION_AT: usize = 6;
/// The version of journals as they are written.
const SEALED: u8 = 3;
/// The version of journals that nothing sealed but a CRC.
const UNSEALED: u8 = 2;
/// The version of journals from the time when working files had no names of their own. These marked no part file
/// either.
const OLDEST: u8 = 1;
/// Bytes of a header.
pub(crate) const HEADER: usize = BEGINNING + 2 * FileMark::BYTES + SEAL;
/// Bytes of what all headers have: program, version, pad, content, length, boot.
const BEGINNING: usize = VERSION_AT + 2 + 32 + 8 + 16;
/// Bytes of a record.
pub(crate) const RECORD: usize = RECORD_FIELDS + SEAL;
/// Bytes of what all records have: kind, piece, value.
const RECORD_FIELDS: usize = 1 + 4 + 32;
/// Bytes of a CRC.
const CRC: usize = 4;

/// What a journal is about, and under which boot of the machine its records `written` were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalHeader {
    /// The content.
    pub(crate) content: ContentId,
    /// The length of the content, in bytes.
    pub(crate) length: u64,
    /// The machine's boot.
    pub(crate) boot: BootId,
    /// The mark of the part file.
    pub(crate) part: FileMark,
    /// The mark of the journal's own file: a copy, or an older one that was put back, has another.
    pub(crate) journal: FileMark,
}

/// What tells one file from another that stands under its name later: the number of its inode and when it was made, in
/// nanoseconds since the epoch (0 where the file system does not say).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMark {
    /// The number of the inode.
    pub(crate) inode: u64,
    /// The time of making.
    pub(crate) made: u64,
}

impl FileMark {
    const BYTES: usize = 8 + 8;
    /// The mark of no file.
    pub(crate) const NONE: FileMark = FileMark { inode: 0, made: 0 };

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.inode.to_le_bytes());
        out.extend_from_slice(&self.made.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<(FileMark, &[u8])> {
        let (inode, rest) = bytes.split_first_chunk::<8>()?;
        let (made, rest) = rest.split_first_chunk::<8>()?;
        Some((FileMark { inode: u64::from_le_bytes(*inode), made: u64::from_le_bytes(*made) }, rest))
    }
}

/// One boot of this machine; zero where the system does not number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootId(pub(crate) [u8; 16]);

impl BootId {
    /// Whether what was written under `self` is still in the hands of the system that runs under `now`.
    fn is_still(self, now: BootId) -> bool {
        self == now && self.0 != [0; 16]
    }
}

/// How well a piece is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Durability {
    /// The system has its bytes.
    Written = 1,
    /// The disk has them.
    Durable = 2,
    /// The system had them and could not bring them to the disk: they are to be looked at.
    Doubtful = 3,
}

/// One line of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// How well the piece is kept.
    pub(crate) durability: Durability,
    /// Which piece.
    pub(crate) piece: PieceIndex,
    /// Its chaining value.
    pub(crate) value: ChainingValue,
}

/// What a journal says about the pieces of a part file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Stored, with their values; ascending, each once.
    pub(crate) trusted: Vec<(PieceIndex, ChainingValue)>,
    /// Once written, but perhaps lost or changed since: to be hashed again. Ascending.
    pub(crate) doubtful: Vec<PieceIndex>,
    /// Not told of, in a journal that does not tell of everything: to be hashed where anything was written. Ascending.
    pub(crate) unknown: Vec<PieceIndex>,
    /// Why some are doubtful or unknown.
    pub(crate) doubt: Option<RecheckReason>,
}

impl Recovered {
    /// What a new journal says so that the same is known of each piece after a crash: what is trusted is written, and
    /// what is doubtful stays so.
    pub(crate) fn records(&self) -> Vec<Record> {
        let written = self.trusted.iter().map(|&(piece, value)| Record {
            durability: Durability::Written,
            piece,
            value,
        });
        let doubtful = self.doubtful.iter().map(|&piece| Record {
            durability: Durability::Doubtful,
            piece,
            value: [0; 32],
        });
        written.chain(doubtful).collect()
    }

    /// Pieces whose values are not those of `outboard` are doubtful.
    pub(crate) fn doubt_values_unlike(&mut self, outboard: &Outboard) {
        let unlike = self.trusted.extract_if(.., |(piece, value)| outboard.value(*piece) != Some(value));
        self.doubtful.extend(unlike.map(|(piece, _)| piece));
    }

    /// Nothing is known of any of `pieces`, and why.
    pub(crate) fn nothing(pieces: u32, why: RecheckReason) -> Recovered {
        let unknown = (0..pieces).map(PieceIndex).collect();
        Recovered { unknown, doubt: Some(why), ..Recovered::default() }
    }
}

/// A journal's bytes, as far as they can be read.
#[derive(Clone, Debug)]
pub(crate) struct JournalContents {
    /// What the journal says that it is about.
    pub(crate) header: JournalHeader,
    /// Whether our seal is on the header, and on every record that was read. Otherwise anybody may have written it.
    pub(crate) is_sealed: bool,
    /// The last record of each piece.
    last: Vec<Option<(Durability, ChainingValue)>>,
    /// Whether the records could be read to their end.
    is_whole: bool,
}

impl JournalContents {
    /// Reads the journal of a content of so many pieces, which may be sealed under `key`.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn read(
        bytes: &[u8],
        pieces: u32,
        key: &JournalKey,
    ) -> Result<JournalContents, RecheckReason> {
        match version(bytes)? {
            SEALED => JournalContents::read_sealed(bytes, pieces, key).ok_or(RecheckReason::Damaged),
            UNSEALED => JournalContents::read_checked(bytes, pieces).ok_or(RecheckReason::Damaged),
            _ => Err(RecheckReason::OtherVersion),
        }
    }

    /// As [`JournalContents::read`], where the oldest form of journals is looked for and no other.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn read_oldest(bytes: &[u8], pieces: u32) -> Result<JournalContents, RecheckReason> {
        match version(bytes)? {
            OLDEST => JournalContents::read_checked(bytes, pieces).ok_or(RecheckReason::Damaged),
            _ => Err(RecheckReason::OtherVersion),
        }
    }

    fn read_sealed(bytes: &[u8], pieces: u32, key: &JournalKey) -> Option<JournalContents> {
        let (sealed, records) = bytes.split_at_checked(HEADER)?;
        let mut chain = key.begin();
        let is_sealed = chain.opened(sealed).is_some();
        let (header, rest) = JournalHeader::decode(sealed)?;
        let (part, rest) = FileMark::decode(rest)?;
        let (journal, _) = FileMark::decode(rest)?;
        let header = JournalHeader { part, journal, ..header };
        let opened = |bytes| match is_sealed {
            true => chain.opened(bytes),
            // Only to know where to look.
            false => bytes.split_last_chunk::<SEAL>().map(|(fields, _)| fields),
        };
        let (last, is_whole) = last_entries(records.chunks(RECORD), pieces, opened);
        Some(JournalContents { header, is_sealed, last, is_whole })
    }

    fn read_checked(bytes: &[u8], pieces: u32) -> Option<JournalContents> {
        let marks = if bytes.get(VERSION_AT) == Some(&OLDEST) { 0 } else { FileMark::BYTES };
        let (header, records) = bytes.split_at_checked(BEGINNING + marks + CRC)?;
        let (header, rest) = JournalHeader::decode(checked(header)?)?;
        let part = FileMark::decode(rest).map_or(FileMark::NONE, |(part, _)| part);
        let header = JournalHeader { part, ..header };
        let (last, is_whole) = last_entries(records.chunks(RECORD_FIELDS + CRC), pieces, checked);
        Some(JournalContents { header, is_sealed: false, last, is_whole })
    }

    /// The pieces that have a record, believed or not. The doubtful ones come last.
    pub(crate) fn listed_pieces(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        let listed_pieces = |sure: bool| {
            let is_it = move |entry: &Option<(Durability, ChainingValue)>| {
                entry.is_some_and(|(durability, _)| (durability != Durability::Doubtful) == sure)
            };
            let pieces = (0..).map(PieceIndex);
            pieces.zip(&self.last).filter(move |(_, entry)| is_it(entry)).map(|(piece, _)| piece)
        };
        listed_pieces(true).chain(listed_pieces(false))
    }

    /// What is believed of it under `now`. `part`: what is wrong with the part file itself, if anything; then nothing
    /// is trusted.
    pub(crate) fn recover(&self, now: &JournalHeader, part: Option<RecheckReason>) -> Recovered {
        let pieces = self.last.len() as u32;
        if !self.header.is_about(now) {
            return Recovered::nothing(pieces, RecheckReason::OtherContent);
        }
        if !self.is_sealed {
            return Recovered::nothing(pieces, RecheckReason::Unsealed);
        }
        let same_boot = self.header.boot.is_still(now.boot);
        let lost = [(!self.is_whole, RecheckReason::Damaged), (!same_boot, RecheckReason::Restarted)];
        // Records may have gone with the tail of the journal, or with the memory in which it was.
        let incomplete = lost.into_iter().find_map(|(lost, why)| lost.then_some(why));
        let mut recovered = Recovered::default();
        let mut failed = None;
        for (piece, entry) in (0..).map(PieceIndex).zip(&self.last) {
            match *entry {
                Some((Durability::Doubtful, _)) => {
                    failed = Some(RecheckReason::WriteFailed);
                    recovered.doubtful.push(piece);
                }
                Some((durability, value))
                    if part.is_none() && (same_boot || durability == Durability::Durable) =>
                {
                    recovered.trusted.push((piece, value));
                }
                Some(_) => recovered.doubtful.push(piece),
                None if incomplete.is_some() => recovered.unknown.push(piece),
                None => {}
            }
        }
        recovered.doubt = part.or(incomplete).or(failed);
        recovered
    }
}

/// Which form of a journal it is.
fn version(bytes: &[u8]) -> Result<u8, RecheckReason> {
    match bytes.split_at_checked(VERSION_AT) {
        Some((program, [version, ..])) if program == PROGRAM => Ok(*version),
        _ => Err(RecheckReason::Damaged),
    }
}

/// The last record of each piece, and whether the records were readable to their end. `opened`: the fields of one, when
/// that is right.
fn last_entries<'a>(
    records: impl Iterator<Item = &'a [u8]>,
    pieces: u32,
    mut opened: impl FnMut(&'a [u8]) -> Option<&'a [u8]>,
) -> (Vec<Option<(Durability, ChainingValue)>>, bool) {
    let mut last: Vec<Option<(Durability, ChainingValue)>> = vec![None; pieces as usize];
    for bytes in records {
        let Some(record) = opened(bytes).and_then(Record::decode) else { return (last, false) };
        let Some(entry) = last.get_mut(record.piece.0 as usize) else { return (last, false) };
        match (&entry, record.durability) {
            (Some((Durability::Durable, _)), Durability::Written) => {}
            _ => *entry = Some((record.durability, record.value)),
        }
    }
    (last, true)
}

impl JournalHeader {
    /// Whether both headers are about the same content.
    pub(crate) fn is_about(&self, other: &JournalHeader) -> bool {
        (self.content, self.length) == (other.content, other.length)
    }

    /// Appends it to `out`, where a journal begins; what comes next goes into the chain.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, key: &JournalKey) -> Chain {
        let start = out.len();
        out.extend_from_slice(PROGRAM);
        out.extend_from_slice(&[SEALED, 0]);
        out.extend_from_slice(self.content.as_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.boot.0);
        self.part.encode(out);
        self.journal.encode(out);
        let mut chain = key.begin();
        let seal = chain.seal(&out[start..]);
        out.extend_from_slice(&seal);
        chain
    }

    /// What all forms begin with, and what stands behind it.
    fn decode(bytes: &[u8]) -> Option<(JournalHeader, &[u8])> {
        let (beginning, rest) = bytes.split_first_chunk::<BEGINNING>()?;
        let ([.., pad], fields) = beginning.split_first_chunk::<{ VERSION_AT + 2 }>()?;
        let (content, fields) = fields.split_first_chunk::<32>()?;
        let (length, fields) = fields.split_first_chunk::<8>()?;
        let boot = BootId(*fields.first_chunk::<16>()?);
        let (content, length) = (ContentId::from_bytes(*content), u64::from_le_bytes(*length));
        let (part, journal) = (FileMark::NONE, FileMark::NONE);
        (*pad == 0).then_some((JournalHeader { content, length, boot, part, journal }, rest))
    }
}

impl Record {
    /// Appends it to `out`, behind what `chain` has sealed.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, chain: &mut Chain) {
        let start = out.len();
        out.push(self.durability as u8);
        out.extend_from_slice(&self.piece.0.to_le_bytes());
        out.extend_from_slice(&self.value);
        let seal = chain.seal(&out[start..]);
        out.extend_from_slice(&seal);
    }

    fn decode(fields: &[u8]) -> Option<Record> {
        let (&[kind, ref piece @ ..], rest) = fields.split_first_chunk::<5>()?;
        let durability = match kind {
            1 => Durability::Written,
            2 => Durability::Durable,
            3 => Durability::Doubtful,
            _ => return None,
        };
        let value = *rest.first_chunk::<32>()?;
        Some(Record { durability, piece: PieceIndex(u32::from_le_bytes(*piece)), value })
    }
}

/// What stands before the CRC, if that is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, crc) = bytes.split_last_chunk::<CRC>()?;
    (crc32fast::hash(fields) == u32::from_le_bytes(*crc)).then_some(fields)
}

#[cfg(test)]
#[path = "../../../../../fuzz/oracles/journal.rs"]
mod oracle;
#[cfg(test)]
#[path = "../../../../../fuzz/oracles/seeds.rs"]
mod seeds;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_seed_of_the_fuzz_targets_holds() {
        seeds::all().iter().for_each(|(_, bytes)| oracle::hold(bytes));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_journal_only_its_last_word_is_believed(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            oracle::hold(&bytes);
        }
    }
}
