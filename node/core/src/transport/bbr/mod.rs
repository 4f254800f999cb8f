//! How fast one path may be used: a model of its bottleneck, in bytes and instants only.
//!
//! After BBR (Cardwell and others, "BBR: Congestion-Based Congestion Control", 2016; draft-ietf-ccwg-bbr for the states and the
//! ceiling): the window is a multiple of (highest delivery rate seen lately) × (lowest round-trip time seen lately).
//! Loss alone does not slow a flow down: long and lossy paths lose without being full. Loss while a queue stands does, and so
//! does loss that comes with asking for more: it shows how much the path holds, and less than that is asked for then.
//!
//! `path` is what is known of the path, `round` what the last round trip said, and this file what follows from it.

mod gain;
mod path_model;
mod round;

use std::time::Duration;

use messages::{CHUNK_HEADER, Timestamp};

use crate::transport::mtud::BASE;
use gain::Gain;
use path_model::Path;
use round::{Asks, Round, Verdict};

/// Startup: paced so that the window can double every round trip (4 ln 2, as the draft has it).
const STARTUP_PACE: Gain = Gain(277);
/// For so many round trips the pace is not below one first window a round trip (the draft: the pace does not fall in startup; here only
/// for so long, since an owner may be far slower than its path).
const FIRST_ROUNDS: u32 = 3;
/// Window over the bandwidth-delay product: room for arrivals that come in lumps, for what is lost and not known to be yet, and in
/// startup for the doubling.
const WINDOW: Gain = Gain(200);
/// A queue is in sight from this on, or from an eighth of the round trip.
const MIN_QUEUE: Duration = Duration::from_millis(2);
/// While more is looked for, and while what that put in the queue is given back.
const UP: Gain = Gain(125);
const DOWN: Gain = Gain(75);
/// Lets go of what startup put in the queue in one round trip (1/2.77).
const DRAIN: Gain = Gain(36);
/// More was found when the rate is so much higher than when it was looked for: then it is looked for again at once, and a link that has
/// become faster is filled in a few round trips.
const FOUND: Gain = Gain(110);
/// Rounds at the path's rate between two looks for more: with one up and one or two down, a cycle of eight (BBR), randomised by
/// two, so that several flows do not look in step.
const CRUISE_ROUNDS: u64 = 5;
/// On a near path that is no time at all: there it lasts so long.
const MIN_CRUISE: Duration = Duration::from_millis(5);
/// And where loss has shown how much the path holds, others are likely there, or the queue is short: looked less often
/// (draft-ietf-ccwg-bbr §5.3.3.6: 2 to 3 s; the flows of a swarm come and go within that: 0.4 s made files of 64 MiB 5 % sooner there, and took 3 %
/// of a link from a CUBIC flow).
const BOUNDED_CRUISE: Duration = Duration::from_millis(400);
/// Startup ends after this many rounds in which the rate grew by less than a quarter,
const FULL_ROUNDS: u8 = 3;
/// or that many, when a queue stands.
const FULL_QUEUED_ROUNDS: u8 = 1;
const GROWTH: Gain = Gain(125);
/// What was asked for shows for so many rounds more.
const SHOWS_AFTER: u64 = 2;
/// What loss shows to be too much is cut to this (β of the reference figures: 0.3),
const CUT: Gain = Gain(70);
/// which shows after one round trip,
const MENDING_ROUNDS: u64 = 3;
/// and so much of the ceiling is left to others (draft-ietf-ccwg-bbr: 0.15).
const HEADROOM: Gain = Gain(85);
/// What is asked for comes in whole segments, none of which is shorter than this.
const MIN_SEGMENT: u64 = BASE as u64 - CHUNK_HEADER as u64;
/// The ceiling is raised by this each round that fills it without harm.
const RAISE: Gain = Gain(125);
/// How long, and with what part of the product outstanding, the round-trip time is measured anew (reference figures).
const PROBE_RTT: Duration = Duration::from_millis(200);
const PROBE_RTT_WINDOW: Gain = Gain(50);
/// A shorter round trip is the hosts' time more than the path's: what it was lately will do.
const WORTH_A_PROBE: Duration = Duration::from_millis(2);
/// What stands in a host's own queues is not the path's: the window covers this much time above the round trip.
const HOST_DELAY: Duration = Duration::from_micros(500);

/// Over a shorter round trip arrivals are the clock, and not the pace: a timer of a millisecond is too coarse for it, and the rate that it
/// would follow is that of the hosts' own threads, which stop and go (veth of MTU 1500 without offloads, beside bare UDP: 0.54 of it paced,
/// 0.57 not; medians of five).
const CLOCKED_BY_ARRIVALS: Duration = Duration::from_millis(2);

