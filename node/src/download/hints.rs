//! What an owner would rather give than what it was asked for: pieces that nobody else got from it yet.

use std::ops::Range;
use std::time::Duration;

use messages::{PieceRun, Timestamp};

/// A piece instead of which others were named is not asked for again for so long, unless there is nothing else; then the owner gives it.
const AVOIDED_FOR: Duration = Duration::from_millis(600);

/// The last hint of one owner.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    runs: Vec<Range<u32>>,
    avoided: Vec<(u32, Timestamp)>,
}

impl Hints {
    /// HINT: `runs` rather than `piece`.
    pub(crate) fn learn(&mut self, piece: u32, runs: &[PieceRun], now: Timestamp) {
        self.avoided.retain(|(avoided, until)| *until > now && *avoided != piece);
        self.avoided.push((piece, now + AVOIDED_FOR));
        self.runs = runs.iter().map(|run| run.pieces()).collect();
    }

    /// The first of the pieces it would rather give that is `wanted`.
    pub(crate) fn first(&self, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        // Each run has as many pieces as a content may: no more are looked at than a hint usefully names.
        self.runs.iter().flat_map(|run| run.clone().take(MOST_NAMED)).find(|&piece| wanted(piece))
    }

    /// Whether `piece` is not to be asked for now.
    pub(crate) fn avoids(&self, piece: u32, now: Timestamp) -> bool {
        self.avoided.iter().any(|(avoided, until)| *avoided == piece && *until > now)
    }

    /// What was avoided long enough may be asked for again.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.avoided.retain(|(_, until)| *until > now);
    }

    /// When [`Hints::expire`] has something to do.
    pub(crate) fn next_at(&self) -> Timestamp {
        self.avoided.iter().map(|(_, until)| *until).min().unwrap_or(Timestamp::NEVER)
    }
}

/// No more pieces of a run are looked at.
const MOST_NAMED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_first_and_what_is_not_wanted_later() {
        let mut hints = Hints::default();
        let now = Timestamp::ZERO;
        assert_eq!((hints.first(|_| true), hints.avoids(3, now)), (None, false));
        hints.learn(3, &[PieceRun::new(8, 2).expect("a run"), PieceRun::new(1, 1).expect("a run")], now);
        assert_eq!((hints.first(|_| true), hints.first(|piece| piece < 8)), (Some(8), Some(1)));
        assert!(hints.avoids(3, now) && !hints.avoids(3, now + AVOIDED_FOR));
        assert_eq!(hints.next_at(), now + AVOIDED_FOR);
        hints.expire(now + AVOIDED_FOR);
        assert_eq!(hints.next_at(), Timestamp::NEVER);
    }
}
