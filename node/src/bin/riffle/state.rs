//! The folder in which a node keeps who it is: `<state>/node-<label>/`, locked while the node runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use config::NodeLabel;
use etcetera::BaseStrategy as _;
use logs::Owner;
use messages::NodeId;
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::exit::{ExitCode, Stop};
use crate::state_lock::StateLock;

/// Nodes without a label take the first free number up to this one.
const MAX_NUMBERED: u32 = 4096;

/// A node's state folder, in use by this process.
#[derive(Debug)]
pub(crate) struct StateFolder {
    label: NodeLabel,
    folder: PathBuf,
    node: NodeId,
    /// The system lets go of the lock when the process ends, however it ends.
    lock: StateLock,
}

impl StateFolder {
    /// Takes the folder of `label` under `root`, or that of the first free number. Made when it is not there.
    ///
    /// # Errors
    /// [`ExitCode::Running`] for a label in use, [`ExitCode::Io`] when the folder cannot be made or read.
    pub(crate) fn take(root: &Path, label: Option<&NodeLabel>) -> Result<StateFolder> {
        if let Some(label) = label {
            return StateFolder::try_take(root, label.clone())?.ok_or_else(|| {
                let message =
                    format!("a node with the id {label} is running on this host: choose another --id");
                Stop::new(ExitCode::Running, message).into()
            });
        }
        for number in 1..=MAX_NUMBERED {
            if let Some(taken) = StateFolder::try_take(root, NodeLabel::from(number))? {
                return Ok(taken);
            }
        }
        Err(Stop::new(ExitCode::Running, format!("{MAX_NUMBERED} nodes are running on this host")).into())
    }

    /// `None`: in use.
    fn try_take(root: &Path, label: NodeLabel) -> Result<Option<StateFolder>> {
        let folder = root.join(format!("node-{label}"));
        let refused = |error: io::Error| Stop::new(ExitCode::Io, unusable(&folder, &error, None));
        // Whose it is says why the system does not let this process in.
        let failed =
            |error: io::Error| Stop::new(ExitCode::Io, unusable(&folder, &error, Owner::of(&folder)));
        logs::keep_owner(&folder).map_err(refused)?;
        make_own_folder(&folder).map_err(failed)?;
        let Some(lock) = StateLock::take(&folder, File::try_lock).map_err(failed)? else { return Ok(None) };
        let node = read_or_make_id(&folder.join("id"))?;
        Ok(Some(StateFolder { label, folder, node, lock }))
    }

    /// What the node is called in logs and on screens.
    pub(crate) fn label(&self) -> &str {
        self.label.as_str()
    }

    /// Who the node is, in all its lives.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Where the prompt keeps its history.
    pub(crate) fn history(&self) -> PathBuf {
        self.folder.join("history")
    }

    /// Where the prompt keeps what it shares.
    pub(crate) fn shares(&self) -> PathBuf {
        self.folder.join("shares")
    }

    /// Where files are locked that are on file systems without locks: one folder for all nodes of this state.
    pub(crate) fn locks(&self) -> PathBuf {
        self.lock.elsewhere().map_or_else(|| self.folder.with_file_name("locks"), Path::to_owned)
    }

    /// Where the secret is under which journals of downloads are sealed: one for all nodes of this state.
    pub(crate) fn journal_key(&self) -> PathBuf {
        self.folder.with_file_name("journal-key")
    }

    /// What a person should know when the folder could not be locked where it is.
    pub(crate) fn locked_elsewhere(&self) -> Option<String> {
        let elsewhere = self.lock.elsewhere()?;
        Some(format!(
            "{}: this file system has no locks: nodes of this host are kept apart by locks in {}; \
             another host must not use the same state folder meanwhile",
            self.folder.display(),
            elsewhere.display()
        ))
    }

    /// The port that the node had in its last life: whoever opened it in a firewall finds it open again.
    pub(crate) fn port(&self) -> Option<u16> {
        let text = fs::read_to_string(self.folder.join("port")).ok()?;
        text.trim().parse().ok().filter(|port| *port != 0)
    }

    /// Remembers the port for the next life. Not to be able to is no trouble: the system chooses another one then.
    pub(crate) fn keep_port(&self, port: u16) {
        if self.port() != Some(port)
            && let Err(error) = write_whole(&self.folder.join("port"), format!("{port}\n").as_bytes())
        {
            tracing::warn!(%error, port, "the port is not remembered");
        }
    }

    /// The folder itself: there the driver keeps what it has hashed.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

/// The state folder of a person who named none: `$XDG_STATE_HOME/riffle`.
pub(crate) fn default_root() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        Stop::new(ExitCode::Io, "there is no home folder to keep state in: --state-dir names a folder")
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("riffle"))
}

