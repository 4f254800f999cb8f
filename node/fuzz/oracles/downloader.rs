//! A node that downloads, among a tracker, owners, a disk and strangers of which none need be honest: one script.

// The parts stand beside this file, from whichever crate this file is read.
#[path = "answers.rs"]
mod answers;
#[path = "commands.rs"]
mod commands;
#[path = "unsolicited.rs"]
mod unsolicited;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{ByteSize, NodeSettings};
use messages::node_to_node::{Hello, Ping, Request};
use messages::{
    ChunkHeader, ContentId, Conversation, Datagram, NodeId, NodeToNode, NodeToTracker, TrackerToNode,
};
use riffle_core::{Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Existing, Wanted};

use crate::script::{Script, remember};
use crate::stage::{Content, HEAP_SCRATCH, Stage, content, tracker_address};

/// The most steps of one script that are played.
const MAX_STEPS: usize = 300;
/// The most old datagrams, questions and conversations that a script can use again.
const REMEMBERED: usize = 32;
/// The number of addresses that send more often than the others.
const FREQUENT: usize = 4;
/// The most downloads that one script starts.
const MAX_DOWNLOADS: u32 = 6;
/// The most searches that one script starts.
const MAX_SEARCHES: u32 = 8;
/// The rounds of honest answers after a script: enough for a repeated question of any kind.
const HONEST_ROUNDS: usize = 400;

/// The heap bytes that one session with an owner may hold: 4096 bursts that are remembered, in a queue that may have
/// doubled, and a bit for each of 2^20 pieces.
const HEAP_PER_SESSION: usize = 4096 * 2 * 128 + (1 << 20) / 8 + (8 << 10);
/// The sessions that one download may have for each slot that it has for owners, silent ones included.
const SESSIONS_PER_SLOT: usize = 4;
/// The heap bytes that one download itself may hold: 256 candidates, 1024 ended sessions, the owners that gave
/// something and the pieces.
const HEAP_PER_DOWNLOAD: usize = (256 + 1024) * 256 + (64 << 10);
/// The heap bytes that the node itself may hold: 1024 cookies of owners, what the node says to its tracker, and what
/// the node shares at the end.
const HEAP_NODE: usize = 1024 * 128 + (128 << 10);

/// The outcome of a script, for the test that scripts reach every part of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) sessions: usize,
    pub(crate) chunks: usize,
    pub(crate) stored: usize,
    pub(crate) finished: usize,
}

fn settings() -> NodeSettings {
    let mut settings = NodeSettings::default();
    settings.download.owners = 3;
    settings.download.memory = ByteSize::mib(16);
    settings
}

/// The heap bytes that a node with all downloads may hold by its settings, except for piece buffers: those are counted
/// where they are lent.
fn heap_of_tables(settings: &NodeSettings) -> usize {
    let sessions = usize::from(settings.download.owners) * SESSIONS_PER_SLOT;
    HEAP_NODE + MAX_DOWNLOADS as usize * (HEAP_PER_DOWNLOAD + sessions * HEAP_PER_SESSION)
}

/// The addresses of owners and strangers.
fn addresses() -> Vec<SocketAddr> {
    let texts = [
        "10.0.0.1:7000",
        "10.0.0.2:7000",
        "10.0.0.3:7000",
        "10.0.0.3:7001",
        "127.0.0.1:7000",
        "[2001:db8::1]:7000",
        "224.0.0.1:7000",
        "0.0.0.0:7000",
        "10.0.0.9:0",
        "10.0.0.100:12345",
    ];
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

/// A session as its owner knows it: HELLO told the downloader's number, the owner chose its own.
#[derive(Clone, Copy, Debug)]
struct Session {
    at: SocketAddr,
    downloader: Conversation,
    content: ContentId,
    sequence: u32,
}

/// Something that the node asked, and whom the node asked.
#[derive(Clone, Debug)]
enum Question {
    Tracker(Conversation, NodeToTracker),
    Hello(SocketAddr, Hello),
    /// With the owner's number.
    Request(SocketAddr, Conversation, Request),
}

/// Whether an answer is honest or may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Honest,
    Any,
}

struct Play<'a> {
    script: Script<'a>,
    stage: Stage,
    contents: Vec<Content>,
    addresses: Vec<SocketAddr>,
    questions: Vec<Question>,
    /// The sessions, by the owner's conversation number.
    sessions: BTreeMap<Conversation, Session>,
    next_conversation: u32,
    /// The id of the owner at each address, as the tracker said last.
    owners: BTreeMap<SocketAddr, NodeId>,
    history: Vec<(SocketAddr, Vec<u8>)>,
    downloads: u32,
    searches: u32,
    /// Whether everybody is honest at the end, before the person gives up what is left.
    ends_well: bool,
    seen: Seen,
}