/// The state of the model.
///
/// ```text
///   Startup ──(no faster, or congested)──▶ Drain ──▶ Cruise ──(time to look)──▶ Up ──(no faster, or congested)──▶ Down ─╮
///                                                      ▲                                                               │
///                                                      ╰───────────────────(the queue is empty)────────────────────────╯
///   any ──(the round-trip time is 10 s old)──▶ ProbeRtt ──▶ Cruise
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Doubling every round.
    Startup,
    /// Letting go of the queue that startup built.
    Drain,
    /// Following the rate until it is time to look for more.
    Cruise { until_round: u64, until: Timestamp },
    /// Looking for more.
    Up { since_round: u64 },
    /// Letting go of the queue that looking for more built.
    Down { since_round: u64 },
    /// Asking for little, to see the path without its queue.
    ProbeRtt { until: Timestamp, lowest: Option<Duration> },
}

/// What one burst that has arrived tells about its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Bytes a second from when it was asked for until now, as [`crate::flow`] measures it.
    pub(crate) rate: u64,
    /// Whether there was less to ask for than the window allowed: then the rate is only a lower bound.
    pub(crate) limited: bool,
    /// Whether the burst was asked for after the last round's end arrived.
    pub(crate) round_ended: bool,
}

/// The model of one path.
#[derive(Debug)]
pub(crate) struct RateControl {
    phase: Phase,
    path: Path,
    rounds: u64,
    round: Round,
    /// Bytes that the path lost while it was not full, and all bytes then; both fade.
    base: (u64, u64),
    /// The most that a round lost which asked for no more than before, out of a thousand bytes; it fades too.
    worst: u64,
    /// The rate when more was looked for last.
    looked_at: u64,
    /// When the first sample came, and whether that is long enough ago.
    sampled_since: Option<Timestamp>,
    measured: bool,
    full_rate: u64,
    full_rounds: u8,
    /// A round trip has taken longer than another: startup has found the path's end, or something else has.
    crowded: bool,
    /// More than this outstanding has done harm.
    ceiling: Option<u64>,
    /// Until this round what is lost may be lost because more was looked for: it shows a round trip later.
    asks_more_until: u64,
    /// The round in which the last cut shows.
    mends_until: u64,
    first_window: u32,
    most: u32,
    least: u32,
    /// Set after a timeout, until something arrives: ask for little.
    collapsed: bool,
    /// For what should not happen in step with others.
    chance: u32,
}

impl RateControl {
    /// A model that knows nothing: `first` bytes may be outstanding at once, never more than `most`, never fewer than
    /// `least`. `chance` tells it from others that begin at the same time.
    pub(crate) fn new(first: u32, least: u32, most: u32, chance: u32, now: Timestamp) -> RateControl {
        RateControl {
            phase: Phase::Startup,
            path: Path::new(now),
            rounds: 0,
            round: Round::default(),
            base: (0, 0),
            worst: 0,
            looked_at: 0,
            sampled_since: None,
            measured: false,
            full_rate: 0,
            full_rounds: 0,
            crowded: false,
            ceiling: None,
            asks_more_until: 0,
            mends_until: 0,
            first_window: first.clamp(least, most),
            most,
            least,
            collapsed: false,
            chance,
        }
    }

    /// A round-trip time, without what the owner held it.
    pub(crate) fn on_rtt(&mut self, rtt: Duration, now: Timestamp) {
        self.path.on_rtt(rtt, now);
        self.round.on_rtt(rtt);
        let lowest = self.path.min_rtt().unwrap_or(rtt);
        self.crowded |= rtt > lowest + (lowest / 8).max(MIN_QUEUE);
        if let Phase::ProbeRtt { lowest, .. } = &mut self.phase {
            *lowest = Some(lowest.map_or(rtt, |lowest| lowest.min(rtt)));
        }
    }

    /// `bytes` have arrived; `outstanding` are still on their way.
    pub(crate) fn on_delivered(&mut self, bytes: u32, outstanding: u32) {
        self.collapsed = false;
        self.round.on_delivered(bytes.into(), outstanding.saturating_add(bytes));
    }

    /// `bytes` were given up because later ones arrived.
    pub(crate) fn on_lost(&mut self, bytes: u32) {
        self.round.on_lost(bytes.into());
    }

    /// `bytes` that were given up have arrived.
    pub(crate) fn on_late(&mut self, bytes: u32) {
        self.round.on_late(bytes.into());
    }

    /// A burst has arrived; `outstanding` bytes are still on their way.
    pub(crate) fn on_sample(&mut self, sample: Sample, outstanding: u32, now: Timestamp) {
        if !sample.limited || sample.rate > self.path.rate() {
            self.path.on_rate(sample.rate, self.rounds);
        }
        let since = *self.sampled_since.get_or_insert(now);
        self.measured |= now >= since + FIRST_ROUNDS * self.path.min_rtt().unwrap_or_default();
        let verdict = if sample.round_ended { self.end_round(sample.limited, now) } else { Verdict::Clear };
        self.advance(verdict, sample, u64::from(outstanding), now);
        if self.path.is_stale(now) && !matches!(self.phase, Phase::ProbeRtt { .. } | Phase::Startup) {
            self.measure_rtt(now);
        }
    }

