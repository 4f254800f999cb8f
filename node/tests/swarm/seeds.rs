//! Some hundred worlds of [`crate::vopr`], in parts that run side by side. The example `vopr` runs more.

use crate::vopr::{Options, run};

fn worlds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        run(&Options::draw(seed));
    }
}

#[test]
fn worlds_0_to_100() {
    worlds(0..100);
}

#[test]
fn worlds_100_to_200() {
    worlds(100..200);
}

#[test]
fn worlds_200_to_300() {
    worlds(200..300);
}

#[test]
fn worlds_300_to_400() {
    worlds(300..400);
}

#[test]
fn a_seed_replays() {
    let hash = |seed| run(&Options::draw(seed));
    assert_eq!(hash(7), hash(7));
}
