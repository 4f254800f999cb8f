//! Folders: many small files as one content, beside copying and rsync.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::figures::{MIB, Run};
use crate::options::Options;
use crate::peers::Contestant;
use crate::peers::copy::Copy;
use crate::peers::riffle::Swarm;
use crate::peers::rsync::Rsync;
use crate::process::installed;
use crate::site::Site;
use crate::stage::Stage;
use crate::table::{Bound, Table};
use crate::trees::{self, Shape, length_of};

/// Many files of one block each.
const SMALL: Shape = Shape { files: 20_000, in_one: 200, mean: 4096, is_drawn: false };
/// As many files and bytes as the sources of Linux have.
const TREE: Shape = Shape { files: 70_000, in_one: 15, mean: 17_000, is_drawn: true };
/// More files than most folders have: what they take of memory.
const HOARD: Shape = Shape { files: 100_000, in_one: 500, mean: 4096, is_drawn: false };
/// One file in so many is another in the second version.
const CHANGED: usize = 100;
/// What starting and ending may cost beside the copying.
const START: f64 = 0.5;

/// `riffle send` of a folder, from its start until others can fetch it.
struct Sending<'a> {
    site: &'a Site,
    source: PathBuf,
}

impl Contestant for Sending<'_> {
    fn name(&self) -> String {
        "riffle send, until announced".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (Vec::new(), length_of(&self.source))
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        const FOLDER: &str = "swarm-sending";
        let sources = std::slice::from_ref(&self.source);
        let mut run = Swarm::start(stage, self.site, FOLDER, 1, sources)?.beginning()?;
        run.bytes = length_of(&self.source);
        fs::remove_dir_all(stage.folder(FOLDER)?)?;
        Ok(run)
    }
}

/// `riffle download` of a folder.
struct Fetching<'a> {
    swarm: Swarm<'a>,
    source: PathBuf,
}

impl<'a> Fetching<'a> {
    fn start(stage: &Stage, site: &'a Site, source: &PathBuf) -> Result<Fetching<'a>> {
        let swarm = Swarm::start(stage, site, "swarm-folder", 1, std::slice::from_ref(source))?;
        Ok(Fetching { swarm, source: source.clone() })
    }
}

impl Contestant for Fetching<'_> {
    fn name(&self) -> String {
        "riffle download".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (Vec::new(), 2 * length_of(&self.source))
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        self.swarm.download(stage, 1)
    }
}

/// How long a contestant took, in seconds.
fn seconds(table: &Table, row: &str, name: &str) -> Option<f64> {
    table.medians(row, name).map(|medians| medians.wall.as_secs_f64())
}

/// A folder of small files, beside `cp -r`.
pub(crate) fn small_files(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "folder";
    let site = Site::loopback();
    let shape = Shape { files: options.size(SMALL.files), ..SMALL };
    let source = trees::make(stage, "small", shape)?;
    let all: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Sending { site: &site, source: source.clone() }),
        Box::new(Fetching::start(stage, &site, &source)?),
        Box::new(Copy::tree(source.clone())),
    ];
    table.interleave(stage, ROW, all, options.runs());
    let copied = seconds(table, ROW, "cp");
    for (who, what) in [("riffle send", "send to ready"), ("riffle download", "download")] {
        let ratio = seconds(table, ROW, who).zip(copied).map(|(riffle, cp)| (riffle - START) / cp);
        table.must(ROW, format!("({what} - {START} s) / cp -r"), ratio, Bound::AtMost(1.5, 1.0));
    }
    trees::remove(&source)
}

/// A tree like that of Linux, beside rsync from its daemon.
pub(crate) fn tree(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "tree";
    let site = Site::loopback();
    let shape = Shape { files: options.size(TREE.files), ..TREE };
    let source = trees::make(stage, "tree", shape)?;
    let mut all: Vec<Box<dyn Contestant + '_>> =
        vec![Box::new(Fetching::start(stage, &site, &source)?), Box::new(Copy::tree(source.clone()))];
    if installed("rsync") {
        all.push(Box::new(Rsync::tree(stage, source.clone())?));
    }
    table.interleave(stage, ROW, all, options.runs());
    let ratio = seconds(table, ROW, "riffle").zip(seconds(table, ROW, "rsync"));
    let ratio = ratio.map(|(riffle, rsync)| riffle / rsync);
    table.must(ROW, "riffle download / rsync -a from its daemon, time", ratio, Bound::AtMost(0.7, 0.5));
    trees::remove(&source)
}

/// A second version of a folder, of which one file in a hundred is another, over the first.
pub(crate) fn update(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "update";
    let site = Site::loopback();
    let shape = Shape { files: options.size(SMALL.files), ..SMALL };
    let first = trees::make(stage, "first", shape)?;
    let source = stage.folder("sources")?.join("second");
    trees::copy(&first, &source)?;
    let changed = trees::change(&source, CHANGED)?;
    let mut fetching = Fetching::start(stage, &site, &source)?;
    fetching.swarm.over(first.clone());
    let mut runs = Vec::new();
    for _ in 0..options.runs() {
        runs.push(fetching.swarm.download(stage, 1)?);
    }
    let logged = fetching.swarm.logged();
    let index = logged.length - length_of(&source);
    let ratio = logged.fetched as f64 / (1.05 * changed as f64 + index as f64);
    table.must(ROW, "bytes received / (1.05 × changed files + index)", Some(ratio), Bound::AtMost(1.0, 0.98));
    let kib = |bytes: u64| bytes >> 10;
    table.note(format!(
        "update: {} KiB came, of which {} KiB are the index; the changed files have {} KiB",
        kib(logged.fetched),
        kib(index),
        kib(changed)
    ));
    table.add(ROW, "riffle download --update".to_owned(), runs);
    trees::remove(&first)?;
    trees::remove(&source)
}

/// What very many files take of memory, on either side.
pub(crate) fn hoard(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "hoard";
    let site = Site::loopback();
    let shape = Shape { files: options.size(HOARD.files), ..HOARD };
    let source = trees::make(stage, "hoard", shape)?;
    let mut fetching = Fetching::start(stage, &site, &source)?;
    let beginning = fetching.swarm.beginning()?;
    let run = fetching.swarm.download(stage, 1)?;
    let mib = |bytes: u64| Some(bytes as f64 / MIB as f64);
    table.must(ROW, "VmHWM of `send`, MiB", mib(beginning.giving.resident), Bound::AtMost(200.0, 100.0));
    table.must(ROW, "VmHWM of `download`, MiB", mib(run.taking.resident), Bound::AtMost(200.0, 100.0));
    let wall = |run: &Run| run.wall.max(Duration::from_millis(1)).as_secs_f64();
    table.note(format!("hoard: sent after {:.1} s, fetched in {:.1} s", wall(&beginning), wall(&run)));
    table.add(ROW, "riffle download".to_owned(), vec![run]);
    trees::remove(&source)
}
