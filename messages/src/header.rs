//! The eight bytes that every datagram starts with.

use crate::error::DecodeError;
use crate::kind::Kind;

/// The first two bytes of every Riffle datagram.
pub const MAGIC: [u8; 2] = *b"rf";
/// The wire version that this crate speaks.
pub const VERSION: u8 = 2;
/// The length of a header, in bytes.
pub const HEADER_LENGTH: usize = 8;

/// Which conversation a datagram belongs to: a number that the datagram's *receiver* chose. Before the receiver has
/// chosen one (HELLO, requests to a tracker) it is the sender's own, and the answer echoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Conversation(pub u32);

/// The header of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the datagram is.
    pub kind: Kind,
    /// Which conversation it belongs to.
    pub conversation: Conversation,
}

impl Header {
    /// Reads the header at the start of a datagram.
    ///
    /// # Errors
    /// When there are fewer than eight bytes, or they are not a header of wire version 2.
    pub fn decode(datagram: &[u8]) -> Result<Header, DecodeError> {
        let Some((header, _)) = datagram.split_first_chunk::<HEADER_LENGTH>() else {
            return Err(DecodeError::Short { length: datagram.len() });
        };
        let [m0, m1, version, kind, c0, c1, c2, c3] = *header;
        if [m0, m1] != MAGIC {
            return Err(DecodeError::Magic);
        }
        if version != VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let kind = Kind::from_byte(kind).ok_or(DecodeError::Kind { found: kind })?;
        Ok(Header { kind, conversation: Conversation(u32::from_le_bytes([c0, c1, c2, c3])) })
    }

    /// The header as it travels.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_LENGTH] {
        let [c0, c1, c2, c3] = self.conversation.0.to_le_bytes();
        [MAGIC[0], MAGIC[1], VERSION, self.kind as u8, c0, c1, c2, c3]
    }
}
