//! A log file that is put aside when it is full: `node-1.log` becomes `node-1.log.1`, that one `.2`, and the last one
//! is removed.

#![expect(clippy::disallowed_types, reason = "a log is a file: this room's business is I/O")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The limits on the files of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The longest that a file becomes before it is put aside, in bytes. A line is never cut, and a longer one has a
    /// file for itself.
    pub bytes: u64,
    /// The number of files that are kept, the one that is written included; the oldest is removed. At least 1.
    pub files: u8,
}

/// The end of a log, whichever file is being written. All clones are the same end.
#[derive(Debug, Clone)]
pub(crate) struct RotatingFile(Arc<Mutex<End>>);

#[derive(Debug)]
struct End {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    length: u64,
    /// The longest that the file may become, in bytes: more than `rotation` says when the file could not be put aside.
    limit: u64,
}

impl Rotation {
    /// The longest that the file at `path` may become, so that all files of the log together are no longer than as many
    /// full files.
    fn limit_beside_others(&self, path: &Path) -> u64 {
        let files = self.files.max(1);
        let length = |number| fs::symlink_metadata(older(path, number)).ok().filter(fs::Metadata::is_file);
        let others: u64 = (1..files).filter_map(length).map(|found| found.len()).sum();
        self.bytes.saturating_mul(files.into()).saturating_sub(others).max(self.bytes)
    }
}

impl RotatingFile {
    /// The end of the file at `path`, which is made for its owner alone when there is none.
    ///
    /// # Errors
    /// The system's; and when something is there that is not a file, since a log is written through no link.
    pub(crate) fn open(path: PathBuf, rotation: Rotation) -> io::Result<RotatingFile> {
        let file = open(&path)?;
        let length = file.metadata()?.len();
        Ok(RotatingFile(Arc::new(Mutex::new(End { path, rotation, file, length, limit: rotation.bytes }))))
    }
}

impl Write for RotatingFile {
    /// Writes all of `lines`, which are whole.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(lines)?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl End {
    /// Writes `lines` at once, or one by one where another file begins among them.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.length + lines.len() as u64 <= self.limit {
            return self.append(lines);
        }
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            if self.is_too_long_with(line) {
                self.begin_another(line)?;
            }
            self.append(line)?;
        }
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.length += lines.len() as u64;
        Ok(())
    }

    fn is_too_long_with(&self, line: &[u8]) -> bool {
        self.length > 0 && self.length + line.len() as u64 > self.limit
    }

    /// Puts the full file aside and begins another one. Another process with the same log may have put it aside
    /// already, or be about to. A file that cannot be put aside goes on, and this is tried again when it has grown as
    /// much again; it becomes no longer than all files together may be, and then begins anew.
    fn begin_another(&mut self, line: &[u8]) -> io::Result<()> {
        match self.file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(()),
            // On a file system without locks a process that shares the log may put it aside a second time.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let is_ours = is_at(&self.file, &self.path);
        let aside = if is_ours { put_aside(&self.path, self.rotation.files) } else { Ok(()) };
        let next = aside.and_then(|()| open(&self.path));
        let _ = self.file.unlock();
        match next {
            Ok(next) => {
                self.length = next.metadata().map_or(0, |next| next.len());
                (self.file, self.limit) = (next, self.rotation.bytes);
                if !is_ours && self.is_too_long_with(line) {
                    return self.begin_another(line);
                }
            }
            Err(_) => {
                let limit = self.rotation.limit_beside_others(&self.path);
                if self.length + line.len() as u64 > limit {
                    self.file.set_len(0)?;
                    self.length = 0;
                }
                self.limit = self.length.saturating_add(self.rotation.bytes).min(limit);
            }
        }
        Ok(())
    }
}

/// Whether `file` is the file at `path`.
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

