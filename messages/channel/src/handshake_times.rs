//! When each initiator began its last handshake, so that no handshake that was overheard opens a channel when it is said
//! again. Kept for as long as the cookie in it is good: what is older is refused for its cookie.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use messages::{COOKIE_EPOCH, NodeId, Timestamp};

use crate::handshake::HandshakeTime;

/// So long a cookie is good at most.
const LIFETIME: Duration = Duration::from_secs(COOKIE_EPOCH.as_secs() * 2);

pub(crate) struct HandshakeTimes {
    max: usize,
    last: BTreeMap<NodeId, (HandshakeTime, Timestamp)>,
    /// What was recorded when, the oldest first; what was recorded again later stands here more than once.
    order: VecDeque<(Timestamp, NodeId)>,
}

impl HandshakeTimes {
    /// None yet; of more than `max` handshakes the oldest is forgotten.
    pub(crate) fn new(max: usize) -> HandshakeTimes {
        HandshakeTimes { max, last: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Whether a handshake of `peer` at `time` is later than its last.
    pub(crate) fn is_later(&self, peer: NodeId, time: HandshakeTime, now: Timestamp) -> bool {
        self.last.get(&peer).is_none_or(|&(last, at)| time > last || now.since(at) > LIFETIME)
    }

    pub(crate) fn record(&mut self, peer: NodeId, time: HandshakeTime, now: Timestamp) {
        while let Some(&(at, oldest)) = self.order.front()
            && (now.since(at) > LIFETIME || self.order.len() >= self.max)
        {
            self.order.pop_front();
            if self.last.get(&oldest).is_some_and(|&(_, recorded_at)| recorded_at == at) {
                self.last.remove(&oldest);
            }
        }
        if self.order.len() < self.order.capacity() / 4 {
            self.order.shrink_to(self.order.len() * 2);
        }
        self.last.insert(peer, (time, now));
        self.order.push_back((now, peer));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.order.len().max(self.last.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    #[test]
    fn only_later_handshakes_count_while_a_cookie_is_good() {
        let mut times = HandshakeTimes::new(10);
        let now = Timestamp::ZERO + Duration::from_secs(1000);
        times.record(key(1), HandshakeTime(5), now);
        assert!(!times.is_later(key(1), HandshakeTime(5), now));
        assert!(
            times.is_later(key(1), HandshakeTime(6), now) && times.is_later(key(2), HandshakeTime(1), now)
        );
        assert!(!times.is_later(key(1), HandshakeTime(5), now + LIFETIME));
        assert!(times.is_later(key(1), HandshakeTime(5), now + LIFETIME + Duration::from_secs(1)));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_old_goes() {
        let mut times = HandshakeTimes::new(10);
        let mut now = Timestamp::ZERO + Duration::from_secs(1000);
        for number in 0..100 {
            times.record(key(number % 20), HandshakeTime(number.into()), now);
            assert!(times.len() <= 10);
        }
        assert!(!times.is_later(key(19), HandshakeTime(99), now));
        now += LIFETIME * 2;
        times.record(key(1), HandshakeTime(1000), now);
        assert_eq!(times.len(), 1);
    }
}
