//! One kind of fault at a time: what it may cost, in time, in bytes fetched twice, in what goes to strangers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{
    Command, Destination, DownloadOrder, DownloadTimeouts, Event, Existing, SessionEnd, Waiting, Wanted,
};

use riffle_sim::disk::DiskFaults;
use riffle_sim::link::{Bursts, LinkSpec};
use riffle_sim::world::{Cut, Fault, Flood, HostId, Manners, Move, TRACKER, WishState, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// What is under way from one owner, and in pieces that it has begun: four of 256 KiB.
const LOST_AT_A_KILL: u64 = 4 * (256 << 10);

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// An instant, in seconds after the start.
fn second(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(1 + seconds)
}

/// A world with one content, `owners` owners of it behind `link` and one who wants it from the third second on; that
/// host is the last one.
fn world(owners: usize, link: LinkSpec, length: u64) -> (World, Vec<HostId>, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    world.library.add(NAME, length);
    let owners = (0..owners).map(|_| owner(&mut world, link)).collect();
    let downloader = world.add_host(link, NodeSettings::default());
    wish(&mut world, downloader, second(3));
    (world, owners, downloader)
}

fn owner(world: &mut World, link: LinkSpec) -> HostId {
    let content = world.library.named(NAME);
    let host = world.add_host(link, NodeSettings::default());
    world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
    host
}

fn wish(world: &mut World, host: HostId, at: Timestamp) {
    let wanted = Wanted::Name(world.library.named(NAME).name.clone(), String::new());
    let destination = Destination::Folder(PathBuf::from("/saved"));
    world.wish(
        at,
        host,
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
}

/// Runs until `host` has what it wants, at the latest in the second `within`; when that was, after the start.
fn finishes(world: &mut World, host: HostId, within: u64) -> Duration {
    let done = world.run(second(within), |world| world.hosts[host.0].is_content());
    let (now, host) = (world.now, &mut world.hosts[host.0]);
    let status = host.node.status(now);
    assert!(done, "not done by {now:?}: {:?} {:#?}", host.person.wishes, status.downloads);
    match host.person.wishes[0].state {
        WishState::Done(at) => at.since(second(0)),
        _ => unreachable!("it is done"),
    }
}

/// What was verified and written before a kill is not asked for again: what comes more than once is what was under way
/// and in pieces that were not complete.
#[test]
fn a_killed_download_fetches_nothing_twice() {
    let (mut world, _, downloader) = world(3, lan(), 64 * MIB);
    for kill in 0..5 {
        world.fault(second(4 + 2 * kill), Fault::Kill(downloader));
        world.fault(second(5 + 2 * kill), Fault::Start(downloader, Move::ToAnotherPort));
    }
    finishes(&mut world, downloader, 40);
    let host = &world.hosts[downloader.0];
    assert_eq!(host.process.former.len(), 5);
    let lost = host.received_bytes() - 64 * MIB;
    assert!(lost <= 5 * 3 * LOST_AT_A_KILL, "{lost} bytes");
    assert_eq!(host.disk.hashed, 0, "the journal is believed while the machine runs");
}

#[test]
fn a_power_loss_costs_hashing_and_no_fetching_of_what_is_durable() {
    let (mut world, _, downloader) = world(2, lan(), 128 * MIB);
    // By then 64 MiB are written, and a sync has been done 5 s after the start of the download.
    world.fault(second(10), Fault::LosePower(downloader));
    world.fault(second(12), Fault::Start(downloader, Move::Nowhere));
    world.run(second(10), |_| false);
    let before = world.hosts[downloader.0].received_bytes();
    assert!(before > 64 * MIB, "{before} bytes");
    finishes(&mut world, downloader, 40);
    let host = &world.hosts[downloader.0];
    assert!(host.disk.hashed > 0, "what was written and not durable is looked at");
    let again = host.received_bytes() - 128 * MIB;
    // Two thirds of what was written in the seconds since the sync are lost or torn.
    assert!(again > 0 && again < before - 50 * MIB, "{again} of {before} bytes are fetched again");
}

#[test]
fn an_owner_that_restarts_on_a_new_port_is_found_again() {
    for moved in [Move::Nowhere, Move::ToAnotherPort, Move::ToAnotherAddress] {
        let (mut world, owners, downloader) = world(1, lan(), 64 * MIB);
        world.fault(second(5), Fault::Kill(owners[0]));
        world.fault(second(6), Fault::Start(owners[0], moved));
        let took = finishes(&mut world, downloader, 60);
        assert!(took < Duration::from_secs(25), "{moved:?}: {took:?}");
    }
}

#[test]
fn an_owner_behind_a_new_address_is_found_again() {
    for moved in [Move::ToAnotherPort, Move::ToAnotherAddress] {
        let (mut world, owners, downloader) = world(1, lan(), 64 * MIB);
        world.fault(second(5), Fault::Rebind(owners[0], moved));
        let took = finishes(&mut world, downloader, 120);
        // Its heartbeat tells the tracker.
        assert!(took < Duration::from_secs(60), "{moved:?}: {took:?}");
    }
}

#[test]
fn a_downloader_behind_a_new_address_goes_on() {
    for moved in [Move::ToAnotherPort, Move::ToAnotherAddress] {
        let (mut world, _, downloader) = world(2, lan(), 64 * MIB);
        world.fault(second(5), Fault::Rebind(downloader, moved));
        let took = finishes(&mut world, downloader, 120);
        assert!(took < Duration::from_secs(60), "{moved:?}: {took:?}");
    }
}

#[test]
fn all_owners_gone_and_back_is_a_pause() {
    let (mut world, owners, downloader) = world(3, lan(), 64 * MIB);
    for &owner in &owners {
        world.fault(second(5), Fault::Kill(owner));
        world.fault(second(300), Fault::Start(owner, Move::ToAnotherPort));
    }
    let took = finishes(&mut world, downloader, 400);
    assert!(took > Duration::from_secs(300) && took < Duration::from_secs(340), "{took:?}");
}

#[test]
fn a_download_goes_on_while_the_tracker_is_away_for_ten_minutes() {
    let slow = LinkSpec::new(1, Duration::from_millis(20));
    let (mut world, _, downloader) = world(1, slow, 60 * MIB);
    world.fault(second(10), Fault::TrackerGone);
    world.fault(second(610), Fault::TrackerStarts);
    let took = finishes(&mut world, downloader, 600);
    // 60 MiB over 1 Mbit/s take 503 s.
    assert!(took < Duration::from_secs(560), "{took:?}");
}

#[test]
fn tables_are_whole_within_one_heartbeat_and_five_seconds() {
    let (mut world, owners, _) = world(8, lan(), MIB);
    world.fault(second(30), Fault::TrackerGone);
    world.fault(second(630), Fault::TrackerStarts);
    world.run(second(655), |_| false);
    // A downloader that comes now finds all owners.
    let late = world.add_host(lan(), NodeSettings::default());
    wish(&mut world, late, second(655));
    finishes(&mut world, late, 657);
    let heard = |owner: &HostId| {
        let restored =
            |(at, event): &(Timestamp, Event)| *at > second(630) && matches!(event, Event::Announced { .. });
        world.hosts[owner.0].events.iter().any(restored)
    };
    assert!(owners.iter().all(heard), "every owner has told the new tracker what it has");
}

#[test]
fn an_address_that_was_never_proven_gets_no_more_than_it_sent() {
    let (mut world, _, downloader) = world(2, lan(), 8 * MIB);
    let content = world.library.named(NAME).id;
    let flood = Flood { until: second(30), every: Duration::from_micros(500), content };
    world.fault(second(1), Fault::Flood(flood));
    // The check itself is made at every packet that goes to nobody.
    let took = finishes(&mut world, downloader, 30);
    assert!(took < Duration::from_secs(6), "{took:?}");
    world.run(second(31), |_| false);
    assert!(world.strangers.sent > 50_000, "{}", world.strangers.sent);
    assert!(world.strangers.answered() > 1000, "{} bytes went to them", world.strangers.answered());
}

#[test]
fn a_partition_is_a_pause_for_those_on_the_far_side() {
    for one_way in [false, true] {
        let (mut world, owners, downloader) = world(2, lan(), 64 * MIB);
        let far = vec![downloader];
        let near: Vec<_> = owners.iter().copied().chain([TRACKER]).collect();
        if !one_way {
            world.fault(second(5), Fault::Cut(Cut { from: near.clone(), to: far.clone() }));
        }
        world.fault(second(5), Fault::Cut(Cut { from: far, to: near }));
        world.fault(second(95), Fault::MendCuts);
        let took = finishes(&mut world, downloader, 200);
        assert!(took < Duration::from_secs(125), "one way: {one_way}: {took:?}");
    }
}

#[test]
fn bursty_loss_is_survived_at_speed() {
    // A tenth of the packets are sent while the link is bad, which then loses nine in ten of them.
    let bursts = Bursts { turns_bad: 1_000, turns_good: 10_000, loss: 900_000 };
    let link = LinkSpec { bursts: Some(bursts), ..lan() };
    let (mut world, _, downloader) = world(3, link, 32 * MIB);
    let took = finishes(&mut world, downloader, 60);
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn chunks_that_are_damaged_on_their_way_cost_pieces_and_no_owner_for_good() {
    let link = LinkSpec { damaged: 500, ..lan() };
    let (mut world, _, downloader) = world(1, link, 16 * MIB);
    finishes(&mut world, downloader, 120);
    let host = &world.hosts[downloader.0];
    assert!(host.node.counters().bad_pieces > 0, "some were bad");
}

#[test]
fn liars_are_found_out_and_the_honest_owner_is_enough() {
    for manners in [Manners::Liar(1_000_000), Manners::Liar(5_000)] {
        let (mut world, owners, downloader) = world(3, lan(), 32 * MIB);
        world.hosts[owners[1].0].manners = manners;
        world.hosts[owners[2].0].manners = manners;
        let took = finishes(&mut world, downloader, 60);
        assert!(took < Duration::from_secs(15), "{manners:?}: {took:?}");
        let banned = |(_, event): &(Timestamp, Event)| {
            matches!(event, Event::OwnerLost { why: SessionEnd::BadPieces | SessionEnd::BadOutboard, .. })
        };
        assert!(world.hosts[downloader.0].events.iter().any(banned), "{manners:?}");
    }
}

#[test]
fn owners_that_say_welcome_and_give_nothing_and_silent_ones_cost_little() {
    for manners in [Manners::Mute, Manners::Silent] {
        let (mut world, owners, downloader) = world(4, lan(), 32 * MIB);
        owners[1..].iter().for_each(|owner| world.hosts[owner.0].manners = manners);
        let took = finishes(&mut world, downloader, 60);
        assert!(took < Duration::from_secs(15), "{manners:?}: {took:?}");
    }
}

#[test]
fn a_stopped_process_goes_on_where_it_was() {
    for stopped in [0, 2] {
        let (mut world, _, downloader) = world(2, lan(), 64 * MIB);
        world.fault(second(5), Fault::Stop(HostId(stopped), Duration::from_secs(30)));
        let took = finishes(&mut world, downloader, 120);
        let most = if stopped == 2 { 50 } else { 15 };
        assert!(took < Duration::from_secs(most), "host {stopped} was stopped: {took:?}");
    }
}

#[test]
fn what_does_not_fit_the_receive_buffer_of_a_stopped_process_is_asked_for_again() {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    world.library.add(NAME, 32 * MIB);
    owner(&mut world, lan());
    let downloader = world.add_host_with(lan(), NodeSettings::default(), 128 << 10);
    wish(&mut world, downloader, second(3));
    world.fault(second(5), Fault::Stop(downloader, Duration::from_millis(300)));
    let took = finishes(&mut world, downloader, 60);
    assert!(world.hosts[downloader.0].receive_buffer.overflowed > 0);
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn a_slow_disk_slows_and_a_failing_one_is_tried_again() {
    let (mut world, _, downloader) = world(2, lan(), 32 * MIB);
    world.hosts[downloader.0].disk.faults.latency = Duration::from_secs(3);
    finishes(&mut world, downloader, 60);

    let (mut world, _, downloader) = self::world(2, lan(), 32 * MIB);
    let failing = DiskFaults { errors: 20_000, ..DiskFaults::default() };
    world.hosts[downloader.0].disk.faults = failing;
    world.fault(second(60), Fault::Redisk(downloader, DiskFaults::default()));
    finishes(&mut world, downloader, 90);
    let host = &world.hosts[downloader.0];
    assert!(host.ended > 1, "it failed at least once");
    assert!(
        host.received_bytes() < 32 * MIB + 2 * LOST_AT_A_KILL * host.ended as u64,
        "{}",
        host.received_bytes()
    );
}

#[test]
fn a_full_disk_is_waited_for() {
    let (mut world, _, downloader) = world(2, lan(), 32 * MIB);
    world.hosts[downloader.0].disk.faults.full = Some(second(4)..second(60));
    let took = finishes(&mut world, downloader, 120);
    assert!(took > Duration::from_secs(60) && took < Duration::from_secs(80), "{took:?}");
}

/// What was handed over before the disk was full is stored after it has refused what came later.
#[test]
fn what_a_full_disk_refused_is_stored_again_though_others_are_stored_meanwhile() {
    let (mut world, _, downloader) = world(2, lan(), 8 * MIB);
    let slow = Duration::from_millis(500);
    let full = Some(second(3) + Duration::from_millis(600)..second(3) + Duration::from_millis(750));
    world.hosts[downloader.0].disk.faults = DiskFaults { latency: slow, full, ..DiskFaults::default() };
    let took = finishes(&mut world, downloader, 60);
    let waits = |(_, event): &(Timestamp, Event)| {
        matches!(event, Event::DownloadWaits { why: Waiting::DiskFull { .. }, .. })
    };
    assert!(world.hosts[downloader.0].events.iter().any(waits), "the disk was full");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_host_that_leaves_and_comes_back_wants_what_it_wanted() {
    let (mut world, _, downloader) = world(2, lan(), 32 * MIB);
    world.command(second(4), downloader, Command::Leave);
    world.fault(second(10), Fault::Start(downloader, Move::Nowhere));
    finishes(&mut world, downloader, 30);
    let host = &world.hosts[downloader.0];
    assert!(host.received_bytes() < 32 * MIB + 2 * LOST_AT_A_KILL, "{}", host.received_bytes());
}

#[test]
fn owners_hear_that_a_downloader_is_done_when_its_file_has_its_name() {
    let (mut world, owners, downloader) = world(2, lan(), 8 * MIB);
    world.hosts[downloader.0].disk.faults.nameless = true;
    let told = |world: &World| {
        let said = owners.iter().flat_map(|owner| &world.hosts[owner.0].events);
        said.filter(|(_, event)| matches!(event, Event::UploadEnded { why: SessionEnd::Done, .. })).count()
    };
    let has_failed = |world: &World| {
        world.hosts[downloader.0].events.iter().any(|(_, e)| matches!(e, Event::DownloadFailed { .. }))
    };
    assert!(world.run(second(30), has_failed), "every piece is there, and no name is to be had");
    world.run(world.now + Duration::from_millis(500), |_| false);
    assert_eq!(told(&world), 0, "nothing is done");
    world.hosts[downloader.0].disk.faults.nameless = false;
    finishes(&mut world, downloader, 60);
    world.run(world.now + Duration::from_millis(500), |_| false);
    assert!(told(&world) > 0, "somebody served the rest, or told what it is");
}
