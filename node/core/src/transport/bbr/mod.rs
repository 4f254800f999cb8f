//! How fast one path may be used, by a model of its bottleneck that knows bytes and instants only.
//!
//! The control follows BBR (Cardwell and others, "BBR: Congestion-Based Congestion Control", 2016; draft-ietf-ccwg-bbr
//! for the states, the bound `inflight_hi` and the names). The window is a multiple of the bandwidth-delay product: the
//! highest recent delivery rate times the lowest recent round-trip time. Loss alone does not slow a flow down: long and
//! lossy paths lose without being full. Loss while a queue stands does, and so does loss that comes when the flow asks
//! for more. Such a loss shows how much the path holds, and the flow asks for less than that afterwards.
//!
//! ```text
//!   Startup ──(no faster, or congested)──▶ Drain ──(drained)──▶ ProbeBw: Cruise ──▶ Up ──▶ Down ──▶ Cruise
//!                                            │                     │  ▲
//!                                            │ the lowest round-trip time is 10 s old
//!                                            │                     ▼  │
//!                                            ╰──────────────────▶ ProbeRtt
//! ```
//!
//! `path_model` holds what is known of the path, `round` what the last round trip showed, `loss_baseline` what the path
//! loses at any rate, `loss_floor` what it loses even while less is asked for, and `bounds` how much may be outstanding
//! because of losses. `startup`, `probe_bw` and `probe_rtt` are the states. This file moves from state to state and
//! derives the window and the pace.

mod bounds;
mod gain;
mod loss_baseline;
mod loss_floor;
mod path_model;
mod probe_bw;
mod probe_rtt;
mod round;
mod startup;

use std::time::Duration;

use messages::Timestamp;

use crate::transport::Train;
use bounds::CongestionBounds;
use gain::Gain;
use loss_baseline::LossBaseline;
pub(crate) use loss_floor::Asking;
use loss_floor::LossFloor;
use path_model::{HOST_DELAY, PathModel};
use probe_bw::{Observation, ProbeBw, ProbeBwMove, ProbeSchedule};
use probe_rtt::ProbeRtt;
use round::{CongestionSignal, Load, Round};
pub(crate) use startup::LONG_RTT;
use startup::Startup;

/// The ratio of the window to the bandwidth-delay product (draft: BBR.cwnd_gain). It covers arrivals that come in
/// lumps, losses that are not known yet, and the doubling in startup.
const CWND_GAIN: Gain = Gain(200);
/// The pace in Drain, which empties within one round trip the queue that startup built (1/2.77).
const DRAIN_PACING_GAIN: Gain = Gain(36);
/// Over a shorter round trip than this there is no pace, and arrivals are the clock. A timer of a millisecond is too
/// coarse for such a pace, and the pace would follow the rate of the hosts' own threads, which stop and go. (veth of
/// MTU 1500 without offloads, beside bare UDP: 0.54 of its rate paced, 0.57 not; medians of five.)
const MIN_PACED_RTT: Duration = Duration::from_millis(2);

/// A flow asks for as much as other flows of this node do, beyond its own window, if that arrives within this time at its
/// own rate. So an owner that is slower than others is not asked for much more than it gives.
const MAX_FAIR_DELAY: Duration = Duration::from_millis(10);

/// A flow is worn down when its rate is this many times lower than its path's has been. When it loses half of what it asks
/// for, each round trip asks for less than the one before, unless the loss is made up for.
const WORN_DOWN: u64 = 4;

/// The state of the control, with what only that state knows. The moves are drawn at the head of this file.
#[derive(Debug)]
enum BbrState {
    /// The window doubles every round trip.
    Startup(Startup),
    /// The flow empties the queue that startup built.
    Drain,
    /// The flow follows the path's rate and probes for more.
    ProbeBw(ProbeBw),
    /// The flow asks for little, to measure the path without its queue.
    ProbeRtt(ProbeRtt),
}

