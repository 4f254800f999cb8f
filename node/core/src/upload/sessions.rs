//! All sessions with downloaders, and their indexes: by the downloader's conversation number, by host and age, the
//! circuit breaker of each host, the round robin, and the deadlines. All of these are kept in step here: a session that
//! was lent is in the round robin and has its deadline when it is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut, Index};

use messages::{Conversation, Host, Timestamp};

use super::circuit_breaker::CircuitBreaker;
use super::circuit_breakers::CircuitBreakers;
use super::round_robin::RoundRobin;
use super::session::UploadSession;
use super::session_table::{Admission, SessionLimits, SessionTable};

/// A session, and when it is to be looked at.
#[derive(Debug)]
struct Entry {
    session: UploadSession,
    deadline: Timestamp,
}

/// The sessions, by the conversation number that this node has chosen for each.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: BTreeMap<Conversation, Entry>,
    /// This node's number of each session, by the downloader's address and its number.
    by_peer: BTreeMap<(SocketAddr, Conversation), Conversation>,
    /// The table that decides which session makes way when there are as many sessions as there can be.
    table: SessionTable,
    circuit_breakers: CircuitBreakers,
    /// The deadlines of all sessions, the earliest first.
    deadlines: BTreeSet<(Timestamp, Conversation)>,
    /// The order in which sessions are served. Each session with something in its queue is there.
    pub(super) round_robin: RoundRobin,
}

impl Sessions {
    /// Adds `session`, whose number here is `ours`, and which is to be looked at by `deadline`.
    pub(super) fn open(
        &mut self,
        ours: Conversation,
        session: UploadSession,
        deadline: Timestamp,
        now: Timestamp,
    ) {
        let host = session.host();
        self.by_peer.insert((session.peer, session.theirs()), ours);
        self.table.open(ours, host, now);
        self.circuit_breakers.open(host, now);
        self.deadlines.insert((deadline, ours));
        self.entries.insert(ours, Entry { session, deadline });
    }

    /// Removes the session `ours`, which was opened and is over.
    pub(super) fn close(&mut self, ours: Conversation) -> UploadSession {
        let Entry { session, deadline } = self.entries.remove(&ours).expect("a session that ends was opened");
        self.by_peer.remove(&(session.peer, session.theirs()));
        self.table.close(ours);
        self.circuit_breakers.close(session.host());
        self.deadlines.remove(&(deadline, ours));
        self.round_robin.remove(ours);
        session
    }

    /// This node's number of the session for which the downloader at `peer` has chosen the number `theirs`.
    pub(super) fn find(&self, peer: SocketAddr, theirs: Conversation) -> Option<Conversation> {
        self.by_peer.get(&(peer, theirs)).copied()
    }

    /// The session `ours`, if there is one.
    pub(super) fn get(&self, ours: Conversation) -> Option<&UploadSession> {
        self.entries.get(&ours).map(|entry| &entry.session)
    }

    /// The session `ours`, if there is one, to change.
    pub(super) fn get_mut(&mut self, ours: Conversation) -> Option<SessionMut<'_>> {
        let Entry { session, deadline } = self.entries.get_mut(&ours)?;
        let breaker = self.circuit_breakers.of(session.host());
        let (deadlines, round_robin) = (&mut self.deadlines, &mut self.round_robin);
        Some(SessionMut { ours, session, breaker, deadline, deadlines, round_robin })
    }

    /// All sessions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Conversation, &UploadSession)> {
        self.entries.iter().map(|(&ours, entry)| (ours, &entry.session))
    }

    /// The earliest deadline.
    pub(super) fn next_due(&self) -> Timestamp {
        self.deadlines.first().map_or(Timestamp::NEVER, |&(due, _)| due)
    }

    /// The session with the earliest deadline, if that is due by `now`.
    pub(super) fn first_due(&self, now: Timestamp) -> Option<Conversation> {
        self.deadlines.first().filter(|(due, _)| *due <= now).map(|(_, ours)| *ours)
    }

    /// Decides whether one more session of `host` can be opened.
    pub(super) fn decide_admission(
        &mut self,
        host: Host,
        limits: SessionLimits,
        now: Timestamp,
    ) -> Admission {
        let asked_at = |ours| self.entries[&ours].session.activity.asked_at();
        self.table.decide_admission(host, limits, asked_at, now)
    }
}

impl Index<Conversation> for Sessions {
    type Output = UploadSession;

    /// The session of this number, which must be open.
    fn index(&self, ours: Conversation) -> &UploadSession {
        self.get(ours).expect("whatever has the number of a session lets go of it when the session ends")
    }
}

