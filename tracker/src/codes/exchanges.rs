//! The exchanges that are under way: where what the senders answer goes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messages::codes::CodeNumber;
use messages::{Conversation, ExchangeId, Host, NodeId, Timestamp};

/// The most exchanges in all, with one code, and of one host: a room of people behind one address, twice over.
pub(super) const MAX_EXCHANGES: usize = 8192;
const MAX_EXCHANGES_PER_CODE: usize = 1024;
pub(super) const MAX_EXCHANGES_PER_HOST: usize = 512;
/// An exchange without a CALL for so long is over.
const LIFE: Duration = Duration::from_secs(10);
/// How many ANSWERs follow one CALL at most: a sender answers one, and once more what is repeated on the way.
const MAX_ANSWERS: u8 = 2;

/// One exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// With the sender of this number.
    pub(super) number: CodeNumber,
    /// Who calls.
    pub(super) caller: NodeId,
    pub(super) address: SocketAddr,
    pub(super) reached_at: Option<IpAddr>,
    /// The caller's number for what it hears.
    pub(super) conversation: Conversation,
}

#[derive(Debug)]
struct Kept {
    exchange: Exchange,
    host: Host,
    ends: Timestamp,
    answers: u8,
}

/// All exchanges.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    kept: BTreeMap<ExchangeId, Kept>,
    /// The same by code, and how many each has; by host; and by their ends.
    by_code: BTreeSet<(CodeNumber, ExchangeId)>,
    of_code: BTreeMap<CodeNumber, usize>,
    of_host: BTreeMap<Host, usize>,
    ends: BTreeSet<(Timestamp, ExchangeId)>,
}

impl Exchanges {
    /// Whether `id` is not known, or is the same caller's exchange with the same code.
    pub(super) fn is_of(&self, id: ExchangeId, exchange: &Exchange) -> bool {
        self.kept.get(&id).is_none_or(|Kept { exchange: known, .. }| {
            (known.caller, known.number) == (exchange.caller, exchange.number)
        })
    }

    /// Keeps an exchange of which there was a CALL at `now`. Returns whether there is room for it.
    pub(super) fn keep(&mut self, id: ExchangeId, exchange: Exchange, host: Host, now: Timestamp) -> bool {
        let known = self.remove(id);
        let of_code = self.of_code.get(&exchange.number).copied().unwrap_or_default();
        let of_host = self.of_host.get(&host).copied().unwrap_or_default();
        let is_full = self.kept.len() >= MAX_EXCHANGES
            || of_code >= MAX_EXCHANGES_PER_CODE
            || (of_host >= MAX_EXCHANGES_PER_HOST && !host.is_loopback());
        if is_full && !known {
            return false;
        }
        *self.of_code.entry(exchange.number).or_default() += 1;
        *self.of_host.entry(host).or_default() += 1;
        self.by_code.insert((exchange.number, id));
        self.ends.insert((now + LIFE, id));
        self.kept.insert(id, Kept { exchange, host, ends: now + LIFE, answers: 0 });
        true
    }

    /// Where an ANSWER of the sender of `number` goes; `None`: nowhere, or there were enough.
    pub(super) fn take_answer(&mut self, id: ExchangeId, number: CodeNumber) -> Option<Exchange> {
        let kept = self.kept.get_mut(&id)?;
        if kept.exchange.number != number || kept.answers >= MAX_ANSWERS {
            return None;
        }
        kept.answers += 1;
        Some(kept.exchange)
    }

    fn remove(&mut self, id: ExchangeId) -> bool {
        let Some(Kept { exchange, host, ends, .. }) = self.kept.remove(&id) else { return false };
        self.ends.remove(&(ends, id));
        self.by_code.remove(&(exchange.number, id));
        count_less(&mut self.of_code, exchange.number);
        count_less(&mut self.of_host, host);
        true
    }

    /// Forgets all exchanges with a code.
    pub(super) fn end_all(&mut self, number: CodeNumber) {
        let first = (number, ExchangeId::from_bytes([0; 16]));
        let last = (number, ExchangeId::from_bytes([0xff; 16]));
        while let Some(&(_, id)) = self.by_code.range(first..=last).next() {
            self.remove(id);
        }
    }

    /// Forgets what is over at `now`.
    pub(super) fn end_due(&mut self, now: Timestamp) {
        while let Some(&(_, id)) = self.ends.first().filter(|(ends, _)| *ends <= now) {
            self.remove(id);
        }
    }

    /// When the next one is over.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(ends, _)| *ends)
    }
}

fn count_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
