//! The account of a download, for logs: what the download waited for, what was lost, who gave what.

use std::net::SocketAddr;
use std::time::Duration;

use messages::NodeId;

use crate::waiting::Waiting;

/// How a download has gone so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The content's length in bytes, once it is known.
    pub length: Option<u64>,
    /// Bytes of the content that are verified and stored, those included that were here before.
    pub verified: u64,
    /// Verified bytes that were fetched.
    pub fetched: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// The time since the download was asked for.
    pub took: Duration,
    /// What that time went to, the longest first. [`Waiting::Nothing`] is the time in which pieces arrived.
    pub waits: Vec<(Waiting, Duration)>,
    /// File bytes that were taken for lost and asked for again.
    pub lost_bytes: u64,
    /// Bytes that arrived and were there already.
    pub duplicate_bytes: u64,
    /// Pieces that did not match their hash.
    pub bad_pieces: u32,
    /// Who gave what, the largest part first.
    pub owners: Vec<Contributor>,
}

impl Account {
    /// Bytes a second over all of the download's time, however short that was.
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
    /// Verified bytes.
    pub bytes: u64,
    /// The smoothed round-trip time, as it was last.
    pub rtt: Option<Duration>,
}
