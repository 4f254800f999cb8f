//! Which sessions a download looks at in its next turn: those to which something has happened, and those for which a
//! timer is due. A node that fetches much from many owners receives a datagram for one session at a time; the other
//! sessions need not be looked at.

use messages::Timestamp;

use crate::ids::SessionKey;
use crate::output::Wait;

/// The sessions that are ready, and when the others will be.
#[derive(Debug)]
pub(super) struct ReadySet {
    /// Whether something has happened that concerns all sessions.
    all_marked: bool,
    /// When the download as a whole is to be looked at, even if nothing happens before.
    whole: Wait,
    /// The sessions in ascending order of their keys. They are in one block of memory, because all are visited for each
    /// datagram.
    sessions: Vec<Watched>,
}

/// What is known of a session without reading the session itself.
#[derive(Clone, Copy, Debug)]
struct Watched {
    key: SessionKey,
    /// Whether something has happened to the session.
    is_marked: bool,
    /// When the session is to be looked at, even if nothing happens before.
    wakes: Wait,
    /// The number of outstanding bytes, if the session's path is so short that all of them may arrive at once;
    /// otherwise 0.
    local: u32,
}

impl ReadySet {
    /// The set of a new download, which has no session yet. The download as a whole is due.
    pub(super) fn new() -> ReadySet {
        ReadySet { all_marked: true, whole: Wait::IDLE, sessions: Vec::new() }
    }

    /// Marks all sessions, because something has happened that concerns them all.
    pub(super) fn mark_all(&mut self) {
        self.all_marked = true;
    }

    /// Marks `session`, because something has happened to it alone.
    pub(super) fn mark(&mut self, session: SessionKey) {
        self.watched(session).is_marked = true;
    }

    /// Whether the download as a whole is to be looked at.
    pub(super) fn is_whole_due(&self, now: Timestamp) -> bool {
        self.all_marked || self.whole.until <= now
    }

    /// Whether something has happened since the last turn.
    pub(super) fn is_marked(&self) -> bool {
        self.all_marked || self.sessions.iter().any(|session| session.is_marked)
    }

    /// When the next session, or the download as a whole, is to be looked at, even if nothing happens before.
    pub(super) fn wait(&self) -> Wait {
        self.sessions.iter().map(|session| session.wakes).fold(self.whole, Wait::earlier)
    }

    /// Takes the sessions that are ready. All marks are cleared.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<SessionKey> {
        self.all_marked = false;
        let due = self.sessions.iter_mut().filter_map(|session| {
            (std::mem::take(&mut session.is_marked) || session.wakes.until <= now).then_some(session.key)
        });
        due.collect()
    }

    /// Plans the next turn of the download as a whole for `wait`.
    pub(super) fn plan(&mut self, wait: Wait) {
        self.whole = wait;
    }

    /// Plans the next turn of `session` for `wakes`. `local` is the number of bytes outstanding over its path, if that
    /// is short.
    pub(super) fn plan_session(&mut self, session: SessionKey, wakes: Wait, local: u32) {
        let watched = self.watched(session);
        (watched.wakes, watched.local) = (wakes, local);
    }

    /// Records that `local` bytes are outstanding over the path of `session`, if that is short.
    pub(super) fn note_local(&mut self, session: SessionKey, local: u32) {
        self.watched(session).local = local;
    }

    /// Forgets `session`, which is over.
    pub(super) fn forget(&mut self, session: SessionKey) {
        self.sessions.retain(|watched| watched.key != session);
    }

    /// The number of bytes outstanding over short paths, as far as it was recorded.
    pub(super) fn local_outstanding(&self) -> u32 {
        self.sessions.iter().fold(0, |sum, session| sum.saturating_add(session.local))
    }

    fn watched(&mut self, key: SessionKey) -> &mut Watched {
        let found = self.sessions.binary_search_by_key(&key, |watched| watched.key);
        let index = found.unwrap_or_else(|index| {
            self.sessions.insert(index, Watched { key, is_marked: true, wakes: Wait::IDLE, local: 0 });
            index
        });
        &mut self.sessions[index]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::output::Reason;

    proptest! {
        /// Exactly the sessions are looked at to which something has happened or whose timer is due, and the set tells
        /// when the next is due, whatever happens.
        #[test]
        fn nobody_is_forgotten_and_nobody_is_looked_at_in_vain(
            steps in prop::collection::vec((0u8..5, 0u32..8, 0u64..50), 0..100),
        ) {
            let (mut ready_set, mut now) = (ReadySet::new(), Timestamp::ZERO);
            ready_set.take(now);
            let (mut drawn, mut timers) = (BTreeSet::new(), BTreeMap::new());
            for (what, number, millis) in steps {
                let (key, after) = (SessionKey(number), now + Duration::from_millis(millis));
                match what {
                    0 => {
                        ready_set.mark(key);
                        drawn.insert(key);
                        timers.entry(key).or_insert(Timestamp::NEVER);
                    }
                    1 => {
                        let is_new = timers.insert(key, after).is_none();
                        ready_set.plan_session(key, Wait { until: after, reason: Reason::LossTimer }, number);
                        if is_new {
                            drawn.insert(key);
                        }
                    }
                    2 => {
                        ready_set.forget(key);
                        drawn.remove(&key);
                        timers.remove(&key);
                    }
                    3 => now = after,
                    _ => {
                        let due = timers.iter().filter(|(key, at)| drawn.contains(*key) || **at <= now);
                        let due: Vec<SessionKey> = due.map(|(key, _)| *key).collect();
                        prop_assert_eq!(ready_set.take(now), due);
                        drawn.clear();
                    }
                }
                prop_assert_eq!(ready_set.is_marked(), !drawn.is_empty());
                let next = timers.values().min().copied().unwrap_or(Timestamp::NEVER);
                prop_assert_eq!(ready_set.wait().until, next);
            }
        }
    }
}