/// What one arrived burst shows of its path (draft-cheng-iccrg-delivery-rate-estimation).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateSample {
    /// The rate in bytes a second from when the burst was asked for until now.
    pub(crate) rate: u64,
    /// Whether there was less to ask for than the window allowed, so that the rate is only a lower bound.
    pub(crate) is_app_limited: bool,
    /// Whether the burst was asked for after the burst that ended the last round had arrived.
    pub(crate) ends_round: bool,
}

/// The numbers of bytes that may be outstanding, whatever the model shows.
#[derive(Clone, Copy, Debug)]
struct WindowLimits {
    /// The window before anything is known.
    initial: u32,
    /// The window however slow the path is.
    min: u32,
    /// The largest window.
    max: u32,
}

/// The rate control of one path.
#[derive(Debug)]
pub(crate) struct RateControl {
    state: BbrState,
    path: PathModel,
    /// The number of round trips so far (draft: BBR.round_count).
    round_count: u64,
    round: Round,
    loss_baseline: LossBaseline,
    loss_floor: LossFloor,
    /// What the last round showed.
    signal: CongestionSignal,
    bounds: CongestionBounds,
    probes: ProbeSchedule,
    limits: WindowLimits,
    /// Whether nothing has arrived since a timeout, so that only `limits.min` may be outstanding.
    is_collapsed: bool,
}

impl RateControl {
    /// The control of a path of which nothing is known: `initial` bytes may be outstanding at once, never more than
    /// `max`, and never fewer than `min`. `seed` keeps it out of step with others that begin at the same time.
    pub(crate) fn new(initial: u32, min: u32, max: u32, seed: u32, now: Timestamp) -> RateControl {
        RateControl {
            state: BbrState::Startup(Startup::default()),
            path: PathModel::new(now),
            round_count: 0,
            round: Round::default(),
            loss_baseline: LossBaseline::default(),
            loss_floor: LossFloor::default(),
            signal: CongestionSignal::Clear,
            bounds: CongestionBounds::default(),
            probes: ProbeSchedule::new(seed),
            limits: WindowLimits { initial: initial.clamp(min, max), min, max },
            is_collapsed: false,
        }
    }

    /// Records a round-trip time, without the time for which the owner held the request.
    pub(crate) fn on_rtt(&mut self, rtt: Duration, now: Timestamp) {
        self.path.on_rtt(rtt, now);
        self.round.on_rtt(rtt);
        match &mut self.state {
            BbrState::Startup(startup) => startup.on_rtt(rtt, self.path.min_rtt().unwrap_or(rtt)),
            BbrState::ProbeRtt(probe) => probe.on_rtt(rtt),
            BbrState::Drain | BbrState::ProbeBw(_) => {}
        }
    }

    /// Records how fast the segments of one burst come.
    pub(crate) fn on_packet_train(&mut self, train: Train) {
        if let BbrState::Startup(startup) = &mut self.state {
            startup.on_packet_train(train);
        }
    }

    /// Whether the path loses so much at any rate that it pays to ask twice where a loss would cost a round trip.
    pub(crate) fn is_lossy(&self) -> bool {
        self.loss_floor.asked_for(1000) > 1000
    }

    /// How much is asked for now, beside what the path delivers.
    pub(crate) fn asking(&self) -> Asking {
        match self.state {
            BbrState::Drain | BbrState::ProbeRtt(_) | BbrState::ProbeBw(ProbeBw::Down { .. }) => Asking::Less,
            BbrState::ProbeBw(ProbeBw::Cruise { .. }) if self.is_worn_down() => Asking::NextToNothing,
            BbrState::Startup(_) | BbrState::ProbeBw(_) => Asking::Enough,
        }
    }

    /// Whether next to nothing is asked for, compared with what the path has carried and with what any path carries.
    fn is_worn_down(&self) -> bool {
        self.window() < self.limits.initial / 2 && self.path.rate() < self.path.best_rate() / WORN_DOWN
    }

