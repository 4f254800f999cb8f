#![doc = include_str!("../README.md")]

mod bitfield;
mod chunk;
mod codec;
mod cookie;
mod cursor;
mod datagram;
mod error;
mod header;
mod hidden;
mod host;
mod id;
mod invisible;
pub mod limits;
mod list;
mod manifest;
mod name;
pub mod node_to_node;
pub mod node_to_tracker;
mod time;
pub mod tracker_to_node;

pub use bitfield::{Bits, PieceRun};
pub use chunk::{CHUNK_HEADER, ChunkHeader, HOLD_UNIT_MICROS};
pub use codec::{Body, Padding, encode, encode_unpadded};
pub use cookie::{COOKIE_EPOCH, Cookie, CookieJar};
pub use cursor::{Cursor, PageEnd};
pub use datagram::{Datagram, NodeToNode, NodeToTracker, TrackerToNode};
pub use error::DecodeError;
pub use header::{Conversation, HEADER_LENGTH, Header, Kind, MAGIC, VERSION};
pub use host::{Host, canonical};
pub use id::{BootEpoch, ContentId, Endpoint, NodeId, ParseIdError};
pub use list::List;
pub use manifest::{
    Layout, MANIFEST_FIXED, MANIFEST_VERSION, Manifest, ManifestError, PIECE_HASH, PieceHash, PieceIndex,
};
pub use name::{Digits, DigitsError, Name, NameError, Prefix};
pub use time::Timestamp;
