//! The downloader's side of one path: what was asked of an owner and has not arrived, what is lost, how fast to ask.
//!
//! A flow knows no pieces: the ranges that it asks for are opaque to it, and lost ones are given back.
//!
//! ```text
//!   ask(range) ──▶ outstanding burst ──▶ every segment arrived            (a sample for rate control)
//!                        ├── three later segments arrived first ─▶ lost   (RFC 9002 §6.1.1's packet threshold)
//!                        └── nothing arrived for a timeout ─▶ all lost     (RFC 9002 §6.2, RFC 6298)
//! ```

mod outstanding;
mod rtt;

use std::collections::VecDeque;
use std::time::Duration;

use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, HOLD_UNIT_MICROS, Timestamp};

use crate::output::{Reason, Wait};
use crate::rate::{RateControl, Sample};
use outstanding::Outstanding;
use rtt::Rtt;

/// A segment is taken for lost when this many that were asked for later have arrived (RFC 9002 §6.1.1).
const REORDERING_THRESHOLD: u32 = 3;
/// Finished bursts are remembered for this many round trips, to tell late segments from strangers' ones.
const REMEMBERED_RTTS: u32 = 3;
/// And for this long at least: a path may become slower all at once.
const LEAST_REMEMBERED: Duration = Duration::from_secs(10);
/// No more finished bursts than this are remembered.
const REMEMBERED_BURSTS: usize = 4096;
/// How much may be asked for at once although the pacing would spread it: what a coarse timer needs.
const PACING_SLACK: Duration = Duration::from_millis(2);
/// The pacing never holds the next range up for longer.
const LONGEST_PACE: Duration = Duration::from_secs(1);
/// A burst lasts about this long at the path's rate (reference figures: 1.5 ms).
const BURST_TIME: Duration = Duration::from_micros(1500);
/// And it is at least this part of the window.
const WINDOW_PARTS: u64 = 32;
/// No more bursts than this are asked for at once: owners queue 64 (`network.requests_per_session`), and a REQUEST may
/// repeat one.
const MOST_BURSTS: u32 = 60;
/// A datagram that takes longer, the owner's queue apart, has lain in a stopped process, or a stranger says it again: how long
/// to wait for the next one does not follow from that.
const LONGEST_PATH: Duration = Duration::from_secs(3);
/// A timeout counts from the last arrival; it doubles at most this often.
const MAX_BACKOFF: u32 = 5;

/// What a CHUNK was to the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was asked for and had not arrived; `late`: it had been given up.
    Asked { late: bool },
    /// It had arrived before.
    Again,
    /// It was never asked for, or is not what was asked for.
    Stranger,
}

/// Sizes that do not change while a flow lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowSettings {
    /// Bytes of payload in each CHUNK.
    pub(crate) segment: u16,
    /// Bytes that may be outstanding before anything is known.
    pub(crate) first_window: u32,
    /// Bytes that may be outstanding however slow the path is.
    pub(crate) least_window: u32,
    /// Bytes that may ever be outstanding.
    pub(crate) most_outstanding: u32,
    /// Bytes that one burst may have.
    pub(crate) longest_burst: u32,
}

/// One path's outstanding bursts and their timing.
#[derive(Debug)]
pub(crate) struct Flow {
    settings: FlowSettings,
    bursts: VecDeque<Outstanding>,
    /// The request number of the next burst; that of `bursts[i]` is this minus their count plus `i`.
    next_request: u32,
    /// Every burst before this request is finished: they are kept for late segments only.
    first_unfinished: u32,
    /// Segments asked for so far: the order in which they should arrive.
    next_ordinal: u64,
    highest_arrived: u64,
    outstanding: u32,
    /// Bursts of which something is still expected.
    unfinished: u32,
    delivered: u64,
    delivered_at: Timestamp,
    /// The round ends when a burst arrives that was asked for when this much had been delivered.
    round_ends: u64,
    rtt: Rtt,
    rate: RateControl,
    threshold: u32,
    /// How long an overtaken segment may still come, once reordering was seen.
    patience: Duration,
    last_heard: Timestamp,
    backoff: u32,
    next_ask: Timestamp,
    limited: bool,
}

