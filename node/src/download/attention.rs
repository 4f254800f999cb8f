//! What of a download is looked at in its next turn: what something has happened to, and what a timer is due for. A node that fetches much
//! from many gets a datagram for one session at a time; the others need not be looked at.

use std::collections::BTreeSet;

use messages::Timestamp;

use crate::ids::SessionKey;
use crate::output::Wait;

/// What is to be looked at.
#[derive(Debug)]
pub(super) struct Attention {
    everything: bool,
    sessions: BTreeSet<SessionKey>,
    /// When the download as a whole, and when any of its sessions, is to be looked at although nothing happens.
    whole: Wait,
    session: Wait,
}

impl Attention {
    /// Everything is new.
    pub(super) fn new() -> Attention {
        let (whole, session) = (Wait::IDLE, Wait::IDLE);
        Attention { everything: true, sessions: BTreeSet::new(), whole, session }
    }

    /// Anything may have changed.
    pub(super) fn to_everything(&mut self) {
        self.everything = true;
    }

    /// Something concerns this session alone.
    pub(super) fn to(&mut self, session: SessionKey) {
        self.sessions.insert(session);
    }

    /// Whether the download as a whole is to be looked at.
    pub(super) fn is_on_everything(&self, now: Timestamp) -> bool {
        self.everything || self.whole.until <= now
    }

    /// Whether something has happened since the last turn.
    pub(super) fn is_drawn(&self) -> bool {
        self.everything || !self.sessions.is_empty()
    }

    /// Whether anything is to be looked at.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.is_drawn() || self.wait().until <= now
    }

    /// When anything is to be looked at although nothing happens.
    pub(super) fn wait(&self) -> Wait {
        self.whole.earlier(self.session)
    }

    /// What was looked at is forgotten; the sessions to which something has happened.
    pub(super) fn take(&mut self) -> BTreeSet<SessionKey> {
        self.everything = false;
        std::mem::take(&mut self.sessions)
    }

    /// When the download as a whole is due next.
    pub(super) fn plan_whole(&mut self, wait: Wait) {
        self.whole = wait;
    }

    /// When the first of the sessions is due next.
    pub(super) fn plan_sessions(&mut self, wait: Wait) {
        self.session = wait;
    }
}
