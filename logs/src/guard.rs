//! What keeps a log running, and writes at the end how many lines were dropped.

use std::fmt;
use std::io::Write;

use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};

use crate::clock;

/// Keeps the log running. Dropping the guard writes what is buffered (for at most about a second) and ends the log.
///
/// When the disk cannot keep up, lines are dropped and no caller waits; the last line of the file says how many.
#[must_use = "a log ends when its guard is dropped"]
pub struct LogGuard {
    file_writer: Option<WorkerGuard>,
    stderr_writer: Option<WorkerGuard>,
    dropped: ErrorCounter,
    /// The end of the log file, for the last line.
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

    /// The number of lines that were dropped so far because the disk could not keep up.
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
            // When even this write fails, there is nowhere left to report the failure.
            let _ = self.file.write_all(line.as_bytes());
        }
    }
}

impl fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGuard").field("dropped_lines", &self.dropped_lines()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};

    use tracing_appender::non_blocking::NonBlockingBuilder;

    use super::*;

    /// A disk that reports when a line reaches it, and holds the line until it is released.
    struct HeldDisk {
        reached: Sender<()>,
        go_on: Receiver<()>,
    }

    impl Write for HeldDisk {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.reached.send(());
            let _ = self.go_on.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Logs this many lines while the disk holds the first and a queue of one holds the second.
    fn last_line_after(lines: usize) -> String {
        let (reached, has_reached) = channel();
        let (release, go_on) = channel();
        let disk = HeldDisk { reached, go_on };
        let (mut log, writer) =
            NonBlockingBuilder::default().buffered_lines_limit(1).lossy(true).finish(disk);
        let file = Shared::default();
        let guard = LogGuard::new(writer, None, log.error_counter(), Box::new(file.clone()));
        log.write_all(b"held\n").unwrap();
        has_reached.recv().unwrap();
        for _ in 1..lines {
            log.write_all(b"more\n").unwrap();
        }
        drop(release);
        drop(guard);
        String::from_utf8(file.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_that_the_disk_cannot_take_are_dropped_and_counted_in_the_last_line() {
        let last = last_line_after(5);
        assert!(last.contains("  WARN 3 lines dropped: ") && last.ends_with('\n'), "{last}");
    }

    #[test]
    fn a_log_that_dropped_nothing_has_no_such_line() {
        assert_eq!(last_line_after(2), "");
    }
}
