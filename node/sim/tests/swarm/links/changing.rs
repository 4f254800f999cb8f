//! Links that change while they are used: how soon that is noticed.

use std::time::Duration;

use messages::Timestamp;

use riffle_sim::goodput::{Link, carried_in, changes, downloads, owners, permille_between};
use riffle_sim::link::LinkSpec;
use riffle_sim::world::{HostId, World};

/// A rate is what arrives in so long.
const WINDOW: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(100);

/// How long after `since` the first [`WINDOW`] begins in which 85 % of `rate` arrive.
fn recovers_after(world: &World, host: HostId, since: Timestamp, rate: u64) -> Duration {
    let mut from = since;
    while permille_between(world, host, from, from + WINDOW, rate) < 850 {
        from += STEP;
        assert!(from + WINDOW <= world.now, "it never does");
    }
    from.since(since)
}

#[test]
fn half_the_rate_twice_the_rate_and_an_outage() {
    let link = Link::new(100, 20);
    let seconds = Duration::from_secs;
    let (mut world, owners) = owners(&[link], carried_in(&link, seconds(40)), 1);
    world.watch(owners[0]);
    let began = world.now;
    let host = downloads(&mut world, &link);
    let spec = link.spec();
    let half = LinkSpec { up: spec.up / 2, down: spec.down / 2, ..spec };
    let silent = LinkSpec { loss: 1_000_000, ..spec };
    changes(&mut world, seconds(10), owners[0], half);
    changes(&mut world, seconds(20), owners[0], spec);
    changes(&mut world, seconds(30), owners[0], silent);
    changes(&mut world, seconds(30) + Duration::from_millis(300), owners[0], spec);
    world.run(began + seconds(40), |_| false);
    let mut table = String::new();
    for (name, at, rate) in [("half", 10, spec.up / 2), ("twice", 20, spec.up), ("outage", 30, spec.up)] {
        let since = began + seconds(at);
        // The silence itself does not count.
        let since = if name == "outage" { since + Duration::from_millis(300) } else { since };
        let recovered = recovers_after(&world, host, since, rate);
        let after = permille_between(&world, host, since + seconds(3), began + seconds(at + 10), rate);
        table += &format!("{name:<8} back after {:>4} ms, then {after}\n", recovered.as_millis());
        assert!(recovered <= seconds(3) && after >= 850, "{table}");
    }
    insta::assert_snapshot!(table);
}
