//! Codes between the real programs: one for a room, in an open and in a closed swarm; wrong, dead and ended ones.
#![cfg(unix)]

mod programs;

use std::io::Write as _;
use std::process::{Command, Stdio};

use programs::{Place, Program, noise, wait_until};
use riffle::SwarmSecrets;

struct Scene {
    place: Place,
    film: Vec<u8>,
}

impl Scene {
    fn new() -> Scene {
        let place = Place::new();
        let film = noise(300_000);
        std::fs::write(place.path().join("film.mkv"), &film).expect("written");
        Scene { place, film }
    }

    /// A tracker that was told `flags`, and its address.
    fn tracker(&self, flags: &[&str]) -> (Program, String) {
        let tracker = ["tracker", "--listen", "127.0.0.1:0"];
        let tracker = Program::start(&mut self.place.riffle(&[&tracker, flags].concat()));
        let line = tracker.wait_for("listening on ");
        let address = line.trim().rsplit(' ').next().expect("a word").to_owned();
        (tracker, address)
    }

    /// Who shares the film with a code, and the code.
    fn sender(&self, flags: &[&str]) -> (Program, String) {
        let send = ["send", "film.mkv", "--code", "--listen", "127.0.0.1:0", "--id", "sender"];
        let sender = Program::start(&mut self.place.riffle(&[&send, flags].concat()));
        let line = sender.wait_for(" --code ");
        let code = line.trim().rsplit(' ').next().expect("a code").to_owned();
        (sender, code)
    }

    fn fetch(&self, folder: &str, code: &str, flags: &[&str]) -> Command {
        let folder = self.place.folder(folder);
        let folder = folder.to_str().expect("text");
        let download = ["download", "--code", code, "--dir", folder, "--listen", "127.0.0.1:0"];
        self.place.riffle(&[&download, flags].concat())
    }

    fn download(&self, folder: &str, code: &str, flags: &[&str]) -> (i32, String) {
        run(&mut self.fetch(folder, code, flags))
    }

    fn has_film(&self, folder: &str) -> bool {
        std::fs::read(self.place.path().join(folder).join("film.mkv")).is_ok_and(|bytes| bytes == self.film)
    }

    /// A settings file with these lines.
    fn settings(&self, lines: &str) -> String {
        let path = self.place.path().join("node.toml");
        std::fs::write(&path, lines).expect("written");
        path.to_str().expect("text").to_owned()
    }
}

fn run(command: &mut Command) -> (i32, String) {
    let (status, lines) = Program::start(command).end();
    (status.code().expect("an exit code"), lines.join("\n"))
}

/// A code with the same number and other words.
fn wrong(code: &str) -> String {
    let (number, words) = code.split_once('-').expect("a code");
    let other = if words == "acorn-acorn-acorn" { "zoo-zoo-zoo" } else { "acorn-acorn-acorn" };
    format!("{number}-{other}")
}

#[test]
fn a_room_fetches_with_one_code_however_it_is_typed() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&[]);
    let (sender, code) = scene.sender(&["--tracker", &address]);
    let flags = ["--tracker", &address];
    let typed = [code.clone(), code.replace('-', " ").to_uppercase(), code.clone()];
    std::thread::scope(|scope| {
        for (number, typed) in typed.iter().enumerate() {
            let (scene, flags) = (&scene, &flags);
            scope.spawn(move || {
                let folder = format!("receiver-{number}");
                let (exit, said) = scene.download(&folder, typed, flags);
                assert!(exit == 0 && scene.has_film(&folder), "{exit} {said}");
                assert!(said.contains("the code is right: film.mkv"), "{said}");
            });
        }
    });
    sender.wait_for("somebody has used the code: 3 so far");
    // On the standard input, where nobody sees it among the processes.
    let mut piped = scene.fetch("piped", "-", &flags).stdin(Stdio::piped()).spawn().expect("started");
    let mut stdin = piped.stdin.take().expect("piped");
    writeln!(stdin, "{code}").expect("written");
    drop(stdin);
    assert!(piped.wait().expect("it ends").success() && scene.has_film("piped"));
    sender.interrupt();
    let (status, said) = sender.end();
    assert!(status.success(), "{said:?}");
    // The sender has said that the code is over: nobody waits for it.
    let (exit, said) = scene.download("late", &code, &flags);
    assert!(exit == 3 && said.contains("the code has ended"), "{exit} {said}");
    // The words are in no log, and in no line but the one to pass on.
    let (_, words) = code.split_once('-').expect("a code");
    assert!(!scene.place.logs().contains(words));
}

