//! `list`, `status` and `peers` from the shell, and what they distinguish: nodes that have a content, nodes that still
//! download it, and ids that begin alike.
#![expect(clippy::disallowed_types, reason = "these tests meet the programs over real sockets and files")]

mod programs;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Command;

use programs::{Place, Program, Scene, noise, wait_until};

/// The exit code of `command`, and the lines that it wrote.
fn code_of(mut command: Command) -> (i32, Vec<String>) {
    let (status, said) = Program::start(&mut command).end();
    (status.code().unwrap_or_else(|| panic!("ended by a signal: {status}")), said)
}

const HOST: &str = "127.0.0.1";

/// Starts a node labelled `label` that shares `bytes` as `name`, and returns the program and the file's id.
fn send(scene: &Scene, label: &str, name: &str, bytes: &[u8]) -> (Program, String) {
    let folder = scene.place.folder(label);
    fs::write(folder.join(name), bytes).expect("written");
    let owner = Program::start(scene.riffle(HOST, &["--id", label, "send", name]).current_dir(&folder));
    let line = owner.wait_for("riffle download --tracker ");
    (owner, line.split_whitespace().last().expect("an id").to_owned())
}

#[test]
fn list_shows_what_the_tracker_knows_and_nobody_joins() {
    let scene = Scene::new();
    let list = |more: &[&str]| code_of(scene.riffle(HOST, &[&["list"], more].concat()));
    let (code, said) = list(&[]);
    assert_eq!(code, 3, "{said:#?}");
    let (_a, a) = send(&scene, "one", "a.bin", &noise(300_000));
    let (_b, b) = send(&scene, "two", "b.bin", &noise(300_001));
    let (code, said) = list(&[]);
    assert_eq!(code, 0, "{said:#?}");
    // Without a terminal, ids are shown whole and each line has the same columns.
    let line = |id: &str, name: &str| format!("{id}    293 KiB  {:<32}  {name}", "1 host: 1 complete");
    assert_eq!(said, [line(&a, "a.bin"), line(&b, "b.bin")]);
    assert_eq!(list(&["b"]), (0, vec![line(&b, "b.bin")]));
    assert_eq!(list(&[&a[..8]]), (0, vec![line(&a, "a.bin")]), "by the beginning of its id");
    assert_eq!(list(&[&a]), (0, vec![line(&a, "a.bin")]));
    assert_eq!(list(&["c"]).0, 3);
    let state = fs::read_dir(scene.place.path().join("state")).expect("a folder").flatten();
    let mut nodes: Vec<_> =
        state.map(|entry| entry.file_name()).filter(|name| name != "tracker.key").collect();
    nodes.sort();
    assert_eq!(nodes, ["node-one", "node-two"], "only who sends is a node");
}

#[test]
fn list_exits_with_code_six_when_the_tracker_is_silent() {
    let place = Place::new();
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound").to_string();
    let both = [&[][..], &["--wait-complete", "x=1"]]
        .map(|more| Program::start(&mut place.riffle(&[&["list", "--tracker", &address], more].concat())));
    for program in both {
        let (status, said) = program.end();
        assert_eq!(status.code(), Some(6), "{said:#?}");
        assert!(said.iter().any(|line| line.contains(&address)), "{said:#?}");
    }
}

#[test]
fn list_waits_until_enough_nodes_have_the_content() {
    let scene = Scene::new();
    let (_owner, id) = send(&scene, "owner", "lab.img", &noise(3 << 20));
    let waits = |goals: &[&str]| {
        let goals = goals.iter().flat_map(|goal| ["--wait-complete", goal]);
        scene.riffle(HOST, &[&["list"], &goals.collect::<Vec<_>>()[..]].concat())
    };
    let mut late = waits(&["lab.img=3", &format!("{}=1", &id[..8])]);
    late.args(["--timeout", "3s"]);
    let (code, said) = code_of(late);
    assert_eq!(code, 5, "{said:#?}");
    assert!(said.iter().any(|line| line.starts_with(&id)), "what is reached is shown: {said:#?}");
    assert!(said.contains(&"lab.img: 1 complete; waited for 3 complete".to_owned()), "{said:#?}");

    let waiting = Program::start(&mut waits(&["lab.img=3", "later.img=1"]));
    let downloaders: Vec<Program> = ["x", "y"]
        .map(|label| {
            let folder = scene.place.folder(label);
            let mut download = scene.riffle(HOST, &["--id", label, "download", "--stay", "lab.img"]);
            Program::start(download.current_dir(folder))
        })
        .into();
    waiting.wait_for("3 complete");
    let (_later, _) = send(&scene, "later", "later.img", b"later");
    let (status, said) = waiting.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.iter().any(|line| line.ends_with("later.img")), "{said:#?}");
    for downloader in downloaders {
        downloader.interrupt();
        assert_eq!(downloader.end().0.code(), Some(0));
    }
}

