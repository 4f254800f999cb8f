//! Swarms whose datagrams are sealed.

use std::time::Duration;

use channel::Policy;
use riffle_sim::goodput::{Link, downloads, owners_with};

#[test]
fn debug() {
    let link = Link::new(100, 20);
    let (mut world, hosts) = owners_with(&[link], 10_000_000, 1, Some(Policy::SEALED));
    let host = downloads(&mut world, &link);
    let begun = world.now;
    let ok = world.run(begun + Duration::from_secs(60), |world| world.hosts[host.0].ended > 0);
    println!("{ok} {:?}", world.now.since(begun));
    for host in [hosts[0], host] {
        let host = &mut world.hosts[host.0];
        println!("{:?}", host.counters());
        let c = host.node.channels().unwrap();
        println!("{c:?} {:?}", c.counters());
        for event in host.events.iter().take(20) {
            println!("{event:?}");
        }
    }
    println!("{:?} {:?}", world.tracker.core.channels(), world.tracker.core.counters());
}
