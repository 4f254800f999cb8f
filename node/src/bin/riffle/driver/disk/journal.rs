//! `NAME.riffle`: which pieces of `NAME.part` are stored, so that nothing verified is fetched twice.
//!
//! A header, then records that are only ever appended. Each carries its CRC, and reading stops at the first one that
//! is torn or damaged. `written` says that the system has the bytes: true for as long as it runs, so it is believed
//! under the same boot id only. `durable` says that they are on the disk. `doubtful` takes back what was said of a piece.
//!
//! ```text
//! header   magic 6, version 1, pad 1, content id 32, length 8, boot 16, crc 4            68 bytes
//! record   kind 1, piece 4, BLAKE3 subtree value 32, crc 4                                41 bytes
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use messages::{ContentId, PieceIndex};
use node::Doubt;

use super::place::{sibling, sync_folder_of};
use super::tree::Subtree;
use super::writing::{Call, Writing};

const MAGIC: &[u8; 8] = b"riffle\x01\0";
/// Where the version stands in it.
const VERSION_AT: usize = 6;
const HEADER: usize = 8 + 32 + 8 + 16 + 4;
const RECORD: usize = 1 + 4 + 32 + 4;

/// Whose journal it is, and under which boot of the machine its `written` was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalHeader {
    /// The content.
    pub(crate) content: ContentId,
    /// Its length, in bytes.
    pub(crate) length: u64,
    /// The machine's boot.
    pub(crate) boot: BootId,
}

/// One boot of this machine; zero where the system does not number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootId(pub(crate) [u8; 16]);

impl BootId {
    /// The present boot.
    pub(crate) fn current() -> BootId {
        let text = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mut id = [0; 16];
        if !text.is_empty() {
            id.copy_from_slice(&blake3::hash(text.trim_ascii()).as_bytes()[..16]);
        }
        BootId(id)
    }

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
    /// Nothing is known of any of `pieces`, and why.
    pub(crate) fn nothing(pieces: u32, why: Doubt) -> Recovered {
        let unknown = (0..pieces).map(PieceIndex).collect();
        Recovered { unknown, doubt: Some(why), ..Recovered::default() }
    }
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    writing: Writing,
    /// How long it is with all whole records; what stands behind that is the rest of an append that failed.
    length: u64,
    torn: bool,
}

impl Journal {
    /// Writes a journal anew that says `records`, in place of whatever stands at `path`, and takes the room for what
    /// is to come.
    ///
    /// # Errors
    /// Those of the system; what stood at `path` may be gone then.
    pub(crate) fn create(
        path: &Path,
        header: &JournalHeader,
        records: &[Record],
        (pieces, writing): (u32, &Writing),
    ) -> io::Result<Journal> {
        let fresh = sibling(path, ".new");
        // Left behind by a crash between here and the rename, or planted: either way not ours to write through.
        match std::fs::remove_file(&fresh) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let mut bytes = Vec::with_capacity(HEADER + records.len() * RECORD);
        header.encode(&mut bytes);
        records.iter().for_each(|record| record.encode(&mut bytes));
        let written = write_fresh(&fresh, &bytes, most(pieces), writing);
        let file = written.and_then(|file| std::fs::rename(&fresh, path).map(|()| file));
        let file = file.inspect_err(|_| {
            // Half a journal says nothing, and takes room.
            let _ = std::fs::remove_file(&fresh);
        })?;
        // Before a byte is written that the journal before this one does not know of.
        sync_folder_of(path);
        let (path, writing, length) = (path.to_owned(), writing.clone(), bytes.len() as u64);
        Ok(Journal { file, path, writing, length, torn: false })
    }

    /// Appends `records`.
    ///
    /// # Errors
    /// Those of the system; then none of them is in it.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        let mut bytes = Vec::with_capacity(records.len() * RECORD);
        records.iter().for_each(|record| record.encode(&mut bytes));
        let appended = self.writing.append(&self.file, &bytes);
        match &appended {
            Ok(()) => self.length += bytes.len() as u64,
            // Half a record would hide those that come after it.
            Err(_) => self.torn = self.file.set_len(self.length).is_err(),
        }
        appended
    }

    /// A second handle, to sync by without holding the journal.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Removes it from the disk.
    pub(crate) fn remove(self) {
        // A journal that stays behind costs one look the next time, and misleads nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A new file at `path` with `bytes`, synced, and with room for `most`.
fn write_fresh(path: &Path, bytes: &[u8], most: u64, writing: &Writing) -> io::Result<File> {
    writing.allow(Call::Create)?;
    let file = OpenOptions::new().append(true).create_new(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    reserve(&file, most)?;
    writing.append(&file, bytes)?;
    file.sync_data()?;
    Ok(file)
}

/// What the journal of a content of so many pieces takes when all goes well: each is told of twice.
pub(crate) fn most(pieces: u32) -> u64 {
    (HEADER + 2 * RECORD * pieces as usize) as u64
}

/// Takes room for the first `length` bytes of a file without making it longer, where the file system can promise that.
#[cfg(target_os = "linux")]
fn reserve(file: &File, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
        Err(cause @ (Errno::NOSPC | Errno::DQUOT)) => Err(cause.into()),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "there it may fail")]
fn reserve(_file: &File, _length: u64) -> io::Result<()> {
    Ok(())
}

/// Reads a journal's bytes. `part`: what is wrong with the part file itself, if anything; then nothing is trusted.
pub(crate) fn recover(bytes: &[u8], now: &JournalHeader, pieces: u32, part: Option<Doubt>) -> Recovered {
    let then = match JournalHeader::read(bytes) {
        Ok(then) => then,
        Err(why) => return Recovered::nothing(pieces, why),
    };
    if (then.content, then.length) != (now.content, now.length) {
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

impl JournalHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.content.as_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.boot.0);
        seal(out, start);
    }

    /// The header at the beginning of a journal, or why there is none.
    fn read(bytes: &[u8]) -> Result<JournalHeader, Doubt> {
        let same_program = bytes.starts_with(&MAGIC[..VERSION_AT]);
        match bytes.get(VERSION_AT) {
            Some(version) if same_program && *version != MAGIC[VERSION_AT] => Err(Doubt::OtherVersion),
            _ => bytes.get(..HEADER).and_then(JournalHeader::decode).ok_or(Doubt::Damaged),
        }
    }

    fn decode(bytes: &[u8]) -> Option<JournalHeader> {
        let fields = opened(bytes)?;
        let (magic, fields) = fields.split_first_chunk::<8>()?;
        let (content, fields) = fields.split_first_chunk::<32>()?;
        let (length, fields) = fields.split_first_chunk::<8>()?;
        let boot = fields.first_chunk::<16>()?;
        (magic == MAGIC).then_some(JournalHeader {
            content: ContentId::from_bytes(*content),
            length: u64::from_le_bytes(*length),
            boot: BootId(*boot),
        })
    }
}

impl Record {
    fn encode(&self, out: &mut Vec<u8>) {
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
#[path = "journal_tests.rs"]
mod tests;
