//! The messages between nodes, except CHUNK.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::bitfield::Bits;
pub use crate::byte_range::ByteRange;
use crate::codec::{Body, Padding, content_length};
use crate::cookie::Cookie;
use crate::file_metadata::FileMetadata;
use crate::header::Conversation;
use crate::id::{ContentId, NodeId};
use crate::kind::Kind;
use crate::limits::{
    BASE_DATAGRAM, MAX_DATAGRAM, MAX_HAVE_RUNS, MAX_HINT_RUNS, MAX_PROBE_SIZES, MAX_RANGES, MAX_SEGMENT,
};
use crate::list::List;
use crate::piece_run::PieceRun;

/// The capability that the owner sends each datagram of a burst on its own in this session, without segmentation
/// offload. A downloader asks for it when bursts do not arrive whole; a HELLO that is repeated in the session states it
/// anew.
pub const NO_GSO: u32 = 1;

/// The capability that the downloader understands HINT.
pub const HINTS: u32 = 2;

/// HELLO: open a session about one content. Padded to a full control datagram, so that no answer to it is larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Chosen by the downloader; the answer carries it back.
    pub nonce: u64,
    /// The content.
    pub content: ContentId,
    /// Who asks.
    pub node: NodeId,
    /// The downloader's number for the session (also in the header, as the owner has none yet).
    pub conversation: Conversation,
    /// What else the downloader understands; bits that the owner does not know are ignored.
    pub capabilities: u32,
    /// The downloader's clock, in microseconds ([`Timestamp::wire_micros`](crate::Timestamp::wire_micros)).
    pub sent_at: u32,
    /// The owner's last cookie for this address; [`Cookie::NONE`] before there was one.
    pub cookie: Cookie,
}

/// RETRY: the downloader says HELLO again with this cookie. The owner keeps nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The HELLO's nonce.
    pub nonce: u64,
    /// The HELLO's `sent_at`.
    pub echoed_at: u32,
    /// The cookie for the next HELLO.
    pub cookie: Cookie,
}

/// WELCOME: the session is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The HELLO's nonce.
    pub nonce: u64,
    /// The HELLO's `sent_at`.
    pub echoed_at: u32,
    /// The owner's number for the session.
    pub conversation: Conversation,
    /// The content's length in bytes, as the owner states it: the outboard, or the only piece, proves it.
    #[serde(deserialize_with = "content_length")]
    pub length: u64,
    /// How many pieces the owner has; one that has all of them sends no BITFIELD.
    pub have: u32,
    /// Bytes of payload that may be asked for and not have arrived, in this session.
    pub max_outstanding: u32,
    /// The longest datagram that the owner sends, header included: from [`BASE_DATAGRAM`] to [`MAX_DATAGRAM`] bytes.
    #[serde(deserialize_with = "max_datagram")]
    pub max_datagram: u16,
    /// Which of HELLO's capabilities the owner has too.
    pub capabilities: u32,
    /// The owner node.
    pub node: NodeId,
    /// What the owner says of the file that the content is, if the content is one file and the owner has all of it.
    pub file: FileMetadata,
}

/// BITFIELD: pieces that the owner has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bitfield {
    /// The pieces, as bits.
    pub bits: Bits,
}

/// HAVE: pieces that the sender has now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// The pieces, as runs.
    pub runs: List<PieceRun, MAX_HAVE_RUNS>,
}

/// REQUEST: send these ranges, each in one burst. Range `i` is request `first_request + i` (wrapping); a number that
/// was seen before is not answered again, so that a REQUEST may repeat the last range of the one before. Every range
/// of a decoded REQUEST [fits one burst](ByteRange::fits_burst) of its segment size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AnyRequest")]
pub struct Request {
    /// The number of the first range.
    pub first_request: u32,
    /// The highest CHUNK sequence that has arrived: the owner bounds by it what it sends unheard.
    pub highest_sequence: u32,
    /// The nonce of one of the owner's last PINGs, or 0: it answers that too.
    pub ping_echo: u64,
    /// Bytes of payload in each CHUNK but a range's last: 1 to [`MAX_SEGMENT`].
    pub segment_size: u16,
    /// The ranges.
    pub ranges: List<ByteRange, MAX_RANGES>,
}

/// A REQUEST as it travels, before its ranges are held against its segment size.
#[derive(Deserialize)]
struct AnyRequest {
    first_request: u32,
    highest_sequence: u32,
    ping_echo: u64,
    segment_size: u16,
    ranges: List<ByteRange, MAX_RANGES>,
}

impl TryFrom<AnyRequest> for Request {
    type Error = &'static str;
    fn try_from(any: AnyRequest) -> Result<Request, &'static str> {
        let AnyRequest { first_request, highest_sequence, ping_echo, segment_size, ranges } = any;
        if !(1..=MAX_SEGMENT).contains(&segment_size) {
            return Err("no such segment size");
        }
        if !ranges.iter().all(|range| range.fits_burst(segment_size)) {
            return Err("a range is more than one burst");
        }
        Ok(Request { first_request, highest_sequence, ping_echo, segment_size, ranges })
    }
}

