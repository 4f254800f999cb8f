//! The first piece over a long path: its owner is asked for the piece behind the outboard, so that the round trip of the
//! outboard carries more than the outboard, and the window has begun to grow when the other pieces begin.
//!
//! ```text
//!   Unused ──▶ Looking ──nothing is here──▶ Allowed ──all of the outboard is asked for──▶ Begun ──part file──▶ Pieces
//!                 │ something is                                                           │ no good outboard
//!                 ╰──▶ Over                                                                ╰──▶ Over
//! ```
//!
//! Nothing proves the length yet by which the piece is cut. So a download begins one such piece at most: that is what a
//! false length costs. The first piece is chosen, because it is wanted of every content: a folder has its index there,
//! and an owner that has everything is asked for it first. Where something of the content may be here, the piece may be
//! here too, and is not fetched this early.

use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, Layout, PieceIndex};

use super::assembly::Assembly;
use super::session::Session;
use crate::context::Context;
use crate::ids::SessionKey;
use crate::output::Placement;
use crate::transport::{Flow, LONG_RTT};

/// The piece that is fetched this early.
const PIECE: PieceIndex = PieceIndex(0);

/// A piece that is begun before the part file is there.
#[derive(Debug)]
pub(super) struct EarlyPiece {
    /// The session that sends it.
    from: SessionKey,
    /// How its owner says that the content is cut.
    layout: Layout,
    assembly: Assembly,
}

/// What becomes of the piece.
#[derive(Debug, Default)]
pub(super) enum HeadStart {
    /// It was of no use so far.
    #[default]
    Unused,
    /// The disk is asked whether something of the content is here.
    Looking,
    /// Nothing of the content is here.
    Allowed,
    /// An owner is asked for it.
    Begun(Box<EarlyPiece>),
    /// It was begun, or must not be. There is no other.
    Over,
}

impl HeadStart {
    /// Whether it was of no use so far.
    pub(super) fn is_unused(&self) -> bool {
        matches!(self, HeadStart::Unused)
    }

    /// Records that the disk is asked whether something of the content is here.
    pub(super) fn look(&mut self) {
        *self = HeadStart::Looking;
    }

    /// Records whether nothing of the content is here.
    pub(super) fn on_target_seen(&mut self, has_nothing: bool) {
        if matches!(self, HeadStart::Looking) {
            *self = if has_nothing { HeadStart::Allowed } else { HeadStart::Over };
        }
    }

    /// Has the owner of `session` send the piece, if its path is long and the owner is worth it. `length`: how long the
    /// content is, as the tracker says.
    pub(super) fn begin(&mut self, session: &Session, length: u64, cx: &mut Context<'_>) {
        if !matches!(self, HeadStart::Allowed) || !is_worth_it(session, length) {
            return;
        }
        let Some(layout) = Layout::of(length) else { return };
        let (from, length) = (session.key(), layout.piece_length(PIECE));
        *self = match cx.buffers.lend(length, cx.out) {
            Some(buffer) => {
                let assembly = Assembly::new(PIECE, length, buffer, from);
                HeadStart::Begun(Box::new(EarlyPiece { from, layout, assembly }))
            }
            None => HeadStart::Over,
        };
    }

    /// The next range of at most `most` bytes that `session` is to be asked for.
    pub(super) fn next_range(&mut self, session: &Session, most: u32) -> Option<ByteRange> {
        let early = self.of(session.key()).filter(|_| session.has(PIECE) && !session.is_suspect())?;
        early.assembly.next_range(early.from, most)
    }

    /// Where the payload of a CHUNK from `from` belongs, if it is a part of the piece and wanted.
    pub(super) fn place(&mut self, from: SessionKey, header: &ChunkHeader, length: u32) -> Option<Placement> {
        let early = self.of(from).filter(|early| early.assembly.piece() == header.piece)?;
        early.assembly.place(from, header.offset, length)
    }

    /// Has `range`, which did not arrive from `from`, asked for again by the session `by`, or by anybody. Returns whether
    /// it is a part of the piece.
    pub(super) fn ask_again(&mut self, range: ByteRange, from: SessionKey, by: Option<SessionKey>) -> bool {
        let Some(early) = self.of(from).filter(|early| early.assembly.piece() == range.piece()) else {
            return false;
        };
        early.assembly.ask_again(range, by);
        true
    }

    /// Frees the claims of `session`, which asks for nothing any more. What it has sent stays.
    pub(super) fn release(&mut self, session: SessionKey) {
        if let Some(early) = self.of(session) {
            early.assembly.release(session);
        }
    }

    /// Whether the session `from` sends the piece.
    pub(super) fn is_from(&self, from: SessionKey) -> bool {
        matches!(self, HeadStart::Begun(early) if early.from == from)
    }

    /// Whether `piece` is the one that is begun.
    pub(super) fn has_begun(&self, piece: PieceIndex) -> bool {
        matches!(self, HeadStart::Begun(early) if early.assembly.piece() == piece)
    }

    /// Whether the piece is begun, and cut in another way than `layout` cuts it.
    pub(super) fn contradicts(&self, layout: Layout) -> bool {
        matches!(self, HeadStart::Begun(early) if early.layout != layout)
    }

    /// Takes the piece out, if it is begun.
    pub(super) fn take(&mut self) -> Option<Assembly> {
        match std::mem::replace(self, HeadStart::Over) {
            HeadStart::Begun(early) => Some(early.assembly),
            other => {
                *self = other;
                None
            }
        }
    }

