//! `cargo bench -p riffle-cli`: Riffle on a fast host, by its real programs, beside what else moves files, in the same run.
//!
//! One table: MB/s, processor seconds a GiB and peak private memory, of both sides, medians of runs in which the
//! contestants take turns; behind it what the figures must be. `-- --help` names the rows and options. Everything that is
//! started is ended, the temporary folder and the network namespaces are removed, also after Ctrl-C.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real files, processes, sockets and time"
)]

mod figures;
mod options;
mod peers;
mod process;
mod rows;
mod site;
mod stage;
mod table;
mod trees;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use options::Options;
use peers::bare;
use process::{machine_time, own_cpu};
use rows::ROWS;
use stage::{Stage, in_memory};
use table::Table;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.first().map(String::as_str) {
        Some(bare::GIVE | bare::TAKE) => be_bare(&words),
        _ => measure(&Options::parse()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what is wanted; whether all of it could be run.
fn measure(options: &Options) -> Result<bool> {
    let known = ROWS.map(|(name, _)| name);
    if let Some(unknown) = options.rows.iter().find(|row| !known.contains(&row.as_str())) {
        bail!("{unknown}: the rows are {}", known.join(", "));
    }
    let parent = if options.dir.is_dir() { options.dir.clone() } else { std::env::temp_dir() };
    let mut stage = Stage::open(&parent)?;
    // What is written at once, and as much again for the programs and for what is freed late.
    stage.keep_memory(2 * options.whole())?;
    let mut table = Table::default();
    if !in_memory(stage.path()) {
        table.note(format!("{} is not in memory: the disk is part of all figures", parent.display()));
    }
    let (before, began) = (machine_time(), Instant::now());
    for (name, row) in ROWS.into_iter().filter(|(name, _)| options.wants(name)) {
        eprintln!("{name} …");
        if let Err(error) = row(&stage, options, &mut table) {
            table.failed(name, "the row", &error);
        }
        if stage.check().is_err() {
            break;
        }
    }
    table.note(others(before, began.elapsed())?);
    print!("{}", if options.json { table.json() } else { table.text() });
    Ok(table.is_whole())
}

/// Who else was busy meanwhile: figures of a machine that does other things are no figures.
fn others(before: (Duration, Duration), wall: Duration) -> Result<String> {
    let after = machine_time();
    // All that was started here has ended, and counts as this process's own.
    let others = after.0.saturating_sub(before.0).saturating_sub(own_cpu()?);
    let stolen = after.1.saturating_sub(before.1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / (wall.as_secs_f64() * cores);
    let (others, stolen) = (percent(others), percent(stolen));
    Ok(format!(
        "meanwhile other programs and interrupts used {others:.0} % of the cores, the host took {stolen:.0} %"
    ))
}

/// One end of a bare transfer: see [`bare`].
fn be_bare(words: &[String]) -> Result<bool> {
    let word = |index: usize| words.get(index).context("a word is missing");
    let listen = word(1)?.parse()?;
    if word(0)? == bare::GIVE {
        bare::give(listen, word(2)?.parse()?)?;
    } else {
        bare::take(listen, word(2)?.parse()?, word(3)?.parse()?)?;
    }
    Ok(true)
}