    /// Records that `bytes` have arrived. `outstanding` bytes are still on their way. `asking` tells how much was asked for
    /// when these were.
    pub(crate) fn on_delivered(&mut self, bytes: u32, outstanding: u32, asking: Asking) {
        self.loss_floor.on_delivered(bytes.into(), asking);
        self.is_collapsed = false;
        self.round.on_delivered(bytes.into(), outstanding.saturating_add(bytes));
    }

    /// Records that `bytes` were given up because later ones arrived.
    pub(crate) fn on_lost(&mut self, bytes: u32) {
        self.round.on_lost(bytes.into());
    }

    /// Records that `bytes` of one burst, asked for as `asking` tells, were given up because later ones arrived.
    pub(crate) fn on_overtaken(&mut self, bytes: u32, asking: Asking) {
        self.loss_floor.on_lost(bytes.into(), asking);
    }

    /// Records that `bytes` of one burst, asked for as `asking` tells, were given up because nothing came.
    pub(crate) fn on_timed_out(&mut self, bytes: u32, asking: Asking) {
        if asking == Asking::NextToNothing {
            // Too few segments come behind those that are lost.
            self.loss_floor.on_lost(bytes.into(), asking);
        }
    }

    /// Records that `bytes` that were given up have arrived. `asking` is as above.
    pub(crate) fn on_late(&mut self, bytes: u32, asking: Asking) {
        self.loss_floor.on_late(bytes.into(), asking);
        self.round.on_late(bytes.into());
    }

    /// Records the `sample` of a burst that has arrived. `outstanding` bytes are still on their way.
    pub(crate) fn on_sample(&mut self, sample: RateSample, outstanding: u32, now: Timestamp) {
        if !sample.is_app_limited || sample.rate > self.path.rate() {
            self.path.on_rate(sample.rate, self.round_count);
        }
        if let BbrState::Startup(startup) = &mut self.state {
            startup.on_sample(self.path.min_rtt().unwrap_or_default(), now);
        }
        let signal = if sample.ends_round {
            self.end_round(sample.is_app_limited, now)
        } else {
            CongestionSignal::Clear
        };
        self.advance(signal, sample, outstanding.into(), now);
        let may_probe_rtt = matches!(self.state, BbrState::Drain | BbrState::ProbeBw(_));
        if may_probe_rtt && self.path.is_min_rtt_stale(now) {
            self.renew_min_rtt(now);
        }
    }

    /// Records that nothing came for a whole timeout.
    pub(crate) fn on_timeout(&mut self) {
        self.is_collapsed = true;
        self.round = Round::default();
    }

    /// Records that the owner has refused a request, so that asking for more gives no more.
    pub(crate) fn on_refused(&mut self) {
        if matches!(self.state, BbrState::Startup(_)) {
            self.state = BbrState::Drain;
        }
    }

    /// The number of bytes that may be outstanding.
    pub(crate) fn window(&self) -> u32 {
        if self.is_collapsed {
            return self.limits.min;
        }
        let bdp = self.bdp();
        let modelled = match &self.state {
            _ if self.path.min_rtt().is_none() => 0,
            BbrState::ProbeRtt(_) => probe_rtt::CWND_GAIN.of(bdp),
            BbrState::Startup(startup) => startup.cwnd_gain().of(bdp),
            BbrState::Drain | BbrState::ProbeBw(_) => CWND_GAIN.of(bdp),
        };
        let (bounded, floor) = match &self.state {
            BbrState::Startup(startup) => (modelled, self.first_window(startup)),
            BbrState::ProbeBw(ProbeBw::Up { .. }) => {
                (self.bounds.limit_probe(modelled, bdp), self.limits.min)
            }
            _ => (self.bounds.limit(modelled, bdp), self.limits.min),
        };
        u32::try_from(bounded).unwrap_or(u32::MAX).clamp(floor.min(self.limits.max), self.limits.max)
    }

