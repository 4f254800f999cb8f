//! Real processes with little to live on: few descriptors for many files.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_types, reason = "these tests meet the programs over real sockets and files")]

mod programs;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use messages::node_to_node::Hello;
use messages::{ContentId, Conversation, Cookie, Datagram, NodeId, NodeToNode};
use programs::{Place, Program};

const FILES: u32 = 300;
/// The number of files that are downloaded by a process with no more descriptors than the owner.
const FEW: usize = 40;
/// Descriptors of a process here: far fewer than files.
const DESCRIPTORS: &str = "64";

/// `program` with no more than [`DESCRIPTORS`], which it cannot raise.
fn confined(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n $0 && exec \"$@\"", DESCRIPTORS]);
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    for stream in [Command::stdin, Command::stdout, Command::stderr] {
        stream(&mut command, std::process::Stdio::piped());
    }
    command
}

fn bytes_of(number: u32) -> Vec<u8> {
    (0..20_000 + number).map(|at| (at * 7 + number * 13) as u8).collect()
}

/// Asks the node at `address` for a session that it does not know, as a stranger does; whether it answers.
fn is_answered(socket: &UdpSocket, address: SocketAddr) -> bool {
    let (conversation, node) = (Conversation(7), NodeId::from_bytes([9; 16]));
    let content = ContentId::from_bytes([1; 32]);
    let cookie = Cookie::NONE;
    let hello = Hello { nonce: 1, content, node, conversation, capabilities: 0, sent_at: 0, cookie };
    let mut bytes = Vec::new();
    messages::encode(conversation, &hello, &mut bytes);
    socket.send_to(&bytes, address).expect("sent");
    let mut answer = [0; 2000];
    socket.recv_from(&mut answer).is_ok_and(|(length, _)| {
        matches!(Datagram::decode(&answer[..length]), Ok(Datagram::Peer(_, NodeToNode::Retry(_))))
    })
}

/// The address at which the owner of this place listens according to its log.
fn address_of(place: &Place) -> SocketAddr {
    let logs = place.logs();
    let (_, rest) = logs.split_once("node started").expect("it has started");
    let (_, rest) = rest.split_once("address=").expect("it says where");
    rest.split_whitespace().next().expect("an address").parse().expect("an address")
}

#[test]
fn three_hundred_files_are_served_and_many_fetched_by_processes_with_sixty_four_descriptors() {
    let place = Place::new();
    let (_tracker, tracker) = place.tracker();
    let shared = place.folder("shared");
    let names: Vec<String> = (0..FILES).map(|number| format!("{number}.bin")).collect();
    for number in 0..FILES {
        fs::write(shared.join(&names[number as usize]), bytes_of(number)).expect("written");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let node = ["--tracker", &tracker, "--listen", "127.0.0.1:0"];
    let mut send = place.riffle(&[&["send"], &node[..], &names].concat());
    let owner = Program::start(&mut confined(send.current_dir(&shared)));
    names.iter().for_each(|_| drop(owner.wait_for("riffle download --tracker ")));

    let address = address_of(&place);
    let over = AtomicBool::new(false);
    let saved = place.folder("saved");
    std::thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                asked += 1;
                assert!(is_answered(&socket, address), "control traffic is answered, the {asked}. time too");
            }
            asked
        });
        let download = |files: &[&str]| {
            let mut download = place.riffle(&[&["download"], &node[..], files].concat());
            download.current_dir(&saved);
            download
        };
        let few = Program::start(&mut confined(&download(&names[..FEW]))).end();
        let others = Program::start(&mut download(&names[FEW..])).end();
        over.store(true, Ordering::Relaxed);
        for (status, said) in [few, others] {
            assert_eq!(status.code(), Some(0), "{said:#?}");
        }
        assert!(stranger.join().expect("answered") > 0);
    });
    for number in 0..FILES {
        let name = format!("{number}.bin");
        assert!(fs::read(saved.join(&name)).expect("saved") == bytes_of(number), "{name}");
    }
    owner.interrupt();
    let (status, said) = owner.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(place.logs().contains("shared=20 hashed=5 parts=5"), "the owner held 20 files open");
}
