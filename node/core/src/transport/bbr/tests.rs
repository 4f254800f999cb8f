//! Bursts through a model link, one round trip after the other.

use super::*;

fn run(rate: u64, rtt: Duration, rounds: u32) -> RateControl {
    let mut now = Timestamp::ZERO;
    let mut control = RateControl::new(12_000, 4_000, 64 << 20, 0, now);
    for _ in 0..rounds {
        now += rtt;
        control.on_rtt(rtt, now);
        let window_rate = u64::from(control.window()) * 1_000_000_000 / rtt.as_nanos() as u64;
        let sample = Sample { rate: window_rate.min(rate), limited: false, round_ended: true };
        control.on_delivered(1000, 0);
        control.on_sample(sample, 0, now);
    }
    control
}

#[test]
fn finds_the_rate_of_the_path_and_leaves_startup() {
    let control = run(12_500_000, Duration::from_millis(100), 20);
    assert_eq!(control.rate(), 12_500_000);
    assert!(!matches!(control.phase, Phase::Startup | Phase::Drain));
    let product = 1_250_000;
    assert!((2 * product..2 * product + 100_000).contains(&control.window()), "{}", control.window());
}

#[test]
fn a_timeout_asks_for_little_until_something_arrives() {
    let mut control = run(12_500_000, Duration::from_millis(100), 20);
    control.on_timeout();
    assert_eq!(control.window(), 4_000);
    control.on_delivered(1000, 0);
    assert!(control.window() > 1_000_000);
}

#[test]
fn the_highest_rate_is_forgotten_after_ten_rounds() {
    let mut control = run(12_500_000, Duration::from_millis(100), 20);
    let mut now = Timestamp::ZERO + Duration::from_secs(2);
    for _ in 0..12 {
        now += Duration::from_millis(100);
        control.on_sample(Sample { rate: 1_000_000, limited: false, round_ended: true }, 0, now);
    }
    assert_eq!(control.rate(), 1_000_000);
}

#[test]
fn a_round_trip_that_is_too_short_to_be_the_path_s_is_forgotten_after_eight_rounds() {
    let mut path = Path::new(Timestamp::ZERO);
    path.on_rtt(Duration::from_millis(1), Timestamp::ZERO);
    for round in 1..=8u64 {
        assert_eq!(path.min_rtt(), Some(Duration::from_millis(1)), "round {round}");
        path.on_round(Some(Duration::from_millis(20 + round)), Timestamp::ZERO);
    }
    assert_eq!(path.min_rtt(), Some(Duration::from_millis(21)));
    // A queue of three round trips may be ours.
    for _ in 0..20 {
        path.on_round(Some(Duration::from_millis(60)), Timestamp::ZERO);
    }
    assert_eq!(path.min_rtt(), Some(Duration::from_millis(21)));
}
