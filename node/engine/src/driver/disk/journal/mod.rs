//! `.NAME.<id>.riffle-journal`: which pieces of the part file beside it are stored, so that nothing verified is fetched
//! twice; and by its header and seals the proof that both files are this program's.
//!
//! A header, then records that are only ever appended. Each carries its seal (`mac.rs`), and reading stops at the first
//! one that is torn, damaged or not ours. `written` says that the system has the bytes: true for as long as it runs, so
//! it is believed under the same boot id only. `durable` says that they are on the disk. `doubtful` takes back what was
//! said of a piece.
//!
//! ```text
//! header   magic 6, version 1, pad 1, content id 32, length 8, boot 16,
//!          inode of the part file 8, when that was made 8, the same of the journal itself 16, seal 16    112 bytes
//! record   kind 1, piece 4, chaining value 32, seal 16                                              53 bytes
//! ```
//!
//! A folder may be open to others, or full of what came out of an archive. So a journal is believed only when its seal
//! is that of this person on this host, and it is still the very file that was sealed, beside the very part file; and
//! when nobody else can have written to either (`file_owner.rs`). Nothing of this keeps out another program of the same
//! user: that can read the secret, and could as well write to the finished file.

pub(crate) mod key;
pub(crate) mod mac;
pub(crate) mod records;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use self::mac::{Chain, JournalKey};
use self::records::{BootId, FileMark, HEADER, JournalContents, JournalHeader, RECORD, Record};
use super::fault_injection::{Call, DiskCalls};
use super::file_owner::is_ours;
use super::part::download_paths::sibling;
use crate::platform::allocation::reserve;
use crate::platform::boot::boot_id;
use crate::platform::error_kind::is_unsupported;
use crate::platform::file_id::{FileNumber, file_number, leads_to, number_at};
use crate::platform::open::{open_regular_file, private_without_links};
use crate::platform::rename::{rename_no_replace, sync_folder_of};

/// The destination of a journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalDestination {
    /// The path of the journal.
    pub(crate) path: PathBuf,
    /// The one file that the journal may replace there: a journal before it, by device and inode.
    pub(crate) replaces: Option<FileNumber>,
}

/// The settings by which journals are written.
#[derive(Clone, Copy)]
pub(crate) struct JournalSettings<'a> {
    /// How many pieces the content has.
    pub(crate) pieces: u32,
    /// The calls that write.
    pub(crate) calls: &'a DiskCalls,
    /// The key of the seals.
    pub(crate) key: &'a JournalKey,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    calls: DiskCalls,
    /// What stands in the header's place in the chain of seals, and in that of the last record.
    header: Chain,
    chain: Chain,
    /// How long it is with all whole records; what stands behind that is the rest of an append that failed.
    length: u64,
    torn: bool,
}

impl Journal {
    /// Writes a journal anew that says `records`, in place of the one that is to be replaced if there is one, and takes
    /// the room for what is to come. It has marks of its own; `header` does not tell of them.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::AlreadyExists`] when something else stands there. What stood there is
    /// there still.
    pub(crate) fn create(
        destination: &mut JournalDestination,
        header: &JournalHeader,
        records: &[Record],
        journal_settings: JournalSettings<'_>,
    ) -> io::Result<Journal> {
        let path = destination.path.clone();
        let (file, fresh) = create_fresh(&path, journal_settings)?;
        let mut bytes = Vec::with_capacity(HEADER + records.len() * RECORD);
        let header = JournalHeader { journal: FileMark::of(&file), ..*header };
        let header = header.encode(&mut bytes, journal_settings.key);
        let mut chain = header;
        records.iter().for_each(|record| record.encode(&mut bytes, &mut chain));
        let written = fill(&file, &bytes, max_length(journal_settings.pieces), journal_settings.calls)
            .and_then(|()| replace_journal(&fresh, destination));
        written.inspect_err(|_| {
            // Half a journal says nothing, and takes room.
            let _ = std::fs::remove_file(&fresh);
        })?;
        // Before a byte is written that the journal before this one does not know of.
        sync_folder_of(&path);
        destination.replaces = file_number(&file);
        let (calls, length) = (journal_settings.calls.clone(), bytes.len() as u64);
        Ok(Journal { file, path, calls, header, chain, length, torn: false })
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
        let mut chain = self.chain;
        records.iter().for_each(|record| record.encode(&mut bytes, &mut chain));
        let appended = self.calls.append(&self.file, &bytes);
        match &appended {
            Ok(()) => (self.length, self.chain) = (self.length + bytes.len() as u64, chain),
            // Half a record would hide those that come after it.
            Err(_) => self.torn = self.file.set_len(self.length).is_err(),
        }
        appended
    }

