//! The pieces of one content while it is fetched. A piece is not begun, begun, being previewed, being stored, or stored.
//!
//! ```text
//!   picker ──begin──▶ assemblies ──all bytes──▶ storing ──verified──▶ have
//!       ▲                                         │
//!       ╰────────────── bad hash ─────────────────╯
//! ```

mod known;
mod parole;
mod plan;
mod preview;
mod requests;
mod storing;
mod stretches;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use messages::node_to_node::ByteRange;
use messages::{Layout, Outboard, PieceIndex, PieceRun, Timestamp};

use super::assembly::Assembly;
use super::availability::Availability;
use super::picker::Picker;
use super::session::Session;
use crate::context::Context;
use crate::disk::DiskRequest;
use crate::fetch_plan::FetchPlan;
use crate::ids::{BufferId, DownloadId, SessionKey};
use crate::output::Placement;
use known::KnownBytes;
pub(crate) use plan::Extended;
use plan::{bits_of, wanted_bits};
use preview::PreviewState;
use storing::{StoreRequest, Stored, StoringPieces};

/// The pieces of one content.
#[derive(Debug)]
pub(crate) struct Pieces {
    download: DownloadId,
    pub(crate) outboard: Arc<Outboard>,
    layout: Layout,
    have: FixedBitSet,
    wanted: FixedBitSet,
    verified: u64,
    known: KnownBytes,
    preview: PreviewState,
    picker: Picker,
    assemblies: BTreeMap<PieceIndex, Assembly>,
    storing: StoringPieces,
    /// Whether a piece could not be begun for want of a buffer.
    starved: bool,
    availability: Availability,
    /// When what is missing in the end may be asked for once more.
    repeats_at: Timestamp,
    /// Whether a change may allow or forbid requests to other owners.
    is_changed: bool,
}

impl Pieces {
    /// The pieces of the content, of which those that are wanted and not here are missing.
    pub(crate) fn new(
        download: DownloadId,
        outboard: Arc<Outboard>,
        plan: FetchPlan,
        is_sequential: bool,
    ) -> Pieces {
        let layout = outboard.layout();
        let (bits, wanted) = (bits_of(&plan.have, layout), wanted_bits(&plan.wanted, layout));
        let verified =
            bits.ones().map(|piece| u64::from(layout.piece_length(PieceIndex(piece as u32)))).sum();
        let missing = PieceRun::runs_of(wanted.difference(&bits).map(|piece| PieceIndex(piece as u32)));
        let picker = Picker::new(missing);
        let preview = plan.preview.map_or(PreviewState::None, PreviewState::Wanted);
        let mut known = KnownBytes::default();
        known.extend(plan.known, layout, |piece| {
            wanted.contains(piece.0 as usize) && !bits.contains(piece.0 as usize)
        });
        Pieces {
            download,
            outboard,
            layout,
            have: bits,
            wanted,
            verified,
            known,
            preview,
            picker,
            assemblies: BTreeMap::new(),
            storing: StoringPieces::default(),
            starved: false,
            availability: Availability::new(layout.pieces(), is_sequential),
            repeats_at: Timestamp::ZERO,
            is_changed: true,
        }
    }

    /// Whether a change since the last turn may allow or forbid requests to other owners.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Forgets what has changed, because all sessions are looked at now.
    pub(crate) fn forget_changes(&mut self) {
        self.is_changed = false;
    }

    /// Has the availability of the pieces counted anew, because an owner came, left, or does not have what it
    /// announced.
    pub(crate) fn recount(&mut self) {
        self.is_changed = true;
        self.availability.mark_stale();
    }

    /// Whether the availability of the pieces is to be counted anew.
    pub(crate) fn is_stale(&self) -> bool {
        self.availability.is_stale()
    }

    /// Counts `pieces`, which a partial owner has now and did not have before.
    pub(crate) fn learn(&mut self, pieces: &[PieceIndex]) {
        self.availability.learn(pieces);
    }

    /// Records that an owner has sent a HINT.
    pub(crate) fn on_hint(&mut self) {
        self.availability.on_hint();
    }

    /// The number of bytes in stored pieces.
    pub(crate) fn verified(&self) -> u64 {
        self.verified
    }

    /// The number of bytes in stored pieces that the disk has not filled in.
    pub(crate) fn verified_here_or_fetched(&self) -> u64 {
        self.verified - self.known.filled_in()
    }

    /// The number of bytes that have arrived and are not stored yet.
    pub(crate) fn unstored(&self) -> u64 {
        let begun: u64 = self.assemblies.values().map(|assembly| u64::from(assembly.arrived())).sum();
        begun + self.storing.bytes() + u64::from(self.preview.arrived())
    }

