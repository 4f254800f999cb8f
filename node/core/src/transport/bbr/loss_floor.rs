//! The loss that a path has even while it is asked for less than it delivers. Asking for less does not lower that loss,
//! so it is made up for by asking for more.
//!
//! Without that a flow asks at the rate at which bytes arrive, of which a part is lost again, and the path carries less
//! than it could. (50 Mbit/s, 300 ms, 10 % loss each way: 0.70 of the link instead of 0.65; 20 Mbit/s, 60 ms, 30 %: 0.58
//! instead of 0.36.) The loss of a short queue or of a policer is gone while less is asked for, and is not made up for.

/// Loss up to this, in bytes out of a thousand, is not made up for: it may be that of other flows that fill the path.
const TOLERATED: u64 = 30;
/// Of more loss than this, in bytes out of a thousand, only this is made up for.
const MAX_MADE_UP: u64 = 500;
/// One tally has this many bytes, and before the first is complete the loss is not known. Of so many bytes, 30 % are
/// lost to within 3 %.
const TALLY: u64 = 256 << 10;
/// The lowest loss of this many tallies counts. Other flows that fill the path now and then are not in all of them.
const TALLIES: usize = 4;

/// The bytes that were lost, and those that were lost or have arrived.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    lost: u64,
    sent: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.lost += other.lost;
        self.sent += other.sent;
    }

    fn permille(self) -> u64 {
        self.lost * 1000 / self.sent.max(1)
    }
}

/// The bytes that were asked for while the path was not full.
#[derive(Clone, Debug, Default)]
pub(super) struct LossFloor {
    /// The bytes of the present round. They count when no queue is seen in it.
    round: Tally,
    /// The tally that is not complete yet.
    present: Tally,
    /// The losses of the complete tallies, in bytes out of a thousand, the latest first.
    complete: [Option<u64>; TALLIES],
}

impl LossFloor {
    /// Records that `bytes` have arrived that were asked for while the path was not full.
    pub(super) fn on_delivered(&mut self, bytes: u64) {
        self.round.sent += bytes;
    }

    /// Records that `bytes` are lost that were asked for while the path was not full.
    pub(super) fn on_lost(&mut self, bytes: u64) {
        self.round.add(Tally { lost: bytes, sent: bytes });
    }

    /// Records that `bytes` have arrived that had been recorded as lost.
    pub(super) fn on_late(&mut self, bytes: u64) {
        self.round.lost = self.round.lost.saturating_sub(bytes);
    }

    /// Records that a round has ended. `is_clear` tells whether no queue was seen in it.
    pub(super) fn on_round(&mut self, is_clear: bool) {
        let round = std::mem::take(&mut self.round);
        if is_clear {
            self.add(round);
        }
    }

    /// The number of bytes that have to be asked for so that `delivered` bytes arrive.
    pub(super) fn asked_for(&self, delivered: u64) -> u64 {
        match self.complete.iter().flatten().min() {
            Some(&permille) if permille > TOLERATED => delivered * 1000 / (1000 - permille.min(MAX_MADE_UP)),
            _ => delivered,
        }
    }

    fn add(&mut self, tally: Tally) {
        self.present.add(tally);
        if self.present.sent >= TALLY {
            self.complete.rotate_right(1);
            self.complete[0] = Some(std::mem::take(&mut self.present).permille());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a round in which `lost` of `sent` bytes were lost.
    fn round(floor: &mut LossFloor, lost: u64, sent: u64, is_clear: bool) {
        floor.on_lost(lost);
        floor.on_delivered(sent - lost);
        floor.on_round(is_clear);
    }

    #[test]
    fn loss_beyond_chance_is_made_up_for_once_it_is_known() {
        let mut floor = LossFloor::default();
        round(&mut floor, TALLY / 20, TALLY / 2, true);
        assert_eq!(floor.asked_for(900), 900, "little is known");
        round(&mut floor, TALLY, TALLY, false);
        assert_eq!(floor.asked_for(900), 900, "there was a queue");
        round(&mut floor, TALLY / 20, TALLY / 2, true);
        assert_eq!(floor.asked_for(900), 998);
        round(&mut floor, TALLY / 50, TALLY, true);
        assert_eq!(floor.asked_for(900), 900, "2 % are tolerated");
        (0..TALLIES).for_each(|_| round(&mut floor, TALLY, TALLY, true));
        assert_eq!(floor.asked_for(900), 1800, "no more than half");
    }

    #[test]
    fn the_lowest_of_the_last_tallies_counts() {
        let mut floor = LossFloor::default();
        round(&mut floor, TALLY / 5, TALLY, true);
        for _ in 0..TALLIES {
            assert_eq!(floor.asked_for(800), 998);
            round(&mut floor, TALLY / 2, TALLY, true);
        }
        assert_eq!(floor.asked_for(800), 1600);
    }
}
