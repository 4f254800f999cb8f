//! Pieces that are new at this node, and the batches of HAVEs that announce them to all sessions.

use std::time::Duration;

use messages::limits::MAX_HAVE_RUNS;
use messages::node_to_node::Have;
use messages::{List, PieceIndex, PieceRun, Timestamp};

/// New pieces are announced at this interval: one HAVE a period names many pieces, and a piece hardly spreads later
/// because of it.
const PERIOD: Duration = Duration::from_millis(100);
/// Each piece is announced in this many consecutive HAVEs, because nobody confirms a HAVE.
const REPEATS: u8 = 3;

/// A piece that is new at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NewPiece {
    piece: PieceIndex,
    /// How often the piece was announced.
    told: u8,
}

/// The new pieces of one content.
#[derive(Debug)]
pub(super) struct HaveBatch {
    /// Pieces that were announced fewer than [`REPEATS`] times.
    pieces: Vec<NewPiece>,
    /// When the pieces are announced next; never, if there are none.
    due: Timestamp,
    /// When pieces were last announced.
    told_at: Timestamp,
}

impl Default for HaveBatch {
    fn default() -> HaveBatch {
        HaveBatch { pieces: Vec::new(), due: Timestamp::NEVER, told_at: Timestamp::ZERO }
    }
}

impl HaveBatch {
    /// Adds `piece`, which is new.
    pub(super) fn add(&mut self, piece: PieceIndex, now: Timestamp) {
        self.pieces.push(NewPiece { piece, told: 0 });
        // The piece is announced at once if nothing was announced lately, because downloaders wait for the first
        // pieces.
        self.due = self.due.min(now.max(self.told_at + PERIOD));
    }

    /// When the next batch is due.
    pub(super) fn due(&self) -> Timestamp {
        self.due
    }

    /// The messages for every session that are due by `now`.
    pub(super) fn poll(&mut self, now: Timestamp) -> Vec<Have> {
        if now < self.due {
            return Vec::new();
        }
        self.told_at = now;
        self.pieces.sort_unstable();
        self.pieces.iter_mut().for_each(|new| new.told += 1);
        let runs = PieceRun::runs_of(self.pieces.iter().map(|new| new.piece));
        self.pieces.retain(|new| new.told < REPEATS);
        self.due = if self.pieces.is_empty() { Timestamp::NEVER } else { now + PERIOD };
        let message = |runs: &[PieceRun]| Have { runs: List::first_of(runs.iter().copied()) };
        runs.chunks(MAX_HAVE_RUNS).map(message).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_told_a_few_times_and_neighbours_together() {
        let (mut batch, mut now) = (HaveBatch::default(), Timestamp::ZERO + Duration::from_secs(1));
        assert!(batch.poll(now).is_empty() && batch.due() == Timestamp::NEVER);
        [7, 5, 6, 9].into_iter().for_each(|piece| batch.add(PieceIndex(piece), now));
        for told in 1..=REPEATS {
            assert_eq!(batch.due(), now, "{told}");
            let messages = batch.poll(now);
            let runs = messages.iter().flat_map(|have| have.runs.iter());
            let ends: Vec<_> = runs.map(|run| (run.start().0, run.end().0)).collect();
            assert_eq!(ends, [(5, 8), (9, 10)]);
            now += PERIOD;
        }
        assert_eq!((batch.due(), batch.poll(now).len()), (Timestamp::NEVER, 0));
        batch.add(PieceIndex(1), now);
        assert_eq!(batch.due(), now, "nothing was told for a period");
    }
}
