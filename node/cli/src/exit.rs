//! The table of exit codes, and errors that carry one.

use riffle::{DiskError, DiskErrorKind, Failure};

/// An exit code of `riffle`. Scripts may rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Everything that was asked for is done.
    Done = 0,
    /// Something failed that has no code of its own.
    Other = 1,
    /// The command line, the environment or a settings file is wrong.
    Usage = 2,
    /// The tracker knows no content of that name or id, or a code is not good.
    NotFound = 3,
    /// There are owners, and none of them answered.
    NoOwner = 4,
    /// A download made no progress for too long.
    Stalled = 5,
    /// The tracker does not answer.
    TrackerUnreachable = 6,
    /// A download was interrupted; the same command goes on with it.
    Interrupted = 7,
    /// A copy is not what it should be.
    Integrity = 8,
    /// The disk is full.
    DiskFull = 9,
    /// A file could not be read or written.
    Io = 10,
    /// Another process uses this id or this part file.
    Running = 11,
    /// The target exists with other content.
    TargetExists = 13,
    /// A second Ctrl-C ended the program: the number that shells give to death by SIGINT.
    Killed = 130,
}

impl ExitCode {
    /// The code for a download that failed.
    pub(crate) fn of_failure(failure: &Failure) -> ExitCode {
        match failure {
            Failure::NotFound => ExitCode::NotFound,
            Failure::Ambiguous { .. } => ExitCode::Usage,
            Failure::NoOwner => ExitCode::NoOwner,
            Failure::OnlyHere => ExitCode::Other,
            Failure::Stalled { .. } => ExitCode::Stalled,
            Failure::TrackerUnreachable => ExitCode::TrackerUnreachable,
            Failure::Disk(error) => ExitCode::of_disk(error),
            // The other download of the same content decides.
            Failure::Doubled { .. } => ExitCode::Done,
            Failure::TargetTaken { .. } => ExitCode::TargetExists,
            Failure::Cancelled => ExitCode::Interrupted,
        }
    }

    /// The code for a file that could not be used.
    pub(crate) fn of_disk(error: &DiskError) -> ExitCode {
        match error.kind {
            DiskErrorKind::Full { .. } => ExitCode::DiskFull,
            DiskErrorKind::InUse => ExitCode::Running,
            DiskErrorKind::ExistsOther | DiskErrorKind::FolderExists | DiskErrorKind::InTheWay => {
                ExitCode::TargetExists
            }
            _ => ExitCode::Io,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code as u8)
    }
}

/// An error with the code that the program leaves with because of it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Stop {
    /// The exit code.
    pub(crate) code: ExitCode,
    message: String,
}

impl Stop {
    /// An error that says `message` and ends the program with `code`.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Stop {
        Stop { code, message: message.into() }
    }

    /// An error for a mistake in the command line or the settings.
    pub(crate) fn usage(message: impl Into<String>) -> Stop {
        Stop::new(ExitCode::Usage, message)
    }
}

/// The code that `error` carries somewhere in its chain, or [`ExitCode::Other`].
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    error.downcast_ref::<Stop>().map_or(ExitCode::Other, |stop| stop.code)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use anyhow::Context as _;

    use super::*;

    fn disk(kind: DiskErrorKind) -> Failure {
        Failure::Disk(DiskError { path: PathBuf::from("f"), kind })
    }

    #[test]
    fn every_failure_has_the_number_that_is_promised() {
        let table = [
            (Failure::NotFound, 3),
            (Failure::Ambiguous { contents: Vec::new(), more: false }, 2),
            (Failure::NoOwner, 4),
            (Failure::Stalled { silent: Duration::from_secs(60) }, 5),
            (Failure::TrackerUnreachable, 6),
            (Failure::Cancelled, 7),
            (disk(DiskErrorKind::Full { needed: 1 }), 9),
            (disk(DiskErrorKind::NotFound), 10),
            (disk(DiskErrorKind::NotAFile), 10),
            (disk(DiskErrorKind::Permission), 10),
            (disk(DiskErrorKind::ReadOnly), 10),
            (disk(DiskErrorKind::TooLarge), 10),
            (disk(DiskErrorKind::InUse), 11),
            (disk(DiskErrorKind::ExistsOther), 13),
            (disk(DiskErrorKind::InTheWay), 13),
            (disk(DiskErrorKind::FolderExists), 13),
        ];
        for (failure, number) in table {
            assert_eq!(ExitCode::of_failure(&failure) as u8, number, "{failure:?}");
        }
    }

    #[test]
    fn a_code_survives_the_context_around_it() {
        let error = Err::<(), _>(Stop::usage("no")).context("while reading").expect_err("is one");
        assert_eq!(code_of(&error), ExitCode::Usage);
        assert_eq!(code_of(&anyhow::anyhow!("plain")), ExitCode::Other);
    }
}
