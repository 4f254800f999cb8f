//! A node that downloads, among a tracker, owners, a disk and strangers of which none need be honest: one script.

// Beside this file, wherever it is read from.
#[path = "answers.rs"]
mod answers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{ByteSize, NodeSettings};
use messages::node_to_node::{Bitfield, Bye, ByeReason, Control, Have, Hello, Operation, Ping, Request};
use messages::tracker_to_node::TrackerPing;
use messages::{
    Bits, ChunkHeader, ContentId, Conversation, Cookie, Datagram, Digits, List, NodeId, NodeToNode,
    NodeToTracker, PieceIndex, PieceRun, Prefix, TrackerToNode,
};
use riffle_core::{Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, SearchId, Wanted};

use crate::script::{Script, remember};
use crate::stage::{Content, HEAP_SCRATCH, NODE, Stage, content, tracker_address};

/// Steps of one script that are played.
const MAX_STEPS: usize = 300;
/// Old datagrams, questions and conversations that may be met again.
const REMEMBERED: usize = 32;
/// How many of the addresses send more than the others.
const FREQUENT: usize = 4;
/// Downloads and searches that one script starts.
const MAX_DOWNLOADS: u32 = 6;
const MAX_SEARCHES: u32 = 8;
/// Rounds of honest answers after a script, and the time of each: enough for a repeated question of any kind.
const HONEST_ROUNDS: usize = 400;

/// Heap bytes of one session with an owner: 4096 bursts that are remembered, in a queue that may have doubled, and a bit
/// for each of 2^20 pieces.
const HEAP_A_SESSION: usize = 4096 * 2 * 128 + (1 << 20) / 8 + (8 << 10);
/// Sessions of one download for each place that it has for owners, silent ones included.
const SESSIONS_A_PLACE: usize = 4;
/// Of one download itself: 256 candidates, 1024 ended sessions, the owners that gave something, its pieces.
const HEAP_A_DOWNLOAD: usize = (256 + 1024) * 256 + (64 << 10);
/// Of the node itself: 1024 cookies of owners, what it says to its tracker, and what it shares at the end.
const HEAP_NODE: usize = 1024 * 128 + (128 << 10);

/// What a script came to, for the test that a play is one.
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

/// What a node with so many downloads may hold by its settings, piece buffers apart: those are counted where they are lent.
fn heap_of_tables(settings: &NodeSettings) -> usize {
    let sessions = usize::from(settings.download.owners) * SESSIONS_A_PLACE;
    HEAP_NODE + MAX_DOWNLOADS as usize * (HEAP_A_DOWNLOAD + sessions * HEAP_A_SESSION)
}

/// Where owners say that they are, and strangers.
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

/// Something that the node asked, and of whom.
#[derive(Clone, Debug)]
enum Question {
    Tracker(Conversation, NodeToTracker),
    Hello(SocketAddr, Hello),
    /// With the owner's number.
    Request(SocketAddr, Conversation, Request),
}

