//! What is measured while a world runs: when file bytes arrived, and how long packets waited in a queue.

use std::time::Duration;

use messages::Timestamp;

use super::{HostId, World};

/// File bytes that arrived and were wanted.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    pub at: Timestamp,
    pub host: HostId,
    /// With all headers, IP's included.
    pub bytes: u64,
}

/// What was seen on one host's uplink, and of its packets where they arrived.
#[derive(Debug)]
pub struct Watch {
    pub(super) uplink: HostId,
    pub arrived: Vec<Arrived>,
    /// When a packet was sent, and how long it waited behind others.
    pub waited: Vec<(Timestamp, Duration)>,
}

impl World {
    /// From now on what leaves over the uplink of `host` is looked at.
    pub fn watch(&mut self, host: HostId) {
        self.watch = Some(Watch { uplink: host, arrived: Vec::new(), waited: Vec::new() });
    }

    /// What has been seen.
    pub fn watched(&self) -> &Watch {
        self.watch.as_ref().expect("something is watched")
    }

    pub(super) fn on_arrived(&mut self, host: HostId, bytes: u64) {
        let at = self.now;
        if let Some(watch) = &mut self.watch {
            watch.arrived.push(Arrived { at, host, bytes });
        }
    }

    pub(super) fn on_sent(&mut self, from: HostId, waits: Duration) {
        let now = self.now;
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.uplink == from) {
            watch.waited.push((now, waits));
        }
    }
}
