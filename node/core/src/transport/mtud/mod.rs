//! Which datagrams each path carries. That is found by probing, kept by the peer's address, and shared by all sessions
//! with the peer.
//!
//! This is Datagram Packetization Layer Path MTU Discovery (RFC 8899) at the downloader. It asks the owner for
//! datagrams of given sizes (PROBE); the sizes that arrive are those that the path carries. This module knows no
//! sessions, pieces or flows.

mod search;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use messages::limits::{BASE_DATAGRAM, MAX_DATAGRAM};
use messages::node_to_node::Probe;
use messages::{CHUNK_HEADER, Timestamp};
use rand::rngs::StdRng;

use search::MtuSearch;

/// Every path is taken to carry a datagram of this length (RFC 8899: BASE_PLPMTU).
pub(crate) const BASE: u16 = BASE_DATAGRAM as u16;
/// The longest datagram that is asked for, unless a setting says otherwise: 16 KiB of a file, which are whole pages on
/// both sides.
///
/// Measured over loopback, 2 cores, 1 GiB into a tmpfs, medians of 3 or 4 (each column one run, interleaved);
/// CPU-seconds a GiB of both sides, and of the downloader's network thread:
///
/// | datagram | 1 → 1 | 4 → 1 | 1 → 4, 256 MiB each |
/// |---|---|---|---|
/// | 1200 | 804 MB/s, 2.49, 0.53 | 657 MB/s, 2.93, 0.71 | 701 MB/s, 2.98, 0.69 |
/// | 1472 | 780 MB/s, 2.55, 0.52 | | |
/// | 8972 | 818 MB/s, 2.30, 0.44 | 726 MB/s, 2.71, 0.52 | 757 MB/s, 2.65, 0.62 |
/// | 16,416 | 839 MB/s, 2.30, 0.43 | 724 MB/s, 2.75, 0.66 | 763 MB/s, 2.61, 0.58 |
/// | 32,800 | 805 MB/s, 2.46, 0.47 | | |
/// | 65,507 | 819 MB/s, 2.46, 0.52 | 699 MB/s, 2.68, 0.62 | 767 MB/s, 2.62, 0.64 |
///
/// Bursts of 64 KiB leave and arrive in one system call whatever their segments are. So longer segments save headers
/// and the walk over them, a fifth of the network thread and a tenth of all. Beyond 9 KB no gain is seen above the
/// noise of a tenth, and each loss costs more. No datagram was lost in the receive buffer in any of these runs. In a
/// buffer of 212,992 bytes none was lost either, except for datagrams of 65,507 bytes from four owners: 3 in 3 GiB.
const DEFAULT_MAX_DATAGRAM: u16 = (CHUNK_HEADER + (16 << 10)) as u16;
/// What is known of a path is forgotten after the path was not used for this long, because a host may have moved.
const PATH_LIFETIME: Duration = Duration::from_secs(600);

/// The paths over which this node fetches, by the owner's address.
#[derive(Debug)]
pub(crate) struct PathMtus {
    by_peer: BTreeMap<SocketAddr, PathMtu>,
    max_datagram: u16,
    overhead: Overhead,
}

/// By how many bytes a datagram to a peer is longer on its way than what is said in it.
struct Overhead(Box<dyn Fn(SocketAddr) -> u16 + Send>);

impl fmt::Debug for Overhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overhead(..)")
    }
}

/// What is known of the path to one peer.
#[derive(Debug)]
struct PathMtu {
    search: MtuSearch,
    /// Until when bursts with segmentation offload are not tried on the path.
    no_gso_until: Timestamp,
    used_at: Timestamp,
}

impl PathMtus {
    /// At most this many paths are kept.
    const MAX: usize = 1024;

    /// A table in which no path is known yet. Datagrams of up to `max_datagram` bytes are asked for; 0 means the
    /// default.
    pub(crate) fn new(max_datagram: u16) -> PathMtus {
        let max_datagram = if max_datagram == 0 {
            DEFAULT_MAX_DATAGRAM
        } else {
            max_datagram.clamp(BASE, MAX_DATAGRAM as u16)
        };
        PathMtus { by_peer: BTreeMap::new(), max_datagram, overhead: Overhead(Box::new(|_| 0)) }
    }

