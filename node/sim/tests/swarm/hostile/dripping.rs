//! Owners that send just enough not to count as silent: how much longer a download takes beside many of them, when one
//! honest owner could serve all of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Event, Existing, Wanted};

use riffle_sim::content::Content;
use riffle_sim::link::LinkSpec;
use riffle_sim::scenario::{HostSpec, Scenario, run};
use riffle_sim::world::OwnerScript;
use riffle_sim::world::{HostId, Manners, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// The time by which every owner has announced its contents.
const BEGINS: Duration = Duration::from_secs(5);

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// One download of `length` bytes from an honest owner, which comes after `before` of the `dripping` owners. Each of
/// those sends one segment in each period of `every`.
fn scenario(seed: u64, length: u64, (dripping, before, every): (usize, usize, Duration)) -> Scenario {
    let drips = HostSpec {
        manners: Manners::Scripted(OwnerScript::Drips(every)),
        ..HostSpec::new(lan()).sends(NAME)
    };
    let mut hosts = vec![HostSpec::new(lan()).downloads(NAME, BEGINS)];
    hosts.extend(vec![drips; dripping]);
    hosts.insert(1 + before, HostSpec::new(lan()).sends(NAME));
    Scenario {
        seed,
        contents: vec![(NAME, length)],
        hosts,
        tracker_link: LinkSpec::new(1000, Duration::from_millis(20)),
        within: Duration::from_secs(300),
        timeouts: DownloadTimeouts::NONE,
    }
}

fn took(seed: u64, length: u64, who: (usize, usize, Duration)) -> Duration {
    run(&scenario(seed, length, who)).only().took
}

#[test]
fn owners_that_drip_do_not_keep_one_out_that_serves() {
    let ms = Duration::from_millis;
    for (length, dripping, every) in [
        (64 * MIB, 19, ms(1500)),
        (64 * MIB, 19, ms(300)),
        (64 * MIB, 100, ms(1500)),
        (64 * MIB, 100, ms(300)),
    ] {
        let calm = took(1, length, (0, 0, every));
        for (seed, before) in [(1, 0), (2, dripping / 2), (3, dripping)] {
            let beside = took(seed, length, (dripping, before, every));
            assert!(
                beside <= 3 * calm,
                "{dripping} that drip each {every:?}, seed {seed}: {beside:?} instead of {calm:?}"
            );
        }
    }
}

#[test]
fn owners_that_drip_and_are_alone_are_asked_on_without_haste() {
    let mut world = World::new(1, lan());
    let content = world.library.add(NAME, 4 * MIB);
    for _ in 0..19 {
        let host = world.add_host(lan(), NodeSettings::default());
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        world.hosts[host.0].manners = Manners::Scripted(OwnerScript::Drips(Duration::from_millis(1500)));
    }
    let host = wish(&mut world, &content);
    world.run(Timestamp::ZERO + BEGINS + Duration::from_secs(60), |_| false);
    let events = &world.hosts[host.0].events;
    let ended = events.iter().filter(|(_, event)| matches!(event, Event::OwnerLost { .. })).count();
    assert!(ended <= 20, "{ended} sessions ended");
    let received = world.hosts[host.0].received_bytes();
    assert!(received >= 64 << 10, "{received} bytes in a minute");
}

#[test]
fn an_honest_owner_among_hundreds_that_say_nothing_is_found_in_bounded_time() {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, 16 * MIB);
    for number in 0..=400 {
        let host = world.add_host(lan(), NodeSettings::default());
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        world.hosts[host.0].manners = if number < 400 { Manners::Silent } else { Manners::Honest };
    }
    let host = wish(&mut world, &content);
    let until = Timestamp::ZERO + BEGINS + Duration::from_secs(60);
    let done = world.run(until, |world| world.hosts[host.0].is_content());
    assert!(done, "{:#?}", world.hosts[host.0].node.status(until).downloads);
}

/// An owner that drips has been asked for all there is, and the next owner comes 10 s later. How fast that one is nobody
/// knows, so it is tried.
#[test]
fn an_owner_that_comes_late_is_asked_for_what_an_owner_that_drips_keeps() {
    let mut world = World::new(1, lan());
    let content = world.library.add(NAME, 60_000);
    let owners = [0, 1].map(|_| world.add_host(lan(), NodeSettings::default()));
    world.hosts[owners[0].0].manners = Manners::Scripted(OwnerScript::Drips(Duration::from_millis(600)));
    let path = Path::new("/shared").join(NAME);
    world.share(owners[0], path.clone(), content.name.clone(), content.id);
    let host = wish(&mut world, &content);
    world.run(Timestamp::ZERO + BEGINS + Duration::from_secs(10), |_| false);
    assert!(!world.hosts[host.0].is_content());
    world.share(owners[1], path, content.name.clone(), content.id);
    // The tracker is asked for owners every few seconds.
    let until = world.now + Duration::from_secs(8);
    let done = world.run(until, |world| world.hosts[host.0].is_content());
    assert!(done, "{:#?}", world.hosts[host.0].node.status(until).downloads);
}

/// A host that downloads the content when every owner has announced it.
fn wish(world: &mut World, content: &Content) -> HostId {
    let host = world.add_host(lan(), NodeSettings::default());
    let order = DownloadOrder {
        wanted: Wanted::Content(content.id),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(Timestamp::ZERO + BEGINS, host, order);
    host
}
