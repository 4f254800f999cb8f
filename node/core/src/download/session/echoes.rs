//! Nonces of an owner's PINGs that REQUESTs bring back, in case that a PONG is lost: the owner takes what does not come back for lost on the
//! way to here, and slows down when that is much.

use std::collections::VecDeque;

/// Each is said so often, beside its PONG.
const TIMES: u8 = 2;
/// No more than these wait; the oldest goes first.
const MAX: usize = 16;

/// What is still to be said, each in a REQUEST of its own.
#[derive(Debug, Default)]
pub(super) struct Echoes(VecDeque<(u64, u8)>);

impl Echoes {
    /// PING with `nonce` came.
    pub(super) fn learn(&mut self, nonce: u64) {
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back((nonce, TIMES));
    }

    /// For the next REQUEST; 0: nothing.
    pub(super) fn next(&mut self) -> u64 {
        let Some((nonce, times)) = self.0.pop_front() else {
            return 0;
        };
        if times > 1 {
            // Behind the others, so that one loss does not take both.
            self.0.push_back((nonce, times - 1));
        }
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_twice_and_the_oldest_is_forgotten() {
        let mut echoes = Echoes::default();
        assert_eq!(echoes.next(), 0);
        [5, 6].into_iter().for_each(|nonce| echoes.learn(nonce));
        assert_eq!([0; 5].map(|_| echoes.next()), [5, 6, 5, 6, 0]);
        (1..=MAX as u64 + 1).for_each(|nonce| echoes.learn(nonce));
        assert_eq!((echoes.next(), echoes.0.len()), (2, MAX));
    }
}
