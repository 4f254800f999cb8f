//! The network: every host has one access link with a rate and a queue each way; between the links is only time.

use std::time::Duration;

use messages::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;

/// The headers of IPv4 and UDP in bytes: rates count IP bytes.
pub const IP_HEADERS: u64 = 28;
/// The MTU of an Ethernet, in bytes.
pub const ETHERNET: u64 = 1500;

/// What a host's access link is like.
#[derive(Clone, Copy, Debug)]
pub struct LinkSpec {
    /// The rate from the host, in bytes a second; 0 is no limit.
    pub up: u64,
    /// The rate to the host, in bytes a second; 0 is no limit.
    pub down: u64,
    /// How many bytes each queue holds before it drops its tail.
    pub queue: u64,
    /// The time from the host to the middle of the network, each way.
    pub delay: Duration,
    /// The largest random time that is added to the delay; packets may overtake each other.
    pub jitter: Duration,
    /// How many packets are lost, in millionths, each way.
    pub loss: u32,
    /// How many control datagrams have one bit flipped, in millionths.
    pub corrupt: u32,
    /// How many packets arrive twice, in millionths.
    pub duplicates: u32,
    /// How many packets are held up by `hold`, in millionths, and so arrive out of order.
    pub reordered: u32,
    /// How long reordered packets are held up.
    pub hold: Duration,
    /// The burst losses, if there are any.
    pub bursts: Option<Bursts>,
    /// How many CHUNKs have a damaged header or payload, in millionths.
    pub damaged: u32,
    /// Segmentation offload is broken: of a burst that is sent with it only the first so many segments arrive.
    pub gso_limit: Option<usize>,
    /// Whether `gso_limit` holds for bursts without offload too, so that offload is not what is broken.
    pub limits_no_gso: bool,
    /// Whether the queue stands before the segmentation: it takes what leaves in one system call as one, or not at all.
    pub is_before_gso: bool,
    /// The longest packet that passes, in bytes with IP headers; longer ones vanish, and 0 is no limit.
    pub mtu: u64,
}

/// Burst losses by the model of Gilbert and Elliott: a link is good or bad, and changes by chance with each packet. All
/// chances are in millionths.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    /// How likely a good link turns bad.
    pub turns_bad: u32,
    /// How likely a bad link turns good.
    pub turns_good: u32,
    /// How likely a packet is lost while the link is bad.
    pub loss: u32,
}

impl LinkSpec {
    /// A link of `megabits` a second each way, with a queue of one bandwidth-delay product; `rtt` is the round-trip
    /// time between two hosts with such links.
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
            damaged: 0,
            gso_limit: None,
            limits_no_gso: false,
            is_before_gso: false,
            mtu: ETHERNET,
        }
    }

    /// The same link with so many percent of the packets lost.
    pub fn percent_loss(self, percent: u32) -> LinkSpec {
        LinkSpec { loss: percent * 10_000, ..self }
    }
}

/// One direction of an access link.
#[derive(Debug, Default)]
pub struct Pipe {
    /// When the last byte of the queue has left.
    free_at: Timestamp,
    /// How many bytes have passed.
    pub passed_bytes: u64,
    /// How many packets were dropped because the queue was full.
    pub dropped: u64,
}

impl Pipe {
    /// How long a packet that arrives now waits behind others.
    pub fn waits(&self, now: Timestamp) -> Duration {
        self.free_at.since(now)
    }

    /// Whether `bytes` fit the queue.
    pub fn fits(&self, rate: u64, queue: u64, bytes: u64, now: Timestamp) -> bool {
        let backlog =
            u128::from(self.free_at.since(now).as_nanos() as u64) * u128::from(rate) / 1_000_000_000;
        backlog == 0 || backlog as u64 + bytes <= queue
    }

    /// Takes a packet of `bytes` at `now`. Returns when its last byte has passed, or `None` when the queue is full.
    pub fn enqueue(&mut self, rate: u64, queue: u64, bytes: u64, now: Timestamp) -> Option<Timestamp> {
        if rate == 0 {
            self.passed_bytes += bytes;
            return Some(now);
        }
        if !self.fits(rate, queue, bytes, now) {
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
    /// How many copies of it arrive.
    pub copies: u32,
    /// How much later it arrives than the links' delays say.
    pub late: Duration,
    /// Which bit of a control datagram is flipped, counted from the start and around again.
    pub corrupt: Option<u32>,
    /// Where a CHUNK is damaged.
    pub damage: Option<u32>,
}

impl Fate {
    const LOST: Fate = Fate { copies: 0, late: Duration::ZERO, corrupt: None, damage: None };
}

/// The fate of a packet that leaves over `from` and arrives over `to`. Loss happens on the sender's link; `bad` is
/// whether the burst losses of that link are in their bad state.
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
    let damage = happens(from.damaged, rng).then(|| rng.random());
    Fate { copies, late: jitter + held, corrupt, damage }
}

impl LinkSpec {
    /// Whether a packet of `bytes` is too long for the link.
    pub fn drops(&self, bytes: u64) -> bool {
        self.mtu > 0 && bytes > self.mtu
    }
}
