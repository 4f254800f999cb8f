//! Penalties for hosts that waste slots. A host whose sessions took next to nothing in their slots waits behind others
//! under the policy `fair`, for a while, and twice as long each time. Without penalties, many hosts that take turns at
//! wasting slots would hold most of the slots most of the time. A host that takes a whole turn is like any other again.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{Host, Timestamp};

/// The first penalty lasts this long.
const FIRST_PENALTY: Duration = Duration::from_secs(30);
/// A penalty doubles at most this many times: a path that was bad for long is tried again.
const MAX_DOUBLINGS: u8 = 4;
/// At most this many hosts are remembered. Each entry costs its host a slot for a second or two.
const MAX_HOSTS: usize = 1024;

/// How a slot was wasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotWaste {
    /// The session asked for nothing in the slot. The UNCHOKE may have been lost, so a first time is no fault.
    Unused,
    /// The session took far less in the slot than a slot is good for.
    Underused,
}

/// How often a host has wasted slots, and until when it is penalized.
#[derive(Clone, Copy, Debug, Default)]
struct Penalty {
    times: u8,
    until: Timestamp,
}

/// The hosts that wasted slots.
#[derive(Debug, Default)]
pub(super) struct Penalties(BTreeMap<Host, Penalty>);

impl Penalties {
    /// Records that a session of `host` has lost its slot because it has wasted the slot.
    pub(super) fn on_wasted(&mut self, host: Host, waste: SlotWaste, now: Timestamp) {
        if self.0.len() >= MAX_HOSTS && !self.0.contains_key(&host) {
            self.evict(now);
        }
        let penalty = self.0.entry(host).or_default();
        let least = if waste == SlotWaste::Underused { 2 } else { 1 };
        penalty.times = (penalty.times + 1).clamp(least, MAX_DOUBLINGS + 2);
        if let Some(doublings) = penalty.times.checked_sub(2) {
            penalty.until = now + FIRST_PENALTY * (1 << doublings);
        }
    }

    /// Records that a session of `host` has taken a whole turn, which ends the host's penalty.
    pub(super) fn on_turn(&mut self, host: Host) {
        self.0.remove(&host);
    }

    /// Whether `host` is penalized, so that others come before it.
    pub(super) fn is_penalized(&self, host: Host, now: Timestamp) -> bool {
        self.0.get(&host).is_some_and(|penalty| now < penalty.until)
    }

    /// Forgets the penalties that are over, or else the one that is over first.
    fn evict(&mut self, now: Timestamp) {
        self.0.retain(|_, penalty| now < penalty.until);
        let first = self.0.iter().min_by_key(|(_, penalty)| penalty.until).map(|(host, _)| *host);
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
        /// Each time the host waits behind others for longer, up to a bound, and after a while no longer.
        #[test]
        fn it_counts_twice_as_long_each_time_and_never_for_good(pauses in prop::collection::vec(0u64..1000, 1..20)) {
            let (mut penalties, mut now, mut waits) = (Penalties::default(), Timestamp::ZERO, FIRST_PENALTY);
            prop_assert!(!penalties.is_penalized(host(1), now));
            for pause in pauses {
                now += Duration::from_secs(pause);
                penalties.on_wasted(host(1), SlotWaste::Underused, now);
                let almost = now + waits - Duration::from_micros(1);
                prop_assert!(penalties.is_penalized(host(1), almost) && !penalties.is_penalized(host(1), now + waits));
                prop_assert!(!penalties.is_penalized(host(2), now));
                waits = (waits * 2).min(FIRST_PENALTY * (1 << MAX_DOUBLINGS));
            }
            penalties.on_turn(host(1));
            prop_assert!(!penalties.is_penalized(host(1), now));
        }
    }

    #[test]
    fn once_may_be_an_accident_where_nothing_was_asked_for() {
        let (mut penalties, now) = (Penalties::default(), Timestamp::ZERO);
        penalties.on_wasted(host(1), SlotWaste::Unused, now);
        assert!(!penalties.is_penalized(host(1), now));
        penalties.on_wasted(host(1), SlotWaste::Unused, now);
        assert!(penalties.is_penalized(host(1), now));
    }

    #[test]
    fn the_number_of_remembered_hosts_is_bounded_and_the_last_is_kept() {
        let (mut penalties, mut now) = (Penalties::default(), Timestamp::ZERO);
        for number in 0..5000 {
            now += Duration::from_millis(1);
            penalties.on_wasted(host(number), SlotWaste::Underused, now);
            assert!(penalties.0.len() <= MAX_HOSTS && penalties.is_penalized(host(number), now));
        }
    }
}
