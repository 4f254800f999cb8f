//! What a packet of the simulated network carries.

use messages::{CHUNK_HEADER, ChunkHeader};

use crate::disk::Provenance;

/// What a packet carries.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A control datagram.
    Control(Vec<u8>),
    /// A sealed CHUNK, whose bytes are only named: what is sealed is its header.
    Sealed {
        /// The frame of a CHUNK with one byte, which stands for all.
        frame: Vec<u8>,
        /// How many bytes there are in truth.
        length: u32,
        /// Which bytes these are.
        source: Provenance,
    },
    /// A CHUNK, whose bytes are only named.
    Chunk {
        /// Its header.
        header: ChunkHeader,
        /// How many bytes follow the header.
        length: u32,
        /// Which bytes these are.
        source: Provenance,
    },
}

impl Payload {
    /// The length of the datagram in bytes, without the headers of IP and UDP.
    pub fn bytes(&self) -> u64 {
        match self {
            Payload::Control(bytes) => bytes.len() as u64,
            Payload::Chunk { length, .. } => u64::from(*length) + CHUNK_HEADER as u64,
            Payload::Sealed { frame, length, .. } => (frame.len() - 1) as u64 + u64::from(*length),
        }
    }

    /// Flips one bit of a control datagram.
    pub(super) fn corrupt(&mut self, bit: u32) {
        if let Payload::Control(bytes) = self {
            let bit = bit as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// Flips one bit of a CHUNK, in its header or behind it.
    pub(super) fn damage(&mut self, bit: u32) {
        if let Payload::Sealed { frame, .. } = self {
            let bit = bit as usize % (frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        let Payload::Chunk { header, length, source } = self else {
            return;
        };
        let (in_header, bit) = (bit.is_multiple_of(2), bit as usize / 2 % (CHUNK_HEADER * 8));
        if !in_header {
            *source = Provenance::WRONG;
            return;
        }
        let mut bytes = header.encode().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes.resize(CHUNK_HEADER + *length as usize, 0);
        match ChunkHeader::decode(&bytes) {
            Ok((other, _)) => *header = other,
            Err(_) => *self = Payload::Control(bytes),
        }
    }
}