    fn of(&mut self, from: SessionKey) -> Option<&mut EarlyPiece> {
        match self {
            HeadStart::Begun(early) if early.from == from => Some(early),
            _ => None,
        }
    }
}

/// Whether the path to the owner of `session` is long, and the owner has all pieces and prefers none: one that sends
/// hints gives each piece to somebody else. `length`: how long the content is, as the tracker says.
pub(super) fn is_worth_it(session: &Session, length: u64) -> bool {
    let is_right = session.claimed_length() == length;
    let is_long = session.flow().and_then(Flow::min_rtt).is_some_and(|rtt| rtt >= LONG_RTT);
    let is_trusted = session.is_unchoked() && !session.is_suspect() && !session.on_parole;
    is_right && is_long && is_trusted && session.has_everything() && !session.hints().are_given()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use messages::{Conversation, NodeId, Timestamp};

    use super::*;
    use crate::buffers::Buffers;
    use crate::context::Shared;

    const LENGTH: u64 = 5 << 20;
    const FIRST: u32 = 256 << 10;
    const NOW: Timestamp = Timestamp::ZERO;

    fn shared() -> Shared {
        Shared::of_test(NodeId::from_bytes([7; 16]), 1, NOW)
    }

    /// What the owner of `session` is asked for first, when the tracker says that the content has `length` bytes.
    fn first_of(session: &Session, length: u64, shared: &mut Shared) -> Option<ByteRange> {
        let mut early = HeadStart::Allowed;
        early.begin(session, length, &mut shared.context(NOW));
        early.next_range(session, u32::MAX)
    }

    #[test]
    fn one_piece_is_begun_over_a_long_path_and_only_by_an_owner_that_names_the_right_length() {
        let mut shared = shared();
        let mut owner = |length, rtt| Session::of_test(SessionKey(1), length, rtt, &mut shared);
        let (far, near) = (owner(LENGTH, LONG_RTT), owner(LENGTH, LONG_RTT / 2));
        let other = owner(64 * LENGTH, LONG_RTT);
        assert_eq!(first_of(&far, LENGTH, &mut shared), ByteRange::new(PIECE, 0, FIRST));
        assert_eq!(first_of(&near, LENGTH, &mut shared), None, "a round trip costs little");
        assert_eq!(first_of(&other, LENGTH, &mut shared), None, "it names another length");
        let mut early = HeadStart::Allowed;
        early.begin(&far, LENGTH, &mut shared.context(NOW));
        assert!(early.has_begun(PIECE) && early.is_from(SessionKey(1)) && !early.is_from(SessionKey(2)));
        assert!(!early.contradicts(Layout::of(LENGTH).expect("a layout")));
        assert!(early.contradicts(Layout::of(LENGTH + 1).expect("a layout")));
        assert!(early.take().is_some());
        early.begin(&far, LENGTH, &mut shared.context(NOW));
        assert!(!early.has_begun(PIECE) && early.take().is_none(), "there is no other");
    }

    #[test]
    fn what_an_owner_has_left_unsent_is_asked_of_others_later() {
        let mut shared = shared();
        let owner = Session::of_test(SessionKey(1), LENGTH, LONG_RTT, &mut shared);
        let mut early = HeadStart::Allowed;
        early.begin(&owner, LENGTH, &mut shared.context(NOW));
        let range = early.next_range(&owner, 1000).expect("the first range");
        let header = ChunkHeader {
            conversation: Conversation(5),
            sequence: 1,
            request: 1,
            piece: PIECE,
            offset: 0,
            sent_at: 0,
            index: 0,
            count: 1,
            hold: 0,
        };
        assert!(early.place(SessionKey(2), &header, 400).is_none(), "it was not asked");
        assert!(early.place(SessionKey(1), &header, 400).is_some());
        early.release(SessionKey(1));
        assert!(early.ask_again(range, SessionKey(1), None) && !early.ask_again(range, SessionKey(2), None));
        let mut assembly = early.take().expect("it was begun");
        assert_eq!(assembly.arrived(), 400);
        assert_eq!(assembly.next_range(SessionKey(2), u32::MAX), ByteRange::new(PIECE, 400, FIRST - 400));
    }

    #[test]
    fn where_something_of_the_content_may_be_nothing_is_begun() {
        let mut shared = shared();
        let owner = Session::of_test(SessionKey(1), LENGTH, LONG_RTT, &mut shared);
        for (has_nothing, is_begun) in [(None, false), (Some(false), false), (Some(true), true)] {
            let mut early = HeadStart::default();
            assert!(early.is_unused());
            early.look();
            has_nothing.into_iter().for_each(|has_nothing| early.on_target_seen(has_nothing));
            early.begin(&owner, LENGTH, &mut shared.context(NOW));
            assert_eq!(early.has_begun(PIECE), is_begun, "{has_nothing:?}");
            assert!(!early.is_unused());
        }
    }

    #[test]
    fn without_memory_nothing_is_begun() {
        let mut shared = shared();
        shared.buffers = Buffers::new(u64::from(FIRST));
        let owner = Session::of_test(SessionKey(1), LENGTH, Duration::from_secs(1), &mut shared);
        shared.buffers.lend(1000, &mut shared.out).expect("the outboard's");
        assert_eq!(first_of(&owner, LENGTH, &mut shared), None);
    }
}
