//! Which tracker a node talks to: the one that was named, the one at the default address, or one that it embeds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
#[cfg(feature = "embedded-tracker")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use channel::PublicKey;
#[cfg(feature = "embedded-tracker")]
use channel::StaticKey;
use config::{DEFAULT_TRACKER_PORT, TrackerAddress};
#[cfg(feature = "embedded-tracker")]
use config::{Encryption, SecretFiles, ServeCodes, TrackerSettings};

#[cfg(feature = "embedded-tracker")]
use super::embedded::{EmbedError, EmbeddedTracker, TrackerLog, TrackerLogFactory};
use super::interfaces::Interfaces;
use super::name::{Directory, NamedTracker, TrackerName, unreachable_from};
use super::probe::{Prober, can_reach};

/// Which tracker a node is to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerChoice {
    /// The tracker at this host and port. A name is looked up again and again, and followed where it leads.
    Named(NamedTracker),
    /// The tracker at the default address of this host.
    Default,
    /// The tracker at the default address of this host. Where none answers, this node runs one itself.
    DefaultOrEmbedded,
}

/// Why a node has no tracker to talk to.
#[derive(Debug, thiserror::Error)]
pub enum TrackerError {
    /// The tracker's address is of a family that the node's socket cannot reach.
    #[error("the tracker {tracker}: {reason}")]
    Unreachable {
        /// The tracker as it was named.
        tracker: TrackerAddress,
        /// Why it cannot be reached.
        reason: String,
    },
    /// The default port is free, and no tracker can be started at it.
    #[error("no tracker can be started: {0}")]
    Embed(String),
}

/// What is known of a node's tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerStatus {
    /// What the tracker was called, as HOST:PORT; `None`: it is the one at the default address.
    pub named: Option<String>,
    /// Where the tracker is; `None`: its name leads nowhere yet.
    pub address: Option<SocketAddr>,
    /// Why its name led nowhere when it was looked up last, or why nothing can be had from who is there.
    pub trouble: Option<String>,
    /// Whether the tracker runs in this process.
    pub is_embedded: bool,
    /// Whether whoever reaches this host can use the tracker in this process.
    pub is_open: bool,
    /// Whether the tracker is asked as one of a closed swarm, which answers only who has the secret.
    pub is_closed: bool,
    /// The tracker's static public key; `None`: nobody has said it.
    pub key: Option<PublicKey>,
}

impl TrackerStatus {
    /// The tracker at `address`, which nobody named.
    #[must_use]
    pub fn at(address: SocketAddr) -> TrackerStatus {
        TrackerStatus {
            named: None,
            address: Some(address),
            trouble: None,
            is_embedded: false,
            is_open: false,
            is_closed: false,
            key: None,
        }
    }
}

/// `tracker.example:12345 (10.0.0.7:12345)`, or what of it is known and not the same.
impl fmt::Display for TrackerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.named, self.address) {
            (Some(named), Some(address)) if *named != address.to_string() => write!(f, "{named} ({address})"),
            (_, Some(address)) => address.fmt(f),
            (Some(named), None) => f.write_str(named),
            (None, None) => f.write_str("of this host"),
        }
    }
}

/// The tracker of one node.
pub(crate) struct TrackerLink {
    status: TrackerStatus,
    role: Role,
    prober: Prober,
    /// Where the node, and so its embedded tracker, listens.
    #[cfg_attr(
        not(feature = "embedded-tracker"),
        expect(dead_code, reason = "there is no embedded tracker")
    )]
    listen: IpAddr,
    #[cfg(feature = "embedded-tracker")]
    embedding: Embedding,
}

/// What a tracker that the node runs itself is made with.
#[cfg(feature = "embedded-tracker")]
#[derive(Default)]
pub(crate) struct Embedding {
    /// Makes its log; `None`: it has none.
    pub(crate) log: Option<TrackerLogFactory>,
    /// The files with the secrets of its swarms; none: the open one.
    pub(crate) secret_file: SecretFiles,
    /// The file with the members of its swarm; `None`: whoever has the secret.
    pub(crate) members_file: Option<PathBuf>,
    /// Whether it seals what it says to other hosts: as the node does.
    pub(crate) encryption: Encryption,
    /// Whether it serves codes.
    pub(crate) codes: ServeCodes,
    /// The file of its key, by which others know it in all its lives; `None`: the key is of one life alone.
    pub(crate) key_file: Option<PathBuf>,
}

