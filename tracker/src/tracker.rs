//! The tracker: takes datagrams, routes them to the tables, and gives back answers, events and its next wake-up.
//!
//! What each request does is in `membership.rs` (REGISTER, EXIT, PONG), `catalogue.rs` (OWN, UPDATE) and `need.rs`.
//! This file has what all requests have in common: nothing is done, and nothing kept, before the address is proven.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use channel::{ChannelNews, Channels, Members, PeerChannel, Received, SwarmSecrets};
use config::TrackerSettings;
use messages::limits::MAX_OWN_ENTRIES;
use messages::node_to_tracker::Asker;
use messages::tracker_to_node::{RefusalCode, Refused};
use messages::{
    ContentId, Conversation, Cookie, CookieJar, Datagram, Endpoint, NodeId, NodeToTracker, Timestamp,
    TrackerToNode,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::calendar::Calendar;
use crate::contents::Contents;
use crate::counters::Counters;
use crate::credit::Budgets;
use crate::departed::Departed;
use crate::event::Event;
use crate::nodes::NodeTable;
use crate::output::{Output, Wait, WaitReason};
use crate::rate_limit::Buckets;
use crate::request::{Origin, Refusal, millis_up};

/// How many nodes whose leases have ended, and how many contents of departed nodes, one step takes out of the tables:
/// more than one datagram can put in, and so few that the next datagram is not kept waiting.
const REMOVAL_BATCH: usize = 128;

/// How long after its heartbeat a node may take to announce its contents again to a tracker that was restarted.
const MAX_REANNOUNCING: Duration = Duration::from_secs(5);

const _: () = assert!(REMOVAL_BATCH > MAX_OWN_ENTRIES, "contents go faster than they come");

/// Which node owns which file: one input, then drain.
#[derive(Debug)]
pub struct Tracker {
    pub(crate) settings: TrackerSettings,
    pub(crate) cookies: CookieJar,
    pub(crate) chance: StdRng,
    /// A random number by which nodes tell one life of the tracker from another.
    pub(crate) epoch: u64,
    pub(crate) nodes: NodeTable,
    pub(crate) contents: Contents,
    pub(crate) departed: Departed,
    pub(crate) calendar: Calendar,
    pub(crate) buckets: Buckets,
    /// What the nodes of each host may still confirm.
    pub(crate) budgets: Budgets,
    pub(crate) counters: Counters,
    /// The sealed channels with nodes. `None`: everything is in the clear.
    channels: Option<Box<Channels>>,
    pub(crate) out: Output,
    /// When every node that knew the tracker's life before must have come back and announced its contents again.
    pub(crate) rebuilt_at: Timestamp,
    /// The latest instant that was handed in.
    clock: Timestamp,
}

impl Tracker {
    /// A tracker with empty tables. `secret` keys its cookies and must be random bytes that nobody else knows; all
    /// chance comes from `seed`; time begins at `now`.
    #[must_use]
    pub fn new(settings: TrackerSettings, secret: [u8; 32], seed: u64, now: Timestamp) -> Tracker {
        let mut chance = StdRng::seed_from_u64(seed);
        let limits = &settings.limits;
        Tracker {
            cookies: CookieJar::new(secret),
            epoch: chance.random(),
            chance,
            nodes: NodeTable::new(limits.max_nodes as usize, limits.max_nodes_per_address),
            contents: Contents::new(limits.max_contents as usize, limits.max_announcements as usize),
            departed: Departed::new(REMOVAL_BATCH),
            calendar: Calendar::UNKNOWN,
            buckets: Buckets::new(
                limits.requests_per_second,
                limits.request_burst,
                limits.tracked_addresses as usize,
            ),
            budgets: Budgets::new(
                settings.ranking.credit_per_address.as_u64(),
                settings.ranking.rate_window,
                limits.tracked_addresses as usize,
            ),
            counters: Counters::default(),
            channels: None,
            out: Output::default(),
            rebuilt_at: now + settings.heartbeat + MAX_REANNOUNCING,
            clock: now,
            settings,
        }
    }

    /// The same tracker at an address that nobody can know from before, such as a port that the system has just chosen:
    /// no node has to come back first, and what the tracker does not know nobody has.
    #[must_use]
    pub fn without_past(self) -> Tracker {
        Tracker { rebuilt_at: Timestamp::ZERO, ..self }
    }

    /// From now on the tracker says and hears sealed what the policy of `channels` asks for.
    pub fn seal_with(&mut self, channels: Channels) {
        self.channels = Some(Box::new(channels));
    }

    /// From now on these are the secrets of the closed swarm.
    pub fn change_secrets(&mut self, secrets: &SwarmSecrets) {
        if let Some(channels) = &mut self.channels {
            channels.change_secrets(secrets);
        }
    }

    /// From now on only `members` are answered. Registered nodes that are none are forgotten at once, with all that they
    /// own. Means something only where everything is sealed: in the clear nobody proves who they are.
    pub fn change_members(&mut self, members: &Members) {
        if let Some(channels) = &mut self.channels {
            channels.change_members(members.clone());
        }
        self.let_go(members);
    }

    /// The sealed channels. `None`: everything is in the clear.
    #[must_use]
    pub fn channels(&self) -> Option<&Channels> {
        self.channels.as_deref()
    }

    /// The same tracker with a wall clock that showed `unix_ms`, in milliseconds since 1970, when the tracker's time
    /// began. An epoch far ahead of that clock counts as the earliest of all.
    #[must_use]
    pub fn with_wall_clock(self, unix_ms: u64) -> Tracker {
        Tracker { calendar: Calendar { clock: Some((unix_ms, self.clock)) }, ..self }
    }

    /// Takes one datagram of a channel ([`Kind::is_channel`]) that came from `from` and arrived at the local address
    /// `reached_at`, if that is known. It is opened where it stands.
    pub fn handle_sealed(
        &mut self,
        from: SocketAddr,
        reached_at: Option<IpAddr>,
        datagram: &mut [u8],
        now: Timestamp,
    ) {
        let now = self.advance(now);
        self.counters.datagrams += 1;
        if !Endpoint::new(from).is_reachable() {
            self.counters.unanswerable += 1;
            return;
        }
        let Some(channels) = self.channels.as_deref_mut() else {
            self.counters.misdirected += 1;
            return;
        };
        let address = messages::canonical(from);
        let received = channels.handle(address, datagram, now);
        // An ACCEPT goes before what is said over its channel.
        for (to, bytes) in channels.take_outbox() {
            self.out.send_bytes(to, reached_at, &bytes);
        }
        for news in channels.take_news() {
            if let ChannelNews::Opened(PeerChannel { address, node, suite, .. }) = news {
                self.out.events.push(Event::ChannelOpened { node, address, suite });
            }
        }
        match received {
            Received::Opened { range, peer } => {
                let plain = &datagram[range];
                self.handle_plain(address, Some(peer), reached_at, plain, now);
            }
            Received::Greeted { early, peer } => {
                early.iter().for_each(|plain| self.handle_plain(address, Some(peer), reached_at, plain, now));
            }
            Received::Answered | Received::Nothing => {}
        }
    }

    /// Takes one datagram in the clear that came from `from` and arrived at the local address `reached_at`, if that is known.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        reached_at: Option<IpAddr>,
        datagram: &[u8],
        now: Timestamp,
    ) {
        let now = self.advance(now);
        self.counters.datagrams += 1;
        if !Endpoint::new(from).is_reachable() {
            self.counters.unanswerable += 1;
            return;
        }
        let address = messages::canonical(from);
        if self.channels.as_deref_mut().is_none_or(|channels| channels.takes_in_the_clear(address)) {
            self.handle_plain(address, None, reached_at, datagram, now);
        }
    }

    /// Takes one datagram that `peer` has sealed, or that may be in the clear.
    fn handle_plain(
        &mut self,
        address: SocketAddr,
        peer: Option<NodeId>,
        reached_at: Option<IpAddr>,
        datagram: &[u8],
        now: Timestamp,
    ) {
        match Datagram::decode(datagram) {
            Ok(Datagram::ToTracker(conversation, message)) => {
                let reached_at = reached_at.map(|ip| ip.to_canonical());
                self.on_message(Origin { address, reached_at, conversation, peer }, message, now);
            }
            Ok(_) => {
                self.counters.misdirected += 1;
                self.out.events.push(Event::Misdirected { from: address });
            }
            Err(error) => {
                self.counters.undecodable += 1;
                self.out.events.push(Event::Undecodable { from: address, error });
            }
        }
    }

    /// Does what is due at `now` and moves all answers and events to the end of `out`. Nothing more is due before the
    /// instant that is returned.
    pub fn poll(&mut self, now: Timestamp, out: &mut Output) -> Wait {
        self.advance(now);
        self.out.drain_into(out);
        let lease = self.nodes.next_lease_end().map(|at| (at, WaitReason::LeaseEnds));
        let ping = self.nodes.next_ping().map(|at| (at, WaitReason::PingAgain));
        if !self.departed.is_empty() || self.nodes.expired(self.clock).is_some() {
            return Wait { until: self.clock, reason: WaitReason::Removing };
        }
        let next = lease.into_iter().chain(ping).min_by_key(|&(at, _)| at);
        let (until, reason) = next.unwrap_or((Timestamp::NEVER, WaitReason::Nothing));
        Wait { until, reason }
    }

    /// How many nodes are registered.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many contents have an owner.
    #[must_use]
    pub fn contents(&self) -> usize {
        self.contents.len()
    }

    /// Whether `node`, in its present life, owns some of `content` or is fetching it. The cost does not depend on the
    /// number of owners: one look at the complete ones, one at the others, and one at each departed life of the node.
    #[must_use]
    pub fn is_owner(&self, node: NodeId, content: ContentId) -> bool {
        self.contents.is_owner(node, content) && !self.departed.holds(node, content)
    }

    /// At which address a registered node is.
    #[must_use]
    pub fn address_of(&self, node: NodeId) -> Option<SocketAddr> {
        self.nodes.node(node).map(|node| node.registration().address)
    }

    /// The rate at which downloaders confirm to have bytes from `node`, in bytes a second.
    #[must_use]
    pub fn upload_rate(&self, node: NodeId, now: Timestamp) -> u64 {
        let window = self.settings.ranking.rate_window;
        self.nodes.node(node).map_or(0, |node| node.uploaded.per_second(now, window))
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Lets time pass; it never runs backwards here.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        self.on_time(self.clock);
        self.clock
    }

    fn on_message(&mut self, origin: Origin, message: NodeToTracker, now: Timestamp) {
        let (asker, answer) = match message {
            NodeToTracker::Register(register) => {
                let admitted = self.admit(origin, register.asker, now);
                (register.asker, admitted.and_then(|()| self.on_register(origin, &register, now)))
            }
            NodeToTracker::Own(own) => {
                let admitted = self.admit(origin, own.asker, now);
                (own.asker, admitted.and_then(|()| self.on_own(origin, &own, now)))
            }
            NodeToTracker::Need(need) => {
                let admitted = self.admit(origin, need.asker, now);
                (need.asker, admitted.map(|()| self.on_need(origin, &need, now)))
            }
            NodeToTracker::Update(update) => {
                let admitted = self.admit(origin, update.asker, now);
                (update.asker, admitted.and_then(|()| self.on_update(origin, &update, now)))
            }
            NodeToTracker::Exit(exit) => {
                let admitted = self.admit(origin, exit.asker, now);
                (exit.asker, admitted.and_then(|()| self.on_exit(origin, &exit, now)))
            }
            NodeToTracker::TrackerPong(pong) => return self.on_pong(origin, pong.nonce, now),
        };
        let answer = answer.unwrap_or_else(|refusal| self.refuse(origin, asker, refusal, now));
        self.send(origin.address, origin.reached_at, origin.conversation, &answer, now);
    }

    /// Sends `message`, sealed where the policy says so. A node whose channel is forgotten is not told anything.
    pub(crate) fn send(
        &mut self,
        to: SocketAddr,
        from: Option<IpAddr>,
        conversation: Conversation,
        message: &TrackerToNode,
        now: Timestamp,
    ) {
        match &mut self.channels {
            Some(channels) if channels.is_sealed(to) => {
                if channels.peer(to).is_some() {
                    let (mut plain, mut sealed) = (Vec::new(), Vec::new());
                    message.encode(conversation, &mut plain);
                    channels.seal(to, &plain, now, &mut sealed);
                    self.out.send_bytes(to, from, &sealed);
                }
            }
            _ => self.out.send(to, from, conversation, message),
        }
    }

    /// Checks the proof of address, and then the rate: an unproven address costs no state, not even a bucket.
    fn admit(&mut self, origin: Origin, asker: Asker, now: Timestamp) -> Result<(), Refusal> {
        // A channel proves the address, and who is there.
        let is_proven = match origin.peer {
            Some(peer) => peer == asker.node,
            None => self.cookies.accepts(asker.cookie, origin.address, now),
        };
        if !is_proven {
            return Err(Refusal::new(RefusalCode::Cookie, Duration::ZERO));
        }
        let bucket = self.buckets.admit(origin.address.ip(), now);
        bucket.map_err(|wait| Refusal::new(RefusalCode::TooFast, wait))
    }

    /// Refuses a request of a node that is not registered at the address from which the request came.
    pub(crate) fn require_registered(&self, origin: Origin, node: NodeId) -> Result<(), Refusal> {
        match self.nodes.node(node) {
            Some(known) if known.registration().address == origin.address => Ok(()),
            _ => Err(Refusal::new(RefusalCode::NotRegistered, Duration::ZERO)),
        }
    }

    fn refuse(&mut self, origin: Origin, asker: Asker, refusal: Refusal, now: Timestamp) -> TrackerToNode {
        let Refusal { code, retry_after } = refusal;
        self.counters.refused.count(code);
        let (node, address) = (asker.node, origin.address);
        self.out.events.push(Event::Refused { node, address, code, retry_after });
        let cookie = match code {
            RefusalCode::Cookie => self.cookies.bake(origin.address, now),
            _ => Cookie::NONE,
        };
        Refused { code, retry_after_ms: millis_up(retry_after), cookie }.into()
    }
}
