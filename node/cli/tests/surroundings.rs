//! The real program where what is around it is not as it wishes: a tracker whose name leads nowhere yet.
#![expect(clippy::disallowed_types, reason = "these tests meet the programs over real sockets")]

mod programs;

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

use programs::{Place, Program};

/// A name that leads nowhere, by RFC 6761.
const NOWHERE: &str = "nobody.invalid:12345";

fn run(command: &mut Command) -> (Option<i32>, Vec<String>) {
    let (status, said) = Program::start(command).end();
    (status.code(), said)
}

#[test]
fn a_name_that_leads_nowhere_is_a_tracker_that_is_not_there_yet() {
    let place = Place::new();
    fs::write(place.path().join("f"), "content").expect("written");
    for arguments in [&["send", "f"][..], &["download", "--wait", "f"][..], &[]] {
        let mut node = Program::start(place.riffle(arguments).env("RIFFLE_TRACKER", NOWHERE));
        let line = node.wait_for("is not there yet");
        assert!(line.contains(NOWHERE) && line.contains("asking again"), "{line}");
        assert!(node.is_alive(), "{arguments:?}: it waits");
        node.interrupt();
        let (_, said) = node.end();
        assert!(!said.iter().any(|line| line.contains("HOST:PORT")), "{said:?}");
    }
}

#[test]
fn a_one_shot_download_retries_a_name_until_the_tracker_timeout_and_exits_with_the_reason() {
    let place = Place::new();
    fs::write(place.path().join("node.toml"), "[download]\ntracker_patience = \"300ms\"").expect("written");
    let arguments = ["--config", "node.toml", "--tracker", NOWHERE, "download", "f"];
    let (code, said) = run(&mut place.riffle(&arguments));
    assert_eq!(code, Some(6), "{said:?}");
    let last = said.last().expect("it says why");
    let expected = format!("f: the tracker {NOWHERE} is not there: its name ");
    assert!(last.starts_with(&expected) && !last.contains("HOST:PORT"), "{last}");
}

#[test]
fn a_node_has_the_port_of_its_last_life_if_it_is_free() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    fs::write(place.path().join("f"), "content").expect("written");
    let port_of = |node: Program| {
        node.wait_for("riffle download --tracker ");
        node.interrupt();
        assert_eq!(node.end().0.code(), Some(0));
        fs::read_to_string(place.path().join("state/node-owner/port")).expect("kept").trim().to_owned()
    };
    let send = || {
        let arguments = ["--id", "owner", "--tracker", &address, "--listen", "127.0.0.1:0", "send", "f"];
        Program::start(&mut place.riffle(&arguments))
    };
    let first = port_of(send());
    assert_eq!(port_of(send()), first);
    let taken = UdpSocket::bind(format!("127.0.0.1:{first}")).expect("free");
    assert_ne!(port_of(send()), first, "a port that is taken is no reason to fail");
    drop(taken);
}

