//! The sessions of one download, and which of these are looked at in the next turn.
//!
//! Code that borrows a session for an input from outside marks it ready by that; a change that concerns other sessions
//! marks all of them ready. So no caller has to remember a separate call. What a session does in its own turn marks
//! nothing ready.

use std::collections::BTreeMap;

use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, NodeId, PieceIndex, Timestamp};

use super::duplicates::DuplicateRequests;
use super::ready_set::ReadySet;
use super::session::Session;
use crate::context::Context;
use crate::event::SessionEnd;
use crate::ids::SessionKey;
use crate::output::Wait;
use crate::transport::Arrival;

/// How an owner answers requests, as its session's last turn has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// The owner answers in time, or was asked for nothing.
    InTime,
    /// A timeout has passed, for which the path may be the cause.
    TimedOut,
    /// A timeout has passed, and the owner turns suspect by that.
    TurnedSuspect,
    /// Nothing came for so long that the owner is snubbed from now on.
    Snubbed,
}

/// The result of a session's turn.
#[derive(Debug)]
pub(super) struct SessionTurn {
    pub(super) answering: Answering,
    /// Whether the owner loses its slot from now on, because it sends nothing.
    pub(super) turned_unproductive: bool,
    /// The ranges that were asked for and are now taken for lost.
    pub(super) lost: Vec<ByteRange>,
}

/// The open sessions of one download.
#[derive(Debug)]
pub(super) struct OpenSessions {
    open: BTreeMap<SessionKey, Session>,
    next_key: u32,
    ready: ReadySet,
}

impl OpenSessions {
    /// No session is open yet.
    pub(super) fn new() -> OpenSessions {
        OpenSessions { open: BTreeMap::new(), next_key: 0, ready: ReadySet::new() }
    }

    /// All open sessions by their keys.
    pub(super) fn all(&self) -> &BTreeMap<SessionKey, Session> {
        &self.open
    }

