//! What fades, how fast, and that it is a rate.

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

#[test]
fn a_window_leaves_half_and_a_long_time_nothing() {
    let mut amount = Decaying::new(at(0));
    amount.add_whole(1_000_000, at(0), WINDOW);
    assert_eq!(amount.level(at(0), WINDOW) / ONE, 1_000_000);
    let half = amount.level(at(60), WINDOW) / ONE;
    assert!((499_999..=500_000).contains(&half), "{half}");
    let quarter = amount.level(at(120), WINDOW) / ONE;
    assert!((249_999..=250_000).contains(&quarter), "{quarter}");
    assert_eq!(amount.level(at(100_000), WINDOW), 0);
    assert_eq!(amount.level(Timestamp::NEVER, WINDOW), 0);
}

#[test]
fn a_steady_flow_is_found_as_its_rate() {
    let mut amount = Decaying::new(at(0));
    for second in 0..600 {
        amount.add_whole(5_000_000, at(second), WINDOW);
    }
    let rate = amount.per_second(at(600), WINDOW);
    assert!((4_700_000..=5_300_000).contains(&rate), "{rate}");
}

#[test]
fn more_than_fits_saturates() {
    let mut amount = Decaying::new(at(0));
    amount.add_whole(u64::MAX, at(0), WINDOW);
    amount.add_whole(u64::MAX, at(1), WINDOW);
    assert_eq!(amount.level(at(1), WINDOW), u64::MAX);
}

proptest! {
    #[test]
    fn reading_on_the_way_changes_nothing(first in 0..1_000_u64, second in 0..1_000_u64, bytes in 0..1_u64 << 40) {
        let mut direct = Decaying::new(at(0));
        direct.add_whole(bytes, at(0), WINDOW);
        let mut stopped = direct;
        stopped.add(0, at(first), WINDOW);
        let (a, b) = (direct.level(at(first + second), WINDOW), stopped.level(at(first + second), WINDOW));
        // Rounding down twice instead of once loses less than one part in 2^31 and a unit.
        prop_assert!(a.abs_diff(b) <= ((bytes * ONE) >> 30) + 2, "{} {}", a, b);
    }

    #[test]
    fn it_never_grows_by_waiting(bytes in 0..1_u64 << 40, early in 0..10_000_u64, later in 0..10_000_u64) {
        let mut amount = Decaying::new(at(0));
        amount.add_whole(bytes, at(0), WINDOW);
        prop_assert!(amount.level(at(early + later), WINDOW) <= amount.level(at(early), WINDOW));
    }
}
