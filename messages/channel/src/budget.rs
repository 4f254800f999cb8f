//! How many key agreements strangers get. Each costs four multiplications on a curve, as much as sealing hundreds of
//! datagrams, and a proven address is all that it takes to ask for one.
//!
//! Knows hosts and instants, and not what a key agreement is.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{Host, Timestamp};

/// Key agreements a second that one host gets in the long run.
pub(crate) const HOST_AGREEMENTS_PER_SECOND: u32 = 64;
/// Key agreements that one host gets at once: some for each of the 64 nodes that it may run.
pub(crate) const HOST_AGREEMENTS_AT_ONCE: u32 = 256;
/// Key agreements a second in all: about a third of what one core can do (one takes 0.34 ms where it was measured).
pub(crate) const AGREEMENTS_PER_SECOND: u32 = 1000;
/// Key agreements at once in all, when many come back to a tracker that was restarted: less than a second of one core.
pub(crate) const AGREEMENTS_AT_ONCE: u32 = 2048;
const _: () = assert!(HOST_AGREEMENTS_AT_ONCE * 8 <= AGREEMENTS_AT_ONCE, "no host gets a large part of all");

/// A host that asks for nothing for so long has all of its agreements again, and is forgotten.
const REFILL: Duration =
    Duration::from_millis(HOST_AGREEMENTS_AT_ONCE as u64 * 1000 / HOST_AGREEMENTS_PER_SECOND as u64);

/// One bucket of tokens: the instant at which it is full again (the generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// The bucket without one token more, if it has one.
    fn less_one(self, now: Timestamp, per_second: u32, at_once: u32) -> Option<Bucket> {
        let interval = Duration::from_secs(1) / per_second;
        let full_at = self.full_at.max(now) + interval;
        (full_at.since(now) <= interval * at_once).then_some(Bucket { full_at })
    }
}

/// The buckets of all, and of each host that has taken something lately: no more hosts than there are tokens of all in
/// twice the time in which a host's bucket is full again.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    all: Bucket,
    hosts: BTreeMap<Host, Bucket>,
    sweep_at: Timestamp,
}

impl Budget {
    /// Takes one key agreement for `host`. Returns whether there was one. Programs of this machine always get it.
    pub(crate) fn take(&mut self, host: Host, now: Timestamp) -> bool {
        if host.is_loopback() {
            return true;
        }
        if now >= self.sweep_at {
            self.hosts.retain(|_, bucket| bucket.full_at > now);
            self.sweep_at = now + REFILL;
        }
        let of_host = self.hosts.get(&host).copied().unwrap_or_default();
        let of_host = of_host.less_one(now, HOST_AGREEMENTS_PER_SECOND, HOST_AGREEMENTS_AT_ONCE);
        let all = self.all.less_one(now, AGREEMENTS_PER_SECOND, AGREEMENTS_AT_ONCE);
        // Who is over its own share takes nothing from the others'.
        let (Some(of_host), Some(all)) = (of_host, all) else { return false };
        self.all = all;
        self.hosts.insert(host, of_host);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const START: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

    fn host(number: u32) -> Host {
        Host::of(SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a00_0000 + number), 4000)))
    }

    fn takes(budget: &mut Budget, of: Host, tries: u32, now: Timestamp) -> u32 {
        (0..tries).map(|_| u32::from(budget.take(of, now))).sum()
    }

    #[test]
    fn a_host_gets_some_at_once_and_then_as_many_as_its_rate() {
        let mut budget = Budget::default();
        assert_eq!(takes(&mut budget, host(1), 1000, START), HOST_AGREEMENTS_AT_ONCE);
        assert!(budget.take(host(2), START), "another host has its own");
        let later = START + Duration::from_secs(1);
        assert_eq!(takes(&mut budget, host(1), 1000, later), HOST_AGREEMENTS_PER_SECOND);
        let much_later = later + Duration::from_secs(100);
        assert_eq!(takes(&mut budget, host(1), 1000, much_later), HOST_AGREEMENTS_AT_ONCE);
    }

    #[test]
    fn all_hosts_together_get_no_more_than_the_budget_of_all_and_loopback_is_exempt() {
        let mut budget = Budget::default();
        let taken: u32 = (0..10_000).map(|number| takes(&mut budget, host(number), 2, START)).sum();
        assert_eq!(taken, AGREEMENTS_AT_ONCE);
        let loopback = Host::of(SocketAddr::from(([127, 0, 0, 1], 4000)));
        assert_eq!(takes(&mut budget, loopback, 10_000, START), 10_000);
    }

    #[test]
    fn who_is_over_its_share_takes_nothing_from_others() {
        let mut budget = Budget::default();
        takes(&mut budget, host(1), 100_000, START);
        let taken: u32 = (2..10_000).map(|number| takes(&mut budget, host(number), 1, START)).sum();
        assert_eq!(taken, AGREEMENTS_AT_ONCE - HOST_AGREEMENTS_AT_ONCE);
    }

    #[test]
    fn hosts_that_ask_for_nothing_are_forgotten() {
        let (mut budget, mut now) = (Budget::default(), START);
        for number in 0..200_000 {
            now += Duration::from_micros(500);
            budget.take(host(number), now);
            let limit = AGREEMENTS_AT_ONCE + 2 * AGREEMENTS_PER_SECOND * REFILL.as_secs() as u32;
            assert!(budget.hosts.len() <= limit as usize);
        }
        assert!(budget.hosts.len() < 20_000);
    }
}
