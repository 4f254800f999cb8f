//! Who is measured: each knows how to move the same file once, from one end of a site to the other.

pub(crate) mod aria2;
pub(crate) mod bare;
pub(crate) mod copy;
pub(crate) mod curl;
pub(crate) mod hashing;
pub(crate) mod libtorrent;
pub(crate) mod riffle;
pub(crate) mod rqbit;
pub(crate) mod rsync;
pub(crate) mod ssh;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::figures::Run;
use crate::stage::Stage;

/// No run takes longer, unless it says so itself.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Somebody whose runs are compared with others'.
pub(crate) trait Contestant {
    /// What the table calls it.
    fn name(&self) -> String;

    /// What it reads, and how much it writes: made warm before each run.
    fn touches(&self) -> (Vec<PathBuf>, u64);

    /// Does it once, checks what came of it, and cleans up.
    fn run(&mut self, stage: &Stage) -> Result<Run>;

    /// What its runs have also shown, as a line of its own.
    fn aside(&mut self) -> Option<(String, Vec<Run>)> {
        None
    }
}
