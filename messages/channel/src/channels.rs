//! All channels of one node or tracker: what arrives is opened, what leaves is sealed, and channels are opened when
//! there is something to say.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use messages::{
    BootEpoch, ChunkHeader, Conversation, Cookie, CookieJar, HEADER_LENGTH, Header, Host, Kind, NodeId,
    Timestamp, canonical,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use zeroize::Zeroizing;

use crate::aead::Suite;
use crate::attempt::{Attempt, AttemptState};
use crate::budget::Budget;
use crate::direction::{NotOpened, Opener, Sealer};
use crate::frame::{self, Numbers, OPENED_CHUNK_PREFIX};
use crate::handshake::{
    self, ACCEPT, Agreed, HandshakeTime, INITIATE, NOISE_AT, ResetToken, SWARM_TAG, Terms,
};
use crate::handshake_times::HandshakeTimes;
use crate::identity::{PublicKey, StaticKey};
use crate::knock::{self, COOKIE_LENGTH, KNOCK, NONCE_AT, NONCE_END};
use crate::members::Members;
use crate::policy::{Encryption, Policy};
use crate::swarm::{SwarmSecret, is_equal};
use crate::swarm_secrets::SwarmSecrets;
use crate::swarms::{SecretId, Swarms};
use crate::table::{Channel, Table, Unconfirmed};

/// Bytes of an UNKNOWN.
const UNKNOWN: usize = HEADER_LENGTH + 16;
/// Addresses of which cookie and key are remembered, or which node is expected there.
const MAX_REMEMBERED: usize = 4096;
/// What is kept of what has happened to channels until somebody takes it.
const MAX_NEWS: usize = 256;
/// Attempts at a time.
const MAX_ATTEMPTS: usize = 1024;
/// How often it is asked whether who is spoken to in the clear opens a channel after all.
const RETRY_WITHOUT: Duration = Duration::from_secs(10);
/// A channel over which nothing was heard for so long, while something was said, may be forgotten at the other side.
const MAX_SILENCE: Duration = Duration::from_secs(5);
/// How often such a channel is opened anew.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);
/// Over a path with this round trip the loss of an INITIATE would cost more than a second one.
const LONG_RTT: Duration = Duration::from_millis(100);
/// Who does not answer for so long a handshake that was begun with what is known of the address may lack the first of
/// several secrets.
const SECRET_PATIENCE: Duration = Duration::from_secs(1);
/// Where channels are preferred, one to which nothing answers after so many messages is done without.
const TRIES_BEFORE_OPEN: u32 = 3;

/// Who talks: the two differ in how many conversations a channel of theirs has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Up to 2^14 sessions a channel, in 2^18 channels at most.
    Node,
    /// A tracker chooses no conversations: up to 2^32 channels.
    Tracker,
}

impl Role {
    const fn free_bits(self) -> u8 {
        match self {
            Role::Node => 14,
            Role::Tracker => 0,
        }
    }
}

/// What the channels of a node or tracker are made with.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    /// Who this is.
    pub key: StaticKey,
    /// The swarm in which it takes part.
    pub swarm: SwarmSecret,
    /// What may travel in the clear.
    pub policy: Policy,
    /// A node or a tracker.
    pub role: Role,
    /// How many channels are kept; beyond that the one used the longest time ago makes way.
    pub max_channels: usize,
    /// How many of them one host has ([`messages::Host`]): beyond that the one of its own used the longest time ago makes
    /// way, so that no host pushes out the others. Programs of this machine are exempt.
    pub max_channels_per_host: usize,
    /// Which life this is: a later one has a larger number.
    pub epoch: BootEpoch,
    /// 32 random bytes that nobody else knows, of which all chance is made.
    pub secret: [u8; 32],
    /// What is preferred to seal with.
    pub suite: Suite,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounters {
    /// Channels that were opened, by either side.
    pub opened: u64,
    /// Datagrams that arrived in the clear and are not taken in the clear.
    pub in_the_clear: u64,
    /// Sealed datagrams that are not authentic.
    pub forged: u64,
    /// Sealed datagrams that had arrived before.
    pub replayed: u64,
    /// Sealed datagrams of channels that are not known, and handshake messages that say nothing to this endpoint.
    pub refused: u64,
    /// Handshakes that were not answered because their host, or all together, had asked for too many.
    pub over_budget: u64,
}

/// What became of a datagram of a channel.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// It is opened: these bytes of it are a datagram, which `peer` has said.
    Opened {
        /// Which bytes.
        range: Range<usize>,
        /// Who said it.
        peer: NodeId,
    },
    /// A channel with `peer` is open, and these datagrams were said with its handshake.
    Greeted {
        /// The datagrams, in order.
        early: Vec<Vec<u8>>,
        /// Who said them.
        peer: NodeId,
    },
    /// Who is at the address has answered for the first time: a channel is being opened there.
    Answered,
    /// There is nothing in it for the layer above.
    Nothing,
}

/// A CHUNK that was opened to where its payload was expected to belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedChunk {
    /// What stood before its payload.
    pub header: ChunkHeader,
    /// Who said it.
    pub peer: NodeId,
}

/// One open channel, for screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerChannel {
    /// Where the other side is.
    pub address: SocketAddr,
    /// Who it is.
    pub node: NodeId,
    /// The key by which it has proven that.
    pub key: PublicKey,
    /// What seals.
    pub suite: Suite,
}

