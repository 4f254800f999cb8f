//! Nodes that share other contents under a name that is taken: they stop no download, and decide nothing for others.

use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use messages::tracker_to_node::Listed;
use messages::{ContentId, Name, Prefix, Timestamp};
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, Failure, SearchId,
    ShareId, Wanted,
};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{HostId, World};

const FILM: &str = "film.mkv";

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

fn after(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(1 + seconds)
}

fn film() -> Name {
    Name::new(FILM).expect("a name")
}

/// The real one, which so many hosts share from the start on.
fn world(owners: usize) -> (World, ContentId) {
    let mut world = World::new(1, lan());
    let real = world.library.add("real", 300_000).id;
    for _ in 0..owners {
        let owner = world.add_host(lan(), NodeSettings::default());
        share(&mut world, owner, after(0), 0, real, FILM);
    }
    (world, real)
}

fn share(world: &mut World, host: HostId, at: Timestamp, number: u32, content: ContentId, name: &str) {
    let path = PathBuf::from(format!("/shared/{number}"));
    world.hosts[host.0].disk.files.insert(path.clone(), content);
    let name = Name::new(name).expect("a name");
    world.command(
        at,
        host,
        Command::Share { share: ShareId(number), path, name, options: riffle_core::FolderOptions::default() },
    );
}

/// One more host, which shares so many other contents, each under the name that it is given, after a while.
fn fakes(world: &mut World, count: u32, name: impl Fn(u32) -> String) -> Vec<ContentId> {
    let host = world.add_host(lan(), NodeSettings::default());
    let fake = |number: u32| {
        let content = world.library.add(&format!("fake {number}"), 1000 + u64::from(number)).id;
        share(world, host, after(10), number, content, &name(number));
        content
    };
    (0..count).map(fake).collect()
}

/// The outcome of `wanted`: the content that was taken, the report about it, and how the download ended.
fn download(world: &mut World, wanted: Wanted) -> (Option<ContentId>, Option<Event>, Result<(), Failure>) {
    let asker = world.add_host(lan(), NodeSettings::default());
    let order = DownloadOrder {
        wanted,
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts { nobody_shares: Some(Duration::ZERO), ..DownloadTimeouts::NONE },
    };
    world.command(after(62), asker, Command::Download { download: DownloadId(0), order });
    let events = |world: &World| -> Vec<Event> {
        world.hosts[asker.0].events.iter().map(|(_, event)| event.clone()).collect()
    };
    let is_end = |event: &Event| matches!(event, Event::DownloadDone { .. } | Event::DownloadFailed { .. });
    world.run(after(90), |world| events(world).iter().any(is_end));
    let (mut taken, mut said, mut end) = (None, None, None);
    for event in events(world) {
        match event {
            Event::DownloadIdentified { content, .. } => taken = Some(content),
            Event::DownloadPrefers { .. } => said = Some(event),
            Event::DownloadDone { .. } => end = Some(Ok(())),
            Event::DownloadFailed { why, .. } => end = Some(Err(why)),
            _ => {}
        }
    }
    (taken, said, end.expect("it ends"))
}

fn by_name() -> Wanted {
    Wanted::Name(film(), String::new())
}

/// Which content, and on how many hosts.
fn voices(listed: &Listed) -> (ContentId, u32) {
    (listed.content, listed.hosts)
}

#[test]
fn one_host_that_calls_other_bytes_so_does_not_stop_a_download_by_name() {
    let (mut world, real) = world(3);
    let fake = fakes(&mut world, 1, |_| FILM.to_owned())[0];
    let (taken, said, end) = download(&mut world, by_name());
    assert_eq!((taken, end), (Some(real), Ok(())));
    let Some(Event::DownloadPrefers { taken, others, more: false, .. }) = said else { panic!("{said:?}") };
    assert_eq!((voices(&taken), voices(&others[0]), others.len()), ((real, 3), (fake, 1), 1));
}

#[test]
fn one_host_against_one_is_for_a_person_to_decide() {
    let (mut world, real) = world(1);
    let fake = fakes(&mut world, 1, |_| FILM.to_owned())[0];
    let (taken, said, end) = download(&mut world, by_name());
    assert_eq!((taken, said), (None, None));
    let Err(Failure::Ambiguous { contents, more: false }) = end else { panic!("{end:?}") };
    let told: Vec<_> = contents.iter().map(|listed| (voices(listed), listed.age_s)).collect();
    assert_eq!(told, [((real, 1), 61), ((fake, 1), 51)], "who was there first comes first");
}

#[test]
fn five_hundred_and_sixty_contents_of_one_name_neither_stop_it_nor_fill_the_list() {
    let (mut world, real) = world(2);
    fakes(
        &mut world,
        560,
        |number| if number.is_multiple_of(2) { FILM.to_owned() } else { format!("a{number}") },
    );
    let lister = world.add_host(lan(), NodeSettings::default());
    let (mut listed, mut after_page) = (Vec::new(), None);
    let mut asked = 0;
    loop {
        let search = SearchId(asked);
        asked += 1;
        let command = Command::Search { search, prefix: Prefix::default(), after: after_page };
        world.command(after(60), lister, command);
        let answer = |world: &World| {
            world.hosts[lister.0].events.iter().find_map(|(_, event)| match event {
                Event::Found { search: of, contents, next } if *of == search => {
                    Some((contents.clone(), next.clone()))
                }
                _ => None,
            })
        };
        world.run(after(90), |world| answer(world).is_some());
        let (contents, next) = answer(&world).expect("answered");
        listed.extend(contents);
        after_page = next;
        if after_page.is_none() {
            break;
        }
    }
    assert_eq!(voices(&listed[0]), (real, 2), "it comes first of all");
    let mut all: Vec<_> = listed.iter().map(|listed| (listed.name.clone(), listed.content)).collect();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), listed.len()), (561, 561), "and each comes once");
    let (taken, said, end) = download(&mut world, by_name());
    assert_eq!((taken, end), (Some(real), Ok(())));
    assert!(matches!(said, Some(Event::DownloadPrefers { more: true, .. })), "{said:?}");
}

#[test]
fn the_newest_is_taken_when_asked_for_and_what_most_hosts_have_is_said() {
    let (mut world, real) = world(3);
    let fake = fakes(&mut world, 1, |_| FILM.to_owned())[0];
    let (taken, said, end) = download(&mut world, Wanted::Newest(film()));
    assert_eq!((taken, end), (Some(fake), Ok(())));
    let Some(Event::DownloadPrefers { taken, others, .. }) = said else { panic!("{said:?}") };
    assert_eq!((voices(&taken), voices(&others[0])), ((fake, 1), (real, 3)));
}

#[test]
fn one_host_s_three_hundred_contents_do_not_hide_the_one_of_another_that_comes_later() {
    let (mut world, _) = world(0);
    let fakes = fakes(&mut world, 300, |_| FILM.to_owned());
    let real = world.library.named("real").id;
    let owner = world.add_host(lan(), NodeSettings::default());
    share(&mut world, owner, after(40), 0, real, FILM);
    let (_, _, end) = download(&mut world, by_name());
    let Err(Failure::Ambiguous { contents, more: true }) = end else { panic!("{end:?}") };
    let told: Vec<ContentId> = contents.iter().take(2).map(|listed| listed.content).collect();
    assert_eq!(told[1], real, "each host is heard once before any is heard twice");
    assert!(fakes.contains(&told[0]));
}
