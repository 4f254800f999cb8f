//! Secrets of 32 bytes in files of their own: a node's key, a tracker's, and what else is made once and kept. Whoever
//! can read such a file can pass for its owner, so it is for one user alone, or not believed.
//!
//! This is the one part of the crate that touches files, and it is there only with the feature `secret-files`: the
//! cores do without. It stands here because the node's engine and the tracker's driver both need it, and this crate is
//! the only one that both know in every build.

pub(crate) mod members_file;
pub(crate) mod swarm_file;

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::StaticKey;

/// Bytes of a secret.
const LENGTH: usize = 32;

/// Why there is no secret from a file. Whoever says it names the file.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file can be neither read nor made, or the system has no random bytes.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is there is no regular file of 32 bytes.
    #[error("it is not a file of {LENGTH} secret bytes")]
    NotASecret,
    /// Other users may know what is in it.
    #[error("it is not private: it must belong to this user, and others must not read it (mode 0600)")]
    NotPrivate,
}

/// The secret in the file at `path`, which is made when there is none, for this user alone. Several processes that make
/// it at once have the same.
///
/// # Errors
/// When the system refuses, and when what is there is not a secret that only this user knows. Nothing is replaced.
pub fn read_or_make(path: &Path) -> Result<Zeroizing<[u8; LENGTH]>, SecretFileError> {
    match read(path) {
        Err(SecretFileError::Io(cause)) if cause.kind() == io::ErrorKind::NotFound => {
            make(path, &*random()?).or_else(|cause| match cause.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(cause),
            })?;
            read(path)
        }
        read => read,
    }
}

/// From here on the system writes no core file of this process when it crashes: its memory has the secrets. Where the
/// system is set up to hand cores to a program, that program is told not to keep them (core(5): a limit of 0 reaches it).
/// What was asked for in so many words, by raising the limit of a running process, is done all the same.
pub fn forbid_core_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Core);
        // Who may not even lower a limit has none to fear.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    }
}

/// A secret that is kept nowhere.
///
/// # Errors
/// When the system has no random bytes.
pub fn random() -> io::Result<Zeroizing<[u8; LENGTH]>> {
    let mut secret = Zeroizing::new([0; LENGTH]);
    SysRng.try_fill_bytes(&mut *secret).map_err(io::Error::other)?;
    Ok(secret)
}

impl StaticKey {
    /// The key pair whose secret half is in the file at `path`: see [`read_or_make`].
    ///
    /// # Errors
    /// As [`read_or_make`].
    pub fn of_file(path: &Path) -> Result<StaticKey, SecretFileError> {
        read_or_make(path).map(|secret| StaticKey::from_secret(*secret))
    }

    /// A key pair that is kept nowhere.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> io::Result<StaticKey> {
        random().map(|secret| StaticKey::from_secret(*secret))
    }
}

fn read(path: &Path) -> Result<Zeroizing<[u8; LENGTH]>, SecretFileError> {
    let mut options = OpenOptions::new();
    without_links_and_waiting(&mut options);
    let mut file = options.read(true).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() != LENGTH as u64 {
        return Err(SecretFileError::NotASecret);
    }
    if !is_read_by_user_alone(&found) {
        return Err(SecretFileError::NotPrivate);
    }
    let mut secret = Zeroizing::new([0; LENGTH]);
    file.read_exact(&mut *secret)?;
    Ok(secret)
}

/// Makes a file of `bytes` for this user alone, whole under another name first, and renames it. What another process
/// made there sooner stays.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when something stands at `path`, and when the system refuses.
pub(crate) fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, bytes, rename_no_replace)
}

/// Puts a file of `bytes` for this user alone in the place of the one at `path`, so that at each moment one of the two
/// is there, whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, bytes, |from, to| fs::rename(from, to))
}

