//! The swarms of one process: each has a tracker of its own, and all are behind one socket.
//!
//! Nothing is shared but the socket and the clock: tables, limits, cookies and channels are each swarm's own. Which
//! swarm a datagram is for is said by who can read it ([`Channels::concerns`]), never by what it claims.
//!
//! [`Channels::concerns`]: channel::Channels::concerns

use std::net::{IpAddr, SocketAddr};

use channel::{Channels, SwarmSecrets};
use config::MAX_SECRET_FILES;
use messages::{Kind, Timestamp};

use crate::{Output, Tracker, Wait, WaitReason};

/// Several trackers behind one socket: one input, then drain.
#[derive(Debug)]
pub struct Swarms {
    /// The tracker of each swarm, in the order in which they were added. Never empty.
    trackers: Vec<Tracker>,
}

impl Swarms {
    /// The swarms of one process, at most. A stranger's datagram costs one hash for each secret of each of them.
    pub const MAX: usize = MAX_SECRET_FILES + 1;

    /// One swarm. What is for no other goes to its tracker, and so does all that is in the clear: if the open swarm is
    /// served, it is this one.
    #[must_use]
    pub fn of(first: Tracker) -> Swarms {
        Swarms { trackers: vec![first] }
    }

    /// Serves a closed swarm beside the others, by a tracker with channels of its own. What is in the clear never
    /// reaches it.
    ///
    /// # Panics
    /// When there are [`Swarms::MAX`] already.
    pub fn add(&mut self, closed: Tracker) {
        assert!(self.trackers.len() < Swarms::MAX, "more swarms than a process serves");
        self.trackers.push(closed);
    }

    /// The trackers, in the order in which they were added.
    #[must_use]
    pub fn trackers(&self) -> &[Tracker] {
        &self.trackers
    }

    /// The tracker at this place; `None`: there are fewer.
    pub fn tracker_mut(&mut self, which: usize) -> Option<&mut Tracker> {
        self.trackers.get_mut(which)
    }

    /// Takes one datagram that came from `from` and arrived at the local address `reached_at`, if that is known. What is
    /// sealed is opened where it stands.
    pub fn handle(
        &mut self,
        from: SocketAddr,
        reached_at: Option<IpAddr>,
        datagram: &mut [u8],
        now: Timestamp,
    ) {
        if !Kind::is_channel(datagram) {
            return self.trackers[0].handle_datagram(from, reached_at, datagram, now);
        }
        // The first one sees for itself whether a datagram is for it, and counts it if not.
        let is_for = |tracker: &Tracker| tracker.channels().is_some_and(|own| own.concerns(from, datagram));
        let other = self.trackers.iter().skip(1).position(is_for);
        let which = other.map_or(0, |other| other + 1);
        self.trackers[which].handle_sealed(from, reached_at, datagram, now);
    }

    /// Does what is due at `now` and moves the answers and events of each swarm to the end of its output: `outs` has one
    /// for each afterwards, in order. Nothing more is due before the instant that is returned.
    pub fn poll(&mut self, now: Timestamp, outs: &mut Vec<Output>) -> Wait {
        outs.resize_with(self.trackers.len(), Output::default);
        let waits = self.trackers.iter_mut().zip(outs).map(|(tracker, out)| tracker.poll(now, out));
        let nothing = Wait { until: Timestamp::NEVER, reason: WaitReason::Nothing };
        waits.min_by_key(|wait| wait.until).unwrap_or(nothing)
    }

    /// From now on these are the secrets of the swarm with this place.
    pub fn change_secrets(&mut self, which: usize, secrets: &SwarmSecrets) {
        if let Some(tracker) = self.trackers.get_mut(which) {
            tracker.change_secrets(secrets);
        }
    }

    /// Whether one of them is the open swarm.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.trackers[0].channels().is_none_or(|channels| !Channels::is_closed(channels))
    }
}
