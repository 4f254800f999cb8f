//! What stands in a journal, as bytes: whose it is, and one record for each piece and how well it is kept. Reading takes
//! any bytes whatever. The file itself is in `journal.rs`.

use messages::{ContentId, PieceIndex};
use node::Doubt;

use super::tree::Subtree;

const MAGIC: &[u8; 8] = b"riffle\x02\0";
/// How journals began when working files had no names of their own.
const OLD_MAGIC: &[u8; 8] = b"riffle\x01\0";
/// Where the version stands in it.
pub(crate) const VERSION_AT: usize = 6;
/// Bytes of a header.
pub(crate) const HEADER: usize = OLD_HEADER + PartMark::BYTES;
/// Bytes of a header then.
const OLD_HEADER: usize = 8 + 32 + 8 + 16 + 4;
/// Bytes of a record.
pub(crate) const RECORD: usize = 1 + 4 + 32 + 4;

/// Whose journal it is, and under which boot of the machine its `written` was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalHeader {
    /// The content.
    pub(crate) content: ContentId,
    /// Its length, in bytes.
    pub(crate) length: u64,
    /// The machine's boot.
    pub(crate) boot: BootId,
    /// The part file that it is about.
    pub(crate) part: PartMark,
}

/// What tells one file from another that stands under its name later: the number of its inode and when it was made, in
/// nanoseconds since the epoch (0 where the file system does not say).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartMark {
    /// The inode.
    pub(crate) inode: u64,
    /// When it was made.
    pub(crate) made: u64,
}

impl PartMark {
    const BYTES: usize = 8 + 8;
    /// No file's.
    pub(crate) const NONE: PartMark = PartMark { inode: 0, made: 0 };
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
pub(crate) enum Kept {
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
    pub(crate) kept: Kept,
    /// Which piece.
    pub(crate) piece: PieceIndex,
    /// Its BLAKE3 value.
    pub(crate) subtree: Subtree,
}

/// What a journal says about the pieces of a part file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Stored, with their values; ascending, each once.
    pub(crate) trusted: Vec<(PieceIndex, Subtree)>,
    /// Once written, but perhaps lost or changed since: to be hashed again. Ascending.
    pub(crate) doubtful: Vec<PieceIndex>,
    /// Not told of, in a journal that does not tell of everything: to be hashed where anything was written. Ascending.
    pub(crate) unknown: Vec<PieceIndex>,
    /// Why some are doubtful or unknown.
    pub(crate) doubt: Option<Doubt>,
}

impl Recovered {
    /// What a new journal says so that the same is known of each piece after a crash: what is trusted is written, and what
    /// is doubtful stays so.
    pub(crate) fn records(&self) -> Vec<Record> {
        let written =
            self.trusted.iter().map(|&(piece, subtree)| Record { kept: Kept::Written, piece, subtree });
        let doubtful =
            self.doubtful.iter().map(|&piece| Record { kept: Kept::Doubtful, piece, subtree: [0; 32] });
        written.chain(doubtful).collect()
    }

    /// Pieces that it tells to be stored, believed or not.
    pub(crate) fn told(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.trusted.iter().map(|(piece, _)| *piece).chain(self.doubtful.iter().copied())
    }

    /// Nothing is known of any of `pieces`, and why.
    pub(crate) fn nothing(pieces: u32, why: Doubt) -> Recovered {
        let unknown = (0..pieces).map(PieceIndex).collect();
        Recovered { unknown, doubt: Some(why), ..Recovered::default() }
    }
}

/// Reads a journal's bytes. `part`: what is wrong with the part file itself, if anything; then nothing is trusted.
pub(crate) fn recover(bytes: &[u8], now: &JournalHeader, pieces: u32, part: Option<Doubt>) -> Recovered {
    let then = match JournalHeader::read(bytes) {
        Ok(then) => then,
        Err(why) => return Recovered::nothing(pieces, why),
    };
    if !then.is_about(now) {
        return Recovered::nothing(pieces, Doubt::OtherContent);
    }
    let same_boot = then.boot.is_still(now.boot);
    let (said, whole) = read_records(bytes.get(HEADER..).unwrap_or_default(), pieces);
    let lost = [(!whole, Doubt::Damaged), (!same_boot, Doubt::Restarted)];
    // Records may have gone with the tail of the journal, or with the memory in which it was.
    let incomplete = lost.into_iter().find_map(|(lost, why)| lost.then_some(why));
    let mut recovered = Recovered::default();
    let mut failed = None;
    for (index, slot) in said.into_iter().enumerate() {
        let piece = PieceIndex(index as u32);
        match slot {
            Some((Kept::Doubtful, _)) => {
                failed = Some(Doubt::WriteFailed);
                recovered.doubtful.push(piece);
            }
            Some((kept, subtree)) if part.is_none() && (same_boot || kept == Kept::Durable) => {
                recovered.trusted.push((piece, subtree));
            }
            Some(_) => recovered.doubtful.push(piece),
            None if incomplete.is_some() => recovered.unknown.push(piece),
            None => {}
        }
    }
    recovered.doubt = part.or(incomplete).or(failed);
    recovered
}

