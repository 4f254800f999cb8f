//! Which settings hold: a flag overrides the environment, the environment the file, and the file the default.

use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use config::{Encryption, MAX_SECRET_FILES, NodeSettings, SecretFiles};
use etcetera::BaseStrategy as _;

use riffle::state::StateFolder;
use riffle::{NamedTracker, StaticKey, SwarmSecrets, TrackerChoice};

use crate::arguments::{Common, EncryptionOptions, LogOptions, UploadOptions};
use crate::exit::{ExitCode, Stop};
use crate::screen::Screen;

/// The settings of a node of this program.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    /// What a settings file has; its tracker is in [`Settings::tracker`].
    pub(crate) node: NodeSettings,
    /// The tracker that was named, with its key if that was said; `None`: nobody named one.
    pub(crate) tracker: Option<NamedTracker>,
    /// What the swarm is called among several that were named: the labels of nodes in it end so, and each has a key and an
    /// id of its own. `None`: it is the only one.
    pub(crate) among: Option<String>,
    /// The secrets of the swarm that a code or a ticket has brought, in place of those of a file. They are in memory alone.
    pub(crate) secrets: Option<SwarmSecrets>,
}

impl Deref for Settings {
    type Target = NodeSettings;

    fn deref(&self) -> &NodeSettings {
        &self.node
    }
}

impl DerefMut for Settings {
    fn deref_mut(&mut self) -> &mut NodeSettings {
        &mut self.node
    }
}

impl Settings {
    /// For each swarm that was named, the settings of a node that takes part in it alone.
    pub(crate) fn of_each_swarm(&self) -> Vec<Settings> {
        let with = |secret_file| {
            let mut settings = self.clone();
            settings.secret_file = secret_file;
            settings
        };
        self.secret_file.of_each_swarm().into_iter().map(with).collect()
    }

    /// The secrets of the one swarm that is named.
    ///
    /// # Errors
    /// [`ExitCode::Io`] when they cannot be had; [`ExitCode::Usage`] when several swarms are named.
    pub(crate) fn secrets(&self) -> Result<SwarmSecrets> {
        let file = self.secret_file.only().map_err(|error| Stop::usage(error.to_string()))?;
        let secrets = SwarmSecrets::of_file_or_open(file);
        secrets.map_err(|error| Stop::new(ExitCode::Io, error.to_string()).into())
    }

    /// Which tracker to talk to, for whoever never becomes one.
    pub(crate) fn tracker_choice(&self) -> TrackerChoice {
        self.tracker.clone().map_or(TrackerChoice::Default, TrackerChoice::Named)
    }

    /// From now on the swarm is the one with these `secrets`, or the open one, as `whose` says: a code or a ticket. Says
    /// so where another one was named.
    pub(crate) fn enter(&mut self, secrets: Option<SwarmSecrets>, whose: &str, screen: &Screen) {
        let files = std::mem::take(&mut self.node.secret_file);
        let first = secrets.as_ref().map(SwarmSecrets::first);
        let is_its =
            |file: &Path| SwarmSecrets::of_file(file).is_ok_and(|named| Some(named.first()) == first);
        if !files.is_empty() && !files.iter().any(is_its) {
            let which = if secrets.is_some() { "another closed swarm" } else { "the open swarm" };
            screen.note(&format!("the {whose} is of {which}, and not of one whose secret was named"));
        }
        self.secrets = secrets;
    }
}

/// The settings of a node of this program. `common` holds the flags, and the environment where there was no flag.
///
/// # Errors
/// [`ExitCode::Usage`] when a settings file cannot be read or is wrong, with one line that names the file, and when what
/// is said contradicts itself.
pub(crate) fn load(common: &Common) -> Result<Settings> {
    let node = match &common.config {
        Some(file) => read(file)?.ok_or_else(|| Stop::usage(format!("{}: no such file", file.display())))?,
        None => default_file().map_or(Ok(None), |file| read(&file))?.unwrap_or_default(),
    };
    let tracker = node.tracker.clone().map(NamedTracker::from);
    let mut settings = Settings { tracker, node, among: None, secrets: None };
    overlay(&mut settings, common.clone());
    if settings.secret_file.len() > MAX_SECRET_FILES {
        let count = settings.secret_file.len();
        return Err(
            Stop::usage(format!("{count} secret files are named, and {MAX_SECRET_FILES} may be")).into()
        );
    }
    // The folder in which relative names start is not the current one later, and the files are read again.
    let secrets = settings.secret_file.iter().map(|file| absolute(file, "secret"));
    settings.secret_file = secrets.collect::<Result<_>>()?;
    let members = settings.members_file.as_deref().map(|file| absolute(file, "members"));
    settings.members_file = members.transpose()?;
    if is_closed(&settings) {
        let EncryptionOptions { loopback_encryption, .. } = common.encryption;
        let said = [
            ("--encryption", Some(settings.network.encryption)),
            ("--loopback-encryption", loopback_encryption),
        ];
        for (option, encryption) in said {
            if let Some(why) = encryption.and_then(Encryption::contradicts_secret) {
                return Err(Stop::usage(format!("{option} {why}")).into());
            }
        }
    }
    Ok(settings)
}

