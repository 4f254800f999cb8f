//! How much a host says to those who never asked for it: owners that are none, whose addresses may be anybody's.

use std::collections::BTreeMap;

use super::{HostId, Manners, World};

/// Datagrams that a host says to bogus owners.
#[derive(Debug)]
pub struct Bothered {
    by: HostId,
    /// In each second, in all and to each host,
    seconds: BTreeMap<u64, u64>,
    hosts: BTreeMap<(u64, messages::Host), u64>,
    /// and to each of them.
    each: BTreeMap<HostId, u64>,
}

impl Bothered {
    /// The most in one second.
    pub fn most_in_a_second(&self) -> u64 {
        self.seconds.values().max().copied().unwrap_or(0)
    }

    /// The most to one address in one second: many of them may be at one.
    pub fn most_at_a_host(&self) -> u64 {
        self.hosts.values().max().copied().unwrap_or(0)
    }

    /// The most that one of them was told.
    pub fn most_of_one(&self) -> u64 {
        self.each.values().max().copied().unwrap_or(0)
    }

    /// How many were told anything.
    pub fn count(&self) -> usize {
        self.each.len()
    }
}

impl World {
    /// From now on it is counted what `by` says to owners that are none.
    pub fn count_bothered(&mut self, by: HostId) {
        self.bothered =
            Some(Bothered { by, seconds: BTreeMap::new(), hosts: BTreeMap::new(), each: BTreeMap::new() });
    }

    pub(super) fn bother(&mut self, from: HostId, to: HostId) {
        let is_bogus = self.hosts.get(to.0).is_some_and(|host| host.manners != Manners::Honest);
        let second = self.now.as_nanos() / 1_000_000_000;
        let at = self.hosts.get(to.0).map(|host| messages::Host::of(host.address));
        if let Some(bothered) = self.bothered.as_mut().filter(|bothered| is_bogus && bothered.by == from) {
            *bothered.seconds.entry(second).or_default() += 1;
            at.into_iter().for_each(|at| *bothered.hosts.entry((second, at)).or_default() += 1);
            *bothered.each.entry(to).or_default() += 1;
        }
    }
}
