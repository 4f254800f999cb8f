//! Which session's turn it is: deficit round robin (Shreedhar and Varghese, "Efficient Fair Queueing Using Deficit
//! Round Robin", 1995) over the sessions that have something to send. Each host has an equal share, however many
//! sessions it has.
//!
//! ```text
//!   ──join──▶ in line ──begin_turn──▶ its turn ──on_sent: more to send than may be──▶ in line, and keeps what is left
//!                ▲                        │ ╰──on_sent: nothing to send──▶ gone
//!                ╰────until───held◀──hold─╯
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use messages::{Conversation, Host, Timestamp};

/// The position of a session that has something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    InLine,
    /// The session waits outside of the line until this time.
    Held(Timestamp),
}

/// A session that has something to send.
#[derive(Clone, Copy, Debug)]
struct Member {
    host: Host,
    position: Position,
    /// The number of bytes that the session may still send in its turn. What is left is kept for its next turn.
    deficit: u32,
    /// Whether the session's turn has begun.
    has_begun: bool,
}

/// The line in which sessions wait for their turns.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    line: VecDeque<Conversation>,
    /// The number of sessions in the line for each host.
    in_line: BTreeMap<Host, u32>,
    held: BTreeSet<(Timestamp, Conversation)>,
    /// All sessions that are in the line or held.
    members: BTreeMap<Conversation, Member>,
}

impl RoundRobin {
    /// Puts `session`, with `host`, in line, because it has something to send, unless it is in line or held already.
    pub(super) fn join(&mut self, session: Conversation, host: Host) {
        if self.members.contains_key(&session) {
            return;
        }
        let member = Member { host, position: Position::InLine, deficit: 0, has_begun: false };
        self.members.insert(session, member);
        self.enter_line(session, host);
    }

    /// The session whose turn it is: the first in the line.
    pub(super) fn first(&self) -> Option<Conversation> {
        self.line.front().copied()
    }

    /// Begins the turn of the first session, or lets it go on. Returns the bytes that the session may send. A host with
    /// one session gets `quantum` bytes in each turn.
    pub(super) fn begin_turn(&mut self, quantum: u32) -> u32 {
        let quantum = self.share_of_first(quantum);
        let member = self.first_member();
        if !std::mem::replace(&mut member.has_begun, true) {
            member.deficit += quantum;
        }
        member.deficit
    }

    /// Records that the first session has sent something. It may send `deficit` bytes more, and what it would send next
    /// has `next` bytes. Its turn goes on if that is enough; otherwise the session goes to the end of the line and
    /// keeps its deficit. A session with nothing to send leaves the line.
    pub(super) fn on_sent(&mut self, deficit: u32, next: Option<u32>) {
        match next {
            None => {
                let session = self.leave_line();
                self.members.remove(&session);
            }
            Some(next) => {
                let member = self.first_member();
                member.deficit = deficit;
                if next > deficit {
                    member.has_begun = false;
                    let host = member.host;
                    let session = self.leave_line();
                    self.enter_line(session, host);
                }
            }
        }
    }

    /// Holds the first session until `until`. Then it gets in line again, and its turn goes on.
    pub(super) fn hold(&mut self, until: Timestamp) {
        self.first_member().position = Position::Held(until);
        let session = self.leave_line();
        self.held.insert((until, session));
    }

    /// Puts the sessions that were held until `now` in line again. Returns until when the next one is held.
    pub(super) fn wake(&mut self, now: Timestamp) -> Timestamp {
        while let Some(&(until, session)) = self.held.first() {
            if until > now {
                return until;
            }
            self.held.remove(&(until, session));
            let member = self.members.get_mut(&session).expect("whoever is held is a member");
            member.position = Position::InLine;
            let host = member.host;
            self.enter_line(session, host);
        }
        Timestamp::NEVER
    }

    /// Removes `session`, which has ended.
    pub(super) fn remove(&mut self, session: Conversation) {
        let Some(member) = self.members.remove(&session) else {
            return; // It had nothing to send.
        };
        match member.position {
            Position::InLine => {
                self.line.retain(|other| *other != session);
                self.uncount(member.host);
            }
            Position::Held(until) => {
                self.held.remove(&(until, session));
            }
        }
    }

