//! One owner and many who want what it has: how long the last one takes, and who uploads how much.

use std::path::PathBuf;
use std::time::Duration;

use config::{NodeSettings, UploadPolicy};
use messages::Timestamp;
use node::{Command, Destination, DownloadId, DownloadOrder, Event, Patience, Wanted};

use crate::link::LinkSpec;
use crate::world::{HostId, World};

pub(crate) const MIB: u64 = 1 << 20;
const NAME: &str = "film.bin";
/// The owner has announced by then.
const SETTLED: Duration = Duration::from_secs(2);
/// Of every link, up and down.
pub(crate) const MEGABITS: u64 = 100;
/// What of a link's rate is file, in thousandths: the figure of the goals.
const USABLE: u64 = 960;

/// A swarm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swarm {
    pub(crate) downloaders: usize,
    pub(crate) length: u64,
    pub(crate) policy: UploadPolicy,
    pub(crate) period: Duration,
}

impl Swarm {
    pub(crate) fn fair(downloaders: usize, length: u64) -> Swarm {
        Swarm { downloaders, length, policy: UploadPolicy::Fair, period: Duration::from_secs(30) }
    }

    /// Tit-for-tat that is looked at often enough for choices to happen within the file.
    pub(crate) fn tit_for_tat(downloaders: usize, length: u64) -> Swarm {
        let (policy, period) = (UploadPolicy::TitForTat, Duration::from_millis(500));
        Swarm { downloaders, length, policy, period }
    }

    pub(crate) fn settings(&self) -> NodeSettings {
        let mut settings = NodeSettings::default();
        settings.upload.policy = self.policy;
        settings.upload.period = self.period;
        settings
    }

    /// How long the file takes over one link.
    pub(crate) fn file_time(&self) -> Duration {
        let rate = MEGABITS * 125 * USABLE;
        Duration::from_micros(self.length * 1_000_000 / rate)
    }

    /// No swarm is faster (Mundinger, Weber and Weiss, 2006): 1 + ⌊log2 N⌋ / pieces file times.
    pub(crate) fn bound(&self, world: &World) -> Duration {
        let pieces = world.library.named(NAME).manifest.layout().pieces();
        self.file_time() + self.file_time() * self.downloaders.ilog2() / pieces.max(1)
    }
}

/// Everybody's link.
pub(crate) fn link() -> LinkSpec {
    LinkSpec { loss: 1000, ..LinkSpec::new(MEGABITS, Duration::from_millis(20)) }
}

/// The first owner and its file, and the tracker; it has announced.
pub(crate) fn first_owner(swarm: &Swarm, seed: u64) -> (World, HostId) {
    let tracker = LinkSpec { up: 0, down: 0, ..link() };
    let mut world = World::new(seed, tracker);
    world.events_kept = 64;
    let content = world.library.add(NAME, swarm.length);
    let owner = world.add_host(link(), swarm.settings());
    world.share(owner, PathBuf::from("/shared").join(NAME), content.name.clone(), content.id);
    world.run(world.now + SETTLED, |_| false);
    world.now = world.now.max(Timestamp::ZERO + Duration::from_secs(1) + SETTLED);
    (world, owner)
}

/// A host that wants the file from `after` on.
pub(crate) fn downloader(world: &mut World, swarm: &Swarm, after: Duration) -> HostId {
    let host = world.add_host(link(), swarm.settings());
    let name = world.library.named(NAME).name.clone();
    let order = DownloadOrder {
        wanted: Wanted::Name(name, String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        patience: Patience::ENDLESS,
    };
    let command = Command::Download { download: DownloadId(0), order };
    world.command(world.now + after, host, command);
    host
}

/// What a swarm came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// When the first and the last were done.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    /// Over the bound, in thousandths.
    pub(crate) over_bound: u64,
    /// What the first owner had uploaded when the swarm had a second copy, and in the end, in thousandths of the file.
    pub(crate) until_copy: u64,
    pub(crate) uploaded: u64,
    /// File bytes that arrived and were there already, in hundred-thousandths of those that were wanted.
    pub(crate) wasted: u64,
}

/// Runs a swarm whose downloaders all begin at once.
pub(crate) fn run(swarm: &Swarm, seed: u64) -> Outcome {
    let (mut world, owner) = first_owner(swarm, seed);
    let began = world.now;
    let hosts: Vec<HostId> =
        (0..swarm.downloaders).map(|_| downloader(&mut world, swarm, Duration::ZERO)).collect();
    let mut until_copy = None;
    let sent = |world: &World| world.hosts[owner.0].node.counters().sent_bytes;
    let mut done = vec![None; hosts.len()];
    let mut left = hosts.len();
    let deadline = began + swarm.file_time() * 20 + Duration::from_secs(60);
    let mut ended = vec![0usize; hosts.len()];
    while left > 0 {
        let finished = world.run(deadline, |world| {
            until_copy = until_copy.or_else(|| {
                let content = world.library.named(NAME);
                let pieces = content.manifest.layout().pieces();
                let all = (0..pieces).all(|piece| {
                    let piece = messages::PieceIndex(piece);
                    hosts.iter().any(|host| {
                        world.hosts[host.0].ended > 0
                            || world.hosts[host.0].disk.has_stored(content.id, piece)
                    })
                });
                all.then(|| sent(world))
            });
            hosts.iter().zip(&ended).any(|(host, ended)| world.hosts[host.0].ended > *ended)
        });
        assert!(finished, "{swarm:?}: {left} are not done after {:?}", world.now.since(began));
        for (index, host) in hosts.iter().enumerate() {
            if world.hosts[host.0].ended > ended[index] {
                ended[index] = world.hosts[host.0].ended;
                let events = &world.hosts[host.0].events;
                let failed = events.iter().find(|(_, event)| matches!(event, Event::DownloadFailed { .. }));
                assert!(failed.is_none(), "{failed:?}");
                done[index] = Some(world.now.since(began));
                left -= 1;
            }
        }
    }
    let done: Vec<Duration> = done.into_iter().flatten().collect();
    let (first, last) = (done.iter().min().copied(), done.iter().max().copied());
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    let bound = swarm.bound(&world);
    let counters = hosts.iter().map(|host| world.hosts[host.0].node.counters());
    let (wasted, wanted) = counters.fold((0, 0), |(wasted, wanted), counters| {
        (wasted + counters.duplicate_bytes, wanted + counters.received_bytes)
    });
    Outcome {
        first,
        last,
        over_bound: (last.as_micros() * 1000 / bound.as_micros()) as u64,
        until_copy: until_copy.unwrap_or_else(|| sent(&world)) * 1000 / swarm.length,
        uploaded: sent(&world) * 1000 / swarm.length,
        wasted: wasted * 100_000 / wanted.max(1),
    }
}
