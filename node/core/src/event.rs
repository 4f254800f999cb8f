//! What has happened in the core, for logs, screens and exit codes. Nothing in the core depends on who reads it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use channel::{PublicKey, Suite};
use messages::collection::Collection;
use messages::tracker_to_node::{Listed, RefusalCode};
use messages::{ContentId, Cursor, Endpoint, Name, NodeId, PieceIndex, PieceRun};

use crate::account::Account;
use crate::disk::{DiskError, HashedAgain, RenamedEntry, SkippedEntry};
use crate::ids::{DownloadId, SearchId, ShareId};
use crate::waiting::Waiting;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are named after what they are; each variant says when it happens"
)]
pub enum Event {
    /// The tracker has answered REGISTER. `observed` is this node's address as the tracker sees it.
    TrackerReached { tracker: SocketAddr, observed: Endpoint },
    /// The tracker has answered again after it had been silent.
    TrackerRestored { tracker: SocketAddr },
    /// The tracker has not answered for `silent`, and is asked again and again.
    TrackerSilent { tracker: SocketAddr, silent: Duration },
    /// The tracker refused a request.
    TrackerRefused { code: RefusalCode },
    /// A sealed channel was opened with who is at `peer` and has proven to have `key`, by either side.
    ChannelOpened { peer: SocketAddr, key: PublicKey, suite: Suite, is_tracker: bool },
    /// Sealing is preferred, and who is at `peer` opens no channel: what is said there is in the clear.
    InTheClear { peer: SocketAddr, is_tracker: bool },
    /// The tracker knows that the node has left, or has not answered in time. The core is done.
    Left,

    /// A file is being hashed for sharing.
    Hashing { share: ShareId, name: Name, done: u64, total: u64 },
    /// Some of what is in a folder that is being hashed is not shared.
    Skipped { share: ShareId, skipped: Vec<SkippedEntry> },
    /// A file is shared from here on.
    Shared { share: ShareId, content: ContentId, name: Name, length: u64 },
    /// The tracker has accepted the announcement of a share.
    Announced { share: ShareId, content: ContentId },
    /// A file cannot be shared, or can no longer be shared.
    ShareFailed { share: ShareId, error: DiskError },
    /// Files of a shared folder are not what they were: the pieces that have bytes of them are not served any more.
    /// `have` of the folder's `pieces` still are.
    FilesWithdrawn { share: ShareId, name: Name, files: Vec<DiskError>, have: u32, pieces: u32 },
    /// A share was withdrawn.
    Unshared { share: ShareId, content: ContentId },
    /// A downloader opened a session.
    UploadStarted { content: ContentId, peer: SocketAddr, node: NodeId },
    /// A downloader's session has ended, in which `bytes` of the file were sent. [`SessionEnd::Done`] means that the
    /// downloader has the file under its name.
    UploadEnded { content: ContentId, peer: SocketAddr, node: NodeId, bytes: u64, why: SessionEnd },
    /// A requested range was answered with a burst.
    RangeSent { content: ContentId, peer: SocketAddr, piece: PieceIndex, offset: u32, length: u32 },

    /// A search was answered. `next` is where the next page begins, if there is one.
    Found { search: SearchId, contents: Vec<Listed>, next: Option<Cursor> },
    /// A search had no answer in time.
    SearchFailed { search: SearchId },

    /// A download chooses one of several contents of its name: the one that clearly most hosts call so, or the newest.
    /// `more` tells whether the tracker knows others besides these.
    DownloadPrefers { download: DownloadId, taken: Listed, others: Vec<Listed>, more: bool },
    /// A download knows what it fetches.
    DownloadIdentified { download: DownloadId, content: ContentId, name: Name, length: u64 },
    /// A part file from before was resumed. `have_bytes` of it are verified, and `hashed_again` is the part that had to
    /// be hashed to know that.
    DownloadResumed { download: DownloadId, have_bytes: u64, hashed_again: Option<HashedAgain> },
    /// The file system of a download's folder has no locks. `elsewhere` tells whether another lock keeps the nodes of
    /// this host apart.
    WithoutLocks { folder: PathBuf, elsewhere: bool },
    /// A download waits, or no longer waits. This is reported when the reason changes.
    DownloadWaits { download: DownloadId, why: Waiting },
    /// An owner opened its session.
    OwnerReady { download: DownloadId, owner: NodeId, peer: SocketAddr, rtt: Duration },
    /// The path from an owner carries datagrams of up to `datagram` bytes, as far as that is known now.
    PathCarries { download: DownloadId, peer: SocketAddr, datagram: u16 },
    /// An owner was given a run of pieces.
    StretchAssigned { download: DownloadId, owner: NodeId, peer: SocketAddr, pieces: PieceRun },
    /// A session with an owner ended.
    OwnerLost { download: DownloadId, owner: NodeId, peer: SocketAddr, why: SessionEnd },
    /// A piece was verified and stored.
    PieceVerified { download: DownloadId, piece: PieceIndex, owners: Vec<NodeId> },
    /// A piece did not match its hash and is fetched again.
    PieceRejected { download: DownloadId, piece: PieceIndex, owners: Vec<NodeId> },
    /// The account of a download so far: given at intervals, and with `is_last` just before the download is over.
    DownloadAccount { download: DownloadId, account: Account, is_last: bool },
    /// Of a folder that was fetched these names are others, because the file system cannot hold their own. Nobody is
    /// served from such a folder.
    DownloadRenamed { download: DownloadId, renamed: Vec<RenamedEntry> },
    /// A download is complete and verified.
    DownloadDone { download: DownloadId, path: PathBuf, summary: Summary },
    /// [`crate::Command::Index`] has found out what the content is. `folder` is `None` when it is one file.
    IndexRead {
        download: DownloadId,
        content: ContentId,
        name: Name,
        length: u64,
        folder: Option<Arc<Collection>>,
    },
    /// A download is over without its file.
    DownloadFailed { download: DownloadId, why: Failure },
}

