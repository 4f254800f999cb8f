//! The search for the longest datagram of one path.
//!
//! ```text
//!   Rests ──time──▶ Searches ──the longest arrived, or three tries──▶ Rests, 600 s
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

/// How often a size is asked for before it counts as too long (RFC 8899 §5.1.2, MAX_PROBES).
const TRIES: u32 = 3;
/// The path may carry more by then (RFC 8899 §5.1.1, PMTU_RAISE_TIMER).
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// Where long datagrams vanished although they were believed in, no more of them for this long (as in quinn and s2n-quic).
const BLACK_HOLE_REST: Duration = Duration::from_secs(60);
/// Who answered nothing at all while it was in doubt is asked again after this long: it was no matter of sizes.
const DEAF_REST: Duration = Duration::from_secs(1);

/// Packet sizes of common links, longest first: in one tier, then beyond it. IPv6's least, VPNs, WireGuard, VXLAN,
/// tunnels, PPPoE, Ethernet, jumbo frames.
const COMMON: [u16; 8] = [9000, 1500, 1492, 1480, 1450, 1420, 1400, 1280];
/// Only who carries all of the first tier is asked for these: containers, virtual switches, loopback.
const BEYOND: [u16; 3] = [u16::MAX, 32 << 10, 16 << 10];
/// What IP and UDP put before a payload.
const V4_HEADERS: u16 = 28;
const V6_HEADERS: u16 = 48;

/// One path's search.
#[derive(Debug)]
pub(super) struct Search {
    headers: u16,
    /// The longest datagram that is known to arrive.
    datagram: u16,
    /// The number of the probes whose answers count.
    id: Option<u32>,
    state: State,
    /// When long datagrams had vanished last.
    doubted_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Rests { until: Timestamp },
    Searches { tier: Tier, tries: u32, next_at: Timestamp, answered: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Common,
    Beyond,
}

impl Search {
    /// Nothing is known of the path, which may be searched at once.
    pub(super) fn new(is_ipv4: bool, now: Timestamp) -> Search {
        let headers = if is_ipv4 { V4_HEADERS } else { V6_HEADERS };
        Search { headers, datagram: BASE, id: None, state: State::Rests { until: now }, doubted_at: None }
    }

    pub(super) fn datagram(&self) -> u16 {
        self.datagram
    }

    pub(super) fn next_at(&self) -> Timestamp {
        match self.state {
            State::Rests { until } => until,
            State::Searches { next_at, .. } => next_at,
        }
    }

    /// The probe that is due, if one is: for datagrams of up to `most` bytes.
    pub(super) fn poll(
        &mut self,
        most: u16,
        timeout: Duration,
        rng: &mut StdRng,
        now: Timestamp,
    ) -> Option<Probe> {
        if now < self.next_at() {
            return None;
        }
        if matches!(self.state, State::Rests { .. }) {
            self.begin(Tier::Common, false, now);
        }
        // At most twice: from one tier to the next, and to the end.
        loop {
            let State::Searches { tier, tries, answered, .. } = self.state else {
                return None;
            };
            let sizes = self.sizes(tier, most);
            if !sizes.is_empty() && tries < TRIES {
                let id = *self.id.get_or_insert_with(|| rng.random());
                let next_at = now + timeout * 2u32.pow(tries);
                self.state = State::Searches { tier, tries: tries + 1, next_at, answered };
                return Some(Probe { id, sizes });
            }
            if sizes.is_empty() && tier == Tier::Common {
                self.begin(Tier::Beyond, answered, now);
            } else {
                self.end(answered, now);
            }
        }
    }

    /// PROBED arrived. Whether a longer datagram is known of now.
    pub(super) fn on_probed(&mut self, id: u32, size: u16) -> bool {
        // A late answer is as good as one in time.
        if self.id != Some(id) {
            return false;
        }
        if let State::Searches { answered, .. } = &mut self.state {
            *answered = true;
        }
        let longer = size > self.datagram;
        self.datagram = self.datagram.max(size);
        if let State::Searches { tier: Tier::Common, next_at, .. } = &mut self.state
            && size >= COMMON[0] - self.headers
        {
            // The next tier at once.
            *next_at = Timestamp::ZERO;
        }
        longer
    }

    /// Long datagrams asked for at `asked_at` have vanished. Whether that is news.
    pub(super) fn on_vanished(&mut self, asked_at: Timestamp, now: Timestamp) -> bool {
        let is_old = self.doubted_at.is_some_and(|doubted_at| asked_at <= doubted_at);
        if self.datagram <= BASE || is_old {
            return false;
        }
        let again = self.doubted_at.is_some_and(|doubted_at| now.since(doubted_at) < BLACK_HOLE_REST);
        self.datagram = BASE;
        self.id = None;
        self.doubted_at = Some(now);
        if again {
            // Probes arrive, or seem to, and what is asked for does not.
            self.state = State::Rests { until: now + BLACK_HOLE_REST };
        } else {
            self.begin(Tier::Common, false, now);
        }
        true
    }

    fn begin(&mut self, tier: Tier, answered: bool, now: Timestamp) {
        self.state = State::Searches { tier, tries: 0, next_at: now, answered };
    }

    fn end(&mut self, answered: bool, now: Timestamp) {
        let in_doubt = self.doubted_at.is_some_and(|doubted_at| now.since(doubted_at) < BLACK_HOLE_REST);
        let rest = match (in_doubt, answered) {
            (true, false) => DEAF_REST,
            (true, true) => BLACK_HOLE_REST,
            (false, _) => RAISE_AFTER,
        };
        self.state = State::Rests { until: now + rest };
    }

    /// What is worth asking for: longer than what is known of, the longest first. In doubt, the base size too, which
    /// tells a black hole from an owner that is not there.
    fn sizes(&self, tier: Tier, most: u16) -> List<ProbeSize, 16> {
        let packets: &[u16] = match tier {
            Tier::Common => &COMMON,
            Tier::Beyond => &BEYOND,
        };
        let sizes = packets.iter().map(|packet| (packet - self.headers).min(most));
        let mut sizes: Vec<u16> = sizes.filter(|size| *size > self.datagram).collect();
        if !sizes.is_empty() && self.doubted_at.is_some() && self.datagram == BASE {
            sizes.push(BASE);
        }
        sizes.dedup();
        List::first_of(sizes.into_iter().filter_map(ProbeSize::new))
    }
}
