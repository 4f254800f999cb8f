//! Which session a datagram belongs to, by the conversation number that this node has chosen.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use messages::Conversation;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::ids::{DownloadId, SessionKey};

/// Which session a conversation number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A session of a download.
    Download(DownloadId, SessionKey),
    /// A session in which this node is the owner.
    Upload,
}

/// The numbers that this node has chosen for its conversations with other nodes. They are random, so that nobody who
/// does not see them can guess one.
#[derive(Debug, Default)]
pub(crate) struct Routes(BTreeMap<Conversation, Route>);

impl Routes {
    /// Draws a new number for `route`.
    pub(crate) fn open(&mut self, route: Route, rng: &mut StdRng) -> Conversation {
        loop {
            let conversation = Conversation(rng.random());
            if let Entry::Vacant(free) = self.0.entry(conversation) {
                free.insert(route);
                return conversation;
            }
        }
    }

    /// Takes the number `conversation`, which is free, for `route`.
    pub(crate) fn open_as(&mut self, conversation: Conversation, route: Route) {
        let before = self.0.insert(conversation, route);
        debug_assert!(before.is_none(), "a number belongs to one session");
    }

    /// Which session `conversation` belongs to.
    pub(crate) fn find(&self, conversation: Conversation) -> Option<Route> {
        self.0.get(&conversation).copied()
    }

    /// Frees the number `conversation`, which belongs to no session any more.
    pub(crate) fn close(&mut self, conversation: Conversation) {
        self.0.remove(&conversation);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    proptest! {
        /// A number belongs to one session from when it is opened until it is closed, and to no other meanwhile.
        #[test]
        fn a_conversation_is_found_while_it_is_open(
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200)
        ) {
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
    }
}