#[cfg(feature = "embedded-tracker")]
impl Embedding {
    fn log(&self) -> Result<TrackerLog, TrackerError> {
        let log = self.log.as_ref().map_or_else(|| Ok(TrackerLog::none()), |log| log());
        log.map_err(|error| TrackerError::Embed(error.to_string()))
    }

    fn settings(&self) -> TrackerSettings {
        let Embedding { secret_file, members_file, encryption, codes, .. } = self;
        TrackerSettings {
            secret_file: secret_file.clone(),
            members_file: members_file.clone(),
            encryption: *encryption,
            codes: *codes,
            ..TrackerSettings::default()
        }
    }

    fn key(&self) -> Result<StaticKey, EmbedError> {
        match &self.key_file {
            Some(path) => {
                StaticKey::of_file(path).map_err(|cause| EmbedError::KeyFile { path: path.clone(), cause })
            }
            None => StaticKey::random().map_err(EmbedError::Randomness),
        }
    }
}

/// The kind of tracker that a node uses.
#[derive(Debug)]
enum Role {
    /// A person wrote its address: there is no other.
    Fixed,
    /// A person named it: it is where the name leads.
    Named(TrackerName),
    /// It is the one at the default address. `embeds`: this node takes its place when it falls silent.
    Default { embeds: bool },
    /// The tracker runs in this process, and ends when this value is dropped.
    #[cfg(feature = "embedded-tracker")]
    Embedded(#[expect(dead_code, reason = "the tracker ends when this is dropped")] EmbeddedTracker),
}

impl TrackerLink {
    /// Finds the tracker of `choice` for a node that listens at `listen`, or embeds one. A tracker whose name leads
    /// nowhere yet is waited for.
    ///
    /// # Errors
    /// When the address cannot be reached from `listen`, or no tracker can be started.
    pub(crate) fn find(
        choice: &TrackerChoice,
        listen: IpAddr,
        directory: Arc<dyn Directory>,
        prober: Prober,
        #[cfg(feature = "embedded-tracker")] embedding: Embedding,
    ) -> Result<TrackerLink, TrackerError> {
        let is_closed = prober.is_closed();
        let link = |status, role| TrackerLink {
            status: TrackerStatus { is_closed, ..status },
            role,
            prober,
            listen,
            #[cfg(feature = "embedded-tracker")]
            embedding,
        };
        let embeds = match choice {
            TrackerChoice::Named(named) => {
                let (status, role) = named_tracker(named, listen, directory)?;
                let mut link = link(status, role);
                link.take_over_name();
                return Ok(link);
            }
            TrackerChoice::Default => false,
            TrackerChoice::DefaultOrEmbedded => true,
        };
        let standard = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_TRACKER_PORT);
        let local = embedded_address(listen);
        let reaches_standard = listen.is_ipv4() || listen.is_unspecified();
        let mut link = link(TrackerStatus::at(local), Role::Default { embeds });
        let found = reaches_standard && link.prober.finds(standard);
        let stays = !found && (link.embed()? || (local != standard && link.prober.finds(local)));
        if !stays && reaches_standard {
            link.status = TrackerStatus { is_closed, ..TrackerStatus::at(standard) };
        }
        Ok(link)
    }

    /// What is known of the tracker.
    pub(crate) fn status(&self) -> &TrackerStatus {
        &self.status
    }

    /// Looks a name up again when that is due. Says whether the tracker is elsewhere now.
    pub(crate) fn follow_name(&mut self, now: Instant) -> bool {
        let Role::Named(name) = &mut self.role else { return false };
        let has_moved = name.follow(now);
        self.take_over_name();
        has_moved
    }

