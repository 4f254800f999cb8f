//! `send` as people type it: a whole folder with names that cannot be shared, another name, a newer content of one
//! name.
#![cfg(unix)]

mod programs;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use programs::{Place, Program};

/// A folder with `good`, `other` and two files whose names cannot be shared.
fn place() -> (Place, Program, String) {
    let place = Place::new();
    let (program, tracker) = place.tracker();
    let folder = place.folder("shared");
    for name in ["good", "other", "bad."].map(OsStr::new).into_iter().chain([OsStr::from_bytes(b"caf\xe9")]) {
        fs::write(folder.join(name), name.as_bytes()).expect("written");
    }
    (place, program, tracker)
}

fn send(place: &Place, tracker: &str, arguments: &[&OsStr]) -> Program {
    let mut command = place.riffle(&["send", "--tracker", tracker, "--listen", "127.0.0.1:0"]);
    Program::start(command.args(arguments).current_dir(place.folder("shared")))
}

fn download(place: &Place, tracker: &str, name: &str) -> Option<i32> {
    let arguments = ["download", "--tracker", tracker, "--listen", "127.0.0.1:0", "--force", name];
    Program::start(place.riffle(&arguments).current_dir(place.folder("saved"))).end().0.code()
}

#[test]
fn one_bad_name_keeps_no_other_file_from_being_shared_and_is_reported_at_the_end() {
    let (place, _program, tracker) = place();
    let latin = OsStr::from_bytes(b"caf\xe9");
    let all = [OsStr::new("good"), OsStr::new("bad."), latin, OsStr::new("missing"), OsStr::new("other")];
    let owner = send(&place, &tracker, &all);
    (0..2).for_each(|_| drop(owner.wait_for("riffle download --tracker ")));
    for name in ["good", "other"] {
        assert_eq!(download(&place, &tracker, name), Some(0), "{name}");
    }
    owner.interrupt();
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(10), "{said:#?}");
    for reason in ["bad.: a name does not end with", "its name is not UTF-8: --name", "missing: no such file"]
    {
        let line = said.iter().find(|line| line.starts_with("not shared: ") && line.contains(reason));
        assert!(line.is_some(), "{reason}: {said:#?}");
    }
    let (status, said) = send(&place, &tracker, &[&all[..], &[OsStr::new("--strict")]].concat()).end();
    assert_eq!(status.code(), Some(10), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains("riffle download")), "all or nothing: {said:#?}");
    let (status, said) = send(&place, &tracker, &[OsStr::new("bad."), latin]).end();
    assert_eq!(status.code(), Some(10), "nothing to share: {said:#?}");
}

#[test]
fn a_file_is_shared_under_the_name_that_it_is_given() {
    let (place, _program, tracker) = place();
    let named = [OsStr::from_bytes(b"caf\xe9"), OsStr::new("--name"), OsStr::new("café")];
    let owner = send(&place, &tracker, &named);
    owner.wait_for("riffle download --tracker ");
    assert_eq!(download(&place, &tracker, "café"), Some(0));
    assert_eq!(fs::read(place.folder("saved").join("café")).expect("saved"), b"caf\xe9");
}

#[test]
fn the_newer_content_of_a_name_takes_the_place_of_the_older_one_when_asked_for() {
    let (place, _program, tracker) = place();
    let folder = place.folder("shared");
    fs::create_dir(folder.join("new")).expect("made");
    fs::write(folder.join("new/good"), "newer").expect("written");
    let common = ["--tracker", &tracker, "--listen", "127.0.0.1:0"];
    let mut prompt = Program::start(place.riffle(&common).current_dir(&folder));
    prompt.say("send good");
    prompt.wait_for("riffle download --tracker ");
    prompt.say("send new/good");
    prompt.wait_for("riffle download --tracker ");
    assert_eq!(download(&place, &tracker, "good"), Some(2), "two contents of one name");
    fs::write(folder.join("new/good"), "the newest").expect("written");
    prompt.say("send --replace new/good");
    prompt.wait_for("what had this name before is no longer shared");
    assert_eq!(download(&place, &tracker, "good"), Some(0));
    assert_eq!(fs::read(place.folder("saved").join("good")).expect("saved"), b"the newest");
    prompt.say("exit");
    prompt.end();
    let again = Program::start(place.riffle(&common).current_dir(&folder));
    again.wait_for("sharing 1 file again");
}
