//! Who has a session with an owner, and who makes room when there are as many as there can be.
//!
//! Sessions cost nothing, hosts do. Who has asked for nothing for a while makes room for anybody. Where nobody has, the host that has most
//! sessions makes room for one that has fewer: the more hosts there are, the smaller is the share of each, and one that has none always gets in,
//! unless each of the others has only one.
//!
//! When a session asked last changes with each REQUEST, and is looked at only when somebody is to make room: what stands here is never later than
//! the truth, and is corrected on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use messages::{Conversation, Host, Timestamp};

/// Where there are as many downloaders as there can be, one that has asked for nothing for so long makes room: who waits for a place asks twice in
/// that time.
const IDLE_AMONG_MANY: Duration = Duration::from_secs(10);
/// So many sessions are looked at to find one that makes room.
const MAX_LOOKED_AT: usize = 16;

/// When each session asked for something last, as far as was looked, the earliest first.
type ByAge = BTreeSet<(Timestamp, Conversation)>;

/// How many sessions there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) in_all: usize,
    /// None: at loopback all are one person's.
    pub(super) of_host: Option<usize>,
}

/// Whether one more can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// When this one ends.
    Instead(Conversation),
    None,
}

/// The sessions by host and by age.
#[derive(Debug, Default)]
pub(super) struct SessionTable {
    by_age: ByAge,
    hosts: BTreeMap<Host, ByAge>,
    /// How many sessions each host has.
    by_count: BTreeSet<(usize, Host)>,
    /// What stands in the sets.
    known: BTreeMap<Conversation, (Timestamp, Host)>,
}

impl SessionTable {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// All of them.
    pub(super) fn sessions(&self) -> impl Iterator<Item = Conversation> {
        self.known.keys().copied()
    }

    /// `session` with `host` begins.
    pub(super) fn open(&mut self, session: Conversation, host: Host, now: Timestamp) {
        self.close(session);
        self.known.insert(session, (now, host));
        self.by_age.insert((now, session));
        self.by_count.remove(&(self.count(host), host));
        self.hosts.entry(host).or_default().insert((now, session));
        self.by_count.insert((self.count(host), host));
    }

    /// `session` is over.
    pub(super) fn close(&mut self, session: Conversation) {
        let Some((at, host)) = self.known.remove(&session) else {
            return;
        };
        self.by_age.remove(&(at, session));
        self.by_count.remove(&(self.count(host), host));
        if let Some(of_host) = self.hosts.get_mut(&host) {
            of_host.remove(&(at, session));
            if of_host.is_empty() {
                self.hosts.remove(&host);
            } else {
                self.by_count.insert((self.count(host), host));
            }
        }
    }

    /// Whether there is room for one more of `host`. `asked_at` tells when a session asked for something last.
    pub(super) fn room_for(
        &mut self,
        host: Host,
        bounds: Bounds,
        asked_at: impl Fn(Conversation) -> Timestamp,
        now: Timestamp,
    ) -> Room {
        let count = self.count(host);
        let is_idle = |(at, _): &(Timestamp, Conversation)| now >= *at + IDLE_AMONG_MANY;
        let makes_room = if bounds.of_host.is_some_and(|most| count >= most) {
            self.oldest(Some(host), &asked_at).filter(is_idle)
        } else if self.len() >= bounds.in_all {
            self.oldest(None, &asked_at).filter(is_idle).or_else(|| {
                let most = self.by_count.last().copied().filter(|(most, _)| *most > count + 1);
                most.and_then(|(_, host)| self.oldest(Some(host), &asked_at))
            })
        } else {
            return Room::Free;
        };
        makes_room.map_or(Room::None, |(_, session)| Room::Instead(session))
    }

    fn count(&self, host: Host) -> usize {
        self.hosts.get(&host).map_or(0, BTreeSet::len)
    }

    /// Of all sessions, or those of one host, the one that asked for nothing for the longest, among the first that are looked at.
    fn oldest(
        &mut self,
        of: Option<Host>,
        asked_at: impl Fn(Conversation) -> Timestamp,
    ) -> Option<(Timestamp, Conversation)> {
        let mut looked_at = 1;
        loop {
            let (at, session) = *self.ages(of)?.first()?;
            let asked_at = asked_at(session);
            if asked_at <= at || looked_at == MAX_LOOKED_AT {
                return Some((asked_at, session));
            }
            self.correct(session, asked_at);
            looked_at += 1;
        }
    }

