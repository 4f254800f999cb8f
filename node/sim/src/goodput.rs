//! Goodput over one bottleneck between owners and downloaders: the steady rate, the queue, the waste, and whole
//! downloads.

use std::path::PathBuf;
use std::time::Duration;

use channel::Policy;
use config::NodeSettings;
use messages::Timestamp;
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Event, Existing, FolderOptions,
    ShareId, Wanted,
};

use crate::link::LinkSpec;
use crate::world::{Fault, HostId, World};

/// By then the owners have announced the content.
const SETTLED: Duration = Duration::from_secs(3);
const NAME: &str = "film.bin";

/// A bottleneck on the owners' side; everything else is fast and near.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Its rate, in megabits a second.
    pub megabits: u64,
    /// The round-trip time over it.
    pub rtt: Duration,
    /// How many packets are lost, in millionths, each way.
    pub loss: u32,
    /// How much the queue holds, in tenths of a bandwidth-delay product.
    pub queue: u64,
    /// Whether the queue is the owner's own, and takes what leaves in one system call as one.
    pub joins: bool,
}

impl Link {
    /// A link that loses nothing, and whose queue holds one bandwidth-delay product.
    pub fn new(megabits: u64, rtt_millis: u64) -> Link {
        Link { megabits, rtt: Duration::from_millis(rtt_millis), loss: 0, queue: 10, joins: false }
    }

    /// The same link that loses so many thousandths of the packets, each way.
    pub fn loses(self, permille: u32) -> Link {
        Link { loss: permille * 1000, ..self }
    }

    /// The same link whose queue holds so many tenths of a bandwidth-delay product.
    pub fn queues(self, tenths: u64) -> Link {
        Link { queue: tenths, ..self }
    }

    /// The same link whose queue stands before the segmentation.
    pub fn joins(self) -> Link {
        Link { joins: true, ..self }
    }

    /// Its rate in bytes a second.
    pub fn rate(&self) -> u64 {
        self.megabits * 125_000
    }

    /// The bandwidth-delay product, in bytes.
    fn product(&self) -> u64 {
        self.rate() * self.rtt.as_micros() as u64 / 1_000_000
    }

    /// The whole bottleneck as the owner's access link.
    pub fn spec(&self) -> LinkSpec {
        LinkSpec {
            up: self.rate(),
            down: self.rate(),
            queue: self.product() * self.queue / 10,
            delay: self.rtt / 2,
            loss: self.loss,
            is_before_gso: self.joins,
            ..LinkSpec::new(0, Duration::ZERO)
        }
    }

    /// The downloader's access link: it has no limit, but packets back over the bottleneck may be lost.
    pub fn other_end(&self) -> LinkSpec {
        LinkSpec {
            up: 0,
            down: 0,
            delay: Duration::ZERO,
            loss: self.loss,
            ..LinkSpec::new(0, Duration::ZERO)
        }
    }
}

/// A world with owners of one content of `length` bytes behind `links`, who have announced it; the tracker is as far
/// away as the farthest of them.
pub fn owners(links: &[Link], length: u64, seed: u64) -> (World, Vec<HostId>) {
    owners_with(links, length, seed, None)
}

/// As [`owners`], where hosts and tracker talk as `policy` asks for.
pub fn owners_with(links: &[Link], length: u64, seed: u64, policy: Option<Policy>) -> (World, Vec<HostId>) {
    let slowest = links.iter().max_by_key(|link| link.rtt).expect("an owner");
    let tracker = LinkSpec { up: 0, down: 0, delay: slowest.rtt / 2, loss: slowest.loss, ..slowest.spec() };
    let mut world = World::new(seed, tracker);
    policy.into_iter().for_each(|policy| world.seal(policy));
    let content = world.library.add(NAME, length);
    let mut hosts = Vec::new();
    for link in links {
        let host = world.add_host(link.spec(), NodeSettings::default());
        let path = PathBuf::from("/shared").join(NAME);
        world.hosts[host.0].disk.files.insert(path.clone(), content.id);
        let share = Command::Share {
            share: ShareId(0),
            path,
            name: content.name.clone(),
            options: FolderOptions::default(),
        };
        world.command(world.now, host, share);
        hosts.push(host);
    }
    world.run(world.now + SETTLED, |_| false);
    world.now = world.now.max(Timestamp::ZERO + Duration::from_secs(1) + SETTLED);
    (world, hosts)
}

/// Adds a host at the other end of `link` that wants the content at once, with nothing registered and no cookie kept.
pub fn downloads(world: &mut World, link: &Link) -> HostId {
    let host = world.add_host(link.other_end(), NodeSettings::default());
    let name = world.library.named(NAME).name.clone();
    let order = DownloadOrder {
        wanted: Wanted::Name(name, String::new()),
        destination: Destination::Folder(PathBuf::from("/saved")),
        existing: Existing::Keep,
        select: Vec::new(),
        save: riffle_core::SaveOptions::default(),
        sequential: false,
        timeouts: DownloadTimeouts::NONE,
    };
    world.command(world.now, host, Command::Download { download: DownloadId(0), order });
    host
}

