//! What a datagram can be: the kinds of messages of this wire version, and their numbers.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// What a datagram is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $value,)* }

        impl Kind {
            /// Every kind of wire version 2, in order of its number.
            pub const ALL: &[Kind] = &[$(Kind::$name,)*];

            pub(crate) fn from_byte(byte: u8) -> Option<Kind> {
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
    /// owner → downloader: bytes of a content or of an outboard.
    Chunk = 0x31,
    /// initiator → responder: may I open a channel?
    Knock = 0x41,
    /// responder → initiator: come again with this cookie, and greet this key.
    Cookie = 0x42,
    /// initiator → responder: the first message of the handshake.
    Initiate = 0x43,
    /// responder → initiator: the second message of the handshake; the channel is open.
    Accept = 0x44,
    /// either way: a sealed datagram.
    Sealed = 0x45,
    /// either way: a channel of this number is not known here.
    Unknown = 0x46,
    /// sender → desk: a number for a code, and again: it is still wanted.
    Offer = 0x51,
    /// desk → sender: the answer to OFFER.
    Offered = 0x52,
    /// sender → desk: the number is not wanted any more.
    Withdraw = 0x53,
    /// receiver → desk → sender: one step of an exchange with a code.
    Call = 0x54,
    /// sender → desk → receiver: the answer to CALL.
    Answer = 0x55,
    /// desk → whoever asked: a request was not carried out, and why.
    Uncalled = 0x56,
}

impl Kind {
    /// Whether datagrams of this kind belong to a sealed channel. The crate `channel` reads and writes them.
    #[must_use]
    pub const fn is_of_channel(self) -> bool {
        matches!(self as u8, 0x41..=0x46)
    }

    /// Whether a datagram that begins with `bytes` is of such a kind.
    #[must_use]
    pub fn is_channel(bytes: &[u8]) -> bool {
        bytes.get(3).and_then(|&kind| Kind::from_byte(kind)).is_some_and(Kind::is_of_channel)
    }
}
