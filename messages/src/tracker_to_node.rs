//! What a tracker says to a node: one answer to each request, and PING. The header echoes the request's conversation.

use serde::{Deserialize, Serialize};

use crate::codec::{Body, content_length};
use crate::cookie::Cookie;
use crate::cursor::{Cursor, PageEnd};
use crate::id::{ContentId, Endpoint, NodeId};
use crate::kind::Kind;
use crate::limits::{MAX_LISTED, MAX_OWNERS};
use crate::list::List;
use crate::name::Name;
use crate::node_to_tracker::Permille;

/// REGISTERED: the node is in the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// A fresh cookie for the node's address.
    pub cookie: Cookie,
    /// Random at the tracker's start: another value is another tracker life.
    pub tracker_epoch: u64,
    /// How often to REGISTER, in milliseconds.
    pub interval_ms: u32,
    /// Whether the tracker's table differs from the node's count and digest: say all OWNs again.
    pub resync: bool,
    /// The node's address as the tracker sees it.
    pub observed: Endpoint,
}

/// OWNED: the entries are in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// How many entries, from the first on, were taken; the rest was over the tracker's limits for one node.
    pub accepted: u16,
}

/// OWNERS: the answer to NEED.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owners {
    /// The tracker knows nothing that fits.
    Unknown {
        /// The tracker has just started: every node will have said OWN again after so many milliseconds. 0: the tracker
        /// knows all nodes, and the answer is final.
        whole_in_ms: u32,
    },
    /// One content and owners of it, the one to ask first first; the asker itself is left out.
    Content(ContentOwners),
    /// Several contents fit.
    Contents(Listing),
}

/// One content and owners of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentOwners {
    /// The content, its length, and what it is called on most hosts.
    pub content: Listed,
    /// Owners chosen for this asker.
    pub owners: List<Owner, MAX_OWNERS>,
}

/// A page of contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The contents, in the order that was asked for.
    pub contents: List<Listed, MAX_LISTED>,
    /// Where the next page begins; `None` when there are no further contents.
    pub more: Option<PageEnd>,
}

impl Listing {
    /// Bytes of an OWNERS datagram with an empty page, header included, where more follow.
    pub const WIRE_FIXED: usize = 8 + 4 + 2 + 1 + PageEnd::WIRE_LENGTH;

    /// The cursor to ask for the next page with, when there are further contents.
    #[must_use]
    pub fn next(&self) -> Option<Cursor> {
        let (PageEnd { tier, number }, last) = self.more.zip(self.contents.last())?;
        Some(Cursor { tier, name: last.name.clone(), hosts: last.hosts, number })
    }
}

/// One content in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The content.
    pub content: ContentId,
    /// The content's length, in bytes; at most [`MAX_CONTENT`](crate::limits::MAX_CONTENT).
    #[serde(deserialize_with = "content_length")]
    pub length: u64,
    /// How many nodes have all of the content.
    pub complete: u32,
    /// How many nodes fetch the content: they have a part of it, or will have one.
    pub partial: u32,
    /// On how many hosts somebody calls it by that name: the nodes of one IPv4 address, or of one IPv6 /64, count once.
    pub hosts: u32,
    /// How long ago the tracker, in its present life, first heard that somebody calls it by that name, in seconds. It
    /// says nothing of when the content was made.
    pub age_s: u32,
    /// What the content is called.
    pub name: Name,
}

impl Listed {
    /// Bytes of this content on the wire.
    #[must_use]
    pub fn wire_length(&self) -> usize {
        32 + 8 + 4 + 4 + 4 + 4 + 1 + self.name.as_str().len()
    }
}

/// One owner of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// Where the asker can reach it.
    pub endpoint: Endpoint,
    /// How much of the content the node has.
    pub permille: Permille,
}

/// UPDATED: the bytes are counted, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// The UPDATE's sequence.
    pub sequence: u32,
}

/// GOODBYE: the node is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye;

/// REFUSED: the request was not carried out. It is never longer than the shortest request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why the tracker refuses.
    pub code: RefusalCode,
    /// After how many milliseconds the node may ask again.
    pub retry_after_ms: u32,
    /// A fresh cookie for the asker's address, when the code is [`RefusalCode::Cookie`]; else [`Cookie::NONE`].
    pub cookie: Cookie,
}

/// Why a tracker refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalCode {
    /// The cookie is missing or too old: ask again at once with the one that comes here.
    Cookie,
    /// This node is not registered from this address: REGISTER first.
    NotRegistered,
    /// The id belongs to a live node at another address.
    IdInUse,
    /// Too many requests from this address.
    TooFast,
    /// The tracker's tables are full.
    Full,
}

impl RefusalCode {
    /// The code in one word, for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            RefusalCode::Cookie => "cookie",
            RefusalCode::NotRegistered => "not-registered",
            RefusalCode::IdInUse => "id-in-use",
            RefusalCode::TooFast => "too-fast",
            RefusalCode::Full => "full",
        }
    }
}

/// PING: are you still there? Answered with PONG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerPing {
    /// The number that PONG is to carry.
    pub nonce: u64,
}

impl Body for Registered {
    const KIND: Kind = Kind::Registered;
}
impl Body for Owned {
    const KIND: Kind = Kind::Owned;
}
impl Body for Owners {
    const KIND: Kind = Kind::Owners;
}
impl Body for Updated {
    const KIND: Kind = Kind::Updated;
}
impl Body for Goodbye {
    const KIND: Kind = Kind::Goodbye;
}
impl Body for Refused {
    const KIND: Kind = Kind::Refused;
}
impl Body for TrackerPing {
    const KIND: Kind = Kind::TrackerPing;
}
