//! When a session is sent the BITFIELDs of the pieces that are here: at its beginning, and after it may have missed
//! HAVEs.
//!
//! BITFIELDs are sent one at a time in the session's turn, like everything else that is sent. So the upload limit
//! covers them, and they stop when a downloader does not answer. A downloader that asks for them again and again gets
//! them no more often than [`PERIOD`] and [`MAX_RATE`] allow.

use std::ops::Range;
use std::time::Duration;

use messages::{Bits, PieceIndex, Timestamp};

/// Updates begin at least this long after the previous updates began.
const PERIOD: Duration = Duration::from_secs(1);
/// A session gets at most this many bytes of updates a second: the updates of 2^20 pieces every 8 s.
const MAX_RATE: u32 = 16 << 10;
/// A BITFIELD has this many bytes besides its bits.
const OVERHEAD: u32 = 14;

/// How many bytes the BITFIELD with the bits of `pieces` has.
pub(super) fn bitfield_bytes(pieces: &Range<PieceIndex>) -> u32 {
    OVERHEAD + (pieces.end.0 - pieces.start.0).div_ceil(8)
}

/// How far the updates of a session have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum UpdateState {
    /// The session knows which pieces are here, or that all are.
    #[default]
    Idle,
    /// The session may not know which pieces are here.
    Wanted,
    /// The next BITFIELD waits in the session's queue.
    UnderWay,
}

/// The updates of one session.
#[derive(Debug, Default)]
pub(super) struct PieceUpdates {
    state: UpdateState,
    /// When the updates may begin again. `None`: they have never begun.
    next_at: Option<Timestamp>,
}

impl PieceUpdates {
    /// Whether the session was never sent updates. It knows from WELCOME if all pieces are here.
    pub(super) fn is_first(&self) -> bool {
        self.next_at.is_none()
    }

    /// Records that the session may not know which pieces are here. Updates that are under way are enough.
    pub(super) fn want(&mut self) {
        if self.state == UpdateState::Idle {
            self.state = UpdateState::Wanted;
        }
    }

    /// When the updates begin: never, unless they are wanted.
    pub(super) fn due(&self) -> Timestamp {
        match self.state {
            UpdateState::Wanted => self.next_at.unwrap_or(Timestamp::ZERO),
            UpdateState::Idle | UpdateState::UnderWay => Timestamp::NEVER,
        }
    }

    /// Begins the updates of a content with this many `pieces`, if they are due. Returns the pieces of the first
    /// BITFIELD.
    pub(super) fn begin(&mut self, pieces: u32, now: Timestamp) -> Option<Range<PieceIndex>> {
        if self.due() > now {
            return None;
        }
        let whole = pieces / Bits::CAPACITY;
        let last = PieceIndex(whole * Bits::CAPACITY)..PieceIndex(pieces);
        let bytes =
            bitfield_bytes(&(PieceIndex(0)..PieceIndex(Bits::CAPACITY))) * whole + bitfield_bytes(&last);
        let pause = PERIOD.max(Duration::from_secs(1) * bytes / MAX_RATE);
        self.next_at = Some(now + pause);
        self.advance(PieceIndex(0), pieces)
    }

    /// Records that the BITFIELD that ends before `first` is sent. Returns the pieces of the next BITFIELD of a content
    /// with this many `pieces`, if any are left.
    pub(super) fn advance(&mut self, first: PieceIndex, pieces: u32) -> Option<Range<PieceIndex>> {
        let is_left = first.0 < pieces;
        self.state = if is_left { UpdateState::UnderWay } else { UpdateState::Idle };
        is_left.then(|| first..PieceIndex(pieces.min(first.0.saturating_add(Bits::CAPACITY))))
    }

