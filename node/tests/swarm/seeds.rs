//! Some hundred worlds of [`crate::vopr`], in parts that run side by side. The example `vopr` runs more.

use crate::vopr::{Options, run};

fn worlds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        run(&Options::draw(seed));
    }
}

#[test]
fn worlds_100_to_160() {
    worlds(100..160);
}

#[test]
fn worlds_160_to_220() {
    worlds(160..220);
}

#[test]
fn worlds_220_to_280() {
    worlds(220..280);
}

#[test]
fn worlds_280_to_340() {
    worlds(280..340);
}

#[test]
fn a_seed_replays() {
    let hash = |seed| run(&Options::draw(seed));
    assert_eq!(hash(7), hash(7));
}
