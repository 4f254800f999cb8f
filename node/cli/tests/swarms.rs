//! Several swarms in one tracker process, between the real programs: who is in one sees nothing of another, and who is in
//! both sees both.
#![cfg(unix)]

mod programs;

use std::process::Command;

use programs::{Place, Program, noise, wait_until};
use riffle::SwarmSecrets;

const BOTH: [&str; 4] = ["--secret-file", "a", "--secret-file", "b"];

/// A place with the secrets of two swarms, and a file for each and for both.
struct Scene {
    place: Place,
}

impl Scene {
    fn new() -> Scene {
        let place = Place::new();
        for name in ["a", "b"] {
            let (code, said) = run(&mut place.riffle(&["secret", "new", name]));
            assert_eq!(code, 0, "{said}");
        }
        for (name, seed) in [("in-a", 1), ("in-b", 2), ("same", 3)] {
            let mut bytes = noise(100_000);
            bytes[0] ^= seed;
            std::fs::write(place.path().join(name), bytes).expect("written");
        }
        Scene { place }
    }

    /// What a person who has named both swarms knows this one by.
    fn called(&self, secret: &str) -> String {
        self.fingerprint(secret)[..4].to_owned()
    }

    fn fingerprint(&self, secret: &str) -> String {
        let secrets = SwarmSecrets::of_file(&self.place.path().join(secret)).expect("made");
        secrets.first().fingerprint()
    }

    /// A tracker that was told `flags`, and its address.
    fn tracker(&self, flags: &[&str]) -> (Program, String) {
        let tracker = Program::start(
            &mut self.place.riffle(&[&["tracker", "--listen", "127.0.0.1:0"], flags].concat()),
        );
        let line = tracker.wait_for("listening on ");
        let address = line.trim().rsplit(' ').next().expect("a word").to_owned();
        (tracker, address)
    }

    /// Shares `files` with those who have `secret`.
    fn owner(&self, secret: &str, tracker: &str, files: &[&str]) -> Program {
        let flags = ["--listen", "127.0.0.1:0", "--secret-file", secret, "--tracker", tracker];
        let owner = Program::start(&mut self.place.riffle(&[&["send"], files, &flags].concat()));
        files.iter().for_each(|_| drop(owner.wait_for("riffle download ")));
        owner
    }

    fn list(&self, flags: &[&str], tracker: &str) -> (i32, String) {
        run(&mut self.place.riffle(&[&["list", "--tracker", tracker], flags].concat()))
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join(format!("into-{name}"))
    }

    /// Fetches `name` into the folder `folder`. Returns the exit code and what was said.
    fn download(&self, (name, folder): (&str, &str), flags: &[&str], tracker: &str) -> (i32, String) {
        let folder = self.folder(folder);
        std::fs::create_dir_all(&folder).expect("made");
        let folder = folder.to_str().expect("text");
        let download = ["download", name, "--dir", folder, "--listen", "127.0.0.1:0", "--tracker", tracker];
        run(&mut self.place.riffle(&[&download, flags].concat()))
    }

    /// Whether `name` has arrived in the folder, whole.
    fn has(&self, name: &str, folder: &str) -> bool {
        let read = |path: std::path::PathBuf| std::fs::read(path).ok();
        let arrived = read(self.folder(folder).join(name));
        arrived.is_some() && arrived == read(self.place.path().join(name))
    }
}

fn run(command: &mut Command) -> (i32, String) {
    let (status, lines) = Program::start(command).end();
    (status.code().expect("an exit code"), lines.join("\n"))
}

