//! Two nodes with one key: what happens when a machine's state folder is copied to another, as a cloned image does.

mod programs;

use std::process::Command;

use programs::{Place, Program, noise};

#[test]
fn who_has_a_copied_key_is_told_and_harms_nobody() {
    let place = Place::new();
    let film = noise(300_000);
    std::fs::write(place.path().join("film.mkv"), &film).expect("written");
    let tracker = Program::start(&mut place.riffle(&[
        "tracker",
        "--listen",
        "127.0.0.1:0",
        "--loopback-encryption",
        "always",
    ]));
    let address = tracker.wait_for("listening on ").trim().rsplit(' ').next().expect("an address").to_owned();
    let node = |words: &[&str], label: &str| -> Command {
        let common = [
            "--tracker",
            &address,
            "--listen",
            "127.0.0.1:0",
            "--loopback-encryption",
            "always",
            "--id",
            label,
        ];
        place.riffle(&[words, &common].concat())
    };
    let owner = Program::start(&mut node(&["send", "film.mkv"], "original"));
    owner.wait_for("riffle download ");

    let folder = place.folder("copied");
    let copied = place.folder("state").join("node-copy");
    std::fs::create_dir_all(&copied).expect("a folder");
    std::fs::copy(place.path().join("state/node-original/key"), copied.join("key")).expect("copied");
    let download = ["download", "film.mkv", "--dir", folder.to_str().expect("text")];
    let copy = Program::start(&mut node(&download, "copy"));
    copy.wait_for("another node that runs has this node's key");

    // The original serves on, under its own name.
    let folder = place.folder("guest");
    let download = ["download", "film.mkv", "--dir", folder.to_str().expect("text")];
    let (status, lines) = Program::start(&mut node(&download, "guest")).end();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!(std::fs::read(folder.join("film.mkv")).is_ok_and(|bytes| bytes == film));
    let log =
        |label| std::fs::read_to_string(place.path().join(format!("logs/node-{label}.log"))).expect("a log");
    assert!(!log("original").contains("id-in-use"), "{}", log("original"));
    assert!(log("copy").contains("id-in-use"), "{}", log("copy"));

    // With a key of its own the copy is another node, and fetches.
    copy.interrupt();
    copy.end();
    std::fs::remove_file(copied.join("key")).expect("removed");
    let folder = place.folder("copied");
    let download = ["download", "film.mkv", "--dir", folder.to_str().expect("text")];
    let (status, lines) = Program::start(&mut node(&download, "copy")).end();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!(std::fs::read(folder.join("film.mkv")).is_ok_and(|bytes| bytes == film));
}