/// Why an address is spoken to in the clear, where that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// Handshakes were not answered there.
    Unanswered,
    /// Who is there spoke in the clear.
    SpokeFirst,
}

/// Somebody who is spoken to in the clear, where that may be.
#[derive(Clone, Copy, Debug)]
struct InTheClear {
    why: Without,
    /// Whether that was reported.
    is_told: bool,
}

/// What a person should know of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelNews {
    /// A channel was opened, by either side.
    Opened(PeerChannel),
    /// What is said to this address is in the clear from now on, although sealing is preferred: handshakes are not
    /// answered there, or who is there speaks in the clear.
    InTheClear(SocketAddr),
}

impl PeerChannel {
    fn of(channel: &Channel) -> PeerChannel {
        let Channel { address, node, peer: key, suite, .. } = *channel;
        PeerChannel { address, node, key, suite }
    }
}

/// What is known of an address without a channel.
struct Remembered {
    cookie: Cookie,
    key: PublicKey,
    /// The secret under which it has answered last, or the one to try.
    secret: SecretId,
}

/// Who has to be at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    node: NodeId,
    /// Whether it is a tracker, which is no member of the swarm.
    is_tracker: bool,
}

/// All channels of one node or tracker.
pub struct Channels {
    key: StaticKey,
    node: NodeId,
    role: Role,
    swarms: Swarms,
    members: Members,
    policy: Policy,
    suite: Suite,
    epoch: BootEpoch,
    cookies: CookieJar,
    /// Keys the tokens by which forgotten channels are told of.
    reset_key: Zeroizing<[u8; 32]>,
    time: HandshakeTime,
    rng: StdRng,
    table: Table,
    times: HandshakeTimes,
    budget: Budget,
    attempts: BTreeMap<SocketAddr, Attempt>,
    remembered: BTreeMap<SocketAddr, Remembered>,
    expected: BTreeMap<SocketAddr, Expected>,
    /// Where somebody was who is a member no longer: nothing is said there until a member speaks.
    let_go: BTreeMap<SocketAddr, NodeId>,
    /// Who does not answer a handshake and may be spoken to in the clear.
    without: BTreeMap<SocketAddr, InTheClear>,
    /// What the handshakes have to say.
    outbox: Vec<(SocketAddr, Vec<u8>)>,
    /// What nobody has been told of yet.
    news: Vec<ChannelNews>,
    counters: ChannelCounters,
}

impl Channels {
    /// No channel yet.
    #[must_use]
    pub fn new(settings: ChannelSettings) -> Channels {
        let ChannelSettings {
            key,
            swarm,
            policy,
            role,
            max_channels,
            max_channels_per_host,
            epoch,
            secret,
            suite,
        } = settings;
        let secret = Zeroizing::new(secret);
        let derive = |context: &str| blake3::derive_key(context, &*secret);
        // A later life has to know the tokens of an earlier one.
        let reset_key = blake3::derive_key("riffle 2026-11 channels: reset tokens", key.secret());
        Channels {
            node: key.node_id(),
            key,
            role,
            swarms: Swarms::new(&swarm),
            members: Members::default(),
            policy,
            suite,
            epoch,
            cookies: CookieJar::new(derive("riffle 2026-11 channels: cookies")),
            reset_key: Zeroizing::new(reset_key),
            time: HandshakeTime::of_life(epoch),
            rng: StdRng::from_seed(derive("riffle 2026-11 channels: chance")),
            table: Table::new(max_channels, max_channels_per_host, role.free_bits()),
            times: HandshakeTimes::new(max_channels.saturating_mul(2).max(MAX_REMEMBERED)),
            budget: Budget::default(),
            attempts: BTreeMap::new(),
            remembered: BTreeMap::new(),
            expected: BTreeMap::new(),
            let_go: BTreeMap::new(),
            without: BTreeMap::new(),
            outbox: Vec::new(),
            news: Vec::new(),
            counters: ChannelCounters::default(),
        }
    }

    /// Who this is.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// What may travel in the clear.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Whether who lacks the swarm's secrets gets no answer.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.swarms.is_closed()
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> ChannelCounters {
        self.counters
    }

    /// The open channels.
    pub fn open_channels(&self) -> impl Iterator<Item = PeerChannel> {
        self.table.iter().map(PeerChannel::of)
    }

    /// The channel with who is at `address`, if one is open.
    #[must_use]
    pub fn with(&self, address: SocketAddr) -> Option<PeerChannel> {
        self.table.newest(address).map(|(_, channel)| PeerChannel::of(channel))
    }

    /// How many channels are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no channel is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Who is at `address`, as far as a channel proves it. The address is proven then, too.
    #[must_use]
    pub fn peer(&self, address: SocketAddr) -> Option<NodeId> {
        self.table.newest(address).map(|(_, channel)| channel.node)
    }

    /// How long the handshake with who is at `address` took, if this side began it and said its message once.
    #[must_use]
    pub fn handshake_rtt(&self, address: SocketAddr) -> Option<Duration> {
        self.table.newest(address).and_then(|(_, channel)| channel.rtt)
    }

    /// The static key of who is at `address`, as far as a channel proves it.
    #[must_use]
    pub fn peer_key(&self, address: SocketAddr) -> Option<PublicKey> {
        self.table.newest(address).map(|(_, channel)| channel.peer)
    }

