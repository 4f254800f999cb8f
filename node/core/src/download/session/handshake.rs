//! How a session begins: HELLO, repeated until it is answered, the cookie that proves the address, and WELCOME.

use config::NetworkSettings;
use messages::node_to_node::Welcome;
use messages::{Cookie, Layout, Timestamp};
use rand::RngExt as _;

use super::contact::Contact;
use super::established::Established;
use super::no_gso::capabilities;
use super::{Session, SessionState};
use crate::context::Context;
use crate::download::initial_path::flow_settings;
use crate::transport::{Flow, LONG_RTT};

/// The time between two HELLOs doubles at most this often.
const MAX_DOUBLINGS: u32 = 6;

/// A HELLO that is not answered yet.
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
    /// A handshake whose first HELLO is due at once. `nonce` tells answers to its HELLOs from others.
    pub(super) fn new(nonce: u64, now: Timestamp) -> Handshake {
        Handshake { began: now, cookie: Cookie::NONE, nonce, tries: 0, next_at: now }
    }

    /// Whether HELLO has been sent often enough.
    pub(super) fn is_exhausted(&self, network: &NetworkSettings) -> bool {
        self.tries >= u32::from(network.hello_tries)
    }

    /// Sends HELLO once more. The time to the next HELLO doubles.
    pub(super) fn repeat_hello(&mut self, contact: &Contact, cx: &mut Context<'_>) {
        self.next_at = cx.now + cx.settings.network.hello_timeout * 2u32.pow(self.tries.min(MAX_DOUBLINGS));
        self.tries += 1;
        self.send_hello(contact, cx);
    }

    fn send_hello(&mut self, contact: &Contact, cx: &mut Context<'_>) {
        self.cookie = cx.cookies.find(contact.peer);
        contact.send_hello(self.nonce, capabilities(contact.peer, cx), self.cookie, cx);
    }
}

impl Session {
    /// Sends the first HELLO once more at once, because its loss would cost more than a second one.
    pub(crate) fn repeat_first_hello(&self, cx: &mut Context<'_>) {
        if let SessionState::Handshake(handshake) = &self.state {
            self.contact.send_hello(
                handshake.nonce,
                capabilities(self.contact.peer, cx),
                handshake.cookie,
                cx,
            );
        }
    }

    /// Handles RETRY, which asks for a HELLO with its cookie, to prove the address. Returns whether the RETRY was
    /// awaited.
    pub(crate) fn handle_retry(&mut self, nonce: u64, cookie: Cookie, cx: &mut Context<'_>) -> bool {
        let contact = &self.contact;
        let handshake = match &mut self.state {
            SessionState::Handshake(handshake) => handshake,
            SessionState::Established(established) => {
                return established.no_gso.handle_retry(nonce, contact.peer, cookie, cx);
            }
        };
        if handshake.nonce != nonce || handshake.cookie == cookie {
            return false;
        }
        cx.cookies.keep(contact.peer, cookie);
        // The owner is there, so its silence is lost datagrams. An owner that sends one RETRY after the other gains no
        // time by that.
        if handshake.cookie == Cookie::NONE {
            handshake.tries = 0;
        }
        handshake.repeat_hello(contact, cx);
        // The address will be proven, and over a long path a lost HELLO costs more than a second one.
        if cx.now.since(handshake.began) >= LONG_RTT {
            handshake.send_hello(contact, cx);
        }
        true
    }

    /// Handles the first answer of who is at the owner's address, where a channel is being opened. It is there, so its
    /// silence is lost datagrams.
    pub(crate) fn handle_answered(&mut self, cx: &Context<'_>) {
        if let SessionState::Handshake(handshake) = &mut self.state {
            handshake.tries = 1;
            handshake.next_at = cx.now + cx.settings.network.hello_timeout;
        }
    }

    /// Handles WELCOME, which opens the session. Returns whether the WELCOME was awaited.
    pub(crate) fn handle_welcome(&mut self, welcome: &Welcome, cx: &mut Context<'_>) -> bool {
        let SessionState::Handshake(handshake) = &self.state else {
            return false;
        };
        let Some(layout) = Layout::of(welcome.length).filter(|_| handshake.nonce == welcome.nonce) else {
            return false;
        };
        // The time that the owner echoes may be false, so the round trip counts as no longer than the handshake has
        // lasted.
        let rtt = cx.now.since_wire_micros(welcome.echoed_at).min(cx.now.since(handshake.began));
        // HELLO may have waited for the channel, whose handshake took one round trip.
        let rtt = cx.handshake_rtt(self.contact.peer).map_or(rtt, |of_channel| rtt.min(of_channel));
        let settings = flow_settings(welcome, rtt, cx);
        let flow = Flow::new(settings, cx.rng.random(), Some(rtt), cx.now);
        self.state = SessionState::Established(Box::new(Established::new(welcome, flow)));
        self.inventory.on_welcome(welcome.have, layout);
        true
    }
}

#[cfg(test)]
impl Session {
    /// A session whose owner has answered after `rtt` that it has all of a content of `length` bytes.
    pub(crate) fn of_test(
        key: crate::ids::SessionKey,
        length: u64,
        rtt: std::time::Duration,
        shared: &mut crate::context::Shared,
    ) -> Session {
        let (began, owner) = (Timestamp::ZERO, messages::NodeId::from_bytes([9; 16]));
        let (content, peer) =
            (messages::ContentId::from_bytes([3; 32]), std::net::SocketAddr::from(([10, 0, 0, 9], 7000)));
        let download = crate::ids::DownloadId(1);
        let mut session = Session::new(key, download, content, owner, peer, &mut shared.context(began));
        let SessionState::Handshake(handshake) = &session.state else {
            unreachable!("a session begins with its handshake");
        };
        let welcome = Welcome {
            nonce: handshake.nonce,
            echoed_at: 0,
            conversation: messages::Conversation(5),
            length,
            have: u32::MAX,
            max_outstanding: u32::MAX,
            max_datagram: messages::limits::BASE_DATAGRAM as u16,
            capabilities: 0,
            node: owner,
            file: messages::FileMetadata::default(),
        };
        assert!(session.handle_welcome(&welcome, &mut shared.context(began + rtt)), "it was awaited");
        session
    }
}
