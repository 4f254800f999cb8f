//! Which request numbers of a session were seen before: the sliding anti-replay window of IPsec (RFC 4303, section
//! 3.4.3), over numbers that wrap.

/// A number that is further behind the highest number than this counts as seen.
const WINDOW: u32 = u128::BITS;

/// The request numbers that were seen lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayWindow {
    /// The highest number so far.
    highest: Option<u32>,
    /// One bit for each of the last numbers, set if the number was seen. The lowest bit is that of the highest number.
    seen: u128,
}

impl ReplayWindow {
    /// Whether `number` was seen before, or is too far behind to tell.
    pub(super) fn has(&self, number: u32) -> bool {
        let Some(highest) = self.highest else {
            return false;
        };
        // Numbers wrap: a number that is ahead by less than half of the number space is new.
        let ahead = number.wrapping_sub(highest).cast_signed();
        let behind = ahead.unsigned_abs();
        ahead <= 0 && (behind >= WINDOW || self.seen >> behind & 1 == 1)
    }

    /// Records that `number`, which was not seen before, is seen.
    pub(super) fn insert(&mut self, number: u32) {
        let ahead = self.highest.map_or(0, |highest| number.wrapping_sub(highest).cast_signed());
        if ahead >= 0 {
            self.seen = self.seen.checked_shl(ahead.unsigned_abs()).unwrap_or(0) | 1;
            self.highest = Some(number);
        } else {
            self.seen |= 1u128.checked_shl(ahead.unsigned_abs()).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[u32]) -> ReplayWindow {
        let mut window = ReplayWindow::default();
        for number in numbers {
            assert!(!window.has(*number), "{number}");
            window.insert(*number);
        }
        window
    }

    #[test]
    fn a_number_is_new_once_whatever_the_order() {
        let window = after(&[u32::MAX, 1, 0]);
        assert!([0, 1, u32::MAX, 1u32.wrapping_sub(200)].into_iter().all(|number| window.has(number)));
        assert!(
            [2, u32::MAX - 1, 1u32.wrapping_sub(WINDOW - 1)].into_iter().all(|number| !window.has(number))
        );
    }

    #[test]
    fn a_number_up_to_half_of_all_numbers_ahead_is_new_and_one_beyond_is_old() {
        let (half, window) = (1u32 << 31, after(&[1]));
        assert!(!window.has(half));
        assert!([half + 1, half + 2, u32::MAX - 200].into_iter().all(|number| window.has(number)));
    }

    #[test]
    fn a_leap_forgets_the_numbers_that_are_too_far_behind() {
        let window = after(&[1, 1 + WINDOW, 2]);
        assert!(window.has(1) && window.has(2) && !window.has(3));
    }
}
