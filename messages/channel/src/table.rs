//! The channels that are open, by this side's numbers and by the other side's address. As many as a setting allows, in
//! all and of one host: the one that was used the longest time ago makes way, of the host that has its share or of all.

use std::collections::{BTreeMap, BTreeSet};
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

/// Channels with one address: the newest, and those before it whose datagrams may still be on their way.
const MAX_AT_ADDRESS: usize = 4;

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
    /// Of a channel that the other side has begun and not used yet: its handshake, and the answer to say again.
    pub(crate) unconfirmed: Option<Unconfirmed>,
    /// How long the handshake took, if this side began it.
    pub(crate) rtt: Option<Duration>,
    /// Since when something was said over the channel and nothing was heard.
    pub(crate) unanswered_since: Option<Timestamp>,
    used_at: Timestamp,
}

/// What a responder keeps until the initiator has shown that it has the keys.
pub(crate) struct Unconfirmed {
    /// The ephemeral key of the INITIATE, by which its repetitions are known.
    pub(crate) ephemeral: [u8; 32],
    pub(crate) accept: Box<[u8; ACCEPT]>,
    /// Who said it, and the datagrams that came with it.
    pub(crate) peer: PublicKey,
    pub(crate) early: Vec<Vec<u8>>,
}

impl Channel {
    pub(crate) fn new(
        address: SocketAddr,
        peer: PublicKey,
        suite: Suite,
        halves: (Sealer, Opener),
        token: ResetToken,
        unconfirmed: Option<Unconfirmed>,
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
            unconfirmed,
            rtt: None,
            unanswered_since: None,
            used_at: now,
        }
    }
}

/// All open channels.
pub(crate) struct Table {
    max: usize,
    max_of_host: usize,
    free_bits: u8,
    /// By the first of this side's numbers.
    by_number: BTreeMap<u32, Channel>,
    /// The numbers of the channels with an address, the newest first.
    by_address: BTreeMap<SocketAddr, Vec<u32>>,
    by_use: BTreeSet<(Timestamp, u32)>,
    /// The same for each host, but those at loopback, which have no share.
    by_host: BTreeSet<(Host, Timestamp, u32)>,
    /// How many channels each host has that has any.
    of_host: BTreeMap<Host, usize>,
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
        self.by_number.insert(number, channel);
        let at_address = self.by_address.entry(address).or_default();
        at_address.insert(0, number);
        if at_address.len() > MAX_AT_ADDRESS
            && let Some(oldest) = at_address.last().copied()
        {
            self.remove(oldest);
        }
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
            at_address.retain(|&other| other != number);
            if at_address.is_empty() {
                self.by_address.remove(&channel.address);
            }
        }
    }

    pub(crate) fn get_mut(&mut self, numbers: Numbers) -> Option<&mut Channel> {
        self.by_number.get_mut(&numbers.channel().0)
    }

    /// The newest channel with `address`, and this side's numbers of it.
    pub(crate) fn newest(&self, address: SocketAddr) -> Option<(Numbers, &Channel)> {
        let number = *self.by_address.get(&address)?.first()?;
        Some((self.numbers_of(Conversation(number)), self.by_number.get(&number)?))
    }

    /// The channel with `address` to which `conversation` belongs at the other side; the newest if it belongs to none.
    pub(crate) fn for_conversation(
        &mut self,
        address: SocketAddr,
        conversation: Conversation,
    ) -> Option<&mut Channel> {
        let at_address = self.by_address.get(&address)?;
        let is_its = |number: &&u32| {
            self.by_number.get(number).is_some_and(|channel| channel.sealer.may_carry(conversation))
        };
        let number = at_address.iter().find(is_its).or(at_address.first()).copied()?;
        self.by_number.get_mut(&number)
    }

    /// The channel with `address` whose number at the other side is `number`, as this side's first number.
    pub(crate) fn of_remote(&self, address: SocketAddr, number: Conversation) -> Option<(u32, &Channel)> {
        let of_number =
            |&&ours: &&u32| self.by_number.get(&ours).is_some_and(|channel| channel.sealer.may_carry(number));
        let ours = *self.by_address.get(&address)?.iter().find(of_number)?;
        Some((ours, self.by_number.get(&ours)?))
    }

    /// The channel with `address` whose INITIATE had this ephemeral key, while it is not confirmed.
    pub(crate) fn unconfirmed(&self, address: SocketAddr, ephemeral: &[u8]) -> Option<&Unconfirmed> {
        let at_address = self.by_address.get(&address)?;
        let unconfirmed = |number| self.by_number.get(number)?.unconfirmed.as_ref();
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.by_number.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }
}
