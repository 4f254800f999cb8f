//! A node on a stage: it is handed datagrams, time, commands and disk results as by its driver, and what must hold of
//! every answer is looked at in one place. No byte of any file exists here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::NodeSettings;
use messages::limits::MAX_DATAGRAM;
use messages::{
    BootEpoch, CHUNK_HEADER, ChunkHeader, ContentId, Conversation, CookieJar, Datagram, Kind, Layout, Name,
    NodeId, NodeToNode, Outboard, PieceIndex, Timestamp,
};
use riffle_core::{
    BufferChange, BufferId, Burst, Command, DiskError, DiskErrorKind, DiskRequest, DiskResult, FolderOptions,
    Identity, Node, Output, ShareId, Source, Wait,
};

use crate::accounts::Accounts;
use crate::heap;

/// The key of the node's cookies.
const SECRET: [u8; 32] = [5; 32];
/// The node.
pub(crate) const NODE: NodeId = NodeId::from_bytes([0xee; 16]);
/// What one input may lead to leaves in this many polls.
const MAX_POLLS: usize = 200;
/// Heap bytes of the scratch in which the outputs of one step leave: bursts, disk requests, events with names.
pub(crate) const HEAP_SCRATCH: usize = 256 << 10;

/// The address of the tracker.
pub(crate) fn tracker_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 100], 12345))
}

/// A content without bytes.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) id: ContentId,
    pub(crate) name: Name,
    pub(crate) outboard: Arc<Outboard>,
}

/// The content `name` of `length` bytes.
pub(crate) fn content(name: &str, length: u64) -> Content {
    let layout = Layout::of(length).expect("a length that a content can have");
    let outboard = Outboard::imagined(layout, name);
    Content { id: outboard.content(), name: Name::new(name).expect("a name"), outboard: Arc::new(outboard) }
}

/// A buffer of the pool, without its bytes.
#[derive(Debug)]
struct Buffer {
    length: u32,
    /// Which bytes were placed.
    placed: Vec<bool>,
    /// Whether a worker has it.
    lent: bool,
}

/// A range as it was asked for, and of whose conversation.
type Asked = (SocketAddr, Conversation, PieceIndex, u32, u32, u16);

/// Request numbers that are further apart than this may be new although they were met before: they wrap.
const NEAR_NUMBERS: u32 = 1000;

/// A session that the node serves, as it shows from outside.
#[derive(Debug)]
struct Served {
    to: SocketAddr,
    theirs: Conversation,
    first_request: Option<u32>,
    /// Whether its request numbers stay near each other, so that none may be answered twice.
    orderly: bool,
    answered: BTreeSet<u32>,
}

/// A node, its time, and what was seen of it.
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) now: Timestamp,
    pub(crate) jar: CookieJar,
    out: Output,
    /// Addresses to which the node may speak first: its tracker, and owners that the tracker named.
    pub(crate) named: BTreeSet<SocketAddr>,
    accounts: Accounts,
    /// Files that are open for bursts: what is in them.
    pub(crate) open: BTreeMap<ShareId, Content>,
    /// Ranges that were asked for and not answered, by how often.
    asked: BTreeMap<Asked, u32>,
    /// Sessions that are served, by the node's number.
    served: BTreeMap<Conversation, Served>,
    buffers: BTreeMap<BufferId, Buffer>,
    /// The requests that the disk has not answered.
    pub(crate) disk: VecDeque<DiskRequest>,
    /// Control datagrams that the node sent and nobody has looked at.
    pub(crate) heard: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Bursts that were sent.
    pub(crate) bursts: usize,
    memory: u64,
    heap_cap: isize,
    held: isize,
}

