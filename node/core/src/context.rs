//! What the parts of one node share: the node lends it to a part for one call, and the parts share nothing else.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::time::Duration;

use config::NodeSettings;
use messages::limits::MAX_BURST;
use messages::{Body, Conversation, Cookie, NodeId, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::buffers::Buffers;
use crate::ids::{DownloadId, SessionKey};
use crate::limiter::Limiter;
use crate::output::Output;
use crate::status::Counters;
use crate::transport::mtud::PathMtus;

/// The shared state, lent to a part for one call.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a NodeSettings,
    pub(crate) node: NodeId,
    pub(crate) rng: &'a mut StdRng,
    pub(crate) routes: &'a mut Routes,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) cookies: &'a mut Cookies,
    pub(crate) path_mtus: &'a mut PathMtus,
    pub(crate) receive_budget: &'a mut ReceiveBufferBudget,
    pub(crate) download_limit: &'a mut Limiter,
    pub(crate) upload_limit: &'a mut Limiter,
    pub(crate) counters: &'a mut Counters,
    pub(crate) out: &'a mut Output,
}

impl Context<'_> {
    /// Sends one control message.
    pub(crate) fn send<B: Body>(&mut self, to: SocketAddr, conversation: Conversation, body: &B) {
        self.out.send(to, |bytes| messages::encode(conversation, body, bytes));
    }
}

/// What a node gives to this one, of the content that it fetches from this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gives {
    /// Bytes a second, lately.
    pub(crate) rate: u64,
    /// It was asked for something and does not give it.
    pub(crate) is_snubbed: bool,
}

/// Which session a conversation number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A session of a download.
    Download(DownloadId, SessionKey),
    /// A session in which this node is the owner.
    Upload,
}

/// The numbers that this node has chosen for its conversations with other nodes: random, so that nobody who does not
/// see them can guess one.
#[derive(Debug, Default)]
pub(crate) struct Routes(BTreeMap<Conversation, Route>);

impl Routes {
    /// A new number for `route`.
    pub(crate) fn open(&mut self, route: Route, rng: &mut StdRng) -> Conversation {
        loop {
            let conversation = Conversation(rng.random());
            if let Entry::Vacant(free) = self.0.entry(conversation) {
                free.insert(route);
                return conversation;
            }
        }
    }

    /// Which session `conversation` belongs to.
    pub(crate) fn find(&self, conversation: Conversation) -> Option<Route> {
        self.0.get(&conversation).copied()
    }

    /// `conversation` belongs to no session any more.
    pub(crate) fn close(&mut self, conversation: Conversation) {
        self.0.remove(&conversation);
    }
}

/// Owners' cookies for this node, by address: a second session with the same owner needs no RETRY.
#[derive(Debug, Default)]
pub(crate) struct Cookies(BTreeMap<SocketAddr, Cookie>);

impl Cookies {
    /// No more cookies than this are kept.
    const MAX: usize = 1024;

    pub(crate) fn find(&self, owner: SocketAddr) -> Cookie {
        self.0.get(&owner).copied().unwrap_or(Cookie::NONE)
    }

    pub(crate) fn keep(&mut self, owner: SocketAddr, cookie: Cookie) {
        if self.0.len() >= Cookies::MAX && !self.0.contains_key(&owner) {
            // Any other will do: a lost cookie costs one round trip.
            self.0.pop_first();
        }
        self.0.insert(owner, cookie);
    }
}

/// A path with a shorter round-trip time is a local one: over it a receive buffer fills before anything can be done about
/// that.
pub(crate) const MAX_LOCAL_RTT: Duration = Duration::from_millis(2);

/// What the socket's receive buffer holds, shared by all flows on local paths: over them everything that is asked for may
/// arrive at once. Within this budget a loopback or a fast local network does not drop.
#[derive(Debug)]
pub(crate) struct ReceiveBufferBudget {
    limit: u32,
    used: u32,
    /// Whether a flow asked for less than it would have, because the budget was spent.
    is_short: bool,
}

impl ReceiveBufferBudget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: u32) -> ReceiveBufferBudget {
        ReceiveBufferBudget { limit, used: 0, is_short: false }
    }

    /// `used` bytes are outstanding on local paths now.
    pub(crate) fn set_used(&mut self, used: u32) {
        self.used = used;
    }

    /// A flow would have asked for more.
    pub(crate) fn note_shortage(&mut self) {
        self.is_short = true;
    }

    /// Ends a shortage if bytes are available now. Whether it did.
    pub(crate) fn end_shortage(&mut self) -> bool {
        self.available() > 0 && std::mem::take(&mut self.is_short)
    }

    /// Bytes that may still be asked for over a local path: one burst in any case while nothing is outstanding.
    pub(crate) fn available(&self) -> u32 {
        if self.used == 0 { self.limit.max(MAX_BURST) } else { self.limit.saturating_sub(self.used) }
    }

    /// `bytes` were asked for over a local path.
    pub(crate) fn spend(&mut self, bytes: u32) {
        self.used = self.used.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    fn address(number: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], number))
    }

    proptest! {
        /// A number is somebody's from when it is opened until it is closed, and nobody else's meanwhile.
        #[test]
        fn a_conversation_is_found_while_it_is_open(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)) {
            let (mut routes, mut rng) = (Routes::default(), StdRng::seed_from_u64(1));
            let mut open: Vec<(Conversation, Route)> = Vec::new();
            let mut closed: BTreeSet<Conversation> = BTreeSet::new();
            for (number, (opens, which)) in (0u32..).zip(steps) {
                if opens {
                    let route = Route::Download(DownloadId(number), SessionKey(number));
                    let conversation = routes.open(route, &mut rng);
                    prop_assert!(open.iter().all(|(other, _)| *other != conversation), "given twice");
                    open.push((conversation, route));
                    closed.remove(&conversation);
                } else if !open.is_empty() {
                    let (conversation, _) = open.swap_remove(which.index(open.len()));
                    routes.close(conversation);
                    closed.insert(conversation);
                }
                for (conversation, route) in &open {
                    prop_assert_eq!(routes.find(*conversation), Some(*route));
                }
                prop_assert!(closed.iter().all(|conversation| routes.find(*conversation).is_none()));
                prop_assert_eq!(routes.0.len(), open.len());
            }
        }

        /// What is kept is the last cookie of an address; when there are too many, some are forgotten and none is mixed up.
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
