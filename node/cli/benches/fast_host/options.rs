//! What the command line says.

use std::path::PathBuf;

use clap::Parser;
use config::ByteSize;

use crate::figures::{GIB, MIB};

/// Measures Riffle on this host beside what else moves files, and says what the figures must be.
///
/// It is no timed test: it leaves with 0 unless something could not be run.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench -p riffle-cli --")]
pub(crate) struct Options {
    /// The rows to measure: machine, 1to1, sealed, 4to1, 1to4, first, files, shares, flood, folder, tree, update, hoard,
    /// send, veth, hosts, large, links; without any, all but the last two: 20 GiB from and to the disk, and emulated links.
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
    /// How long the file of `send` is: 10 GiB, if as much memory is free.
    #[arg(long, value_name = "SIZE")]
    pub(crate) send_size: Option<ByteSize>,
    /// The row `large`, too.
    #[arg(long)]
    pub(crate) large: bool,
    /// The row `links`, too, over links that this emulator makes: a program with the options --port NAMESPACE=ADDRESS
    /// (twice), --rate-mbit, --delay-ms (one way), --loss, --buffer-kb, which says "ready", and at SIGINT its counters.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) links: Option<PathBuf>,
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
        let named = self.rows.iter().any(|wanted| wanted == row);
        match row {
            "large" => named || self.large,
            "links" => named || self.links.is_some(),
            _ => named || self.rows.is_empty(),
        }
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
    pub(crate) fn whole(&self) -> u64 {
        self.size(GIB)
    }

    /// What each of four moves.
    pub(crate) fn quarter(&self) -> u64 {
        self.size(256 * MIB)
    }
}