/// The path of the log at `path` once it is the `number`-th older one.
fn older(path: &Path, number: u8) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Puts the log at `path` aside: it becomes the first of at most `files` - 1 older ones. Further ones, of a time when
/// more were kept, are removed. What is no file is not moved.
fn put_aside(path: &Path, files: u8) -> io::Result<()> {
    let older = |number: u8| older(path, number);
    let is_file = |path: &Path| fs::symlink_metadata(path).map(|found| found.is_file());
    // Older files are numbered without a gap.
    let further = (files.max(1)..=u8::MAX).map(older).take_while(|path| is_file(path).is_ok_and(|is| is));
    further.for_each(|path| drop(fs::remove_file(path)));
    let Some(last) = files.checked_sub(1).filter(|&last| last > 0) else {
        return fs::remove_file(path);
    };
    for number in (1..last).rev() {
        match is_file(&older(number)) {
            Ok(true) => fs::rename(older(number), older(number + 1))?,
            Ok(false) => return Err(not_a_file()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
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
        // A log is written neither through a link nor into a pipe, which would wait for its reader.
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(|cause| match cause.raw_os_error() {
        #[cfg(unix)]
        Some(libc::ELOOP | libc::ENXIO) => not_a_file(),
        _ => cause,
    })?;
    let found = file.metadata()?;
    if !found.is_file() || has_other_names(&found) {
        return Err(not_a_file());
    }
    close_to_others(&file, &found);
    Ok(file)
}

fn not_a_file() -> io::Error {
    io::Error::other("what is there is a link or no file at all")
}

/// Whether the file has another name too: then it may be anything, as behind a link.
#[cfg(unix)]
fn has_other_names(found: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(found) > 1
}

#[cfg(not(unix))]
fn has_other_names(_found: &fs::Metadata) -> bool {
    false
}

/// Takes the rights of others away from a log that an earlier version made for everybody to read. Where that fails the
/// file stays as it is.
#[cfg(unix)]
fn close_to_others(file: &File, found: &fs::Metadata) {
    use std::os::unix::fs::PermissionsExt as _;
    if found.permissions().mode() & 0o077 != 0 {
        let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
    }
}

#[cfg(not(unix))]
fn close_to_others(_file: &File, _found: &fs::Metadata) {}

/// Makes the folder of a log for its owner alone, if there is none.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes so many lines of 50 bytes to the log `f` in `folder`, of which `files` of 1000 bytes are kept.
    fn flood(folder: &Path, files: u8, lines: u32) {
        let mut file = RotatingFile::open(folder.join("f"), Rotation { bytes: 1000, files }).unwrap();
        (0..lines).for_each(|number| file.write_all(format!("{number:49}\n").as_bytes()).unwrap());
    }

    /// The files in a folder and how long each is.
    fn lengths(folder: &Path) -> Vec<(String, u64)> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = entries
            .map(|entry| (entry.file_name().to_str().unwrap().to_owned(), entry.metadata().unwrap().len()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn all_files_of_a_log_together_have_a_bound_whatever_is_said() {
        let folder = tempfile::tempdir().unwrap();
        flood(folder.path(), 3, 10_007);
        let expected = [("f", 350), ("f.1", 1000), ("f.2", 1000)];
        assert_eq!(lengths(folder.path()), expected.map(|(name, length)| (name.to_owned(), length)));
        // The log does not grow either where it cannot be put aside: a folder stands there and is not moved.
        for (older, lines, length) in [("f.1", 60, 3000), ("f.2", 60, 2000), ("f.1", 10_007, 2350)] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join(older)).unwrap();
            fs::write(folder.path().join(older).join("mine"), "mine").unwrap();
            flood(folder.path(), 3, lines);
            assert!(folder.path().join(older).join("mine").exists(), "{older} {lines}");
            let written = lengths(folder.path()).into_iter().find(|(name, _)| name == "f").unwrap().1;
            assert_eq!(written, length, "{older} {lines}");
            let text = fs::read_to_string(folder.path().join("f")).unwrap();
            assert!(text.ends_with(&format!(" {}\n", lines - 1)), "the newest is there");
        }
    }

    #[test]
    fn files_of_when_more_were_kept_go() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f.old"), "mine").unwrap();
        for files in [6, 2, 1] {
            flood(folder.path(), files, 400);
            let others: Vec<String> = (1..files).map(|number| format!("f.{number}")).collect();
            let expected = [&["f".to_owned()][..], &others, &["f.old".to_owned()]].concat();
            let names: Vec<String> = lengths(folder.path()).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, expected);
        }
    }
}
