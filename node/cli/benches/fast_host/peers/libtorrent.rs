//! libtorrent, by its Python interface: a seed that stays and a leech for each run, over TCP, every piece checked.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch, call};
use crate::stage::{Stage, compare};

/// The system's own, for which its packages are installed.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("libtorrent.py");

/// One seed of one file, on loopback.
pub(crate) struct Libtorrent {
    seed: Process,
    port: String,
    torrent: PathBuf,
    source: PathBuf,
    length: u64,
}

impl Libtorrent {
    /// Whether Python finds it.
    pub(crate) fn installed() -> bool {
        call(Command::new(PYTHON).args(["-c", "import libtorrent"])).is_ok()
    }

    /// Hashes a file of `length` bytes and seeds it.
    pub(crate) fn start(stage: &Stage, length: u64) -> Result<Libtorrent> {
        let source = stage.source(length)?;
        let torrent = stage.path().join("source.torrent");
        call(script("make").arg(&source).arg(&torrent))?;
        let mut command = script("seed");
        command.arg(&torrent).arg(stage.folder("sources")?);
        let mut seed = Process::start(&mut command, "libtorrent-seed", stage.path())?;
        let port = seed.wait_until(stage, "its port", |said| {
            Some(said.split_once("seeding at ")?.1.split_once('\n')?.0.trim().to_owned())
        })?;
        Ok(Libtorrent { seed, port, torrent, source, length })
    }
}

fn script(role: &str) -> Command {
    let mut command = Command::new(PYTHON);
    command.args(["-c", SCRIPT, role]);
    command
}

impl Contestant for Libtorrent {
    fn name(&self) -> String {
        "libtorrent (TCP)".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.source.clone()], self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let folder = stage.folder("libtorrent")?;
        let mut command = script("leech");
        command.arg(&self.torrent).arg(&folder).arg(&self.port);
        let watch = Watch::begin([&mut self.seed])?;
        let leech = Process::start(&mut command, "libtorrent-leech", stage.path())?;
        let run = watch.until_ended(stage, vec![leech], self.length, LIMIT)?;
        compare(&self.source, &folder.join(self.source.file_name().unwrap_or_default()))?;
        fs::remove_dir_all(&folder)?;
        Ok(run)
    }
}
