//! Folders by the real program: sent, fetched, and put together as they were, whatever happens on the way.
#![cfg(unix)]
#![expect(clippy::disallowed_types, reason = "the test sets the time of a file")]

mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use programs::trees::{tree, write};
use programs::{Place, Program, noise};

/// A folder `album` with everything that a folder may have.
fn album(place: &Place) -> PathBuf {
    let album = place.folder("shared").join("album");
    for (name, length) in [
        ("long.bin", 3_000_000),
        ("b/x", 10),
        ("b/empty", 0),
        (".hidden", 5),
        ("-rf", 7),
        ("ünï 🦀.txt", 300),
    ] {
        write(&album, name, &noise(length));
    }
    for number in 0..300 {
        write(&album, &format!("many/{}/{number}", number % 7), format!("file {number}").as_bytes());
    }
    write(&album, &("d/".repeat(100) + "deep"), b"below a hundred folders");
    write(&album, &"n".repeat(255), b"the longest name");
    fs::create_dir_all(album.join("nothing/in it")).expect("made");
    symlink("../long.bin", album.join("b/link")).expect("a link");
    fs::set_permissions(album.join("b/x"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let file = fs::File::open(album.join("b/x")).expect("there");
    file.set_modified(UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789)).expect("a time");
    album
}

fn send(place: &Place, tracker: &str, arguments: &[&str]) -> Program {
    let mut command = place.riffle(&["send", "--tracker", tracker, "--listen", "127.0.0.1:0"]);
    Program::start(command.args(arguments).current_dir(place.folder("shared")))
}

fn download(place: &Place, tracker: &str, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let mut command = place.riffle(&["download", "--tracker", tracker, "--listen", "127.0.0.1:0"]);
    let (status, said) = Program::start(command.args(arguments).current_dir(place.folder("saved"))).end();
    (status.code(), said)
}

#[test]
fn a_folder_arrives_as_it_was() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = album(&place);
    let owner = send(&place, &tracker, &["album"]);
    owner.wait_for("riffle download --tracker ");
    let (code, said) = download(&place, &tracker, &["album"]);
    assert_eq!(code, Some(0), "{said:#?}");
    let saved = place.folder("saved");
    assert_eq!(tree(&saved.join("album")), tree(&album));
    let left: Vec<_> =
        fs::read_dir(&saved).expect("a folder").map(|one| one.expect("an entry").path()).collect();
    assert_eq!(left, [saved.join("album")], "no working file stays behind");
    let (code, said) = download(&place, &tracker, &["album"]);
    assert_eq!(code, Some(13), "what is there is not replaced: {said:#?}");
    assert_eq!(tree(&saved.join("album")), tree(&album));
}

#[test]
fn who_has_fetched_a_folder_serves_it() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = album(&place);
    let owner = send(&place, &tracker, &["album"]);
    owner.wait_for("riffle download --tracker ");
    let mut command =
        place.riffle(&["download", "--tracker", &tracker, "--listen", "127.0.0.1:0", "--stay", "album"]);
    let second = Program::start(command.current_dir(place.folder("second")));
    second.wait_for("album");
    programs::wait_until("the second node has it", || place.folder("second").join("album").exists());
    owner.interrupt();
    owner.end();
    let (code, said) = download(&place, &tracker, &["--wait", "album"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert_eq!(tree(&place.folder("saved").join("album")), tree(&album));
}

#[test]
fn what_cannot_be_shared_with_a_folder_is_said_and_the_rest_is_shared() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = place.folder("shared").join("album");
    write(&album, "fine", b"1");
    write(&album, "two\nlines", b"2");
    symlink("/etc/passwd", album.join("out")).expect("a link");
    let owner = send(&place, &tracker, &["album"]);
    owner.wait_for("not shared: ");
    owner.wait_for("riffle download --tracker ");
    let (code, said) = download(&place, &tracker, &["album"]);
    assert_eq!(code, Some(0), "{said:#?}");
    let saved: Vec<_> = tree(&place.folder("saved").join("album")).into_keys().collect();
    assert_eq!(saved, [PathBuf::from("fine")]);
    owner.interrupt();
    assert_eq!(owner.end().0.code(), Some(0), "what is skipped is no failure");
    let (status, said) = send(&place, &tracker, &["--strict", "album"]).end();
    assert_eq!(status.code(), Some(10), "{said:#?}");
}