impl Flow {
    /// A flow over a path whose handshake took `rtt`. Its first request has the number `first_request`.
    pub(crate) fn new(
        settings: FlowSettings,
        first_request: u32,
        rtt: Option<Duration>,
        now: Timestamp,
    ) -> Flow {
        let least = settings.least_window.max(4 * u32::from(settings.segment));
        let mut rate =
            RateControl::new(settings.first_window, least, settings.most_outstanding.max(least), now);
        let mut estimator = Rtt::default();
        if let Some(rtt) = rtt {
            rate.on_rtt(rtt, now);
            estimator.observe(rtt, now);
        }
        Flow {
            settings,
            bursts: VecDeque::new(),
            next_request: first_request,
            first_unfinished: first_request,
            next_ordinal: 0,
            highest_arrived: 0,
            outstanding: 0,
            unfinished: 0,
            delivered: 0,
            delivered_at: now,
            round_ends: 0,
            rtt: estimator,
            rate,
            threshold: REORDERING_THRESHOLD,
            patience: Duration::ZERO,
            last_heard: now,
            backoff: 0,
            next_ask: now,
            limited: false,
        }
    }

    /// Bytes asked for that have neither arrived nor been given up.
    pub(crate) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Since when the oldest of what is outstanding has been waited for.
    pub(crate) fn waits_since(&self) -> Option<Timestamp> {
        let mut unfinished = self.bursts.range(self.unfinished_from()..);
        unfinished.find(|burst| !burst.is_finished()).map(Outstanding::asked_at)
    }

    /// Bytes of payload in each CHUNK.
    pub(crate) fn segment(&self) -> u16 {
        self.settings.segment
    }

    /// The smoothed round-trip time, owner's queue included.
    pub(crate) fn smoothed_rtt(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// The lowest round-trip time lately, owner's queue excluded.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.rate.min_rtt()
    }

    /// The path's rate as the model has it, in bytes a second; 0 before anything is known.
    pub(crate) fn rate(&self) -> u64 {
        self.rate.rate()
    }

    /// How long nothing may come before everything outstanding is taken for lost.
    pub(crate) fn timeout(&self) -> Duration {
        self.rtt.timeout(self.backoff)
    }

    /// The timeout as it is after an arrival: what the path takes, not how often it failed.
    pub(crate) fn unbacked_timeout(&self) -> Duration {
        self.rtt.timeout(0)
    }

    /// How long the next range may be, in bytes: 0 while the window is full. Whole segments, but for a piece's end.
    pub(crate) fn room(&self) -> u32 {
        let room = self.rate.window().saturating_sub(self.outstanding);
        let by_time = (u128::from(self.rate.rate()) * BURST_TIME.as_nanos() / 1_000_000_000) as u64;
        // Before the rate is known, or on a long path, the window in not too many parts.
        let burst = by_time.max(u64::from(self.rate.window()) / WINDOW_PARTS);
        let segment = u32::from(self.settings.segment);
        let burst =
            u32::try_from(burst).unwrap_or(u32::MAX).max(2 * segment).min(self.settings.longest_burst);
        // A burst that does not fit yet waits for room, so that a fast path is not asked in crumbs.
        let crumb = room < burst && self.outstanding > 0 && room < self.rate.window() / 4;
        if crumb || self.unfinished >= MOST_BURSTS { 0 } else { burst.min(room) }
    }

    /// When the pacing allows the next range: now or before, if it does.
    pub(crate) fn ready_at(&self) -> Timestamp {
        self.next_ask
    }

    /// There was room to ask, and nothing to ask for: rate samples are lower bounds until the window fills again.
    pub(crate) fn on_nothing_to_ask(&mut self) {
        self.limited = true;
    }

    /// `range` is asked for now; its request number.
    pub(crate) fn ask(&mut self, range: ByteRange, now: Timestamp) -> u32 {
        if self.outstanding == 0 {
            // Silence is counted from here, and an idle time is not a slow one.
            self.last_heard = now;
            self.delivered_at = now;
        }
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        let burst = Outstanding::new(range, self.settings.segment, self.next_ordinal, now)
            .delivered(self.delivered, self.delivered_at)
            .limited(self.limited);
        self.limited = false;
        self.next_ordinal += u64::from(burst.segments());
        self.outstanding += range.length();
        self.unfinished += 1;
        self.bursts.push_back(burst);
        self.pace(range.length(), now);
        request
    }

