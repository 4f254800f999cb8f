//! The real program where nobody watches a terminal: what a pipe, a journal or a script is told while files come and
//! go.

mod programs;

use std::fs;

use programs::{Place, Program, noise};

const MIB: usize = 1 << 20;

/// A place with a tracker and a node that shares `film.bin`.
struct Stage {
    place: Place,
    _tracker: Program,
    address: String,
}

impl Stage {
    fn new(length: usize) -> Stage {
        let place = Place::new();
        let (tracker, address) = place.tracker();
        fs::write(place.path().join("film.bin"), noise(length)).expect("written");
        Stage { place, _tracker: tracker, address }
    }

    /// The program with `arguments`, at this stage's tracker.
    fn start(&self, arguments: &[&str]) -> Program {
        let common = ["--tracker", &self.address, "--listen", "127.0.0.1:0"];
        Program::start(&mut self.place.riffle(&[&common, arguments].concat()))
    }

    /// `film.bin`, shared.
    fn owner(&self, arguments: &[&str]) -> Program {
        let owner = self.start(&[&["send", "film.bin"], arguments].concat());
        owner.wait_for("riffle download --tracker ");
        owner
    }

    /// A download of it into the folder `to`.
    fn download(&self, to: &str, arguments: &[&str]) -> Program {
        self.place.folder(to);
        self.start(&[&["download", "film.bin", "-o", to], arguments].concat())
    }
}

#[test]
fn a_pipe_gets_a_line_at_the_beginning_and_progress_now_and_then() {
    let stage = Stage::new(8 * MIB);
    let _owner = stage.owner(&[]);
    let slow = ["--download-limit", "4MiB", "--progress", "200ms"];
    let (status, said) = stage.download("saved", &slow).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.contains(&"fetching film.bin, 8.00 MiB".to_owned()), "{said:#?}");
    let far = |line: &&String| line.starts_with("film.bin: ") && line.contains(" % of 8.00 MiB");
    assert!(said.iter().filter(far).count() > 1, "{said:#?}");

    let (status, said) = stage.download("again", &["--download-limit", "4MiB", "--progress", "none"]).end();
    assert_eq!((status.code(), said.len()), (Some(0), 1), "{said:#?}");
}

#[test]
fn who_is_quiet_says_results_and_errors_only() {
    let stage = Stage::new(MIB);
    let owner = stage.start(&["-q", "send", "film.bin"]);
    owner.wait_for("riffle download --tracker ");
    let (status, said) = stage.download("saved", &["--quiet", "--progress", "100ms"]).end();
    assert_eq!((status.code(), said.len()), (Some(0), 1), "the summary: {said:#?}");
    let (status, said) = stage.start(&["--quiet", "download", "nothing.bin"]).end();
    assert_eq!((status.code(), said.len()), (Some(3), 1), "why it failed: {said:#?}");
    owner.interrupt();
    let (status, said) = owner.end();
    assert_eq!((status.code(), said.len()), (Some(0), 1), "the line to type: {said:#?}");
}

#[test]
fn a_sender_shows_who_downloads_and_who_is_complete_and_leaves_when_all_is_delivered() {
    let stage = Stage::new(4 * MIB);
    let until = stage.owner(&["--until-delivered"]);
    let open_ended = stage.start(&["send", "film.bin"]);
    open_ended.wait_for("riffle download --tracker ");
    // Held for a moment, so that both are fetched from.
    let (status, said) = stage.download("saved", &["--download-limit", "2MiB"]).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("; from ") && line.matches('%').count() == 2), "{said:#?}");
    let (status, of_until) = until.end();
    assert_eq!(status.code(), Some(0), "{of_until:#?}");
    open_ended.wait_for(" has all of film.bin");
    open_ended.interrupt();
    let (status, of_open_ended) = open_ended.end();
    assert_eq!(status.code(), Some(0), "{of_open_ended:#?}");
    for lines in [of_until, of_open_ended] {
        let count = |what: &str| lines.iter().filter(|line| line.ends_with(what)).count();
        assert_eq!((count(" begins to fetch film.bin"), count(" has all of film.bin")), (1, 1), "{lines:#?}");
        assert_eq!(count("film.bin: 1 other node has all of it"), 1, "{lines:#?}");
    }
}

#[test]
fn a_sender_of_several_copies_waits_for_as_many_nodes() {
    let stage = Stage::new(MIB);
    let mut owner = stage.owner(&["--copies", "2"]);
    let download = |id: &str| stage.download(id, &["--id", id]).end().0.code();
    assert_eq!(download("one"), Some(0));
    assert_eq!(download("one"), Some(0), "it is there, and no other copy");
    owner.wait_for(" has all of film.bin");
    assert!(owner.is_alive());
    assert_eq!(download("two"), Some(0));
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.contains(&"film.bin: 2 other nodes have all of it".to_owned()), "{said:#?}");
}

/// Two nodes' files `film.bin` with other bytes each, and what `send` printed for them: the ids.
fn two_of_a_name(stage: &Stage) -> [(Program, String); 2] {
    ["one", "other"].map(|name| {
        let folder = stage.place.folder(name);

        fs::write(folder.join("film.bin"), noise(MIB + name.len())).expect("written");
        let owner = stage.start(&["send", "--dir", folder.to_str().expect("text"), "film.bin"]);
        let line = owner.wait_for("riffle download --tracker ");
        let id = line.split_whitespace().last().expect("an id").to_owned();
        (owner, id)
    })
}

#[test]
fn what_is_asked_for_twice_in_one_command_is_fetched_and_said_once() {
    let stage = Stage::new(2 * MIB);
    let owner = stage.start(&["send", "film.bin"]);
    let line = owner.wait_for("riffle download --tracker ");
    let id = line.split_whitespace().last().expect("an id");
    let mut all = vec!["--quiet", "--download-limit", "2MiB", "download", "-o", "saved"];
    all.extend([id; 20]);
    stage.place.folder("saved");
    let (status, said) = stage.start(&all).end();
    assert_eq!((status.code(), said.len()), (Some(0), 1), "the summary: {said:#?}");
    assert_eq!(fs::read_dir(stage.place.path().join("saved")).expect("there").count(), 1);
}

#[test]
fn two_contents_of_one_name_in_one_command_are_distinguished_and_one_is_fetched() {
    let stage = Stage::new(MIB);
    let owners = two_of_a_name(&stage);
    let ids = owners.each_ref().map(|(_, id)| id.as_str());
    assert_ne!(ids[0], ids[1]);
    let saved = stage.place.folder("saved");
    let (status, said) = stage
        .start(&["--quiet", "--download-limit", "1MiB", "download", "-o", "saved", ids[0], ids[1]])
        .end();
    assert_eq!((status.code(), said.len()), (Some(13), 2), "{said:#?}");
    let reason =
        "two of these downloads are called film.bin; choose another place with -o, or fetch them one by one";
    assert!(said.iter().any(|line| line.ends_with(reason)), "{said:#?}");
    assert_eq!(fs::read_dir(saved).expect("there").count(), 1, "one is there, and nothing beside it");
}
