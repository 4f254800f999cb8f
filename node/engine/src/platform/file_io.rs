//! Reading and writing at a place of a file, and what the system knows of the bytes of a file.

use std::fs::File;
use std::io;
use std::ops::Range;

/// Reads at `offset` of a file, as many bytes as the system gives at once.
///
/// Windows: the file's own position moves along; nothing here uses it.
///
/// # Errors
/// The system's.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_at(file, bytes, offset);
    #[cfg(windows)]
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

/// Fills `bytes` from `offset` of a file on.
///
/// # Errors
/// `UnexpectedEof` when the file ends before; the system's.
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        match read_at(file, &mut bytes[filled..], offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

/// Fills `parts` one after the other from `offset` of a file on, with one system call where that is possible.
///
/// # Errors
/// `UnexpectedEof` when the file ends before; the system's.
pub(crate) fn read_exact_scattered(
    file: &File,
    parts: &mut [io::IoSliceMut<'_>],
    offset: u64,
) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    let mut filled = match rustix::io::preadv(file, parts, offset) {
        Ok(read) => read,
        Err(rustix::io::Errno::INTR) => 0,
        Err(cause) => return Err(cause.into()),
    };
    #[cfg(not(target_os = "linux"))]
    let mut filled = 0;
    // What the system has left out: rarely anything.
    let mut at = offset;
    for part in parts {
        let length = part.len();
        let here = filled.min(length);
        read_exact_at(file, &mut part[here..], at + here as u64)?;
        filled -= here;
        at += length as u64;
    }
    Ok(())
}

/// Writes at `offset` of a file, as many bytes as the system takes at once.
///
/// Windows: the file's own position moves along; nothing here uses it.
///
/// # Errors
/// The system's.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_at(file, bytes, offset);
    #[cfg(windows)]
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

/// Lets the system forget what it keeps in memory of a file's bytes, so that they are read from the disk.
///
/// Only Linux takes the advice; elsewhere memory answers, which is what everybody else would read too.
pub(crate) fn forget_cached(file: &File, start: u64, length: u64) {
    #[cfg(target_os = "linux")]
    {
        let length = std::num::NonZeroU64::new(length);
        let _ = rustix::fs::fadvise(file, start, length, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, start, length);
}

/// Lets the file `to` have the bytes of `from` without copying them, until one of both changes. What `to` had before is
/// gone.
///
/// # Errors
/// When the file system cannot share bytes between files, or does not for these two.
pub(crate) fn share_bytes(from: &File, to: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::ioctl_ficlone(to, from)?);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The runs of a file of `length` bytes into which something was written; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(crate) fn written_runs(file: &File, length: u64) -> Option<Vec<Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    let mut runs = Vec::new();
    let mut at = 0;
    while at < length {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(_) => return None,
        };
        let end = seek(file, SeekFrom::Hole(start)).ok().filter(|end| *end > start)?;
        runs.push(start..end);
        at = end;
    }
    Some(runs)
}

/// The runs of a file of `length` bytes into which something was written; `None` where the system does not tell.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(crate) fn written_runs(_file: &File, _length: u64) -> Option<Vec<Range<u64>>> {
    None
}
