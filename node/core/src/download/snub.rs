//! How long one owner is waited for: who has never given and lets a timeout pass is in doubt, who says nothing is snubbed, and who talks and
//! gives nothing keeps no place.

use std::time::Duration;

use messages::Timestamp;

/// An owner that was snubbed and is heard again this often, but sends nothing, stays snubbed: and is greeted anew when it
/// answers PING once more.
const MAX_REVIVALS: u32 = 1;
/// An owner that puts this node off for so long takes none of the download's places,
const UNPRODUCTIVE_AFTER: Duration = Duration::from_secs(10);
/// and after so long it is left, and tried again in its turn.
const MAX_UNPRODUCTIVE: Duration = Duration::from_secs(60);

/// What is waited for from one owner.
#[derive(Debug, Default)]
pub(super) struct PeerLiveness {
    /// Since when it owes an answer.
    owes_since: Option<Timestamp>,
    /// How often it was heard again after it had been snubbed, without sending anything since.
    revivals: u32,
    /// Since when it has been asked, or has put this node off, without sending anything.
    unproductive_since: Option<Timestamp>,
    is_unproductive: bool,
    /// Whether it has ever sent what it was asked for.
    has_given: bool,
    /// Whether it was snubbed, or let a timeout pass at the very first, and has sent nothing since.
    is_suspect: bool,
}

impl PeerLiveness {
    /// It was asked for something.
    pub(super) fn on_asked(&mut self, now: Timestamp) {
        self.owes_since.get_or_insert(now);
        self.unproductive_since.get_or_insert(now);
    }

    /// It has answered, and be it that it has no time.
    pub(super) fn on_answer(&mut self) {
        self.owes_since = None;
    }

    /// It serves others for a time.
    pub(super) fn on_choked(&mut self, now: Timestamp) {
        self.unproductive_since.get_or_insert(now);
    }

    /// What it was asked for is no longer wanted: it owes nothing.
    pub(super) fn on_withdrawn(&mut self) {
        (self.owes_since, self.unproductive_since) = (None, None);
    }

    /// It has sent what it was asked for.
    pub(super) fn on_given(&mut self) {
        *self = PeerLiveness { has_given: true, ..PeerLiveness::default() };
    }

    /// Nothing of what it was asked for came within a timeout. Whether that puts it in doubt: it has never sent anything.
    pub(super) fn on_timeout(&mut self) -> bool {
        let is_put = !self.has_given && !self.is_suspect;
        self.is_suspect |= is_put;
        is_put
    }

    /// It is snubbed.
    pub(super) fn on_snubbed(&mut self) {
        self.is_suspect = true;
    }

    /// Whether it should have sent something, and has not since.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// It was snubbed, and is heard again: whether it is believed.
    pub(super) fn revive(&mut self) -> bool {
        let believed = self.revivals < MAX_REVIVALS;
        if believed {
            self.revivals += 1;
            self.on_answer();
        }
        believed
    }

    /// Since when it owes an answer.
    pub(super) fn owes_since(&self) -> Option<Timestamp> {
        self.owes_since
    }

    /// Whether it has been asked for too long, and has given nothing.
    pub(super) fn is_unproductive(&self) -> bool {
        self.is_unproductive
    }

    /// Whether it has just been waited for too long to keep its place.
    pub(super) fn turn_unproductive(&mut self, now: Timestamp) -> bool {
        let due = !self.is_unproductive
            && self.unproductive_since.is_some_and(|since| now >= since + UNPRODUCTIVE_AFTER);
        self.is_unproductive |= due;
        due
    }

    /// Whether it has been waited for long enough.
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
    fn who_never_gave_is_doubted_at_the_first_timeout_and_who_gives_no_longer() {
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
