//! Whether any owner has ever given a sign of life. While none has, although the tracker knows some, the way to them
//! may be closed: that is what a firewall looks like from here.

use std::time::Duration;

use messages::Timestamp;

/// Owners that are known and say nothing for this long are called by their addresses: five HELLOs have gone by then,
/// and what lasts half a second more is told within the five seconds that a person waits before wondering.
const REPORT_AFTER: Duration = Duration::from_secs(4);

/// So long after they became known they are asked in few bytes, so that it is known by then whether it is the length.
const PROBE_AFTER: Duration = Duration::from_secs(3);

/// What was heard of all owners together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reachability {
    /// Nobody is known who could say anything.
    #[default]
    NobodyKnown,
    /// Owners are known since then, and none has said anything.
    SilentSince(Timestamp),
    /// At least one has said something, whatever it was.
    Heard,
    /// At least one has opened a session.
    Answered,
}

impl Reachability {
    /// Owners are known now.
    pub(super) fn on_known(&mut self, now: Timestamp) {
        if *self == Reachability::NobodyKnown {
            *self = Reachability::SilentSince(now);
        }
    }

    /// An owner has said something.
    pub(super) fn on_heard(&mut self) {
        if *self != Reachability::Answered {
            *self = Reachability::Heard;
        }
    }

    /// An owner has opened a session.
    pub(super) fn on_answered(&mut self) {
        *self = Reachability::Answered;
    }

    /// Whether any owner has ever opened a session.
    pub(super) fn has_answered(self) -> bool {
        self == Reachability::Answered
    }

    /// When silence has lasted so long that it is to be found out whether short datagrams are heard; never, once it
    /// is broken.
    pub(super) fn probe_at(self) -> Timestamp {
        self.silent_since().map_or(Timestamp::NEVER, |since| since + PROBE_AFTER)
    }

    /// When silence has lasted so long that a person should know where nothing comes from; never, once it is broken.
    pub(super) fn report_at(self) -> Timestamp {
        self.silent_since().map_or(Timestamp::NEVER, |since| since + REPORT_AFTER)
    }

    fn silent_since(self) -> Option<Timestamp> {
        match self {
            Reachability::SilentSince(since) => Some(since),
            Reachability::NobodyKnown | Reachability::Heard | Reachability::Answered => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_first_owner_until_anybody_speaks() {
        let start = Timestamp::ZERO + Duration::from_secs(10);
        let mut reachability = Reachability::default();
        assert_eq!(reachability.report_at(), Timestamp::NEVER);
        reachability.on_known(start);
        reachability.on_known(start + Duration::from_secs(3));
        assert_eq!(reachability.report_at(), start + REPORT_AFTER);
        reachability.on_heard();
        reachability.on_known(start + Duration::from_secs(9));
        assert_eq!(reachability.report_at(), Timestamp::NEVER);
        assert!(!reachability.has_answered(), "a word is no session");
        reachability.on_answered();
        reachability.on_heard();
        assert!(reachability.has_answered());
    }
}
