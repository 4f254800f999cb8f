//! The channels that are open, by this side's numbers and by the other side's address. As many as a setting allows, in
//! all and of one host: the one that was used the longest time ago makes way, of the host that has its share or of all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use messages::{Conversation, Host, NodeId, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::aead::Suite;
use crate::direction::{Opener, Sealer};
use crate::frame::Numbers;
use crate::handshake::{ACCEPT, ResetToken};
use crate::identity::PublicKey;
use crate::swarms::SecretId;

/// Channels with one address: the newest, and those before it whose datagrams may still be on their way.
const MAX_AT_ADDRESS: usize = 4;
/// Channels whose keys are kept ready. Ready keys take a kilobyte or two a channel, and are derived again in microseconds.
const MAX_READY: usize = 4096;
/// The keys of a channel that is not used for so long are not kept ready.
const READY_FOR: Duration = Duration::from_secs(10);
/// How often channels are looked through for such ones.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// One open channel.
pub(crate) struct Channel {
    pub(crate) address: SocketAddr,
    pub(crate) peer: PublicKey,
    pub(crate) node: NodeId,
    pub(crate) suite: Suite,
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    /// By which the other side says that it has forgotten the channel.
    pub(crate) token: ResetToken,
    /// Which secret of the swarm opened it.
    pub(crate) secret: SecretId,
    /// Whether this side began it.
    pub(crate) began_here: bool,
    /// Of a channel that the other side has begun and not used yet: its handshake, and the answer to say again.
    pub(crate) unconfirmed: Option<Box<Unconfirmed>>,
    /// How long the handshake took, if this side began it.
    pub(crate) rtt: Option<Duration>,
    /// Since when something was said over the channel and nothing was heard.
    pub(crate) unanswered_since: Option<Timestamp>,
    used_at: Timestamp,
    /// When either side used it last.
    active_at: Timestamp,
    /// Whether its keys may be derived: whoever uses it says so before.
    is_ready: bool,
}

/// What a responder keeps until the initiator has shown that it has the keys.
pub(crate) struct Unconfirmed {
    /// The ephemeral key of the INITIATE, by which its repetitions are known.
    pub(crate) ephemeral: [u8; 32],
    pub(crate) accept: [u8; ACCEPT],
    /// Who said it, and the datagrams that came with it.
    pub(crate) peer: NodeId,
    pub(crate) early: Vec<Vec<u8>>,
}

impl Channel {
    pub(crate) fn new(
        address: SocketAddr,
        peer: PublicKey,
        suite: Suite,
        halves: (Sealer, Opener),
        (token, secret): (ResetToken, SecretId),
        unconfirmed: Option<Box<Unconfirmed>>,
        now: Timestamp,
    ) -> Channel {
        let (sealer, opener) = halves;
        let node = peer.node_id();
        Channel {
            address,
            peer,
            node,
            suite,
            sealer,
            opener,
            token,
            secret,
            began_here: unconfirmed.is_none(),
            unconfirmed,
            rtt: None,
            unanswered_since: None,
            used_at: now,
            active_at: now,
            is_ready: false,
        }
    }

    fn sleep(&mut self) {
        self.sealer.sleep();
        self.opener.sleep();
        self.is_ready = false;
    }
}

/// The numbers of the channels with one address, the newest first.
#[derive(Default)]
struct AtAddress {
    numbers: [u32; MAX_AT_ADDRESS],
    count: usize,
}

impl AtAddress {
    fn numbers(&self) -> &[u32] {
        &self.numbers[..self.count]
    }

    fn is_full(&self) -> bool {
        self.count == MAX_AT_ADDRESS
    }

    /// Adds the newest, for which there is room.
    fn insert(&mut self, number: u32) {
        debug_assert!(!self.is_full(), "another made way before");
        self.numbers.rotate_right(1);
        self.numbers[0] = number;
        self.count += 1;
    }

    fn remove(&mut self, number: u32) {
        if let Some(at) = self.numbers().iter().position(|&other| other == number) {
            self.numbers[at..self.count].rotate_left(1);
            self.count -= 1;
        }
    }
}

