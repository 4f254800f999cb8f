//! How many requests one address may make: a bucket of tokens each, in a table that never grows past its capacity.
//!
//! A bucket is one instant, the one at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
//! When the table is full, the fullest bucket is forgotten: that one has the least to remember.

use std::net::IpAddr;
use std::time::Duration;

use messages::{Host, Timestamp};

use crate::expiring_map::ExpiringMap;

/// The hosts that asked lately.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    /// A bucket expires when it is full again.
    buckets: ExpiringMap<IpAddr, ()>,
    /// The time in which a bucket gets one token.
    interval: Duration,
    /// The time in which an empty bucket fills up.
    depth: Duration,
}

impl Buckets {
    /// Buckets that get `per_second` tokens and hold `burst` of them, for at most `capacity` hosts.
    pub(crate) fn new(per_second: u32, burst: u32, capacity: usize) -> Buckets {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Buckets { buckets: ExpiringMap::new(capacity), interval, depth: interval * burst.max(1) }
    }

    /// Takes one token of the host of `ip`; loopback needs none.
    ///
    /// # Errors
    /// How long to wait, when there is no token.
    pub(crate) fn admit(&mut self, ip: IpAddr, now: Timestamp) -> Result<(), Duration> {
        if ip.is_loopback() {
            return Ok(());
        }
        self.buckets.sweep(now);
        let host = Host::ip(ip);
        let before = self.buckets.get(host).map_or(now, |(full_at, ())| full_at);
        let full_at = before.max(now) + self.interval;
        let too_early = full_at.since(now).saturating_sub(self.depth);
        if !too_early.is_zero() {
            return Err(too_early);
        }
        self.buckets.insert(host, (), full_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
