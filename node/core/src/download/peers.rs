//! Who could serve a download and who does: the owners that are known, the sessions with some of them, and when the
//! tracker is asked for others.

use std::net::SocketAddr;

use config::NodeSettings;
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

/// A download has this many sessions, silent and slow ones included, for each slot that it has for owners.
const SESSIONS_PER_SLOT: usize = 4;

/// No more owners than this are named when nothing comes from any, or are asked in few bytes.
pub(super) const MAX_NAMED: usize = 3;

/// The owners of one content, as one download sees them.
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
    /// Nobody is known yet.
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

    /// The tracker has answered NEED.
    pub(super) fn on_tracker_answer(&mut self) {
        self.sessions.mark_all();
        self.need.on_answer();
    }

    /// The tracker has named `owners`. The sessions with owners that do not answer where they were, and are elsewhere
    /// now.
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

    /// The node at `peer` fetches the same.
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

    /// The node at `peer` knows no session `remote`. Whether that answers what was asked in few bytes.
    pub(super) fn on_short_answer(&mut self, peer: SocketAddr, remote: Conversation) -> bool {
        let is_asked = self.candidates.peers().any(|asked| asked == peer);
        let is_answer = is_asked && self.short_path.on_gone(peer, remote);
        if is_answer {
            self.sessions.mark_all();
        }
        is_answer
    }

    /// The owner, which was suspect, has sent something.
    pub(super) fn on_gives_again(&mut self, owner: NodeId) {
        self.sessions.mark_all();
        self.candidates.note_gives_nothing(owner, false);
    }

    /// `session` ended by itself, or for a fault: others are wanted instead.
    pub(super) fn on_lost(&mut self, session: &Session, why: SessionEnd, now: Timestamp) {
        self.candidates.on_ended(session.owner(), why, now);
        self.need.ask_soon(now);
    }

    /// The turn of the session `key`. The reason, when it is over.
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

    /// Whether as many owners as are wanted serve it, or will soon have answered. Those that serve others for now
    /// count half: there may be slots elsewhere, and they come back. Those that are just greeted count a quarter,
    /// where many were greeted in vain.
    pub(super) fn has_enough(&self, settings: &NodeSettings) -> bool {
        let in_haste = self.rotation.needs_haste(settings.download.owners);
        let useful = self.sessions.iter().filter(|session| session.holds_slot());
        let quarters = useful.map(|session| match session {
            greeted if greeted.is_handshaking() && in_haste => 1,
            choked if choked.is_choked() => 2,
            _ => 4,
        });
        quarters.sum::<usize>() >= 4 * usize::from(settings.download.owners)
    }

    /// Whether the tracker is to be asked for owners now; if so, it counts as asked.
    pub(super) fn poll_need(&mut self, now: Timestamp, settings: &NodeSettings) -> bool {
        let nobody = self.candidates.is_empty();
        !self.has_enough(settings) && self.need.poll(now, &settings.download.need_again, nobody)
    }

    /// When the tracker is to be asked.
    pub(super) fn need_at(&self, settings: &NodeSettings) -> Timestamp {
        if self.has_enough(settings) { Timestamp::NEVER } else { self.need.next_at() }
    }

    /// Who is not to be tried now.
    pub(super) fn dial_limits(&self, cx: &Context<'_>) -> DialLimits {
        let wanted = cx.settings.download.owners.into();
        let mut limits = DialLimits::new(cx.node, self.candidates.failed(), wanted);
        self.sessions
            .iter()
            .for_each(|session| limits.add(session.owner(), session.peer(), session.is_handshaking()));
        limits
    }

    /// How many owners may be tried, and were not for a long time.
    pub(super) fn untried(&self, cx: &Context<'_>) -> usize {
        self.candidates.untried(cx.now, &self.dial_limits(cx))
    }

    /// Whether the owner of `key` has not answered its first HELLO in time, like many before it, and there are others
    /// that were not greeted yet.
    pub(super) fn is_passed_over(&self, key: SessionKey, cx: &Context<'_>) -> bool {
        self.rotation.needs_haste(cx.settings.download.owners)
            && self.sessions.get(key).is_some_and(|session| session.is_unanswered(cx.now))
            && self.untried(cx) > 0
    }

    /// Tries owners of `content` while fewer sessions than are wanted are useful; as a last resort, when nobody else
    /// has what is missing of `pieces`, banned ones too.
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
            // The first HELLO goes at once.
            let ended: Option<SessionEnd> = session.handle_time(cx);
            debug_assert!(ended.is_none(), "a new session has tries left");
            session.on_parole = self.candidates.on_parole(owner);
            self.sessions.insert(session);
        }
    }

    /// Whether there are slots for owners: silent ones take none, but there are not endlessly many.
    pub(super) fn wants_sessions(&self, settings: &NodeSettings) -> bool {
        self.sessions.len() < Peers::max_sessions(settings) && !self.has_enough(settings)
    }

    /// No more sessions are open at a time.
    pub(super) fn max_sessions(settings: &NodeSettings) -> usize {
        usize::from(settings.download.owners) * SESSIONS_PER_SLOT
    }

    /// Whether only owners that are banned may have what is missing: corruption on the path must not stop the last one.
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

    /// When an owner may be tried, if any is wanted.
    pub(super) fn dial_at(&self, pieces: Option<&Pieces>, cx: &Context<'_>) -> Timestamp {
        if !self.wants_sessions(cx.settings) {
            return Timestamp::NEVER;
        }
        let last_resort = self.needs_banned(pieces, cx.now);
        self.candidates.next_at(last_resort, &self.dial_limits(cx)).unwrap_or(Timestamp::NEVER)
    }

    /// Owners that are known and silent are asked in few bytes, when that is due.
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

    /// When silent owners are asked in few bytes.
    pub(super) fn probe_at(&self) -> Timestamp {
        self.reachability.probe_at().max(self.short_path.next_at())
    }

    /// When a person should know where nothing comes from, if that is not due yet.
    pub(super) fn report_silence_at(&self, now: Timestamp) -> Timestamp {
        let at = self.reachability.report_at();
        if now < at { at } else { Timestamp::NEVER }
    }

    /// The requests for pieces that are `unwanted`, which are here, are withdrawn: owners that have them in line drop
    /// them.
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

    /// An owner that gives too little loses its slot, where sessions are `ranked`; and its session where there may be
    /// no more of them and others were not tried yet. The sessions that are to end.
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

    /// When a session will have shown how fast it is.
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

    /// Why a download waits that no owner serves.
    pub(super) fn waiting(&self, now: Timestamp) -> Waiting {
        // Nothing has come from any owner for so long that a person should know from where, while the tracker answers.
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
