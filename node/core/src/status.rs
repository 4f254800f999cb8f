//! The state of the node at one instant, for screens.

use std::net::SocketAddr;
use std::time::Duration;

use messages::{ContentId, Name, NodeId, PieceIndex, PieceRun};

use crate::ids::{DownloadId, ShareId};
use crate::waiting::Waiting;

/// Everything that `status` and `peers` show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Status {
    /// Whether the tracker answers.
    pub tracker: TrackerStanding,
    /// Files that are served.
    pub shares: Vec<ShareStatus>,
    /// Downloads that are not over.
    pub downloads: Vec<DownloadStatus>,
    /// Sessions in which this node is the owner.
    pub uploads: Vec<UploadStatus>,
    /// `--upload-limit`, in bytes a second.
    pub upload_limit: Option<u64>,
    /// `--download-limit`, in bytes a second.
    pub download_limit: Option<u64>,
    /// What was counted since the start.
    pub counters: Counters,
}

/// Whether a node's tracker answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TrackerStanding {
    /// It has not answered since the start.
    #[default]
    Unheard,
    /// It answers.
    Answers,
    /// It does not answer any more, or not for too long; it is asked again and again.
    Silent,
}

/// One file that is served, or is being hashed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ShareStatus {
    /// Its number.
    pub share: ShareId,
    /// What it is called.
    pub name: Name,
    /// The content, once it is hashed.
    pub content: Option<ContentId>,
    /// Its length, in bytes.
    pub length: u64,
    /// Bytes of it that were sent.
    pub sent: u64,
    /// How much of it is here, in thousandths: a download that is not complete is served as well.
    pub permille: u16,
}

/// One download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DownloadStatus {
    /// Its number.
    pub download: DownloadId,
    /// What it is called, or what was asked for.
    pub name: String,
    /// The content, once it is known.
    pub content: Option<ContentId>,
    /// Its length in bytes, once it is known.
    pub length: Option<u64>,
    /// Bytes that are verified and stored.
    pub verified: u64,
    /// Bytes that arrived, verified or not yet.
    pub received: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// Why it does not go faster.
    pub waiting: Waiting,
    /// How many nodes have it or fetch it, this one among them, as the tracker said last.
    pub holders: Option<Holders>,
    /// The owners it talks to.
    pub owners: Vec<OwnerStatus>,
}

/// How many nodes a content is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Holders {
    /// Those that have all of it.
    pub complete: u32,
    /// Those that have a part of it.
    pub partial: u32,
}

/// One owner that a download talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OwnerStatus {
    /// The owner.
    pub node: NodeId,
    /// Its address.
    pub peer: SocketAddr,
    /// The state of its session.
    pub state: OwnerState,
    /// The pieces that the owner is to give, those under way first; `None`: no pieces for now.
    pub pieces: Option<PieceRun>,
    /// Bytes that arrived from it.
    pub received: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// The smoothed round-trip time, once there is one.
    pub rtt: Option<Duration>,
    /// Bytes asked for that have not arrived.
    pub outstanding: u32,
    /// The longest datagram that is asked for, in bytes.
    pub datagram: u16,
    /// How much of the content the owner has, as far as is known, in thousandths.
    pub permille: u16,
}

/// The state of a session with an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OwnerState {
    /// HELLO is under way.
    Connecting,
    /// Pieces can be asked for.
    Ready,
    /// The owner serves others for now (CHOKE).
    Choked,
    /// Nothing has come from the owner for too long; it is asked for little.
    Snubbed,
}

/// One session in which this node is the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UploadStatus {
    /// The downloader.
    pub node: NodeId,
    /// Its address.
    pub peer: SocketAddr,
    /// What it fetches.
    pub content: ContentId,
    /// Bytes of file sent to it.
    pub sent: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// Ranges that wait for their turn.
    pub queued: usize,
    /// Whether it is served.
    pub standing: UploadStanding,
    /// The piece that was asked for last.
    pub piece: Option<PieceIndex>,
    /// The content's length, in bytes.
    pub length: u64,
}

/// Whether a session is served in which this node is the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum UploadStanding {
    /// The downloader wants nothing just now.
    Idle,
    /// It has an upload slot.
    Served,
    /// It was told to wait for an upload slot.
    Choked,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Counters {
    /// Datagrams that are not Riffle's or are malformed.
    pub undecodable: u64,
    /// Well-formed datagrams that belong to nothing here: late, replayed, or meant for another node.
    pub unexpected: u64,
    /// File bytes that arrived and were there already.
    pub duplicate_bytes: u64,
    /// File bytes that arrived and were wanted.
    pub received_bytes: u64,
    /// File bytes that were sent.
    pub sent_bytes: u64,
    /// File bytes that were taken for lost and asked for again.
    pub lost_bytes: u64,
    /// Requests that were cancelled, because what they asked for had come from another owner.
    pub cancelled: u64,
    /// Pieces that did not match their hash.
    pub bad_pieces: u64,
    /// HELLOs that were answered with RETRY or dropped.
    pub unproven: u64,
}