    /// The range of the latest request, while nothing of it has arrived: it is repeated in the next REQUEST, so that
    /// a lost REQUEST does not cost a round trip.
    pub(crate) fn repeatable(&self) -> Option<(u32, ByteRange)> {
        let last = self.bursts.back()?;
        last.is_untouched().then(|| (self.next_request.wrapping_sub(1), last.range()))
    }

    /// A CHUNK of this session arrived, with `length` bytes of payload.
    pub(crate) fn handle_chunk(&mut self, header: &ChunkHeader, length: usize, now: Timestamp) -> Arrival {
        let Some(index) = self.index_of(header.request) else {
            return Arrival::Stranger;
        };
        let Some(burst) = self.bursts.get_mut(index) else {
            return Arrival::Stranger;
        };
        let arrival = burst.handle_segment(header, length);
        let Arrival::Asked { late } = arrival else {
            return arrival;
        };
        if !late && burst.is_finished() {
            self.unfinished -= 1;
        }
        let (asked_at, ordinal) = (burst.asked_at(), burst.ordinal(header.index));
        self.last_heard = now;
        self.backoff = 0;
        self.delivered += length as u64;
        if late {
            // It was not lost: wait longer next time.
            self.threshold = (self.threshold * 2).min(64);
            self.patience = (self.patience * 2).max(self.rate.min_rtt().unwrap_or_default() / 4);
            let most = self.rtt.smoothed().unwrap_or_default();
            self.patience = self.patience.clamp(Duration::from_millis(1), most.max(Duration::from_millis(1)));
        } else {
            self.outstanding -= length as u32;
        }
        // Late ones too: each request has its own number, so it is clear which one is answered.
        if header.index == 0 {
            let hold = Duration::from_micros(u64::from(header.hold) * HOLD_UNIT_MICROS);
            let path = now.since(asked_at).saturating_sub(hold);
            // A longer hold than can be told may be any.
            let believed = if header.hold == u16::MAX { path } else { path.min(LONGEST_PATH) };
            self.rtt.observe(hold + believed, now);
            self.rate.on_rtt(path.max(Duration::from_micros(1)), now);
        }
        if ordinal > self.highest_arrived {
            self.highest_arrived = ordinal;
        }
        if !late {
            self.sample(index, now);
        }
        self.delivered_at = now;
        Arrival::Asked { late }
    }

    /// The owner will not answer `request`: its range, and how many bytes of it were still expected; `None` when none
    /// were.
    pub(crate) fn give_up(&mut self, request: u32) -> Option<(ByteRange, u32)> {
        let index = self.index_of(request)?;
        let burst = self.bursts.get_mut(index)?;
        let range = burst.range();
        let lost = burst.give_up_all();
        self.outstanding -= lost;
        self.unfinished -= u32::from(lost > 0);
        (lost > 0).then_some((range, lost))
    }

    /// Everything that is outstanding, which is no longer expected.
    pub(crate) fn give_up_everything(&mut self, lost: &mut Vec<ByteRange>) {
        let from = self.unfinished_from();
        for burst in self.bursts.range_mut(from..) {
            let bytes = burst.give_up(u64::MAX, lost);
            self.outstanding -= bytes;
            self.unfinished -= u32::from(bytes > 0);
        }
    }

    /// Finds what is lost by `now`, and appends it to `lost`. Whether the whole window timed out.
    pub(crate) fn detect_loss(&mut self, now: Timestamp, lost: &mut Vec<ByteRange>) -> bool {
        let due = self.patience;
        let before = self.highest_arrived.saturating_sub(u64::from(self.threshold) - 1);
        let from = self.skip_finished();
        for burst in self.bursts.range_mut(from..) {
            if burst.first_ordinal() >= before {
                break;
            }
            if burst.has_gap(before) && burst.overtaken(now, due) {
                let bytes = burst.give_up(before, lost);
                self.outstanding -= bytes;
                self.unfinished -= u32::from(bytes > 0 && burst.is_finished());
            }
        }
        let timed_out = self.outstanding > 0 && now >= self.timeout_at();
        if timed_out {
            self.give_up_everything(lost);
            self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
            self.rate.on_timeout();
        }
        self.forget(now);
        timed_out
    }

