//! By which conversations the tracker knows this life of the node.
//!
//! The tracker asks the holder of an id whether it is there in the conversation of the REGISTER that it heard last from
//! it. A port may have been another node's before, or another life's: whoever has it now does not answer for them.

use messages::Conversation;

/// So many REGISTERs are remembered: a late one may have been heard last.
const REMEMBERED: usize = 4;

/// The conversations of the last REGISTERs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Registration {
    said: [Option<Conversation>; REMEMBERED],
}

impl Registration {
    /// A REGISTER is said in this conversation.
    pub(super) fn registers_in(&mut self, conversation: Conversation) {
        self.said.rotate_right(1);
        self.said[0] = Some(conversation);
    }

    /// Whether the tracker asks for this life in it.
    pub(super) fn is_asked_in(&self, conversation: Conversation) -> bool {
        self.said.contains(&Some(conversation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_conversations_are_this_node_s() {
        let mut seat = Registration::default();
        assert!(!seat.is_asked_in(Conversation(0)));
        for number in 0..10 {
            seat.registers_in(Conversation(number));
        }
        let known: Vec<u32> = (0..10).filter(|&number| seat.is_asked_in(Conversation(number))).collect();
        assert_eq!(known, [6, 7, 8, 9]);
    }
}
