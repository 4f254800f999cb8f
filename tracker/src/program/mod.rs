//! The program around the driver: settings from flags, environment and file, the log, signals, exit codes.
//! `riffle-tracker` is this alone; `riffle tracker` calls it too.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod heap;
mod key_file;
#[cfg(unix)]
pub mod signals;
pub mod variables;

use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use channel::secret_file::SecretFileError;
use channel::{Members, MembersFileError, SwarmFileError, SwarmFileTrouble, SwarmSecrets};
use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser as _};
use config::{
    ByteSize, ConfigError, Encryption, ListenAddr, MAX_SECRET_FILES, SecretFiles, ServeCodes,
    TrackerSettings, ValueError,
};
use logs::{LogError, LogSettings, Rotation};

pub use self::key_file::{KeyFile, KeyFlags};
use crate::driver::{self, BindError, DriverError};

/// What a person may say on the command line or in the environment; what is not said comes from the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// The address and port to listen at; a port alone is all interfaces [default: 12345]
    #[arg(long, env = "RIFFLE_LISTEN", hide_env_values = true, value_name = "ADDR:PORT")]
    pub listen: Option<ListenAddr>,
    /// Whether what is said to nodes on other hosts is sealed: always, prefer or never [default: always]
    #[arg(long, env = "RIFFLE_ENCRYPTION", hide_env_values = true, value_name = "WHEN")]
    pub encryption: Option<Encryption>,
    /// The same for nodes on this host [default: prefer]
    #[arg(long, env = "RIFFLE_LOOPBACK_ENCRYPTION", hide_env_values = true, value_name = "WHEN")]
    pub loopback_encryption: Option<Encryption>,
    /// The file with a closed swarm's secret (`riffle secret new FILE`): who lacks it gets no answer; several, separated
    /// as in PATH or each with a flag of its own, are several swarms [default: open to all]
    #[arg(long, env = "RIFFLE_SECRET_FILE", hide_env_values = true, value_name = "FILE")]
    #[arg(value_parser = OsStringValueParser::new().map(variables::secret_files))]
    pub secret_file: Vec<SecretFiles>,
    /// A file with lines `allow NODE-ID` and `deny NODE-ID`: who is answered [default: whoever has the secret]
    #[arg(long, env = "RIFFLE_MEMBERS_FILE", hide_env_values = true, value_name = "FILE")]
    pub members_file: Option<PathBuf>,
    /// A settings file; --print-config shows one
    #[arg(long, env = "RIFFLE_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where tracker.log goes [default: riffle/logs in the user's state folder]
    #[arg(long, env = "RIFFLE_LOG_DIR", hide_env_values = true, value_name = "FOLDER")]
    pub log_dir: Option<PathBuf>,
    /// Where tracker.key is, and tracker.log in the folder logs, where nothing else is said of them
    #[arg(long, env = "RIFFLE_STATE_DIR", hide_env_values = true, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// What is logged: off, error, warn, info, debug, trace, or by part [default: info]
    #[arg(long, env = "RIFFLE_LOG_LEVEL", hide_env_values = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// A log file that would become longer is put aside [default: 10MB]
    #[arg(long, env = "RIFFLE_LOG_SIZE", hide_env_values = true, value_name = "SIZE", value_parser = log_size)]
    pub log_size: Option<ByteSize>,
    /// So many log files are kept, the one that is written included [default: 5]
    #[arg(long, env = "RIFFLE_LOG_FILES", hide_env_values = true, value_name = "COUNT", value_parser = log_files)]
    pub log_files: Option<u8>,
    /// What a tracker has and a node has not.
    #[command(flatten)]
    pub own: TrackerFlags,
}

/// What a person may say of a tracker alone.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TrackerFlags {
    /// Serves the open swarm too, beside those with a secret
    #[arg(long, env = "RIFFLE_OPEN_SWARM", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub open_swarm: bool,
    /// Whether codes are served (`send --code`): always, never, or auto: where the open swarm is served [default: auto]
    #[arg(long, env = "RIFFLE_CODES", hide_env_values = true, value_name = "WHEN")]
    pub codes: Option<ServeCodes>,
    /// Where the key is.
    #[command(flatten)]
    pub key: KeyFlags,
}

/// What the program runs with.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The numbers that a person may change.
    pub settings: TrackerSettings,
    /// Where the tracker's key is kept; `None`: nowhere, because the user has no state folder.
    pub key_file: Option<KeyFile>,
}

