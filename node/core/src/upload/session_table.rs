//! The sessions by host and by age, to decide which session makes way when there are as many sessions as there can be.
//!
//! Sessions cost nothing, hosts do. A session that has asked for nothing for a while makes way for any other. Where
//! there is no such session, the host with most sessions makes way for one that has fewer: the more hosts there are,
//! the smaller is the share of each, and a host without a session always gets one, unless each of the others has only
//! one.
//!
//! The time of a session's last request changes with each REQUEST, and is looked up only when a session is to make way:
//! the time in the table is never later than the true one, and is corrected at such a look-up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use messages::{Conversation, Host, Timestamp};

/// A session that has asked for nothing for this long makes way where sessions are scarce: a session that waits for a
/// slot asks twice in that time.
const IDLE_AMONG_MANY: Duration = Duration::from_secs(10);
/// At most this many sessions are looked at to find one that makes way.
const MAX_LOOKED_AT: usize = 16;

/// The time of each session's last request, as far as it is known, the earliest first.
type AgeSet = BTreeSet<(Timestamp, Conversation)>;

/// The largest numbers of sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    pub(super) in_total: usize,
    /// The largest number of sessions with one host. `None` on loopback, where all sessions belong to one person.
    pub(super) per_host: Option<usize>,
}

/// Whether one more session can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The session can be opened.
    Free,
    /// The session can be opened when this one ends.
    Replacing(Conversation),
    /// The session cannot be opened.
    Refused,
}

/// What the table knows of one session.
#[derive(Clone, Copy, Debug)]
struct TableEntry {
    asked_at: Timestamp,
    host: Host,
}

/// The sessions by host and by age.
#[derive(Debug, Default)]
pub(super) struct SessionTable {
    by_age: AgeSet,
    by_host: BTreeMap<Host, AgeSet>,
    /// The hosts by their numbers of sessions.
    by_count: BTreeSet<(usize, Host)>,
    /// What the sets hold of each session.
    entries: BTreeMap<Conversation, TableEntry>,
}

impl SessionTable {
    /// The number of sessions.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All sessions.
    pub(super) fn sessions(&self) -> impl Iterator<Item = Conversation> {
        self.entries.keys().copied()
    }

    /// Adds `session` with `host`.
    pub(super) fn open(&mut self, session: Conversation, host: Host, now: Timestamp) {
        let before = self.entries.insert(session, TableEntry { asked_at: now, host });
        assert!(before.is_none(), "the number of a session is drawn anew for each, and no open one has it");
        self.by_age.insert((now, session));
        self.by_count.remove(&(self.count(host), host));
        self.by_host.entry(host).or_default().insert((now, session));
        self.by_count.insert((self.count(host), host));
    }

    /// Removes `session`, which was opened and is over.
    pub(super) fn close(&mut self, session: Conversation) {
        let TableEntry { asked_at, host } =
            self.entries.remove(&session).expect("a session that ends was opened");
        self.by_age.remove(&(asked_at, session));
        self.by_count.remove(&(self.count(host), host));
        let of_host = self.by_host.get_mut(&host).expect("the host of a session has an entry");
        of_host.remove(&(asked_at, session));
        if of_host.is_empty() {
            self.by_host.remove(&host);
        } else {
            self.by_count.insert((self.count(host), host));
        }
    }

    /// Decides whether one more session with `host` can be opened. `asked_at` yields the time of a session's last
    /// request; the table takes that in for the sessions that are looked at.
    pub(super) fn decide_admission(
        &mut self,
        host: Host,
        limits: SessionLimits,
        asked_at: impl Fn(Conversation) -> Timestamp,
        now: Timestamp,
    ) -> Admission {
        let count = self.count(host);
        let is_idle = |(at, _): &(Timestamp, Conversation)| now >= *at + IDLE_AMONG_MANY;
        let makes_way = if limits.per_host.is_some_and(|most| count >= most) {
            self.find_oldest(Some(host), &asked_at).filter(is_idle)
        } else if self.len() >= limits.in_total {
            self.find_oldest(None, &asked_at).filter(is_idle).or_else(|| {
                let most = self.by_count.last().copied().filter(|(most, _)| *most > count + 1);
                most.and_then(|(_, host)| self.find_oldest(Some(host), &asked_at))
            })
        } else {
            return Admission::Free;
        };
        makes_way.map_or(Admission::Refused, |(_, session)| Admission::Replacing(session))
    }

    fn count(&self, host: Host) -> usize {
        self.by_host.get(&host).map_or(0, BTreeSet::len)
    }

