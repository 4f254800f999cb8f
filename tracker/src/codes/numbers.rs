//! The numbers of codes: who has which, until when, and which are free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messages::codes::{CodeNumber, UncalledReason};
use messages::limits::MAX_CODE_NUMBER;
use messages::{Conversation, Host, NodeId, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// The most codes.
pub(super) const MAX_CODES: usize = 1024;
/// The most codes of one host. At loopback each port is a host.
pub(super) const MAX_CODES_PER_HOST: usize = 16;
/// For how long the number of a code that has ended is given to nobody else: who was told of it may still type it.
const REST: Duration = Duration::from_secs(600);
/// Numbers up to these are drawn as long as half of them are free: short ones first.
const RANGES: [u16; 3] = [99, 999, MAX_CODE_NUMBER];
const _: () = assert!(MAX_CODES * 2 < MAX_CODE_NUMBER as usize, "one is always found soon");

/// Who has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// By its key.
    pub(super) sender: NodeId,
    pub(super) address: SocketAddr,
    pub(super) reached_at: Option<IpAddr>,
    /// The sender's number for what it hears.
    pub(super) conversation: Conversation,
}

/// All numbers that are not free.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    held: BTreeMap<CodeNumber, (Holder, Timestamp)>,
    by_sender: BTreeMap<NodeId, CodeNumber>,
    by_host: BTreeMap<Host, usize>,
    /// The numbers that rest, who had them, and until when.
    resting: BTreeMap<CodeNumber, (NodeId, Timestamp)>,
    /// When something ends.
    ends: BTreeSet<(Timestamp, CodeNumber)>,
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The number that this sender has.
    pub(super) fn of_sender(&self, sender: NodeId) -> Option<CodeNumber> {
        self.by_sender.get(&sender).copied()
    }

    /// Who has `number`.
    ///
    /// # Errors
    /// Nobody has it, or nobody has it any more.
    pub(super) fn holder(&self, number: CodeNumber, now: Timestamp) -> Result<Holder, UncalledReason> {
        match (self.held.get(&number), self.resting.get(&number)) {
            (Some((holder, until)), _) if now < *until => Ok(*holder),
            (Some(_), _) => Err(UncalledReason::Ended),
            (None, Some((_, until))) if now < *until => Err(UncalledReason::Ended),
            (None, _) => Err(UncalledReason::NoSuchNumber),
        }
    }

    /// Prolongs the lease of the number that `holder` has, and takes over where it is now. `wanted` is the number that it
    /// says it has. `None`: it has no number, or another one.
    pub(super) fn renew(
        &mut self,
        wanted: Option<CodeNumber>,
        holder: Holder,
        until: Timestamp,
    ) -> Option<CodeNumber> {
        let number = self.of_sender(holder.sender)?;
        if wanted.is_some_and(|wanted| wanted != number) {
            return None;
        }
        let (before, ends) = self.held.get_mut(&number)?;
        self.ends.remove(&(*ends, number));
        let (from, to) = (Host::of(before.address), Host::of(holder.address));
        (*before, *ends) = (holder, until);
        self.ends.insert((until, number));
        if from != to {
            self.count_less(from);
            *self.by_host.entry(to).or_default() += 1;
        }
        Some(number)
    }

    /// Gives `holder`, who has none, the `wanted` number or any one.
    ///
    /// # Errors
    /// The number is another's or rests, `holder` has another one, or there are too many.
    pub(super) fn give(
        &mut self,
        wanted: Option<CodeNumber>,
        holder: Holder,
        until: Timestamp,
        chance: &mut StdRng,
    ) -> Result<CodeNumber, UncalledReason> {
        if self.of_sender(holder.sender).is_some() {
            return Err(UncalledReason::NoSuchNumber);
        }
        let host = Host::of(holder.address);
        let of_host = self.by_host.get(&host).copied().unwrap_or_default();
        if self.held.len() >= MAX_CODES || of_host >= MAX_CODES_PER_HOST {
            return Err(UncalledReason::Full);
        }
        let number = match wanted {
            // The tracker, or its desk, has another life: whose number it was is not known here any more.
            Some(number) => match self.resting.get(&number) {
                _ if self.held.contains_key(&number) => return Err(UncalledReason::Taken),
                Some((sender, _)) if *sender != holder.sender => return Err(UncalledReason::Taken),
                _ => number,
            },
            None => self.draw(chance),
        };
        if let Some((_, rests)) = self.resting.remove(&number) {
            self.ends.remove(&(rests, number));
        }
        self.held.insert(number, (holder, until));
        self.by_sender.insert(holder.sender, number);
        *self.by_host.entry(host).or_default() += 1;
        self.ends.insert((until, number));
        Ok(number)
    }

    /// A number that nobody has, one that rests only if there is no other.
    fn draw(&mut self, chance: &mut StdRng) -> CodeNumber {
        for last in RANGES {
            let last_number = CodeNumber::new(last).unwrap_or_else(|| unreachable!("it is in the range"));
            let gone = self.held.range(..=last_number).count() + self.resting.range(..=last_number).count();
            if 2 * gone < usize::from(last) {
                return self.draw_free(last, chance);
            }
        }
        while self.resting.len() > usize::from(MAX_CODE_NUMBER) / 4 {
            let Some((number, until)) = self
                .resting
                .iter()
                .map(|(number, (_, until))| (*number, *until))
                .min_by_key(|(_, until)| *until)
            else {
                break;
            };
            self.resting.remove(&number);
            self.ends.remove(&(until, number));
        }
        self.draw_free(MAX_CODE_NUMBER, chance)
    }

    fn draw_free(&self, last: u16, chance: &mut StdRng) -> CodeNumber {
        loop {
            let number = CodeNumber::new(chance.random_range(1..=last))
                .unwrap_or_else(|| unreachable!("it is in the range"));
            if !self.held.contains_key(&number) && !self.resting.contains_key(&number) {
                return number;
            }
        }
    }

    /// Takes `number` back from `sender`. Returns whether it was its.
    pub(super) fn withdraw(&mut self, number: CodeNumber, sender: NodeId, now: Timestamp) -> bool {
        let is_its = self.of_sender(sender) == Some(number);
        if is_its {
            self.end(number, now);
        }
        is_its
    }

    fn end(&mut self, number: CodeNumber, now: Timestamp) {
        let Some((holder, until)) = self.held.remove(&number) else { return };
        self.ends.remove(&(until, number));
        self.by_sender.remove(&holder.sender);
        self.count_less(Host::of(holder.address));
        self.resting.insert(number, (holder.sender, now + REST));
        self.ends.insert((now + REST, number));
    }

    fn count_less(&mut self, host: Host) {
        if let Some(count) = self.by_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.by_host.remove(&host);
            }
        }
    }

    /// Ends one lease that is over at `now`, if there is one, and frees the numbers that have rested.
    pub(super) fn end_due(&mut self, now: Timestamp) -> Option<CodeNumber> {
        while let Some(&(until, number)) = self.ends.first().filter(|(until, _)| *until <= now) {
            if self.held.contains_key(&number) {
                self.end(number, now);
                return Some(number);
            }
            self.ends.remove(&(until, number));
            self.resting.remove(&number);
        }
        None
    }

    /// When something ends next.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(until, _)| *until)
    }
}