    /// Whether what is said to `address` is sealed, as far as is known now.
    #[must_use]
    pub fn is_sealed(&self, address: SocketAddr) -> bool {
        match self.policy.with(address) {
            Encryption::Always => true,
            Encryption::Prefer => {
                self.table.newest(address).is_some() || !self.without.contains_key(&address)
            }
            Encryption::Never => false,
        }
    }

    /// Whether a datagram in the clear from `address` is taken; then it is answered in the clear, too. Counts it if it
    /// is not.
    pub fn takes_in_the_clear(&mut self, address: SocketAddr) -> bool {
        let takes = match self.policy.with(address) {
            Encryption::Always => false,
            // Who has proven to be there has the keys to say so.
            Encryption::Prefer => self.table.newest(address).is_none(),
            Encryption::Never => true,
        };
        if takes && self.policy.with(address) == Encryption::Prefer && !self.attempts.contains_key(&address) {
            self.note_without(address, Without::SpokeFirst);
        }
        self.counters.in_the_clear += u64::from(!takes);
        takes
    }

    /// From now on the swarm's secrets are these. Handshakes begin with the first, and are answered under any; who does
    /// not answer the first is asked with the others. Channels that were opened with a secret that is none of these are
    /// forgotten. The ends of older secrets are the caller's to see to ([`SwarmSecrets::at`]).
    pub fn change_secrets(&mut self, secrets: &SwarmSecrets) {
        if !self.swarms.change(secrets) {
            return;
        }
        let swarms = &self.swarms;
        self.table.retain(|channel| swarms.contains(channel.secret));
        self.remembered.values_mut().for_each(|known| known.secret = swarms.first());
        self.attempts.values_mut().for_each(Attempt::begin_anew);
    }

    /// From now on only `members` are talked to: handshakes of others are answered with nothing, none is begun with them,
    /// and channels with them are forgotten. A tracker that this side has named is no member, and is heard unless it is
    /// denied. Means something only where everything is sealed, since in the clear nobody proves who they are.
    pub fn change_members(&mut self, members: Members) {
        self.members = members;
        let (members, expected, role) = (&self.members, &self.expected, self.role);
        let may_stay = |channel: &Channel| {
            let begun_at = channel.began_here.then_some(channel.address);
            is_admitted(members, expected, role, channel.node, begun_at)
        };
        self.let_go.retain(|_, &mut node| !members.contains(node));
        for channel in self.table.iter().filter(|channel| !may_stay(channel)) {
            if self.let_go.len() >= MAX_REMEMBERED {
                self.let_go.pop_first();
            }
            self.let_go.insert(channel.address, channel.node);
        }
        self.table.retain(may_stay);
        let may_begin = |at, key: PublicKey| is_admitted(members, expected, role, key.node_id(), Some(at));
        self.remembered.retain(|&at, known| may_begin(at, known.key));
        self.attempts.values_mut().for_each(Attempt::begin_anew);
    }

    /// Whether a channel may be open with `node`, that this side began at `begun_at`, or the other side.
    fn admits(&self, node: NodeId, begun_at: Option<SocketAddr>) -> bool {
        is_admitted(&self.members, &self.expected, self.role, node, begun_at)
    }

    /// Whether nothing may be said to `address` because of who is known to be there.
    fn is_shunned(&self, address: SocketAddr) -> bool {
        let expected = self.expected.get(&address);
        expected.is_some_and(|expected| !self.admits(expected.node, Some(address)))
            || self.let_go.contains_key(&address) && self.table.newest(address).is_none()
    }

    /// From now on `node` is expected at `address`: no channel is opened there with anybody else.
    pub fn expect(&mut self, address: SocketAddr, node: NodeId) {
        self.expect_whom(address, Expected { node, is_tracker: false });
    }

    fn expect_whom(&mut self, address: SocketAddr, expected: Expected) {
        let node = expected.node;
        if self.expected.len() >= MAX_REMEMBERED && !self.expected.contains_key(&address) {
            self.expected.pop_first();
        }
        let before = self.expected.insert(address, expected);
        if before.is_some_and(|before| before.node == node) || !self.is_sealed(address) {
            return;
        }
        // Somebody else is there now.
        self.let_go.remove(&address);
        if self.attempts.get(&address).is_some_and(|attempt| attempt.expected != Some(node)) {
            self.attempts.remove(&address);
        }
        if let Some((numbers, channel)) = self.table.newest(address)
            && channel.node != node
        {
            self.table.remove(numbers.channel().0);
        }
    }

    /// From now on the tracker with this `key` is expected at `address`, and greeted at once.
    pub fn expect_key(&mut self, address: SocketAddr, key: PublicKey) {
        self.expect_whom(address, Expected { node: key.node_id(), is_tracker: true });
        self.remember(address, Remembered { cookie: Cookie::NONE, key, secret: self.swarms.first() });
    }

    /// Draws a number for a conversation with `address`, of those that the channel with it has, if it is sealed; any
    /// number else. `is_free` says whether one is free.
    pub fn draw_conversation(
        &mut self,
        address: SocketAddr,
        is_free: impl Fn(Conversation) -> bool,
        rng: &mut StdRng,
        now: Timestamp,
    ) -> Conversation {
        // A channel of one number has none for conversations.
        let has_some = self.role.free_bits() > 0 && self.is_sealed(address);
        let numbers = has_some.then(|| self.numbers_with(address, now));
        loop {
            let bits: u32 = rng.random();
            let conversation = numbers.map_or(Conversation(bits), |numbers| numbers.with(bits));
            let is_channel = numbers.is_some_and(|numbers| numbers.channel() == conversation);
            if !is_channel && is_free(conversation) {
                return conversation;
            }
        }
    }

