//! How an owner is asked to send segments without GSO, where bursts do not arrive whole: by a HELLO in the session,
//! which is repeated until a WELCOME grants it. Until then, and from an owner that does not support it, single segments
//! are asked for.

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
/// A HELLO that asks for segments without GSO is sent at most this often.
const MAX_TRIES: u32 = 5;

/// Whether the owner sends segments without GSO.
#[derive(Debug)]
pub(super) struct NoGso {
    /// The nonce of those HELLOs of this session that ask for segments without GSO.
    nonce: Option<u64>,
    tries: u32,
    pub(super) next_at: Timestamp,
    /// Whether the last WELCOME has granted segments without GSO.
    pub(super) is_granted: bool,
}

/// The capabilities for which HELLO asks the owner at `peer`.
pub(super) fn capabilities(peer: SocketAddr, cx: &Context<'_>) -> u32 {
    if cx.path_mtus.breaks_bursts(peer, cx.now) { NO_GSO | HINTS } else { HINTS }
}

impl NoGso {
    /// The state of a session that was opened by `welcome`, which tells whether segments without GSO were granted.
    pub(super) fn new(welcome: &Welcome) -> NoGso {
        let is_granted = welcome.capabilities & NO_GSO != 0;
        NoGso { nonce: None, tries: 0, next_at: Timestamp::NEVER, is_granted }
    }

    /// When the owner is to be asked again; never, if it is not.
    pub(super) fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// Handles a RETRY that answers such a HELLO, because its cookie was too old. Returns whether the RETRY was such an
    /// answer.
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

    /// Sends a HELLO that asks for segments without GSO, when one is due.
    pub(super) fn poll(&mut self, contact: &Contact, cx: &mut Context<'_>) {
        if self.tries >= MAX_TRIES || (self.nonce.is_some() && cx.now < self.next_at) {
            return;
        }
        let nonce = *self.nonce.get_or_insert_with(|| cx.rng.random());
        self.tries += 1;
        self.next_at = if self.tries < MAX_TRIES { cx.now + AGAIN_AFTER } else { Timestamp::NEVER };
        contact.send_hello(nonce, NO_GSO | HINTS, cx.cookies.find(contact.peer), cx);
    }

    /// Handles a WELCOME that answers such a HELLO. Returns whether the WELCOME was such an answer.
    pub(super) fn handle_welcome(&mut self, welcome: &Welcome, flow: &mut Flow) -> bool {
        let asked = self.nonce == Some(welcome.nonce);
        if asked {
            self.is_granted = welcome.capabilities & NO_GSO != 0;
            if self.is_granted {
                flow.on_no_gso();
            }
            // One answer is enough: an owner that has not granted it does not support it.
            (self.tries, self.next_at) = (MAX_TRIES, Timestamp::NEVER);
        }
        asked
    }
}
