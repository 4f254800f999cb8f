//! From messages to bytes and back. The only file that names bincode.
//!
//! Layout: little-endian, fixed-width integers, fields in the order of their declaration; a list is a `u16` count and
//! then its items; text is a `u8` length and then UTF-8; which variant of an enum is a `u32`. Nothing allocates by a
//! count alone.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::DecodeError;
use crate::header::{Conversation, HEADER_LENGTH, Header};
use crate::kind::Kind;
use crate::limits::{CONTROL_DATAGRAM, MAX_CONTENT};

/// How much of a body is ever read, in bytes: no message is longer, whatever padding follows it.
const DECODE_LIMIT: usize = CONTROL_DATAGRAM - HEADER_LENGTH;

type Layout = bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::Limit<DECODE_LIMIT>,
>;

const LAYOUT: Layout =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<DECODE_LIMIT>();

/// What may follow the body of a message in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing.
    None,
    /// Zero bytes up to [`CONTROL_DATAGRAM`], so that an answer is never larger than the question.
    ToControlDatagram,
    /// Zero bytes up to a length that the message itself names.
    ToOwnSize,
}

/// The body of one kind of message.
pub trait Body: Serialize + DeserializeOwned {
    /// The kind that its datagrams carry.
    const KIND: Kind;
    /// What follows it.
    const PADDING: Padding = Padding::None;

    /// The whole datagram's length, for a body whose padding is [`Padding::ToOwnSize`].
    fn own_size(&self) -> usize {
        0
    }
}

/// Appends the datagram of `body` to `out`, which the caller owns and reuses.
///
/// # Panics
/// In debug builds, when OWN or OWNERS was filled beyond [`CONTROL_DATAGRAM`]: nobody would accept the datagram.
pub fn encode<B: Body>(conversation: Conversation, body: &B, out: &mut Vec<u8>) {
    let zeros = encode_unpadded(conversation, body, out);
    out.resize(out.len() + zeros, 0);
}

/// As [`encode`], without the zeros at the end: how many of them follow.
///
/// # Panics
/// As [`encode`].
#[expect(clippy::expect_used, reason = "a bounded value always encodes into memory")]
pub fn encode_unpadded<B: Body>(conversation: Conversation, body: &B, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&Header { kind: B::KIND, conversation }.encode());
    bincode::serde::encode_into_std_write(body, out, LAYOUT).expect("a bounded value encodes");
    let length = match B::PADDING {
        Padding::None => out.len() - start,
        Padding::ToControlDatagram => CONTROL_DATAGRAM,
        Padding::ToOwnSize => body.own_size(),
    };
    let is_control = B::PADDING != Padding::ToOwnSize;
    debug_assert!(!is_control || length <= CONTROL_DATAGRAM, "{:?} of {length} bytes", B::KIND);
    (start + length).saturating_sub(out.len())
}

/// Reads the body of a datagram whose header said `B::KIND`.
///
/// # Errors
/// When the body is cut short, breaks a limit, or is followed by what does not belong to it.
pub(crate) fn decode_body<B: Body>(datagram: &[u8]) -> Result<B, DecodeError> {
    let kind = B::KIND;
    let body = datagram.get(HEADER_LENGTH..).ok_or(DecodeError::Short { length: datagram.len() })?;
    let (value, used) =
        bincode::serde::decode_from_slice::<B, _>(body, LAYOUT).map_err(|_| DecodeError::Body { kind })?;
    let tail = body.get(used..).unwrap_or_default();
    let padded_rightly = match B::PADDING {
        Padding::None => tail.is_empty(),
        Padding::ToControlDatagram => datagram.len() == CONTROL_DATAGRAM,
        Padding::ToOwnSize => datagram.len() == value.own_size(),
    };
    if padded_rightly && tail.iter().all(|&byte| byte == 0) {
        Ok(value)
    } else {
        Err(DecodeError::Trailing { kind, extra: tail.len() })
    }
}

/// Reads the length of a content, for values that carry one.
pub(crate) fn content_length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let length = u64::deserialize(deserializer)?;
    if length > MAX_CONTENT { Err(D::Error::custom("longer than any content")) } else { Ok(length) }
}
