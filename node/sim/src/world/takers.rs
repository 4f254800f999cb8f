//! Downloaders that play a part: they know the wire, hold as many sessions as they like from as many addresses as they like, and follow a script
//! instead of the protocol. They announce nothing and keep no byte.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use messages::limits::{MAX_HAVE_RUNS, MAX_RANGES};
use messages::node_to_node::{
    Bye, ByeReason, ByteRange, Control, Have, Hello, Operation, Ping, Pong, Request,
};
use messages::{
    Body, ContentId, Conversation, Cookie, Datagram, Host, Layout, List, NodeId, NodeToNode, PieceIndex,
    PieceRun, Timestamp,
};
use rand::RngExt as _;

use super::network::Payload;
use super::{Happening, HostId, World};
use crate::link::LinkSpec;

/// The first of the ports that a taker uses.
const FIRST_PORT: u16 = 5000;
/// The first HELLOs go one after the other, so that links hold them.
const BEGINS_APART: Duration = Duration::from_micros(500);
/// What is not answered, or was refused, is tried again after so long.
const TRIES_AGAIN: Duration = Duration::from_secs(1);
/// Payload of each segment, and of each whole range: a burst of 50 segments.
const SEGMENT: u16 = 1168;
const RANGE: u32 = 50 * SEGMENT as u32;

/// Who takes what from whom, and from where.
#[derive(Clone, Debug)]
pub struct Taking {
    pub takes: Takes,
    pub content: ContentId,
    /// Session `i` is with owner `i`, and so on around.
    pub owners: Vec<HostId>,
    /// Session `i` is at address `i`, and so on around; at each of them at so many ports.
    pub addresses: Vec<IpAddr>,
    pub ports: u16,
    pub sessions: u32,
    /// From the first HELLO to the last word.
    pub from: Timestamp,
    pub until: Timestamp,
    /// Whether it shows that it listens when it is asked to.
    pub answers_pings: bool,
    /// Whether it says BYE in the end.
    pub says_bye: bool,
}

impl Taking {
    /// `sessions` that take from `owner` as `takes` says, each at a port of its own of one IPv4 address, for an hour.
    pub fn new(takes: Takes, content: ContentId, owner: HostId, sessions: u32) -> Taking {
        Taking {
            takes,
            content,
            owners: vec![owner],
            addresses: addresses(1),
            ports: u16::try_from(sessions).unwrap_or(u16::MAX),
            sessions,
            from: Timestamp::ZERO,
            until: Timestamp::ZERO + Duration::from_secs(3600),
            answers_pings: true,
            says_bye: false,
        }
    }

    fn address(&self, session: u32) -> SocketAddr {
        let count = self.addresses.len() as u32;
        let port = FIRST_PORT + ((session / count) % u32::from(self.ports.max(1))) as u16;
        SocketAddr::new(self.addresses[(session % count) as usize], port)
    }

    /// Where the first range of a session begins: those who praise each other have begun what the others have not.
    fn begins_at(&self, session: u32, pieces: u32) -> (u32, u32) {
        match self.takes {
            Takes::Praises { .. } => (session * (pieces / self.sessions.max(1)).max(1) % pieces, 0),
            _ => (0, 0),
        }
    }

    fn owner(&self, session: u32) -> HostId {
        self.owners[session as usize % self.owners.len()]
    }
}

/// So many IPv4 addresses, each another host.
pub fn addresses(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|number| Ipv4Addr::new(198, 51, 100, number).into()).collect()
}

/// So many addresses of one IPv6 /64: one host.
pub fn addresses_of_one_prefix(count: u16) -> Vec<IpAddr> {
    (1..=count).map(|number| Ipv6Addr::new(0x2001, 0xdb8, 1, 1, 0, 0, 0, number).into()).collect()
}

/// What each session does once it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// One byte, this often.
    OneByte(Duration),
    /// All that it can get: as much as a REQUEST can name is asked for at any time.
    Everything,
    /// So many bytes a second, whatever is lost and whatever is said.
    Steadily(u64),
    /// As much as a REQUEST can name, this often, and CANCEL for all of it at once.
    Cancels(Duration),
    /// Nothing: it is there, and is heard every 10 s.
    Nothing,
    /// HAVE with as many runs as it can have, each over the whole content, this often.
    Boasts(Duration),
    /// PING, this often.
    Pings(Duration),
    /// HELLO again, this often.
    Greets(Duration),
    /// HELLO again, this often, with the first cookie that it got, or with the one that came to its neighbour: whatever is answered.
    Stales { every: Duration, of_neighbour: bool },
    /// The manifest, and again, as fast as it can be had.
    Manifest,
    /// So many bytes a second, each time of another piece if it `hops`; and it has whatever its friends at other addresses began, it says.
    Praises { rate: u64, hops: bool },
}