    fn ages(&self, of: Option<Host>) -> Option<&ByAge> {
        of.map_or(Some(&self.by_age), |host| self.hosts.get(&host))
    }

    fn correct(&mut self, session: Conversation, asked_at: Timestamp) {
        let Some((at, host)) = self.known.get_mut(&session) else {
            return;
        };
        let before = std::mem::replace(at, asked_at);
        let of_host = self.hosts.get_mut(host);
        for ages in of_host.into_iter().chain([&mut self.by_age]) {
            ages.remove(&(before, session));
            ages.insert((asked_at, session));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(number: u8) -> Host {
        Host::of(([192, 0, 2, number], 1).into())
    }

    proptest! {
        /// Whoever comes, asks and goes: no more than there may be, none of a host either; a host that is refused could have had no session of
        /// one that has more by two, and nobody idle stays while somebody is refused.
        #[test]
        fn hosts_share_what_there_is(
            steps in prop::collection::vec((0u8..8, 0u8..6, any::<prop::sample::Index>(), 0u64..3000), 0..200),
        ) {
            let (mut seats, mut now) = (SessionTable::default(), Timestamp::ZERO);
            let mut naive: BTreeMap<Conversation, (Timestamp, u8)> = BTreeMap::new();
            let bounds = Bounds { in_all: 8, of_host: Some(5) };
            for (number, (what, of, which, millis)) in (0u32..).zip(steps) {
                now += Duration::from_millis(millis);
                let one = (!naive.is_empty()).then(|| *naive.keys().nth(which.index(naive.len())).expect("one"));
                match (what, one) {
                    (0, Some(one)) => {
                        seats.close(one);
                        naive.remove(&one);
                    }
                    (1..=3, Some(one)) => naive.get_mut(&one).expect("it is there").0 = now,
                    _ => {
                        let count = |of: u8| naive.values().filter(|(_, other)| *other == of).count();
                        let is_idle = |(at, _): &&(Timestamp, u8)| now >= *at + IDLE_AMONG_MANY;
                        match seats.room_for(host(of), bounds, |session| naive[&session].0, now) {
                            Room::Free => prop_assert!(naive.len() < 8 && count(of) < 5),
                            Room::Instead(other) => {
                                let (at, its) = naive[&other];
                                prop_assert!(now >= at + IDLE_AMONG_MANY || count(its) > count(of) + 1);
                                seats.close(other);
                                naive.remove(&other);
                            }
                            Room::None => {
                                let idle = naive.values().filter(is_idle).any(|(_, its)| count(of) < 5 || *its == of);
                                prop_assert!(!idle, "{of} is refused in {naive:?}");
                                prop_assert!(count(of) >= 5 || (0..6).all(|other| count(other) <= count(of) + 1));
                                continue;
                            }
                        }
                        seats.open(Conversation(number), host(of), now);
                        naive.insert(Conversation(number), (now, of));
                    }
                }
                prop_assert!(naive.len() <= 8);
                prop_assert_eq!(seats.sessions().collect::<Vec<_>>(), naive.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!(seats.by_age.len(), naive.len());
                prop_assert_eq!(seats.hosts.values().map(BTreeSet::len).sum::<usize>(), naive.len());
                prop_assert_eq!(seats.by_count.iter().map(|(count, _)| count).sum::<usize>(), naive.len());
            }
        }
    }

    #[test]
    fn no_more_than_a_few_are_looked_at() {
        let (mut seats, now) = (SessionTable::default(), Timestamp::ZERO);
        (0..4096).for_each(|number| seats.open(Conversation(number), host(0), now));
        let looked_at = std::cell::Cell::new(0);
        let later = now + IDLE_AMONG_MANY;
        let asked_at = |_| {
            looked_at.set(looked_at.get() + 1);
            later
        };
        let bounds = Bounds { in_all: 4096, of_host: None };
        let room = seats.room_for(host(1), bounds, asked_at, later);
        assert!(matches!(room, Room::Instead(_)) && looked_at.get() <= 2 * MAX_LOOKED_AT, "{room:?}");
    }
}