    /// When [`Flow::detect_loss`] should be called although nothing arrives.
    pub(crate) fn next_timer(&self) -> Wait {
        if self.outstanding == 0 {
            return Wait::IDLE;
        }
        let timeout = Wait { until: self.timeout_at(), reason: Reason::LossTimer };
        let before = self.highest_arrived.saturating_sub(u64::from(self.threshold) - 1);
        let overtaken = self
            .bursts
            .range(self.unfinished_from()..)
            .take_while(|burst| burst.first_ordinal() < before)
            .filter(|burst| burst.has_gap(before))
            .filter_map(Outstanding::overtaken_at)
            .min()
            .map(|since| Wait { until: since + self.patience, reason: Reason::LossTimer });
        overtaken.map_or(timeout, |wait| wait.earlier(timeout))
    }

    /// Where the bursts begin of which something may still be expected.
    fn unfinished_from(&self) -> usize {
        if self.first_unfinished == self.next_request {
            return self.bursts.len();
        }
        // Older than all that is remembered: from the start.
        self.index_of(self.first_unfinished).unwrap_or(0)
    }

    fn skip_finished(&mut self) -> usize {
        let mut index = self.unfinished_from();
        while self.bursts.get(index).is_some_and(Outstanding::is_finished) {
            index += 1;
        }
        self.first_unfinished = self.next_request.wrapping_sub((self.bursts.len() - index) as u32);
        index
    }

    fn timeout_at(&self) -> Timestamp {
        self.last_heard + self.timeout()
    }

    fn index_of(&self, request: u32) -> Option<usize> {
        let behind = self.next_request.wrapping_sub(request);
        self.bursts.len().checked_sub(usize::try_from(behind).ok()?).filter(|_| behind > 0)
    }

    /// A burst that is complete tells how fast the path delivered since it was asked for.
    fn sample(&mut self, index: usize, now: Timestamp) {
        let Some(burst) = self.bursts.get(index).filter(|burst| burst.is_complete()) else {
            return;
        };
        let delivered = self.delivered - burst.delivered_then();
        let elapsed = now.since(burst.delivered_then_at().min(burst.asked_at()));
        let round_ended = burst.delivered_then() >= self.round_ends;
        let limited = burst.is_limited();
        if round_ended {
            self.round_ends = self.delivered;
        }
        // Over less than the lowest round-trip time it is the burst's own clock that is measured, not the path's.
        let span = elapsed.max(self.rate.min_rtt().unwrap_or_default()).max(Duration::from_micros(1));
        let rate = (u128::from(delivered) * 1_000_000_000 / span.as_nanos()) as u64;
        self.rate.on_sample(Sample { rate, limited, round_ended }, self.outstanding, now);
    }

    fn pace(&mut self, bytes: u32, now: Timestamp) {
        let Some(rate) = self.rate.pacing() else {
            return;
        };
        let takes = Duration::from_nanos((u128::from(bytes) * 1_000_000_000 / u128::from(rate)) as u64);
        // A rate that is far too low is found out by asking, not by waiting.
        self.next_ask = (self.next_ask.max(now - PACING_SLACK) + takes).min(now + LONGEST_PACE);
    }

    /// Drops finished bursts from the front, once no late segment of theirs is to be expected.
    fn forget(&mut self, now: Timestamp) {
        let round_trips = self.rtt.smoothed().unwrap_or_default() * REMEMBERED_RTTS;
        let remembered = round_trips.max(LEAST_REMEMBERED);
        while let Some(first) = self.bursts.front() {
            let old = now.since(first.asked_at()) > remembered || self.bursts.len() > REMEMBERED_BURSTS;
            if !(first.is_complete() || first.is_finished() && old) {
                break;
            }
            self.bursts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
