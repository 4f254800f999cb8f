//! The folder in which a node keeps who it is: `<state>/node-<label>/`, locked while the node runs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use channel::StaticKey;
use channel::secret_file::SecretFileError;
use config::NodeLabel;
use messages::NodeId;

use super::files::{make_folder, write_whole};
use super::lock::StateLock;
use crate::platform::permissions::close_folder;

/// Nodes without a label take the first free number up to this one.
const MAX_NUMBERED: u32 = 4096;

/// The folder of what is kept no longer than a program runs.
const SPOOL: &str = "spool";

/// The file of the node's key: the secret half, 32 bytes.
const KEY: &str = "key";

/// Why a node cannot have its state folder.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process of this host runs the node of that label.
    #[error("a node with the id {0} is running on this host")]
    InUse(NodeLabel),
    /// Every number is the label of a node that runs.
    #[error("{MAX_NUMBERED} nodes are running on this host")]
    AllInUse,
    /// The folder cannot be made or locked.
    #[error("the state folder {} cannot be used: {cause}", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The file with the node's key can be neither read nor made.
    #[error("{}: {cause}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The file with the node's key is none, or others may have read it.
    #[error("{}: {cause}; delete the file to give this node a new key, and so a new identity", path.display())]
    DamagedIdentity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SecretFileError,
    },
}

/// A node's state folder, in use by this process.
#[derive(Debug)]
pub struct StateFolder {
    label: NodeLabel,
    folder: PathBuf,
    /// Who the node is, and can prove to be, in all its lives.
    key: StaticKey,
    /// The system lets go of the lock when the process ends, however it ends.
    lock: StateLock,
}

impl StateFolder {
    /// Takes the folder of `label` under `root`, or that of the first free number. It is made when it is not there.
    /// `host_folder` is a folder that no other host sees: the lock is in it where the file system of `root` has no
    /// locks.
    ///
    /// # Errors
    /// When the label is in use, or the folder cannot be made, locked or read.
    pub fn take(
        root: &Path,
        label: Option<&NodeLabel>,
        host_folder: &Path,
    ) -> Result<StateFolder, StateError> {
        if let Some(label) = label {
            let taken = StateFolder::try_take(root, label.clone(), host_folder)?;
            return taken.ok_or_else(|| StateError::InUse(label.clone()));
        }
        for number in 1..=MAX_NUMBERED {
            if let Some(taken) = StateFolder::try_take(root, NodeLabel::from(number), host_folder)? {
                return Ok(taken);
            }
        }
        Err(StateError::AllInUse)
    }

    /// As [`StateFolder::take`] for one label; `None` when the label is in use.
    fn try_take(
        root: &Path,
        label: NodeLabel,
        host_folder: &Path,
    ) -> Result<Option<StateFolder>, StateError> {
        let folder = root.join(format!("node-{label}"));
        let unusable = |cause| StateError::Unusable { folder: folder.clone(), cause };
        make_own_folder(&folder).map_err(unusable)?;
        let lock = StateLock::take(&folder, host_folder, File::try_lock).map_err(unusable)?;
        let Some(lock) = lock else { return Ok(None) };
        // A program that was killed may have left something there.
        let _ = fs::remove_dir_all(folder.join(SPOOL));
        let key = read_or_make_key(&folder.join(KEY))?;
        Ok(Some(StateFolder { label, folder, key, lock }))
    }

    /// Who the node of `label` is, or the first one, and what proves it, whether the node runs or not. Its key is made
    /// when there is none.
    ///
    /// # Errors
    /// When its folder cannot be made, or the key cannot be read or made.
    pub fn key_of(root: &Path, label: Option<&NodeLabel>) -> Result<StaticKey, StateError> {
        let label = label.cloned().unwrap_or_else(|| NodeLabel::from(1));
        let folder = root.join(format!("node-{label}"));
        make_own_folder(&folder).map_err(|cause| StateError::Unusable { folder: folder.clone(), cause })?;
        read_or_make_key(&folder.join(KEY))
    }

    /// As [`StateFolder::key_of`], for a node that has a key already.
    pub fn known_key(root: &Path, label: Option<&NodeLabel>) -> Option<StaticKey> {
        let label = label.cloned().unwrap_or_else(|| NodeLabel::from(1));
        let path = root.join(format!("node-{label}")).join(KEY);
        if path.exists() { StaticKey::of_file(&path).ok() } else { None }
    }

