//! What datagrams each path carries: found by probing, kept by the peer's address, shared by all sessions with it.
//!
//! Datagram Packetization Layer Path MTU Discovery (RFC 8899), at the downloader: it asks the owner for datagrams of
//! given sizes (PROBE), and what arrives is what the path carries. Knows no sessions, pieces or flows.

mod search;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use messages::Timestamp;
use messages::limits::{BASE_DATAGRAM, MAX_DATAGRAM};
use messages::node_to_node::Probe;
use rand::rngs::StdRng;

use search::Search;

/// What every path is taken to carry.
pub(crate) const BASE: u16 = BASE_DATAGRAM as u16;
/// No longer datagram is asked for, unless a setting says so.
const LONGEST: u16 = MAX_DATAGRAM as u16;
/// A path that was not used for this long is taken for another one: a host may have moved.
const KEPT: Duration = Duration::from_secs(600);

/// The paths that this node fetches over, by the owner's address.
#[derive(Debug)]
pub(crate) struct Paths {
    by_peer: BTreeMap<SocketAddr, Path>,
    longest: u16,
}

#[derive(Debug)]
struct Path {
    search: Search,
    /// Until then bursts are not tried on it.
    apart_until: Timestamp,
    used_at: Timestamp,
}

impl Paths {
    /// No more paths than this are kept.
    const MOST: usize = 1024;

    /// Nothing is known; datagrams of up to `longest` bytes are asked for, 0: what is best.
    pub(crate) fn new(longest: u16) -> Paths {
        let longest = if longest == 0 { LONGEST } else { longest.clamp(BASE, MAX_DATAGRAM as u16) };
        Paths { by_peer: BTreeMap::new(), longest }
    }

    /// The longest datagram that is known to come from `peer`, which is used now.
    pub(crate) fn datagram(&mut self, peer: SocketAddr, now: Timestamp) -> u16 {
        let Some(path) = self.by_peer.get_mut(&peer) else {
            return BASE;
        };
        if now.since(path.used_at) > KEPT {
            *path = Path::new(peer, now);
        }
        path.used_at = now;
        path.search.datagram()
    }

    /// A session with `peer`, which sends datagrams of up to `most` bytes, goes on: what to ask it now, if anything.
    /// An answer is expected within `timeout`.
    pub(crate) fn poll(
        &mut self,
        peer: SocketAddr,
        most: u16,
        timeout: Duration,
        rng: &mut StdRng,
        now: Timestamp,
    ) -> Option<Probe> {
        let most = most.min(self.longest);
        if most <= BASE {
            return None;
        }
        self.used(peer, now).search.poll(most, timeout, rng, now)
    }

    /// When [`Paths::poll`] has something to ask of `peer`.
    pub(crate) fn next_at(&self, peer: SocketAddr) -> Timestamp {
        let known = self.by_peer.get(&peer);
        if self.longest <= BASE {
            Timestamp::NEVER
        } else {
            known.map_or(Timestamp::ZERO, |path| path.search.next_at())
        }
    }

    /// `peer` sent PROBED: `size` bytes in one datagram, for the probe `id`. Whether a longer one is known of now.
    pub(crate) fn on_probed(&mut self, peer: SocketAddr, id: u32, size: u16) -> bool {
        let longest = self.longest;
        let path = self.by_peer.get_mut(&peer).filter(|_| size <= longest);
        path.is_some_and(|path| path.search.on_probed(id, size))
    }

    /// Bursts from `peer` do not arrive whole, and single datagrams do.
    pub(crate) fn on_broken(&mut self, peer: SocketAddr, now: Timestamp) {
        self.used(peer, now).apart_until = now + KEPT;
    }

    /// Whether bursts from `peer` are known not to arrive whole.
    pub(crate) fn breaks_bursts(&self, peer: SocketAddr, now: Timestamp) -> bool {
        self.by_peer.get(&peer).is_some_and(|path| now < path.apart_until)
    }

    fn used(&mut self, peer: SocketAddr, now: Timestamp) -> &mut Path {
        if !self.by_peer.contains_key(&peer) && self.by_peer.len() >= Paths::MOST {
            // Any other will do: what is forgotten is found again.
            self.by_peer.pop_first();
        }
        let path = self.by_peer.entry(peer).or_insert_with(|| Path::new(peer, now));
        if now.since(path.used_at) > KEPT {
            *path = Path::new(peer, now);
        }
        path.used_at = now;
        path
    }

    /// Long datagrams asked for at `asked_at` have vanished, all of them. Whether [`Paths::datagram`] is another now.
    pub(crate) fn on_vanished(&mut self, peer: SocketAddr, asked_at: Timestamp, now: Timestamp) -> bool {
        self.by_peer.get_mut(&peer).is_some_and(|path| path.search.on_vanished(asked_at, now))
    }
}

impl Path {
    fn new(peer: SocketAddr, now: Timestamp) -> Path {
        Path { search: Search::new(peer.is_ipv4(), now), apart_until: Timestamp::ZERO, used_at: now }
    }
}

#[cfg(test)]
mod tests;