impl Takes {
    fn is_stale(self) -> bool {
        matches!(self, Takes::Stales { .. })
    }
}

/// Who praises acts this often.
const PRAISES_EVERY: Duration = Duration::from_millis(500);
/// So many pieces are praised, those that were begun last.
const PRAISED: usize = MAX_HAVE_RUNS;

/// One session of a taker.
#[derive(Debug)]
struct TakerSession {
    node: NodeId,
    cookie: Cookie,
    /// The owner's number, from WELCOME on.
    theirs: Option<Conversation>,
    next_request: u32,
    /// The owner's last nonce.
    ping_echo: u64,
    highest_sequence: u32,
    /// Where the next range begins.
    next: (u32, u32),
    /// When a byte came last.
    given_at: Timestamp,
    /// Of its timers only the last one counts.
    timer: u32,
}

/// A taker, and what it came to.
#[derive(Debug)]
pub struct Taker {
    taking: Taking,
    sessions: Vec<TakerSession>,
    /// Which pieces its sessions asked for last, and who did.
    begun: VecDeque<(IpAddr, u32)>,
    /// Bytes of files that came.
    pub taken: u64,
    /// Datagrams and their bytes that came, CHUNKs apart, and that were sent.
    pub heard: (u64, u64),
    /// How many of them were BITFIELDs.
    pub bitfields: u64,
    pub said: (u64, u64),
}

impl Taker {
    /// From how many hosts it takes.
    pub fn hosts(&self) -> usize {
        let hosts = self.taking.addresses.iter().map(|ip| Host::of(SocketAddr::new(*ip, FIRST_PORT)));
        hosts.collect::<BTreeSet<_>>().len()
    }

    /// How many of its sessions are open.
    pub fn open(&self) -> usize {
        self.sessions.iter().filter(|session| session.theirs.is_some()).count()
    }
}

impl World {
    /// Adds a host behind `link` that takes: its node is registered and does nothing.
    pub fn add_taker(&mut self, link: LinkSpec, taking: Taking) -> HostId {
        let host = self.add_host(link, config::NodeSettings::default());
        let (mut sessions, begun) = (Vec::new(), VecDeque::new());
        for session in 0..taking.sessions {
            self.by_address.insert(taking.address(session), host);
            sessions.push(TakerSession {
                node: NodeId::from_bytes(self.rng.random()),
                cookie: Cookie::NONE,
                theirs: None,
                next_request: 1,
                ping_echo: 0,
                highest_sequence: 0,
                next: taking.begins_at(session, self.layout_of(taking.content).pieces()),
                given_at: Timestamp::ZERO,
                timer: 0,
            });
            let at = taking.from.max(self.now) + BEGINS_APART * session;
            self.schedule(at, Happening::Taker { host, session, timer: 0 });
        }
        self.takers.insert(
            host,
            Taker { taking, sessions, begun, taken: 0, heard: (0, 0), bitfields: 0, said: (0, 0) },
        );
        host
    }

    /// What the taker on `host` has come to.
    pub fn taker(&self, host: HostId) -> &Taker {
        &self.takers[&host]
    }

    /// A datagram reached a host. Whether it was for a taker there, and not for the node.
    pub(super) fn take(&mut self, host: HostId, payload: &Payload) -> bool {
        let Some(mut taker) = self.takers.remove(&host) else {
            return false;
        };
        let is_its_own = match payload {
            Payload::Chunk { header, length, .. } => {
                taker.taken += u64::from(*length);
                let ends = header.index + 1 == header.count;
                if let Some(session) = taker.sessions.get_mut(header.conversation.0 as usize) {
                    session.given_at = self.now;
                    session.highest_sequence = session.highest_sequence.max(header.sequence);
                    if ends && matches!(taker.taking.takes, Takes::Everything | Takes::Manifest) {
                        self.ask(host, &mut taker, header.conversation.0, 1, RANGE);
                    }
                }
                true
            }
            Payload::Control(bytes) => match Datagram::decode(bytes) {
                Ok(Datagram::Peer(conversation, message)) => {
                    taker.heard.0 += 1;
                    taker.heard.1 += bytes.len() as u64;
                    taker.bitfields += u64::from(matches!(message, NodeToNode::Bitfield(_)));
                    self.hear(host, &mut taker, conversation.0, &message);
                    true
                }
                _ => false,
            },
        };
        self.takers.insert(host, taker);
        is_its_own
    }