/// The figures of a finished download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Summary {
    /// The content.
    pub content: ContentId,
    /// Its length, in bytes.
    pub length: u64,
    /// The time from the command until the file has its name.
    pub took: Duration,
    /// The verified bytes of this run by owner, the largest share first.
    pub shares: Vec<OwnerShare>,
    /// The number of bytes of what was wanted that were not fetched, because they were here before.
    pub here_before: u64,
    /// Whether the file existed already.
    pub already_there: bool,
}

/// What one owner contributed to a download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OwnerShare {
    /// The owner.
    pub owner: NodeId,
    /// Its address.
    pub peer: SocketAddr,
    /// The number of verified bytes.
    pub bytes: u64,
}

/// The reason why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionEnd {
    /// The session has served its purpose.
    Done,
    /// The other node leaves.
    PeerLeft,
    /// The other side no longer serves the content.
    Gone,
    /// The other side does not know the session, or does not answer any request in it: it was restarted, or this node's
    /// address changed on the way. A new session is opened.
    Forgotten,
    /// No HELLO was answered.
    NoAnswer,
    /// The other side serves as many sessions as it can.
    Crowded,
    /// Nothing came for too long.
    Silent,
    /// The owner was slow, and others had not been tried yet.
    Slow,
    /// The other side broke the protocol.
    Fault,
    /// Pieces from the owner did not verify.
    BadPieces,
    /// The outboard that the owner sent does not verify.
    BadOutboard,
    /// This side cancelled, unshared or left.
    Ours,
}

impl SessionEnd {
    /// One word for it, for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            SessionEnd::Done => "done",
            SessionEnd::PeerLeft => "peer-left",
            SessionEnd::Gone => "gone",
            SessionEnd::Forgotten => "forgotten",
            SessionEnd::NoAnswer => "no-answer",
            SessionEnd::Crowded => "crowded",
            SessionEnd::Silent => "silent",
            SessionEnd::Slow => "slow",
            SessionEnd::Fault => "fault",
            SessionEnd::BadPieces => "bad-pieces",
            SessionEnd::BadOutboard => "bad-outboard",
            SessionEnd::Ours => "ours",
        }
    }
}

/// The reason why a download is over without its file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The tracker does not know the name or the id.
    #[error("nobody shares it")]
    NotFound,
    /// Several contents have that name, or ids that begin with the wanted digits. `more` tells whether the tracker
    /// knows others besides these.
    #[error("several contents have that name")]
    Ambiguous {
        /// The contents that the tracker named.
        contents: Vec<Listed>,
        /// Whether the tracker knows others.
        more: bool,
    },
    /// No owner answered in time.
    #[error("no owner answered")]
    NoOwner,
    /// Nothing new arrived in time.
    #[error("stalled: nothing arrived for {} s", silent.as_secs())]
    Stalled {
        /// How long nothing arrived.
        silent: Duration,
    },
    /// Only this node shares the content, and the target is another file.
    #[error("only this node shares it, from another file: copy that one")]
    OnlyHere,
    /// The tracker did not answer in time.
    #[error("the tracker does not answer")]
    TrackerUnreachable,
    /// The download `by` fetches the same content to the same place.
    #[error("it is being fetched already")]
    Doubled {
        /// The other download.
        by: DownloadId,
    },
    /// The download `by` fetches another content to `target`.
    #[error("{}: another download is to have this name", target.display())]
    TargetTaken {
        /// The other download.
        by: DownloadId,
        /// The path that both files would have.
        target: PathBuf,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A person has cancelled the download, or the node leaves.
    #[error("cancelled")]
    Cancelled,
}
