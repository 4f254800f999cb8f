//! The real program on real sockets: prompts, one-shot verbs, exit codes, the embedded tracker, two hosts.
#![expect(clippy::disallowed_types, reason = "these tests meet the programs over real sockets and files")]

mod programs;

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use messages::node_to_node::{ByteRange, Hello, Request};
use messages::{ContentId, Conversation, Cookie, Datagram, List, NodeId, NodeToNode, PieceIndex};
use programs::{Place, Program, noise};

const MIB: usize = 1 << 20;

/// The line that `send` prints for the other side, and its content id.
fn wait_for_the_line(owner: &Program) -> (String, String) {
    let line = owner.wait_for("riffle download --tracker ");
    let id = line.split_whitespace().last().expect("an id").to_owned();
    assert_eq!(id.len(), 64, "{line}");
    (line, id)
}

fn code_of(mut command: Command) -> (i32, Vec<String>) {
    let (status, said) = Program::start(&mut command).end();
    (status.code().unwrap_or_else(|| panic!("ended by a signal: {status}")), said)
}

#[test]
fn three_owners_serve_one_download_by_piped_prompt() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let bytes = noise(64 * MIB);
    fs::write(place.path().join("film.bin"), &bytes).expect("written");
    let mut owners: Vec<Program> = (0..3)
        .map(|_| Program::start(&mut place.riffle(&["--tracker", &tracker, "--listen", "127.0.0.1:0"])))
        .collect();
    for owner in &mut owners {
        owner.say("send film.bin");
        wait_for_the_line(owner);
    }
    let saved = place.folder("saved");
    let mut downloader = place.riffle(&["--tracker", &tracker, "--listen", "127.0.0.1:0"]);
    let mut downloader = Program::start(downloader.current_dir(&saved));
    downloader.say("download film.bin");
    downloader.end_of_input();
    let (status, said) = downloader.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(fs::read(saved.join("film.bin")).expect("saved") == bytes, "the copy differs");
    assert_eq!(fs::read_dir(&saved).expect("there").count(), 1, "nothing is left beside it");
    let summary = said.iter().find(|line| line.contains("; from ")).unwrap_or_else(|| panic!("{said:#?}"));
    assert_eq!(summary.matches('%').count(), 3, "every owner has served: {summary}");
    for mut owner in owners {
        owner.say("exit");
        assert_eq!(owner.end().0.code(), Some(0));
    }
    let logs = place.logs();
    assert!(logs.contains("node-1.log") && logs.contains("node-4.log"), "{logs}");
    // The log names what happened, but not each of 256 pieces.
    let lines = logs.lines().count();
    assert!(lines < 150, "{lines} lines in the logs:\n{logs}");
}

#[test]
fn the_smallest_files_and_the_strangest_names_arrive() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let files: [(&str, &[u8]); 3] =
        [("empty", b""), ("one byte.bin", b"x"), ("naïve – 文件 'quoted'.txt", b"text")];
    let mut owner = Program::start(&mut place.riffle(&["--tracker", &tracker, "--listen", "127.0.0.1:0"]));
    for (name, bytes) in files {
        fs::write(place.path().join(name), bytes).expect("written");
        owner.say(&format!("send \"{name}\""));
        wait_for_the_line(&owner);
    }
    let saved = place.folder("saved");
    for (name, bytes) in files {
        let arguments = ["--tracker", &tracker, "--dir", saved.to_str().expect("text"), "download", name];
        let (code, said) = code_of(place.riffle(&arguments));
        assert_eq!(code, 0, "{name}: {said:#?}");
        assert_eq!(fs::read(saved.join(name)).expect("saved"), bytes, "{name}");
    }
}

#[test]
fn hundreds_of_small_files_come_by_one_command() {
    const FILES: usize = 300;
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let names: Vec<String> = (0..FILES).map(|number| format!("part-{number:03}.bin")).collect();
    // No two lengths are alike, and some end in the middle of a datagram.
    let contents: Vec<Vec<u8>> =
        (0..FILES).map(|number| [&number.to_le_bytes()[..], &noise(9_000 + number * 7)].concat()).collect();
    let source = place.folder("source");
    for (name, bytes) in names.iter().zip(&contents) {
        fs::write(source.join(name), bytes).expect("written");
    }
    let common = ["--tracker", &tracker, "--listen", "127.0.0.1:0"];
    let mut owner = place.riffle(&common);
    let owner = Program::start(owner.arg("send").args(&names).current_dir(&source));
    // A name that the tracker does not know is a failure at once: all must have been announced, in any order.
    (0..FILES).for_each(|_| drop(owner.wait_for("sharing part-")));
    let saved = place.folder("saved");
    let mut download = place.riffle(&common);
    download.arg("download").args(&names).current_dir(&saved);
    let (code, said) = code_of(download);
    assert_eq!(code, 0, "{said:#?}");
    for (name, bytes) in names.iter().zip(&contents) {
        assert!(fs::read(saved.join(name)).expect("saved") == *bytes, "{name} differs");
    }
    assert_eq!(fs::read_dir(&saved).expect("a folder").count(), FILES, "nothing else is left there");
}

