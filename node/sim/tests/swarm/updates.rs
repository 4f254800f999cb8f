//! Folders that are brought up to date: only what differs is fetched, whatever else goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::{ContentId, Timestamp};
use riffle_core::{
    Destination, DownloadOrder, DownloadTimeouts, Event, Existing, SessionEnd, Summary, Wanted,
};
use riffle_sim::content::FileSpec;
use riffle_sim::disk::LocalFile;
use riffle_sim::link::LinkSpec;
use riffle_sim::world::{Fault, HostId, Manners, Move, World};

const NAME: &str = "tree";
/// The length of an index of 2,000 files.
const INDEX: u64 = 160_000;
const PIECE: u64 = 256 << 10;
const FILES: u32 = 2000;
const SMALL: u64 = 4096;

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// An instant, in seconds after the start.
fn second(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(1 + seconds)
}

/// The place of the folder at each host.
fn saved() -> PathBuf {
    Path::new("/saved").join(NAME)
}

/// A world with two versions of one folder: in the second one every hundredth of `count` files of `length` bytes has
/// changed. Returns the ids of both, and how many bytes have changed.
fn world(count: u32, length: u64) -> (World, [ContentId; 2], u64) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let is_changed = |number: u32| number % 100 == 50;
    let mut version = |version: u32| {
        let file = |number| FileSpec {
            version: if is_changed(number) { version } else { 1 },
            length,
            changed_from: 0,
        };
        world.library.add_folder(NAME, INDEX, &(0..count).map(file).collect::<Vec<_>>()).id
    };
    let versions = [version(1), version(2)];
    let changed = (0..count).filter(|number| is_changed(*number)).count() as u64 * length;
    (world, versions, changed)
}

fn owner(world: &mut World, content: ContentId) -> HostId {
    let host = world.add_host(lan(), NodeSettings::default());
    let name = world.library.named(NAME).name.clone();
    world.share(host, Path::new("/shared").join(NAME), name, content);
    host
}

