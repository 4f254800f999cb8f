//! Whose turn it is: sessions that have something to send, one behind the other, and those that may not send it yet. Hosts share alike, whatever
//! the number of their sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use messages::{Conversation, Host, Timestamp};

/// The line of the sessions.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    line: VecDeque<(Conversation, Host)>,
    /// How many in the line each host has.
    of_host: BTreeMap<Host, u32>,
    /// Who waits outside of it, until when.
    held: BTreeSet<(Timestamp, Conversation, Host)>,
}

impl RoundRobin {
    /// `session` of `host` gets in line.
    pub(super) fn push(&mut self, session: Conversation, host: Host) {
        self.line.push_back((session, host));
        *self.of_host.entry(host).or_default() += 1;
    }

    /// Whose turn it is.
    pub(super) fn first(&self) -> Option<Conversation> {
        self.line.front().map(|(session, _)| *session)
    }

    /// What the first may send in its turn, where a host with one session may send `quantum` bytes.
    pub(super) fn quantum(&self, quantum: u32) -> u32 {
        let host = self.line.front().map(|(_, host)| host);
        let sessions = host.and_then(|host| self.of_host.get(host)).copied().unwrap_or(1);
        // Where there is one host only, all of it is its own.
        if self.of_host.len() == 1 { quantum } else { (quantum / sessions.max(1)).max(1) }
    }

    /// The turn of the first is over.
    pub(super) fn pop(&mut self) {
        self.take_first();
    }

    /// The first gets in line again at `until`.
    pub(super) fn hold(&mut self, until: Timestamp) {
        let first = self.take_first();
        self.held.extend(first.map(|(session, host)| (until, session, host)));
    }

    /// Who waited until `now` gets in line again. When the next one does.
    pub(super) fn wake(&mut self, now: Timestamp) -> Timestamp {
        while let Some(&(until, session, host)) = self.held.first() {
            if until > now {
                return until;
            }
            self.held.remove(&(until, session, host));
            self.push(session, host);
        }
        Timestamp::NEVER
    }

    /// `session` is over.
    pub(super) fn remove(&mut self, session: Conversation) {
        if let Some(at) = self.line.iter().position(|(other, _)| *other == session)
            && let Some((_, host)) = self.line.remove(at)
        {
            self.leave(host);
        }
        self.held.retain(|(_, other, _)| *other != session);
    }

    fn take_first(&mut self) -> Option<(Conversation, Host)> {
        let first = self.line.pop_front()?;
        self.leave(first.1);
        Some(first)
    }

    fn leave(&mut self, host: Host) {
        if let Some(count) = self.of_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.of_host.remove(&host);
            }
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
    fn who_is_held_is_passed_by_and_comes_back_behind_the_others() {
        let (one, two, three) = (Conversation(1), Conversation(2), Conversation(3));
        let at = |millis| Timestamp::ZERO + Duration::from_millis(millis);
        let mut turns = RoundRobin::default();
        [one, two, three].into_iter().for_each(|session| turns.push(session, host(1)));
        turns.hold(at(10));
        turns.hold(at(5));
        assert_eq!((turns.first(), turns.wake(at(4))), (Some(three), at(5)));
        assert_eq!(turns.wake(at(5)), at(10));
        turns.pop();
        assert_eq!(turns.first(), Some(two));
        turns.remove(two);
        turns.remove(one);
        assert_eq!((turns.first(), turns.wake(at(10))), (None, Timestamp::NEVER));
        assert!(turns.of_host.is_empty());
    }

    #[test]
    fn hosts_share_alike_whatever_the_number_of_their_sessions() {
        let mut turns = RoundRobin::default();
        (0..4).for_each(|session| turns.push(Conversation(session), host(1)));
        assert_eq!(turns.quantum(1000), 1000, "nobody else is there");
        turns.push(Conversation(4), host(2));
        let mut sent = BTreeMap::<Host, u32>::new();
        for _ in 0..1000 {
            let (session, of) = *turns.line.front().expect("somebody");
            *sent.entry(of).or_default() += turns.quantum(1000);
            turns.pop();
            turns.push(session, of);
        }
        assert_eq!(sent[&host(1)], sent[&host(2)]);
    }
}
