//! How long a download waits for one owner. An owner that has never sent anything and lets a timeout pass is suspect;
//! an owner that is silent is snubbed; an owner that answers and sends no CHUNKs is unproductive, and holds no slot.

use std::time::Duration;

use messages::Timestamp;

/// A snubbed owner that answers again is believed this often, as long as it sends nothing. When it answers PING once
/// more, it is greeted anew.
const MAX_REVIVALS: u32 = 1;
/// An owner that sends nothing for this long is unproductive.
const UNPRODUCTIVE_AFTER: Duration = Duration::from_secs(10);
/// The session of an owner that sends nothing ends after this long, and the owner is tried again later.
const MAX_UNPRODUCTIVE: Duration = Duration::from_secs(60);

/// How alive one owner is: whether it owes an answer, and since when it has sent nothing.
#[derive(Debug, Default)]
pub(super) struct PeerLiveness {
    /// Since when the owner owes an answer.
    owes_since: Option<Timestamp>,
    /// How often the owner has answered again after it was snubbed, without sending anything since.
    revivals: u32,
    /// Since when the owner has been asked for something, or has choked this node, without sending anything.
    unproductive_since: Option<Timestamp>,
    is_unproductive: bool,
    /// Whether the owner has ever sent what it was asked for.
    has_given: bool,
    /// Whether the owner was snubbed, or let a timeout pass before it had sent anything, and has sent nothing since.
    is_suspect: bool,
}

impl PeerLiveness {
    /// Records that the owner was asked for something.
    pub(super) fn on_asked(&mut self, now: Timestamp) {
        self.owes_since.get_or_insert(now);
        self.unproductive_since.get_or_insert(now);
    }

    /// Records that the owner has answered, even if only that it serves others.
    pub(super) fn on_answer(&mut self) {
        self.owes_since = None;
    }

    /// Records that the owner has choked this node.
    pub(super) fn on_choked(&mut self, now: Timestamp) {
        self.unproductive_since.get_or_insert(now);
    }

    /// Records that nothing is wanted of the owner any more, so that it owes nothing.
    pub(super) fn on_withdrawn(&mut self) {
        (self.owes_since, self.unproductive_since) = (None, None);
    }

    /// Records that the owner has sent what it was asked for.
    pub(super) fn on_given(&mut self) {
        *self = PeerLiveness { has_given: true, ..PeerLiveness::default() };
    }

    /// Records that nothing of what the owner was asked for came within a timeout. An owner that has never sent
    /// anything turns suspect. Returns whether it does so now.
    pub(super) fn on_timeout(&mut self) -> bool {
        let becomes_suspect = !self.has_given && !self.is_suspect;
        self.is_suspect |= becomes_suspect;
        becomes_suspect
    }

    /// Records that the owner is snubbed.
    pub(super) fn on_snubbed(&mut self) {
        self.is_suspect = true;
    }

    /// Whether the owner is suspect: it should have sent something and has not.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// Records that the snubbed owner has answered again. Returns whether it is believed; then it owes nothing.
    pub(super) fn revive(&mut self) -> bool {
        let believed = self.revivals < MAX_REVIVALS;
        if believed {
            self.revivals += 1;
            self.on_answer();
        }
        believed
    }

    /// Since when the owner owes an answer.
    pub(super) fn owes_since(&self) -> Option<Timestamp> {
        self.owes_since
    }

    /// Whether the owner is unproductive: it has sent nothing for too long.
    pub(super) fn is_unproductive(&self) -> bool {
        self.is_unproductive
    }

    /// Makes the owner unproductive if it has sent nothing for too long. Returns whether it becomes so now.
    pub(super) fn turn_unproductive(&mut self, now: Timestamp) -> bool {
        let due = !self.is_unproductive
            && self.unproductive_since.is_some_and(|since| now >= since + UNPRODUCTIVE_AFTER);
        self.is_unproductive |= due;
        due
    }

    /// Whether the owner has sent nothing for so long that its session is to end.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.unproductive_since.is_some_and(|since| now >= since + MAX_UNPRODUCTIVE)
    }

    /// When the owner becomes unproductive, or its session is to end.
    pub(super) fn next_at(&self) -> Timestamp {
        let after = if self.is_unproductive { MAX_UNPRODUCTIVE } else { UNPRODUCTIVE_AFTER };
        self.unproductive_since.map_or(Timestamp::NEVER, |since| since + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_that_never_gave_is_suspect_at_the_first_timeout_and_one_that_gives_no_longer() {
        let mut liveness = PeerLiveness::default();
        assert!(liveness.on_timeout() && liveness.is_suspect());
        assert!(!liveness.on_timeout(), "it is already");
        liveness.on_answer();
        assert!(liveness.is_suspect(), "an answer is no bytes");
        liveness.on_given();
        assert!(!liveness.is_suspect());
        assert!(!liveness.on_timeout(), "it has given: a timeout may be the path's");
        liveness.on_snubbed();
        assert!(liveness.is_suspect(), "that long it is not");
    }
}
