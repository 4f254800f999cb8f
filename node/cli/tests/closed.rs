//! Closed swarms between the real programs: members find and fetch, everybody else gets no answer at all.
#![cfg(unix)]
#![expect(clippy::disallowed_types, reason = "the stranger of these tests has a socket of its own")]

mod programs;

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use channel::Knock;
use messages::node_to_node::Hello;
use messages::node_to_tracker::{Asker, Need, OwnDigest, Query, Register};
use messages::{BootEpoch, ContentId, Conversation, Cookie, NodeId, NodeToTracker, Prefix};
use programs::{Place, Program, noise, wait_until};
use riffle::{SwarmSecret, SwarmSecrets};

/// A place with two secrets and a file.
struct Scene {
    place: Place,
    film: Vec<u8>,
}

impl Scene {
    fn new() -> Scene {
        let place = Place::new();
        for name in ["ours", "theirs"] {
            let (code, said) = run(&mut place.riffle(&["secret", "new", name]));
            assert_eq!(code, 0, "{said}");
        }
        let film = noise(300_000);
        std::fs::write(place.path().join("film.mkv"), &film).expect("written");
        Scene { place, film }
    }

    fn secret(&self, name: &str) -> SwarmSecret {
        SwarmSecrets::of_file(&self.place.path().join(name)).expect("made").first().clone()
    }

    /// A tracker that was told `flags`, and its address.
    fn tracker(&self, flags: &[&str]) -> (Program, String) {
        let tracker = Program::start(
            &mut self.place.riffle(&[&["tracker", "--listen", "127.0.0.1:0"], flags].concat()),
        );
        let line = tracker.wait_for("listening on ");
        (tracker, last_word(&line))
    }

    /// An owner of the film that was told `flags`, and its address.
    fn owner(&self, flags: &[&str]) -> (Program, SocketAddr) {
        let send = ["send", "film.mkv", "--listen", "127.0.0.1:0", "--id", "owner"];
        let owner = Program::start(&mut self.place.riffle(&[&send, flags].concat()));
        owner.wait_for("riffle download ");
        (owner, self.place.address_of("owner"))
    }

    /// Fetches the film into the folder `name`. Returns the exit code and what was said.
    fn download(&self, name: &str, flags: &[&str]) -> (i32, String) {
        let folder = self.place.folder(name);
        let folder = folder.to_str().expect("text");
        let download = ["download", "film.mkv", "--dir", folder, "--listen", "127.0.0.1:0"];
        run(&mut self.place.riffle(&[&download, flags].concat()))
    }

    fn has_film(&self, folder: &str) -> bool {
        std::fs::read(self.place.path().join(folder).join("film.mkv")).is_ok_and(|bytes| bytes == self.film)
    }
}

fn run(command: &mut Command) -> (i32, String) {
    let (status, lines) = Program::start(command).end();
    (status.code().expect("an exit code"), lines.join("\n"))
}

fn last_word(line: &str) -> String {
    line.trim().rsplit(' ').next().expect("a word").to_owned()
}

/// What somebody says who has not the secret: the first messages of every exchange, in the clear and of the open swarm.
fn of_a_stranger() -> Vec<Vec<u8>> {
    let asker = Asker { node: NodeId::from_bytes([9; 16]), cookie: Cookie::NONE };
    let register = Register { asker, epoch: BootEpoch(1), contents: 0, digest: OwnDigest(0) };
    let need = Need { asker, query: Query::Search { prefix: Prefix::default(), after: None } };
    let (mut registers, mut needs, mut hello) = (Vec::new(), Vec::new(), Vec::new());
    NodeToTracker::from(register).encode(Conversation(9), &mut registers);
    NodeToTracker::from(need).encode(Conversation(9), &mut needs);
    let greeting = Hello {
        nonce: 1,
        content: ContentId::from_bytes([1; 32]),
        node: asker.node,
        conversation: Conversation(9),
        capabilities: 0,
        sent_at: 0,
        cookie: Cookie::NONE,
    };
    messages::encode(Conversation(9), &greeting, &mut hello);
    let knock = |secret| Knock::new(&secret, 7).bytes().to_vec();
    vec![registers, needs, hello, knock(SwarmSecret::open()), knock(SwarmSecret::from_bytes([7; 32]))]
}

