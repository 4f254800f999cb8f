//! The tracker's host: the pure tracker, its address and link, and the driver around it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use channel::{Policy, SwarmSecret};
use config::TrackerSettings;
use messages::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tracker::{Output, Swarms, Tracker};

use super::payload::Payload;
use super::sim_event::SimEvent;
use super::{TRACKER, World};
use crate::link::LinkSpec;

/// The one tracker of a world.
#[derive(Debug)]
pub struct TrackerHost {
    /// The tracker itself, as it is in its present life: that of the open swarm, and those of closed ones.
    pub core: Swarms,
    pub(super) address: SocketAddr,
    pub(super) link: LinkSpec,
    /// Whether the link's burst losses are in their bad state.
    pub(super) is_link_bad: bool,
    pub(super) is_running: bool,
    /// What it may say in the clear. `None`: everything.
    pub(super) policy: Option<Policy>,
    /// The closed swarms that it serves, in order.
    pub(super) closed: Vec<SwarmSecret>,
    /// Which poll comes next: a wake-up from before an earlier one counts no more.
    pub(super) round: u64,
    scratch: Vec<Output>,
}

impl TrackerHost {
    /// A tracker that starts at `now`.
    pub(super) fn new(link: LinkSpec, rng: &mut StdRng, now: Timestamp) -> TrackerHost {
        TrackerHost {
            core: Swarms::of(start(rng, now)),
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 255, 0, 1)), 12345),
            link,
            is_link_bad: false,
            is_running: true,
            policy: None,
            closed: Vec::new(),
            round: 0,
            scratch: Vec::new(),
        }
    }
}

/// The tracker of one swarm.
pub(super) fn start(rng: &mut StdRng, now: Timestamp) -> Tracker {
    Tracker::new(TrackerSettings::default(), rng.random(), rng.random(), now)
}

impl World {
    pub(super) fn deliver_to_tracker(&mut self, from: SocketAddr, payload: &Payload) {
        self.trace(1, TRACKER, payload.bytes());
        if let (Payload::Control(bytes), true) = (payload, self.tracker.is_running) {
            self.count_from_stranger(TRACKER, from, bytes.len() as u64);
            let reached_at = Some(self.tracker.address.ip());
            self.tracker.core.handle(from, reached_at, &mut bytes.clone(), self.now);
            self.poll_tracker();
        }
    }

    /// Starts the tracker anew, with empty tables and another key.
    pub(super) fn start_tracker(&mut self) {
        self.trace(8, TRACKER, 0);
        self.tracker.core = Swarms::of(start(&mut self.rng, self.now));
        self.seal_tracker();
        self.tracker.is_running = true;
        self.poll_tracker();
    }

    /// Polls the tracker until it waits, and sends what it answers.
    pub(super) fn poll_tracker(&mut self) {
        let mut outs = std::mem::take(&mut self.tracker.scratch);
        let wait = loop {
            let wait = self.tracker.core.poll(self.now, &mut outs);
            for (datagram, bytes) in outs.iter().flat_map(Output::datagrams) {
                self.send(TRACKER, self.tracker.address, datagram.to, Payload::Control(bytes.to_vec()));
            }
            outs.iter_mut().for_each(Output::clear);
            if wait.until > self.now {
                break wait;
            }
        };
        self.tracker.scratch = outs;
        self.tracker.round += 1;
        if wait.until < Timestamp::NEVER {
            let round = self.tracker.round;
            self.schedule(wait.until, SimEvent::Wake { host: TRACKER, round });
        }
    }
}
