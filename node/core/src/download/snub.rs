//! How long one owner is waited for: who has never given and lets a timeout pass is in doubt, who says nothing is snubbed, and who talks and
//! gives nothing keeps no place.

use std::time::Duration;

use messages::Timestamp;

/// An owner that was snubbed and is heard again this often, but sends nothing, stays snubbed: and is greeted anew when it
/// answers PING once more.
const MAX_REVIVALS: u32 = 1;
/// An owner that puts this node off for so long takes none of the download's places,
const BARREN_AFTER: Duration = Duration::from_secs(10);
/// and after so long it is left, and tried again in its turn.
const BARREN_FOR: Duration = Duration::from_secs(60);

/// What is waited for from one owner.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Since when it owes an answer.
    silent_since: Option<Timestamp>,
    /// How often it was heard again after it had been snubbed, without sending anything since.
    revivals: u32,
    /// Since when it has been asked, or has put this node off, without sending anything.
    barren_since: Option<Timestamp>,
    is_barren: bool,
    /// Whether it has ever sent what it was asked for.
    has_given: bool,
    /// Whether it was snubbed, or let a timeout pass at the very first, and has sent nothing since.
    is_doubted: bool,
}

impl Patience {
    /// It was asked for something.
    pub(super) fn on_asked(&mut self, now: Timestamp) {
        self.silent_since.get_or_insert(now);
        self.barren_since.get_or_insert(now);
    }

    /// It has answered, and be it that it has no time.
    pub(super) fn on_answer(&mut self) {
        self.silent_since = None;
    }

    /// It serves others for a time.
    pub(super) fn on_put_off(&mut self, now: Timestamp) {
        self.barren_since.get_or_insert(now);
    }

    /// What it was asked for is no longer wanted: it owes nothing.
    pub(super) fn on_excused(&mut self) {
        (self.silent_since, self.barren_since) = (None, None);
    }

    /// It has sent what it was asked for.
    pub(super) fn on_given(&mut self) {
        *self = Patience { has_given: true, ..Patience::default() };
    }

    /// Nothing of what it was asked for came within a timeout. Whether that puts it in doubt: it has never sent anything.
    pub(super) fn is_put_in_doubt(&mut self) -> bool {
        let is_put = !self.has_given && !self.is_doubted;
        self.is_doubted |= is_put;
        is_put
    }

    /// It is snubbed.
    pub(super) fn on_snubbed(&mut self) {
        self.is_doubted = true;
    }

    /// Whether it should have sent something, and has not since.
    pub(super) fn is_doubted(&self) -> bool {
        self.is_doubted
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
    pub(super) fn silent_since(&self) -> Option<Timestamp> {
        self.silent_since
    }

    /// Whether it has been asked for too long, and has given nothing.
    pub(super) fn is_barren(&self) -> bool {
        self.is_barren
    }

    /// Whether it has just been waited for too long to keep its place.
    pub(super) fn turns_barren(&mut self, now: Timestamp) -> bool {
        let due = !self.is_barren && self.barren_since.is_some_and(|since| now >= since + BARREN_AFTER);
        self.is_barren |= due;
        due
    }

    /// Whether it has been waited for long enough.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.barren_since.is_some_and(|since| now >= since + BARREN_FOR)
    }

    /// When the next of these comes.
    pub(super) fn next_at(&self) -> Timestamp {
        let after = if self.is_barren { BARREN_FOR } else { BARREN_AFTER };
        self.barren_since.map_or(Timestamp::NEVER, |since| since + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_gave_is_doubted_at_the_first_timeout_and_who_gives_no_longer() {
        let mut patience = Patience::default();
        assert!(patience.is_put_in_doubt() && patience.is_doubted());
        assert!(!patience.is_put_in_doubt(), "it is already");
        patience.on_answer();
        assert!(patience.is_doubted(), "an answer is no bytes");
        patience.on_given();
        assert!(!patience.is_doubted());
        assert!(!patience.is_put_in_doubt(), "it has given: a timeout may be the path's");
        patience.on_snubbed();
        assert!(patience.is_doubted(), "that long it is not");
    }
}