/// How many datagrams come back to a stranger who says `datagrams` to `address`. What arrives there later is answered
/// later: a member of the swarm of `secret` knocks behind the stranger, and once it is answered all else has been.
fn answers(address: SocketAddr, datagrams: &[Vec<u8>], secret: &SwarmSecret) -> usize {
    let socket = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (stranger, member) = (socket(), socket());
    for datagram in datagrams {
        stranger.send_to(datagram, address).expect("sent");
    }
    member.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    for chance in 0..3 {
        let knock = Knock::new(secret, chance);
        member.send_to(knock.bytes(), address).expect("sent");
        let length = member.recv(&mut [0; 2048]).expect("members are answered");
        assert_eq!(length, knock.bytes().len());
    }
    stranger.set_nonblocking(true).expect("set");
    std::iter::from_fn(|| stranger.recv(&mut [0; 2048]).ok()).count()
}

#[test]
fn members_share_through_a_closed_tracker_and_the_secret_is_nowhere_else() {
    let scene = Scene::new();
    let closed = ["--secret-file", "ours"];
    let (tracker, address) = scene.tracker(&closed);
    let flags = [&closed[..], &["--tracker", &address]].concat();
    let (owner, _) = scene.owner(&flags);
    let (code, said) = scene.download("member", &flags);
    assert!(code == 0 && scene.has_film("member"), "{code} {said}");
    let (code, listed) = run(&mut scene.place.riffle(&[&["list"], &flags[..]].concat()));
    assert!(code == 0 && listed.contains("film.mkv"), "{listed}");
    let mut by_variable = scene.place.riffle(&["list", "--tracker", &address]);
    let (code, by_variable) = run(by_variable.env("RIFFLE_SECRET_FILE", "ours"));
    assert!(code == 0 && by_variable.contains("film.mkv"), "{by_variable}");
    let shown = [&tracker, &owner].map(|program| what_the_system_shows(program.id())).concat();
    let mut all = vec![said, listed, by_variable];
    for program in [owner, tracker] {
        program.interrupt();
        all.push(program.end().1.join("\n"));
    }
    all.push(scene.place.logs());
    all.push(shown);
    let all = all.join("\n");
    assert!(all.contains("the other side needs the secret too"), "the owner says so");
    assert!(all.contains("--secret-file") == cfg!(target_os = "linux"), "what was said was looked at");
    let secret = scene.secret("ours").text().to_string();
    assert!(!all.contains(&secret["riffle-secret1-".len()..]), "{all}");
    let keys = keys_below(&scene.place.path().join("state"));
    assert!(keys.len() >= 3, "the owner's, the member's and the tracker's, not {}", keys.len());
    for key in keys {
        for written in ways_to_write(&key) {
            assert!(!all.contains(&written), "a key in what was said: {all}");
        }
    }
}

