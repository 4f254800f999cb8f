//! What a download's time went to and what was in vain: for the log, nothing is decided by it.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{NodeId, Timestamp};

use super::{Download, Phase};
use crate::account::{Account, Giver};
use crate::context::Context;
use crate::event::Event;
use crate::waiting::Waiting;

/// How often a download that goes on is accounted for.
const ACCOUNT_EVERY: Duration = Duration::from_secs(60);

/// What is noted of a download besides what it has.
#[derive(Debug)]
pub(super) struct Accounting {
    pub(super) waits: WaitTimes,
    pub(super) lost_bytes: u64,
    pub(super) duplicate_bytes: u64,
    pub(super) bad_pieces: u32,
    /// The last of each owner, gone ones too.
    rtts: BTreeMap<NodeId, Duration>,
    /// When it is accounted for the next time: at the first turn from then on. Nothing wakes up for it, so that a download does the
    /// same whether somebody reads its log or not; one that has no turn has nothing new to say.
    due: Timestamp,
}

impl Accounting {
    pub(super) fn new(now: Timestamp) -> Accounting {
        Accounting {
            waits: WaitTimes::new(now),
            lost_bytes: 0,
            duplicate_bytes: 0,
            bad_pieces: 0,
            rtts: BTreeMap::new(),
            due: now + ACCOUNT_EVERY,
        }
    }

    /// How far away `owner` was when it was seen last.
    pub(super) fn note_rtt(&mut self, owner: NodeId, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.rtts.insert(owner, rtt);
        }
    }
}

/// Why a download waits, since when, and how long it waited for which reason before.
#[derive(Debug)]
pub(super) struct WaitTimes {
    why: Waiting,
    since: Timestamp,
    /// One entry a reason: there are few.
    before: Vec<(Waiting, Duration)>,
}

impl WaitTimes {
    fn new(now: Timestamp) -> WaitTimes {
        WaitTimes { why: Waiting::Tracker, since: now, before: Vec::new() }
    }

    /// The reason, and since when it holds.
    pub(super) fn now(&self) -> (&Waiting, Timestamp) {
        (&self.why, self.since)
    }

    /// It is `why` that it waits for, from `now` on unless it was that already.
    pub(super) fn turn_to(&mut self, why: Waiting, now: Timestamp) {
        if !why.is_still(&self.why) {
            let before = std::mem::replace(&mut self.why, why);
            add(&mut self.before, before, now.since(self.since));
            self.since = now;
        }
    }

    /// How long it waited for what, the longest first.
    fn times(&self, now: Timestamp) -> Vec<(Waiting, Duration)> {
        let mut times = self.before.clone();
        add(&mut times, self.why.clone(), now.since(self.since));
        times.retain(|(_, time)| !time.is_zero());
        times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        times
    }
}

fn add(times: &mut Vec<(Waiting, Duration)>, why: Waiting, time: Duration) {
    match times.iter_mut().find(|(known, _)| why.is_still(known)) {
        Some((_, sum)) => *sum += time,
        None => times.push((why, time)),
    }
}

impl Download {
    /// Accounts for itself, once in a while.
    pub(super) fn account_when_due(&mut self, cx: &mut Context<'_>) {
        if cx.now >= self.accounting.due {
            while self.accounting.due <= cx.now {
                self.accounting.due += ACCOUNT_EVERY;
            }
            let account = self.account(cx.now);
            cx.out.events.push(Event::DownloadAccount { download: self.id, account, is_last: false });
        }
    }

    /// Accounts for itself for the last time. Its phase and its waits are still those of its end.
    pub(super) fn account_at_end(&mut self, cx: &mut Context<'_>) {
        let account = self.account(cx.now);
        cx.out.events.push(Event::DownloadAccount { download: self.id, account, is_last: true });
    }

    fn account(&mut self, now: Timestamp) -> Account {
        for session in self.sessions.values() {
            self.accounting.note_rtt(session.owner(), session.rtt());
        }
        let verified = match &self.phase {
            Phase::Fetching(fetch) | Phase::Finishing(fetch) => fetch.verified(),
            _ => 0,
        };
        let giver = |(&owner, &(peer, bytes)): (&NodeId, &(_, u64))| Giver {
            owner,
            peer,
            bytes,
            rtt: self.accounting.rtts.get(&owner).copied(),
        };
        let mut owners: Vec<Giver> = self.given.iter().map(giver).collect();
        owners.sort_by_key(|owner| std::cmp::Reverse(owner.bytes));
        Account {
            length: self.length,
            verified,
            fetched: owners.iter().map(|owner| owner.bytes).sum(),
            rate: self.meter.rate(now),
            took: now.since(self.began),
            waits: self.accounting.waits.times(now),
            lost_bytes: self.accounting.lost_bytes,
            duplicate_bytes: self.accounting.duplicate_bytes,
            bad_pieces: self.accounting.bad_pieces,
            owners,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn all_of_the_time_is_accounted_for_by_reason_and_the_longest_comes_first() {
        let mut waits = WaitTimes::new(at(1));
        waits.turn_to(Waiting::Tracker, at(2));
        waits.turn_to(Waiting::Manifest, at(3));
        waits.turn_to(Waiting::Nothing, at(4));
        waits.turn_to(Waiting::DiskFull { needed: 7 }, at(10));
        waits.turn_to(Waiting::DiskFull { needed: 6 }, at(11));
        assert_eq!(waits.now(), (&Waiting::DiskFull { needed: 7 }, at(10)), "as it was when it began");
        waits.turn_to(Waiting::Nothing, at(12));
        let seconds = |why: Waiting, seconds| (why, Duration::from_secs(seconds));
        let expected = [
            seconds(Waiting::Nothing, 6 + 8),
            seconds(Waiting::Tracker, 2),
            seconds(Waiting::DiskFull { needed: 7 }, 2),
            seconds(Waiting::Manifest, 1),
        ];
        assert_eq!(waits.times(at(20)), expected);
        assert_eq!(
            waits.times(at(20)).iter().map(|(_, time)| *time).sum::<Duration>(),
            Duration::from_secs(19)
        );
    }

    #[test]
    fn what_took_no_time_is_not_listed() {
        let mut waits = WaitTimes::new(at(1));
        waits.turn_to(Waiting::Disk, at(1));
        waits.turn_to(Waiting::Nothing, at(1));
        assert_eq!(waits.times(at(1)), []);
    }
}
