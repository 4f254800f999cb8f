//! Messages of any kind that a stranger or a downloader sends to a node that serves files.

use std::net::SocketAddr;

use messages::node_to_node::{
    Bitfield, Bye, ByeReason, Control, Have, Operation, Ping, Probe, ProbeSize, Retry, Welcome,
};
use messages::{Bits, ChunkHeader, Conversation, Cookie, List, NodeId, NodeToNode, PieceIndex, PieceRun};

use super::Play;

impl Play<'_> {
    pub(super) fn send_any_message(&mut self) {
        let (index, from, conversation) = self.session();
        let message: NodeToNode = match self.script.below(12) {
            0..3 => {
                let next = self.sessions.get(index).map_or(0, |session| session.next_request);
                let request = next.wrapping_sub(self.script.below(20) as u32);
                let operation = Operation::ALL[self.script.below(Operation::ALL.len())];
                Control { operation, retry_after_ms: self.script.half(), request }.into()
            }
            3 => Ping::new(u64::from(self.script.byte()) + 1).into(),
            4 => Have { runs: List::first_of(PieceRun::new(PieceIndex(self.script.half().into()), 1 << 19)) }
                .into(),
            5 => Bitfield { bits: Bits::of(PieceIndex(self.script.word()), 64, |piece| piece.0 % 2 == 0) }
                .into(),
            6 => {
                let size = ProbeSize::new(1200 + self.script.half() % 60_000).expect("a size of a datagram");
                Probe { id: 1, sizes: List::first_of([size; 16]) }.into()
            }
            7 => {
                Retry { nonce: self.script.long(), echoed_at: 0, cookie: Cookie::from_bytes([1; 16]) }.into()
            }
            8 => self.welcome(),
            9 => Bye { reason: ByeReason::ALL[self.script.below(ByeReason::ALL.len())] }.into(),
            _ => return self.chunk(from, conversation),
        };
        self.send_message(from, conversation, &message);
    }

    fn welcome(&mut self) -> NodeToNode {
        Welcome {
            nonce: self.script.byte().into(),
            echoed_at: 0,
            conversation: Conversation(self.script.word()),
            length: self.script.word().into(),
            have: self.script.word(),
            max_outstanding: self.script.word(),
            max_datagram: 1200,
            capabilities: 0,
            node: NodeId::from_bytes([1; 16]),
            file: messages::FileMetadata::default(),
        }
        .into()
    }

    fn chunk(&mut self, from: SocketAddr, conversation: Conversation) {
        let header = ChunkHeader {
            conversation,
            sequence: self.script.byte().into(),
            request: self.script.byte().into(),
            piece: PieceIndex(self.script.byte().into()),
            offset: self.script.word(),
            sent_at: 0,
            index: 0,
            count: 1,
            hold: 0,
        };
        let mut datagram = header.encode().to_vec();
        datagram.resize(datagram.len() + 1 + usize::from(self.script.byte()), 0);
        self.stage.arrive(from, &datagram);
    }
}