    /// Takes back all that it says; whose the part file is it says still.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn start_over(&mut self) -> io::Result<()> {
        self.file.set_len(HEADER as u64)?;
        (self.length, self.chain, self.torn) = (HEADER as u64, self.header, false);
        Ok(())
    }

    /// A second handle, to sync by without holding the journal.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Removes the journal from the disk, if it is still what stands at its path.
    pub(crate) fn remove(self) {
        if leads_to(&self.path, &self.file) {
            // A journal that stays behind costs one look the next time, and misleads nobody.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A new, empty file beside the journal at `path`, to become it. A name that somebody else uses is left alone.
pub(crate) fn create_fresh(
    path: &Path,
    journal_settings: JournalSettings<'_>,
) -> io::Result<(File, PathBuf)> {
    journal_settings.calls.allow(Call::Create)?;
    let suffixes =
        (1..=9).map(|number| if number == 1 { ".new".to_owned() } else { format!(".new{number}") });
    for suffix in suffixes {
        let fresh = sibling(path, &suffix);
        // Left behind by a crash between here and the rename.
        if is_our_journal(&fresh, journal_settings.key) {
            std::fs::remove_file(&fresh)?;
        }
        match private_without_links().append(true).create_new(true).open(&fresh) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((opened?, fresh)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether a journal stands at `path` that was sealed under `key` and is the file that it was then.
fn is_our_journal(path: &Path, key: &JournalKey) -> bool {
    let read = || {
        let file = open_regular_file(path).ok()?;
        let mut bytes = Vec::with_capacity(HEADER);
        (&file).take(HEADER as u64).read_to_end(&mut bytes).ok()?;
        let contents = JournalContents::read(&bytes, 0, key).ok()?;
        Some(contents.is_sealed && contents.header.journal.is_of(&file) && is_ours(&file.metadata().ok()?))
    };
    read().unwrap_or(false)
}

/// Puts `bytes` into a new file, synced, and with space for `max_length`.
fn fill(file: &File, bytes: &[u8], max_length: u64, calls: &DiskCalls) -> io::Result<()> {
    reserve(file, max_length)?;
    calls.append(file, bytes)?;
    file.sync_data()
}

/// Renames `fresh` to where it belongs; nothing stands there but perhaps the journal that it may replace.
fn replace_journal(fresh: &Path, destination: &JournalDestination) -> io::Result<()> {
    match rename_no_replace(fresh, &destination.path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists || is_unsupported(&cause) => {
            let there = number_at(&destination.path);
            if there.is_some() && there != destination.replaces {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(fresh, &destination.path)
        }
        renamed => renamed,
    }
}

impl FileMark {
    /// The mark of an open file; [`FileMark::NONE`] where the system does not tell.
    pub(crate) fn of(file: &File) -> FileMark {
        let (Some((_, inode)), Ok(metadata)) = (file_number(file), file.metadata()) else {
            return FileMark::NONE;
        };
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = made.map_or(0, |made| u64::try_from(made.as_nanos()).unwrap_or(0));
        FileMark { inode, made }
    }

    /// Whether the mark is that of `file`.
    pub(crate) fn is_of(&self, file: &File) -> bool {
        *self != FileMark::NONE && *self == FileMark::of(file)
    }
}

/// The length of the journal of a content of so many pieces when all goes well: each piece has two records.
pub(crate) fn max_length(pieces: u32) -> u64 {
    (HEADER + 2 * RECORD * pieces as usize) as u64
}

impl BootId {
    /// The present boot.
    pub(crate) fn current() -> BootId {
        BootId(boot_id().unwrap_or_default())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
