//! `.NAME.<id>.riffle-journal`: which pieces of the part file beside it are stored, so that nothing verified is fetched
//! twice; and by its header the proof that both files are this program's.
//!
//! A header, then records that are only ever appended. Each carries its CRC, and reading stops at the first one that
//! is torn or damaged. `written` says that the system has the bytes: true for as long as it runs, so it is believed
//! under the same boot id only. `durable` says that they are on the disk. `doubtful` takes back what was said of a piece.
//!
//! ```text
//! header   magic 6, version 1, pad 1, content id 32, length 8, boot 16,
//!          inode of the part file 8, when that was made 8, crc 4                          84 bytes
//! record   kind 1, piece 4, BLAKE3 subtree value 32, crc 4                                41 bytes
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::place::{promises_nothing, rename_apart, sibling, sync_folder_of};
use super::records::{BootId, HEADER, JournalHeader, RECORD, Record};
use super::writing::{Call, Writing};

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
    /// Writes a journal anew that says `records`, in place of the one of the same content at `path` if there is one, and
    /// takes the room for what is to come.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::AlreadyExists`] when something else stands at `path`. What stood there is
    /// there still.
    pub(crate) fn create(
        path: &Path,
        header: &JournalHeader,
        records: &[Record],
        (pieces, writing): (u32, &Writing),
    ) -> io::Result<Journal> {
        let (file, fresh) = create_fresh(path, header, writing)?;
        let mut bytes = Vec::with_capacity(HEADER + records.len() * RECORD);
        header.encode(&mut bytes);
        records.iter().for_each(|record| record.encode(&mut bytes));
        let written =
            fill(&file, &bytes, most(pieces), writing).and_then(|()| take_place(&fresh, path, header));
        written.inspect_err(|_| {
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

    /// Takes back all that it says; whose the part file is it says still.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn start_over(&mut self) -> io::Result<()> {
        self.file.set_len(HEADER as u64)?;
        (self.length, self.torn) = (HEADER as u64, false);
        Ok(())
    }

    /// A second handle, to sync by without holding the journal.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Removes it from the disk, if it is still what stands at its path.
    pub(crate) fn remove(self) {
        if leads_to(&self.path, &self.file) {
            // A journal that stays behind costs one look the next time, and misleads nobody.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A new, empty file beside the journal at `path`, to become it. A name that somebody else uses is left alone.
fn create_fresh(path: &Path, header: &JournalHeader, writing: &Writing) -> io::Result<(File, PathBuf)> {
    writing.allow(Call::Create)?;
    let suffixes =
        (1..=9).map(|number| if number == 1 { ".new".to_owned() } else { format!(".new{number}") });
    for suffix in suffixes {
        let fresh = sibling(path, &suffix);
        // Left behind by a crash between here and the rename.
        if header_at(&fresh).is_some_and(|there| there.is_about(header)) {
            std::fs::remove_file(&fresh)?;
        }
        let flags = libc::O_NOFOLLOW;
        match OpenOptions::new().append(true).create_new(true).custom_flags(flags).open(&fresh) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((opened?, fresh)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Puts `bytes` into a new file, synced, and with room for `most`.
fn fill(file: &File, bytes: &[u8], most: u64, writing: &Writing) -> io::Result<()> {
    reserve(file, most)?;
    writing.append(file, bytes)?;
    file.sync_data()
}

/// Renames `fresh` to `path`, where nothing stands but perhaps the journal before it.
fn take_place(fresh: &Path, path: &Path, header: &JournalHeader) -> io::Result<()> {
    match rename_apart(fresh, path) {
        Err(cause) if cause == rustix::io::Errno::EXIST || promises_nothing(cause) => {
            let is_ours = header_at(path).is_some_and(|there| there.is_about(header));
            if !is_ours && std::fs::symlink_metadata(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(fresh, path)
        }
        renamed => renamed.map_err(io::Error::from),
    }
}

/// The header of the journal at `path`; `None` when there is no journal: nothing, another file, a link, a pipe.
pub(crate) fn header_at(path: &Path) -> Option<JournalHeader> {
    let mut bytes = Vec::with_capacity(HEADER);
    open_regular_file(path).ok()?.take(HEADER as u64).read_to_end(&mut bytes).ok()?;
    JournalHeader::read(&bytes).ok()
}

/// Opens a file for reading: no link is followed, and nobody is waited for.
pub(crate) fn open_regular_file(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    Ok(file)
}

/// Whether `file` is what stands at `path`.
pub(crate) fn leads_to(path: &Path, file: &File) -> bool {
    let of = |found: std::fs::Metadata| (found.dev(), found.ino());
    let there = std::fs::symlink_metadata(path).map(of).ok();
    there.is_some() && there == file.metadata().map(of).ok()
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
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
