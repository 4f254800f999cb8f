//! Downloaders that say they have what their friends were given, so that these seem to pass it on and have the owner's
//! places for that.
//!
//! Their friends are on other hosts, so nothing tells them from honest downloaders but what they take: each takes some
//! bytes a second from the owner, begins pieces that nobody else has begun (the same piece on and on, or another each
//! time), and says twice a second that it has those that the others began last. They pass nothing on to honest
//! downloaders, so an honest one who is alone among them has passed on nothing: to the owner it looks as one that keeps
//! all.
//!
//! What holds: what is said counts for no more than what was taken, and who takes little leaves room for others beside
//! it. Those who really take as much as an honest one and are as many hosts have a share as hosts have. (Not promised:
//! those who each take all that a place gives. They leave a place by lot.)

use std::time::Duration;

use config::UploadPolicy;
use messages::Timestamp;

use super::downloaders::{NAME, WANTED_AT, lan, world_with_limit};
use riffle_sim::world::{Behaviour, DownloaderScript, addresses};
use riffle_sim::world::{HostId, World};

const MIB: u64 = 1 << 20;
/// The time that the owner's limit needs for the file.
const FILE_TIME: u64 = 16;

/// One owner that sends no more than the file in [`FILE_TIME`], and so many honest downloaders.
fn world(seed: u64, mebibytes: u64, count: usize) -> (World, HostId, Vec<HostId>) {
    let limit = format!("{}MiB", mebibytes / FILE_TIME);
    world_with_limit(seed, UploadPolicy::TitForTat, Some(&limit), (mebibytes * MIB, count))
}

/// The time that the last of `count` honest downloaders takes beside a number of liars, each on a host of its own.
fn takes(seed: u64, (mebibytes, count): (u64, usize), liars: u8, what: Behaviour) -> Duration {
    let (mut world, owner, downloaders) = world(seed, mebibytes, count);
    let content = world.library.named(NAME).id;
    let scripted = (liars > 0).then(|| {
        let mut script = DownloaderScript::new(what, content, owner, liars.into());
        script.addresses = addresses(liars);
        world.add_scripted_downloader(lan(), script)
    });
    world.run(Timestamp::ZERO + WANTED_AT, |_| false);
    if let Some(scripted) = scripted {
        assert_eq!(world.scripted_downloader(scripted).open(), usize::from(liars));
    }
    let deadline = Timestamp::ZERO + WANTED_AT + Duration::from_secs(600);
    let done = world.run(deadline, |world| downloaders.iter().all(|host| world.hosts[host.0].is_content()));
    assert!(done, "{liars} of {what:?}: not done by {:?}", world.now);
    world.now.since(Timestamp::ZERO + WANTED_AT)
}

/// The same in several worlds, in thousandths of what it takes without liars: how long it takes hangs on a lot or two.
fn beside(seeds: u64, of: (u64, usize), liars: u8, what: Behaviour) -> u128 {
    let sum = |liars| (1..=seeds).map(|seed| takes(seed, of, liars, what)).sum::<Duration>();
    sum(liars).as_millis() * 1000 / sum(0).as_millis()
}

const fn praises(rate: u64, hops: bool) -> Behaviour {
    Behaviour::Praises { rate, hops }
}

/// Liars that take little: a few bytes of many pieces, and some KiB a second each.
const CHEAP: [Behaviour; 3] = [praises(2, true), praises(20 << 10, true), praises(20 << 10, false)];

#[test]
fn lies_keep_one_honest_downloader_from_no_slot() {
    for (what, liars) in CHEAP.into_iter().flat_map(|what| [(what, 8), (what, 16)]) {
        let beside = beside(2, (64, 1), liars, what);
        assert!(beside <= 2500, "{liars} of {what:?}: {beside} thousandths");
    }
}

#[test]
fn lies_keep_several_honest_downloaders_from_no_slot() {
    for (what, liars) in CHEAP.into_iter().flat_map(|what| [(what, 8), (what, 16)]) {
        let beside = beside(1, (32, 8), liars, what);
        assert!(beside <= 2500, "{liars} of {what:?}: {beside} thousandths");
    }
}

#[test]
fn liars_that_take_most_of_what_there_is_have_no_more_than_their_share() {
    for liars in [8, 16] {
        let beside = beside(2, (64, 1), liars, praises(200 << 10, false));
        assert!(beside <= 1000 * (u128::from(liars) + 1), "{liars}: {beside} thousandths");
    }
}
