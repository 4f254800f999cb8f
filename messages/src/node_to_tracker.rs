//! What a node says to its tracker. Every request may be repeated: the tracker's tables do not change by that.

use serde::{Deserialize, Serialize};

use crate::codec::{Body, content_length};
use crate::cookie::Cookie;
use crate::cursor::Cursor;
use crate::id::{BootEpoch, ContentId, NodeId};
use crate::kind::Kind;
use crate::limits::{MAX_CREDITS, MAX_OWN_ENTRIES, MAX_PERMILLE};
use crate::list::List;
use crate::name::{Digits, Name, Prefix};

/// Who asks, and that its address is its own. First in every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The node that asks.
    pub node: NodeId,
    /// The tracker's last cookie for the asker's address; [`Cookie::NONE`] before there was one.
    pub cookie: Cookie,
}

/// REGISTER: join, then heartbeat. Answered with REGISTERED.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// Who asks.
    pub asker: Asker,
    /// Which life of the node this is.
    pub epoch: BootEpoch,
    /// How many contents the node has told the tracker about.
    pub contents: u32,
    /// [`OwnDigest`] over them.
    pub digest: OwnDigest,
}

/// What a node owns, in eight bytes: the exclusive or of its entries' hashes, so that order does not matter and one
/// entry can be taken out again. The hash of an entry: the first eight bytes, little-endian, of the BLAKE3 of its id,
/// its permille (two bytes, little-endian) and its name's text. Withdrawn entries are out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDigest(pub u64);

impl OwnDigest {
    /// Puts `entry` in when it was out, and takes it out when it was in.
    pub fn toggle(&mut self, entry: &OwnEntry) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(entry.content.as_bytes()).update(&entry.permille.0.to_le_bytes());
        hasher.update(entry.name.as_str().as_bytes());
        let hash = hasher.finalize();
        let first = hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
        self.0 ^= u64::from_le_bytes(first);
    }
}

/// How much of a content a node has, in thousandths: 0 from the outboard on, 1000 only when it is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Permille(u16);

impl Permille {
    /// All of it.
    pub const COMPLETE: Permille = Permille(MAX_PERMILLE);

    /// `have` pieces of `all`, rounded down; an empty content is complete.
    #[must_use]
    pub const fn of(have: u32, all: u32) -> Permille {
        if have >= all {
            Permille::COMPLETE
        } else {
            Permille((have as u64 * MAX_PERMILLE as u64 / all as u64) as u16)
        }
    }

    /// The number, 0 to 1000.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Whether it is all of it.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        self.0 == MAX_PERMILLE
    }
}

impl<'de> Deserialize<'de> for Permille {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Permille, D::Error> {
        let value = u16::deserialize(deserializer)?;
        if value > MAX_PERMILLE {
            return Err(serde::de::Error::custom("more than all of it"));
        }
        Ok(Permille(value))
    }
}

/// OWN: these contents are here, or (`withdrawn`) no longer. Answered with OWNED. Together with its header it must
/// fit a control datagram: [`OwnEntry::WIRE_FIXED`] helps to count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Who asks.
    pub asker: Asker,
    /// The contents.
    pub entries: List<OwnEntry, MAX_OWN_ENTRIES>,
}

impl Own {
    /// Bytes of the datagram without its entries, header included.
    pub const WIRE_FIXED: usize = 8 + 32 + 2;
}

/// One content that a node has, or no longer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnEntry {
    /// The content.
    pub content: ContentId,
    /// Its length, in bytes; at most [`MAX_CONTENT`](crate::limits::MAX_CONTENT).
    #[serde(deserialize_with = "content_length")]
    pub length: u64,
    /// How much of it is here.
    pub permille: Permille,
    /// Whether this takes the content back.
    pub withdrawn: bool,
    /// What it is called here.
    pub name: Name,
}

impl OwnEntry {
    /// Bytes of an entry without the name's text.
    pub const WIRE_FIXED: usize = 32 + 8 + 2 + 1 + 1;

    /// Bytes of this entry on the wire.
    #[must_use]
    pub fn wire_length(&self) -> usize {
        OwnEntry::WIRE_FIXED + self.name.as_str().len()
    }
}

/// NEED: who has this? Answered with OWNERS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Who asks.
    pub asker: Asker,
    /// What is asked.
    pub query: Query,
}

/// What NEED asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// The owners of a content.
    Content(ContentId),
    /// The owners of the content of exactly that name; or the contents when there are several, the one with most hosts
    /// first.
    Name(Name),
    /// The contents whose names start with `prefix`, in the order of their cursors, from behind `after` on.
    Search {
        /// What the names start with; empty: all.
        prefix: Prefix,
        /// Where the page before ended.
        after: Option<Cursor>,
    },
    /// The owners of the one content whose id begins with these digits, or that is called by them; the contents when
    /// there are several.
    Digits(Digits),
    /// The owners of the content of exactly that name; or the contents when there are several, the one that was called
    /// so last first and then the others, the one with most hosts first.
    Newest(Name),
    /// The contents of exactly that name whose ids are `from` or behind it, in the order of their ids: so one is found
    /// among many by the beginning of its id.
    NameFrom {
        /// What they are called.
        name: Name,
        /// The first id.
        from: ContentId,
    },
}

/// UPDATE: bytes of a content that the asker received and verified since its last UPDATE, by owner. Answered with
/// UPDATED. `sequence` counts a life's UPDATEs, one at a time, so that a repetition counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Who asks.
    pub asker: Asker,
    /// Which UPDATE of this life it is, from 1.
    pub sequence: u32,
    /// The content.
    pub content: ContentId,
    /// Who sent how much.
    pub credits: List<Credit, MAX_CREDITS>,
}

/// Bytes that one owner sent and a downloader verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The owner.
    pub owner: NodeId,
    /// Verified bytes.
    pub bytes: u64,
}

/// EXIT: the node leaves. Answered with GOODBYE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Who asks.
    pub asker: Asker,
    /// Which life ends.
    pub epoch: BootEpoch,
}

/// PONG: the answer to a tracker's PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerPong {
    /// The PING's nonce.
    pub nonce: u64,
}

impl Body for Register {
    const KIND: Kind = Kind::Register;
}
impl Body for Own {
    const KIND: Kind = Kind::Own;
}
impl Body for Need {
    const KIND: Kind = Kind::Need;
}
impl Body for Update {
    const KIND: Kind = Kind::Update;
}
impl Body for Exit {
    const KIND: Kind = Kind::Exit;
}
impl Body for TrackerPong {
    const KIND: Kind = Kind::TrackerPong;
}