    /// This side's numbers of the channel with `address`, which may not be open yet.
    fn numbers_with(&mut self, address: SocketAddr, now: Timestamp) -> Numbers {
        match self.table.newest(address) {
            Some((numbers, _)) => numbers,
            None => self.attempt(address, now).numbers,
        }
    }

    /// The attempt to open a channel with `address`, begun if there is none.
    fn attempt(&mut self, address: SocketAddr, now: Timestamp) -> &mut Attempt {
        if self.attempts.get(&address).is_some_and(|attempt| attempt.is_old(now)) {
            // What waits is said anew by who wants it said; the numbers stay, since conversations may have some.
            if let Some(attempt) = self.attempts.get_mut(&address) {
                let mut anew = Attempt::new(attempt.expected, attempt.numbers, self.rng.random(), now);
                anew.tries = attempt.tries;
                *attempt = anew;
            }
        }
        if !self.attempts.contains_key(&address) {
            if self.attempts.len() >= MAX_ATTEMPTS {
                let oldest = self.attempts.iter().min_by_key(|(_, attempt)| attempt.began);
                if let Some((&oldest, _)) = oldest {
                    self.attempts.remove(&oldest);
                }
            }
            let attempts = &self.attempts;
            let is_taken = |numbers: Numbers| attempts.values().any(|attempt| attempt.numbers == numbers);
            let numbers = self.table.free_numbers(is_taken, &mut self.rng);
            let expected = self.expected.get(&address).map(|expected| expected.node);
            let attempt = Attempt::new(expected, numbers, self.rng.random(), now);
            self.attempts.insert(address, attempt);
        }
        self.attempts.get_mut(&address).unwrap_or_else(|| unreachable!("it was inserted if it was missing"))
    }

    /// Seals `datagram` for `to`, or keeps it until there is a channel, or leaves it in the clear where that is the
    /// policy: what is to be sent now is appended to `out`. Returns whether that is anything.
    pub fn seal(&mut self, to: SocketAddr, datagram: &[u8], now: Timestamp, out: &mut Vec<u8>) -> bool {
        if !self.is_sealed(to) {
            out.extend_from_slice(datagram);
            self.try_again(to, now);
            return true;
        }
        self.table.on_time(now);
        let conversation = conversation_of(datagram);
        if let Some(channel) = self.table.for_conversation(to, conversation) {
            channel.sealer.seal(datagram, out);
            let since = *channel.unanswered_since.get_or_insert(now);
            if now.since(since) >= MAX_SILENCE {
                // Whoever is there may have lost the channel and its key: another one is opened, and this one serves on.
                let attempt = self.attempt(to, now);
                if attempt.said_at.is_none_or(|at| now.since(at) >= ATTEMPT_PAUSE) {
                    self.pursue(to, now);
                }
            }
            return true;
        }
        if self.is_shunned(to) {
            return false;
        }
        let attempt = self.attempt(to, now);
        let waited = attempt.keep(datagram);
        if attempt.is_due(waited, now) {
            self.pursue(to, now);
        }
        false
    }

    /// Where nobody answered handshakes, and channels are preferred, asks now and then whether somebody does now. Who
    /// spoke first is not asked: the address is not proven, and would get more than it sent.
    fn try_again(&mut self, to: SocketAddr, now: Timestamp) {
        if self.without.get(&to).is_some_and(|without| without.why == Without::Unanswered) {
            let attempt = self.attempt(to, now);
            if attempt.said_at.is_none_or(|at| now.since(at) >= RETRY_WITHOUT) {
                attempt.tries = 0;
                self.pursue(to, now);
            }
        }
    }

    /// What seals the CHUNKs of `conversation` to `to`. `None`: no channel can carry them any more.
    pub fn sealer(&mut self, to: SocketAddr, conversation: Conversation) -> Option<&mut Sealer> {
        let channel = self.table.for_conversation(to, conversation)?;
        Some(&mut channel.sealer).filter(|sealer| sealer.may_carry(conversation))
    }