/// Whether only who has a secret, or is in a list, is talked to.
fn is_closed(settings: &NodeSettings) -> bool {
    !settings.secret_file.is_empty() || settings.members_file.is_some()
}

/// The same file wherever the current folder will be. `what` is in it.
fn absolute(file: &Path, what: &str) -> Result<PathBuf> {
    std::path::absolute(file)
        .map_err(|error| Stop::usage(format!("the {what} file {}: {error}", file.display())).into())
}

/// As whom a tracker is asked: in a closed swarm, which may have a list of its members, as the node that the settings
/// name, if that has a key yet. Elsewhere as nobody.
pub(crate) fn asker(settings: &NodeSettings) -> Option<StaticKey> {
    let root = is_closed(settings).then(|| state_root(settings).ok()).flatten()?;
    StateFolder::known_key(&root, settings.id.as_ref())
}

/// Overrides the settings of the file with those of the command line.
fn overlay(settings: &mut Settings, common: Common) {
    let Common {
        id,
        tracker,
        secret_file,
        members_file,
        dir,
        listen,
        upload: UploadOptions { upload_limit, upload_policy, upload_slots, upload_period },
        download_limit,
        encryption: EncryptionOptions { encryption, loopback_encryption },
        quiet,
        progress,
        log: LogOptions { log_dir, log_level, log_size, log_files },
        config: _,
        state_dir,
    } = common;
    settings.id = id.or(settings.id.take());
    settings.tracker = tracker.or(settings.tracker.take());
    let files = std::mem::take(&mut settings.secret_file);
    settings.secret_file = secret_file.into_iter().collect::<SecretFiles>().or(files);
    settings.members_file = members_file.or(settings.members_file.take());
    settings.dir = dir.or(settings.dir.take());
    settings.listen = listen.unwrap_or(settings.listen);
    let network = &mut settings.network;
    network.encryption = encryption.unwrap_or(network.encryption);
    network.loopback_encryption = loopback_encryption.unwrap_or(network.loopback_encryption);
    settings.upload.limit = upload_limit.unwrap_or(settings.upload.limit);
    settings.upload.policy = upload_policy.unwrap_or(settings.upload.policy);
    settings.upload.slots = upload_slots.unwrap_or(settings.upload.slots);
    settings.upload.period = upload_period.map_or(settings.upload.period, Duration::from);
    settings.download.limit = download_limit.unwrap_or(settings.download.limit);
    settings.quiet |= quiet;
    settings.progress_period = progress.unwrap_or(settings.progress_period);
    settings.log_dir = log_dir.or(settings.log_dir.take()).filter(|folder| !folder.as_os_str().is_empty());
    settings.log_size = log_size.unwrap_or(settings.log_size);
    settings.log_files = log_files.unwrap_or(settings.log_files);
    settings.state_dir = state_dir.or(settings.state_dir.take());
    if let Some(level) = log_level {
        settings.log_level = level;
    }
}

/// Reads a settings file; `None`: there is no such file.
fn read(file: &Path) -> Result<Option<NodeSettings>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Stop::usage(format!("{}: {error}", file.display())).into()),
    };
    let settings = NodeSettings::from_toml(&text);
    settings.map(Some).map_err(|error| Stop::usage(format!("{}: {error}", file.display())).into())
}

fn default_file() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("riffle").join("node.toml"))
}

/// The log folder: the one that was named, else `logs` in the state root.
///
/// # Errors
/// When no log folder was named and there is no state root.
pub(crate) fn log_folder(settings: &NodeSettings) -> Result<PathBuf> {
    match &settings.log_dir {
        Some(folder) => Ok(folder.clone()),
        None => Ok(state_root(settings)?.join("logs")),
    }
}

/// The folder that nodes keep their state folders in: the one that was named, else the person's own.
///
/// # Errors
/// When no folder was named and the person has no home folder.
pub(crate) fn state_root(settings: &NodeSettings) -> Result<PathBuf> {
    settings.state_dir.clone().map_or_else(default_state_root, Ok)
}

/// The state root of a person who named none: `$XDG_STATE_HOME/riffle`.
fn default_state_root() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        Stop::new(ExitCode::Io, "there is no home folder to keep state in: --state-dir names a folder")
    })?;
    Ok(strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("riffle"))
}

/// A folder that no other host sees: the runtime folder of the login session, else one of this user below the temporary
/// folder.
pub(crate) fn folder_of_this_host() -> PathBuf {
    let own = etcetera::choose_base_strategy().ok().and_then(|strategy| strategy.runtime_dir());
    own.map_or_else(
        || std::env::temp_dir().join(format!("riffle-{}", rustix::process::geteuid().as_raw())),
        |own| own.join("riffle"),
    )
}

#[cfg(test)]
mod tests {
    use config::{Limit, Period, UploadSettings};

    use super::*;
    use crate::exit::{ExitCode, code_of};
    use crate::setting_values::bytes_per_second;