impl Stage {
    /// A node with `settings`, which with all that strangers may make it keep holds `tables` bytes of heap at most.
    pub(crate) fn new(settings: &NodeSettings, tables: usize) -> Stage {
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        let identity = Identity { node: NODE, epoch: BootEpoch(1), secret: SECRET, seed: 7 };
        let before = heap::held();
        let node = Node::new(settings.clone(), &identity, Some(tracker_address()), 1 << 20, now);
        Stage {
            node,
            now,
            jar: CookieJar::new(SECRET),
            out: Output::default(),
            named: BTreeSet::from([tracker_address()]),
            accounts: Accounts::default(),
            open: BTreeMap::new(),
            asked: BTreeMap::new(),
            served: BTreeMap::new(),
            buffers: BTreeMap::new(),
            disk: VecDeque::new(),
            heard: VecDeque::new(),
            bursts: 0,
            memory: settings.download.memory.as_u64(),
            heap_cap: (tables + HEAP_SCRATCH).cast_signed(),
            held: heap::held() - before,
        }
    }

    /// Heap bytes that the node and its scratch hold.
    pub(crate) fn held(&self) -> isize {
        self.held
    }

    /// Pieces that are being put together or stored.
    pub(crate) fn buffers(&self) -> usize {
        self.buffers.len()
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Node, Timestamp) -> T) -> T {
        let before = heap::held();
        let result = act(&mut self.node, self.now);
        self.held += heap::held() - before;
        result
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// A person's command.
    pub(crate) fn command(&mut self, command: Command) {
        // A copy: what the node is given counts as its own, and what it gives away does not.
        self.act(|node, now| node.handle_command(command.clone(), now));
        self.settle();
    }

    /// The disk's answer.
    pub(crate) fn disk_says(&mut self, result: DiskResult) {
        self.act(|node, now| node.handle_disk(result.clone(), now));
        self.settle();
    }

    /// Shares `content` and lets the disk answer.
    pub(crate) fn share(&mut self, share: ShareId, content: &Content) {
        let path = PathBuf::from(content.name.as_str());
        self.command(Command::Share {
            share,
            path,
            name: content.name.clone(),
            options: FolderOptions::default(),
        });
        assert_eq!(
            self.disk.pop_back().map(|request| matches!(request, DiskRequest::Share { .. })),
            Some(true)
        );
        self.open.insert(share, content.clone());
        self.disk_says(DiskResult::Shared {
            share,
            result: Ok(content.outboard.clone()),
            file: messages::FileMetadata::default(),
        });
    }

    /// A datagram arrives, as the driver takes it.
    pub(crate) fn arrive(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.account(from, datagram);
        if datagram.get(3) == Some(&(Kind::Chunk as u8))
            && let Ok((header, payload)) = ChunkHeader::decode(datagram)
        {
            let length = payload.len();
            if let Some(place) = self.act(|node, now| node.handle_chunk(from, &header, length, now)) {
                // The pool's changes since the last poll are carried out before anything arrives: there are none.
                let buffer = self.buffers.get_mut(&place.buffer);
                let buffer =
                    buffer.unwrap_or_else(|| panic!("a place in {}, which is nobody's", place.buffer));
                assert!(!buffer.lent, "a place in a buffer that a worker reads");
                let run = place.offset as usize..place.offset as usize + length;
                assert!(run.end <= buffer.length as usize, "a place beyond the end of its buffer");
                // What an owner sent that is no longer trusted comes a second time: no byte need be new.
                buffer.placed[run].fill(true);
            }
        } else {
            self.act(|node, now| node.handle_datagram(from, datagram, now));
        }
        self.settle();
    }

    /// What is known of the sender by `datagram`, and which ranges it asks for.
    fn account(&mut self, from: SocketAddr, datagram: &[u8]) {
        let decoded = Datagram::decode(datagram);
        let proves = match &decoded {
            Ok(Datagram::Peer(_, NodeToNode::Hello(hello))) => self.jar.accepts(hello.cookie, from, self.now),
            _ => false,
        };
        self.accounts.receive(from, datagram.len(), proves);
        match decoded {
            Ok(Datagram::Peer(conversation, NodeToNode::Bye(_))) => {
                self.served.retain(|ours, served| *ours != conversation || served.to != from);
            }
            Ok(Datagram::Peer(conversation, NodeToNode::Request(request))) => {
                if let Some(served) = self.served.get_mut(&conversation).filter(|served| served.to == from) {
                    let first = *served.first_request.get_or_insert(request.first_request);
                    let apart = request.first_request.wrapping_sub(first).cast_signed().unsigned_abs();
                    served.orderly &= apart <= NEAR_NUMBERS;
                }
                for range in request.ranges.iter() {
                    let (offset, length) = (range.offset(), range.length());
                    let asked = (from, conversation, range.piece(), offset, length, request.segment_size);
                    *self.asked.entry(asked).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// Drains the node until it waits for the future.
    pub(crate) fn settle(&mut self) -> Wait {
        for _ in 0..MAX_POLLS {
            let mut out = std::mem::take(&mut self.out);
            let wait = self.act(|node, now| node.poll(now, &mut out));
            self.carry_out(&mut out);
            self.out = out;
            assert!(self.held <= self.heap_cap, "{} bytes of heap, of {}", self.held, self.heap_cap);
            if wait.until > self.now {
                return wait;
            }
        }
        panic!("the node is never done");
    }

    fn carry_out(&mut self, out: &mut Output) {
        for change in out.buffers.drain(..) {
            self.change_buffer(change);
        }
        let lent: u64 = self.buffers.values().map(|buffer| u64::from(buffer.length)).sum();
        assert!(
            lent <= self.memory || self.buffers.len() == 1,
            "{lent} bytes of buffers, of {}",
            self.memory
        );
        for outgoing in &out.datagrams {
            let bytes = out.whole(outgoing);
            self.hear_of_sessions(outgoing.to, &bytes);
            self.pay(outgoing.to, bytes.len());
            self.heard.push_back((outgoing.to, bytes));
        }
        for burst in &out.bursts {
            self.check_burst(burst);
        }
        for request in &out.disk {
            self.take_request(request.clone());
        }
    }

    /// WELCOME opens a session, BYE ends it. (GONE may be the answer to another HELLO with the same number.)
    fn hear_of_sessions(&mut self, to: SocketAddr, bytes: &[u8]) {
        match Datagram::decode(bytes) {
            Ok(Datagram::Peer(theirs, NodeToNode::Welcome(welcome))) => {
                let ours = welcome.conversation;
                self.served.retain(|of, served| *of == ours || (served.to, served.theirs) != (to, theirs));
                let answered = BTreeSet::new();
                let fresh = Served { to, theirs, first_request: None, orderly: true, answered };
                self.served.entry(ours).or_insert(fresh);
            }
            Ok(Datagram::Peer(theirs, NodeToNode::Bye(_))) => {
                self.served.retain(|_, served| (served.to, served.theirs) != (to, theirs));
            }
            Ok(_) => {}
            Err(error) => panic!("the node says {bytes:02x?}: {error}"),
        }
    }

    /// Nothing above the bytes received goes to an address that has proven nothing, and nothing at all to one that
    /// never said anything and was not named.
    fn pay(&mut self, to: SocketAddr, bytes: usize) {
        self.accounts.send(to, bytes, self.named.contains(&to));
    }

    fn change_buffer(&mut self, change: BufferChange) {
        match change {
            BufferChange::Allocate { buffer, length } => {
                let fresh = Buffer { length, placed: vec![false; length as usize], lent: false };
                assert!(self.buffers.insert(buffer, fresh).is_none(), "{buffer} is lent twice");
            }
            BufferChange::Free { buffer } => {
                let freed = self.buffers.remove(&buffer);
                let freed = freed.unwrap_or_else(|| panic!("{buffer} is given back twice"));
                assert!(!freed.lent, "a buffer that a worker reads is given back");
            }
        }
    }

    /// A burst is what was asked for, there, of a content that is served, and within it.
    fn check_burst(&mut self, burst: &Burst) {
        self.bursts += 1;
        let bytes = burst.length as usize + burst.segments() * CHUNK_HEADER;
        assert_eq!(bytes, burst.wire_length());
        assert!(bytes <= MAX_DATAGRAM && burst.length > 0, "a burst of {bytes} bytes");
        assert!(self.accounts.is_proven(burst.to), "a burst to {}, which proved nothing", burst.to);
        self.pay(burst.to, bytes);
        for index in 0..burst.segments() {
            let mut datagram = burst.header(index).encode().to_vec();
            let payload = burst.payload(index);
            datagram.resize(CHUNK_HEADER + (payload.end - payload.start) as usize, 0);
            assert!(matches!(Datagram::decode(&datagram), Ok(Datagram::Chunk(..))), "{burst:?}");
        }
        let end = burst.start + u64::from(burst.length);
        let (piece, offset) = (burst.first.piece, u64::from(burst.first.offset));
        match &burst.source {
            Source::Share(share) => {
                let served = self.open.get(share).unwrap_or_else(|| panic!("{share} is not served"));
                let layout = served.outboard.layout();
                let span = layout.span(piece).expect("a piece of the content");
                assert_eq!(burst.start, span.start + offset);
                assert!(end <= span.end && end <= layout.length(), "a burst beyond its piece");
            }
            Source::Outboard(outboard) => {
                assert!(self.open.values().any(|content| content.outboard.encode() == **outboard));
                assert_eq!((piece, burst.start), (PieceIndex::OUTBOARD, offset));
                assert!(end <= outboard.len() as u64, "a burst beyond the outboard");
            }
        }
        self.settle_asked(burst);
    }

    /// Each range is answered once for each time it was asked for.
    fn settle_asked(&mut self, burst: &Burst) {
        let fits = |asked: &Asked| {
            let &(from, _, piece, offset, length, segment) = asked;
            from == burst.to
                && (piece, offset, length) == (burst.first.piece, burst.first.offset, burst.length)
                && segment == burst.segment_size
        };
        let asked = self.asked.iter_mut().find(|(asked, count)| **count > 0 && fits(asked));
        let (_, count) = asked.unwrap_or_else(|| panic!("nobody asked for {burst:?}"));
        *count -= 1;
        let (to, theirs) = (burst.to, burst.first.conversation);
        let served = self.served.values_mut().find(|served| (served.to, served.theirs) == (to, theirs));
        let served = served.unwrap_or_else(|| panic!("no session is open for {burst:?}"));
        let fresh = served.answered.insert(burst.first.request);
        assert!(fresh || !served.orderly, "a request is answered twice: {burst:?}");
    }

    fn take_request(&mut self, request: DiskRequest) {
        match &request {
            DiskRequest::Store { buffer, length, .. }
            | DiskRequest::Preview { buffer, length, .. }
            | DiskRequest::CheckOutboard { buffer, length, .. } => {
                let buffer = self.buffers.get_mut(buffer).expect("a buffer of the pool");
                assert!(!buffer.lent, "a buffer is with two workers");
                assert!(*length <= buffer.length, "more than a buffer holds");
                let whole = buffer.placed[..*length as usize].iter().all(|&placed| placed);
                assert!(whole, "a worker is given bytes that have not arrived");
                buffer.lent = true;
            }
            DiskRequest::Unshare { share } => {
                self.open.remove(share);
                return;
            }
            DiskRequest::Abandon { .. } => return,
            DiskRequest::Share { .. }
            | DiskRequest::LookAtTarget { .. }
            | DiskRequest::Open { .. }
            | DiskRequest::OpenIndex { .. }
            | DiskRequest::ReadIndex { .. }
            | DiskRequest::Finish { .. } => {}
        }
        self.disk.push_back(request);
    }

    /// A worker gives `buffer` back.
    pub(crate) fn returns(&mut self, buffer: BufferId) {
        self.buffers.get_mut(&buffer).expect("a buffer of the pool").lent = false;
    }
}

/// The error of a disk that refuses a request.
pub(crate) fn disk_error(kind: DiskErrorKind) -> DiskError {
    DiskError { path: PathBuf::from("file"), kind }
}
