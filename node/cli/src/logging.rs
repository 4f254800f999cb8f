//! The logs of this process's nodes and trackers: where they go, and which runs may go on without one.

use std::any::Any;
use std::io;

use anyhow::Result;
use config::NodeSettings;
use logs::{LogError, LogGuard, LogSettings, Rotation};
use riffle::TrackerLog;
use tracing::Dispatch;

use crate::exit::{ExitCode, Stop};
use crate::settings::log_folder;

/// Where and what to log, and whether the log is required.
#[derive(Clone, Debug)]
pub(crate) struct LogPlan {
    settings: LogSettings,
    /// Whether a person named the folder, which makes a log that cannot be had an error.
    is_named: bool,
}

/// A log that was started, or why the run goes without one.
#[derive(Debug)]
pub(crate) struct StartedLog {
    /// Keeps the log open until it is dropped.
    pub(crate) guard: Option<LogGuard>,
    /// Why there is no log.
    pub(crate) trouble: Option<LogError>,
}

impl LogPlan {
    /// The log `file` in the folder that `settings` name.
    ///
    /// # Errors
    /// When no folder for logs is known.
    pub(crate) fn new(settings: &NodeSettings, file: &str) -> Result<LogPlan> {
        let rotation = Rotation { bytes: settings.log_size.as_u64(), files: settings.log_files };
        let (folder, level) = (log_folder(settings)?, settings.log_level.clone());
        let log = LogSettings { folder, file: file.to_owned(), rotation, level, also_stderr: false };
        Ok(LogPlan { settings: log, is_named: settings.log_dir.is_some() })
    }

    /// Starts the log of the whole process.
    ///
    /// # Errors
    /// When a person named the folder and it cannot be used, or the level makes no sense.
    pub(crate) fn start(self) -> Result<StartedLog, LogError> {
        match logs::start(self.settings.clone()) {
            Ok(guard) => Ok(StartedLog { guard: Some(guard), trouble: None }),
            Err(error) if self.can_be_without(&error) => Ok(StartedLog { guard: None, trouble: Some(error) }),
            Err(error) => Err(error),
        }
    }

    /// Makes the log of a part of the process. Where a log may be done without, one that cannot be made is empty: the
    /// process has said why already.
    ///
    /// # Errors
    /// As [`LogPlan::start`].
    pub(crate) fn scoped(self) -> Result<(Dispatch, Option<LogGuard>), LogError> {
        match logs::scoped(self.settings.clone()) {
            Ok((dispatch, guard)) => Ok((dispatch, Some(guard))),
            Err(error) if self.can_be_without(&error) => Ok((Dispatch::none(), None)),
            Err(error) => Err(error),
        }
    }

    /// Makes the log of a tracker that a node runs itself.
    ///
    /// # Errors
    /// As [`LogPlan::start`].
    pub(crate) fn of_tracker(self) -> io::Result<TrackerLog> {
        let (dispatch, guard) = self.scoped().map_err(io::Error::other)?;
        Ok(TrackerLog { dispatch, guard: guard.map(|guard| Box::new(guard) as Box<dyn Any + Send>) })
    }

    fn can_be_without(&self, error: &LogError) -> bool {
        !self.is_named && matches!(error, LogError::Folder { .. } | LogError::Open { .. })
    }
}

/// The error for a log that cannot be started, with its exit code.
pub(crate) fn refused_log(error: &LogError) -> Stop {
    let code = if matches!(error, LogError::Level { .. }) { ExitCode::Usage } else { ExitCode::Io };
    Stop::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_nobody_asked_for_can_be_done_without() {
        let root = tempfile::tempdir().expect("a folder");
        let occupied = root.path().join("occupied");
        std::fs::write(&occupied, "a file where a folder should be").expect("written");
        let settings = NodeSettings { state_dir: Some(occupied.clone()), ..NodeSettings::default() };
        let (_, guard) = LogPlan::new(&settings, "x.log").expect("a folder").scoped().expect("done without");
        assert!(guard.is_none());
        let named = NodeSettings { log_dir: Some(occupied), ..settings.clone() };
        assert!(LogPlan::new(&named, "x.log").expect("a folder").scoped().is_err());
        let nonsense = NodeSettings { log_level: "inof".to_owned(), ..settings };
        assert!(LogPlan::new(&nonsense, "x.log").expect("a folder").scoped().is_err());
    }

    #[test]
    fn logs_follow_the_state_folder_unless_they_have_a_folder_of_their_own() {
        let settings = NodeSettings { state_dir: Some("/s".into()), ..NodeSettings::default() };
        assert_eq!(log_folder(&settings).expect("named"), std::path::Path::new("/s/logs"));
        let settings = NodeSettings { log_dir: Some("/l".into()), ..settings };
        assert_eq!(log_folder(&settings).expect("named"), std::path::Path::new("/l"));
    }
}
