//! What a run has cost, and what several runs say together.

use std::time::Duration;

/// 2^30.
pub(crate) const GIB: u64 = 1 << 30;
/// 2^20.
pub(crate) const MIB: u64 = 1 << 20;

/// One side of a transfer: all its processes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Side {
    /// Processor time of all of them.
    pub(crate) cpu: Duration,
    /// The most private memory (RssAnon) that one of them had, in bytes.
    pub(crate) peak: u64,
    /// The most memory of any kind (VmHWM) that one of them had since it was started, in bytes.
    pub(crate) resident: u64,
}

impl Side {
    /// Counts one more process, or another part of what was done.
    pub(crate) fn add(&mut self, other: Side) {
        self.cpu += other.cpu;
        self.peak = self.peak.max(other.peak);
        self.resident = self.resident.max(other.resident);
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// From the start of the first who takes to the end of the last.
    pub(crate) wall: Duration,
    /// What was moved, all who took it together.
    pub(crate) bytes: u64,
    /// Who gave.
    pub(crate) giving: Side,
    /// Who took.
    pub(crate) taking: Side,
    /// What the last who took it said.
    pub(crate) said: String,
}

/// Medians of several runs; of memory the most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    /// 10^6 bytes a second.
    pub(crate) megabytes: f64,
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor seconds a GiB of who gave.
    pub(crate) giving: f64,
    /// Processor seconds a GiB of who took.
    pub(crate) taking: f64,
    /// Processor seconds a GiB, together.
    pub(crate) both: f64,
    /// Most private memory of one who gave.
    pub(crate) giving_peak: u64,
    /// Most private memory of one who took.
    pub(crate) taking_peak: u64,
    /// Most memory of any kind of one who took.
    pub(crate) taking_resident: u64,
}

impl Medians {
    /// Of at least one run.
    pub(crate) fn of(runs: &[Run]) -> Option<Medians> {
        let a_gib = |run: &Run, cpu: Duration| cpu.as_secs_f64() * GIB as f64 / run.bytes.max(1) as f64;
        Some(Medians {
            megabytes: median(runs.iter().map(|run| run.bytes as f64 / run.wall.as_secs_f64() / 1e6))?,
            wall: Duration::from_secs_f64(median(runs.iter().map(|run| run.wall.as_secs_f64()))?),
            giving: median(runs.iter().map(|run| a_gib(run, run.giving.cpu)))?,
            taking: median(runs.iter().map(|run| a_gib(run, run.taking.cpu)))?,
            both: median(runs.iter().map(|run| a_gib(run, run.giving.cpu + run.taking.cpu)))?,
            giving_peak: runs.iter().map(|run| run.giving.peak).max()?,
            taking_peak: runs.iter().map(|run| run.taking.peak).max()?,
            taking_resident: runs.iter().map(|run| run.taking.resident).max()?,
        })
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}
