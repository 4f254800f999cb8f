//! Endpoints among strangers: scripts of what is said, lost, repeated, damaged and made up, with the heap counted; and
//! every message of a handshake cut, extended and changed in the state in which it is awaited.

#[path = "../../../tests/support/heap.rs"]
mod heap;
mod play;
#[path = "../../../tests/support/script.rs"]
mod script;
#[path = "../../../../node/fuzz/oracles/sealed.rs"]
mod sealed;
#[path = "../../../../node/fuzz/oracles/secrets.rs"]
mod secrets;
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

    #[test]
    fn whatever_is_sealed_is_opened_as_it_was_said_and_once(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        sealed::hold(&bytes);
    }

    #[test]
    fn whatever_text_there_is_a_ticket_key_or_secret_has_one_and_a_refusal_gives_nothing_away(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "(riffle1|riffle-secret1-)?[a-z2-7]{0,80}( secret-until=[0-9]{0,12})?\n?\\PC{0,20}",
    ) {
        secrets::hold(&bytes);
        secrets::hold(text.as_bytes());
    }
}

/// The committed seeds of the fuzz targets whose oracles these are.
#[test]
fn every_seed_holds() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node/fuzz/corpus");
    let mut count = 0;
    for target in ["channel", "sealed", "secrets"] {
        for entry in std::fs::read_dir(corpus.join(target)).expect("the target's seeds") {
            let path = entry.expect("a folder's entry").path();
            // What a fuzzer has found beside them is its own, and comes and goes.
            if path.extension().is_none_or(|end| end != "seed") {
                continue;
            }
            let bytes = std::fs::read(&path).expect("a seed");
            play::hold(&bytes);
            sealed::hold(&bytes);
            secrets::hold(&bytes);
            count += 1;
        }
    }
    assert!(count >= 8, "{count} seeds");
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
