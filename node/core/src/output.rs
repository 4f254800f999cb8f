//! What the core gives to its driver: datagrams, bursts, requests to the disk, events, and when to poll again.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use messages::node_to_node::{Ping, Probed};
use messages::{CHUNK_HEADER, ChunkHeader, Conversation, Timestamp};

use crate::disk::DiskRequest;
use crate::event::Event;
use crate::ids::{BufferId, ShareId};

/// The output of one poll. The driver owns it and passes it to `poll`, which clears it and keeps its memory.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes of all control datagrams, one after the other.
    pub bytes: Vec<u8>,
    /// The control datagrams.
    pub datagrams: Vec<Outgoing>,
    /// Runs of file or outboard bytes to be sent, towards one address in the order of the list.
    pub bursts: Vec<Burst>,
    /// The changes of the buffer pool, which are to be made in order and before any datagram that arrives later is
    /// handled.
    pub buffers: Vec<BufferChange>,
    /// The requests to the disk.
    pub disk: Vec<DiskRequest>,
    /// The events that have happened.
    pub events: Vec<Event>,
}

impl Output {
    /// Empties the output and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.bursts.clear();
        self.buffers.clear();
        self.disk.clear();
        self.events.clear();
    }

    /// Whether the output is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
            && self.bursts.is_empty()
            && self.buffers.is_empty()
            && self.disk.is_empty()
            && self.events.is_empty()
    }

    /// Appends one control datagram that `encode` writes.
    pub(crate) fn send(&mut self, to: SocketAddr, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        self.datagrams.push(Outgoing { to, range: start..self.bytes.len(), zeros: 0, is_probe: false });
    }

    /// Appends the answer to a probe, which is as long as the probe asks for. Its zeros are not stored.
    pub(crate) fn send_probed(&mut self, to: SocketAddr, conversation: Conversation, probed: &Probed) {
        let start = self.bytes.len();
        let zeros = messages::encode_unpadded(conversation, probed, &mut self.bytes);
        self.datagrams.push(Outgoing { to, range: start..self.bytes.len(), zeros, is_probe: true });
    }

    /// All bytes of `outgoing`, including its zeros.
    #[must_use]
    pub fn whole(&self, outgoing: &Outgoing) -> Vec<u8> {
        let mut bytes = self.bytes[outgoing.range.clone()].to_vec();
        bytes.resize(bytes.len() + outgoing.zeros, 0);
        bytes
    }
}

/// One control datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The address to which it is sent.
    pub to: SocketAddr,
    /// The part of [`Output::bytes`] that the datagram consists of.
    pub range: Range<usize>,
    /// The number of zeros that follow.
    pub zeros: usize,
    /// Whether the datagram shows that the path carries its length. It is dropped rather than kept waiting for the
    /// socket.
    pub is_probe: bool,
}

/// Where the bytes of a burst come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A shared file.
    Share(ShareId),
    /// An outboard.
    Outboard(Arc<[u8]>),
}

/// The CHUNKs that answer one requested range, sent with one system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// The address to which it is sent.
    pub to: SocketAddr,
    /// What is sent.
    pub source: Source,
    /// The offset of the burst's bytes in the source.
    pub start: u64,
    /// The number of bytes of the source that the burst carries; at least one.
    pub length: u32,
    /// The number of payload bytes in each segment but the last; at least one.
    pub segment_size: u16,
    /// The header of the first segment.
    pub first: ChunkHeader,
    /// Whether each segment is to be given to the system on its own, because offload is broken somewhere on the path.
    pub no_gso: bool,
    /// The PING among the segments, which fares on the path as they do.
    pub ping: Option<PingAmong>,
}

/// A PING that is as long as the segments among which it is sent, so that a queue on the path cannot tell it from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingAmong {
    /// What is sent.
    pub ping: Ping,
    /// The index of the segment before which the PING is sent.
    pub before: u8,
}

/// One datagram of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurstPart {
    /// The CHUNK with this index.
    Segment(usize),
    /// The PING among the CHUNKs.
    Ping(Ping),
}

impl Burst {
    /// The number of segments.
    #[must_use]
    pub const fn segments(&self) -> usize {
        self.length.div_ceil(self.segment_size as u32) as usize
    }