/// All open channels.
pub(crate) struct Table {
    max: usize,
    max_of_host: usize,
    free_bits: u8,
    /// By the first of this side's numbers.
    by_number: BTreeMap<u32, Box<Channel>>,
    by_address: BTreeMap<SocketAddr, AtAddress>,
    by_use: BTreeSet<(Timestamp, u32)>,
    /// The same for each host, but those at loopback, which have no share.
    by_host: BTreeSet<(Host, Timestamp, u32)>,
    /// How many channels each host has that has any.
    of_host: BTreeMap<Host, usize>,
    /// The channels whose keys may be derived, in the order in which they became so. Some may be gone.
    ready: VecDeque<u32>,
    sweep_at: Timestamp,
    now: Timestamp,
}

impl Table {
    /// No channel yet; at most `max` in all, and `max_of_host` of one host.
    pub(crate) fn new(max: usize, max_of_host: usize, free_bits: u8) -> Table {
        Table {
            max: max.max(1),
            max_of_host: max_of_host.max(1),
            free_bits,
            by_number: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_use: BTreeSet::new(),
            by_host: BTreeSet::new(),
            of_host: BTreeMap::new(),
            ready: VecDeque::new(),
            sweep_at: Timestamp::ZERO,
            now: Timestamp::ZERO,
        }
    }

    /// Numbers that no channel has. `is_taken` says which belong to channels that are not open yet.
    pub(crate) fn free_numbers(&self, is_taken: impl Fn(Numbers) -> bool, rng: &mut StdRng) -> Numbers {
        loop {
            let numbers = Numbers::new(rng.random(), self.free_bits)
                .unwrap_or_else(|| unreachable!("the constructor's caller gives a valid number of bits"));
            if !self.by_number.contains_key(&numbers.channel().0) && !is_taken(numbers) {
                return numbers;
            }
        }
    }

    /// Which numbers a conversation belongs to.
    pub(crate) fn numbers_of(&self, conversation: Conversation) -> Numbers {
        Numbers::new(conversation.0, self.free_bits)
            .unwrap_or_else(|| unreachable!("the constructor's caller gives a valid number of bits"))
    }

    pub(crate) fn insert(&mut self, numbers: Numbers, channel: Channel) {
        let (number, used_at, address) = (numbers.channel().0, channel.used_at, channel.address);
        let host = Host::of(address);
        if self.of_host.get(&host).is_some_and(|&count| count >= self.max_of_host)
            && let Some(&(_, _, oldest)) =
                self.by_host.range((host, Timestamp::ZERO, 0)..=(host, Timestamp::NEVER, u32::MAX)).next()
        {
            self.remove(oldest);
        }
        if let Some(oldest) = self.surplus_at(address) {
            self.remove(oldest);
        }
        if self.by_number.len() >= self.max
            && let Some(&(_, oldest)) = self.by_use.first()
        {
            self.remove(oldest);
        }
        self.by_use.insert((used_at, number));
        if !host.is_loopback() {
            self.by_host.insert((host, used_at, number));
            *self.of_host.entry(host).or_default() += 1;
        }
        self.by_number.insert(number, Box::new(channel));
        self.by_address.entry(address).or_default().insert(number);
    }

    /// The channel that has to make way for another with `address`: the oldest that the other side began, else the
    /// oldest.
    fn surplus_at(&self, address: SocketAddr) -> Option<u32> {
        let numbers = self.by_address.get(&address).filter(|at_address| at_address.is_full())?.numbers();
        let is_theirs = |number: &&u32| !self.by_number.get(number).is_some_and(|channel| channel.began_here);
        numbers.iter().rev().find(is_theirs).or(numbers.last()).copied()
    }

