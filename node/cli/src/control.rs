//! How other programs of the same person ask a running node: one question and one answer over a Unix socket in the
//! node's state folder.
//!
//! ```text
//!   riffle 1 status        ──▶   a running node
//!                          ◀──   riffle 1 ok 2          so many lines follow, and then the end
//!                                tracker 10.0.0.1:12345 answers
//!                                limits: up none, down none
//! ```
//!
//! No question changes anything. Only the person whose node it is has rights to the socket.

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

/// The name of the socket in the state folder.
const SOCKET: &str = "control";
/// The name that the socket is made under, before only its owner has rights to it.
const UNFINISHED: &str = "control.new";
/// Every first line begins with this; another version has another number.
const VERSION: &str = "riffle 1 ";
/// A question has at most this many bytes.
const MAX_QUESTION: usize = 256;
/// At most this many bytes of an answer are read.
const MAX_ANSWER: usize = 64 << 20;
/// At most this many programs are answered at once; further ones wait.
const MAX_ASKERS: usize = 8;
/// One question and its answer take at most this long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A socket's path must have fewer bytes than this on every system (`sun_path`).
const MAX_PATH: usize = 104;

/// A question to a running node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Asks for what `status` shows at the prompt.
    Status,
    /// Asks for what `peers` shows at the prompt.
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
    /// No process listens at the socket.
    #[error("it is not running")]
    NotRunning,
    /// The answer took too long.
    #[error("it does not answer")]
    Silent,
    /// The answer has another form: the node may be another version of this program.
    #[error("it does not understand the question: is it another version of riffle?")]
    NotUnderstood,
    /// The socket cannot be used.
    #[error("it cannot be asked: {0}")]
    Io(#[from] io::Error),
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The question.
    pub(crate) request: Request,
    /// Takes the lines of the answer.
    pub(crate) answer: oneshot::Sender<Vec<String>>,
}

/// The socket at which a running node is asked.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    asked: mpsc::Receiver<Asked>,
    accepting: JoinHandle<()>,
}

impl Control {
    /// Listens in `folder`, which this process has locked: a socket that is found there was left by a dead process.
    ///
    /// # Errors
    /// When no socket can be made in the folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Control> {
        let (path, unfinished) = (folder.join(SOCKET), folder.join(UNFINISHED));
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = StdListener::bind(socket_path(folder, UNFINISHED)?.path())?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        fs::rename(&unfinished, &path)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let (ask, asked) = mpsc::channel(MAX_ASKERS);
        let accepting = tokio::spawn(accept(listener, ask));
        Ok(Control { path, asked, accepting })
    }

    /// Waits for the next question. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // The accepting task has ended: no question will come.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
        // A socket that stays behind leads nowhere, which `ask` reports as a node that is not running.
        let _ = fs::remove_file(&self.path);
    }
}

/// Accepts connections, at most [`MAX_ASKERS`] at a time.
async fn accept(listener: UnixListener, ask: mpsc::Sender<Asked>) {
    let permits = Arc::new(Semaphore::new(MAX_ASKERS));
    loop {
        let permit = permits.clone().acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await {
            Ok((stream, _)) => {
                let ask = ask.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(TIMEOUT, converse(stream, ask)).await;
                    drop(permit);
                });
            }
            // An error such as too many open files may pass.
            Err(_) => tokio::time::sleep(TIMEOUT).await,
        }
    }
}

/// Reads one question and sends its answer.
async fn converse(stream: UnixStream, ask: mpsc::Sender<Asked>) -> io::Result<()> {
    let line = receive(&stream, MAX_QUESTION, |text| text.ends_with(b"\n")).await?;
    let mut lines = None;
    if let Some(request) = str::from_utf8(&line).ok().and_then(Request::parse) {
        let (answer, answered) = oneshot::channel();
        if ask.send(Asked { request, answer }).await.is_ok() {
            lines = answered.await.ok();
        }
    }
    send(&stream, encode_answer(lines.as_deref()).as_bytes()).await
}

/// Reads until the other side closes the stream, `is_all` says so, or `most` bytes are there.
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

/// Encodes an answer; `None`: there is no such question, or the node does not answer.
fn encode_answer(lines: Option<&[String]>) -> String {
    let Some(lines) = lines else { return format!("{VERSION}error\n") };
    let mut text = format!("{VERSION}ok {}\n", lines.len());
    for line in lines {
        // A line end inside a line would break the count.
        text.extend(line.chars().map(|c| if c == '\n' { ' ' } else { c }));
        text.push('\n');
    }
    text
}

/// Decodes an answer; `None`: the text is not a whole answer.
fn decode_answer(text: &str) -> Option<Vec<String>> {
    let (head, rest) = text.split_once('\n')?;
    let count: usize = head.strip_prefix(VERSION)?.strip_prefix("ok ")?.parse().ok()?;
    let is_whole = rest.is_empty() || rest.ends_with('\n');
    let lines: Vec<String> = rest.lines().map(str::to_owned).collect();
    (is_whole && lines.len() == count).then_some(lines)
}

/// Asks the node whose state folder is `folder`.
///
/// # Errors
/// When the node is not running, or does not answer.
pub(crate) async fn ask(folder: &Path, request: Request) -> Result<Vec<String>, AskError> {
    let asking = async {
        let path = match socket_path(folder, SOCKET) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(AskError::NotRunning),
            path => path?,
        };
        let stream = UnixStream::connect(path.path()).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning,
            _ => AskError::Io(error),
        })?;
        send(&stream, format!("{VERSION}{}\n", request.word()).as_bytes()).await?;
        let text = receive(&stream, MAX_ANSWER, |_| false).await?;
        let text = String::from_utf8_lossy(&text);
        decode_answer(&text).ok_or(AskError::NotUnderstood)
    };
    tokio::time::timeout(TIMEOUT, asking).await.unwrap_or(Err(AskError::Silent))
}

/// A path that is short enough for a socket.
struct SocketPath {
    path: PathBuf,
    /// The open folder that a shortened path leads through.
    _folder: Option<File>,
}

impl SocketPath {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// A path to the socket `name` in `folder` that is short enough, however long the folder's path is.
fn socket_path(folder: &Path, name: &str) -> io::Result<SocketPath> {
    let path = folder.join(name);
    if path.as_os_str().len() < MAX_PATH {
        return Ok(SocketPath { path, _folder: None });
    }
    if !cfg!(target_os = "linux") {
        let message = format!("its path is longer than {MAX_PATH} bytes: choose a shorter --state-dir");
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, message));
    }
    let opened = File::open(folder)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&opened);
    Ok(SocketPath { path: format!("/proc/self/fd/{number}/{name}").into(), _folder: Some(opened) })
}

#[cfg(test)]
mod tests;