    /// From now on datagrams to a peer are `overhead` bytes longer on their way than what is said in them.
    pub(crate) fn shorten(&mut self, overhead: impl Fn(SocketAddr) -> u16 + Send + 'static) {
        self.overhead = Overhead(Box::new(overhead));
    }

    /// Records that the path to `peer` is used now. Returns the longest datagram that is known to arrive over it.
    pub(crate) fn use_path(&mut self, peer: SocketAddr, now: Timestamp) -> u16 {
        let Some(path) = self.by_peer.get_mut(&peer) else {
            return BASE;
        };
        if now.since(path.used_at) > PATH_LIFETIME {
            *path = PathMtu::new(peer, (self.overhead.0)(peer), now);
        }
        path.used_at = now;
        path.search.datagram()
    }

    /// The probe that `peer` is to be sent now, if one is due. The peer sends datagrams of up to `max` bytes, and is
    /// expected to answer within `timeout`.
    pub(crate) fn poll(
        &mut self,
        peer: SocketAddr,
        max: u16,
        timeout: Duration,
        rng: &mut StdRng,
        now: Timestamp,
    ) -> Option<Probe> {
        let max = max.min(self.max_datagram);
        if max <= BASE {
            return None;
        }
        self.used_path(peer, now).search.poll(max, timeout, rng, now)
    }

    /// When [`PathMtus::poll`] has the next probe for `peer`.
    pub(crate) fn next_at(&self, peer: SocketAddr) -> Timestamp {
        let known = self.by_peer.get(&peer);
        if self.max_datagram <= BASE {
            Timestamp::NEVER
        } else {
            known.map_or(Timestamp::ZERO, |path| path.search.next_at())
        }
    }

    /// Handles PROBED of `peer`, a datagram of `size` bytes that answers the probe `id`. Returns whether a longer
    /// datagram is known to arrive now.
    pub(crate) fn on_probed(&mut self, peer: SocketAddr, id: u32, size: u16) -> bool {
        let max_datagram = self.max_datagram;
        let path = self.by_peer.get_mut(&peer).filter(|_| size <= max_datagram);
        path.is_some_and(|path| path.search.on_probed(id, size))
    }

    /// Records that bursts from `peer` do not arrive whole, and single datagrams do.
    pub(crate) fn on_broken(&mut self, peer: SocketAddr, now: Timestamp) {
        self.used_path(peer, now).no_gso_until = now + PATH_LIFETIME;
    }

    /// Whether bursts from `peer` are known not to arrive whole.
    pub(crate) fn breaks_bursts(&self, peer: SocketAddr, now: Timestamp) -> bool {
        self.by_peer.get(&peer).is_some_and(|path| now < path.no_gso_until)
    }

    /// The path to `peer`, which is used now.
    fn used_path(&mut self, peer: SocketAddr, now: Timestamp) -> &mut PathMtu {
        if !self.by_peer.contains_key(&peer) && self.by_peer.len() >= PathMtus::MAX {
            // Any other path may be forgotten: what is known of it is found again.
            self.by_peer.pop_first();
        }
        let overhead = (self.overhead.0)(peer);
        let path = self.by_peer.entry(peer).or_insert_with(|| PathMtu::new(peer, overhead, now));
        if now.since(path.used_at) > PATH_LIFETIME {
            *path = PathMtu::new(peer, overhead, now);
        }
        path.used_at = now;
        path
    }

    /// Records that all long datagrams that were asked for at `asked_at` have vanished. Returns whether the result of
    /// [`PathMtus::use_path`] changes.
    pub(crate) fn on_vanished(&mut self, peer: SocketAddr, asked_at: Timestamp, now: Timestamp) -> bool {
        self.by_peer.get_mut(&peer).is_some_and(|path| path.search.on_vanished(asked_at, now))
    }
}

impl PathMtu {
    fn new(peer: SocketAddr, overhead: u16, now: Timestamp) -> PathMtu {
        let search = MtuSearch::new(peer.is_ipv4(), overhead, now);
        PathMtu { search, no_gso_until: Timestamp::ZERO, used_at: now }
    }
}

#[cfg(test)]
mod tests;
