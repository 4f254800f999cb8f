//! Files and folders that only their owner may look into, and files that are replaced whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::platform::open;
use crate::platform::rename::sync_folder;

/// Makes the folder, and those above it that are not there, for their owner alone.
///
/// # Errors
/// When the system refuses one of them.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    open::make_private_folder(folder)
}

/// Writes `path` so that it holds all of `bytes`, or what it held before.
///
/// # Errors
/// When the disk does not take them; `path` then holds what it held before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = private().write(true).create(true).truncate(true).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Options for files that only their owner reads and writes.
#[must_use]
pub fn private() -> OpenOptions {
    open::private()
}
