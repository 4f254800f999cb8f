//! Which packet numbers have arrived: each counts once (RFC 4303 §3.4.3).

/// How far behind the highest number a datagram may arrive.
pub(crate) const REPLAY_WINDOW: u64 = 1024;

const WORDS: usize = (REPLAY_WINDOW / 64) as usize;

/// The numbers that have arrived, of the last [`REPLAY_WINDOW`].
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayWindow {
    /// One more than the highest number that has arrived: 0 before any has.
    next: u64,
    /// Bit `n % 64` of word `n / 64 % WORDS` says whether number `n` has arrived.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// The 64-bit number nearest to the next expected one whose low 32 bits are `low` (the idea of RFC 9000 §A.3).
    pub(crate) fn expand(&self, low: u32) -> u64 {
        let candidate = (self.next & !0xffff_ffff) | u64::from(low);
        if candidate + (1 << 31) <= self.next && candidate < u64::MAX - (1 << 32) {
            candidate + (1 << 32)
        } else if candidate > self.next + (1 << 31) && candidate >= 1 << 32 {
            candidate - (1 << 32)
        } else {
            candidate
        }
    }

    /// Whether `number` has not arrived yet, and is not too old to tell.
    pub(crate) fn is_new(&self, number: u64) -> bool {
        if number >= self.next {
            return true;
        }
        self.next - number <= REPLAY_WINDOW && self.seen[word(number)] & bit(number) == 0
    }

    /// Records that `number` has arrived, authentic.
    pub(crate) fn record(&mut self, number: u64) {
        if number >= self.next {
            // Every number that is passed over has not arrived.
            if number - self.next >= REPLAY_WINDOW {
                self.seen = [0; WORDS];
            } else {
                (self.next..=number).for_each(|passed| self.seen[word(passed)] &= !bit(passed));
            }
            self.next = number + 1;
        }
        self.seen[word(number)] |= bit(number);
    }
}

const fn word(number: u64) -> usize {
    (number / 64) as usize % WORDS
}

const fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A number counts once, and only while it is within the window.
        #[test]
        fn each_number_is_new_once(steps in prop::collection::vec(0u64..3000, 1..2000)) {
            let (mut window, mut seen, mut highest) = (ReplayWindow::default(), BTreeSet::new(), None::<u64>);
            for number in steps {
                let is_old = highest.is_some_and(|highest| number + REPLAY_WINDOW <= highest);
                prop_assert_eq!(window.is_new(number), !is_old && !seen.contains(&number));
                if window.is_new(number) {
                    window.record(number);
                    seen.insert(number);
                    highest = highest.max(Some(number));
                }
            }
        }

        /// Whatever has arrived, a number within 2^31 of the next one is told from its low half.
        #[test]
        fn numbers_are_told_from_their_low_halves(next in 0u64..1 << 40, ahead in 0u64..1 << 31, behind in 0u64..1 << 31) {
            let window = ReplayWindow { next, ..ReplayWindow::default() };
            prop_assert_eq!(window.expand((next + ahead) as u32), next + ahead);
            let number = next.saturating_sub(behind);
            prop_assert_eq!(window.expand(number as u32), number);
        }
    }
}
