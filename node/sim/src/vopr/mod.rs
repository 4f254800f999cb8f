//! Worlds drawn from a seed: everything that may go wrong with links, hosts, disks and the tracker does, for a while.
//! Then faults end, and every downloader that can reach an honest owner must finish in bounded time. Safety is checked
//! throughout. (After the idea of TigerBeetle's VOPR.)

mod options;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::NodeSettings;
use messages::{ContentId, Timestamp};
use riffle_core::{Destination, DownloadOrder, DownloadTimeouts, Existing, Wanted};

use crate::disk::DiskFaults;
use crate::link::LinkSpec;
use crate::world::DownloaderScript;
use crate::world::{Cut, Fault, Flood, HostId, Move, TRACKER, World};
use options::{FolderWish, HostOptions, Trouble};
pub use options::{Options, Sealing};

const NAME: &str = "film.bin";
/// How long downloads may take once faults have ended, besides three times what the bytes take.
const GRACE: Duration = Duration::from_secs(60);
/// The highest rate of a scripted downloader's link in bytes a second, so that worlds can be run.
const MAX_SCRIPTED_RATE: u64 = 1_250_000;
/// How many events of each host are kept, for the report of a failure.
const MAX_EVENTS: usize = 100;

/// Prints the options of the world when something fails in it.
struct Blame<'a>(&'a Options);

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the world of seed {}: {:#?}", self.0.seed, self.0);
        }
    }
}

/// Runs the world of `options`; returns one number for all that happened in it.
///
/// # Panics
/// When something happens that must not, or does not happen in time.
pub fn run(options: &Options) -> u64 {
    let _blame = Blame(options);
    let mut world = World::new(options.seed, options.link);
    world.record.max_events = MAX_EVENTS;
    options.sealing.policy(0).into_iter().for_each(|policy| world.seal(policy));
    let content = match &options.folder {
        Some(folder) => world.library.add_folder(NAME, folder.index, &folder.files).id,
        None => world.library.add(NAME, options.length).id,
    };
    let (start, end) = (world.now, world.now + options.faults_last);
    for (number, spec) in options.owners.iter().chain(&options.downloaders).enumerate() {
        options.sealing.policy(number).into_iter().for_each(|policy| world.seal_hosts(policy));
        let host = add(&mut world, options, spec);
        if number < options.owners.len() {
            let name = world.library.named(NAME).name.clone();
            world.share(host, Path::new("/shared").join(NAME), name, content);
        } else {
            let folder = options.folder.as_ref().map(|folder| &folder.wants[number - options.owners.len()]);
            let id = options.namesakes.map(|_| content);
            wish(&mut world, host, start + spec.wants_at, id, folder);
        }
        spec.troubles.iter().for_each(|(at, trouble)| plan(&mut world, host, start + *at, end, *trouble));
    }
    plan_surroundings(&mut world, options, content, end);
    add_namesakes(&mut world, options);
    add_scripted_downloader(&mut world, options, content, end);
    add_bogus_owners(&mut world, options, content);
    stop_faults(&mut world, options, end);
    world.run(end, |_| false);
    finish(&mut world, options, content);
    world.trace_hash()
}

fn add(world: &mut World, options: &Options, spec: &HostOptions) -> HostId {
    let mut settings = NodeSettings::default();
    if let Some(limit) = options.upload_limit {
        settings.upload.limit = limit.parse().expect("a limit");
    }
    let host = match spec.receive_buffer {
        Some(bytes) => world.add_host_with(options.link, settings, bytes),
        None => world.add_host(options.link, settings),
    };
    world.hosts[host.0].manners = spec.manners;
    let full = spec.disk.full.map(|(at, time)| world.now + at..world.now + at + time);
    let faults = DiskFaults { latency: spec.disk.latency, errors: spec.disk.errors, full, nameless: false };
    world.hosts[host.0].disk.faults = faults;
    host
}

