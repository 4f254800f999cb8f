//! SIGSTOP and SIGCONT: a process that is paused, as a laptop's lid does it, loses nothing.

use std::time::Duration;

use rustix::process::Signal;

use crate::programs::pause;
use crate::scene::{MIB, PIECE, Scene, says};

/// The time for which a process is stopped: longer than an owner may leave a request unanswered (`network.snub_after`).
const STOPPED: Duration = Duration::from_millis(2500);
const LENGTH: usize = 8 * MIB;
const LIMIT: [&str; 3] = ["film.bin", "--download-limit", "6MiB"];

#[test]
fn a_download_goes_on_at_once_from_the_other_owner_when_one_is_stopped() {
    let scene = Scene::new();
    let [first, _second] = ["one", "two"].map(|folder| {
        scene.file(folder, "film.bin", LENGTH);
        scene.owner(folder, &["film.bin"], &[])
    });
    let download = scene.download(&LIMIT);
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
    first.signal(Signal::STOP);
    scene.arrives(download, "film.bin", LENGTH);
    // A new one neither waits for it nor fails.
    scene.fetch("film.bin", LENGTH);
    first.signal(Signal::CONT);
    first.interrupt();
    assert_eq!(first.end().0.code(), Some(0), "it was not harmed");
}

#[test]
fn a_download_waits_for_its_only_owner_and_goes_on() {
    for settings in ["", "[network]\nsession_idle = \"1s\"\n"] {
        let scene = Scene::new();
        scene.settings(settings);
        scene.file("one", "film.bin", LENGTH);
        let owner = scene.owner("one", &["film.bin"], &[]);
        let download = scene.download(&LIMIT);
        scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
        owner.signal(Signal::STOP);
        pause(STOPPED);
        assert!(scene.pieces("film.bin") < LENGTH / PIECE, "nobody else has it");
        owner.signal(Signal::CONT);
        scene.arrives(download, "film.bin", LENGTH);
    }
}

#[test]
fn a_stopped_downloader_goes_on_where_it_was() {
    for settings in ["", "[network]\nsession_idle = \"1s\"\n"] {
        let scene = Scene::new();
        scene.settings(settings);
        scene.file("one", "film.bin", LENGTH);
        let _owner = scene.owner("one", &["film.bin"], &[]);
        let download = scene.download(&LIMIT);
        scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
        download.signal(Signal::STOP);
        pause(STOPPED);
        download.signal(Signal::CONT);
        scene.arrives(download, "film.bin", LENGTH);
    }
}

#[test]
fn a_stopped_tracker_is_waited_for_by_new_downloads_and_by_no_other() {
    let scene = Scene::new();
    scene.file("one", "film.bin", LENGTH);
    let _owner = scene.owner("one", &["film.bin"], &[]);
    let download = scene.download(&LIMIT);
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
    scene.tracker.signal(Signal::STOP);
    let late = scene.download(&["film.bin", "--wait", "-o", "late.bin"]);
    late.wait_for("waiting for the tracker");
    let said = scene.arrives(download, "film.bin", LENGTH);
    assert!(!says(&said, "tracker"), "it has not noticed: {said:#?}");
    scene.tracker.signal(Signal::CONT);
    scene.arrives(late, "late.bin", LENGTH);
}
