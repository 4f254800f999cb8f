//! Memory, descriptors and threads of processes that live long, and whether they grow.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What may come and go within one life.
const MEMORY_SLACK: u64 = 16 << 20;
const DESCRIPTOR_SLACK: u64 = 16;
const THREAD_SLACK: u64 = 4;
/// A life that was looked at less often than this says nothing about growth.
const FEWEST: usize = 24;

/// One look at a process.
#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    memory: u64,
    descriptors: u64,
    threads: u64,
}

/// What is looked at: its name, what may come and go, and where it is.
type Figure = (&'static str, u64, fn(&Sample) -> u64);

/// All looks, by process and life.
#[derive(Default)]
pub(crate) struct Figures(BTreeMap<(String, u32), Vec<Sample>>);

impl Figures {
    /// Looks at the process `id`.
    pub(crate) fn sample(&mut self, name: &str, id: u32, at: Duration) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let number = |key: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let Ok(descriptors) = fs::read_dir(format!("/proc/{id}/fd")) else { return };
        let (Some(memory), Some(threads)) = (number("RssAnon:"), number("Threads:")) else { return };
        let sample = Sample { at, memory: memory << 10, descriptors: descriptors.count() as u64, threads };
        self.0.entry((name.to_owned(), id)).or_default().push(sample);
    }

    /// The last look at each process, with the smallest and the largest of its life.
    pub(crate) fn latest(&self) -> impl Iterator<Item = String> + '_ {
        let newest = |(name, _): &(String, u32)| {
            self.0
                .iter()
                .filter(|((other, _), _)| other == name)
                .filter_map(|(_, all)| Some(all.last()?.at))
                .max()
        };
        self.0.iter().filter_map(move |(life, samples)| {
            let last = samples.last()?;
            (newest(life) == Some(last.at)).then_some(())?;
            let least = samples.iter().map(|sample| sample.memory).min()?;
            let most = samples.iter().map(|sample| sample.memory).max()?;
            let (name, kib) = (&life.0, |bytes: u64| bytes >> 10);
            Some(format!(
                "{name}: RssAnon {} KiB ({}-{}), {} descriptors, {} threads",
                kib(last.memory),
                kib(least),
                kib(most),
                last.descriptors,
                last.threads
            ))
        })
    }

    /// What has grown: everything in the last quarter of a life is above everything in its second quarter.
    pub(crate) fn growth(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for ((name, _), samples) in &self.0 {
            if samples.len() < FEWEST {
                continue;
            }
            let quarter = samples.len() / 4;
            let (early, late) = (&samples[quarter..2 * quarter], &samples[3 * quarter..]);
            let figures: [Figure; 3] = [
                ("bytes of memory", MEMORY_SLACK, |sample| sample.memory),
                ("descriptors", DESCRIPTOR_SLACK, |sample| sample.descriptors),
                ("threads", THREAD_SLACK, |sample| sample.threads),
            ];
            for (what, slack, of) in figures {
                let before = early.iter().map(of).max().unwrap_or(0);
                let after = late.iter().map(of).min().unwrap_or(0);
                if after > before + slack {
                    faults.push(format!("{name} grows: from {before} to {after} {what}"));
                }
            }
        }
        faults
    }
}
