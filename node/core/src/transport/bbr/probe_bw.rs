//! ProbeBw: the flow follows the path's rate, and now and then asks for more, to find out whether the path has become
//! faster (draft-ietf-ccwg-bbr §5.3.3; its REFILL is part of Up here).
//!
//! ```text
//!   Cruise ──(time to probe, or faster)──▶ Up ──(harm, two rounds, or enough outstanding)──▶ Down
//!     ▲                                    ▲                                                │ │
//!     │                                    ╰──────────────────(faster)──────────────────────╯ │
//!     ╰──────────────────────────────(drained, or three rounds)───────────────────────────────╯
//! ```

use std::time::Duration;

use messages::Timestamp;

use super::gain::Gain;

/// The part of the bandwidth-delay product that is outstanding while the flow probes for more.
const UP_CWND_GAIN: Gain = Gain(125);
/// The pace while the flow empties the queue that probing built.
pub(super) const DOWN_PACING_GAIN: Gain = Gain(75);
/// Probing has found more when the rate is this much higher than before. Then the flow probes again at once, so that a
/// link that has become faster is filled in a few round trips.
const FOUND_MORE: Gain = Gain(110);
/// The number of rounds at the path's rate between two probes. With one round up and one or two down, that makes a
/// cycle of eight (BBR), randomised by two so that several flows do not probe in step.
const CRUISE_ROUNDS: u64 = 5;
/// Cruising lasts at least this long, because those rounds take almost no time on a local path.
const MIN_CRUISE: Duration = Duration::from_millis(5);
/// Where loss has shown how much the path holds, other flows are likely there, or the queue is short. There cruising
/// lasts at least this long. (The draft has 2 to 3 s, §5.3.3.6, but the flows of a swarm come and go within that time:
/// 0.4 s made files of 64 MiB 5 % sooner there, and took 3 % of a link from a CUBIC flow.)
const BOUNDED_CRUISE: Duration = Duration::from_millis(400);
/// The effects of a probe show for this many rounds after it.
const SHOWS_FOR: u64 = 2;
/// Up ends when more rounds than this have ended since it began.
const MAX_UP_ROUNDS: u64 = 1;
/// Down ends when more rounds than this have ended since it began: a queue that still stands then is another flow's.
const MAX_DOWN_ROUNDS: u64 = 2;

/// The phases of ProbeBw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeBw {
    /// The flow follows the path's rate until it is time to probe.
    Cruise { until_round: u64, until: Timestamp },
    /// The flow asks for more.
    Up { since_round: u64 },
    /// The flow empties the queue that asking for more has built.
    Down { since_round: u64 },
}

/// What a sample shows to ProbeBw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    /// The number of round trips so far.
    pub(super) round: u64,
    /// Whether the round that has just ended had losses because it asked for too much.
    pub(super) is_harmful: bool,
    /// Whether the path is faster than when the flow probed last.
    pub(super) found_more: bool,
    /// Whether there was less to ask for than the window allowed.
    pub(super) is_app_limited: bool,
    /// Whether at most as much is outstanding as the path holds without a queue.
    pub(super) is_drained: bool,
    /// Whether as much is outstanding as a probe asks for.
    pub(super) is_filled: bool,
    pub(super) now: Timestamp,
}

/// The next move of ProbeBw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeBwMove {
    Stay,
    Up,
    Down,
    Cruise,
}

impl ProbeBw {
    /// The move that follows from the observation `seen`.
    pub(super) fn next(self, seen: &Observation) -> ProbeBwMove {
        match self {
            ProbeBw::Cruise { until_round, until } => {
                let is_time = seen.round >= until_round && seen.now >= until && !seen.is_app_limited;
                if seen.found_more || is_time { ProbeBwMove::Up } else { ProbeBwMove::Stay }
            }
            ProbeBw::Up { since_round } => {
                let is_over = seen.is_harmful || seen.round > since_round + MAX_UP_ROUNDS || seen.is_filled;
                if is_over { ProbeBwMove::Down } else { ProbeBwMove::Stay }
            }
            ProbeBw::Down { .. } if seen.found_more => ProbeBwMove::Up,
            ProbeBw::Down { since_round } => {
                let is_over = seen.is_drained || seen.round > since_round + MAX_DOWN_ROUNDS;
                if is_over { ProbeBwMove::Cruise } else { ProbeBwMove::Stay }
            }
        }
    }
}

/// When the flow probes, and the rate from which the last probe began.
#[derive(Debug)]
pub(super) struct ProbeSchedule {
    /// The path's rate when the last probe began.
    rate_before: u64,
    /// Until this round losses may be the effect of a probe, which shows a round trip later.
    shows_until: u64,
    /// A generator of pseudo-random numbers, so that flows do not probe in step.
    dither: u32,
}

