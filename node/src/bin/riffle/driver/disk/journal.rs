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

use super::place::{sibling, sync_folder_of};
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
