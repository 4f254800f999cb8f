//! What is known of an owner that has answered HELLO: its conversation number, the content's length, the flow over its
//! path, and its standing.

use std::net::SocketAddr;
use std::time::Duration;

use messages::node_to_node::{NO_GSO, Welcome};
use messages::{Conversation, Timestamp};

use super::contact::Contact;
use super::no_gso::{NoGso, capabilities};
use crate::context::Context;
use crate::transport::Flow;

/// An owner is snubbed after this many timeouts, but not before `network.snub_after`.
const SNUB_TIMEOUTS: u32 = 4;

/// The standing of an owner that has answered HELLO.
#[derive(Debug)]
pub(super) enum Standing {
    /// The owner answers requests.
    Unchoked,
    /// The owner serves others until then, or until it sends UNCHOKE. If it `finishes`, it may still be asked for the
    /// rest of the pieces that it has begun to send.
    Choked { until: Timestamp, finishes: bool },
    /// Nothing came for too long. Since then the owner is only pinged.
    Snubbed { since: Timestamp, next_ping: Timestamp },
}

/// The state of a session from WELCOME on.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) standing: Standing,
    /// The conversation number that the owner has chosen for the session.
    pub(super) remote: Conversation,
    /// The content's length in bytes according to this owner.
    pub(super) length: u64,
    /// The longest datagram that the owner sends.
    pub(super) max_datagram: u16,
    pub(super) no_gso: NoGso,
    pub(super) flow: Flow,
}

impl Established {
    /// The state of a session that the owner has just opened with `welcome`. The owner counts as unchoked.
    pub(super) fn new(welcome: &Welcome, flow: Flow) -> Established {
        Established {
            standing: Standing::Unchoked,
            remote: welcome.conversation,
            length: welcome.length,
            max_datagram: welcome.max_datagram,
            no_gso: NoGso::new(welcome),
            flow,
        }
    }

    /// Whether the owner may be asked for pieces now.
    pub(super) fn is_unchoked(&self) -> bool {
        matches!(self.standing, Standing::Unchoked)
    }

    /// Whether the owner may be asked for something now, even if only for the rest of a piece that it has begun to
    /// send.
    pub(super) fn is_askable(&self) -> bool {
        matches!(self.standing, Standing::Unchoked | Standing::Choked { finishes: true, .. })
    }

    /// When the owner, which owes an answer since `owes_since`, has been silent for too long.
    pub(super) fn snub_at(&self, owes_since: Timestamp, snub_after: Duration) -> Option<Timestamp> {
        let silence = snub_after.max(self.flow.unbacked_timeout() * SNUB_TIMEOUTS);
        self.is_unchoked().then_some(owes_since + silence)
    }
}

impl Established {
    /// Asks the owner to send segments without GSO, if bursts of this flow, or of another one on the same path, do not
    /// arrive whole.
    pub(super) fn request_no_gso(&mut self, contact: &Contact, cx: &mut Context<'_>) {
        let breaks_bursts = cx.path_mtus.breaks_bursts(contact.peer, cx.now);
        if self.flow.breaks_bursts() && !self.no_gso.is_granted && !breaks_bursts {
            cx.path_mtus.on_broken(contact.peer, cx.now);
        }
        if self.is_unchoked() && !self.no_gso.is_granted && capabilities(contact.peer, cx) & NO_GSO != 0 {
            self.no_gso.poll(contact, cx);
        } else {
            self.no_gso.next_at = Timestamp::NEVER;
        }
    }

    /// Handles a WELCOME that answers a HELLO which asked for segments without GSO. Returns whether the WELCOME was
    /// such an answer.
    pub(super) fn handle_no_gso_welcome(&mut self, welcome: &Welcome) -> bool {
        welcome.conversation == self.remote && self.no_gso.handle_welcome(welcome, &mut self.flow)
    }

    /// Whether single segments are to be asked for.
    pub(super) fn wants_singles(&self, peer: SocketAddr, cx: &Context<'_>) -> bool {
        // GSO may not be the cause: single segments are asked for even when sending without GSO was granted and did not
        // help.
        self.flow.wants_singles()
            || self.flow.breaks_bursts()
            || !self.no_gso.is_granted && cx.path_mtus.breaks_bursts(peer, cx.now)
    }
}
