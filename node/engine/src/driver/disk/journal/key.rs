//! `<state>/journal-key`: 32 bytes by chance, from which the seals of all journals of this person on this host are
//! made. One file for all labels. Whoever can read it can forge what a journal says, so it is for its owner alone, or
//! not believed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use channel::secret_file::{self, SecretFileError};

use super::mac::JournalKey;

/// The key of this life, had when the first download needs it.
#[derive(Debug, Default)]
pub(crate) struct StateKey {
    /// Where the secret is; `None`: what is sealed in this life nobody believes later.
    path: Option<PathBuf>,
    key: OnceLock<JournalKey>,
}

impl StateKey {
    /// The key whose secret is at `path`, or will be.
    pub(crate) fn at(path: PathBuf) -> StateKey {
        StateKey { path: Some(path), key: OnceLock::new() }
    }

    /// The key. One that cannot be kept is of this life alone: then what is fetched now is hashed again in the next
    /// one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn key(&self) -> io::Result<JournalKey> {
        if let Some(key) = self.key.get() {
            return Ok(*key);
        }
        let stored = self.path.as_deref().map(|path| (path, JournalKey::at(path)));
        let key = match stored {
            Some((_, Ok(key))) => key,
            Some((path, Err(cause))) => {
                tracing::warn!(path = %path.display(), %cause, "no key for journals");
                JournalKey::random()?
            }
            None => JournalKey::random()?,
        };
        Ok(*self.key.get_or_init(|| key))
    }
}

#[cfg(test)]
impl From<JournalKey> for StateKey {
    fn from(key: JournalKey) -> StateKey {
        StateKey { path: None, key: key.into() }
    }
}

impl JournalKey {
    /// A key for this life alone.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    fn random() -> io::Result<JournalKey> {
        secret_file::random().map(|secret| JournalKey::of_secret(&secret))
    }

    /// The key whose secret is at `path`, made when there is none. Several processes that make it at once have the
    /// same.
    ///
    /// # Errors
    /// The system's; and when what is there is not a secret that only this user knows. Nothing is replaced.
    fn at(path: &Path) -> io::Result<JournalKey> {
        secret_file::read_or_make(path).map(|secret| JournalKey::of_secret(&secret)).map_err(|error| {
            match error {
                SecretFileError::Io(cause) => cause,
                error => io::Error::other(format!("{error}: remove it, and it is made anew")),
            }
        })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    /// What a key seals, as something that can be compared.
    fn seal(key: &JournalKey) -> [u8; super::super::mac::SEAL] {
        key.begin().seal(b"same")
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_whoever_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal-key");
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| seal(&JournalKey::at(&path).unwrap()))).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(made.iter().all(|other| *other == made[0]));
        assert_eq!(seal(&StateKey::at(path.clone()).key().unwrap()), made[0], "and in another life");
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o777, found.len()), (0o600, 32));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
        assert_ne!(seal(&JournalKey::random().unwrap()), seal(&JournalKey::random().unwrap()));
    }

    #[test]
    fn what_others_may_know_is_no_key_and_stays() {
        type Spoil = fn(&Path);
        let ways: [Spoil; 4] = [
            |path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap(),
            |path| std::fs::write(path, "short").unwrap(),
            |path| {
                std::fs::rename(path, path.with_extension("mine")).unwrap();
                std::os::unix::fs::symlink(path.with_extension("mine"), path).unwrap();
            },
            |path| {
                std::fs::remove_file(path).unwrap();
                std::fs::create_dir(path).unwrap();
            },
        ];
        for (way, spoil) in ways.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal-key");
            JournalKey::at(&path).unwrap();
            spoil(&path);
            let before = std::fs::read(&path).ok();
            assert!(JournalKey::at(&path).is_err(), "{way}");
            let of_this_life = StateKey::at(path.clone());
            assert_eq!(seal(&of_this_life.key().unwrap()), seal(&of_this_life.key().unwrap()), "{way}");
            assert_eq!(std::fs::read(&path).ok(), before, "{way}");
        }
    }
}
