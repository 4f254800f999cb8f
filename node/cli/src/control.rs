//! How other programs of the same person ask a running node: one question and its answer over a Unix socket in the node's state folder.
//!
//! ```text
//!   riffle 1 status        ──▶   a running node
//!                          ◀──   riffle 1 ok 2          so many lines follow, and then the end
//!                                tracker 10.0.0.1:12345 answers
//!                                limits: up none, down none
//! ```
//!
//! Nothing that is asked changes anything. Whoever can open the socket is the person whose node it is: nobody else has rights to it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// The file of the socket, in the state folder.
const SOCKET: &str = "control";
/// Where it is made, before only its owner has rights to it.
const UNFINISHED: &str = "control.new";
/// What every first line begins with: another version is another conversation.
const VERSION: &str = "riffle 1 ";
/// The longest question, in bytes.
const MAX_QUESTION: usize = 256;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// So many ask at once; further ones wait.
const MAX_ASKERS: usize = 8;
/// How long one question and its answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A path to a socket has fewer bytes than this on every system (`sun_path`).
const MAX_PATH: usize = 104;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// What `status` shows at the prompt.
    Status,
    /// What `peers` shows there.
    Peers,
}

impl Request {
    const ALL: [Request; 2] = [Request::Status, Request::Peers];

    const fn word(self) -> &'static str {
        match self {
            Request::Status => "status",
            Request::Peers => "peers",
        }
    }

    fn parse(line: &str) -> Option<Request> {
        let word = line.strip_prefix(VERSION)?.strip_suffix('\n')?;
        Request::ALL.into_iter().find(|request| request.word() == word)
    }
}

/// Why a node gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens.
    #[error("it is not running")]
    NotRunning,
    /// It took too long.
    #[error("it does not answer")]
    Silent,
    /// It answered in another way: it is another version of this program.
    #[error("it does not understand the question: is it another version of riffle?")]
    NotUnderstood,
    /// The socket cannot be used.
    #[error("it cannot be asked: {0}")]
    Io(#[from] io::Error),
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is asked.
    pub(crate) request: Request,
    /// Where the lines of the answer go.
    pub(crate) answer: oneshot::Sender<Vec<String>>,
}

/// The open end of a running node.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    asked: mpsc::Receiver<Asked>,
    accepting: JoinHandle<()>,
}

impl Control {
    /// Listens in `folder`, which this process has locked: a socket that is there already is nobody's any more.
    ///
    /// # Errors
    /// When no socket can be made there.
    pub(crate) fn open(folder: &Path) -> io::Result<Control> {
        let (path, unfinished) = (folder.join(SOCKET), folder.join(UNFINISHED));
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = StdListener::bind(reach(folder, UNFINISHED)?.path())?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        fs::rename(&unfinished, &path)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let (ask, asked) = mpsc::channel(MAX_ASKERS);
        let accepting = tokio::spawn(accept(listener, ask));
        Ok(Control { path, asked, accepting })
    }

    /// The next question. May be given up and called again.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // Nobody accepts any more: nothing is asked.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
        // Who finds it later finds nobody there.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes in who asks, a few at a time.
async fn accept(listener: UnixListener, ask: mpsc::Sender<Asked>) {
    let places = Arc::new(Semaphore::new(MAX_ASKERS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let ask = ask.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(TIMEOUT, converse(stream, ask)).await;
                    drop(place);
                });
            }
            // Such as too many open files: it may pass.
            Err(_) => tokio::time::sleep(TIMEOUT).await,
        }
    }
}

/// One question, one answer.
async fn converse(stream: UnixStream, ask: mpsc::Sender<Asked>) -> io::Result<()> {
    let line = receive(&stream, MAX_QUESTION, |text| text.ends_with(b"\n")).await?;
    let mut lines = None;
    if let Some(request) = str::from_utf8(&line).ok().and_then(Request::parse) {
        let (answer, answered) = oneshot::channel();
        if ask.send(Asked { request, answer }).await.is_ok() {
            lines = answered.await.ok();
        }
    }
    send(&stream, written(lines.as_deref()).as_bytes()).await
}

/// What comes until the other side ends it, until `is_all`, or until `most` bytes are there.
async fn receive(stream: &UnixStream, most: usize, is_all: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while text.len() < most && !is_all(&text) {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    text.truncate(most);
    Ok(text)
}

async fn send(stream: &UnixStream, text: &[u8]) -> io::Result<()> {
    let mut left = text;
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(length) => left = left.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// An answer as it is sent; `None`: there is no such question, or nobody to answer it.
fn written(lines: Option<&[String]>) -> String {
    let Some(lines) = lines else { return format!("{VERSION}error\n") };
    let mut text = format!("{VERSION}ok {}\n", lines.len());
    for line in lines {
        // A line is a line, whatever is in it.
        text.extend(line.chars().map(|c| if c == '\n' { ' ' } else { c }));
        text.push('\n');
    }
    text
}

/// An answer as it was sent; `None`: it is none, or not all of one.
fn read(text: &str) -> Option<Vec<String>> {
    let (head, rest) = text.split_once('\n')?;
    let count: usize = head.strip_prefix(VERSION)?.strip_prefix("ok ")?.parse().ok()?;
    let is_whole = rest.is_empty() || rest.ends_with('\n');
    let lines: Vec<String> = rest.lines().map(str::to_owned).collect();
    (is_whole && lines.len() == count).then_some(lines)
}

/// Asks the node whose state folder is `folder`.
///
/// # Errors
/// When it is not running, or does not answer.
pub(crate) async fn ask(folder: &Path, request: Request) -> Result<Vec<String>, AskError> {
    let asking = async {
        let reach = match reach(folder, SOCKET) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(AskError::NotRunning),
            reach => reach?,
        };
        let stream = UnixStream::connect(reach.path()).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning,
            _ => AskError::Io(error),
        })?;
        send(&stream, format!("{VERSION}{}\n", request.word()).as_bytes()).await?;
        let text = receive(&stream, MAX_ANSWER, |_| false).await?;
        let text = String::from_utf8_lossy(&text);
        read(&text).ok_or(AskError::NotUnderstood)
    };
    tokio::time::timeout(TIMEOUT, asking).await.unwrap_or(Err(AskError::Silent))
}

/// A path that is short enough for a socket, and the open folder that it leads through.
struct Reach {
    path: PathBuf,
    _through: Option<File>,
}

impl Reach {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// How to reach the socket `name` in `folder`, however long the folder's path is.
fn reach(folder: &Path, name: &str) -> io::Result<Reach> {
    let path = folder.join(name);
    if path.as_os_str().len() < MAX_PATH {
        return Ok(Reach { path, _through: None });
    }
    if !cfg!(target_os = "linux") {
        let message = format!("its path is longer than {MAX_PATH} bytes: choose a shorter --state-dir");
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, message));
    }
    let through = File::open(folder)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&through);
    Ok(Reach { path: format!("/proc/self/fd/{number}/{name}").into(), _through: Some(through) })
}

#[cfg(test)]
mod tests;