    /// What the node is called in logs and on screens.
    pub fn label(&self) -> &str {
        self.label.as_str()
    }

    /// Who the node is, in all its lives.
    pub fn node(&self) -> NodeId {
        self.key.node_id()
    }

    /// The key from which [`StateFolder::node`] follows.
    pub(crate) fn key(&self) -> &StaticKey {
        &self.key
    }

    /// Where the prompt keeps its history.
    pub fn history(&self) -> PathBuf {
        self.folder.join("history")
    }

    /// Where the prompt keeps what it shares.
    pub fn shares(&self) -> PathBuf {
        self.folder.join("shares")
    }

    /// Where a program may put files for as long as it has this folder. The next one finds nothing of them.
    pub fn spool(&self) -> PathBuf {
        self.folder.join(SPOOL)
    }

    /// Where files are locked that are on file systems without locks: one folder for all nodes of this state.
    pub fn locks(&self) -> PathBuf {
        self.lock.elsewhere().map_or_else(|| self.folder.with_file_name("locks"), Path::to_owned)
    }

    /// Where the secret is under which journals of downloads are sealed: one for all nodes of this state.
    pub fn journal_key(&self) -> PathBuf {
        self.folder.with_file_name("journal-key")
    }

    /// Where the key of a tracker is that a node runs itself: one for all nodes of this state, so that the tracker stays
    /// who it is when another node becomes it. `riffle-tracker` has it in the same place.
    #[cfg(feature = "embedded-tracker")]
    pub(crate) fn tracker_key(&self) -> PathBuf {
        self.folder.with_file_name("tracker.key")
    }

    /// What a person should know when the folder could not be locked where it is.
    pub fn locked_elsewhere(&self) -> Option<String> {
        let elsewhere = self.lock.elsewhere()?;
        Some(format!(
            "{}: this file system has no locks: nodes of this host are kept apart by locks in {}; \
             another host must not use the same state folder meanwhile",
            self.folder.display(),
            elsewhere.display()
        ))
    }

    /// The port that the node had in its last life: whoever opened it in a firewall finds it open again.
    pub fn port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.folder.join("port")).ok()?;
        text.trim().parse().ok().filter(|port| *port != 0)
    }

    /// Remembers the port for the next life. When that fails, the system chooses another port then.
    pub fn keep_port(&self, port: u16) {
        if self.port() != Some(port)
            && let Err(error) = write_whole(&self.folder.join("port"), format!("{port}\n").as_bytes())
        {
            tracing::warn!(%error, port, "the port is not remembered");
        }
    }

    /// The folder itself: there the driver keeps what it has hashed.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

/// Makes a node's own folder, for its owner alone; one that an earlier version made for all to look into is closed.
fn make_own_folder(folder: &Path) -> io::Result<()> {
    make_folder(folder)?;
    close_folder(folder)
}