/// Adds a host that shares other contents under the file's name: a download by id is not held up by that.
fn add_namesakes(world: &mut World, options: &Options) {
    let Some(count) = options.namesakes else { return };
    let host = world.add_host(options.link, NodeSettings::default());
    for number in 0..count {
        let other = world.library.add(&format!("other-{number}.bin"), 1000 + u64::from(number)).id;
        let name = world.library.named(NAME).name.clone();
        world.share(host, Path::new("/shared").join(number.to_string()), name, other);
    }
}

/// Adds a host with a scripted downloader, for as long as faults last or to the end.
fn add_scripted_downloader(world: &mut World, options: &Options, content: ContentId, end: Timestamp) {
    let Some(spec) = &options.scripted_downloader else { return };
    let mut script = DownloaderScript::new(spec.behaviour, content, HostId(0), spec.sessions);
    if spec.from_all {
        script.owners = (0..options.owners.len() + options.downloaders.len()).map(HostId).collect();
    }
    script.addresses = spec.addresses.clone();
    if !spec.goes_on {
        script.until = end;
    }
    (script.answers_pings, script.says_bye) = (spec.answers_pings, spec.says_bye);
    let LinkSpec { up, down, .. } = options.link;
    let link = LinkSpec { up: up.min(MAX_SCRIPTED_RATE), down: down.min(MAX_SCRIPTED_RATE), ..options.link };
    world.add_scripted_downloader(link, script);
}

/// Adds hosts that announce what they do not have.
fn add_bogus_owners(world: &mut World, options: &Options, content: ContentId) {
    let Some((count, manners)) = options.bogus_owners else { return };
    for _ in 0..count {
        let host = world.add_host(options.link, NodeSettings::default());
        let name = world.library.named(NAME).name.clone();
        world.share(host, Path::new("/shared").join(NAME), name, content);
        world.hosts[host.0].manners = manners;
    }
}