/// Plays `bytes` to their end, answers honestly for a while or not, ends all downloads and lets all time out.
pub(crate) fn hold(bytes: &[u8]) -> Seen {
    let mut play = Play::new(bytes);
    play.ends_well = play.script.coin();
    play.send_download();
    for _ in 0..MAX_STEPS {
        if play.script.is_over() {
            break;
        }
        play.step();
        play.listen();
    }
    play.end()
}

/// `count` downloads one after the other, each given up a little later than the one before until some are finished: the
/// heap that is held after each.
#[allow(dead_code, reason = "who only plays scripts has no use for it")]
pub(crate) fn one_after_the_other(count: u32) -> Vec<isize> {
    let mut play = Play::new(&[]);
    let one = |number: u32| {
        let download = DownloadId(number);
        let content = &play.contents[number as usize % play.contents.len()];
        let destination = Destination::Folder(PathBuf::from("folder"));
        let order = DownloadOrder {
            wanted: Wanted::Content(content.id),
            destination,
            existing: Existing::Keep,
            select: Vec::new(),
            save: riffle_core::SaveOptions::default(),
            sequential: false,
            timeouts: DownloadTimeouts::NONE,
        };
        play.stage.command(Command::Download { download, order });
        for _ in 0..number % 16 {
            play.honest_round(Duration::from_millis(20));
        }
        play.stage.command(Command::Cancel { download });
        for _ in 0..4 {
            play.honest_round(Duration::from_secs(10));
        }
        assert_eq!(
            play.stage.node.status(play.stage.now).downloads,
            [],
            "a download that nobody wants stays"
        );
        assert_eq!(play.stage.buffers(), 0, "buffers that nobody uses are not given back");
        play.stage.held()
    };
    (0..count).map(one).collect()
}

