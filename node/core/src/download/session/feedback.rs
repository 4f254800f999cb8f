//! What each REQUEST returns to the owner: the highest sequence number that has come, and the nonces of PINGs.
//!
//! A nonce is returned in REQUESTs in case its PONG is lost. The owner counts a nonce that is not returned as lost on
//! the way to this node, and slows down when too many are.

use std::collections::VecDeque;

/// Each nonce is returned in this many REQUESTs, besides its PONG.
const ECHOES: u8 = 2;
/// At most this many nonces wait; the oldest is dropped for a new one.
const MAX_WAITING: usize = 16;

/// What the next REQUESTs return to the owner.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    highest_sequence: u32,
    /// The nonces that are still to be returned, each with the number of REQUESTs.
    waiting: VecDeque<(u64, u8)>,
}

impl Feedback {
    /// Records that a PING with `nonce` has come.
    pub(super) fn on_ping(&mut self, nonce: u64) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((nonce, ECHOES));
    }

    /// Records that a CHUNK with the number `sequence` has come. Sequence numbers wrap.
    pub(super) fn on_chunk(&mut self, sequence: u32) {
        if sequence.wrapping_sub(self.highest_sequence) < u32::MAX / 2 {
            self.highest_sequence = sequence;
        }
    }

    /// The highest sequence number that has come.
    pub(super) fn highest_sequence(&self) -> u32 {
        self.highest_sequence
    }

    /// Takes the nonce that the next REQUEST returns; 0 means none.
    pub(super) fn take_echo(&mut self) -> u64 {
        let Some((nonce, times)) = self.waiting.pop_front() else {
            return 0;
        };
        if times > 1 {
            // The nonce goes behind the others, so that one loss does not take both of its copies.
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
