//! The pieces of one content while it is fetched: not begun, begun, being stored, stored.
//!
//! ```text
//!   picker ──begin──▶ assemblies ──all bytes──▶ storing ──verified──▶ have
//!       ▲                                         │
//!       ╰────────────── bad hash ─────────────────╯
//! ```

mod parole;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fixedbitset::FixedBitSet;
use messages::node_to_node::ByteRange;
use messages::{Layout, Manifest, PieceIndex, Timestamp};

use super::assembly::Assembly;
use super::availability::{Availability, FIRST_PIECES, MAX_COMPARED};
use super::picker::{Pace, Picker, Stretch};
use super::session::Session;
use crate::context::Context;
use crate::disk::DiskRequest;
use crate::ids::SessionKey;
use crate::ids::{BufferId, DownloadId};
use crate::output::Placement;
use parole::may_give;

/// A session of which nothing is known is taken to be this fast, in bytes a second, when stretches are compared.
const UNKNOWN_SPEED: u64 = 1 << 20;

/// A piece on its way to the disk.
#[derive(Debug)]
struct Storing {
    buffer: BufferId,
    length: u32,
    /// Who sent how much of it.
    contributions: Vec<(SessionKey, u32)>,
    /// The disk had no room for it: it keeps its buffer until there is.
    refused: bool,
}

/// The pieces of one content.
#[derive(Debug)]
pub(crate) struct Pieces {
    download: DownloadId,
    pub(crate) manifest: Arc<Manifest>,
    layout: Layout,
    have: FixedBitSet,
    verified: u64,
    picker: Picker,
    assemblies: BTreeMap<u32, Assembly>,
    storing: BTreeMap<u32, Storing>,
    /// Whether a piece could not be begun for want of a buffer.
    starved: bool,
    availability: Availability,
    /// Whether others may be asked for something now, or for less.
    is_changed: bool,
}

