//! A downloader that asks for far more than its path carries, whatever is lost, and says that it listens: how much is
//! left to others there.

use std::time::Duration;

use riffle_sim::goodput::{Link, carried_in, owners};
use riffle_sim::world::World;
use riffle_sim::world::{Behaviour, DownloaderScript};

/// The connection alone fills the link in this.
const FILLS: Duration = Duration::from_secs(5);
/// How long both are watched: until the flooder is slowed down,
const SOON: Duration = Duration::from_secs(20);
/// or several times as long as it takes until it is given more again.
const LONG: Duration = Duration::from_secs(100);
/// Bytes a second: what an owner with a fast line could send.
const GIGABIT: u64 = 125_000_000;

/// A CUBIC connection beside `sessions` that ask for `rate` bytes a second together, over one link: what of it both
/// got, in thousandths, from the start of the sessions on.
fn beside(link: Link, sessions: u32, rate: u64, lasts: Duration) -> (u64, u64) {
    let (mut world, owners) = owners(&[link], carried_in(&link, lasts), 1);
    let content = world.library.named("film.bin").id;
    world.start_cubic(owners[0]);
    world.run(world.now + FILLS, |_| false);
    let script =
        DownloaderScript::new(Behaviour::Steadily(rate / u64::from(sessions)), content, owners[0], sessions);
    let scripted = world.add_scripted_downloader(link.other_end(), script);
    let got =
        |world: &World| [world.cubic().delivered_bytes, world.scripted_downloader(scripted).received_bytes];
    let before = got(&world);
    world.run(world.now + lasts, |_| false);
    let [theirs, taken] =
        [0, 1].map(|of| (got(&world)[of] - before[of]) * 1000 / (link.rate() * lasts.as_secs()));
    (theirs, taken)
}

#[test]
fn a_connection_keeps_its_quarter_beside_who_asks_for_more_than_the_path_carries() {
    let link = Link::new(50, 20);
    let rows = [
        ("twenty times as much", link, 1, GIGABIT),
        ("in four sessions", link, 4, GIGABIT),
        ("twice as much", link, 1, 2 * link.rate()),
        ("far away", Link::new(50, 100), 1, GIGABIT),
        ("a slow line", Link::new(5, 40), 1, GIGABIT),
    ];
    for (name, link, sessions, rate) in rows {
        for lasts in [SOON, LONG] {
            let (theirs, taken) = beside(link, sessions, rate, lasts);
            eprintln!("{name}: {theirs} {taken}");
            assert!(theirs >= 250, "{name}, {lasts:?}: {theirs}, the flooder {taken}");
        }
    }
}

/// Where a burst is lost whole, what goes behind it still finds room: nonces there would say that nearly everything
/// arrives.
#[test]
fn a_queue_that_takes_bursts_whole_loses_nonces_as_well() {
    for (rtt, tenths, rate) in [(40, 10, GIGABIT), (10, 40, GIGABIT), (10, 40, 12_500_000)] {
        let (theirs, taken) = beside(Link::new(50, rtt).queues(tenths).joins(), 1, rate, SOON);
        assert!(theirs >= 600, "{rtt} ms, {rate}: {theirs}, the flooder {taken}");
    }
}
