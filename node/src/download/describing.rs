//! From whom the manifest comes: one owner at a time, and another one when that keeps it waiting.

use std::time::Duration;

use messages::{Layout, PieceIndex, Timestamp};

use super::assembly::Assembly;
use super::{Describing, Download, Phase};
use crate::context::Context;
use crate::ids::SessionKey;

/// An owner has this long for the manifest when others could send it; each further time twice as long,
const MANIFEST_TIME: Duration = Duration::from_secs(2);
/// at most this often,
const MOST_DOUBLINGS: u32 = 8;
/// and longer while it sends this many bytes a second.
const LEAST_RATE: u64 = 16 << 10;

impl Download {
    /// Chooses the owner that is to send the manifest: of those that have been tried least the nearest.
    pub(super) fn describe(&mut self, cx: &mut Context<'_>) {
        if !matches!(self.phase, Phase::Describing(Describing::NoOwner)) {
            return;
        }
        let known = self.length;
        let willing = self.sessions.values_mut().filter(|session| session.is_willing());
        let chosen = willing.min_by_key(|session| {
            // Who says another length than the tracker is asked last: a long manifest takes long.
            let differs = known.is_some_and(|length| length != session.claimed_length());
            let rtt = session.flow().and_then(|flow| flow.smoothed_rtt());
            (differs, session.manifest_tries, session.owes(), rtt)
        });
        let Some((length, session)) = chosen.and_then(|s| Some((manifest_length(s.claimed_length())?, s)))
        else {
            return;
        };
        if let Some(buffer) = cx.buffers.lend(length, cx.out) {
            let time = MANIFEST_TIME * 2u32.pow(session.manifest_tries.min(MOST_DOUBLINGS));
            session.manifest_tries += 1;
            self.manifest_until = cx.now + time;
            let assembly = Assembly::new(PieceIndex::MANIFEST, length, buffer, session.key);
            self.phase = Phase::Describing(Describing::From(session.key, assembly));
        }
    }

    /// Whether `key` is to send the manifest, has sent nothing, and somebody else could.
    pub(super) fn has_sent_no_manifest(&self, key: SessionKey) -> bool {
        matches!(&self.phase, Phase::Describing(Describing::From(from, assembly))
            if *from == key && assembly.arrived() == 0 && self.others_could_describe(key))
    }

    /// Another owner may have the manifest, when `key` keeps it waiting.
    pub(super) fn leave_manifest_of(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        if let Phase::Describing(Describing::From(from, assembly)) = &self.phase
            && *from == key
        {
            cx.buffers.give_back(assembly.buffer(), cx.out);
            self.attention.draw_to_all();
            self.phase = Phase::Describing(Describing::NoOwner);
        }
    }

    /// Whoever sends the manifest too slowly is left for another.
    pub(super) fn leave_late_manifest(&mut self, cx: &mut Context<'_>) {
        if let Phase::Describing(Describing::From(key, _)) = self.phase
            && self.manifest_late_at().is_some_and(|at| cx.now >= at)
        {
            self.give_up_everything(key, cx);
            self.leave_manifest_of(key, cx);
        }
    }

    /// When whoever sends the manifest has had time enough, if somebody else could send it.
    pub(super) fn manifest_late_at(&self) -> Option<Timestamp> {
        let Phase::Describing(Describing::From(key, assembly)) = &self.phase else {
            return None;
        };
        let earned = Duration::from_nanos(u64::from(assembly.arrived()) * 1_000_000_000 / LEAST_RATE);
        self.others_could_describe(*key).then_some(self.manifest_until + earned)
    }

    fn others_could_describe(&self, key: SessionKey) -> bool {
        self.sessions.values().any(|session| session.key != key && session.is_willing())
    }
}

/// How long the manifest of a content of `length` bytes is; `None` for a length that no content has.
fn manifest_length(length: u64) -> Option<u32> {
    Layout::of(length).map(Layout::manifest_length)
}
