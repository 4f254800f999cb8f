//! The real program on a terminal: what is typed ahead, how the terminal is left behind, and one that takes nothing.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests meet the programs over real sockets and terminals, in real time"
)]

mod programs;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};

use programs::{Place, Program, noise, wait_until, working_file};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::pty::{self, OpenptFlags};
use rustix::termios::{self, LocalModes, Termios, Winsize};

const MIB: usize = 1 << 20;
/// The byte that a terminal's Ctrl-S sends: the terminal shows nothing until Ctrl-Q.
const FREEZE: &str = "\x13";

/// A terminal with a program on it. A person types, and reads what is shown until the program ends.
struct Terminal {
    program: Child,
    hand: File,
    shown: Arc<Mutex<String>>,
    /// Keeps the terminal, and tells its mode.
    line: OwnedFd,
}

/// A terminal: the end of the hand, and that of the programs.
fn pair() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let hand = pty::openpt(flags).expect("a terminal");
    pty::grantpt(&hand).expect("granted");
    pty::unlockpt(&hand).expect("unlocked");
    let name = pty::ptsname(&hand, Vec::new()).expect("a name").into_string().expect("text");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let line = rustix::fs::open(name, flags, Mode::empty()).expect("opened");
    let size = Winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    termios::tcsetwinsize(&line, size).expect("set");
    (File::from(hand), line)
}

fn start_on(line: &OwnedFd, command: &mut Command) -> Child {
    let end = || line.try_clone().expect("a handle");
    command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
    command.spawn().expect("started")
}

impl Terminal {
    fn start(command: &mut Command) -> Terminal {
        let (hand, line) = pair();
        let program = start_on(&line, command);
        let (shown, mut eye) = (Arc::new(Mutex::new(String::new())), hand.try_clone().expect("a handle"));
        let seen = shown.clone();
        // The thread ends when the terminal does.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = eye.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]);
                seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Terminal { program, hand, shown, line }
    }

    fn types(&mut self, text: &str) {
        self.hand.write_all(text.as_bytes()).expect("typed");
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn mode(&self) -> Termios {
        termios::tcgetattr(self.line.as_fd()).expect("a mode")
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.program), signal).expect("it is ours");
    }

    /// Waits for the program's end.
    fn code(&mut self) -> Option<i32> {
        code(&mut self.program)
    }
}

fn code(program: &mut Child) -> Option<i32> {
    let mut code = None;
    wait_until("the program ends", || {
        code = program.try_wait().expect("waited for");
        code.is_some()
    });
    code.and_then(|status| status.code())
}

/// `program` in a session of its own, which the terminal that it is started on controls.
fn in_its_session(place: &Place, program: &[&str]) -> Command {
    let mut command = place.shell();
    command.args(["-c", "exec setsid --ctty \"$@\"", "sh"]).args(program);
    command
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn what_is_typed_ahead_is_kept_and_a_signal_leaves_an_empty_line_behind() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let mut prompt = Terminal::start(&mut place.riffle(&["--tracker", &address, "--listen", "127.0.0.1:0"]));
    let before = prompt.mode();
    prompt.types("limit up 1MiB\rlimit down 2MiB\rlimit up none\runfinished");
    let last = "limits: up none, down 2.00 MiB/s";
    wait_until("three are carried out and the fourth is being edited", || {
        prompt.shown().split_once(last).is_some_and(|(_, after)| after.contains("unfinished"))
    });
    assert!(!prompt.mode().local_modes.contains(LocalModes::ICANON), "a line is being edited");
    prompt.signal(Signal::TERM);
    assert_eq!(prompt.code(), Some(0));
    assert_eq!(prompt.mode().local_modes, before.local_modes);
    wait_until("the paste is plain again and the line is over", || {
        prompt.shown().ends_with("\x1b[?2004l\r\n")
    });
}

#[test]
fn a_frozen_terminal_holds_nothing_up() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let common = ["--tracker", &address, "--listen", "127.0.0.1:0"];
    fs::write(place.path().join("film.bin"), noise(32 * MIB)).expect("written");
    let owner = Program::start(&mut place.riffle(&[&common[..], &["send", "film.bin"]].concat()));
    owner.wait_for("riffle download --tracker ");
    let saved = place.folder("saved");
    let to = |verb: &[&str]| {
        let folder = ["--dir", saved.to_str().expect("text")];
        place.riffle(&[&common[..], &folder, verb].concat())
    };

    // A download goes on without its bars, and one Ctrl-C ends it.
    let mut held = Terminal::start(&mut to(&["--download-limit", "4MiB", "download", "film.bin"]));
    wait_until("bars are drawn", || held.shown().contains("% of 32.0 MiB"));
    held.types(FREEZE);
    let journal = || fs::metadata(working_file(&saved, "film.bin", "journal")?).ok();
    let length = || journal().map_or(0, |journal| journal.len());
    let before = length();
    wait_until("more pieces arrive", || length() > before + 200);
    held.signal(Signal::INT);
    assert_eq!(held.code(), Some(7));

    let mut rest = Terminal::start(&mut to(&["download", "film.bin"]));
    rest.types(FREEZE);
    assert_eq!(rest.code(), Some(0));
    assert!(fs::read(saved.join("film.bin")).expect("saved") == noise(32 * MIB), "the copy differs");
}

