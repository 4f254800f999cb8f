//! Why some bytes are not a message.

use crate::kind::Kind;

/// Why bytes from the network are not a message of wire version 2. A receiver counts it and drops the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the header that every datagram has.
    #[error("datagram of {length} bytes is shorter than a header")]
    Short {
        /// The datagram's length, in bytes.
        length: usize,
    },
    /// The first two bytes are not Riffle's.
    #[error("not a Riffle datagram")]
    Magic,
    /// A version that this program does not speak.
    #[error("wire version {found} is not spoken here")]
    Version {
        /// The version that the datagram names.
        found: u8,
    },
    /// A kind that version 2 does not have.
    #[error("unknown kind of message {found:#04x}")]
    Kind {
        /// The kind that the datagram names.
        found: u8,
    },
    /// The body ends early, or a value in it breaks its limit.
    #[error("malformed {kind:?}")]
    Body {
        /// The kind that was being read.
        kind: Kind,
    },
    /// The body is followed by bytes that do not belong to it, or its padding is not what the kind asks for.
    #[error("{kind:?} is followed by {extra} bytes that do not belong to it")]
    Trailing {
        /// The kind that was being read.
        kind: Kind,
        /// How many bytes follow the body.
        extra: usize,
    },
}
