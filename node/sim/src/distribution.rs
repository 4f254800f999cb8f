//! The distribution of one file from one owner to many downloaders: how long each takes, and who uploads how much.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{NodeSettings, UploadPolicy};
use messages::{ContentId, Name, PieceIndex, Timestamp};
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, Wanted,
};

use crate::link::LinkSpec;
use crate::world::{HostId, Manners, Milestone, World};

/// A mebibyte, in bytes.
pub const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// By then the owners have announced the file.
const SETTLED: Duration = Duration::from_secs(2);
/// The rate of every link up and down, in megabits a second.
pub const MEGABITS: u64 = 100;
/// How much of a link's rate is file bytes at best, in thousandths.
const USABLE: u64 = 960;

/// A swarm: one owner that has the file, and the others.
#[derive(Clone, Copy, Debug)]
pub struct Swarm {
    /// How many downloaders there are.
    pub downloaders: usize,
    /// The length of the file, in bytes.
    pub length: u64,
    /// By which policy all nodes choose whom they serve.
    pub policy: UploadPolicy,
    /// How often all nodes choose anew.
    pub period: Duration,
    /// Over how long the downloaders begin, one after the other.
    pub arriving: Duration,
    /// How many of them, the first ones, download and send nothing.
    pub free_riders: usize,
    /// Whether every third downloader leaves when it is done, and the first owner as soon as the others have the whole
    /// file among them.
    pub leaving: bool,
    /// How many more owners there are that send wrong bytes only.
    pub liars: usize,
    /// How many more owners there are that talk to the tracker only.
    pub silent: usize,
}

impl Swarm {
    /// A swarm whose nodes serve all downloaders alike.
    pub const fn fair(downloaders: usize, length: u64) -> Swarm {
        Swarm {
            downloaders,
            length,
            policy: UploadPolicy::Fair,
            period: Duration::from_secs(30),
            arriving: Duration::ZERO,
            free_riders: 0,
            leaving: false,
            liars: 0,
            silent: 0,
        }
    }

    /// A swarm whose nodes serve by tit-for-tat, and choose anew often enough for choices to happen within the file.
    pub const fn tit_for_tat(downloaders: usize, length: u64) -> Swarm {
        let (policy, period) = (UploadPolicy::TitForTat, Duration::from_millis(500));
        Swarm { policy, period, ..Swarm::fair(downloaders, length) }
    }

    /// The settings of all nodes.
    pub fn settings(&self) -> NodeSettings {
        let mut settings = NodeSettings::default();
        settings.upload.policy = self.policy;
        settings.upload.period = self.period;
        settings
    }

    /// How long the file takes over one link.
    pub fn file_time(&self) -> Duration {
        let rate = MEGABITS * 125 * USABLE;
        Duration::from_micros(self.length * 1_000_000 / rate)
    }

    /// No swarm is faster (Mundinger, Weber and Weiss, 2006): 1 + ⌊log2 N⌋ / pieces file times.
    pub fn bound(&self, pieces: u32) -> Duration {
        self.file_time() + self.file_time() * self.downloaders.ilog2() / pieces.max(1)
    }

    /// Runs the swarm until every downloader has the file, which must be so `within` this time after the last has
    /// begun.
    pub fn run(&self, seed: u64, within: Duration) -> Outcome {
        Run::begin(*self, seed).finish(within)
    }
}

/// The link of every host.
pub fn link() -> LinkSpec {
    LinkSpec { loss: 1000, ..LinkSpec::new(MEGABITS, Duration::from_millis(20)) }
}

/// A downloader.
#[derive(Clone, Copy, Debug)]
struct Downloader {
    host: HostId,
    began: Timestamp,
    took: Option<Duration>,
}

/// What a swarm came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How long each downloader took; the free riders are the first.
    pub took: Vec<Duration>,
    /// How many free riders there are.
    pub free_riders: usize,
    /// The shortest time in which all can have the file.
    pub bound: Duration,
    /// What the first owner had uploaded when the swarm had a second copy, in thousandths of the file.
    pub until_copy: u64,
    /// What the first owner uploaded in all, in thousandths of the file.
    pub uploaded: u64,
    /// The file bytes that arrived twice, in hundred-thousandths of those that were wanted.
    pub wasted: u64,
    /// The most bad pieces that one downloader got from one owner alone.
    pub max_bad: usize,
}

impl Outcome {
    /// How long the last downloader that serves took, in thousandths of the bound.
    pub fn over_bound(&self) -> u64 {
        let last = self.took[self.free_riders..].iter().max().copied().unwrap_or_default();
        (last.as_micros() * 1000 / self.bound.as_micros()) as u64
    }
}

/// A swarm that runs.
#[derive(Debug)]
struct Run {
    swarm: Swarm,
    world: World,
    content: (ContentId, Name),
    pieces: u32,
    owner: HostId,
    downloaders: Vec<Downloader>,
    /// Pieces that downloaders have stored.
    stored: BTreeSet<PieceIndex>,
    until_copy: Option<u64>,
    /// For each bad piece that came from one owner alone, who got it and from whom.
    bad: Vec<(HostId, messages::NodeId)>,
}

