//! From whom the manifest comes: one owner first, and others beside it when that keeps it waiting. Each sends all of it: whose is bad is then clear.

use std::time::Duration;

use messages::{Layout, PieceIndex, Timestamp};

use super::assembly::Assembly;
use super::{Describing, Download, Phase};
use crate::context::Context;
use crate::ids::SessionKey;

/// An owner that has not sent the manifest in so many round trips, in this long at least, and in that long at most, gets another one beside it;
const ROUND_TRIPS: u32 = 4;
const TIME: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(2));
/// each further time it has twice as long, at most this often doubled,
const MAX_DOUBLINGS: u32 = 8;
/// and longer while it sends this many bytes a second.
const MIN_RATE: u64 = 16 << 10;
/// No more owners send the manifest at the same time: then the one that is late is left for another.
const MAX_AT_A_TIME: usize = 8;

/// One owner that sends the manifest.
#[derive(Debug)]
struct ManifestSource {
    from: SessionKey,
    assembly: Assembly,
    /// It has until then, and for what it has sent.
    until: Timestamp,
    /// Whether another one was asked since it was late.
    has_company: bool,
}

impl ManifestSource {
    fn late_at(&self) -> Timestamp {
        self.until + Duration::from_nanos(u64::from(self.assembly.arrived()) * 1_000_000_000 / MIN_RATE)
    }
}

/// Those that send the manifest, the first asked first.
#[derive(Debug, Default)]
pub(super) struct ManifestSources(Vec<ManifestSource>);

impl ManifestSources {
    /// Whether nobody sends it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `from` sends, if it does.
    pub(super) fn of(&mut self, from: SessionKey) -> Option<&mut Assembly> {
        self.0.iter_mut().find(|one| one.from == from).map(|one| &mut one.assembly)
    }

    /// The most that one of them has sent, in bytes.
    pub(super) fn arrived(&self) -> u32 {
        self.0.iter().map(|one| one.assembly.arrived()).max().unwrap_or(0)
    }

    /// What `from` sends is not waited for any more.
    pub(super) fn leave(&mut self, from: SessionKey) -> Option<Assembly> {
        let at = self.0.iter().position(|one| one.from == from)?;
        Some(self.0.remove(at).assembly)
    }

    /// One that has sent all of it.
    pub(super) fn take_complete(&mut self) -> Option<(SessionKey, Assembly)> {
        let at = self.0.iter().position(|one| one.assembly.is_complete())?;
        let one = self.0.remove(at);
        Some((one.from, one.assembly))
    }

    /// What all of them have sent so far is not waited for any more.
    pub(super) fn into_assemblies(self) -> impl Iterator<Item = Assembly> {
        self.0.into_iter().map(|one| one.assembly)
    }

    fn has(&self, session: SessionKey) -> bool {
        self.0.iter().any(|one| one.from == session)
    }

    /// Those that are late by `now` for the first time: each is to get company.
    fn note_late(&mut self, now: Timestamp) -> Vec<SessionKey> {
        let late = self.0.iter_mut().filter(|one| !one.has_company && now >= one.late_at());
        late.map(|one| {
            one.has_company = true;
            one.from
        })
        .collect()
    }

    /// The first `most` that are late, when there are as many as there can be.
    fn late(&self, most: usize, now: Timestamp) -> Vec<SessionKey> {
        let late = self.0.iter().filter(|one| now >= one.late_at()).map(|one| one.from);
        late.take(if self.0.len() >= MAX_AT_A_TIME { most } else { 0 }).collect()
    }
}

impl Download {
    /// Chooses the owner that is to send the manifest: of those that have been tried least the nearest. Where those who were chosen are late,
    /// as many more.
    pub(super) fn request_manifest(&mut self, cx: &mut Context<'_>) {
        self.relieve_late_manifest_sources(cx);
        let Phase::Describing(Describing::From(sources)) = &self.phase else {
            return;
        };
        let all_late = sources.0.iter().all(|one| one.has_company);
        let wanted = (2 * sources.0.len()).clamp(1, MAX_AT_A_TIME);
        if !all_late {
            return;
        }
        for _ in sources.0.len()..wanted {
            if !self.request_manifest_of_another(cx) {
                return;
            }
        }
    }

