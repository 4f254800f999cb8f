//! Owners that the tracker knows and nobody reaches: what a firewall between two networks looks like to a download.

use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use messages::{Name, Timestamp};
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, Failure, ShareId,
    Waiting, Wanted,
};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{Cut, Fault, HostId, World};

/// The time from the start to the download; every shared content has been announced by then.
const ASKED: Timestamp = Timestamp::from_nanos(11_000_000_000);

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// That many owners of one file, and one who asks for it.
fn world(owners: usize) -> (World, Vec<HostId>, HostId) {
    let mut world = World::new(1, lan());
    let id = world.library.add("film.bin", 3_000_000).id;
    let (path, name) = (PathBuf::from("/shared/film.bin"), Name::new("film.bin").expect("a name"));
    let add = |world: &mut World| {
        let host = world.add_host(lan(), NodeSettings::default());
        world.hosts[host.0].disk.files.insert(path.clone(), id);
        let share = Command::Share {
            share: ShareId(0),
            path: path.clone(),
            name: name.clone(),
            options: riffle_core::FolderOptions::default(),
        };
        world.command(world.now, host, share);
        host
    };
    let owners = (0..owners).map(|_| add(&mut world)).collect();
    let asker = world.add_host(lan(), NodeSettings::default());
    let order = DownloadOrder {
        wanted: Wanted::Name(name, String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts { no_progress: Some(Duration::from_secs(20)), ..DownloadTimeouts::NONE },
    };
    world.command(ASKED, asker, Command::Download { download: DownloadId(0), order });
    (world, owners, asker)
}

fn cut(world: &mut World, at: Timestamp, from: &[HostId], to: &[HostId]) {
    world.fault(at, Fault::Cut(Cut { from: from.to_vec(), to: to.to_vec() }));
}

fn ended(world: &World, asker: HostId) -> bool {
    let is_end = |event: &Event| matches!(event, Event::DownloadDone { .. } | Event::DownloadFailed { .. });
    world.hosts[asker.0].events.iter().any(|(_, event)| is_end(event))
}

/// When after the command the download reported no sign of life, and of which owners.
fn reported_silence(world: &World, asker: HostId) -> Option<(Duration, Waiting)> {
    world.hosts[asker.0].events.iter().find_map(|(at, event)| match event {
        Event::DownloadWaits { why: why @ Waiting::NoSignOfLife { .. }, .. } => {
            Some((at.since(ASKED), why.clone()))
        }
        _ => None,
    })
}

#[test]
fn owners_behind_a_firewall_are_named_by_the_fifth_second() {
    let (mut world, owners, asker) = world(5);
    // What they say to the tracker goes through, and so does what the asker says to them.
    let start = world.now;
    cut(&mut world, start, &owners, &[asker]);
    world.run(ASKED + Duration::from_secs(60), |world| ended(world, asker));
    let (after, why) = reported_silence(&world, asker).expect("it is said");
    assert!(after <= Duration::from_secs(5), "{after:?}");
    let Waiting::NoSignOfLife { peers, others } = why else { panic!("{why:?}") };
    assert_eq!((peers.len(), others), (3, 2));
    let is_owner = |peer| owners.iter().any(|owner| world.hosts[owner.0].address == peer);
    assert!(peers.into_iter().all(is_owner));
    let failed = |event: &Event| matches!(event, Event::DownloadFailed { why: Failure::NoOwner, .. });
    assert!(world.hosts[asker.0].events.iter().any(|(_, event)| failed(event)));
}

#[test]
fn nobody_is_suspected_while_one_owner_answers() {
    let (mut world, owners, asker) = world(3);
    let start = world.now;
    cut(&mut world, start, &owners[1..], &[asker]);
    world.run(ASKED + Duration::from_secs(60), |world| ended(world, asker));
    assert_eq!(reported_silence(&world, asker), None);
}

#[test]
fn nobody_is_suspected_when_the_tracker_is_not_heard_either() {
    let (mut world, owners, asker) = world(3);
    let start = world.now;
    cut(&mut world, start, &owners, &[asker]);
    // The tracker has answered once, and then nothing comes any more from anywhere.
    world.fault(ASKED + Duration::from_millis(100), Fault::TrackerGone);
    world.run(ASKED + Duration::from_secs(10), |world| ended(world, asker));
    assert_eq!(reported_silence(&world, asker), None);
}