#[test]
fn a_file_that_changes_while_it_is_served_is_withdrawn_and_the_rest_goes_on() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = place.folder("shared").join("album");
    for name in ["a", "b", "c"] {
        write(&album, name, &noise(2_000_000));
    }
    let owner = send(&place, &tracker, &["album"]);
    owner.wait_for("riffle download --tracker ");
    write(&album, "c", b"something else");
    let (code, said) = download(&place, &tracker, &["--timeout", "4s", "album"]);
    assert_ne!(code, Some(0), "nobody has all of it: {said:#?}");
    let line = owner.wait_for("no longer shared: ");
    assert!(line.contains("album/c: "), "{line}");
    owner.wait_for("album: the other ");
    assert!(!place.folder("saved").join("album").exists());
    let (code, said) = download(&place, &tracker, &["--select", "/a", "-o", "first", "album"]);
    assert_eq!(code, Some(0), "what has not changed is still served: {said:#?}");
    let first = tree(&place.folder("saved").join("first"));
    assert_eq!(first.keys().map(PathBuf::as_path).collect::<Vec<_>>(), [Path::new("a")]);
    owner.interrupt();
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(10), "{said:#?}");
}

#[test]
fn names_that_cannot_be_had_are_told_or_changed() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = place.folder("shared").join("album");
    write(&album, "fine", b"1");
    let room = 4095 - album.as_os_str().len() - 1;
    // As long a path as can be had there: in a folder whose name is longer it cannot.
    let levels = (room - 60) / 201;
    let name = "e".repeat(room - 10 - levels * 201 - 4) + ".txt";
    let deep = vec!["d".repeat(200); levels].join("/");
    write(&album, &format!("{deep}/{name}"), b"2");
    let owner = send(&place, &tracker, &["album"]);
    owner.wait_for("riffle download --tracker ");
    let far = "f".repeat(200);
    fs::create_dir(place.folder("saved").join(&far)).expect("made");
    let far = format!("{far}/album");
    let (code, said) = download(&place, &tracker, &["-o", &far, "album"]);
    assert_eq!(code, Some(10), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("--rename-invalid")), "{said:#?}");
    assert!(!place.folder("saved").join(&far).exists());
    let (code, said) = download(&place, &tracker, &["--rename-invalid", "-o", &far, "album"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with("renamed: ddd")), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("is not served on")), "{said:#?}");
    let saved = place.folder("saved").join(&far);
    assert_eq!(fs::read(saved.join("fine")).expect("saved"), b"1");
    let short = vec!["d".repeat(24); levels].join("/") + "/" + &"e".repeat(20) + ".txt";
    assert_eq!(fs::read(saved.join(short)).expect("saved"), b"2");
}

/// Whether the saved file may be executed, and when it was modified.
fn metadata(place: &Place, path: &str) -> (bool, i64, i64) {
    let found = fs::metadata(place.folder("saved").join(path)).expect("saved");
    (found.mode() & 0o100 != 0, found.mtime(), found.mtime_nsec())
}

