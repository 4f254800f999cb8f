//! Space on the disk for a download: taken before a byte is fetched. Where there is none, how much more is needed.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use riffle_core::{DiskError, DiskErrorKind};

use crate::driver::disk::errors::{disk_error, error};
use crate::driver::disk::fault_injection::{Call, DiskCalls};
use crate::platform::allocation::{allocate, allocated_bytes, free_space};
use crate::platform::error_kind::is_unsupported;

/// Holds when the file system has space for what is `missing` of the part file, and for `journal_bytes`, what its
/// journal will take.
///
/// # Errors
/// [`DiskErrorKind::Full`] when there is no space; the system's.
pub(crate) fn check_space(
    file: &File,
    path: &Path,
    missing: u64,
    journal_bytes: u64,
) -> Result<(), DiskError> {
    let free = free_space(file).map_err(|cause| disk_error(path, &cause))?;
    if missing > 0 && missing + journal_bytes > free {
        return Err(error(path, DiskErrorKind::Full { needed: missing + journal_bytes - free }));
    }
    Ok(())
}

/// Gives the part file its length, and the space for it where the file system can promise that. Never writes zeros.
/// `journal_bytes`: what the journal will take.
///
/// # Errors
/// [`DiskErrorKind::Full`] when there is no space; the system's.
pub(crate) fn allocate_part(
    calls: &DiskCalls,
    file: &File,
    path: &Path,
    before: &Metadata,
    (length, journal_bytes): (u64, u64),
) -> Result<(), DiskError> {
    let fault = |cause: io::Error| disk_error(path, &cause);
    let missing = length.saturating_sub(allocated_bytes(before));
    check_space(file, path, missing, journal_bytes)?;
    if before.len() > length {
        file.set_len(length).map_err(fault)?;
    }
    if length == 0 || (before.len() == length && missing == 0) {
        return Ok(());
    }
    let made = match calls.allow(Call::Allocate).and_then(|()| allocate(file, length)) {
        // The file system promises nothing: a sparse file then.
        Err(cause) if is_unsupported(&cause) => file.set_len(length),
        made => made,
    };
    if before.len() > 0 {
        // What tells whether the part file was changed by others is when its bytes were written: not this.
        let _ = before.modified().and_then(|time| file.set_modified(time));
    }
    made.map_err(|cause| full_or_else(file, path, &cause, missing + journal_bytes, missing))
}

/// What `cause` is: when there was no space for `at_once` of the `still` bytes that are to be written, how much more is
/// needed for all of them.
pub(crate) fn full_or_else(
    file: &File,
    path: &Path,
    cause: &io::Error,
    still: u64,
    at_once: u64,
) -> DiskError {
    match disk_error(path, cause) {
        DiskError { path, kind: DiskErrorKind::Full { .. } } => {
            let needed = match still.saturating_sub(free_space(file).unwrap_or(0)) {
                // A quota, or space that is kept for others, is not what the file system counts as free.
                0 => at_once.max(1),
                needed => needed,
            };
            DiskError { path, kind: DiskErrorKind::Full { needed } }
        }
        other => other,
    }
}
