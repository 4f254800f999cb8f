//! Pieces of owners on parole: each is fetched from one owner alone, one at a time, so that a bad one has one sender.

use std::collections::BTreeMap;

use messages::{PieceIndex, Timestamp};

use super::{Assembly, Pieces};
use crate::download::session::Session;
use crate::ids::SessionKey;

/// Whether `session` may give of `piece`, which is put together in `assembly`: on parole, of its own only.
pub(super) fn may_give(session: &Session, piece: PieceIndex, assembly: &Assembly) -> bool {
    let only = if session.on_parole { Some(session.key()) } else { None };
    assembly.only() == only && session.has(piece)
}

impl Pieces {
    /// A piece in which `session` had a part is bad: what it sent of others does not count.
    pub(crate) fn distrust(&mut self, session: SessionKey) {
        self.assemblies.values_mut().for_each(|assembly| assembly.distrust(session));
    }

    /// `session` is trusted again: what it was to give alone, others may give of too.
    pub(crate) fn pardon(&mut self, session: SessionKey) {
        self.assemblies.values_mut().for_each(|assembly| assembly.pardon(session));
    }

    /// Owners on parole take what nobody else can give, and leave what others would give much sooner.
    pub(super) fn keep_parole_going(&mut self, sessions: &BTreeMap<SessionKey, Session>, now: Timestamp) {
        if sessions.values().any(|session| session.on_parole) {
            self.take_over_abandoned(sessions);
            if self.picker.is_empty() {
                self.take_over_from_slow(sessions, now);
            }
        }
    }

    /// A piece that was begun, and that only owners on parole can give now, begins anew with one of them.
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
            let Some(key) = sessions.values().find(able).map(|session| session.key()) else {
                continue;
            };
            let assembly =
                self.assemblies.get_mut(&piece).expect("it is in the list of those that are begun");
            assembly.take_over(key, true);
        }
    }

    /// Nothing is left to begin: a whole piece that an owner on parole would give much later is fetched by one that has
    /// nothing to do.
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
            let assembly =
                self.assemblies.get_mut(&piece).expect("it is in the list of those that are begun");
            assembly.take_over(taker.key(), taker.on_parole);
        }
    }

    /// Whether `session` is on parole and has not finished its piece, or it is not known yet whether that is good.
    pub(super) fn has_piece_of_its_own(&self, session: &Session) -> bool {
        session.on_parole
            && (self.assemblies.values().any(|assembly| assembly.only() == Some(session.key()))
                || self.storing.has_bytes_of(session.key()))
    }
}