    /// All open sessions in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> + Clone {
        self.open.values()
    }

    /// The keys of the sessions for which `chosen` holds.
    pub(super) fn keys_of(&self, chosen: impl Fn(&Session) -> bool) -> Vec<SessionKey> {
        self.iter().filter(|session| chosen(session)).map(Session::key).collect()
    }

    /// The number of open sessions.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The session `key`.
    pub(super) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.open.get(&key)
    }

    /// The session with `owner`.
    pub(super) fn with_owner(&self, owner: NodeId) -> Option<&Session> {
        self.iter().find(|session| session.owner() == owner)
    }

    /// The session `key`, for a change that concerns no other session. The session is marked ready.
    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        let session = self.open.get_mut(&key)?;
        self.ready.mark(key);
        Some(session)
    }

    /// The session `key`, for a change that may concern other sessions. All sessions are marked ready.
    pub(super) fn get_mut_for_all(&mut self, key: SessionKey) -> Option<&mut Session> {
        let session = self.open.get_mut(&key)?;
        self.ready.mark_all();
        Some(session)
    }

    /// The session `key`, for a change within a turn, which marks nothing ready.
    pub(super) fn in_turn(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.open.get_mut(&key)
    }

    /// All sessions, for changes within a turn, which mark nothing ready.
    pub(super) fn all_in_turn(&mut self) -> impl Iterator<Item = &mut Session> {
        self.open.values_mut()
    }

    /// Draws the key of a new session.
    pub(super) fn next_key(&mut self) -> SessionKey {
        let key = SessionKey(self.next_key);
        self.next_key += 1;
        key
    }

    /// Adds the open session `session`.
    pub(super) fn insert(&mut self, session: Session) {
        self.open.insert(session.key(), session);
    }

    /// Removes the session `key`, which is over. All others are marked ready, since they take over its work.
    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.open.remove(&key)?;
        self.ready.forget(key);
        self.ready.mark_all();
        Some(session)
    }

    /// Marks all sessions ready, because of a change that concerns all.
    pub(super) fn mark_all(&mut self) {
        self.ready.mark_all();
    }

    /// Which sessions are ready, and when the others will be.
    pub(super) fn ready(&self) -> &ReadySet {
        &self.ready
    }

    /// The sessions that are looked at now: all if `whole`, otherwise the ready ones. The marks are cleared.
    pub(super) fn take_ready(&mut self, whole: bool, now: Timestamp) -> Vec<SessionKey> {
        let ready = self.ready.take(now);
        if whole { self.open.keys().copied().collect() } else { ready }
    }

    /// Plans the next turn of the download as a whole for `wait`.
    pub(super) fn plan(&mut self, wait: Wait) {
        self.ready.plan(wait);
    }

    /// Plans the next turn of the session `key` for `wakes`, even if nothing happens before.
    pub(super) fn plan_session(&mut self, key: SessionKey, wakes: Wait) {
        let local = self.open.get(&key).map_or(0, Session::local_outstanding);
        self.ready.plan_session(key, wakes, local);
    }

    /// Sets whether the session `key` is too slow for a slot. The change concerns all sessions, because others may be
    /// wanted in its place.
    pub(super) fn set_slow(&mut self, key: SessionKey, is_slow: bool) {
        let session = self.get_mut_for_all(key);
        session.expect("only sessions that are open are ranked").set_slow(is_slow);
    }

    /// Puts the session with `owner` on parole: the owner gives one whole piece at a time from now on. Returns the
    /// session, unless there is none or it was on parole already.
    pub(super) fn put_on_parole(&mut self, owner: NodeId) -> Option<SessionKey> {
        let session = self.all_in_turn().find(|session| session.owner() == owner)?;
        let was_on_parole = std::mem::replace(&mut session.on_parole, true);
        (!was_on_parole).then_some(session.key())
    }

    /// Ends the parole of the session with `owner`, which is trusted again. Returns the session, if there is one.
    pub(super) fn end_parole(&mut self, owner: NodeId) -> Option<SessionKey> {
        let session = self.all_in_turn().find(|session| session.owner() == owner)?;
        session.on_parole = false;
        Some(session.key())
    }

    /// Handles the header of a CHUNK in the session `key`. Returns how the flow judges it, and whether the owner was
    /// suspect until then.
    pub(super) fn handle_chunk(
        &mut self,
        key: SessionKey,
        header: &ChunkHeader,
        length: usize,
        now: Timestamp,
    ) -> (Arrival, bool) {
        let Some(session) = self.get_mut(key) else {
            return (Arrival::Unexpected, false);
        };
        let arrival =
            session.flow_mut().map_or(Arrival::Unexpected, |flow| flow.handle_chunk(header, length, now));
        let was_suspect = session.is_suspect();
        if arrival != Arrival::Unexpected {
            if arrival != Arrival::Duplicate {
                session.on_chunk();
            }
            let local = session.local_outstanding();
            self.ready.note_local(key, local);
        }
        (arrival, was_suspect && arrival != Arrival::Duplicate)
    }

    /// Gives up `request`, which the owner of `key` refused with BUSY or REJECT. Returns its range and how many of its
    /// bytes are missing.
    pub(super) fn give_up(&mut self, key: SessionKey, request: u32) -> Option<(ByteRange, u32)> {
        let session = self.open.get_mut(&key)?;
        let given_up = session.flow_mut()?.give_up(request)?;
        self.ready.note_local(key, session.local_outstanding());
        Some(given_up)
    }

    /// Gives up all outstanding requests of the session `key`. Returns the missing ranges.
    pub(super) fn give_up_requests(&mut self, key: SessionKey) -> Vec<ByteRange> {
        let mut lost = Vec::new();
        if let Some(flow) = self.open.get_mut(&key).and_then(Session::flow_mut) {
            flow.give_up_everything(&mut lost);
            self.ready.note_local(key, 0);
        }
        lost
    }

    /// Withdraws the requests for pieces for which `unwanted` holds, and returns their bytes to the download limit.
    /// Returns each request with its session.
    pub(super) fn withdraw(
        &mut self,
        unwanted: impl Fn(PieceIndex) -> bool,
        cx: &mut Context<'_>,
    ) -> Vec<(SessionKey, u32)> {
        let mut requests = Vec::new();
        for (&key, session) in &mut self.open {
            if let Some(flow) = session.flow_mut().filter(|flow| flow.outstanding() > 0) {
                let (withdrawn, bytes) = flow.withdraw(&unwanted);
                cx.download_limit.refund(bytes);
                requests.extend(withdrawn.into_iter().map(|request| (key, request)));
            }
        }
        requests
    }

    /// Tells the session `key` that requests of it were withdrawn.
    pub(super) fn on_withdrawn(&mut self, key: SessionKey) -> Option<&Session> {
        let session = self.open.get_mut(&key)?;
        session.on_withdrawn();
        self.ready.note_local(key, session.local_outstanding());
        Some(session)
    }

    /// Gives the session `key` its turn: its timers run, its flow detects losses, and a silent owner is snubbed. What a
    /// snubbed owner may still send is remembered in `duplicates`. Returns the reason, if the session is over.
    pub(super) fn poll(
        &mut self,
        key: SessionKey,
        is_fetching: bool,
        duplicates: &mut DuplicateRequests,
        cx: &mut Context<'_>,
    ) -> Result<SessionTurn, SessionEnd> {
        let session = self.open.get_mut(&key).expect("its turn is that of a session that is open");
        let standing = (session.holds_slot(), session.is_unchoked());
        if let Some(why) = session.handle_time(cx) {
            return Err(why);
        }
        // Other owners may be wanted in place of this one, or this one in place of others.
        let is_other = standing != (session.holds_slot(), session.is_unchoked());
        let turned_unproductive = session.turn_unproductive(cx.now);
        let snubbed = session.snub_if_silent(cx);
        if snubbed {
            duplicates.remember(session);
        }
        let mut lost = Vec::new();
        let timed_out = match session.flow_mut() {
            Some(flow) if snubbed => {
                flow.give_up_everything(&mut lost);
                true
            }
            Some(flow) => flow.detect_loss(cx.now, &mut lost),
            None => false,
        };
        session.poll_path(cx);
        let answering = match timed_out {
            _ if snubbed => Answering::Snubbed,
            true if is_fetching && session.on_timeout() => Answering::TurnedSuspect,
            true => Answering::TimedOut,
            false => Answering::InTime,
        };
        if is_other || turned_unproductive || timed_out {
            self.ready.mark_all();
        }
        Ok(SessionTurn { answering, turned_unproductive, lost })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use messages::ContentId;

    use super::*;
    use crate::context::Shared;
    use crate::ids::DownloadId;

    const NOW: Timestamp = Timestamp::ZERO;

    /// `count` open sessions, none of which is ready.
    fn sessions(count: u8) -> OpenSessions {
        let mut shared = Shared::of_test(NodeId::from_bytes([255; 16]), 1, NOW);
        let mut sessions = OpenSessions::new();
        for number in 0..count {
            let (key, content) = (sessions.next_key(), ContentId::from_bytes([3; 32]));
            let (owner, peer) =
                (NodeId::from_bytes([number; 16]), SocketAddr::from(([10, 0, 0, number], 7000)));
            sessions.insert(Session::new(key, DownloadId(1), content, owner, peer, &mut shared.context(NOW)));
            sessions.plan_session(key, Wait::IDLE);
        }
        sessions.take_ready(true, NOW);
        sessions
    }

    #[test]
    fn a_session_borrowed_from_outside_is_ready_and_a_change_that_concerns_others_makes_all_ready() {
        let mut sessions = sessions(3);
        assert!(!sessions.ready().is_marked());
        assert!(sessions.in_turn(SessionKey(1)).is_some() && sessions.all_in_turn().count() == 3);
        assert!(!sessions.ready().is_marked(), "a turn makes nothing ready");
        assert!(sessions.get_mut(SessionKey(9)).is_none() && !sessions.ready().is_marked());
        assert!(sessions.get_mut(SessionKey(1)).is_some());
        assert!(!sessions.ready().is_whole_due(NOW));
        assert_eq!(sessions.take_ready(false, NOW), [SessionKey(1)]);
        sessions.set_slow(SessionKey(2), true);
        assert!(sessions.ready().is_whole_due(NOW));
        sessions.take_ready(true, NOW);
        assert!(sessions.remove(SessionKey(0)).is_some());
        assert!(sessions.ready().is_whole_due(NOW), "others do what it was to do");
        assert_eq!(sessions.take_ready(true, NOW), [SessionKey(1), SessionKey(2)]);
    }

    #[test]
    fn an_owner_is_put_on_parole_once() {
        let mut sessions = sessions(2);
        let owner = NodeId::from_bytes([1; 16]);
        assert_eq!(sessions.put_on_parole(owner), Some(SessionKey(1)));
        assert_eq!(sessions.put_on_parole(owner), None);
        assert_eq!(sessions.end_parole(owner), Some(SessionKey(1)));
        assert_eq!(sessions.put_on_parole(NodeId::from_bytes([9; 16])), None, "nobody");
    }
}