/// Every variable that the help of `riffle` and of its verbs names.
fn variables(place: &Place) -> BTreeSet<String> {
    let help = |arguments: &[&str]| {
        let output = place.riffle(arguments).output().expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let verbs = help(&["--help"]);
    let verbs = verbs.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let verbs = verbs.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let texts: Vec<String> = verbs
        .chain([""])
        .map(|verb| match verb {
            "" | "help" => help(&["--help"]),
            verb => help(&[verb, "--help"]),
        })
        .collect();
    let is_name = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let words = texts.iter().flat_map(|text| text.split(|letter| !is_name(letter)));
    words.filter(|word| word.starts_with("RIFFLE_") && *word != "RIFFLE_").map(str::to_owned).collect()
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let place = Place::new();
    let names = variables(&place);
    assert!(names.contains("RIFFLE_DIR") && names.len() > 10, "{names:?}");
    // What cannot be wrong but by a variable: a sentence about the name, after all options were read.
    let said = |name: Option<&str>| {
        let mut command = place.riffle(&["download", "a/b"]);
        command.env_remove("RIFFLE_STATE_DIR").env_remove("RIFFLE_LOG_DIR").env("HOME", place.path());
        names.iter().filter(|one| name == Some(one) || name == Some("all")).for_each(|one| {
            command.env(one, "");
        });
        run(&mut command)
    };
    let unset = said(None);
    assert_eq!(unset.0, Some(2), "{unset:?}");
    assert!(unset.1.iter().any(|line| line.contains("a/b")), "{unset:?}");
    for name in names.iter().map(String::as_str).chain(["all"]) {
        assert_eq!(said(Some(name)), unset, "{name}");
    }
}

/// A place in which there is a file where the state folder should be, and nothing of the test's own settings.
fn without_state(place: &Place, arguments: &[&str]) -> Command {
    fs::write(place.path().join("occupied"), "a file where a folder should be").expect("written");
    let mut command = place.riffle(arguments);
    command.env_remove("RIFFLE_LOG_DIR").env("RIFFLE_STATE_DIR", place.path().join("occupied"));
    command
}

#[test]
fn a_one_shot_command_runs_without_state_and_log_and_says_so() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    fs::write(place.path().join("f"), "content").expect("written");
    let arguments = ["--tracker", &address, "--listen", "127.0.0.1:0", "send", "f"];
    let owner = Program::start(&mut without_state(&place, &arguments));
    let line = owner.wait_for("this run goes without, and without a log");
    assert!(line.contains("occupied") && line.contains("--state-dir"), "{line}");
    owner.wait_for("riffle download --tracker ");
    let folder = place.folder("saved");
    let arguments = ["--tracker", &address, "--dir", "saved", "download", "f"];
    let (code, said) = run(&mut without_state(&place, &arguments));
    assert_eq!(code, Some(0), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.contains("this run goes without")).count(), 1, "{said:?}");
    assert_eq!(fs::read_to_string(folder.join("f")).expect("saved"), "content");
}

#[test]
fn the_prompt_and_who_named_a_log_cannot_go_without() {
    let place = Place::new();
    let (code, said) = run(&mut without_state(&place, &[]));
    assert_eq!(code, Some(10), "{said:?}");
    let line = said.last().expect("it says why");
    assert!(
        line.contains("occupied") && line.contains("it belongs to") && line.contains("--state-dir"),
        "{line}"
    );
    let mut download = without_state(&place, &["download", "f", "--log-dir", "occupied"]);
    let (code, said) = run(&mut download);
    assert_eq!(code, Some(10), "{said:?}");
    assert!(said.iter().any(|line| line.contains("log folder")), "{said:?}");
}

#[cfg(unix)]
#[test]
fn state_and_logs_are_below_one_folder_and_nobody_else_s() {
    use std::os::unix::fs::PermissionsExt as _;
    fn walk(folder: &Path, seen: &mut Vec<(PathBuf, u32)>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let (path, found) = (entry.path(), entry.metadata().expect("there"));
            seen.push((path.clone(), found.permissions().mode() & 0o777));
            if found.is_dir() {
                walk(&path, seen);
            }
        }
    }
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    fs::write(place.path().join("f"), "content").expect("written");
    let arguments = ["--id", "owner", "--tracker", &address, "--listen", "127.0.0.1:0", "send", "f"];
    let mut command = place.riffle(&arguments);
    command.env_remove("RIFFLE_LOG_DIR").env("RIFFLE_STATE_DIR", place.path().join("one"));
    let owner = Program::start(&mut command);
    owner.wait_for("riffle download --tracker ");
    owner.interrupt();
    assert_eq!(owner.end().0.code(), Some(0));
    let mut seen = Vec::new();
    walk(&place.path().join("one"), &mut seen);
    let is_there = |name: &str| seen.iter().any(|(path, _)| path.ends_with(name));
    assert!(is_there("logs/node-owner.log") && is_there("node-owner/key"), "{seen:?}");
    let is_private = |(_, mode): &&(PathBuf, u32)| mode & 0o077 != 0;
    assert_eq!(seen.iter().find(is_private), None);
}
