//! The peers of a download: the owners that are known, the sessions with some of them, and when the tracker is asked
//! for more owners.

use std::net::SocketAddr;

use config::{NodeSettings, UploadPolicy};
use messages::node_to_node::{Control, Operation, Request};
use messages::tracker_to_node::Owner;
use messages::{ContentId, Conversation, List, NodeId, PieceIndex, Timestamp};

use super::candidates::Candidates;
use super::dial_limits::DialLimits;
use super::duplicates::DuplicateRequests;
use super::need_schedule::NeedSchedule;
use super::pieces::Pieces;
use super::reachability::Reachability;
use super::rotation::{MIN_RATE, Rotation, TrialResult, is_slow, sessions_to_end};
use super::session::Session;
use super::sessions::{Answering, OpenSessions, SessionTurn};
use super::short_path::ShortPath;
use crate::context::Context;
use crate::event::SessionEnd;
use crate::ids::{DownloadId, SessionKey};
use crate::waiting::Waiting;

/// A download has at most this many sessions, silent and slow ones included, for each of its slots for owners.
const SESSIONS_PER_SLOT: usize = 4;

/// At most this many owners are named to the person, and at most this many are asked in short datagrams, when no owner
/// answers.
pub(super) const MAX_NAMED: usize = 3;

/// The peers of one download.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) sessions: OpenSessions,
    pub(super) candidates: Candidates,
    pub(super) need: NeedSchedule,
    pub(super) rotation: Rotation,
    pub(super) reachability: Reachability,
    short_path: ShortPath,
    pub(super) duplicates: DuplicateRequests,
    /// When an owner was last ready to serve the download.
    pub(super) unchoked_at: Timestamp,
}

impl Peers {
    /// The peers of a new download, which knows no owner yet.
    pub(super) fn new(now: Timestamp) -> Peers {
        Peers {
            sessions: OpenSessions::new(),
            candidates: Candidates::default(),
            need: NeedSchedule::new(now),
            rotation: Rotation::new(now),
            reachability: Reachability::default(),
            short_path: ShortPath::default(),
            duplicates: DuplicateRequests::default(),
            unchoked_at: now,
        }
    }

    /// Records that the tracker, which may be far away, has answered NEED.
    pub(super) fn on_tracker_answer(&mut self, is_far: bool) {
        self.sessions.mark_all();
        self.need.on_answer(is_far);
    }

    /// Records the `owners` that the tracker has named. Returns the sessions with owners that do not serve at their old
    /// address and have a new one now.
    pub(super) fn learn(&mut self, owners: &[Owner], now: Timestamp) -> Vec<SessionKey> {
        self.sessions.mark_all();
        let has_news = self.candidates.learn(owners, now);
        self.rotation.on_answer(has_news);
        self.note_known(now);
        let moved = |session: &Session| {
            !session.is_unchoked() && self.candidates.has_moved(session.owner(), session.peer())
        };
        self.sessions.keys_of(moved)
    }

    /// Records that `node`, at `peer`, fetches the same content.
    pub(super) fn meet(&mut self, node: NodeId, peer: SocketAddr, now: Timestamp) {
        self.sessions.mark_all();
        self.candidates.meet(node, peer, now);
        self.note_known(now);
    }

    fn note_known(&mut self, now: Timestamp) {
        if !self.candidates.is_empty() {
            self.reachability.on_known(now);
        }
    }

    /// Records that the node at `peer` does not know the conversation `remote`. Returns whether that answers a short
    /// datagram of this download.
    pub(super) fn on_short_answer(&mut self, peer: SocketAddr, remote: Conversation) -> bool {
        let is_asked = self.candidates.peers().any(|asked| asked == peer);
        let is_answer = is_asked && self.short_path.on_gone(peer, remote);
        if is_answer {
            self.sessions.mark_all();
        }
        is_answer
    }

