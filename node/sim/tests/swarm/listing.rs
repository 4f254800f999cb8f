//! What is in a content is asked for: the first piece comes, nothing is kept, and nobody takes it for a copy.

use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use messages::{ContentId, Prefix, Timestamp};
use riffle_core::{
    Command, DownloadId, DownloadTimeouts, Event, Failure, FolderOptions, SearchId, SessionEnd, ShareId,
    Wanted,
};
use riffle_sim::link::LinkSpec;
use riffle_sim::world::{HostId, World};

const LENGTH: u64 = 64 << 20;
const PIECE: u64 = 256 << 10;

fn after(millis: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_millis(1000 + millis)
}

/// A world in which the first host shares `film.bin`, and the second one nothing.
fn world() -> (World, HostId, HostId, ContentId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add("film.bin", LENGTH);
    let (id, name) = (content.id, content.name.clone());
    let link = LinkSpec::new(100, Duration::from_millis(20));
    let owner = world.add_host(link, NodeSettings::default());
    let path = PathBuf::from("/shared/film.bin");
    world.hosts[owner.0].disk.files.insert(path.clone(), id);
    let options = FolderOptions::default();
    world.command(after(0), owner, Command::Share { share: ShareId(0), path, name, options });
    let asker = world.add_host(link, NodeSettings::default());
    (world, owner, asker, id)
}

fn ask(content: ContentId) -> Command {
    let timeouts = DownloadTimeouts { nobody_shares: Some(Duration::ZERO), ..DownloadTimeouts::NONE };
    Command::Index { download: DownloadId(7), wanted: Wanted::Content(content), timeouts }
}

fn events(world: &World, host: HostId) -> impl Iterator<Item = &Event> {
    world.hosts[host.0].events.iter().map(|(_, event)| event)
}

fn is_read(event: &Event) -> bool {
    matches!(event, Event::IndexRead { download: DownloadId(7), length: LENGTH, folder: None, .. })
}

#[test]
fn the_first_piece_tells_what_a_content_is_and_nobody_takes_the_asker_for_an_owner() {
    let (mut world, owner, asker, content) = world();
    world.command(after(2000), asker, ask(content));
    assert!(world.run(after(4000), |world| world.hosts[asker.0].ended == 1));
    assert!(events(&world, asker).any(is_read));
    let pieces = events(&world, asker).filter(|event| matches!(event, Event::PieceVerified { .. }));
    assert_eq!(pieces.count(), 1);
    let search = Command::Search { search: SearchId(1), prefix: Prefix::default(), after: None };
    world.command(after(4000), asker, search);
    world.run(after(6000), |_| false);
    let listed = events(&world, asker).find_map(|event| match event {
        Event::Found { contents, .. } => Some(contents.clone()),
        _ => None,
    });
    let holders: Vec<_> = listed.expect("answered").iter().map(|one| (one.complete, one.partial)).collect();
    assert_eq!(holders, [(1, 0)], "the asker was never an owner");
    let ended = events(&world, owner).find_map(|event| match event {
        Event::UploadEnded { bytes, why, .. } => Some((*bytes, *why)),
        _ => None,
    });
    let (bytes, why) = ended.expect("the session is over");
    assert_ne!(why, SessionEnd::Done, "the asker does not have the content");
    assert!((PIECE..2 * PIECE).contains(&bytes), "{bytes} bytes were sent");
    assert!(world.hosts[asker.0].disk.files.is_empty());
}

#[test]
fn an_owner_asks_nobody() {
    let (mut world, owner, _, content) = world();
    world.command(after(2000), owner, ask(content));
    assert!(world.run(after(4000), |world| world.hosts[owner.0].ended == 1));
    assert!(events(&world, owner).any(is_read));
    assert!(!events(&world, owner).any(|event| matches!(event, Event::OwnerReady { .. })));
}

#[test]
fn a_question_ends_when_nobody_shares_that_or_when_it_is_given_up() {
    let (mut world, _, asker, content) = world();
    world.command(after(2000), asker, ask(ContentId::from_bytes([9; 32])));
    assert!(world.run(after(70_000), |world| world.hosts[asker.0].ended == 1));
    let failed = |world: &World, why: &Failure| {
        events(world, asker).any(|event| matches!(event, Event::DownloadFailed { why: of, .. } if of == why))
    };
    assert!(failed(&world, &Failure::NotFound));
    let now = world.now;
    world.command(now, asker, ask(content));
    world.command(now + Duration::from_millis(50), asker, Command::Cancel { download: DownloadId(7) });
    assert!(world.run(now + Duration::from_secs(2), |world| world.hosts[asker.0].ended == 2));
    assert!(failed(&world, &Failure::Cancelled));
    assert_eq!(world.hosts[asker.0].disk.pool.bytes, 0, "no buffer is left behind");
}