/// CONTROL: one side changes or ends what the session, or one of its requests, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// What is changed or ended.
    pub operation: Operation,
    /// After how many milliseconds the downloader may try again, if that makes sense; else 0.
    pub retry_after_ms: u16,
    /// The request that it is about, if it is about one; else 0.
    pub request: u32,
}

/// HINT: pieces of this owner that other downloaders do not get. It is advice, sent only to downloaders with [`HINTS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Pieces to ask for first.
    pub runs: List<PieceRun, MAX_HINT_RUNS>,
}

/// The operation of a CONTROL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// The owner's queue is full: this request was dropped.
    Busy,
    /// The owner serves others for now.
    Choke,
    /// The owner serves again.
    Unchoke,
    /// The owner cannot answer this request: no such piece here, or not a range of it.
    Reject,
    /// The downloader no longer wants this request.
    Cancel,
    /// The content is not served here, or no longer: the session is over.
    Gone,
}

impl Operation {
    /// Every operation, in the order of their numbers on the wire.
    pub const ALL: [Operation; 6] = [
        Operation::Busy,
        Operation::Choke,
        Operation::Unchoke,
        Operation::Reject,
        Operation::Cancel,
        Operation::Gone,
    ];
}

/// PROBE: send me one PROBED of each of these sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Which probe this is.
    pub id: u32,
    /// Datagram payload sizes, in bytes.
    pub sizes: List<ProbeSize, MAX_PROBE_SIZES>,
}

/// A size that a probe may have: from [`BASE_DATAGRAM`] to [`MAX_DATAGRAM`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ProbeSize(u16);

impl ProbeSize {
    /// The size `bytes`, when a datagram can have it.
    #[must_use]
    pub const fn new(bytes: u16) -> Option<ProbeSize> {
        if bytes as usize >= BASE_DATAGRAM && bytes as usize <= MAX_DATAGRAM {
            Some(ProbeSize(bytes))
        } else {
            None
        }
    }

    /// The size, in bytes.
    #[must_use]
    pub const fn bytes(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for ProbeSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProbeSize, D::Error> {
        ProbeSize::new(u16::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("no such size"))
    }
}

/// PROBED: one datagram of the size that it names, padded with zeros, sent with fragmentation forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The PROBE's id.
    pub id: u32,
    /// The size of this datagram.
    pub size: ProbeSize,
}

/// PING: are you there? Answered with PONG. An owner's is as long as the CHUNKs behind which it goes, padded with
/// zeros, so that the path loses it as it loses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// To be sent back; never 0, which in a REQUEST says that there was no PING.
    #[serde(deserialize_with = "ping_nonce")]
    pub nonce: u64,
    /// The size of this datagram, in bytes: at least [`Ping::MIN_SIZE`].
    pub size: u16,
}

impl Ping {
    /// The length of a PING without padding, in bytes.
    pub const MIN_SIZE: u16 = 18;

    /// A PING without padding.
    #[must_use]
    pub const fn new(nonce: u64) -> Ping {
        Ping { nonce, size: Ping::MIN_SIZE }
    }
}

/// PONG: the answer to PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// The PING's nonce.
    pub nonce: u64,
}

/// BYE: the session is over; nothing answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByeReason {
    /// The downloader has what it wanted.
    Done,
    /// The node leaves.
    Leaving,
    /// The person ended the transfer.
    Cancelled,
    /// The other side broke the protocol or sent what does not verify.
    Fault,
}

impl ByeReason {
    /// Every reason, in the order of their numbers on the wire.
    pub const ALL: [ByeReason; 4] =
        [ByeReason::Done, ByeReason::Leaving, ByeReason::Cancelled, ByeReason::Fault];
}

fn max_datagram<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    ProbeSize::deserialize(deserializer).map(ProbeSize::bytes)
}

fn ping_nonce<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let nonce = u64::deserialize(deserializer)?;
    if nonce == 0 { Err(D::Error::custom("a PING that cannot be answered by a REQUEST")) } else { Ok(nonce) }
}

impl Body for Hello {
    const KIND: Kind = Kind::Hello;
    const PADDING: Padding = Padding::ToControlDatagram;
}
impl Body for Retry {
    const KIND: Kind = Kind::Retry;
}
impl Body for Welcome {
    const KIND: Kind = Kind::Welcome;
}
impl Body for Bitfield {
    const KIND: Kind = Kind::Bitfield;
}
impl Body for Have {
    const KIND: Kind = Kind::Have;
}
impl Body for Request {
    const KIND: Kind = Kind::Request;
}
impl Body for Control {
    const KIND: Kind = Kind::Control;
}
impl Body for Hint {
    const KIND: Kind = Kind::Hint;
}
impl Body for Probe {
    const KIND: Kind = Kind::Probe;
}
impl Body for Probed {
    const KIND: Kind = Kind::Probed;
    const PADDING: Padding = Padding::ToOwnSize;

    fn own_size(&self) -> usize {
        self.size.bytes().into()
    }
}
impl Body for Ping {
    const KIND: Kind = Kind::Ping;
    const PADDING: Padding = Padding::ToOwnSize;

    fn own_size(&self) -> usize {
        self.size.into()
    }
}
impl Body for Pong {
    const KIND: Kind = Kind::Pong;
}
impl Body for Bye {
    const KIND: Kind = Kind::Bye;
}
