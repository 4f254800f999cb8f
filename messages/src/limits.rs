//! Every bound of wire version 2, by name, and how the bounds hang together.
//!
//! A decoded value obeys these by construction. Limits that a person may change are settings and live in `config`.

/// The smallest datagram payload that every path is taken to carry, in bytes (RFC 8899 BASE_PLPMTU, RFC 9000 §14).
pub const BASE_DATAGRAM: usize = 1200;
/// The largest payload that one UDP datagram over IPv4 can have, in bytes.
pub const MAX_DATAGRAM: usize = 65_507;
/// No datagram but CHUNK and PROBED is longer than this, in bytes.
pub const CONTROL_DATAGRAM: usize = BASE_DATAGRAM;

/// The length of a CHUNK before its payload, in bytes.
pub const CHUNK_HEADER: usize = 32;
/// Bytes of one chaining value of BLAKE3.
pub const CHAINING_VALUE: usize = 32;
/// Bytes of the length at the start of an outboard.
pub const OUTBOARD_LENGTH: usize = 8;

/// The smallest piece size, in bytes.
pub const MIN_PIECE_SIZE: u32 = 256 << 10;
/// The largest piece size, in bytes.
pub const MAX_PIECE_SIZE: u32 = 8 << 20;
/// Pieces grow before a content has more of them than this.
pub const COMFORTABLE_PIECES: u32 = 4096;
/// No content has more pieces than this.
pub const MAX_PIECES: u32 = 1 << 20;
/// The longest content, in bytes (8 TiB).
pub const MAX_CONTENT: u64 = MAX_PIECES as u64 * MAX_PIECE_SIZE as u64;
/// The longest outboard, in bytes (32 MiB and a little): that of a content of [`MAX_PIECES`] full pieces. Below the last
/// of them there are 13 nodes and a leaf of 1024 bytes.
pub const MAX_OUTBOARD: u32 = (OUTBOARD_LENGTH + CHAINING_VALUE * (MAX_PIECES as usize + 13) + 1024) as u32;

/// The longest name, in bytes of UTF-8: what one path component may have on common file systems.
pub const MAX_NAME: usize = 255;
/// The longest path of an entry of a folder, and the longest target of a link, in bytes of UTF-8.
pub const MAX_PATH: usize = 4095;
/// The most entries of a folder.
pub const MAX_ENTRIES: usize = 1 << 20;
/// The longest index of a folder, in bytes: 256 for each of [`MAX_ENTRIES`].
pub const MAX_INDEX: u64 = 256 << 20;
/// The fewest digits that are taken for the beginning of an id: of a million contents, hardly any two begin alike in so
/// many.
pub const MIN_DIGITS: usize = 8;
/// The most digits of the beginning of an id; with one more it is the id.
pub const MAX_DIGITS: usize = 63;
/// Owners in one OWNERS answer.
pub const MAX_OWNERS: usize = 20;
/// Contents in one OWNERS answer to a search; fewer fit when names are long.
pub const MAX_LISTED: usize = 16;
/// Contents in one OWN; fewer fit when names are long.
pub const MAX_OWN_ENTRIES: usize = 16;
/// Owners credited in one UPDATE.
pub const MAX_CREDITS: usize = 32;
/// Ranges in one REQUEST.
pub const MAX_RANGES: usize = 16;
/// Runs of pieces in one HAVE.
pub const MAX_HAVE_RUNS: usize = 128;
/// Runs of pieces in one HINT.
pub const MAX_HINT_RUNS: usize = 16;
/// Datagram sizes asked for in one PROBE.
pub const MAX_PROBE_SIZES: usize = 16;
/// Bytes of bits in one BITFIELD.
pub const MAX_BITFIELD_BYTES: usize = 1168;
/// Segments in one burst: Linux took no more than 64 before mid-2024 (UDP_MAX_SEGMENTS).
pub const MAX_BURST_SEGMENTS: usize = 64;
/// Bytes of file in one burst: what one range of a REQUEST may ask for. With one header a segment the burst must fit
/// one send as well, so only a range of a single segment is ever this long.
pub const MAX_BURST: u32 = MAX_SEGMENT as u32;
/// Bytes of payload in one CHUNK.
pub const MAX_SEGMENT: u16 = (MAX_DATAGRAM - CHUNK_HEADER) as u16;
/// The largest part of a content that can be named, in thousandths.
pub const MAX_PERMILLE: u16 = 1000;
/// Bytes of what a code brings, sealed: what a datagram has left behind the head of an ANSWER, and a little less.
pub const MAX_SEALED_GIFT: usize = 1120;
/// The largest number of a code.
pub const MAX_CODE_NUMBER: u16 = 9999;

// What stands before the items is in the field tables of this crate's documentation.
const _: () = assert!(14 + MAX_BITFIELD_BYTES <= CONTROL_DATAGRAM, "a full BITFIELD is a control datagram");
const _: () = assert!(10 + 8 * MAX_HAVE_RUNS <= CONTROL_DATAGRAM, "a full HAVE is a control datagram");
const _: () = assert!(28 + 12 * MAX_RANGES <= CONTROL_DATAGRAM, "a full REQUEST is a control datagram");
const _: () = assert!(78 + 24 * MAX_CREDITS <= CONTROL_DATAGRAM, "a full UPDATE is a control datagram");
const _: () =
    assert!(71 + MAX_NAME + 36 * MAX_OWNERS <= CONTROL_DATAGRAM, "a full OWNERS is a control datagram");
const _: () = assert!(62 + MAX_SEALED_GIFT <= CONTROL_DATAGRAM, "a full ANSWER is a control datagram");
const _: () = assert!(MAX_DIGITS <= MAX_NAME, "whatever begins an id can be a name");
const _: () =
    assert!(MAX_PIECE_SIZE.is_power_of_two() && MIN_PIECE_SIZE.is_power_of_two(), "BLAKE3 subtrees");
const _: () = assert!(MAX_DATAGRAM - CHUNK_HEADER <= u16::MAX as usize, "a segment size is two bytes");
const _: () = assert!(MAX_BURST_SEGMENTS <= u8::MAX as usize, "CHUNK counts segments in one byte");
const _: () = assert!(
    MIN_PIECE_SIZE as usize >= 64 * 1024 && MIN_PIECE_SIZE.is_multiple_of(1024),
    "a piece is whole BLAKE3 chunks"
);
