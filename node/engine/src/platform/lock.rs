//! Locks on files: for one handle, until it is unlocked or closed with all its copies.
//!
//! Unix: the lock is advice, which every node takes. Windows: whoever else opened the file cannot read or write it
//! meanwhile.

use std::fs::{File, TryLockError};
use std::io;

use super::error_kind::has_no_locks;

/// What became of trying to lock a file.
#[derive(Debug)]
pub(crate) enum TryLock {
    /// It is locked.
    Locked,
    /// Somebody else has it.
    Held,
    /// The file system has no locks.
    Unsupported,
}

/// What `result`, of trying to lock a file, means.
///
/// # Errors
/// The system's, when they say nothing about locks.
pub(crate) fn outcome(result: Result<(), TryLockError>) -> io::Result<TryLock> {
    match result {
        Ok(()) => Ok(TryLock::Locked),
        Err(TryLockError::WouldBlock) => Ok(TryLock::Held),
        Err(TryLockError::Error(cause)) if has_no_locks(&cause) => Ok(TryLock::Unsupported),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

/// Tries once to lock `file`.
///
/// # Errors
/// The system's, when they say nothing about locks.
pub(crate) fn try_lock(file: &File) -> io::Result<TryLock> {
    outcome(file.try_lock())
}

/// Unlocks `file`, as far as the system can.
pub(crate) fn unlock(file: &File) {
    let _ = file.unlock();
}
