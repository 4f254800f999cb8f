//! Hours of faults: `cargo run --release -p riffle-cli --example soak -- --for 1h [--seed 1] [--largest 100MiB]`
//!
//! A tracker, owners and downloaders as real processes on loopback. Files of all sizes are under way while processes are
//! killed, paused and started again. Every file that arrives is compared; once a minute it is said how much memory, how
//! many descriptors and threads those have that live long. Leaves with 1 after a wrong byte, a download that does not
//! end although an owner of the whole lives, or growth. One owner is never killed, so every download must end.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "figures are read from /proc"))]
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real files, processes and time")]

mod cast;
mod figures;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use config::{ByteSize, Period};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::signal::unix::{SignalKind, signal};

use cast::Stage;
use figures::Figures;

const FILES: usize = 8;
const TICK: Duration = Duration::from_millis(50);
const TELL_EVERY: Duration = Duration::from_secs(60);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// What the command line says.
struct Order {
    time: Duration,
    seed: u64,
    largest: u64,
}

fn order() -> Result<Order, String> {
    let mut order = Order { time: Duration::from_secs(300), seed: 1, largest: 100 << 20 };
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().ok_or(format!("{option} needs a value"))?;
        let wrong = |why: &dyn std::fmt::Display| format!("{option} {value}: {why}");
        match option.as_str() {
            "--for" => order.time = value.parse::<Period>().map_err(|why| wrong(&why))?.0,
            "--seed" => order.seed = value.parse().map_err(|why| wrong(&why))?,
            "--largest" => {
                order.largest = value.parse::<ByteSize>().map_err(|why| wrong(&why))?.as_u64();
            }
            _ => return Err(format!("{option}: --for, --seed and --largest are known")),
        }
    }
    Ok(order)
}

fn main() -> ExitCode {
    let order = match order() {
        Ok(order) => order,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let riffle = build();
    let folder = tempfile::Builder::new().prefix("riffle-soak-").tempdir().expect("a temporary folder");
    let mut rng = StdRng::seed_from_u64(order.seed);
    println!(
        "seed {}, {} s, files up to {} bytes, {}",
        order.seed,
        order.time.as_secs(),
        order.largest,
        folder.path().display()
    );
    make_files(folder.path(), order.largest, &mut rng);
    let leave = leave_asked();
    let mut stage = Stage::open(riffle, folder.path().to_owned(), FILES);
    let mut figures = Figures::default();
    let began = Instant::now();
    let (mut sample_at, mut tell_at) = (began, began + TELL_EVERY);
    while began.elapsed() < order.time && !leave.load(Ordering::Relaxed) && stage.faults.is_empty() {
        stage.play(Instant::now(), &mut rng);
        let now = Instant::now();
        if now >= sample_at {
            sample_at = now + SAMPLE_EVERY;
            stage.long_lived().for_each(|(name, id)| figures.sample(name, id, now.duration_since(began)));
        }
        if now >= tell_at {
            tell_at = now + TELL_EVERY;
            println!("{:>5} s  {}", began.elapsed().as_secs(), stage.counts);
            figures.latest().for_each(|line| println!("         {line}"));
        }
        std::thread::park_timeout(TICK);
    }
    stage.faults.extend(figures.growth());
    println!("{} s: {}", began.elapsed().as_secs(), stage.counts);
    figures.latest().for_each(|line| println!("  {line}"));
    stage.faults.iter().for_each(|fault| println!("FAULT {fault}"));
    let clean = stage.faults.is_empty();
    drop(stage);
    if !clean {
        println!("everything is kept in {}", folder.keep().display());
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds the program as this one was built, and says where it is.
fn build() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "-q", "-p", "node", "--bin", "riffle"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo starts").success(), "riffle does not build");
    // target/PROFILE/examples/soak
    let here = std::env::current_exe().expect("a path");
    here.ancestors().nth(2).expect("a profile's folder").join("riffle")
}

/// Set by Ctrl-C and SIGTERM; the processes are in groups of their own and do not hear of it.
fn leave_asked() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    let set = asked.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let signalled = async {
            let mut terminate = signal(SignalKind::terminate()).expect("a signal to hear");
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        runtime.block_on(signalled);
        set.store(true, Ordering::Relaxed);
    });
    asked
}

/// From nothing to the largest, as many small ones as large ones.
fn make_files(folder: &Path, largest: u64, rng: &mut StdRng) {
    let owned = folder.join("owned");
    fs::create_dir_all(&owned).expect("a folder");
    for index in 0..FILES {
        let most = if index + 1 == FILES { largest } else { largest >> rng.random_range(0..16) };
        let length = if index == 0 { 0 } else { rng.random_range(most / 2..=most) };
        let mut hasher = blake3::Hasher::new();
        let mut bytes = hasher.update(&rng.random::<u64>().to_le_bytes()).finalize_xof().take(length);
        let mut file = File::create(owned.join(format!("file-{index}"))).expect("made");
        std::io::copy(&mut bytes, &mut file).expect("written");
    }
}

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> bool {
    let hash = |path: &Path| {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).ok()?;
        std::io::copy(&mut file, &mut hasher).ok()?;
        Some(hasher.finalize())
    };
    hash(one).is_some_and(|hash_of_one| Some(hash_of_one) == hash(other))
}
