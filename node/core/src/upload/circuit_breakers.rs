//! One circuit breaker for all sessions with a host. They share its path, and four of them together must not take from
//! others what one alone may not take.

use std::collections::BTreeMap;

use messages::{Host, Timestamp};

use super::circuit_breaker::CircuitBreaker;

/// The circuit breakers by host, each with the number of sessions with its host.
#[derive(Debug, Default)]
pub(super) struct CircuitBreakers(BTreeMap<Host, (u32, CircuitBreaker)>);

impl CircuitBreakers {
    /// Records that a session with `host` begins.
    pub(super) fn open(&mut self, host: Host, now: Timestamp) {
        self.0.entry(host).or_insert_with(|| (0, CircuitBreaker::new(now))).0 += 1;
    }

    /// Records that a session with `host` has ended. With the last session of a host its circuit breaker is forgotten.
    pub(super) fn close(&mut self, host: Host) {
        let (sessions, _) =
            self.0.get_mut(&host).expect("a session that ends has opened its host's circuit breaker");
        *sessions -= 1;
        if *sessions == 0 {
            self.0.remove(&host);
        }
    }

    /// The circuit breaker of `host`, which has a session.
    pub(super) fn of(&mut self, host: Host) -> &mut CircuitBreaker {
        &mut self.0.get_mut(&host).expect("a host with a session has a circuit breaker").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_of_a_host_share_a_circuit_breaker_until_the_last_has_ended() {
        let now = Timestamp::ZERO;
        let [one, other] = [1, 2].map(|number| Host::of(([10, 0, 0, number], 1).into()));
        let mut breakers = CircuitBreakers::default();
        [one, one, other].into_iter().for_each(|host| breakers.open(host, now));
        breakers.close(one);
        assert_eq!(breakers.0.len(), 2);
        breakers.close(one);
        assert_eq!(breakers.0.keys().copied().collect::<Vec<_>>(), [other]);
    }
}