#[test]
fn a_code_brings_the_secret_of_a_closed_swarm_which_stays_in_memory() {
    let scene = Scene::new();
    assert_eq!(run(&mut scene.place.riffle(&["secret", "new", "ours"])).0, 0);
    let secret = SwarmSecrets::of_file(&scene.place.path().join("ours")).expect("made");
    let (_tracker, address) = scene.tracker(&["--secret-file", "ours", "--codes", "always"]);
    let (_sender, code) = scene.sender(&["--secret-file", "ours", "--tracker", &address]);
    let flags = ["--tracker", &address];
    let (exit, said) = scene.download("member", &code, &flags);
    assert!(exit == 0 && scene.has_film("member"), "{exit} {said}");
    assert!(said.contains("film.mkv, in a closed swarm"), "{said}");
    // Who has a wrong code learns nothing, and is in no swarm.
    let (exit, said) = scene.download("stranger", &wrong(&code), &flags);
    assert!(exit == 3 && said.contains("the code is wrong") && !said.contains("film"), "{exit} {said}");
    let secret = secret.first().text();
    let found = std::process::Command::new("grep")
        .args(["-rl", &secret["riffle-secret1-".len()..]])
        .arg(scene.place.path())
        .output()
        .expect("there is a grep");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let files: Vec<&str> = found.lines().collect();
    assert!(matches!(files[..], [one] if one.ends_with("/ours")), "{found}");
}

#[test]
fn a_closed_tracker_serves_no_codes_unless_it_is_told_to_and_both_sides_say_so() {
    let scene = Scene::new();
    assert_eq!(run(&mut scene.place.riffle(&["secret", "new", "ours"])).0, 0);
    let (_tracker, address) = scene.tracker(&["--secret-file", "ours"]);
    let send = ["send", "film.mkv", "--code", "--listen", "127.0.0.1:0", "--secret-file", "ours"];
    let sender = Program::start(&mut scene.place.riffle(&[&send[..], &["--tracker", &address]].concat()));
    sender.wait_for("there is no code: no tracker that serves codes answers");
    let (exit, said) = scene.download("stranger", "7-otter-violin-salt", &["--tracker", &address]);
    assert!(exit == 6 && said.contains("--codes always"), "{exit} {said}");
    sender.interrupt();
    let (status, said) = sender.end();
    assert!(status.success(), "it has shared all the while: {said:?}");
}

/// An address of this host's loopback network that no other test uses at the same time: the port of an embedded tracker
/// is always the same.
#[cfg(target_os = "linux")]
#[test]
fn a_tracker_that_the_sender_starts_itself_serves_codes_in_a_closed_swarm_too() {
    let scene = Scene::new();
    assert_eq!(run(&mut scene.place.riffle(&["secret", "new", "ours"])).0, 0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let listen = format!("127.78.{high}.{}:0", low | 1);
    let send = ["send", "film.mkv", "--code", "--secret-file", "ours", "--listen", &listen];
    let sender = Program::start(&mut scene.place.riffle(&send));
    let line = sender.wait_for(" --code ");
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "download").expect("the line to type");
    let folder = scene.place.folder("typed");
    let rest = ["--dir", folder.to_str().expect("text"), "--listen", "127.0.0.1:0"];
    let (exit, said) = run(&mut scene.place.riffle(&[&words[at..], &rest[..]].concat()));
    assert!(exit == 0 && scene.has_film("typed"), "{exit} {said}");
}

