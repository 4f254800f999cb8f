//! The two ends of a session and its content, which do not change from its first HELLO to its end.

use std::net::SocketAddr;

use messages::node_to_node::Hello;
use messages::{ContentId, Conversation, Cookie, NodeId};

use crate::context::Context;
use crate::ids::{DownloadId, SessionKey};

/// The two ends of a session, and the content that it serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contact {
    pub(super) key: SessionKey,
    pub(super) download: DownloadId,
    pub(super) content: ContentId,
    /// The node that owns the content, as the tracker or the node itself named it.
    pub(super) owner: NodeId,
    pub(super) peer: SocketAddr,
    /// The conversation number that this node has chosen for the session.
    pub(super) local: Conversation,
}

impl Contact {
    /// Sends a HELLO that asks for `capabilities`. Its `nonce` tells the answers to it from others.
    pub(super) fn send_hello(&self, nonce: u64, capabilities: u32, cookie: Cookie, cx: &mut Context<'_>) {
        let hello = Hello {
            nonce,
            content: self.content,
            node: cx.node,
            conversation: self.local,
            capabilities,
            sent_at: cx.now.wire_micros(),
            cookie,
        };
        cx.send(self.peer, self.local, &hello);
    }
}
