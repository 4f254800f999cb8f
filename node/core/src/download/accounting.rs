//! Where a download's time went and which bytes were in vain. This is for the log; no decision depends on it.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{NodeId, Timestamp};

use super::contributors::Contributors;
use super::sessions::OpenSessions;
use crate::account::{Account, Contributor};
use crate::event::OwnerShare;
use crate::waiting::Waiting;

/// A reason to wait is reported when it has lasted this long; what passes sooner does not matter to anybody.
const REPORT_AFTER: Duration = Duration::from_millis(500);
/// A running download gives an account at this interval.
const ACCOUNT_EVERY: Duration = Duration::from_secs(60);

/// What is recorded of a download for its accounts.
#[derive(Debug)]
pub(super) struct Accounting {
    pub(super) waits: WaitTimes,
    pub(super) lost_bytes: u64,
    pub(super) duplicate_bytes: u64,
    pub(super) bad_pieces: u32,
    /// The last round-trip time of each owner, including those whose sessions have ended.
    rtts: BTreeMap<NodeId, Duration>,
    /// The next account is due at the first turn from this time on. No turn is planned for it, so that a download does
    /// the same whether somebody reads its log or not. A download that has no turn has nothing new to report.
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

    /// Records the last round-trip time of `owner`.
    pub(super) fn note_rtt(&mut self, owner: NodeId, rtt: Option<Duration>) {
        if let Some(rtt) = rtt {
            self.rtts.insert(owner, rtt);
        }
    }

    /// Whether an account is due by `now`. If so, the next one is planned.
    pub(super) fn take_due(&mut self, now: Timestamp) -> bool {
        let is_due = now >= self.due;
        while self.due <= now {
            self.due += ACCOUNT_EVERY;
        }
        is_due
    }

    /// An account of what is recorded here and of what `contributors` sent, including the owners with open `sessions`.
    pub(super) fn account(
        &mut self,
        sessions: &OpenSessions,
        contributors: &Contributors,
        now: Timestamp,
    ) -> Account {
        for session in sessions.iter() {
            self.note_rtt(session.owner(), session.rtt());
        }
        let contributor = |of: OwnerShare| Contributor {
            owner: of.owner,
            peer: of.peer,
            bytes: of.bytes,
            rtt: self.rtts.get(&of.owner).copied(),
        };
        let owners: Vec<Contributor> = contributors.totals().into_iter().map(contributor).collect();
        Account {
            fetched: owners.iter().map(|owner| owner.bytes).sum(),
            waits: self.waits.times(now),
            lost_bytes: self.lost_bytes,
            duplicate_bytes: self.duplicate_bytes,
            bad_pieces: self.bad_pieces,
            owners,
            ..Account::default()
        }
    }
}

/// The reason why a download waits, since when, and how long it waited for each reason before.
#[derive(Debug)]
pub(super) struct WaitTimes {
    why: Waiting,
    since: Timestamp,
    /// The time of each earlier reason, of which there are few.
    before: Vec<(Waiting, Duration)>,
    /// The reason that was last reported.
    reported: Option<Waiting>,
}

impl WaitTimes {
    fn new(now: Timestamp) -> WaitTimes {
        WaitTimes { why: Waiting::Tracker, since: now, before: Vec::new(), reported: None }
    }

    /// When the reason is to be reported; never, if it has been reported.
    pub(super) fn report_at(&self) -> Timestamp {
        let is_reported = self.reported.as_ref().is_some_and(|reported| self.why.is_still(reported));
        if is_reported { Timestamp::NEVER } else { self.since + REPORT_AFTER }
    }

    /// Takes in that the download waits for the reason `why`. Returns the reason, if it is to be reported now; it
    /// counts as reported.
    pub(super) fn report(&mut self, why: Waiting, now: Timestamp) -> Option<Waiting> {
        self.turn_to(why.clone(), now);
        let is_due = now >= self.report_at();
        is_due.then(|| self.reported.insert(why).clone())
    }

    /// Changes the reason to `why` from `now` on, unless it is the same.
    fn turn_to(&mut self, why: Waiting, now: Timestamp) {
        if !why.is_still(&self.why) {
            let before = std::mem::replace(&mut self.why, why);
            add(&mut self.before, before, now.since(self.since));
            self.since = now;
        }
    }

    /// How long the download waited for each reason, the longest first.
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
        waits.turn_to(Waiting::Outboard, at(3));
        waits.turn_to(Waiting::Nothing, at(4));
        waits.turn_to(Waiting::DiskFull { needed: 7 }, at(10));
        waits.turn_to(Waiting::DiskFull { needed: 6 }, at(11));
        assert_eq!((&waits.why, waits.since), (&Waiting::DiskFull { needed: 7 }, at(10)), "as when it began");
        waits.turn_to(Waiting::Nothing, at(12));
        let seconds = |why: Waiting, seconds| (why, Duration::from_secs(seconds));
        let expected = [
            seconds(Waiting::Nothing, 6 + 8),
            seconds(Waiting::Tracker, 2),
            seconds(Waiting::DiskFull { needed: 7 }, 2),
            seconds(Waiting::Outboard, 1),
        ];
        assert_eq!(waits.times(at(20)), expected);
        assert_eq!(
            waits.times(at(20)).iter().map(|(_, time)| *time).sum::<Duration>(),
            Duration::from_secs(19)
        );
    }

    #[test]
    fn a_reason_is_told_once_when_it_has_lasted() {
        let mut waits = WaitTimes::new(at(1));
        assert_eq!(waits.report(Waiting::Outboard, at(2)), None, "it may pass");
        assert_eq!(waits.report_at(), at(2) + REPORT_AFTER);
        assert_eq!(waits.report(Waiting::Outboard, at(3)), Some(Waiting::Outboard));
        assert_eq!(waits.report(Waiting::Outboard, at(4)), None);
        assert_eq!(waits.report_at(), Timestamp::NEVER);
    }

    #[test]
    fn a_reason_that_took_no_time_is_not_listed() {
        let mut waits = WaitTimes::new(at(1));
        waits.turn_to(Waiting::Disk, at(1));
        waits.turn_to(Waiting::Nothing, at(1));
        assert_eq!(waits.times(at(1)), []);
    }
}
