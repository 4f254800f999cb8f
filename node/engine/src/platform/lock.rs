//! Locks on files: for one handle, until it is unlocked or closed with all its copies.
//!
//! Unix: the lock is advisory, and every node respects it. Windows: no other handle can read or write the file while it
//! is locked.

use std::fs::{File, TryLockError};
use std::io;

use super::error_kind::has_no_locks;

/// The outcome of an attempt to lock a file.
#[derive(Debug)]
pub(crate) enum TryLock {
    /// The file is locked now.
    Locked,
    /// Another handle holds the lock.
    Held,
    /// The file system has no locks.
    Unsupported,
}

/// The outcome that `result`, of an attempt to lock a file, stands for.
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
