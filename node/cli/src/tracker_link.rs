//! Which tracker a node talks to: the one that was named, the one at the default address, or one that it embeds.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use config::{DEFAULT_TRACKER_PORT, NodeSettings, TrackerAddress};
use messages::node_to_tracker::{Asker, Need, Query};
use messages::{Conversation, Cookie, Datagram, NodeId, Prefix, encode};

use crate::addresses::Interfaces;
use crate::embedded::Embedded;
use crate::exit::{ExitCode, Stop};
use crate::logging::LogPlan;
use crate::tracker_name::{Directory, TrackerName, unreachable_from};
use crate::tracker_words::TrackerWords;

/// How long a tracker may take to answer before a node at the default address counts it as absent.
const PROBE_TIME: Duration = Duration::from_millis(300);
/// How often it is asked in that time.
const PROBES: u32 = 3;
/// What others are told of a tracker is looked for again after this long.
const FOR_OTHERS_TIME: Duration = Duration::from_secs(5);

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
    /// Where it is, and what it is called.
    words: TrackerWords,
    role: Role,
    /// Where the node, and so its embedded tracker, listens.
    listen: IpAddr,
    /// The log of an embedded tracker; `None`: there is no folder for one.
    log: Option<LogPlan>,
    /// What others are told, of which address, and since when that is known.
    found_for_others: RefCell<Option<(Instant, Option<SocketAddr>, ForOthers)>>,
}

/// Whose the tracker is.
#[derive(Debug)]
enum Role {
    /// A person wrote its address: there is no other.
    Fixed,
    /// A person named it: it is where the name leads.
    Named(TrackerName),
    /// It is the one at the default address, and this node may take its place when it falls silent.
    Default(Embedding),
    /// It runs in this process.
    Ours(#[expect(dead_code, reason = "the tracker ends when this is dropped")] Embedded),
}

impl TrackerLink {
    fn new(words: TrackerWords, role: Role, listen: IpAddr, log: Option<LogPlan>) -> TrackerLink {
        TrackerLink { words, role, listen, log, found_for_others: RefCell::default() }
    }

    /// Finds the tracker that `settings` ask for, or embeds one. One whose name leads nowhere yet is waited for.
    ///
    /// # Errors
    /// [`ExitCode::TrackerUnreachable`] for an address that cannot be reached from where the node listens.
    pub(crate) fn find(
        settings: &NodeSettings,
        embedding: Embedding,
        directory: Arc<dyn Directory>,
    ) -> Result<TrackerLink> {
        let listen = settings.listen.0.ip();
        let log = LogPlan::new(settings, "tracker.log").ok();
        if let Some(named) = &settings.tracker {
            return TrackerLink::named(named, listen, log, directory);
        }
        let standard = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_TRACKER_PORT);
        let local = embedded_address(listen);
        let reaches_standard = listen.is_ipv4() || listen.is_unspecified();
        let words = TrackerWords::at(local);
        let mut link = TrackerLink::new(words, Role::Default(embedding), listen, log);
        let found = reaches_standard && answers(standard);
        let stays = !found && (link.embed()? || (local != standard && answers(local)));
        if !stays && reaches_standard {
            link.words = TrackerWords::at(standard);
        }
        Ok(link)
    }

    fn named(
        named: &TrackerAddress,
        listen: IpAddr,
        log: Option<LogPlan>,
        directory: Arc<dyn Directory>,
    ) -> Result<TrackerLink> {
        let words = TrackerWords { named: Some(named.to_string()), address: None, trouble: None };
        let Ok(ip) = named.host().parse() else {
            let name = TrackerName::look_up(named.clone(), listen, directory);
            let mut link = TrackerLink::new(words, Role::Named(name), listen, log);
            link.take_over_words();
            return Ok(link);
        };
        if !can_reach(listen, ip) {
            let message = format!("--tracker {named}: {}", unreachable_from(listen));
            return Err(Stop::new(ExitCode::TrackerUnreachable, message).into());
        }
        let words = TrackerWords { address: Some(SocketAddr::new(ip, named.port())), ..words };
        Ok(TrackerLink::new(words, Role::Fixed, listen, log))
    }

