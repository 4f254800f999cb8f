//! Folders that are brought up to date by the real program: what differs is fetched, and each file is the old or the new
//! one, whatever happens on the way.
#![cfg(unix)]

mod programs;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use programs::trees::{tree, write};
use programs::{Place, Program, noise};

/// Two places of one network, of which one has a folder `album` that changes.
struct Stage {
    place: Place,
    _tracker: Program,
    tracker: String,
}

impl Stage {
    fn new() -> Stage {
        let place = Place::new();
        let (tracker_program, tracker) = place.tracker();
        Stage { place, _tracker: tracker_program, tracker }
    }

    fn shared(&self) -> PathBuf {
        self.place.folder("shared").join("album")
    }

    fn saved(&self) -> PathBuf {
        self.place.folder("saved").join("album")
    }

    fn send(&self) -> Program {
        let mut command = self.place.riffle(&["send", "--tracker", &self.tracker, "--listen", "127.0.0.1:0"]);
        let owner = Program::start(command.arg("album").current_dir(self.place.folder("shared")));
        owner.wait_for("riffle download --tracker ");
        owner
    }

    fn downloader(&self, arguments: &[&str]) -> Program {
        let mut command =
            self.place.riffle(&["download", "--tracker", &self.tracker, "--listen", "127.0.0.1:0"]);
        Program::start(command.args(arguments).arg("album").current_dir(self.place.folder("saved")))
    }

    fn download(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
        let (status, said) = self.downloader(arguments).end();
        (status.code(), said)
    }

    /// Downloads what is shared now, from an owner of its own.
    fn fetch(&self, arguments: &[&str]) -> Vec<String> {
        let owner = self.send();
        let (code, said) = self.download(arguments);
        owner.interrupt();
        owner.end();
        assert_eq!(code, Some(0), "{said:#?}");
        said
    }

    /// The names beside the saved folder.
    fn beside(&self) -> Vec<String> {
        let names = fs::read_dir(self.place.folder("saved")).expect("a folder");
        names.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
    }
}

/// A folder of which every kind of change is made.
fn make_old(album: &Path) {
    for number in 0..400 {
        write(
            album,
            &format!("many/{}/{number}", number % 7),
            format!("file {number} ").repeat(90).as_bytes(),
        );
    }
    write(album, "big.bin", &noise(6_000_000));
    write(album, "moved/here", &noise(700_000));
    write(album, "gone/with/its/folders", b"nobody wants it");
    write(album, "kind", b"a file");
    symlink("big.bin", album.join("link")).expect("a link");
}

