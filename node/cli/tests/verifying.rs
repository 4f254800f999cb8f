//! Folders are compared with what they were, or with what somebody says that they are, by the real program.
#![cfg(unix)]

mod programs;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use programs::{Program, Scene, noise};

const HOST: &str = "127.0.0.1";

/// The exit code of `riffle` with `arguments` in `folder`, and what it wrote to stdout and to stderr.
fn run(scene: &Scene, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = scene.riffle(HOST, arguments).current_dir(folder).output().expect("it ran");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder `album` in `shared` that is shared: the folder above it, the program and the id.
fn shared(scene: &Scene) -> (PathBuf, Program, String) {
    let shared = scene.place.folder("shared");
    for (name, length) in [("long.bin", 600_000), ("b/one.jpg", 10), ("b/two.jpg", 20_000), ("empty", 0)] {
        let path = shared.join("album").join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, noise(length)).expect("written");
    }
    symlink("long.bin", shared.join("album/link")).expect("a link");
    let owner = Program::start(scene.riffle(HOST, &["--id", "o", "send", "album"]).current_dir(&shared));
    let id = owner.wait_for("riffle download --tracker ");
    let id = id.split_whitespace().last().expect("an id").to_owned();
    (shared, owner, id)
}

/// Changes three entries of the folder `album` and adds one. What is said of that.
fn change(album: &Path) -> &'static str {
    fs::write(album.join("b/one.jpg"), "0123456789").expect("written");
    fs::write(album.join("long.bin"), noise(600_001)).expect("written");
    fs::remove_file(album.join("b/two.jpg")).expect("removed");
    fs::write(album.join("new"), "new").expect("written");
    "  b/one.jpg: other bytes\n  b/two.jpg: missing\n  long.bin: longer: 600001 bytes instead of 600000\n  \
     new: is there besides\n"
}

#[test]
fn a_folder_is_compared_with_what_it_was_when_it_was_shared_or_fetched() {
    let scene = Scene::new();
    let (shared, owner, id) = shared(&scene);
    let saved = scene.place.folder("saved");
    let (code, _, said) = run(&scene, &saved, &["--id", "d", "download", "album"]);
    assert_eq!(code, Some(0), "{said}");
    owner.interrupt();
    owner.end();
    let all = format!("album: has all of {id}: 4 files, 1 link, 605 KiB (620010 bytes)\n");
    for folder in [&shared, &saved] {
        for arguments in [&["verify", "album"][..], &["verify", "album", &id[..8]]] {
            assert_eq!(run(&scene, folder, arguments), (Some(0), all.clone(), String::new()), "{folder:?}");
        }
        fs::write(folder.join("album/besides"), "1").expect("written");
        let (code, said, _) = run(&scene, folder, &["verify", "album"]);
        assert_eq!((code, said), (Some(0), format!("{all}  besides: is there besides\n")));
        fs::remove_file(folder.join("album/besides")).expect("removed");
        let changes = change(&folder.join("album"));
        let expected = format!("album: is not {id}: 3 of 5 entries differ\n{changes}");
        assert_eq!(run(&scene, folder, &["verify", "album"]), (Some(8), expected, String::new()));
    }
    let (code, text, said) = run(&scene, &saved, &["info", &id, "--json"]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "what was in it is remembered");
    let described = riffle::metainfo::Metainfo::parse(text.as_bytes()).expect("a description");
    assert_eq!(described.files().map(<[_]>::len), Some(4));
    assert_eq!(described.name().map(|name| name.as_str()), Some("album"));
}

#[test]
fn a_folder_of_which_nothing_is_known_is_compared_with_a_description() {
    let scene = Scene::new();
    let (shared, _owner, id) = shared(&scene);
    let stranger = |arguments: &[&str]| run(&scene, &shared, &[&["--state-dir", "none"], arguments].concat());
    let (code, said, _) = stranger(&["verify", "album"]);
    assert!(code == Some(3) && said.contains("riffle verify album ID.riffle.json"), "{said}");
    assert_eq!(stranger(&["verify", "album", &id]).1, format!("album: is {id}\n"), "by its id alone");
    // Its owner tells what is in it.
    let (code, text, said) = stranger(&["info", &id[..8], "--json"]);
    assert_eq!(code, Some(0), "{said}");
    fs::write(shared.join("x.riffle.json"), text).expect("written");
    let verify = || stranger(&["verify", "album", "x.riffle.json"]);
    let all = format!("album: has all of {id}: 4 files, 605 KiB (620010 bytes)\n");
    assert_eq!(verify(), (Some(0), all, String::new()));
    let changes = change(&shared.join("album"));
    let expected = format!("album: is not {id}: 3 of 4 entries differ\n{changes}");
    assert_eq!(verify(), (Some(8), expected, String::new()));
    let (code, said, _) = stranger(&["verify", "album", &id]);
    assert!(code == Some(8) && said.contains(&format!("riffle info {id} --json")), "{said}");
    let (code, _, said) = stranger(&["verify", "album", "y.riffle.json"]);
    assert!(code == Some(10) && said.contains("y.riffle.json: no such file"), "{said}");
    let (_, text, _) = stranger(&["info", "album/long.bin", "--json"]);
    fs::write(shared.join("file.riffle.json"), text).expect("written");
    assert_eq!(stranger(&["verify", "album", "file.riffle.json"]).0, Some(2), "it is of a file");
    assert_eq!(stranger(&["verify", "album/long.bin", "file.riffle.json"]).0, Some(0));
}