#[test]
fn wrong_words_are_told_to_the_sender_and_too_many_end_the_code_for_everybody() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&[]);
    let settings = scene.settings("code_guesses = 2\n");
    let (sender, code) = scene.sender(&["--tracker", &address, "--config", &settings]);
    let flags = ["--tracker", &address];
    let (exit, said) = scene.download("wrong", &wrong(&code), &flags);
    assert!(exit == 3 && said.contains("the code is wrong, or somebody in between is guessing"), "{said}");
    sender.wait_for("wrong words with the code: after 1 more it is dead");
    let (exit, said) = scene.download("right", &code, &flags);
    assert!(exit == 0 && scene.has_film("right"), "{exit} {said}");
    let (exit, _) = scene.download("wrong", &wrong(&code), &flags);
    assert_eq!(exit, 3);
    sender.wait_for("the code is dead");
    let (exit, said) = scene.download("too-late", &code, &flags);
    assert!(exit == 3 && said.contains("the code is dead"), "{exit} {said}");
    assert!(!scene.has_film("too-late") && !scene.has_film("wrong"));
    let (exit, said) = run(&mut scene.place.riffle(&["list", "--tracker", &address]));
    assert!(exit == 0 && said.contains("film.mkv"), "it is shared on: {said}");
}

#[test]
fn a_code_ends_by_time_while_the_file_is_shared_on() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&[]);
    let settings = scene.settings("code_lifetime = \"1s\"\n");
    let (sender, code) = scene.sender(&["--tracker", &address, "--config", &settings]);
    sender.wait_for("the code has ended: its time is over");
    let (exit, said) = scene.download("late", &code, &["--tracker", &address]);
    assert!(exit == 3 && said.contains("the code has ended"), "{exit} {said}");
    let number: u16 = code.split('-').next().and_then(|number| number.parse().ok()).expect("a number");
    let never = format!("{}-otter-violin-salt", if number > 5000 { number - 1 } else { 9999 });
    let (exit, said) = scene.download("never", &never, &["--tracker", &address]);
    assert!(exit == 3 && said.contains("knows no code with this number"), "{exit} {said}");
    let (exit, said) = run(&mut scene.place.riffle(&["list", "--tracker", &address]));
    assert!(exit == 0 && said.contains("film.mkv"), "{said}");
}

#[test]
fn a_code_outlives_its_tracker() {
    let scene = Scene::new();
    // Nodes come back with their contents soon.
    let settings = scene.settings("heartbeat = \"1s\"\n");
    let (tracker, address) = scene.tracker(&["--config", &settings]);
    let (_sender, code) = scene.sender(&["--tracker", &address]);
    tracker.interrupt();
    tracker.end();
    let tracker = ["tracker", "--listen", &address, "--config", &settings];
    let tracker = Program::start(&mut scene.place.riffle(&tracker));
    tracker.wait_for("listening on ");
    // Until the sender has come back, within some seconds, the tracker knows no code.
    wait_until("the sender comes back", || {
        let (exit, said) = scene.download("again", &code, &["--tracker", &address]);
        assert!(exit == 0 || said.contains("knows no code") || said.contains("try again"), "{exit} {said}");
        exit == 0
    });
    assert!(scene.has_film("again"));
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_started() {
    let scene = Scene::new();
    let said = |arguments: &[&str]| {
        let (exit, said) = run(scene.place.riffle(arguments).stdin(Stdio::null()));
        assert_eq!(exit, 2, "{arguments:?} {said}");
        said
    };
    assert!(said(&["download", "--code", "7-oter-violin-salt"]).contains("is it otter?"));
    assert!(said(&["download", "--code"]).contains("--code needs a code"));
    assert!(said(&["download", "--code", "7-otter-violin-salt", "film.mkv"]).contains("cannot be used with"));
    std::fs::write(scene.place.path().join("other"), "x").expect("written");
    assert!(said(&["send", "--code", "film.mkv", "other"]).contains("--name NAME makes one folder"));
}
