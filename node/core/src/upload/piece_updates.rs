//! Which pieces are here, told to a session that may not know: when it is greeted, and when it may have missed some of it.
//!
//! Bits go in the session's turn like everything else that is sent, one BITFIELD at a time, so they are under the limit and stop for who does
//! not listen. Who asks for them again and again gets them every so often.

use std::ops::Range;
use std::time::Duration;

use messages::{Bits, Conversation, Host, Timestamp};

use super::Uploads;

/// They begin again no sooner than this after they began,
const PERIOD: Duration = Duration::from_secs(1);
/// and so late that a session gets no more bytes of them a second: those of 2^20 pieces every 8 s.
const RATE: u32 = 16 << 10;
/// Bytes of a BITFIELD besides its bits.
const BESIDES: u32 = 14;

/// Bytes of the BITFIELD with the bits of `pieces`.
pub(super) fn length(pieces: &Range<u32>) -> u32 {
    BESIDES + (pieces.end - pieces.start).div_ceil(8)
}

/// When one session is told, and how far that has come.
#[derive(Debug, Default)]
pub(super) struct PieceUpdates {
    /// When it may begin again; `None`: it has not begun yet.
    next_at: Option<Timestamp>,
    is_wanted: bool,
    is_under_way: bool,
}

impl PieceUpdates {
    /// Whether the session was never told: it knows that all pieces are here, if they are.
    pub(super) fn is_first(&self) -> bool {
        self.next_at.is_none()
    }

    /// Whether the next of it waits in the session's queue.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The session may not know which pieces are here. While it is being told, it will.
    pub(super) fn want(&mut self) {
        self.is_wanted |= !self.is_under_way;
    }

    /// When it begins.
    pub(super) fn due(&self) -> Timestamp {
        if self.is_wanted { self.next_at.unwrap_or(Timestamp::ZERO) } else { Timestamp::NEVER }
    }

    /// It begins, if it is due: the pieces of the first BITFIELD, of so many.
    pub(super) fn begin(&mut self, pieces: u32, now: Timestamp) -> Option<Range<u32>> {
        if self.due() > now {
            return None;
        }
        self.is_wanted = false;
        let whole = pieces / Bits::CAPACITY;
        let bytes = length(&(0..Bits::CAPACITY)) * whole + length(&(whole * Bits::CAPACITY..pieces));
        let pause = PERIOD.max(Duration::from_secs(1) * bytes / RATE);
        self.next_at = Some(now + pause);
        self.next(0, pieces)
    }

    /// The pieces of the BITFIELD that begins with `first`, of so many.
    pub(super) fn next(&mut self, first: u32, pieces: u32) -> Option<Range<u32>> {
        self.is_under_way = first < pieces;
        self.is_under_way.then(|| first..pieces.min(first.saturating_add(Bits::CAPACITY)))
    }

    /// What waited of it is dropped.
    pub(super) fn stop(&mut self) {
        self.is_under_way = false;
    }
}

impl Uploads {
    /// The session `ours` may not know which pieces are here: it is told, as soon as it may be again.
    pub(super) fn tell_pieces(&mut self, ours: Conversation, now: Timestamp) {
        let Some(session) = self.sessions.get_mut(&ours) else {
            return;
        };
        let is_whole = self.shares.get(&session.share).is_none_or(super::ServedContent::is_whole);
        if is_whole && session.telling.is_first() {
            return;
        }
        session.telling.want();
        self.begin_telling(ours, now);
        if let Some(session) = self.sessions.get_mut(&ours).filter(|of| of.telling.due() < of.looked_at) {
            self.deadlines.remove(&(session.looked_at, ours));
            session.looked_at = session.telling.due();
            self.deadlines.insert((session.looked_at, ours));
        }
    }

