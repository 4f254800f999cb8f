//! What the tracker counts, since its start.

use messages::tracker_to_node::RefusalCode;

/// Numbers since the tracker's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that were handed in.
    pub datagrams: u64,
    /// Datagrams that could not be read.
    pub undecodable: u64,
    /// Readable datagrams that are not for a tracker.
    pub misdirected: u64,
    /// Datagrams from an address to which nothing can be sent (port 0, multicast, unspecified).
    pub unanswerable: u64,
    /// PONGs that answer no PING of this tracker.
    pub stray_pongs: u64,
    /// REGISTERs that were answered REGISTERED.
    pub registered: u64,
    /// OWNs that were answered OWNED.
    pub owned: u64,
    /// NEEDs that were answered OWNERS.
    pub needs: u64,
    /// UPDATEs that were answered UPDATED.
    pub updates: u64,
    /// UPDATEs among them that were repetitions.
    pub repeated_updates: u64,
    /// EXITs that were answered GOODBYE.
    pub exits: u64,
    /// Leases that ended.
    pub expired: u64,
    /// Requests that were refused, by reason.
    pub refused: Refusals,
}

/// Refused requests, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Without proof of address.
    pub cookie: u64,
    /// From a node that is not registered from that address.
    pub not_registered: u64,
    /// With an id that a live node has.
    pub id_in_use: u64,
    /// Because too many came from one address.
    pub too_fast: u64,
    /// Because the tables were full.
    pub full: u64,
}

impl Refusals {
    /// All refused requests together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.cookie + self.not_registered + self.id_in_use + self.too_fast + self.full
    }

    pub(crate) fn count(&mut self, code: RefusalCode) {
        let counter = match code {
            RefusalCode::Cookie => &mut self.cookie,
            RefusalCode::NotRegistered => &mut self.not_registered,
            RefusalCode::IdInUse => &mut self.id_in_use,
            RefusalCode::TooFast => &mut self.too_fast,
            RefusalCode::Full => &mut self.full,
        };
        *counter += 1;
    }
}