    /// Whether every piece that is wanted is stored.
    pub(crate) fn is_complete(&self) -> bool {
        self.picker.is_empty()
            && self.storing.is_empty()
            && self.assemblies.is_empty()
            && !self.preview.is_reading(None)
    }

    /// Whether every piece of the content is wanted.
    pub(crate) fn wants_all(&self) -> bool {
        self.wanted.is_full()
    }

    /// The bytes of the pieces that are wanted or stored.
    pub(crate) fn wanted_bytes(&self) -> u64 {
        let wanted = self.wanted.union(&self.have);
        wanted.map(|piece| u64::from(self.layout.piece_length(PieceIndex(piece as u32)))).sum()
    }

    /// The number of bytes that the disk has filled in, or is expected to, so that they are not fetched.
    pub(crate) fn known_bytes(&self) -> u64 {
        self.known.bytes()
    }

    /// Whether the disk holds the network up: a piece could not be begun for want of a buffer.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }

    /// The pieces that `session` fetches: its begun pieces, then its stretch. `None` means that the session fetches
    /// nothing.
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

    /// Accepts the payload of a CHUNK from `session`. Returns where the payload belongs, unless it is here already or
    /// is not wanted from this session.
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

    /// Where the payload of a CHUNK of exactly `range` from `session` belongs, if all of it is missing.
    pub(crate) fn expected_place(&self, session: &Session, range: ByteRange) -> Option<Placement> {
        let assembly = self.assemblies.get(&range.piece())?;
        let refused = session.on_parole && assembly.only() != Some(session.key());
        if refused { None } else { assembly.expected_place(session.key(), range) }
    }

    /// Whether any bytes of the begun `piece` had to be asked for again.
    pub(crate) fn is_asked_again(&self, piece: PieceIndex) -> bool {
        self.assemblies.get(&piece).is_some_and(Assembly::is_asked_again)
    }

    /// Hands `piece` to the disk, if all of it has arrived. Returns whether that was so. If only the bytes have arrived
    /// that the disk wants to see first, it is to read these.
    pub(crate) fn store_if_complete(&mut self, piece: PieceIndex, cx: &mut Context<'_>) -> bool {
        self.preview_if_ready(piece, cx);
        let Some(assembly) = self.assemblies.get(&piece).filter(|assembly| assembly.is_complete()) else {
            return false;
        };
        let request = self.storing.insert(piece, assembly);
        self.assemblies.remove(&piece);
        self.is_changed = true;
        self.store(request, cx);
        true
    }

    /// The only piece, which has come before the part file was there, goes to the disk, unless that has it.
    pub(crate) fn store_only_piece(&mut self, assembly: Assembly, cx: &mut Context<'_>) {
        let piece = assembly.piece();
        if self.have.contains(piece.0 as usize) {
            return cx.buffers.give_back(assembly.buffer(), cx.out);
        }
        let is_wanted = self.wanted.put(piece.0 as usize);
        if is_wanted {
            self.picker.take(piece);
        }
        self.assemblies.insert(piece, assembly);
        self.store_if_complete(piece, cx);
    }

    fn store(&self, StoreRequest { piece, buffer, length, known }: StoreRequest, cx: &mut Context<'_>) {
        let hash = self.outboard.value(piece);
        let expected = *hash.expect("only pieces of the picker are begun, and those are this outboard's");
        let known = known.iter().collect();
        cx.out.disk.push(DiskRequest::Store {
            download: self.download,
            piece,
            buffer,
            length,
            known,
            expected,
        });
    }

    /// Records that the disk has no room for `piece`, which stays in its buffer.
    pub(crate) fn on_refused(&mut self, piece: PieceIndex) {
        self.storing.on_refused(piece);
        self.is_changed = true;
    }

    /// Whether the disk has refused a piece for want of room.
    pub(crate) fn is_refused(&self) -> bool {
        self.storing.has_refused()
    }

    /// Hands the refused pieces to the disk again.
    pub(crate) fn retry_refused(&mut self, cx: &mut Context<'_>) {
        self.storing.take_refused().into_iter().for_each(|request| self.store(request, cx));
    }

    /// Marks `range`, which did not arrive, as to be asked for again by the session `by`, or by any session if that is
    /// `None`.
    pub(crate) fn ask_again(&mut self, range: ByteRange, by: Option<SessionKey>) {
        if let Some(assembly) = self.assemblies.get_mut(&range.piece()) {
            assembly.ask_again(range, by);
        }
    }

