//! Carries a question to the tracker and its answer back, for commands that need no node.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use config::NodeSettings;
use messages::tracker_to_node::Listed;
use messages::{NodeId, Timestamp};
use rand::TryRng as _;
use rand::rngs::SysRng;
use riffle::{Inquiry, InquiryEnd, InquiryStep, Question};
use tokio::net::UdpSocket;

use crate::tracker_link::{Embedding, TrackerLink};
use crate::tracker_name::System;
use crate::tracker_words::TrackerWords;
use riffle::state::random_node;

/// A tracker that says nothing for this long does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// No datagram of a tracker is longer.
const LONGEST: usize = messages::limits::CONTROL_DATAGRAM;

/// How often it is looked whether the tracker's name has been resolved.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Who asks the tracker without joining it.
#[derive(Debug)]
pub(crate) struct Asker {
    tracker: TrackerLink,
    /// Known to no tracker: it is never registered.
    node: NodeId,
    /// Where the tracker is, and a socket that reaches it.
    way: Option<(SocketAddr, UdpSocket)>,
    started: Instant,
}

impl Asker {
    /// Will ask the tracker that `settings` name.
    ///
    /// # Errors
    /// When its address cannot be reached from this host, or the system gives no chance.
    pub(crate) fn new(settings: &NodeSettings) -> Result<Asker> {
        let tracker = TrackerLink::find(settings, Embedding::Never, Arc::new(System))?;
        Ok(Asker {
            tracker,
            node: random_node().context("the system gives no random bytes")?,
            way: None,
            started: Instant::now(),
        })
    }

    /// What to call the tracker.
    pub(crate) fn tracker(&self) -> &TrackerWords {
        self.tracker.words()
    }

    /// Asks `question`; `take` gets each part of the answer as it comes, and is waited for.
    ///
    /// # Errors
    /// When the system gives no socket, or no chance.
    pub(crate) async fn ask(
        &mut self,
        question: Question,
        take: impl AsyncFnMut(Vec<Listed>),
    ) -> Result<InquiryEnd> {
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
    async fn locate(&mut self) -> Option<SocketAddr> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.tracker.follow_name(Instant::now());
            match self.tracker.address() {
                None if Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                address => return address,
            }
        }
    }

    /// A socket that reaches `address`, the same as long as that stays.
    async fn way_to(&mut self, address: SocketAddr) -> Result<&UdpSocket> {
        let way = match self.way.take() {
            Some(way) if way.0 == address => way,
            _ => {
                let any = if address.is_ipv4() {
                    IpAddr::from(Ipv4Addr::UNSPECIFIED)
                } else {
                    Ipv6Addr::UNSPECIFIED.into()
                };
                let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await;
                let socket = socket.context("the system gives no socket")?;
                let connected = socket.connect(address).await;
                connected.with_context(|| format!("the tracker {address} cannot be reached"))?;
                (address, socket)
            }
        };
        Ok(&self.way.insert(way).1)
    }

    async fn converse(
        &mut self,
        address: SocketAddr,
        question: Question,
        mut take: impl AsyncFnMut(Vec<Listed>),
    ) -> Result<InquiryEnd> {
        let seed = SysRng.try_next_u32().context("the system gives no random bytes")?;
        let started = self.started;
        let now = || Timestamp::ZERO + started.elapsed();
        let mut inquiry = Inquiry::new(question, self.node, seed, PATIENCE, now());
        let socket = self.way_to(address).await?;
        let (mut datagram, mut received) = (Vec::new(), [0; LONGEST + 1]);
        loop {
            datagram.clear();
            match inquiry.poll(now(), &mut datagram) {
                // What the path refuses is asked again, like what is lost on it.
                InquiryStep::Send => drop(socket.send(&datagram).await),
                InquiryStep::Found(contents) => take(contents).await,
                InquiryStep::Over(end) => return Ok(end),
                InquiryStep::Wait(until) => {
                    let left = until.since(now());
                    match tokio::time::timeout(left, socket.recv(&mut received)).await {
                        Ok(Ok(length)) => {
                            inquiry.handle_datagram(received.get(..length).unwrap_or_default(), now());
                        }
                        // Nobody is there now: somebody may be before the patience ends.
                        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                        Ok(Err(_)) => tokio::time::sleep(left).await,
                        Err(_) => {}
                    }
                }
            }
        }
    }

    /// [`Asker::ask`], with the whole answer at once: for what has no pages.
    pub(crate) async fn ask_once(&mut self, question: Question) -> Result<(Vec<Listed>, InquiryEnd)> {
        let mut found = Vec::new();
        let end = self.ask(question, async |contents| found.extend(contents)).await?;
        Ok((found, end))
    }
}