/// The last word on each piece, and whether the records were readable to their end.
fn read_records(bytes: &[u8], pieces: u32) -> (Vec<Option<(Kept, Subtree)>>, bool) {
    let mut said: Vec<Option<(Kept, Subtree)>> = vec![None; pieces as usize];
    for bytes in bytes.chunks(RECORD) {
        let Some(record) = Record::decode(bytes) else { return (said, false) };
        let Some(slot) = said.get_mut(record.piece.0 as usize) else { return (said, false) };
        match (&slot, record.kept) {
            (Some((Kept::Durable, _)), Kept::Written) => {}
            _ => *slot = Some((record.kept, record.subtree)),
        }
    }
    (said, true)
}

/// A journal of the old form, said in the present one, with a part file that nobody has marked.
pub(crate) fn from_old_form(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, records) = bytes.split_at_checked(OLD_HEADER)?;
    let (magic, fields) = opened(header)?.split_first_chunk::<8>()?;
    let header = JournalHeader::of_fields(fields, PartMark::NONE)?;
    let mut said = Vec::with_capacity(HEADER + records.len());
    header.encode(&mut said);
    said.extend_from_slice(records);
    (magic == OLD_MAGIC).then_some(said)
}

impl JournalHeader {
    /// Whether it is about the same content.
    pub(crate) fn is_about(&self, other: &JournalHeader) -> bool {
        (self.content, self.length) == (other.content, other.length)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.content.as_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.boot.0);
        out.extend_from_slice(&self.part.inode.to_le_bytes());
        out.extend_from_slice(&self.part.made.to_le_bytes());
        seal(out, start);
    }

    /// The header at the beginning of a journal, or why there is none.
    pub(crate) fn read(bytes: &[u8]) -> Result<JournalHeader, Doubt> {
        let same_program = bytes.starts_with(&MAGIC[..VERSION_AT]);
        match bytes.get(VERSION_AT) {
            Some(version) if same_program && *version != MAGIC[VERSION_AT] => Err(Doubt::OtherVersion),
            _ => bytes.get(..HEADER).and_then(JournalHeader::decode).ok_or(Doubt::Damaged),
        }
    }

    fn decode(bytes: &[u8]) -> Option<JournalHeader> {
        let (magic, fields) = opened(bytes)?.split_first_chunk::<8>()?;
        let (fields, mark) = fields.split_last_chunk::<{ PartMark::BYTES }>()?;
        let (inode, made) = mark.split_first_chunk::<8>()?;
        let inode = u64::from_le_bytes(*inode);
        let part = PartMark { inode, made: u64::from_le_bytes(*made.first_chunk::<8>()?) };
        JournalHeader::of_fields(fields, part).filter(|_| magic == MAGIC)
    }

    /// What stands behind the magic in both forms.
    fn of_fields(fields: &[u8], part: PartMark) -> Option<JournalHeader> {
        let (content, fields) = fields.split_first_chunk::<32>()?;
        let (length, fields) = fields.split_first_chunk::<8>()?;
        let boot = BootId(*fields.first_chunk::<16>()?);
        let (content, length) = (ContentId::from_bytes(*content), u64::from_le_bytes(*length));
        Some(JournalHeader { content, length, boot, part })
    }
}

impl Record {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(self.kept as u8);
        out.extend_from_slice(&self.piece.0.to_le_bytes());
        out.extend_from_slice(&self.subtree);
        seal(out, start);
    }

    fn decode(bytes: &[u8]) -> Option<Record> {
        let (&[kind, ref piece @ ..], rest) =
            opened(bytes.first_chunk::<RECORD>()?)?.split_first_chunk::<5>()?;
        let kept = match kind {
            1 => Kept::Written,
            2 => Kept::Durable,
            3 => Kept::Doubtful,
            _ => return None,
        };
        let subtree = *rest.first_chunk::<32>()?;
        Some(Record { kept, piece: PieceIndex(u32::from_le_bytes(*piece)), subtree })
    }
}

/// Appends the CRC of what stands in `out` from `start` on.
fn seal(out: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// What stands before the CRC, if that is right.
fn opened(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, crc) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(fields) == u32::from_le_bytes(*crc)).then_some(fields)
}

#[cfg(test)]
#[path = "../../../../../fuzz/oracles/journal.rs"]
mod oracle;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_seed_of_the_fuzz_targets_holds() {
        crate::seeds::all().iter().for_each(|(_, bytes)| oracle::hold(bytes));
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
