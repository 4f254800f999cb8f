//! From whom the manifest comes: one owner first, and others beside it when that keeps it waiting. Each sends all of
//! it: whose is bad is then clear.

use std::time::Duration;

use messages::node_to_node::ByteRange;
use messages::{Layout, PieceIndex, Timestamp};

use super::assembly::Assembly;
use super::peers::Peers;
use super::session::Session;
use super::sessions::OpenSessions;
use crate::context::Context;
use crate::ids::SessionKey;
use crate::output::Placement;

/// An owner that has not sent the manifest in this many round trips gets another one beside it,
const ROUND_TRIPS: u32 = 4;
/// but after the first of these times at least, and after the second at most.
const TIME: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(2));
/// Each further time an owner has twice as long, at most this often doubled.
const MAX_DOUBLINGS: u32 = 8;
/// An owner has longer while it sends this many bytes a second.
const MIN_RATE: u64 = 16 << 10;
/// No more owners send the manifest at the same time: then the one that is late is left for another.
const MAX_AT_A_TIME: usize = 8;

/// One owner that sends the manifest.
#[derive(Debug)]
struct ManifestSource {
    from: SessionKey,
    assembly: Assembly,
    /// The owner has until then, and for what it has sent.
    until: Timestamp,
    /// Whether another one was asked since this one was late.
    has_company: bool,
}

impl ManifestSource {
    fn late_at(&self) -> Timestamp {
        self.until + Duration::from_nanos(u64::from(self.assembly.arrived()) * 1_000_000_000 / MIN_RATE)
    }
}

/// Those that send the manifest, the first asked first.
#[derive(Debug, Default)]
pub(super) struct ManifestSources {
    list: Vec<ManifestSource>,
    is_changed: bool,
}

impl ManifestSources {
    /// Whether nobody sends it.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether bytes came, or an owner sends it no longer, since that was looked at.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// What has changed is looked at now.
    pub(super) fn forget_changes(&mut self) {
        self.is_changed = false;
    }

    /// The most that one of them has sent, in bytes.
    pub(super) fn arrived(&self) -> u32 {
        self.list.iter().map(|one| one.assembly.arrived()).max().unwrap_or(0)
    }

    /// When one of them has had time enough.
    pub(super) fn late_at(&self, now: Timestamp) -> Timestamp {
        let late = self.list.iter().map(ManifestSource::late_at).filter(|at| *at > now);
        late.min().unwrap_or(Timestamp::NEVER)
    }

    /// The next at most `most` bytes that `from` is to be asked for.
    pub(super) fn next_range(&mut self, from: &Session, most: u32) -> Option<ByteRange> {
        self.of(from.key())?.next_range(from.key(), most.min(from.max_manifest_range()))
    }

    /// The payload of a CHUNK from `from`: where it belongs, if it is wanted.
    pub(super) fn place(&mut self, from: SessionKey, offset: u32, length: u32) -> Option<Placement> {
        let place = self.of(from)?.place(from, offset, length)?;
        self.is_changed = true;
        Some(place)
    }

    /// `range` did not arrive from `from`: it is asked for again.
    pub(super) fn ask_again(&mut self, range: ByteRange, from: SessionKey) {
        if let Some(assembly) = self.of(from) {
            assembly.ask_again(range, Some(from));
        }
    }

    /// What `from` sends is not waited for any more.
    pub(super) fn leave(&mut self, from: SessionKey) -> Option<Assembly> {
        let at = self.list.iter().position(|one| one.from == from)?;
        self.is_changed = true;
        Some(self.list.remove(at).assembly)
    }

    /// One that has sent all of it.
    pub(super) fn take_complete(&mut self) -> Option<(SessionKey, Assembly)> {
        let at = self.list.iter().position(|one| one.assembly.is_complete())?;
        let one = self.list.remove(at);
        Some((one.from, one.assembly))
    }

    /// What all of them have sent so far is not waited for any more.
    pub(super) fn into_assemblies(self) -> impl Iterator<Item = Assembly> {
        self.list.into_iter().map(|one| one.assembly)
    }

    /// Whether `key` is to send the manifest, has sent nothing, and somebody else could.
    pub(super) fn keeps_waiting(&self, key: SessionKey, sessions: &OpenSessions) -> bool {
        let sends = self.list.iter().find(|one| one.from == key);
        let is_able = |s: &Session| s.key() != key && s.is_unchoked() && !self.has(s.key());
        sends.is_some_and(|one| one.assembly.arrived() == 0) && sessions.iter().any(is_able)
    }

    /// Whoever sends the manifest too slowly takes no slot. Those that are left, since there are many and others
    /// could send it.
    pub(super) fn mark_late(&mut self, peers: &mut Peers, now: Timestamp) -> Vec<SessionKey> {
        for one in self.list.iter_mut().filter(|one| !one.has_company && now >= one.late_at()) {
            one.has_company = true;
            let session = peers.sessions.in_turn(one.from);
            session.expect("an owner sends the manifest no longer when its session ends").set_slow(true);
            peers.need.ask_soon(now);
        }
        if self.list.len() < MAX_AT_A_TIME {
            return Vec::new();
        }
        let untried = peers.sessions.iter().filter(|s| s.is_unchoked() && s.manifest_tries == 0).count();
        let late = self.list.iter().filter(|one| now >= one.late_at()).map(|one| one.from);
        late.take(untried).collect()
    }

    /// Chooses the owner that is to send the manifest: of those that have been tried least the nearest. Where all
    /// that were chosen are late, as many more. `known` is the length that the tracker has named.
    pub(super) fn choose(&mut self, known: u64, sessions: &mut OpenSessions, cx: &mut Context<'_>) {
        if !self.list.iter().all(|one| one.has_company) {
            return;
        }
        let wanted = (2 * self.list.len()).clamp(1, MAX_AT_A_TIME);
        while self.list.len() < wanted && self.choose_another(known, sessions, cx) {}
    }

    /// Whether there was another one.
    fn choose_another(&mut self, known: u64, sessions: &mut OpenSessions, cx: &mut Context<'_>) -> bool {
        let able = sessions.all_in_turn().filter(|s| s.is_unchoked() && !self.has(s.key()));
        let chosen = able.min_by_key(|session| {
            // Who says another length than the tracker is asked last: a long manifest takes long.
            let differs = known != session.claimed_length();
            (differs, session.manifest_tries, session.owes_answer(), session.rtt())
        });
        // Beside others nobody is tried again before the rest has been.
        let chosen = chosen.filter(|session| self.is_empty() || session.manifest_tries == 0);
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
        self.list.push(ManifestSource {
            from: session.key(),
            assembly: Assembly::new(PieceIndex::MANIFEST, length, buffer, session.key()),
            until: cx.now + time,
            has_company: false,
        });
        true
    }

    fn has(&self, session: SessionKey) -> bool {
        self.list.iter().any(|one| one.from == session)
    }

    fn of(&mut self, from: SessionKey) -> Option<&mut Assembly> {
        self.list.iter_mut().find(|one| one.from == from).map(|one| &mut one.assembly)
    }
}

/// How long the manifest of a content of `length` bytes is; `None` for a length that no content has.
fn manifest_length(length: u64) -> Option<u32> {
    Layout::of(length).map(Layout::manifest_length)
}
