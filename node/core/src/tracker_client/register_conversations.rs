//! By which conversations the tracker knows this life of the node.
//!
//! The tracker asks the holder of an id whether it is there in the conversation of the REGISTER that it heard last from
//! that holder. A port may have been another node's before, or another life's: whoever has it now does not answer for
//! them.

use messages::Conversation;

/// So many REGISTERs are remembered: the tracker may have heard a late one last.
const MAX_REMEMBERED: usize = 4;

/// The conversations of the last REGISTERs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RegisterConversations {
    last: [Option<Conversation>; MAX_REMEMBERED],
}

impl RegisterConversations {
    /// A REGISTER is sent in this conversation.
    pub(super) fn remember(&mut self, conversation: Conversation) {
        self.last.rotate_right(1);
        self.last[0] = Some(conversation);
    }

    /// Whether a REGISTER of this life was sent in it lately.
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
