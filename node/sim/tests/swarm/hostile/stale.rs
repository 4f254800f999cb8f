//! Cookies that an owner made before it was restarted, and such as it made for others: they prove nothing, cost it
//! nothing, and hold nobody up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Event, Existing, SessionEnd, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{Behaviour, DownloaderScript, addresses};
use riffle_sim::world::{Fault, HostId, Move, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
const WANTED_AT: Timestamp = Timestamp::from_nanos(5_000_000_000);
/// There and back.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// An owner of so many MiB.
fn world(mebibytes: u64) -> (World, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, ROUND_TRIP));
    let content = world.library.add(NAME, mebibytes * MIB);
    let owner = world.add_host(LinkSpec::new(100, ROUND_TRIP), NodeSettings::default());
    world.share(owner, Path::new("/shared").join(NAME), content.name.clone(), content.id);
    (world, owner)
}

/// A host that downloads the content.
fn downloader(world: &mut World) -> HostId {
    let host = world.add_host(LinkSpec::new(100, ROUND_TRIP), NodeSettings::default());
    let order = DownloadOrder {
        wanted: Wanted::Name(world.library.named(NAME).name.clone(), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(WANTED_AT, host, order);
    host
}

/// How long nothing comes to the downloader when its only owner is killed at `killed` and runs again after `down`, from
/// when it runs.
fn stands_still(killed: Timestamp, down: Duration) -> Duration {
    let (mut world, owner) = world(64);
    let host = downloader(&mut world);
    let runs = killed + down;
    world.fault(killed, Fault::Kill(owner));
    world.fault(runs, Fault::Start(owner, Move::Nowhere));
    world.run(runs, |_| false);
    let before = world.hosts[host.0].received_bytes();
    assert!(before > 0 && !world.hosts[host.0].is_content());
    let comes = |world: &World| world.hosts[host.0].received_bytes() > before;
    assert!(world.run(runs + Duration::from_secs(60), comes), "nothing comes again");
    let stood = world.now.since(runs);
    let ends = world.run(runs + Duration::from_secs(60), |world| world.hosts[host.0].is_content());
    assert!(ends, "nor all");
    let events = &world.hosts[host.0].events;
    let lost = |event: &Event| matches!(event, Event::OwnerLost { why, .. } if *why != SessionEnd::Done);
    assert!(events.iter().any(|(_, event)| lost(event)), "the session of the other life has ended");
    stood
}

#[test]
fn a_download_goes_on_soon_after_its_only_owner_was_restarted() {
    // While it still asks now and then whether anybody is there, it learns at once that it is to greet anew: by a
    // cookie of the other life first, which takes one round trip more. Given up, the owner is tried again after a rest,
    // which grows to 20 s.
    for (down, most) in [(100, 200), (1000, 400), (5000, 400), (15_000, 4000), (40_000, 20_500)] {
        let [down, most] = [down, most].map(Duration::from_millis);
        let stood = stands_still(WANTED_AT + Duration::from_secs(3), down);
        assert!(stood <= most, "{stood:?} after {down:?}");
    }
}

/// The bytes that a thousand sessions with old cookies send and receive in 10 s, and the owner's sessions after that.
fn thousand(of_neighbour: bool) {
    let (mut world, owner) = world(1);
    let content = world.library.named(NAME).id;
    let every = Duration::from_secs(1);
    let mut script = DownloaderScript::new(Behaviour::Stales { every, of_neighbour }, content, owner, 1000);
    script.addresses = addresses(4);
    let scripted = world.add_scripted_downloader(LinkSpec::new(1000, ROUND_TRIP), script);
    world.run(WANTED_AT, |_| false);
    if !of_neighbour {
        assert_eq!(world.scripted_downloader(scripted).open(), 1000);
        world.fault(WANTED_AT, Fault::Kill(owner));
        world.fault(WANTED_AT, Fault::Start(owner, Move::Nowhere));
    }
    let traffic = |world: &World| {
        let scripted = world.scripted_downloader(scripted);
        (scripted.sent.bytes, scripted.received.bytes)
    };
    let (sent_before, received_before) = traffic(&world);
    world.run(WANTED_AT + Duration::from_secs(10), |_| false);
    let (sent, received) = traffic(&world);
    let (sent, received) = (sent - sent_before, received - received_before);
    assert!(sent >= 9 * 1000 * 50 && received > 0 && received <= sent, "{received} bytes for {sent}");
    let now = world.now;
    assert_eq!(world.hosts[owner.0].node.status(now).uploads.len(), 0, "it keeps nothing of them");
    let host = downloader(&mut world);
    assert!(
        world.run(now + Duration::from_secs(5), |world| world.hosts[host.0].is_content()),
        "nor from others"
    );
}

#[test]
fn a_thousand_cookies_of_another_life_or_of_others_are_worth_nothing() {
    thousand(false);
    thousand(true);
}
