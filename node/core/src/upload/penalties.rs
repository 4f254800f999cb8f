//! A host whose sessions took next to nothing in their places waits behind others under the policy `fair`, for a while, and twice as long each time:
//! else many hosts that take turns at that have most of the places most of the time. Who takes a whole turn is like any other again.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{Host, Timestamp};

/// Others come before it for so long,
const FIRST: Duration = Duration::from_secs(30);
/// and no longer than so many times that: a path that was bad for long is tried again.
const MAX_DOUBLINGS: u8 = 4;
/// So many hosts are remembered. Each entry costs its host a place for a second or two.
const MAX_HOSTS: usize = 1024;

/// How a place was wasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waste {
    /// Nobody asked for anything in it. The word that it was free may have been lost, so that once is no fault.
    Unused,
    /// It was asked for far less than a place is good for.
    Nibbled,
}

/// How often, and until when that counts.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    times: u8,
    until: Timestamp,
}

/// Hosts that wasted places.
#[derive(Debug, Default)]
pub(super) struct Penalties(BTreeMap<Host, Mark>);

impl Penalties {
    /// A session of `host` has lost its place like that.
    pub(super) fn on_wasted(&mut self, host: Host, waste: Waste, now: Timestamp) {
        if self.0.len() >= MAX_HOSTS && !self.0.contains_key(&host) {
            self.make_room(now);
        }
        let mark = self.0.entry(host).or_default();
        let least = if waste == Waste::Nibbled { 2 } else { 1 };
        mark.times = (mark.times + 1).clamp(least, MAX_DOUBLINGS + 2);
        if let Some(doublings) = mark.times.checked_sub(2) {
            mark.until = now + FIRST * (1 << doublings);
        }
    }

    /// A session of `host` has taken what makes a turn.
    pub(super) fn on_turn(&mut self, host: Host) {
        self.0.remove(&host);
    }

    /// Whether others come before `host`.
    pub(super) fn counts(&self, host: Host, now: Timestamp) -> bool {
        self.0.get(&host).is_some_and(|mark| now < mark.until)
    }

    fn make_room(&mut self, now: Timestamp) {
        self.0.retain(|_, mark| now < mark.until);
        let first = self.0.iter().min_by_key(|(_, mark)| mark.until).map(|(host, _)| *host);
        if let Some(first) = first.filter(|_| self.0.len() >= MAX_HOSTS) {
            self.0.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(number: u16) -> Host {
        let [high, low] = number.to_be_bytes();
        Host::of(([10, 0, high, low], 1).into())
    }

    proptest! {
        /// Each time it waits behind others for longer, up to a bound, and then no more.
        #[test]
        fn it_counts_twice_as_long_each_time_and_never_for_good(pauses in prop::collection::vec(0u64..1000, 1..20)) {
            let (mut slowed, mut now, mut waits) = (Penalties::default(), Timestamp::ZERO, FIRST);
            prop_assert!(!slowed.counts(host(1), now));
            for pause in pauses {
                now += Duration::from_secs(pause);
                slowed.on_wasted(host(1), Waste::Nibbled, now);
                let almost = now + waits - Duration::from_micros(1);
                prop_assert!(slowed.counts(host(1), almost) && !slowed.counts(host(1), now + waits));
                prop_assert!(!slowed.counts(host(2), now));
                waits = (waits * 2).min(FIRST * (1 << MAX_DOUBLINGS));
            }
            slowed.on_turn(host(1));
            prop_assert!(!slowed.counts(host(1), now));
        }
    }

    #[test]
    fn once_may_be_an_accident_where_nothing_was_asked_for() {
        let (mut slowed, now) = (Penalties::default(), Timestamp::ZERO);
        slowed.on_wasted(host(1), Waste::Unused, now);
        assert!(!slowed.counts(host(1), now));
        slowed.on_wasted(host(1), Waste::Unused, now);
        assert!(slowed.counts(host(1), now));
    }

    #[test]
    fn no_more_than_so_many_are_remembered_and_the_last_is() {
        let (mut slowed, mut now) = (Penalties::default(), Timestamp::ZERO);
        for number in 0..5000 {
            now += Duration::from_millis(1);
            slowed.on_wasted(host(number), Waste::Nibbled, now);
            assert!(slowed.0.len() <= MAX_HOSTS && slowed.counts(host(number), now));
        }
    }
}