    /// The tracker answers.
    pub(crate) fn on_answer(&mut self, now: Instant) {
        if let Role::Named(name) = &mut self.role {
            name.on_answer(now);
        }
    }

    /// The tracker does not answer.
    pub(crate) fn on_silence(&mut self, now: Instant) {
        if let Role::Named(name) = &mut self.role {
            name.on_silence(now);
        }
    }

    fn take_over_name(&mut self) {
        if let Role::Named(name) = &self.role {
            self.status.address = name.address();
            self.status.trouble = name.trouble().map(str::to_owned);
        }
    }

    /// Whether the tracker has to be looked after: its name may lead elsewhere, or this node may take its place.
    pub(crate) fn changes(&self) -> bool {
        matches!(self.role, Role::Named(_)) || self.is_replaceable()
    }

    /// Whether this node takes the place of its tracker when that is gone: the one at the default address.
    pub(crate) fn is_replaceable(&self) -> bool {
        matches!(self.role, Role::Default { embeds: true })
    }

    /// Becomes the tracker if no process is: the port is the lock. Returns whether this node has just become it.
    ///
    /// # Errors
    /// When the port is free and the tracker cannot be started all the same.
    #[cfg(feature = "embedded-tracker")]
    pub(crate) fn embed(&mut self) -> Result<bool, TrackerError> {
        if !self.is_replaceable() {
            return Ok(false);
        }
        let listen = SocketAddr::new(self.listen, DEFAULT_TRACKER_PORT);
        match EmbeddedTracker::start_with(listen, self.embedding.log()?, self.embedding.settings(), || {
            self.embedding.key()
        }) {
            Ok(embedded) => {
                let key = Some(embedded.key());
                self.role = Role::Embedded(embedded);
                self.status = TrackerStatus {
                    is_embedded: true,
                    is_open: !self.listen.is_loopback() && !self.prober.is_closed(),
                    is_closed: self.prober.is_closed(),
                    key,
                    ..TrackerStatus::at(embedded_address(self.listen))
                };
                Ok(true)
            }
            Err(error) if error.is_taken() => Ok(false),
            Err(error) => Err(TrackerError::Embed(error.to_string())),
        }
    }

    /// Without the feature `embedded-tracker` no node becomes a tracker.
    #[cfg(not(feature = "embedded-tracker"))]
    pub(crate) fn embed(&mut self) -> Result<bool, TrackerError> {
        Ok(false)
    }
}

impl fmt::Debug for TrackerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackerLink")
            .field("status", &self.status)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// The tracker that `named` names, as far as is known yet.
fn named_tracker(
    named: &NamedTracker,
    listen: IpAddr,
    directory: Arc<dyn Directory>,
) -> Result<(TrackerStatus, Role), TrackerError> {
    let status = TrackerStatus {
        named: Some(named.address.to_string()),
        address: None,
        trouble: None,
        is_embedded: false,
        is_open: false,
        is_closed: false,
        key: named.key,
    };
    let named = &named.address;
    let Ok(ip) = named.host().parse() else {
        return Ok((status, Role::Named(TrackerName::look_up(named.clone(), listen, directory))));
    };
    if !can_reach(listen, ip) {
        return Err(TrackerError::Unreachable { tracker: named.clone(), reason: unreachable_from(listen) });
    }
    Ok((TrackerStatus { address: Some(SocketAddr::new(ip, named.port())), ..status }, Role::Fixed))
}

/// A tracker as another host is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerForOthers {
    /// Where the tracker is for other hosts: an address, or the name as it was given.
    pub text: String,
    /// Whether only this host reaches it.
    pub is_only_here: bool,
}

/// What a person is told when the port of the default tracker is taken by somebody who does not answer.
pub(crate) fn taken(is_closed: bool) -> String {
    let whose =
        if is_closed { "a tracker of the closed swarm that this secret opens" } else { "an open tracker" };
    format!(
        "another program has UDP port {DEFAULT_TRACKER_PORT} of this host and does not answer as {whose} would: \
         it may be the tracker of another swarm, with another secret or with none; \
         --tracker HOST:PORT names the one to use"
    )
}

