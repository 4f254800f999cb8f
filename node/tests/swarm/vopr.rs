//! Worlds drawn from a seed: everything that may go wrong with links, hosts and the tracker does, for a while. Then it
//! stops, and whoever can reach an owner must finish in bounded time. Safety is checked throughout.
//! (After the idea of TigerBeetle's VOPR.)

use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use node::{Command, Destination, DownloadId, DownloadOrder, Event, Patience, ShareId, Wanted};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::link::LinkSpec;
use crate::world::{HostId, World};

/// Faults end this long after the start.
const FAULTS_END: Duration = Duration::from_secs(20);

/// What one world is like, as drawn from its seed.
#[derive(Debug)]
struct Options {
    seed: u64,
    length: u64,
    /// The first owner stays; the others may die, leave or be cut off.
    owners: Vec<Fault>,
    downloaders: usize,
    link: LinkSpec,
    tracker_restarts: bool,
    upload_limit: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Crash(Duration),
    Leave(Duration),
    CutOff(Duration, Duration),
}

impl Options {
    fn draw(seed: u64) -> Options {
        let mut rng = StdRng::seed_from_u64(seed);
        let megabits = [5, 20, 100, 1000][rng.random_range(0..4)];
        let rtt = Duration::from_millis([1, 10, 40, 200][rng.random_range(0..4)]);
        let mut some =
            |likely: f64, most: u32| if rng.random_bool(likely) { rng.random_range(0..most) } else { 0 };
        let (loss, corrupt) = (some(0.5, 200_000), some(0.3, 20_000));
        let (duplicates, reordered, jitter) = (some(0.3, 50_000), some(0.3, 50_000), some(0.3, 5_000));
        let link = LinkSpec {
            loss,
            corrupt,
            duplicates,
            reordered,
            hold: rtt / 2,
            jitter: Duration::from_micros(jitter.into()),
            ..LinkSpec::new(megabits, rtt)
        };
        let moment =
            |rng: &mut StdRng| Duration::from_millis(rng.random_range(0..FAULTS_END.as_millis() as u64));
        let others = rng.random_range(0..4);
        let fault = |rng: &mut StdRng| match rng.random_range(0..4) {
            0 => Fault::Crash(moment(rng)),
            1 => Fault::Leave(moment(rng)),
            2 => Fault::CutOff(moment(rng), Duration::from_millis(rng.random_range(0..15_000))),
            _ => Fault::None,
        };
        let mut owners = vec![match rng.random_range(0..3) {
            0 => Fault::CutOff(moment(&mut rng), Duration::from_millis(rng.random_range(0..15_000))),
            _ => Fault::None,
        }];
        owners.extend((0..others).map(|_| fault(&mut rng)));
        // A few seconds of the link, so that faults fall into the transfer.
        let length = megabits * 125_000 * rng.random_range(0..12) + rng.random_range(0..300_000);
        Options {
            seed,
            length: length.min(64 << 20),
            owners,
            downloaders: rng.random_range(1..4),
            link,
            tracker_restarts: rng.random_bool(0.3),
            upload_limit: if rng.random_bool(0.2) { Some("1MiB") } else { None },
        }
    }
}

fn path(folder: &str) -> PathBuf {
    PathBuf::from(folder).join("film.bin")
}

fn run(options: &Options) -> u64 {
    let quiet =
        LinkSpec { loss: 0, corrupt: 0, duplicates: 0, reordered: 0, jitter: Duration::ZERO, ..options.link };
    let mut world = World::new(options.seed, options.link);
    let content = world.library.add("film.bin", options.length);
    let start = world.now;
    let mut hosts = Vec::new();
    for fault in &options.owners {
        let mut settings = NodeSettings::default();
        if let Some(limit) = options.upload_limit {
            settings.upload.limit = limit.parse().expect("a limit");
        }
        let host = world.add_host(options.link, settings);
        hosts.push(host);
        world.hosts[host.0].disk.files.insert(path("/shared"), content.id);
        let share = Command::Share { share: ShareId(0), path: path("/shared"), name: content.name.clone() };
        world.command(start, host, share);
        match *fault {
            Fault::None => {}
            Fault::Crash(after) => world.crash(start + after, host),
            Fault::Leave(after) => world.command(start + after, host, Command::Leave),
            Fault::CutOff(after, time) => {
                let cut = LinkSpec { loss: 1_000_000, ..options.link };
                world.relink(start + after, host, cut);
                world.relink(start + (after + time).min(FAULTS_END), host, options.link);
            }
        }
    }
    for _ in 0..options.downloaders {
        let host = world.add_host(options.link, NodeSettings::default());
        hosts.push(host);
        let order = DownloadOrder {
            wanted: Wanted::Name(content.name.clone(), String::new()),
            destination: Destination::Folder(PathBuf::from("/saved")),
            patience: Patience::ENDLESS,
        };
        world.command(start, host, Command::Download { download: DownloadId(0), order });
    }
    if options.tracker_restarts {
        world.restart_tracker(start + FAULTS_END / 2);
    }
    hosts.iter().for_each(|&host| world.relink(start + FAULTS_END, host, quiet));
    finish(&mut world, options, &content.id)
}

/// Every downloader has the file within three times what the bytes take over the busiest link, and a minute.
fn finish(world: &mut World, options: &Options, content: &messages::ContentId) -> u64 {
    let faults_end = world.now + FAULTS_END;
    let first = options.owners.len();
    let downloaders: Vec<HostId> = (first..first + options.downloaders).map(HostId).collect();
    let rate = if options.upload_limit.is_some() { options.link.up.min(1 << 20) } else { options.link.up };
    let owed = options.length * options.downloaders as u64;
    let within = Duration::from_millis(3 * owed * 1000 / rate) + Duration::from_secs(60);
    let done = |world: &World| downloaders.iter().all(|host| is_done(world, *host));
    world.run(faults_end + within, done);
    for &host in &downloaders {
        if !is_done(world, host) {
            let now = world.now;
            let status = world.hosts[host.0].node.status(now);
            panic!("{host:?} has not finished by {now:?}: {:?}\nin {options:#?}", status.downloads);
        }
        let saved = world.hosts[host.0].disk.files.get(&path("/saved"));
        let end = world.hosts[host.0].events.last();
        assert_eq!(saved, Some(content), "{host:?} has ended with {end:?} in {options:#?}");
    }
    world.trace_hash()
}

fn is_done(world: &World, host: HostId) -> bool {
    let ends = |event: &Event| matches!(event, Event::DownloadDone { .. } | Event::DownloadFailed { .. });
    world.hosts[host.0].events.iter().any(|(_, event)| ends(event))
}

#[test]
fn whatever_happens_for_a_while_everybody_finishes() {
    (0..60).for_each(|seed| {
        run(&Options::draw(seed));
    });
}

#[test]
fn a_seed_replays() {
    let hash = |seed| run(&Options::draw(seed));
    assert_eq!(hash(7), hash(7));
}
