//! The network: every host hangs on one access link with a rate and a queue each way; between them is only time.

use std::time::Duration;

use messages::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;

/// Headers of IPv4 and UDP: rates count IP bytes.
pub const IP_HEADERS: u64 = 28;
/// The packet size of almost every link that there is.
pub const ETHERNET: u64 = 1500;

/// What a host's access link is like.
#[derive(Clone, Copy, Debug)]
pub struct LinkSpec {
    /// Bytes a second up and down; 0: no limit.
    pub up: u64,
    pub down: u64,
    /// Bytes that each queue holds before its tail is dropped.
    pub queue: u64,
    /// From the host to the middle of the network, each way.
    pub delay: Duration,
    /// Up to this much more, by chance; packets may overtake each other.
    pub jitter: Duration,
    /// Packets lost, in millionths, each way.
    pub loss: u32,
    /// Control datagrams in which one bit is turned, in millionths.
    pub corrupt: u32,
    /// Packets that arrive twice, in millionths.
    pub duplicates: u32,
    /// Packets that are held up by `hold`, in millionths, and so come out of order.
    pub reordered: u32,
    pub hold: Duration,
    /// Losses come in bursts.
    pub bursts: Option<Bursts>,
    /// CHUNKs whose header or payload is damaged, in millionths.
    pub spoiled: u32,
    /// Segmentation offload is broken: of a burst that is not sent apart only the first so many segments arrive.
    pub offload: Option<usize>,
    /// And of one that is sent apart as well: it is not the offload.
    pub always: bool,
    /// The queue takes what leaves in one system call as one, or not at all: it stands before the segmentation.
    pub joins: bool,
    /// Packets that are longer vanish, IP headers counted; 0: none.
    pub mtu: u64,
}

/// The model of Gilbert and Elliott: a link is good or bad, and changes by chance with each packet. In millionths.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    pub turns_bad: u32,
    pub turns_good: u32,
    /// Packets lost while it is bad.
    pub loss: u32,
}

impl LinkSpec {
    /// `megabits` a second each way, half of `rtt` between two such hosts, a queue of one bandwidth-delay product.
    pub fn new(megabits: u64, rtt: Duration) -> LinkSpec {
        let rate = megabits * 125_000;
        let product = rate * rtt.as_millis() as u64 / 1000;
        LinkSpec {
            up: rate,
            down: rate,
            queue: product.max(64 << 10),
            delay: rtt / 4,
            jitter: Duration::ZERO,
            loss: 0,
            corrupt: 0,
            duplicates: 0,
            reordered: 0,
            hold: Duration::ZERO,
            bursts: None,
            spoiled: 0,
            offload: None,
            always: false,
            joins: false,
            mtu: ETHERNET,
        }
    }

    pub fn percent_loss(self, percent: u32) -> LinkSpec {
        LinkSpec { loss: percent * 10_000, ..self }
    }
}

/// One direction of an access link.
#[derive(Debug, Default)]
pub struct Pipe {
    free_at: Timestamp,
    pub passed_bytes: u64,
    pub dropped: u64,
}

impl Pipe {
    /// How long a packet that comes now waits behind others.
    pub fn waits(&self, now: Timestamp) -> Duration {
        self.free_at.since(now)
    }

    /// Whether `bytes` fit the queue.
    pub fn has_room(&self, rate: u64, queue: u64, bytes: u64, now: Timestamp) -> bool {
        let backlog =
            u128::from(self.free_at.since(now).as_nanos() as u64) * u128::from(rate) / 1_000_000_000;
        backlog == 0 || backlog as u64 + bytes <= queue
    }

    /// A packet of `bytes` at `now`: when its last byte is through, unless the queue is full.
    pub fn enqueue(&mut self, rate: u64, queue: u64, bytes: u64, now: Timestamp) -> Option<Timestamp> {
        if rate == 0 {
            self.passed_bytes += bytes;
            return Some(now);
        }
        if !self.has_room(rate, queue, bytes, now) {
            self.dropped += 1;
            return None;
        }
        let takes = Duration::from_nanos((u128::from(bytes) * 1_000_000_000 / u128::from(rate)) as u64);
        self.free_at = self.free_at.max(now) + takes;
        self.passed_bytes += bytes;
        Some(self.free_at)
    }
}

/// What chance does to one packet between two hosts.
#[derive(Debug, PartialEq, Eq)]
pub struct Fate {
    /// How often it arrives.
    pub copies: u32,
    /// How much later than the links' delays say.
    pub late: Duration,
    /// Which bit is turned, counted from the start and around again.
    pub corrupt: Option<u32>,
    /// A CHUNK is damaged; this says where.
    pub spoiled: Option<u32>,
}

impl Fate {
    const LOST: Fate = Fate { copies: 0, late: Duration::ZERO, corrupt: None, spoiled: None };
}

/// The fate of a packet that leaves over `from` and arrives over `to`. Loss happens on the sender's link; `bad` says
/// whether that is in a bad state.
pub fn fate(from: &LinkSpec, to: &LinkSpec, bad: &mut bool, rng: &mut StdRng) -> Fate {
    let happens =
        |millionths: u32, rng: &mut StdRng| millionths > 0 && rng.random_range(0..1_000_000) < millionths;
    if let Some(bursts) = &from.bursts {
        let turns = if *bad { bursts.turns_good } else { bursts.turns_bad };
        *bad ^= happens(turns, rng);
        if *bad && happens(bursts.loss, rng) {
            return Fate::LOST;
        }
    }
    if happens(from.loss, rng) {
        return Fate::LOST;
    }
    let copies = if happens(from.duplicates, rng) { 2 } else { 1 };
    let jitter = (from.jitter + to.jitter).as_nanos() as u64;
    let jitter = if jitter > 0 { Duration::from_nanos(rng.random_range(0..=jitter)) } else { Duration::ZERO };
    let held = if happens(from.reordered, rng) { from.hold } else { Duration::ZERO };
    let corrupt = happens(from.corrupt, rng).then(|| rng.random());
    let spoiled = happens(from.spoiled, rng).then(|| rng.random());
    Fate { copies, late: jitter + held, corrupt, spoiled }
}

impl LinkSpec {
    /// Whether a packet of `bytes` is too long for it.
    pub fn drops(&self, bytes: u64) -> bool {
        self.mtu > 0 && bytes > self.mtu
    }
}
