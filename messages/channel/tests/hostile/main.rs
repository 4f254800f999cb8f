//! Endpoints among strangers: scripts of what is said, lost, repeated, damaged and made up, with the heap counted; and
//! every message of a handshake cut, extended and changed in the state in which it is awaited.

#[path = "../../../tests/support/heap.rs"]
mod heap;
mod play;
#[path = "../../../tests/support/script.rs"]
mod script;
mod steps;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_strangers_say_only_what_was_said_is_opened_and_nobody_gets_more_than_it_sent(
        bytes in prop::collection::vec(any::<u8>(), 0..6000),
    ) {
        play::hold(&bytes);
    }
}

/// Scripts get so far as to open channels, use them, and have every kind of refusal: the play is one.
#[test]
fn the_play_reaches_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let scripts = prop::collection::vec(any::<u8>(), 6000);
    let (mut opened, mut greeted, mut given_up, mut refusals) = (0, 0, 0, [0; 3]);
    for _ in 0..60 {
        let seen = play::hold(&scripts.new_tree(&mut runner).expect("a script").current());
        opened += seen.opened;
        greeted += seen.greeted;
        given_up += seen.given_up;
        for (sum, refused) in refusals.iter_mut().zip([seen.forged, seen.replayed, seen.refused]) {
            *sum += refused;
        }
    }
    assert!(opened > 60 && greeted > 60 && given_up > 3, "{opened} {greeted} {given_up}");
    assert!(refusals.iter().all(|&count| count > 3), "{refusals:?}");
}
