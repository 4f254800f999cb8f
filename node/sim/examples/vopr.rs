//! Many worlds drawn from seeds, on all cores: `cargo run --release -p riffle-sim --example vopr -- --seeds 20000`.
//!
//! `--sealed` and `--mixed` are worlds in which everybody seals what is said, or some do.
//!
//! `--seeds N` worlds from seed `--from N` on (1000 from 0), on `--jobs N` threads (one for each core). It prints how
//! far it is, and at the end one number for all that happened: a change that changes no behaviour leaves it as it is.
//! At the first world in which something goes wrong it prints what, and how that world was drawn, and leaves with 1;
//! with `--keep-going` it runs them all and lists those that failed. The worlds and what must hold in them are those of
//! [`riffle_sim::vopr`].

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use riffle_sim::vopr::{Options, Sealing, run};

/// Progress is told once in so many worlds.
const TOLD: u64 = 500;

/// Which worlds, and how.
#[derive(Clone, Copy)]
struct Plan {
    from: u64,
    seeds: u64,
    jobs: u64,
    keep_going: bool,
    sealing: Sealing,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Plan, String> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let mut plan =
            Plan { from: 0, seeds: 1000, jobs: cores, keep_going: false, sealing: Sealing::Nobody };
        while let Some(word) = words.next() {
            let field = match word.as_str() {
                "--from" => &mut plan.from,
                "--seeds" => &mut plan.seeds,
                "--jobs" => &mut plan.jobs,
                "--keep-going" => {
                    plan.keep_going = true;
                    continue;
                }
                "--sealed" | "--mixed" => {
                    plan.sealing = if word == "--sealed" { Sealing::Everybody } else { Sealing::Mixed };
                    continue;
                }
                _ => {
                    let known = "--seeds N, --from N, --jobs N, --sealed, --mixed and --keep-going";
                    return Err(format!("{word}: it is {known}"));
                }
            };
            let value = words.next().ok_or_else(|| format!("{word} wants a number"))?;
            *field = value.parse().map_err(|_| format!("{word} wants a number, not {value:?}"))?;
        }
        Ok(plan)
    }
}

/// What the threads share.
#[derive(Default)]
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    stops: AtomicBool,
    failed: Mutex<BTreeSet<u64>>,
    /// The trace hashes of all worlds, each turned by its seed: whatever the order, the same worlds give the same sum.
    traces: AtomicU64,
}

impl Progress {
    fn work(&self, plan: &Plan, began: Instant) {
        while !self.stops.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.seeds {
                return;
            }
            let seed = plan.from + number;
            // What failed is printed where it fails.
            match catch_unwind(|| run(&Options { sealing: plan.sealing, ..Options::draw(seed) })) {
                Ok(trace) => {
                    self.traces.fetch_add(trace.rotate_left((seed % 64) as u32), Ordering::Relaxed);
                }
                Err(_) => {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(seed);
                    self.stops.store(!plan.keep_going, Ordering::Relaxed);
                }
            }
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(TOLD) {
                println!("{done} of {} worlds after {:.0?}", plan.seeds, began.elapsed());
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program: it says how long it took")]
fn main() -> ExitCode {
    let plan = match Plan::parse(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let (began, progress) = (Instant::now(), Progress::default());
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.max(1) {
            scope.spawn(|| progress.work(&plan, began));
        }
    });
    let failed = progress.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let done = progress.done.into_inner();
    match failed.first() {
        None => {
            let traces = progress.traces.into_inner();
            println!(
                "{done} worlds, and in each everybody finished, after {:.0?}; traces {traces:016x}",
                began.elapsed()
            );
            ExitCode::SUCCESS
        }
        Some(first) => {
            println!("{} of {done} worlds failed, seed {first} first: {failed:?}", failed.len());
            ExitCode::FAILURE
        }
    }
}