#[test]
fn one_shot_verbs_leave_with_the_codes_that_the_help_names() {
    let place = Place::new();
    let (_tracker, tracker) = place.quick_tracker();
    let saved = place.folder("saved");
    let other = place.folder("other");
    fs::write(place.path().join("a.bin"), noise(300_000)).expect("written");
    fs::write(other.join("a.bin"), noise(300_001)).expect("written");

    let owner = Program::start(&mut place.riffle(&["send", "--tracker", &tracker, "a.bin"]));
    let (_, id) = wait_for_the_line(&owner);
    let tracker_flag = ["--tracker", tracker.as_str()];
    let download = |more: &[&str]| {
        let mut command = place.riffle(&[&["download"], more, &tracker_flag].concat());
        command.current_dir(&saved);
        code_of(command)
    };
    assert_eq!(download(&["a.bin"]).0, 0, "by name");
    let (code, said) = download(&["a.bin"]);
    assert_eq!(
        (code, said.iter().any(|line| line.contains("already"))),
        (0, true),
        "the same again: {said:#?}"
    );
    assert_eq!(download(&[&id, "-o", "by-id.bin"]).0, 0, "by id, elsewhere");
    assert_eq!(fs::read(saved.join("by-id.bin")).expect("saved"), noise(300_000));
    fs::write(saved.join("taken.bin"), b"mine").expect("written");
    assert_eq!(download(&[&id, "-o", "taken.bin"]).0, 13, "the target exists with other content");
    assert_eq!(fs::read(saved.join("taken.bin")).expect("still there"), b"mine");
    let (code, said) = download(&["nobody-has-this"]);
    assert_eq!(code, 3, "{said:#?}");
    assert_eq!(download(&[]).0, 2, "nothing to download");
    assert_eq!(download(&["a.bin", "--timeout", "soon"]).0, 2, "no duration");

    let second = Program::start(&mut place.riffle(&["--tracker", &tracker, "send", "other/a.bin"]));
    let (_, second_id) = wait_for_the_line(&second);
    let (code, said) = download(&["a.bin", "-o", "which.bin"]);
    assert_eq!(code, 2, "one name, two contents: {said:#?}");
    assert!(said.iter().any(|line| line.contains(&second_id[..8])), "{said:#?}");
    let chosen = format!("a.bin@{}", &second_id[..8]);
    assert_eq!(download(&[&chosen, "-o", "which.bin"]).0, 0);
    assert_eq!(fs::read(saved.join("which.bin")).expect("saved"), noise(300_001));

    for program in [owner, second] {
        program.interrupt();
        assert_eq!(program.end().0.code(), Some(0), "Ctrl-C ends a send");
    }
}

#[test]
fn what_people_mistype_is_named_in_one_line() {
    let place = Place::new();
    let send = |file: &str| code_of(place.riffle(&["send", "--tracker", "127.0.0.1:1", file]));
    for file in ["missing.bin", "/dev/zero"] {
        let (code, said) = send(file);
        assert_eq!(code, 10, "{file}: {said:#?}");
        assert!(said.iter().any(|line| line.contains(file)), "{said:#?}");
    }
    let (code, said) =
        code_of(place.riffle(&["download", "--tracker", "127.0.0.1:1", "x", "--timeout", "1s"]));
    assert_eq!(code, 6, "no tracker: {said:#?}");
    let (code, said) = code_of(place.riffle(&["download", "--tracker", "not an address", "x"]));
    assert_eq!((code, said.iter().any(|line| line.contains("not an address"))), (2, true), "{said:#?}");

    fs::write(place.path().join("node.toml"), "[download]\nownrs = 3\n").expect("written");
    let (code, said) = code_of(place.riffle(&["--config", "node.toml", "download", "x"]));
    assert_eq!(code, 2);
    assert!(said.iter().any(|line| line.contains("ownrs") && line.contains("owners")), "{said:#?}");

    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").to_string();
    let (code, said) =
        code_of(place.riffle(&["--listen", &port, "--tracker", "127.0.0.1:1", "download", "x"]));
    assert_eq!((code, said.iter().any(|line| line.contains(&port))), (2, true), "{said:#?}");
    assert_eq!(code_of(place.riffle(&["tracker", "--listen", &port])).0, 2);

    let mut prompt = Program::start(&mut place.riffle(&["--tracker", "127.0.0.1:1"]));
    prompt.say("dowload x");
    prompt.wait_for("download");
    prompt.say("help");
    prompt.wait_for("send");
    prompt.say("exit");
    assert_eq!(prompt.end().0.code(), Some(2), "a script is told of its mistake");
}