    /// Whether there was another one.
    fn request_manifest_of_another(&mut self, cx: &mut Context<'_>) -> bool {
        let known = self.length;
        let Phase::Describing(Describing::From(sources)) = &mut self.phase else {
            return false;
        };
        let willing = self.sessions.values_mut();
        let willing = willing.filter(|session| session.is_unchoked() && !sources.has(session.key()));
        let chosen = willing.min_by_key(|session| {
            // Who says another length than the tracker is asked last: a long manifest takes long.
            let differs = known.is_some_and(|length| length != session.claimed_length());
            let rtt = session.flow().and_then(|flow| flow.smoothed_rtt());
            (differs, session.manifest_tries, session.owes_answer(), rtt)
        });
        // Beside others nobody is tried again before the rest has been.
        let chosen = chosen.filter(|session| sources.is_empty() || session.manifest_tries == 0);
        let Some((length, session)) = chosen.and_then(|s| Some((manifest_length(s.claimed_length())?, s)))
        else {
            return false;
        };
        let Some(buffer) = cx.buffers.lend(length, cx.out) else {
            return false;
        };
        let (least, most) = TIME;
        let time = (session.rtt().unwrap_or_default() * ROUND_TRIPS).clamp(least, most);
        let time = time * 2u32.pow(session.manifest_tries.min(MAX_DOUBLINGS));
        session.manifest_tries += 1;
        sources.0.push(ManifestSource {
            from: session.key(),
            assembly: Assembly::new(PieceIndex::MANIFEST, length, buffer, session.key()),
            until: cx.now + time,
            has_company: false,
        });
        true
    }

    /// Whether `key` is to send the manifest, has sent nothing, and somebody else could.
    pub(super) fn has_sent_no_manifest(&self, key: SessionKey) -> bool {
        let Phase::Describing(Describing::From(sources)) = &self.phase else {
            return false;
        };
        let sends = sources.0.iter().find(|one| one.from == key);
        sends.is_some_and(|one| one.assembly.arrived() == 0) && self.others_could_send_manifest(key)
    }

    /// Another owner may have the manifest, when `key` keeps it waiting.
    pub(super) fn drop_manifest_source(&mut self, key: SessionKey, cx: &mut Context<'_>) {
        if let Phase::Describing(Describing::From(sources)) = &mut self.phase
            && let Some(assembly) = sources.leave(key)
        {
            cx.buffers.give_back(assembly.buffer(), cx.out);
            self.ready_set.mark_all();
        }
    }

    /// Whoever sends the manifest too slowly gets others beside it, takes no place, and is left where there are many.
    fn relieve_late_manifest_sources(&mut self, cx: &mut Context<'_>) {
        let Phase::Describing(Describing::From(sources)) = &mut self.phase else {
            return;
        };
        for key in sources.note_late(cx.now) {
            if let Some(session) = self.sessions.get_mut(&key) {
                session.set_slow(true);
                self.need.ask_soon(cx.now);
            }
        }
        let Phase::Describing(Describing::From(sources)) = &self.phase else {
            return;
        };
        let untried =
            self.sessions.values().filter(|session| session.is_unchoked() && session.manifest_tries == 0);
        for key in sources.late(untried.count(), cx.now) {
            self.give_up_requests(key, cx);
            self.drop_manifest_source(key, cx);
        }
    }

    /// When one of those that send the manifest has had time enough.
    pub(super) fn manifest_late_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Phase::Describing(Describing::From(sources)) = &self.phase else {
            return None;
        };
        sources.0.iter().map(ManifestSource::late_at).filter(|at| *at > now).min()
    }

    fn others_could_send_manifest(&self, key: SessionKey) -> bool {
        let Phase::Describing(Describing::From(sources)) = &self.phase else {
            return false;
        };
        let other = |key| !sources.has(key);
        self.sessions.values().any(|s| s.key() != key && s.is_unchoked() && other(s.key()))
    }
}

/// How long the manifest of a content of `length` bytes is; `None` for a length that no content has.
fn manifest_length(length: u64) -> Option<u32> {
    Layout::of(length).map(Layout::manifest_length)
}
