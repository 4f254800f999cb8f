//! Who else could serve a download: when the tracker is asked, and which of the owners that are known are tried.

use config::NodeSettings;
use messages::Timestamp;
use messages::node_to_tracker::Query;

use super::session::Session;
use super::{Download, Phase};
use crate::context::Context;
use crate::event::SessionEnd;
use crate::ids::SessionKey;
use crate::question::ask_for;

/// Sessions, silent and slow ones included, for each place that a download has for owners.
const MOST_SILENT: usize = 4;

impl Download {
    /// What to ask the tracker now, if anything; it counts as asked.
    pub(crate) fn poll_need(&mut self, now: Timestamp, settings: &NodeSettings) -> Option<Query> {
        if !self.attention.is_on_everything(now) || !self.wants_owners() {
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
    /// places elsewhere, and they come back.
    pub(super) fn has_enough_owners(&self, settings: &NodeSettings) -> bool {
        let useful = self.sessions.values().filter(|session| session.takes_place());
        let halves: usize = useful.map(|session| if session.is_choked() { 1 } else { 2 }).sum();
        halves >= 2 * usize::from(settings.download.owners)
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
        while self.wants_sessions(cx) {
            let busy = |node| node == cx.node || self.sessions.values().any(|session| session.owner == node);
            let Some((owner, peer)) = self.candidates.next(cx.now, last_resort, busy) else {
                return;
            };
            self.candidates.on_tried(owner, cx.now);
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
        usize::from(settings.download.owners) * MOST_SILENT
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