#[test]
fn an_open_ticket_is_all_that_is_needed_and_its_secret_is_written_nowhere() {
    let scene = Scene::new();
    let closed = ["--secret-file", "ours"];
    let (_tracker, address) = scene.tracker(&closed);
    let flags = [&closed[..], &["--tracker", &address, "--open-ticket"]].concat();
    let send = ["send", "film.mkv", "--listen", "127.0.0.1:0", "--id", "owner"];
    let owner = Program::start(&mut scene.place.riffle(&[&send, &flags[..]].concat()));
    let ticket = last_word(&owner.wait_for("riffle download riffle1"));
    let folder = scene.place.folder("guest");
    let download = ["download", &ticket, "--listen", "127.0.0.1:0", "--dir", folder.to_str().expect("text")];
    let (code, said) = run(&mut scene.place.riffle(&download));
    assert!(code == 0 && scene.has_film("guest"), "{code} {said}");
    assert!(!said.contains(&ticket), "{said}");
    // With another swarm's secret beside it the ticket counts, and that is said; of two swarms none is chosen.
    let folder = scene.place.folder("other");
    let with_theirs = ["--secret-file", "theirs", "--dir", folder.to_str().expect("text")];
    let (code, said) = run(&mut scene.place.riffle(&[&download[..4], &with_theirs].concat()));
    assert!(code == 0 && scene.has_film("other") && said.contains("another closed swarm"), "{code} {said}");
    let (code, said) = run(&mut scene.place.riffle(&["download", &ticket, "film.mkv"]));
    assert!(code == 2 && said.contains("one by one"), "{code} {said}");
    // What is in it is shown without the secret.
    let (code, shown) = run(&mut scene.place.riffle(&["info", &ticket]));
    let secret = scene.secret("ours");
    assert!(code == 0 && shown.contains(&secret.fingerprint()), "{shown}");
    let text = secret.text();
    let all = [shown, scene.place.logs()].join("\n");
    assert!(!all.contains(&text["riffle-secret1-".len()..]) && !all.contains(&ticket), "{all}");
    owner.interrupt();
    let said = owner.end().1.join("\n");
    assert!(said.contains("whoever sees it is a member"), "{said}");
    // Without a swarm there is nothing to open.
    let (code, said) = run(&mut scene.place.riffle(&["send", "film.mkv", "--open-ticket"]));
    assert!(code == 2 && said.contains("--secret-file FILE names it"), "{code} {said}");
}

/// What others on the host may see of a process: what it was called with, in which environment, and whether its memory
/// would be written to a core file.
fn what_the_system_shows(process: u32) -> String {
    if cfg!(not(target_os = "linux")) {
        return String::new();
    }
    let read = |name| std::fs::read_to_string(format!("/proc/{process}/{name}")).expect("it runs");
    let limits = read("limits");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    [read("cmdline"), read("environ")].join("\n")
}

/// The static keys in the files below `folder`.
fn keys_below(folder: &Path) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            keys.extend(keys_below(&path));
        } else if path.file_name().is_some_and(|name| name == "key" || name == "tracker.key") {
            keys.push(std::fs::read(path).expect("a key"));
        }
    }
    keys
}

/// How somebody might write a key without meaning to: as text of 16, 32 or 64 digits, or as a list of numbers.
fn ways_to_write(key: &[u8]) -> Vec<String> {
    let numbers: Vec<String> = key.iter().take(8).map(u8::to_string).collect();
    vec![
        data_encoding::HEXLOWER.encode(key),
        data_encoding::HEXUPPER.encode(key),
        data_encoding::BASE32_NOPAD.encode(key).to_lowercase(),
        data_encoding::BASE64_NOPAD.encode(key),
        numbers.join(", "),
    ]
}

#[test]
fn who_has_no_secret_or_another_one_is_told_nothing_and_why_that_may_be() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&["--secret-file", "ours"]);
    let (_owner, _) = scene.owner(&["--secret-file", "ours", "--tracker", &address]);
    let without = "name the secret with --secret-file if the swarm is closed";
    let another = "compare the fingerprint of the secret (riffle secret check FILE";
    let cases: [(&[&str], &str); 3] = [
        (&[], without),
        (&["--loopback-encryption", "always"], without),
        (&["--secret-file", "theirs"], another),
    ];
    let (scene, address) = (&scene, &address);
    let ask = move |number: usize, (flags, cause): (&[&str], &str)| {
        let flags = [flags, &["--tracker", address]].concat();
        let folder = format!("stranger-{number}");
        let (code, said) = scene.download(&folder, &flags);
        assert_eq!(code, 6, "{flags:?}: {said}");
        assert!(said.contains("does not answer") && said.contains(cause), "{flags:?}: {said}");
        assert!(!scene.has_film(&folder));
        let (code, said) = run(&mut scene.place.riffle(&[&["list"], &flags[..]].concat()));
        assert_eq!(code, 6, "{flags:?}: {said}");
        assert!(said.contains(cause) && !said.contains("film"), "{flags:?}: {said}");
    };
    std::thread::scope(|scope| {
        for (number, case) in cases.into_iter().enumerate() {
            scope.spawn(move || ask(number, case));
        }
    });
}

