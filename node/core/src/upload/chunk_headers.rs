//! The headers of the CHUNKs that one session is sent. Each CHUNK has the next sequence number.

use messages::{ChunkHeader, Conversation, HOLD_UNIT_MICROS, Timestamp};

use super::request_queue::RangeRequest;

/// What the next CHUNK header of a session contains.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkHeaders {
    conversation: Conversation,
    next_sequence: u32,
}

impl ChunkHeaders {
    /// The headers of a session whose conversation number at the downloader is `conversation`.
    pub(super) fn new(conversation: Conversation) -> ChunkHeaders {
        ChunkHeaders { conversation, next_sequence: 0 }
    }

    /// The conversation number that the downloader has chosen for the session.
    pub(super) fn conversation(&self) -> Conversation {
        self.conversation
    }

    /// The header of the first of the segments that answer `request`. The others count on from it, and so does the next
    /// call.
    pub(super) fn first_of(&mut self, request: &RangeRequest, now: Timestamp) -> ChunkHeader {
        let count = request.range.segments(request.segment_size);
        let hold = now.since(request.asked_at).as_micros() as u64 / HOLD_UNIT_MICROS;
        let first = ChunkHeader {
            conversation: self.conversation,
            sequence: self.next_sequence,
            request: request.number,
            piece: request.range.piece(),
            offset: request.range.offset(),
            sent_at: now.wire_micros(),
            index: 0,
            count: count as u8,
            hold: u16::try_from(hold).unwrap_or(u16::MAX),
        };
        self.next_sequence = self.next_sequence.wrapping_add(count);
        first
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messages::PieceIndex;
    use messages::node_to_node::ByteRange;

    use super::*;

    #[test]
    fn each_segment_has_the_next_number_and_the_hold_is_since_the_request() {
        let range = ByteRange::new(PieceIndex(2), 4000, 2500).expect("a range");
        let request = RangeRequest { number: 9, range, segment_size: 1000, asked_at: Timestamp::ZERO };
        let mut headers = ChunkHeaders::new(Conversation(3));
        headers.next_sequence = u32::MAX;
        let first = headers.first_of(&request, Timestamp::ZERO + Duration::from_micros(5 * HOLD_UNIT_MICROS));
        assert_eq!((first.sequence, first.count, first.hold), (u32::MAX, 3, 5));
        assert_eq!((first.conversation, first.request, first.offset), (Conversation(3), 9, 4000));
        let later = headers.first_of(&request, Timestamp::ZERO + Duration::from_secs(3600));
        assert_eq!((later.sequence, later.hold), (2, u16::MAX));
    }
}