    fn hear(&mut self, host: HostId, taker: &mut Taker, number: u32, message: &NodeToNode) {
        let Some(session) = taker.sessions.get_mut(number as usize) else {
            return;
        };
        match message {
            NodeToNode::Retry(_) if taker.taking.takes.is_stale() && session.cookie != Cookie::NONE => {}
            NodeToNode::Retry(retry) => {
                session.cookie = retry.cookie;
                self.greet(host, taker, number);
            }
            NodeToNode::Welcome(welcome) if session.theirs.is_none() => {
                session.theirs = Some(welcome.conversation);
                self.act(host, taker, number);
            }
            NodeToNode::Ping(ping) if taker.taking.answers_pings => {
                session.ping_echo = ping.nonce;
                self.tell(host, taker, number, &Pong { nonce: ping.nonce });
            }
            NodeToNode::Bye(_) => session.theirs = None,
            NodeToNode::Control(control) if control.operation == Operation::Gone => {
                session.theirs = None;
            }
            _ => {}
        }
    }

    /// A session's time has come.
    pub(super) fn on_taker(&mut self, host: HostId, number: u32, timer: u32) {
        let Some(mut taker) = self.takers.remove(&host) else {
            return;
        };
        if taker.sessions[number as usize].timer == timer {
            let is_open = taker.sessions[number as usize].theirs.is_some();
            if self.now >= taker.taking.until {
                if taker.taking.says_bye {
                    self.tell(host, &mut taker, number, &Bye { reason: ByeReason::Cancelled });
                }
            } else if is_open {
                self.act(host, &mut taker, number);
            } else {
                self.greet(host, &mut taker, number);
            }
        }
        self.takers.insert(host, taker);
    }

    /// HELLO, and again when it is not answered.
    fn greet(&mut self, host: HostId, taker: &mut Taker, number: u32) {
        self.say_hello(host, taker, number);
        self.again(host, taker, number, TRIES_AGAIN);
    }

    fn say_hello(&mut self, host: HostId, taker: &mut Taker, number: u32) {
        let session = &taker.sessions[number as usize];
        let cookie = match taker.taking.takes {
            Takes::Stales { of_neighbour: true, .. } => taker.sessions[number as usize ^ 1].cookie,
            _ => session.cookie,
        };
        let hello = Hello {
            nonce: self.rng.random(),
            content: taker.taking.content,
            node: session.node,
            conversation: Conversation(number),
            capabilities: 0,
            sent_at: 0,
            cookie,
        };
        self.say_on(host, taker, number, Conversation(number), &hello);
    }

    /// What the script says, in an open session.
    fn act(&mut self, host: HostId, taker: &mut Taker, number: u32) {
        let after = match taker.taking.takes {
            Takes::OneByte(every) => {
                self.ask(host, taker, number, 1, 1);
                every
            }
            Takes::Everything | Takes::Manifest => {
                if taker.sessions[number as usize].given_at + TRIES_AGAIN <= self.now {
                    self.ask(host, taker, number, MAX_RANGES, RANGE);
                }
                TRIES_AGAIN
            }
            Takes::Steadily(rate) => {
                // Ten times a second, or as often as there are REQUESTs to say.
                let ranges = (rate / 10 / u64::from(RANGE)).clamp(1, MAX_RANGES as u64);
                self.ask(host, taker, number, ranges as usize, RANGE);
                Duration::from_nanos(ranges * u64::from(RANGE) * 1_000_000_000 / rate.max(1))
            }
            Takes::Cancels(every) => {
                let first = taker.sessions[number as usize].next_request;
                self.ask(host, taker, number, MAX_RANGES, RANGE);
                for request in (0..MAX_RANGES as u32).map(|range| first.wrapping_add(range)) {
                    let cancel = Control { operation: Operation::Cancel, retry_after_ms: 0, request };
                    self.tell(host, taker, number, &cancel);
                }
                every
            }
            Takes::Nothing => {
                self.tell(host, taker, number, &Ping::new(1));
                Duration::from_secs(10)
            }
            Takes::Boasts(every) => {
                let pieces = self.layout_of(taker.taking.content).pieces();
                let all = PieceRun::new(0, pieces).expect("a run");
                let runs = List::first_of([all; MAX_HAVE_RUNS]);
                self.tell(host, taker, number, &Have { runs });
                every
            }
            Takes::Pings(every) => {
                self.tell(host, taker, number, &Ping::new(1));
                every
            }
            Takes::Greets(every) => {
                self.say_hello(host, taker, number);
                every
            }
            Takes::Stales { every, .. } => {
                self.say_hello(host, taker, number);
                every
            }
            Takes::Praises { rate, hops } => {
                self.praise(host, taker, number, rate, hops);
                PRAISES_EVERY
            }
        };
        self.again(host, taker, number, after);
    }

