//! Downloaders that want to keep others from what an owner has: they take its places, its table of sessions, or its
//! time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{NodeSettings, UploadPolicy};
use messages::Timestamp;
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Existing, Wanted};

use riffle_sim::link::LinkSpec;
use riffle_sim::world::{Behaviour, DownloaderScript, addresses, addresses_of_one_prefix};
use riffle_sim::world::{HostId, World};

const MIB: u64 = 1 << 20;
pub(super) const NAME: &str = "film.bin";
/// The start of the honest download: the other hosts are there by then.
pub(super) const WANTED_AT: Duration = Duration::from_secs(5);

pub(super) fn lan() -> LinkSpec {
    LinkSpec::new(100, Duration::from_millis(20))
}

/// One owner and so many honest downloaders of `length` bytes, which all want it after a while.
fn world_of(policy: UploadPolicy, length: u64, downloaders: usize) -> (World, HostId, Vec<HostId>) {
    world_from(1, policy, length, downloaders)
}

/// The same from another seed.
fn world_from(
    seed: u64,
    policy: UploadPolicy,
    length: u64,
    downloaders: usize,
) -> (World, HostId, Vec<HostId>) {
    world_with_limit(seed, policy, None, (length, downloaders))
}

/// The same with a limit of the owner.
pub(super) fn world_with_limit(
    seed: u64,
    policy: UploadPolicy,
    limit: Option<&str>,
    (length, downloaders): (u64, usize),
) -> (World, HostId, Vec<HostId>) {
    let mut world = World::new(seed, LinkSpec::new(1000, Duration::from_millis(20)));
    let content = world.library.add(NAME, length);
    let mut settings = NodeSettings::default();
    settings.upload.policy = policy;
    let mut limited = settings.clone();
    if let Some(limit) = limit {
        limited.upload.limit = limit.parse().expect("a limit");
    }
    let owner = world.add_host(lan(), limited);
    world.share(owner, Path::new("/shared").join(NAME), content.name.clone(), content.id);
    let order = DownloadOrder {
        wanted: Wanted::Name(content.name.clone(), String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    let mut downloader = || {
        let host = world.add_host(lan(), settings.clone());
        world.wish(Timestamp::ZERO + WANTED_AT, host, order.clone());
        host
    };
    let downloaders = (0..downloaders).map(|_| downloader()).collect();
    (world, owner, downloaders)
}

/// The same with one downloader.
fn world(policy: UploadPolicy, length: u64) -> (World, HostId, HostId) {
    let (world, owner, downloaders) = world_of(policy, length, 1);
    (world, owner, downloaders[0])
}

/// The time until the last honest downloader has the content.
fn takes(world: &mut World, downloaders: &[HostId]) -> Duration {
    let deadline = Timestamp::ZERO + WANTED_AT + Duration::from_secs(300);
    let done = world.run(deadline, |world| downloaders.iter().all(|host| world.hosts[host.0].is_content()));
    assert!(done, "not done by {:?}", world.now);
    world.now.since(Timestamp::ZERO + WANTED_AT)
}

#[test]
fn scripted_downloaders_do_what_their_scripts_say() {
    let (second, ms) = (Duration::from_secs(1), Duration::from_millis);
    for (behaviour, bytes, datagrams) in [
        (Behaviour::OneByte(ms(100)), 4 * 40..=4 * 50, 150..=250),
        (Behaviour::Everything, 20 * MIB..=65 * MIB, 200..=2000),
        (Behaviour::Steadily(500_000), 4 * 2_000_000..=4 * 2_600_000, 100..=250),
        (Behaviour::Nothing, 0..=0, 4..=20),
        (Behaviour::Boasts(ms(100)), 0..=0, 150..=250),
        (Behaviour::Pings(ms(100)), 0..=0, 150..=250),
    ] {
        for from in [addresses(2), addresses_of_one_prefix(2)] {
            let (mut world, owner, _) = world(UploadPolicy::TitForTat, 64 * MIB);
            let content = world.library.named(NAME).id;
            let mut script = DownloaderScript::new(behaviour, content, owner, 4);
            (script.addresses, script.until) = (from, world.now + 5 * second);
            let scripted = world.add_scripted_downloader(lan(), script);
            world.run(Timestamp::ZERO + WANTED_AT + second, |_| false);
            let scripted = world.scripted_downloader(scripted);
            assert_eq!(scripted.open(), 4, "{behaviour:?}");
            assert!(bytes.contains(&scripted.received_bytes), "{behaviour:?}: {scripted:?}");
            assert!(datagrams.contains(&scripted.sent.datagrams), "{behaviour:?}: {scripted:?}");
            assert!(scripted.received.bytes > 0, "{behaviour:?}");
        }
    }
}

const POLICIES: [UploadPolicy; 2] = [UploadPolicy::TitForTat, UploadPolicy::Fair];
const NIBBLES: Behaviour = Behaviour::OneByte(Duration::from_millis(800));

#[test]
fn one_host_with_many_sessions_keeps_nobody_from_a_place() {
    for policy in POLICIES {
        let calm = {
            let (mut world, _, downloader) = world(policy, 64 * MIB);
            takes(&mut world, &[downloader])
        };
        for (what, sessions) in [(NIBBLES, 32), (NIBBLES, 512), (Behaviour::Everything, 32)] {
            let (mut world, owner, downloader) = world(policy, 64 * MIB);
            let content = world.library.named(NAME).id;
            let scripted =
                world.add_scripted_downloader(lan(), DownloaderScript::new(what, content, owner, sessions));
            let took = takes(&mut world, &[downloader]);
            assert_eq!(world.scripted_downloader(scripted).open(), sessions as usize);
            assert!(took <= calm * 5 / 2, "{policy:?}, {sessions} of {what:?}: {took:?} for {calm:?}");
        }
    }
}

#[test]
fn several_hosts_do_not_keep_them_either() {
    for policy in POLICIES {
        let calm = {
            let (mut world, _, downloader) = world(policy, 64 * MIB);
            takes(&mut world, &[downloader])
        };
        for (hosts, most) in [(4, calm * 5 / 2), (16, calm * 5 / 2), (32, calm * 5)] {
            let (mut world, owner, downloader) = world(policy, 64 * MIB);
            let content = world.library.named(NAME).id;
            let mut script = DownloaderScript::new(NIBBLES, content, owner, 64);
            script.addresses = addresses(hosts);
            world.add_scripted_downloader(lan(), script);
            let took = takes(&mut world, &[downloader]);
            assert!(took <= most, "{policy:?}, {hosts}: {took:?} for {calm:?}");
        }
    }
}

/// `host` is behind the one address that all of a company have.
fn put_behind_nat(world: &mut World, hosts: &[HostId]) {
    for (port, host) in (40_000..).zip(hosts) {
        world.move_to(*host, ([203, 0, 114, 1], port).into());
    }
}

#[test]
fn a_company_behind_one_address_is_served_like_any_other_and_beside_an_outsider_has_half_at_least() {
    // How long the last of eight takes hangs on a lot or two: told is the sum of several worlds.
    const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;
    for policy in POLICIES {
        let run = |seed: u64, count: usize, behind: std::ops::Range<usize>| {
            let (mut world, _, downloaders) = world_from(seed, policy, 16 * MIB, count);
            put_behind_nat(&mut world, &downloaders[behind]);
            takes(&mut world, &downloaders[count - 8..])
        };
        let apart: Duration = SEEDS.map(|seed| run(seed, 8, 0..0)).sum();
        let together: Duration = SEEDS.map(|seed| run(seed, 8, 0..8)).sum();
        assert!(together <= apart * 11 / 10, "{policy:?}: {together:?} for {apart:?}");
        let beside: Duration = SEEDS.map(|seed| run(seed, 9, 1..9)).sum();
        assert!(beside <= apart * 2, "{policy:?}: {beside:?} for {apart:?}");
    }
}

#[test]
fn a_table_full_of_sessions_keeps_nobody_out() {
    let policy = UploadPolicy::TitForTat;
    let calm = {
        let (mut world, _, downloaders) = world_of(policy, 16 * MIB, 4);
        takes(&mut world, &downloaders)
    };
    for what in [Behaviour::Nothing, NIBBLES] {
        for from in [addresses(4), addresses_of_one_prefix(4)] {
            let (mut world, owner, downloaders) = world_of(policy, 16 * MIB, 4);
            put_behind_nat(&mut world, &downloaders[1..]);
            let content = world.library.named(NAME).id;
            let mut script = DownloaderScript::new(what, content, owner, 4096);
            (script.addresses, script.ports) = (from, 1024);
            let scripted = world.add_scripted_downloader(lan(), script);
            world.run(Timestamp::ZERO + WANTED_AT, |_| false);
            let (open, hosts) =
                (world.scripted_downloader(scripted).open(), world.scripted_downloader(scripted).hosts());
            assert_eq!(open, 1024 * hosts, "as many as hosts may have, {what:?}");
            let took = takes(&mut world, &downloaders);
            // A downloader that takes next to nothing keeps its slot for 2 s.
            assert!(
                took <= calm * 5 / 2 + Duration::from_secs(2),
                "{what:?} of {hosts} hosts: {took:?} for {calm:?}"
            );
        }
    }
}
