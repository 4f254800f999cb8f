//! What all handles of a node share.

use std::fmt;
use std::sync::{Arc, Mutex};

use channel::StaticKey;

use crate::driver::NodeHandle;
use crate::events::Events;
use crate::hub::Hub;
use crate::state::StateFolder;
use crate::tracker::TrackerWatch;

/// A node's driver, its events, its state folder and its tracker.
pub(crate) struct Inner {
    pub(crate) driver: NodeHandle,
    pub(crate) hub: Arc<Hub>,
    /// For whoever follows first: everything since the start.
    pub(crate) first_events: Mutex<Option<Events>>,
    /// Who the node is: its id follows from the key.
    pub(crate) key: StaticKey,
    pub(crate) state: Option<StateFolder>,
    pub(crate) notes: Vec<String>,
    // Dropped last: an embedded tracker ends after the node that leaves it.
    pub(crate) tracker: TrackerWatch,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.key.node_id())
            .field("address", &self.driver.local_addr())
            .finish_non_exhaustive()
    }
}
