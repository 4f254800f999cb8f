//! The desk: by whom a code's number is held, and who talks with whom about it.
//!
//! It passes on what receivers and senders say to each other and never hears the words of a code. It speaks over channels
//! of its own ([`SwarmSecret::codes`](channel::SwarmSecret::codes)), so that every address is proven and a sender is
//! known by its key; it keeps nothing that outlives a lease.

mod exchanges;
mod numbers;

#[cfg(test)]
mod scenarios;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use channel::{Channels, Received};
use messages::codes::{Answer, Call, CodeNumber, Offer, Offered, Uncalled, UncalledReason, Withdraw};
use messages::{CodeMessage, Conversation, Datagram, Endpoint, Host, NodeId, Timestamp, canonical};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::codes::exchanges::{Exchange, Exchanges};
use crate::codes::numbers::{Holder, Numbers};
use crate::event::Event;
use crate::output::{Output, Wait, WaitReason};
use crate::rate_limit::Buckets;
use crate::request::millis_up;

/// For how long a number is a sender's unless it says OFFER again.
pub(crate) const LEASE: Duration = Duration::from_secs(45);
/// Requests a second of one host in the long run, and at once: of a whole room behind one address, which calls at the
/// same time. Programs of this machine are exempt.
const REQUESTS_PER_SECOND: u32 = 100;
const REQUESTS_AT_ONCE: u32 = 1000;
/// The same for what only few have reason to ask: a new number, or one that nobody has. So nobody finds all codes that
/// there are by counting, nor uses up all numbers.
const RARE_PER_SECOND: u32 = 1;
const RARE_AT_ONCE: u32 = 20;
/// For how many hosts that is counted.
const TRACKED_HOSTS: usize = 16_384;
/// Who calls a code with too many exchanges may come again after this long.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeskCounters {
    /// Numbers that were given out.
    pub offered: u64,
    /// CALLs that were passed on.
    pub calls: u64,
    /// ANSWERs that were passed on.
    pub answers: u64,
    /// Requests that were answered with UNCALLED.
    pub uncalled: u64,
    /// Datagrams that say nothing to a desk, or come from whom they must not come from.
    pub refused: u64,
}

/// Who has which code's number, and the exchanges with them: one input, then drain.
#[derive(Debug)]
pub struct CodeDesk {
    channels: Channels,
    numbers: Numbers,
    exchanges: Exchanges,
    requests: Buckets,
    /// For a new number, or one that nobody has.
    rare: Buckets,
    chance: StdRng,
    counters: DeskCounters,
    out: Output,
    /// The latest instant that was handed in.
    clock: Timestamp,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    address: SocketAddr,
    reached_at: Option<IpAddr>,
    conversation: Conversation,
    peer: NodeId,
}

impl CodeDesk {
    /// A desk without codes, which speaks over `channels`. All chance comes from `seed`; time begins at `now`.
    #[must_use]
    pub fn new(channels: Channels, seed: u64, now: Timestamp) -> CodeDesk {
        CodeDesk {
            channels,
            numbers: Numbers::default(),
            exchanges: Exchanges::default(),
            requests: Buckets::new(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE, TRACKED_HOSTS),
            rare: Buckets::new(RARE_PER_SECOND, RARE_AT_ONCE, TRACKED_HOSTS),
            chance: StdRng::seed_from_u64(seed),
            counters: DeskCounters::default(),
            out: Output::default(),
            clock: now,
        }
    }

    /// How many channels a desk keeps at most, in all and with one host: as many as there can be senders and callers.
    pub const MAX_CHANNELS: usize = numbers::MAX_CODES + exchanges::MAX_EXCHANGES;
    /// See [`CodeDesk::MAX_CHANNELS`].
    pub const MAX_CHANNELS_PER_HOST: usize = numbers::MAX_CODES_PER_HOST + exchanges::MAX_EXCHANGES_PER_HOST;

