//! Which owners send the outboard: one at first, and others beside that one when it keeps the download waiting. Each
//! owner sends all of the outboard, so that it is clear who sent a bad one. A content of one piece has no outboard: its
//! only piece is fetched in the same way, since nothing else proves the length of the content.

use std::time::Duration;

use messages::limits::MAX_BURST;
use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, Layout, PieceIndex, Timestamp};

use super::assembly::Assembly;
use super::peers::Peers;
use super::session::Session;
use super::sessions::OpenSessions;
use crate::context::Context;
use crate::ids::SessionKey;
use crate::output::Placement;
use crate::transport::{Flow, LONG_RTT};

/// An owner that has not sent the outboard after this many round trips is late: another owner is asked beside it.
const ROUND_TRIPS: u32 = 4;
/// An owner is late after the first of these times at the soonest, and after the second at the latest.
const TIME: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(2));
/// An owner that is tried again has twice as long each time. The time is doubled this often at most.
const MAX_DOUBLINGS: u32 = 8;
/// An owner has longer while it sends at least this many bytes a second.
const MIN_RATE: u64 = 16 << 10;
/// An owner is asked beside others that are not late when what it would send is shorter than theirs by this factor.
const MUCH_SHORTER: u32 = 2;
/// An outboard that fits one burst is asked for this many times more over a long path, because nothing else can be
/// fetched before it is there. (50 Mbit/s, 300 ms, 10 % loss each way: the outboard of 120 MiB takes 0.3 s instead of
/// 1.2.)
const SPARE_COPIES: u32 = 2;
/// The number of owners that send the outboard at the same time at most. Beyond it an owner that is late is dropped for
/// another.
const MAX_AT_A_TIME: usize = 8;

/// One owner that sends the outboard.
#[derive(Debug)]
struct OutboardSource {
    from: SessionKey,
    assembly: Assembly,
    /// The owner is late after this instant, unless it has sent much by then.
    until: Timestamp,
    /// Whether another owner was asked because this one was late.
    has_company: bool,
    /// How often the owner may still be asked for all that is missing, although nothing is lost as far as is known.
    spare_copies: u32,
}

impl OutboardSource {
    /// The next range of at most `most` bytes that `from` is to be asked for. A short outboard is asked for more than once
    /// over a long path.
    fn next_range(&mut self, from: &Session, most: u32) -> Option<ByteRange> {
        let range = self.assembly.next_range(self.from, most);
        let is_long = || from.flow().and_then(Flow::min_rtt).is_some_and(|rtt| rtt >= LONG_RTT);
        let is_short = self.assembly.piece() == PieceIndex::OUTBOARD && self.assembly.length() <= MAX_BURST;
        if range.is_some() || self.spare_copies == 0 || !is_short || !is_long() {
            return range;
        }
        self.spare_copies -= 1;
        self.assembly.ask_for_all_again(self.from);
        self.assembly.next_range(self.from, most)
    }

    fn late_at(&self) -> Timestamp {
        self.until + Duration::from_nanos(u64::from(self.assembly.arrived()) * 1_000_000_000 / MIN_RATE)
    }
}

/// The owners that send the outboard, in the order in which they were asked.
#[derive(Debug, Default)]
pub(super) struct OutboardSources {
    list: Vec<OutboardSource>,
    is_changed: bool,
}

impl OutboardSources {
    /// Whether no owner sends the outboard.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether bytes arrived or an owner was dropped since [`OutboardSources::forget_changes`].
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Forgets the changes, because they are looked at now.
    pub(super) fn forget_changes(&mut self) {
        self.is_changed = false;
    }

    /// The most bytes that one owner has sent.
    pub(super) fn arrived(&self) -> u32 {
        self.list.iter().map(|one| one.assembly.arrived()).max().unwrap_or(0)
    }

    /// When the next owner is late.
    pub(super) fn late_at(&self, now: Timestamp) -> Timestamp {
        let late = self.list.iter().map(OutboardSource::late_at).filter(|at| *at > now);
        late.min().unwrap_or(Timestamp::NEVER)
    }

    /// The next range of at most `most` bytes that `from` is to be asked for.
    pub(super) fn next_range(&mut self, from: &Session, most: u32) -> Option<ByteRange> {
        let source = self.list.iter_mut().find(|one| one.from == from.key())?;
        source.next_range(from, most.min(from.max_outboard_range()))
    }

    /// Whether `from` sends an outboard, and not the only piece.
    pub(super) fn has_outboard_of(&self, from: SessionKey) -> bool {
        self.list.iter().any(|one| one.from == from && one.assembly.piece() == PieceIndex::OUTBOARD)
    }

    /// Whether an owner is late.
    pub(super) fn has_late(&self) -> bool {
        self.list.iter().any(|one| one.has_company)
    }

    /// Where the payload of a CHUNK from `from` belongs, if it is wanted.
    pub(super) fn place(&mut self, from: SessionKey, header: &ChunkHeader, length: u32) -> Option<Placement> {
        let assembly = self.of(from).filter(|assembly| assembly.piece() == header.piece)?;
        let place = assembly.place(from, header.offset, length)?;
        self.is_changed = true;
        Some(place)
    }

    /// Has `range`, which did not arrive from `from`, asked for again.
    pub(super) fn ask_again(&mut self, range: ByteRange, from: SessionKey) {
        if let Some(assembly) = self.of(from) {
            assembly.ask_again(range, Some(from));
        }
    }