    /// Where the tracker is; `None`: its name leads nowhere yet.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.words.address
    }

    /// What a person is told of it.
    pub(crate) fn words(&self) -> &TrackerWords {
        &self.words
    }

    /// To be called often: looks a name up again when that is due, and says whether the tracker is elsewhere now.
    pub(crate) fn follow_name(&mut self, now: Instant) -> bool {
        let Role::Named(name) = &mut self.role else { return false };
        let moved = name.follow(now);
        self.take_over_words();
        moved
    }

    /// The tracker answers.
    pub(crate) fn on_answer(&mut self, now: Instant) {
        if let Role::Named(name) = &mut self.role {
            name.on_answer(now);
        }
    }

    /// It does not.
    pub(crate) fn on_silence(&mut self, now: Instant) {
        if let Role::Named(name) = &mut self.role {
            name.on_silence(now);
        }
    }

    fn take_over_words(&mut self) {
        if let Role::Named(name) = &self.role {
            self.words.address = name.address();
            self.words.trouble = name.trouble().map(str::to_owned);
        }
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
                self.words = TrackerWords::at(embedded_address(self.listen));
                Ok(true)
            }
            Err(error) if error.is_taken() => Ok(false),
            Err(error) => {
                Err(Stop::new(ExitCode::Other, format!("no tracker can be started: {error}")).into())
            }
        }
    }

    /// Whether whoever reaches this host reaches the tracker in this process.
    pub(crate) fn is_open(&self) -> bool {
        self.is_ours() && !self.listen.is_loopback()
    }

    /// The tracker's address as other hosts reach it, for the line that is typed there. Takes as long as a probe when
    /// the tracker is another process of this host, but only now and then: many lines are printed at once.
    pub(crate) fn for_others(&self) -> ForOthers {
        let (now, at) = (Instant::now(), self.words.address);
        let mut found = self.found_for_others.borrow_mut();
        if let Some((since, of, known)) = &*found
            && *of == at
            && now < *since + FOR_OTHERS_TIME
        {
            return known.clone();
        }
        let fresh = self.find_for_others();
        *found = Some((Instant::now(), at, fresh.clone()));
        fresh
    }

    fn find_for_others(&self) -> ForOthers {
        let Some(address) = self.words.address else {
            return ForOthers { text: self.words.to_string(), is_only_here: false };
        };
        let (ip, port) = (address.ip(), address.port());
        let interfaces = Interfaces::of_this_host();
        let reachable = |listen| interfaces.reachable(listen).map(|ip| SocketAddr::new(ip, port));
        let found = match self.role {
            Role::Ours(_) => reachable(self.listen),
            _ if !ip.is_loopback() => None,
            // Another process may listen at loopback alone, and then there is no better address to give.
            _ => reachable(self.listen).or_else(|| reachable(any())).filter(|&candidate| answers(candidate)),
        };
        let address = found.unwrap_or(address);
        ForOthers { text: address.to_string(), is_only_here: address.ip().is_loopback() }
    }
}

/// The tracker as another host is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForOthers {
    /// What stands behind `--tracker` there.
    pub(crate) text: String,
    /// Whether only this host reaches it.
    pub(crate) is_only_here: bool,
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

/// Whether a socket bound to `listen` can send to `ip` at all.
pub(crate) fn can_reach(listen: IpAddr, ip: IpAddr) -> bool {
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

    /// A network without names and trackers.
    struct Nothing;

    impl Directory for Nothing {
        fn resolve(&self, _: &TrackerAddress) -> io::Result<Vec<SocketAddr>> {
            Err(io::Error::other("no such host"))
        }

        fn answers(&self, _: SocketAddr) -> bool {
            false
        }
    }

    fn find(tracker: &str, listen: &str) -> Result<TrackerLink> {
        let folder = Some(std::env::temp_dir());
        let settings = NodeSettings {
            tracker: Some(tracker.parse().expect("an address")),
            listen: listen.parse().expect("an address"),
            log_dir: folder,
            ..NodeSettings::default()
        };
        TrackerLink::find(&settings, Embedding::Never, Arc::new(Nothing))
    }

    #[test]
    fn a_tracker_that_the_socket_cannot_reach_is_named() {
        let error = find("127.0.0.1:1", "[fd00::2]:0").expect_err("another family");
        assert_eq!(crate::exit::code_of(&error), ExitCode::TrackerUnreachable);
        assert!(error.to_string().starts_with("--tracker 127.0.0.1:1: it has no address"), "{error}");
        let there = find("127.0.0.1:1", "[::]:0").expect("reachable");
        assert_eq!(there.address(), Some("127.0.0.1:1".parse().expect("an address")));
    }

    #[test]
    fn a_name_that_leads_nowhere_is_a_tracker_that_is_not_there_yet() {
        let mut link = find("tk:1", "[::]:0").expect("waited for");
        let deadline = Instant::now() + Duration::from_secs(60);
        while link.words().trouble.is_none() && Instant::now() < deadline {
            link.follow_name(Instant::now());
            thread::yield_now();
        }
        assert_eq!((link.address(), link.words().to_string().as_str()), (None, "tk:1"));
        assert!(link.words().unreachable().contains("no such host"), "{}", link.words().unreachable());
    }

    #[test]
    fn a_question_is_a_datagram_that_trackers_understand() {
        assert!(matches!(Datagram::decode(&question()), Ok(Datagram::ToTracker(..))));
    }
}
