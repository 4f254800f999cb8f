//! One request as the tracker sees it: where it came from, and its answer or refusal.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messages::tracker_to_node::RefusalCode;
use messages::{Conversation, NodeId, TrackerToNode};

use crate::address_selection::ReachableFrom;

/// Where a request came from and where its answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The asker's address; IPv4 is never in its mapped form.
    pub(crate) address: SocketAddr,
    /// The tracker's address that the request reached, where it is known.
    pub(crate) reached_at: Option<IpAddr>,
    /// The request's conversation, which the answer echoes.
    pub(crate) conversation: Conversation,
    /// Who asks, as a channel proves it, and that the address is the asker's. `None`: it came in the clear.
    pub(crate) peer: Option<NodeId>,
}

impl Origin {
    /// What decides at which addresses the asker can reach others.
    pub(crate) const fn reachable_from(&self) -> ReachableFrom {
        ReachableFrom { asker: self.address.ip(), reached_at: self.reached_at }
    }
}

/// Why a request is not carried out, and when the asker may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    pub(crate) retry_after: Duration,
}

impl Refusal {
    /// A refusal for `code`; the asker may try again after `retry_after`.
    pub(crate) const fn new(code: RefusalCode, retry_after: Duration) -> Refusal {
        Refusal { code, retry_after }
    }
}

/// The answer to a request.
pub(crate) type Answer = Result<TrackerToNode, Refusal>;

/// `duration` in milliseconds, rounded up: who comes back after them is not too early.
pub(crate) fn millis_up(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
