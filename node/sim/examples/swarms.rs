//! The table of swarms, rows of a thousand nodes included: `cargo run --release -p riffle-sim --example swarms --
//! [--seeds N] [WORD...]`.
//!
//! Runs the rows whose names contain every WORD (all, without one), one after the other on one core, each with seeds 1
//! to N (1 without it); prints what each came to and how long that took, and leaves with 1 when one does not come as
//! far as it has to. The rows are those of [`riffle_sim::distribution_table`].

use std::process::ExitCode;
use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a program: it says how long it took")]
fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut seeds = 1;
    if words.first().is_some_and(|word| word == "--seeds") {
        let Some(number) = words.get(1).and_then(|number| number.parse().ok()) else {
            eprintln!("--seeds wants a number");
            return ExitCode::from(2);
        };
        seeds = number;
        words.drain(..2);
    }
    let is_wanted = |row: &&riffle_sim::distribution_table::Row| {
        words.iter().all(|word| row.name.contains(word.as_str()))
    };
    if riffle_sim::distribution_table::ROWS.iter().find(is_wanted).is_none() {
        eprintln!("no row has all of {words:?} in its name");
        return ExitCode::from(2);
    }
    let mut is_far_enough = true;
    for row in riffle_sim::distribution_table::ROWS.iter().filter(is_wanted) {
        for seed in 1..=seeds {
            let began = Instant::now();
            let (text, misses) = row.run(seed);
            println!("{text} ({:.0?})", began.elapsed());
            misses.iter().for_each(|miss| println!("  NOT FAR ENOUGH: {miss}"));
            is_far_enough &= misses.is_empty();
        }
    }
    if is_far_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