/// How an answer is meant.
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
    /// By the owner's number.
    sessions: BTreeMap<Conversation, Session>,
    next_conversation: u32,
    /// Who lives where, as the tracker said last.
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
    play.download();
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
            replace: false,
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
            3 => self.person(),
            4..7 => self.disk(Intent::Any),
            7..9 => self.intrude(),
            9 => self.stray_chunk(),
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

    fn say(&mut self, from: SocketAddr, conversation: Conversation, message: impl Into<NodeToNode>) {
        let mut datagram = Vec::new();
        message.into().encode(conversation, &mut datagram);
        self.send(from, datagram);
    }

    fn tracker_says(&mut self, conversation: Conversation, message: impl Into<TrackerToNode>) {
        let mut datagram = Vec::new();
        message.into().encode(conversation, &mut datagram);
        let from = if self.script.below(32) == 1 { self.address() } else { tracker_address() };
        self.send(from, datagram);
    }

    fn replay(&mut self) {
        let Some((from, datagram)) = self.script.replay(&self.history, &self.addresses, FREQUENT) else {
            return;
        };
        self.stage.arrive(from, &datagram);
    }

    fn person(&mut self) {
        match self.script.below(6) {
            0 | 1 => self.download(),
            2 => {
                let download = DownloadId(self.script.below(self.downloads as usize + 1) as u32);
                self.stage.command(Command::Cancel { download });
            }
            3 if self.searches < MAX_SEARCHES => {
                let search = SearchId(self.searches);
                self.searches += 1;
                self.stage.command(Command::Search { search, prefix: Prefix::default(), after: None });
            }
            4 => {
                let download = self.script.coin().then_some(u64::from(self.script.half()) * 100);
                self.stage.command(Command::Limit { upload: None, download });
            }
            _ => self.stage.command(Command::UseTracker { tracker: tracker_address() }),
        }
    }

    fn download(&mut self) {
        if self.downloads == MAX_DOWNLOADS {
            return;
        }
        let download = DownloadId(self.downloads);
        self.downloads += 1;
        let content = self.content();
        let wanted = match self.script.byte() % 4 {
            0 => Wanted::Content(content.id),
            1 => Wanted::Name(content.name, String::new()),
            2 => Wanted::Newest(content.name),
            _ => Wanted::Digits(Digits::new(&content.id.to_string()[..8]).expect("digits")),
        };
        let second = |byte: u8| (byte != 0).then(|| Duration::from_secs(byte.into()));
        let timeouts = DownloadTimeouts {
            tracker: second(self.script.byte()),
            nobody_shares: second(self.script.byte()),
            no_progress: second(self.script.byte()),
            ..DownloadTimeouts::NONE
        };
        let destination = Destination::Folder(PathBuf::from("folder"));
        self.stage.command(Command::Download {
            download,
            order: DownloadOrder { wanted, destination, replace: false, timeouts },
        });
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

    /// A CHUNK that nobody asked for, in a session that there is, or not.
    fn stray_chunk(&mut self) {
        let sessions: Vec<Session> = self.sessions.values().copied().collect();
        let session = self.script.pick(&sessions).copied();
        let (at, conversation) = match session {
            Some(session) => (session.at, session.downloader),
            None => (self.address(), Conversation(self.script.word())),
        };
        let mut header = ChunkHeader {
            conversation,
            sequence: self.script.word(),
            request: self.script.word(),
            piece: PieceIndex(self.script.below(4) as u32),
            offset: 0,
            sent_at: self.script.word(),
            index: 0,
            count: 1,
            hold: self.script.half(),
        };
        let mut length = 1168;
        self.spoil(&mut header, &mut length);
        self.chunk(at, &header, length);
    }

    /// Something that an owner may say at any time, said by it or by another.
    fn intrude(&mut self) {
        let sessions: Vec<Session> = self.sessions.values().copied().collect();
        let Some(session) = self.script.pick(&sessions).copied() else {
            return self.tracker_says(Conversation(1), TrackerPing { nonce: 5 });
        };
        let at = if self.script.below(4) == 0 { self.address() } else { session.at };
        let to = session.downloader;
        match self.script.below(8) {
            0..3 => {
                let operation = Operation::ALL[self.script.below(Operation::ALL.len())];
                let (retry_after_ms, request) = (self.script.half(), self.script.word());
                self.say(at, to, Control { operation, retry_after_ms, request });
            }
            3 => {
                let bits = Bits::of(PieceIndex(self.script.word()), Bits::CAPACITY, |piece| piece.0 % 3 != 0);
                self.say(at, to, Bitfield { bits });
            }
            4 => {
                let run =
                    PieceRun::new(PieceIndex(self.script.byte().into()), 1 + u32::from(self.script.half()));
                self.say(at, to, Have { runs: List::first_of(run) });
            }
            5 => {
                let nonce = u64::from(self.script.byte()) + 1;
                self.say(at, to, Ping::new(nonce));
            }
            6 => {
                let reason = ByeReason::ALL[self.script.below(ByeReason::ALL.len())];
                self.say(at, to, Bye { reason });
            }
            _ => {
                let hello = Hello {
                    nonce: 1,
                    content: session.content,
                    node: NODE,
                    conversation: to,
                    capabilities: 0,
                    sent_at: 0,
                    cookie: Cookie::NONE,
                };
                self.say(at, to, hello);
            }
        }
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

    /// What the node said is kept as questions, the latest of them.
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

    /// Everybody may be honest for a while, the person gives up what is left, the disk has answered, and all times out.
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
        self.knock();
        self.seen
    }

    /// No session of a download that is over is found any more.
    fn knock(&mut self) {
        for session in std::mem::take(&mut self.sessions).into_values() {
            let before = self.stage.node.counters().unexpected;
            self.say(session.at, session.downloader, Ping::new(1));
            assert_eq!(self.stage.node.counters().unexpected, before + 1, "a session that is over is found");
        }
    }
}
