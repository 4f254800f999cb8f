//! The real programs where several contents have one name: what many hosts stand behind is taken and said, what is not clear is a person's to say.

mod programs;

use std::fs;
use std::process::Command;

use programs::{Place, Program, noise};

/// A tracker, and hosts beside it: each address of the loopback network is one.
struct Scene {
    place: Place,
    tracker: String,
    _tracker: Program,
}

impl Scene {
    fn new() -> Scene {
        let place = Place::new();
        let (program, tracker) = place.tracker();
        Scene { place, tracker, _tracker: program }
    }

    fn riffle(&self, host: &str, arguments: &[&str]) -> Command {
        let listen = format!("{host}:0");
        let common = ["--tracker", self.tracker.as_str(), "--listen", &listen];
        self.place.riffle(&[&common, arguments].concat())
    }

    /// `host` shares `bytes` as `lab.img`.
    fn sends(&self, host: &str, bytes: &[u8]) -> Program {
        let folder = self.place.folder(&format!("of-{host}"));
        fs::write(folder.join("lab.img"), bytes).expect("written");
        let owner = Program::start(self.riffle(host, &["send", "lab.img"]).current_dir(folder));
        owner.wait_for("riffle download --tracker ");
        owner
    }

    /// What `download` of that name with `flags` leaves with, says, and has saved.
    fn downloads(&self, into: &str, flags: &[&str]) -> (Option<i32>, Vec<String>, Option<Vec<u8>>) {
        let folder = self.place.folder(into);
        let arguments = [&["download"], flags].concat();
        let mut download = self.riffle("127.0.0.1", &arguments);
        let (status, said) = Program::start(download.current_dir(&folder)).end();
        (status.code(), said, fs::read(folder.join("lab.img")).ok())
    }
}

#[test]
fn one_host_with_other_bytes_of_that_name_stops_nobody_and_is_told_of() {
    let scene = Scene::new();
    let (real, fake) = (noise(300_000), noise(300_001));
    let _owners = ["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(|host| scene.sends(host, &real));
    let _fake = scene.sends("127.0.0.5", &fake);
    let (code, said, saved) = scene.downloads("a", &["lab.img"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(saved == Some(real.clone()), "{said:#?}");
    let told = |words: &[&str], said: &[String]| {
        let found = said.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?}: {said:#?}");
    };
    told(
        &["lab.img: taking what most hosts call so", "(3 hosts, known for", "; not ", "(1 host, known for"],
        &said,
    );

    let (code, said, saved) = scene.downloads("b", &["--newest", "lab.img"]);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(saved == Some(fake), "{said:#?}");
    told(
        &[
            "taking the newest, ",
            "(1 host, known for",
            "(3 hosts, and clearly most, known for",
            "riffle download lab.img@",
        ],
        &said,
    );

    let list = scene.place.riffle(&["list", "--tracker", &scene.tracker]);
    let (_, said) = Program::start(&mut { list }).end();
    assert!(said[0].contains("3 hosts (most): 3 complete"), "{said:#?}");
    assert!(said[1].contains("1 host: 1 complete"), "{said:#?}");
    let waits = ["list", "--wait-complete", "lab.img=3", "--timeout", "30s", "--tracker", &scene.tracker];
    let (status, said) = Program::start(&mut scene.place.riffle(&waits)).end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
fn one_host_against_one_is_told_with_the_line_for_each() {
    let scene = Scene::new();
    let (real, fake) = (noise(300_000), noise(300_001));
    let _owner = scene.sends("127.0.0.2", &real);
    // As many nodes of one host as you like are one host.
    let _fakes = [0, 1, 2].map(|_| scene.sends("127.0.0.5", &fake));
    let (code, said, saved) = scene.downloads("a", &["lab.img"]);
    assert_eq!((code, saved), (Some(2), None), "{said:#?}");
    let lines: Vec<&String> =
        said.iter().filter(|line| line.starts_with("  riffle download lab.img@")).collect();
    assert_eq!(lines.len(), 2, "{said:#?}");
    for (line, bytes) in lines.iter().zip([real, fake]) {
        assert!(line.contains("1 host: ") && line.contains("known for "), "{line}");
        let typed = line.split_whitespace().nth(2).expect("a name and an id");
        let (code, said, saved) = scene.downloads(typed, &[typed]);
        assert_eq!(code, Some(0), "{said:#?}");
        assert!(saved == Some(bytes), "{line}");
    }
}
