//! Defects that a reading of the code found: each of these tests failed before the defect was mended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::collection::Modified;
use messages::{FileMetadata, Name, PieceIndex, PieceRun, Timestamp};
use riffle_core::{
    Command, Destination, DiskError, DiskErrorKind, DiskResult, DownloadId, DownloadOrder, DownloadTimeouts,
    Event, Existing, Failure, ShareId, Wanted,
};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::OwnerScript;
use riffle_sim::world::{HostId, Manners, World};

const MIB: u64 = 1 << 20;

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

fn after(millis: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_millis(1000 + millis)
}

fn world(contents: &[(&str, u64)]) -> World {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    contents.iter().for_each(|(name, length)| {
        world.library.add(name, *length);
    });
    world
}

/// A host that shares `content` as `name`, `millis` after the start.
fn owner(world: &mut World, content: &str, name: &str, millis: u64, settings: NodeSettings) -> HostId {
    let host = world.add_host(lan(), settings);
    let path = PathBuf::from("/shared").join(name);
    let id = world.library.named(content).id;
    world.hosts[host.0].disk.files.insert(path.clone(), id);
    let share = Command::Share {
        share: ShareId(0),
        path,
        name: Name::new(name).expect("a name"),
        options: riffle_core::FolderOptions::default(),
    };
    world.command(after(millis), host, share);
    host
}

fn download(world: &mut World, host: HostId, number: u32, name: &str, timeouts: DownloadTimeouts) {
    let order = DownloadOrder {
        wanted: Wanted::Name(Name::new(name).expect("a name"), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts,
    };
    world.command(after(2000), host, Command::Download { download: DownloadId(number), order });
}

/// How each download of `host` that has ended did, and when after the start.
fn ends(world: &World, host: HostId) -> Vec<(u32, Duration, Option<Failure>)> {
    let end = |(at, event): &(Timestamp, Event)| match event {
        Event::DownloadDone { download, .. } => Some((download.0, at.since(after(0)), None)),
        Event::DownloadFailed { download, why } => Some((download.0, at.since(after(0)), Some(why.clone()))),
        _ => None,
    };
    world.hosts[host.0].events.iter().filter_map(end).collect()
}

/// Runs until `host` has ended `count` downloads, all complete; when the last one was.
fn complete(world: &mut World, host: HostId, count: usize, within: u64) -> Duration {
    world.run(after(within), |world| ends(world, host).len() == count);
    let ends = ends(world, host);
    assert_eq!(ends.len(), count, "{ends:?}");
    assert!(ends.iter().all(|(_, _, failure)| failure.is_none()), "{ends:?}");
    ends[count - 1].1
}

#[test]
fn what_was_asked_of_an_owner_that_leaves_is_asked_of_others() {
    for leaves in [Command::Leave, Command::Unshare { share: ShareId(0) }] {
        let mut world = world(&[("film.bin", 32 * MIB)]);
        let downloader =
            world.add_host(LinkSpec::new(300, Duration::from_millis(20)), NodeSettings::default());
        let owners = [0; 3].map(|_| owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default()));
        world.command(after(2500), owners[0], leaves);
        download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
        complete(&mut world, downloader, 1, 5_000);
    }
}

