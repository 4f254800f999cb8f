//! The lock that keeps a state folder to one process: on a file in it, or in a folder of this host where the file
//! system of the state folder has no locks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::files::make_folder;
use crate::platform::lock::{self, TryLock};
use crate::platform::open::private_without_links;
use crate::platform::path_bytes::bytes_of;

/// A lock, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
    /// The folder of the lock, when that is not the state folder.
    elsewhere: Option<PathBuf>,
}

impl StateLock {
    /// Locks `folder` by `try_lock`, or a file in `elsewhere` where the file system of `folder` has no locks. `None`:
    /// somebody else has it.
    ///
    /// # Errors
    /// When the lock can be made neither there nor on this host.
    pub(crate) fn take(
        folder: &Path,
        elsewhere: &Path,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> io::Result<Option<StateLock>> {
        let file = open(&folder.join("lock"))?;
        match lock::outcome(try_lock(&file))? {
            TryLock::Locked => return Ok(Some(StateLock { _file: file, elsewhere: None })),
            TryLock::Held => return Ok(None),
            TryLock::Unsupported => {}
        }
        make_folder(elsewhere)?;
        // One name for one folder, by whatever path it is reached.
        let key = blake3::hash(bytes_of(folder.canonicalize()?.as_os_str())).to_hex();
        let file = open(&elsewhere.join(format!("state-{}", &key[..32])))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StateLock { _file: file, elsewhere: Some(elsewhere.to_owned()) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(cause),
        }
    }

    /// The folder of the lock, when that is not the state folder.
    pub(crate) fn elsewhere(&self) -> Option<&Path> {
        self.elsewhere.as_deref()
    }
}

fn open(path: &Path) -> io::Result<File> {
    private_without_links().write(true).create(true).truncate(false).open(path)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn no_locks(_: &File) -> Result<(), TryLockError> {
        Err(TryLockError::Error(Errno::NOLCK.into()))
    }

    #[test]
    fn where_the_file_system_has_no_locks_the_lock_is_elsewhere_and_keeps_others_out() {
        let root = tempfile::tempdir().expect("a folder");
        let (folder, other) = (root.path().join("node-1"), root.path().join("node-2"));
        make_folder(&folder).expect("made");
        make_folder(&other).expect("made");
        let elsewhere = root.path().join("run");
        let take = |folder: &Path| StateLock::take(folder, &elsewhere, no_locks).expect("locked somewhere");
        let first = take(&folder).expect("free");
        assert_eq!(first.elsewhere(), Some(elsewhere.as_path()));
        assert!(take(&folder).is_none() && take(&other).is_some());
        drop(first);
        assert!(take(&folder).is_some());
        let plain = StateLock::take(&folder, &elsewhere, File::try_lock).expect("locked").expect("free");
        assert_eq!(plain.elsewhere(), None);
    }

    #[test]
    fn what_is_no_matter_of_locks_is_an_error() {
        let root = tempfile::tempdir().expect("a folder");
        let fails = |_: &File| Err(TryLockError::Error(Errno::IO.into()));
        assert!(StateLock::take(root.path(), root.path(), fails).is_err());
        assert!(StateLock::take(&root.path().join("none"), root.path(), no_locks).is_err());
    }
}
