//! The loss that a path has even while it is asked for less than it delivers. Asking for less does not lower that loss,
//! so it is made up for by asking for more.
//!
//! Without that a flow asks at the rate at which bytes arrive, of which a part is lost again, and the path carries less
//! than it could. (50 Mbit/s, 300 ms, 10 % loss each way: 0.70 of the link instead of 0.65; 20 Mbit/s, 60 ms, 30 %: 0.58
//! instead of 0.36.) The loss of a short queue or of a policer is gone while less is asked for, and is not made up for.
//!
//! A flow that loses half of what it asks for is worn down before it has asked for less than it gets often enough. So what
//! it asks for then counts as well, what is lost to timeouts included, if most of it is lost.

/// Loss up to this, in bytes out of a thousand, is not made up for: it may be that of other flows that fill the path.
const TOLERATED: u64 = 30;
/// Of more loss than this, in bytes out of a thousand, only this is made up for.
const MAX_MADE_UP: u64 = 500;
/// One tally has this many bytes, and before the first is complete the loss is not known. Of so many bytes, 30 % are
/// lost to within 3 %.
const TALLY: u64 = 256 << 10;
/// Of a flow that is worn down, the loss is known after so many bytes. (20 Mbit/s, 60 ms, 30 % each way, 40 MiB: four of
/// a hundred draws took more than three minutes, or ten, at a window of a few segments.)
const WORN_TALLY: u64 = 32 << 10;
/// The loss of a flow that is worn down counts beyond this, in bytes out of a thousand: then the loss has worn it down.
const HEAVY: u64 = 250;
/// The lowest loss of this many tallies counts. Other flows that fill the path now and then are not in all of them.
const TALLIES: usize = 4;

/// How much was asked for, beside what the path delivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asking {
    /// As much or more.
    #[default]
    Enough,
    /// Less, to empty a queue or to measure the path.
    Less,
    /// Next to nothing, because the flow is worn down.
    NextToNothing,
}

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
    /// What a flow that is worn down has asked for: in the present round, and in rounds without a queue.
    worn_round: Tally,
    worn: Tally,
}

impl LossFloor {
    /// Records that `bytes` have arrived.
    pub(super) fn on_delivered(&mut self, bytes: u64, asking: Asking) {
        if let Some(round) = self.round_of(asking) {
            round.sent += bytes;
        }
    }

    /// Records that `bytes` are lost.
    pub(super) fn on_lost(&mut self, bytes: u64, asking: Asking) {
        if let Some(round) = self.round_of(asking) {
            round.add(Tally { lost: bytes, sent: bytes });
        }
    }

    /// Records that `bytes` have arrived that had been recorded as lost.
    pub(super) fn on_late(&mut self, bytes: u64, asking: Asking) {
        if let Some(round) = self.round_of(asking) {
            round.lost = round.lost.saturating_sub(bytes);
        }
    }

    fn round_of(&mut self, asking: Asking) -> Option<&mut Tally> {
        match asking {
            Asking::Enough => None,
            Asking::Less => Some(&mut self.round),
            Asking::NextToNothing => Some(&mut self.worn_round),
        }
    }

    /// Records that a round has ended. `is_clear` tells whether no queue was seen in it.
    pub(super) fn on_round(&mut self, is_clear: bool) {
        let [round, worn] = [&mut self.round, &mut self.worn_round].map(std::mem::take);
        if is_clear {
            self.add(round);
            self.add_worn(worn);
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

    fn add_worn(&mut self, tally: Tally) {
        self.worn.add(tally);
        if self.worn.sent >= WORN_TALLY {
            let permille = std::mem::take(&mut self.worn).permille();
            if permille > HEAVY {
                // With so few segments on their way, what was counted before has missed most losses.
                (self.complete, self.present) = ([None; TALLIES], Tally::default());
                self.complete[0] = Some(permille);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records a round in which `lost` of `sent` bytes were lost.
    fn round(floor: &mut LossFloor, lost: u64, sent: u64, is_clear: bool) {
        floor.on_lost(lost, Asking::Less);
        floor.on_delivered(sent - lost, Asking::Less);
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
    fn heavy_loss_of_a_flow_that_is_worn_down_counts_soon_and_alone() {
        let mut floor = LossFloor::default();
        round(&mut floor, 0, TALLY, true);
        let mut worn = |lost: u64, arrived: u64| {
            floor.on_lost(lost, Asking::NextToNothing);
            floor.on_delivered(arrived, Asking::NextToNothing);
            floor.on_round(true);
            floor.asked_for(900)
        };
        assert_eq!(worn(WORN_TALLY / 5, WORN_TALLY * 4 / 5 + 1), 900, "it may be an accident");
        assert_eq!(worn(WORN_TALLY / 2, WORN_TALLY / 2 - 1), 900, "little is known");
        assert_eq!(worn(0, 1), 1800);
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
