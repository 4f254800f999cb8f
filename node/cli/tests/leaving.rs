//! The real program when it is asked to leave, and when nobody takes what it says: what it leaves with, what it says
//! last, what stays on the disk, and that nothing waits for a screen or a log.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests meet the programs over real sockets and files, in real time"
)]

mod programs;

use std::fs;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use programs::{Place, Program, noise, wait_until, working_file};
use rustix::fs::OFlags;
use rustix::process::Signal;

const MIB: usize = 1 << 20;
/// While the transfers here are held, they cannot finish before the test has done its steps.
const SIZE: usize = 32 * MIB;
const HELD: &str = "4MiB";

/// A tracker that never answers.
fn silent_tracker() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    (socket, address)
}

/// A place with a tracker, and a node that shares `film.bin`.
struct Stage {
    place: Place,
    _tracker: Program,
    address: String,
    owner: Program,
}

impl Stage {
    fn new() -> Stage {
        let place = Place::new();
        let (tracker, address) = place.tracker();
        fs::write(place.path().join("film.bin"), noise(SIZE)).expect("written");
        let arguments =
            ["--id", "owner", "--tracker", &address, "--listen", "127.0.0.1:0", "send", "film.bin"];
        let owner = Program::start(&mut place.riffle(&arguments));
        owner.wait_for("riffle download --tracker ");
        Stage { place, _tracker: tracker, address, owner }
    }

    fn saved(&self) -> PathBuf {
        self.place.folder("saved")
    }

    /// A node that saves into a folder of its own.
    fn node(&self, arguments: &[&str]) -> Command {
        let saved = self.saved();
        let folder = saved.to_str().expect("text");
        let common =
            ["--id", "guest", "--tracker", &self.address, "--listen", "127.0.0.1:0", "--dir", folder];
        self.place.riffle(&[&common, arguments].concat())
    }

    /// A download of which something has arrived and something is owed.
    fn held_download(&self) -> Program {
        let program = Program::start(&mut self.node(&["--download-limit", HELD, "download", "film.bin"]));
        self.wait_for_pieces();
        program
    }

    fn wait_for_pieces(&self) {
        let length = || fs::metadata(working_file(&self.saved(), "film.bin", "journal")?).ok();
        wait_until("a piece is stored", || length().is_some_and(|journal| journal.len() > 200));
    }

    /// The same again arrives, and takes over what was there.
    fn goes_on(&self) {
        let part = working_file(&self.saved(), "film.bin", "part");
        assert!(part.is_some() && !self.saved().join("film.bin").exists());
        let (status, said) = Program::start(&mut self.node(&["download", "film.bin"])).end();
        assert_eq!(status.code(), Some(0), "{said:#?}");
        assert!(said.iter().any(|line| line.contains("were here before")), "{said:#?}");
        assert!(fs::read(self.saved().join("film.bin")).expect("saved") == noise(SIZE), "the copy differs");
    }
}

fn has(said: &[String], words: &str) {
    assert!(said.iter().any(|line| line.contains(words)), "{words:?} was not said, but: {said:#?}");
}

/// The last line about how a download went, for whoever asks why it was slow.
fn has_account(log: &str, begins: &str) {
    let line = log.lines().rfind(|line| line.contains("download over download=1 ")).expect("accounted for");
    assert!(line.contains(&format!("download=1 {begins}")), "{line}");
    for field in
        ["fetched=", "took_ms=", "rate=", "waits=", "lost_bytes=", "duplicate_bytes=", "bad_pieces=0"]
    {
        assert!(line.contains(field), "{field}: {line}");
    }
    let (_, contributors) = line.split_once("contributors=127.0.0.1:").expect("the owner");
    assert!(contributors.contains("B/") && contributors.ends_with("us"), "how much and how far away: {line}");
}

#[test]
fn an_interrupted_download_leaves_with_7_says_how_to_go_on_and_goes_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let stage = Stage::new();
        let download = stage.held_download();
        download.signal(signal);
        let (status, said) = download.end();
        assert_eq!(status.code(), Some(7), "{signal:?}: {said:#?}");
        has(&said, "film.bin: interrupted; what has arrived is kept: the same command goes on with it");
        // The owner heard BYE: it does not wait for somebody who has left.
        wait_until("the owner is told", || stage.place.logs().contains("downloader's session ended"));
        let log = || fs::read_to_string(stage.place.path().join("logs/node-guest.log")).expect("a log");
        assert!(!log().contains(" WARN "), "a person wanted it so: {}", log());
        has_account(&log(), "verified=");
        stage.goes_on();
        has_account(&log(), &format!("verified={SIZE} length={SIZE} "));
    }
}

