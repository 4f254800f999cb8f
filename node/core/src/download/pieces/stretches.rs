//! Which session gets which stretch, a run of pieces that it begins one after the other. Where there are partial
//! owners, there are no stretches, and pieces are chosen one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use messages::{PieceRun, Timestamp};

use super::Pieces;
use crate::download::picker::{Pace, Stretch};
use crate::download::session::Session;
use crate::ids::SessionKey;

impl Pieces {
    /// Gives a stretch to each unchoked session that has nothing to ask for, as far as there are any. Returns the given
    /// stretches.
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
        let has = |key: SessionKey, pieces: PieceRun| {
            sessions.get(&key).is_some_and(|session| pieces.iter().any(|piece| session.has(piece)))
        };
        let unknown = Pace { per_piece: Duration::from_secs(1 << 20), begun: Duration::ZERO };
        self.picker.assign(&idle, has, |key| paces.get(&key).copied().unwrap_or(unknown))
    }

    /// Whether there are stretches to give: a piece is left to begin, and pieces are not chosen one by one.
    pub(crate) fn gives_stretches(&self) -> bool {
        !self.picker.is_empty() && !self.availability.is_partial()
    }

    /// Takes their stretches from owners that have no piece of these any more.
    fn release_what_holders_lack(&mut self, sessions: &BTreeMap<SessionKey, Session>) {
        for session in sessions.values() {
            let stuck = self.picker.of(session.key()).is_some()
                && !self.picker.any_of(session.key(), |piece| session.has(piece));
            if stuck {
                self.picker.release(session.key());
            }
        }
    }

    /// How long `session` would need for one piece, and for what it has begun.
    pub(super) fn pace_of(&self, session: &Session, now: Timestamp) -> Pace {
        let speed = session.speed(now);
        let time = |bytes: u64| Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / speed);
        let begun = u64::from(self.claimed_by(session.key()))
            + session.flow().map_or(0, |flow| flow.outstanding().into());
        Pace { per_piece: time(self.layout.piece_size().into()), begun: time(begun) }
    }
}