#[test]
fn a_name_that_hides_something_is_shown_beside_its_bar_and_does_nothing() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let common = ["--tracker", &address, "--listen", "127.0.0.1:0"];
    // A joiner is allowed between such letters, and changes how they look.
    let name = "\u{645}\u{200c}\u{6cc}.bin";
    fs::write(place.path().join(name), noise(32 * MIB)).expect("written");
    let owner = Program::start(&mut place.riffle(&[&common[..], &["send", name]].concat()));
    owner.wait_for("riffle download --tracker ");
    let saved = place.folder("saved");
    let options = ["--dir", saved.to_str().expect("text"), "--download-limit", "4MiB", "download", name];
    let download = Terminal::start(&mut place.riffle(&[&common[..], &options].concat()));
    wait_until("bars are drawn", || download.shown().contains("% of 32.0 MiB"));
    let shown = download.shown();
    assert!(shown.contains("\\u{200c}\u{6cc}.bin: "), "{shown:?}");
    assert!(!shown.contains('\u{200c}'), "{shown:?}");
}

#[test]
fn a_terminal_that_is_gone_ends_what_ran_on_it_in_good_order() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    fs::write(place.path().join("film.bin"), noise(32 * MIB)).expect("written");
    let common = ["--tracker", &address, "--listen", "127.0.0.1:0"];
    let owner = Program::start(&mut place.riffle(&[&common[..], &["send", "film.bin"]].concat()));
    owner.wait_for("riffle download --tracker ");
    let riffle = env!("CARGO_BIN_EXE_riffle");
    place.folder("saved");
    let download = ["--id", "gone", "--dir", "saved", "--download-limit", "4MiB", "download", "film.bin"];
    for (verb, expected) in [(&download[..], 7), (&["--id", "gone", "--dir", "saved"][..], 0)] {
        // Nothing reads the terminal, so the lines still wait in it when the terminal goes.
        let (hand, line) = pair();
        let mut program =
            start_on(&line, &mut in_its_session(&place, &[&[riffle][..], &common, verb].concat()));
        let log = place.path().join("logs/node-gone.log");
        let said = |words| fs::read_to_string(&log).is_ok_and(|log| log.contains(words));
        let reached = if expected == 7 { "range assigned" } else { "tracker answers" };
        wait_until(reached, || said(reached));
        drop(hand);
        assert_eq!(code(&mut program), Some(expected));
        assert!(said("INFO left"), "the tracker was told");
        fs::remove_file(&log).expect("removed");
    }
}

#[test]
fn a_job_in_the_background_leaves_the_terminal_to_others_and_draws_when_it_comes_back() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    fs::write(place.path().join("film.bin"), noise(32 * MIB)).expect("written");
    let common = ["--tracker", &address, "--listen", "127.0.0.1:0"];
    let owner = Program::start(&mut place.riffle(&[&common[..], &["send", "film.bin"]].concat()));
    owner.wait_for("riffle download --tracker ");
    place.folder("saved");
    let script = format!(
        "set -m; {} --id job --tracker {address} --listen 127.0.0.1:0 --dir saved --log-level debug \
         --download-limit 4MiB download film.bin & read line; echo in front:; fg",
        env!("CARGO_BIN_EXE_riffle")
    );
    let mut shell = Terminal::start(&mut in_its_session(&place, &["bash", "-c", &script]));
    let log = place.path().join("logs/node-job.log");
    // At 32 pieces a second these are many pictures.
    wait_until("pieces arrive", || {
        fs::read_to_string(&log).is_ok_and(|log| log.matches("piece received").count() > 40)
    });
    assert!(!shell.shown().contains("of 32.0 MiB"), "{:?}", shell.shown());
    shell.types("\n");
    wait_until("bars are drawn", || shell.shown().contains("of 32.0 MiB"));
    let shown = shell.shown();
    let (_, after) = shown.split_once("in front:").expect("said");
    let (_, picture) = after.split_once("film.bin\r\n").expect("the job is named");
    assert!(!picture.starts_with('\x1b'), "nothing is drawn over: {picture:?}");
    assert_eq!(shell.code(), Some(0));
}
