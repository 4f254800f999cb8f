//! Whether any owner has ever sent anything. While none has, although the tracker knows some, the path to them may be
//! closed: a firewall looks like that from here.

use std::time::Duration;

use messages::Timestamp;

/// When all known owners have been silent for this long, their addresses are reported. Five HELLOs have been sent by
/// then, and a reason to wait that lasts half a second more is reported within the five seconds after which a person
/// begins to wonder.
const REPORT_AFTER: Duration = Duration::from_secs(4);

/// When all known owners have been silent for this long, they are sent short datagrams, so that by the time of the
/// report it is known whether the length of datagrams is the cause.
const PROBE_AFTER: Duration = Duration::from_secs(3);

/// What has been received from all owners together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reachability {
    /// No owner is known yet.
    #[default]
    NobodyKnown,
    /// Owners are known since this time, and none has sent anything.
    SilentSince(Timestamp),
    /// At least one owner has sent something.
    Heard,
    /// At least one owner has opened a session.
    Answered,
}

impl Reachability {
    /// Records that owners are known.
    pub(super) fn on_known(&mut self, now: Timestamp) {
        if *self == Reachability::NobodyKnown {
            *self = Reachability::SilentSince(now);
        }
    }

    /// Records that an owner has sent something.
    pub(super) fn on_heard(&mut self) {
        if *self != Reachability::Answered {
            *self = Reachability::Heard;
        }
    }

    /// Records that an owner has opened a session.
    pub(super) fn on_answered(&mut self) {
        *self = Reachability::Answered;
    }

    /// Whether any owner has ever opened a session.
    pub(super) fn has_answered(self) -> bool {
        self == Reachability::Answered
    }

    /// When silence has lasted so long that short datagrams are to be tried; never, once it is broken.
    pub(super) fn probe_at(self) -> Timestamp {
        self.silent_since().map_or(Timestamp::NEVER, |since| since + PROBE_AFTER)
    }

    /// When silence has lasted so long that a person is to be told which owners are silent; never, once it is broken.
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
