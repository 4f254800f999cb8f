//! Who else could serve a download: when the tracker is asked, and which of the owners that are known are tried.

use config::NodeSettings;
use messages::Timestamp;
use messages::node_to_tracker::Query;

use super::dial_limits::DialLimits;
use super::session::Session;
use super::{Download, Phase};
use crate::context::Context;
use crate::event::SessionEnd;
use crate::ids::SessionKey;
use crate::query::ask_for;

/// Sessions, silent and slow ones included, for each place that a download has for owners.
const SESSIONS_PER_SLOT: usize = 4;

impl Download {
    /// What to ask the tracker now, if anything; it counts as asked.
    pub(crate) fn poll_need(&mut self, now: Timestamp, settings: &NodeSettings) -> Option<Query> {
        if !self.ready_set.is_whole_due(now) || !self.wants_owners() {
            return None;
        }
        if self.has_enough_owners(settings) {
            return None;
        }
        let nobody = self.candidates.is_empty();
        if !self.need.poll(now, &settings.download.need_again, nobody) {
            return None;
        }
        Some(self.content.map_or_else(|| ask_for(&self.order.wanted), Query::Content))
    }

    /// Whether as many owners as are wanted serve it, or will soon have answered. Those that serve others for now count half: there may be
    /// places elsewhere, and they come back. Those that are just greeted count a quarter, where many were greeted in vain.
    pub(super) fn has_enough_owners(&self, settings: &NodeSettings) -> bool {
        let in_haste = self.rotation.needs_haste(settings.download.owners);
        let useful = self.sessions.values().filter(|session| session.holds_slot());
        let quarters = useful.map(|session| match session {
            greeted if greeted.is_handshaking() && in_haste => 1,
            choked if choked.is_choked() => 2,
            _ => 4,
        });
        quarters.sum::<usize>() >= 4 * usize::from(settings.download.owners)
    }

    /// Who is not to be tried now.
    pub(super) fn dial_limits(&self, cx: &Context<'_>) -> DialLimits {
        let mut limits =
            DialLimits::new(cx.node, self.candidates.failed(), cx.settings.download.owners.into());
        let sessions = self.sessions.values();
        sessions.for_each(|session| limits.add(session.owner(), session.peer(), session.is_handshaking()));
        limits
    }

    /// How many owners may be tried, and were not for a long time.
    pub(super) fn untried(&self, cx: &Context<'_>) -> usize {
        self.candidates.untried(cx.now, &self.dial_limits(cx))
    }

    /// Whether `key` has not answered its first HELLO in time, like many before it, and there are others that were not greeted yet.
    pub(super) fn is_passed_over(&self, key: SessionKey, cx: &Context<'_>) -> bool {
        self.rotation.needs_haste(cx.settings.download.owners)
            && self.sessions.get(&key).is_some_and(|session| session.is_unanswered(cx.now))
            && self.untried(cx) > 0
    }

    pub(super) fn wants_owners(&self) -> bool {
        matches!(self.phase, Phase::Locating | Phase::Describing(_) | Phase::Fetching(_))
    }

    /// Tries owners while fewer than N sessions are useful.
    pub(super) fn open_sessions(&mut self, cx: &mut Context<'_>) {
        let Some(content) = self.content.filter(|_| self.wants_owners()) else {
            return;
        };
        let last_resort = self.needs_the_banned(cx.now);
        let mut limits = self.dial_limits(cx);
        while self.wants_sessions(cx) {
            let Some((owner, peer)) = self.candidates.next(cx.now, last_resort, &limits) else {
                return;
            };
            limits.add(owner, peer, true);
            self.candidates.on_tried(owner, cx.now);
            self.rotation.on_greeted();
            let key = SessionKey(self.next_session);
            self.next_session += 1;
            let mut session = Session::new(key, self.id, content, owner, peer, cx);
            // The first HELLO goes at once.
            let none: Option<SessionEnd> = session.handle_time(cx);
            debug_assert!(none.is_none(), "a new session has tries left");
            session.on_parole = self.candidates.on_parole(owner);
            self.sessions.insert(key, session);
        }
    }

    /// Whether there are places for owners: silent ones take none, but there are not endlessly many.
    pub(super) fn wants_sessions(&self, cx: &Context<'_>) -> bool {
        self.sessions.len() < Download::most_sessions(cx.settings) && !self.has_enough_owners(cx.settings)
    }

    /// No more sessions are open at a time.
    pub(super) fn most_sessions(settings: &NodeSettings) -> usize {
        usize::from(settings.download.owners) * SESSIONS_PER_SLOT
    }

    /// Whether only owners that are banned may have what is missing: corruption on the path must not stop the last one.
    pub(super) fn needs_the_banned(&self, now: Timestamp) -> bool {
        if !self.candidates.has_banned(now) {
            return false;
        }
        let useful = self.sessions.values().filter(|session| session.is_useful());
        match &self.phase {
            Phase::Fetching(fetch) => fetch.lacks_owners(useful),
            _ => useful.count() == 0,
        }
    }
}
