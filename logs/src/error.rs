//! What can go wrong when logging is set up. Each message is one line with what failed and why.

use std::io;
use std::path::{Path, PathBuf};

use crate::owner::Owner;

/// The owner of `path`, as the middle of a sentence.
fn belongs(path: &Path) -> String {
    Owner::of(path).map_or_else(String::new, |owner| format!(" (it belongs to {owner})"))
}

/// The reason why a log could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The folder does not exist and cannot be made.
    #[error("cannot create the log folder {}: {cause}; --log-dir names another", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file cannot be opened for appending.
    #[error("cannot open the log file {}: {cause}{}; --log-dir names another folder", .path.display(), belongs(.path))]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The name of the file would leave the folder.
    #[error("`{file}` is not a name for a log file: it must be one path component")]
    FileName {
        /// The name as given.
        file: String,
    },
    /// The level cannot be read.
    #[error(
        "`{level}` is not a log level: {cause}; write off, error, warn, info, debug or trace, \
         or for one part as in info,node=debug"
    )]
    Level {
        /// The level as given.
        level: String,
        /// Which part is wrong.
        cause: String,
    },
    /// The whole process has a log already.
    #[error("logging was started before in this process")]
    AlreadyStarted,
}
