//! `riffle-tracker` as a person meets it: what it prints and what it leaves with.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use config::TrackerSettings;
use messages::node_to_tracker::{Asker, OwnDigest, Register};
use messages::{BootEpoch, Conversation, Cookie, NodeId, NodeToTracker};
use tracker::driver;

/// The program with nothing from the environment that a test runs in.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riffle-tracker"));
    for name in [
        "RIFFLE_LISTEN",
        "RIFFLE_CONFIG",
        "RIFFLE_LOG_DIR",
        "RIFFLE_STATE_DIR",
        "RIFFLE_LOG_LEVEL",
        "RIFFLE_LOG_SIZE",
        "RIFFLE_LOG_FILES",
        "RIFFLE_TRACKER_KEY_FILE",
        "RIFFLE_SECRET_FILE",
        "RIFFLE_MEMBERS_FILE",
        "RIFFLE_ENCRYPTION",
        "RIFFLE_LOOPBACK_ENCRYPTION",
    ] {
        command.env_remove(name);
    }
    command
}

fn leaves_with_one_line(output: &Output, code: i32, named: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(named), "{said}");
}

/// Every variable that the help of `program` names.
fn variables(mut program: Command) -> Vec<String> {
    let help = program.arg("--help").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let words = help.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
    words.filter(|word| word.starts_with("RIFFLE_") && *word != "RIFFLE_").map(str::to_owned).collect()
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let folder = tempfile::tempdir().unwrap();
    let names = variables(program());
    assert!(names.len() >= 8, "{names:?}");
    let settings = folder.path().join("tracker.toml");
    std::fs::write(&settings, "log_level = \"inof\"").unwrap();
    let mut empty = program();
    empty.envs(names.iter().map(|name| (name, ""))).env("RIFFLE_LISTEN", "127.0.0.1:0");
    // It comes as far as the settings file, in which the level is wrong: a tracker that started would not leave.
    let output = empty.arg("--config").arg(&settings).env("HOME", folder.path()).output().unwrap();
    leaves_with_one_line(&output, 2, "inof");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in names {
        let mut one = program();
        one.env(&name, "").env("HOME", folder.path()).arg("--config").arg(&settings);
        one.args(["--listen", "127.0.0.1:0"]);
        assert_eq!(String::from_utf8_lossy(&one.output().unwrap().stderr), said, "{name}");
    }
}

#[test]
fn mistakes_are_one_line_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let run = |flag: &str, value: &Path| {
        let logs = folder.path().join("logs");
        program().args(["--log-dir".as_ref(), logs.as_os_str()]).arg(flag).arg(value).output().unwrap()
    };
    let listen = |value: &str| run("--listen", Path::new(value));
    leaves_with_one_line(&listen("1.2.3:x"), 2, "1.2.3:x");
    leaves_with_one_line(&listen("192.0.2.1:0"), 2, "192.0.2.1:0");
    let taken = driver::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().to_string();
    leaves_with_one_line(&listen(&address), 2, &address);
    leaves_with_one_line(&run("--config", &file("a.toml", "heartbeet = \"20s\"")), 2, "`heartbeat`");
    leaves_with_one_line(&run("--config", &folder.path().join("none.toml")), 2, "none.toml");
    leaves_with_one_line(&run("--lissten", Path::new("1")), 2, "--lissten");
    let quiet = file("quiet.toml", "listen = \"127.0.0.1:0\"\nlog_level = \"inof\"");
    leaves_with_one_line(&run("--config", &quiet), 2, "inof");
    let occupied = file("occupied", "a file where the log folder should be");
    let output = program().args(["--listen", "127.0.0.1:0", "--log-dir"]).arg(occupied).output().unwrap();
    leaves_with_one_line(&output, 10, "occupied");
}

#[test]
fn the_printed_settings_are_the_annotated_defaults() {
    let output = program().arg("--print-config").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), TrackerSettings::annotated_defaults());
}

/// Ends with the test, however that ends.
#[cfg(target_os = "linux")]
struct Running(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_types, reason = "askers on real sockets")]
#[test]
fn a_full_log_disk_and_askers_that_are_gone_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A log that cannot grow: what is written fails as it does on a full disk.
    let script = "ulimit -f 0; exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_riffle-tracker")])
        .args(["--listen", "127.0.0.1:0", "--log-level", "debug", "--log-dir"])
        .arg(folder.path())
        .env("XDG_STATE_HOME", folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let mut said = String::new();
    BufReader::new(child.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let address = said.trim().rsplit(' ').next().unwrap().to_owned();
    let asker = Asker { node: NodeId::from_bytes([7; 16]), cookie: Cookie::NONE };
    let register = Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) };
    let mut request = Vec::new();
    NodeToTracker::from(register).encode(Conversation(9), &mut request);
    // Nobody hears these answers: their ports are closed.
    for _ in 0..200 {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&request, &address).unwrap();
    }
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    for _ in 0..200 {
        socket.send_to(&request, &address).unwrap();
        let length = socket.recv(&mut [0; 2000]).expect("an answer");
        assert!(length <= request.len());
    }
    let killed = Command::new("kill").args(["-TERM", &child.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file_and_sigterm_ends_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, file) = (folder.path().join("logs"), folder.path().join("tracker.toml"));
    std::fs::write(&file, "listen = \"192.0.2.1:1\"\nlog_level = \"debug\"").unwrap();
    let mut child = program()
        .env("RIFFLE_CONFIG", &file)
        .env("RIFFLE_LISTEN", "192.0.2.2:2")
        .env("RIFFLE_STATE_DIR", folder.path())
        .args(["--listen", "127.0.0.1:0", "--log-dir"])
        .arg(&logs)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("tracker listening on 127.0.0.1:"), "{said}");
    let log = || std::fs::read_to_string(logs.join("tracker.log")).unwrap_or_default();
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(log().contains("tracker leaving"), "{}", log());
}

#[cfg(unix)]
#[test]
fn the_tracker_says_its_key_and_has_the_same_one_in_its_next_life() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let said = |flags: &[&str]| {
        let mut child = program()
            .args(["--listen", "127.0.0.1:0"])
            .args(flags)
            .env("RIFFLE_STATE_DIR", folder.path().join("state"))
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Vec<String> =
            BufReader::new(child.stderr.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let address = lines[0].rsplit(' ').next().unwrap();
        let (key, at) = lines[1].rsplit(' ').next().unwrap().split_once('@').unwrap();
        assert_eq!((key.len(), at), (52, address), "{lines:?}");
        key.to_owned()
    };
    let first = said(&[]);
    assert_eq!(said(&[]), first);
    assert_ne!(said(&["--key-file", "other"]), first);
    for file in ["state/tracker.key", "other"] {
        let found = std::fs::metadata(folder.path().join(file)).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.len()), (0o600, 32), "{file}");
    }
    let others = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("other"), others).unwrap();
    let mut refused = program();
    refused.args(["--listen", "127.0.0.1:0", "--key-file", "other"]).current_dir(folder.path());
    let output = refused.env("RIFFLE_STATE_DIR", folder.path().join("state")).output().unwrap();
    leaves_with_one_line(&output, 10, "the tracker's key other: it is not private");
}