#[test]
fn an_owner_whose_file_has_changed_gives_the_rest_and_others_give_what_it_lost() {
    for others in [0, 1] {
        let mut world = world(&[("album", 32 * MIB)]);
        let downloader = world.add_host(lan(), NodeSettings::default());
        let worn = owner(&mut world, "album", "album", 0, NodeSettings::default());
        for _ in 0..others {
            owner(&mut world, "album", "album", 0, NodeSettings::default());
        }
        download(&mut world, downloader, 0, "album", DownloadTimeouts::NONE);
        world.run(after(2700), |_| false);
        let lost = PieceRun::new(PieceIndex(100), 8).expect("a run");
        let files = vec![DiskError { path: "/shared/album/b".into(), kind: DiskErrorKind::Changed }];
        let changed = DiskResult::PartChanged { share: ShareId(0), pieces: vec![lost], files };
        let now = world.now;
        world.hosts[worn.0].node.handle_disk(changed, now);
        if others == 1 {
            complete(&mut world, downloader, 1, 12_000);
        }
        world.run(after(30_000), |_| others == 1);
        let status = world.hosts[downloader.0].node.status(world.now);
        let missing = if others == 0 { 8 * 256 * 1024 } else { 0 };
        let verified: u64 = status.downloads.iter().map(|one| one.verified).sum();
        assert!(others == 1 || verified == 32 * MIB - missing, "{verified}");
        let events = &world.hosts[downloader.0].events;
        let is_bad = |(_, event): &(Timestamp, Event)| matches!(event, Event::PieceRejected { .. });
        assert!(!events.iter().any(is_bad), "nobody is to blame");
        let told = |(_, event): &(Timestamp, Event)| match event {
            Event::FilesWithdrawn { have, pieces, .. } => Some((*have, *pieces)),
            _ => None,
        };
        assert_eq!(world.hosts[worn.0].events.iter().find_map(told), Some((120, 128)));
    }
}

#[test]
fn what_is_told_of_a_file_is_that_of_the_owner_that_gave_most_and_goes_from_node_to_node() {
    let mut world = world(&[("film.bin", 32 * MIB)]);
    let mut slow = NodeSettings::default();
    slow.upload.limit = "100KiB".parse().expect("a rate");
    let owners = [slow, NodeSettings::default()]
        .map(|settings| owner(&mut world, "film.bin", "film.bin", 0, settings));
    let said = [1, 2].map(|seconds| {
        let modified = Some(Modified { seconds, nanos: 9 });
        FileMetadata { modified, is_executable: seconds == 2 }
    });
    for (owner, file) in owners.into_iter().zip(said) {
        world.hosts[owner.0].disk.metadata.insert(PathBuf::from("/shared/film.bin"), file);
    }
    let saved = |world: &World, host: HostId| {
        world.hosts[host.0].disk.metadata.get(Path::new("/saved/film.bin")).copied()
    };
    let first = world.add_host(lan(), NodeSettings::default());
    download(&mut world, first, 0, "film.bin", DownloadTimeouts::NONE);
    complete(&mut world, first, 1, 20_000);
    assert_eq!(saved(&world, first), Some(said[1]));
    let now = world.now;
    for owner in owners {
        world.command(now, owner, Command::Unshare { share: ShareId(0) });
    }
    let second = world.add_host(lan(), NodeSettings::default());
    let order = DownloadOrder {
        wanted: Wanted::Name(Name::new("film.bin").expect("a name"), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        sequential: false,
        save: riffle_core::SaveOptions::default(),
        timeouts: DownloadTimeouts::NONE,
    };
    let begins = now + Duration::from_secs(2);
    world.command(begins, second, Command::Download { download: DownloadId(0), order });
    complete(&mut world, second, 1, 60_000);
    assert_eq!(saved(&world, second), Some(said[1]));
}

#[test]
fn an_owner_that_falls_silent_costs_little_more_than_the_snub() {
    let mut world = world(&[("film.bin", 64 * MIB)]);
    let downloader = world.add_host(LinkSpec::new(300, Duration::from_millis(20)), NodeSettings::default());
    let owners = [0; 3].map(|_| owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default()));
    download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
    world.run(after(3000), |_| false);
    world.hosts[owners[0].0].link.spec.loss = 1_000_000;
    complete(&mut world, downloader, 1, 6_000);
}

