//! Who may speak for a node's id. Pure decisions over addresses, lives and instants.
//!
//! ```text
//!   REGISTER for a registered id from ...
//!     its address and port:  the same life → renewed    a later one → begun at once    an earlier one → refused
//!     anywhere else:         Free → PING, Asked → no PONG in time → the claimant has it
//!                                         └──→ PONG or REGISTER → Held (a while) → Free
//! ```
//!
//! A cookie is proof of an address and its port, not of a life: many share an address, the users of one host and all
//! behind one NAT, and each of them can say that his life is the later one. So whoever speaks from elsewhere waits until
//! the old place had its chance to answer: a second for a node that was restarted, or whose NAT has moved it.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use messages::Timestamp;

/// How often the holder of a claimed id is asked before it is taken to be gone: one lost datagram decides nothing.
const PINGS: u32 = 3;

/// How a REGISTER relates to the life that is registered under its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The registered life, from its address and port.
    Renewal,
    /// A later life there.
    NewLife,
    /// An earlier life there: a late repetition, or a copied state folder.
    OlderLife,
    /// From another address or port.
    Elsewhere,
}

/// Compares what is registered with what arrives; a seat is an address and a life, which is ranked by
/// [`crate::calendar::Calendar::rank`].
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
pub(crate) enum Claim {
    /// Nobody does.
    Free,
    /// Somebody does, and the holder is being asked.
    Asked {
        /// Who claims it.
        claimant: SocketAddr,
        /// What the holder has to send back.
        nonce: u64,
        /// Until when the holder may answer.
        deadline: Timestamp,
        /// When it is asked again, if it is.
        next_ping: Option<Timestamp>,
    },
    /// The holder has just shown that it is there: it is not asked again before `until`.
    Held {
        /// When another claim is heard.
        until: Timestamp,
    },
}

/// What comes of a claimant's REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// The holder is asked from now on; come again after this time.
    Asking(Duration),
    /// Come again after this time.
    Wait(Duration),
    /// The holder did not answer: the id is the claimant's.
    Granted,
}

impl Claim {
    /// A REGISTER from elsewhere. `nonce` must be new and unguessable, `patience` is how long the holder has to
    /// answer; a claimant that did not come back for `staleness` after that is forgotten for another one.
    pub(crate) fn press(
        &mut self,
        from: SocketAddr,
        nonce: u64,
        now: Timestamp,
        patience: Duration,
        staleness: Duration,
    ) -> Pressed {
        match *self {
            Claim::Held { until } if until > now => return Pressed::Wait(until.since(now)),
            Claim::Asked { claimant, deadline, .. } if claimant == from => {
                let left = deadline.since(now);
                return if left.is_zero() { Pressed::Granted } else { Pressed::Wait(left) };
            }
            Claim::Asked { deadline, .. } if deadline + staleness > now => {
                return Pressed::Wait((deadline + staleness).since(now));
            }
            Claim::Free | Claim::Held { .. } | Claim::Asked { .. } => {}
        }
        let next_ping = Some(now + patience / PINGS);
        *self = Claim::Asked { claimant: from, nonce, deadline: now + patience, next_ping };
        Pressed::Asking(patience)
    }

    /// The holder has shown that it is there; claims wait until `until`.
    pub(crate) fn hold(&mut self, until: Timestamp) {
        if matches!(self, Claim::Asked { .. }) {
            *self = Claim::Held { until };
        }
    }

    /// What the holder has to send back, when it is being asked.
    pub(crate) fn nonce(&self) -> Option<u64> {
        match *self {
            Claim::Asked { nonce, .. } => Some(nonce),
            Claim::Free | Claim::Held { .. } => None,
        }
    }

    /// When the holder is asked again, if it is.
    pub(crate) fn next_ping(&self) -> Option<Timestamp> {
        match *self {
            Claim::Asked { next_ping, .. } => next_ping,
            Claim::Free | Claim::Held { .. } => None,
        }
    }

    /// The nonce to ask with, when it is time to ask again at `now`.
    pub(crate) fn ping_due(&mut self, now: Timestamp, patience: Duration) -> Option<u64> {
        let Claim::Asked { nonce, deadline, next_ping, .. } = self else { return None };
        let due = (*next_ping).filter(|&at| at <= now)?;
        *next_ping = Some(due + patience / PINGS).filter(|&next| next + patience / (2 * PINGS) < *deadline);
        Some(*nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const WHILE: Duration = Duration::from_secs(20);

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
        let (mut claim, one) = (Claim::Free, address("10.0.0.2:1"));
        assert_eq!(claim.press(one, 77, at(0), SECOND, WHILE), Pressed::Asking(SECOND));
        let mut pings = 1;
        for millis in 0..1000 {
            if claim.ping_due(at(millis), SECOND).is_some() {
                pings += 1;
            }
        }
        assert_eq!(pings, PINGS);
        assert_eq!(claim.press(one, 78, at(600), SECOND, WHILE), Pressed::Wait(SECOND * 2 / 5));
        assert_eq!(claim.press(one, 78, at(1000), SECOND, WHILE), Pressed::Granted);
    }

    #[test]
    fn a_holder_that_answers_is_left_alone_for_a_while() {
        let (mut claim, one) = (Claim::Free, address("10.0.0.2:1"));
        claim.press(one, 77, at(0), SECOND, WHILE);
        assert_eq!(claim.nonce(), Some(77));
        claim.hold(at(20_000));
        assert_eq!((claim.next_ping(), claim.nonce()), (None, None));
        assert_eq!(
            claim.press(one, 78, at(1500), SECOND, WHILE),
            Pressed::Wait(Duration::from_millis(18_500))
        );
        assert_eq!(claim.press(one, 79, at(20_000), SECOND, WHILE), Pressed::Asking(SECOND));
    }

    #[test]
    fn a_second_claimant_waits_until_the_first_one_is_stale() {
        let (mut claim, one, two) = (Claim::Free, address("10.0.0.2:1"), address("10.0.0.3:1"));
        claim.press(one, 77, at(0), SECOND, WHILE);
        assert_eq!(claim.press(two, 78, at(5000), SECOND, WHILE), Pressed::Wait(Duration::from_secs(16)));
        assert_eq!(claim.press(two, 79, at(21_000), SECOND, WHILE), Pressed::Asking(SECOND));
    }
}
