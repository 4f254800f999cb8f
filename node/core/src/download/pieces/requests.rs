//! What one session is asked for next: the rest of its begun pieces, then what other sessions have left, then a new
//! piece.

use std::collections::BTreeMap;

use messages::PieceIndex;
use messages::node_to_node::ByteRange;

use super::Pieces;
use super::parole::may_give;
use crate::context::Context;
use crate::download::assembly::Assembly;
use crate::download::availability::{FIRST_PIECES, MAX_COMPARED};
use crate::download::session::Session;

/// While so many bytes of a download wait for the disk, it begins no further piece: what the disk cannot keep up with is
/// better left at the owner than in the memory of this node. (Loopback into a tmpfs, 1 GiB, two cores of an AMD EPYC: as
/// fast with 8 MiB as without a limit.)
const MAX_UNSTORED: u64 = 32 << 20;

impl Pieces {
    /// The next range, of at most `most` bytes, for which `session` is to be asked.
    pub(crate) fn next_range(
        &mut self,
        session: &Session,
        most: u32,
        cx: &mut Context<'_>,
    ) -> Option<ByteRange> {
        let key = session.key();
        let in_assemblies = |begun: &mut BTreeMap<PieceIndex, Assembly>| {
            let mut able = begun.iter_mut().filter(|(piece, assembly)| may_give(session, **piece, assembly));
            able.find_map(|(_, assembly)| assembly.next_range(key, most))
        };
        if session.is_suspect() {
            return self.trial(session);
        }
        // A session first goes on with the pieces that it has begun. A choked session does nothing else.
        let is_unchoked = session.is_unchoked();
        let mut own = self.assemblies.iter_mut().filter(|(piece, assembly)| {
            assembly.claimed_by(key) > 0 && (!is_unchoked || may_give(session, **piece, assembly))
        });
        if let Some(range) = own.find_map(|(_, assembly)| assembly.next_range(key, most)) {
            return Some(range);
        }
        if !is_unchoked {
            return None;
        }
        // A piece that the owner gives to nobody else is worth more than what other sessions have left.
        if self.hinted(session).is_none()
            && let Some(range) = in_assemblies(&mut self.assemblies)
        {
            return Some(range);
        }
        // A session on parole, or one without a buffer, may not be able to begin a piece. Then it takes what other
        // sessions have left.
        self.begin_piece(session, cx);
        if let Some(range) = in_assemblies(&mut self.assemblies) {
            return Some(range);
        }
        if self.starved || !self.picker.is_empty() && !self.availability.is_partial() {
            return None;
        }
        // No piece is left to begin. The session takes over half of what another one still has to ask for.
        let mut able =
            self.assemblies.iter_mut().filter(|(piece, assembly)| may_give(session, **piece, assembly));
        if able.any(|(_, assembly)| assembly.share_with(key)) {
            in_assemblies(&mut self.assemblies)
        } else {
            None
        }
    }

    /// The range that tests whether the owner of `session` sends anything: one segment, for which others are asked too.
    fn trial(&self, session: &Session) -> Option<ByteRange> {
        let flow = session.flow().filter(|flow| session.is_unchoked() && flow.outstanding() == 0)?;
        let begun = self.assemblies.iter().filter(|(piece, assembly)| may_give(session, **piece, assembly));
        let missing = begun.filter_map(|(&piece, assembly)| Some((piece, assembly.first_missing()?))).next();
        let mut free = self.picker.pieces().take(MAX_COMPARED).filter(|&piece| session.has(piece));
        // The segment of a piece that is not begun is thrown away: only whether it comes matters.
        let (piece, offset) = missing.or_else(|| free.next().map(|piece| (piece, 0)))?;
        let left = self.layout.piece_length(piece) - offset;
        ByteRange::new(piece, offset, left.min(flow.segment_size().into()))
    }

    /// Begins the next piece with `session`, if there is a piece for it and a buffer for the piece.
    fn begin_piece(&mut self, session: &Session, cx: &mut Context<'_>) {
        if self.has_piece_of_its_own(session) {
            return;
        }
        if self.storing.bytes() >= MAX_UNSTORED {
            self.starved = true;
            return;
        }
        // A buffer of full size is asked for, so that a begun piece always has one. No piece is begun while a full disk
        // could not store it.
        let has_buffer = !self.is_refused() && cx.buffers.request(self.layout.piece_size());
        if !has_buffer && self.picker.of(session.key()).is_some() {
            self.starved = true;
            return;
        }
        self.starved = false;
        let Some(piece) = self.take_piece(session, cx) else {
            return;
        };
        let length = self.layout.piece_length(piece);
        let Some(buffer) = cx.buffers.lend(length, cx.out) else {
            self.picker.put_back(piece);
            return;
        };
        let assembly = self.begun(piece, buffer, session.key(), session.on_parole);
        self.assemblies.insert(piece, assembly);
    }

    /// The piece that `session` begins next: the next of its stretch, or, where there are partial owners, the rarest.
    fn take_piece(&mut self, session: &Session, cx: &mut Context<'_>) -> Option<PieceIndex> {
        if !self.availability.is_partial() {
            return self.picker.begin(session.key(), |piece| session.has(piece));
        }
        if let Some(piece) = self.hinted(session) {
            self.picker.take(piece);
            return Some(piece);
        }
        let first = self.have.count_ones(..) + self.assemblies.len() < FIRST_PIECES as usize;
        let next = session.last_piece.filter(|_| !first).map(|piece| PieceIndex(piece.0 + 1));
        let piece = self.availability.rarest(self.picker.free(), |piece| session.has(piece), next, cx.rng)?;
        self.picker.take(piece);
        Some(piece)
    }

    /// The first missing piece, without a holder, that the owner of `session` prefers to be asked for.
    fn hinted(&self, session: &Session) -> Option<PieceIndex> {
        if self.availability.is_sequential() {
            return None;
        }
        session.hints().first(|piece| session.has(piece) && self.picker.is_free(piece))
    }
}
