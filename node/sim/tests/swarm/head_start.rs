//! Over a long path the first piece comes with the outboard: how much sooner, and that nothing is lost or fetched twice
//! by it, whatever becomes of the owner, the part file or the target.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Event, Existing, SessionEnd, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{Fault, HostId, Move, World};

const MIB: u64 = 1 << 20;
const PIECE: u64 = 256 << 10;
const NAME: &str = "film.bin";
/// By then every owner has announced the content.
const BEGINS: Timestamp = Timestamp::from_nanos(5_000_000_000);
const RTT: Duration = Duration::from_millis(200);

fn far() -> LinkSpec {
    LinkSpec::new(100, RTT)
}

/// A world in which one host wants a content of `length` bytes over `link`, and has `owners` behind these links.
fn world(link: LinkSpec, owners: &[LinkSpec], length: u64) -> (World, Vec<HostId>, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, length);
    let owners = owners.iter().map(|link| {
        let host = world.add_host(*link, NodeSettings::default());
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        host
    });
    let owners: Vec<HostId> = owners.collect();
    let host = world.add_host(link, NodeSettings::default());
    world.watch(owners[0]);
    let order = DownloadOrder {
        wanted: Wanted::Content(content.id),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(BEGINS, host, order);
    (world, owners, host)
}

fn finishes(world: &mut World, host: HostId) {
    let done = world.run(BEGINS + Duration::from_secs(120), |world| world.hosts[host.0].is_content());
    assert!(done, "{:#?}", world.hosts[host.0].node.status(world.now).downloads);
}

fn first_of<T>(world: &World, host: HostId, what: impl Fn(&Event) -> Option<T>) -> Option<(Timestamp, T)> {
    world.hosts[host.0].events.iter().find_map(|(at, event)| Some((*at, what(event)?)))
}

/// The round trips, in hundredths, from when an owner has answered until the first byte of a piece is here.
fn round_trips_to_first_byte(rtt: Duration) -> u128 {
    let link = LinkSpec::new(100, rtt);
    let (mut world, _, host) = world(link, &[link], 16 * MIB);
    world.run(BEGINS + Duration::from_secs(10), |world| !world.watched().arrived.is_empty());
    let is_ready = |event: &Event| matches!(event, Event::OwnerReady { .. }).then_some(());
    let (ready, ()) = first_of(&world, host, is_ready).expect("an owner has answered");
    let took = world.watched().arrived[0].at.since(ready);
    finishes(&mut world, host);
    assert_eq!(world.hosts[host.0].received_bytes(), 16 * MIB, "nothing is thrown away");
    took.as_nanos() * 100 / rtt.as_nanos()
}

#[test]
fn over_a_long_path_the_first_byte_comes_a_round_trip_sooner() {
    for rtt in [100, 200, 800] {
        let took = round_trips_to_first_byte(Duration::from_millis(rtt));
        assert!(took < 150, "{took} hundredths of a round trip of {rtt} ms");
    }
    let took = round_trips_to_first_byte(Duration::from_millis(60));
    assert!(took >= 200, "{took}: over a shorter path the outboard comes first");
}

/// The world itself fails when a node takes a byte of a piece that it has stored.
#[test]
fn a_killed_download_goes_on_and_fetches_no_piece_twice() {
    let (mut world, _, host) = world(far(), &[far()], 32 * MIB);
    world.fault(BEGINS + Duration::from_secs(3), Fault::Kill(host));
    world.fault(BEGINS + Duration::from_secs(4), Fault::Start(host, Move::ToAnotherPort));
    world.run(BEGINS + Duration::from_secs(3), |_| false);
    let before = world.hosts[host.0].received_bytes();
    assert!(before > 4 * MIB, "{before} bytes before the kill");
    finishes(&mut world, host);
    let again = world.hosts[host.0].received_bytes() - 32 * MIB;
    // What was outstanding, and the begun pieces.
    assert!(again <= 20 * PIECE, "{again} bytes");
    assert!(
        first_of(&world, host, |event| matches!(event, Event::DownloadResumed { .. }).then_some(()))
            .is_some()
    );
}

#[test]
fn what_is_at_the_target_already_is_not_fetched() {
    let (mut world, _, host) = world(far(), &[far()], 32 * MIB);
    let content = world.library.named(NAME).id;
    world.hosts[host.0].disk.files.insert(Path::new("/saved").join(NAME), content);
    finishes(&mut world, host);
    assert_eq!(world.hosts[host.0].received_bytes(), 0);
}

#[test]
fn an_owner_that_goes_with_the_piece_half_sent_costs_at_most_that_piece() {
    let is_lost = |event: &Event| match event {
        Event::OwnerLost { why, .. } => Some(*why),
        _ => None,
    };
    // The piece takes the slow owner 0.42 s.
    let slow = LinkSpec { up: 625_000, delay: RTT / 8, ..far() };
    for leaves in [true, false] {
        for after in [0, 1, 10, 100, 300] {
            let (mut world, owners, host) = world(far(), &[slow, far()], 16 * MIB);
            world.run(BEGINS + Duration::from_secs(10), |world| !world.watched().arrived.is_empty());
            let (at, owner) = (world.now + Duration::from_millis(after), owners[0]);
            world.fault(at, if leaves { Fault::Leave(owner) } else { Fault::Kill(owner) });
            finishes(&mut world, host);
            let (counters, why) = (world.hosts[host.0].node.counters(), first_of(&world, host, is_lost));
            let what = format!("{after} ms, leaves {leaves}, {why:?}, {counters:?}");
            assert!(!leaves || matches!(why, Some((_, SessionEnd::PeerLeft | SessionEnd::Gone))), "{what}");
            assert!(world.hosts[host.0].received_bytes() <= 16 * MIB + PIECE, "{what}");
            assert_eq!(counters.bad_pieces, 0, "{what}");
        }
    }
}
