//! Scripted downloaders: they know the wire, hold any number of sessions from any number of addresses, and follow a
//! script instead of the protocol. They announce nothing and keep no byte.

mod acting;
mod script;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messages::node_to_node::{Bye, ByeReason, Hello, Operation, Pong};
use messages::{
    Body, ContentId, Conversation, Cookie, Datagram, Host, Layout, NodeId, NodeToNode, Timestamp,
};
use rand::RngExt as _;

use super::payload::Payload;
use super::sim_event::SimEvent;
use super::{HostId, World};
use crate::link::LinkSpec;
pub use script::{Behaviour, DownloaderScript, addresses, addresses_of_one_prefix};

/// The first of the ports that a scripted downloader uses.
const FIRST_PORT: u16 = 5000;
/// How far apart the first HELLOs are, so that links hold them.
const HELLO_SPACING: Duration = Duration::from_micros(500);
/// After how long a session tries again what was not answered or was refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The payload of each segment, in bytes.
const SEGMENT: u16 = 1168;
/// The length of each whole range in bytes: a burst of 50 segments.
const RANGE: u32 = 50 * SEGMENT as u32;

/// One session of a scripted downloader.
#[derive(Debug)]
struct ScriptedSession {
    node: NodeId,
    cookie: Cookie,
    /// The owner's number for the session, from WELCOME on.
    theirs: Option<Conversation>,
    next_request: u32,
    /// The owner's last nonce.
    ping_echo: u64,
    highest_sequence: u32,
    /// Where the next range begins.
    next: (u32, u32),
    /// When file bytes arrived last.
    received_at: Timestamp,
    /// The number of the last timer: earlier ones count no more.
    timer: u32,
}

/// Datagrams, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many datagrams.
    pub datagrams: u64,
    /// How many bytes they had together.
    pub bytes: u64,
}

impl Traffic {
    fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += bytes as u64;
    }
}

/// A scripted downloader, and what it came to.
#[derive(Debug)]
pub struct ScriptedDownloader {
    script: DownloaderScript,
    sessions: Vec<ScriptedSession>,
    /// Which pieces its sessions asked for last, and from which address.
    begun: VecDeque<(IpAddr, u32)>,
    /// How many file bytes arrived.
    pub received_bytes: u64,
    /// What arrived, except CHUNKs.
    pub received: Traffic,
    /// How many of the received datagrams were BITFIELDs.
    pub bitfields: u64,
    /// What was sent.
    pub sent: Traffic,
}

impl ScriptedDownloader {
    /// At how many hosts its addresses are.
    pub fn hosts(&self) -> usize {
        let hosts = self.script.addresses.iter().map(|ip| Host::of(SocketAddr::new(*ip, FIRST_PORT)));
        hosts.collect::<BTreeSet<_>>().len()
    }

    /// How many of its sessions are open.
    pub fn open(&self) -> usize {
        self.sessions.iter().filter(|session| session.theirs.is_some()).count()
    }
}

impl World {
    /// Adds a host behind `link` with a scripted downloader; its node is registered and does nothing.
    pub fn add_scripted_downloader(&mut self, link: LinkSpec, script: DownloaderScript) -> HostId {
        let host = self.add_host(link, config::NodeSettings::default());
        let (mut sessions, begun) = (Vec::new(), VecDeque::new());
        for session in 0..script.sessions {
            self.network.by_address.insert(script.address(session), host);
            sessions.push(ScriptedSession {
                node: NodeId::from_bytes(self.rng.random()),
                cookie: Cookie::NONE,
                theirs: None,
                next_request: 1,
                ping_echo: 0,
                highest_sequence: 0,
                next: script.begins_at(session, self.layout_of(script.content).pieces()),
                received_at: Timestamp::ZERO,
                timer: 0,
            });
            let at = script.from.max(self.now) + HELLO_SPACING * session;
            self.schedule(at, SimEvent::ScriptedSession { host, session, timer: 0 });
        }
        self.scripted_downloaders.insert(
            host,
            ScriptedDownloader {
                script,
                sessions,
                begun,
                received_bytes: 0,
                received: Traffic::default(),
                bitfields: 0,
                sent: Traffic::default(),
            },
        );
        host
    }

    /// The scripted downloader at `host`, and what it has come to.
    pub fn scripted_downloader(&self, host: HostId) -> &ScriptedDownloader {
        &self.scripted_downloaders[&host]
    }

