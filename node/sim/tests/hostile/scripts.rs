//! Scripts drawn from one seed, played against the cores under a cap of the heap.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::{codes, downloader, owner};

proptest! {
    #![proptest_config(Config { cases: 1000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn an_owner_among_strangers_serves_what_is_asked_and_stays_small(
        bytes in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        owner::hold(&bytes);
    }

    #[test]
    fn a_downloader_among_liars_places_bytes_where_they_belong_and_stays_small(
        // What ends early ends in the middle of something.
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..80), prop::collection::vec(any::<u8>(), 0..3000)],
    ) {
        downloader::hold(&bytes);
    }
}

/// `count` scripts of `length` bytes.
fn scripts(count: usize, length: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let script = prop::collection::vec(any::<u8>(), length);
    let mut draw = || script.new_tree(&mut runner).expect("a script").current();
    (0..count).map(|_| draw()).collect()
}

#[test]
fn the_owners_play_reaches_sessions_and_bursts() {
    let seen: Vec<_> = scripts(40, 4000).iter().map(|bytes| owner::hold(bytes)).collect();
    let total = |count: fn(&owner::Seen) -> usize| seen.iter().map(count).sum::<usize>();
    assert!(total(|seen| seen.sessions) > 100, "{seen:?}");
    assert!(total(|seen| seen.bursts) > 100, "{seen:?}");
    assert!(total(|seen| seen.refused) > 100, "{seen:?}");
}

#[test]
fn the_play_of_codes_reaches_exchanges_guesses_and_the_desk() {
    let seen: Vec<_> = scripts(100, 4000).iter().map(|bytes| codes::hold(bytes)).collect();
    let total = |count: fn(&codes::Seen) -> usize| seen.iter().map(count).sum::<usize>();
    assert!(total(|seen| seen.begun) > 100, "{seen:?}");
    assert!(total(|seen| seen.wrong) > 20, "{seen:?}");
    assert!(total(|seen| seen.calls) > 20, "{seen:?}");
}

#[test]
fn the_downloaders_play_reaches_the_disk_and_the_end() {
    let seen: Vec<_> = scripts(40, 3000).iter().map(|bytes| downloader::hold(bytes)).collect();
    let total = |count: fn(&downloader::Seen) -> usize| seen.iter().map(count).sum::<usize>();
    assert!(total(|seen| seen.sessions) > 100, "{seen:?}");
    assert!(total(|seen| seen.chunks) > 1000, "{seen:?}");
    assert!(total(|seen| seen.stored) > 40, "{seen:?}");
    assert!(total(|seen| seen.finished) > 20, "{seen:?}");
}

/// What is held after the first quarter is all that is ever held: nothing of one that is over stays behind.
fn is_flat(held: &[isize]) {
    let (first, rest) = held.split_at(held.len() / 4);
    let most = |held: &[isize]| held.iter().copied().max().expect("some");
    assert!(most(rest) <= most(first) + 256, "{} bytes of heap became {}", most(first), most(rest));
}

#[test]
fn thousands_of_sessions_leave_nothing_behind() {
    is_flat(&owner::one_after_the_other(4000));
}

#[test]
fn hundreds_of_downloads_leave_nothing_behind() {
    is_flat(&downloader::one_after_the_other(320));
}
