//! Carries a question to the tracker and its answer back, without running a node.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use channel::{ChannelNews, ChannelSettings, Channels, Received, Role, StaticKey, Suite, SwarmFileError};
use config::{NodeSettings, SeveralSwarms};
use messages::tracker_to_node::Listed;
use messages::{Kind, Timestamp};
use rand::TryRng as _;
use rand::rngs::SysRng;
use riffle_core::{Inquiry, InquiryEnd, InquiryStep, Question};
use tokio::net::UdpSocket;

#[cfg(feature = "embedded-tracker")]
use super::link::Embedding;
use super::link::{TrackerChoice, TrackerError, TrackerLink, TrackerStatus};
use super::name::System;
use super::probe::Prober;
use crate::driver::{boot_epoch, policy};

/// The longest datagram of a tracker, in bytes, sealed.
const MAX_LENGTH: usize = messages::limits::CONTROL_DATAGRAM + 64;
/// How often it is looked whether the tracker's name has been resolved.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a tracker could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no way to the tracker from this host.
    #[error(transparent)]
    Tracker(#[from] TrackerError),
    /// The secret of a closed swarm cannot be had.
    #[error(transparent)]
    SecretFile(#[from] SwarmFileError),
    /// Several swarms were named: each is asked by a query of its own.
    #[error(transparent)]
    SeveralSwarms(#[from] SeveralSwarms),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoRandomBytes(#[source] io::Error),
    /// The system gives no socket.
    #[error("the system gives no socket: {0}")]
    NoSocket(#[source] io::Error),
    /// The socket cannot be used for the tracker's address.
    #[error("the tracker {tracker} cannot be reached: {cause}")]
    Unreachable {
        /// Where the tracker is.
        tracker: SocketAddr,
        /// The system's reason.
        cause: io::Error,
    },
}

/// Asks a tracker what it knows, without joining it: neither shares nor fetches anything.
///
/// Futures of this type need a tokio runtime with I/O and time.
#[derive(Debug)]
pub struct TrackerQuery {
    tracker: TrackerLink,
    /// The channel with the tracker. Nobody is registered under its key by asking.
    channels: Channels,
    /// Where the tracker is, and a socket that reaches it.
    way: Option<(SocketAddr, UdpSocket)>,
    started: Instant,
}

impl TrackerQuery {
    /// A tracker that says nothing for this long does not answer.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Will ask the tracker of `choice` from the address at which `settings` listen (unspecified: any), sealed or in the
    /// clear as they say. Who asks is the node with this `key`, which may run meanwhile, or without one nobody that is
    /// known: a tracker with a list of members may answer only the former.
    ///
    /// # Errors
    /// When its address cannot be reached from this host, the secret of a closed swarm cannot be had, several swarms were
    /// named, or the system gives no random bytes.
    pub fn new(
        choice: &TrackerChoice,
        settings: &NodeSettings,
        key: Option<StaticKey>,
    ) -> Result<TrackerQuery, QueryError> {
        let choice = match choice {
            // Whoever only asks has nothing that a tracker of its own would know.
            TrackerChoice::DefaultOrEmbedded => &TrackerChoice::Default,
            choice => choice,
        };
        let prober = Prober::new(settings.secret_file.only()?)?;
        let secrets = prober.secrets();
        let tracker = TrackerLink::find(
            choice,
            settings.listen.0.ip(),
            Arc::new(System(prober.clone())),
            prober,
            #[cfg(feature = "embedded-tracker")]
            Embedding::default(),
        )?;
        let mut secret = [0; 32];
        let drawn = SysRng.try_fill_bytes(&mut secret);
        drawn.map_err(|cause| QueryError::NoRandomBytes(io::Error::other(cause)))?;
        let mut channels = Channels::new(ChannelSettings {
            key: key.map_or_else(StaticKey::random, Ok).map_err(QueryError::NoRandomBytes)?,
            swarm: secrets.first().clone(),
            policy: policy(settings),
            role: Role::Node,
            max_channels: 1,
            max_channels_per_host: 1,
            // Later than what a node with this key has said before.
            epoch: boot_epoch(),
            secret,
            suite: Suite::preferred(),
        });
        channels.change_secrets(&secrets);
        Ok(TrackerQuery { tracker, channels, way: None, started: Instant::now() })
    }

    /// What is known of the tracker.
    #[must_use]
    pub fn tracker(&self) -> &TrackerStatus {
        self.tracker.status()
    }

    /// Where the tracker is, if it is asked in the clear although sealing is preferred. Told once.
    pub fn take_in_the_clear(&mut self) -> Option<SocketAddr> {
        if let Some(tracker) = self.tracker.status().address {
            self.channels.tell_of_the_clear(tracker);
        }
        self.channels.take_news().into_iter().find_map(|news| match news {
            ChannelNews::InTheClear(address) => Some(address),
            ChannelNews::Opened(_) => None,
        })
    }

    /// Asks `question`; `take` gets each part of the answer as it comes, and is waited for.
    ///
    /// # Errors
    /// When the system gives no socket or no random bytes.
    pub async fn ask(
        &mut self,
        question: Question,
        take: impl AsyncFnMut(Vec<Listed>),
    ) -> Result<InquiryEnd, QueryError> {
        let address = self.locate().await;
        let end = match address {
            Some(address) => self.converse(address, question, take).await?,
            None => InquiryEnd::Silent,
        };
        match end {
            InquiryEnd::Silent => self.tracker.on_silence(Instant::now()),
            InquiryEnd::Answered { .. } | InquiryEnd::Refused(_) => self.tracker.on_answer(Instant::now()),
        }
        Ok(end)
    }

    /// Where the tracker is, if that turns out in time.
    pub(crate) async fn locate(&mut self) -> Option<SocketAddr> {
        let deadline = Instant::now() + Self::TIMEOUT;
        loop {
            self.tracker.follow_name(Instant::now());
            match self.tracker.status().address {
                None if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                address => return address,
            }
        }
    }

    /// A socket that reaches `address`, the same as long as that stays.
    async fn find_way_to(&mut self, address: SocketAddr) -> Result<(), QueryError> {
        let way = match self.way.take() {
            Some(way) if way.0 == address => way,
            _ => {
                let any = if address.is_ipv4() {
                    IpAddr::from(Ipv4Addr::UNSPECIFIED)
                } else {
                    Ipv6Addr::UNSPECIFIED.into()
                };
                let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await;
                let socket = socket.map_err(QueryError::NoSocket)?;
                let connected = socket.connect(address).await;
                connected.map_err(|cause| QueryError::Unreachable { tracker: address, cause })?;
                (address, socket)
            }
        };
        self.way = Some(way);
        Ok(())
    }

    async fn converse(
        &mut self,
        address: SocketAddr,
        question: Question,
        mut take: impl AsyncFnMut(Vec<Listed>),
    ) -> Result<InquiryEnd, QueryError> {
        let seed =
            SysRng.try_next_u32().map_err(|cause| QueryError::NoRandomBytes(io::Error::other(cause)))?;
        if let Some(key) = self.tracker.status().key {
            self.channels.expect_key(address, key);
        }
        let node = self.channels.node_id();
        let started = self.started;
        let now = || Timestamp::ZERO + started.elapsed();
        let mut inquiry = Inquiry::new(question, node, seed, Self::TIMEOUT, now());
        self.find_way_to(address).await?;
        let (Some((_, socket)), channels) = (&self.way, &mut self.channels) else {
            unreachable!("the way was found above")
        };
        let (mut datagram, mut sealed, mut received) = (Vec::new(), Vec::new(), [0; MAX_LENGTH + 1]);
        loop {
            datagram.clear();
            match inquiry.poll(now(), &mut datagram) {
                InquiryStep::Send => {
                    sealed.clear();
                    let leaves = channels.seal(address, &datagram, now(), &mut sealed);
                    // What the path refuses is asked again, like what is lost on it.
                    for (_, bytes) in channels.take_outbox() {
                        drop(socket.send(&bytes).await);
                    }
                    if leaves {
                        drop(socket.send(&sealed).await);
                    }
                }
                InquiryStep::Found(contents) => take(contents).await,
                InquiryStep::Over(end) => return Ok(end),
                InquiryStep::Wait(until) => {
                    let left = until.since(now());
                    match tokio::time::timeout(left, socket.recv(&mut received)).await {
                        Ok(Ok(length)) => {
                            let bytes = received.get_mut(..length).unwrap_or_default();
                            if Kind::is_channel(bytes) {
                                if let Received::Opened { range, .. } = channels.handle(address, bytes, now())
                                {
                                    inquiry.handle_datagram(&bytes[range], now());
                                }
                                for (_, bytes) in channels.take_outbox() {
                                    drop(socket.send(&bytes).await);
                                }
                            } else if channels.takes_in_the_clear(address) {
                                inquiry.handle_datagram(bytes, now());
                            }
                        }
                        // Nobody is there now: somebody may be before the time is over.
                        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                        Ok(Err(_)) => tokio::time::sleep(left).await,
                        Err(_) => {}
                    }
                }
            }
        }
    }

    /// [`TrackerQuery::ask`] with the whole answer at once: for what has no pages.
    ///
    /// # Errors
    /// As [`TrackerQuery::ask`].
    pub async fn ask_once(&mut self, question: Question) -> Result<(Vec<Listed>, InquiryEnd), QueryError> {
        let mut found = Vec::new();
        let end = self.ask(question, async |contents| found.extend(contents)).await?;
        Ok((found, end))
    }
}
