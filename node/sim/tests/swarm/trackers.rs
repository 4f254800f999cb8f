//! Trackers that are lost and come back, as downloads meet them.

use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use messages::{Digits, Name, Timestamp};
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, Failure, ShareId,
    Waiting, Wanted,
};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{HostId, World};

/// The timeouts of a one-shot `download` without `--wait`.
const ONE_SHOT: DownloadTimeouts =
    DownloadTimeouts { nobody_shares: Some(Duration::ZERO), ..DownloadTimeouts::NONE };

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
        world.command(
            after(0),
            owner,
            Command::Share {
                share: ShareId(number),
                path,
                name,
                options: riffle_core::FolderOptions::default(),
            },
        );
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
    fetch(world, asker, Wanted::Name(Name::new(name).expect("a name"), digits.to_owned()), at)
}

/// Asks for `wanted` at `at`: how long it took and what came of it.
fn fetch(world: &mut World, asker: HostId, wanted: Wanted, at: Timestamp) -> (Duration, Result<(), Failure>) {
    let order = DownloadOrder {
        wanted,
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: ONE_SHOT,
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

/// The contents that `host` has found, with their names.
fn identified(world: &World, host: HostId) -> Option<(String, String)> {
    world.hosts[host.0].events.iter().find_map(|(_, event)| match event {
        Event::DownloadIdentified { content, name, .. } => Some((content.to_string(), name.to_string())),
        _ => None,
    })
}

#[test]
fn digits_are_the_beginning_of_an_id_or_a_name_whichever_the_tracker_knows() {
    let (mut world, asker) = world(&["film.bin".to_owned(), "other.bin".to_owned()], str::to_owned);
    let id = world.library.named("film.bin").id.to_string();
    let digits = Digits::new(&id[..8].to_uppercase()).expect("digits");
    assert_eq!(fetch(&mut world, asker, Wanted::Digits(digits), after(62)).1, Ok(()));
    assert_eq!(identified(&world, asker), Some((id, "film.bin".to_owned())));
}

#[test]
fn digits_that_are_a_name_are_found_as_that() {
    let (mut world, asker) = world(&["film.bin".to_owned()], |_| "20261127".to_owned());
    let id = world.library.named("film.bin").id.to_string();
    let digits = Digits::new("20261127").expect("digits");
    assert_eq!(fetch(&mut world, asker, Wanted::Digits(digits), after(62)).1, Ok(()));
    assert_eq!(identified(&world, asker), Some((id, "20261127".to_owned())));
}

#[test]
fn digits_that_begin_one_id_and_are_the_name_of_another_content_are_ambiguous() {
    // The ids are known only once the library has made them: the second content is called as the first begins.
    let begins = World::new(1, lan()).library.add("film.bin", 300_000).id.to_string()[..8].to_owned();
    let name = |content: &str| if content == "film.bin" { content.to_owned() } else { begins.clone() };
    let (mut world, asker) = world(&["film.bin".to_owned(), "other.bin".to_owned()], name);
    let both = ["film.bin", "other.bin"].map(|content| world.library.named(content).id);
    let digits = Digits::new(&begins).expect("digits");
    match fetch(&mut world, asker, Wanted::Digits(digits), after(62)).1 {
        Err(Failure::Ambiguous { contents, .. }) => {
            assert_eq!(contents.iter().map(|listed| listed.content).collect::<Vec<_>>(), both);
            assert!(contents.iter().all(|listed| (listed.complete, listed.partial) == (1, 0)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_several_contents_of_one_name_the_newest_is_taken_when_asked_for() {
    let contents: Vec<String> = (0..30).map(|number| format!("{number}.bin")).collect();
    let (mut world, asker) = world(&contents[..29], |_| "lab.img".to_owned());
    let lab = Name::new("lab.img").expect("a name");
    // Another one, later, from a host of its own.
    let newest = world.library.add(&contents[29], 400_000).id;
    let owner = world.add_host(lan(), NodeSettings::default());
    let path = PathBuf::from("/shared/newest");
    world.hosts[owner.0].disk.files.insert(path.clone(), newest);
    world.command(
        after(30),
        owner,
        Command::Share {
            share: ShareId(0),
            path,
            name: lab.clone(),
            options: riffle_core::FolderOptions::default(),
        },
    );
    assert_eq!(fetch(&mut world, asker, Wanted::Newest(lab), after(62)).1, Ok(()));
    assert_eq!(identified(&world, asker), Some((newest.to_string(), "lab.img".to_owned())));
}

#[test]
fn a_download_knows_how_many_have_it_and_how_many_are_on_the_way() {
    let (mut world, first) = world(&["film.bin".to_owned()], str::to_owned);
    let order = DownloadOrder {
        wanted: Wanted::Content(world.library.named("film.bin").id),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    // Whoever gives it is so slow that the first is still on its way when the second asks.
    world.command(after(1), HostId(0), Command::Limit { upload: Some(20_000), download: None });
    let second = world.add_host(lan(), NodeSettings::default());
    for (host, at) in [(first, 2), (second, 4)] {
        let download = DownloadId(0);
        world.command(after(at), host, Command::Download { download, order: order.clone() });
    }
    world.run(after(6), |_| false);
    let now = world.now;
    let holders = world.hosts[second.0].node.status(now).downloads[0].holders.expect("asked");
    assert!(holders.complete == 1 && (1..=2).contains(&holders.partial), "{holders:?}");
}
