//! A log file that is put aside when it is full: `node-1.log` becomes `node-1.log.1`, that `.2`, and the last one goes.

#![expect(clippy::disallowed_types, reason = "a log is a file: this room's business is I/O")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How much of a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file that would become longer is put aside, in bytes. A line is never cut, and a longer one has a file for itself.
    pub bytes: u64,
    /// So many files in all, the one that is written included; the oldest goes. At least 1.
    pub files: u8,
}

/// The end of a log file, whichever file that is by now. All clones are the same end.
#[derive(Debug, Clone)]
pub(crate) struct RotatingFile(Arc<Mutex<End>>);

#[derive(Debug)]
struct End {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    length: u64,
    /// How long it may become: more than asked for where it cannot be put aside.
    most: u64,
}

impl RotatingFile {
    /// The end of the file at `path`, which is made for its owner alone when it is not there.
    ///
    /// # Errors
    /// The system's; and when something is there that is not a file, which no log is written to, wherever a link leads.
    pub(crate) fn open(path: PathBuf, rotation: Rotation) -> io::Result<RotatingFile> {
        let file = open(&path)?;
        let length = file.metadata()?.len();
        Ok(RotatingFile(Arc::new(Mutex::new(End { path, rotation, file, length, most: rotation.bytes }))))
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl End {
    /// Writes all of `line`.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.is_too_long_with(line) {
            self.begin_another(line)?;
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(line.len())
    }

    fn is_too_long_with(&self, line: &[u8]) -> bool {
        self.length > 0 && self.length + line.len() as u64 > self.most
    }

    /// The file is full, as far as is known here: another process with the same log may have put it aside already, or may be
    /// about to. Where it cannot be put aside it goes on, and this is tried again when as much again is in it.
    fn begin_another(&mut self, line: &[u8]) -> io::Result<()> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(()),
            // A file system without locks: a process that shares the log may put it aside a second time.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let is_ours = is_at(&self.file, &self.path);
        let aside = if is_ours { put_aside(&self.path, self.rotation.files) } else { Ok(()) };
        let next = aside.and_then(|()| open(&self.path));
        let _ = self.file.unlock();
        match next {
            Ok(next) => {
                self.length = next.metadata().map_or(0, |next| next.len());
                (self.file, self.most) = (next, self.rotation.bytes);
                if !is_ours && self.is_too_long_with(line) {
                    return self.begin_another(line);
                }
            }
            Err(_) => self.most = self.length.saturating_add(self.rotation.bytes),
        }
        Ok(())
    }
}

/// Whether `file` is what stands at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |found: io::Result<fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
    let ours = identity(file.metadata());
    ours.is_some() && ours == identity(fs::symlink_metadata(path))
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

/// Makes room at `path`, where a log is: it becomes the first of at most `files` - 1 older ones.
fn put_aside(path: &Path, files: u8) -> io::Result<()> {
    let older = |number: u8| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let Some(last) = files.checked_sub(1).filter(|&last| last > 0) else {
        return fs::remove_file(path);
    };
    for number in (1..last).rev() {
        match fs::rename(older(number), older(number + 1)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    fs::rename(path, older(1))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Neither through a link nor into a pipe, which would wait for its reader.
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(|cause| match cause.raw_os_error() {
        #[cfg(unix)]
        Some(libc::ELOOP | libc::ENXIO) => not_a_file(),
        _ => cause,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file()) }
}

fn not_a_file() -> io::Error {
    io::Error::other("what is there is a link or no file at all")
}

/// Makes the folder of a log where there is none, for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