impl Run {
    /// Builds the swarm: the owners have announced, and the first downloader begins now.
    fn begin(swarm: Swarm, seed: u64) -> Run {
        let mut world = World::new(seed, LinkSpec { up: 0, down: 0, ..link() });
        world.record.max_events = 64;
        let of = world.library.add(NAME, swarm.length);
        let content = (of.id, of.name.clone());
        let mut shares = |manners| {
            let host = world.add_host(link(), swarm.settings());
            world.hosts[host.0].manners = manners;
            world.share(host, Path::new("/shared").join(NAME), content.1.clone(), content.0);
            host
        };
        let owner = shares(Manners::Honest);
        for _ in 0..swarm.liars {
            shares(Manners::Liar(1_000_000));
        }
        for _ in 0..swarm.silent {
            shares(Manners::Silent);
        }
        let began = world.now + SETTLED;
        world.run(began, |_| false);
        world.now = began;
        let pieces = of.outboard.layout().pieces();
        let (downloaders, stored) = (Vec::new(), BTreeSet::new());
        let mut run = Run {
            swarm,
            world,
            content,
            pieces,
            owner,
            downloaders,
            stored,
            until_copy: None,
            bad: Vec::new(),
        };
        (0..swarm.downloaders).for_each(|number| run.add_downloader(number));
        run
    }

    fn add_downloader(&mut self, number: usize) {
        let after = self.swarm.arriving * number as u32 / self.swarm.downloaders.max(1) as u32;
        let (host, began) = (self.world.add_host(link(), self.swarm.settings()), self.world.now + after);
        if number < self.swarm.free_riders {
            self.world.hosts[host.0].manners = Manners::Mute;
        }
        let order = DownloadOrder {
            wanted: Wanted::Name(self.content.1.clone(), String::new()),
            destination: Destination::Folder(PathBuf::from("/saved")),
            existing: Existing::Keep,
            select: Vec::new(),
            save: riffle_core::SaveOptions::default(),
            sequential: false,
            timeouts: DownloadTimeouts::NONE,
        };
        self.world.command(began, host, Command::Download { download: DownloadId(0), order });
        self.downloaders.push(Downloader { host, began, took: None });
    }

    /// Runs until every downloader has the file, and sums up.
    fn finish(mut self, within: Duration) -> Outcome {
        let deadline = self.world.now + self.swarm.arriving + within;
        while self.downloaders.iter().any(|downloader| downloader.took.is_none()) {
            let goes_on = self.world.run(deadline, |world| !world.record.milestones.is_empty());
            let left = self.downloaders.iter().filter(|downloader| downloader.took.is_none()).count();
            assert!(goes_on, "{:?}: {left} are not done after {:?}", self.swarm, self.world.now);
            for milestone in std::mem::take(&mut self.world.record.milestones) {
                self.on_milestone(&milestone);
            }
        }
        let counters = self.downloaders.iter().map(|of| self.world.hosts[of.host.0].counters());
        let (wasted, wanted) = counters.fold((0, 0), |(wasted, wanted), counters| {
            (wasted + counters.duplicate_bytes, wanted + counters.received_bytes)
        });
        let times = |of: &(HostId, messages::NodeId)| self.bad.iter().filter(|bad| *bad == of).count();
        Outcome {
            took: self.downloaders.iter().filter_map(|downloader| downloader.took).collect(),
            free_riders: self.swarm.free_riders,
            bound: self.swarm.bound(self.pieces),
            until_copy: self.until_copy.unwrap_or_else(|| self.uploaded()),
            uploaded: self.uploaded(),
            wasted: wasted * 100_000 / wanted.max(1),
            max_bad: self.bad.iter().map(times).max().unwrap_or(0),
        }
    }

    fn on_milestone(&mut self, milestone: &Milestone) {
        match milestone {
            Milestone::Stored(_, piece) => {
                self.stored.insert(*piece);
                if self.until_copy.is_none() && self.stored.len() == self.pieces as usize {
                    self.until_copy = Some(self.uploaded());
                    if self.swarm.leaving {
                        self.world.command(self.world.now, self.owner, Command::Leave);
                    }
                }
            }
            Milestone::Rejected(host, owners) => {
                if let [owner] = owners.as_slice() {
                    self.bad.push((*host, *owner));
                }
            }
            Milestone::Ended(host) => {
                let events = &self.world.hosts[host.0].events;
                let failed = events.iter().find(|(_, event)| matches!(event, Event::DownloadFailed { .. }));
                assert!(failed.is_none(), "{failed:?}");
                let now = self.world.now;
                let number = self.downloaders.iter().position(|of| of.host == *host);
                let number = number.expect("only downloaders have downloads that end");
                self.downloaders[number].took = Some(now.since(self.downloaders[number].began));
                // The first downloader stays: it may have the only copy when the first owner leaves.
                if self.swarm.leaving && number % 3 == 2 {
                    self.world.command(now, *host, Command::Leave);
                }
            }
        }
    }

    /// What the first owner has uploaded, in thousandths of the file.
    fn uploaded(&self) -> u64 {
        self.world.hosts[self.owner.0].counters().sent_bytes * 1000 / self.swarm.length
    }
}
