//! The real program in its next life: what it shared is shared again, and what it hashed is not hashed again.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests meet the programs over real files, and let the real clock tick"
)]

mod programs;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use programs::{Place, Program, noise};

const MIB: usize = 1 << 20;
/// A file that was changed less than this before it was hashed is hashed again the next time.
const SETTLED: Duration = Duration::from_secs(2);
/// Holes, which are hashed like any bytes.
const HUGE: u64 = 1 << 30;

/// Returns when the file at `path` has not been touched for as long as it takes to be remembered.
fn settle(path: &Path) {
    loop {
        let found = fs::metadata(path).expect("there");
        let touched = Duration::new(found.ctime() as u64, found.ctime_nsec() as u32);
        let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").saturating_sub(touched);
        match SETTLED.checked_sub(since) {
            Some(left) => std::thread::park_timeout(left + Duration::from_millis(1)),
            None => return,
        }
    }
}

fn settled(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
    settle(path);
}

fn prompt(place: &Place, tracker: &str) -> Program {
    Program::start(&mut place.riffle(&["--id", "home", "--tracker", tracker, "--listen", "127.0.0.1:0"]))
}

fn leave(mut program: Program) -> Vec<String> {
    program.say("exit");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    said
}

/// Fetches `name` into a folder of its own, by a node of its own; its exit code, and the bytes that came.
fn fetch(place: &Place, tracker: &str, name: &str, into: &str) -> (Option<i32>, Option<Vec<u8>>) {
    let saved = place.folder(into);
    let folder = saved.to_str().expect("text");
    let arguments = ["--id", "guest", "--tracker", tracker, "--dir", folder, "download", "--wait", name];
    let (status, said) = Program::start(&mut place.riffle(&arguments)).end();
    eprintln!("{said:#?}");
    (status.code(), fs::read(saved.join(name)).ok())
}

/// The number of times that a node of this place remembered a file instead of hashing it.
fn remembered(place: &Place) -> usize {
    place.logs().matches("remembered, not hashed again").count()
}

#[test]
fn a_prompt_shares_again_what_it_shared_and_hashes_only_what_has_changed() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    for name in ["same.bin", "changed.bin", "gone.bin", "unshared.bin"] {
        fs::write(place.path().join(name), noise(MIB)).expect("written");
    }
    settle(&place.path().join("unshared.bin"));
    let mut first = prompt(&place, &tracker);
    first.say("send same.bin changed.bin gone.bin unshared.bin");
    for _ in 0..4 {
        first.wait_for("riffle download --tracker ");
    }
    first.say("unshare unshared.bin");
    first.wait_for("unshared.bin is no longer shared");
    leave(first);

    fs::write(place.path().join("changed.bin"), noise(MIB + 1)).expect("written");
    fs::remove_file(place.path().join("gone.bin")).expect("removed");
    let second = prompt(&place, &tracker);
    let line = second.wait_for("/gone.bin (unshare NAME forgets one)");
    assert!(line.starts_with("sharing 2 files again; not there now: /"), "{line}");
    assert_eq!(fetch(&place, &tracker, "same.bin", "saved"), (Some(0), Some(noise(MIB))));
    assert_eq!(fetch(&place, &tracker, "changed.bin", "saved"), (Some(0), Some(noise(MIB + 1))));
    assert_eq!(remembered(&place), 1, "{}", place.logs());
    leave(second);

    fs::write(place.path().join("gone.bin"), noise(MIB + 2)).expect("written");
    let mut third = prompt(&place, &tracker);
    third.wait_for("sharing 3 files again");
    assert_eq!(fetch(&place, &tracker, "gone.bin", "saved"), (Some(0), Some(noise(MIB + 2))), "it is back");
    for name in ["same.bin", "changed.bin", "gone.bin"] {
        third.say(&format!("unshare {name}"));
        third.wait_for("is no longer shared");
    }
    leave(third);
    let said = leave(prompt(&place, &tracker));
    assert!(!said.iter().any(|line| line.contains("again")), "{said:#?}");
}

#[test]
fn a_killed_prompt_shares_again_too() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    fs::write(place.path().join("a.bin"), noise(MIB)).expect("written");
    let mut first = prompt(&place, &tracker);
    first.say("send a.bin");
    first.wait_for("riffle download --tracker ");
    drop(first);
    let second = prompt(&place, &tracker);
    second.wait_for("sharing 1 file again");
    assert_eq!(fetch(&place, &tracker, "a.bin", "saved"), (Some(0), Some(noise(MIB))));
    leave(second);
}

