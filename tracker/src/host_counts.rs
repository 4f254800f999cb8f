//! The votes of hosts: a thousand nodes of one host that announce the same value count as one vote.

use crate::host_key::HostKey;
use crate::small_map::SmallMap;

/// The number of nodes of each host that vote for each value.
#[derive(Clone, Debug)]
pub(crate) struct HostCounts<T>(SmallMap<(T, HostKey), u32>);

impl<T: Ord> HostCounts<T> {
    /// No nodes.
    pub(crate) const fn new() -> HostCounts<T> {
        HostCounts(SmallMap::new())
    }

    /// Counts one more node of `host` for `what`; returns whether the node is the first of that host.
    pub(crate) fn add(&mut self, what: T, host: HostKey) -> bool {
        let key = (what, host);
        match self.0.get_mut(&key) {
            Some(nodes) => {
                *nodes += 1;
                false
            }
            None => self.0.insert(key, 1).is_none(),
        }
    }

    /// Counts one node of `host` for `what` less; returns whether the node was the last of that host.
    pub(crate) fn remove(&mut self, what: T, host: HostKey) -> bool {
        let key = (what, host);
        let Some(nodes) = self.0.get_mut(&key) else { return false };
        *nodes -= 1;
        let is_last = *nodes == 0;
        if is_last {
            self.0.remove(&key);
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The counts are a list of votes; the first and the last of each host are reported.
        #[test]
        fn a_host_is_one_vote(steps in prop::collection::vec((any::<bool>(), 0..3_u8, 0..3_u8), 0..60)) {
            let (mut counts, mut list) = (HostCounts::new(), Vec::new());
            for (adds, what, number) in steps {
                let host = HostKey::at(IpAddr::from([10, 0, 0, number]));
                let nodes = list.iter().filter(|line| **line == (what, number)).count();
                if adds {
                    prop_assert_eq!(counts.add(what, host), nodes == 0);
                    list.push((what, number));
                } else {
                    prop_assert_eq!(counts.remove(what, host), nodes == 1);
                    if let Some(at) = list.iter().position(|line| *line == (what, number)) {
                        list.swap_remove(at);
                    }
                }
            }
        }
    }
}
