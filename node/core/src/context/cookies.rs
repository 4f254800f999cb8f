//! The cookies that owners have given out to prove this node's address.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use messages::Cookie;

/// The cookies of owners for this node, by the owner's address: a second session with the same owner needs no RETRY.
#[derive(Debug, Default)]
pub(crate) struct Cookies(BTreeMap<SocketAddr, Cookie>);

impl Cookies {
    /// At most this many cookies are remembered.
    const MAX: usize = 1024;

    pub(crate) fn find(&self, owner: SocketAddr) -> Cookie {
        self.0.get(&owner).copied().unwrap_or(Cookie::NONE)
    }

    pub(crate) fn keep(&mut self, owner: SocketAddr, cookie: Cookie) {
        if self.0.len() >= Cookies::MAX && !self.0.contains_key(&owner) {
            // Any other cookie may be forgotten: a lost one costs a round trip.
            self.0.pop_first();
        }
        self.0.insert(owner, cookie);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], number))
    }

    proptest! {
        /// The kept cookie is the last one of its address. When there are too many, some are forgotten and none is
        /// mixed up.
        #[test]
        fn cookies_are_forgotten_and_never_mixed_up(kept in prop::collection::vec((0u16..2000, any::<u8>()), 0..3000)) {
            let mut cookies = Cookies::default();
            let mut last: BTreeMap<u16, Cookie> = BTreeMap::new();
            for (owner, byte) in kept {
                let cookie = Cookie::from_bytes([byte; 16]);
                cookies.keep(address(owner), cookie);
                last.insert(owner, cookie);
                prop_assert_eq!(cookies.find(address(owner)), cookie);
                prop_assert!(cookies.0.len() <= Cookies::MAX);
            }
            let wrong = last.iter().filter(|(owner, cookie)| {
                let found = cookies.find(address(**owner));
                found != Cookie::NONE && found != **cookie
            });
            prop_assert_eq!(wrong.count(), 0);
            if last.len() <= Cookies::MAX {
                prop_assert_eq!(cookies.0.len(), last.len(), "forgotten without need");
            }
        }
    }
}