    /// Frees the stretches and claims of `session`, which asks for nothing any more.
    pub(crate) fn release(&mut self, session: SessionKey) {
        self.is_changed = true;
        self.picker.release(session);
        for assembly in self.assemblies.values_mut() {
            // Another session begins anew a piece that this one was to send alone, so that a bad piece has one sender.
            if assembly.only() == Some(session) {
                assembly.distrust(session)
            } else {
                assembly.release(session)
            }
        }
    }

    /// Frees the stretches of `session`, which begins nothing more for now but finishes what it has begun.
    pub(crate) fn release_stretches(&mut self, session: SessionKey) {
        self.picker.release(session);
    }

    /// Returns all begun pieces to the picker, as if they had not been begun. Returns the buffers that are free now.
    pub(crate) fn put_back_begun(&mut self) -> Vec<BufferId> {
        let begun = std::mem::take(&mut self.assemblies);
        begun.keys().for_each(|&piece| self.picker.put_back(piece));
        begun.into_values().map(|assembly| assembly.buffer()).collect()
    }

    /// Whether a piece has been begun.
    pub(crate) fn has_begun(&self) -> bool {
        !self.assemblies.is_empty()
    }

    /// Whether every missing piece has been begun.
    pub(crate) fn has_begun_every_piece(&self) -> bool {
        self.picker.is_empty()
    }

    /// Whether `session` has nothing to ask for and may share a piece with others.
    pub(crate) fn is_free(&self, session: &Session) -> bool {
        !session.on_parole && self.is_idle(session)
    }

    /// Whether the owner of `session` has anything that is missing.
    pub(crate) fn lacks_what_it_has(&self, session: &Session) -> bool {
        self.assemblies.keys().copied().chain(self.picker.pieces()).any(|piece| session.has(piece))
    }

    /// Whether nothing is outstanding in `session`, for another reason than the want of a buffer.
    pub(crate) fn needs_nothing_of(&self, session: &Session) -> bool {
        !self.starved && session.flow().is_some_and(|flow| flow.outstanding() == 0)
    }

    /// Whether a piece is missing that none of the owners of `sessions` has. Owners that have not answered may have it.
    pub(crate) fn lacks_owners<'a>(&self, sessions: impl Iterator<Item = &'a Session> + Clone) -> bool {
        // There may be a million pieces, and this question is asked often.
        if sessions.clone().any(|session| session.is_handshaking() || session.has_everything()) {
            return false;
        }
        let begun = self.assemblies.keys().copied();
        let mut missing = begun.chain(self.picker.pieces());
        missing.any(|piece| !sessions.clone().any(|session| session.has(piece)))
    }

    /// Records that the disk has verified and stored `piece`. Returns how many of its bytes each session sent.
    pub(crate) fn on_stored(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        let Stored { contributions, filled_in } = self.take_stored(piece);
        self.known.on_stored(piece, filled_in);
        self.have.insert(piece.0 as usize);
        self.verified += u64::from(self.layout.piece_length(piece));
        contributions
    }

    /// Records that `piece` did not verify or was not written, and so is missing again. Returns how many of its bytes
    /// each session sent.
    pub(crate) fn on_not_stored(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        let Stored { contributions, .. } = self.take_stored(piece);
        self.picker.put_back(piece);
        contributions
    }

    /// Takes out `piece`, for which the disk has answered and whose buffer is free.
    fn take_stored(&mut self, piece: PieceIndex) -> Stored {
        (self.starved, self.is_changed) = (false, true);
        self.storing.remove(piece)
    }

    /// Gives up the begun pieces and those that the disk has refused. Returns their buffers.
    pub(crate) fn abandon(&mut self) -> Vec<BufferId> {
        let begun = std::mem::take(&mut self.assemblies).into_values().map(|assembly| assembly.buffer());
        begun.chain(self.storing.abandon_refused()).collect()
    }

    /// Whether `session` has nothing to ask for, so that it may be given a stretch.
    pub(crate) fn is_idle(&self, session: &Session) -> bool {
        let key = session.key();
        self.picker.of(key).is_none() && self.claimed_by(key) == 0 && !self.has_piece_of_its_own(session)
    }

    /// Takes back `range`, which the owner of `session` refused with CHOKE. A piece of which nothing has arrived or is
    /// asked for counts as not begun. Returns the buffer of such a piece.
    pub(crate) fn on_choked(&mut self, range: ByteRange, session: SessionKey) -> Option<BufferId> {
        let piece = range.piece();
        let assembly = self.assemblies.get_mut(&piece)?;
        assembly.ask_again(range, None);
        assembly.release(session);
        if !assembly.is_untouched() {
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
