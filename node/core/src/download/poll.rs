//! What a download does when it is its turn: what has happened to whom, which timers are due, and when to come again.

use std::time::Duration;

use messages::node_to_node::Request;
use messages::{List, Timestamp};

use super::disk_full::DiskFull;
use super::pieces::Pieces;
use super::session::Session;
use super::{Describing, Download, OWNERS_NAMED, Phase, Progress};
use crate::context::Context;
use crate::event::{Event, Failure, SessionEnd};
use crate::ids::SessionKey;
use crate::output::{Reason, Wait};

/// A reason to wait is told when it has lasted this long: what passes in between is nobody's concern.
const TELL_AFTER: Duration = Duration::from_millis(500);
/// A download without owners keeps the buffers of what it has begun for this long, when another wants them.
const KEEPS_BUFFERS: Duration = Duration::from_secs(5);

impl Download {
    /// Whether anything is to be done now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.ready_set.is_marked() || self.ready_set.wait().until <= now
    }

    /// When there is something to do although nothing happens.
    pub(crate) fn wait(&self) -> Wait {
        self.ready_set.wait()
    }

    /// Everything that is due by `cx.now`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Wait {
        let whole = self.ready_set.is_whole_due(cx.now);
        if whole {
            self.update_progress(cx.now);
            self.give_up_when_timed_out(cx);
            if self.is_over() {
                return Wait::IDLE;
            }
            self.retry_full_disk(cx);
        }
        let drawn = self.ready_set.take(cx.now);
        let due = if whole { self.sessions.keys().copied().collect() } else { drawn };
        self.poll_sessions(&due, cx);
        if whole {
            self.yield_buffers(cx);
            self.rotate(cx);
            self.open_sessions(cx);
            self.request_manifest(cx);
            self.probe_silent_owners(cx);
        }
        self.assign(&due, whole, cx);
        if whole {
            self.relieve_slowest(cx);
        }
        self.ask(&due, whole, cx);
        if whole {
            self.report_waiting(cx);
            self.account_when_due(cx);
            self.ready_set.plan(self.next_timer(cx));
        }
        // What was found out on the way is looked at at once.
        let again = Wait { until: cx.now, reason: Reason::MoreToSend };
        if self.ready_set.is_marked() { again } else { self.ready_set.wait() }
    }

    /// Timers of the sessions, what their flows have lost, and who has fallen silent.
    fn poll_sessions(&mut self, due: &[SessionKey], cx: &mut Context<'_>) {
        let mut lost = Vec::new();
        for &key in due {
            if self.is_passed_over(key, cx) {
                self.end_session(key, SessionEnd::NoAnswer, cx);
                continue;
            }
            let Some(session) = self.sessions.get_mut(&key) else {
                continue;
            };
            if session.is_unchoked() {
                self.willing_at = cx.now;
            }
            let useless = |fetch: &Pieces| session.is_unused(cx) && !fetch.lacks_what_it_has(session);
            if matches!(&self.phase, Phase::Fetching(fetch) if useless(fetch)) {
                // It has nothing to give, as far as is known: what it has by now, or had all along, a new HELLO tells.
                self.end_session(key, SessionEnd::Forgotten, cx);
                continue;
            }
            let standing = (session.holds_slot(), session.is_unchoked());
            if let Some(why) = session.handle_time(cx) {
                self.end_session(key, why, cx);
                continue;
            }
            if standing != (session.holds_slot(), session.is_unchoked()) {
                // Others may be wanted instead of it, or it instead of others.
                self.ready_set.mark_all();
            }
            if session.turn_unproductive(cx.now) {
                self.need.ask_soon(cx.now);
                self.ready_set.mark_all();
            }
            let snubbed = session.snub_if_silent(cx);
            if snubbed {
                self.remember_duplicates(key);
                self.need.ask_soon(cx.now);
            }
            let Some(session) = self.sessions.get_mut(&key) else {
                continue;
            };
            let timed_out = match session.flow_mut() {
                Some(flow) if snubbed => {
                    flow.give_up_everything(&mut lost);
                    true
                }
                Some(flow) => flow.detect_loss(cx.now, &mut lost),
                None => false,
            };
            session.poll_path(cx);
            let doubted = timed_out && matches!(self.phase, Phase::Fetching(_)) && session.on_timeout();
            let owner = session.owner();
            let bytes: u32 = lost.iter().map(|range| range.length()).sum();
            cx.counters.lost_bytes += u64::from(bytes);
            self.accounting.lost_bytes += u64::from(bytes);
            cx.download_limit.refund(bytes);
            // What later segments overtook is asked of the same owner; after silence anybody may.
            let by = (!timed_out).then_some(key);
            if timed_out {
                self.ready_set.mark_all();
            }
            lost.drain(..).for_each(|range| self.ask_again(range, key, by));
            if snubbed || doubted {
                self.candidates.note_gives_nothing(owner, true);
                self.release(key);
                self.recount();
            }
            if snubbed || (timed_out && self.has_sent_no_manifest(key)) {
                self.drop_manifest_source(key, cx);
            }
        }
    }

    /// Gives stretches to sessions that have nothing to ask for.
    fn assign(&mut self, due: &[SessionKey], whole: bool, cx: &mut Context<'_>) {
        let Phase::Fetching(fetch) = &mut self.phase else {
            return;
        };
        let idle = |session: &Session| fetch.gives_stretches() && fetch.is_idle(session);
        let someone_is_idle = || due.iter().filter_map(|key| self.sessions.get(key)).any(idle);
        if !whole && !fetch.availability.is_stale() && !someone_is_idle() {
            return;
        }
        for stretch in fetch.assign(&self.sessions, cx.now) {
            let Some(session) = stretch.holder.and_then(|key| self.sessions.get(&key)) else {
                continue;
            };
            let (download, owner, peer) = (self.id, session.owner(), session.peer());
            cx.out.events.push(Event::StretchAssigned { download, owner, peer, pieces: stretch.pieces });
        }
    }

    /// When the download as a whole has something to do.
    fn next_timer(&self, cx: &Context<'_>) -> Wait {
        let asks = self.wants_owners() && !self.has_enough_owners(cx.settings);
        let need = if asks { self.need.next_at() } else { Timestamp::NEVER };
        let wait = Wait { until: need, reason: Reason::NeedRetry };
        let timeout = self.timeout(cx.now).map_or(Timestamp::NEVER, |(until, _)| until);
        let wait = wait.earlier(Wait { until: timeout, reason: Reason::Timeout });
        let room = self.disk_full.as_ref().map_or(Timestamp::NEVER, DiskFull::again_at);
        let wait = wait.earlier(Wait { until: room, reason: Reason::DiskRetry });
        let late = self.manifest_late_at(cx.now).unwrap_or(Timestamp::NEVER);
        let wait = wait.earlier(Wait { until: late, reason: Reason::Snub });
        let wait = wait.earlier(Wait { until: self.end_game_at(cx.now), reason: Reason::Reassignment });
        let wait = wait.earlier(Wait { until: self.rotates_at(cx.now), reason: Reason::Reassignment });
        let (why, since) = self.accounting.waits.now();
        let unreported = !self.reported.as_ref().is_some_and(|told| why.is_still(told));
        let tell = if unreported { since + TELL_AFTER } else { Timestamp::NEVER };
        let wait = wait.earlier(Wait { until: tell, reason: Reason::WaitReport });
        let silence = if cx.now < self.reachability.report_at() && self.wants_owners() {
            self.reachability.report_at()
        } else {
            Timestamp::NEVER
        };
        let wait = wait.earlier(Wait { until: silence, reason: Reason::WaitReport });
        let looks = if self.wants_owners() { self.reachability.probe_at() } else { Timestamp::NEVER };
        let looks = looks.max(self.short_path.next_at());
        let wait = wait.earlier(Wait { until: looks, reason: Reason::WaitReport });
        let yields = matches!(&self.phase, Phase::Fetching(fetch) if fetch.has_begun())
            && cx.buffers.are_wanted()
            && !self.sessions.values().any(Session::is_unchoked);
        let yields = if yields { self.willing_at + KEEPS_BUFFERS } else { Timestamp::NEVER };
        let wait = wait.earlier(Wait { until: yields, reason: Reason::BufferRelease });
        if !self.wants_owners() || !self.wants_sessions(cx) {
            return wait;
        }
        let last_resort = self.needs_the_banned(cx.now);
        let rested = self.candidates.next_at(last_resort, &self.dial_limits(cx)).unwrap_or(Timestamp::NEVER);
        wait.earlier(Wait { until: rested, reason: Reason::HelloRetry })
    }

    /// Owners that are known and silent are asked in few bytes.
    fn probe_silent_owners(&mut self, cx: &mut Context<'_>) {
        if cx.now < self.reachability.probe_at() || !self.wants_owners() {
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
        for peer in self.candidates.peers().take(OWNERS_NAMED).collect::<Vec<_>>() {
            cx.send(peer, nowhere, &nothing);
        }
    }

    fn update_progress(&mut self, now: Timestamp) {
        let progress = match &self.phase {
            Phase::Describing(Describing::From(sources)) => Progress { file: 0, manifest: sources.arrived() },
            Phase::Fetching(fetch) => Progress { file: fetch.verified() + fetch.unstored(), manifest: 0 },
            _ => return,
        };
        if progress > self.progress {
            self.progress = progress;
            self.progress_at = now;
        }
    }

    /// A person's patience ends: with whom it ends tells the exit code.
    fn give_up_when_timed_out(&mut self, cx: &mut Context<'_>) {
        if let Some((until, why)) = self.timeout(cx.now)
            && cx.now >= until
        {
            self.fail(why, cx);
        }
    }

    fn timeout(&self, now: Timestamp) -> Option<(Timestamp, Failure)> {
        let timeouts = &self.order.timeouts;
        if let Some(full) = &self.disk_full {
            return full.timeout(timeouts.disk_full);
        }
        match &self.phase {
            Phase::Locating => match self.located_at {
                None => timeouts.tracker.map(|time| (self.began + time, Failure::TrackerUnreachable)),
                Some(since) => timeouts.nobody_shares.map(|time| (since + time, Failure::NotFound)),
            },
            Phase::Describing(_) | Phase::Fetching(_) => {
                let silent = now.since(self.progress_at);
                let why = if self.answered { Failure::Stalled { silent } } else { Failure::NoOwner };
                timeouts.no_progress.map(|time| (self.progress_at + time, why))
            }
            // The disk answers, late or not; nothing is gained by giving up before.
            Phase::Opening(_) | Phase::Finishing(_) | Phase::Over => None,
        }
    }

    /// While no owner serves this download, others may use its buffers.
    fn yield_buffers(&mut self, cx: &mut Context<'_>) {
        if self.sessions.values().any(Session::is_unchoked) {
            self.willing_at = cx.now;
        }
        if let Phase::Fetching(fetch) = &mut self.phase
            && cx.buffers.are_wanted()
            && cx.now >= self.willing_at + KEEPS_BUFFERS
        {
            fetch.put_back_begun().into_iter().for_each(|buffer| cx.buffers.give_back(buffer, cx.out));
        }
    }

    fn report_waiting(&mut self, cx: &mut Context<'_>) {
        let limited = cx.download_limit.rate().is_some() && cx.download_limit.poll_ready(cx.now) > cx.now;
        let why = self.waiting(limited, cx.now);
        self.accounting.waits.turn_to(why.clone(), cx.now);
        let since = self.accounting.waits.now().1;
        let is_told = self.reported.as_ref().is_some_and(|told| why.is_still(told));
        if !is_told && cx.now >= since + TELL_AFTER {
            self.reported = Some(why.clone());
            cx.out.events.push(Event::DownloadWaits { download: self.id, why });
        }
    }
}
