//! A node that serves files, among strangers: one script.

// The part stands beside this file, from whichever crate this file is read.
#[path = "any_message.rs"]
mod any_message;

use std::net::SocketAddr;
use std::time::Duration;

use config::NodeSettings;
use messages::node_to_node::{Bye, ByeReason, ByteRange, Hello, Ping, Pong, Request};
use messages::{ContentId, Conversation, Cookie, Datagram, Kind, List, NodeId, NodeToNode, PieceIndex};
use riffle_core::{Command, DiskErrorKind, DiskResult, ShareId};

use crate::script::{Script, remember};
use crate::stage::{Content, HEAP_SCRATCH, Stage, content, disk_error, tracker_address};

/// The most steps of one script that are played.
const MAX_STEPS: usize = 400;
/// The most old datagrams, sessions and PINGs that a script can use again.
const REMEMBERED: usize = 24;
/// The number of addresses that send more often than the others.
const FREQUENT: usize = 3;
/// The heap bytes that one served session may hold: its record and its entries in four tables, of which tree nodes may
/// be half empty.
const HEAP_PER_SESSION: usize = 4 << 10;
/// The heap bytes of one range that waits its turn, in a queue that may have doubled.
const HEAP_PER_RANGE: usize = 128;
/// Of one shared content: its outboard, once more as bytes, and the announcement of it.
const HEAP_PER_SHARE: usize = 8 << 10;
/// The heap bytes that the node itself may hold: what the node says to its tracker.
const HEAP_NODE: usize = 64 << 10;

/// The outcome of a script, for the test that scripts reach every part of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) sessions: usize,
    pub(crate) bursts: usize,
    pub(crate) refused: usize,
}

fn settings() -> NodeSettings {
    let mut settings = NodeSettings::default();
    settings.network.max_sessions = 4;
    settings.network.max_sessions_per_address = 2;
    settings.network.requests_per_session = 8;
    settings
}

/// The heap bytes that a node that shares `shares` files may hold by its settings.
fn heap_of_tables(settings: &NodeSettings, shares: usize) -> usize {
    let network = &settings.network;
    let session = HEAP_PER_SESSION + network.requests_per_session as usize * HEAP_PER_RANGE;
    HEAP_NODE + network.max_sessions as usize * session + shares * HEAP_PER_SHARE
}

/// Hosts with one program and with several, both families, loopback, the tracker, and one that is never named.
fn addresses() -> Vec<SocketAddr> {
    let texts = ["10.0.0.1:7000", "10.0.0.1:7001", "127.0.0.1:7000", "[2001:db8::1]:7000", "10.0.0.2:7000"];
    texts.iter().map(|text| text.parse().expect("an address")).chain([tracker_address()]).collect()
}

/// A session as its downloader knows it.
#[derive(Clone, Copy, Debug)]
struct Session {
    at: SocketAddr,
    ours: Conversation,
    /// The nonce of the owner's last PING.
    ping: u64,
    next_request: u32,
}

struct Play<'a> {
    script: Script<'a>,
    stage: Stage,
    contents: Vec<Content>,
    next_share: u32,
    addresses: Vec<SocketAddr>,
    cookies: Vec<(SocketAddr, Cookie)>,
    sessions: Vec<Session>,
    history: Vec<(SocketAddr, Vec<u8>)>,
    seen: Seen,
}

/// Plays `bytes` to their end and lets all time out.
pub(crate) fn hold(bytes: &[u8]) -> Seen {
    let settings = settings();
    let mut play = Play::new(bytes, &settings);
    for _ in 0..MAX_STEPS {
        if play.script.is_over() {
            break;
        }
        play.step();
        play.listen();
        play.count_sessions(&settings);
    }
    play.end(&settings)
}

/// `count` sessions one after the other, half of them ended by nobody: the heap that is held after each.
#[allow(dead_code, reason = "who only plays scripts has no use for it")]
pub(crate) fn one_after_the_other(count: u32) -> Vec<isize> {
    let settings = settings();
    let mut play = Play::new(&[], &settings);
    let one = |number: u32| {
        let from = SocketAddr::from(([10, 2, (number >> 8) as u8, number as u8], 7000));
        let mut hello = Hello {
            nonce: 1,
            content: play.contents[0].id,
            node: NodeId::from_bytes([1; 16]),
            conversation: Conversation(number),
            capabilities: 0,
            sent_at: 0,
            cookie: Cookie::NONE,
        };
        play.send_message(from, hello.conversation, &hello.clone().into());
        play.listen();
        hello.cookie = play.cookies.last().expect("a cookie").1;
        play.send_message(from, hello.conversation, &hello.into());
        play.listen();
        let session = *play.sessions.last().expect("a session");
        let range = ByteRange::new(PieceIndex(0), 0, 60_000).expect("a range");
        let ranges = List::first_of([range; 8]);
        let request =
            Request { first_request: 1, highest_sequence: 0, ping_echo: 0, segment_size: 1168, ranges };
        play.send_message(session.at, session.ours, &request.into());
        match number % 2 {
            0 => play.send_message(session.at, session.ours, &Bye { reason: ByeReason::Done }.into()),
            _ => play.stage.pass(settings.network.session_idle),
        }
        play.listen();
        assert_eq!(play.stage.node.status(play.stage.now).uploads, [], "a session that is over stays");
        play.stage.held()
    };
    (0..count).map(one).collect()
}

