//! Who may register with an id that a live node has. Pure decisions over addresses, lives and instants.
//!
//! ```text
//!   REGISTER for a registered id from ...
//!     its address and port:  the same life → renewed    a later one → begun at once    an earlier one → refused
//!     anywhere else:         Free → PING, Asked → no PONG in time → the claimant has it
//!                                         └──→ PONG or REGISTER → Held (a while) → Free
//! ```
//!
//! A cookie proves an address and its port, not a life: many share an address, the users of one host and all behind one
//! NAT, and each of them can say that his life is the later one. So a claimant elsewhere waits until the holder has had
//! the time to answer: a second, for a node that was restarted or that its NAT has moved.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use messages::Timestamp;

/// How often the holder of a claimed id is asked before it counts as gone: one lost datagram decides nothing.
const PINGS: u32 = 3;

/// How a REGISTER relates to the life that is registered under its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The registered life, from its address and port.
    Renewal,
    /// A later life at the same address and port.
    NewLife,
    /// An earlier life at the same address and port: a late repetition, or a copied state folder.
    OlderLife,
    /// From another address or port.
    Elsewhere,
}

/// Compares what is registered with what arrives: an address, and a life as [`crate::calendar::Calendar::rank`] ranks
/// it.
pub(crate) fn arrival<L: Ord>(registered: (SocketAddr, L), arriving: (SocketAddr, L)) -> Arrival {
    if registered.0 != arriving.0 {
        return Arrival::Elsewhere;
    }
    match arriving.1.cmp(&registered.1) {
        Ordering::Less => Arrival::OlderLife,
        Ordering::Equal => Arrival::Renewal,
        Ordering::Greater => Arrival::NewLife,
    }
}

/// Whether somebody at another address claims a node's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdClaim {
    /// Nobody claims it.
    Free,
    /// Somebody claims it, and the holder is being asked.
    Asked {
        /// Where the claimant is.
        claimant: SocketAddr,
        /// What the holder has to send back.
        nonce: u64,
        /// Until when the holder may answer.
        deadline: Timestamp,
        /// When the holder is asked again, if it is.
        next_ping: Option<Timestamp>,
    },
    /// The holder has just answered: it is not asked again before `until`.
    Held {
        /// When another claim is admitted.
        until: Timestamp,
    },
}

/// What comes of a claimant's REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimOutcome {
    /// The holder is asked from now on; the claimant may try again after this time.
    Asking(Duration),
    /// The claimant may try again after this time.
    Wait(Duration),
    /// The holder did not answer: the id is the claimant's.
    Granted,
}

impl IdClaim {
    /// Takes in a REGISTER from elsewhere. `nonce` must be new and unguessable, and `answer_timeout` is how long the
    /// holder has to answer. A claimant that did not come back for `stale_after` after that is forgotten for another
    /// one.
    pub(crate) fn claim(
        &mut self,
        from: SocketAddr,
        nonce: u64,
        now: Timestamp,
        answer_timeout: Duration,
        stale_after: Duration,
    ) -> ClaimOutcome {
        match *self {
            IdClaim::Held { until } if until > now => return ClaimOutcome::Wait(until.since(now)),
            IdClaim::Asked { claimant, deadline, .. } if claimant == from => {
                let left = deadline.since(now);
                return if left.is_zero() { ClaimOutcome::Granted } else { ClaimOutcome::Wait(left) };
            }
            IdClaim::Asked { deadline, .. } if deadline + stale_after > now => {
                return ClaimOutcome::Wait((deadline + stale_after).since(now));
            }
            IdClaim::Free | IdClaim::Held { .. } | IdClaim::Asked { .. } => {}
        }
        let next_ping = Some(now + answer_timeout / PINGS);
        *self = IdClaim::Asked { claimant: from, nonce, deadline: now + answer_timeout, next_ping };
        ClaimOutcome::Asking(answer_timeout)
    }

    /// Takes in that the holder has answered; claims wait until `until`.
    pub(crate) fn hold(&mut self, until: Timestamp) {
        if matches!(self, IdClaim::Asked { .. }) {
            *self = IdClaim::Held { until };
        }
    }

