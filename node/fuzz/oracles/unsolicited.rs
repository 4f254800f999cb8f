//! The datagrams that strangers and owners send unasked to a node that downloads: old datagrams, chunks that the node
//! did not request, and messages of any kind.

use messages::node_to_node::{Bitfield, Bye, ByeReason, Control, Have, Hello, Operation, Ping};
use messages::tracker_to_node::TrackerPing;
use messages::{Bits, ChunkHeader, Conversation, Cookie, List, PieceIndex, PieceRun};

use super::{FREQUENT, Play, Session};
use crate::stage::NODE;

impl Play<'_> {
    pub(super) fn replay(&mut self) {
        let Some((from, datagram)) = self.script.replay(&self.history, &self.addresses, FREQUENT) else {
            return;
        };
        self.stage.arrive(from, &datagram);
    }

    /// Sends a CHUNK that the node did not request, in a session that exists or not.
    pub(super) fn send_stray_chunk(&mut self) {
        let sessions: Vec<Session> = self.sessions.values().copied().collect();
        let session = self.script.pick(&sessions).copied();
        let (at, conversation) = match session {
            Some(session) => (session.at, session.downloader),
            None => (self.address(), Conversation(self.script.word())),
        };
        let mut header = ChunkHeader {
            conversation,
            sequence: self.script.word(),
            request: self.script.word(),
            piece: PieceIndex(self.script.below(4) as u32),
            offset: 0,
            sent_at: self.script.word(),
            index: 0,
            count: 1,
            hold: self.script.half(),
        };
        let mut length = 1168;
        self.spoil(&mut header, &mut length);
        self.chunk(at, &header, length);
    }

    /// Sends a message that an owner may send at any time, from the owner or from another address.
    pub(super) fn send_unsolicited(&mut self) {
        let sessions: Vec<Session> = self.sessions.values().copied().collect();
        let Some(session) = self.script.pick(&sessions).copied() else {
            return self.send_from_tracker(Conversation(1), TrackerPing { nonce: 5 });
        };
        let at = if self.script.below(4) == 0 { self.address() } else { session.at };
        let to = session.downloader;
        match self.script.below(8) {
            0..3 => {
                let operation = Operation::ALL[self.script.below(Operation::ALL.len())];
                let (retry_after_ms, request) = (self.script.half(), self.script.word());
                self.send_message(at, to, Control { operation, retry_after_ms, request });
            }
            3 => {
                let bits = Bits::of(PieceIndex(self.script.word()), Bits::CAPACITY, |piece| piece.0 % 3 != 0);
                self.send_message(at, to, Bitfield { bits });
            }
            4 => {
                let run =
                    PieceRun::new(PieceIndex(self.script.byte().into()), 1 + u32::from(self.script.half()));
                self.send_message(at, to, Have { runs: List::first_of(run) });
            }
            5 => {
                let nonce = u64::from(self.script.byte()) + 1;
                self.send_message(at, to, Ping::new(nonce));
            }
            6 => {
                let reason = ByeReason::ALL[self.script.below(ByeReason::ALL.len())];
                self.send_message(at, to, Bye { reason });
            }
            _ => {
                let hello = Hello {
                    nonce: 1,
                    content: session.content,
                    node: NODE,
                    conversation: to,
                    capabilities: 0,
                    sent_at: 0,
                    cookie: Cookie::NONE,
                };
                self.send_message(at, to, hello);
            }
        }
    }
}