/// Why the program cannot run. Each message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}: {cause}", .path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The settings file has a mistake.
    #[error("{}: {cause}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The mistake and its line.
        cause: ConfigError,
    },
    /// There are more swarms than a tracker serves.
    #[error("--secret-file names {count} files: a tracker serves {MAX_SECRET_FILES} closed swarms at most")]
    ManySwarms {
        /// How many were named.
        count: usize,
    },
    /// An option contradicts the secret.
    #[error("{option} {why}")]
    Contradiction {
        /// The option.
        option: &'static str,
        /// How it contradicts.
        why: String,
    },
    /// The secret cannot be had.
    #[error(transparent)]
    SecretFile(#[from] SwarmFileError),
    /// The list of members cannot be had.
    #[error(transparent)]
    MembersFile(#[from] MembersFileError),
    /// The port cannot be had.
    #[error("{0}; --listen chooses another")]
    Bind(#[from] BindError),
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nobody said where the log goes, and the user has no state folder.
    #[error("there is no state folder for the log: say where it goes with --log-dir")]
    NoStateFolder,
    /// The tracker's key cannot be had.
    #[error("the tracker's key {}: {cause}; --key-file names another file", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SecretFileError,
    },
    /// The system gives no random bytes, of which a key is made.
    #[error("the system gives no random bytes: {0}")]
    Randomness(io::Error),
    /// Serving failed.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// Nothing would stop the program in good order.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

impl ProgramError {
    /// What the program leaves with: 2 when the person said something wrong or the port is taken, 10 when the system
    /// failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            ProgramError::ReadConfig { .. } | ProgramError::Config { .. } => 2,
            ProgramError::Contradiction { .. } | ProgramError::ManySwarms { .. } => 2,
            ProgramError::Bind(BindError::InUse { .. } | BindError::NotHere { .. }) => 2,
            ProgramError::Log(LogError::Level { .. }) | ProgramError::NoStateFolder => 2,
            ProgramError::SecretFile(error) if matches!(error.trouble, SwarmFileTrouble::Same { .. }) => 2,
            ProgramError::Bind(_)
            | ProgramError::SecretFile(_)
            | ProgramError::MembersFile(_)
            | ProgramError::Log(_)
            | ProgramError::KeyFile { .. }
            | ProgramError::Randomness(_)
            | ProgramError::Driver(_)
            | ProgramError::Signals(_) => 10,
        }
    }
}

impl From<ProgramError> for ExitCode {
    fn from(error: ProgramError) -> ExitCode {
        ExitCode::from(error.exit_code())
    }
}

/// What to run with: flag, then environment, then file, then default.
///
/// # Errors
/// A settings file that cannot be read or has a mistake, or an option that contradicts another.
pub fn plan(flags: Flags) -> Result<Plan, ProgramError> {
    let key_file = KeyFile::of(&flags.own.key, flags.state_dir.as_deref());
    let mut settings = match flags.config {
        Some(path) => read(&path)?,
        None => TrackerSettings::default(),
    };
    settings.listen = flags.listen.unwrap_or(settings.listen);
    settings.encryption = flags.encryption.unwrap_or(settings.encryption);
    settings.loopback_encryption = flags.loopback_encryption.unwrap_or(settings.loopback_encryption);
    settings.secret_file = flags.secret_file.into_iter().collect::<SecretFiles>().or(settings.secret_file);
    settings.members_file = flags.members_file.or(settings.members_file);
    settings.open_swarm |= flags.own.open_swarm;
    settings.codes = flags.own.codes.unwrap_or(settings.codes);
    if settings.secret_file.len() > MAX_SECRET_FILES {
        return Err(ProgramError::ManySwarms { count: settings.secret_file.len() });
    }
    if !settings.serves_open_swarm() || settings.members_file.is_some() {
        let said = [
            ("--encryption", Some(settings.encryption)),
            ("--loopback-encryption", flags.loopback_encryption),
        ];
        for (option, encryption) in said {
            if let Some(why) = encryption.and_then(Encryption::contradicts_secret) {
                return Err(ProgramError::Contradiction { option, why });
            }
        }
    }
    let below_state = || flags.state_dir.map(|folder| folder.join("logs"));
    settings.log_dir = flags.log_dir.filter(|folder| !folder.as_os_str().is_empty()).or(settings.log_dir);
    settings.log_dir = settings.log_dir.or_else(below_state);
    settings.log_level = flags.log_level.unwrap_or(settings.log_level);
    settings.log_size = flags.log_size.unwrap_or(settings.log_size);
    settings.log_files = flags.log_files.unwrap_or(settings.log_files);
    Ok(Plan { settings, key_file })
}

/// How long a log file may be, as a person types it: in the range that the settings file has.
///
/// # Errors
/// What is wrong with it, in words.
pub fn log_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: ValueError| error.to_string())?;
    alone("log_size", &format!("\"{size}\"")).map(|settings| settings.log_size)
}