#[test]
fn no_datagram_comes_back_to_a_stranger_from_a_closed_tracker_or_owner() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&["--secret-file", "ours"]);
    let (_owner, owner) = scene.owner(&["--secret-file", "ours", "--tracker", &address]);
    let (ours, theirs) = (scene.secret("ours"), scene.secret("theirs"));
    let mut said = of_a_stranger();
    said.push(Knock::new(&theirs, 7).bytes().to_vec());
    // Whatever follows the header of a message of a channel is worth nothing without the secret.
    said.extend((0x41..=0x46).map(|kind| [b"rf\x02".as_slice(), &[kind], &[0; 1196]].concat()));
    for place in [address.parse().expect("an address"), owner] {
        assert_eq!(answers(place, &said, &ours), 0, "{place}");
    }
}

#[test]
fn the_same_datagrams_are_answered_in_the_open_swarm() {
    let scene = Scene::new();
    let (_tracker, address) = scene.tracker(&[]);
    let flags = ["--loopback-encryption", "prefer", "--tracker", &address];
    let (_owner, owner) = scene.owner(&flags);
    for place in [address.parse().expect("an address"), owner] {
        assert!(answers(place, &of_a_stranger(), &SwarmSecret::open()) > 0, "{place}");
    }
}

/// An address of this host's loopback network that no other test uses at the same time: the port of an embedded tracker
/// is always the same.
#[cfg(target_os = "linux")]
fn own_address() -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.77.{high}.{}", low | 1)
}

#[cfg(target_os = "linux")]
#[test]
fn an_embedded_tracker_is_closed_too_and_who_has_another_secret_learns_that_its_port_is_taken() {
    let scene = Scene::new();
    let host = own_address();
    let listen = format!("{host}:0");
    let send = |id: &str, secret: &[&str]| {
        let arguments = [&["send", "film.mkv", "--listen", &listen, "--id", id], secret].concat();
        Program::start(&mut scene.place.riffle(&arguments))
    };
    let first = send("first", &["--secret-file", "ours"]);
    first.wait_for("this node is the tracker now, for who has the secret alone");
    first.wait_for("riffle download ");
    let tracker: SocketAddr = format!("{host}:12345").parse().expect("an address");
    assert_eq!(answers(tracker, &of_a_stranger(), &scene.secret("ours")), 0);
    // A second member finds the tracker by knocking, and uses it.
    let second = send("second", &["--secret-file", "ours"]);
    second.wait_for("riffle download ");
    for secret in [&["--secret-file", "theirs"][..], &["--loopback-encryption", "always"]] {
        let stranger = send("stranger", secret);
        stranger.wait_for("another program has UDP port 12345 of this host");
        stranger.interrupt();
        stranger.end();
    }
    second.interrupt();
    let said = second.end().1.join("\n");
    assert!(!said.contains("the tracker now"), "{said}");
}

#[test]
fn a_rotation_lets_nobody_out_until_its_overlap_ends() {
    let scene = Scene::new();
    // The owner has a copy, which is not rotated with the others.
    std::fs::copy(scene.place.path().join("ours"), scene.place.path().join("copy")).expect("copied");
    let (_tracker, address) = scene.tracker(&["--secret-file", "ours"]);
    let (_owner, _) = scene.owner(&["--secret-file", "copy", "--tracker", &address]);
    let (code, said) = run(&mut scene.place.riffle(&["secret", "rotate", "ours", "--overlap", "1h"]));
    let new = scene.secret("ours");
    assert!(code == 0 && said.contains(&new.fingerprint()) && !said.contains(&*new.text()), "{code} {said}");
    // The tracker reads its file again by itself.
    let fingerprint = new.fingerprint();
    wait_until("the tracker reads the file", || scene.place.logs().contains(&fingerprint));
    for (folder, secret) in [("new", "ours"), ("old", "copy")] {
        let flags = ["--secret-file", secret, "--tracker", &address];
        let (code, said) = scene.download(folder, &flags);
        assert!(code == 0 && scene.has_film(folder), "{folder}: {code} {said}");
    }
    // Only now is the owner told, which goes on without a restart when the old secret ends.
    std::fs::copy(scene.place.path().join("ours"), scene.place.path().join("copy.new")).expect("copied");
    std::fs::rename(scene.place.path().join("copy.new"), scene.place.path().join("copy")).expect("renamed");
    wait_until("the owner reads the file", || scene.place.logs().matches(&fingerprint).count() >= 2);
    std::fs::write(scene.place.path().join("ours"), format!("{}\n", *new.text())).expect("written");
    wait_until("the old secret ends", || scene.place.logs().contains("older=0"));
    let (code, said) = scene.download("after", &["--secret-file", "ours", "--tracker", &address]);
    assert!(code == 0 && scene.has_film("after"), "{code} {said}");
    let (code, said) = run(&mut scene.place.riffle(&["secret", "rotate", "ours", "--overlap", "0"]));
    assert!(code == 0 && said.contains("no other is good any more"), "{code} {said}");
    assert_eq!(scene.place.riffle(&["secret", "show", "ours"]).output().expect("run").stdout.len(), 74);
}

