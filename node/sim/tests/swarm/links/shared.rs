//! Two who share a bottleneck: two downloads, and one beside a TCP connection.

use std::time::Duration;

use riffle_sim::world::{Cut, Fault};

use riffle_sim::goodput::{Link, carried_in, downloads, owners, permille_between, queue_permille};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn two_downloaders_share_a_bottleneck_evenly() {
    let link = Link::new(100, 20);
    let (mut world, owners) = owners(&[link], carried_in(&link, MINUTE), 1);
    world.watch(owners[0]);
    let began = world.now;
    let hosts = [downloads(&mut world, &link), downloads(&mut world, &link)];
    // They are to share the link, and not what came over it.
    let cut = Cut { from: hosts.to_vec(), to: hosts.to_vec() };
    world.fault(world.now, Fault::Cut(cut));
    world.run(began + MINUTE, |_| false);
    let until = began + MINUTE;
    let shares = hosts.map(|host| permille_between(&world, host, began, until, link.rate()));
    let queue = queue_permille(&world, began, until, link.rtt);
    let sum: u64 = shares.iter().sum();
    for share in shares {
        assert!((400..=600).contains(&(share * 1000 / sum)), "{shares:?}");
    }
    insta::assert_snapshot!(format!("{shares:?}, queue {queue}"));
}

#[test]
fn a_cubic_connection_keeps_its_quarter() {
    let link = Link::new(100, 20);
    let (mut world, owners) = owners(&[link], carried_in(&link, MINUTE), 1);
    world.watch(owners[0]);
    let began = world.now;
    world.start_cubic(owners[0]);
    let host = downloads(&mut world, &link);
    let until = began + MINUTE;
    world.run(until, |_| false);
    let ours = permille_between(&world, host, began, until, link.rate());
    let capacity = link.rate() * MINUTE.as_secs();
    let theirs = world.cubic().delivered_bytes * 1000 / capacity;
    let queue = queue_permille(&world, began, until, link.rtt);
    assert!(theirs >= 250, "{theirs}, ours {ours}");
    insta::assert_snapshot!(format!("ours {ours}, theirs {theirs}, queue {queue}"));
}

#[test]
fn a_cubic_connection_alone_fills_the_link() {
    let link = Link::new(100, 20);
    let (mut world, owners) = owners(&[link], 1, 1);
    let began = world.now;
    world.start_cubic(owners[0]);
    world.run(began + MINUTE, |_| false);
    let delivered = world.cubic().delivered_bytes * 1000 / (link.rate() * MINUTE.as_secs());
    assert!(delivered >= 950, "the model itself: {delivered}");
}