    /// Takes what the handshakes have to say.
    pub fn take_outbox(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.outbox)
    }

    /// Whether the handshakes have something to say.
    #[must_use]
    pub fn has_outbox(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Takes what has happened to channels, in order. Of very much at once the first is kept.
    pub fn take_news(&mut self) -> Vec<ChannelNews> {
        std::mem::take(&mut self.news)
    }

    fn report(&mut self, news: ChannelNews) {
        if self.news.len() < MAX_NEWS {
            self.news.push(news);
        }
    }

    /// Says the next message of an attempt: KNOCK, or INITIATE, or the same again.
    fn pursue(&mut self, to: SocketAddr, now: Timestamp) {
        let Some(attempt) = self.attempts.get_mut(&to) else { return };
        if attempt.tries >= TRIES_BEFORE_OPEN && self.policy.with(to) == Encryption::Prefer {
            return self.do_without(to);
        }
        if let AttemptState::Initiating { message, .. } = &attempt.state {
            let may_lack_secret = attempt.is_guess && self.swarms.len() > 1;
            if !may_lack_secret || now.since(attempt.began) < SECRET_PATIENCE {
                let message = message.to_vec();
                if self.remembered.contains_key(&to) && attempt.take_impatience(now) {
                    let (is_guess, tries) = (attempt.is_guess, attempt.tries);
                    self.initiate(to, is_guess, now);
                    if let Some(attempt) = self.attempts.get_mut(&to) {
                        attempt.tries += tries;
                    }
                    return;
                }
                self.outbox.push((to, message));
                return attempt.on_said(now);
            }
            attempt.state = AttemptState::Knocking;
            self.remembered.remove(&to);
        }
        if self.remembered.contains_key(&to) {
            return self.initiate(to, true, now);
        }
        // Who does not answer the first secret is asked with all of them.
        let secrets = if attempt.tries == 0 { 1 } else { self.swarms.len() };
        for keys in self.swarms.iter().take(secrets) {
            let knock = knock::knock(keys, attempt.numbers.channel(), attempt.nonce);
            self.outbox.push((to, knock.to_vec()));
        }
        attempt.on_said(now);
    }

    /// Nobody answers handshakes at `to`: what waits is said in the clear.
    fn do_without(&mut self, to: SocketAddr) {
        if let Some(attempt) = self.attempts.remove(&to) {
            self.outbox.extend(attempt.waiting.into_iter().map(|datagram| (to, datagram)));
        }
        self.note_without(to, Without::Unanswered);
        self.tell_of_the_clear(to);
    }

    /// An exchange with who is at `address` goes on. If it is in the clear although sealing is preferred, that is news,
    /// once. It is none before: whoever is not there can be made to seem to speak in the clear.
    pub fn tell_of_the_clear(&mut self, address: SocketAddr) {
        if !self.is_sealed(address)
            && let Some(without) = self.without.get_mut(&address)
            && !std::mem::replace(&mut without.is_told, true)
        {
            self.report(ChannelNews::InTheClear(address));
        }
    }

    /// Remembers that who is at `address` speaks in the clear.
    fn note_without(&mut self, address: SocketAddr, why: Without) {
        if self.without.len() >= MAX_REMEMBERED {
            self.without.pop_first();
        }
        // That nobody answers is known of an address that this endpoint had reason to ask.
        self.without.entry(address).or_insert(InTheClear { why, is_told: false });
    }

    /// Begins the handshake with `to`, whose key is known. `is_guess`: that it has the secret is not.
    fn initiate(&mut self, to: SocketAddr, is_guess: bool, now: Timestamp) {
        let (Some(attempt), Some(remembered)) = (self.attempts.get_mut(&to), self.remembered.get(&to)) else {
            return;
        };
        if attempt.expected.is_some_and(|node| remembered.key.node_id() != node) {
            // Somebody else was there before.
            self.remembered.remove(&to);
            return self.pursue(to, now);
        }
        let keys = self.swarms.keys(remembered.secret);
        self.time = self.time.next(self.epoch, now);
        let mut message = Box::new([0; INITIATE]);
        let header = Header { kind: Kind::Initiate, conversation: attempt.numbers.channel() };
        message[..HEADER_LENGTH].copy_from_slice(&header.encode());
        message[NONCE_AT..NONCE_AT + 8].copy_from_slice(&attempt.nonce.to_le_bytes());
        message[NOISE_AT - COOKIE_LENGTH..NOISE_AT].copy_from_slice(remembered.cookie.as_bytes());
        let terms = Terms {
            numbers: attempt.numbers,
            suite: self.suite,
            token: token(&self.reset_key, attempt.numbers, to),
        };
        let (initiated, taken) = handshake::initiate(
            &self.key,
            remembered.key,
            keys,
            (terms, self.time),
            &attempt.waiting,
            &mut message,
            &mut self.rng,
        );
        let tag = keys.tag(&message[..INITIATE - SWARM_TAG]);
        message[INITIATE - SWARM_TAG..].copy_from_slice(&tag);
        self.outbox.push((to, message.to_vec()));
        attempt.state = AttemptState::Initiating { initiated: Box::new(initiated), message, taken };
        (attempt.is_guess, attempt.secret) = (is_guess, remembered.secret);
        attempt.initiated_at = now;
        attempt.tries = 0;
        attempt.on_said(now);
    }

    fn remember(&mut self, address: SocketAddr, remembered: Remembered) {
        if self.remembered.len() >= MAX_REMEMBERED && !self.remembered.contains_key(&address) {
            self.remembered.pop_first();
        }
        self.remembered.insert(address, remembered);
    }

    /// Whether a datagram of a channel from `from` is one for these channels: it shows that its sender knows a secret of
    /// their swarm, or belongs to a channel that is open here or is being opened. Where several swarms share a socket,
    /// it says which of them a datagram is for.
    #[must_use]
    pub fn concerns(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let from = canonical(from);
        let Ok(Header { kind, conversation }) = Header::decode(datagram) else { return false };
        match kind {
            Kind::Knock | Kind::Initiate => datagram
                .split_last_chunk::<SWARM_TAG>()
                .is_some_and(|(message, tag)| self.swarms.of_tag(message, tag).is_some()),
            Kind::Sealed => {
                let numbers = self.table.numbers_of(conversation);
                self.table.contains(numbers, from)
                    || self.attempts.get(&from).is_some_and(|attempt| attempt.numbers == numbers)
            }
            Kind::Cookie | Kind::Accept => {
                self.attempts.get(&from).is_some_and(|attempt| attempt.numbers.channel() == conversation)
            }
            Kind::Unknown => !self.is_closed() && self.table.of_remote(from, conversation).is_some(),
            _ => false,
        }
    }

    /// Takes in a datagram of a channel ([`Kind::is_channel`]), and opens it where it stands if it is sealed.
    pub fn handle(&mut self, from: SocketAddr, datagram: &mut [u8], now: Timestamp) -> Received {
        let from = canonical(from);
        if self.policy.with(from) == Encryption::Never {
            self.counters.refused += 1;
            return Received::Nothing;
        }
        let Ok(Header { kind, conversation }) = Header::decode(datagram) else {
            self.counters.refused += 1;
            return Received::Nothing;
        };
        let received = match kind {
            Kind::Sealed => return self.on_sealed(from, conversation, datagram, now),
            Kind::Knock => self.on_knock(from, conversation, datagram, now),
            Kind::Cookie => self.on_cookie(from, conversation, datagram, now),
            Kind::Initiate => self.on_initiate(from, conversation, datagram, now),
            Kind::Accept => self.on_accept(from, conversation, datagram, now),
            Kind::Unknown => self.on_unknown(from, conversation, datagram),
            _ => None,
        };
        received.unwrap_or_else(|| {
            self.counters.refused += 1;
            Received::Nothing
        })
    }

    fn on_sealed(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        datagram: &mut [u8],
        now: Timestamp,
    ) -> Received {
        let peer = self.open_sealed((from, conversation), datagram, now, Opener::open);
        let opened = peer.and_then(|peer| Some((frame::unwrap(datagram)?, peer)));
        opened.map_or(Received::Nothing, |(range, peer)| Received::Opened { range, peer })
    }

    /// Opens a sealed datagram from `from` that is expected to be a CHUNK: its payload is written to the end of `room`,
    /// [`OPENED_CHUNK_PREFIX`] bytes from its start, and what stood before it stands there again. `room` has as many
    /// bytes as are sealed in the datagram ([`sealed_length`](crate::sealed_length)). What turns out to be no CHUNK is
    /// opened where it stands. Unless a CHUNK is returned, what is in the payload's room has no meaning.
    pub fn open_chunk(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        room: &mut [u8],
        now: Timestamp,
    ) -> Result<OpenedChunk, Received> {
        let from = canonical(from);
        let fits = crate::sealed_length(datagram).is_some_and(|length| length == room.len());
        let is_sealed = Header::decode(datagram).ok().filter(|header| header.kind == Kind::Sealed);
        let (Some(Header { conversation, .. }), Some(prefix), true) =
            (is_sealed, room.first_chunk::<OPENED_CHUNK_PREFIX>().copied(), fits)
        else {
            return Err(self.handle(from, datagram, now));
        };
        let peer = self.open_sealed((from, conversation), datagram, now, |opener, datagram| {
            opener.open_into(datagram, room)
        });
        let (at, payload) = room.split_at_mut(OPENED_CHUNK_PREFIX);
        let mut opened = prefix;
        at.swap_with_slice(&mut opened);
        let Some(peer) = peer else { return Err(Received::Nothing) };
        if let Some(header) = frame::chunk_header(conversation, &opened) {
            return Ok(OpenedChunk { header, peer });
        }
        frame::put_back(datagram, &opened, payload);
        let range = frame::unwrap(datagram);
        Err(range.map_or(Received::Nothing, |range| Received::Opened { range, peer }))
    }

    /// Opens a datagram over the channel of `conversation` with who is at `from`, by `open`. Returns who said it, if it is
    /// authentic.
    fn open_sealed(
        &mut self,
        (from, conversation): (SocketAddr, Conversation),
        datagram: &mut [u8],
        now: Timestamp,
        open: impl FnOnce(&mut Opener, &mut [u8]) -> Result<(), NotOpened>,
    ) -> Option<NodeId> {
        if self.policy.with(from) == Encryption::Never || !frame::is_long_enough(datagram) {
            self.counters.refused += 1;
            return None;
        }
        self.table.on_time(now);
        let numbers = self.table.numbers_of(conversation);
        let Some(channel) = self.table.get_mut(numbers, from) else {
            self.counters.refused += 1;
            match self.attempts.get_mut(&from).filter(|attempt| attempt.numbers == numbers) {
                // It has overtaken the ACCEPT of its channel, or that was lost and comes again.
                Some(attempt) => attempt.keep_ahead(datagram),
                None => self.say_unknown(from, conversation),
            }
            return None;
        };
        match open(&mut channel.opener, datagram) {
            Ok(()) => {}
            Err(NotOpened::Replayed) => {
                self.counters.replayed += 1;
                return None;
            }
            Err(NotOpened::Forged) => {
                self.counters.forged += 1;
                return None;
            }
        }
        channel.unconfirmed = None;
        channel.unanswered_since = None;
        let peer = channel.node;
        self.table.touch(numbers, now);
        Some(peer)
    }

    /// Tells who uses a channel that is not known here, with the token that only this endpoint and the channel's other
    /// side know. It is shorter than what it answers.
    ///
    /// Who asks may be anybody, so that nobody is told in a closed swarm. There the other side notices by the silence
    /// ([`MAX_SILENCE`]).
    fn say_unknown(&mut self, to: SocketAddr, conversation: Conversation) {
        if self.swarms.is_closed() {
            return;
        }
        let mut unknown = [0; UNKNOWN];
        unknown[..HEADER_LENGTH].copy_from_slice(&Header { kind: Kind::Unknown, conversation }.encode());
        let token = token(&self.reset_key, self.table.numbers_of(conversation), to);
        unknown[HEADER_LENGTH..].copy_from_slice(&token);
        self.outbox.push((to, unknown.to_vec()));
    }

    fn on_unknown(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        datagram: &[u8],
    ) -> Option<Received> {
        if self.swarms.is_closed() {
            // No member says that. Who serves the open swarm with the same key beside may be made to.
            return None;
        }
        let token: &ResetToken = datagram.get(HEADER_LENGTH..)?.try_into().ok()?;
        let (number, channel) = self.table.of_remote(from, conversation)?;
        if !is_equal(&channel.token, token) {
            return None;
        }
        self.table.remove(number);
        self.remembered.remove(&from);
        Some(Received::Nothing)
    }

    fn on_knock(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<Received> {
        let knock: &[u8; KNOCK] = datagram.try_into().ok()?;
        let (message, tag) = knock.split_last_chunk::<SWARM_TAG>()?;
        let secret = self.swarms.of_tag(message, tag)?;
        if message[NONCE_END..].iter().any(|&byte| byte != 0) {
            return None;
        }
        self.say_cookie(from, (conversation, knock::nonce(knock)), secret, now);
        Some(Received::Nothing)
    }

    /// Answers who has shown that it knows `secret`, under the same.
    fn say_cookie(&mut self, to: SocketAddr, asked: (Conversation, u64), secret: SecretId, now: Timestamp) {
        // A tracker is greeted by whoever has its address, a node by those who know its id.
        let node = (self.role == Role::Node).then_some(self.node);
        let cookie = self.cookies.bake(to, now);
        let answer = knock::cookie(self.swarms.keys(secret), (node, self.key.public()), asked, cookie);
        self.outbox.push((to, answer.to_vec()));
    }

    fn on_cookie(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<Received> {
        let datagram: &[u8; KNOCK] = datagram.try_into().ok()?;
        let attempt = self.attempts.get_mut(&from)?;
        if knock::nonce(datagram) != attempt.nonce || conversation != attempt.numbers.channel() {
            return None;
        }
        // Whether it comes from a node with the expected id, or from a tracker.
        let readings = [attempt.expected, None];
        let readings = if attempt.expected.is_some() { &readings[..] } else { &readings[..1] };
        let (cookie, key, secret) = self.swarms.read_cookie(readings, datagram)?;
        let is_expected = attempt.expected.is_none_or(|node| key.node_id() == node);
        if !is_expected || !is_admitted(&self.members, &self.expected, self.role, key.node_id(), Some(from)) {
            return None;
        }
        // Each answer is one to the last message: what comes again with the same cookie is old.
        if matches!(attempt.state, AttemptState::Initiating { .. })
            && self.remembered.get(&from).is_some_and(|known| known.cookie == cookie)
        {
            return None;
        }
        let took = now.since(attempt.began);
        self.remember(from, Remembered { cookie, key, secret });
        self.initiate(from, false, now);
        if took >= LONG_RTT
            && let Some((_, message)) = self.outbox.last().cloned()
        {
            self.outbox.push((from, message));
        }
        Some(Received::Answered)
    }

    fn on_initiate(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<Received> {
        let initiate: &[u8; INITIATE] = datagram.try_into().ok()?;
        let (message, tag) = initiate.split_last_chunk::<SWARM_TAG>()?;
        let secret = self.swarms.of_tag(message, tag)?;
        let cookie = Cookie::from_bytes(*initiate[NOISE_AT - COOKIE_LENGTH..].first_chunk()?);
        if !self.cookies.accepts(cookie, from, now) {
            let nonce = u64::from_le_bytes(*initiate[NONCE_AT..].first_chunk()?);
            self.say_cookie(from, (conversation, nonce), secret, now);
            return Some(Received::Nothing);
        }
        let ephemeral: &[u8; 32] = initiate[NOISE_AT..].first_chunk()?;
        if let Some(unconfirmed) = self.table.unconfirmed(from, ephemeral) {
            // The answer was lost, or is on its way, and so it may be with the answers to what came with it.
            self.outbox.push((from, unconfirmed.accept.to_vec()));
            let (early, peer) = (unconfirmed.early.clone(), unconfirmed.peer);
            return Some(Received::Greeted { early, peer });
        }
        if !self.budget.take(Host::of(from), now) {
            self.counters.over_budget += 1;
            return Some(Received::Nothing);
        }
        let attempts = &self.attempts;
        let is_taken = |numbers: Numbers| attempts.values().any(|attempt| attempt.numbers == numbers);
        let numbers = self.table.free_numbers(is_taken, &mut self.rng);
        let terms = Terms { numbers, suite: self.suite, token: token(&self.reset_key, numbers, from) };
        let mut accept = [0; ACCEPT];
        accept[..HEADER_LENGTH].copy_from_slice(&Header { kind: Kind::Accept, conversation }.encode());
        let (offer, suite) = handshake::respond(
            &self.key,
            self.swarms.keys(secret),
            terms,
            initiate,
            &mut accept,
            &mut self.rng,
        )?;
        let peer = offer.agreed.peer;
        let node = peer.node_id();
        if peer == self.key.public() || !self.times.is_later(node, offer.time, now) {
            return None;
        }
        // Who has been let go learns no more than who guesses: nothing comes back.
        if !self.admits(node, None) {
            return None;
        }
        self.outbox.push((from, accept.to_vec()));
        let early = offer.early.clone();
        let unconfirmed = Box::new(Unconfirmed { ephemeral: *ephemeral, accept, peer: node, early });
        self.open(from, numbers, offer.agreed, (suite, secret), Some(unconfirmed), now);
        self.times.record(node, offer.time, now);
        Some(Received::Greeted { early: offer.early, peer: node })
    }

    fn on_accept(
        &mut self,
        from: SocketAddr,
        conversation: Conversation,
        datagram: &[u8],
        now: Timestamp,
    ) -> Option<Received> {
        let attempt = self.attempts.get(&from)?;
        let is_its = datagram.len() == ACCEPT
            && conversation == attempt.numbers.channel()
            && matches!(attempt.state, AttemptState::Initiating { .. });
        let mut attempt = is_its.then(|| self.attempts.remove(&from)).flatten()?;
        let AttemptState::Initiating { initiated, message, taken } = attempt.state else {
            unreachable!("the attempt was looked at above")
        };
        let agreed = match initiated.finish(datagram) {
            Ok(agreed) => agreed,
            Err(initiated) => {
                // Forged: the real answer may still come.
                if let Some(initiated) = initiated {
                    let state = AttemptState::Initiating { initiated, message, taken };
                    self.attempts.insert(from, Attempt { state, ..attempt });
                }
                return None;
            }
        };
        let suite = agreed.remote.suite;
        self.open(from, attempt.numbers, agreed, (suite, attempt.secret), None, now);
        if let Some(channel) = self.table.get_mut(attempt.numbers, from) {
            channel.rtt = attempt.said_at.filter(|_| attempt.tries == 1).map(|at| now.since(at));
        }
        // What came with the handshake was heard.
        attempt.waiting.drain(..taken);
        for datagram in attempt.waiting {
            let mut sealed = Vec::new();
            self.seal(from, &datagram, now, &mut sealed);
            self.outbox.push((from, sealed));
        }
        let (mut early, mut peer) = (Vec::new(), None);
        for mut frame in attempt.ahead {
            if let Received::Opened { range, peer: of_frame } =
                self.on_sealed(from, conversation, &mut frame, now)
            {
                early.push(frame[range].to_vec());
                peer = Some(of_frame);
            }
        }
        Some(peer.map_or(Received::Nothing, |peer| Received::Greeted { early, peer }))
    }

    fn open(
        &mut self,
        address: SocketAddr,
        numbers: Numbers,
        agreed: Agreed,
        (suite, secret): (Suite, SecretId),
        unconfirmed: Option<Box<Unconfirmed>>,
        now: Timestamp,
    ) {
        let Agreed { peer, remote, outgoing, incoming } = agreed;
        let halves = (Sealer::new(suite, outgoing, remote.numbers), Opener::new(suite, incoming));
        let channel = Channel::new(address, peer, suite, halves, (remote.token, secret), unconfirmed, now);
        self.counters.opened += 1;
        self.without.remove(&address);
        self.let_go.remove(&address);
        self.report(ChannelNews::Opened(PeerChannel::of(&channel)));
        self.table.insert(numbers, channel);
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels")
            .field("node", &self.node)
            .field("open", &self.len())
            .field("attempts", &self.attempts.len())
            .finish_non_exhaustive()
    }
}

/// Whether a channel may be open with `node`, at an address where this side began it, or begun by the other side. What a
/// node begins where it expects no node is with a tracker.
fn is_admitted(
    members: &Members,
    expected: &BTreeMap<SocketAddr, Expected>,
    role: Role,
    node: NodeId,
    begun_at: Option<SocketAddr>,
) -> bool {
    let is_tracker = role == Role::Node
        && begun_at.is_some_and(|at| expected.get(&at).is_none_or(|expected| expected.is_tracker));
    if is_tracker { !members.denies(node) } else { members.contains(node) }
}

fn conversation_of(datagram: &[u8]) -> Conversation {
    match datagram.get(4..HEADER_LENGTH) {
        Some(&[c0, c1, c2, c3]) => Conversation(u32::from_le_bytes([c0, c1, c2, c3])),
        _ => unreachable!("what is sent has a header"),
    }
}

/// By which the endpoint with this key says to the host of `peer` that it has forgotten the channel with these numbers
/// (RFC 9000 §10.3.2). Another host that asks with the same number gets another token, which tells it nothing.
fn token(reset_key: &[u8; 32], numbers: Numbers, peer: SocketAddr) -> ResetToken {
    let mut hasher = blake3::Hasher::new_keyed(reset_key);
    hasher.update(&numbers.channel().0.to_le_bytes());
    match Host::ip(peer.ip()) {
        IpAddr::V4(ip) => hasher.update(&ip.octets()),
        IpAddr::V6(ip) => hasher.update(&ip.octets()),
    };
    let mut token = [0; 16];
    hasher.finalize_xof().fill(&mut token);
    token
}

#[cfg(test)]
mod tests;
