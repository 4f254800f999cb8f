//! The reasons why a download does not go on.

use std::net::SocketAddr;
use std::time::Duration;

/// The reason why a download does not go on now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Waiting {
    /// The tracker has not answered yet.
    Tracker,
    /// The tracker does not know the name or the id.
    Unknown,
    /// The tracker may not know the content yet, because it has just started and its nodes register with it again one
    /// by one.
    TrackerIsYoung {
        /// After this long all nodes have registered again.
        whole_in: Duration,
    },
    /// No owner has answered.
    Owners,
    /// No owner has sent anything since the tracker named the first one, seconds ago: something on the path may let
    /// nothing through.
    NoSignOfLife {
        /// The addresses of the first few owners.
        peers: Vec<SocketAddr>,
        /// The number of further owners.
        others: usize,
    },
    /// Owners answer short datagrams, and no datagram that is as long as the shortest one with file bytes comes or
    /// goes.
    ShortPath {
        /// The addresses of the first few owners that answer.
        peers: Vec<SocketAddr>,
        /// The number of further owners.
        others: usize,
    },
    /// The owners have sent bytes that do not verify, and are asked more and more rarely.
    Liars,
    /// Owners have answered, and serve others for now.
    OwnersBusy,
    /// Owners have answered, but none has the missing pieces.
    MissingPieces,
    /// The outboard is on the way.
    Outboard,
    /// The part file is being prepared.
    Disk,
    /// The piece buffers are full: the disk is slower than the network.
    DiskBehind,
    /// The disk has no room, and is tried again and again.
    DiskFull {
        /// How many bytes are missing.
        needed: u64,
    },
    /// `--download-limit` holds the download up.
    Limit,
    /// Pieces arrive.
    Nothing,
    /// The whole file is being checked and renamed.
    Finishing,
}

impl Waiting {
    /// One word for the reason, for logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Waiting::Tracker => "tracker",
            Waiting::Unknown => "unknown",
            Waiting::TrackerIsYoung { .. } => "young-tracker",
            Waiting::NoSignOfLife { .. } => "no-sign-of-life",
            Waiting::ShortPath { .. } => "short-path",
            Waiting::Owners => "owners",
            Waiting::Liars => "liars",
            Waiting::OwnersBusy => "busy-owners",
            Waiting::MissingPieces => "missing-pieces",
            Waiting::Outboard => "outboard",
            Waiting::Disk => "disk",
            Waiting::DiskBehind => "slow-disk",
            Waiting::DiskFull { .. } => "full-disk",
            Waiting::Limit => "limit",
            Waiting::Nothing => "nothing",
            Waiting::Finishing => "finishing",
        }
    }

    /// Whether this is the same reason as `before`. A different number of missing bytes, or another remaining time,
    /// does not make another reason.
    #[must_use]
    pub fn is_still(&self, before: &Waiting) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(before)
    }
}
