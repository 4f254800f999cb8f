//! libtorrent, by its Python interface: a seed that stays and a leech for each run, over TCP, every piece checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch, call};
use crate::stage::{Stage, compare};

/// The system's own, for which its packages are installed, also where PATH leads to another.
const SYSTEM: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("libtorrent.py");

/// The first Python that has libtorrent, of those that PATH leads to and the system's own.
pub(crate) fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).map(|folder| folder.join("python3")).chain([SYSTEM.into()]);
    let has_it = |python: &PathBuf| call(Command::new(python).args(["-c", "import libtorrent"])).is_ok();
    all.filter(|python| python.is_file()).find(has_it)
}

/// A seed of one file.
pub(crate) struct Seed {
    /// What seeds.
    pub(crate) process: Process,
    /// Where it listens, on loopback.
    pub(crate) port: String,
    /// What describes the file.
    pub(crate) torrent: PathBuf,
    /// The file.
    pub(crate) source: PathBuf,
}

impl Seed {
    /// Hashes a file of `length` bytes and seeds it; `name` tells one seed from another.
    pub(crate) fn start(stage: &Stage, python: PathBuf, name: &str, length: u64) -> Result<Seed> {
        let source = stage.source(length)?;
        let torrent = stage.path().join(format!("{name}.torrent"));
        call(script(&python, "make").arg(&source).arg(&torrent))?;
        let mut command = script(&python, "seed");
        command.arg(&torrent).arg(stage.folder("sources")?);
        let mut process = Process::start(&mut command, &format!("{name}-seed"), stage.path())?;
        let port = process.wait_until(stage, "its port", |said| {
            Some(said.split_once("seeding at ")?.1.split_once('\n')?.0.trim().to_owned())
        })?;
        Ok(Seed { process, port, torrent, source })
    }
}

/// A leech of one seed, on loopback.
pub(crate) struct Libtorrent {
    python: PathBuf,
    seed: Seed,
    length: u64,
}

impl Libtorrent {
    /// Seeds a file of `length` bytes; `python` has libtorrent.
    pub(crate) fn start(stage: &Stage, python: PathBuf, length: u64) -> Result<Libtorrent> {
        let seed = Seed::start(stage, python.clone(), "libtorrent", length)?;
        Ok(Libtorrent { python, seed, length })
    }
}

fn script(python: &Path, role: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, role]);
    command
}

impl Contestant for Libtorrent {
    fn name(&self) -> String {
        "libtorrent (TCP)".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.seed.source.clone()], self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let folder = stage.folder("libtorrent")?;
        let mut command = script(&self.python, "leech");
        command.arg(&self.seed.torrent).arg(&folder).arg(&self.seed.port);
        let watch = Watch::begin([&mut self.seed.process])?;
        let leech = Process::start(&mut command, "libtorrent-leech", stage.path())?;
        let run = watch.until_ended(stage, vec![leech], self.length, LIMIT)?;
        compare(&self.seed.source, &folder.join(self.seed.source.file_name().unwrap_or_default()))?;
        fs::remove_dir_all(&folder)?;
        Ok(run)
    }
}