#[test]
fn status_and_peers_show_what_running_nodes_do() {
    let scene = Scene::new();
    let look = |arguments: &[&str]| code_of(scene.place.riffle(arguments));
    for verb in ["status", "peers"] {
        assert_eq!(look(&[verb]).0, 3, "none runs");
    }
    let (mut owner, id) = send(&scene, "owner", "film.bin", &noise(300_000));
    let mut prompt = Program::start(&mut scene.riffle(HOST, &["--id", "7"]));
    prompt.say("status");
    prompt.wait_for("limits: ");
    let (code, said) = look(&["status"]);
    assert_eq!(code, 0, "{said:#?}");
    let tracker = &scene.tracker;
    let of_owner = [
        format!("tracker {tracker} answers, in the clear"),
        format!("share film.bin: {} 293 KiB, 0 B sent", &id[..8]),
        "limits: up none, down none".to_owned(),
        look(&["id", "--id", "owner"]).1[0].replacen("node", "id", 1),
    ];
    assert_eq!(said[0], "node 7:", "{said:#?}");
    let at = said.iter().position(|line| line == "node owner:").expect("each under its label");
    assert_eq!(said[at + 1..], of_owner.clone().map(|line| format!("  {line}")));
    assert_eq!(look(&["status", "--id", "owner"]), (0, of_owner.to_vec()));
    assert_eq!(look(&["peers", "--id", "7"]), (0, vec!["no sessions".to_owned()]));
    assert_eq!(look(&["status", "--id", "8"]).0, 3);

    let socket = |label: &str| scene.place.path().join("state").join(format!("node-{label}")).join("control");
    let metadata = fs::metadata(socket("owner")).expect("there");
    assert!(metadata.file_type().is_socket() && metadata.permissions().mode() & 0o777 == 0o600);
    owner.kill();
    assert_eq!(look(&["status", "--id", "owner"]).0, 3, "what a killed node left answers nothing");
    let (owner, _) = send(&scene, "owner", "film.bin", &noise(300_000));
    wait_until("the next life answers", || look(&["status", "--id", "owner"]).0 == 0);
    owner.interrupt();
    assert_eq!(owner.end().0.code(), Some(0));
    prompt.say("exit");
    assert_eq!(prompt.end().0.code(), Some(0));
    assert!(!socket("owner").exists() && !socket("7").exists(), "who leaves takes its socket along");
    assert_eq!(look(&["peers"]).0, 3);
}

#[test]
fn the_first_digits_of_an_id_are_offered_and_fetch_the_content() {
    let scene = Scene::new();
    let folder = scene.place.folder("source");
    fs::write(folder.join("film.bin"), noise(300_000)).expect("written");
    let owner = Program::start(scene.riffle(HOST, &["send", "film.bin"]).current_dir(&folder));
    let offer = owner.wait_for("sharing film.bin");
    let (_, listed) = code_of(scene.riffle(HOST, &["list"]));
    let id = listed[0].split_whitespace().next().expect("an id");
    assert!(offer.contains(&format!("id {} for short", &id[..16])) && offer.len() <= 80, "{offer}");
    for digits in [8, 16, 63] {
        let folder = scene.place.folder(&format!("saved-{digits}"));
        let mut download = scene.riffle(HOST, &["download", &id[..digits]]);
        download.current_dir(&folder);
        let (code, said) = code_of(download);
        assert_eq!(code, 0, "{said:#?}");
        assert_eq!(fs::read(folder.join("film.bin")).expect("saved"), noise(300_000));
    }
}

#[test]
fn the_newest_of_one_name_is_taken_when_asked_for() {
    let scene = Scene::new();
    let (_old, _) = send(&scene, "old", "lab.img", &noise(300_000));
    let (_new, new) = send(&scene, "new", "lab.img", &noise(300_001));
    let saved = scene.place.folder("saved");
    let download = |more: &[&str]| {
        let mut command = scene.riffle(HOST, &[&["download", "lab.img"], more].concat());
        command.current_dir(&saved);
        code_of(command)
    };
    let (code, said) = download(&[]);
    assert_eq!(code, 2, "{said:#?}");
    let hint = "or the one that was called so last, which anybody can be: riffle download --newest lab.img";
    assert!(said.iter().any(|line| line == hint), "{said:#?}");
    assert!(said.iter().any(|line| line.contains(&new[..8]) && line.contains("1 complete")), "{said:#?}");
    assert_eq!(download(&["--newest"]).0, 0);
    assert_eq!(fs::read(saved.join("lab.img")).expect("saved"), noise(300_001));
    let (code, said) = code_of(scene.riffle(HOST, &["list", "--wait-complete", "lab.img=1"]));
    assert_eq!(code, 2, "{said:#?}");
    let hint = "  riffle list --wait-complete 'lab.img@";
    assert!(said.iter().any(|line| line.starts_with(hint)), "{said:#?}");
}
