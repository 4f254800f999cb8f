//! The eight bytes that every datagram starts with.

use crate::error::DecodeError;

/// The first two bytes of every Riffle datagram.
pub const MAGIC: [u8; 2] = *b"rf";
/// The wire version that this crate speaks.
pub const VERSION: u8 = 1;
/// The length of a header, in bytes.
pub const HEADER_LENGTH: usize = 8;

/// Which conversation a datagram belongs to: a number that the datagram's *receiver* chose. Before the receiver has
/// chosen one (HELLO, requests to a tracker) it is the sender's own, and the answer echoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Conversation(pub u32);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// What a datagram is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $value,)* }

        impl Kind {
            /// Every kind of wire version 1, in order of its number.
            pub const ALL: &[Kind] = &[$(Kind::$name,)*];

            fn from_byte(byte: u8) -> Option<Kind> {
                match byte { $($value => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// node → tracker: join, then heartbeat.
    Register = 0x01,
    /// node → tracker: these contents are here, or no longer.
    Own = 0x02,
    /// node → tracker: who has this?
    Need = 0x03,
    /// node → tracker: bytes received, by owner.
    Update = 0x04,
    /// node → tracker: leaving.
    Exit = 0x05,
    /// node → tracker: the answer to a tracker's PING.
    TrackerPong = 0x06,
    /// tracker → node: the answer to REGISTER.
    Registered = 0x11,
    /// tracker → node: the answer to OWN.
    Owned = 0x12,
    /// tracker → node: the answer to NEED.
    Owners = 0x13,
    /// tracker → node: the answer to UPDATE.
    Updated = 0x14,
    /// tracker → node: the answer to EXIT.
    Goodbye = 0x15,
    /// tracker → node: a request was not carried out, and why.
    Refused = 0x16,
    /// tracker → node: are you still there?
    TrackerPing = 0x17,
    /// downloader → owner: open a session.
    Hello = 0x21,
    /// owner → downloader: come again with this cookie.
    Retry = 0x22,
    /// owner → downloader: the session is open.
    Welcome = 0x23,
    /// owner → downloader: pieces that are here, as bits.
    Bitfield = 0x24,
    /// either way: pieces that are here now, as runs.
    Have = 0x25,
    /// downloader → owner: send these ranges.
    Request = 0x26,
    /// either way: BUSY, CHOKE, UNCHOKE, REJECT, CANCEL, GONE.
    Control = 0x27,
    /// downloader → owner: send padded datagrams of these sizes.
    Probe = 0x28,
    /// owner → downloader: one padded datagram.
    Probed = 0x29,
    /// either way: are you there?
    Ping = 0x2a,
    /// either way: the answer to PING.
    Pong = 0x2b,
    /// either way: the session is over.
    Bye = 0x2c,
    /// owner → downloader: pieces that others do not get.
    Hint = 0x2d,
    /// owner → downloader: bytes of a file or of a manifest.
    Chunk = 0x31,
}

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
    /// When there are fewer than eight bytes, or they are not a header of wire version 1.
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