/// Who the node with this label is.
fn id_of(scene: &Scene, label: &str) -> String {
    let (code, said) = run(&mut scene.place.riffle(&["id", "--id", label]));
    assert_eq!(code, 0, "{said}");
    let id = last_word(&said);
    let (code, json) = run(&mut scene.place.riffle(&["id", "--id", label, "--json"]));
    assert_eq!((code, json), (0, format!("{{\"node\":\"{id}\"}}")));
    id
}

#[test]
fn only_who_is_in_the_list_of_members_is_answered_and_who_is_let_go_is_forgotten_without_a_restart() {
    let scene = Scene::new();
    let list = scene.place.path().join("members");
    let lines = ["owner", "ada", "bob"].map(|label| format!("allow {} # {label}\n", id_of(&scene, label)));
    std::fs::write(&list, lines.concat()).expect("written");
    let (_tracker, address) = scene.tracker(&["--secret-file", "ours", "--members-file", "members"]);
    let flags = ["--secret-file", "ours", "--tracker", &address];
    let (owner, _) = scene.owner(&[&flags[..], &["--members-file", "members"]].concat());
    let fetch = |folder: &str, label: &str| scene.download(folder, &[&flags[..], &["--id", label]].concat());
    let ask = |label: &str| {
        let (code, said) = run(&mut scene.place.riffle(&[&["list", "--id", label], &flags[..]].concat()));
        (code, said.contains("film.mkv"))
    };
    for label in ["ada", "bob"] {
        assert_eq!(ask(label), (0, true), "{label} asks as the node of that label");
        let (code, said) = fetch(label, label);
        assert!(code == 0 && scene.has_film(label), "{label}: {code} {said}");
    }
    // Who asks while it runs is answered, and the running node stays what it is.
    assert_eq!(ask("owner"), (0, true));
    assert_eq!(ask("eve"), (6, false), "she has the secret, and is in no list");
    let (code, said) = fetch("eve", "eve");
    assert!(code == 6 && !scene.has_film("eve"), "{code} {said}");
    // A damaged list changes nothing, and the log says so.
    std::fs::write(&list, "allow\n").expect("written");
    wait_until("the list is read", || {
        scene.place.logs().matches("the members stay who they were").count() >= 2
    });
    assert_eq!(ask("ada"), (0, true));
    // Bob is let go, and the owner, which the tracker forgets at once.
    let denied = ["owner", "bob"].map(|label| format!("deny {}\n", id_of(&scene, label))).concat();
    std::fs::write(&list, lines.concat() + &denied).expect("written");
    wait_until("the list is read", || {
        scene.place.logs().matches("the list of members has changed").count() >= 2
    });
    assert!(scene.place.logs().contains("node let go: it is no member any more"));
    assert_eq!(ask("bob"), (6, false));
    assert_eq!(ask("ada"), (3, false), "nobody is sent to the owner");
    owner.interrupt();
    owner.end();
}

