//! The pieces of one content while it is fetched: not begun, begun, being stored, stored.
//!
//! ```text
//!   picker ──begin──▶ assemblies ──all bytes──▶ storing ──verified──▶ have
//!       ▲                                         │
//!       ╰────────────── bad hash ─────────────────╯
//! ```

mod parole;
mod requests;
mod storing;
mod stretches;

use std::collections::BTreeMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use messages::node_to_node::ByteRange;
use messages::{Layout, Manifest, PieceIndex, PieceRun};

use super::assembly::Assembly;
use super::availability::Availability;
use super::picker::Picker;
use super::session::Session;
use crate::context::Context;
use crate::disk::DiskRequest;
use crate::ids::{BufferId, DownloadId, SessionKey};
use crate::output::Placement;
use storing::{StoreRequest, StoringPieces};

/// The pieces of one content.
#[derive(Debug)]
pub(crate) struct Pieces {
    download: DownloadId,
    pub(crate) manifest: Arc<Manifest>,
    layout: Layout,
    have: FixedBitSet,
    verified: u64,
    picker: Picker,
    assemblies: BTreeMap<PieceIndex, Assembly>,
    storing: StoringPieces,
    /// Whether a piece could not be begun for want of a buffer.
    starved: bool,
    availability: Availability,
    /// Whether others may be asked for something now, or for less.
    is_changed: bool,
}

impl Pieces {
    /// All pieces but those in `have` are missing.
    pub(crate) fn new(download: DownloadId, manifest: Arc<Manifest>, have: &[PieceRun]) -> Pieces {
        let layout = manifest.layout();
        let mut bits = FixedBitSet::with_capacity(layout.pieces() as usize);
        for run in have {
            bits.insert_range(run.start().0 as usize..run.end().0.min(layout.pieces()) as usize);
        }
        let verified =
            bits.ones().map(|piece| u64::from(layout.piece_length(PieceIndex(piece as u32)))).sum();
        let missing = PieceRun::runs_of(bits.zeroes().map(|piece| PieceIndex(piece as u32)));
        let picker = Picker::new(missing);
        Pieces {
            download,
            manifest,
            layout,
            have: bits,
            verified,
            picker,
            assemblies: BTreeMap::new(),
            storing: StoringPieces::default(),
            starved: false,
            availability: Availability::new(layout.pieces()),
            is_changed: true,
        }
    }

    /// Whether others may be asked for something now, or for less, since that was looked at.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What has changed is looked at now.
    pub(crate) fn forget_changes(&mut self) {
        self.is_changed = false;
    }

    /// An owner came, left, or does not have what it said: who has which piece is counted anew.
    pub(crate) fn recount(&mut self) {
        self.is_changed = true;
        self.availability.mark_stale();
    }

