//! `riffle-tracker` as a person meets it: what it prints and what it leaves with.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use config::TrackerSettings;
use tracker::driver;

/// The program with nothing from the environment that a test runs in.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riffle-tracker"));
    for name in ["RIFFLE_LISTEN", "RIFFLE_CONFIG", "RIFFLE_LOG_DIR", "RIFFLE_LOG_LEVEL"] {
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

#[cfg(unix)]
#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file_and_sigterm_ends_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, file) = (folder.path().join("logs"), folder.path().join("tracker.toml"));
    std::fs::write(&file, "listen = \"192.0.2.1:1\"\nlog_level = \"debug\"").unwrap();
    let mut child = program()
        .env("RIFFLE_CONFIG", &file)
        .env("RIFFLE_LISTEN", "192.0.2.2:2")
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
