//! What is measured on one uplink: when file bytes arrived, and how long packets waited in the queue.

use std::time::Duration;

use messages::Timestamp;

use super::{HostId, World};

/// A CHUNK with file bytes that arrived and was wanted.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When it arrived.
    pub at: Timestamp,
    /// Where it arrived.
    pub host: HostId,
    /// How many bytes it has with all headers, IP's included.
    pub bytes: u64,
}

/// What was seen on one host's uplink, and all arrivals.
#[derive(Debug)]
pub struct Watch {
    pub(super) uplink: HostId,
    /// All CHUNKs that arrived at any host and were wanted, in order.
    pub arrived: Vec<Arrival>,
    /// For each packet when it was sent, and how long it waited behind others.
    pub waited: Vec<(Timestamp, Duration)>,
}

impl World {
    /// Looks from now on at what leaves over the uplink of `host`.
    pub fn watch(&mut self, host: HostId) {
        self.record.watch = Some(Watch { uplink: host, arrived: Vec::new(), waited: Vec::new() });
    }

    /// What has been seen since [`World::watch`].
    pub fn watched(&self) -> &Watch {
        self.record.watch.as_ref().expect("World::watch was called before")
    }

    pub(super) fn on_arrived(&mut self, host: HostId, bytes: u64) {
        let at = self.now;
        if let Some(watch) = &mut self.record.watch {
            watch.arrived.push(Arrival { at, host, bytes });
        }
    }

    pub(super) fn on_sent(&mut self, from: HostId, waits: Duration) {
        let now = self.now;
        if let Some(watch) = self.record.watch.as_mut().filter(|watch| watch.uplink == from) {
            watch.waited.push((now, waits));
        }
    }
}
