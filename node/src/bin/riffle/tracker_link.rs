//! Which tracker a node talks to: the one that was named, the one at the default address, or one that it embeds.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;
use config::{DEFAULT_TRACKER_PORT, NodeSettings, TrackerAddress};
use logs::LogSettings;
use messages::node_to_tracker::{Asker, Need, Query};
use messages::{Conversation, Cookie, Datagram, NodeId, Prefix, encode};

use crate::addresses::Interfaces;
use crate::embedded::Embedded;
use crate::exit::{ExitCode, Stop};
use crate::running::log_settings;

/// How long a tracker may take to answer before a node at the default address counts it as absent.
const PROBE_TIME: Duration = Duration::from_millis(300);
/// How often it is asked in that time.
const PROBES: u32 = 3;

/// Whether a node may become the tracker itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedding {
    /// A prompt or `send`: when no tracker was named and none answers.
    Allowed,
    /// A one-shot `download`: never.
    Never,
}

/// The tracker of this node.
#[derive(Debug)]
pub(crate) struct TrackerLink {
    address: SocketAddr,
    role: Role,
    /// Where the node, and so its embedded tracker, listens.
    listen: IpAddr,
    /// The log of an embedded tracker.
    log: LogSettings,
}

/// Whose the tracker is.
#[derive(Debug)]
enum Role {
    /// A person named it: there is no other.
    Named,
    /// It is the one at the default address, and this node may take its place when it falls silent.
    Default(Embedding),
    /// It runs in this process.
    Ours(#[expect(dead_code, reason = "the tracker ends when this is dropped")] Embedded),
}

impl TrackerLink {
    /// Finds the tracker that `settings` ask for, or embeds one.
    ///
    /// # Errors
    /// [`ExitCode::TrackerUnreachable`] for a host name that cannot be resolved.
    pub(crate) fn find(settings: &NodeSettings, embedding: Embedding) -> Result<TrackerLink> {
        let listen = settings.listen.0.ip();
        let log = log_settings(settings, "tracker.log")?;
        if let Some(named) = &settings.tracker {
            return Ok(TrackerLink { address: resolve(named, listen)?, role: Role::Named, listen, log });
        }
        let standard = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_TRACKER_PORT);
        let local = embedded_address(listen);
        let reaches_standard = listen.is_ipv4() || listen.is_unspecified();
        let mut link = TrackerLink { address: local, role: Role::Default(embedding), listen, log };
        let found = reaches_standard && answers(standard);
        let stays = !found && (link.embed()? || (local != standard && answers(local)));
        if !stays && reaches_standard {
            link.address = standard;
        }
        Ok(link)
    }

    /// Where the tracker is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the tracker runs in this process.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.role, Role::Ours(_))
    }

    /// Whether this node takes the place of its tracker when that is gone: the one at the default address.
    pub(crate) fn is_replaceable(&self) -> bool {
        matches!(self.role, Role::Default(Embedding::Allowed))
    }

    /// Becomes the tracker, if nobody is: the port is the lock. Says whether this node has become it just now.
    ///
    /// # Errors
    /// When the port is free and the tracker cannot be started all the same.
    pub(crate) fn embed(&mut self) -> Result<bool> {
        if !self.is_replaceable() {
            return Ok(false);
        }
        match Embedded::start(SocketAddr::new(self.listen, DEFAULT_TRACKER_PORT), self.log.clone()) {
            Ok(embedded) => {
                self.role = Role::Ours(embedded);
                self.address = embedded_address(self.listen);
                Ok(true)
            }
            Err(error) if error.is_taken() => Ok(false),
            Err(error) => {
                Err(Stop::new(ExitCode::Other, format!("no tracker can be started: {error}")).into())
            }
        }
    }

    /// The tracker's address as other hosts reach it, for the line that is typed there. Takes as long as a probe when
    /// the tracker is another process of this host.
    pub(crate) fn address_for_others(&self) -> SocketAddr {
        let (ip, port) = (self.address.ip(), self.address.port());
        let interfaces = Interfaces::of_this_host();
        let reachable = |listen| interfaces.reachable(listen).map(|ip| SocketAddr::new(ip, port));
        let found = match self.role {
            Role::Ours(_) => reachable(self.listen),
            _ if !ip.is_loopback() => None,
            // Another process may listen at loopback alone, and then there is no better address to give.
            _ => reachable(self.listen).or_else(|| reachable(any())).filter(|&candidate| answers(candidate)),
        };
        found.unwrap_or(self.address)
    }
}

/// All interfaces, both families.
fn any() -> IpAddr {
    IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
}

/// Where a node that listens at `listen` reaches the tracker that it embeds.
fn embedded_address(listen: IpAddr) -> SocketAddr {
    let ip = if listen.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen };
    SocketAddr::new(ip, DEFAULT_TRACKER_PORT)
}

