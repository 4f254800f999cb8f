//! The rate control with bursts through a model link, one round trip after the other.

use super::*;

fn run(rate: u64, rtt: Duration, rounds: u32) -> RateControl {
    let mut now = Timestamp::ZERO;
    let mut control = RateControl::new(12_000, 4_000, 64 << 20, 0, now);
    for _ in 0..rounds {
        now += rtt;
        control.on_rtt(rtt, now);
        let window_rate = u64::from(control.window()) * 1_000_000_000 / rtt.as_nanos() as u64;
        let sample = RateSample { rate: window_rate.min(rate), is_app_limited: false, ends_round: true };
        control.on_delivered(1000, 0, Asking::Enough);
        control.on_sample(sample, 0, now);
    }
    control
}

#[test]
fn finds_the_rate_of_the_path_and_leaves_startup() {
    let control = run(12_500_000, Duration::from_millis(100), 20);
    assert_eq!(control.rate(), 12_500_000);
    assert!(!matches!(control.state, BbrState::Startup(_) | BbrState::Drain));
    let bdp = 1_250_000;
    assert!((2 * bdp..2 * bdp + 100_000).contains(&control.window()), "{}", control.window());
}

#[test]
fn a_timeout_asks_for_little_until_something_arrives() {
    let mut control = run(12_500_000, Duration::from_millis(100), 20);
    control.on_timeout();
    assert_eq!(control.window(), 4_000);
    control.on_delivered(1000, 0, Asking::Enough);
    assert!(control.window() > 1_000_000);
}

#[test]
fn the_highest_rate_is_forgotten_after_ten_rounds() {
    let mut control = run(12_500_000, Duration::from_millis(100), 20);
    let mut now = Timestamp::ZERO + Duration::from_secs(2);
    for _ in 0..12 {
        now += Duration::from_millis(100);
        control.on_sample(RateSample { rate: 1_000_000, is_app_limited: false, ends_round: true }, 0, now);
    }
    assert_eq!(control.rate(), 1_000_000);
}

#[test]
fn a_fair_window_is_what_arrives_within_ten_milliseconds_and_nothing_after_a_timeout() {
    let mut control = run(10_000_000, Duration::from_millis(1), 20);
    let fair = control.fair_window();
    assert!((95_000..=105_000).contains(&fair), "{fair}");
    assert!(fair > control.window(), "a window follows the round trip");
    control.on_timeout();
    assert_eq!(control.fair_window(), 0);
}