#[test]
fn two_downloads_share_one_limit() {
    let mut world = world(&[("a.bin", 32 * MIB), ("b.bin", 8 * MIB)]);
    let mut settings = NodeSettings::default();
    settings.download.limit = "1MiB".parse().unwrap();
    let downloader = world.add_host(lan(), settings);
    for (number, name) in [(0, "a.bin"), (1, "b.bin")] {
        owner(&mut world, name, name, 0, NodeSettings::default());
        download(&mut world, downloader, number, name, DownloadTimeouts::NONE);
    }
    let first = complete(&mut world, downloader, 1, 60_000);
    // Half of the limit each: 8 MiB take 16 s.
    assert!(first < Duration::from_secs(21), "{first:?}");
    assert_eq!(ends(&world, downloader)[0].0, 1);
}

#[test]
fn a_content_is_found_by_a_name_that_few_of_its_owners_use() {
    let mut world = world(&[("film.bin", MIB)]);
    let downloader = world.add_host(lan(), NodeSettings::default());
    for name in ["film.bin", "zebra.bin"] {
        owner(&mut world, "film.bin", name, 0, NodeSettings::default());
    }
    let timeouts = DownloadTimeouts { nobody_shares: Some(Duration::ZERO), ..DownloadTimeouts::NONE };
    download(&mut world, downloader, 0, "zebra.bin", timeouts);
    complete(&mut world, downloader, 1, 5_000);
}

#[test]
fn waiting_for_somebody_to_share_is_no_stall() {
    let mut world = world(&[("film.bin", MIB)]);
    let downloader = world.add_host(lan(), NodeSettings::default());
    owner(&mut world, "film.bin", "film.bin", 90_000, NodeSettings::default());
    let timeouts = DownloadTimeouts { no_progress: Some(Duration::from_secs(60)), ..DownloadTimeouts::NONE };
    download(&mut world, downloader, 0, "film.bin", timeouts);
    complete(&mut world, downloader, 1, 130_000);
}

#[test]
fn a_piece_that_takes_longer_than_the_stall_timeout_is_no_stall() {
    // Pieces of 8 MiB over 1 Mbit/s: each takes more than a minute.
    let mut world = world(&[("film.bin", 20 << 30)]);
    let slow = LinkSpec::new(1, Duration::from_millis(20));
    let downloader = world.add_host(slow, NodeSettings::default());
    owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    let timeouts = DownloadTimeouts { no_progress: Some(Duration::from_secs(30)), ..DownloadTimeouts::NONE };
    download(&mut world, downloader, 0, "film.bin", timeouts);
    world.run(after(200_000), |_| false);
    assert_eq!(ends(&world, downloader), []);
    let now = world.now;
    assert!(world.hosts[downloader.0].node.status(now).downloads[0].verified >= 16 * MIB);
}

#[test]
fn a_limit_below_one_segment_a_turn_is_slow_and_not_a_stop() {
    let mut world = world(&[("film.bin", MIB)]);
    let mut settings = NodeSettings::default();
    settings.download.limit = "100KiB".parse().unwrap();
    settings.network.segment_size = 8972;
    let downloader = world.add_host(lan(), settings);
    owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
    complete(&mut world, downloader, 1, 14_000);
}

#[test]
fn what_this_node_serves_itself_is_not_waited_for() {
    let mut world = world(&[("film.bin", MIB)]);
    let host = owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    download(&mut world, host, 0, "film.bin", DownloadTimeouts::NONE);
    world.run(after(30_000), |world| !ends(world, host).is_empty());
    assert_eq!(ends(&world, host).len(), 1, "told, one way or the other");
}

#[test]
fn a_low_upload_limit_is_not_spent_on_what_nobody_waits_for() {
    let mut world = world(&[("film.bin", 64 * MIB)]);
    let mut settings = NodeSettings::default();
    settings.upload.limit = "100KiB".parse().unwrap();
    let owner = owner(&mut world, "film.bin", "film.bin", 0, settings);
    let downloaders = [0; 8].map(|_| world.add_host(lan(), NodeSettings::default()));
    downloaders.iter().for_each(|host| download(&mut world, *host, 0, "film.bin", DownloadTimeouts::NONE));
    world.run(after(62_000), |_| false);
    let received: u64 =
        downloaders.iter().map(|host| world.hosts[host.0].node.counters().received_bytes).sum();
    let sent = world.hosts[owner.0].node.counters().sent_bytes;
    assert!(received * 100 >= sent * 80, "{received} of {sent}");
}