    /// The session `ours` is told which pieces are here, if it is time to.
    pub(super) fn begin_telling(&mut self, ours: Conversation, now: Timestamp) {
        let Some(session) = self.sessions.get_mut(&ours) else {
            return;
        };
        let Some(served) = self.shares.get(&session.share) else {
            return;
        };
        if let Some(bits) = session.telling.begin(served.manifest.layout().pieces(), now) {
            session.queue_bits(bits);
            if session.wants_turn() {
                self.turns.push(ours, Host::of(session.peer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use messages::limits::MAX_PIECES;
    use messages::node_to_node::Bitfield;
    use proptest::prelude::*;

    use super::*;

    /// All that it tells from now on, and its bytes.
    fn tell(telling: &mut PieceUpdates, pieces: u32, now: Timestamp) -> (Vec<Range<u32>>, u32) {
        let mut told = Vec::new();
        let mut next = telling.begin(pieces, now);
        while let Some(bits) = next {
            next = telling.next(bits.end, pieces);
            told.push(bits);
        }
        let bytes = told.iter().map(length).sum();
        (told, bytes)
    }

    #[test]
    fn a_bitfield_is_as_long_as_it_says() {
        for pieces in [0..1, 5..13, 0..Bits::CAPACITY, 7..8000] {
            let bits = Bits::of(pieces.start, pieces.end - pieces.start, |_| true);
            let mut bytes = Vec::new();
            messages::encode(Conversation(1), &Bitfield { bits }, &mut bytes);
            assert_eq!(bytes.len() as u32, length(&pieces), "{pieces:?}");
        }
    }

    #[test]
    fn who_is_greeted_is_told_at_once_and_who_asks_again_when_it_may_be() {
        let (mut telling, second) = (PieceUpdates::default(), Duration::from_secs(1));
        assert!(telling.is_first() && telling.due() == Timestamp::NEVER);
        telling.want();
        assert_eq!(telling.begin(10, Timestamp::ZERO), Some(0..10));
        assert!(telling.is_under_way() && !telling.is_first());
        telling.want();
        assert_eq!(telling.due(), Timestamp::NEVER, "it is being told");
        assert_eq!(telling.next(10, 10), None);
        telling.want();
        assert_eq!(telling.due(), Timestamp::ZERO + second);
        assert_eq!(telling.begin(10, Timestamp::ZERO + second / 2), None);
        assert_eq!(telling.begin(10, Timestamp::ZERO + second), Some(0..10));
        telling.stop();
        telling.want();
        assert_eq!(telling.due(), Timestamp::ZERO + second * 2);
    }

    #[test]
    fn of_nothing_nothing_is_told_and_nothing_is_due() {
        let mut telling = PieceUpdates::default();
        telling.want();
        assert_eq!(telling.begin(0, Timestamp::ZERO), None);
        assert!(telling.due() == Timestamp::NEVER && !telling.is_under_way());
    }

    proptest! {
        #[test]
        fn however_often_it_is_wanted_all_is_told_and_not_too_much_of_it(
            pieces in 1..=MAX_PIECES,
            asked in prop::collection::vec(0u64..3000, 1..60),
        ) {
            let (mut telling, start) = (PieceUpdates::default(), Timestamp::ZERO + Duration::from_secs(5));
            let (mut now, mut sum, mut first) = (start, 0, 0);
            for after in asked {
                telling.want();
                let (told, bytes) = tell(&mut telling, pieces, now);
                if !told.is_empty() {
                    prop_assert!(told.windows(2).all(|two| two[0].end == two[1].start));
                    prop_assert_eq!((told[0].start, told[told.len() - 1].end), (0, pieces));
                    prop_assert!(told.iter().all(|bits| bits.end - bits.start <= Bits::CAPACITY));
                    first = bytes;
                }
                sum += u64::from(bytes);
                prop_assert!(sum <= u64::from(first) + now.since(start).as_millis() as u64 * u64::from(RATE) / 1000);
                prop_assert!(telling.due() == Timestamp::NEVER || telling.due() > now);
                now += Duration::from_millis(after);
            }
        }
    }
}