/// A host that wants `content` from the third second on, and has `before` in its place.
fn downloader(world: &mut World, content: ContentId, before: Option<ContentId>) -> HostId {
    let host = world.add_host(lan(), NodeSettings::default());
    before.and_then(|before| world.hosts[host.0].disk.files.insert(saved(), before));
    let existing = if before.is_some() { Existing::Update { delete: false } } else { Existing::Keep };
    let order = DownloadOrder {
        wanted: Wanted::Content(content),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing,
        select: Vec::new(),
        sequential: false,
        save: riffle_core::SaveOptions::default(),
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(second(3), host, order);
    host
}

/// A host that wants the files of `content` with these numbers from the third second on.
fn chooser(world: &mut World, content: ContentId, chosen: impl Iterator<Item = u32>) -> HostId {
    let host = downloader(world, content, None);
    world.hosts[host.0].person.wishes[0].order.select = chosen.map(|number| number.to_string()).collect();
    host
}

/// The numbers of the files that were chosen and made at `host`.
fn made(world: &World, host: HostId) -> Vec<u32> {
    world.hosts[host.0].disk.folders[&saved()].keys().copied().collect()
}

/// Runs until `hosts` have what they want, at the latest in the second `within`.
fn finish(world: &mut World, hosts: &[HostId], within: u64) {
    let done = world.run(second(within), |world| hosts.iter().all(|host| world.hosts[host.0].is_content()));
    let now = world.now;
    for host in hosts {
        let host = &mut world.hosts[host.0];
        assert!(done, "not by {now:?}: {:?} {:#?}", host.person.wishes, host.node.status(now).downloads);
    }
}

fn summary(world: &World, host: HostId) -> &Summary {
    let events = world.hosts[host.0].events.iter();
    let mut summary = events.filter_map(|(_, event)| match event {
        Event::DownloadDone { summary, .. } => Some(summary),
        _ => None,
    });
    summary.next_back().expect("it is done")
}

fn bad_pieces(world: &World, host: HostId) -> u64 {
    world.hosts[host.0].node.counters().bad_pieces
}

/// Whether a session of `host` has ended because of bad pieces.
fn has_banned(world: &World, host: HostId, owner: HostId) -> bool {
    let owner_id = world.hosts[owner.0].id;
    world.hosts[host.0].events.iter().any(|(_, event)| {
        matches!(event, Event::OwnerLost { owner, why: SessionEnd::BadPieces, .. } if *owner == owner_id)
    })
}

#[test]
fn of_a_second_version_only_what_differs_is_fetched() {
    for (count, length) in [(FILES, SMALL), (FILES, 100_000), (300, 1_000_000)] {
        let (mut world, [first, second], changed) = world(count, length);
        owner(&mut world, second);
        let host = downloader(&mut world, second, Some(first));
        finish(&mut world, &[host], 60);
        assert_eq!(world.hosts[host.0].disk.files.get(&saved()), Some(&second));
        let received = world.hosts[host.0].received_bytes();
        assert!(received <= INDEX + changed * 105 / 100, "{received} of {changed} changed bytes");
        let summary = summary(&world, host);
        let fetched: u64 = summary.shares.iter().map(|share| share.bytes).sum();
        assert_eq!((fetched, summary.here_before), (received, summary.length - received));
        // The whole folder is served from now on.
        let late = downloader(&mut world, second, None);
        world.fault(world.now, Fault::Kill(HostId(0)));
        finish(&mut world, &[late], 3600);
    }
}

#[test]
fn what_was_put_together_on_the_disk_is_not_fetched_and_is_served() {
    // A large file that differs near its end, and small ones around it.
    let (mut world, ids) = (World::new(1, LinkSpec::new(1000, Duration::from_millis(20))), [1, 2]);
    let length = 200 * PIECE;
    let mut world_of = |version: u32| {
        let small = FileSpec { version: 1, length: 100_000, changed_from: 0 };
        let large = FileSpec { version, length, changed_from: length - PIECE };
        world.library.add_folder(NAME, 1000, &[small, large, small]).id
    };
    let [first, second] = ids.map(&mut world_of);
    owner(&mut world, second);
    let host = downloader(&mut world, second, Some(first));
    // Somebody fetches all of it at the same time, and gets some of it from the one that is brought up to date.
    let other = downloader(&mut world, second, None);
    finish(&mut world, &[host, other], 60);
    let received = world.hosts[host.0].received_bytes();
    assert!(received <= 4 * PIECE, "{received} bytes");
    assert!(summary(&world, host).here_before >= 197 * PIECE);
    let given = summary(&world, other).shares.iter().find(|share| share.owner == world.hosts[host.0].id);
    assert!(given.is_some_and(|given| given.bytes > 10 * PIECE), "{given:?}");
}

#[test]
fn two_versions_are_fetched_in_one_swarm() {
    let (mut world, [first, second], changed) = world(FILES, 20_000);
    owner(&mut world, first);
    owner(&mut world, second);
    let updated = [(); 3].map(|()| downloader(&mut world, second, Some(first)));
    let fresh = [first, second, first].map(|version| downloader(&mut world, version, None));
    finish(&mut world, &[updated, fresh].concat(), 120);
    for host in updated {
        let received = world.hosts[host.0].received_bytes();
        assert!(received <= INDEX + changed * 105 / 100, "{received} of {changed} changed bytes");
        assert_eq!(world.hosts[host.0].disk.files.get(&saved()), Some(&second));
    }
    for (host, version) in fresh.into_iter().zip([first, second, first]) {
        assert_eq!(world.hosts[host.0].disk.files.get(&saved()), Some(&version));
    }
}

#[test]
fn files_that_change_after_they_were_hashed_cost_their_pieces_and_no_honest_owner() {
    let (mut world, [_, second], _) = world(FILES, SMALL);
    let owners = [owner(&mut world, second), owner(&mut world, second)];
    let host = downloader(&mut world, second, None);
    // Two of the files beside each changed one change while the download goes on.
    let changes = |number: u32| number % 100 == 51 || number % 100 == 49;
    let local =
        (0..FILES).map(|number| (number, LocalFile { version: 1, changes: changes(number) })).collect();
    world.hosts[host.0].disk.folders.insert(saved(), local);
    world.hosts[host.0].person.wishes[0].order.existing = Existing::Update { delete: false };
    finish(&mut world, &[host], 120);
    assert_eq!(world.hosts[host.0].disk.files.get(&saved()), Some(&second));
    let bad = bad_pieces(&world, host);
    assert!(bad > 10, "{bad} bad pieces");
    owners.iter().for_each(|owner| assert!(!has_banned(&world, host, *owner)));
    let received = world.hosts[host.0].received_bytes();
    let length = world.library.of(second).expect("a content").outboard.layout().length();
    assert!(received < 2 * length, "{received} of {length} bytes");
}

#[test]
fn a_liar_is_found_beside_known_ranges() {
    let (mut world, [first, second], changed) = world(FILES, 100_000);
    let owners = [owner(&mut world, second), owner(&mut world, second)];
    let host = downloader(&mut world, second, Some(first));
    world.hosts[owners[1].0].manners = Manners::Liar(1_000_000);
    finish(&mut world, &[host], 120);
    assert!(!has_banned(&world, host, owners[0]));
    let bad = bad_pieces(&world, host);
    // One of which nobody knows who was wrong, two that are the liar's alone, and what was under way.
    assert!((1..=5).contains(&bad), "{bad} bad pieces");
    let received = world.hosts[host.0].received_bytes();
    assert!(received <= INDEX.next_multiple_of(PIECE) + 2 * changed + 8 * PIECE, "{received} of {changed}");
}

#[test]
fn an_update_that_is_killed_or_loses_its_power_goes_on_where_it_was() {
    for kill in [Fault::Kill, Fault::LosePower] {
        let (mut world, [first, second_version], changed) = world(FILES, 200_000);
        owner(&mut world, second_version);
        let host = downloader(&mut world, second_version, Some(first));
        for at in [3_200, 3_400, 3_600, 3_800] {
            let at = Timestamp::ZERO + Duration::from_millis(1_000 + at);
            world.fault(at, kill(host));
            world.fault(at + Duration::from_millis(100), Fault::Start(host, Move::ToAnotherPort));
        }
        finish(&mut world, &[host], 120);
        let host = &world.hosts[host.0];
        assert_eq!(host.disk.files.get(&saved()), Some(&second_version));
        assert_eq!(host.process.former.len(), 4);
        // What was under way at each kill, in pieces that were not complete.
        let received = host.received_bytes();
        assert!(received <= INDEX + 2 * changed + 4 * 8 * PIECE, "{received} of {changed} bytes");
    }
}

#[test]
fn of_a_folder_chosen_files_are_fetched_through_power_cuts() {
    let (mut world, [_, second_version], _) = world(FILES, 20_000);
    owner(&mut world, second_version);
    let chosen = || (0..FILES).filter(|number| number / 100 % 5 == 0);
    let host = chooser(&mut world, second_version, chosen());
    for at in [3_300, 3_600, 3_900] {
        let at = Timestamp::ZERO + Duration::from_millis(1_000 + at);
        world.fault(at, Fault::LosePower(host));
        world.fault(at + Duration::from_millis(100), Fault::Start(host, Move::Nowhere));
    }
    finish(&mut world, &[host], 120);
    assert_eq!(made(&world, host), chosen().collect::<Vec<_>>());
    let (received, wanted) = (world.hosts[host.0].received_bytes(), chosen().count() as u64 * 20_000);
    assert!(received <= 2 * wanted + 3 * 8 * PIECE, "{received} of {wanted} bytes");
    // A part that nobody can be served from is no share.
    let status = world.hosts[host.0].node.status(second(0));
    assert!(status.shares.is_empty(), "{status:?}");
}

#[test]
fn eight_nodes_help_each_other_to_a_folder_of_which_each_wants_something_else() {
    let (mut world, [first, second_version], _) = world(FILES, 20_000);
    let owner = owner(&mut world, second_version);
    let updated = [(); 2].map(|()| downloader(&mut world, second_version, Some(first)));
    let fresh = [(); 4].map(|()| downloader(&mut world, second_version, None));
    let choosers = [0, 1].map(|part| {
        chooser(&mut world, second_version, (0..FILES).filter(move |number| number / 200 % 2 == part))
    });
    // One of them loses its power twice.
    for at in [5, 7] {
        world.fault(second(at), Fault::LosePower(fresh[0]));
        world.fault(second(at) + Duration::from_millis(300), Fault::Start(fresh[0], Move::ToAnotherPort));
    }
    let all: Vec<HostId> = updated.into_iter().chain(fresh).chain(choosers).collect();
    finish(&mut world, &all, 120);
    for host in updated.iter().chain(&fresh) {
        assert_eq!(world.hosts[host.0].disk.files.get(&saved()), Some(&second_version));
    }
    choosers.iter().for_each(|host| assert_eq!(made(&world, *host).len(), FILES as usize / 2));
    let length = world.library.of(second_version).expect("a content").outboard.layout().length();
    let (sent, received) = (
        world.hosts[owner.0].counters().sent_bytes,
        all.iter().map(|host| world.hosts[host.0].received_bytes()).sum::<u64>(),
    );
    assert!(received > 5 * length && sent < received / 2, "{sent} of {received} bytes came from the owner");
}