#[test]
fn of_two_swarms_in_one_tracker_neither_sees_the_other_and_who_is_in_both_sees_both() {
    let scene = Scene::new();
    let (tracker, address) = scene.tracker(&BOTH);
    let _first = scene.owner("a", &address, &["in-a", "same"]);
    let _second = scene.owner("b", &address, &["in-b", "same"]);
    for (secret, own, other) in [("a", "in-a", "in-b"), ("b", "in-b", "in-a")] {
        let flags = ["--secret-file", secret];
        let (code, listed) = scene.list(&flags, &address);
        assert!(code == 0 && listed.contains(own) && listed.contains("same"), "{listed}");
        assert!(!listed.contains(other) && listed.contains("1 host"), "{listed}");
        let (code, said) = scene.download((other, secret), &flags, &address);
        assert_eq!(code, 3, "{said}");
        let (code, said) = scene.download((own, secret), &flags, &address);
        assert!(code == 0 && scene.has(own, secret), "{said}");
    }
    // Without a secret, and with none of these, nobody is there.
    let (code, said) = scene.list(&[], &address);
    assert!(code == 6 && !said.contains("in-"), "{code} {said}");
    let (code, listed) = scene.list(&BOTH, &address);
    assert_eq!(code, 0, "{listed}");
    for (secret, name) in [("a", "in-a"), ("a", "same"), ("b", "in-b"), ("b", "same")] {
        let called = scene.called(secret);
        let is_it = |line: &str| line.starts_with(&called) && line.ends_with(name);
        assert_eq!(listed.lines().filter(|line| is_it(line)).count(), 1, "{called} {name}: {listed}");
    }
    assert_eq!(listed.lines().count(), 4, "{listed}");
    for (name, secret) in [("in-a", "a"), ("in-b", "b")] {
        let (code, said) = scene.download((name, "both"), &BOTH, &address);
        assert!(code == 0 && scene.has(name, "both"), "{said}");
        assert!(said.contains(&format!("found in the swarm {}", scene.called(secret))), "{said}");
    }
    let (code, said) = scene.download(("same", "both"), &BOTH, &address);
    assert!(code == 0 && scene.has("same", "both"), "{said}");
    assert!(said.contains(&format!("{} has it too", scene.called("b"))), "{said}");
    let (code, said) = scene.download(("nowhere", "both"), &BOTH, &address);
    assert_eq!(code, 3, "{said}");
    // By the variable, separated as in PATH.
    let mut list = scene.place.riffle(&["list", "--tracker", &address]);
    let (code, by_variable) = run(list.env("RIFFLE_SECRET_FILE", "a:b"));
    assert_eq!((code, by_variable), (0, listed));
    tracker.interrupt();
    let said = tracker.end().1.join("\n");
    let logs = scene.place.logs();
    for secret in ["a", "b"] {
        let fingerprint = scene.fingerprint(secret);
        assert!(said.contains(&format!(
            "a closed swarm, only for who has the secret with the fingerprint {fingerprint}"
        )));
        assert!(logs.contains(&format!("swarm{{of=\"{fingerprint}\"}}: node joined")), "{logs}");
    }
}

#[test]
fn what_a_ticket_says_and_what_is_waited_for_is_looked_for_in_all_swarms() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&BOTH);
    let folder = scene.place.folder("waiting");
    let common = ["--wait", "--dir", folder.to_str().expect("text"), "--listen", "127.0.0.1:0"];
    let download = [&["download", "in-b", "--tracker", &address], &common[..], &BOTH].concat();
    let waiting = Program::start(&mut scene.place.riffle(&download));
    let send = ["send", "in-b", "--listen", "127.0.0.1:0", "--secret-file", "b", "--tracker", &address];
    let owner = Program::start(&mut scene.place.riffle(&send));
    let line = owner.wait_for("riffle download ");
    let (status, said) = waiting.end();
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert_eq!(std::fs::read(folder.join("in-b")).ok(), std::fs::read(scene.place.path().join("in-b")).ok());
    let ticket = line.trim().rsplit(' ').next().expect("a ticket");
    assert!(ticket.starts_with("riffle1"), "{line}");
    let into = scene.place.folder("by-ticket");
    let by_ticket = ["download", ticket, "--dir", into.to_str().expect("text"), "--listen", "127.0.0.1:0"];
    let (code, said) = run(&mut scene.place.riffle(&[&by_ticket, &BOTH[..]].concat()));
    assert!(code == 0 && into.join("in-b").exists(), "{said}");
    assert!(said.contains(&format!("found in the swarm {}", scene.called("b"))), "{said}");
    // Where no file of that name is, which would be described instead.
    let elsewhere = scene.place.folder("elsewhere");
    let elsewhere = elsewhere.to_str().expect("text");
    let info = [&["info", "in-b", "--tracker", &address, "--dir", elsewhere][..], &BOTH].concat();
    let (code, said) = run(&mut scene.place.riffle(&info));
    assert!(code == 0 && said.contains(&format!("found in the swarm {}", scene.called("b"))), "{said}");
    let files = [&["list", "in-b", "--files", "--tracker", &address][..], &BOTH].concat();
    let (_, said) = run(&mut scene.place.riffle(&files));
    assert!(said.contains(&format!("found in the swarm {}", scene.called("b"))), "{said}");
}

