//! What the command line says.

use std::path::PathBuf;

use clap::Parser;

use crate::figures::{GIB, MIB};

/// Measures Riffle on this host beside what else moves files, and says what the figures must be.
///
/// It is no timed test: it leaves with 0 unless something could not be run.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p node --")]
pub(crate) struct Options {
    /// The rows to measure: machine, 1to1, 4to1, 1to4, veth; without any, all of them.
    pub(crate) rows: Vec<String>,
    /// A quarter of each size and one run each: shows that all of it works, and little more.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each contestant runs; medians are printed.
    #[arg(long, value_name = "N")]
    pub(crate) runs: Option<usize>,
    /// Where files are kept; best in memory.
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm")]
    pub(crate) dir: PathBuf,
    /// One line of JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Given by `cargo bench`; says nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether a row is asked for.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }

    /// How often each runs.
    pub(crate) fn runs(&self) -> usize {
        self.runs.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// A size that a quick run makes smaller.
    pub(crate) fn size(&self, bytes: u64) -> u64 {
        if self.quick { bytes / 4 } else { bytes }
    }

    /// What the rows of one large file move.
    pub(crate) fn large(&self) -> u64 {
        self.size(GIB)
    }

    /// What each of four moves.
    pub(crate) fn quarter(&self) -> u64 {
        self.size(256 * MIB)
    }
}
