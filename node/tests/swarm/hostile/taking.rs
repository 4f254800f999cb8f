//! Downloaders that want to keep others from what an owner has: they take its places, its table of sessions, or its time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{NodeSettings, UploadPolicy};
use messages::Timestamp;
use node::{Destination, DownloadOrder, Patience, Wanted};

use crate::link::LinkSpec;
use crate::world::takers::{self, Takes, Taking};
use crate::world::{HostId, World};

const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// When the honest one wants it: by then the others are there.
const WANTED_AT: Duration = Duration::from_secs(5);

fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// One owner and one honest downloader of `length` bytes, which wants it after a while.
fn world(policy: UploadPolicy, length: u64) -> (World, HostId, HostId) {
    let mut world = World::new(1, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, length);
    let mut settings = NodeSettings::default();
    settings.upload.policy = policy;
    let owner = world.add_host(lan(), settings.clone());
    world.share(owner, Path::new("/shared").join(NAME), content.name.clone(), content.id);
    let downloader = world.add_host(lan(), settings);
    let order = DownloadOrder {
        wanted: Wanted::Name(content.name.clone(), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        replace: false,
        patience: Patience::ENDLESS,
    };
    world.wish(Timestamp::ZERO + WANTED_AT, downloader, order);
    (world, owner, downloader)
}

#[test]
fn takers_play_their_parts() {
    let (second, ms) = (Duration::from_secs(1), Duration::from_millis);
    for (what, taken, said) in [
        (Takes::OneByte(ms(100)), 4 * 40..=4 * 50, 150..=250),
        (Takes::Everything, 20 * MIB..=65 * MIB, 200..=2000),
        (Takes::Steadily(500_000), 4 * 2_000_000..=4 * 2_600_000, 100..=250),
        (Takes::Nothing, 0..=0, 4..=20),
        (Takes::Boasts(ms(100)), 0..=0, 150..=250),
        (Takes::Pings(ms(100)), 0..=0, 150..=250),
    ] {
        for from in [takers::addresses(2), takers::addresses_of_one_prefix(2)] {
            let (mut world, owner, _) = world(UploadPolicy::TitForTat, 64 * MIB);
            let content = world.library.named(NAME).id;
            let mut taking = Taking::new(what, content, owner, 4);
            (taking.addresses, taking.until) = (from, world.now + 5 * second);
            let taker = world.add_taker(lan(), taking);
            world.run(Timestamp::ZERO + WANTED_AT + second, |_| false);
            let taker = world.taker(taker);
            assert_eq!(taker.open(), 4, "{what:?}");
            assert!(taken.contains(&taker.taken) && said.contains(&taker.said.0), "{what:?}: {taker:?}");
            assert!(taker.heard.1 > 0, "{what:?}");
        }
    }
}
