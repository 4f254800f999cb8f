//! Many who want the same at once: how near the swarm comes to the bound, and what the first owner uploads.
//!
//! Equal nodes at 100 Mbit/s up and down, 20 ms, 0.1 % loss, one complete owner of 64 MiB. Each row has its exact figures in a snapshot:
//! a change of any rule shows there, and is looked at.

mod harness;
mod rows;

use rows::Row;

/// What the row `name` came to: far enough.
fn comes_far_enough(name: &str) -> String {
    let (text, misses) = Row::named(name).run(1);
    assert!(misses.is_empty(), "{text}: {misses:?}");
    text
}

#[test]
fn eight_in_turns() {
    insta::assert_snapshot!(comes_far_enough("1 -> 8, fair"));
}
