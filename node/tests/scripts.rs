//! The real program where nobody watches a terminal: what a pipe, a journal or a script is told while files come and go.
#![cfg(feature = "bin")]

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
fn a_pipe_is_told_of_the_beginning_and_now_and_then_how_far_it_is() {
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
