//! Where bursts do not arrive whole, the owner is asked to send their segments apart, without GSO: by a HELLO in the
//! session, until a WELCOME grants it. Meanwhile, and from an owner that cannot, single segments are asked for.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_node::{HINTS, NO_GSO, Welcome};
use messages::{Cookie, Timestamp};
use rand::RngExt as _;

use super::contact::Contact;
use crate::context::Context;
use crate::transport::Flow;

/// A HELLO that is not answered is sent again after this long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A HELLO that asks for it is sent at most this often.
const MAX_TRIES: u32 = 5;

/// Whether the owner sends segments apart.
#[derive(Debug)]
pub(super) struct NoGso {
    /// What the HELLOs of this session that ask for it carry.
    nonce: Option<u64>,
    tries: u32,
    pub(super) next_at: Timestamp,
    /// Whether the last WELCOME granted it.
    pub(super) is_granted: bool,
}

/// What HELLO asks `peer` for.
pub(super) fn capabilities(peer: SocketAddr, cx: &Context<'_>) -> u32 {
    if cx.path_mtus.breaks_bursts(peer, cx.now) { NO_GSO | HINTS } else { HINTS }
}

impl NoGso {
    /// Whether the session's own `welcome` granted it; nothing more was asked yet.
    pub(super) fn new(welcome: &Welcome) -> NoGso {
        let is_granted = welcome.capabilities & NO_GSO != 0;
        NoGso { nonce: None, tries: 0, next_at: Timestamp::NEVER, is_granted }
    }

    /// When the owner is to be asked; never, when it is not.
    pub(super) fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// RETRY to such a HELLO: the cookie is too old. Whether it was one.
    pub(super) fn handle_retry(
        &mut self,
        nonce: u64,
        peer: SocketAddr,
        cookie: Cookie,
        cx: &mut Context<'_>,
    ) -> bool {
        let asked = self.nonce == Some(nonce);
        if asked {
            cx.cookies.keep(peer, cookie);
            if self.tries < MAX_TRIES {
                self.next_at = self.next_at.min(cx.now);
            }
        }
        asked
    }

    /// Sends a HELLO that asks for it, when one is due.
    pub(super) fn poll(&mut self, contact: &Contact, cx: &mut Context<'_>) {
        if self.tries >= MAX_TRIES || (self.nonce.is_some() && cx.now < self.next_at) {
            return;
        }
        let nonce = *self.nonce.get_or_insert_with(|| cx.rng.random());
        self.tries += 1;
        self.next_at = if self.tries < MAX_TRIES { cx.now + AGAIN_AFTER } else { Timestamp::NEVER };
        contact.send_hello(nonce, NO_GSO | HINTS, cx.cookies.find(contact.peer), cx);
    }

    /// WELCOME to such a HELLO. Whether it was one.
    pub(super) fn handle_welcome(&mut self, welcome: &Welcome, flow: &mut Flow) -> bool {
        let asked = self.nonce == Some(welcome.nonce);
        if asked {
            self.is_granted = welcome.capabilities & NO_GSO != 0;
            if self.is_granted {
                flow.on_no_gso();
            }
            // Once is enough: who has not granted it does not know it.
            (self.tries, self.next_at) = (MAX_TRIES, Timestamp::NEVER);
        }
        asked
    }
}
