//! Whether any owner has ever given a sign of life. While none has, although the tracker knows some, the way to them may be closed:
//! that is what a firewall looks like from here.

use std::time::Duration;

use messages::Timestamp;

/// Owners that are known and say nothing for this long are called by their addresses: five HELLOs have gone by then, and what
/// lasts half a second more is told within the five seconds that a person waits before wondering.
const NAMED_AFTER: Duration = Duration::from_secs(4);

/// So long after they became known they are asked in few bytes, so that it is known by then whether it is the length.
const ASKED_AFTER: Duration = Duration::from_secs(3);

/// What was heard of all owners together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody is known who could say anything.
    #[default]
    Nobody,
    /// Owners are known since then, and none has said anything.
    Since(Timestamp),
    /// At least one has said something, whatever it was.
    Broken,
}

impl Silence {
    /// Owners are known now.
    pub(super) fn on_known(&mut self, now: Timestamp) {
        if *self == Silence::Nobody {
            *self = Silence::Since(now);
        }
    }

    /// One of them has said something.
    pub(super) fn on_heard(&mut self) {
        *self = Silence::Broken;
    }

    /// When it has lasted so long that it is to be found out whether short datagrams are heard; never, once it is broken.
    pub(super) fn is_looked_into_at(self) -> Timestamp {
        match self {
            Silence::Since(since) => since + ASKED_AFTER,
            Silence::Nobody | Silence::Broken => Timestamp::NEVER,
        }
    }

    /// When it has lasted so long that a person should know where nothing comes from; never, once it is broken.
    pub(super) fn is_told_at(self) -> Timestamp {
        match self {
            Silence::Since(since) => since + NAMED_AFTER,
            Silence::Nobody | Silence::Broken => Timestamp::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_first_owner_until_anybody_speaks() {
        let start = Timestamp::ZERO + Duration::from_secs(10);
        let mut silence = Silence::default();
        assert_eq!(silence.is_told_at(), Timestamp::NEVER);
        silence.on_known(start);
        silence.on_known(start + Duration::from_secs(3));
        assert_eq!(silence.is_told_at(), start + NAMED_AFTER);
        silence.on_heard();
        silence.on_known(start + Duration::from_secs(9));
        assert_eq!(silence.is_told_at(), Timestamp::NEVER);
    }
}
