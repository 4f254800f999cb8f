//! rqbit, a BitTorrent client, from libtorrent's seed, over TCP, every piece checked.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::libtorrent::Seed;
use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch};
use crate::stage::{Stage, compare};

/// One seed of one file, on loopback.
pub(crate) struct Rqbit {
    seed: Seed,
    length: u64,
}

impl Rqbit {
    /// Has libtorrent seed a file of `length` bytes; `python` has libtorrent.
    pub(crate) fn start(stage: &Stage, python: PathBuf, length: u64) -> Result<Rqbit> {
        Ok(Rqbit { seed: Seed::start(stage, python, "rqbit", length)?, length })
    }
}

impl Contestant for Rqbit {
    fn name(&self) -> String {
        "rqbit from libtorrent".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.seed.source.clone()], self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let folder = stage.folder("rqbit-run")?;
        let mut command = Command::new("rqbit");
        // Its settings and what it remembers are the measurement's own.
        command.env("HOME", stage.path()).args([
            "-v",
            "error",
            "--disable-dht",
            "download",
            "--exit-on-finish",
        ]);
        command.arg("--output-folder").arg(&folder).arg("--initial-peers");
        command.arg(format!("127.0.0.1:{}", self.seed.port)).arg(&self.seed.torrent);
        let watch = Watch::begin([&mut self.seed.process])?;
        let leech = Process::start(&mut command, "rqbit", stage.path())?;
        let run = watch.until_ended(stage, vec![leech], self.length, LIMIT)?;
        compare(&self.seed.source, &folder.join(self.seed.source.file_name().unwrap_or_default()))?;
        fs::remove_dir_all(&folder)?;
        Ok(run)
    }
}
