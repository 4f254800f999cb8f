//! Reading and hashing, in this process: what `send` cannot go below.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::Contestant;
use crate::figures::{Run, Side};
use crate::process::own_cpu;
use crate::stage::Stage;

/// What is read and hashed at once: what a piece of 1 GiB is.
const PIECE: u64 = 256 << 10;

/// What is done with what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing.
    Reading,
    /// BLAKE3 of each piece.
    Blake3,
}

/// Some threads that read a file piece by piece and hash what they read.
pub(crate) struct Hashing {
    work: Work,
    threads: usize,
    source: PathBuf,
    length: u64,
}

impl Hashing {
    /// On one core.
    pub(crate) fn on_one(stage: &Stage, work: Work, length: u64) -> Result<Hashing> {
        Ok(Hashing { work, threads: 1, source: stage.source(length)?, length })
    }

    /// On all cores.
    pub(crate) fn on_all(stage: &Stage, work: Work, length: u64) -> Result<Hashing> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Hashing { threads, ..Hashing::on_one(stage, work, length)? })
    }
}

impl Contestant for Hashing {
    fn name(&self) -> String {
        let work = match self.work {
            Work::Reading => "reading",
            Work::Blake3 => "reading, BLAKE3",
        };
        match self.threads {
            1 => format!("{work}, one core"),
            threads => format!("{work}, {threads} cores"),
        }
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.source.clone()], 0)
    }

    fn run(&mut self, _: &Stage) -> Result<Run> {
        let file = File::open(&self.source)?;
        let (cpu, began) = (own_cpu()?, Instant::now());
        let read_and_hash = |thread: usize| -> Result<()> {
            let mut buffer = vec![0; PIECE as usize];
            let pieces = self.length.div_ceil(PIECE);
            for piece in (thread as u64..pieces).step_by(self.threads) {
                let start = piece * PIECE;
                let bytes = &mut buffer[..(self.length - start).min(PIECE) as usize];
                file.read_exact_at(bytes, start)?;
                if self.work == Work::Blake3 {
                    std::hint::black_box(blake3::hash(bytes));
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> =
                (0..self.threads).map(|thread| scope.spawn(move || read_and_hash(thread))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread ended badly")?)
        })?;
        let wall = began.elapsed();
        let taking = Side { cpu: own_cpu()?.saturating_sub(cpu), ..Side::default() };
        Ok(Run { wall, bytes: self.length, giving: Side::default(), taking, said: String::new() })
    }
}