fn read_or_make_key(path: &Path) -> Result<StaticKey, StateError> {
    StaticKey::of_file(path).map_err(|error| match error {
        SecretFileError::Io(cause) => StateError::Identity { path: path.to_owned(), cause },
        cause => StateError::DamagedIdentity { path: path.to_owned(), cause },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> NodeLabel {
        text.parse().expect("a label")
    }

    fn take(root: &Path, label: Option<&NodeLabel>) -> Result<StateFolder, StateError> {
        StateFolder::take(root, label, &root.join("host"))
    }

    #[test]
    fn an_identity_outlives_the_process() {
        let root = tempfile::tempdir().expect("a folder");
        let first = take(root.path(), Some(&label("seven"))).expect("free");
        let node = first.node();
        drop(first);
        assert_eq!(take(root.path(), Some(&label("seven"))).expect("free again").node(), node);
        assert_ne!(take(root.path(), Some(&label("eight"))).expect("free").node(), node);
    }

    #[test]
    fn who_a_node_is_can_be_asked_before_it_has_run_and_while_it_runs() {
        let root = tempfile::tempdir().expect("a folder");
        let asked = StateFolder::key_of(root.path(), None).expect("made").node_id();
        let runs = take(root.path(), None).expect("free");
        assert_eq!((runs.label(), runs.node()), ("1", asked));
        assert_eq!(StateFolder::key_of(root.path(), Some(&label("1"))).expect("read").node_id(), asked);
        assert!(StateFolder::known_key(root.path(), Some(&label("lab"))).is_none());
        assert_eq!(StateFolder::known_key(root.path(), None).map(|key| key.node_id()), Some(asked));
        assert_ne!(StateFolder::key_of(root.path(), Some(&label("lab"))).expect("made").node_id(), asked);
    }

    #[test]
    fn who_a_node_is_follows_from_its_key_whatever_an_earlier_version_left_there() {
        let root = tempfile::tempdir().expect("a folder");
        let own = root.path().join("node-3");
        fs::create_dir(&own).expect("made");
        fs::write(own.join("id"), "00112233445566778899aabbccddeeff\n").expect("written");
        let state = take(root.path(), Some(&label("3"))).expect("free");
        assert_eq!(state.node(), state.key().public().node_id());
        assert_eq!(fs::read(own.join("key")).expect("there"), state.key().secret());
        assert!(own.join("id").exists(), "nobody's file is removed");
        let secret: String = state.key().secret().iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = format!("{state:?}").to_lowercase();
        assert!(
            !shown.contains(&secret) && !shown.contains(&format!("{:?}", state.key().secret())),
            "{shown}"
        );
    }

    #[test]
    fn a_copied_folder_is_the_same_node() {
        let root = tempfile::tempdir().expect("a folder");
        let first = take(root.path(), Some(&label("3"))).expect("free");
        let copy = root.path().join("node-4");
        fs::create_dir(&copy).expect("made");
        fs::copy(root.path().join("node-3").join("key"), copy.join("key")).expect("copied");
        assert_eq!(take(root.path(), Some(&label("4"))).expect("free").node(), first.node());
    }

    #[test]
    fn a_port_is_remembered_and_a_damaged_one_forgotten() {
        let root = tempfile::tempdir().expect("a folder");
        let state = take(root.path(), Some(&label("3"))).expect("free");
        assert_eq!(state.port(), None);
        state.keep_port(41_012);
        drop(state);
        let state = take(root.path(), Some(&label("3"))).expect("free");
        assert_eq!(state.port(), Some(41_012));
        for damaged in ["", "0", "99999", "port"] {
            fs::write(root.path().join("node-3").join("port"), damaged).expect("written");
            assert_eq!(state.port(), None, "{damaged:?}");
        }
    }

    #[test]
    fn the_first_free_number_is_taken() {
        let root = tempfile::tempdir().expect("a folder");
        let one = take(root.path(), None).expect("free");
        let two = take(root.path(), None).expect("free");
        assert_eq!((one.label(), two.label()), ("1", "2"));
        drop(one);
        assert_eq!(take(root.path(), None).expect("free").label(), "1");
    }

    #[test]
    fn a_label_in_use_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let _first = take(root.path(), Some(&label("3"))).expect("free");
        let error = take(root.path(), Some(&label("3"))).expect_err("in use");
        assert!(matches!(error, StateError::InUse(_)), "{error}");
    }

    #[test]
    fn a_damaged_identity_is_said_and_not_replaced() {
        let root = tempfile::tempdir().expect("a folder");
        drop(take(root.path(), Some(&label("3"))).expect("free"));
        let path = root.path().join("node-3").join("key");
        fs::write(&path, "xyz").expect("written");
        let error = take(root.path(), Some(&label("3"))).expect_err("damaged");
        assert!(matches!(error, StateError::DamagedIdentity { .. }), "{error}");
        assert_eq!(fs::read(&path).expect("there"), b"xyz");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_looks_into_the_folder_and_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().expect("a folder");
        let state = root.path().join("state/riffle");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let take = || drop(take(&state, Some(&label("3"))).expect("free"));
        take();
        let own = state.join("node-3");
        assert_eq!([&root.path().join("state"), &state, &own].map(|path| mode(path)), [0o700; 3]);
        assert_eq!((mode(&own.join("key")), mode(&own.join("lock"))), (0o600, 0o600));
        // As an earlier version made it; the folder above it may be a person's own.
        for path in [&state, &own] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        take();
        assert_eq!((mode(&state), mode(&own)), (0o755, 0o700));
    }
}
