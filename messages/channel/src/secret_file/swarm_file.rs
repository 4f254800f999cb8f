//! Files with the secrets of a closed swarm: [`SwarmSecrets::text`], for one user alone.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::swarm_secrets::ParseSecretsError;
use crate::{SwarmSecret, SwarmSecrets};

/// No file of secrets is longer, in bytes.
const MAX_FILE: u64 = 4096;

/// Why there are no secrets from a file. No part of them is in it.
#[derive(Debug, thiserror::Error)]
#[error("the secret file {}: {trouble}", path.display())]
pub struct SwarmFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: SwarmFileTrouble,
}

/// What is wrong with a file of secrets.
#[derive(Debug, thiserror::Error)]
pub enum SwarmFileTrouble {
    /// It can be neither read nor made, or the system has no random bytes.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something stands there already. It stays as it is.
    #[error("it is there already, and stays as it is")]
    Exists,
    /// It is no regular file, or far longer than secrets are.
    #[error("it is not a file of secrets")]
    NotAFile,
    /// It belongs to somebody else, who can read and change it.
    #[error("it belongs to another user: use a copy of your own (mode 0600)")]
    NotOurs,
    /// Other users may read or change it.
    #[error(
        "others may read it (mode {mode:04o}): chmod 600 makes it private; if somebody has read it, another secret is needed"
    )]
    NotPrivate {
        /// Its permissions.
        mode: u32,
    },
    /// It opens a swarm that another file opens already.
    #[error("it has a secret that stands in {} too: one file is enough for a swarm", other.display())]
    Same {
        /// The other file.
        other: PathBuf,
    },
    /// There is something else in it.
    #[error(transparent)]
    Text(#[from] ParseSecretsError),
}

impl SwarmSecret {
    /// A new secret, of the system's randomness.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> io::Result<SwarmSecret> {
        super::random().map(|secret| SwarmSecret::from_bytes(*secret))
    }
}

impl SwarmSecrets {
    /// The secrets in the file at `path`. Links are followed: what they lead to has to be private.
    ///
    /// # Errors
    /// When it cannot be read, others may know what is in it, or that is not a list of secrets.
    pub fn of_file(path: &Path) -> Result<SwarmSecrets, SwarmFileError> {
        read(path).map_err(|trouble| SwarmFileError { path: path.to_owned(), trouble })
    }

    /// The secrets in the file at `path`, or those of the open swarm without one.
    ///
    /// # Errors
    /// As [`SwarmSecrets::of_file`].
    pub fn of_file_or_open(path: Option<&Path>) -> Result<SwarmSecrets, SwarmFileError> {
        path.map_or_else(|| Ok(SwarmSecrets::open()), SwarmSecrets::of_file)
    }

    /// The secrets in several files, each of which is of another swarm.
    ///
    /// # Errors
    /// As [`SwarmSecrets::of_file`], and when two of them have a secret in common.
    pub fn of_files<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<SwarmSecrets>, SwarmFileError> {
        let files = SwarmFile::open_all(paths, 0)?;
        Ok(files.into_iter().map(|file| file.read).collect())
    }

    /// Makes a file of them at `path`, for this user alone.
    ///
    /// # Errors
    /// When something stands there already, which stays as it is, or the system refuses.
    pub fn make_file(&self, path: &Path) -> Result<(), SwarmFileError> {
        let made = super::make(path, self.text().as_bytes());
        made.map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => SwarmFileTrouble::Exists,
            _ => SwarmFileTrouble::Io(cause),
        })
        .map_err(|trouble| SwarmFileError { path: path.to_owned(), trouble })
    }

    /// Puts a file of them in the place of the one at `path`, or of the one that a link there leads to. At each moment
    /// one of the two is there, whole.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn replace_file(&self, path: &Path) -> Result<(), SwarmFileError> {
        let replaced = path.canonicalize().and_then(|path| super::replace(&path, self.text().as_bytes()));
        replaced.map_err(|cause| SwarmFileError { path: path.to_owned(), trouble: cause.into() })
    }
}