/// The address of a tracker that a person named: of several, the first that answers, or the first that can be reached
/// from `listen`.
fn resolve(named: &TrackerAddress, listen: IpAddr) -> Result<SocketAddr> {
    let unknown = |cause: String| {
        let message = format!("--tracker {named}: {cause}; write HOST:PORT, such as 10.0.0.1:12345");
        Stop::new(ExitCode::TrackerUnreachable, message)
    };
    let found = (named.host(), named.port()).to_socket_addrs();
    let found = found.map_err(|error| unknown(format!("the name cannot be resolved ({error})")))?;
    let usable: Vec<SocketAddr> = found.filter(|address| can_reach(listen, address.ip())).collect();
    match usable.as_slice() {
        [] => Err(unknown(format!("there is no address that can be reached from --listen {listen}")).into()),
        [only] => Ok(*only),
        [first, ..] => Ok(usable.iter().copied().find(|&address| answers(address)).unwrap_or(*first)),
    }
}

/// Whether a socket bound to `listen` can send to `ip` at all.
fn can_reach(listen: IpAddr, ip: IpAddr) -> bool {
    listen.is_ipv4() == ip.is_ipv4() || (listen.is_unspecified() && listen.is_ipv6())
}

/// Whether a tracker answers there within [`PROBE_TIME`].
pub(crate) fn answers(tracker: SocketAddr) -> bool {
    // A closed port of this host says so at once, as an error of the connected socket.
    probe(tracker).unwrap_or(false)
}

fn probe(tracker: SocketAddr) -> io::Result<bool> {
    let any: IpAddr = if tracker.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { any() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(tracker)?;
    let deadline = Instant::now() + PROBE_TIME;
    let mut answer = [0; 2048];
    for round in 1..=PROBES {
        socket.send(&question())?;
        let round_ends = deadline - PROBE_TIME / PROBES * (PROBES - round);
        loop {
            let left = round_ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut answer) {
                Ok(length) if is_tracker(answer.get(..length).unwrap_or_default()) => return Ok(true),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(false)
}

/// A request without a cookie: a tracker answers it with one, keeps nothing, and knows nobody the wiser.
fn question() -> Vec<u8> {
    let asker = Asker { node: NodeId::from_bytes([0; 16]), cookie: Cookie::NONE };
    let need = Need { asker, query: Query::Search { prefix: Prefix::default(), after: None } };
    let mut datagram = Vec::new();
    encode(Conversation(0), &need, &mut datagram);
    datagram
}

fn is_tracker(answer: &[u8]) -> bool {
    matches!(Datagram::decode(answer), Ok(Datagram::FromTracker(..)))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use messages::tracker_to_node::{RefusalCode, Refused};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_embedded_tracker_is_reached_where_the_node_listens() {
        assert_eq!(embedded_address(any()), "127.0.0.1:12345".parse().expect("an address"));
        assert_eq!(embedded_address(ip("10.0.0.3")), "10.0.0.3:12345".parse().expect("an address"));
    }

    #[test]
    fn a_socket_reaches_its_own_family_and_a_dual_one_both() {
        assert!(can_reach(any(), ip("10.0.0.1")) && can_reach(any(), ip("fd00::1")));
        assert!(can_reach(ip("0.0.0.0"), ip("10.0.0.1")) && !can_reach(ip("0.0.0.0"), ip("fd00::1")));
        assert!(!can_reach(ip("fd00::2"), ip("10.0.0.1")));
    }

    #[test]
    fn a_probe_knows_a_tracker_from_silence_and_from_others() {
        let refused = Refused { code: RefusalCode::Cookie, retry_after_ms: 0, cookie: Cookie::NONE };
        let mut tracker = Vec::new();
        encode(Conversation(0), &refused, &mut tracker);
        for (says, expected) in [(tracker, true), (b"HTTP/1.1 400".to_vec(), false)] {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
            let address = socket.local_addr().expect("bound");
            let server = thread::spawn(move || {
                let (_, asker) = socket.recv_from(&mut [0; 2048]).expect("asked");
                socket.send_to(&says, asker).expect("answered");
                socket
            });
            assert_eq!(answers(address), expected);
            drop(server.join().expect("no panic"));
            assert!(!answers(address), "nobody is there any more");
        }
    }

    #[test]
    fn a_tracker_that_the_socket_cannot_reach_is_named() {
        let named: TrackerAddress = "127.0.0.1:1".parse().expect("an address");
        let error = resolve(&named, ip("fd00::2")).expect_err("another family");
        assert_eq!(crate::exit::code_of(&error), ExitCode::TrackerUnreachable);
        assert!(error.to_string().starts_with("--tracker 127.0.0.1:1: there is no address"), "{error}");
        assert_eq!(resolve(&named, any()).expect("reachable"), "127.0.0.1:1".parse().expect("an address"));
    }

    #[test]
    fn a_question_is_a_datagram_that_trackers_understand() {
        assert!(matches!(Datagram::decode(&question()), Ok(Datagram::ToTracker(..))));
    }
}
