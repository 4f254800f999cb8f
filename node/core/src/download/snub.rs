//! How long one owner is waited for. One that has never given anything and lets a timeout pass is suspect; one that
//! says nothing is snubbed; one that talks and gives nothing is unproductive, and holds no slot.

use std::time::Duration;

use messages::Timestamp;

/// An owner that was snubbed and is heard again this often, but sends nothing, stays snubbed: and is greeted anew
/// when it answers PING once more.
const MAX_REVIVALS: u32 = 1;
/// An owner that gives nothing for this long is unproductive,
const UNPRODUCTIVE_AFTER: Duration = Duration::from_secs(10);
/// and after this long its session ends, and it is tried again in its turn.
const MAX_UNPRODUCTIVE: Duration = Duration::from_secs(60);

/// How alive one owner is: what it owes, and how long that has been so.
#[derive(Debug, Default)]
pub(super) struct PeerLiveness {
    /// Since when the owner owes an answer.
    owes_since: Option<Timestamp>,
    /// How often the owner was heard again after it had been snubbed, without sending anything since.
    revivals: u32,
    /// Since when the owner has been asked, or has choked this node, without sending anything.
    unproductive_since: Option<Timestamp>,
    is_unproductive: bool,
    /// Whether the owner has ever sent what it was asked for.
    has_given: bool,
    /// Whether the owner was snubbed, or let a timeout pass at the very first, and has sent nothing since.
    is_suspect: bool,
}

impl PeerLiveness {
    /// The owner was asked for something.
    pub(super) fn on_asked(&mut self, now: Timestamp) {
        self.owes_since.get_or_insert(now);
        self.unproductive_since.get_or_insert(now);
    }

    /// The owner has answered, and be it that it has no time.
    pub(super) fn on_answer(&mut self) {
        self.owes_since = None;
    }

    /// The owner serves others for a time.
    pub(super) fn on_choked(&mut self, now: Timestamp) {
        self.unproductive_since.get_or_insert(now);
    }

    /// What the owner was asked for is no longer wanted: it owes nothing.
    pub(super) fn on_withdrawn(&mut self) {
        (self.owes_since, self.unproductive_since) = (None, None);
    }

    /// The owner has sent what it was asked for.
    pub(super) fn on_given(&mut self) {
        *self = PeerLiveness { has_given: true, ..PeerLiveness::default() };
    }

    /// Nothing of what the owner was asked for came within a timeout: one that has never sent anything is suspect.
    /// Whether it has become so now.
    pub(super) fn on_timeout(&mut self) -> bool {
        let becomes_suspect = !self.has_given && !self.is_suspect;
        self.is_suspect |= becomes_suspect;
        becomes_suspect
    }

    /// The owner is snubbed.
    pub(super) fn on_snubbed(&mut self) {
        self.is_suspect = true;
    }

    /// Whether the owner should have sent something, and has not since.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// The owner was snubbed, and is heard again. Whether it is believed: then it owes nothing.
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

    /// Whether the owner has been asked for too long, and has given nothing.
    pub(super) fn is_unproductive(&self) -> bool {
        self.is_unproductive
    }

    /// An owner that has given nothing for too long is unproductive. Whether it has become so now.
    pub(super) fn turn_unproductive(&mut self, now: Timestamp) -> bool {
        let due = !self.is_unproductive
            && self.unproductive_since.is_some_and(|since| now >= since + UNPRODUCTIVE_AFTER);
        self.is_unproductive |= due;
        due
    }

    /// Whether the owner has been waited for long enough.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.unproductive_since.is_some_and(|since| now >= since + MAX_UNPRODUCTIVE)
    }

    /// When the next of these comes.
    pub(super) fn next_at(&self) -> Timestamp {
        let after = if self.is_unproductive { MAX_UNPRODUCTIVE } else { UNPRODUCTIVE_AFTER };
        self.unproductive_since.map_or(Timestamp::NEVER, |since| since + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_gave_is_suspect_at_the_first_timeout_and_who_gives_no_longer() {
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
