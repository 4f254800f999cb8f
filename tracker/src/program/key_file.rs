//! Where the tracker's static key is kept, so that it is the same after a restart: nodes know the tracker by it.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use channel::secret_file::SecretFileError;
use channel::{PublicKey, StaticKey};

use super::{ProgramError, user_state};

/// The name of the file in a state folder.
const NAME: &str = "tracker.key";

/// What a person may say of the key.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyFlags {
    /// The file of the tracker's key, made when it is not there [default: tracker.key in the state folder]
    #[arg(long, env = "RIFFLE_TRACKER_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// Where the key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// In this file, which a person named.
    Named(PathBuf),
    /// In a state folder that a person named. The folder is made when it is not there.
    InFolder(PathBuf),
    /// In the user's own state folder. A tracker does without where that cannot be used.
    InUsersFolder(PathBuf),
}

impl KeyFile {
    /// The place that was named, else the one in `state_dir`, else the one of this user. `None`: this user has none.
    pub(super) fn of(flags: &KeyFlags, state_dir: Option<&Path>) -> Option<KeyFile> {
        match (&flags.key_file, state_dir) {
            (Some(file), _) => Some(KeyFile::Named(file.clone())),
            (None, Some(folder)) => Some(KeyFile::InFolder(folder.to_owned())),
            (None, None) => user_state().map(|state| KeyFile::InUsersFolder(state.join("riffle"))),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            KeyFile::Named(file) => file.clone(),
            KeyFile::InFolder(folder) | KeyFile::InUsersFolder(folder) => folder.join(NAME),
        }
    }

    /// Makes the folder of the file where that is the program's to make.
    fn make_folder(&self) -> io::Result<()> {
        let (KeyFile::InFolder(folder) | KeyFile::InUsersFolder(folder)) = self else { return Ok(()) };
        logs::keep_owner(folder)?;
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)
    }
}

/// The tracker's key, and what a person should know of it. The key is of this life alone where the user's state folder
/// cannot be used and no other place was named: a tracker needs no disk.
pub(super) fn read_or_make(file: Option<&KeyFile>) -> Result<(StaticKey, Option<String>), ProgramError> {
    let of_this_life = |why: &str| {
        let key = StaticKey::random().map_err(ProgramError::Randomness)?;
        let what =
            format!("the tracker has another key at each start: {why}; --key-file names a file for it");
        Ok((key, Some(what)))
    };
    let Some(file) = file else { return of_this_life("there is no state folder") };
    let path = file.path();
    let key = file.make_folder().map_err(SecretFileError::from).and_then(|()| StaticKey::of_file(&path));
    match (key, file) {
        (Ok(key), _) => Ok((key, None)),
        (Err(SecretFileError::Io(cause)), KeyFile::InUsersFolder(_)) => {
            of_this_life(&format!("{}: {cause}", path.display()))
        }
        (Err(cause), _) => Err(ProgramError::KeyFile { path, cause }),
    }
}

/// What nodes are told to name the tracker by its key.
pub(super) fn how_to_name(key: PublicKey, address: SocketAddr) -> String {
    let port = address.port();
    match address.ip().is_unspecified() {
        true => format!("its key is in this name, where HOST is this machine: --tracker {key}@HOST:{port}"),
        false => format!("its key is in this name: --tracker {key}@{address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(file: Option<&str>) -> KeyFlags {
        KeyFlags { key_file: file.map(PathBuf::from) }
    }

    #[test]
    fn a_named_file_goes_before_a_named_folder() {
        let folder = Some(Path::new("/state"));
        assert_eq!(KeyFile::of(&flags(Some("/k")), folder), Some(KeyFile::Named("/k".into())));
        let found = KeyFile::of(&flags(None), folder).expect("named");
        assert_eq!(
            (&found, found.path()),
            (&KeyFile::InFolder("/state".into()), "/state/tracker.key".into())
        );
    }

    #[test]
    fn the_key_is_the_same_after_a_restart_and_its_folder_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = KeyFile::InFolder(folder.path().join("state/riffle"));
        let read = || read_or_make(Some(&place)).expect("a key");
        let (key, trouble) = read();
        assert_eq!((read().0.public(), trouble), (key.public(), None));
    }

    #[test]
    fn a_damaged_key_ends_the_program_and_an_unusable_folder_only_where_it_was_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(NAME);
        std::fs::write(&file, "short").expect("written");
        let own = folder.path().to_owned();
        for place in
            [KeyFile::Named(file.clone()), KeyFile::InFolder(own.clone()), KeyFile::InUsersFolder(own)]
        {
            let error = read_or_make(Some(&place)).expect_err("damaged");
            assert!(
                error.to_string().contains("tracker.key: it is not a file of 32 secret bytes"),
                "{error}"
            );
            assert_eq!(error.exit_code(), 10);
        }
        // A file stands where the folder would be.
        let unusable = file.join("below");
        assert!(read_or_make(Some(&KeyFile::InFolder(unusable.clone()))).is_err());
        assert!(read_or_make(Some(&KeyFile::Named(unusable.clone()))).is_err());
        let (_, trouble) = read_or_make(Some(&KeyFile::InUsersFolder(unusable))).expect("of this life");
        assert!(trouble.is_some_and(|trouble| trouble.contains("another key at each start")));
    }

    #[test]
    fn the_line_to_use_has_the_key_and_where_it_can_have_it_the_host() {
        let key = PublicKey::from_bytes([0; 32]);
        let line = |address: &str| how_to_name(key, address.parse().expect("an address"));
        let zeros = "a".repeat(52);
        assert!(line("[::]:12345").ends_with(&format!("--tracker {zeros}@HOST:12345")));
        assert!(line("[::1]:7").ends_with(&format!("--tracker {zeros}@[::1]:7")));
    }
}
