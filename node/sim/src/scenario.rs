//! A scenario is a value: which hosts there are, what each has and what each wants. One [`run`] takes them all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, Failure,
    FolderOptions, ShareId, Wanted,
};

use crate::link::LinkSpec;
use crate::world::{HostId, Manners, World};

/// Which hosts there are, what each has and what each wants.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed of all chance.
    pub seed: u64,
    /// The names of all contents, and their lengths in bytes.
    pub contents: Vec<(&'static str, u64)>,
    /// The hosts.
    pub hosts: Vec<HostSpec>,
    /// The tracker's access link.
    pub tracker_link: LinkSpec,
    /// The simulated time in which all downloads must end.
    pub within: Duration,
    /// What the downloads wait for, and for how long.
    pub timeouts: DownloadTimeouts,
}

/// One host.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Its access link.
    pub link: LinkSpec,
    /// How its node treats others.
    pub manners: Manners,
    /// The settings of its node.
    pub settings: NodeSettings,
    /// The contents that it shares from the start on.
    pub sends: Vec<&'static str>,
    /// When after the start its process is killed.
    pub crashes: Option<Duration>,
    /// When after the start its person types `exit`.
    pub leaves: Option<Duration>,
    /// The contents that it downloads, and when after the start it begins.
    pub downloads: Vec<(&'static str, Duration)>,
}

impl HostSpec {
    /// An honest host behind `link` that shares and wants nothing.
    pub fn new(link: LinkSpec) -> HostSpec {
        HostSpec {
            link,
            manners: Manners::Honest,
            settings: NodeSettings::default(),
            sends: Vec::new(),
            crashes: None,
            leaves: None,
            downloads: Vec::new(),
        }
    }

    /// The same host, which shares the content `name` too.
    pub fn sends(mut self, name: &'static str) -> HostSpec {
        self.sends.push(name);
        self
    }

    /// The same host, which downloads the content `name` too, from this time after the start on.
    pub fn downloads(mut self, name: &'static str, after: Duration) -> HostSpec {
        self.downloads.push((name, after));
        self
    }
}

/// What one download came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The number of its host in the scenario.
    pub host: usize,
    /// The name of the content.
    pub name: &'static str,
    /// How it ended.
    pub result: Result<Done, Failure>,
}

/// A download that is complete.
#[derive(Clone, Debug)]
pub struct Done {
    /// How long it took from the order on.
    pub took: Duration,
    /// How many verified bytes came from which host.
    pub shares: BTreeMap<usize, u64>,
}

/// What a scenario came to.
#[derive(Debug)]
pub struct Report {
    /// What each download came to, in the order of the scenario.
    pub outcomes: Vec<Outcome>,
    /// The world at the end.
    pub world: World,
}

impl Report {
    /// The complete download of a scenario that has only one.
    pub fn only(&self) -> &Done {
        assert_eq!(self.outcomes.len(), 1);
        self.outcomes[0].result.as_ref().expect("complete")
    }

    /// The file bytes that arrived twice at `host`, in thousandths of those that were wanted.
    pub fn waste_permille(&self, host: usize) -> u64 {
        let counters = self.world.hosts[host].node.counters();
        counters.duplicate_bytes * 1000 / counters.received_bytes.max(1)
    }
}

/// Where every host keeps the files that it shares.
fn path(name: &str) -> PathBuf {
    PathBuf::from("/shared").join(name)
}

/// Runs `scenario` to the end of all its downloads; safety is checked throughout.
///
/// # Panics
/// When something happens that must not, or a download has not ended in time.
pub fn run(scenario: &Scenario) -> Report {
    let mut world = World::new(scenario.seed, scenario.tracker_link);
    for (name, length) in &scenario.contents {
        world.library.add(name, *length);
    }
    let start = world.now;
    let mut expected = Vec::new();
    for spec in &scenario.hosts {
        let host = world.add_host(spec.link, spec.settings.clone());
        world.hosts[host.0].manners = spec.manners;
        for (number, name) in (0u32..).zip(&spec.sends) {
            let content = world.library.named(name);
            world.hosts[host.0].disk.files.insert(path(name), content.id);
            let share = Command::Share {
                share: ShareId(number),
                path: path(name),
                name: content.name.clone(),
                options: FolderOptions::default(),
            };
            world.command(start, host, share);
        }
        if let Some(after) = spec.crashes {
            world.crash(start + after, host);
        }
        if let Some(after) = spec.leaves {
            world.command(start + after, host, Command::Leave);
        }
        for (number, (name, after)) in (0u32..).zip(&spec.downloads) {
            let order = DownloadOrder {
                wanted: Wanted::Name(world.library.named(name).name.clone(), String::new()),
                destination: Destination::Folder(PathBuf::from("/saved")),
                existing: Existing::Keep,
                select: Vec::new(),
                save: riffle_core::SaveOptions::default(),
                sequential: false,
                timeouts: scenario.timeouts,
            };
            let download = DownloadId(number);
            world.command(start + *after, host, Command::Download { download, order });
            expected.push((host, download, *name, start + *after));
        }
    }
    let wanted = expected.len();
    world.run(start + scenario.within, |world| ended(world) == wanted);
    let outcomes =
        expected.iter().map(|&(host, download, name, asked)| outcome(&world, host, download, name, asked));
    let report = Report { outcomes: outcomes.collect(), world };
    check_files(&report);
    report
}

fn ended(world: &World) -> usize {
    world.hosts.iter().map(|host| host.ended).sum()
}

fn outcome(
    world: &World,
    host: HostId,
    download: DownloadId,
    name: &'static str,
    asked: Timestamp,
) -> Outcome {
    let end = world.hosts[host.0].events.iter().find_map(|(at, event)| match event {
        Event::DownloadDone { download: of, summary, .. } if *of == download => {
            let by_host = summary.shares.iter().map(|share| {
                let owner = world.hosts.iter().position(|host| host.node.id() == share.owner);
                (owner.expect("an owner that exists"), share.bytes)
            });
            Some(Ok(Done { took: at.since(asked), shares: by_host.collect() }))
        }
        Event::DownloadFailed { download: of, why } if *of == download => Some(Err(why.clone())),
        _ => None,
    });
    let result = end.unwrap_or_else(|| {
        let status = format!("{:#?}", world.hosts[host.0].events.iter().rev().take(20).collect::<Vec<_>>());
        panic!("{name} at {host:?} has not ended by {:?}; its last events: {status}", world.now)
    });
    Outcome { host: host.0, name, result }
}

/// Checks that what is reported complete is complete: the file has its name and is the content, and every byte has an
/// owner.
fn check_files(report: &Report) {
    for Outcome { host, name, result } in &report.outcomes {
        let Ok(done) = result else {
            continue;
        };
        let content = report.world.library.named(name);
        let disk = &report.world.hosts[*host].disk;
        let saved = disk.files.get(&PathBuf::from("/saved").join(name));
        assert_eq!(saved, Some(&content.id), "{name} at host {host}");
        let sum: u64 = done.shares.values().sum();
        assert_eq!(sum, content.outboard.layout().length(), "every byte of {name} came from somebody");
    }
}
