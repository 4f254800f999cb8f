//! How many datagrams a host sends to bogus owners, who never asked for any: their addresses may be anybody's.

use std::collections::BTreeMap;

use super::{HostId, Manners, World};

/// The datagrams that one host sends to bogus owners.
#[derive(Debug)]
pub struct Unsolicited {
    by: HostId,
    /// How many were sent in each second.
    seconds: BTreeMap<u64, u64>,
    /// How many were sent in each second to each host.
    hosts: BTreeMap<(u64, messages::Host), u64>,
    /// How many were sent to each bogus owner.
    each: BTreeMap<HostId, u64>,
}

impl Unsolicited {
    /// The most that were sent in one second.
    pub fn max_in_a_second(&self) -> u64 {
        self.seconds.values().max().copied().unwrap_or(0)
    }

    /// The most that were sent to one address in one second; many bogus owners may be at one address.
    pub fn max_at_a_host(&self) -> u64 {
        self.hosts.values().max().copied().unwrap_or(0)
    }

    /// The most that were sent to one bogus owner.
    pub fn max_of_one(&self) -> u64 {
        self.each.values().max().copied().unwrap_or(0)
    }

    /// To how many bogus owners anything was sent.
    pub fn count(&self) -> usize {
        self.each.len()
    }
}

impl World {
    /// Counts from now on what the host `by` sends to bogus owners.
    pub fn count_unsolicited(&mut self, by: HostId) {
        self.record.unsolicited =
            Some(Unsolicited { by, seconds: BTreeMap::new(), hosts: BTreeMap::new(), each: BTreeMap::new() });
    }

    /// Counts a datagram, if it goes to a bogus owner.
    pub(super) fn note_unsolicited(&mut self, from: HostId, to: HostId) {
        let is_bogus = self.hosts.get(to.0).is_some_and(|host| host.manners != Manners::Honest);
        let second = self.now.as_nanos() / 1_000_000_000;
        let at = self.hosts.get(to.0).map(|host| messages::Host::of(host.address));
        if let Some(unsolicited) =
            self.record.unsolicited.as_mut().filter(|unsolicited| is_bogus && unsolicited.by == from)
        {
            *unsolicited.seconds.entry(second).or_default() += 1;
            at.into_iter().for_each(|at| *unsolicited.hosts.entry((second, at)).or_default() += 1);
            *unsolicited.each.entry(to).or_default() += 1;
        }
    }
}
