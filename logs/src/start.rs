//! Setting up a log: the folder, the file, and the thread that writes it.

use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use tracing::dispatcher;
use tracing::{Dispatch, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::error::LogError;
use crate::guard::LogGuard;
use crate::level;
use crate::line::OneLine;
use crate::rotating::{self, RotatingFile, Rotation};

/// The number of lines that may wait for the disk before more are dropped: some megabytes, or some seconds at the level
/// info.
const MAX_BUFFERED_LINES: usize = 16_384;

/// Lines that wait for the file are written together, up to so many bytes: whoever says much at once does not pay a
/// system call for each line. Nothing stays here: what is buffered is written as soon as no line waits.
const WRITTEN_TOGETHER: usize = 16 << 10;

/// The events that are logged, and the place of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The folder, which is created when it does not exist.
    pub folder: PathBuf,
    /// The name of the file in it, such as `node-1.log`; lines are appended.
    pub file: String,
    /// How much of the log is kept.
    pub rotation: Rotation,
    /// What is logged: `info`, or by part, `info,node=debug`.
    pub level: String,
    /// Whether the same lines go to stderr too.
    pub also_stderr: bool,
}

/// Starts the log of the whole process. The log ends when the guard is dropped.
///
/// # Errors
/// The folder or file cannot be made, the level cannot be read, or a log was started before.
pub fn start(settings: LogSettings) -> Result<LogGuard, LogError> {
    let (dispatch, guard) = scoped(settings)?;
    dispatcher::set_global_default(dispatch).map_err(|_| LogError::AlreadyStarted)?;
    Ok(guard)
}

/// Makes a log for a part of the process: for code that runs inside `tracing::dispatcher::with_default(&dispatch, ...)`
/// on its thread. So several nodes in one process each have their own file. The log ends when the guard is dropped.
///
/// # Errors
/// The folder or file cannot be made, or the level cannot be read.
pub fn scoped(settings: LogSettings) -> Result<(Dispatch, LogGuard), LogError> {
    let filter = level::filter(&settings.level)?;
    let file = open(&settings.folder, &settings.file, settings.rotation)?;
    let (file_lines, file_writer) = writer(BufWriter::with_capacity(WRITTEN_TOGETHER, file.clone()));
    let dropped = file_lines.error_counter();
    let (stderr_lines, stderr_writer) = settings.also_stderr.then(|| writer(io::stderr())).unzip();

    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(one_line_each(file_lines))
        .with(stderr_lines.map(one_line_each));
    Ok((Dispatch::new(subscriber), LogGuard::new(file_writer, stderr_writer, dropped, Box::new(file))))
}

fn one_line_each<S>(lines: NonBlocking) -> Layer<S, DefaultFields, OneLine, NonBlocking>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Layer::new().with_ansi(false).event_format(OneLine).with_writer(lines)
}

/// A writer with a thread of its own, so that nobody waits for the disk: lines are dropped instead.
fn writer(out: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_BUFFERED_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(out)
}

/// The end of the log file.
fn open(folder: &Path, file: &str, rotation: Rotation) -> Result<RotatingFile, LogError> {
    let mut components = Path::new(file).components();
    if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
        return Err(LogError::FileName { file: file.to_owned() });
    }
    crate::owner::keep_owner(folder)
        .and_then(|()| rotating::make_folder(folder))
        .map_err(|cause| LogError::Folder { path: folder.to_owned(), cause })?;
    let path = folder.join(file);
    RotatingFile::open(path.clone(), rotation).map_err(|cause| LogError::Open { path, cause })
}
