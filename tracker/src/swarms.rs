//! The swarms of one process: each has a tracker of its own, and all are behind one socket, with the desk for codes if
//! there is one.
//!
//! Nothing is shared but the socket and the clock: tables, limits, cookies and channels are each swarm's own. Which
//! swarm a datagram is for is said by who can read it ([`Channels::concerns`]), never by what it claims.
//!
//! [`Channels::concerns`]: channel::Channels::concerns

use std::net::{IpAddr, SocketAddr};

use channel::{Channels, Members, SwarmSecrets};
use config::MAX_SECRET_FILES;
use messages::{Kind, Timestamp};

use crate::{CodeDesk, Output, Tracker, Wait, WaitReason};

/// Several trackers behind one socket: one input, then drain.
#[derive(Debug)]
pub struct Swarms {
    /// The tracker of each swarm, in the order in which they were added. Never empty.
    trackers: Vec<Tracker>,
    desk: Option<Box<CodeDesk>>,
}

impl Swarms {
    /// The swarms of one process, at most. A stranger's datagram costs one hash for each secret of each of them.
    pub const MAX: usize = MAX_SECRET_FILES + 1;

    /// One swarm. What is for no other goes to its tracker, and so does all that is in the clear: if the open swarm is
    /// served, it is this one.
    #[must_use]
    pub fn of(first: Tracker) -> Swarms {
        Swarms { trackers: vec![first], desk: None }
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

    /// Serves codes, too, at `desk`.
    #[must_use]
    pub fn with_desk(self, desk: CodeDesk) -> Swarms {
        Swarms { desk: Some(Box::new(desk)), ..self }
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
        match (other, self.desk.as_deref_mut().filter(|desk| desk.concerns(from, datagram))) {
            (Some(other), _) => self.trackers[other + 1].handle_sealed(from, reached_at, datagram, now),
            (None, Some(desk)) => desk.handle_sealed(from, reached_at, datagram, now),
            (None, None) => self.trackers[0].handle_sealed(from, reached_at, datagram, now),
        }
    }

    /// Does what is due at `now` and moves the answers and events of each swarm to the end of its output: `outs` has one
    /// for each afterwards, in order, and the desk's behind them. Nothing more is due before the instant that is returned.
    pub fn poll(&mut self, now: Timestamp, outs: &mut Vec<Output>) -> Wait {
        outs.resize_with(self.trackers.len() + usize::from(self.desk.is_some()), Output::default);
        let mut outs = outs.iter_mut();
        let waits = self.trackers.iter_mut().zip(&mut outs).map(|(tracker, out)| tracker.poll(now, out));
        let nothing = Wait { until: Timestamp::NEVER, reason: WaitReason::Nothing };
        let first = waits.min_by_key(|wait| wait.until).unwrap_or(nothing);
        match self.desk.as_deref_mut().zip(outs.next()) {
            Some((desk, out)) => std::cmp::min_by_key(first, desk.poll(now, out), |wait| wait.until),
            None => first,
        }
    }

    /// From now on these are the secrets of the swarm with this place.
    pub fn change_secrets(&mut self, which: usize, secrets: &SwarmSecrets) {
        if let Some(tracker) = self.trackers.get_mut(which) {
            tracker.change_secrets(secrets);
        }
    }

    /// From now on these are the members, in every swarm.
    pub fn change_members(&mut self, members: &Members) {
        self.trackers.iter_mut().for_each(|tracker| tracker.change_members(members));
    }

    /// Whether one of them is the open swarm.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.trackers[0].channels().is_none_or(|channels| !Channels::is_closed(channels))
    }
}
