//! The pieces of owners on parole. Each is fetched from one owner alone, and each such owner fetches one at a time, so
//! that a bad piece has one sender.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{PieceIndex, Timestamp};

use super::{Assembly, Pieces};
use crate::download::session::Session;
use crate::ids::SessionKey;

/// A piece stays with the owners that are not on parole, unless that delays the download by more than this and by more
/// than an owner on parole needs for all of the piece.
const MIN_GAIN: Duration = Duration::from_secs(1);

/// Whether `session` may be asked for bytes of `piece`, which is put together in `assembly`. On parole it may be asked
/// only for its own piece.
pub(super) fn may_give(session: &Session, piece: PieceIndex, assembly: &Assembly) -> bool {
    let only = if session.on_parole { Some(session.key()) } else { None };
    assembly.only() == only && session.has(piece)
}

impl Pieces {
    /// Discards what `session` has sent of the begun pieces, because another piece to which it contributed is bad.
    pub(crate) fn distrust(&mut self, session: SessionKey) {
        self.assemblies.values_mut().for_each(|assembly| assembly.distrust(session));
        self.preview.distrust(session);
    }

    /// Opens to all sessions the piece that `session` was to send alone, because its owner is trusted again.
    pub(crate) fn pardon(&mut self, session: SessionKey) {
        self.assemblies.values_mut().for_each(|assembly| assembly.pardon(session));
    }

    /// Has owners on parole take over the pieces that nobody else can give, or gives much later, and takes from them the
    /// pieces that other owners would give much sooner.
    pub(super) fn keep_parole_going(&mut self, sessions: &BTreeMap<SessionKey, Session>, now: Timestamp) {
        if sessions.values().any(|session| session.on_parole) {
            self.take_over_abandoned(sessions);
            if self.picker.is_empty() {
                self.take_over_from_slow(sessions, now);
                self.take_over_open(sessions, now);
            }
        }
    }

    /// Begins anew, with an owner on parole, each begun piece that only owners on parole can give now.
    fn take_over_abandoned(&mut self, sessions: &BTreeMap<SessionKey, Session>) {
        let trusted = |piece: PieceIndex| {
            sessions.values().any(|session| !session.on_parole && session.is_useful() && session.has(piece))
        };
        let open = self.assemblies.iter().filter(|(_, assembly)| assembly.only().is_none());
        let left: Vec<PieceIndex> = open.map(|(&piece, _)| piece).filter(|&piece| !trusted(piece)).collect();
        for piece in left {
            let able = |session: &&Session| {
                session.on_parole
                    && session.is_unchoked()
                    && !session.is_suspect()
                    && session.has(piece)
                    && !self.has_piece_of_its_own(session)
            };
            let Some(key) = sessions.values().find(able).map(Session::key) else {
                continue;
            };
            self.begin_anew(piece, key, true);
        }
    }

    /// Gives the pieces that owners on parole would finish late to idle sessions that are much faster. No piece is left
    /// to begin.
    fn take_over_from_slow(&mut self, sessions: &BTreeMap<SessionKey, Session>, now: Timestamp) {
        let own: Vec<(PieceIndex, SessionKey)> =
            self.assemblies.iter().filter_map(|(&piece, assembly)| Some((piece, assembly.only()?))).collect();
        if own.is_empty() {
            return;
        }
        let mut idle: Vec<&Session> =
            sessions.values().filter(|s| s.is_unchoked() && !s.is_suspect() && self.is_idle(s)).collect();
        for (piece, holder) in own {
            let holder = sessions.get(&holder).expect("a session that ends leaves its piece to others");
            let late = self.pace_of(holder, now);
            let sooner = |session: &&Session| {
                session.has(piece) && self.pace_of(session, now).per_piece * 2 < late.begun
            };
            let Some(at) = idle.iter().position(sooner) else {
                continue;
            };
            let taker = idle.swap_remove(at);
            self.begin_anew(piece, taker.key(), taker.on_parole);
        }
    }

    /// Begins anew, with idle owners on parole, begun pieces for which all owners that are not on parole together need
    /// much longer. No piece is left to begin.
    fn take_over_open(&mut self, sessions: &BTreeMap<SessionKey, Session>, now: Timestamp) {
        let trusted = sessions.values().filter(|session| !session.on_parole && session.is_useful());
        let speed: u64 = trusted.map(|session| session.speed(now)).sum();
        let able = |session: &&Session| {
            session.on_parole
                && session.is_unchoked()
                && !session.is_suspect()
                && !self.has_piece_of_its_own(session)
        };
        let takers: Vec<&Session> = sessions.values().filter(able).collect();
        for taker in takers {
            let missing = |assembly: &Assembly| u64::from(assembly.missing());
            let open = self.assemblies.values().filter(|assembly| assembly.only().is_none());
            let left: u64 = open.map(missing).sum();
            let wait = Duration::from_nanos(left.saturating_mul(1_000_000_000) / speed.max(1));
            if self.pace_of(taker, now).per_piece * 2 + MIN_GAIN > wait {
                continue;
            }
            let open = self.assemblies.values();
            let open = open.filter(|assembly| assembly.only().is_none() && taker.has(assembly.piece()));
            if let Some(piece) = open.max_by_key(|assembly| missing(assembly)).map(Assembly::piece) {
                self.begin_anew(piece, taker.key(), true);
            }
        }
    }

    /// Begins `piece`, which has been begun, anew with the session `taker`. What others have sent is discarded.
    fn begin_anew(&mut self, piece: PieceIndex, taker: SessionKey, on_parole: bool) {
        let before = self.assemblies.get(&piece).expect("only pieces that are begun are taken over");
        let fresh = self.begun(piece, before.buffer(), taker, on_parole);
        self.assemblies.insert(piece, fresh);
    }

    /// Whether `session` is on parole and has a piece of its own, which it has not finished or of which it is not yet
    /// known whether it is good.
    pub(super) fn has_piece_of_its_own(&self, session: &Session) -> bool {
        session.on_parole
            && (self.assemblies.values().any(|assembly| assembly.only() == Some(session.key()))
                || self.storing.has_bytes_of(session.key()))
    }
}