    /// Records that `owner`, which was suspect, has sent something.
    pub(super) fn on_gives_again(&mut self, owner: NodeId) {
        self.sessions.mark_all();
        self.candidates.note_gives_nothing(owner, false);
    }

    /// Records that `session` has ended for the reason `why`. Other owners are wanted in its place.
    pub(super) fn on_lost(&mut self, session: &Session, why: SessionEnd, now: Timestamp) {
        self.candidates.on_ended(session.owner(), why, now);
        self.need.ask_soon(now);
    }

    /// Gives the session `key` its turn. Returns the reason, if the session is over.
    pub(super) fn poll_session(
        &mut self,
        key: SessionKey,
        is_fetching: bool,
        cx: &mut Context<'_>,
    ) -> Result<SessionTurn, SessionEnd> {
        let turn = self.sessions.poll(key, is_fetching, &mut self.duplicates, cx)?;
        if turn.turned_unproductive || turn.answering == Answering::Snubbed {
            self.need.ask_soon(cx.now);
        }
        if matches!(turn.answering, Answering::Snubbed | Answering::TurnedSuspect) {
            let session = self.sessions.get(key).expect("it goes on after its turn");
            self.candidates.note_gives_nothing(session.owner(), true);
        }
        Ok(turn)
    }

    /// Whether as many owners as are wanted serve the download or will soon have answered. A choked session counts
    /// half: another owner may have a slot, and the choked one will be unchoked later. A session in its handshake
    /// counts a quarter while many owners were greeted in vain.
    pub(super) fn has_enough(&self, settings: &NodeSettings) -> bool {
        let wanted = wanted_owners(settings);
        let in_haste = self.rotation.needs_haste(wanted);
        let useful = self.sessions.iter().filter(|session| session.holds_slot());
        let quarters = useful.map(|session| match session {
            greeted if greeted.is_handshaking() && in_haste => 1,
            choked if choked.is_choked() => 2,
            _ => 4,
        });
        quarters.sum::<usize>() >= 4 * usize::from(wanted)
    }

    /// Whether the tracker is to be asked for owners now. If so, it counts as asked.
    pub(super) fn poll_need(&mut self, now: Timestamp, settings: &NodeSettings) -> bool {
        let nobody = self.candidates.is_empty();
        !self.has_enough(settings) && self.need.poll(now, &settings.download.need_again, nobody)
    }

    /// When the tracker is to be asked for owners.
    pub(super) fn need_at(&self, settings: &NodeSettings) -> Timestamp {
        if self.has_enough(settings) { Timestamp::NEVER } else { self.need.next_at() }
    }

    /// The owners and hosts that are not to be tried now.
    pub(super) fn dial_limits(&self, cx: &Context<'_>) -> DialLimits {
        let wanted = cx.settings.download.owners.into();
        let mut limits = DialLimits::new(cx.node, self.candidates.failed(), wanted);
        self.sessions
            .iter()
            .for_each(|session| limits.add(session.owner(), session.peer(), session.is_handshaking()));
        limits
    }

    /// The number of owners that may be tried now and were not tried for a long time.
    pub(super) fn untried(&self, cx: &Context<'_>) -> usize {
        self.candidates.untried(cx.now, &self.dial_limits(cx))
    }

    /// Whether the session `key` is given up early: its owner has not answered its first HELLO in time, many owners
    /// before it have not answered either, and there are owners that were not greeted yet.
    pub(super) fn is_passed_over(&self, key: SessionKey, cx: &Context<'_>) -> bool {
        self.rotation.needs_haste(cx.settings.download.owners)
            && self.sessions.get(key).is_some_and(|session| session.is_unanswered(cx.now))
            && self.untried(cx) > 0
    }