/// How other hosts reach the tracker of a node that listens at `listen`. Takes as long as a probe when the tracker is
/// another process of this host.
pub(crate) fn for_others(status: &TrackerStatus, listen: IpAddr, prober: &Prober) -> TrackerForOthers {
    let Some(address) = status.address else {
        return TrackerForOthers { text: status.to_string(), is_only_here: false };
    };
    let (ip, port) = (address.ip(), address.port());
    let interfaces = Interfaces::of_this_host();
    let reachable = |listen| interfaces.reachable(listen).map(|ip| SocketAddr::new(ip, port));
    let found = match status.is_embedded {
        true => reachable(listen),
        false if !ip.is_loopback() => None,
        // Another process may listen at loopback alone, and then there is no better address to give.
        false => reachable(listen).or_else(|| reachable(any())).filter(|&candidate| prober.finds(candidate)),
    };
    let address = found.unwrap_or(address);
    TrackerForOthers { text: address.to_string(), is_only_here: address.ip().is_loopback() }
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_embedded_tracker_is_reached_where_the_node_listens() {
        assert_eq!(embedded_address(any()), "127.0.0.1:12345".parse().expect("an address"));
        assert_eq!(embedded_address(ip("10.0.0.3")), "10.0.0.3:12345".parse().expect("an address"));
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

    fn find(tracker: &str, listen: &str) -> Result<TrackerLink, TrackerError> {
        let choice = TrackerChoice::Named(tracker.parse().expect("an address"));
        TrackerLink::find(
            &choice,
            ip(listen),
            Arc::new(Nothing),
            Prober::new(None).expect("open"),
            #[cfg(feature = "embedded-tracker")]
            Embedding::default(),
        )
    }

    #[test]
    fn a_tracker_that_the_socket_cannot_reach_is_named() {
        let error = find("127.0.0.1:1", "fd00::2").expect_err("another family");
        assert!(error.to_string().starts_with("the tracker 127.0.0.1:1: it has no address"), "{error}");
        let there = find("127.0.0.1:1", "::").expect("reachable");
        assert_eq!(there.status().address, Some("127.0.0.1:1".parse().expect("an address")));
    }

    #[test]
    fn the_key_that_a_person_gave_with_the_name_is_known_and_no_other() {
        let key = PublicKey::from_bytes([7; 32]);
        let link = find(&format!("{key}@127.0.0.1:1"), "::").expect("reachable");
        assert_eq!(link.status().key, Some(key));
        assert_eq!(link.status().to_string(), "127.0.0.1:1");
        assert_eq!(find("127.0.0.1:1", "::").expect("reachable").status().key, None);
    }

    #[cfg(feature = "embedded-tracker")]
    #[test]
    fn a_tracker_of_this_state_has_the_same_key_in_its_next_life_and_a_damaged_key_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tracker.key");
        let embedding = || Embedding { key_file: Some(path.clone()), ..Embedding::default() };
        let key = |embedding: Embedding| embedding.key().map(|key| key.public());
        assert_eq!(key(embedding()).expect("made"), key(embedding()).expect("read"));
        let none = || key(Embedding::default()).expect("drawn");
        assert_ne!(none(), none());
        std::fs::write(&path, "short").expect("written");
        let error = key(embedding()).expect_err("damaged").to_string();
        assert!(error.contains("tracker.key: it is not a file of 32 secret bytes"), "{error}");
    }

    #[test]
    fn a_name_that_leads_nowhere_is_a_tracker_that_is_not_there_yet() {
        let mut link = find("tk:1", "::").expect("waited for");
        let deadline = Instant::now() + Duration::from_secs(60);
        while link.status().trouble.is_none() && Instant::now() < deadline {
            link.follow_name(Instant::now());
            thread::yield_now();
        }
        let status = link.status();
        assert_eq!((status.address, status.to_string().as_str()), (None, "tk:1"));
        assert!(
            status.trouble.as_ref().is_some_and(|trouble| trouble.contains("no such host")),
            "{status:?}"
        );
    }
}
