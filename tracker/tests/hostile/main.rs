//! A tracker among strangers: scripts of (datagram, time step), under a cap of the heap.

#[path = "../../../messages/tests/support/accounts.rs"]
mod accounts;
#[path = "../../../messages/tests/support/heap.rs"]
mod heap;
mod play;
#[path = "../../../messages/tests/support/script.rs"]
mod script;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::Config;

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_strangers_say_the_tables_stay_small_and_nobody_speaks_for_another(
        bytes in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        play::hold(&bytes);
    }
}

/// A script that registers, owns, asks, updates and leaves gets so far as to have all these answered: the play is one.
#[test]
fn the_play_reaches_every_answer() {
    let mut counters = tracker::Counters::default();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let scripts = prop::collection::vec(any::<u8>(), 4000);
    for _ in 0..60 {
        let bytes = scripts.new_tree(&mut runner).expect("a script").current();
        let seen = play::hold(&bytes);
        counters.registered += seen.registered;
        counters.owned += seen.owned;
        counters.needs += seen.needs;
        counters.updates += seen.updates;
        counters.exits += seen.exits;
        counters.expired += seen.expired;
        counters.stray_pongs += seen.stray_pongs;
        counters.refused.cookie += seen.refused.cookie;
        counters.refused.not_registered += seen.refused.not_registered;
        counters.refused.id_in_use += seen.refused.id_in_use;
        counters.refused.too_fast += seen.refused.too_fast;
        counters.refused.full += seen.refused.full;
    }
    let seen = counters;
    let answered =
        [seen.registered, seen.owned, seen.needs, seen.updates, seen.exits, seen.expired, seen.stray_pongs];
    assert!(answered.iter().all(|&count| count > 0), "{seen:?}");
    let refused = seen.refused;
    let refused = [refused.cookie, refused.not_registered, refused.id_in_use, refused.too_fast, refused.full];
    assert!(refused.iter().all(|&count| count > 0), "{seen:?}");
}

/// What is held after the first quarter is all that is ever held.
#[test]
fn thousands_of_nodes_leave_nothing_behind() {
    let held = play::one_after_the_other(4000);
    let (first, rest) = held.split_at(held.len() / 4);
    let most = |held: &[isize]| held.iter().copied().max().expect("some");
    assert!(most(rest) <= most(first) + 256, "{} bytes of heap became {}", most(first), most(rest));
}