    /// Nothing came for a whole timeout.
    pub(crate) fn on_timeout(&mut self) {
        self.collapsed = true;
        self.round = Round::default();
    }

    /// The owner has more to do than it takes: there is no more to be had by asking for more.
    pub(crate) fn on_refused(&mut self) {
        if self.phase == Phase::Startup {
            self.phase = Phase::Drain;
        }
    }

    /// Bytes that may be outstanding.
    pub(crate) fn window(&self) -> u32 {
        if self.collapsed {
            return self.least;
        }
        let product = self.path.product(HOST_DELAY);
        let modelled = match self.phase {
            _ if self.path.min_rtt().is_none() => 0,
            Phase::ProbeRtt { .. } => PROBE_RTT_WINDOW.of(product),
            // With a queue in sight twice the product is all that a queue of one product takes.
            Phase::Startup if !self.crowded => STARTUP_PACE.of(product),
            _ => WINDOW.of(product),
        };
        let modelled = match (self.ceiling, self.phase) {
            (None, _) | (_, Phase::Startup) => modelled,
            (Some(ceiling), Phase::Up { .. }) => modelled.min(ceiling.max(product)),
            // Never below what keeps the path itself full.
            (Some(ceiling), _) => modelled.min(HEADROOM.of(ceiling).max(product)),
        };
        let floor = if self.phase == Phase::Startup { self.first_window } else { self.least };
        u32::try_from(modelled).unwrap_or(u32::MAX).clamp(floor.min(self.most), self.most)
    }

