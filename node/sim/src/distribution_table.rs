//! The table of swarms: what each is, and what it must come to.

use std::time::Duration;

use crate::distribution::{MIB, Outcome, Swarm};

/// The largest waste, in hundred-thousandths of the file bytes that are wanted: 1 %.
const MAX_WASTED: u64 = 1000;
/// The most bad pieces that one downloader may get from one owner alone: then the owner is banned.
const MAX_BAD: usize = 2;
/// The longest time that any swarm may take.
const MAX_TIME: Duration = Duration::from_secs(300);

/// A swarm, and what it must come to.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name of the row.
    pub name: &'static str,
    /// The swarm.
    pub swarm: Swarm,
    /// The longest time of the last downloader that serves, in thousandths of the bound.
    over_bound: u64,
    /// The most that the first owner may upload until there is a second copy, in thousandths of the file.
    until_copy: u64,
}

/// All rows. Those of a hundred nodes and more take too long for a test: `examples/swarms.rs` runs them.
pub const ROWS: &[Row] = &[
    row("1 -> 8, fair", Swarm::fair(8, 64 * MIB), 1250, 1150),
    row("1 -> 8, tit-for-tat", Swarm::tit_for_tat(8, 64 * MIB), 1600, 1150),
    row("1 -> 32, fair", Swarm::fair(32, 64 * MIB), 1350, 1150),
    row("1 -> 32, tit-for-tat", Swarm::tit_for_tat(32, 64 * MIB), 1700, 1150),
    row("1 -> 128, fair", Swarm::fair(128, 64 * MIB), 1500, 1150),
    row("1 -> 128, tit-for-tat", Swarm::tit_for_tat(128, 64 * MIB), 1900, 1150),
    row("1 -> 1000, fair", Swarm::fair(1000, 16 * MIB), 2500, 1150),
    row(
        "1 -> 32 over 60 s, a third leaves when done, the first owner when there is a copy",
        Swarm { arriving: Duration::from_secs(60), leaving: true, ..Swarm::fair(32, 64 * MIB) },
        u64::MAX,
        u64::MAX,
    ),
    row(
        "1 -> 32, tit-for-tat, a quarter never serves",
        Swarm { free_riders: 8, ..Swarm::tit_for_tat(32, 64 * MIB) },
        1700,
        u64::MAX,
    ),
    row(
        "1 -> 20 beside 6 owners that lie and 6 that are silent",
        Swarm { liars: 6, silent: 6, ..Swarm::fair(20, 64 * MIB) },
        2000,
        u64::MAX,
    ),
];

const fn row(name: &'static str, swarm: Swarm, over_bound: u64, until_copy: u64) -> Row {
    Row { name, swarm, over_bound, until_copy }
}

impl Row {
    /// The row called `name`.
    pub fn named(name: &str) -> Row {
        *ROWS.iter().find(|row| row.name == name).expect("a row of the table")
    }

    /// Runs the swarm; returns a line about what it came to, and one for each figure that is beyond its limit.
    pub fn run(&self, seed: u64) -> (String, Vec<String>) {
        let outcome = self.swarm.run(seed, MAX_TIME);
        let over = outcome.over_bound();
        let Outcome { took, free_riders, until_copy, uploaded, wasted, max_bad, .. } = outcome;
        let (free, serving) = took.split_at(free_riders);
        let (first, last) =
            (serving.iter().min().expect("somebody"), serving.iter().max().expect("somebody"));
        let mut text = format!(
            "{}: first {} ms, last {} ms, {over} of the bound; first owner {until_copy} until a copy, {uploaded} in all; wasted {wasted}",
            self.name,
            first.as_millis(),
            last.as_millis(),
        );
        let mut misses = Vec::new();
        let mut at_most = |what: &str, is: u64, most: u64| {
            if is > most {
                misses.push(format!("{what} is {is}, and at most {most}"));
            }
        };
        at_most("the last", over, self.over_bound);
        at_most("what the first owner uploads", until_copy, self.until_copy);
        at_most("what is wasted", wasted, MAX_WASTED);
        at_most("what comes bad from one owner", max_bad as u64, MAX_BAD as u64);
        if let (Some(soonest), Some(latest)) = (free.iter().min(), free.iter().max()) {
            text += &format!("; free riders {} to {} ms", soonest.as_millis(), latest.as_millis());
            at_most(
                "the last that serves, before free riders,",
                last.as_millis() as u64,
                soonest.as_millis() as u64,
            );
        }
        if self.swarm.liars > 0 {
            text += &format!("; at most {max_bad} bad pieces from one liar");
        }
        (text, misses)
    }
}
