//! What each REQUEST brings back to the owner: the highest sequence number that came, and the nonces of PINGs.
//!
//! A nonce goes back in REQUESTs in case that its PONG is lost: the owner takes what does not come back for lost on
//! the way to here, and slows down when that is much.

use std::collections::VecDeque;

/// Each nonce goes back in this many REQUESTs, beside its PONG.
const ECHOES: u8 = 2;
/// No more nonces than this wait; the oldest goes first.
const MAX_WAITING: usize = 16;

/// What the next REQUEST brings back.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    highest_sequence: u32,
    /// Nonces that are still to go back, each in so many REQUESTs.
    waiting: VecDeque<(u64, u8)>,
}

impl Feedback {
    /// PING with `nonce` came.
    pub(super) fn on_ping(&mut self, nonce: u64) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((nonce, ECHOES));
    }

    /// CHUNK with `sequence` came. Sequence numbers wrap.
    pub(super) fn on_chunk(&mut self, sequence: u32) {
        if sequence.wrapping_sub(self.highest_sequence) < u32::MAX / 2 {
            self.highest_sequence = sequence;
        }
    }

    /// The highest sequence number that came.
    pub(super) fn highest_sequence(&self) -> u32 {
        self.highest_sequence
    }

    /// Takes the nonce that the next REQUEST echoes; 0: none.
    pub(super) fn take_echo(&mut self) -> u64 {
        let Some((nonce, times)) = self.waiting.pop_front() else {
            return 0;
        };
        if times > 1 {
            // Behind the others, so that one loss does not take both.
            self.waiting.push_back((nonce, times - 1));
        }
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_twice_and_the_oldest_is_forgotten() {
        let mut feedback = Feedback::default();
        assert_eq!(feedback.take_echo(), 0);
        [5, 6].into_iter().for_each(|nonce| feedback.on_ping(nonce));
        assert_eq!([0; 5].map(|_| feedback.take_echo()), [5, 6, 5, 6, 0]);
        (1..=MAX_WAITING as u64 + 1).for_each(|nonce| feedback.on_ping(nonce));
        assert_eq!((feedback.take_echo(), feedback.waiting.len()), (2, MAX_WAITING));
    }

    #[test]
    fn a_late_chunk_lowers_nothing_and_sequence_numbers_wrap() {
        let mut feedback = Feedback::default();
        let mut highest = |sequence| {
            feedback.on_chunk(sequence);
            feedback.highest_sequence()
        };
        assert_eq!([3, 2].map(&mut highest), [3, 3]);
        assert_eq!([1 << 30, 1 << 31, 3 << 30, 5, 4].map(&mut highest), [1 << 30, 1 << 31, 3 << 30, 5, 5]);
    }
}