/// How many log files are kept, as a person types it: in the range that the settings file has.
///
/// # Errors
/// What is wrong with it, in words.
pub fn log_files(text: &str) -> Result<u8, String> {
    let count: i64 = text.trim().parse().map_err(|_| format!("`{text}` is not a whole number"))?;
    alone("log_files", &count.to_string()).map(|settings| settings.log_files)
}

/// Reads one value as a settings file with nothing else: what is in range is written down in one place, and refused in
/// the same words wherever it stands.
fn alone(key: &str, value: &str) -> Result<TrackerSettings, String> {
    TrackerSettings::from_toml(&format!("{key} = {value}\n")).map_err(|error| match error {
        // The line and the key are those of no file that a person wrote.
        ConfigError::Value { message, .. } => message,
        other => other.to_string(),
    })
}

/// Takes the port, starts the log, reads the key or makes it, says on stderr where it listens and how nodes name it, and
/// serves until Ctrl-C, SIGTERM or SIGHUP.
///
/// # Errors
/// The port is taken, there is no log or no key, or the system fails.
pub fn run(plan: Plan) -> Result<(), ProgramError> {
    let Plan { settings, key_file } = plan;
    #[cfg(unix)]
    signals::survive_file_size_limit();
    // What cannot be told stays as it is: slower at times.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    heap::join_freed_blocks_at_once();
    // Before anything is said or taken: a tracker that should be closed is never open for a moment.
    let secrets = SwarmSecrets::of_files(settings.secret_file.iter())?;
    let members = settings.members_file.as_deref().map(Members::of_file).transpose()?;
    let socket = driver::bind(settings.listen.0)?;
    let _log = logs::start(LogSettings {
        folder: log_folder(&settings)?,
        file: "tracker.log".to_owned(),
        rotation: Rotation { bytes: settings.log_size.as_u64(), files: settings.log_files },
        level: settings.log_level.clone(),
        also_stderr: false,
    })?;
    let (key, trouble) = key_file::read_or_make(key_file.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.map_err(DriverError::Runtime)?.block_on(async {
        let shutdown = signals().map_err(ProgramError::Signals)?;
        say(&format!("tracker listening on {}", socket.local_addr()));
        who_is_answered(&secrets, settings.serves_open_swarm()).iter().for_each(|line| say(line));
        if let Some(members) = &members {
            say(&members.to_string());
        }
        trouble.iter().for_each(|trouble| say(trouble));
        say(&key_file::how_to_name(key.public(), socket.local_addr()));
        driver::run(socket, settings, key, shutdown).await.map_err(ProgramError::Driver)
    });
    if let Err(error) = &served {
        tracing::error!(%error, "tracker stopped");
    }
    served
}

/// The lines that say who gets an answer, where not everybody does.
fn who_is_answered(secrets: &[SwarmSecrets], is_open_too: bool) -> Vec<String> {
    let fingerprints = secrets.iter().map(|secrets| secrets.first().fingerprint());
    let whose = |fingerprint| format!("who has the secret with the fingerprint {fingerprint}");
    match secrets {
        [] => Vec::new(),
        [_] if !is_open_too => {
            fingerprints.map(whose).map(|who| format!("closed: it answers only {who}")).collect()
        }
        _ => {
            let open = is_open_too.then(|| "the open swarm, for everybody".to_owned());
            let closed = fingerprints.map(whose).map(|who| format!("a closed swarm, only for {who}"));
            closed.chain(open).collect()
        }
    }
}

/// Says a line on stderr, whatever it contains. Nobody reads any more when this fails, and that is no reason to stop
/// serving.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", logs::one_line(line));
}

fn read(path: &Path) -> Result<TrackerSettings, ProgramError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ProgramError::ReadConfig { path: path.to_owned(), cause })?;
    TrackerSettings::from_toml(&text).map_err(|cause| ProgramError::Config { path: path.to_owned(), cause })
}

fn log_folder(settings: &TrackerSettings) -> Result<PathBuf, ProgramError> {
    if let Some(folder) = &settings.log_dir {
        return Ok(folder.clone());
    }
    let state = user_state().ok_or(ProgramError::NoStateFolder)?;
    Ok(logs::default_folder(None, &state))
}

/// Where programs keep the state of this user; `None`: the user has no home folder.
fn user_state() -> Option<PathBuf> {
    use etcetera::base_strategy::BaseStrategy as _;
    let user = etcetera::choose_base_strategy().ok()?;
    Some(user.state_dir().unwrap_or_else(|| user.data_dir()))
}

/// Ready when the program is asked to leave. The handlers are in place when this returns.
#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = if signals::is_ended_by_hangup()? { Some(signal(SignalKind::hangup())?) } else { None };
    Ok(async move {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
    })
}

/// Ready when the program is asked to leave. The handlers are in place when this returns.
#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
