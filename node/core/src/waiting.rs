//! Why a download does not go on.

use std::net::SocketAddr;
use std::time::Duration;

/// Why a download does not go on right now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Waiting {
    /// The tracker has not answered yet.
    Tracker,
    /// The tracker knows nothing of that name or id.
    Unknown,
    /// The tracker cannot know the content yet: it began a moment ago, and its nodes come back one by one.
    TrackerIsYoung {
        /// All nodes are back after this long at most.
        whole_in: Duration,
    },
    /// No owner has answered.
    Owners,
    /// No owner has given a sign of life since the tracker named the first, seconds ago: something on the way may let
    /// nothing through.
    NoSignOfLife {
        /// The addresses of the first few owners.
        peers: Vec<SocketAddr>,
        /// How many more there are.
        others: usize,
    },
    /// Owners answer what is short, and nothing that is as long as the shortest datagrams with file bytes comes or
    /// goes.
    ShortPath {
        /// The addresses of the first few owners that do.
        peers: Vec<SocketAddr>,
        /// How many more there are.
        others: usize,
    },
    /// The owners have sent bytes that do not verify, and are asked ever more rarely.
    Liars,
    /// Owners answered, and serve others for now.
    OwnersBusy,
    /// Owners answered, but none has what is missing.
    MissingPieces,
    /// The manifest is on the way.
    Manifest,
    /// The part file is being made.
    Disk,
    /// The piece buffers are full: the disk is slower than the network.
    DiskBehind,
    /// The disk has no room for so many bytes more; it is tried again and again.
    DiskFull {
        /// How many bytes are missing.
        needed: u64,
    },
    /// `--download-limit` holds the download up.
    Limit,
    /// Pieces arrive.
    Nothing,
    /// The whole is being checked and renamed.
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
            Waiting::Manifest => "manifest",
            Waiting::Disk => "disk",
            Waiting::DiskBehind => "slow-disk",
            Waiting::DiskFull { .. } => "full-disk",
            Waiting::Limit => "limit",
            Waiting::Nothing => "nothing",
            Waiting::Finishing => "finishing",
        }
    }

    /// Whether this is the same reason as `before`: how much is missing, or how long it still takes, makes no other
    /// reason.
    #[must_use]
    pub fn is_still(&self, before: &Waiting) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(before)
    }
}
