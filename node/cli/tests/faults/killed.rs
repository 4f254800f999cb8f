//! SIGKILL: an owner, a downloader again and again, the tracker.
#![expect(clippy::disallowed_methods, reason = "how long a new tracker takes is real time")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::programs::{Program, noise, pause, wait_until};
use crate::scene::{MIB, PIECE, Scene, says};

#[test]
fn a_download_from_two_owners_finishes_when_one_is_killed_at_half() {
    const LENGTH: usize = 12 * MIB;
    let scene = Scene::new();
    scene.file("one", "film.bin", LENGTH);
    scene.file("two", "film.bin", LENGTH);
    let owners = ["one", "two"].map(|folder| scene.owner(folder, &["film.bin"], &[]));
    let download = scene.download(&["film.bin", "--download-limit", "6MiB"]);
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 2);
    let [mut first, _second] = owners;
    first.kill();
    let said = scene.arrives(download, "film.bin", LENGTH);
    let summary = said.iter().find(|line| line.contains("; from ")).expect("a summary");
    assert_eq!(summary.matches('%').count(), 2, "both have served: {summary}");
}

#[test]
fn four_finish_together_when_the_only_owner_is_killed_once_they_have_a_copy_among_them() {
    const LENGTH: usize = 12 * MIB;
    let scene = Scene::new();
    scene.file("one", "film.bin", LENGTH);
    let mut owner = scene.owner("one", &["film.bin"], &["--upload-limit", "6MiB"]);
    let folders = ["first", "second", "third", "fourth"];
    let download = |folder: &str| {
        let place = scene.place.folder(folder);
        let arguments =
            ["download", "--tracker", &scene.address, "film.bin", "--stay", "--upload-limit", "12MiB"];
        Program::start(scene.place.riffle(&arguments).current_dir(place))
    };
    let downloads = folders.map(download);
    wait_until("a copy in the swarm", || {
        let pieces = folders.iter().flat_map(|folder| scene.pieces_in(folder, "film.bin", LENGTH / PIECE));
        pieces.collect::<BTreeSet<_>>().len() == LENGTH / PIECE
    });
    owner.kill();
    for (download, folder) in downloads.iter().zip(folders) {
        download.wait_for("; from ");
        let saved = std::fs::read(scene.place.folder(folder).join("film.bin")).expect("saved");
        assert!(saved == noise(LENGTH), "the copy in {folder} differs");
    }
    for download in downloads {
        download.interrupt();
        download.end();
    }
}

/// What a downloader may lose when it is killed: what it has asked for and not received, and what it has received of
/// pieces that are not on the disk yet. One owner serves one piece at a time; another is being hashed and written.
const CREDIT: usize = 128 << 10;
const ASSEMBLED: usize = 2 * PIECE;

#[test]
fn a_downloader_killed_ten_times_fetches_hardly_anything_twice() {
    const LENGTH: usize = 16 * MIB;
    const KILLS: usize = 10;
    let scene = Scene::new();
    scene.settings(&format!(
        "[network]\nfirst_window = \"48KiB\"\nsession_window = \"{}KiB\"\n",
        CREDIT >> 10
    ));
    scene.file("one", "film.bin", LENGTH);
    let owner = scene.owner("one", &["film.bin"], &["--id", "owner"]);
    let mut rng = StdRng::seed_from_u64(2);
    // Not among the last, which may all be there before the signal is, when others keep the machine busy.
    let mut points: Vec<usize> = (0..KILLS).map(|_| rng.random_range(0..LENGTH / PIECE * 3 / 4)).collect();
    points.sort_unstable();
    let start = || scene.download(&["film.bin", "--download-limit", "16MiB"]);
    for point in points {
        let mut download = start();
        scene.wait_for_pieces("film.bin", point);
        // Anywhere in a piece, and before the first of a life.
        pause(Duration::from_micros(rng.random_range(0..16_000)));
        let kept = scene.pieces("film.bin");
        download.kill();
        assert!(scene.pieces("film.bin") >= kept, "what was written stays");
    }
    let said = scene.arrives(start(), "film.bin", LENGTH);
    assert!(says(&said, "were here before"), "{said:#?}");

    owner.interrupt();
    owner.end();
    // Everything that reached a downloader was sent by the only owner; its log ends with what it has counted.
    let log = std::fs::read_to_string(scene.place.path().join("logs/node-owner.log")).expect("a log");
    let counted = log.rsplit("sent_bytes=").next().and_then(|rest| rest.split_whitespace().next());
    let sent: usize = counted.expect("counted").parse().expect("a number");
    assert!(sent >= LENGTH, "{sent}");
    assert!(sent <= LENGTH + KILLS * (CREDIT + ASSEMBLED), "{sent} bytes were sent for {LENGTH}");
}

#[test]
fn a_transfer_outlives_a_killed_tracker_and_nodes_register_everything_with_the_new_one() {
    const LENGTH: usize = 8 * MIB;
    const HEARTBEAT: Duration = Duration::from_secs(1);
    /// The tables of a tracker that has come back are whole within a heartbeat and this (`tracker/README.md`).
    const WHOLE_AFTER: Duration = Duration::from_secs(5);
    /// And then the file is to be fetched, on a machine that is busy.
    const FETCHING: Duration = Duration::from_secs(5);
    let mut scene = Scene::with_tracker("heartbeat = \"1s\"\n");
    scene.file("one", "film.bin", LENGTH);
    let _owner = scene.owner("one", &["film.bin"], &[]);
    let download = scene.download(&["film.bin", "--download-limit", "4MiB"]);
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
    scene.kill_tracker();
    scene.wait_for_pieces("film.bin", LENGTH / PIECE / 2);
    scene.new_tracker();
    let returned = Instant::now();
    let late = scene.download(&["film.bin", "--wait", "-o", "late.bin"]);
    scene.arrives(late, "late.bin", LENGTH);
    let took = returned.elapsed();
    assert!(took <= HEARTBEAT + WHOLE_AFTER + FETCHING, "a new download took {took:?}");
    let said = scene.arrives(download, "film.bin", LENGTH);
    assert!(!says(&said, "tracker"), "it has not noticed: {said:#?}");
}