fn make_new(album: &Path) {
    for number in [3, 77, 200] {
        write(
            album,
            &format!("many/{}/{number}", number % 7),
            format!("other {number} ").repeat(99).as_bytes(),
        );
    }
    let mut big = fs::read(album.join("big.bin")).expect("there");
    big[4_000_000] ^= 1;
    write(album, "big.bin", &big);
    fs::rename(album.join("moved/here"), album.join("moved/there")).expect("moved");
    fs::remove_dir_all(album.join("gone")).expect("removed");
    fs::remove_file(album.join("kind")).expect("removed");
    write(album, "kind/now", b"in a folder");
    write(album, "new/one", &noise(5_000));
    fs::remove_file(album.join("link")).expect("removed");
    symlink("new/one", album.join("link")).expect("a link");
    fs::set_permissions(album.join("new/one"), fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[test]
fn a_folder_becomes_the_new_version() {
    let stage = Stage::new();
    make_old(&stage.shared());
    stage.fetch(&[]);
    let kept = stage.saved().join("many/1/1");
    let inode = fs::metadata(&kept).expect("there").ino();
    make_new(&stage.shared());
    let owner = stage.send();
    let (code, said) = stage.download(&[]);
    assert_eq!(code, Some(13), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("--update")), "{said:#?}");
    // What is of another kind is told before anything is done.
    let before = tree(&stage.saved());
    let (code, said) = stage.download(&["--update"]);
    assert_eq!(code, Some(10), "{said:#?}");
    assert!(
        said.iter().any(|line| line.contains("kind (no folder") && line.contains("--delete")),
        "{said:#?}"
    );
    assert_eq!(tree(&stage.saved()), before);
    let (code, said) = stage.download(&["--delete"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert_eq!(tree(&stage.saved()), tree(&stage.shared()));
    assert_eq!(fs::metadata(&kept).expect("there").ino(), inode, "what is the same is left alone");
    assert_eq!(stage.beside(), ["album"], "no working file stays behind");
    let (code, said) = stage.download(&["--update"]);
    assert_eq!(code, Some(0), "it is up to date: {said:#?}");
    owner.interrupt();
    owner.end();
}

#[test]
fn what_the_new_version_lacks_stays_unless_it_is_to_be_deleted() {
    let stage = Stage::new();
    make_old(&stage.shared());
    stage.fetch(&[]);
    write(&stage.saved(), "mine/own", b"of the person who fetches");
    fs::remove_file(stage.shared().join("kind")).expect("removed");
    stage.fetch(&["--update"]);
    assert_eq!(fs::read(stage.saved().join("mine/own")).expect("there"), b"of the person who fetches");
    assert_eq!(fs::read(stage.saved().join("kind")).expect("there"), b"a file");
    stage.fetch(&["--update", "--delete"]);
    assert_eq!(tree(&stage.saved()), tree(&stage.shared()));
    let (code, said) = stage.download(&["--delete", "--select", "many"]);
    assert_eq!(code, Some(2), "{said:#?}");
}

#[test]
fn a_folder_that_is_not_there_yet_is_made() {
    let stage = Stage::new();
    make_old(&stage.shared());
    stage.fetch(&["--update"]);
    assert_eq!(tree(&stage.saved()), tree(&stage.shared()));
}

#[test]
fn whoever_has_brought_a_folder_up_to_date_serves_all_of_it() {
    let stage = Stage::new();
    make_old(&stage.shared());
    stage.fetch(&[]);
    make_new(&stage.shared());
    let owner = stage.send();
    let second = stage.downloader(&["--delete", "--stay"]);
    second.wait_for("sharing on");
    owner.interrupt();
    owner.end();
    let mut command = stage.place.riffle(&["download", "--tracker", &stage.tracker, "--wait", "album"]);
    let third =
        Program::start(command.args(["--listen", "127.0.0.1:0"]).current_dir(stage.place.folder("third")));
    let (status, said) = third.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert_eq!(tree(&stage.place.folder("third").join("album")), tree(&stage.shared()));
}

#[test]
fn nothing_is_written_where_links_of_the_receiver_lead() {
    let stage = Stage::new();
    make_old(&stage.shared());
    stage.fetch(&[]);
    let outside = stage.place.folder("outside");
    write(&outside, "file", b"mine");
    let saved = stage.saved();
    fs::remove_file(saved.join("big.bin")).expect("removed");
    symlink(outside.join("file"), saved.join("big.bin")).expect("a link");
    fs::remove_dir_all(saved.join("many/3")).expect("removed");
    symlink(&outside, saved.join("many/3")).expect("a link");
    let owner = stage.send();
    let (code, said) = stage.download(&["--update"]);
    assert_eq!(code, Some(10), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("many/3")), "{said:#?}");
    let (code, said) = stage.download(&["--delete"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert_eq!(tree(&saved), tree(&stage.shared()));
    assert_eq!(tree(&outside).len(), 1);
    assert_eq!(fs::read(outside.join("file")).expect("there"), b"mine");
    // Nor is a link taken for the folder itself.
    fs::rename(&saved, outside.join("album")).expect("moved");
    symlink(outside.join("album"), &saved).expect("a link");
    let (code, said) = stage.download(&["--delete"]);
    assert_eq!(code, Some(13), "{said:#?}");
    owner.interrupt();
    owner.end();
}

#[test]
fn an_update_that_is_killed_goes_on() {
    let stage = Stage::new();
    let (old, new) = (noise(12_000_000), noise(24_000_000));
    for number in 0..200 {
        write(&stage.shared(), &format!("many/{number}"), &old[number * 500..][..3_000]);
    }
    write(&stage.shared(), "big.bin", &old);
    stage.fetch(&[]);
    for number in 0..100 {
        write(&stage.shared(), &format!("many/{number}"), &new[number * 700..][..3_000]);
    }
    write(&stage.shared(), "big.bin", &new[12_000_000..]);
    let before = tree(&stage.saved());
    let owner = stage.send();
    let mut killed = stage.downloader(&["--delete", "--download-limit", "4M"]);
    let part = || programs::working_file(&stage.place.folder("saved"), "album", "part");
    let has_some =
        || part().is_some_and(|part| fs::metadata(part).is_ok_and(|found| found.blocks() * 512 > 2 << 20));
    programs::wait_until("some of it is here", has_some);
    killed.kill();
    killed.end();
    assert_eq!(tree(&stage.saved()), before, "nothing has changed yet");
    let said = stage.download(&["--delete"]);
    assert_eq!(said.0, Some(0), "{said:#?}");
    assert!(said.1.iter().any(|line| line.contains("going on with")), "{said:#?}");
    assert_eq!(tree(&stage.saved()), tree(&stage.shared()));
    assert_eq!(stage.beside(), ["album"]);
    owner.interrupt();
    owner.end();
}
