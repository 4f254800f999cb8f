//! A downloader that a node learns of as it serves it: it is an owner for this node's own download of the content.

use std::net::SocketAddr;

use messages::{ContentId, NodeId};

/// Another downloader of a content. It serves what it has of the content: it has the outboard, or it would not ask for
/// pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerSeen {
    pub(crate) content: ContentId,
    pub(crate) node: NodeId,
    pub(crate) peer: SocketAddr,
}