    /// Bytes a second at which to ask, once a rate is known; `None`: as fast as the window lets.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        if self.path.min_rtt().is_some_and(|rtt| rtt < CLOCKED_BY_ARRIVALS) {
            return None;
        }
        let rate = self.path.rate();
        let gain = match self.phase {
            // What a manifest of a few segments says is a lower bound, and so is what the first bursts of a window say.
            Phase::Startup if !self.measured => {
                return (rate > 0).then(|| STARTUP_PACE.of(rate.max(self.first_rate())).max(1));
            }
            Phase::Startup => STARTUP_PACE,
            Phase::Drain => DRAIN,
            Phase::Up { .. } => return (rate > 0).then(|| self.looking_pace()),
            Phase::Down { .. } => DOWN,
            Phase::Cruise { .. } | Phase::ProbeRtt { .. } => Gain::ONE,
        };
        (rate > 0).then(|| gain.of(rate).max(1))
    }

    /// The rate of one first window a round trip, in bytes a second.
    fn first_rate(&self) -> u64 {
        let rtt = self.path.min_rtt().unwrap_or_default().max(HOST_DELAY);
        (u128::from(self.first_window) * 1_000_000_000 / rtt.as_nanos()) as u64
    }

    /// The highest delivery rate lately, in bytes a second; 0 before the first.
    pub(crate) fn rate(&self) -> u64 {
        self.path.rate()
    }

    /// The lowest round-trip time lately.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.path.min_rtt()
    }

    /// Whether the path has been measured and is used at what it gives: what is lost of the ends of bursts now is lost
    /// because of their length.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Cruise { .. }) && self.rounds >= self.asks_more_until
    }

    /// What the last round says.
    fn end_round(&mut self, limited: bool, now: Timestamp) -> Verdict {
        let round = std::mem::take(&mut self.round);
        self.rounds += 1;
        let asks = match self.phase {
            Phase::Startup => Asks::Unknown,
            _ if self.rounds < self.asks_more_until => Asks::More,
            _ => Asks::AsMuch,
        };
        self.path.on_round(round.min_rtt(), now);
        let base = self.base.0 * 1000 / self.base.1.max(1);
        let usual = (base, self.worst);
        let mut verdict = round.verdict(usual, self.path.min_rtt().unwrap_or_default(), asks);
        if asks == Asks::AsMuch {
            self.worst = (self.worst * 15 / 16).max(round.loss());
        }
        if verdict == Verdict::Congested && self.rounds < self.mends_until {
            // Lost before the last cut could help.
            verdict = Verdict::Queued;
        }
        if verdict == Verdict::Clear && asks != Asks::More {
            // What is lost while the path is not full it loses anyway: over about the last eight such rounds.
            self.base = (self.base.0 * 7 / 8, self.base.1 * 7 / 8);
            round.add_to(&mut self.base);
        }
        self.set_ceiling(&round, verdict);
        if self.phase == Phase::Startup && !limited {
            self.look_for_full_pipe(verdict);
        }
        verdict
    }

    fn set_ceiling(&mut self, round: &Round, verdict: Verdict) {
        let product = self.path.product(HOST_DELAY);
        let held = u64::from(round.most_outstanding).min(WINDOW.of(product));
        match (self.phase, verdict) {
            (Phase::Startup, _) => {}
            (_, Verdict::Congested) => {
                self.ceiling = Some(CUT.of(held));
                self.mends_until = self.rounds + MENDING_ROUNDS;
            }
            (_, Verdict::Shallow) => self.ceiling = Some(held.saturating_sub(round.lost())),
            (Phase::Up { .. }, _) => {
                // Or no more whole segments fit below it.
                let fills = |ceiling: u64| held * 10 >= ceiling * 9 || held + MIN_SEGMENT > ceiling;
                let raised = |ceiling: u64| if fills(ceiling) { RAISE.of(ceiling) } else { ceiling };
                self.ceiling = self.ceiling.map(raised);
            }
            _ => {}
        }
        // A ceiling that is out of reach is none.
        self.ceiling = self.ceiling.filter(|&ceiling| HEADROOM.of(ceiling) < WINDOW.of(product));
    }

    /// From phase to phase.
    fn advance(&mut self, verdict: Verdict, sample: Sample, outstanding: u64, now: Timestamp) {
        let product = self.path.product(HOST_DELAY).max(self.least.into());
        let harm = matches!(verdict, Verdict::Congested | Verdict::Shallow);
        let found = !harm && self.path.rate() >= FOUND.of(self.looked_at);
        match self.phase {
            Phase::Startup => {}
            Phase::Drain => {
                if outstanding <= product {
                    self.looked_at = self.path.rate();
                    self.cruise(now);
                }
            }
            Phase::Cruise { until_round, until } => {
                if found || self.rounds >= until_round && now >= until && !sample.limited {
                    self.look();
                }
            }
            Phase::Up { since_round } => {
                if harm || self.rounds > since_round + 1 || outstanding > product + self.more() {
                    self.phase = Phase::Down { since_round: self.rounds };
                    self.asks_more_until = self.rounds + SHOWS_AFTER;
                }
            }
            Phase::Down { since_round } => {
                // Two rounds at most: what does not go is somebody else's.
                if found {
                    self.look();
                } else if outstanding <= product || self.rounds > since_round + 2 {
                    self.cruise(now);
                }
            }
            Phase::ProbeRtt { until, lowest } => {
                if now >= until
                    && let Some(lowest) = lowest
                {
                    self.path.renew(lowest, now);
                    self.cruise(now);
                }
            }
        }
    }

    /// The lowest round-trip time is old.
    fn measure_rtt(&mut self, now: Timestamp) {
        let min_rtt = self.path.min_rtt().unwrap_or_default();
        if min_rtt < WORTH_A_PROBE {
            let lately = self.round.min_rtt().unwrap_or(min_rtt);
            self.path.renew(lately, now);
        } else {
            self.asks_more_until = 0;
            self.phase = Phase::ProbeRtt { until: now + PROBE_RTT.max(min_rtt), lowest: None };
        }
    }

    /// How many bytes more than the product are asked for when more is looked for.
    fn more(&self) -> u64 {
        let product = self.path.product(HOST_DELAY);
        (UP.of(product) - product).max(product.min(u64::from(self.first_window)))
    }

    /// The pace at which they go out in one round trip.
    fn looking_pace(&self) -> u64 {
        let product = self.path.product(HOST_DELAY).max(1);
        (u128::from(self.path.rate()) * u128::from(product + self.more()) / u128::from(product)) as u64
    }

    fn look(&mut self) {
        self.looked_at = self.path.rate();
        self.phase = Phase::Up { since_round: self.rounds };
        self.asks_more_until = u64::MAX;
    }

    fn cruise(&mut self, now: Timestamp) {
        // Numerical Recipes' generator: all that is wanted is not to be in step.
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let chance = self.chance >> 16;
        let pause = BOUNDED_CRUISE + BOUNDED_CRUISE / 2 * chance / (1 << 16);
        let until = now + if self.ceiling.is_some() { pause } else { MIN_CRUISE };
        self.phase =
            Phase::Cruise { until_round: self.rounds + CRUISE_ROUNDS + u64::from(chance % 3), until };
    }

    fn look_for_full_pipe(&mut self, verdict: Verdict) {
        if verdict != Verdict::Congested && self.path.rate() >= GROWTH.of(self.full_rate) {
            self.full_rate = self.path.rate();
            self.full_rounds = 0;
            return;
        }
        self.full_rounds += 1;
        let enough = if verdict == Verdict::Clear { FULL_ROUNDS } else { FULL_QUEUED_ROUNDS };
        if self.full_rounds >= enough {
            self.phase = Phase::Drain;
        }
    }
}

#[cfg(test)]
mod tests;
