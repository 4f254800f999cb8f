//! The real programs as a test sees them: a test starts them in a temporary folder, reads their lines and ends them in
//! any case.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::disallowed_methods, reason = "these tests start real processes and wait for them")]

pub(crate) mod trees;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// A test that waits this long for a program has failed, however busy the machine is.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A temporary folder with what a test's programs need.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder `name`, which is created if it does not exist.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// `riffle` with `arguments`, which keeps its files inside this place and reads none of the caller's settings.
    pub(crate) fn riffle(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_riffle").as_ref(), arguments)
    }

    /// A shell that starts programs in this place.
    pub(crate) fn shell(&self) -> Command {
        self.program("sh".as_ref(), &[])
    }

    fn program(&self, program: &OsStr, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIFFLE_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.path());
        command
            .env("RIFFLE_STATE_DIR", self.path().join("state"))
            .env("RIFFLE_LOG_DIR", self.path().join("logs"));
        command.env("XDG_CONFIG_HOME", self.path().join("config")).env("NO_COLOR", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A tracker on a port of its own, and its address.
    pub(crate) fn tracker(&self) -> (Program, String) {
        self.tracker_with(&[])
    }

    /// A tracker that hears from its nodes every second, so that it soon knows everybody.
    #[allow(dead_code, reason = "not every program's test needs one")]
    pub(crate) fn quick_tracker(&self) -> (Program, String) {
        std::fs::write(self.path().join("tracker.toml"), "heartbeat = \"1s\"").expect("written");
        self.tracker_with(&["--config", "tracker.toml"])
    }

    fn tracker_with(&self, flags: &[&str]) -> (Program, String) {
        let arguments = [&["tracker", "--listen", "127.0.0.1:0"], flags].concat();
        let tracker = Program::start(&mut self.riffle(&arguments));
        let line = tracker.wait_for("listening on ");
        let address = line.rsplit("listening on ").next().expect("an address").trim().to_owned();
        (tracker, address)
    }

    /// Where the node `label` listens, as its log says as soon as that is written.
    pub(crate) fn address_of(&self, label: &str) -> SocketAddr {
        let log = self.path().join("logs").join(format!("node-{label}.log"));
        let mut found = None;
        wait_until("the log says where the node is", || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let line = log.lines().find_map(|line| line.split_once("node started address="));
            found = line.and_then(|(_, at)| at.split_whitespace().next()?.parse().ok());
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// The text of all log files.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.path().join("logs")).into_iter().flatten().flatten() {
            text += &format!("--- {}\n", entry.file_name().display());
            text += &std::fs::read_to_string(entry.path()).unwrap_or_default();
        }
        text
    }
}

/// A place with a tracker, and what starts `riffle` there beside that tracker.
pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) tracker: String,
    _tracker: Program,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let place = Place::new();
        let (program, tracker) = place.tracker();
        Scene { place, tracker, _tracker: program }
    }

    /// `riffle` with `arguments`, as a node of `host`: each address of the loopback network counts as one host.
    pub(crate) fn riffle(&self, host: &str, arguments: &[&str]) -> Command {
        let listen = format!("{host}:0");
        self.place.riffle(&[arguments, &["--tracker", &self.tracker, "--listen", &listen]].concat())
    }
}

/// The working file of `name` in `folder` whose name ends with `kind` (`part`, `journal`), while there is one.
pub(crate) fn working_file(folder: &Path, name: &str, kind: &str) -> Option<PathBuf> {
    let (begin, end) = (format!(".{name}."), format!(".riffle-{kind}"));
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&begin) && name.ends_with(&end)
    };
    std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find(is_it)
}

/// A running program, which is killed when this value is dropped.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: std::cell::RefCell<Vec<String>>,
}

impl Program {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Program {
        let mut child = command.spawn().expect("the program starts");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Program { child, stdin, lines, seen: Vec::new().into() }
    }

    /// Starts `command` and feeds it `input`, which may be longer than what a pipe holds.
    pub(crate) fn start_with_input(command: &mut Command, input: &[u8]) -> Program {
        let mut program = Program::start(command);
        let mut stdin = program.stdin.take().expect("open");
        let input = input.to_owned();
        // The program may exit before it has read everything.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
        program
    }

    /// Types a line into the program.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        writeln!(stdin, "{line}").expect("the program reads");
    }

    /// Ends the program's input.
    pub(crate) fn end_of_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line of either stream that contains `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.borrow_mut().push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("{text:?} was not said; but:\n{}", self.seen.borrow().join("\n")),
            }
        }
    }

    /// Waits for the program's end and returns its status and all lines that the program wrote.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        self.stdin = None;
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waited for") {
                break status;
            }
            if Instant::now() > deadline {
                self.seen.borrow_mut().extend(self.lines.try_iter());
                panic!("the program does not end; it said:\n{}", self.seen.borrow().join("\n"));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        let mut said = std::mem::take(&mut *self.seen.borrow_mut());
        // The streams end with the program.
        said.extend(self.lines.iter());
        (status, said)
    }

    /// Asks the program to leave, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("it is ours");
    }

    /// The process id, as `rustix` takes it.
    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends the program with SIGKILL, which no program can catch.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// The process id as a number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("waited for").is_none()
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        pause(Duration::from_millis(2));
    }
}

/// Waits for `time`: as long as a fault lasts, or between two looks at something.
pub(crate) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        std::thread::park_timeout(left);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `length` bytes that look random and are the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}
