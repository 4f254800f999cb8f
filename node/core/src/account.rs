//! The account of a download, for logs: what the download waited for, what was lost, and which owner contributed how
//! much.

use std::net::SocketAddr;
use std::time::Duration;

use messages::NodeId;

use crate::waiting::Waiting;

/// How a download has gone so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The content's length in bytes, once it is known.
    pub length: Option<u64>,
    /// The number of bytes of the content that are verified and stored, including those that were here before.
    pub verified: u64,
    /// The number of verified bytes that were fetched.
    pub fetched: u64,
    /// The recent rate in bytes a second.
    pub rate: u64,
    /// The time since the download was ordered.
    pub took: Duration,
    /// The time for each reason to wait, the longest first. [`Waiting::Nothing`] is the time in which pieces arrived.
    pub waits: Vec<(Waiting, Duration)>,
    /// The number of bytes that were taken for lost and asked for again.
    pub lost_bytes: u64,
    /// The number of bytes that arrived and were here already, or were of no use.
    pub duplicate_bytes: u64,
    /// The number of pieces that did not match their hash.
    pub bad_pieces: u32,
    /// What each owner contributed, the largest part first.
    pub owners: Vec<Contributor>,
}

impl Account {
    /// The rate in bytes a second over all of the download's time, however short that was.
    #[must_use]
    pub fn mean_rate(&self) -> u64 {
        let nanos = self.took.as_nanos().max(1);
        u64::try_from(u128::from(self.fetched) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// An owner in an [`Account`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contributor {
    /// The owner.
    pub owner: NodeId,
    /// Its address.
    pub peer: SocketAddr,
    /// The number of verified bytes that the owner has sent.
    pub bytes: u64,
    /// The last smoothed round-trip time.
    pub rtt: Option<Duration>,
}
