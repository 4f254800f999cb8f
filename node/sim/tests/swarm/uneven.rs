//! Owners that are not alike: slow ones, silent ones, and what becomes of what was asked of several.

use std::time::Duration;

use riffle_core::DownloadTimeouts;

use riffle_sim::link::LinkSpec;
use riffle_sim::scenario::{HostSpec, Scenario, run};
use riffle_sim::world::{Manners, World};

const MIB: u64 = 1 << 20;
/// The time by which every owner has announced its contents.
const BEGINS: Duration = Duration::from_secs(2);
/// A kilobyte a second.
const DRIP: u64 = 1000;

fn fast() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// An owner that sends at `rate` bytes a second.
fn at(rate: u64) -> LinkSpec {
    LinkSpec { up: rate, ..fast() }
}

/// One download of `length` bytes over 100 Mbit/s from owners with `links`; the downloader is the first host.
fn scenario(length: u64, links: &[LinkSpec]) -> Scenario {
    let mut hosts = vec![HostSpec::new(fast()).downloads("film.bin", BEGINS)];
    hosts.extend(links.iter().map(|link| HostSpec::new(*link).sends("film.bin")));
    Scenario {
        seed: 1,
        contents: vec![("film.bin", length)],
        hosts,
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(120),
        timeouts: DownloadTimeouts::NONE,
    }
}

fn took(length: u64, links: &[LinkSpec]) -> Duration {
    run(&scenario(length, links)).only().took
}

#[test]
fn an_owner_of_a_kilobyte_a_second_makes_nothing_a_tenth_slower() {
    for length in [8 * MIB, 64 * MIB] {
        for owners in [1, 3] {
            let good = vec![fast(); owners];
            let alone = took(length, &good);
            for drips in [1, 3] {
                // Named first, and last.
                for first in [true, false] {
                    let (good, slow) = (good.clone(), vec![at(DRIP); drips]);
                    let links = if first { [slow, good].concat() } else { [good, slow].concat() };
                    let with = took(length, &links);
                    assert!(
                        with <= alone + alone / 10,
                        "{length} bytes of {owners} and {drips} that drip, first: {first}: {with:?} instead of {alone:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn owners_that_say_nothing_do_not_keep_the_first_bytes_waiting() {
    for good in [1, 3] {
        let alone = scenario(8 * MIB, &vec![fast(); good]);
        let (mut with_silent, last) = (alone.clone(), alone.hosts.len());
        for silent in 0..20 {
            let spec = HostSpec { manners: Manners::Silent, ..HostSpec::new(fast()).sends("film.bin") };
            // Before and after those that answer.
            with_silent.hosts.insert(if silent % 2 == 0 { 1 } else { last }, spec);
        }
        let (alone, beside) = (run(&alone).only().took, run(&with_silent).only().took);
        assert!(beside <= alone + Duration::from_millis(500), "{good}: {beside:?} instead of {alone:?}");
    }
}

#[test]
fn what_is_asked_of_two_is_taken_back_from_the_slower() {
    // The slowest has a second's worth of what it was asked for in line when the others are done.
    let links = [fast(), at(125_000), at(20_000), at(DRIP)];
    let report = run(&scenario(64 * MIB, &links));
    let downloader = &report.world.hosts[0];
    let counters = downloader.node.counters();
    let most = (64 * MIB / 100).min(4 * MIB);
    assert!(counters.duplicate_bytes <= most, "{} bytes came twice", counters.duplicate_bytes);
    assert!(counters.cancelled > 0, "nothing was taken back");
}

#[test]
fn nothing_comes_after_the_end_but_what_was_on_its_way() {
    let mut scenario = scenario(64 * MIB, &[fast(); 4]);
    // What they were asked for waits in them, not in their links.
    for (host, limit) in [(3, "125KiB"), (4, "20KiB")] {
        scenario.hosts[host].settings.upload.limit = limit.parse().expect("a limit");
    }
    let mut report = run(&scenario);
    let world = &mut report.world;
    // A queue and a round trip at most.
    let passed = |world: &World| world.hosts[0].link.down.passed_bytes;
    let done = world.now;
    world.run(done + Duration::from_millis(300), |_| false);
    let soon = passed(world);
    world.run(done + Duration::from_secs(20), |_| false);
    let later = passed(world) - soon;
    // What a heartbeat takes.
    assert!(later < 2000, "{later} bytes came later");
}