    /// Whether a datagram of a channel from `from` is for the desk.
    #[must_use]
    pub fn concerns(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        self.channels.concerns(from, datagram)
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> &DeskCounters {
        &self.counters
    }

    /// How many codes there are.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.numbers.len()
    }

    /// Takes one datagram of a channel that came from `from` and arrived at the local address `reached_at`, if that is
    /// known. It is opened where it stands.
    pub fn handle_sealed(
        &mut self,
        from: SocketAddr,
        reached_at: Option<IpAddr>,
        datagram: &mut [u8],
        now: Timestamp,
    ) {
        let now = self.advance(now);
        if !Endpoint::new(from).is_reachable() {
            self.counters.refused += 1;
            return;
        }
        let address = canonical(from);
        let received = self.channels.handle(address, datagram, now);
        // An ACCEPT goes before what is said over its channel.
        for (to, bytes) in self.channels.take_outbox() {
            self.out.send_bytes(to, reached_at, &bytes);
        }
        drop(self.channels.take_news());
        match received {
            Received::Opened { range, peer } => {
                let plain = &datagram[range];
                self.handle_plain((address, reached_at, peer), plain, now);
            }
            Received::Greeted { early, peer } => {
                early.iter().for_each(|plain| self.handle_plain((address, reached_at, peer), plain, now));
            }
            Received::Answered | Received::Nothing => {}
        }
    }

    fn handle_plain(
        &mut self,
        (address, reached_at, peer): (SocketAddr, Option<IpAddr>, NodeId),
        datagram: &[u8],
        now: Timestamp,
    ) {
        let Ok(Datagram::Code(conversation, message)) = Datagram::decode(datagram) else {
            self.counters.refused += 1;
            return;
        };
        let origin = Origin { address, reached_at, conversation, peer };
        match message {
            CodeMessage::Offer(offer) => self.on_offer(origin, offer, now),
            CodeMessage::Withdraw(withdraw) => self.on_withdraw(origin, withdraw, now),
            CodeMessage::Call(call) => self.on_call(origin, call, now),
            CodeMessage::Answer(answer) => self.on_answer(origin, answer, now),
            CodeMessage::Offered(_) | CodeMessage::Uncalled(_) => self.counters.refused += 1,
        }
    }

    fn on_offer(&mut self, origin: Origin, Offer { number }: Offer, now: Timestamp) {
        if let Err(wait) = self.requests.admit(origin.address.ip(), now) {
            return self.uncall(origin, UncalledReason::TooFast, wait, now);
        }
        let holder = Holder {
            sender: origin.peer,
            address: origin.address,
            reached_at: origin.reached_at,
            conversation: origin.conversation,
        };
        if let Some(number) = self.numbers.renew(number, holder, now + LEASE) {
            return self.say_offered(origin, number, now);
        }
        if let Err(wait) = self.rare.admit(origin.address.ip(), now) {
            return self.uncall(origin, UncalledReason::TooFast, wait, now);
        }
        match self.numbers.give(number, holder, now + LEASE, &mut self.chance) {
            Ok(number) => {
                self.counters.offered += 1;
                self.out.events.push(Event::CodeOffered { number, address: origin.address });
                self.say_offered(origin, number, now);
            }
            Err(reason) => {
                let wait = if reason == UncalledReason::Full { FULL_RETRY } else { Duration::ZERO };
                self.uncall(origin, reason, wait, now);
            }
        }
    }

    fn say_offered(&mut self, origin: Origin, number: CodeNumber, now: Timestamp) {
        let offered = Offered { number, lease_ms: millis_up(LEASE) };
        self.reply(origin, &offered.into(), now);
    }

    fn on_withdraw(&mut self, origin: Origin, Withdraw { number }: Withdraw, now: Timestamp) {
        if self.numbers.withdraw(number, origin.peer, now) {
            self.exchanges.end_all(number);
            self.out.events.push(Event::CodeEnded { number });
        } else {
            self.counters.refused += 1;
        }
    }