#[test]
fn a_prompt_that_is_left_lists_unfinished_downloads_and_a_script_gets_an_exit_code() {
    for how in ["exit", "interrupt", "terminate", "hang up"] {
        let stage = Stage::new();
        let mut prompt = Program::start(&mut stage.node(&["--download-limit", HELD]));
        prompt.say("download film.bin");
        stage.wait_for_pieces();
        match how {
            "exit" => prompt.say("exit"),
            "interrupt" => prompt.signal(Signal::INT),
            "hang up" => prompt.signal(Signal::HUP),
            _ => prompt.signal(Signal::TERM),
        }
        let (status, said) = prompt.end();
        assert_eq!(status.code(), Some(7), "{how}: {said:#?}");
        has(&said, "film.bin: unfinished; the same download goes on with it next time");
        stage.goes_on();
    }
}

#[test]
fn the_end_of_a_pipe_lets_downloads_finish() {
    let stage = Stage::new();
    let mut prompt = Program::start(&mut stage.node(&["--download-limit", "16MiB"]));
    prompt.say("download film.bin");
    stage.wait_for_pieces();
    prompt.end_of_input();
    let (status, said) = prompt.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(fs::read(stage.saved().join("film.bin")).expect("saved") == noise(SIZE));
}

#[test]
fn who_serves_leaves_with_0_and_the_tracker_forgets_it_at_once() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let stage = Stage::new();
        stage.owner.signal(signal);
        let (place, owner) = (stage.place, stage.owner);
        let (status, said) = owner.end();
        assert_eq!(status.code(), Some(0), "{signal:?}: {said:#?}");
        // Not `node expired`, which is what silence comes to.
        wait_until("the tracker is told", || place.logs().contains("INFO node left"));
    }
}

#[test]
fn a_terminal_that_is_gone_hangs_up_twice_and_the_node_still_leaves_the_tracker() {
    let stage = Stage::new();
    stage.owner.signal(Signal::HUP);
    stage.owner.wait_for("leaving; ");
    // A shell that has lost its terminal sends this signal. The signal may come when the program has ended.
    let _ = rustix::process::kill_process(stage.owner.process(), Signal::HUP);
    let (place, owner) = (stage.place, stage.owner);
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    wait_until("the tracker is told", || place.logs().contains("INFO node left"));
}

#[test]
fn who_is_to_go_on_without_a_terminal_does_and_a_tracker_leaves_with_its_own() {
    let stage = Stage::new();
    let ignoring = |arguments: &[&str]| {
        let script = "trap '' HUP; exec \"$0\" \"$@\"";
        let program = [&["-c", script, env!("CARGO_BIN_EXE_riffle")], arguments].concat();
        let mut command = stage.place.shell();
        Program::start(command.args(program))
    };
    let download = ["--tracker", &stage.address, "--dir", "saved", "--download-limit", HELD, "download"];
    stage.saved();
    let download = ignoring(&[&download[..], &["film.bin"]].concat());
    stage.wait_for_pieces();
    download.signal(Signal::HUP);
    let (status, said) = download.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");

    let tracker = ignoring(&["tracker", "--listen", "127.0.0.1:0", "--log-dir", "logs/other"]);
    tracker.wait_for("listening on ");
    tracker.signal(Signal::HUP);
    tracker.interrupt();
    assert_eq!(tracker.end().0.code(), Some(0));
    stage._tracker.signal(Signal::HUP);
    let (status, said) = stage._tracker.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    wait_until("it says so", || stage.place.logs().contains("tracker leaving"));
}