    /// What the holder has to send back, when it is being asked.
    pub(crate) fn nonce(&self) -> Option<u64> {
        match *self {
            IdClaim::Asked { nonce, .. } => Some(nonce),
            IdClaim::Free | IdClaim::Held { .. } => None,
        }
    }

    /// When the holder is asked again, if it is.
    pub(crate) fn next_ping(&self) -> Option<Timestamp> {
        match *self {
            IdClaim::Asked { next_ping, .. } => next_ping,
            IdClaim::Free | IdClaim::Held { .. } => None,
        }
    }

    /// Takes the PING that is due at `now`: the nonce to ask with, or nothing.
    pub(crate) fn take_due_ping(&mut self, now: Timestamp, answer_timeout: Duration) -> Option<u64> {
        let IdClaim::Asked { nonce, deadline, next_ping, .. } = self else { return None };
        let due = (*next_ping).filter(|&at| at <= now)?;
        *next_ping = Some(due + answer_timeout / PINGS)
            .filter(|&next| next + answer_timeout / (2 * PINGS) < *deadline);
        Some(*nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const STALE_AFTER: Duration = Duration::from_secs(20);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn arrivals() {
        let registered = (address("10.0.0.1:7000"), 5);
        let rows = [
            ("10.0.0.1:7000", 5, Arrival::Renewal),
            ("10.0.0.1:7000", 6, Arrival::NewLife),
            ("10.0.0.1:7000", 4, Arrival::OlderLife),
            ("10.0.0.1:7001", 5, Arrival::Elsewhere),
            ("10.0.0.1:7001", 6, Arrival::Elsewhere),
            ("10.0.0.1:7001", 4, Arrival::Elsewhere),
            ("10.0.0.2:7000", 5, Arrival::Elsewhere),
            ("10.0.0.2:7000", 6, Arrival::Elsewhere),
        ];
        for (from, epoch, expected) in rows {
            assert_eq!(arrival(registered, (address(from), epoch)), expected, "{from} {epoch}");
        }
    }

    #[test]
    fn a_silent_holder_loses_its_id_after_three_pings() {
        let (mut claim, one) = (IdClaim::Free, address("10.0.0.2:1"));
        assert_eq!(claim.claim(one, 77, at(0), SECOND, STALE_AFTER), ClaimOutcome::Asking(SECOND));
        let mut pings = 1;
        for millis in 0..1000 {
            if claim.take_due_ping(at(millis), SECOND).is_some() {
                pings += 1;
            }
        }
        assert_eq!(pings, PINGS);
        assert_eq!(claim.claim(one, 78, at(600), SECOND, STALE_AFTER), ClaimOutcome::Wait(SECOND * 2 / 5));
        assert_eq!(claim.claim(one, 78, at(1000), SECOND, STALE_AFTER), ClaimOutcome::Granted);
    }

    #[test]
    fn a_holder_that_answers_is_left_alone_for_a_while() {
        let (mut claim, one) = (IdClaim::Free, address("10.0.0.2:1"));
        claim.claim(one, 77, at(0), SECOND, STALE_AFTER);
        assert_eq!(claim.nonce(), Some(77));
        claim.hold(at(20_000));
        assert_eq!((claim.next_ping(), claim.nonce()), (None, None));
        assert_eq!(
            claim.claim(one, 78, at(1500), SECOND, STALE_AFTER),
            ClaimOutcome::Wait(Duration::from_millis(18_500))
        );
        assert_eq!(claim.claim(one, 79, at(20_000), SECOND, STALE_AFTER), ClaimOutcome::Asking(SECOND));
    }

    #[test]
    fn a_second_claimant_waits_until_the_first_one_is_stale() {
        let (mut claim, one, two) = (IdClaim::Free, address("10.0.0.2:1"), address("10.0.0.3:1"));
        claim.claim(one, 77, at(0), SECOND, STALE_AFTER);
        assert_eq!(
            claim.claim(two, 78, at(5000), SECOND, STALE_AFTER),
            ClaimOutcome::Wait(Duration::from_secs(16))
        );
        assert_eq!(claim.claim(two, 79, at(21_000), SECOND, STALE_AFTER), ClaimOutcome::Asking(SECOND));
    }
}