/// A host that says it shares `content`, and follows `script`.
fn scripted_owner(world: &mut World, content: &str, script: OwnerScript, link: LinkSpec) -> HostId {
    let host = owner(world, content, content, 0, NodeSettings::default());
    world.hosts[host.0].manners = Manners::Scripted(script);
    world.hosts[host.0].link.spec = link;
    host
}

#[test]
fn an_owner_that_talks_and_gives_nothing_is_silent() {
    let mut world = world(&[("film.bin", 32 * MIB)]);
    let downloader = world.add_host(lan(), NodeSettings::default());
    // The nearest, so that the outboard is asked of it first.
    scripted_owner(
        &mut world,
        "film.bin",
        OwnerScript::Chatters,
        LinkSpec::new(100, Duration::from_millis(1)),
    );
    owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
    complete(&mut world, downloader, 1, 10_000);
}

#[test]
fn owners_that_choke_for_ever_keep_no_slots() {
    for script in [OwnerScript::Chokes, OwnerScript::IsBusy] {
        let mut world = world(&[("film.bin", 8 * MIB)]);
        let downloader = world.add_host(lan(), NodeSettings::default());
        for _ in 0..8 {
            scripted_owner(&mut world, "film.bin", script, lan());
        }
        // The honest owner comes when all slots are taken.
        owner(&mut world, "film.bin", "film.bin", 4_000, NodeSettings::default());
        download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
        complete(&mut world, downloader, 1, 60_000);
    }
}

#[test]
fn an_outboard_that_comes_in_drops_is_asked_of_another() {
    let mut world = world(&[("film.bin", 512 * MIB)]);
    let gigabit = LinkSpec::new(1000, Duration::from_millis(20));
    let downloader = world.add_host(gigabit, NodeSettings::default());
    scripted_owner(
        &mut world,
        "film.bin",
        OwnerScript::Drips(Duration::from_secs(1)),
        LinkSpec::new(100, Duration::from_millis(1)),
    );
    let owner = owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    world.hosts[owner.0].link.spec = gigabit;
    download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
    complete(&mut world, downloader, 1, 25_000);
}

#[test]
fn an_owner_that_drips_holds_nothing_up_at_the_end() {
    let mut world = world(&[("film.bin", 64 * MIB)]);
    let near = LinkSpec::new(100, Duration::from_micros(400));
    let downloader = world.add_host(near, NodeSettings::default());
    scripted_owner(&mut world, "film.bin", OwnerScript::Drips(Duration::from_secs(1)), near);
    let owner = owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    world.hosts[owner.0].link.spec = near;
    download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
    complete(&mut world, downloader, 1, 20_000);
}

#[test]
fn whoever_is_there_from_the_start_is_credited_to_the_end() {
    let mut world = world(&[("film.bin", 2 * MIB)]);
    let mut settings = NodeSettings::default();
    settings.download.limit = "1KiB".parse().unwrap();
    let downloader = world.add_host(lan(), settings);
    owner(&mut world, "film.bin", "film.bin", 0, NodeSettings::default());
    for _ in 0..18 {
        scripted_owner(&mut world, "film.bin", OwnerScript::Leaves, lan());
    }
    download(&mut world, downloader, 0, "film.bin", DownloadTimeouts::NONE);
    complete(&mut world, downloader, 1, 4_000_000);
    let given = world.hosts[downloader.0].events.iter().find_map(|(_, event)| match event {
        Event::DownloadDone { summary, .. } => {
            Some(summary.shares.iter().map(|share| share.bytes).sum::<u64>())
        }
        _ => None,
    });
    assert_eq!(given, Some(2 * MIB));
}
