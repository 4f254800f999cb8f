//! What keeps a log running, and says at the end what it could not write.

use std::fmt;
use std::io::Write;

use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};

use crate::clock;

/// Keeps the log running; dropping it writes what is buffered (for at most about a second) and ends the writing.
///
/// Lines are dropped rather than waited for when the disk cannot keep up; how many is the last line of the file.
#[must_use = "a log ends when its guard is dropped"]
pub struct LogGuard {
    file_writer: Option<WorkerGuard>,
    stderr_writer: Option<WorkerGuard>,
    dropped: ErrorCounter,
    /// A second handle of the log file, for the last line.
    file: Box<dyn Write + Send>,
}

impl LogGuard {
    pub(crate) fn new(
        file_writer: WorkerGuard,
        stderr_writer: Option<WorkerGuard>,
        dropped: ErrorCounter,
        file: Box<dyn Write + Send>,
    ) -> LogGuard {
        LogGuard { file_writer: Some(file_writer), stderr_writer, dropped, file }
    }

    /// How many lines were dropped so far because the disk could not keep up.
    pub fn dropped_lines(&self) -> usize {
        self.dropped.dropped_lines()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        drop(self.file_writer.take());
        drop(self.stderr_writer.take());
        let dropped = self.dropped_lines();
        if dropped == 0 {
            return;
        }
        let mut line = String::new();
        if clock::write_now(&mut line).is_ok() {
            line.push_str(&format!(
                "  WARN {dropped} lines dropped: the disk could not keep up with the log\n"
            ));
            // Nothing is left to tell it to when even this fails.
            let _ = self.file.write_all(line.as_bytes());
        }
    }
}

impl fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGuard").field("dropped_lines", &self.dropped_lines()).finish_non_exhaustive()
    }
}