    pub(crate) fn remove(&mut self, number: u32) {
        let Some(channel) = self.by_number.remove(&number) else { return };
        self.by_use.remove(&(channel.used_at, number));
        let host = Host::of(channel.address);
        self.by_host.remove(&(host, channel.used_at, number));
        if let Some(count) = self.of_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.of_host.remove(&host);
            }
        }
        if let Some(at_address) = self.by_address.get_mut(&channel.address) {
            at_address.remove(number);
            if at_address.count == 0 {
                self.by_address.remove(&channel.address);
            }
        }
    }

    /// It is `now`: keys of channels that are not in use are forgotten, every so often.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        self.now = now;
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SWEEP_EVERY;
        let by_number = &mut self.by_number;
        self.ready.retain(|number| match by_number.get_mut(number) {
            Some(channel) if now.since(channel.active_at) > READY_FOR => {
                channel.sleep();
                false
            }
            Some(channel) => channel.is_ready,
            None => false,
        });
    }

    /// The channel with this number, to seal or open with it: its keys may be derived from now on, and those of the
    /// channel that has had its keys for the longest time are forgotten if there are many.
    fn ready(&mut self, number: u32) -> Option<&mut Channel> {
        if self.ready.len() >= MAX_READY
            && let Some(first) = self.ready.pop_front()
            && let Some(channel) = self.by_number.get_mut(&first)
        {
            channel.sleep();
        }
        let channel = self.by_number.get_mut(&number)?;
        channel.active_at = self.now;
        if !std::mem::replace(&mut channel.is_ready, true) {
            self.ready.push_back(number);
        }
        Some(channel)
    }

    /// Whether the channel with these numbers is one with `address`.
    pub(crate) fn contains(&self, numbers: Numbers, address: SocketAddr) -> bool {
        self.by_number.get(&numbers.channel().0).is_some_and(|channel| channel.address == address)
    }

    pub(crate) fn get_mut(&mut self, numbers: Numbers, address: SocketAddr) -> Option<&mut Channel> {
        let number = numbers.channel().0;
        self.by_number.get(&number).filter(|channel| channel.address == address)?;
        self.ready(number)
    }

    /// The newest channel with `address` that this side began, else the newest, and this side's numbers of it.
    pub(crate) fn newest(&self, address: SocketAddr) -> Option<(Numbers, &Channel)> {
        let number = self.preferred(self.by_address.get(&address)?.numbers())?;
        Some((self.numbers_of(Conversation(number)), self.by_number.get(&number)?))
    }

    /// The channel with `address` to which `conversation` belongs at the other side; the newest if it belongs to none.
    pub(crate) fn for_conversation(
        &mut self,
        address: SocketAddr,
        conversation: Conversation,
    ) -> Option<&mut Channel> {
        let at_address = self.by_address.get(&address)?.numbers();
        let is_its = |number: &&u32| {
            self.by_number.get(number).is_some_and(|channel| channel.sealer.may_carry(conversation))
        };
        let number = at_address.iter().find(is_its).copied().or_else(|| self.preferred(at_address))?;
        self.ready(number)
    }

    /// Of the channels with an address, the newest first, the newest that this side began, else the newest. Whoever can
    /// send from another's address can begin one there under a key of its own; that one gets nothing meant for the other.
    fn preferred(&self, at_address: &[u32]) -> Option<u32> {
        let is_ours = |number: &&u32| self.by_number.get(number).is_some_and(|channel| channel.began_here);
        at_address.iter().find(is_ours).or(at_address.first()).copied()
    }

    /// The channel with `address` whose number at the other side is `number`, as this side's first number.
    pub(crate) fn of_remote(&self, address: SocketAddr, number: Conversation) -> Option<(u32, &Channel)> {
        let of_number =
            |&&ours: &&u32| self.by_number.get(&ours).is_some_and(|channel| channel.sealer.may_carry(number));
        let ours = *self.by_address.get(&address)?.numbers().iter().find(of_number)?;
        Some((ours, self.by_number.get(&ours)?))
    }

    /// The channel with `address` whose INITIATE had this ephemeral key, while it is not confirmed.
    pub(crate) fn unconfirmed(&self, address: SocketAddr, ephemeral: &[u8]) -> Option<&Unconfirmed> {
        let at_address = self.by_address.get(&address)?.numbers();
        let unconfirmed = |number| self.by_number.get(number)?.unconfirmed.as_deref();
        at_address.iter().filter_map(unconfirmed).find(|unconfirmed| unconfirmed.ephemeral == *ephemeral)
    }

    /// Records that a channel is used now. To the second, so that it costs little.
    pub(crate) fn touch(&mut self, numbers: Numbers, now: Timestamp) {
        let number = numbers.channel().0;
        if let Some(channel) = self.by_number.get_mut(&number)
            && now.since(channel.used_at).as_secs() >= 1
        {
            let host = Host::of(channel.address);
            self.by_use.remove(&(channel.used_at, number));
            self.by_use.insert((now, number));
            if self.by_host.remove(&(host, channel.used_at, number)) {
                self.by_host.insert((host, now, number));
            }
            channel.used_at = now;
        }
    }

    /// Forgets the channels that `stays` does not name.
    pub(crate) fn retain(&mut self, stays: impl Fn(&Channel) -> bool) {
        let gone = self.by_number.iter().filter(|(_, channel)| !stays(channel));
        let gone: Vec<u32> = gone.map(|(&number, _)| number).collect();
        gone.into_iter().for_each(|number| self.remove(number));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.by_number.values().map(|channel| &**channel)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }
}

#[cfg(test)]
mod tests;