    /// Takes a little, and says that it has what its friends took.
    fn praise(&mut self, host: HostId, taker: &mut Taker, number: u32, rate: u64, hops: bool) {
        let address = taker.taking.address(number).ip();
        let (piece, _) = taker.sessions[number as usize].next;
        if taker.begun.back() != Some(&(address, piece)) {
            taker.begun.push_back((address, piece));
        }
        let bytes = rate * PRAISES_EVERY.as_millis() as u64 / 1000;
        let count = (bytes / u64::from(RANGE) + 1).min(MAX_RANGES as u64);
        self.ask(host, taker, number, count as usize, (bytes / count) as u32);
        if hops {
            let pieces = self.layout_of(taker.taking.content).pieces();
            taker.sessions[number as usize].next = ((piece + 1) % pieces, 0);
        }
        while taker.begun.len() > PRAISED {
            taker.begun.pop_front();
        }
        let of_friends = taker.begun.iter().filter(|(of, _)| *of != address);
        let runs = List::first_of(of_friends.filter_map(|(_, piece)| PieceRun::new(*piece, 1)));
        self.tell(host, taker, number, &Have { runs });
    }

    /// REQUEST of the next ranges of the content, or of its manifest, of `length` bytes at most, and around.
    fn ask(&mut self, host: HostId, taker: &mut Taker, number: u32, count: usize, length: u32) {
        let layout = self.layout_of(taker.taking.content);
        let session = &mut taker.sessions[number as usize];
        let mut ranges = Vec::new();
        for _ in 0..count {
            let (piece, offset) = session.next;
            let (of, end) = match taker.taking.takes {
                Takes::Manifest => (PieceIndex::MANIFEST, layout.manifest_length()),
                _ => (PieceIndex(piece), layout.piece_length(PieceIndex(piece))),
            };
            let length = length.min(end - offset);
            ranges.push(ByteRange::new(of, offset, length).expect("a range"));
            session.next = match offset + length {
                next if next < end => (piece, next),
                _ => ((piece + 1) % layout.pieces(), 0),
            };
        }
        let request = Request {
            first_request: session.next_request,
            highest_sequence: session.highest_sequence,
            ping_echo: if taker.taking.answers_pings { session.ping_echo } else { 0 },
            segment_size: SEGMENT,
            ranges: List::first_of(ranges),
        };
        session.next_request = session.next_request.wrapping_add(count as u32);
        self.tell(host, taker, number, &request);
    }

    fn layout_of(&self, content: ContentId) -> Layout {
        self.library.of(content).expect("a content that exists").manifest.layout()
    }

    fn again(&mut self, host: HostId, taker: &mut Taker, number: u32, after: Duration) {
        let session = &mut taker.sessions[number as usize];
        session.timer += 1;
        let timer = session.timer;
        self.schedule(self.now + after, Happening::Taker { host, session: number, timer });
    }

    /// Says something in an open session.
    fn tell<B: Body>(&mut self, host: HostId, taker: &mut Taker, number: u32, body: &B) {
        if let Some(theirs) = taker.sessions[number as usize].theirs {
            self.say_on(host, taker, number, theirs, body);
        }
    }

    fn say_on<B: Body>(&mut self, host: HostId, taker: &mut Taker, number: u32, on: Conversation, body: &B) {
        let mut bytes = Vec::new();
        messages::encode(on, body, &mut bytes);
        taker.said.0 += 1;
        taker.said.1 += bytes.len() as u64;
        let to = self.hosts[taker.taking.owner(number).0].address;
        self.send(host, taker.taking.address(number), to, Payload::Control(bytes));
    }
}