fn write_beside(
    path: &Path,
    bytes: &[u8],
    name: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let unfinished = unfinished(path)?;
    let mut options = OpenOptions::new();
    for_user_alone(&mut options);
    let mut file = options.write(true).create_new(true).open(&unfinished)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let named = written.and_then(|()| name(&unfinished, path));
    // Where the rename was done it is gone already.
    let _ = fs::remove_file(&unfinished);
    sync_folder_of(path);
    named
}

/// A name beside `path` that nobody else has. What a crash leaves there ends as other unfinished files do.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let mut number = [0; 8];
    SysRng.try_fill_bytes(&mut number).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", u64::from_le_bytes(number)));
    Ok(path.with_file_name(name))
}

/// Renames only where nothing stands at the new path. Network file systems have no such rename, and second names, which
/// replace nothing either.
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags};
        let renamed = rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE);
        match renamed.map_err(io::Error::from) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Err(cause),
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
    }
    fs::hard_link(from, to)
}

/// Makes last what was made in the folder of `path`, where that can be done. Windows does so by itself.
fn sync_folder_of(path: &Path) {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = OpenOptions::new().read(true).open(folder.unwrap_or(Path::new(".")));
        let _ = folder.and_then(|folder| folder.sync_all());
    }
}

/// Lets only this user read and write the file that is made. Windows: the folder's access list says who may, and
/// folders in a person's profile are that person's own.
fn for_user_alone(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let _ = options;
}

/// Follows no link at the end of the path, and does not wait for whoever holds the other end of a pipe.
fn without_links_and_waiting(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    #[cfg(windows)]
    {
        /// A link is opened itself, and is no regular file.
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        std::os::windows::fs::OpenOptionsExt::custom_flags(options, FILE_FLAG_OPEN_REPARSE_POINT);
    }
}

/// Whether only this user can read the file of which `found` tells. Windows: see [`for_user_alone`].
fn is_read_by_user_alone(found: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        true
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone_whoever_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| read_or_make(&path).unwrap())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(made.iter().all(|other| *other == made[0]) && *made[0] != [0; LENGTH]);
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o777, found.len()), (0o600, 32));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
        let key = StaticKey::of_file(&path).unwrap();
        assert_eq!(key.secret(), &*made[0], "and in another life");
        assert_ne!(StaticKey::random().unwrap().public(), StaticKey::random().unwrap().public());
    }

    #[test]
    fn where_no_rename_promises_to_replace_nothing_a_second_name_does() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to, taken] = ["from", "to", "taken"].map(|name| folder.path().join(name));
        fs::write(&from, "new").unwrap();
        fs::write(&taken, "mine").unwrap();
        let refused = rename_no_replace(&from, &taken).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&taken).unwrap(), b"mine");
        rename_no_replace(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }

    #[test]
    fn what_others_may_know_is_no_secret_and_stays() {
        type Spoil = fn(&Path);
        let ways: [(Spoil, &str); 6] = [
            (|path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap(), "not private"),
            (|path| fs::write(path, "short").unwrap(), "32 secret bytes"),
            (|path| fs::write(path, [7; 33]).unwrap(), "32 secret bytes"),
            (|path| fs::write(path, "").unwrap(), "32 secret bytes"),
            (
                |path| {
                    fs::rename(path, path.with_extension("mine")).unwrap();
                    std::os::unix::fs::symlink(path.with_extension("mine"), path).unwrap();
                },
                "os error",
            ),
            (
                |path| {
                    fs::remove_file(path).unwrap();
                    fs::create_dir(path).unwrap();
                },
                "32 secret bytes",
            ),
        ];
        for (way, (spoil, said)) in ways.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("key");
            let secret = read_or_make(&path).unwrap();
            spoil(&path);
            let before = fs::read(&path).ok();
            let error = read_or_make(&path).unwrap_err();
            assert!(error.to_string().contains(said), "{way}: {error}");
            assert_eq!(fs::read(&path).ok(), before, "{way}");
            let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!format!("{error} {error:?}").contains(&digits), "{way}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_the_systems_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_or_make(&folder.path().join("none").join("key")).unwrap_err();
        assert!(matches!(error, SecretFileError::Io(_)), "{error}");
    }
}
