//! The downloader's side of one path: what was asked of an owner and has not arrived, what is lost, and how fast to ask
//! for more.
//!
//! A flow knows no pieces: the ranges that it asks for are opaque to it, and it returns the lost ones.
//!
//! ```text
//!   ask(range) ──▶ outstanding burst ──▶ every segment arrived            (a sample for rate control)
//!                        ├── three later segments arrived first ─▶ lost   (RFC 9002 §6.1.1's packet threshold)
//!                        └── nothing arrived for a timeout ─▶ all lost     (RFC 9002 §6.2, RFC 6298)
//! ```
//!
//! `bursts` is the table of the bursts that were asked for, and `outstanding` one row of it. `loss` decides what is
//! lost, `timing` when an answer is due, `delivery_rate` how fast answers come, `bbr` how much may be outstanding, and
//! `pacer` when to ask for more. `burst_size`, `gso_probe` and `black_hole` find out what the path does to bursts and
//! to long datagrams. `mtud` holds what all sessions with one peer know of their path.

mod bbr;
mod black_hole;
mod burst_size;
mod bursts;
mod delivery_rate;
mod gso_probe;
mod loss;
pub(crate) mod mtud;
mod outstanding;
mod pacer;
mod packet_train;
mod rtt;
mod timing;

use std::time::Duration;

use messages::node_to_node::ByteRange;
use messages::{ChunkHeader, HOLD_UNIT_MICROS, PieceIndex, Timestamp};

use crate::output::{Reason, Wait};
pub(crate) use crate::transport::bbr::LONG_RTT;
use crate::transport::bbr::RateControl;
use black_hole::BlackHoleDetector;
use burst_size::BurstSize;
use bursts::Bursts;
use delivery_rate::DeliveryRateEstimator;
use gso_probe::GsoProbe;
use loss::LossDetection;
use outstanding::Outstanding;
use pacer::Pacer;
use packet_train::PacketTrain;
pub(crate) use packet_train::Train;
use timing::Timing;

/// How a flow judges a CHUNK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The segment was asked for and had not arrived. `late` tells whether it had been given up.
    Asked { late: bool },
    /// The segment had arrived before.
    Duplicate,
    /// The segment was never asked for, or differs from what was asked for.
    Unexpected,
}

/// The limits of what a flow may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowSettings {
    /// The number of payload bytes in each CHUNK.
    pub(crate) segment_size: u16,
    /// The number of bytes that may be outstanding before anything is known.
    pub(crate) initial_window: u32,
    /// The number of bytes that may be outstanding however slow the path is.
    pub(crate) min_window: u32,
    /// The largest number of bytes that may ever be outstanding.
    pub(crate) max_outstanding: u32,
    /// The largest number of bytes in one burst.
    pub(crate) max_burst: u32,
    /// The largest number of outstanding bursts.
    pub(crate) max_bursts: u32,
}

/// What the other flows of this node leave a flow, in bytes that may be outstanding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WindowShare {
    /// The largest window that flows over the same path leave, if there are any.
    pub(crate) max: Option<u32>,
    /// The window that flows have which meet the same bottleneck, if there are any. A flow may have that much, too, unless
    /// it is much slower than they are.
    pub(crate) fair: Option<u32>,
}

/// A flow: the outstanding bursts of one path and the parts that control them.
#[derive(Debug)]
pub(crate) struct Flow {
    settings: FlowSettings,
    bursts: Bursts,
    loss: LossDetection,
    timing: Timing,
    delivery: DeliveryRateEstimator,
    pacer: Pacer,
    packet_train: PacketTrain,
    black_hole: BlackHoleDetector,
    gso_probe: GsoProbe,
    burst_size: BurstSize,
    rate_control: RateControl,
    /// The request and the index of the segment that arrived last.
    last: (u32, u8),
}

impl Flow {
    /// A flow over a path whose handshake took `rtt`. Its first request has the number `first_request`.
    pub(crate) fn new(
        settings: FlowSettings,
        first_request: u32,
        rtt: Option<Duration>,
        now: Timestamp,
    ) -> Flow {
        let min = settings.min_window.max(4 * u32::from(settings.segment_size));
        let mut rate_control = RateControl::new(
            settings.initial_window,
            min,
            settings.max_outstanding.max(min),
            first_request,
            now,
        );
        let mut timing = Timing::new(now);
        if let Some(rtt) = rtt {
            rate_control.on_rtt(rtt, now);
            timing.on_answer(rtt, None, now);
        }
        Flow {
            settings,
            bursts: Bursts::new(first_request),
            loss: LossDetection::new(),
            timing,
            delivery: DeliveryRateEstimator::new(now),
            pacer: Pacer::new(now),
            packet_train: PacketTrain::new(now),
            black_hole: BlackHoleDetector::default(),
            gso_probe: GsoProbe::default(),
            burst_size: BurstSize::new(),
            rate_control,
            last: (first_request.wrapping_sub(1), u8::MAX),
        }
    }