#[test]
fn beside_closed_swarms_the_open_one_is_served_if_that_was_said() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&["--secret-file", "a", "--open-swarm"]);
    let _owner = scene.owner("a", &address, &["in-a"]);
    let (code, said) = scene.list(&[], &address);
    assert_eq!(code, 3, "{said}");
    let (code, said) = scene.list(&["--secret-file", "b"], &address);
    assert_eq!(code, 6, "{said}");
    let (code, said) = scene.list(&["--secret-file", "a"], &address);
    assert!(code == 0 && said.contains("in-a"), "{said}");
    // One of two swarms has no tracker there: what is in the other is listed, and that is said.
    let (code, said) = scene.list(&BOTH, &address);
    assert!(code == 6 && said.contains("in-a"), "{said}");
    assert!(said.contains(&format!("the swarm {}: ", scene.called("b"))), "{said}");
    let (code, said) = scene.download(("in-a", "both"), &BOTH, &address);
    assert!(code == 0 && scene.has("in-a", "both"), "{said}");
}

#[test]
fn a_secret_is_changed_in_its_own_swarm_alone() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&BOTH);
    let _second = scene.owner("b", &address, &["in-b"]);
    let old = scene.fingerprint("a");
    let (code, said) = run(&mut scene.place.riffle(&["secret", "rotate", "a", "--overlap", "0"]));
    assert_eq!(code, 0, "{said}");
    let new = scene.fingerprint("a");
    assert_ne!(old, new);
    wait_until("the tracker reads the file", || scene.place.logs().contains(&new));
    let _first = scene.owner("a", &address, &["in-a"]);
    let (code, listed) = scene.list(&BOTH, &address);
    assert!(code == 0 && listed.contains("in-a") && listed.contains("in-b"), "{listed}");
    assert!(scene.place.logs().contains(&format!("swarm{{of=\"{new}\"}}: node joined")));
}

#[test]
fn what_a_prompt_shares_in_one_swarm_it_shares_again_in_that_one_alone() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&["--secret-file", "a", "--secret-file", "b", "--open-swarm"]);
    let prompt = |flags: &[&str]| {
        let common = ["--id", "home", "--tracker", &address, "--listen", "127.0.0.1:0"];
        Program::start(&mut scene.place.riffle(&[&common, flags].concat()))
    };
    let leave = |mut prompt: Program| {
        prompt.say("exit");
        prompt.end().1.join("\n")
    };
    let mut first = prompt(&["--secret-file", "a"]);
    first.say("send in-a");
    first.wait_for("riffle download ");
    leave(first);
    for flags in [&["--secret-file", "b"][..], &[]] {
        let mut other = prompt(flags);
        other.say("send same");
        other.wait_for("riffle download ");
        let (code, listed) = scene.list(flags, &address);
        assert!(code == 0 && listed.contains("same") && !listed.contains("in-a"), "{listed}");
        let said = leave(other);
        assert!(!said.contains("again") && !said.contains("in-a"), "{said}");
    }
    let (code, said) = run(&mut scene.place.riffle(&["secret", "rotate", "a", "--overlap", "1h"]));
    assert_eq!(code, 0, "{said}");
    let again = prompt(&["--secret-file", "a"]);
    again.wait_for("sharing 1 file again");
    let found = || scene.list(&["--secret-file", "a"], &address).1.contains("in-a");
    wait_until("it is announced in its own swarm", found);
    let said = leave(again);
    assert!(!said.contains("same"), "{said}");
}