impl<'a> Play<'a> {
    fn new(bytes: &'a [u8]) -> Play<'a> {
        let contents = vec![content("two pieces", 264_000), content("one byte", 1), content("nothing", 0)];
        let settings = settings();
        let mut stage = Stage::new(&settings, heap_of_tables(&settings));
        stage.settle();
        Play {
            script: Script::new(bytes),
            stage,
            contents,
            addresses: addresses(),
            questions: Vec::new(),
            sessions: BTreeMap::new(),
            next_conversation: 1,
            owners: BTreeMap::new(),
            history: Vec::new(),
            downloads: 0,
            searches: 0,
            ends_well: false,
            seen: Seen::default(),
        }
    }

    fn step(&mut self) {
        match self.script.below(20) {
            0 => {
                let millis = [0, 1, 5, 20, 100, 250, 500, 1000, 2500, 5000, 10_001, 31_000, 700_000];
                let step = millis[self.script.below(millis.len())];
                self.stage.pass(Duration::from_millis(step));
            }
            1 => self.replay(),
            2 => {
                let (from, bytes) = (self.address(), self.script.bytes().to_vec());
                self.stage.arrive(from, &bytes);
            }
            3 => self.send_command(),
            4..7 => self.disk(Intent::Any),
            7..9 => self.send_unsolicited(),
            9 => self.send_stray_chunk(),
            10..13 => self.answer(Intent::Any),
            _ => {
                for _ in 0..self.script.below(6) {
                    self.honest_round(Duration::from_millis(1));
                }
            }
        }
    }

    fn address(&mut self) -> SocketAddr {
        self.script.address(&self.addresses, FREQUENT)
    }

    fn content(&mut self) -> Content {
        let choice = if self.script.coin() { 0 } else { self.script.below(self.contents.len()) };
        self.contents[choice].clone()
    }

    fn send(&mut self, from: SocketAddr, datagram: Vec<u8>) {
        // CHUNKs are long and many: their headers are enough to come again.
        let kept = datagram[..datagram.len().min(1232)].to_vec();
        remember(&mut self.history, REMEMBERED, (from, kept));
        self.stage.arrive(from, &datagram);
    }

    fn send_message(&mut self, from: SocketAddr, conversation: Conversation, message: impl Into<NodeToNode>) {
        let mut datagram = Vec::new();
        message.into().encode(conversation, &mut datagram);
        self.send(from, datagram);
    }

    fn send_from_tracker(&mut self, conversation: Conversation, message: impl Into<TrackerToNode>) {
        let mut datagram = Vec::new();
        message.into().encode(conversation, &mut datagram);
        let from = if self.script.below(32) == 1 { self.address() } else { tracker_address() };
        self.send(from, datagram);
    }

    /// One of the latest questions is answered.
    fn answer(&mut self, intent: Intent) {
        if self.questions.is_empty() {
            return;
        }
        let at = self.script.below(self.questions.len());
        // Some are answered twice.
        let question = match intent == Intent::Any && self.script.below(8) == 0 {
            true => self.questions[at].clone(),
            false => self.questions.remove(at),
        };
        self.answer_to(&question, intent);
    }

    fn answer_to(&mut self, question: &Question, intent: Intent) {
        match question {
            Question::Tracker(conversation, asked) => self.answer_of_tracker(*conversation, asked, intent),
            Question::Hello(at, hello) => self.answer_hello(*at, hello, intent),
            Question::Request(at, theirs, request) => self.answer_request(*at, *theirs, request, intent),
        }
    }

    /// One of `count` ways, the first of which is the honest one.
    fn way(&mut self, intent: Intent, count: usize) -> usize {
        if intent == Intent::Honest { 0 } else { self.script.below(count) }
    }

    fn chunk(&mut self, from: SocketAddr, header: &ChunkHeader, length: u32) {
        let mut datagram = header.encode().to_vec();
        datagram.resize(datagram.len() + length as usize, 0);
        self.seen.chunks += 1;
        self.send(from, datagram);
    }

    /// The disk answers one of its requests.
    fn disk(&mut self, intent: Intent) {
        let waiting = self.stage.disk.len();
        if waiting == 0 {
            return;
        }
        let at = self.way(intent, waiting.min(4));
        let Some(request) = self.stage.disk.remove(at) else { return };
        let good = self.way(intent, 4) < 3;
        let result = self.result_of(request, good);
        self.stage.disk_says(result);
    }

    /// Everything that waits for an answer gets an honest one, and `time` passes.
    fn honest_round(&mut self, time: Duration) {
        self.listen();
        for question in std::mem::take(&mut self.questions) {
            self.answer_to(&question, Intent::Honest);
        }
        for _ in 0..self.stage.disk.len() {
            self.disk(Intent::Honest);
        }
        self.stage.pass(time);
        self.listen();
    }

    /// Keeps the latest messages of the node as questions.
    fn listen(&mut self) {
        while let Some((to, bytes)) = self.stage.heard.pop_front() {
            let question = match Datagram::decode(&bytes) {
                Ok(Datagram::ToTracker(conversation, message)) => {
                    assert_eq!(to, tracker_address(), "{message:?} to another than the tracker");
                    Question::Tracker(conversation, message)
                }
                Ok(Datagram::Peer(_, NodeToNode::Hello(hello))) => Question::Hello(to, hello),
                Ok(Datagram::Peer(conversation, NodeToNode::Request(request))) => {
                    Question::Request(to, conversation, request)
                }
                _ => continue,
            };
            remember(&mut self.questions, REMEMBERED, question);
        }
    }

    /// Lets all others be honest for a while if the script says so, cancels the downloads that are left, lets the disk
    /// answer, and lets all timeouts pass.
    fn end(mut self) -> Seen {
        self.script = Script::new(&[]);
        for _ in 0..if self.ends_well { HONEST_ROUNDS } else { 0 } {
            if self.stage.node.status(self.stage.now).downloads.is_empty() {
                break;
            }
            self.honest_round(Duration::from_millis(50));
        }
        for download in 0..self.downloads {
            self.stage.command(Command::Cancel { download: DownloadId(download) });
        }
        for _ in 0..HONEST_ROUNDS {
            if self.stage.node.status(self.stage.now).downloads.is_empty() && self.stage.disk.is_empty() {
                break;
            }
            self.honest_round(Duration::from_secs(1));
        }
        assert_eq!(
            self.stage.node.status(self.stage.now).downloads,
            [],
            "a download that nobody wants stays"
        );
        assert_eq!(self.stage.buffers(), 0, "buffers that nobody uses are not given back");
        self.stage.pass(Duration::from_secs(600));
        let idle = (HEAP_NODE + HEAP_SCRATCH).cast_signed();
        assert!(self.stage.held() <= idle, "{} bytes of heap when all is over, of {idle}", self.stage.held());
        self.check_ended_sessions();
        self.seen
    }

    /// Checks that the node finds no session of a download that is over.
    fn check_ended_sessions(&mut self) {
        for session in std::mem::take(&mut self.sessions).into_values() {
            let before = self.stage.node.counters().unexpected;
            self.send_message(session.at, session.downloader, Ping::new(1));
            assert_eq!(self.stage.node.counters().unexpected, before + 1, "a session that is over is found");
        }
    }
}
