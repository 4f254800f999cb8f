//! Trackers that are lost and come back, as downloads meet them.

use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use messages::{Name, Timestamp};
use node::{
    Command, Destination, DownloadId, DownloadOrder, Event, Failure, Patience, ShareId, Waiting, Wanted,
};

use crate::link::LinkSpec;
use crate::world::{HostId, World};

/// What a one-shot `download` without `--wait` has of patience.
const ONE_SHOT: Patience = Patience { unknown: Some(Duration::ZERO), ..Patience::ENDLESS };

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

fn after(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(1 + seconds)
}

/// A host that shares each of `contents` under `name` from the start on, and one that may ask.
fn world(contents: &[String], name: impl Fn(&str) -> String) -> (World, HostId) {
    let mut world = World::new(1, lan());
    let owner = world.add_host(lan(), NodeSettings::default());
    for (number, content) in (0..).zip(contents) {
        let id = world.library.add(content, 300_000 + u64::from(number)).id;
        let path = PathBuf::from("/shared").join(content);
        world.hosts[owner.0].disk.files.insert(path.clone(), id);
        let name = Name::new(&name(content)).expect("a name");
        world.command(after(0), owner, Command::Share { share: ShareId(number), path, name });
    }
    let asker = world.add_host(lan(), NodeSettings::default());
    (world, asker)
}

/// Asks for `name` at `at`: how long it took and what came of it.
fn download(
    world: &mut World,
    asker: HostId,
    name: &str,
    digits: &str,
    at: Timestamp,
) -> (Duration, Result<(), Failure>) {
    let order = DownloadOrder {
        wanted: Wanted::Name(Name::new(name).expect("a name"), digits.to_owned()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        patience: ONE_SHOT,
    };
    world.command(at, asker, Command::Download { download: DownloadId(0), order });
    let end = |world: &World| {
        world.hosts[asker.0].events.iter().find_map(|(when, event)| match event {
            Event::DownloadDone { .. } => Some((when.since(at), Ok(()))),
            Event::DownloadFailed { why, .. } => Some((when.since(at), Err(why.clone()))),
            _ => None,
        })
    };
    world.run(at + Duration::from_secs(60), |world| end(world).is_some());
    end(world).expect("it ends")
}

#[test]
fn a_download_right_after_a_tracker_s_restart_waits_for_the_owner_to_come_back() {
    let (mut world, asker) = world(&["film.bin".to_owned()], str::to_owned);
    // The owner's next heartbeat is nearly 20 s away.
    world.restart_tracker(after(61));
    let (took, end) = download(&mut world, asker, "film.bin", "", after(62));
    assert_eq!(end, Ok(()), "after {took:?}");
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(25), "{took:?}");
    let told =
        |event: &Event| matches!(event, Event::DownloadWaits { why: Waiting::TrackerIsYoung { .. }, .. });
    assert!(world.hosts[asker.0].events.iter().any(|(_, event)| told(event)), "and says why it waits");
}

#[test]
fn what_nobody_has_is_not_found_at_once_or_when_every_node_is_back() {
    let (mut old, asker) = world(&["film.bin".to_owned()], str::to_owned);
    let (took, end) = download(&mut old, asker, "nothing.bin", "", after(62));
    assert_eq!(end, Err(Failure::NotFound));
    assert!(took < Duration::from_secs(1), "{took:?}");

    let (mut young, asker) = world(&["film.bin".to_owned()], str::to_owned);
    young.restart_tracker(after(61));
    let (took, end) = download(&mut young, asker, "nothing.bin", "", after(62));
    assert_eq!(end, Err(Failure::NotFound));
    assert!(took > Duration::from_secs(15) && took < Duration::from_secs(26), "{took:?}");
}

#[test]
fn one_of_many_contents_of_one_name_is_found_by_the_beginning_of_its_id() {
    let contents: Vec<String> = (0..60).map(|number| format!("{number}.bin")).collect();
    let (mut world, asker) = world(&contents, |_| "same.bin".to_owned());
    let mut ids: Vec<String> =
        contents.iter().map(|content| world.library.named(content).id.to_string()).collect();
    ids.sort();
    // The last one is on no first page of sixteen.
    let (_, end) = download(&mut world, asker, "same.bin", &ids[59][..8], after(62));
    assert_eq!(end, Ok(()));
}