    /// Records that the BITFIELD that waits in the session's queue is dropped.
    pub(super) fn stop(&mut self) {
        if self.state == UpdateState::UnderWay {
            self.state = UpdateState::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use messages::Conversation;
    use messages::limits::MAX_PIECES;
    use messages::node_to_node::Bitfield;
    use proptest::prelude::*;

    use super::*;

    /// All pieces of which `updates` tells from now on, and the bytes of these messages.
    fn tell(updates: &mut PieceUpdates, pieces: u32, now: Timestamp) -> (Vec<Range<PieceIndex>>, u32) {
        let mut told = Vec::new();
        let mut next = updates.begin(pieces, now);
        while let Some(bits) = next {
            next = updates.advance(bits.end, pieces);
            told.push(bits);
        }
        let bytes = told.iter().map(bitfield_bytes).sum();
        (told, bytes)
    }

    #[test]
    fn a_bitfield_is_as_long_as_it_says() {
        for pieces in [0..1, 5..13, 0..Bits::CAPACITY, 7..8000] {
            let bits = Bits::of(PieceIndex(pieces.start), pieces.end - pieces.start, |_| true);
            let mut bytes = Vec::new();
            messages::encode(Conversation(1), &Bitfield { bits }, &mut bytes);
            let length = bitfield_bytes(&(PieceIndex(pieces.start)..PieceIndex(pieces.end)));
            assert_eq!(bytes.len() as u32, length, "{pieces:?}");
        }
    }

    #[test]
    fn a_greeted_session_is_told_at_once_and_one_that_asks_again_when_it_may_be() {
        let (mut updates, second) = (PieceUpdates::default(), Duration::from_secs(1));
        assert!(updates.is_first() && updates.due() == Timestamp::NEVER);
        updates.want();
        assert_eq!(updates.begin(10, Timestamp::ZERO), Some(PieceIndex(0)..PieceIndex(10)));
        assert!(updates.state == UpdateState::UnderWay && !updates.is_first());
        updates.want();
        assert_eq!(updates.due(), Timestamp::NEVER, "it is being told");
        assert_eq!(updates.advance(PieceIndex(10), 10), None);
        updates.want();
        assert_eq!(updates.due(), Timestamp::ZERO + second);
        assert_eq!(updates.begin(10, Timestamp::ZERO + second / 2), None);
        assert_eq!(updates.begin(10, Timestamp::ZERO + second), Some(PieceIndex(0)..PieceIndex(10)));
        updates.stop();
        updates.want();
        assert_eq!(updates.due(), Timestamp::ZERO + second * 2);
    }

    #[test]
    fn of_nothing_nothing_is_told_and_nothing_is_due() {
        let mut updates = PieceUpdates::default();
        updates.want();
        assert_eq!(updates.begin(0, Timestamp::ZERO), None);
        assert!(updates.due() == Timestamp::NEVER && updates.state != UpdateState::UnderWay);
    }

    proptest! {
        #[test]
        fn however_often_it_is_wanted_all_is_told_and_not_too_much_of_it(
            pieces in 1..=MAX_PIECES,
            asked in prop::collection::vec(0u64..3000, 1..60),
        ) {
            let (mut updates, start) = (PieceUpdates::default(), Timestamp::ZERO + Duration::from_secs(5));
            let (mut now, mut sum, mut first) = (start, 0, 0);
            for after in asked {
                updates.want();
                let (told, bytes) = tell(&mut updates, pieces, now);
                if !told.is_empty() {
                    prop_assert!(told.windows(2).all(|two| two[0].end == two[1].start));
                    prop_assert_eq!((told[0].start.0, told[told.len() - 1].end.0), (0, pieces));
                    prop_assert!(told.iter().all(|bits| bits.end.0 - bits.start.0 <= Bits::CAPACITY));
                    first = bytes;
                }
                sum += u64::from(bytes);
                prop_assert!(sum <= u64::from(first) + now.since(start).as_millis() as u64 * u64::from(MAX_RATE) / 1000);
                prop_assert!(updates.due() == Timestamp::NEVER || updates.due() > now);
                now += Duration::from_millis(after);
            }
        }
    }
}
