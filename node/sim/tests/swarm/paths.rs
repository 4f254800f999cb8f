//! The size of datagrams that a path carries: nodes find it, lose it again, and never believe it without proof.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Event, Existing, Waiting, Wanted};

use riffle_sim::link::{Bursts, ETHERNET, LinkSpec};
use riffle_sim::world::OwnerScript;
use riffle_sim::world::{Fault, HostId, Manners, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// The packet size of a loopback interface, as far as IPv4 can use it.
const LOOPBACK: u64 = 65_535;

fn lan(mtu: u64) -> LinkSpec {
    LinkSpec { mtu, ..LinkSpec::new(100, Duration::from_millis(20)) }
}

/// The instant that is `millis` milliseconds after the start.
fn after(millis: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_millis(1000 + millis)
}

/// A downloader behind `down`, which wants the file from the third second on, and an owner behind each of `links`.
fn world(down: LinkSpec, links: &[LinkSpec], length: u64) -> (World, HostId, Vec<HostId>) {
    world_of_seed(5, down, links, length)
}

fn world_of_seed(seed: u64, down: LinkSpec, links: &[LinkSpec], length: u64) -> (World, HostId, Vec<HostId>) {
    let mut world = World::new(seed, LinkSpec::new(1000, Duration::from_millis(20)));
    world.library.add(NAME, length);
    let mut settings = NodeSettings::default();
    settings.network.segment_size = 65_507;
    let downloader = world.add_host(down, settings);
    let owners = links.iter().map(|link| {
        let host = world.add_host(*link, NodeSettings::default());
        let content = world.library.named(NAME);
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        host
    });
    let owners = owners.collect();
    let wanted = Wanted::Name(world.library.named(NAME).name.clone(), String::new());
    let destination = Destination::Folder(PathBuf::from("/saved"));
    world.wish(
        after(3000),
        downloader,
        DownloadOrder {
            wanted,
            destination,
            existing: Existing::Keep,
            select: Vec::new(),
            save: riffle_core::SaveOptions::default(),
            sequential: false,
            timeouts: DownloadTimeouts::NONE,
        },
    );
    (world, downloader, owners)
}

/// Runs until the file is there, at the latest `within` milliseconds after the start; how long it took, from the order
/// on.
fn finishes(world: &mut World, host: HostId, within: u64) -> Duration {
    let done = world.run(after(within), |world| world.hosts[host.0].is_content());
    let now = world.now;
    assert!(done, "not done by {now:?}: {:#?}", world.hosts[host.0].node.status(now).downloads);
    now.since(after(3000))
}

/// The sizes that the path from `owner` carried according to the reports, in order.
fn carried(world: &World, host: HostId, owner: HostId) -> Vec<u16> {
    let from = world.hosts[owner.0].address;
    let told = |(_, event): &(Timestamp, Event)| match event {
        Event::PathCarries { peer, datagram, .. } if *peer == from => Some(*datagram),
        _ => None,
    };
    world.hosts[host.0].events.iter().filter_map(told).collect()
}

#[test]
fn each_path_is_found_to_carry_what_it_carries() {
    let mtus = [1280, 1420, 1492, ETHERNET, 9000, LOOPBACK];
    let links = mtus.map(lan);
    let wide = LinkSpec { mtu: LOOPBACK, ..LinkSpec::new(1000, Duration::from_millis(20)) };
    let (mut world, downloader, owners) = world(wide, &links, 64 * MIB);
    finishes(&mut world, downloader, 20_000);
    for (mtu, owner) in mtus.iter().zip(&owners) {
        let found = carried(&world, downloader, *owner);
        assert_eq!(found.last().map(|datagram| u64::from(*datagram) + 28), Some(*mtu), "{found:?}");
    }
}

#[test]
fn the_shorter_side_decides_and_a_path_that_carries_just_the_base_is_used_with_it() {
    for (down, up, found) in [(1280, 9000, Some(1252)), (9000, 1280, Some(1252)), (1228, 1500, None)] {
        let (mut world, downloader, owners) = world(lan(down), &[lan(up)], 8 * MIB);
        finishes(&mut world, downloader, 20_000);
        assert_eq!(carried(&world, downloader, owners[0]).last().copied(), found);
    }
}

#[test]
fn probes_that_are_lost_by_chance_are_asked_for_again() {
    let lossy = lan(ETHERNET).percent_loss(20);
    let mut found = Vec::new();
    for seed in 0..8 {
        let (mut world, downloader, owners) = world_of_seed(seed, lossy, &[lossy], 4 * MIB);
        finishes(&mut world, downloader, 60_000);
        found.extend(carried(&world, downloader, owners[0]).iter().max().copied());
    }
    // The longest is lost three times in a row, there or back, at one start in twenty; the one before it hardly ever as
    // well.
    assert!(found.len() == 8 && found.iter().filter(|found| **found == 1472).count() >= 6, "{found:?}");
    assert!(found.iter().all(|found| *found >= 1452), "{found:?}");
}

#[test]
fn a_path_whose_packets_become_shorter_in_the_middle_loses_a_moment() {
    for (before, then, found) in [
        (9000, 1500, 1472),
        (1500, 1280, 1252),
        (1500, 1228, 1200),
        (LOOPBACK, 1500, 1472),
        (LOOPBACK, 9000, 8972),
    ] {
        let (mut world, downloader, owners) = world(lan(LOOPBACK), &[lan(before)], 32 * MIB);
        world.fault(after(4000), Fault::Relink(owners[0], lan(then)));
        let took = finishes(&mut world, downloader, 20_000);
        let told = carried(&world, downloader, owners[0]);
        assert!(told.contains(&1200), "the base size at once: {told:?}");
        assert_eq!(told.last(), Some(&found), "{told:?}");
        // 32 MiB over 100 Mbit/s take 2.9 s.
        assert!(took < Duration::from_millis(4200), "{before} to {then}: {took:?}");
    }
}

#[test]
fn a_path_that_carries_more_later_is_looked_at_again() {
    let slow = |mtu| LinkSpec { up: 125_000, ..lan(mtu) };
    let (mut world, downloader, owners) = world(lan(9000), &[slow(9000)], 160 * MIB);
    world.fault(after(8000), Fault::Relink(owners[0], slow(1500)));
    world.fault(after(30_000), Fault::Relink(owners[0], slow(9000)));
    world.run(after(90_000), |_| false);
    assert_eq!(carried(&world, downloader, owners[0]), [8972, 1200, 1472, 8972]);
}

#[test]
fn what_one_session_found_the_next_one_knows() {
    let (mut world, downloader, owners) = world(lan(9000), &[lan(9000)], 8 * MIB);
    let content = world.library.add("second.bin", 8 * MIB).clone();
    world.share(owners[0], PathBuf::from("/shared/second.bin"), content.name.clone(), content.id);
    finishes(&mut world, downloader, 10_000);
    let wanted = Wanted::Name(content.name.clone(), String::new());
    let destination = Destination::Folder(PathBuf::from("/saved"));
    world.wish(
        after(20_000),
        downloader,
        DownloadOrder {
            wanted,
            destination,
            existing: Existing::Keep,
            select: Vec::new(),
            save: riffle_core::SaveOptions::default(),
            sequential: false,
            timeouts: DownloadTimeouts::NONE,
        },
    );
    // In the middle of the second download: it uses what the first one has found, and nobody probed again.
    world.run(after(20_300), |_| false);
    let now = world.now;
    let status = world.hosts[downloader.0].node.status(now);
    assert_eq!(status.downloads[0].owners[0].datagram, 8972);
    assert_eq!(carried(&world, downloader, owners[0]), [8972]);
    finishes(&mut world, downloader, 30_000);
}

#[test]
fn an_outage_is_not_taken_for_a_short_path_for_long() {
    let (mut world, downloader, owners) = world(lan(9000), &[lan(9000)], 32 * MIB);
    let dead = LinkSpec { loss: 1_000_000, ..lan(9000) };
    world.fault(after(4000), Fault::Relink(owners[0], dead));
    world.fault(after(5000), Fault::Relink(owners[0], lan(9000)));
    finishes(&mut world, downloader, 20_000);
    assert_eq!(carried(&world, downloader, owners[0]).last(), Some(&8972));
}

#[test]
fn an_owner_that_never_answers_probes_is_fetched_from_all_the_same() {
    let (mut world, downloader, owners) = world(lan(9000), &[lan(9000)], 8 * MIB);
    world.hosts[owners[0].0].manners = Manners::Scripted(OwnerScript::IgnoresProbes);
    finishes(&mut world, downloader, 20_000);
    assert_eq!(carried(&world, downloader, owners[0]), []);
}

#[test]
fn an_owner_that_claims_sizes_and_does_not_keep_them_is_believed_once_a_minute() {
    let (mut world, downloader, owners) = world(lan(9000), &[lan(9000)], 8 * MIB);
    world.hosts[owners[0].0].manners = Manners::Scripted(OwnerScript::DropsLongChunks);
    finishes(&mut world, downloader, 20_000);
    let told = carried(&world, downloader, owners[0]);
    assert!(told.len() <= 4 && told.last() == Some(&1200), "{told:?}");
}

#[test]
fn where_bursts_lose_their_ends_the_owner_is_asked_to_send_them_apart() {
    for leave in [0, 1, 2, 5] {
        let broken = LinkSpec { gso_limit: Some(leave), ..lan(ETHERNET) };
        let (mut world, downloader, owners) = world(lan(ETHERNET), &[broken], 32 * MIB);
        let took = finishes(&mut world, downloader, 60_000);
        assert_eq!(carried(&world, downloader, owners[0]).last(), Some(&1472));
        // 32 MiB over 100 Mbit/s take 2.9 s.
        assert!(world.record.bursts_no_gso > 0, "the owner was told");
        // What never arrives at all is waited for, timeout by timeout, before it is known why.
        let most = Duration::from_secs(if leave == 0 { 7 } else { 4 });
        assert!(took < most, "only {leave} segments of a burst arrive: {took:?}");
    }
}

/// As with an owner that does not know the capability: what remains is to ask for single segments.
#[test]
fn where_bursts_lose_their_ends_and_sending_apart_does_not_help_single_segments_are_asked_for() {
    let broken = LinkSpec { gso_limit: Some(0), limits_no_gso: true, ..lan(ETHERNET) };
    let (mut world, downloader, _) = world(lan(ETHERNET), &[broken], 8 * MIB);
    let took = finishes(&mut world, downloader, 60_000);
    assert!(world.record.bursts_no_gso > 0, "it was tried");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn loss_outages_and_short_queues_are_not_taken_for_broken_offload() {
    let short = LinkSpec { queue: 25_000, ..lan(ETHERNET) };
    let bad = Bursts { turns_bad: 1_000, turns_good: 10_000, loss: 900_000 };
    for link in [lan(ETHERNET).percent_loss(20), short, LinkSpec { bursts: Some(bad), ..lan(ETHERNET) }] {
        let (mut world, downloader, owners) = world(lan(ETHERNET), &[link], 16 * MIB);
        world.fault(after(3500), Fault::Relink(owners[0], LinkSpec { loss: 1_000_000, ..link }));
        world.fault(after(4500), Fault::Relink(owners[0], link));
        finishes(&mut world, downloader, 60_000);
        assert_eq!(world.record.bursts_no_gso, 0, "{link:?}");
    }
}

/// The path drops every HELLO and would drop every CHUNK. The downloader distinguishes such a path from a firewall,
/// which lets nothing through.
#[test]
fn a_path_that_carries_short_packets_only_is_distinguished_from_one_that_is_closed() {
    let closed = LinkSpec { loss: 1_000_000, ..lan(ETHERNET) };
    for (owner, is_short) in [(lan(1227), true), (lan(1000), true), (closed, false)] {
        let (mut world, downloader, owners) = world(lan(ETHERNET), &[lan(ETHERNET)], MIB);
        // The tracker knows the owner by then.
        world.fault(after(2900), Fault::Relink(owners[0], owner));
        world.run(after(8000), |_| false);
        let mut waits = world.hosts[downloader.0].events.iter().filter_map(|(at, event)| match event {
            Event::DownloadWaits { why, .. } => Some((*at, why.clone())),
            _ => None,
        });
        let (at, why) = waits.next_back().expect("the reason of the wait is reported");
        let peers = vec![world.hosts[owners[0].0].address];
        let expected = match is_short {
            true => Waiting::ShortPath { peers, others: 0 },
            false => Waiting::NoSignOfLife { peers, others: 0 },
        };
        assert_eq!(why, expected);
        assert!(at <= after(3000 + 5000), "within five seconds: {at:?}");
    }
}
