//! The lock that lets one download at a time write to a part file: on the file itself, or in the state folder where the
//! file system has no locks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::driver::disk::fault_injection::{Call, DiskCalls};
use crate::platform::file_id::leads_to;
use crate::platform::lock::{TryLock, outcome, try_lock};
use crate::platform::open::{make_private_folder, private_without_links};
use crate::platform::path_bytes::bytes_of;

/// A lock is tried so often, with such a pause between: a download that was just given up unlocks within moments.
pub(crate) const LOCK_TRIES: u32 = 20;
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Where a part file is locked.
#[derive(Debug)]
pub(crate) enum Lock {
    /// The lock is on the part file, until it is unlocked: a mapping may keep the file open for longer.
    OnFile,
    /// The lock is on a file in the state folder, which is removed with this value.
    Elsewhere(#[expect(dead_code, reason = "the lock ends when this is dropped")] LockFile),
    /// There is no lock: the file system has none and there is no state folder, or nobody else can find the file.
    Nowhere,
}

/// A file in the folder of locks that this process has locked.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    file: File,
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // While it is locked: whoever waits for it finds that the path leads elsewhere.
        if leads_to(&self.path, &self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum NoLock {
    /// Another process holds the lock.
    Held,
    /// The system refuses.
    Failed(io::Error),
}

impl Lock {
    /// Tries once to lock `file`, which stands at `path`; in `lock_folder` where that cannot be.
    pub(crate) fn take(
        path: &Path,
        file: &File,
        (lock_folder, calls): (Option<&Path>, &DiskCalls),
    ) -> Result<Lock, NoLock> {
        let allowed = calls.allow(Call::Lock).map_err(TryLockError::Error);
        match outcome(allowed.and_then(|()| file.try_lock())).map_err(NoLock::Failed)? {
            TryLock::Locked => Ok(Lock::OnFile),
            TryLock::Held => Err(NoLock::Held),
            TryLock::Unsupported => {
                lock_folder.map_or(Ok(Lock::Nowhere), |lock_folder| in_folder(lock_folder, path))
            }
        }
    }
}

/// A lock for `path` in the folder `lock_folder`, which is made.
fn in_folder(lock_folder: &Path, path: &Path) -> Result<Lock, NoLock> {
    let failed = NoLock::Failed;
    make_private_folder(lock_folder).map_err(failed)?;
    // One name for one file, by whatever path it is reached.
    let whole = path.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    let whole = whole.join(path.file_name().unwrap_or_default());
    let path = lock_folder.join(&blake3::hash(bytes_of(whole.as_os_str())).to_hex()[..32]);
    let file = private_without_links().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(failed)?;
    match try_lock(&file).map_err(failed)? {
        TryLock::Locked if leads_to(&path, &file) => Ok(Lock::Elsewhere(LockFile { path, file })),
        TryLock::Locked | TryLock::Held => Err(NoLock::Held),
        // No locks there either.
        TryLock::Unsupported => Ok(Lock::Nowhere),
    }
}
