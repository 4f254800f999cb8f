//! A piece of which the disk wants to see the first bytes before the rest is fetched, because what they say may make the
//! rest known.
//!
//! ```text
//!   wanted ──its first bytes are here──▶ being read ──the disk has answered──▶ none, or wanted: more of it
//! ```

use messages::PieceIndex;

use super::Pieces;
use crate::context::Context;
use crate::disk::DiskRequest;
use crate::download::assembly::Assembly;
use crate::fetch_plan::Preview;
use crate::ids::{BufferId, SessionKey};

/// What becomes of the preview.
#[derive(Debug, Default)]
pub(super) enum PreviewState {
    /// The disk wants to see nothing.
    #[default]
    None,
    /// The disk wants to see these bytes.
    Wanted(Preview),
    /// The disk reads the first bytes in the buffer of this piece.
    Reading(Assembly),
}

impl PreviewState {
    /// Whether the disk reads in the buffer of `piece`, or of any piece.
    pub(super) fn is_reading(&self, piece: Option<PieceIndex>) -> bool {
        matches!(self, PreviewState::Reading(assembly) if piece.is_none_or(|piece| assembly.piece() == piece))
    }

    /// The number of bytes that have arrived of the piece that is being read.
    pub(super) fn arrived(&self) -> u32 {
        match self {
            PreviewState::Reading(assembly) => assembly.arrived(),
            PreviewState::None | PreviewState::Wanted(_) => 0,
        }
    }

    /// Discards what `session` has sent of the piece that is being read.
    pub(super) fn distrust(&mut self, session: SessionKey) {
        if let PreviewState::Reading(assembly) = self {
            assembly.distrust(session);
        }
    }

    /// How many bytes of `piece` are fetched before the disk has seen them.
    fn of(&self, piece: PieceIndex) -> Option<u32> {
        match self {
            PreviewState::Wanted(preview) if preview.piece == piece => Some(preview.length),
            _ => None,
        }
    }
}

impl Pieces {
    /// The assembly of `piece`, which the session `holder` begins. On parole its owner sends all of the piece, whatever
    /// is known of it: a bad piece is to have one sender, and nobody else who may be wrong.
    pub(super) fn begun(
        &self,
        piece: PieceIndex,
        buffer: BufferId,
        holder: SessionKey,
        on_parole: bool,
    ) -> Assembly {
        let assembly = Assembly::new(piece, self.layout.piece_length(piece), buffer, holder);
        if on_parole {
            return assembly.exclusive(holder);
        }
        let assembly = assembly.with_known(self.known.of(piece));
        match self.preview.of(piece) {
            Some(length) => assembly.with_held_back(length),
            None => assembly,
        }
    }

    /// Whether the disk has bytes of `piece`, or may know more of it when it has seen the first of them.
    pub(crate) fn may_know_of(&self, piece: PieceIndex) -> bool {
        !self.known.of(piece).is_empty() || self.preview.of(piece).is_some()
    }

    /// Whether `piece` is wanted, is not here, and is not begun.
    pub(crate) fn lacks(&self, piece: PieceIndex) -> bool {
        self.picker.is_free(piece)
    }

    /// Goes on with a piece that was begun before the part file was there, and that this content lacks.
    pub(crate) fn go_on_with(&mut self, assembly: Assembly, cx: &mut Context<'_>) {
        let piece = assembly.piece();
        let assembly = if self.may_know_of(piece) { self.resumed(assembly) } else { assembly };
        self.picker.take(piece);
        self.assemblies.insert(piece, assembly);
        self.store_if_complete(piece, cx);
    }

    /// The same assembly, of which the disk fills in what is known of the piece. Nothing is outstanding.
    pub(super) fn resumed(&self, assembly: Assembly) -> Assembly {
        let piece = assembly.piece();
        assembly.resumed(self.known.of(piece), self.preview.of(piece))
    }

    /// Shows the disk the first bytes of a piece before the rest is fetched, unless it is to see those of another piece.
    pub(super) fn want_preview(&mut self, preview: Preview) {
        let is_under_way = match &self.preview {
            PreviewState::None => false,
            PreviewState::Wanted(before) => self.assemblies.contains_key(&before.piece),
            PreviewState::Reading(_) => true,
        };
        if !is_under_way {
            self.preview = PreviewState::Wanted(preview);
        }
    }

    /// Has the disk read the first bytes of `piece`, if it wants to and they are here.
    pub(super) fn preview_if_ready(&mut self, piece: PieceIndex, cx: &mut Context<'_>) {
        let Some(length) = self.preview.of(piece) else { return };
        if !self.assemblies.get(&piece).is_some_and(Assembly::has_all_but_held_back) {
            return;
        }
        let assembly = self.assemblies.remove(&piece).expect("it was just looked at");
        let (download, buffer) = (self.download, assembly.buffer());
        cx.out.disk.push(DiskRequest::Preview { download, piece, buffer, length });
        self.preview = PreviewState::Reading(assembly);
        self.is_changed = true;
    }

    /// Goes on with the piece whose first bytes the disk has read. If there is a `next` preview, the disk wants to see
    /// more before it knows what the rest is.
    pub(crate) fn resume_previewed(&mut self, next: Option<Preview>, cx: &mut Context<'_>) {
        let next = next.map_or(PreviewState::None, PreviewState::Wanted);
        let PreviewState::Reading(assembly) = std::mem::replace(&mut self.preview, next) else {
            unreachable!("the disk is asked for a preview once, and answers once");
        };
        let piece = assembly.piece();
        let assembly = self.resumed(assembly);
        self.assemblies.insert(piece, assembly);
        self.is_changed = true;
        self.store_if_complete(piece, cx);
    }
}