#[test]
fn a_list_of_members_with_a_mistake_is_no_list_at_the_start() {
    let scene = Scene::new();
    let list = scene.place.path().join("members");
    std::fs::write(&list, "# who is in\nallow me\n").expect("written");
    for command in
        [&["tracker", "--listen", "127.0.0.1:0"][..], &["send", "film.mkv", "--listen", "127.0.0.1:0"]]
    {
        let (code, said) = run(&mut scene.place.riffle(&[command, &["--members-file", "members"]].concat()));
        assert!(
            code == 10 && said.contains("members: line 2: the id of a node is"),
            "{command:?}: {code} {said}"
        );
        let clear = [command, &["--members-file", "members", "--encryption", "never"]].concat();
        let (code, said) = run(&mut scene.place.riffle(&clear));
        assert!(code == 2 && said.contains("contradicts a secret or a list of members"), "{code} {said}");
    }
}

#[test]
fn the_demo_is_a_swarm_of_its_own() {
    let scene = Scene::new();
    let mut demo = scene.place.riffle(&["demo", "film.mkv"]);
    let (code, said) = run(demo.env("RIFFLE_SECRET_FILE", "ours"));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_secret_is_made_once_shown_only_when_asked_for_and_known_by_its_fingerprint() {
    let scene = Scene::new();
    let riffle = |arguments: &[&str]| run(&mut scene.place.riffle(arguments));
    let text = scene.secret("ours").text().to_string();
    let path = scene.place.path().join("ours");
    assert_eq!(std::fs::metadata(&path).expect("made").permissions().mode() & 0o777, 0o600);
    let (code, said) = riffle(&["secret", "new", "ours"]);
    assert!(code == 13 && said.contains("it is there already") && !said.contains(&text), "{code} {said}");
    assert_eq!(riffle(&["secret", "show", "ours"]), (0, text.clone()));
    let (code, said) = riffle(&["secret", "check", "ours"]);
    let fingerprint = scene.secret("ours").fingerprint();
    assert!(code == 0 && said.contains(&fingerprint) && !said.contains(&text), "{code} {said}");
    let (code, said) = riffle(&["secret", "new", "another"]);
    assert!(code == 0 && said.contains(&scene.secret("another").fingerprint()), "{code} {said}");
    assert!(!said.contains("riffle-secret1-"), "{said}");
    let (code, said) = riffle(&["secret", "check", "film.mkv"]);
    assert!(code == 8 && said.contains("it is not a file of secrets"), "{code} {said}");
}

#[test]
fn a_secret_that_others_may_read_is_used_by_no_program_and_what_to_do_is_said() {
    let scene = Scene::new();
    let path = scene.place.path().join("ours");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let commands: [&[&str]; 6] = [
        &["secret", "check", "ours"],
        &["secret", "show", "ours"],
        &["tracker", "--listen", "127.0.0.1:0", "--secret-file", "ours"],
        &["send", "film.mkv", "--listen", "127.0.0.1:0", "--secret-file", "ours"],
        &["download", "film.mkv", "--listen", "127.0.0.1:0", "--secret-file", "ours"],
        &["list", "--secret-file", "ours"],
    ];
    for command in commands {
        let (code, said) = run(&mut scene.place.riffle(command));
        assert_eq!(code, 10, "{command:?}: {said}");
        assert!(said.contains("ours: others may read it (mode 0644): chmod 600"), "{said}");
        assert!(!said.contains("riffle-secret1-"), "{said}");
    }
    let (code, said) = run(&mut scene.place.riffle(&["tracker", "--secret-file", "nowhere"]));
    assert!(code == 10 && said.contains("the secret file nowhere: No such file"), "{code} {said}");
}

#[test]
fn with_a_secret_nothing_can_be_asked_for_in_the_clear() {
    let scene = Scene::new();
    for verb in [&["tracker"][..], &["send", "film.mkv"], &["list"]] {
        for option in ["--encryption", "--loopback-encryption"] {
            let arguments = [verb, &["--secret-file", "ours", option, "never"]].concat();
            let (code, said) = run(&mut scene.place.riffle(&arguments));
            assert_eq!(code, 2, "{arguments:?}: {said}");
            assert!(
                said.contains(&format!("{option} \"never\" contradicts a secret or a list of members")),
                "{said}"
            );
        }
    }
}