/// Why the state folder `folder` cannot be used, whose it is, and what helps.
fn unusable(folder: &Path, cause: &io::Error, owner: Option<Owner>) -> String {
    let owner = owner.map_or_else(String::new, |owner| format!(" (it belongs to {owner})"));
    format!("the state folder {} cannot be used: {cause}{owner}; --state-dir names another", folder.display())
}

/// Makes the folder, and those above it that are not there, for their owner alone.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Makes a node's own folder, for its owner alone; one that an earlier version made for all to look into is closed.
fn make_own_folder(folder: &Path) -> io::Result<()> {
    make_folder(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let found = fs::symlink_metadata(folder)?;
        let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        if is_ours && found.mode() & 0o077 != 0 {
            // Where it cannot be closed, the files in it are.
            let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
        }
    }
    Ok(())
}

/// A new identity, from the system's source of chance.
pub(crate) fn random_node() -> Result<NodeId> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).context("the system gives no random bytes")?;
    Ok(NodeId::from_bytes(bytes))
}

fn read_or_make_id(path: &Path) -> Result<NodeId> {
    let failed = |cause: String| Stop::new(ExitCode::Io, format!("{}: {cause}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|error| {
            failed(format!("{error}; delete the file to give this node a new identity")).into()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let node = random_node()?;
            write_whole(path, format!("{node}\n").as_bytes()).map_err(|error| failed(error.to_string()))?;
            Ok(node)
        }
        Err(error) => Err(failed(error.to_string()).into()),
    }
}

/// Writes `path` so that it holds all of `bytes`, or what it held before.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = private().write(true).create(true).truncate(true).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Options for files that only their owner reads and writes.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;

    fn label(text: &str) -> NodeLabel {
        text.parse().expect("a label")
    }

    #[test]
    fn an_identity_outlives_the_process() {
        let root = tempfile::tempdir().expect("a folder");
        let first = StateFolder::take(root.path(), Some(&label("seven"))).expect("free");
        let node = first.node();
        drop(first);
        assert_eq!(StateFolder::take(root.path(), Some(&label("seven"))).expect("free again").node(), node);
        assert_ne!(StateFolder::take(root.path(), Some(&label("eight"))).expect("free").node(), node);
    }

    #[test]
    fn a_port_is_remembered_and_a_damaged_one_forgotten() {
        let root = tempfile::tempdir().expect("a folder");
        let state = StateFolder::take(root.path(), Some(&label("3"))).expect("free");
        assert_eq!(state.port(), None);
        state.keep_port(41_012);
        drop(state);
        let state = StateFolder::take(root.path(), Some(&label("3"))).expect("free");
        assert_eq!(state.port(), Some(41_012));
        for damaged in ["", "0", "99999", "port"] {
            fs::write(root.path().join("node-3").join("port"), damaged).expect("written");
            assert_eq!(state.port(), None, "{damaged:?}");
        }
    }

    #[test]
    fn the_first_free_number_is_taken() {
        let root = tempfile::tempdir().expect("a folder");
        let one = StateFolder::take(root.path(), None).expect("free");
        let two = StateFolder::take(root.path(), None).expect("free");
        assert_eq!((one.label(), two.label()), ("1", "2"));
        drop(one);
        assert_eq!(StateFolder::take(root.path(), None).expect("free").label(), "1");
    }

    #[test]
    fn a_label_in_use_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let _first = StateFolder::take(root.path(), Some(&label("3"))).expect("free");
        let error = StateFolder::take(root.path(), Some(&label("3"))).expect_err("in use");
        assert_eq!(code_of(&error), ExitCode::Running);
    }

    #[test]
    fn a_damaged_identity_is_said_and_not_replaced() {
        let root = tempfile::tempdir().expect("a folder");
        drop(StateFolder::take(root.path(), Some(&label("3"))).expect("free"));
        fs::write(root.path().join("node-3").join("id"), "xyz").expect("written");
        let error = StateFolder::take(root.path(), Some(&label("3"))).expect_err("damaged");
        assert_eq!(code_of(&error), ExitCode::Io);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_looks_into_the_folder_and_reads_the_identity() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().expect("a folder");
        let state = root.path().join("state/riffle");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let take = || drop(StateFolder::take(&state, Some(&label("3"))).expect("free"));
        take();
        let own = state.join("node-3");
        assert_eq!([&root.path().join("state"), &state, &own].map(|path| mode(path)), [0o700; 3]);
        assert_eq!((mode(&own.join("id")), mode(&own.join("lock"))), (0o600, 0o600));
        // As an earlier version made it; the folder above it may be a person's own.
        for path in [&state, &own] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        take();
        assert_eq!((mode(&state), mode(&own)), (0o755, 0o700));
    }
}