    fn on_call(&mut self, origin: Origin, call: Call, now: Timestamp) {
        if let Err(wait) = self.requests.admit(origin.address.ip(), now) {
            return self.uncall(origin, UncalledReason::TooFast, wait, now);
        }
        let holder = match self.numbers.holder(call.number, now) {
            Ok(holder) => holder,
            Err(reason) => {
                let (reason, wait) = match self.rare.admit(origin.address.ip(), now) {
                    Ok(()) => (reason, Duration::ZERO),
                    Err(wait) => (UncalledReason::TooFast, wait),
                };
                return self.uncall(origin, reason, wait, now);
            }
        };
        let exchange = Exchange {
            number: call.number,
            caller: origin.peer,
            address: origin.address,
            reached_at: origin.reached_at,
            conversation: origin.conversation,
        };
        if !self.exchanges.is_of(call.exchange, &exchange) {
            // Somebody else's: nobody is told.
            self.counters.refused += 1;
            return;
        }
        if !self.exchanges.keep(call.exchange, exchange, Host::of(origin.address), now) {
            return self.uncall(origin, UncalledReason::Full, FULL_RETRY, now);
        }
        let to = (holder.address, holder.reached_at, holder.sender);
        if self.send(to, holder.conversation, &call.into(), now) {
            self.counters.calls += 1;
        }
    }

    fn on_answer(&mut self, origin: Origin, answer: Answer, now: Timestamp) {
        let number = self.numbers.of_sender(origin.peer);
        let exchange = number.and_then(|number| self.exchanges.take_answer(answer.exchange, number));
        let Some(exchange) = exchange else {
            self.counters.refused += 1;
            return;
        };
        let to = (exchange.address, exchange.reached_at, exchange.caller);
        if self.send(to, exchange.conversation, &answer.into(), now) {
            self.counters.answers += 1;
        }
    }

    fn uncall(&mut self, origin: Origin, reason: UncalledReason, retry_after: Duration, now: Timestamp) {
        self.counters.uncalled += 1;
        let uncalled = Uncalled { reason, retry_after_ms: millis_up(retry_after) };
        self.reply(origin, &uncalled.into(), now);
    }

    fn reply(&mut self, origin: Origin, message: &CodeMessage, now: Timestamp) {
        let to = (origin.address, origin.reached_at, origin.peer);
        self.send(to, origin.conversation, message, now);
    }

    /// Says something to who is known at an address, over its channel. Whose channel is forgotten is told nothing.
    fn send(
        &mut self,
        (address, reached_at, peer): (SocketAddr, Option<IpAddr>, NodeId),
        conversation: Conversation,
        message: &CodeMessage,
        now: Timestamp,
    ) -> bool {
        if self.channels.peer(address) != Some(peer) {
            return false;
        }
        let (mut plain, mut sealed) = (Vec::new(), Vec::new());
        message.encode(conversation, &mut plain);
        let leaves = self.channels.seal(address, &plain, now, &mut sealed);
        for (to, bytes) in self.channels.take_outbox() {
            self.out.send_bytes(to, reached_at, &bytes);
        }
        if leaves {
            self.out.send_bytes(address, reached_at, &sealed);
        }
        leaves
    }

    /// Does what is due at `now` and moves all datagrams and events to the end of `out`. Nothing more is due before the
    /// instant that is returned.
    pub fn poll(&mut self, now: Timestamp, out: &mut Output) -> Wait {
        let now = self.advance(now);
        self.exchanges.end_due(now);
        while let Some(number) = self.numbers.end_due(now) {
            self.exchanges.end_all(number);
            self.out.events.push(Event::CodeEnded { number });
        }
        self.out.drain_into(out);
        let next = self.numbers.next_end().into_iter().chain(self.exchanges.next_end()).min();
        next.map_or(Wait { until: Timestamp::NEVER, reason: WaitReason::Nothing }, |until| Wait {
            until,
            reason: WaitReason::LeaseEnds,
        })
    }

    /// Lets time pass; it never runs backwards here.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        self.clock
    }
}