    fn with_file(text: &str) -> (tempfile::TempDir, Common) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("node.toml");
        fs::write(&file, text).expect("written");
        (folder, Common { config: Some(file), ..Common::default() })
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let (_folder, mut common) =
            with_file("id = \"file\"\nlog_level = \"debug\"\n[upload]\nlimit = \"1MiB\"\n");
        common.id = Some("flag".parse().expect("a label"));
        let settings = load(&common).expect("right");
        assert_eq!(settings.id.as_ref().map(config::NodeLabel::as_str), Some("flag"));
        assert_eq!(settings.log_level, "debug");
        assert_eq!(bytes_per_second(settings.upload.limit), Some(1 << 20));
        assert_eq!(settings.download, config::DownloadSettings::default());
    }

    #[test]
    fn the_key_of_a_tracker_belongs_to_the_one_that_was_named_with_it() {
        let (_folder, mut common) = with_file("tracker = \"file:1\"\n");
        let tracker = |common: &Common| load(common).expect("right").tracker.map(|named| named.to_string());
        assert_eq!(tracker(&common).as_deref(), Some("file:1"));
        let named = format!("{}@flag:2", riffle::PublicKey::from_bytes([7; 32]));
        common.tracker = Some(named.parse().expect("a name"));
        assert_eq!(tracker(&common), Some(named));
    }

    #[test]
    fn with_a_secret_nothing_may_be_said_in_the_clear() {
        let (_folder, mut common) = with_file("secret_file = \"from-file\"\n");
        let file = |common: &Common| load(common).map(|settings| settings.secret_file.clone());
        let here = |name: &str| SecretFiles::from(&*std::env::current_dir().expect("a folder").join(name));
        assert_eq!(file(&common).expect("right"), here("from-file"));
        common.secret_file = vec![Path::new("from-flag").into()];
        common.encryption.loopback_encryption = Some(Encryption::Always);
        assert_eq!(file(&common).expect("right"), here("from-flag"));
        for clear in [Encryption::Prefer, Encryption::Never] {
            let [mut elsewhere, mut here] = [common.clone(), common.clone()];
            elsewhere.encryption.encryption = Some(clear);
            here.encryption.loopback_encryption = Some(clear);
            for (common, option) in [(elsewhere, "--encryption"), (here, "--loopback-encryption")] {
                let error = file(&common).expect_err("contradicts");
                assert_eq!(code_of(&error), ExitCode::Usage);
                let said = format!("{option} \"{clear}\" contradicts a secret or a list of members: ");
                assert!(error.to_string().starts_with(&said), "{error}");
            }
        }
        common = Common::default();
        common.encryption.encryption = Some(Encryption::Never);
        assert!(load(&common).is_ok(), "an open swarm may do without");
    }

    #[test]
    fn how_places_are_given_out_is_overridden_one_by_one() {
        let (_folder, mut common) = with_file("[upload]\npolicy = \"fair\"\nslots = 6\nperiod = \"10s\"\n");
        let upload = |common: &Common| load(common).expect("right").upload.clone();
        let file = UploadSettings {
            policy: config::UploadPolicy::Fair,
            slots: 6,
            period: Duration::from_secs(10),
            ..UploadSettings::default()
        };
        assert_eq!(upload(&common), file);
        common.upload.upload_slots = Some(2);
        assert_eq!(upload(&common), UploadSettings { slots: 2, ..file.clone() });
        common.upload.upload_policy = Some(config::UploadPolicy::TitForTat);
        common.upload.upload_period = Some(Period(Duration::from_millis(100)));
        let policy = config::UploadPolicy::TitForTat;
        assert_eq!(
            upload(&common),
            UploadSettings { policy, slots: 2, period: Duration::from_millis(100), ..file }
        );
    }

    #[test]
    fn a_limit_can_be_taken_away_by_a_flag() {
        let (_folder, mut common) = with_file("[upload]\nlimit = \"1MiB\"\n");
        common.upload.upload_limit = Some(Limit::NONE);
        assert_eq!(bytes_per_second(load(&common).expect("right").upload.limit), None);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_and_the_nearest_key() {
        let (_folder, common) = with_file("lisden = \"[::]:0\"\n");
        let error = load(&common).expect_err("unknown");
        assert_eq!(code_of(&error), ExitCode::Usage);
        let message = error.to_string();
        assert!(message.contains("node.toml") && message.contains("lisden") && message.contains("`listen`"));
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let common = Common { config: Some("/nowhere/node.toml".into()), ..Common::default() };
        let error = load(&common).expect_err("missing");
        assert_eq!(
            (code_of(&error), error.to_string().as_str()),
            (ExitCode::Usage, "/nowhere/node.toml: no such file")
        );
    }

    #[test]
    fn what_a_file_says_is_in_the_range_too() {
        let (_folder, common) = with_file("[upload]\nslots = 65\n");
        let error = load(&common).expect_err("out of range").to_string();
        assert!(error.ends_with("must be from 2 to 64, not 65"), "{error}");
    }
}
