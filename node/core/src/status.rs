//! The state of the node at one instant, for screens.

use std::net::SocketAddr;
use std::time::Duration;

use channel::{PublicKey, Suite};
use messages::{ContentId, Name, NodeId, PieceIndex, PieceRun};

use crate::ids::{DownloadId, ShareId};
use crate::waiting::Waiting;

/// The state that the commands `status` and `peers` show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Status {
    /// Whether the tracker answers.
    pub tracker: TrackerStanding,
    /// How what is said to the tracker, and by it, travels.
    #[cfg_attr(feature = "serde", serde(default))]
    pub tracker_channel: ChannelStatus,
    /// The tracker's static public key, as an open channel proves it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub tracker_key: Option<PublicKey>,
    /// The files that are served, or are being hashed for it.
    pub shares: Vec<ShareStatus>,
    /// The downloads that are not over.
    pub downloads: Vec<DownloadStatus>,
    /// The sessions in which this node is the owner.
    pub uploads: Vec<UploadStatus>,
    /// The upload limit (`--upload-limit`), in bytes a second.
    pub upload_limit: Option<u64>,
    /// The download limit (`--download-limit`), in bytes a second.
    pub download_limit: Option<u64>,
    /// The events that were counted since the start.
    pub counters: Counters,
}

/// Whether a node's tracker answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TrackerStanding {
    /// The tracker has not answered since the start.
    #[default]
    Unheard,
    /// The tracker answers.
    Answers,
    /// The tracker has stopped answering, or has not answered for too long. It is asked again and again.
    Silent,
}

/// How what is said to somebody travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ChannelStatus {
    /// In the clear: everybody on the way can read it.
    #[default]
    InTheClear,
    /// Not at all yet: it is to be sealed, and no channel is open.
    Opening,
    /// Sealed with this cipher.
    Sealed(Suite),
}

/// One file that is served, or is being hashed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ShareStatus {
    /// Its number.
    pub share: ShareId,
    /// The name under which the file is shared.
    pub name: Name,
    /// The content, once it is hashed.
    pub content: Option<ContentId>,
    /// Its length, in bytes.
    pub length: u64,
    /// The number of bytes of the file that were sent.
    pub sent: u64,
    /// The share of the file that is here, in thousandths: a download that is not complete is served as well.
    pub permille: u16,
}

/// One download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DownloadStatus {
    /// Its number.
    pub download: DownloadId,
    /// The name of the content, or what was asked for while it is not known.
    pub name: String,
    /// The content, once it is known.
    pub content: Option<ContentId>,
    /// Its length in bytes, once it is known.
    pub length: Option<u64>,
    /// The number of bytes that are verified and stored.
    pub verified: u64,
    /// The number of bytes that have arrived, verified or not.
    pub received: u64,
    /// The recent rate in bytes a second.
    pub rate: u64,
    /// The reason why the download is not faster.
    pub waiting: Waiting,
    /// The number of nodes that have or fetch the content, including this one, according to the tracker's last answer.
    pub holders: Option<Holders>,
    /// The owners with which the download has a session.
    pub owners: Vec<OwnerStatus>,
}

/// The number of nodes that have a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Holders {
    /// The number of nodes that have all of it.
    pub complete: u32,
    /// The number of nodes that have a part of it.
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
    /// The pieces that the owner is to send, the begun ones first. `None` means that it is to send none now.
    pub pieces: Option<PieceRun>,
    /// The number of bytes that have arrived from the owner.
    pub received: u64,
    /// The recent rate in bytes a second.
    pub rate: u64,
    /// The smoothed round-trip time, once it was measured.
    pub rtt: Option<Duration>,
    /// The number of bytes that were asked for and have not arrived.
    pub outstanding: u32,
    /// The longest datagram that is asked for, in bytes.
    pub datagram: u16,
    /// The share of the content that the owner has, as far as it is known, in thousandths.
    pub permille: u16,
    /// How what is exchanged with the owner travels.
    #[cfg_attr(feature = "serde", serde(default))]
    pub channel: ChannelStatus,
}

/// The state of a session with an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OwnerState {
    /// HELLO is not answered yet.
    Connecting,
    /// Pieces can be asked for.
    Ready,
    /// The owner serves others for now (CHOKE).
    Choked,
    /// Nothing has come from the owner for too long.
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
    /// The content that the downloader fetches.
    pub content: ContentId,
    /// The number of bytes of the file that it was sent.
    pub sent: u64,
    /// The recent rate in bytes a second.
    pub rate: u64,
    /// The number of entries that wait for the session's turn.
    pub queued: usize,
    /// The standing of the session.
    pub standing: UploadStanding,
    /// The piece that was last begun.
    pub piece: Option<PieceIndex>,
    /// The content's length, in bytes.
    pub length: u64,
    /// How what is exchanged with the downloader travels.
    #[cfg_attr(feature = "serde", serde(default))]
    pub channel: ChannelStatus,
}

/// The standing of a session in which this node is the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum UploadStanding {
    /// The downloader asks for nothing now.
    Idle,
    /// The downloader has an upload slot.
    Served,
    /// The downloader waits for an upload slot.
    Choked,
}

/// The events that were counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Counters {
    /// Datagrams that are not Riffle's or are malformed.
    pub undecodable: u64,
    /// Well-formed datagrams that belong to no session or request here: late, replayed, or meant for another node.
    pub unexpected: u64,
    /// File bytes that arrived and were here already, or were of no use.
    pub duplicate_bytes: u64,
    /// File bytes that arrived and were wanted.
    pub received_bytes: u64,
    /// File bytes that were sent.
    pub sent_bytes: u64,
    /// File bytes that were taken for lost and asked for again.
    pub lost_bytes: u64,
    /// Requests that were cancelled because their bytes had come from another owner.
    pub cancelled: u64,
    /// Pieces that did not match their hash.
    pub bad_pieces: u64,
    /// HELLOs that were answered with RETRY or dropped.
    pub unproven: u64,
}
