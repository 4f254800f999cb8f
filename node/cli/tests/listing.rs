//! What is in a content, before it is fetched: `list` by the real program, and at its prompt.
#![cfg(unix)]

mod programs;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use programs::{Place, Program, Scene, noise};

const HOST: &str = "127.0.0.1";

/// The exit code of `riffle` with `arguments` in the folder `elsewhere`, and what it wrote to stdout and to stderr.
fn run(scene: &Scene, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = scene.riffle(HOST, arguments);
    let output = command.current_dir(scene.place.folder("elsewhere")).output().expect("it ran");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn write(folder: &Path, name: &str, length: usize) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("folders");
    fs::write(path, noise(length)).expect("written");
}

/// A folder `album` of 60 MB in the folder `shared`.
fn album(place: &Place) {
    let album = place.folder("shared").join("album");
    for (name, length) in [("long.bin", 60_000_000), ("b/one.jpg", 10), ("b/c/two.jpg", 20_000), ("empty", 0)]
    {
        write(&album, name, length);
    }
    fs::create_dir(album.join("nothing")).expect("made");
    symlink("long.bin", album.join("link")).expect("a link");
}

/// Shares `what` in the folder `shared`. Returns the program and the id.
fn send(scene: &Scene, what: &str) -> (Program, String) {
    let shared = scene.place.folder("shared");
    let owner = Program::start(scene.riffle(HOST, &["send", what]).current_dir(shared));
    let line = owner.wait_for("riffle download --tracker ");
    (owner, line.split_whitespace().last().expect("an id").to_owned())
}

const ROWS: &str =
    "20000\tb/c/two.jpg\n10\tb/one.jpg\n0\tempty\n0\tlink\tlong.bin\n60000000\tlong.bin\n0\tnothing/\n";
const TOTALS: &str = "4 files, 1 link, 1 empty folder, 57.2 MiB (60020010 bytes)\n";

#[test]
fn what_is_in_a_folder_is_listed_and_nothing_else_is_fetched() {
    let scene = Scene::new();
    album(&scene.place);
    let (owner, id) = send(&scene, "album");
    for arguments in [
        &["album"][..],
        &[&id],
        &[&id[..8]],
        &["--files", "album"],
        &["-f", &format!("album@{}", &id[..6])],
        &["--select", "*", &id],
    ] {
        let (code, rows, said) = run(&scene, &[&["list"], arguments].concat());
        assert_eq!((code, rows.as_str()), (Some(0), ROWS), "{arguments:?}: {said}");
        let totals =
            if arguments[0] == "--select" { "4 files, 57.2 MiB of 4 files, 57.2 MiB\n" } else { TOTALS };
        assert_eq!(said, totals, "{arguments:?}");
    }
    let (code, rows, said) = run(&scene, &["list", "album", "--select", "*.jpg", "--select", "!one.jpg"]);
    assert_eq!((code, rows.as_str()), (Some(0), "20000\tb/c/two.jpg\n"));
    assert_eq!(said, "1 file, 19.5 KiB of 4 files, 57.2 MiB\n");
    let left = fs::read_dir(scene.place.folder("elsewhere")).expect("a folder").count();
    assert_eq!(left, 0, "nothing stays on the disk");
    owner.interrupt();
    let (_, said) = owner.end();
    assert!(said.contains(&"album: no other node has all of it".to_owned()), "{said:#?}");
}

#[test]
fn what_is_no_folder_is_listed_as_it_was() {
    let scene = Scene::new();
    let shared = scene.place.folder("shared");
    write(&shared, "film.bin", 600_000);
    write(&shared, "film.txt", 5);
    let (_owner, id) = send(&scene, "film.bin");
    let row =
        |name: &str, id: &str, size: &str| format!("{id}  {size:>9}  {:<32}  {name}\n", "1 host: 1 complete");
    let film = row("film.bin", &id, "586 KiB");
    assert_eq!(run(&scene, &["list", "film.bin"]), (Some(0), film.clone(), String::new()));
    let files = run(&scene, &["list", "--files", &id]);
    assert_eq!(files, (Some(0), "film.bin: one file, 586 KiB (600000 bytes)\n".to_owned(), String::new()));
    let (_second, other) = send(&scene, "film.txt");
    assert_eq!(run(&scene, &["list", "film."]).1, film.clone() + &row("film.txt", &other, "5 B"));
    assert_eq!(run(&scene, &["list", "film.bin"]).1, film);
}

#[test]
fn what_cannot_be_listed_has_an_exit_code() {
    let scene = Scene::new();
    album(&scene.place);
    let (_owner, _) = send(&scene, "album");
    for (arguments, code, what) in [
        (&["--files", "nothing"][..], 3, "nothing: nobody shares it"),
        (&["--select", "*.gif", "album"], 3, "album: nothing in the folder is named by what was selected"),
        (&["--select", "a[", "album"], 2, "\"a[\" is no pattern"),
        (&["--files"], 2, "PREFIX"),
        (&["--files", "a/b"], 2, "a/b"),
    ] {
        let (is, rows, said) = run(&scene, &[&["list"], arguments].concat());
        assert_eq!((is, rows.as_str()), (Some(code), ""), "{arguments:?}: {said}");
        assert!(said.contains(what), "{arguments:?}: {said}");
    }
}

#[test]
fn the_prompt_shows_what_is_in_a_folder_and_in_its_own() {
    let scene = Scene::new();
    album(&scene.place);
    let (_owner, id) = send(&scene, "album");
    write(&scene.place.folder("shared"), "mine/own.txt", 7);
    let mut prompt =
        Program::start(scene.riffle(HOST, &["--id", "7"]).current_dir(scene.place.folder("shared")));
    for line in ["send mine", &format!("list {}", &id[..8]), "list mine", "list --select b album", "list m"] {
        prompt.say(line);
    }
    prompt.say("list --files nobody");
    prompt.end_of_input();
    let (status, said) = prompt.end();
    let at =
        |line: &str| said.iter().position(|one| one == line).unwrap_or_else(|| panic!("{line}: {said:#?}"));
    assert!(at("60000000\tlong.bin") < at("7\town.txt"), "{said:#?}");
    assert!(at("7\town.txt") < at("2 files, 19.5 KiB of 4 files, 57.2 MiB"), "{said:#?}");
    assert!(said.iter().any(|line| line.ends_with("  mine")), "{said:#?}");
    assert!(said.contains(&"nobody: nobody shares it".to_owned()), "{said:#?}");
    assert_eq!(status.code(), Some(3), "{said:#?}");
}