/// A file of secrets that a program looks at again and again, since they change.
#[derive(Debug)]
pub struct SwarmFile {
    path: PathBuf,
    /// What was in it when it could be read last.
    read: SwarmSecrets,
    /// What was told of it last.
    told: SwarmSecrets,
    /// What was wrong with it at the last look.
    trouble: Option<String>,
}

impl SwarmFile {
    /// Reads the file at `path` for the first time. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// As [`SwarmSecrets::of_file`].
    pub fn open(path: &Path, now: u64) -> Result<SwarmFile, SwarmFileError> {
        let read = SwarmSecrets::of_file(path)?;
        let told = read.clone().at(now);
        Ok(SwarmFile { path: path.to_owned(), read, told, trouble: None })
    }

    /// Reads several files for the first time, each of which is of another swarm.
    ///
    /// # Errors
    /// As [`SwarmSecrets::of_files`].
    pub fn open_all<'a>(
        paths: impl IntoIterator<Item = &'a Path>,
        now: u64,
    ) -> Result<Vec<SwarmFile>, SwarmFileError> {
        let mut files: Vec<SwarmFile> = Vec::new();
        for path in paths {
            let file = SwarmFile::open(path, now)?;
            if let Some(same) =
                files.iter().find(|other| other.read.iter().any(|one| file.read.contains(one)))
            {
                let trouble = SwarmFileTrouble::Same { other: same.path.clone() };
                return Err(SwarmFileError { path: path.to_owned(), trouble });
            }
            files.push(file);
        }
        Ok(files)
    }

    /// The secrets that were told of last.
    #[must_use]
    pub fn secrets(&self) -> &SwarmSecrets {
        &self.told
    }

    /// Reads the file again. Returns the secrets if others are accepted now, because the file has changed or the end of
    /// one has come; and what is wrong with the file, once. What was in it before is good until then.
    pub fn look(&mut self, now: u64) -> (Option<SwarmSecrets>, Option<SwarmFileError>) {
        let trouble = match SwarmSecrets::of_file(&self.path) {
            Ok(read) => {
                self.read = read;
                None
            }
            Err(trouble) => Some(trouble),
        };
        let words = trouble.as_ref().map(ToString::to_string);
        let trouble = trouble.filter(|_| words != self.trouble);
        self.trouble = words;
        let secrets = self.read.clone().at(now);
        let news = (secrets != self.told).then(|| secrets.clone());
        self.told = secrets;
        (news, trouble)
    }
}

fn read(path: &Path) -> Result<SwarmSecrets, SwarmFileTrouble> {
    let mut options = OpenOptions::new();
    // Whoever holds the other end of a pipe is not waited for.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.read(true).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MAX_FILE {
        return Err(SwarmFileTrouble::NotAFile);
    }
    is_private(&found)?;
    // One allocation: no copy stays behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    let text = str::from_utf8(&bytes).map_err(|_| SwarmFileTrouble::NotAFile)?;
    Ok(text.parse()?)
}

