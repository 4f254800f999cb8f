//! What the owners of a content say of it, as voices of hosts: a thousand nodes of one host that say the same are one.

use crate::host::Host;
use crate::small_map::SmallMap;

/// How many nodes of which host say what.
#[derive(Clone, Debug)]
pub(crate) struct Said<T>(SmallMap<(T, Host), u32>);

impl<T: Ord> Said<T> {
    /// Nobody said anything yet.
    pub(crate) const fn new() -> Said<T> {
        Said(SmallMap::new())
    }

    /// One more node of `host` says `what`. Whether it is the first there.
    pub(crate) fn add(&mut self, what: T, host: Host) -> bool {
        let said = (what, host);
        match self.0.get_mut(&said) {
            Some(nodes) => {
                *nodes += 1;
                false
            }
            None => self.0.insert(said, 1).is_none(),
        }
    }

    /// One less node of `host` says `what`. Whether it was the last there.
    pub(crate) fn remove(&mut self, what: T, host: Host) -> bool {
        let said = (what, host);
        let Some(nodes) = self.0.get_mut(&said) else { return false };
        *nodes -= 1;
        let is_last = *nodes == 0;
        if is_last {
            self.0.remove(&said);
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
        /// It is a list of who said what where; told are the first and the last of each host.
        #[test]
        fn a_host_is_one_voice(steps in prop::collection::vec((any::<bool>(), 0..3_u8, 0..3_u8), 0..60)) {
            let (mut said, mut list) = (Said::new(), Vec::new());
            for (adds, what, number) in steps {
                let host = Host::at(IpAddr::from([10, 0, 0, number]));
                let nodes = list.iter().filter(|line| **line == (what, number)).count();
                if adds {
                    prop_assert_eq!(said.add(what, host), nodes == 0);
                    list.push((what, number));
                } else {
                    prop_assert_eq!(said.remove(what, host), nodes == 1);
                    if let Some(at) = list.iter().position(|line| *line == (what, number)) {
                        list.swap_remove(at);
                    }
                }
            }
        }
    }
}