#[test]
fn what_is_shared_in_all_swarms_is_shared_by_a_node_in_each_under_an_id_of_its_own() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&BOTH);
    let send = ["send", "in-a", "--all-swarms", "--until-delivered", "--id", "home", "--tracker", &address];
    let owner =
        Program::start(&mut scene.place.riffle(&[&send, &BOTH[..], &["--listen", "127.0.0.1:0"]].concat()));
    owner.wait_for("riffle download ");
    owner.wait_for("riffle download ");
    for verb in ["status", "peers"] {
        let (code, said) = run(&mut scene.place.riffle(&[verb]));
        assert_eq!(code, 0, "{said}");
        for secret in ["a", "b"] {
            let line = format!("closed swarm {}", scene.fingerprint(secret));
            assert_eq!(said.lines().filter(|said| said.trim() == line).count(), 1, "{verb}: {said}");
        }
    }
    // The first secret comes first: each is looked for in the swarm that is named first.
    for (secret, other) in [("a", "b"), ("b", "a")] {
        let flags = ["--secret-file", secret, "--secret-file", other];
        let (code, said) = scene.download(("in-a", secret), &flags, &address);
        assert!(code == 0 && scene.has("in-a", secret), "{said}");
        assert!(said.contains(&format!("found in the swarm {}; ", scene.called(secret))), "{said}");
    }
    // It was told to leave when it has been fetched in both.
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(0), "{said:?}");
    let said = said.join("\n");
    let logs = scene.place.logs();
    for secret in ["a", "b"] {
        assert!(said.contains(&format!("in the swarm {}:", scene.called(secret))), "{said}");
        assert!(logs.contains(&format!("--- node-home-{}.log", scene.called(secret))), "each has its log");
    }
    let id = |secret: &str| {
        let joined = format!("swarm{{of=\"{}\"}}: node joined node=", scene.fingerprint(secret));
        let ids: Vec<&str> = logs.split(&joined).skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        ids
    };
    let (first, second) = (id("a"), id("b"));
    assert!(first.len() == 2 && second.len() == 2, "an owner and a downloader: {logs}");
    assert!(first.iter().all(|id| !second.contains(id)), "no id is said in both");
}

#[cfg(target_os = "linux")]
#[test]
fn a_tracker_that_a_sender_in_all_swarms_runs_itself_serves_all_of_them() {
    let scene = Scene::new();
    // The port of an embedded tracker is always the same: an address that no other test has at the same time.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = format!("127.78.{high}.{}", low | 1);
    let listen = format!("{host}:0");
    let send = [&["send", "same", "--all-swarms", "--listen", &listen], &BOTH[..]].concat();
    let owner = Program::start(&mut scene.place.riffle(&send));
    owner.wait_for("this node is the tracker now");
    owner.wait_for("riffle download ");
    owner.wait_for("riffle download ");
    let tracker = format!("{host}:12345");
    for secret in ["a", "b"] {
        let (code, listed) = scene.list(&["--secret-file", secret], &tracker);
        assert!(code == 0 && listed.contains("same"), "{listed}");
    }
    let (code, said) = scene.list(&[], &tracker);
    assert!(code == 6 && !said.contains("same"), "{said}");
    owner.interrupt();
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert_eq!(said.iter().filter(|line| line.contains("the tracker now")).count(), 1, "{said:?}");
}

#[test]
fn what_is_done_in_one_swarm_is_not_done_in_several_and_the_same_secret_twice_is_a_mistake() {
    let scene = Scene::new();
    let riffle = |verb: &[&str], flags: &[&str]| run(&mut scene.place.riffle(&[verb, flags].concat()));
    for verb in [&["send", "in-a"][..], &[], &["list", "--wait-complete", "in-a=1"]] {
        let (code, said) = riffle(verb, &BOTH);
        assert!(code == 2 && said.contains("2 secrets are named"), "{verb:?}: {code} {said}");
    }
    let many = ["--secret-file", "a"].repeat(16);
    for verb in [&["tracker", "--listen", "127.0.0.1:0"][..], &["list"]] {
        let (code, said) = riffle(verb, &many);
        assert!(code == 2 && said.contains("16") && said.contains("15"), "{verb:?}: {code} {said}");
    }
    std::fs::copy(scene.place.path().join("a"), scene.place.path().join("copy")).expect("copied");
    for verb in [&["tracker", "--listen", "127.0.0.1:0"][..], &["list"], &["download", "in-a"]] {
        let (code, said) = riffle(verb, &["--secret-file", "a", "--secret-file", "copy"]);
        assert!(code == 2 && said.contains("it has a secret that stands in"), "{verb:?}: {code} {said}");
    }
}
