//! CHOKE, UNCHOKE and CANCEL said for nothing, by owners and by downloaders, and CHUNKs forged on the way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{NodeSettings, UploadPolicy};
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Existing, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::Injector;
use riffle_sim::world::OwnerScript;
use riffle_sim::world::{Behaviour, DownloaderScript};
use riffle_sim::world::{HostId, Manners, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// The start of the download: all other hosts are there by then.
const WANTED_AT: Timestamp = Timestamp::from_nanos(5_000_000_000);
const LENGTH: u64 = 64 * MIB;

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// Owners of one content, and one who wants it.
fn world(owners: usize, policy: UploadPolicy) -> (World, Vec<HostId>, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, LENGTH);
    let mut settings = NodeSettings::default();
    settings.upload.policy = policy;
    let owner = |_| {
        let host = world.add_host(lan(), settings.clone());
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        host
    };
    let owners = (0..owners).map(owner).collect();
    let downloader = world.add_host(lan(), settings.clone());
    let order = DownloadOrder {
        wanted: Wanted::Name(content.name.clone(), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(WANTED_AT, downloader, order);
    (world, owners, downloader)
}

/// The time until `host` has its content, within a limit in seconds.
fn takes(world: &mut World, host: HostId, within: u64) -> Duration {
    let done = world.run(WANTED_AT + Duration::from_secs(within), |world| world.hosts[host.0].is_content());
    let now = world.now;
    assert!(done, "not done by {now:?}: {:#?}", world.hosts[host.0].node.status(now).downloads);
    now.since(WANTED_AT)
}

fn calm(owners: usize, policy: UploadPolicy) -> Duration {
    let (mut world, _, downloader) = world(owners, policy);
    takes(&mut world, downloader, 60)
}

#[test]
fn owners_that_choke_and_call_in_turn_hold_nobody_up() {
    let calm = calm(1, UploadPolicy::TitForTat);
    for script in [OwnerScript::Flaps, OwnerScript::CallsInVain] {
        let (mut world, owners, downloader) = world(9, UploadPolicy::TitForTat);
        for owner in &owners[1..] {
            world.hosts[owner.0].manners = Manners::Scripted(script);
            world.hosts[owner.0].link.spec = LinkSpec::new(100, Duration::from_millis(1));
        }
        let took = takes(&mut world, downloader, 120);
        // An owner that answers and gives nothing is waited for before it loses its slot.
        assert!(took < calm * 3, "{script:?}: {took:?}, calm {calm:?}");
    }
}

#[test]
fn who_takes_back_what_it_asks_for_holds_nobody_up() {
    for policy in [UploadPolicy::TitForTat, UploadPolicy::Fair] {
        let calm = calm(1, policy);
        for sessions in [4, 32] {
            let (mut world, owners, downloader) = world(1, policy);
            let content = world.library.named(NAME).id;
            let takes_back = Behaviour::Cancels(Duration::from_millis(500));
            world.add_scripted_downloader(
                lan(),
                DownloaderScript::new(takes_back, content, owners[0], sessions),
            );
            let took = takes(&mut world, downloader, 300);
            assert!(took < calm * 5 / 2, "{policy:?}, {sessions}: {took:?}, calm {calm:?}");
        }
    }
}

#[test]
fn forged_segments_cost_the_pieces_that_they_are_in_and_nobody_is_banned_for_good() {
    // Of 180 segments that make a piece: none, now and then one, and one in each.
    for owners in [1, 4] {
        let calm = calm(owners, UploadPolicy::TitForTat);
        for one_in in [20_000, 2000, 100] {
            let (mut world, _, downloader) = world(owners, UploadPolicy::TitForTat);
            let until = WANTED_AT + Duration::from_secs(30);
            world.injector = Some(Injector::new(downloader, one_in, until));
            // Who is on the path can hold a download up while it injects; it ends soon after.
            let took = takes(&mut world, downloader, 30 + 10);
            let few = one_in < 20_000 || took <= calm * 3 / 2;
            assert!(few, "{owners} owners, one segment of {one_in} is forged: {took:?}, calm {calm:?}");
        }
    }
}