#[test]
fn a_file_longer_than_may_be_written_is_an_error_in_words_and_no_death() {
    let stage = Stage::new();
    stage.saved();
    // In blocks of 512 or 1024 bytes, by the shell: less than the file either way.
    let script = "ulimit -f 20480; exec \"$0\" \"$@\"";
    let mut limited = stage.place.shell();
    limited.args(["-c", script, env!("CARGO_BIN_EXE_riffle"), "--tracker", &stage.address]);
    limited.args(["--listen", "127.0.0.1:0", "--dir", "saved", "download", "film.bin"]);
    let (status, said) = Program::start(&mut limited).end();
    assert_eq!(status.code(), Some(10), "{said:#?}");
    has(&said, "file too large for this file system, or for the limit of this process");
    // A log that may not grow does not stop the node either.
    let script = "ulimit -f 1; exec \"$0\" \"$@\"";
    let mut limited = stage.place.shell();
    limited.args(["-c", script, env!("CARGO_BIN_EXE_riffle"), "--log-level", "trace", "tracker"]);
    let tracker = Program::start(limited.args(["--listen", "127.0.0.1:0", "--log-dir", "logs/other"]));
    let address = tracker.wait_for("listening on ").rsplit("listening on ").next().expect("one").to_owned();
    let node = ["--tracker", &address, "--listen", "127.0.0.1:0", "download", "nobody-has-it"];
    for _ in 0..3 {
        assert_eq!(Program::start(&mut stage.place.riffle(&node)).end().0.code(), Some(3));
    }
    tracker.interrupt();
    assert_eq!(tracker.end().0.code(), Some(0));
}

#[test]
fn a_second_signal_leaves_at_once_with_130() {
    let verbs: [&[&str]; 3] = [&["send", "a.bin"], &["download", "--wait", "b.bin"], &[]];
    for verb in verbs {
        for second in [Signal::INT, Signal::TERM] {
            // A leave lasts 1.5 s when the tracker says nothing. A test that is later than that has seen nothing.
            let seen = (0..20).any(|_| second_signal(verb, second));
            assert!(seen, "{verb:?}, {second:?}: the machine is too busy to tell");
        }
    }
}

/// Whether the second signal was sent while the program was certainly leaving; then it must end at once.
fn second_signal(verb: &[&str], second: Signal) -> bool {
    let place = Place::new();
    let (tracker, address) = place.tracker();
    fs::write(place.path().join("a.bin"), noise(MIB)).expect("written");
    let common = ["--tracker", &address, "--listen", "127.0.0.1:0"];
    let mut program = Program::start(&mut place.riffle(&[&common, verb].concat()));
    if verb.is_empty() {
        program.say("download --wait b.bin");
    }
    wait_until("the tracker knows it", || place.logs().contains("tracker answers"));
    // From here on nobody's goodbye is answered.
    tracker.signal(Signal::STOP);
    let first = Instant::now();
    if verb.is_empty() {
        // `exit` counts as the first.
        program.say("exit");
        program.wait_for("unfinished");
    } else {
        program.signal(Signal::INT);
        program.wait_for("Ctrl-C again ends at once");
    }
    program.signal(second);
    let in_time = first.elapsed() < Duration::from_secs(1);
    let (status, said) = program.end();
    if in_time {
        assert_eq!(status.code(), Some(130), "{verb:?}, {second:?}: {said:#?}");
        has(&said, "leaving at once");
    }
    in_time
}

/// A pipe that is full, and stays so: nobody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let flags = rustix::fs::fcntl_getfl(&writer).expect("flags");
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("set");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).expect("set");
    (reader, writer)
}

#[test]
fn nobody_waits_for_a_screen_that_is_not_read() {
    let stage = Stage::new();
    let (_reader, full) = full_pipe();
    let unread = |mut command: Command| {
        command.stdout(full.try_clone().expect("a handle")).stderr(full.try_clone().expect("a handle"));
        Unread(command.spawn().expect("started"))
    };
    let owner = stage.place.path().join("other.bin");
    fs::write(&owner, noise(MIB)).expect("written");
    let sender = unread(stage.place.riffle(&["--tracker", &stage.address, "send", "other.bin"]));
    let mut prompt = unread(stage.node(&[]));
    let mut stdin = prompt.0.stdin.take().expect("piped");
    for _ in 0..200 {
        writeln!(stdin, "help").expect("the prompt reads");
    }
    writeln!(stdin, "download --wait film.bin other.bin").expect("the prompt reads");
    let saved = stage.saved();
    wait_until("both arrive", || saved.join("film.bin").exists() && saved.join("other.bin").exists());
    assert!(fs::read(saved.join("film.bin")).expect("saved") == noise(SIZE));
    assert!(fs::read(saved.join("other.bin")).expect("saved") == noise(MIB));
    writeln!(stdin, "exit").expect("the prompt reads");
    assert_eq!(prompt.code(), Some(0), "it leaves when it is told to");
    sender.signal(Signal::INT);
    assert_eq!(sender.code(), Some(0));
    let download = unread(stage.node(&["download", "film.bin", "-o", "again.bin"]));
    assert_eq!(download.code(), Some(0));
    assert!(fs::read(saved.join("again.bin")).expect("saved") == noise(SIZE));
}

