//! Several swarms at one tracker: what is in one is not found, and nobody of it is met, in another.

use std::path::PathBuf;
use std::time::Duration;

use channel::SwarmSecret;
use config::NodeSettings;
use messages::{ContentId, Name, NodeId, Prefix, Timestamp};
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, Failure, SearchId,
    Wanted,
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

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// What there is of one swarm.
struct Swarm {
    owners: Vec<NodeId>,
    /// What is in no other.
    own: ContentId,
    asker: HostId,
}

/// Two closed swarms, in each of which two hosts share the same content, and one more content of one name.
fn world(seed: u64) -> (World, ContentId, [Swarm; 2]) {
    let mut world = World::new(seed, lan());
    let same = world.library.add("same", 3_000_000).id;
    let swarms = [1, 2].map(|number| {
        world.close(SwarmSecret::from_bytes([number; 32]));
        let own = world.library.add(&format!("own-{number}"), 1_000_000).id;
        let owners = [0, 1].map(|_| {
            let owner = world.add_host(lan(), NodeSettings::default());
            world.share(owner, "/shared/same".into(), name("same"), same);
            world.share(owner, "/shared/own".into(), name("own"), own);
            world.hosts[owner.0].id
        });
        let asker = world.add_host(lan(), NodeSettings::default());
        Swarm { owners: owners.to_vec(), own, asker }
    });
    (world, same, swarms)
}

fn order(wanted: Wanted) -> DownloadOrder {
    DownloadOrder {
        wanted,
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: ONE_SHOT,
    }
}

/// The content of a download and who served it, or why there is none.
type End = Result<(ContentId, Vec<NodeId>), Failure>;

/// How each of so many downloads of a host ended, in the order of their numbers.
fn ends(world: &mut World, host: HostId, count: usize) -> Vec<End> {
    world.run(after(140), |world| world.hosts[host.0].ended >= count);
    let end = |event: &Event| match event {
        Event::DownloadDone { download, summary, .. } => {
            let owners = summary.shares.iter().map(|share| share.owner).collect();
            Some((*download, Ok((summary.content, owners))))
        }
        Event::DownloadFailed { download, why } => Some((*download, Err(why.clone()))),
        _ => None,
    };
    let mut all: Vec<(DownloadId, End)> =
        world.hosts[host.0].events.iter().filter_map(|(_, event)| end(event)).collect();
    all.sort_by_key(|(download, _)| *download);
    all.into_iter().map(|(_, end)| end).collect()
}

#[test]
fn each_swarm_finds_and_meets_its_own_alone_before_and_after_a_restart_of_the_tracker() {
    for seed in 1..=4 {
        let (mut world, same, swarms) = world(seed);
        if seed % 2 == 0 {
            world.restart_tracker(after(30));
        }
        let others = [swarms[1].own, swarms[0].own];
        for (swarm, other) in swarms.iter().zip(others) {
            let wanted =
                [Wanted::Content(same), Wanted::Name(name("own"), String::new()), Wanted::Content(other)];
            for (number, wanted) in (0..).zip(wanted) {
                let download = DownloadId(number);
                world.command(after(70), swarm.asker, Command::Download { download, order: order(wanted) });
            }
            let (prefix, after_none) = (Prefix::default(), None);
            let search = Command::Search { search: SearchId(1), prefix, after: after_none };
            world.command(after(70), swarm.asker, search);
        }
        for swarm in &swarms {
            let ends = ends(&mut world, swarm.asker, 3);
            let [Ok((first, served)), Ok((second, also)), Err(Failure::NotFound)] = &ends[..] else {
                panic!("seed {seed}: {ends:?}")
            };
            assert_eq!((*first, *second), (same, swarm.own), "seed {seed}");
            assert!(
                served.iter().chain(also).all(|owner| swarm.owners.contains(owner)),
                "seed {seed}: {ends:?}"
            );
            let listed = world.hosts[swarm.asker.0].events.iter().find_map(|(_, event)| match event {
                Event::Found { contents, .. } => Some(contents.iter().map(|listed| listed.content)),
                _ => None,
            });
            let mut listed: Vec<ContentId> = listed.expect("an answer").collect();
            listed.sort();
            let mut expected = vec![same, swarm.own];
            expected.sort();
            assert_eq!(listed, expected, "seed {seed}");
        }
        let sizes = world.tracker.core.trackers().iter().map(|tracker| (tracker.nodes(), tracker.contents()));
        assert_eq!(sizes.collect::<Vec<_>>(), [(0, 0), (3, 2), (3, 2)], "seed {seed}");
    }
}
