//! A file that is cut off or written over while it is served: withdrawn, and no wrong byte arrives anywhere.

use std::fs::OpenOptions;
use std::path::Path;

use crate::programs::Program;
use crate::scene::{MIB, PIECE, Scene, says};

const LENGTH: usize = 8 * MIB;
const OTHER: usize = 300_000;

/// Cuts the file off where nobody has read it yet.
fn cut_off(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(LENGTH as u64 / 16).expect("shorter");
}

/// Other bytes of the same length, in the same file.
fn write_over(path: &Path) {
    use std::os::unix::fs::FileExt as _;
    let file = OpenOptions::new().write(true).open(path).expect("there");
    file.write_all_at(&vec![0x5a; LENGTH], 0).expect("written");
}

const CHANGES: [fn(&Path); 2] = [cut_off, write_over];

/// The owner has said what happened, lives, and serves its other file.
fn is_unharmed(scene: &Scene, owner: &mut Program) {
    let said = owner.wait_for("film.bin: changed since it was shared");
    assert!(said.contains("no longer shared"), "{said}");
    scene.fetch("other.bin", OTHER);
    assert!(owner.is_alive());
}

#[test]
fn another_owner_finishes_what_one_whose_file_changed_began() {
    for change in CHANGES {
        let scene = Scene::new();
        scene.file("two", "film.bin", LENGTH);
        let path = scene.file("one", "film.bin", LENGTH);
        scene.file("one", "other.bin", OTHER);
        let mut first = scene.owner("one", &["film.bin", "other.bin"], &[]);
        let _second = scene.owner("two", &["film.bin"], &[]);
        let download = scene.download(&["film.bin", "--download-limit", "6MiB"]);
        scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
        change(&path);
        scene.arrives(download, "film.bin", LENGTH);
        is_unharmed(&scene, &mut first);
        scene.fetch("film.bin", LENGTH);
    }
}

#[test]
fn without_another_owner_the_download_says_why_it_ends_and_goes_on_when_there_is_one() {
    let words = ["does not share it any more", "sent bytes that do not verify"];
    for (change, what) in CHANGES.into_iter().zip(words) {
        let scene = Scene::new();
        let path = scene.file("one", "film.bin", LENGTH);
        scene.file("one", "other.bin", OTHER);
        let mut owner = scene.owner("one", &["film.bin", "other.bin"], &[]);
        let download = scene.download(&["film.bin", "--download-limit", "6MiB", "--timeout", "2s"]);
        scene.wait_for_pieces("film.bin", LENGTH / PIECE / 4);
        change(&path);
        let (status, said) = download.end();
        assert_eq!(status.code(), Some(5), "{said:#?}");
        for words in [what, "no owner answers", "stalled", "the same command goes on"] {
            assert!(says(&said, words), "{words:?} is missing: {said:#?}");
        }
        assert!(!scene.saved.join("film.bin").exists());
        is_unharmed(&scene, &mut owner);
        scene.file("two", "film.bin", LENGTH);
        let _second = scene.owner("two", &["film.bin"], &[]);
        let said = scene.arrives(scene.download(&["film.bin"]), "film.bin", LENGTH);
        assert!(says(&said, "were here before"), "{said:#?}");
    }
}