/// A program that says what nobody reads; dropped, it is ended.
struct Unread(std::process::Child);

impl Unread {
    fn signal(&self, signal: Signal) {
        let process = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(process, signal).expect("it is ours");
    }

    fn code(mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the program ends", || {
            code = self.0.try_wait().expect("waited for");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_cannot_be_written_is_named_before_anything_is_done() {
    let place = Place::new();
    fs::write(place.path().join("a.bin"), noise(1000)).expect("written");
    fs::write(place.path().join("no-folder"), "a file").expect("written");
    let (_silent, tracker) = silent_tracker();
    let verbs: [&[&str]; 3] = [&["send", "a.bin"], &["download", "b.bin"], &[]];
    for verb in verbs {
        let began = Instant::now();
        let arguments = [&["--tracker", &tracker, "--log-dir", "no-folder/logs"], verb].concat();
        let (status, said) = Program::start(&mut place.riffle(&arguments)).end();
        assert_eq!(status.code(), Some(10), "{verb:?}: {said:#?}");
        has(&said, "no-folder/logs");
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_log_that_is_full_is_put_aside_and_so_many_are_kept() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let how = ["--log-level", "trace", "--log-size", "16KiB", "--log-files", "3", "--id", "1"];
    let node = ["--tracker", &address, "--listen", "127.0.0.1:0", "download", "nobody-has-it"];
    let log = |name: &str| fs::metadata(place.path().join("logs").join(name)).map(|log| log.len());
    // Each life says more than nothing, and no more than what it does.
    for _ in 0..200 {
        assert_eq!(Program::start(&mut place.riffle(&[&how[..], &node].concat())).end().0.code(), Some(3));
        if log("node-1.log.2").is_ok() {
            break;
        }
    }
    for name in ["node-1.log", "node-1.log.1", "node-1.log.2"] {
        assert!((1..=16 << 10).contains(&log(name).expect("there")), "{name}");
    }
    assert!(log("node-1.log.3").is_err());
}

/// Whether this process may mount a small file system for its tests, in a namespace of their own.
fn mounting_allowed() -> bool {
    let script = "mount -t tmpfs -o size=64k none /mnt";
    let allowed =
        Command::new("unshare").args(["--mount", "bash", "-c", script]).stderr(Stdio::null()).status();
    let allowed = allowed.is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("skipped: file systems cannot be mounted here (root and `unshare` are needed)");
    }
    allowed
}

#[test]
fn a_full_log_disk_and_a_full_state_disk_stop_nothing() {
    if !mounting_allowed() {
        return;
    }
    let stage = Stage::new();
    stage.place.folder("tiny");
    stage.saved();
    // A prompt that logs everything, and remembers what it shares, where there is no room for either.
    let script = r#"
        mount -t tmpfs -o size=64k none tiny
        mkdir tiny/logs tiny/state
        export RIFFLE_LOG_DIR=$PWD/tiny/logs RIFFLE_STATE_DIR=$PWD/tiny/state RIFFLE_LOG_LEVEL=trace
        riffle() { "$RIFFLE" --tracker "$TRACKER" --listen 127.0.0.1:0 --dir saved "$@"; }
        printf 'exit\n' | riffle
        dd if=/dev/zero of=tiny/rest bs=1k count=64 2>/dev/null || :
        printf 'send ../film.bin\ndownload film.bin -o copy.bin\n' | riffle
        df --output=avail tiny | tail -1
    "#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-euc", script]).current_dir(stage.place.path());
    command.env("RIFFLE", env!("CARGO_BIN_EXE_riffle")).env("TRACKER", &stage.address);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (status, said) = Program::start(&mut command).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    has(&said, "what is shared cannot be remembered");
    assert_eq!(said.last().map(|line| line.trim()), Some("0"), "the disk was full: {said:#?}");
    assert!(fs::read(stage.saved().join("copy.bin")).expect("saved") == noise(SIZE), "the copy differs");
}
