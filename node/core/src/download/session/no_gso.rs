//! Where bursts do not arrive whole, the owner is asked to send their segments apart: by a HELLO in the session, until a
//! WELCOME grants it. Meanwhile, and from an owner that cannot, single segments are asked for.

use std::time::Duration;

use messages::node_to_node::{APART, HINTS, Hello, Welcome};
use messages::{Cookie, Timestamp};
use rand::RngExt as _;

use super::{Session, SessionState};
use crate::context::Context;

/// A HELLO that is not answered is said again after this long, at most so often.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const MAX_TRIES: u32 = 5;

/// Whether the owner sends segments apart.
#[derive(Debug)]
pub(super) struct NoGso {
    /// What the HELLOs of this session that ask for it carry.
    nonce: Option<u64>,
    tries: u32,
    next_at: Timestamp,
    /// Whether the last WELCOME granted it.
    pub(super) granted: bool,
}

impl Default for NoGso {
    fn default() -> NoGso {
        NoGso { nonce: None, tries: 0, next_at: Timestamp::NEVER, granted: false }
    }
}

impl NoGso {
    /// Whether the owner is to be asked at some time.
    pub(super) fn next_at(&self) -> Timestamp {
        self.next_at
    }
}

impl Session {
    /// What HELLO asks for on this path.
    pub(super) fn capabilities(&self, cx: &Context<'_>) -> u32 {
        if cx.paths.breaks_bursts(self.peer, cx.now) { APART | HINTS } else { HINTS }
    }

    /// Bursts of the flow, or of another on the same path, do not arrive whole: the owner is asked to send them apart.
    pub(super) fn request_no_gso(&mut self, cx: &mut Context<'_>) {
        let broken = self.flow.as_ref().is_some_and(|flow| flow.breaks_bursts());
        if broken && !self.no_gso.granted && !cx.paths.breaks_bursts(self.peer, cx.now) {
            cx.paths.on_broken(self.peer, cx.now);
        }
        if !matches!(self.state, SessionState::Willing)
            || self.no_gso.granted
            || self.capabilities(cx) & APART == 0
        {
            self.no_gso.next_at = Timestamp::NEVER;
            return;
        }
        if self.no_gso.tries >= MAX_TRIES || (self.no_gso.nonce.is_some() && cx.now < self.no_gso.next_at) {
            return;
        }
        let nonce = *self.no_gso.nonce.get_or_insert_with(|| cx.rng.random());
        self.no_gso.tries += 1;
        self.no_gso.next_at =
            if self.no_gso.tries < MAX_TRIES { cx.now + AGAIN_AFTER } else { Timestamp::NEVER };
        let hello = Hello {
            nonce,
            content: self.content,
            node: cx.node,
            conversation: self.ours,
            capabilities: APART | HINTS,
            sent_at: cx.now.wire_micros(),
            cookie: cx.cookies.find(self.peer),
        };
        cx.send(self.peer, self.ours, &hello);
    }

    /// RETRY to such a HELLO: the cookie is too old. Whether it was one.
    pub(super) fn handle_no_gso_retry(&mut self, nonce: u64, cookie: Cookie, cx: &mut Context<'_>) -> bool {
        let asked = self.no_gso.nonce == Some(nonce);
        if asked {
            cx.cookies.keep(self.peer, cookie);
            if self.no_gso.tries < MAX_TRIES {
                self.no_gso.next_at = self.no_gso.next_at.min(cx.now);
            }
        }
        asked
    }

    /// WELCOME to such a HELLO. Whether it was one.
    pub(crate) fn handle_no_gso_welcome(&mut self, welcome: &Welcome) -> bool {
        let asked = self.no_gso.nonce == Some(welcome.nonce) && welcome.conversation == self.theirs;
        if asked {
            self.no_gso.granted = welcome.capabilities & APART != 0;
            if let Some(flow) = self.flow.as_mut().filter(|_| self.no_gso.granted) {
                flow.on_apart();
            }
            // Once is enough: who has not granted it does not know it.
            (self.no_gso.tries, self.no_gso.next_at) = (MAX_TRIES, Timestamp::NEVER);
        }
        asked
    }

    /// Whether one segment is asked for at a time.
    pub(super) fn wants_singles(&self, cx: &Context<'_>) -> bool {
        let breaks = self.flow.as_ref().is_some_and(|flow| flow.breaks_bursts());
        let tries = self.flow.as_ref().is_some_and(|flow| flow.wants_singles());
        // It may be no matter of offload: what is granted and does not help changes nothing.
        tries || breaks || !self.no_gso.granted && cx.paths.breaks_bursts(self.peer, cx.now)
    }
}
