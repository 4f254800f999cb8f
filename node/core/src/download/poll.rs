//! What a download does in its turn: what has happened to which session, which timers are due, and when the next turn
//! is.

use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use messages::node_to_tracker::Query;

use super::lifecycle::{Progression, Stage};
use super::progress::Arrived;
use super::session::Session;
use super::sessions::Answering;
use super::{Download, Identified, endgame, head_start};
use crate::context::Context;
use crate::disk::DiskRequest;
use crate::event::{Event, Failure, SessionEnd};
use crate::ids::SessionKey;
use crate::output::{Reason, Wait};

/// A download that no owner serves keeps the buffers of its begun pieces for this long, when another download wants
/// them.
const KEEPS_BUFFERS: Duration = Duration::from_secs(5);

impl Download {
    /// Whether the download has something to do now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.is_marked() || self.wait().until <= now
    }

    /// When the download has something to do even if nothing happens before.
    pub(crate) fn wait(&self) -> Wait {
        self.peers.sessions.ready().wait()
    }

    /// Whether something has happened since the last turn.
    fn is_marked(&self) -> bool {
        self.is_changed() || self.peers.sessions.ready().is_marked()
    }

    /// Whether something has changed that concerns all sessions.
    fn is_changed(&self) -> bool {
        self.lifecycle.is_changed() || self.disk_space.is_changed()
    }

    /// Whether the download as a whole, with all its sessions, is due.
    fn is_whole_due(&self, now: Timestamp) -> bool {
        self.is_changed() || self.peers.sessions.ready().is_whole_due(now)
    }

    /// The question that is to be asked of the tracker now, if there is one. It counts as asked.
    pub(crate) fn poll_need(&mut self, now: Timestamp, settings: &NodeSettings) -> Option<Query> {
        let may_ask = self.is_whole_due(now) && self.lifecycle.wants_owners();
        if !may_ask || !self.peers.poll_need(now, settings) {
            return None;
        }
        Some(self.content().map_or_else(|| self.order.query(), Query::Content))
    }

    /// Does everything that is due by `cx.now`. Returns when the next turn is.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Wait {
        let whole = self.is_whole_due(cx.now);
        if whole {
            self.update_progress(cx.now);
            self.fail_when_timed_out(cx);
            if self.is_over() {
                return Wait::IDLE;
            }
            self.retry_full_disk(cx);
        }
        self.lifecycle.forget_changes();
        self.disk_space.forget_changes();
        let due = self.peers.sessions.take_ready(whole, cx.now);
        self.poll_sessions(&due, cx);
        if whole {
            self.yield_buffers(cx);
            self.rotate(cx);
            self.open_sessions(cx);
            self.request_outboard(cx);
            if self.lifecycle.wants_owners() {
                self.peers.probe_silent_owners(cx);
            }
        }
        self.assign(&due, whole, cx);
        if whole {
            self.relieve_slowest(cx);
        }
        self.scheduler.run(&due, whole, &mut self.peers.sessions, &mut self.lifecycle, cx);
        if whole {
            self.report_waiting(cx);
            self.account_when_due(cx);
            let next = self.next_timer(cx);
            self.peers.sessions.plan(next);
        }
        // What has changed during this turn is looked at in another turn at once.
        let again = Wait { until: cx.now, reason: Reason::MoreToSend };
        if self.is_marked() { again } else { self.wait() }
    }

    /// Gives the `due` sessions their turns, and ends those that are over.
    fn poll_sessions(&mut self, due: &[SessionKey], cx: &mut Context<'_>) {
        for &key in due {
            if let Some(why) = self.poll_session(key, cx) {
                self.end_session(key, why, cx);
            }
        }
    }

    /// Gives one session its turn. Returns the reason, if the session is over.
    fn poll_session(&mut self, key: SessionKey, cx: &mut Context<'_>) -> Option<SessionEnd> {
        // The session may have ended in the turn of another one.
        let session = self.peers.sessions.get(key)?;
        if self.peers.is_passed_over(key, cx) {
            return Some(SessionEnd::NoAnswer);
        }
        if session.is_unchoked() {
            self.peers.unchoked_at = cx.now;
        }
        let pieces = self.lifecycle.pieces();
        if pieces.is_some_and(|pieces| session.is_unused(cx) && !pieces.lacks_what_it_has(session)) {
            // The owner has nothing to give, as far as is known. A new HELLO finds out which pieces it has by now, or
            // had all along.
            return Some(SessionEnd::Forgotten);
        }
        let turn = match self.peers.poll_session(key, pieces.is_some(), cx) {
            Ok(turn) => turn,
            Err(why) => return Some(why),
        };
        let bytes: u32 = turn.lost.iter().map(|range| range.length()).sum();
        cx.counters.lost_bytes += u64::from(bytes);
        self.accounting.lost_bytes += u64::from(bytes);
        cx.download_limit.refund(bytes);
        // Segments that later ones overtook are asked of the same owner again; after silence any owner may be asked.
        let by = (turn.answering == Answering::InTime).then_some(key);
        turn.lost.into_iter().for_each(|range| self.ask_again(range, key, by));
        if matches!(turn.answering, Answering::Snubbed | Answering::TurnedSuspect) {
            self.release(key);
            self.recount();
        }
        let sends_no_outboard = match turn.answering {
            Answering::Snubbed => true,
            Answering::TimedOut | Answering::TurnedSuspect => self
                .lifecycle
                .sources()
                .is_some_and(|sources| sources.keeps_waiting(key, &self.peers.sessions)),
            Answering::InTime => false,
        };
        if sends_no_outboard {
            self.drop_outboard_source(key, cx);
        }
        None
    }

    /// Ends sessions with slow owners in favour of owners that were not tried yet.
    fn rotate(&mut self, cx: &mut Context<'_>) {
        let ranked = match self.lifecycle.stage() {
            // While the disk holds all sessions up, no owner can show how fast it is.
            Some(Stage::Fetching(pieces)) if pieces.is_starved() => return,
            Some(Stage::Fetching(_)) => true,
            Some(Stage::FetchingOutboard(_) | Stage::CheckingOutboard { .. }) => false,
            Some(Stage::Opening { .. } | Stage::Finishing(_)) | None => return,
        };
        for key in self.peers.rotate(ranked, cx) {
            self.end_session(key, SessionEnd::Slow, cx);
        }
    }

    fn open_sessions(&mut self, cx: &mut Context<'_>) {
        if let Some(content) = self.content().filter(|_| self.lifecycle.wants_owners()) {
            self.peers.open_sessions(self.order.download, content, self.lifecycle.pieces(), cx);
        }
    }

    /// Asks further owners for the outboard when an owner is late, and drops that owner where many are asked.
    fn request_outboard(&mut self, cx: &mut Context<'_>) {
        let Some(sources) = self.lifecycle.sources_mut() else { return };
        for key in sources.mark_late(&mut self.peers, cx.now) {
            self.give_up_requests(key, cx);
            self.drop_outboard_source(key, cx);
        }
        let known = self.lifecycle.identified().expect("an outboard is fetched of a known content").length;
        let Some(sources) = self.lifecycle.sources_mut() else { return };
        sources.choose(known, &mut self.peers.sessions, cx);
        if sources.has_late() && cx.buffers.are_wanted() {
            // The outboard of another owner is worth more.
            self.drop_head_start(cx);
        }
        self.prepare_head_start(cx);
    }

    /// Finds out whether a piece may be fetched with the outboard, if that would be of use.
    fn prepare_head_start(&mut self, cx: &mut Context<'_>) {
        let Some(&Identified { content, length, .. }) = self.lifecycle.identified() else { return };
        let Some(sources) = self.lifecycle.sources() else { return };
        let could = |session: &Session| head_start::is_worth_it(session, length);
        let is_of_use =
            self.peers.sessions.iter().any(|one| sources.has_outboard_of(one.key()) && could(one));
        let (keeps_content, target) = (self.keeps_content(), self.target());
        let head_start =
            self.lifecycle.head_start_mut().filter(|head_start| is_of_use && head_start.is_unused());
        let Some(head_start) = head_start else { return };
        head_start.look();
        if keeps_content {
            let download = self.order.download;
            cx.out.disk.push(DiskRequest::LookAtTarget { download, target, content });
        } else {
            head_start.on_target_seen(true);
        }
    }

    /// Gives stretches to the sessions that have nothing to ask for.
    fn assign(&mut self, due: &[SessionKey], whole: bool, cx: &mut Context<'_>) {
        let sessions = self.peers.sessions.all();
        let Some(pieces) = self.lifecycle.pieces_mut() else { return };
        let idle = |session: &Session| pieces.gives_stretches() && pieces.is_idle(session);
        let someone_is_idle = || due.iter().filter_map(|key| sessions.get(key)).any(idle);
        if !whole && !pieces.is_stale() && !someone_is_idle() {
            return;
        }
        for stretch in pieces.assign(sessions, cx.now) {
            let session = stretch.holder.and_then(|key| sessions.get(&key));
            let session = session.expect("stretches are given to the sessions that were handed over");
            let (download, owner, peer) = (self.order.download, session.owner(), session.peer());
            cx.out.events.push(Event::StretchAssigned { download, owner, peer, pieces: stretch.pieces });
        }
    }

    /// Asks an idle owner for what the slowest owner keeps the download waiting for, when no piece is left to begin and
    /// the idle owner needs at most half the time. Bytes that come from both are taken once.
    fn relieve_slowest(&mut self, cx: &mut Context<'_>) {
        let relief =
            self.lifecycle.pieces().and_then(|pieces| endgame::relief(pieces, &self.peers.sessions, cx.now));
        let Some(endgame::Relief { slow, taker }) = relief else { return };
        let session = self.peers.sessions.get(slow).expect("relief is looked for among the open sessions");
        self.peers.duplicates.remember(session);
        let kept = self.peers.sessions.give_up_requests(slow);
        cx.download_limit.refund(kept.iter().map(|range| range.length()).sum());
        kept.into_iter().for_each(|range| self.ask_again(range, slow, Some(taker)));
        self.release(slow);
    }

    /// When the download as a whole has something to do, and why.
    fn next_timer(&self, cx: &Context<'_>) -> Wait {
        let (now, peers, lifecycle) = (cx.now, &self.peers, &self.lifecycle);
        let never_unless = |wanted: bool, at: Timestamp| if wanted { at } else { Timestamp::NEVER };
        let wants_owners = lifecycle.wants_owners();
        let pieces = lifecycle.pieces();
        let yields = cx.buffers.are_wanted()
            && pieces.is_some_and(|pieces| pieces.has_begun())
            && !peers.sessions.iter().any(Session::is_unchoked);
        let timeout = self.timeout(now).map_or(Timestamp::NEVER, |(until, _)| until);
        let outboard_late_at = lifecycle.sources().map_or(Timestamp::NEVER, |sources| sources.late_at(now));
        let relief_at =
            pieces.map_or(Timestamp::NEVER, |pieces| endgame::relief_at(pieces, &peers.sessions, now));
        let timers = [
            (never_unless(wants_owners, peers.need_at(cx.settings)), Reason::NeedRetry),
            (timeout, Reason::Timeout),
            (self.disk_space.retry_at(), Reason::DiskRetry),
            (outboard_late_at, Reason::Snub),
            (relief_at, Reason::Reassignment),
            (never_unless(pieces.is_some(), peers.rotates_at(now)), Reason::Reassignment),
            (self.accounting.waits.report_at(), Reason::WaitReport),
            (never_unless(wants_owners, peers.report_silence_at(now)), Reason::WaitReport),
            (never_unless(wants_owners, peers.probe_at()), Reason::WaitReport),
            (never_unless(yields, peers.unchoked_at + KEEPS_BUFFERS), Reason::BufferRelease),
            (never_unless(wants_owners, peers.dial_at(pieces, cx)), Reason::HelloRetry),
        ];
        let waits = timers.into_iter().map(|(until, reason)| Wait { until, reason });
        waits.reduce(Wait::earlier).unwrap_or(Wait::IDLE)
    }

    fn update_progress(&mut self, now: Timestamp) {
        let arrived = match self.lifecycle.stage() {
            Some(Stage::FetchingOutboard(sources)) => Arrived { file: 0, outboard: sources.arrived() },
            Some(Stage::Fetching(pieces)) => {
                Arrived { file: pieces.verified() + pieces.unstored(), outboard: 0 }
            }
            _ => return,
        };
        self.progress.update(arrived, now);
    }

    /// Ends the download if what it waits for has not come in time. The failure decides the exit code.
    fn fail_when_timed_out(&mut self, cx: &mut Context<'_>) {
        if let Some((until, why)) = self.timeout(cx.now)
            && cx.now >= until
        {
            self.fail(why, cx);
        }
    }

    /// Until when the download waits for what it needs now, and the failure with which it ends then.
    fn timeout(&self, now: Timestamp) -> Option<(Timestamp, Failure)> {
        let timeouts = &self.order.request.timeouts;
        if let Some((since, why)) = self.disk_space.failure() {
            return timeouts.disk_full.map(|time| (since + time, why));
        }
        match self.lifecycle.state() {
            Progression::Locating { answer_counts_at: None } => {
                timeouts.tracker.map(|time| (self.order.began + time, Failure::TrackerUnreachable))
            }
            Progression::Locating { answer_counts_at: Some(since) } => {
                timeouts.nobody_shares.map(|time| (*since + time, Failure::NotFound))
            }
            // The disk always answers, even if late; nothing is gained by giving up before.
            Progression::Known { stage: Stage::Opening { .. } | Stage::Finishing(_), .. } => None,
            Progression::Known { .. } => {
                let silent = now.since(self.progress.at());
                let has_owner = self.peers.reachability.has_answered();
                let why = if has_owner { Failure::Stalled { silent } } else { Failure::NoOwner };
                timeouts.no_progress.map(|time| (self.progress.at() + time, why))
            }
            Progression::Over { .. } => None,
        }
    }

    /// Gives the buffers of begun pieces to other downloads, when no owner has served this one for a time.
    fn yield_buffers(&mut self, cx: &mut Context<'_>) {
        if self.peers.sessions.iter().any(Session::is_unchoked) {
            self.peers.unchoked_at = cx.now;
        }
        if let Some(pieces) = self.lifecycle.pieces_mut()
            && cx.buffers.are_wanted()
            && cx.now >= self.peers.unchoked_at + KEEPS_BUFFERS
        {
            pieces.put_back_begun().into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
        }
    }
}
