//! Scripted owners that lie about what proves a content: its outboard, its length, or its only piece.

use std::net::SocketAddr;
use std::time::Duration;

use messages::limits::MAX_CONTENT;
use messages::node_to_node::Request;
use messages::{Conversation, Layout, PieceIndex};

use super::{HostId, World};
use crate::content::Content;
use crate::disk::Provenance;

/// The lie of an owner. What it does not lie about it sends as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboardLie {
    /// It says that the content has this length, and sends an outboard, or an only piece, that is as long as that says
    /// and of no content.
    Length(u64),
    /// It sends the outboard of somebody else's content of the same length.
    OtherContent,
    /// One segment of its outboard is wrong, and so one value in it or more.
    WrongValue,
    /// It never sends the last segment of the outboard.
    CutShort,
    /// It says that the content is the longest there can be, and sends the outboard of that, just fast enough not to
    /// count as slow.
    Endless,
    /// It sends wrong bytes for each piece, also for the only one.
    WrongPiece,
}

/// How far apart the segments of most of them are: 37 Mbit/s.
const PERIOD: Duration = Duration::from_micros(250);
/// How far apart the segments of an endless outboard are: 58 KB/s.
const SLOW_PERIOD: Duration = Duration::from_millis(20);

impl OutboardLie {
    /// How the content is cut, as the owner says.
    pub(super) fn layout(self, content: &Content) -> Layout {
        let claimed = match self {
            OutboardLie::Length(length) => Layout::of(length),
            OutboardLie::Endless => Layout::of(MAX_CONTENT),
            _ => None,
        };
        claimed.unwrap_or(content.outboard.layout())
    }

    /// What the owner sends for these bytes of `piece`, which end at `end`; `None`: nothing.
    fn source(self, content: &Content, piece: PieceIndex, (offset, end): (u32, u32)) -> Option<Provenance> {
        let (layout, from) = (content.outboard.layout(), u64::from(offset));
        let right = match layout.span(piece) {
            Some(span) => Provenance { content: content.id, outboard: false, from: span.start + from },
            None => Provenance { content: content.id, outboard: true, from },
        };
        let of_another = Provenance { content: messages::ContentId::from_bytes([0xaa; 32]), ..right };
        match (self, piece) {
            (OutboardLie::Length(_) | OutboardLie::Endless, _) => Some(Provenance::WRONG),
            (OutboardLie::OtherContent, PieceIndex::OUTBOARD) => Some(of_another),
            (OutboardLie::WrongValue, PieceIndex::OUTBOARD) if offset == 0 => Some(Provenance::WRONG),
            (OutboardLie::CutShort, PieceIndex::OUTBOARD) if end == layout.outboard_length() => None,
            (OutboardLie::WrongPiece, piece) if piece != PieceIndex::OUTBOARD => Some(Provenance::WRONG),
            _ => Some(right),
        }
    }
}

impl World {
    /// Answers a REQUEST as the liar does.
    pub(super) fn lie(
        &mut self,
        owner: HostId,
        to: SocketAddr,
        conversation: Conversation,
        request: &Request,
        (lie, content): (OutboardLie, &Content),
    ) {
        let every = if lie == OutboardLie::Endless { SLOW_PERIOD } else { PERIOD };
        self.send_segments(owner, to, conversation, request, every, |piece, bytes| {
            lie.source(content, piece, bytes)
        });
    }
}
