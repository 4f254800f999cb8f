//! The conversations by which the tracker knows this life of the node.
//!
//! The tracker asks the holder of an id whether it is there, in the conversation of the last REGISTER that it received
//! from that holder. The port of a node may have belonged to another node before, or to an earlier life. The node does
//! not answer for these.

use messages::Conversation;

/// At most this many REGISTERs are remembered, because the tracker may have received a late one last.
const MAX_REMEMBERED: usize = 4;

/// The conversations of the last REGISTERs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RegisterConversations {
    last: [Option<Conversation>; MAX_REMEMBERED],
}

impl RegisterConversations {
    /// Records that a REGISTER is sent in `conversation`.
    pub(super) fn remember(&mut self, conversation: Conversation) {
        self.last.rotate_right(1);
        self.last[0] = Some(conversation);
    }

    /// Whether a REGISTER of this life was sent in `conversation` lately.
    pub(super) fn contains(&self, conversation: Conversation) -> bool {
        self.last.contains(&Some(conversation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_conversations_are_this_node_s() {
        let mut conversations = RegisterConversations::default();
        assert!(!conversations.contains(Conversation(0)));
        for number in 0..10 {
            conversations.remember(Conversation(number));
        }
        let known: Vec<u32> =
            (0..10).filter(|&number| conversations.contains(Conversation(number))).collect();
        assert_eq!(known, [6, 7, 8, 9]);
    }
}
