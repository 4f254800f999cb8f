//! Whether a path that lets no HELLO through lets shorter datagrams through. HELLO is as long as the shortest CHUNK
//! that Riffle uses. Where HELLO is lost every time and a short datagram is not, no firewall closes the path: the
//! packets that it carries are too short.
//!
//! The short datagram is a REQUEST in a session that does not exist. An owner answers it with GONE, under the
//! conversation number of the REQUEST.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use messages::{Conversation, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;

/// The second question is sent this long after the first, and each further one after twice the time of the one before.
const ASKED_AGAIN: Duration = Duration::from_millis(500);
/// The time between two questions is at most this long.
const ASKED_EVERY: Duration = Duration::from_secs(60);

/// The short questions to owners, and the addresses that have answered.
#[derive(Debug, Default)]
pub(super) struct ShortPath {
    /// The conversation number of the session that does not exist, once an owner was asked.
    conversation: Option<Conversation>,
    next_at: Timestamp,
    pause: Duration,
    answered: BTreeSet<SocketAddr>,
}

impl ShortPath {
    /// When owners are asked again.
    pub(super) fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// The conversation number under which owners are to be asked now, if that is due.
    pub(super) fn poll(&mut self, now: Timestamp, rng: &mut StdRng) -> Option<Conversation> {
        if now < self.next_at {
            return None;
        }
        self.pause = (self.pause * 2).clamp(ASKED_AGAIN, ASKED_EVERY);
        self.next_at = now + self.pause;
        Some(*self.conversation.get_or_insert_with(|| Conversation(rng.random())))
    }

    /// Records that the node at `peer` has no session with the number `conversation`. Returns whether that answers a
    /// short question.
    pub(super) fn on_gone(&mut self, peer: SocketAddr, conversation: Conversation) -> bool {
        let is_answer = self.conversation == Some(conversation);
        if is_answer {
            self.answered.insert(peer);
        }
        is_answer
    }

    /// Those of `peers` that receive and send short datagrams.
    pub(super) fn answered(&self, peers: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        peers.filter(|peer| self.answered.contains(peer)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn owners_are_asked_ever_more_rarely_and_only_their_answer_counts() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut path = ShortPath::default();
        let peer = SocketAddr::from(([10, 0, 0, 2], 4000));
        assert!(!path.on_gone(peer, Conversation(0)), "nobody was asked");
        let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
        let asked: Vec<u64> = (0..200).filter(|&second| path.poll(at(second), &mut rng).is_some()).collect();
        assert_eq!(asked, [0, 1, 2, 4, 8, 16, 32, 64, 124, 184]);
        let conversation = path.poll(at(300), &mut rng).expect("due");
        assert!(!path.on_gone(peer, Conversation(conversation.0 ^ 1)));
        assert_eq!(path.answered([peer].into_iter()), []);
        assert!(path.on_gone(peer, conversation));
        assert_eq!(path.answered([peer].into_iter()), [peer]);
    }
}