#[test]
fn a_finished_download_is_shared_again_without_being_hashed_once() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    fs::write(place.path().join("a.bin"), noise(MIB)).expect("written");
    let source = Program::start(&mut place.riffle(&["--tracker", &tracker, "send", "a.bin"]));
    source.wait_for("riffle download --tracker ");
    place.folder("kept");
    let mut first = prompt(&place, &tracker);
    first.say("download a.bin -o kept/");
    first.wait_for("; from ");
    leave(first);
    source.interrupt();
    assert_eq!(source.end().0.code(), Some(0));

    let second = prompt(&place, &tracker);
    second.wait_for("sharing 1 file again");
    assert_eq!(fetch(&place, &tracker, "a.bin", "saved"), (Some(0), Some(noise(MIB))));
    assert_eq!(remembered(&place), 1, "{}", place.logs());
    leave(second);
}

#[test]
fn a_second_send_of_a_huge_file_is_immediate_and_shares_nothing_else() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let huge = place.path().join("huge.bin");
    let file = File::create(&huge).expect("created");
    file.set_len(HUGE).expect("sparse");
    file.write_all_at(&noise(1000), HUGE - 1000).expect("written");
    settled(&place.path().join("small.bin"), &noise(MIB));
    settle(&huge);
    let send = |files: &[&str]| {
        let arguments = [&["send", "--id", "home", "--tracker", &tracker], files].concat();
        let began = SystemTime::now();
        let sender = Program::start(&mut place.riffle(&arguments));
        let lines: Vec<_> = files.iter().map(|_| sender.wait_for("riffle download --tracker ")).collect();
        sender.interrupt();
        let (status, said) = sender.end();
        assert_eq!(status.code(), Some(0), "{said:#?}");
        assert!(
            !said.iter().any(|line| line.contains("again;") || line.contains("files again")),
            "{said:#?}"
        );
        (lines, began.elapsed().expect("forwards"))
    };
    let (first, hashing) = send(&["huge.bin", "small.bin"]);
    let (second, recalling) = send(&["huge.bin"]);
    eprintln!("1 GiB: hashed in {hashing:?}, remembered in {recalling:?}");
    assert!(first.contains(&second[0]), "the same content");
    assert_eq!(remembered(&place), 1, "{}", place.logs());
    let said = leave(prompt(&place, &tracker));
    assert!(!said.iter().any(|line| line.contains("again")), "the prompt's list is the prompt's: {said:#?}");
}

#[test]
fn damaged_state_is_said_and_costs_a_hash_and_no_truth() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    settled(&place.path().join("a.bin"), &noise(MIB));
    let mut first = prompt(&place, &tracker);
    first.say("send a.bin");
    first.wait_for("riffle download --tracker ");
    leave(first);
    let state = place.path().join("state/node-home");
    for file in ["hashes", "shares"] {
        let mut bytes = fs::read(state.join(file)).expect("kept");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(state.join(file), bytes).expect("written");
    }
    let mut second = prompt(&place, &tracker);
    second.wait_for("hashed again");
    second.wait_for("send it again");
    second.say("send a.bin");
    second.wait_for("riffle download --tracker ");
    assert_eq!(fetch(&place, &tracker, "a.bin", "saved"), (Some(0), Some(noise(MIB))));
    leave(second);
    assert_eq!(remembered(&place), 0);
    assert!(state.join("hashes.damaged").exists() && state.join("shares.damaged").exists());
    prompt(&place, &tracker).wait_for("sharing 1 file again");
}

#[test]
fn a_file_that_changes_while_it_is_shared_is_said_and_shared_as_it_is_at_the_next_start() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    fs::write(place.path().join("a.bin"), noise(MIB)).expect("written");
    let mut first = prompt(&place, &tracker);
    first.say("send a.bin");
    let line = first.wait_for("riffle download --tracker ");
    let id = line.split_whitespace().last().expect("an id").to_owned();
    let mut edited = noise(MIB);
    edited.reverse();
    fs::write(place.path().join("a.bin"), &edited).expect("written");
    // It is looked at when somebody wants it; what comes is nothing, or the whole of what was announced.
    let folder = place.folder("saved");
    let folder = folder.to_str().expect("text");
    let arguments = ["--tracker", &tracker, "--dir", folder, "download", "--timeout", "2s", &id];
    let (status, said) = Program::start(&mut place.riffle(&arguments)).end();
    assert_ne!(status.code(), Some(0), "{said:#?}");
    first.wait_for("no longer shared: a.bin: changed");
    leave(first);
    let second = prompt(&place, &tracker);
    second.wait_for("sharing 1 file again");
    assert_eq!(fetch(&place, &tracker, "a.bin", "later"), (Some(0), Some(edited)));
    leave(second);
}
