//! How a session begins: HELLO until it is answered, the cookie that proves the address, WELCOME.

use config::NetworkSettings;
use messages::node_to_node::{APART, Hello, Welcome};
use messages::{Cookie, Layout, Timestamp};
use rand::RngExt as _;

use super::{Session, SessionState};
use crate::context::Context;
use crate::download::initial_path::flow_settings;
use crate::download::remote_pieces::RemotePieces;
use crate::transport::Flow;

/// The time between two HELLOs doubles at most this often.
const MAX_DOUBLINGS: u32 = 6;

/// HELLO under way.
#[derive(Debug)]
pub(super) struct Handshake {
    began: Timestamp,
    /// The cookie of the last HELLO.
    cookie: Cookie,
    nonce: u64,
    pub(super) tries: u32,
    pub(super) next_at: Timestamp,
}

impl Handshake {
    /// Its first HELLO is due at once; `nonce` tells its answers from others.
    pub(super) fn new(nonce: u64, now: Timestamp) -> Handshake {
        Handshake { began: now, cookie: Cookie::NONE, nonce, tries: 0, next_at: now }
    }

    /// Whether HELLO has been said often enough.
    pub(super) fn is_exhausted(&self, network: &NetworkSettings) -> bool {
        self.tries >= u32::from(network.hello_tries)
    }
}

impl Session {
    /// RETRY: the address is to be proven.
    pub(crate) fn handle_retry(&mut self, nonce: u64, cookie: Cookie, cx: &mut Context<'_>) -> bool {
        let SessionState::Handshake(handshake) = &mut self.state else {
            return self.handle_no_gso_retry(nonce, cookie, cx);
        };
        if handshake.nonce != nonce || handshake.cookie == cookie {
            return false;
        }
        cx.cookies.keep(self.peer, cookie);
        self.send_hello(cx);
        true
    }

    /// WELCOME: the session is open. Whether it was awaited.
    pub(crate) fn handle_welcome(&mut self, welcome: &Welcome, cx: &mut Context<'_>) -> bool {
        let SessionState::Handshake(handshake) = &self.state else {
            return false;
        };
        let Some(layout) = Layout::of(welcome.length).filter(|_| handshake.nonce == welcome.nonce) else {
            return false;
        };
        // What the owner echoes is its word; the session is no older than it is.
        let rtt = cx.now.since_wire_micros(welcome.echoed_at).min(cx.now.since(handshake.began));
        let settings = flow_settings(welcome, rtt, cx);
        self.flow = Some(Flow::new(settings, cx.rng.random(), Some(rtt), cx.now));
        self.theirs = welcome.conversation;
        self.length = welcome.length;
        self.max_datagram = welcome.max_datagram;
        self.no_gso.granted = welcome.capabilities & APART != 0;
        let complete = welcome.have >= layout.pieces();
        self.remote_pieces =
            if complete { RemotePieces::Everything } else { RemotePieces::nothing(layout.pieces()) };
        self.state = SessionState::Willing;
        true
    }

    /// HELLO once more: the next one goes twice as late.
    pub(super) fn repeat_hello(&mut self, cx: &mut Context<'_>) {
        if let SessionState::Handshake(handshake) = &mut self.state {
            handshake.next_at =
                cx.now + cx.settings.network.hello_timeout * 2u32.pow(handshake.tries.min(MAX_DOUBLINGS));
            handshake.tries += 1;
            self.send_hello(cx);
        }
    }

    fn send_hello(&mut self, cx: &mut Context<'_>) {
        let capabilities = self.capabilities(cx);
        let SessionState::Handshake(handshake) = &mut self.state else {
            return;
        };
        handshake.cookie = cx.cookies.find(self.peer);
        let hello = Hello {
            nonce: handshake.nonce,
            content: self.content,
            node: cx.node,
            conversation: self.ours,
            capabilities,
            sent_at: cx.now.wire_micros(),
            cookie: handshake.cookie,
        };
        cx.send(self.peer, self.ours, &hello);
    }
}