    /// Drops `from`. Returns what it has sent.
    pub(super) fn leave(&mut self, from: SessionKey) -> Option<Assembly> {
        let at = self.list.iter().position(|one| one.from == from)?;
        self.is_changed = true;
        Some(self.list.remove(at).assembly)
    }

    /// Takes out an owner that has sent all of the outboard.
    pub(super) fn take_complete(&mut self) -> Option<(SessionKey, Assembly)> {
        let at = self.list.iter().position(|one| one.assembly.is_complete())?;
        let one = self.list.remove(at);
        Some((one.from, one.assembly))
    }

    /// Drops all owners. Returns what they have sent.
    pub(super) fn into_assemblies(self) -> impl Iterator<Item = Assembly> {
        self.list.into_iter().map(|one| one.assembly)
    }

    /// Whether `key` is to send the outboard and has sent nothing, while another owner could send it.
    pub(super) fn keeps_waiting(&self, key: SessionKey, sessions: &OpenSessions) -> bool {
        let sends = self.list.iter().find(|one| one.from == key);
        let is_able = |s: &Session| s.key() != key && s.is_unchoked() && !self.has(s.key());
        sends.is_some_and(|one| one.assembly.arrived() == 0) && sessions.iter().any(is_able)
    }

    /// Marks the owners that are late: they take no slot from now on. Returns the owners to be dropped, because many
    /// send the outboard and others have not been tried.
    pub(super) fn mark_late(&mut self, peers: &mut Peers, now: Timestamp) -> Vec<SessionKey> {
        for one in self.list.iter_mut().filter(|one| !one.has_company && now >= one.late_at()) {
            one.has_company = true;
            let session = peers.sessions.in_turn(one.from);
            session.expect("an owner sends the outboard no longer when its session ends").set_slow(true);
            peers.need.ask_soon(now);
        }
        if self.list.len() < MAX_AT_A_TIME {
            return Vec::new();
        }
        let untried = peers.sessions.iter().filter(|s| s.is_unchoked() && s.outboard_tries == 0).count();
        let late = self.list.iter().filter(|one| now >= one.late_at()).map(|one| one.from);
        late.take(untried).collect()
    }

    /// Chooses the owner that is to send the outboard: the nearest of those that have been tried least. When all chosen
    /// owners are late, as many more are chosen. An owner that names a much shorter content is chosen beside those that
    /// are not late: a long outboard may be a lie, which would hold the download up for as long as it takes to arrive.
    /// `known` is the length that the tracker has named.
    pub(super) fn choose(&mut self, known: u64, sessions: &mut OpenSessions, cx: &mut Context<'_>) {
        if !self.list.iter().all(|one| one.has_company) {
            let shortest = self.list.iter().map(|one| one.assembly.length()).min().unwrap_or(0);
            if self.list.len() < MAX_AT_A_TIME {
                self.choose_another(known, shortest / MUCH_SHORTER, sessions, cx);
            }
            return;
        }
        let wanted = (2 * self.list.len()).clamp(1, MAX_AT_A_TIME);
        while self.list.len() < wanted && self.choose_another(known, u32::MAX, sessions, cx) {}
    }

    /// Chooses one more owner, which is to send at most `most` bytes. Returns whether there was one.
    fn choose_another(
        &mut self,
        known: u64,
        most: u32,
        sessions: &mut OpenSessions,
        cx: &mut Context<'_>,
    ) -> bool {
        let able = sessions.all_in_turn().filter(|s| s.is_unchoked() && !self.has(s.key()));
        let able = able.filter_map(|session| Some((evidence_of(session)?, session)));
        let able = able.filter(|((_, length), _)| *length <= most);
        let chosen = able.min_by_key(|(_, session)| {
            // An owner that names another length than the tracker is asked last, because a long outboard takes long.
            let differs = known != session.claimed_length();
            (differs, session.outboard_tries, session.owes_answer(), session.rtt())
        });
        // While other owners send the outboard, an owner is tried again only after all others were tried.
        let chosen = chosen.filter(|(_, session)| self.is_empty() || session.outboard_tries == 0);
        let Some(((piece, length), session)) = chosen else { return false };
        let Some(buffer) = cx.buffers.lend(length, cx.out) else {
            return false;
        };
        let (least, most) = TIME;
        let time = (session.rtt().unwrap_or_default() * ROUND_TRIPS).clamp(least, most);
        let time = time * 2u32.pow(session.outboard_tries.min(MAX_DOUBLINGS));
        session.outboard_tries += 1;
        self.list.push(OutboardSource {
            from: session.key(),
            assembly: Assembly::new(piece, length, buffer, session.key()),
            until: cx.now + time,
            has_company: false,
            spare_copies: SPARE_COPIES,
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

/// What `session` is asked for and its length, provided that the owner is right about the length of the content: the
/// outboard, or the only piece, if the owner has that. `None` when the owner is wrong: an empty content is not fetched.
fn evidence_of(session: &Session) -> Option<(PieceIndex, u32)> {
    let layout = Layout::of(session.claimed_length())?;
    match layout.pieces() {
        0 => None,
        1 if !session.has(PieceIndex(0)) => None,
        1 => Some((PieceIndex(0), layout.piece_length(PieceIndex(0)))),
        _ => Some((PieceIndex::OUTBOARD, layout.outboard_length())),
    }
}