/// Whether this user alone can read the file. Windows: its folder's access list says who may.
fn is_private(found: &Metadata) -> Result<(), SwarmFileTrouble> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(SwarmFileTrouble::NotOurs);
        }
        let mode = found.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SwarmFileTrouble::NotPrivate { mode });
        }
    }
    let _ = found;
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_of_secrets_is_private_and_nothing_is_ever_written_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secrets = SwarmSecrets::from(SwarmSecret::random().unwrap());
        secrets.make_file(&path).unwrap();
        assert_eq!((SwarmSecrets::of_file(&path).unwrap(), mode(&path)), (secrets.clone(), 0o600));
        let other = SwarmSecrets::from(SwarmSecret::random().unwrap());
        assert_ne!(other, secrets);
        let error = other.make_file(&path).unwrap_err().to_string();
        assert!(error.contains("it is there already"), "{error}");
        assert_eq!(SwarmSecrets::of_file(&path).unwrap(), secrets);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
        // A link that leads nowhere is something, too.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(matches!(other.make_file(&link).unwrap_err().trouble, SwarmFileTrouble::Exists));
    }

    #[test]
    fn a_file_is_replaced_where_it_is_although_a_link_leads_there() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["secret", "link"].map(|name| folder.path().join(name));
        let secrets = SwarmSecrets::from(SwarmSecret::random().unwrap());
        secrets.make_file(&path).unwrap();
        std::os::unix::fs::symlink("secret", &link).unwrap();
        let rotated = secrets.rotated(SwarmSecret::random().unwrap(), 9);
        rotated.replace_file(&link).unwrap();
        assert_eq!((SwarmSecrets::of_file(&path).unwrap(), mode(&path)), (rotated.clone(), 0o600));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(rotated.replace_file(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_file_that_is_looked_at_tells_what_changes_and_what_is_wrong_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let first = SwarmSecrets::from(SwarmSecret::random().unwrap());
        first.make_file(&path).unwrap();
        let mut file = SwarmFile::open(&path, 5).unwrap();
        let told =
            |(news, trouble): (Option<SwarmSecrets>, Option<SwarmFileError>)| (news, trouble.is_some());
        assert_eq!(told(file.look(5)), (None, false));
        let rotated = first.clone().rotated(SwarmSecret::random().unwrap(), 10);
        rotated.replace_file(&path).unwrap();
        assert_eq!(told(file.look(6)), (Some(rotated.clone()), false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(told(file.look(7)), (None, true));
        assert_eq!(told(file.look(8)), (None, false), "said already");
        assert_eq!(file.secrets(), &rotated);
        let last = SwarmSecrets::from(rotated.first().clone());
        assert_eq!(told(file.look(10)), (Some(last.clone()), false), "an end comes without the file, too");
        fs::remove_file(&path).unwrap();
        assert_eq!(told(file.look(11)), (None, true), "something else is wrong");
        first.make_file(&path).unwrap();
        assert_eq!(told(file.look(12)), (Some(first), false));
    }

    #[test]
    fn of_several_files_each_is_of_another_swarm() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
        let secrets = [(); 2].map(|()| SwarmSecrets::from(SwarmSecret::random().unwrap()));
        secrets[0].make_file(&paths[0]).unwrap();
        secrets[1].make_file(&paths[1]).unwrap();
        let read = |count: usize| SwarmSecrets::of_files(paths[..count].iter().map(PathBuf::as_path));
        assert_eq!(read(2).unwrap(), secrets);
        // The third one was the first one before a rotation.
        secrets[0].clone().rotated(SwarmSecret::random().unwrap(), 9).make_file(&paths[2]).unwrap();
        let error = read(3).unwrap_err().to_string();
        let said = format!("it has a secret that stands in {} too", paths[0].display());
        assert!(error.starts_with(&format!("the secret file {}: {said}", paths[2].display())), "{error}");
    }

    #[test]
    fn what_others_may_read_or_is_no_secret_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secrets = SwarmSecrets::from(SwarmSecret::random().unwrap());
        secrets.make_file(&path).unwrap();
        for (mode, said) in [(0o640, "mode 0640): chmod 600"), (0o604, "0604"), (0o602, "0602")] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = SwarmSecrets::of_file(&path).unwrap_err().to_string();
            assert!(error.starts_with("the secret file ") && error.contains(said), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(SwarmSecrets::of_file(&path).unwrap(), secrets, "who only reads it needs no more");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let text = secrets.text();
        for (bytes, said) in [
            (&b""[..], "no secret in it"),
            (&[0xff; 40], "not a file of secrets"),
            (&text.as_bytes()[..60], "line 1: the secret is cut short"),
            (&[b' '; 5000], "not a file of secrets"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = SwarmSecrets::of_file(&path).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert!(!format!("{error} {error:?}").contains(&text[15..40]), "{error}");
        }
        let error = SwarmSecrets::of_file(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not a file of secrets"), "{error}");
        let error = SwarmSecrets::of_file(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