    /// Hands a packet to the scripted downloader at a host, if there is one. Returns whether the packet was for it, and
    /// not for the node.
    pub(super) fn deliver_to_scripted_downloader(&mut self, host: HostId, payload: &Payload) -> bool {
        let Some(mut downloader) = self.scripted_downloaders.remove(&host) else {
            return false;
        };
        let is_its_own = match payload {
            Payload::Chunk { header, length, .. } => {
                downloader.received_bytes += u64::from(*length);
                let ends = header.index + 1 == header.count;
                if let Some(session) = downloader.sessions.get_mut(header.conversation.0 as usize) {
                    session.received_at = self.now;
                    session.highest_sequence = session.highest_sequence.max(header.sequence);
                    if ends
                        && matches!(downloader.script.behaviour, Behaviour::Everything | Behaviour::Outboard)
                    {
                        self.ask(host, &mut downloader, header.conversation.0, 1, RANGE);
                    }
                }
                true
            }
            Payload::Control(bytes) => match Datagram::decode(bytes) {
                Ok(Datagram::Peer(conversation, message)) => {
                    downloader.received.add(bytes.len());
                    downloader.bitfields += u64::from(matches!(message, NodeToNode::Bitfield(_)));
                    self.on_message(host, &mut downloader, conversation.0, &message);
                    true
                }
                _ => false,
            },
            // A script has no channels.
            Payload::Sealed { .. } => false,
        };
        self.scripted_downloaders.insert(host, downloader);
        is_its_own
    }

    /// Takes in a message of the owner of a session.
    fn on_message(
        &mut self,
        host: HostId,
        downloader: &mut ScriptedDownloader,
        number: u32,
        message: &NodeToNode,
    ) {
        let Some(session) = downloader.sessions.get_mut(number as usize) else {
            return;
        };
        match message {
            NodeToNode::Retry(_)
                if downloader.script.behaviour.is_stale() && session.cookie != Cookie::NONE => {}
            NodeToNode::Retry(retry) => {
                session.cookie = retry.cookie;
                self.greet(host, downloader, number);
            }
            NodeToNode::Welcome(welcome) if session.theirs.is_none() => {
                session.theirs = Some(welcome.conversation);
                self.act(host, downloader, number);
            }
            NodeToNode::Ping(ping) if downloader.script.answers_pings => {
                session.ping_echo = ping.nonce;
                self.send_in_session(host, downloader, number, &Pong { nonce: ping.nonce });
            }
            NodeToNode::Bye(_) => session.theirs = None,
            NodeToNode::Control(control) if control.operation == Operation::Gone => {
                session.theirs = None;
            }
            _ => {}
        }
    }

    /// The timer of a session fires.
    pub(super) fn on_scripted_session(&mut self, host: HostId, number: u32, timer: u32) {
        let Some(mut downloader) = self.scripted_downloaders.remove(&host) else {
            return;
        };
        if downloader.sessions[number as usize].timer == timer {
            let is_open = downloader.sessions[number as usize].theirs.is_some();
            if self.now >= downloader.script.until {
                if downloader.script.says_bye {
                    self.send_in_session(
                        host,
                        &mut downloader,
                        number,
                        &Bye { reason: ByeReason::Cancelled },
                    );
                }
            } else if is_open {
                self.act(host, &mut downloader, number);
            } else {
                self.greet(host, &mut downloader, number);
            }
        }
        self.scripted_downloaders.insert(host, downloader);
    }

    /// Sends HELLO, and again when it is not answered.
    fn greet(&mut self, host: HostId, downloader: &mut ScriptedDownloader, number: u32) {
        self.send_hello(host, downloader, number);
        self.set_timer(host, downloader, number, RETRY_AFTER);
    }

    /// Sends HELLO once.
    fn send_hello(&mut self, host: HostId, downloader: &mut ScriptedDownloader, number: u32) {
        let session = &downloader.sessions[number as usize];
        let cookie = match downloader.script.behaviour {
            Behaviour::Stales { of_neighbour: true, .. } => downloader.sessions[number as usize ^ 1].cookie,
            _ => session.cookie,
        };
        let hello = Hello {
            nonce: self.rng.random(),
            content: downloader.script.content,
            node: session.node,
            conversation: Conversation(number),
            capabilities: 0,
            sent_at: 0,
            cookie,
        };
        self.send_message(host, downloader, number, Conversation(number), &hello);
    }

    fn layout_of(&self, content: ContentId) -> Layout {
        self.library.of(content).expect("a content that exists").outboard.layout()
    }

    /// Lets the session act again after this time.
    fn set_timer(&mut self, host: HostId, downloader: &mut ScriptedDownloader, number: u32, after: Duration) {
        let session = &mut downloader.sessions[number as usize];
        session.timer += 1;
        let timer = session.timer;
        self.schedule(self.now + after, SimEvent::ScriptedSession { host, session: number, timer });
    }

    /// Sends a message in an open session; without one it is dropped.
    fn send_in_session<B: Body>(
        &mut self,
        host: HostId,
        downloader: &mut ScriptedDownloader,
        number: u32,
        body: &B,
    ) {
        if let Some(theirs) = downloader.sessions[number as usize].theirs {
            self.send_message(host, downloader, number, theirs, body);
        }
    }

    /// Sends a message with this number of a conversation.
    fn send_message<B: Body>(
        &mut self,
        host: HostId,
        downloader: &mut ScriptedDownloader,
        number: u32,
        on: Conversation,
        body: &B,
    ) {
        let mut bytes = Vec::new();
        messages::encode(on, body, &mut bytes);
        downloader.sent.add(bytes.len());
        let to = self.hosts[downloader.script.owner(number).0].address;
        self.send(host, downloader.script.address(number), to, Payload::Control(bytes));
    }
}