    /// Opens sessions with owners of `content` while fewer sessions are useful than are wanted. Banned owners are a
    /// last resort, for when nobody else has what is missing of `pieces`.
    pub(super) fn open_sessions(
        &mut self,
        download: DownloadId,
        content: ContentId,
        pieces: Option<&Pieces>,
        cx: &mut Context<'_>,
    ) {
        let last_resort = self.needs_banned(pieces, cx.now);
        let mut limits = self.dial_limits(cx);
        while self.wants_sessions(cx.settings) {
            let Some((owner, peer)) = self.candidates.next(cx.now, last_resort, &limits) else {
                return;
            };
            limits.add(owner, peer, true);
            self.candidates.on_tried(owner, cx.now);
            self.rotation.on_greeted();
            let key = self.sessions.next_key();
            let mut session = Session::new(key, download, content, owner, peer, cx);
            // The first HELLO is sent at once.
            let ended: Option<SessionEnd> = session.handle_time(cx);
            debug_assert!(ended.is_none(), "a new session has tries left");
            // Its loss costs more than a second one, where nothing else is under way.
            if self.need.is_far() && self.sessions.len() == 0 {
                session.repeat_first_hello(cx);
            }
            session.on_parole = self.candidates.on_parole(owner);
            self.sessions.insert(session);
        }
    }

    /// Whether more sessions are wanted. Silent owners take no slot, but the number of sessions is limited all the
    /// same.
    pub(super) fn wants_sessions(&self, settings: &NodeSettings) -> bool {
        self.sessions.len() < Peers::max_sessions(settings) && !self.has_enough(settings)
    }

    /// The largest number of sessions that are open at a time.
    pub(super) fn max_sessions(settings: &NodeSettings) -> usize {
        usize::from(settings.download.owners) * SESSIONS_PER_SLOT
    }

    /// Whether only banned owners may have what is missing. Corruption on the path must not shut out the last owner.
    fn needs_banned(&self, pieces: Option<&Pieces>, now: Timestamp) -> bool {
        if !self.candidates.has_banned(now) {
            return false;
        }
        let useful = self.sessions.iter().filter(|session| session.is_useful());
        match pieces {
            Some(pieces) => pieces.lacks_owners(useful),
            None => useful.count() == 0,
        }
    }

    /// When the next owner may be tried, if more sessions are wanted.
    pub(super) fn dial_at(&self, pieces: Option<&Pieces>, cx: &Context<'_>) -> Timestamp {
        if !self.wants_sessions(cx.settings) {
            return Timestamp::NEVER;
        }
        let last_resort = self.needs_banned(pieces, cx.now);
        self.candidates.next_at(last_resort, &self.dial_limits(cx)).unwrap_or(Timestamp::NEVER)
    }

    /// Sends short datagrams to known, silent owners, when that is due, to learn whether the path carries these.
    pub(super) fn probe_silent_owners(&mut self, cx: &mut Context<'_>) {
        if cx.now < self.reachability.probe_at() {
            return;
        }
        let Some(nowhere) = self.short_path.poll(cx.now, cx.rng) else { return };
        let nothing = Request {
            first_request: 0,
            highest_sequence: 0,
            ping_echo: 0,
            segment_size: 1,
            ranges: List::default(),
        };
        for peer in self.candidates.peers().take(MAX_NAMED) {
            cx.send(peer, nowhere, &nothing);
        }
    }

    /// When short datagrams are sent to silent owners.
    pub(super) fn probe_at(&self) -> Timestamp {
        self.reachability.probe_at().max(self.short_path.next_at())
    }

    /// When a person is to be told which owners are silent, if that is not due yet.
    pub(super) fn report_silence_at(&self, now: Timestamp) -> Timestamp {
        let at = self.reachability.report_at();
        if now < at { at } else { Timestamp::NEVER }
    }

    /// Withdraws the requests for pieces for which `unwanted` holds, because they are here. Owners that have such
    /// requests in their queues drop them.
    pub(super) fn withdraw_requests(&mut self, unwanted: impl Fn(PieceIndex) -> bool, cx: &mut Context<'_>) {
        let mut requests = self.duplicates.take(&unwanted);
        requests.extend(self.sessions.withdraw(unwanted, cx));
        for (key, request) in requests {
            if let Some((peer, remote)) = self.sessions.on_withdrawn(key).and_then(Session::address) {
                cx.counters.cancelled += 1;
                let cancel = Control { operation: Operation::Cancel, retry_after_ms: 0, request };
                cx.send(peer, remote, &cancel);
            }
        }
    }