    /// The session, of all or of one host, that has asked for nothing for the longest time, among the first that are
    /// looked at.
    fn find_oldest(
        &mut self,
        host: Option<Host>,
        asked_at: impl Fn(Conversation) -> Timestamp,
    ) -> Option<(Timestamp, Conversation)> {
        let mut looked_at = 1;
        loop {
            let (at, session) = *self.ages(host)?.first()?;
            let asked_at = asked_at(session);
            if asked_at <= at || looked_at == MAX_LOOKED_AT {
                return Some((asked_at, session));
            }
            self.correct(session, asked_at);
            looked_at += 1;
        }
    }

    fn ages(&self, host: Option<Host>) -> Option<&AgeSet> {
        host.map_or(Some(&self.by_age), |host| self.by_host.get(&host))
    }

    fn correct(&mut self, session: Conversation, asked_at: Timestamp) {
        let entry = self.entries.get_mut(&session).expect("a session in the sets has an entry");
        let before = std::mem::replace(&mut entry.asked_at, asked_at);
        let of_host = self.by_host.get_mut(&entry.host).expect("the host of a session has an entry");
        for ages in [of_host, &mut self.by_age] {
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
        /// There are never more sessions than the limits allow, in total and with one host, whichever come, ask and go.
        /// A refused host could not have replaced a session of a host that has more by two, and no idle session stays
        /// while a host is refused.
        #[test]
        fn hosts_share_what_there_is(
            steps in prop::collection::vec((0u8..8, 0u8..6, any::<prop::sample::Index>(), 0u64..3000), 0..200),
        ) {
            let (mut table, mut now) = (SessionTable::default(), Timestamp::ZERO);
            let mut naive: BTreeMap<Conversation, (Timestamp, u8)> = BTreeMap::new();
            let limits = SessionLimits { in_total: 8, per_host: Some(5) };
            for (number, (what, of, which, millis)) in (0u32..).zip(steps) {
                now += Duration::from_millis(millis);
                let one = (!naive.is_empty()).then(|| *naive.keys().nth(which.index(naive.len())).expect("one"));
                match (what, one) {
                    (0, Some(one)) => {
                        table.close(one);
                        naive.remove(&one);
                    }
                    (1..=3, Some(one)) => naive.get_mut(&one).expect("it is there").0 = now,
                    _ => {
                        let count = |of: u8| naive.values().filter(|(_, other)| *other == of).count();
                        let is_idle = |(at, _): &&(Timestamp, u8)| now >= *at + IDLE_AMONG_MANY;
                        match table.decide_admission(host(of), limits, |session| naive[&session].0, now) {
                            Admission::Free => prop_assert!(naive.len() < 8 && count(of) < 5),
                            Admission::Replacing(other) => {
                                let (at, its) = naive[&other];
                                prop_assert!(now >= at + IDLE_AMONG_MANY || count(its) > count(of) + 1);
                                table.close(other);
                                naive.remove(&other);
                            }
                            Admission::Refused => {
                                let idle = naive.values().filter(is_idle).any(|(_, its)| count(of) < 5 || *its == of);
                                prop_assert!(!idle, "{of} is refused in {naive:?}");
                                prop_assert!(count(of) >= 5 || (0..6).all(|other| count(other) <= count(of) + 1));
                                continue;
                            }
                        }
                        table.open(Conversation(number), host(of), now);
                        naive.insert(Conversation(number), (now, of));
                    }
                }
                prop_assert!(naive.len() <= 8);
                prop_assert_eq!(table.sessions().collect::<Vec<_>>(), naive.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!(table.by_age.len(), naive.len());
                prop_assert_eq!(table.by_host.values().map(BTreeSet::len).sum::<usize>(), naive.len());
                prop_assert_eq!(table.by_count.iter().map(|(count, _)| count).sum::<usize>(), naive.len());
            }
        }
    }

    #[test]
    fn no_more_than_a_few_are_looked_at() {
        let (mut table, now) = (SessionTable::default(), Timestamp::ZERO);
        (0..4096).for_each(|number| table.open(Conversation(number), host(0), now));
        let looked_at = std::cell::Cell::new(0);
        let later = now + IDLE_AMONG_MANY;
        let asked_at = |_| {
            looked_at.set(looked_at.get() + 1);
            later
        };
        let limits = SessionLimits { in_total: 4096, per_host: None };
        let admission = table.decide_admission(host(1), limits, asked_at, later);
        assert!(
            matches!(admission, Admission::Replacing(_)) && looked_at.get() <= 2 * MAX_LOOKED_AT,
            "{admission:?}"
        );
    }
}