#[test]
fn ipv6_and_ipv4_nodes_meet_at_one_tracker() {
    let place = Place::new();
    let tracker = Program::start(&mut place.riffle(&["tracker", "--listen", "[::]:0"]));
    let line = tracker.wait_for("listening on ");
    let port = line.trim().rsplit(':').next().expect("a port").to_owned();
    let (over_v4, over_v6) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    fs::write(place.path().join("a.bin"), noise(2 * MIB)).expect("written");
    let owner =
        Program::start(&mut place.riffle(&["--tracker", &over_v6, "--listen", "[::1]:0", "send", "a.bin"]));
    wait_for_the_line(&owner);
    // A node on all interfaces reaches owners of both families.
    for (folder, tracker) in [("v6", &over_v6), ("v4", &over_v4)] {
        let saved = place.folder(folder);
        let arguments = ["--tracker", tracker, "--dir", saved.to_str().expect("text"), "download", "a.bin"];
        let (code, said) = code_of(place.riffle(&arguments));
        assert_eq!(code, 0, "{folder}: {said:#?}");
        assert_eq!(fs::read(saved.join("a.bin")).expect("saved"), noise(2 * MIB));
    }
}

#[test]
fn a_label_in_use_is_refused() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let mut first = Program::start(&mut place.riffle(&["--id", "kitchen", "--tracker", &tracker]));
    first.say("list");
    first.say("help");
    first.wait_for("send");
    let (code, said) = code_of(place.riffle(&["--id", "kitchen", "--tracker", &tracker, "download", "x"]));
    assert_eq!(code, 11, "{said:#?}");
}

/// A REQUEST behind the first 4 GiB of a sparse file, by a downloader made of nothing but messages.
#[test]
fn a_sparse_file_beyond_four_gib_is_served() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let file = fs::File::create(place.path().join("sparse.bin")).expect("created");
    let tail = noise(5000);
    let length = (4 << 30) + 5000;
    file.set_len(length).expect("sparse");
    std::os::unix::fs::FileExt::write_all_at(&file, &tail, 4 << 30).expect("written");
    let port = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let arguments = ["send", "--tracker", &tracker, "--listen", &port, "sparse.bin"];
    let owner = Program::start(&mut place.riffle(&arguments));
    let (_, id) = wait_for_the_line(&owner);

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(&port).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    let mut buffer = vec![0; 65_536];
    let mut ask = |out: &[u8]| -> Vec<u8> {
        socket.send(out).expect("sent");
        let length = socket.recv(&mut buffer).expect("an answer");
        buffer[..length].to_vec()
    };
    let content: ContentId = id.parse().expect("an id");
    let conversation = Conversation(7);
    let hello = |cookie| {
        let node = NodeId::from_bytes([9; 16]);
        let hello = Hello { nonce: 1, content, node, conversation, capabilities: 0, sent_at: 0, cookie };
        let mut bytes = Vec::new();
        messages::encode(conversation, &hello, &mut bytes);
        bytes
    };
    let answer = ask(&hello(Cookie::NONE));
    let Ok(Datagram::Peer(_, NodeToNode::Retry(retry))) = Datagram::decode(&answer) else {
        panic!("{answer:?}")
    };
    let answer = ask(&hello(retry.cookie));
    let Ok(Datagram::Peer(_, NodeToNode::Welcome(welcome))) = Datagram::decode(&answer) else {
        panic!("{answer:?}")
    };
    assert_eq!(welcome.length, length);
    let layout = messages::Layout::of(length).expect("a length");
    let piece = PieceIndex(((4u64 << 30) / u64::from(layout.piece_size())) as u32);
    let offset = ((4u64 << 30) - layout.span(piece).expect("a piece").start) as u32;
    let range = ByteRange::new(piece, offset, 1000).expect("a range");
    let request = Request {
        first_request: 1,
        highest_sequence: 0,
        ping_echo: 0,
        segment_size: 1168,
        ranges: List::first_of([range]),
    };
    let mut bytes = Vec::new();
    messages::encode(welcome.conversation, &request, &mut bytes);
    let answer = ask(&bytes);
    let Ok(Datagram::Chunk(_, payload)) = Datagram::decode(&answer) else { panic!("{answer:?}") };
    assert!(payload == &tail[..1000], "other bytes than those behind the first 4 GiB");
}