    /// Whether who has which piece is to be counted anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.availability.is_stale()
    }

    /// A partial owner has `pieces` now, which it did not have before.
    pub(crate) fn learn(&mut self, pieces: &[PieceIndex]) {
        self.availability.learn(pieces);
    }

    /// An owner has named pieces that others do not get.
    pub(crate) fn on_hint(&mut self) {
        self.availability.on_hint();
    }

    /// Bytes of stored pieces.
    pub(crate) fn verified(&self) -> u64 {
        self.verified
    }

    /// Bytes that arrived and are not stored yet.
    pub(crate) fn unstored(&self) -> u64 {
        let begun: u64 = self.assemblies.values().map(|assembly| u64::from(assembly.arrived())).sum();
        begun + self.storing.bytes()
    }

    /// Whether every piece is stored.
    pub(crate) fn is_complete(&self) -> bool {
        self.verified == self.layout.length() && self.storing.is_empty() && self.assemblies.is_empty()
    }

    /// Whether the disk holds the network up.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }

    /// The pieces that `session` is on: begun ones, then its stretch. `None`: it is on none.
    pub(crate) fn pieces_of(&self, session: SessionKey) -> Option<PieceRun> {
        let begun = || {
            self.assemblies
                .iter()
                .filter(|(_, assembly)| assembly.claimed_by(session) > 0)
                .map(|(&piece, _)| piece)
        };
        let stretch = self.picker.of(session);
        let first = begun().next().or_else(|| stretch.map(PieceRun::start));
        let end =
            stretch.map(PieceRun::end).or_else(|| begun().next_back().map(|piece| PieceIndex(piece.0 + 1)));
        PieceRun::between(first?, end?)
    }

    /// The payload of a CHUNK from `session`: where it belongs, unless it is there already, or not wanted from there.
    pub(crate) fn place(
        &mut self,
        session: &Session,
        piece: PieceIndex,
        offset: u32,
        length: u32,
    ) -> Option<Placement> {
        let assembly = self.assemblies.get_mut(&piece)?;
        let refused = session.on_parole && assembly.only() != Some(session.key());
        if refused { None } else { assembly.place(session.key(), offset, length) }
    }

    /// Whether something of `piece`, which is begun, was asked for more than once.
    pub(crate) fn is_asked_again(&self, piece: PieceIndex) -> bool {
        self.assemblies.get(&piece).is_some_and(Assembly::is_asked_again)
    }

    /// If `piece` is all there now, it goes to the disk. Whether it does.
    pub(crate) fn store_if_complete(&mut self, piece: PieceIndex, cx: &mut Context<'_>) -> bool {
        let Some(assembly) = self.assemblies.get(&piece).filter(|assembly| assembly.is_complete()) else {
            return false;
        };
        let request = self.storing.insert(piece, assembly);
        self.assemblies.remove(&piece);
        self.is_changed = true;
        self.store(request, cx);
        true
    }

    fn store(&self, StoreRequest { piece, buffer, length }: StoreRequest, cx: &mut Context<'_>) {
        let hash = self.manifest.piece_hash(piece);
        let expected = *hash.expect("only pieces of the picker are begun, and those are this manifest's");
        cx.out.disk.push(DiskRequest::Store { download: self.download, piece, buffer, length, expected });
    }

    /// The disk has no room for `piece`: it stays in its buffer.
    pub(crate) fn on_refused(&mut self, piece: PieceIndex) {
        self.storing.on_refused(piece);
        self.is_changed = true;
    }

    /// Whether the disk had no room for a piece.
    pub(crate) fn is_refused(&self) -> bool {
        self.storing.has_refused()
    }

    /// What the disk had no room for is handed to it again.
    pub(crate) fn retry_refused(&mut self, cx: &mut Context<'_>) {
        self.storing.take_refused().into_iter().for_each(|request| self.store(request, cx));
    }

    /// `range` did not arrive: `by` asks again, or anybody.
    pub(crate) fn ask_again(&mut self, range: ByteRange, by: Option<SessionKey>) {
        if let Some(assembly) = self.assemblies.get_mut(&range.piece()) {
            assembly.ask_again(range, by);
        }
    }

    /// `session` asks for nothing any more.
    pub(crate) fn release(&mut self, session: SessionKey) {
        self.is_changed = true;
        self.picker.release(session);
        for assembly in self.assemblies.values_mut() {
            // Others go on with a piece of its own from the start, so that a bad one has one sender.
            if assembly.only() == Some(session) {
                assembly.distrust(session)
            } else {
                assembly.release(session)
            }
        }
    }

    /// `session` begins nothing more for now; what it has begun it finishes.
    pub(crate) fn release_stretches(&mut self, session: SessionKey) {
        self.picker.release(session);
    }

    /// Everything that was begun is as if it had not been: the buffers that are free now.
    pub(crate) fn put_back_begun(&mut self) -> Vec<BufferId> {
        let begun = std::mem::take(&mut self.assemblies);
        begun.keys().for_each(|&piece| self.picker.put_back(piece));
        begun.into_values().map(|assembly| assembly.buffer()).collect()
    }

    /// Whether a piece has been begun.
    pub(crate) fn has_begun(&self) -> bool {
        !self.assemblies.is_empty()
    }

    /// Whether nothing is left to begin.
    pub(crate) fn has_begun_every_piece(&self) -> bool {
        self.picker.is_empty()
    }

    /// Whether `session` has nothing to ask for, and may ask for anything.
    pub(crate) fn is_free(&self, session: &Session) -> bool {
        !session.on_parole && self.is_idle(session)
    }

    /// Whether anything is missing that `session` has.
    pub(crate) fn lacks_what_it_has(&self, session: &Session) -> bool {
        self.assemblies.keys().copied().chain(self.picker.pieces()).any(|piece| session.has(piece))
    }

    /// Whether nothing can be asked of `session`, and nothing is under way: not for want of a buffer.
    pub(crate) fn needs_nothing_of(&self, session: &Session) -> bool {
        !self.starved && session.flow().is_some_and(|flow| flow.outstanding() == 0)
    }

    /// Whether something is missing that none of `sessions` has: those that have not answered may.
    pub(crate) fn lacks_owners<'a>(&self, sessions: impl Iterator<Item = &'a Session> + Clone) -> bool {
        // There may be a million pieces, and this is asked often.
        if sessions.clone().any(|session| session.is_handshaking() || session.has_everything()) {
            return false;
        }
        let begun = self.assemblies.keys().copied();
        let mut missing = begun.chain(self.picker.pieces());
        missing.any(|piece| !sessions.clone().any(|session| session.has(piece)))
    }

    /// The disk has `piece`, verified: who sent how much of it.
    pub(crate) fn on_stored(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        let contributions = self.take_stored(piece);
        self.have.insert(piece.0 as usize);
        self.verified += u64::from(self.layout.piece_length(piece));
        contributions
    }

    /// `piece` is not what it should be, or was not written: it is missing again. Who sent it.
    pub(crate) fn on_not_stored(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        let contributions = self.take_stored(piece);
        self.picker.put_back(piece);
        contributions
    }

    /// The disk has answered for `piece`, and its buffer is free.
    fn take_stored(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        (self.starved, self.is_changed) = (false, true);
        self.storing.remove(piece)
    }

    /// The buffers of pieces that were begun, or that the disk had no room for: given up.
    pub(crate) fn abandon(&mut self) -> Vec<BufferId> {
        let begun = std::mem::take(&mut self.assemblies).into_values().map(|assembly| assembly.buffer());
        begun.chain(self.storing.abandon_refused()).collect()
    }

    /// Whether `session` has nothing to ask for, and may begin something.
    pub(crate) fn is_idle(&self, session: &Session) -> bool {
        let key = session.key();
        self.picker.of(key).is_none() && self.claimed_by(key) == 0 && !self.has_piece_of_its_own(session)
    }

    /// `session` does not get `range`, since its owner serves others: a piece of which there is nothing yet is as if
    /// it had not been begun. Its buffer, then.
    pub(crate) fn on_choked(&mut self, range: ByteRange, session: SessionKey) -> Option<BufferId> {
        let piece = range.piece();
        let assembly = self.assemblies.get_mut(&piece)?;
        assembly.ask_again(range, None);
        assembly.release(session);
        if assembly.arrived() > 0 || assembly.claimed() < assembly.length() {
            return None;
        }
        let buffer = self.assemblies.remove(&piece).map(|assembly| assembly.buffer());
        self.picker.put_back(piece);
        buffer
    }

    fn claimed_by(&self, session: SessionKey) -> u32 {
        self.assemblies.values().map(|assembly| assembly.claimed_by(session)).sum()
    }
}
