//! How long a handshake with a tracker takes while strangers knock at it by the ten thousand.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use channel::{ChannelSettings, Channels, Knock, Policy, Received, Role, StaticKey, Suite, SwarmSecret};
use messages::node_to_tracker::{Asker, Need, Query};
use messages::{BootEpoch, Conversation, Cookie, NodeId, NodeToTracker, Prefix, Timestamp};
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::figures::{Run, Side};
use crate::options::Options;
use crate::process::Process;
use crate::stage::Stage;
use crate::table::{Bound, Table};

/// KNOCKs a second, from [`FLOODERS`] addresses.
const KNOCKS_PER_SECOND: u64 = 50_000;
const FLOODERS: u8 = 64;
/// KNOCKs at once: as many as belong to a millisecond.
const BATCH: u64 = KNOCKS_PER_SECOND / 1000;
/// Handshakes whose times are taken, one after the other.
const HANDSHAKES: usize = 1000;
/// A handshake that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer is waited for before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Handshakes of new nodes, while nothing else happens, and while strangers knock.
pub(crate) fn flood(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "flood";
    let handshakes = if options.quick { HANDSHAKES / 10 } else { HANDSHAKES };
    let folder = stage.folder("flood")?;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_riffle"));
    command.args(["tracker", "--listen", "127.0.0.1:0", "--loopback-encryption", "always"]);
    command.env("RIFFLE_STATE_DIR", folder.join("state")).env("RIFFLE_LOG_DIR", folder.join("logs"));
    let mut process = Process::start(&mut command, "tracker", &folder)?;
    let address: SocketAddr = process.wait_until(stage, "its address", |said| {
        let (_, behind) = said.split_once("listening on ")?;
        behind.split_once('\n')?.0.trim().parse().ok()
    })?;
    let calm = times(stage, address, handshakes)?;
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = process.cpu()?;
    let (flooded, took) = std::thread::scope(|scope| {
        let flooder = scope.spawn(|| knock(address, &is_over, &sent));
        let began = Instant::now();
        let flooded = times(stage, address, handshakes);
        let took = began.elapsed();
        is_over.store(true, Ordering::Relaxed);
        flooder.join().map_err(|_| anyhow::anyhow!("the flood ended early"))??;
        flooded.map(|flooded| (flooded, took))
    })?;
    let rate = sent.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
    let busy = (process.cpu()?.saturating_sub(before)).as_secs_f64() / took.as_secs_f64();
    table.note(format!(
        "{ROW}: {rate:.0} KNOCKs a second from {FLOODERS} addresses took {:.0} % of one core at the tracker",
        100.0 * busy
    ));
    let p99 = |times: &[Duration]| times[(times.len() * 99).div_ceil(100) - 1];
    for (name, times) in [("a handshake, calm", &calm), ("a handshake, flooded", &flooded)] {
        let run = |wall: &Duration| Run {
            wall: *wall,
            bytes: 0,
            giving: Side::default(),
            taking: Side::default(),
            said: String::new(),
        };
        table.add(ROW, name.to_owned(), times.iter().map(run).collect());
        table.note(format!("{ROW}: {name}: 99 of 100 within {:.1} ms", p99(times).as_secs_f64() * 1e3));
    }
    table.must(ROW, "thousands of KNOCKs a second", Some(rate / 1e3), Bound::AtLeast(45.0, 49.0));
    table.must(
        ROW,
        "p99 of a handshake then, in ms",
        Some(p99(&flooded).as_secs_f64() * 1e3),
        Bound::AtMost(1000.0, 100.0),
    );
    process.leave(rustix::process::Signal::INT)?;
    Ok(())
}

/// Knocks at `tracker` at an even rate until it `is_over`, from many addresses, none of which reads the answers.
fn knock(tracker: SocketAddr, is_over: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let bind = |host| UdpSocket::bind((std::net::Ipv4Addr::new(127, 77, 0, host), 0));
    let sockets: Vec<UdpSocket> = (1..=FLOODERS).map(bind).collect::<io::Result<_>>()?;
    let knocks: Vec<Knock> = (0..1000).map(|chance| Knock::new(&SwarmSecret::open(), chance)).collect();
    let began = Instant::now();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..BATCH {
            let socket = &sockets[count as usize % sockets.len()];
            // A full queue is the tracker's to bear.
            let _ = socket.send_to(knocks[count as usize % knocks.len()].bytes(), tracker);
            count += 1;
        }
        sent.store(count, Ordering::Relaxed);
        let due = began + Duration::from_secs(1) * count as u32 / KNOCKS_PER_SECOND as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// How long each of `count` handshakes with `tracker` takes, each of a node of its own; in order of length.
fn times(stage: &Stage, tracker: SocketAddr, count: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        stage.check()?;
        times.push(handshake(tracker)?);
    }
    times.sort_unstable();
    Ok(times)
}

/// One handshake of a new node, from its first datagram to the open channel.
fn handshake(tracker: SocketAddr) -> Result<Duration> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(ASK_AGAIN))?;
    let mut secret = [0; 32];
    SysRng.try_fill_bytes(&mut secret).context("no random bytes")?;
    let mut channels = Channels::new(ChannelSettings {
        key: StaticKey::random()?,
        swarm: SwarmSecret::open(),
        policy: Policy::SEALED,
        role: Role::Node,
        max_channels: 1,
        max_channels_per_host: 1,
        epoch: BootEpoch(1),
        secret,
        suite: Suite::preferred(),
    });
    let asker = Asker { node: NodeId::from_bytes([7; 16]), cookie: Cookie::NONE };
    let need = Need { asker, query: Query::Search { prefix: Prefix::default(), after: None } };
    let mut question = Vec::new();
    NodeToTracker::from(need).encode(
        Conversation(u32::from_le_bytes([secret[0], secret[1], secret[2], secret[3]])),
        &mut question,
    );
    let began = Instant::now();
    let now = || Timestamp::ZERO + Duration::from_secs(1) + began.elapsed();
    let mut answer = [0; 2048];
    while channels.with(tracker).is_none() {
        if began.elapsed() > PATIENCE {
            bail!("no handshake within {PATIENCE:?}");
        }
        let mut sealed = Vec::new();
        channels.seal(tracker, &question, now(), &mut sealed);
        for (to, bytes) in channels.take_outbox() {
            socket.send_to(&bytes, to)?;
        }
        while channels.with(tracker).is_none() {
            let Ok((length, from)) = socket.recv_from(&mut answer) else { break };
            if channels.handle(from, &mut answer[..length], now()) == Received::Answered {
                for (to, bytes) in channels.take_outbox() {
                    socket.send_to(&bytes, to)?;
                }
            }
        }
    }
    Ok(began.elapsed())
}