/// A session that is lent to be changed. When it is given back, it joins the round robin if something is in its queue,
/// and its deadline is no later than its piece updates.
#[derive(Debug)]
pub(super) struct SessionMut<'a> {
    ours: Conversation,
    session: &'a mut UploadSession,
    breaker: &'a mut CircuitBreaker,
    deadline: &'a mut Timestamp,
    deadlines: &'a mut BTreeSet<(Timestamp, Conversation)>,
    round_robin: &'a mut RoundRobin,
}

impl SessionMut<'_> {
    /// The session, and the circuit breaker of its host.
    pub(super) fn parts(&mut self) -> (&mut UploadSession, &mut CircuitBreaker) {
        (self.session, self.breaker)
    }

    /// Has the session looked at by `deadline`.
    pub(super) fn set_deadline(&mut self, deadline: Timestamp) {
        self.deadlines.remove(&(*self.deadline, self.ours));
        self.deadlines.insert((deadline, self.ours));
        *self.deadline = deadline;
    }
}

impl Deref for SessionMut<'_> {
    type Target = UploadSession;

    fn deref(&self) -> &UploadSession {
        self.session
    }
}

impl DerefMut for SessionMut<'_> {
    fn deref_mut(&mut self) -> &mut UploadSession {
        self.session
    }
}

impl Drop for SessionMut<'_> {
    fn drop(&mut self) {
        if !self.session.requests.is_empty() {
            self.round_robin.join(self.ours, self.session.host());
        }
        let due = self.session.piece_updates_due();
        if due < *self.deadline {
            self.set_deadline(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use messages::node_to_node::Hello;
    use messages::{ContentId, Cookie, Layout, Name, NodeId, Outboard, PieceIndex};

    use super::super::served_content::ServedContent;
    use super::*;
    use crate::ids::ShareId;

    const DEADLINE: Timestamp = Timestamp::from_nanos(9_000_000_000);

    /// One session and the content that it is served, of which no pieces are here.
    fn one_session() -> (Sessions, ServedContent) {
        let content = ContentId::from_bytes([1; 32]);
        let (node, conversation) = (NodeId::from_bytes([2; 16]), Conversation(3));
        let hello = Hello {
            nonce: 1,
            content,
            node,
            conversation,
            capabilities: 0,
            sent_at: 0,
            cookie: Cookie::NONE,
        };
        let session = UploadSession::new(peer(), ShareId(0), &hello, Timestamp::ZERO);
        let mut sessions = Sessions::default();
        sessions.open(Conversation(7), session, DEADLINE, Timestamp::ZERO);
        let outboard = Arc::new(Outboard::imagined(Layout::of(300_000).expect("two pieces"), "test"));
        (sessions, ServedContent::part(content, Name::new("a").expect("a name"), outboard, &[]))
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4000))
    }

    #[test]
    fn a_session_that_was_lent_is_in_line_if_something_is_queued() {
        let (mut sessions, _) = one_session();
        drop(sessions.get_mut(Conversation(7)));
        assert_eq!(sessions.round_robin.first(), None);
        let mut session = sessions.get_mut(Conversation(7)).expect("it is open");
        session.requests.push_bitfield(PieceIndex(0)..PieceIndex(2));
        drop(session);
        assert_eq!(sessions.round_robin.first(), Some(Conversation(7)));
    }

    #[test]
    fn a_session_that_was_lent_is_looked_at_when_its_piece_updates_are_due() {
        let (mut sessions, served) = one_session();
        let second = Timestamp::ZERO + Duration::from_secs(1);
        let mut session = sessions.get_mut(Conversation(7)).expect("it is open");
        session.want_piece_updates(&served, Timestamp::ZERO);
        session.requests.clear();
        drop(session);
        assert_eq!(sessions.next_due(), DEADLINE, "it is being told");
        let mut session = sessions.get_mut(Conversation(7)).expect("it is open");
        session.drop_queued();
        session.want_piece_updates(&served, Timestamp::ZERO);
        drop(session);
        assert_eq!((sessions.first_due(second), sessions.next_due()), (Some(Conversation(7)), second));
    }

    #[test]
    fn a_session_that_ended_leaves_nothing_behind() {
        let (mut sessions, _) = one_session();
        let mut session = sessions.get_mut(Conversation(7)).expect("it is open");
        session.requests.push_bitfield(PieceIndex(0)..PieceIndex(2));
        session.set_deadline(DEADLINE + Duration::from_secs(1));
        drop(session);
        assert_eq!(sessions.find(peer(), Conversation(3)), Some(Conversation(7)));
        assert_eq!(sessions.close(Conversation(7)).peer, peer());
        assert!(sessions.get(Conversation(7)).is_none() && sessions.deadlines.is_empty());
        assert_eq!((sessions.find(peer(), Conversation(3)), sessions.table.len()), (None, 0));
        assert_eq!(sessions.round_robin.first(), None);
    }
}
