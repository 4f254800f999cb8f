//! How many requests one address may make: a bucket of tokens each, in a table that never grows past its size.
//!
//! A bucket is one instant, the one at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
//! When the table is full the fullest bucket is forgotten: it has the least to remember.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use messages::Timestamp;

/// Buckets forgotten at each request because they are full again: more than one, so that the table shrinks.
const SWEEP: usize = 2;

/// The addresses that asked lately.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    full_at: BTreeMap<IpAddr, Timestamp>,
    fullest_first: BTreeSet<(Timestamp, IpAddr)>,
    interval: Duration,
    depth: Duration,
    capacity: usize,
}

impl Buckets {
    /// Buckets that get `per_second` tokens and hold `burst` of them, for at most `capacity` addresses.
    pub(crate) fn new(per_second: u32, burst: u32, capacity: usize) -> Buckets {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Buckets {
            full_at: BTreeMap::new(),
            fullest_first: BTreeSet::new(),
            interval,
            depth: interval * burst.max(1),
            capacity: capacity.max(1),
        }
    }

    /// Takes one token of `ip`'s host; loopback needs none.
    ///
    /// # Errors
    /// How long to wait, when there is no token.
    pub(crate) fn admit(&mut self, ip: IpAddr, now: Timestamp) -> Result<(), Duration> {
        if ip.is_loopback() {
            return Ok(());
        }
        self.sweep(now);
        let host = host(ip);
        let before = self.full_at.get(&host).copied();
        let full_at = before.unwrap_or(now).max(now) + self.interval;
        let too_early = full_at.since(now).saturating_sub(self.depth);
        if !too_early.is_zero() {
            return Err(too_early);
        }
        if let Some(before) = before {
            self.fullest_first.remove(&(before, host));
        } else if self.full_at.len() >= self.capacity
            && let Some((_, forgotten)) = self.fullest_first.pop_first()
        {
            self.full_at.remove(&forgotten);
        }
        self.full_at.insert(host, full_at);
        self.fullest_first.insert((full_at, host));
        Ok(())
    }

    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEEP {
            match self.fullest_first.first().copied() {
                Some((full_at, host)) if full_at <= now => {
                    self.fullest_first.remove(&(full_at, host));
                    self.full_at.remove(&host);
                }
                _ => return,
            }
        }
    }
}

/// What counts as one address.
pub(crate) fn host(ip: IpAddr) -> IpAddr {
    messages::Host::ip(ip)
}

#[cfg(test)]
mod tests;