impl ProbeSchedule {
    pub(super) fn new(seed: u32) -> ProbeSchedule {
        ProbeSchedule { rate_before: 0, shows_until: 0, dither: seed }
    }

    /// Whether losses in `round` may be the effect of a probe.
    pub(super) fn shows_in(&self, round: u64) -> bool {
        round < self.shows_until
    }

    /// Records that the effects of the last probe are over.
    pub(super) fn forget_shown(&mut self) {
        self.shows_until = 0;
    }

    /// Whether a path with this `rate` is faster than when the last probe began.
    pub(super) fn found_more(&self, rate: u64) -> bool {
        rate >= FOUND_MORE.of(self.rate_before)
    }

    /// Sets the path's rate that startup has found.
    pub(super) fn note_rate(&mut self, rate: u64) {
        self.rate_before = rate;
    }

    /// Begins to probe.
    pub(super) fn up(&mut self, rate: u64, round: u64) -> ProbeBw {
        self.rate_before = rate;
        self.shows_until = u64::MAX;
        ProbeBw::Up { since_round: round }
    }

    /// Stops probing.
    pub(super) fn down(&mut self, round: u64) -> ProbeBw {
        self.shows_until = round + SHOWS_FOR;
        ProbeBw::Down { since_round: round }
    }

    /// Begins to cruise. `is_bounded` tells whether loss has shown how much the path holds.
    pub(super) fn cruise(&mut self, is_bounded: bool, round: u64, now: Timestamp) -> ProbeBw {
        // The generator of Numerical Recipes is good enough to keep flows out of step.
        self.dither = self.dither.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let chance = self.dither >> 16;
        let bounded = BOUNDED_CRUISE + BOUNDED_CRUISE / 2 * chance / (1 << 16);
        let until = now + if is_bounded { bounded } else { MIN_CRUISE };
        ProbeBw::Cruise { until_round: round + CRUISE_ROUNDS + u64::from(chance % 3), until }
    }
}

/// The number of bytes that a probe asks for beyond the bandwidth-delay product: a quarter of it, or on short paths up
/// to one initial window.
pub(super) fn extra(bdp: u64, initial_window: u32) -> u64 {
    (UP_CWND_GAIN.of(bdp) - bdp).max(bdp.min(u64::from(initial_window)))
}

/// The pace, in bytes a second, at which the bandwidth-delay product and that extra are asked for in one round trip.
pub(super) fn up_pacing_rate(rate: u64, bdp: u64, initial_window: u32) -> u64 {
    let asked = bdp.max(1) + extra(bdp, initial_window);
    (u128::from(rate) * u128::from(asked) / u128::from(bdp.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Observation = Observation {
        round: 10,
        is_harmful: false,
        found_more: false,
        is_app_limited: false,
        is_drained: false,
        is_filled: false,
        now: Timestamp::ZERO,
    };

    #[test]
    fn a_probe_ends_with_harm_two_rounds_or_enough_outstanding() {
        let up = ProbeBw::Up { since_round: 9 };
        assert_eq!(up.next(&NOTHING), ProbeBwMove::Stay);
        assert_eq!(up.next(&Observation { is_harmful: true, ..NOTHING }), ProbeBwMove::Down);
        assert_eq!(up.next(&Observation { is_filled: true, ..NOTHING }), ProbeBwMove::Down);
        assert_eq!(up.next(&Observation { round: 11, ..NOTHING }), ProbeBwMove::Down);
    }

    #[test]
    fn a_faster_path_is_probed_again_at_once_and_a_drained_one_followed() {
        let down = ProbeBw::Down { since_round: 10 };
        assert_eq!(down.next(&NOTHING), ProbeBwMove::Stay);
        assert_eq!(
            down.next(&Observation { found_more: true, is_drained: true, ..NOTHING }),
            ProbeBwMove::Up
        );
        assert_eq!(down.next(&Observation { is_drained: true, ..NOTHING }), ProbeBwMove::Cruise);
    }

    #[test]
    fn a_bounded_path_is_probed_less_often() {
        for (is_bounded, shortest, longest) in [(false, 5, 5), (true, 400, 600)] {
            let mut probes = ProbeSchedule::new(7);
            for _ in 0..100 {
                let ProbeBw::Cruise { until, .. } = probes.cruise(is_bounded, 0, Timestamp::ZERO) else {
                    panic!("it cruises");
                };
                let millis = until.since(Timestamp::ZERO).as_millis();
                assert!((shortest..=longest).contains(&millis), "{millis}");
            }
        }
    }
}