/// Namespaces of its own, where the process may make them: port 12345 is free there, and hosts are apart.
fn namespace_allowed() -> bool {
    let script = "command -v ip nsenter >/dev/null && ip link set lo up";
    let allowed =
        Command::new("unshare").args(["--net", "bash", "-c", script]).stderr(Stdio::null()).status();
    let allowed = allowed.is_ok_and(|status| status.success());
    if !allowed {
        eprintln!(
            "skipped: network namespaces cannot be made here (root, `unshare`, `nsenter` and `ip` are needed)"
        );
    }
    allowed
}

/// The shell script `script` with `$RIFFLE`, in network namespaces of its own.
fn in_a_namespace(place: &Place, script: &str) -> (i32, Vec<String>) {
    let riffle = place.riffle(&[]);
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "bash", "-euc", script]);
    command.current_dir(place.path()).env("RIFFLE", env!("CARGO_BIN_EXE_riffle"));
    for (name, value) in riffle.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    code_of(command)
}

#[test]
fn the_first_node_embeds_the_tracker() {
    if !namespace_allowed() {
        return;
    }
    let place = Place::new();
    fs::write(place.path().join("a.bin"), noise(3 * MIB)).expect("written");
    place.folder("saved");
    let script = r#"
        ip link set lo up
        "$RIFFLE" send a.bin >line.txt 2>notes.txt & owner=$!
        trap 'kill $owner' EXIT
        for _ in $(seq 200); do grep -q '^riffle download' line.txt && break; read -rt 0.05 <> <(:) || :; done
        cat notes.txt
        cd saved
        "$RIFFLE" download a.bin
    "#;
    let (code, said) = in_a_namespace(&place, script);
    assert_eq!(code, 0, "{said:#?}");
    assert!(said.iter().any(|line| line.contains("tracker")), "it says that it is the tracker: {said:#?}");
    assert_eq!(fs::read(place.path().join("saved/a.bin")).expect("saved"), noise(3 * MIB));
}

#[test]
fn the_printed_line_works_as_it_stands_on_another_host() {
    if !namespace_allowed() {
        return;
    }
    let place = Place::new();
    fs::write(place.path().join("two words.bin"), noise(3 * MIB)).expect("written");
    place.folder("saved");
    // Two hosts, one cable, no default route: the second is a namespace that the first one's shell holds open.
    let script = r#"
        ip link set lo up
        unshare --net sleep 60 & other=$!
        trap 'kill $other $owner 2>/dev/null' EXIT
        owner=
        for _ in $(seq 100); do
            [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
            read -rt 0.05 <> <(:) || :
        done
        ip link add cable0 type veth peer name cable1 netns /proc/$other/ns/net
        ip addr add 10.83.0.1/24 dev cable0
        ip link set cable0 up
        inside() { nsenter --net=/proc/$other/ns/net "$@"; }
        inside ip link set lo up
        inside ip addr add 10.83.0.2/24 dev cable1
        inside ip link set cable1 up
        "$RIFFLE" send 'two words.bin' >line.txt 2>notes.txt & owner=$!
        for _ in $(seq 200); do grep -q '^riffle download' line.txt && break; read -rt 0.05 <> <(:) || :; done
        cat line.txt notes.txt
        cd saved
        riffle() { inside "$RIFFLE" "$@"; }
        eval "$(grep '^riffle download' ../line.txt)"
    "#;
    let (code, said) = in_a_namespace(&place, script);
    assert_eq!(code, 0, "{said:#?}");
    let (ticket, asked) = ("riffle download riffle1", "asking the ticket's tracker 10.83.0.1:12345");
    assert!(said.iter().any(|line| line.starts_with(ticket)), "{said:#?}");
    assert!(said.iter().any(|line| line == asked), "{said:#?}");
    assert_eq!(fs::read(place.path().join("saved/two words.bin")).expect("saved"), noise(3 * MIB));
}
