//! How the datagrams of a channel are laid out. `README.md` has the tables.

use messages::{CHUNK_HEADER, ChunkHeader, Conversation, HEADER_LENGTH, Header, Kind};

/// Bytes of the tag at the end of what is sealed.
pub const TAG_LENGTH: usize = 16;
/// Bytes of the packet number that travel.
const NUMBER_LENGTH: usize = 4;
/// Where what is sealed begins.
pub(crate) const TEXT_AT: usize = HEADER_LENGTH + NUMBER_LENGTH;
/// So many bytes at the start are authenticated and not sealed; the packet number is part of the nonce.
pub(crate) const AUTHENTICATED: usize = HEADER_LENGTH;
/// By how many bytes a datagram of a conversation of the channel grows when it is sealed.
pub const SEALED_OVERHEAD: usize = TEXT_AT + 1 + TAG_LENGTH - HEADER_LENGTH;
/// What stands before the payload of a sealed CHUNK, in bytes.
pub const SEALED_CHUNK_PREFIX: usize = TEXT_AT + 1 + CHUNK_HEADER - HEADER_LENGTH;
/// How much of [`SEALED_CHUNK_PREFIX`] is sealed, in bytes: so much stands before the payload in what is opened.
pub const OPENED_CHUNK_PREFIX: usize = SEALED_CHUNK_PREFIX - TEXT_AT;
/// Bytes of a conversation.
const CONVERSATION_LENGTH: usize = 4;

/// In the byte that says the kind of what is sealed: its conversation follows, since it is not that of the header.
const WITH_CONVERSATION: u8 = 0x80;

/// Every IPv6 path carries this much in one datagram (RFC 8200 §5, without the headers of IPv6 and UDP).
const MIN_PATH: usize = 1280 - 48;
const _: () = assert!(
    messages::limits::BASE_DATAGRAM + SEALED_OVERHEAD + CONVERSATION_LENGTH <= MIN_PATH,
    "whatever is sealed of a control datagram fits every path"
);

/// The conversation numbers of one channel: all that begin with the same bits. An endpoint has one such block for each
/// of its channels, and draws the numbers of its sessions from the block of the peer's channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    first: u32,
    /// How many of the last bits are free.
    free_bits: u8,
}

impl Numbers {
    /// How many bits may be free at most.
    pub(crate) const MAX_FREE_BITS: u8 = 16;

    /// The block with `first` in it, of numbers whose last `free_bits` bits are free. `None`: too many bits.
    pub(crate) fn new(first: u32, free_bits: u8) -> Option<Numbers> {
        (free_bits <= Numbers::MAX_FREE_BITS)
            .then_some(Numbers { first: first >> free_bits << free_bits, free_bits })
    }

    /// The number of the channel itself, which belongs to no session.
    pub(crate) const fn channel(self) -> Conversation {
        Conversation(self.first)
    }

    /// Whether `conversation` is one of them.
    pub(crate) const fn contain(self, conversation: Conversation) -> bool {
        conversation.0 >> self.free_bits == self.first >> self.free_bits
    }

    pub(crate) const fn free_bits(self) -> u8 {
        self.free_bits
    }

    /// The number of the block with these last bits.
    pub(crate) const fn with(self, bits: u32) -> Conversation {
        Conversation(self.first | (bits & ((1 << self.free_bits) - 1)))
    }
}

