//! CHUNK: the one message that carries bytes of contents or outboards, borrowed from the datagram.
//!
//! Encoded by hand: it is on the path of every byte, and its payload never passes through a codec.

use crate::error::DecodeError;
use crate::header::{Conversation, HEADER_LENGTH, Header};
use crate::kind::Kind;
use crate::limits::{CHUNK_HEADER, MAX_BURST_SEGMENTS, MAX_SEGMENT};
use crate::piece::PieceIndex;

/// One unit of [`ChunkHeader::hold`], in microseconds.
pub const HOLD_UNIT_MICROS: u64 = 32;

/// What stands before a CHUNK's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// The downloader's number of the session.
    pub conversation: Conversation,
    /// Counts the session's CHUNKs as the owner sent them; wraps.
    pub sequence: u32,
    /// Which requested range this answers.
    pub request: u32,
    /// The piece, or [`PieceIndex::OUTBOARD`].
    pub piece: PieceIndex,
    /// Where the payload begins in the piece, in bytes.
    pub offset: u32,
    /// The owner's clock when the burst left, in microseconds
    /// ([`Timestamp::wire_micros`](crate::Timestamp::wire_micros)).
    pub sent_at: u32,
    /// Which segment of the burst this is, from 0.
    pub index: u8,
    /// How many segments the burst has: at most [`MAX_BURST_SEGMENTS`].
    pub count: u8,
    /// How long the request waited at the owner, in [`HOLD_UNIT_MICROS`]; saturates.
    pub hold: u16,
}

impl ChunkHeader {
    /// The header as it travels.
    #[must_use]
    pub fn encode(&self) -> [u8; CHUNK_HEADER] {
        let mut bytes = [0; CHUNK_HEADER];
        bytes[..8].copy_from_slice(&Header { kind: Kind::Chunk, conversation: self.conversation }.encode());
        bytes[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.request.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.piece.0.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.sent_at.to_le_bytes());
        bytes[28] = self.index;
        bytes[29] = self.count;
        bytes[30..].copy_from_slice(&self.hold.to_le_bytes());
        bytes
    }

    /// Reads a CHUNK: its header, and the rest of the datagram as payload.
    ///
    /// # Errors
    /// When the datagram is no CHUNK, has no payload, or names a segment or a number of segments that no burst has.
    pub fn decode(datagram: &[u8]) -> Result<(ChunkHeader, &[u8]), DecodeError> {
        let malformed = DecodeError::Body { kind: Kind::Chunk };
        let header = Header::decode(datagram)?;
        if header.kind != Kind::Chunk {
            return Err(DecodeError::Kind { found: header.kind as u8 });
        }
        let (fields, payload) = datagram.split_first_chunk::<CHUNK_HEADER>().ok_or(malformed)?;
        let word = |at: usize| -> u32 {
            u32::from_le_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]])
        };
        let chunk = ChunkHeader {
            conversation: header.conversation,
            sequence: word(HEADER_LENGTH),
            request: word(12),
            piece: PieceIndex(word(16)),
            offset: word(20),
            sent_at: word(24),
            index: fields[28],
            count: fields[29],
            hold: u16::from_le_bytes([fields[30], fields[31]]),
        };
        let in_burst = chunk.index < chunk.count && usize::from(chunk.count) <= MAX_BURST_SEGMENTS;
        if payload.is_empty() || payload.len() > usize::from(MAX_SEGMENT) || !in_burst {
            return Err(malformed);
        }
        Ok((chunk, payload))
    }
}
