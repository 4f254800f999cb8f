//! Why a download does not go on.

use std::net::SocketAddr;
use std::time::Duration;

/// Why a download does not go on right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The tracker has not answered yet.
    Tracker,
    /// The tracker knows nothing of that name or id.
    Unknown,
    /// Nor can it: it began a moment ago, and its nodes come back one by one.
    TrackerIsYoung {
        /// So long at most, then all are back.
        whole_in: Duration,
    },
    /// No owner has answered.
    Owners,
    /// No owner has given a sign of life since the tracker named the first, seconds ago: something on the way may let nothing through.
    NoSignOfLife {
        /// Where nothing comes from: the first few.
        peers: Vec<SocketAddr>,
        /// How many more there are.
        others: usize,
    },
    /// Owners answer what is short, and nothing that is as long as the shortest datagrams with file bytes comes or goes.
    ShortPath {
        /// Who does: the first few.
        peers: Vec<SocketAddr>,
        /// How many more there are.
        others: usize,
    },
    /// Who has it sent bytes that do not verify, and is asked ever more rarely.
    Liars,
    /// Owners answered, and serve others for now.
    OwnersBusy,
    /// Owners answered, but none has what is missing.
    MissingPieces,
    /// Its manifest is on the way.
    Manifest,
    /// The part file is being made.
    Disk,
    /// The piece buffers are full: the disk is slower than the network.
    DiskBehind,
    /// There is no room on the disk for so many bytes more; it is tried again and again.
    DiskFull {
        /// How many bytes are missing.
        needed: u64,
    },
    /// `--download-limit` holds it.
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

    /// Whether this is what it was: how much is missing, or how long it still takes, is no other reason.
    #[must_use]
    pub fn is_still(&self, before: &Waiting) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(before)
    }
}
