//! Many who want the same at once: how near the swarm comes to the bound, and what the first owner uploads.
//!
//! Equal nodes at 100 Mbit/s up and down, 20 ms, 0.1 % loss, one complete owner of 64 MiB. Each row has its exact
//! figures in a snapshot: a change of any rule shows there, and is looked at.

use riffle_sim::distribution_table::Row;

/// What the row `name` came to: far enough.
fn comes_far_enough(name: &str) -> String {
    let (text, misses) = Row::named(name).run(1);
    assert!(misses.is_empty(), "{text}: {misses:?}");
    text
}

/// What the row `name` came to in five worlds: far enough in most. Where a lot or two decide when the last one is done,
/// one world says little.
fn comes_far_enough_in_most_worlds(name: &str) -> String {
    let worlds: Vec<_> = (1..=5).map(|seed| Row::named(name).run(seed)).collect();
    let texts = worlds.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("\n");
    let far_enough = worlds.iter().filter(|(_, misses)| misses.is_empty()).count();
    assert!(far_enough * 2 > worlds.len(), "{texts}: {worlds:?}");
    texts
}

#[test]
fn eight_in_turns() {
    insta::assert_snapshot!(comes_far_enough("1 -> 8, fair"));
}

#[test]
fn eight_for_what_they_give() {
    insta::assert_snapshot!(comes_far_enough("1 -> 8, tit-for-tat"));
}

#[test]
fn thirty_two_in_turns() {
    insta::assert_snapshot!(comes_far_enough("1 -> 32, fair"));
}

#[test]
fn thirty_two_for_what_they_give() {
    insta::assert_snapshot!(comes_far_enough("1 -> 32, tit-for-tat"));
}

#[test]
fn who_leaves_takes_nothing_with_it() {
    insta::assert_snapshot!(comes_far_enough(
        "1 -> 32 over 60 s, a third leaves when done, the first owner when there is a copy"
    ));
}

#[test]
fn who_never_serves_is_done_last() {
    insta::assert_snapshot!(comes_far_enough_in_most_worlds("1 -> 32, tit-for-tat, a quarter never serves"));
}

#[test]
fn liars_and_the_silent_hold_nobody_up() {
    insta::assert_snapshot!(comes_far_enough("1 -> 20 beside 6 owners that lie and 6 that are silent"));
}