/// Appends the frame of `datagram` as it is before it is sealed. Returns how many bytes of it are not sealed.
pub(crate) fn write_plain(remote: Numbers, number: u64, datagram: &[u8], out: &mut Vec<u8>) -> usize {
    let (header, body) = datagram.split_at(HEADER_LENGTH);
    let conversation = Conversation(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
    let is_of_channel = remote.contain(conversation);
    let outer = if is_of_channel { conversation } else { remote.channel() };
    out.extend_from_slice(&Header { kind: Kind::Sealed, conversation: outer }.encode());
    out.extend_from_slice(&(number as u32).to_le_bytes());
    if is_of_channel {
        out.push(header[3]);
    } else {
        out.push(header[3] | WITH_CONVERSATION);
        out.extend_from_slice(&header[4..]);
    }
    out.extend_from_slice(body);
    TEXT_AT
}

/// What stands before the payload of a CHUNK before it is sealed.
pub(crate) fn chunk_prefix(number: u64, chunk: &ChunkHeader) -> [u8; SEALED_CHUNK_PREFIX] {
    let inner = chunk.encode();
    let mut prefix = [0; SEALED_CHUNK_PREFIX];
    prefix[..HEADER_LENGTH]
        .copy_from_slice(&Header { kind: Kind::Sealed, conversation: chunk.conversation }.encode());
    prefix[HEADER_LENGTH..TEXT_AT].copy_from_slice(&(number as u32).to_le_bytes());
    prefix[TEXT_AT] = Kind::Chunk as u8;
    prefix[TEXT_AT + 1..].copy_from_slice(&inner[HEADER_LENGTH..]);
    prefix
}

/// The header of the CHUNK of `conversation` that begins with `opened`. `None`: it is no CHUNK.
pub(crate) fn chunk_header(
    conversation: Conversation,
    opened: &[u8; OPENED_CHUNK_PREFIX],
) -> Option<ChunkHeader> {
    let mut header = [0; CHUNK_HEADER + 1];
    header[..HEADER_LENGTH].copy_from_slice(&Header { kind: Kind::Chunk, conversation }.encode());
    header[HEADER_LENGTH..CHUNK_HEADER].copy_from_slice(&opened[1..]);
    // A CHUNK has a payload, which is elsewhere.
    let decoded = ChunkHeader::decode(&header).ok();
    decoded.filter(|_| opened[0] == Kind::Chunk as u8).map(|(header, _)| header)
}

/// The packet number that travels with a frame of at least [`TEXT_AT`] bytes.
pub(crate) fn packet_number(header: &[u8]) -> u32 {
    u32::from_le_bytes([header[8], header[9], header[10], header[11]])
}

/// Whether `datagram` is long enough for a sealed one.
pub(crate) const fn is_long_enough(datagram: &[u8]) -> bool {
    datagram.len() > TEXT_AT + TAG_LENGTH
}

/// How many bytes are sealed in a sealed datagram. `None`: it is too short to be one.
#[must_use]
pub const fn sealed_length(datagram: &[u8]) -> Option<usize> {
    if is_long_enough(datagram) { Some(datagram.len() - TEXT_AT - TAG_LENGTH) } else { None }
}

/// Puts what was opened elsewhere where it was sealed: `start`, and behind it `rest`.
pub(crate) fn put_back(datagram: &mut [u8], start: &[u8], rest: &[u8]) {
    let (at_start, behind) = datagram[TEXT_AT..].split_at_mut(start.len());
    at_start.copy_from_slice(start);
    behind[..rest.len()].copy_from_slice(rest);
}

/// Makes an opened frame a datagram again, where it stands, and returns which bytes it is. `None`: what was sealed is
/// no datagram.
pub(crate) fn unwrap(opened: &mut [u8]) -> Option<std::ops::Range<usize>> {
    let end = opened.len() - TAG_LENGTH;
    let kind = opened[TEXT_AT];
    let (start, conversation) = if kind & WITH_CONVERSATION == 0 {
        (TEXT_AT + 1 - HEADER_LENGTH, [opened[4], opened[5], opened[6], opened[7]])
    } else {
        let body_at = TEXT_AT + 1 + CONVERSATION_LENGTH;
        let bytes = opened.get(TEXT_AT + 1..body_at).filter(|_| body_at <= end)?;
        (body_at - HEADER_LENGTH, [bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    let header = &mut opened[start..start + HEADER_LENGTH];
    header[..2].copy_from_slice(&messages::MAGIC);
    header[2] = messages::VERSION;
    header[3] = kind & !WITH_CONVERSATION;
    header[4..].copy_from_slice(&conversation);
    // Nothing of a channel is sealed in another.
    (!Kind::is_channel(header)).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the other side has sealed, it is a datagram with a header, which belongs to no channel, or nothing.
        #[test]
        fn anything_opened_is_a_datagram_or_nothing(
            mut opened in prop::collection::vec(any::<u8>(), TEXT_AT + TAG_LENGTH + 1..100),
        ) {
            prop_assert!(is_long_enough(&opened));
            if let Some(range) = unwrap(&mut opened) {
                prop_assert_eq!(range.end, opened.len() - TAG_LENGTH);
                let datagram = &opened[range];
                prop_assert!(datagram.len() >= HEADER_LENGTH && !Kind::is_channel(datagram));
            }
        }
    }
}
