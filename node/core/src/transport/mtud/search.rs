//! The search for the longest datagram of one path.
//!
//! ```text
//!   Resting ──time──▶ Probing ──the longest arrived, or three probes──▶ Resting, 600 s
//!     ▲                ▲ │
//!     │                │ └ one tier arrived whole: the next one
//!     │                └── long datagrams vanish: from the base size, and what arrives is believed again
//!     └─────────────────── they vanish again: the base size, and 60 s of rest
//! ```

use std::time::Duration;

use messages::node_to_node::{Probe, ProbeSize};
use messages::{List, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::BASE;

/// A size counts as too long when it was asked for this often without an answer (RFC 8899 §5.1.2, MAX_PROBES).
const MAX_PROBES: u32 = 3;
/// A path is searched again after this long, because it may carry more by then (RFC 8899 §5.1.1, PMTU_RAISE_TIMER).
const RAISE_TIMER: Duration = Duration::from_secs(600);
/// Where long datagrams that had been known to arrive have vanished, none are tried for this long (as in quinn and
/// s2n-quic).
const BLACK_HOLE_REST: Duration = Duration::from_secs(60);
/// A peer that answered no probe at all while its path was suspect is asked again after this long: the sizes were not
/// the cause.
const UNANSWERED_REST: Duration = Duration::from_secs(1);

/// The packet sizes of common links, the longest first: jumbo frames, Ethernet, PPPoE, tunnels, VXLAN, WireGuard, VPNs,
/// and the minimum of IPv6. They are probed in one tier.
const COMMON: [u16; 8] = [9000, 1500, 1492, 1480, 1450, 1420, 1400, 1280];
/// The packet sizes of containers, virtual switches and loopback, the longest first. They are probed only on a path
/// that carries all of the first tier.
const LONG: [u16; 3] = [u16::MAX, 32 << 10, 16 << 10];
/// IPv4 and UDP put this many bytes before a payload.
const V4_HEADERS: u16 = 28;
/// IPv6 and UDP put this many bytes before a payload.
const V6_HEADERS: u16 = 48;

/// The search on one path.
#[derive(Debug)]
pub(super) struct MtuSearch {
    headers: u16,
    /// The longest datagram that is known to arrive.
    datagram: u16,
    /// The number of the probes whose answers count.
    id: Option<u32>,
    state: SearchState,
    /// When long datagrams last vanished.
    black_hole_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchState {
    Resting { until: Timestamp },
    Probing { tier: ProbeTier, tries: u32, next_at: Timestamp, answered: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProbeTier {
    Common,
    Long,
}

impl MtuSearch {
    /// The search on a path of which nothing is known. It may begin at once.
    /// On its way a datagram is `overhead` bytes longer than what is asked for.
    pub(super) fn new(is_ipv4: bool, overhead: u16, now: Timestamp) -> MtuSearch {
        let headers = overhead + if is_ipv4 { V4_HEADERS } else { V6_HEADERS };
        MtuSearch {
            headers,
            datagram: BASE,
            id: None,
            state: SearchState::Resting { until: now },
            black_hole_at: None,
        }
    }

    pub(super) fn datagram(&self) -> u16 {
        self.datagram
    }

    pub(super) fn next_at(&self) -> Timestamp {
        match self.state {
            SearchState::Resting { until } => until,
            SearchState::Probing { next_at, .. } => next_at,
        }
    }

    /// The probe that is due, if one is, for datagrams of up to `max` bytes.
    pub(super) fn poll(
        &mut self,
        max: u16,
        timeout: Duration,
        rng: &mut StdRng,
        now: Timestamp,
    ) -> Option<Probe> {
        if now < self.next_at() {
            return None;
        }
        if matches!(self.state, SearchState::Resting { .. }) {
            self.begin(ProbeTier::Common, false, now);
        }
        // The loop runs a few times at most: from one tier to the next, and to the end.
        loop {
            let SearchState::Probing { tier, tries, answered, .. } = self.state else {
                return None;
            };
            let sizes = self.sizes(tier, max);
            if !sizes.is_empty() && tries < MAX_PROBES {
                let id = *self.id.get_or_insert_with(|| rng.random());
                let next_at = now + timeout * 2u32.pow(tries);
                self.state = SearchState::Probing { tier, tries: tries + 1, next_at, answered };
                return Some(Probe { id, sizes });
            }
            if sizes.is_empty() && tier == ProbeTier::Common {
                self.begin(ProbeTier::Long, answered, now);
            } else {
                self.end(answered, now);
            }
        }
    }

    /// Handles PROBED. Returns whether a longer datagram is known to arrive now.
    pub(super) fn on_probed(&mut self, id: u32, size: u16) -> bool {
        // A late answer counts like one in time.
        if self.id != Some(id) {
            return false;
        }
        if let SearchState::Probing { answered, .. } = &mut self.state {
            *answered = true;
        }
        let longer = size > self.datagram;
        self.datagram = self.datagram.max(size);
        if let SearchState::Probing { tier: ProbeTier::Common, next_at, .. } = &mut self.state
            && size >= COMMON[0] - self.headers
        {
            // The next tier is probed at once.
            *next_at = Timestamp::ZERO;
        }
        longer
    }

    /// Records that long datagrams that were asked for at `asked_at` have vanished. Returns whether that changes the
    /// result of the search.
    pub(super) fn on_vanished(&mut self, asked_at: Timestamp, now: Timestamp) -> bool {
        let is_old = self.black_hole_at.is_some_and(|at| asked_at <= at);
        if self.datagram <= BASE || is_old {
            return false;
        }
        let again = self.is_suspect(now);
        self.datagram = BASE;
        self.id = None;
        self.black_hole_at = Some(now);
        if again {
            // The probes arrive, or seem to, and the long segments do not.
            self.state = SearchState::Resting { until: now + BLACK_HOLE_REST };
        } else {
            self.begin(ProbeTier::Common, false, now);
        }
        true
    }

    /// Whether long datagrams vanished a short while ago.
    fn is_suspect(&self, now: Timestamp) -> bool {
        self.black_hole_at.is_some_and(|at| now.since(at) < BLACK_HOLE_REST)
    }

    fn begin(&mut self, tier: ProbeTier, answered: bool, now: Timestamp) {
        self.state = SearchState::Probing { tier, tries: 0, next_at: now, answered };
    }

    fn end(&mut self, answered: bool, now: Timestamp) {
        let rest = match (self.is_suspect(now), answered) {
            (true, false) => UNANSWERED_REST,
            (true, true) => BLACK_HOLE_REST,
            (false, _) => RAISE_TIMER,
        };
        self.state = SearchState::Resting { until: now + rest };
    }

    /// The sizes that are worth probing: those that are longer than what is known to arrive, the longest first. On a
    /// suspect path the base size is among them, which tells a black hole from an owner that is not there.
    fn sizes(&self, tier: ProbeTier, max: u16) -> List<ProbeSize, 16> {
        let packets: &[u16] = match tier {
            ProbeTier::Common => &COMMON,
            ProbeTier::Long => &LONG,
        };
        let sizes = packets.iter().map(|packet| (packet - self.headers).min(max));
        let mut sizes: Vec<u16> = sizes.filter(|size| *size > self.datagram).collect();
        if !sizes.is_empty() && self.black_hole_at.is_some() && self.datagram == BASE {
            sizes.push(BASE);
        }
        sizes.dedup();
        List::first_of(sizes.into_iter().filter_map(ProbeSize::new))
    }
}