    /// The number of bytes that may be outstanding, unless nothing is known of the path or it is being found out.
    pub(crate) fn settled_window(&self) -> Option<u32> {
        matches!(self.state, BbrState::ProbeBw(_)).then(|| self.window())
    }

    /// The largest window that the flow may have because other flows of this node have such windows, in bytes.
    pub(crate) fn fair_window(&self) -> u32 {
        let most = u128::from(self.path.rate()) * MAX_FAIR_DELAY.as_nanos() / 1_000_000_000;
        match self.bounds.inflight_hi() {
            None if !self.is_collapsed => u32::try_from(most).unwrap_or(u32::MAX).min(self.limits.max),
            _ => 0,
        }
    }

    /// The rate, in bytes a second, at which to ask. `None` means as fast as the window allows.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        let rate = self.asking_rate();
        let shortest = if rate == 0 { LONG_RTT } else { MIN_PACED_RTT };
        if self.path.min_rtt().is_none_or(|rtt| rtt < shortest) {
            return None;
        }
        let pace = match &self.state {
            BbrState::Startup(startup) => {
                let min_rtt = self.path.min_rtt().unwrap_or_default();
                startup.pacing_rate(rate, self.initial_rate(startup), min_rtt)
            }
            BbrState::Drain => DRAIN_PACING_GAIN.of(self.path.rate()),
            BbrState::ProbeBw(ProbeBw::Up { .. }) => {
                let bdp = self.bdp();
                return Some(probe_bw::up_pacing_rate(rate, bdp, self.limits.initial));
            }
            BbrState::ProbeBw(ProbeBw::Down { .. }) => probe_bw::DOWN_PACING_GAIN.of(self.path.rate()),
            BbrState::ProbeBw(ProbeBw::Cruise { .. }) | BbrState::ProbeRtt(_) => rate,
        };
        Some(pace.max(1))
    }

    /// The rate, in bytes a second, at which to ask so that the path is full: what arrives, and what is lost on the way
    /// at any rate. A queue, or a bound that loss has shown, tells that the path is full as it is.
    fn asking_rate(&self) -> u64 {
        let delivered = self.path.rate();
        match (self.signal, self.bounds.inflight_hi()) {
            (CongestionSignal::Clear, None) => self.loss_floor.asked_for(delivered),
            _ => delivered,
        }
    }

    /// The bytes that are on their way, lost ones included, while the path is full and has no queue.
    fn bdp(&self) -> u64 {
        self.path.bdp(self.asking_rate())
    }

    /// The rate, in bytes a second, of one first window in each round trip.
    fn initial_rate(&self, startup: &Startup) -> u64 {
        let rtt = self.path.min_rtt().unwrap_or_default().max(HOST_DELAY);
        (u128::from(self.first_window(startup)) * 1_000_000_000 / rtt.as_nanos()) as u64
    }

    /// The number of bytes that may be outstanding before anything is measured over a whole round trip.
    fn first_window(&self, startup: &Startup) -> u32 {
        startup.first_window(self.limits.initial, self.path.min_rtt().unwrap_or_default())
    }

    /// The highest recent delivery rate, in bytes a second; 0 before the first.
    pub(crate) fn rate(&self) -> u64 {
        self.path.rate()
    }

    /// The lowest recent round-trip time.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.path.min_rtt()
    }

    /// Whether the path has been measured and is used at its rate, so that segments at the ends of bursts are lost
    /// because of the bursts' length.
    pub(crate) fn is_settled(&self) -> bool {
        let cruises = matches!(self.state, BbrState::ProbeBw(ProbeBw::Cruise { .. }));
        cruises && !self.probes.shows_in(self.round_count)
    }

    /// Ends a round trip. Returns what it shows.
    fn end_round(&mut self, is_app_limited: bool, now: Timestamp) -> CongestionSignal {
        let round = std::mem::take(&mut self.round);
        self.round_count += 1;
        let load = match self.state {
            BbrState::Startup(_) => Load::Unknown,
            _ if self.probes.shows_in(self.round_count) => Load::Probing,
            _ => Load::Steady,
        };
        self.path.on_round(round.min_rtt(), now);
        let min_rtt = self.path.min_rtt().unwrap_or_default();
        let mut signal = round.signal(&self.loss_baseline, min_rtt, load);
        if load == Load::Steady {
            self.loss_baseline.on_steady_round(round.loss_permille());
        }
        if signal == CongestionSignal::Congested && self.bounds.is_cut_pending(self.round_count) {
            // These bytes were lost before the last cut could help.
            signal = CongestionSignal::Queued;
        }
        if signal == CongestionSignal::Clear && load != Load::Probing {
            self.loss_baseline.on_clear_round(round.lost(), round.sent());
        }
        self.signal = signal;
        self.loss_floor.on_round(signal == CongestionSignal::Clear);
        match &mut self.state {
            BbrState::Startup(startup) => {
                if !is_app_limited && startup.on_round(signal, self.path.rate()) {
                    self.state = BbrState::Drain;
                }
            }
            state => {
                let is_probing_up = matches!(state, BbrState::ProbeBw(ProbeBw::Up { .. }));
                self.bounds.on_round(&round, signal, is_probing_up, self.bdp(), self.round_count);
            }
        }
        signal
    }

    /// Moves from state to state after a sample.
    fn advance(&mut self, signal: CongestionSignal, sample: RateSample, outstanding: u64, now: Timestamp) {
        let bdp = self.bdp();
        let target = bdp.max(self.limits.min.into());
        match &self.state {
            BbrState::Startup(_) => {}
            BbrState::Drain => {
                if outstanding <= target {
                    self.probes.note_rate(self.path.rate());
                    self.cruise(now);
                }
            }
            BbrState::ProbeBw(phase) => {
                let is_harmful = signal.is_harmful();
                let seen = Observation {
                    round: self.round_count,
                    is_harmful,
                    found_more: !is_harmful && self.probes.found_more(self.path.rate()),
                    is_app_limited: sample.is_app_limited,
                    is_drained: outstanding <= target,
                    is_filled: outstanding > target + probe_bw::extra(bdp, self.limits.initial),
                    now,
                };
                match phase.next(&seen) {
                    ProbeBwMove::Stay => {}
                    ProbeBwMove::Up => {
                        self.state = BbrState::ProbeBw(self.probes.up(self.path.rate(), self.round_count));
                    }
                    ProbeBwMove::Down => self.state = BbrState::ProbeBw(self.probes.down(self.round_count)),
                    ProbeBwMove::Cruise => self.cruise(now),
                }
            }
            BbrState::ProbeRtt(probe) => {
                if let Some(lowest) = probe.result(now) {
                    self.path.set_min_rtt(lowest, now);
                    self.cruise(now);
                }
            }
        }
    }

    fn cruise(&mut self, now: Timestamp) {
        let is_bounded = self.bounds.inflight_hi().is_some();
        self.state = BbrState::ProbeBw(self.probes.cruise(is_bounded, self.round_count, now));
    }

    /// Renews the lowest round-trip time, which is old: from this round, or by ProbeRtt.
    fn renew_min_rtt(&mut self, now: Timestamp) {
        let min_rtt = self.path.min_rtt().unwrap_or_default();
        if min_rtt < probe_rtt::MIN_PROBED_RTT {
            self.path.set_min_rtt(self.round.min_rtt().unwrap_or(min_rtt), now);
        } else {
            self.probes.forget_shown();
            self.state = BbrState::ProbeRtt(ProbeRtt::new(min_rtt, now));
        }
    }
}

#[cfg(test)]
mod tests;