    /// The number of bytes that were asked for and have neither arrived nor been given up.
    pub(crate) fn outstanding(&self) -> u32 {
        self.bursts.outstanding()
    }

    /// When the oldest outstanding burst was asked for.
    pub(crate) fn oldest_asked_at(&self) -> Option<Timestamp> {
        self.bursts.open().find(|burst| !burst.is_finished()).map(Outstanding::asked_at)
    }

    /// The number of payload bytes in each CHUNK.
    pub(crate) fn segment_size(&self) -> u16 {
        self.settings.segment_size
    }

    /// Has the flow ask for CHUNKs with `segment_size` bytes of payload, in bursts of up to `max_burst` bytes, from now
    /// on. Outstanding bursts keep their segment size.
    pub(crate) fn set_segment_size(&mut self, segment_size: u16, max_burst: u32) {
        (self.settings.segment_size, self.settings.max_burst) = (segment_size, max_burst);
    }

    /// Takes the time at which the last long segment was asked for, if none arrives any more (a black hole, RFC 8899
    /// §4.3). Each black hole is reported once.
    pub(crate) fn take_black_hole(&mut self) -> Option<Timestamp> {
        self.black_hole.take()
    }

    /// Whether the flow should ask for single segments, to find out whether they arrive where bursts do not.
    pub(crate) fn wants_singles(&self) -> bool {
        self.gso_probe.wants_singles()
    }

    /// Records that the owner sends the segments of a burst one by one from now on, so that it must be found out anew
    /// whether they arrive.
    pub(crate) fn on_no_gso(&mut self) {
        self.gso_probe = GsoProbe::default();
    }

    /// Whether bursts do not arrive whole and single segments do.
    pub(crate) fn breaks_bursts(&self) -> bool {
        self.gso_probe == GsoProbe::Broken
    }

    /// The smoothed round-trip time, which includes the owner's queue.
    pub(crate) fn smoothed_rtt(&self) -> Option<Duration> {
        self.timing.smoothed()
    }

