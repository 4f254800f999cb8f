//! What one host confirms is bounded by time, whoever its reporters are and however they cut it up.

use proptest::prelude::*;

use crate::decay::Decaying;

use super::*;

const WINDOW: Duration = Duration::from_secs(60);
const RATE: u64 = 1000;

fn host(number: u8) -> Host {
    Host::of(([10, 0, 0, number], 7000).into())
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

#[test]
fn a_full_budget_is_used_up_once_and_comes_back_with_time() {
    let mut budgets = Budgets::new(RATE, WINDOW, 10);
    let full = budgets.take(host(1), u64::MAX, at(0));
    assert_eq!(full, 86_580, "1.443 windows of it");
    assert_eq!(budgets.take(host(1), 5, at(0)), 0);
    assert_eq!(budgets.take(host(2), 5, at(0)), 5, "another host has its own");
    assert_eq!(
        budgets.take(host(1), u64::MAX, at(60_000)).abs_diff(full / 2),
        0,
        "half of it a window later"
    );
    assert_eq!(budgets.take(host(1), u64::MAX, at(10_000_000)), full);
}

#[test]
fn the_table_is_bounded_and_forgets_who_has_least_to_remember() {
    let mut budgets = Budgets::new(RATE, WINDOW, 2);
    budgets.take(host(1), 80_000, at(0));
    for number in 2..100 {
        budgets.take(host(number), 10, at(0));
        assert!(budgets.confirmed.len() <= 2);
    }
    assert_eq!(budgets.take(host(1), u64::MAX, at(0)), 6580);
    budgets.take(host(1), 1, at(10_000_000));
    assert_eq!(budgets.confirmed.len(), 1, "of what has faded nothing is remembered");
}

proptest! {
    /// However a host cuts up what it reported, it is never worth more than the rate; nor is more taken than was
    /// claimed.
    #[test]
    fn what_one_host_confirms_is_never_worth_more_than_the_rate(
        steps in prop::collection::vec((0..20_000_u64, 0..200_000_u64), 1..100),
    ) {
        let mut budgets = Budgets::new(RATE, WINDOW, 10);
        let (mut now, mut worth) = (0, Decaying::new(at(0)));
        for (millis, claimed) in steps {
            now += millis;
            let taken = budgets.take(host(1), claimed, at(now));
            prop_assert!(taken <= claimed);
            worth.add_whole(taken, at(now), WINDOW);
            // Of two levels that fade in steps, those of one may fall a step before those of the other: a sixteenth of
            // a window.
            let rate = worth.per_second(at(now), WINDOW);
            prop_assert!(rate <= RATE * 21 / 20, "{rate}");
        }
    }

    #[test]
    fn shares_are_alike_and_no_more_than_was_taken(
        reported in prop::collection::vec(any::<u64>(), 0..20), taken: u64,
    ) {
        let all: u128 = reported.iter().copied().map(u128::from).sum();
        let taken = u64::try_from(all).map_or(taken, |all| taken.min(all));
        let shares: Vec<u64> = shares(&reported, taken).collect();
        let sum: u128 = shares.iter().copied().map(u128::from).sum();
        prop_assert!(sum <= u128::from(taken) && u128::from(taken) < sum + reported.len().max(1) as u128 || all == 0);
        for (one, share) in reported.iter().zip(&shares) {
            for (other, others) in reported.iter().zip(&shares) {
                prop_assert!(one > other || share <= others);
            }
        }
    }
}