impl<'a> Play<'a> {
    fn new(bytes: &'a [u8], settings: &NodeSettings) -> Play<'a> {
        let contents = vec![content("three pieces", 600_000), content("one byte", 1), content("nothing", 0)];
        let mut stage = Stage::new(settings, heap_of_tables(settings, contents.len()));
        for (share, content) in (0..).zip(&contents) {
            stage.share(ShareId(share), content);
        }
        Play {
            script: Script::new(bytes),
            stage,
            next_share: contents.len() as u32,
            contents,
            addresses: addresses(),
            cookies: Vec::new(),
            sessions: Vec::new(),
            history: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn step(&mut self) {
        match self.script.below(16) {
            0 => {
                let millis = [0, 1, 5, 50, 500, 1000, 3001, 10_001, 15_000, 31_000, 121_000, 241_000];
                let step = millis[self.script.below(millis.len())];
                self.stage.pass(Duration::from_millis(step));
            }
            1 => self.replay(),
            2 => {
                let (from, bytes) = (self.address(), self.script.bytes().to_vec());
                self.stage.arrive(from, &bytes);
            }
            3 => self.disk_or_person(),
            4 | 5 => self.hello(),
            6..12 => self.request(),
            12 => self.answer_ping(),
            _ => self.send_any_message(),
        }
    }

    fn address(&mut self) -> SocketAddr {
        self.script.address(&self.addresses, FREQUENT)
    }

    fn send_message(&mut self, from: SocketAddr, conversation: Conversation, message: &NodeToNode) {
        let mut datagram = Vec::new();
        message.encode(conversation, &mut datagram);
        remember(&mut self.history, REMEMBERED, (from, datagram.clone()));
        self.stage.arrive(from, &datagram);
    }

    fn replay(&mut self) {
        let Some((from, datagram)) = self.script.replay(&self.history, &self.addresses, FREQUENT) else {
            return;
        };
        self.stage.arrive(from, &datagram);
    }

    fn disk_or_person(&mut self) {
        let share = ShareId(self.script.below(self.next_share as usize) as u32);
        match self.script.below(6) {
            0 => self
                .stage
                .disk_says(DiskResult::ShareChanged { share, error: disk_error(DiskErrorKind::Changed) }),
            1 => self.stage.command(Command::Unshare { share }),
            2 | 3 => {
                // Shared anew, as the first or as a second file of the same content.
                if self.stage.open.len() < self.contents.len() {
                    let content = self.script.below(self.contents.len());
                    let share = ShareId(self.next_share);
                    self.next_share += 1;
                    self.stage.share(share, &self.contents[content].clone());
                }
            }
            _ => {
                let upload = self.script.coin().then_some(u64::from(self.script.half()) * 100);
                self.stage.command(Command::Limit { upload, download: None });
            }
        }
    }

    fn hello(&mut self) {
        let from = self.address();
        let own = self.cookies.iter().rev().find(|(address, _)| *address == from).map(|(_, cookie)| *cookie);
        let cookie = match self.script.below(8) {
            0 => Cookie::NONE,
            1 => self.script.pick(&self.cookies).map_or(Cookie::from_bytes([9; 16]), |(_, cookie)| *cookie),
            _ => own.unwrap_or(Cookie::NONE),
        };
        let content = match self.script.below(8) {
            0 => ContentId::from_bytes([0xaa; 32]),
            _ => self.contents[self.script.below(self.contents.len())].id,
        };
        let hello = Hello {
            nonce: self.script.byte().into(),
            content,
            node: NodeId::from_bytes([self.script.byte(); 16]),
            conversation: Conversation(self.script.below(8) as u32),
            capabilities: self.script.word(),
            sent_at: self.script.word(),
            cookie,
        };
        let conversation = if self.script.below(8) == 0 { Conversation(99) } else { hello.conversation };
        self.send_message(from, conversation, &hello.into());
    }

    /// A session, of which a detail may be wrong: where it is, or its number.
    fn session(&mut self) -> (usize, SocketAddr, Conversation) {
        let at = self.script.below(self.sessions.len().max(1));
        let Some(session) = self.sessions.get(at).copied() else {
            return (at, self.address(), Conversation(1));
        };
        match self.script.below(16) {
            0 => (at, self.address(), session.ours),
            1 => (at, session.at, Conversation(session.ours.0 ^ 1)),
            _ => (at, session.at, session.ours),
        }
    }

    fn request(&mut self) {
        let (index, from, conversation) = self.session();
        let segment_size = [1168, 1168, 1168, 1, 512, 65_475, 1024][self.script.below(7)];
        let mut ranges = List::new();
        for _ in 0..self.script.below(17) {
            let range = self.range();
            if let Some(range) = range.filter(|range| range.fits_burst(segment_size)) {
                ranges.push(range).expect("no more than sixteen");
            }
        }
        let next = self.sessions.get(index).map_or(1, |session| session.next_request);
        let first_request = match self.script.below(8) {
            0 => self.script.word(),
            1 => next.wrapping_sub(self.script.byte().into()),
            _ => next,
        };
        if let Some(session) = self.sessions.get_mut(index) {
            session.next_request = first_request.wrapping_add(ranges.len() as u32);
        }
        let ping = self.sessions.get(index).map_or(0, |session| session.ping);
        let ping_echo = if self.script.coin() { ping } else { 0 };
        let highest_sequence = self.script.byte().into();
        let request = Request { first_request, highest_sequence, ping_echo, segment_size, ranges };
        self.send_message(from, conversation, &request.into());
    }

    fn range(&mut self) -> Option<ByteRange> {
        let piece = match self.script.below(8) {
            0 => PieceIndex::OUTBOARD,
            1 => PieceIndex(self.script.word() >> 12),
            choice => PieceIndex(choice as u32 % 3),
        };
        let offset = [0, 1168, 260_000, 262_143, 75_711, 75_712, 100][self.script.below(7)];
        let length = [1, 41, 101, 1168, 30_000, 60_000, 65_475][self.script.below(7)];
        ByteRange::new(piece, offset, length)
    }

    fn answer_ping(&mut self) {
        let (index, from, conversation) = self.session();
        let nonce = self.sessions.get(index).map_or(0, |session| session.ping);
        self.send_message(from, conversation, &Pong { nonce }.into());
    }

    /// Remembers the cookies, sessions and PINGs that the node sent.
    fn listen(&mut self) {
        while let Some((to, bytes)) = self.stage.heard.pop_front() {
            match Datagram::decode(&bytes) {
                Ok(Datagram::Peer(_, NodeToNode::Retry(retry))) => {
                    remember(&mut self.cookies, REMEMBERED, (to, retry.cookie))
                }
                Ok(Datagram::Peer(_, NodeToNode::Welcome(welcome))) => {
                    self.seen.sessions += 1;
                    let ours = welcome.conversation;
                    remember(
                        &mut self.sessions,
                        REMEMBERED,
                        Session { at: to, ours, ping: 0, next_request: 1 },
                    );
                }
                Ok(Datagram::Peer(_, NodeToNode::Ping(ping))) => {
                    let at = self.sessions.iter_mut().rev().find(|session| session.at == to);
                    at.into_iter().for_each(|session| session.ping = ping.nonce);
                }
                Ok(Datagram::Peer(_, NodeToNode::Control(_))) => self.seen.refused += 1,
                _ => {}
            }
        }
    }

    /// Checks that there are no more sessions than the settings allow, in all and at each address but loopback.
    fn count_sessions(&mut self, settings: &NodeSettings) {
        let uploads = self.stage.node.status(self.stage.now).uploads;
        assert!(uploads.len() <= settings.network.max_sessions as usize, "{} sessions", uploads.len());
        for upload in uploads.iter().filter(|upload| !upload.peer.ip().is_loopback()) {
            let of_address = uploads.iter().filter(|other| other.peer.ip() == upload.peer.ip()).count();
            assert!(
                of_address <= settings.network.max_sessions_per_address as usize,
                "{of_address} of one address"
            );
        }
    }

    /// Lets all sessions time out, and checks that their memory is given back.
    fn end(mut self, settings: &NodeSettings) -> Seen {
        self.stage.command(Command::Limit { upload: None, download: None });
        self.stage.pass(settings.network.session_idle + Duration::from_millis(1));
        let status = self.stage.node.status(self.stage.now);
        assert_eq!(status.uploads, [], "sessions that nobody uses stay");
        let idle = (HEAP_NODE + HEAP_SCRATCH + self.contents.len() * HEAP_PER_SHARE).cast_signed();
        assert!(self.stage.held() <= idle, "{} bytes of heap when all is over, of {idle}", self.stage.held());
        // A session that is over answers nobody who only asks whether it is.
        self.stage.heard.clear();
        for session in std::mem::take(&mut self.sessions) {
            let before = self.stage.node.counters().unexpected;
            let mut datagram = Vec::new();
            NodeToNode::from(Ping::new(1)).encode(session.ours, &mut datagram);
            self.stage.arrive(session.at, &datagram);
            assert_eq!(self.stage.node.counters().unexpected, before + 1, "a session that is over is found");
        }
        let pong = |bytes: &[u8]| bytes.get(3) == Some(&(Kind::Pong as u8));
        assert!(!self.stage.heard.iter().any(|(_, bytes)| pong(bytes)), "a session that is over answers");
        self.seen.bursts = self.stage.bursts;
        self.seen
    }
}