#[test]
fn a_single_file_keeps_its_time_and_whether_it_may_be_executed() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    for (name, length) in [("short", 10), ("long", 3_000_000)] {
        write(&place.folder("shared"), name, &noise(length));
        let path = place.folder("shared").join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        let file = fs::File::options().write(true).open(&path).expect("there");
        file.set_modified(UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789)).expect("a time");
    }
    let owner = send(&place, &tracker, &["short", "long"]);
    (0..2).for_each(|_| drop(owner.wait_for("riffle download --tracker ")));
    let kept = (true, 1_000_000_000, 123_456_789);
    let (code, said) = download(&place, &tracker, &["short", "long"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert_eq!([metadata(&place, "short"), metadata(&place, "long")], [kept, kept]);
    fs::create_dir(place.folder("saved").join("bare")).expect("made");
    let (code, said) = download(&place, &tracker, &["--no-metadata", "-o", "bare", "short", "long"]);
    assert_eq!(code, Some(0), "{said:#?}");
    for name in ["bare/short", "bare/long"] {
        let (is_executable, seconds, _) = metadata(&place, name);
        assert!(!is_executable && seconds > kept.1, "{name}");
    }
    // Who has fetched a file tells of it as it was told.
    let mut command =
        place.riffle(&["download", "--tracker", &tracker, "--listen", "127.0.0.1:0", "--stay", "long"]);
    let second = Program::start(command.current_dir(place.folder("second")));
    programs::wait_until("the second node has it", || place.folder("second").join("long").exists());
    owner.interrupt();
    owner.end();
    let (code, said) = download(&place, &tracker, &["--wait", "-o", "again", "long"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert_eq!(metadata(&place, "again"), kept);
    drop(second);
    let owner = send(&place, &tracker, &["--no-metadata", "short"]);
    owner.wait_for("riffle download --tracker ");
    let (code, said) = download(&place, &tracker, &["-o", "untold", "short"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(!metadata(&place, "untold").0);
}

/// Files and folders that are sent as one, in the folder that is shared from.
fn several(place: &Place) {
    let shared = place.folder("shared");
    for name in ["album/a", "album/deep/b.log", "x/notes", "y/notes", "y/film.log"] {
        write(&shared, name, name.as_bytes());
    }
    fs::create_dir(shared.join("empty")).expect("made");
    symlink("album", shared.join("link")).expect("a link");
}

fn names_below(folder: &Path) -> Vec<PathBuf> {
    tree(folder).into_keys().collect()
}

#[test]
fn several_files_and_folders_are_sent_as_one() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    several(&place);
    let typed = ["album", "link", "x/notes", "empty/", "--as", "all of it", "--exclude", "*.log"];
    let owner = send(&place, &tracker, &typed);
    owner.wait_for("riffle download --tracker ");
    let (code, said) = download(&place, &tracker, &["all of it"]);
    assert_eq!(code, Some(0), "{said:#?}");
    let saved = place.folder("saved").join("all of it");
    let expected = ["album", "album/a", "album/deep", "empty", "link", "link/a", "link/deep", "notes"];
    assert_eq!(names_below(&saved), expected.map(PathBuf::from));
    assert_eq!(fs::read(saved.join("notes")).expect("saved"), b"x/notes");
    for (typed, reason) in [
        (["x/notes", "album", "y/notes", "--as", "two"], "x/notes is called notes too"),
        (["x/notes", "album", "gone", "--as", "two"], "gone: no such file"),
    ] {
        let (status, said) = send(&place, &tracker, &typed).end();
        assert!(matches!(status.code(), Some(2 | 10)), "{said:#?}");
        assert!(said.iter().any(|line| line.contains(reason)), "{said:#?}");
        assert!(!said.iter().any(|line| line.contains("riffle download")), "nothing is shared: {said:#?}");
    }
}

#[test]
fn what_the_prompt_shared_as_one_is_the_same_next_time() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    several(&place);
    let start = || {
        let mut command = place.riffle(&["--tracker", &tracker, "--listen", "127.0.0.1:0"]);
        Program::start(command.current_dir(place.folder("shared")))
    };
    let mut prompt = start();
    prompt.say("send album y --as both --exclude *.log --no-metadata");
    let line = prompt.wait_for("riffle download --tracker ");
    let id = line.rsplit(' ').next().expect("an id").to_owned();
    prompt.say("exit");
    prompt.end();
    let again = start();
    again.wait_for("sharing 1 file again");
    let (code, said) = download(&place, &tracker, &["--wait", &id]);
    assert_eq!(code, Some(0), "{said:#?}");
    let expected = ["album", "album/a", "album/deep", "y", "y/notes"].map(PathBuf::from);
    assert_eq!(names_below(&place.folder("saved").join("both")), expected);
}

#[test]
fn what_a_pattern_or_an_ignore_file_names_is_left_out() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = place.folder("shared").join("album");
    for name in
        ["a.txt", "a.log", "cache/x", "cache/y", "deep/b.log", "deep/b.txt", "deep/c.tmp", ".git/config"]
    {
        write(&album, name, name.as_bytes());
    }
    write(&album, "deep/.riffleignore", b"*.tmp\n");
    let owner =
        send(&place, &tracker, &["--exclude", "*.log", "--exclude", "/cache", "--no-metadata", "album"]);
    owner.wait_for("riffle download --tracker ");
    let (code, said) = download(&place, &tracker, &["album"]);
    assert_eq!(code, Some(0), "{said:#?}");
    let found = tree(&place.folder("saved").join("album"));
    let names: Vec<_> = found.keys().filter_map(|path| path.to_str()).collect();
    assert_eq!(names, [".git", ".git/config", "a.txt", "deep", "deep/.riffleignore", "deep/b.txt"]);
}

#[test]
fn some_files_of_a_folder_are_fetched_alone() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let album = album(&place);
    write(&album, "huge.bin", &noise(20_000_000));
    let owner = send(&place, &tracker, &["album"]);
    owner.wait_for("riffle download --tracker ");
    let (code, said) = download(&place, &tracker, &["--select", "many/3", "--select", "/b/x", "album"]);
    assert_eq!(code, Some(0), "{said:#?}");
    let found = tree(&place.folder("saved").join("album"));
    let whole = tree(&album);
    let chosen = |path: &Path| path.starts_with("many/3") || path == Path::new("b/x");
    let expected: BTreeMap<_, _> = whole.into_iter().filter(|(path, _)| chosen(path)).collect();
    let files: BTreeMap<_, _> = found.into_iter().filter(|(path, _)| chosen(path)).collect();
    assert_eq!(files, expected);
    assert!(!place.folder("saved").join("album/long.bin").exists());
    let (code, said) = download(&place, &tracker, &["--select", "nothing like it", "-o", "other", "album"]);
    assert_eq!(code, Some(10), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("nothing in the folder is named")), "{said:#?}");
}