/// Whether the download at `host` is complete. It must not end in another way.
pub fn is_done(world: &World, host: HostId) -> bool {
    let events = &world.hosts[host.0].events;
    let failed = events.iter().find(|(_, event)| matches!(event, Event::DownloadFailed { .. }));
    assert!(failed.is_none(), "{failed:?}");
    world.hosts[host.0].ended > 0
}

/// The length in bytes of the content that a link of this rate carries in `time`.
pub fn carried_in(link: &Link, time: Duration) -> u64 {
    link.rate() * time.as_millis() as u64 / 1000
}

/// What a download over bottlenecks comes to when it has settled. All figures but `wasted` are in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// The IP bytes of file segments that arrived, of what the links carry.
    pub rate: u64,
    /// The file bytes that arrived twice, in hundred-thousandths of the file.
    pub wasted: u64,
    /// The 95th percentile of the time that packets waited in the first owner's queue, of a round trip.
    pub queue: u64,
    /// The file bytes that owners sent, of those that the file has.
    pub sent: u64,
}

/// Downloads a content over `links` that takes `time` at their rates, and measures what has settled.
pub fn steady(links: &[Link], time: Duration, seed: u64) -> Steady {
    let length = links.iter().map(|link| carried_in(link, time)).sum();
    let (mut world, owners) = owners(links, length, seed);
    world.watch(owners[0]);
    let host = downloads(&mut world, &links[0]);
    let deadline = world.now + time * 4;
    world.run(deadline, |world| is_done(world, host));
    assert!(is_done(&world, host), "{links:?} takes more than {:?}", time * 4);
    let arrived = &world.watched().arrived;
    let first = arrived[0].at;
    let longest = links.iter().map(|link| link.rtt).max().expect("a link");
    let from = first + (longest * 20).max(Duration::from_secs(2));
    // All segments but a piece's last are equally long.
    let until = arrived[arrived.len() * 95 / 100].at;
    let capacity: u64 = links.iter().map(Link::rate).sum();
    let counters = world.hosts[host.0].node.counters();
    let sent: u64 = owners.iter().map(|owner| world.hosts[owner.0].node.counters().sent_bytes).sum();
    Steady {
        rate: permille_between(&world, host, from, until, capacity),
        wasted: counters.duplicate_bytes * 100_000 / length,
        queue: queue_permille(&world, from, until, links[0].rtt),
        sent: sent * 1000 / length,
    }
}

/// The IP bytes of file segments that reached `host` from `from` until `until`, in thousandths of what `capacity` bytes
/// a second carry in that time.
pub fn permille_between(
    world: &World,
    host: HostId,
    from: Timestamp,
    until: Timestamp,
    capacity: u64,
) -> u64 {
    let arrived = world.watched().arrived.iter();
    let bytes: u64 = (arrived
        .filter(|arrived| arrived.host == host && arrived.at >= from && arrived.at < until))
    .map(|arrived| arrived.bytes)
    .sum();
    let micros = until.since(from).as_micros() as u64;
    bytes * 1000 * 1000 / (capacity * micros / 1000)
}

/// The 95th percentile of the time that packets waited at the watched uplink, in thousandths of `rtt`.
pub fn queue_permille(world: &World, from: Timestamp, until: Timestamp, rtt: Duration) -> u64 {
    let waited = world.watched().waited.iter().filter(|(at, _)| (from..until).contains(at));
    let mut waited: Vec<Duration> = waited.map(|(_, waits)| *waits).collect();
    waited.sort_unstable();
    let high = waited[waited.len() * 95 / 100];
    (high.as_nanos() * 1000 / rtt.as_nanos()) as u64
}

/// What a whole download comes to, from the order until the file has its name.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// How long it took.
    pub took: Duration,
    /// The IP bytes of file segments that arrived, in thousandths of what the link carries in that time.
    pub rate: u64,
    /// The file bytes that arrived twice, in hundred-thousandths of the file.
    pub wasted: u64,
    /// The file bytes that the owner sent, in thousandths of the file.
    pub sent: u64,
    /// How long it took until the first byte of the file arrived.
    pub first: Duration,
}

/// Downloads `length` bytes over `link`, and measures all of it.
pub fn whole(link: Link, length: u64, seed: u64) -> Whole {
    let (mut world, owners) = owners(&[link], length, seed);
    world.watch(owners[0]);
    let began = world.now;
    let host = downloads(&mut world, &link);
    world.run(began + Duration::from_secs(600), |world| is_done(world, host));
    assert!(is_done(&world, host), "{link:?}");
    let took = world.now.since(began);
    let arrived = &world.watched().arrived;
    let bytes: u64 = arrived.iter().map(|arrived| arrived.bytes).sum();
    let counters = world.hosts[host.0].node.counters();
    Whole {
        took,
        rate: bytes * 1000 * 1000 / (link.rate() * took.as_micros() as u64 / 1000),
        wasted: counters.duplicate_bytes * 100_000 / length,
        sent: world.hosts[owners[0].0].node.counters().sent_bytes * 1000 / length,
        first: arrived[0].at.since(began),
    }
}

/// Gives the owner at `host` another link after `after`.
pub fn changes(world: &mut World, after: Duration, host: HostId, spec: LinkSpec) {
    world.fault(world.now + after, Fault::Relink(host, spec));
}