impl Pieces {
    /// All pieces but those in `have` are missing.
    pub(crate) fn new(download: DownloadId, manifest: Arc<Manifest>, have: &[Range<u32>]) -> Pieces {
        let layout = manifest.layout();
        let mut bits = FixedBitSet::with_capacity(layout.pieces() as usize);
        for run in have {
            bits.insert_range(run.start as usize..(run.end.min(layout.pieces())) as usize);
        }
        let verified =
            bits.ones().map(|piece| u64::from(layout.piece_length(PieceIndex(piece as u32)))).sum();
        let mut missing = crate::runs::Runs::default();
        bits.zeroes().for_each(|piece| missing.insert(piece as u32..piece as u32 + 1));
        let picker = Picker::new(missing.iter());
        let (assemblies, storing) = (BTreeMap::new(), BTreeMap::new());
        Pieces {
            download,
            manifest,
            layout,
            have: bits,
            verified,
            picker,
            assemblies,
            storing,
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
    pub(crate) fn learn(&mut self, pieces: &[u32]) {
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
        let storing: u64 =
            self.storing.keys().map(|&piece| u64::from(self.layout.piece_length(PieceIndex(piece)))).sum();
        begun + storing
    }

    /// Whether every piece is stored.
    pub(crate) fn is_complete(&self) -> bool {
        self.verified == self.layout.length() && self.storing.is_empty() && self.assemblies.is_empty()
    }

    /// Whether the disk holds the network up.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }

    /// The pieces that `session` is on: begun ones, then its stretch.
    pub(crate) fn pieces_of(&self, session: SessionKey) -> Range<u32> {
        let begun = || {
            self.assemblies
                .iter()
                .filter(|(_, assembly)| assembly.claimed_by(session) > 0)
                .map(|(&piece, _)| piece)
        };
        let stretch = self.picker.of(session);
        let first = begun().next().or_else(|| stretch.as_ref().map(|s| s.start));
        let end = stretch.map(|s| s.end).or_else(|| begun().next_back().map(|piece| piece + 1));
        first.unwrap_or(0)..end.unwrap_or(0)
    }

    /// Gives a stretch to each willing session that has nothing to ask for. The stretches given.
    pub(crate) fn assign(
        &mut self,
        sessions: &BTreeMap<SessionKey, Session>,
        now: Timestamp,
    ) -> Vec<Stretch> {
        self.keep_parole_going(sessions, now);
        if self.availability.is_stale() {
            if sessions.values().any(|session| session.hints().are_given()) {
                self.availability.on_hint();
            }
            self.availability.count(sessions.values().filter_map(Session::partial));
            if self.availability.is_partial() {
                // From now on pieces are chosen one by one.
                sessions.keys().for_each(|&key| self.picker.release(key));
            }
        }
        if !self.gives_stretches() {
            return Vec::new();
        }
        self.release_what_holders_lack(sessions);
        let idle: Vec<SessionKey> = (sessions.values().filter(|session| session.is_unchoked()))
            .filter(|session| !session.is_suspect() && self.is_idle(session))
            .map(|session| session.key())
            .collect();
        if idle.is_empty() {
            return Vec::new();
        }
        let paces: BTreeMap<SessionKey, Pace> =
            sessions.values().map(|s| (s.key(), self.pace_of(s, now))).collect();
        let has = |key: SessionKey, mut pieces: Range<u32>| {
            sessions.get(&key).is_some_and(|session| pieces.any(|piece| session.has(piece)))
        };
        let unknown = Pace { per_piece: Duration::from_secs(1 << 20), begun: Duration::ZERO };
        self.picker.assign(&idle, has, |key| paces.get(&key).copied().unwrap_or(unknown))
    }

    /// Whether there are stretches to give: something is left to begin, and pieces are not chosen one by one.
    pub(crate) fn gives_stretches(&self) -> bool {
        !self.picker.is_empty() && !self.availability.is_partial()
    }

    /// The next at most `most` bytes for `session` to ask for.
    pub(crate) fn next_range(
        &mut self,
        session: &Session,
        most: u32,
        cx: &mut Context<'_>,
    ) -> Option<ByteRange> {
        let key = session.key();
        let in_assemblies = |begun: &mut BTreeMap<u32, Assembly>| {
            let mut able = begun.iter_mut().filter(|(piece, assembly)| may_give(session, **piece, assembly));
            able.find_map(|(_, assembly)| assembly.next_range(key, most))
        };
        if session.is_suspect() {
            return self.trial(session);
        }
        // What it has begun itself goes on first; when it is choked, nothing else does.
        let willing = session.is_unchoked();
        let mut own = self.assemblies.iter_mut().filter(|(piece, assembly)| {
            assembly.claimed_by(key) > 0 && (!willing || may_give(session, **piece, assembly))
        });
        if let Some(range) = own.find_map(|(_, assembly)| assembly.next_range(key, most)) {
            return Some(range);
        }
        if !willing {
            return None;
        }
        // What nobody else gets from its owner is worth more than what others have left.
        if self.hinted(session).is_none()
            && let Some(range) = in_assemblies(&mut self.assemblies)
        {
            return Some(range);
        }
        // On parole, or without a buffer, it cannot be begun yet: then what others have left is.
        self.begin_piece(session, cx);
        if let Some(range) = in_assemblies(&mut self.assemblies) {
            return Some(range);
        }
        if self.starved || !self.picker.is_empty() && !self.availability.is_partial() {
            return None;
        }
        // Nothing is left to begin: take over half of what another still has to ask for.
        let mut able =
            self.assemblies.iter_mut().filter(|(piece, assembly)| may_give(session, **piece, assembly));
        if able.any(|(_, assembly)| assembly.share_with(key)) {
            in_assemblies(&mut self.assemblies)
        } else {
            None
        }
    }

    /// What shows whether `session` gives anything: one segment, which others are asked for all the same.
    fn trial(&self, session: &Session) -> Option<ByteRange> {
        let flow = session.flow().filter(|flow| session.is_unchoked() && flow.outstanding() == 0)?;
        let begun = self.assemblies.iter().filter(|(piece, assembly)| may_give(session, **piece, assembly));
        let missing =
            begun.filter_map(|(&piece, assembly)| Some((piece, assembly.first_missing()?.start))).next();
        let mut free = self.picker.pieces().take(MAX_COMPARED).filter(|&piece| session.has(piece));
        // Of a piece that is not begun it is thrown away: all that is asked is whether it comes.
        let (piece, offset) = missing.or_else(|| free.next().map(|piece| (piece, 0)))?;
        let left = self.layout.piece_length(PieceIndex(piece)) - offset;
        ByteRange::new(PieceIndex(piece), offset, left.min(flow.segment().into()))
    }

    /// The payload of a CHUNK from `session`: where it belongs, unless it is there already, or not wanted from there.
    pub(crate) fn place(
        &mut self,
        session: &Session,
        piece: PieceIndex,
        offset: u32,
        length: u32,
    ) -> Option<Placement> {
        let assembly = self.assemblies.get_mut(&piece.0)?;
        let refused = session.on_parole && assembly.only() != Some(session.key());
        if refused { None } else { assembly.place(session.key(), offset, length) }
    }

    /// Whether something of `piece`, which is begun, was asked for more than once.
    pub(crate) fn is_asked_again(&self, piece: PieceIndex) -> bool {
        self.assemblies.get(&piece.0).is_some_and(Assembly::is_asked_again)
    }

    /// If `piece` is all there now, it goes to the disk. Whether it does.
    pub(crate) fn store_if_complete(&mut self, piece: PieceIndex, cx: &mut Context<'_>) -> bool {
        let Some(assembly) = self.assemblies.get(&piece.0).filter(|assembly| assembly.is_complete()) else {
            return false;
        };
        let (buffer, length) = (assembly.buffer(), assembly.length());
        let contributions = assembly.contributions().collect();
        self.assemblies.remove(&piece.0);
        self.is_changed = true;
        self.storing.insert(piece.0, Storing { buffer, length, contributions, refused: false });
        self.store(piece, buffer, length, cx);
        true
    }

    fn store(&self, piece: PieceIndex, buffer: BufferId, length: u32, cx: &mut Context<'_>) {
        let expected = *self
            .manifest
            .piece_hash(piece)
            .expect("a piece that was begun is one of the picker's, which the layout of this manifest has");
        cx.out.disk.push(DiskRequest::Store { download: self.download, piece, buffer, length, expected });
    }

    /// The disk has no room for `piece`: it stays in its buffer.
    pub(crate) fn on_refused(&mut self, piece: PieceIndex) {
        let storing = self.storing.get_mut(&piece.0);
        storing.expect("the disk refuses what it was handed, and answers once").refused = true;
        self.is_changed = true;
    }

    /// Whether the disk had no room for a piece.
    pub(crate) fn is_refused(&self) -> bool {
        self.storing.values().any(|storing| storing.refused)
    }

    /// What the disk had no room for is handed to it again.
    pub(crate) fn retry_refused(&mut self, cx: &mut Context<'_>) {
        let refused = self.storing.iter_mut().filter(|(_, storing)| storing.refused);
        let again: Vec<(u32, BufferId, u32)> = refused
            .map(|(&piece, storing)| {
                storing.refused = false;
                (piece, storing.buffer, storing.length)
            })
            .collect();
        again
            .into_iter()
            .for_each(|(piece, buffer, length)| self.store(PieceIndex(piece), buffer, length, cx));
    }

    /// `range` did not arrive: `by` asks again, or anybody.
    pub(crate) fn ask_again(&mut self, range: ByteRange, by: Option<SessionKey>) {
        if let Some(assembly) = self.assemblies.get_mut(&range.piece().0) {
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

    /// Whether nothing can be asked of `session`, and nothing is under way: not for want of room here.
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
        self.picker.put_back(piece.0);
        contributions
    }

    /// The disk has answered for `piece`, and its buffer is free.
    fn take_stored(&mut self, piece: PieceIndex) -> Vec<(SessionKey, u32)> {
        (self.starved, self.is_changed) = (false, true);
        let storing = self.storing.remove(&piece.0);
        storing.expect("each piece is handed to the disk once, and the disk answers once").contributions
    }

    /// The buffers of pieces that were begun, or that the disk had no room for: given up.
    pub(crate) fn abandon(&mut self) -> Vec<BufferId> {
        let begun = std::mem::take(&mut self.assemblies).into_values().map(|assembly| assembly.buffer());
        let refused = self.storing.extract_if(.., |_, storing| storing.refused);
        begun.chain(refused.map(|(_, storing)| storing.buffer)).collect()
    }

    /// A partial owner that has given all it has of its stretch leaves the rest to others.
    fn release_what_holders_lack(&mut self, sessions: &BTreeMap<SessionKey, Session>) {
        for session in sessions.values() {
            let stuck = self.picker.of(session.key()).is_some()
                && !self.picker.any_of(session.key(), |piece| session.has(piece));
            if stuck {
                self.picker.release(session.key());
            }
        }
    }

    /// Whether `session` has nothing to ask for, and may begin something.
    pub(crate) fn is_idle(&self, session: &Session) -> bool {
        let key = session.key();
        self.picker.of(key).is_none() && self.claimed_by(key) == 0 && !self.has_piece_of_its_own(session)
    }

    fn begin_piece(&mut self, session: &Session, cx: &mut Context<'_>) -> bool {
        if self.has_piece_of_its_own(session) {
            return false;
        }
        // Room is asked for at full size, so that a piece that is begun always has its buffer. What a full disk cannot take
        // is not asked for.
        let room = !self.is_refused() && cx.buffers.request(self.layout.piece_size());
        if !room && self.picker.of(session.key()).is_some() {
            self.starved = true;
            return false;
        }
        self.starved = false;
        let Some(piece) = self.take_piece(session, cx) else {
            return false;
        };
        let length = self.layout.piece_length(PieceIndex(piece));
        let Some(buffer) = cx.buffers.lend(length, cx.out) else {
            self.picker.put_back(piece);
            return false;
        };
        let assembly = Assembly::new(PieceIndex(piece), length, buffer, session.key());
        let assembly = if session.on_parole { assembly.exclusive(session.key()) } else { assembly };
        self.assemblies.insert(piece, assembly);
        true
    }

    /// The piece that `session` begins next: of its stretch, or, where there are partial owners, the rarest.
    fn take_piece(&mut self, session: &Session, cx: &mut Context<'_>) -> Option<u32> {
        if !self.availability.is_partial() {
            return self.picker.begin(session.key(), |piece| session.has(piece));
        }
        if let Some(piece) = self.hinted(session) {
            self.picker.take(piece);
            return Some(piece);
        }
        let first = self.have.count_ones(..) + self.assemblies.len() < FIRST_PIECES as usize;
        let next = session.last_piece.filter(|_| !first).map(|piece| piece.0 + 1);
        let piece = self.availability.rarest(self.picker.free(), |piece| session.has(piece), next, cx.rng)?;
        self.picker.take(piece);
        Some(piece)
    }

    /// The missing piece that the owner of `session` would rather give than others.
    fn hinted(&self, session: &Session) -> Option<u32> {
        session.hints().first(|piece| session.has(piece) && self.picker.is_free(piece))
    }

    /// `session` does not get `range`, since its owner serves others: a piece of which there is nothing yet is as if it had not been
    /// begun. Its buffer, then.
    pub(crate) fn on_choked(&mut self, range: ByteRange, session: SessionKey) -> Option<BufferId> {
        let piece = range.piece().0;
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

    fn pace_of(&self, session: &Session, now: Timestamp) -> Pace {
        let speed = match session.speed(now) {
            0 => UNKNOWN_SPEED,
            speed => speed,
        };
        let time = |bytes: u64| Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / speed);
        let begun = u64::from(self.claimed_by(session.key()))
            + session.flow().map_or(0, |flow| flow.outstanding().into());
        Pace { per_piece: time(self.layout.piece_size().into()), begun: time(begun) }
    }
}