    /// The bytes that the first session may send in a turn, where a host with one session may send `quantum` bytes.
    fn share_of_first(&mut self, quantum: u32) -> u32 {
        let host = self.first_member().host;
        let sessions = self.in_line[&host];
        // Each session of the only host in line gets the whole quantum.
        if self.in_line.len() == 1 { quantum } else { (quantum / sessions).max(1) }
    }

    fn first_member(&mut self) -> &mut Member {
        let first = self.first().expect("only the turn of a session in line begins and ends");
        self.members.get_mut(&first).expect("whoever is in line is a member")
    }

    fn enter_line(&mut self, session: Conversation, host: Host) {
        self.line.push_back(session);
        *self.in_line.entry(host).or_default() += 1;
    }

    fn leave_line(&mut self) -> Conversation {
        let host = self.first_member().host;
        self.uncount(host);
        self.line.pop_front().expect("only the first in line leaves it")
    }

    fn uncount(&mut self, host: Host) {
        let count = self.in_line.get_mut(&host).expect("the host of a session in line is counted");
        *count -= 1;
        if *count == 0 {
            self.in_line.remove(&host);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn host(number: u8) -> Host {
        Host::of(([192, 0, 2, number], 4000).into())
    }

    #[test]
    fn a_held_session_is_passed_by_and_comes_back_behind_the_others() {
        let (one, two, three) = (Conversation(1), Conversation(2), Conversation(3));
        let at = |millis| Timestamp::ZERO + Duration::from_millis(millis);
        let mut turns = RoundRobin::default();
        [one, two, three, one].into_iter().for_each(|session| turns.join(session, host(1)));
        turns.hold(at(10));
        turns.join(one, host(1));
        turns.hold(at(5));
        assert_eq!((turns.first(), turns.wake(at(4))), (Some(three), at(5)));
        assert_eq!(turns.wake(at(5)), at(10));
        turns.on_sent(0, None);
        assert_eq!(turns.first(), Some(two));
        turns.remove(two);
        turns.remove(one);
        turns.remove(one);
        assert_eq!((turns.first(), turns.wake(at(10))), (None, Timestamp::NEVER));
        assert!(turns.in_line.is_empty() && turns.members.is_empty());
    }

    #[test]
    fn the_rest_of_a_turn_is_kept_for_the_next_and_forgotten_when_the_session_leaves() {
        let (one, two) = (Conversation(1), Conversation(2));
        let mut turns = RoundRobin::default();
        turns.join(one, host(1));
        turns.join(two, host(2));
        assert_eq!(turns.begin_turn(1000), 1000);
        turns.on_sent(700, Some(700));
        assert_eq!((turns.first(), turns.begin_turn(1000)), (Some(one), 700), "the same turn goes on");
        turns.hold(Timestamp::ZERO);
        turns.wake(Timestamp::ZERO);
        assert_eq!((turns.first(), turns.begin_turn(1000)), (Some(two), 1000));
        turns.on_sent(0, None);
        assert_eq!((turns.first(), turns.begin_turn(1000)), (Some(one), 700), "when it was held as well");
        turns.on_sent(700, Some(701));
        assert_eq!(turns.begin_turn(1000), 1700, "the next turn");
        turns.on_sent(500, None);
        turns.join(one, host(1));
        assert_eq!(turns.begin_turn(1000), 1000, "it had nothing to send");
    }

    #[test]
    fn hosts_share_alike_whatever_the_number_of_their_sessions() {
        let mut turns = RoundRobin::default();
        (0..4).for_each(|session| turns.join(Conversation(session), host(1)));
        assert_eq!(turns.share_of_first(1000), 1000, "nobody else is there");
        turns.join(Conversation(4), host(2));
        let mut sent = BTreeMap::<Host, u32>::new();
        for _ in 0..1000 {
            let of = turns.first_member().host;
            *sent.entry(of).or_default() += turns.begin_turn(1000);
            turns.on_sent(0, Some(1));
        }
        assert_eq!(sent[&host(1)], sent[&host(2)]);
    }
}
