//! Trust in owners: owners on parole, the last owner behind a bad path, and how many bad pieces a liar gets to give.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Event, Existing, Waiting, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{HostId, Manners, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// A world with owners of one content, each behind its own link, and one who wants it; that host is the last one.
fn world(links: &[LinkSpec], length: u64) -> (World, Vec<HostId>, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, length);
    let owner = |link: &LinkSpec| {
        let host = world.add_host(*link, NodeSettings::default());
        world.share(host, Path::new("/shared").join(NAME), content.name.clone(), content.id);
        host
    };
    let owners = links.iter().map(owner).collect();
    let downloader = world.add_host(lan(), NodeSettings::default());
    let order = DownloadOrder {
        wanted: Wanted::Name(content.name.clone(), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(Timestamp::ZERO + Duration::from_secs(2), downloader, order);
    (world, owners, downloader)
}

/// Runs until `host` has what it wants, at the latest after so many seconds.
fn finishes(world: &mut World, host: HostId, within: u64) {
    let deadline = Timestamp::ZERO + Duration::from_secs(within);
    let done = world.run(deadline, |world| world.hosts[host.0].is_content());
    let now = world.now;
    assert!(done, "not done by {now:?}: {:#?}", world.hosts[host.0].node.status(now).downloads);
}

/// Pieces of which every byte came from `owner` alone, and that did not verify.
fn bad_pieces_of(world: &World, host: HostId, owner: HostId) -> usize {
    let owner = world.hosts[owner.0].node.id();
    let bad = |(_, event): &&(Timestamp, Event)| matches!(event, Event::PieceRejected { owners, .. } if *owners == [owner]);
    world.hosts[host.0].events.iter().filter(bad).count()
}

#[test]
fn owners_that_are_all_on_parole_finish_what_they_began_together() {
    // One segment in 250 is damaged, every other one in its bytes: of pieces of 180 segments a third is bad, whoever
    // sends them.
    let bad = LinkSpec { damaged: 4_000, ..lan() };
    for owners in 1..=3 {
        let (mut world, _, downloader) = world(&vec![bad; owners], 8 * MIB);
        finishes(&mut world, downloader, 300);
        assert!(world.hosts[downloader.0].node.counters().bad_pieces > 3);
    }
}

#[test]
fn a_liar_gives_two_bad_pieces_and_those_that_were_under_way() {
    let (mut world, owners, downloader) = world(&[lan(), lan()], 64 * MIB);
    world.run(Timestamp::ZERO + Duration::from_secs(3), |_| false);
    world.hosts[owners[1].0].manners = Manners::Liar(1_000_000);
    finishes(&mut world, downloader, 60);
    let bad = bad_pieces_of(&world, downloader, owners[1]);
    // Between the first bad piece and its verdict one more may have gone to the disk.
    assert!((1..=3).contains(&bad), "{bad} bad pieces");
}

#[test]
fn a_download_that_has_only_a_liar_reports_that_it_waits_for_others() {
    let (mut world, owners, downloader) = world(&[lan()], 64 * MIB);
    world.run(Timestamp::ZERO + Duration::from_secs(3), |_| false);
    world.hosts[owners[0].0].manners = Manners::Liar(1_000_000);
    let is_reported = |why: &Waiting| {
        let why = why.clone();
        move |world: &World| {
            let is_it = |(_, event): &(Timestamp, Event)| matches!(event, Event::DownloadWaits { why: reported, .. } if reported.is_still(&why));
            world.hosts[downloader.0].events.iter().any(is_it)
        }
    };
    let deadline = Timestamp::ZERO + Duration::from_secs(30);
    assert!(world.run(deadline, is_reported(&Waiting::Liars)), "it is said");
    assert!(!is_reported(&Waiting::Owners)(&world), "somebody does answer");
}

#[test]
fn every_datagram_fits_the_smallest_path() {
    // IPv6 asks every link for 1280 bytes (RFC 8200 section 5).
    let small = LinkSpec { mtu: 1280, ..lan() };
    let (mut world, _, downloader) = world(&[small, small], 8 * MIB);
    finishes(&mut world, downloader, 10);
}