    /// Takes the slot from slow owners, if the sessions are `ranked`. Returns the sessions that are to end: slow ones,
    /// when no more sessions may be opened and other owners were not tried yet.
    pub(super) fn rotate(&mut self, ranked: bool, cx: &mut Context<'_>) -> Vec<SessionKey> {
        if ranked {
            self.rank_sessions(cx);
        }
        let some_are_slow = self.sessions.iter().any(|session| session.speed_trial.is_slow());
        if self.has_enough(cx.settings) {
            return Vec::new();
        }
        let untried = self.untried(cx);
        if untried == 0 {
            if some_are_slow && self.rotation.spend_quick_question() {
                self.need.ask_soon(cx.now);
            }
            return Vec::new();
        }
        if self.sessions.len() < Peers::max_sessions(cx.settings) {
            return Vec::new();
        }
        let spare = self.sessions.iter().filter(|session| session.is_spare());
        let spare = spare.map(|session| (session.rate(cx.now), session.key())).collect();
        sessions_to_end(spare, cx.settings.download.owners.into(), untried)
    }

    /// When the next session will have shown how fast it is.
    pub(super) fn rotates_at(&self, now: Timestamp) -> Timestamp {
        let shows = self.sessions.iter().filter_map(Session::conclusive_at).filter(|at| *at > now);
        shows.min().unwrap_or(Timestamp::NEVER)
    }

    fn rank_sessions(&mut self, cx: &mut Context<'_>) {
        let slowest = if cx.download_limit.rate().is_some() { 0 } else { MIN_RATE };
        let results: Vec<TrialResult> =
            self.sessions.all_in_turn().map(|session| session.conclude_trial(cx.now)).collect();
        let best = results.iter().map(|result| result.rate).max().unwrap_or_default();
        let best = self.rotation.update_best(best, cx.now);
        for result in results {
            let slow = is_slow(result, best, slowest);
            if slow != result.was_slow {
                self.sessions.set_slow(result.session, slow);
            }
        }
    }

    /// The reason why a download that no owner serves waits.
    pub(super) fn waiting(&self, now: Timestamp) -> Waiting {
        // Nothing has come from any owner for so long that a person should be told which owners are silent; the tracker
        // answers meanwhile.
        let is_cut_off = now >= self.reachability.report_at() && !self.need.is_unanswered(now);
        if !is_cut_off {
            return Waiting::Owners;
        }
        let short: Vec<SocketAddr> = self.short_path.answered(self.candidates.peers());
        if !short.is_empty() {
            let others = short.len().saturating_sub(MAX_NAMED);
            let peers = short.into_iter().take(MAX_NAMED).collect();
            return Waiting::ShortPath { peers, others };
        }
        let mut peers = self.candidates.peers();
        let named: Vec<SocketAddr> = peers.by_ref().take(MAX_NAMED).collect();
        Waiting::NoSignOfLife { peers: named, others: peers.count() }
    }
}

/// From how many owners a download fetches at the same time. A node that serves in turn fetches from more: it has no
/// place among anybody's best givers that more owners would cost it, and more owners make up for the slow among them.
/// (64 MiB from one node to 32 that serve in turn, over what is possible, means of eight worlds: 1.352 with 8 owners,
/// 1.334 with 9, 1.332 with 10. For what others give, with a quarter that never serves: 1.700, 1.763 and 1.788.)
fn wanted_owners(settings: &NodeSettings) -> u8 {
    match settings.upload.policy {
        UploadPolicy::TitForTat => settings.download.owners,
        UploadPolicy::Fair => settings.download.owners.saturating_add(settings.download.owners / 4),
    }
}