/// Lets the person at `host` want the file by its name, or by its id, or the `folder`.
fn wish(world: &mut World, host: HostId, at: Timestamp, id: Option<ContentId>, folder: Option<&FolderWish>) {
    let name = world.library.named(NAME).name.clone();
    let (mut existing, mut select) = (Existing::Keep, Vec::new());
    match folder {
        None | Some(FolderWish::All) => {}
        Some(FolderWish::Chosen(chosen)) => select = chosen.iter().map(u32::to_string).collect(),
        Some(FolderWish::Update(local)) => {
            existing = Existing::Update { delete: false };
            world.hosts[host.0].disk.folders.insert(target(), local.clone());
        }
    }
    let order = DownloadOrder {
        wanted: id.map_or(Wanted::Name(name, String::new()), Wanted::Content),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing,
        select,
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.wish(at, host, order);
}

fn plan(world: &mut World, host: HostId, at: Timestamp, end: Timestamp, trouble: Trouble) {
    match trouble {
        Trouble::Kill(back, moved) => {
            world.fault(at, Fault::Kill(host));
            world.fault((at + back).min(end), Fault::Start(host, moved));
        }
        Trouble::LosePower(back, moved) => {
            world.fault(at, Fault::LosePower(host));
            world.fault((at + back).min(end), Fault::Start(host, moved));
        }
        Trouble::Leave(back) => {
            world.fault(at, Fault::Leave(host));
            world.fault((at + back).min(end), Fault::Start(host, Move::Nowhere));
        }
        Trouble::CutOff(time) => {
            let link = world.hosts[host.0].link.spec;
            world.fault(at, Fault::Relink(host, LinkSpec { loss: 1_000_000, ..link }));
            world.fault((at + time).min(end), Fault::Relink(host, link));
        }
        Trouble::Shrink(mtu, time) => {
            let link = world.hosts[host.0].link.spec;
            world.fault(at, Fault::Relink(host, LinkSpec { mtu, ..link }));
            world.fault((at + time).min(end), Fault::Relink(host, link));
        }
        Trouble::Stop(time) => world.fault(at, Fault::Stop(host, time.min(end.since(at)))),
        Trouble::Rebind(moved) => world.fault(at, Fault::Rebind(host, moved)),
    }
}

fn plan_surroundings(world: &mut World, options: &Options, content: ContentId, end: Timestamp) {
    let start = world.now;
    if let Some((at, time)) = options.tracker {
        world.fault(start + at, Fault::TrackerGone);
        world.fault((start + at + time).min(end), Fault::TrackerStarts);
    }
    for partition in &options.partitions {
        let hosts = |numbers: &[usize]| numbers.iter().copied().map(HostId).collect::<Vec<_>>();
        let (from, mut to) = (hosts(&partition.from), hosts(&partition.to));
        to.extend(partition.tracker.then_some(TRACKER));
        if !partition.one_way {
            world.fault(start + partition.at, Fault::Cut(Cut { from: to.clone(), to: from.clone() }));
        }
        world.fault(start + partition.at, Fault::Cut(Cut { from, to }));
    }
    if let Some(every) = options.flood {
        world.fault(start, Fault::Flood(Flood { until: end, every, content }));
    }
}

/// Ends faults at `end`: nothing breaks any more, and the hosts that come back start. Liars go on lying.
fn stop_faults(world: &mut World, options: &Options, end: Timestamp) {
    let quiet = LinkSpec {
        loss: 0,
        corrupt: 0,
        duplicates: 0,
        reordered: 0,
        damaged: 0,
        bursts: None,
        jitter: Duration::ZERO,
        ..options.link
    };
    world.fault(end, Fault::MendCuts);
    world.fault(end, Fault::RelinkTracker(quiet));
    for (number, spec) in options.owners.iter().chain(&options.downloaders).enumerate() {
        let host = HostId(number);
        world.fault(end, Fault::Relink(host, quiet));
        world.fault(end, Fault::Redisk(host, DiskFaults::default()));
        if spec.comes_back {
            // A host that is just leaving has left by the second start.
            world.fault(end, Fault::Start(host, Move::Nowhere));
            world.fault(end + Duration::from_secs(2), Fault::Start(host, Move::Nowhere));
        }
    }
}

/// Checks that every downloader has the file within three times what the bytes take over the busiest link, and a
/// minute.
fn finish(world: &mut World, options: &Options, content: ContentId) {
    let target = target();
    let downloaders = options.owners.len()..options.owners.len() + options.downloaders.len();
    let rate = if options.upload_limit.is_some() { options.link.up.min(1 << 20) } else { options.link.up };
    let owed: u64 = world.hosts[downloaders.clone()]
        .iter()
        .filter(|host| !host.is_content())
        .map(|host| options.length.saturating_sub(host.disk.right_bytes(&target)))
        .sum();
    let within = Duration::from_millis(3 * owed * 1000 / rate) + GRACE;
    let waiting = downloaders.clone();
    world.run(world.now + within, |world| world.hosts[waiting.clone()].iter().all(|host| host.is_content()));
    for number in downloaders {
        let now = world.now;
        let host = &mut world.hosts[number];
        if !host.is_content() {
            let status = host.node.status(now);
            let last = host.events.iter().rev().take(20).collect::<Vec<_>>();
            panic!(
                "host {number} is held up by no fault and has not finished by {now:?}: {:?}\n{:#?}\nits last \
                 events: {last:#?}",
                host.person.wishes, status.downloads
            );
        }
        let folder = options.folder.as_ref().map(|folder| &folder.wants[number - options.owners.len()]);
        if let Some(FolderWish::Chosen(chosen)) = folder {
            let made: BTreeSet<u32> = host.disk.folders[&target].keys().copied().collect();
            assert_eq!(&made, chosen, "host {number}");
        } else {
            assert_eq!(host.disk.files.get(&target), Some(&content), "host {number}");
        }
    }
}

/// The place of the file, or the folder, at each downloader.
fn target() -> PathBuf {
    Path::new("/saved").join(NAME)
}
