//! The channels that are open, by this side's numbers and by the other side's address. As many as a setting allows: the
//! one that was used the longest time ago makes way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use messages::{Conversation, NodeId, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::aead::Suite;
use crate::direction::{Opener, Sealer};
use crate::frame::Numbers;
use crate::handshake::{ACCEPT, HandshakeTime, ResetToken};
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
    free_bits: u8,
    /// By the first of this side's numbers.
    by_number: BTreeMap<u32, Channel>,
    /// The numbers of the channels with an address, the newest first.
    by_address: BTreeMap<SocketAddr, Vec<u32>>,
    by_use: BTreeMap<(Timestamp, u32), ()>,
    /// When each initiator began its last handshake, as long as its channel is kept.
    last_times: BTreeMap<PublicKey, (HandshakeTime, Timestamp)>,
}

impl Table {
    pub(crate) fn new(max: usize, free_bits: u8) -> Table {
        Table {
            max: max.max(1),
            free_bits,
            by_number: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_use: BTreeMap::new(),
            last_times: BTreeMap::new(),
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
        if self.by_number.len() >= self.max
            && let Some((&(_, oldest), ())) = self.by_use.first_key_value()
        {
            self.remove(oldest);
        }
        self.by_use.insert((used_at, number), ());
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
        self.last_times.remove(&channel.peer);
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
            self.by_use.remove(&(channel.used_at, number));
            channel.used_at = now;
            self.by_use.insert((now, number), ());
        }
    }

    /// Whether a handshake of `peer` at `time` is later than its last, which counts for as long as a cookie is good:
    /// what is older cannot be said again then.
    pub(crate) fn is_later(&self, peer: PublicKey, time: HandshakeTime, now: Timestamp) -> bool {
        let lifetime = messages::COOKIE_EPOCH * 2;
        self.last_times.get(&peer).is_none_or(|&(last, at)| time > last || now.since(at) > lifetime)
    }

    pub(crate) fn record_time(&mut self, peer: PublicKey, time: HandshakeTime, now: Timestamp) {
        self.last_times.insert(peer, (time, now));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.by_number.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }
}
