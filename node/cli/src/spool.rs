//! What comes from a pipe, or goes into one: a file in a folder of the node's state folder, which is gone when the
//! program leaves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use riffle::state::StateFolder;
use riffle::state::files::{make_folder, private};
use riffle::{DownloadReader, ReadError};

use crate::exit::{ExitCode, Stop};
use crate::output_writer;

/// The folder of the spooled files, once it is made. Dropping this value removes the folder with all that is in it.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    folder: Arc<Mutex<Option<PathBuf>>>,
}

impl Spool {
    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    /// [`ExitCode::DiskFull`] and [`ExitCode::Io`] when the system makes none.
    pub(crate) fn make(&self, state: &StateFolder) -> Result<PathBuf> {
        let folder = state.spool();
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.clone());
        make_folder(&folder).map_err(|error| refused(&folder, &error))?;
        Ok(folder)
    }

    /// Removes the folder; for when the program ends at once.
    pub(crate) fn remover(&self) -> impl FnOnce() + Send + use<> {
        let folder = self.folder.clone();
        move || remove(&folder)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

fn remove(folder: &Mutex<Option<PathBuf>>) {
    if let Some(folder) = folder.lock().unwrap_or_else(PoisonError::into_inner).take()
        && let Err(error) = fs::remove_dir_all(&folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "spooled files stay until the next start");
    }
}

/// The error for a file in the state folder that cannot be written.
fn refused(path: &Path, error: &io::Error) -> Stop {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let what = format!("{}: no room to spool what comes from the pipe: {error}", path.display());
            Stop::new(ExitCode::DiskFull, format!("{what}; --state-dir names a folder on another disk"))
        }
        _ => Stop::new(ExitCode::Io, format!("{}: {error}", path.display())),
    }
}

/// Copies `input` to its end into the new file at `path`.
///
/// # Errors
/// [`ExitCode::DiskFull`] when there is no room; [`ExitCode::Io`] when `input` cannot be read or the file not written.
pub(crate) fn fill(path: &Path, input: &mut impl io::Read) -> Result<(), Stop> {
    let mut file =
        private().write(true).create_new(true).open(path).map_err(|error| refused(path, &error))?;
    io::copy(input, &mut file).map_err(|error| refused(path, &error))?;
    Ok(())
}

/// How the writing to the standard output ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poured {
    /// All that there will be is written.
    All,
    /// Nobody reads on.
    Unread,
}

/// Writes a download to the standard output while it arrives, as fast as that is read. That the download fails is told
/// elsewhere.
///
/// # Errors
/// When it is a folder or cannot be read, or the standard output is a file that cannot be written.
pub(crate) async fn pour(mut reader: DownloadReader) -> Result<Poured, Stop> {
    loop {
        let bytes = match reader.read().await {
            Ok(bytes) if bytes.is_empty() => return Ok(Poured::All),
            Ok(bytes) => bytes,
            Err(ReadError::Failed(_)) => return Ok(Poured::All),
            Err(ReadError::Folder) => {
                let what = "it is a folder, and the standard output takes a file: -o FOLDER saves it";
                return Err(Stop::new(ExitCode::Other, what));
            }
            Err(error) => return Err(Stop::new(ExitCode::Io, format!("what was spooled: {error}"))),
        };
        let writing = tokio::task::spawn_blocking(move || output_writer::write_data(&bytes));
        match writing.await.expect("writing does not panic") {
            Ok(true) => {}
            Ok(false) => return Ok(Poured::Unread),
            Err(error) => {
                let is_full =
                    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                let code = if is_full { ExitCode::DiskFull } else { ExitCode::Io };
                return Err(Stop::new(code, format!("standard output: {error}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_its_owners_alone_and_goes_with_its_value() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().expect("a folder");
        let take = || StateFolder::take(root.path(), None, &root.path().join("host")).expect("free");
        let state = take();
        let spool = Spool::default();
        let file = spool.make(&state).expect("made").join("f");
        fill(&file, &mut &b"bytes"[..]).expect("written");
        assert_eq!(fs::read(&file).expect("there"), b"bytes");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&state.spool()), mode(&file)), (0o700, 0o600));
        drop(spool);
        assert!(!state.spool().exists());
        let killed = Spool::default();
        killed.make(&state).expect("made");
        killed.remover()();
        assert!(!state.spool().exists(), "the second Ctrl-C");
        std::mem::forget(killed);
        make_folder(&state.spool()).expect("made");
        drop(state);
        assert!(!take().spool().exists(), "what a killed program left is gone at the next start");
    }
}