    /// The number of datagrams: the segments, and the PING among them.
    #[must_use]
    pub const fn datagrams(&self) -> usize {
        self.segments() + self.ping.is_some() as usize
    }

    /// The datagram `index` in the order of sending. All datagrams have the same length, except that the last may be
    /// shorter.
    #[must_use]
    pub fn part(&self, index: usize) -> BurstPart {
        match self.ping {
            Some(PingAmong { ping, before }) if index == usize::from(before) => BurstPart::Ping(ping),
            Some(PingAmong { before, .. }) => {
                BurstPart::Segment(index - usize::from(index > usize::from(before)))
            }
            None => BurstPart::Segment(index),
        }
    }

    /// The number of bytes of all CHUNKs, including their headers.
    #[must_use]
    pub const fn wire_length(&self) -> usize {
        self.length as usize + self.segments() * CHUNK_HEADER
    }

    /// The header of segment `index`.
    #[must_use]
    pub const fn header(&self, index: usize) -> ChunkHeader {
        ChunkHeader {
            sequence: self.first.sequence.wrapping_add(index as u32),
            offset: self.first.offset + index as u32 * self.segment_size as u32,
            index: index as u8,
            ..self.first
        }
    }

    /// The bytes of the source that follow the header of segment `index`.
    #[must_use]
    pub fn payload(&self, index: usize) -> Range<u64> {
        let from = index as u64 * u64::from(self.segment_size);
        let to = (from + u64::from(self.segment_size)).min(u64::from(self.length));
        self.start + from..self.start + to
    }
}

/// A change of the driver's buffer pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferChange {
    /// `buffer` is to hold `length` bytes; its content does not matter.
    Allocate {
        /// The new buffer.
        buffer: BufferId,
        /// Its size, in bytes.
        length: u32,
    },
    /// `buffer` is no longer used.
    Free {
        /// The buffer.
        buffer: BufferId,
    },
}

/// Where the payload of a CHUNK is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The buffer.
    pub buffer: BufferId,
    /// The offset of the payload in the buffer, in bytes. All of the payload fits.
    pub offset: u32,
}

/// When the core wants to be polled again if nothing arrives before, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The time of the next poll. If it has passed, the core wants to be polled at once.
    pub until: Timestamp,
    /// What is due then.
    pub reason: Reason,
}

impl Wait {
    /// Nothing is due.
    pub const IDLE: Wait = Wait { until: Timestamp::NEVER, reason: Reason::Idle };

    /// The earlier of two.
    #[must_use]
    pub fn earlier(self, other: Wait) -> Wait {
        if other.until < self.until { other } else { self }
    }
}

/// The reason why the core wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Nothing is due.
    Idle,
    /// The last poll stopped before everything was sent, so that datagrams can be received in between.
    MoreToSend,
    /// A request to the tracker is to be repeated.
    TrackerRetry,
    /// The next REGISTER is due.
    Heartbeat,
    /// A download asks the tracker for owners again.
    NeedRetry,
    /// A download or a search gives up.
    Timeout,
    /// A download checks whether a faster owner should have the ranges of a slow one.
    Reassignment,
    /// A download reports why it waits.
    WaitReport,
    /// Writing to a full disk is tried again.
    DiskRetry,
    /// A download that no owner serves releases its buffers to other downloads.
    BufferRelease,
    /// A HELLO is to be repeated.
    HelloRetry,
    /// A burst may be lost (RFC 9002 §6).
    LossTimer,
    /// An owner may have fallen silent.
    Snub,
    /// A burst may be asked for without filling the path's queue.
    Pacing,
    /// The upload limit allows the next burst.
    UploadLimit,
    /// A session whose path lost too much may be sent the next burst.
    CircuitBreaker,
    /// The download limit allows the next request.
    DownloadLimit,
    /// Whether a path carries longer datagrams is to be probed (RFC 8899).
    MtuProbe,
    /// An owner is to keep a session that is not used now.
    KeepAlive,
    /// Received bytes are to be reported to the tracker.
    UpdateBatch,
    /// New pieces are to be announced with HAVE, or an upload slot may change hands.
    Rechoke,
    /// A session that nobody uses ends.
    IdleTimeout,
    /// EXIT is to be repeated, or was not answered in time.
    ExitDeadline,
}
