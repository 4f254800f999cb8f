//! The program around the driver: settings from flags, environment and file, the log, signals, exit codes.
//! `riffle-tracker` is this alone; `riffle tracker` calls it too.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::{ConfigError, ListenAddr, TrackerSettings};
use logs::{LogError, LogSettings};

use crate::driver::{self, BindError, DriverError};

/// What a person may say on the command line or in the environment; what is not said comes from the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// The address and port to listen at; a port alone is all interfaces [default: 12345]
    #[arg(long, env = "RIFFLE_LISTEN", hide_env_values = true, value_name = "ADDR:PORT")]
    pub listen: Option<ListenAddr>,
    /// A settings file; --print-config shows one
    #[arg(long, env = "RIFFLE_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where tracker.log goes [default: riffle/logs in the user's state folder]
    #[arg(long, env = "RIFFLE_LOG_DIR", hide_env_values = true, value_name = "FOLDER")]
    pub log_dir: Option<PathBuf>,
    /// What is logged: off, error, warn, info, debug, trace, or by part [default: info]
    #[arg(long, env = "RIFFLE_LOG_LEVEL", hide_env_values = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
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
    /// The port cannot be had.
    #[error("{0}; --listen chooses another")]
    Bind(#[from] BindError),
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nobody said where the log goes, and the user has no state folder.
    #[error("there is no state folder for the log: say where it goes with --log-dir")]
    NoStateFolder,
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
            ProgramError::Bind(BindError::InUse { .. } | BindError::NotHere { .. }) => 2,
            ProgramError::Log(LogError::Level { .. }) | ProgramError::NoStateFolder => 2,
            ProgramError::Bind(_)
            | ProgramError::Log(_)
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

/// Settings: flag, then environment, then file, then default.
///
/// # Errors
/// A settings file that cannot be read or has a mistake.
pub fn settings(flags: Flags) -> Result<TrackerSettings, ProgramError> {
    let mut settings = match flags.config {
        Some(path) => read(&path)?,
        None => TrackerSettings::default(),
    };
    settings.listen = flags.listen.unwrap_or(settings.listen);
    settings.log_dir = flags.log_dir.filter(|folder| !folder.as_os_str().is_empty()).or(settings.log_dir);
    settings.log_level = flags.log_level.unwrap_or(settings.log_level);
    Ok(settings)
}

/// Takes the port, starts the log, says on stderr where it listens, and serves until Ctrl-C, SIGTERM or SIGHUP.
///
/// # Errors
/// The port is taken, there is no log, or the system fails.
pub fn run(settings: TrackerSettings) -> Result<(), ProgramError> {
    #[cfg(unix)]
    crate::signals::survive_file_size_limit();
    let socket = driver::bind(settings.listen.0)?;
    let _log = logs::start(LogSettings {
        folder: log_folder(&settings)?,
        file: "tracker.log".to_owned(),
        level: settings.log_level.clone(),
        also_stderr: false,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.map_err(DriverError::Runtime)?.block_on(async {
        let shutdown = signals().map_err(ProgramError::Signals)?;
        say(&format!("tracker listening on {}", socket.local_addr()));
        driver::run(socket, settings, shutdown).await.map_err(ProgramError::Driver)
    });
    if let Err(error) = &served {
        tracing::error!(%error, "tracker stopped");
    }
    served
}

/// Says a line on stderr, whatever it contains. Nobody reads any more when this fails, and that is no reason to stop serving.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", logs::one_line(line));
}

fn read(path: &Path) -> Result<TrackerSettings, ProgramError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ProgramError::ReadConfig { path: path.to_owned(), cause })?;
    TrackerSettings::from_toml(&text).map_err(|cause| ProgramError::Config { path: path.to_owned(), cause })
}

fn log_folder(settings: &TrackerSettings) -> Result<PathBuf, ProgramError> {
    use etcetera::base_strategy::BaseStrategy as _;
    if let Some(folder) = &settings.log_dir {
        return Ok(folder.clone());
    }
    let user = etcetera::choose_base_strategy().map_err(|_| ProgramError::NoStateFolder)?;
    let state = user.state_dir().unwrap_or_else(|| user.data_dir());
    Ok(logs::default_folder(None, &state))
}

/// Ready when the program is asked to leave. The handlers are in place when this returns.
#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup =
        if crate::signals::is_ended_by_hangup()? { Some(signal(SignalKind::hangup())?) } else { None };
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