    /// The lowest recent round-trip time, which excludes the owner's queue.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.rate_control.min_rtt()
    }

    /// The path's rate according to the model, in bytes a second; 0 before anything is known.
    pub(crate) fn rate(&self) -> u64 {
        self.rate_control.rate()
    }

    /// The timeout after an arrival. It follows from the path alone, not from earlier timeouts.
    pub(crate) fn unbacked_timeout(&self) -> Duration {
        self.timing.unbacked_timeout()
    }

    /// The longest next range, in bytes; 0 while the window is full. It consists of whole segments, except at the end
    /// of a piece.
    /// `share` is what the other flows of this node leave, once startup is over.
    pub(crate) fn window_available(&self, share: WindowShare) -> u32 {
        let window = match self.settled_window() {
            Some(window) => {
                let fair = share.fair.unwrap_or(0).min(self.rate_control.fair_window());
                window.max(fair).min(share.max.unwrap_or(u32::MAX))
            }
            None => self.rate_control.window(),
        };
        // However small the window is, one segment can be on its way while the next one is asked for.
        let window = window.max(2 * u32::from(self.settings.segment_size));
        let available = window.saturating_sub(self.outstanding());
        let burst = self.burst();
        // A burst that does not fit in the window yet waits, so that a fast path is not asked for tiny bursts.
        let is_too_little = available < burst && self.outstanding() > 0 && available < window / 4;
        if is_too_little || self.bursts.unfinished() >= self.settings.max_bursts {
            0
        } else {
            burst.min(available)
        }
    }

    /// The number of bytes that may be outstanding by the model of the path, once startup has found it.
    pub(crate) fn settled_window(&self) -> Option<u32> {
        self.rate_control.settled_window()
    }

    /// The length that one burst should have, in bytes.
    fn burst(&self) -> u32 {
        let segment = u32::from(self.settings.segment_size);
        self.pacer.burst(
            &self.rate_control,
            segment,
            self.burst_size.max_bytes(segment, self.settings.max_burst),
        )
    }

    /// When the pacing allows the next range; not after the present, if it is allowed now.
    pub(crate) fn ready_at(&self) -> Timestamp {
        self.pacer.next_at()
    }

    /// Records that there was nothing to ask for although the window allowed more. Rate samples are lower bounds until
    /// the window fills again.
    pub(crate) fn on_app_limited(&mut self) {
        self.delivery.on_app_limited(self.bursts.outstanding());
    }

    /// Asks for `range` now. Returns its request number.
    pub(crate) fn ask(&mut self, range: ByteRange, now: Timestamp) -> u32 {
        if self.outstanding() == 0 {
            self.timing.on_heard(now);
            self.delivery.on_idle_ends(now);
        }
        let burst = Outstanding::new(range, self.settings.segment_size, self.bursts.next_ordinal(), now);
        let send_state = self.delivery.send_state(self.rate_control.asking());
        let request = self.bursts.push(burst.with_send_state(send_state));
        self.pacer.on_asked(range.length(), &self.rate_control, now);
        request
    }

    /// Whether a REQUEST that no other follows is sent twice, because its loss would cost a round trip: where nothing is
    /// known of a long path yet, and where the path is lossy.
    pub(crate) fn sends_last_request_twice(&self) -> bool {
        let is_new = self.rate() == 0 && self.min_rtt().is_some_and(|rtt| rtt >= LONG_RTT);
        is_new || self.rate_control.is_lossy()
    }

    /// Whether the path loses so much at any rate that it pays to ask twice where a loss would cost a round trip.
    pub(crate) fn is_lossy(&self) -> bool {
        self.rate_control.is_lossy()
    }

    /// The segment that arrives next if the owner answers in the order of the requests and nothing is lost.
    pub(crate) fn expected_next(&self) -> Option<ByteRange> {
        let (request, index) = self.last;
        let in_burst = self.bursts.get(request).and_then(|burst| burst.expected(index.checked_add(1)?));
        in_burst.or_else(|| self.bursts.get(request.wrapping_add(1))?.expected(0))
    }

    /// The latest request and its range, while nothing of it has arrived. The range is repeated in the next REQUEST, so
    /// that a lost REQUEST does not cost a round trip.
    pub(crate) fn repeatable(&self) -> Option<(u32, ByteRange)> {
        let (request, last) = self.bursts.last()?;
        // All segments of one REQUEST have the same size.
        let repeats = last.is_untouched() && last.segment_size() == self.settings.segment_size;
        repeats.then(|| (request, last.range()))
    }

    /// Handles the header of a CHUNK that has arrived with `length` bytes of payload.
    pub(crate) fn handle_chunk(&mut self, header: &ChunkHeader, length: usize, now: Timestamp) -> Arrival {
        let Some(burst) = self.bursts.get_mut(header.request) else {
            return Arrival::Unexpected;
        };
        let arrival = burst.handle_segment(header, length);
        let Arrival::Asked { late } = arrival else {
            return arrival;
        };
        self.last = (header.request, header.index);
        let bytes = length as u32;
        let (asked_at, ordinal, finished) =
            (burst.asked_at(), burst.ordinal(header.index), burst.is_finished());
        let asking = burst.send_state.asking;
        if late {
            self.gso_probe.on_late();
        } else if finished {
            self.gso_probe.on_finished(burst, now);
        }
        self.timing.on_arrived(now);
        if let Some(rate) = self.packet_train.on_arrived(header.request, header.index, bytes, now) {
            self.rate_control.on_packet_train(rate);
        }
        // Late segments count, too: each request has its own number, so it is clear which one is answered.
        if header.index == 0 {
            let hold = Duration::from_micros(u64::from(header.hold) * HOLD_UNIT_MICROS);
            let path = now.since(asked_at).saturating_sub(hold);
            // The highest hold that the header can express may stand for any longer one.
            let known_hold = (header.hold < u16::MAX).then_some(hold);
            self.timing.on_answer(if known_hold.is_some() { path } else { path + hold }, known_hold, now);
            self.rate_control.on_rtt(path.max(Duration::from_micros(1)), now);
        }
        let min_rtt = self.rate_control.min_rtt().unwrap_or_default();
        // A late segment shows no rate, because it is not known when it was sent.
        let shows_rate = !late && burst.shows_rate(header.index);
        let sample = self.delivery.on_arrived(bytes, burst, shows_rate, min_rtt, now);
        if late {
            self.loss.on_late(min_rtt, self.timing.smoothed().unwrap_or_default(), now);
            self.rate_control.on_late(bytes, asking);
        } else {
            self.bursts.on_arrived(bytes, finished);
        }
        self.loss.on_arrived(ordinal);
        self.black_hole.on_arrived(ordinal, length);
        self.rate_control.on_delivered(bytes, self.bursts.outstanding(), asking);
        if let Some(sample) = sample {
            self.rate_control.on_sample(sample, self.bursts.outstanding(), now);
        }
        Arrival::Asked { late }
    }

    /// Gives up `request`, which the owner has refused. Returns its range and how many bytes of it were still expected,
    /// or `None` if none were.
    pub(crate) fn give_up(&mut self, request: u32) -> Option<(ByteRange, u32)> {
        self.rate_control.on_refused();
        self.bursts.give_up(request)
    }

    /// Gives up `request` when the refusal says nothing about the path, because the owner serves others.
    pub(crate) fn take_back(&mut self, request: u32) -> Option<(ByteRange, u32)> {
        let taken = self.bursts.give_up(request);
        // Bytes that were not sent do not show how fast the path is.
        self.delivery.on_app_limited(self.bursts.outstanding());
        taken
    }

    /// Withdraws the requests for pieces for which `unwanted` holds. Returns the requests that the owner need not
    /// answer, and how many bytes of them were outstanding.
    pub(crate) fn withdraw(&mut self, unwanted: impl Fn(PieceIndex) -> bool) -> (Vec<u32>, u32) {
        let withdrawn = self.bursts.withdraw(|range| unwanted(range.piece()));
        if withdrawn.1 > 0 {
            // Bytes that were not sent do not show how fast the path is.
            self.delivery.on_app_limited(self.bursts.outstanding());
        }
        withdrawn
    }

    /// The requests that the owner has not answered in full, and their ranges.
    pub(crate) fn expected(&self) -> impl Iterator<Item = (u32, ByteRange)> {
        self.bursts.expected()
    }

    /// Gives up everything that is outstanding, and appends it to `lost`.
    pub(crate) fn give_up_everything(&mut self, lost: &mut Vec<ByteRange>) {
        self.bursts.give_up_everything(lost, |_, _| {});
    }

    /// Finds the ranges that are lost by `now`, and appends them to `lost`. Returns whether the whole window timed out.
    pub(crate) fn detect_loss(&mut self, now: Timestamp, lost: &mut Vec<ByteRange>) -> bool {
        let (known, segment) = (lost.len(), u32::from(self.settings.segment_size));
        let (black_hole, gso_probe) = (&mut self.black_hole, &mut self.gso_probe);
        let rate_control = &mut self.rate_control;
        let losses = self.loss.detect(&mut self.bursts, now, lost, |burst, bytes| {
            black_hole.on_overtaken(burst, bytes);
            rate_control.on_overtaken(bytes, burst.send_state.asking);
            if bytes > 0 && burst.is_finished() {
                gso_probe.on_finished(burst, now);
            }
        });
        if lost.len() > known {
            lost[known..].iter().for_each(|range| self.rate_control.on_lost(range.length()));
            if self.rate_control.is_settled() {
                self.burst_size.on_lost(losses, self.burst(), segment, now);
            }
        }
        self.burst_size.grow(segment, self.settings.max_burst, now);
        let timed_out = self.outstanding() > 0 && now >= self.timeout_at();
        if timed_out {
            let (gso_probe, rate_control) = (&mut self.gso_probe, &mut self.rate_control);
            self.bursts.give_up_everything(lost, |burst, bytes| {
                rate_control.on_timed_out(bytes, burst.send_state.asking);
                gso_probe.on_finished(burst, now);
            });
            self.timing.on_timeout();
            if let Some((_, last)) = self.bursts.last() {
                self.black_hole.on_timeout(last.segment_size(), last.asked_at());
            }
            self.rate_control.on_timeout();
        }
        self.bursts.forget(self.timing.smoothed().unwrap_or_default(), now);
        timed_out
    }

    fn timeout_at(&self) -> Timestamp {
        self.timing.timeout_at(self.oldest_asked_at().unwrap_or(Timestamp::ZERO))
    }

    /// When [`Flow::detect_loss`] should be called even if nothing arrives before.
    pub(crate) fn next_timer(&self) -> Wait {
        if self.outstanding() == 0 {
            return Wait::IDLE;
        }
        let until = self.timeout_at().min(self.loss.next_at(&self.bursts).unwrap_or(Timestamp::NEVER));
        Wait { until, reason: Reason::LossTimer }
    }
}

#[cfg(test)]
mod tests;
