//! An owner that has a description and nothing behind it: twelve gibibytes that nobody can send.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this owner speaks over a real socket, in real time"
)]

mod programs;

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use messages::limits::MAX_DATAGRAM;
use messages::{BootEpoch, Layout, Name, NodeId, Outboard, Timestamp};
use programs::{Place, Program, wait_until, working_file};
use riffle_core::{Command, DiskRequest, DiskResult, Identity, Node, Output, ShareId, Source};

/// The length that the owner announces for its content.
const LENGTH: u64 = 12 << 30;
/// The exit code of a download that receives nothing, and of one for which the disk has too little space.
const STALLED: i32 = 5;
const DISK_FULL: i32 = 9;

/// A node whose disk has described a file that is not there. Of what it is asked for it sends the description and
/// nothing else.
struct Hollow {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Hollow {
    fn start(tracker: &str, name: &str) -> Hollow {
        let stop = Arc::new(AtomicBool::new(false));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("set");
        let (stopped, tracker) = (stop.clone(), tracker.parse().expect("an address"));
        let name = Name::new(name).expect("a name");
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let now = || Timestamp::ZERO + Duration::from_secs(1000) + began.elapsed();
            let identity =
                Identity { node: NodeId::from_bytes([9; 16]), epoch: BootEpoch(1), secret: [5; 32], seed: 7 };
            let settings = config::NodeSettings::default();
            let mut node = Node::new(settings, &identity, Some(tracker), 1 << 20, now());
            node.handle_command(
                Command::Share {
                    share: ShareId(1),
                    path: "/hollow".into(),
                    name,
                    options: riffle_core::FolderOptions::default(),
                },
                now(),
            );
            let (mut out, mut buffer) = (Output::default(), vec![0; MAX_DATAGRAM]);
            while !stopped.load(Ordering::Relaxed) {
                node.poll(now(), &mut out);
                for datagram in &out.datagrams {
                    let _ = socket.send_to(&out.whole(datagram), datagram.to);
                }
                for burst in &out.bursts {
                    let Source::Outboard(bytes) = &burst.source else { continue };
                    for index in 0..burst.segments() {
                        let run = burst.payload(index);
                        let payload = &bytes[run.start as usize..run.end as usize];
                        let _ = socket.send_to(&[&burst.header(index).encode(), payload].concat(), burst.to);
                    }
                }
                for request in out.disk.drain(..) {
                    if let DiskRequest::Share { share, .. } = request {
                        node.handle_disk(
                            DiskResult::Shared {
                                share,
                                result: Ok(described()),
                                file: messages::FileMetadata::default(),
                            },
                            now(),
                        );
                    }
                }
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    node.handle_datagram(from, &buffer[..length], now());
                }
            }
        });
        Hollow { stop, thread: Some(thread) }
    }
}

impl Drop for Hollow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An outboard that is what it should be, of bytes that nobody has.
fn described() -> Arc<Outboard> {
    let layout = Layout::of(LENGTH).expect("a length");
    Arc::new(Outboard::imagined(layout, "hollow"))
}

/// What a person sees who wants it: the room is taken when it is known how long it is, in one go and if it is there,
/// and given back when nothing comes.
#[test]
fn room_for_what_nobody_can_send_is_taken_once_and_given_back() {
    let place = Place::new();
    let (_tracker, address) = place.tracker();
    let _owner = Hollow::start(&address, "film");
    let list = ["list", "--tracker", &address];
    let is_listed =
        || Program::start(&mut place.riffle(&list)).end().1.iter().any(|line| line.contains("film"));
    wait_until("it is listed", is_listed);
    fs::write(place.folder("config/riffle").join("node.toml"), "[download]\nstall_timeout = \"2s\"\n")
        .expect("written");
    let saved = place.folder("saved");
    let filesystem = rustix::fs::statvfs(&saved).expect("statvfs answers");
    let has_space = filesystem.f_bavail * filesystem.f_frsize > LENGTH + (1 << 30);
    let arguments = ["download", "--tracker", &address, "--listen", "127.0.0.1:0", "film"];
    let download = Program::start(place.riffle(&arguments).current_dir(&saved));
    if has_space {
        // Its name begins with a dot: who lists the folder without those sees nothing.
        let part = || fs::metadata(working_file(&saved, "film", "part")?).ok();
        wait_until("the part file", || part().is_some_and(|found| found.len() == LENGTH));
    }
    let (status, said) = download.end();
    assert_eq!(status.code(), Some(if has_space { STALLED } else { DISK_FULL }), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("12.0 GiB")), "how long it is was said: {said:#?}");
    assert_eq!(fs::read_dir(&saved).expect("a folder").count(), 0, "nothing stays");
}
