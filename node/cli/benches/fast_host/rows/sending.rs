//! What it costs to share a file, and how much memory a very large one takes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::figures::{GIB, MIB, Run};
use crate::options::Options;
use crate::peers::Contestant;
use crate::peers::hashing::{Hashing, Work};
use crate::peers::riffle::{Swarm, riffle, shared_ids};
use crate::process::{Process, Watch};
use crate::site::{End, Site};
use crate::stage::{Stage, available_memory, in_memory};
use crate::table::{Bound, Table};

/// What `send` is measured with, and what must be left for the programs.
const SEND: u64 = 10 * GIB;
const LEFT: u64 = 4 * GIB;
/// A file that is larger than the memory of most.
const LARGE: u64 = 20 * GIB;
/// What reading, sending and writing it may take on a slow disk.
const LARGE_LIMIT: Duration = Duration::from_secs(900);

/// `riffle send`, from its start until others can fetch the file.
struct Send {
    site: Site,
    tracker: Process,
    address: String,
    source: PathBuf,
    length: u64,
}

impl Send {
    fn start(stage: &Stage, length: u64) -> Result<Send> {
        let (site, folder) = (Site::loopback(), stage.folder("send")?);
        let mut command = riffle(&site, End::Giving, &folder.join("tracker"));
        command.args(["tracker", "--listen", "127.0.0.1:0"]);
        let mut tracker = Process::start(&mut command, "tracker", &folder)?;
        let address = tracker.wait_until(stage, "its address", |said| {
            Some(said.split_once("listening on ")?.1.split_once('\n')?.0.trim().to_owned())
        })?;
        Ok(Send { site, tracker, address, source: stage.source(length)?, length })
    }
}

impl Contestant for Send {
    fn name(&self) -> String {
        format!("riffle send, {} MiB", self.length / MIB)
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.source.clone()], 0)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        // A state folder of its own each time: what was hashed before is not known.
        let folder = stage.folder("send-run")?;
        let watch = Watch::begin([&mut self.tracker])?;
        let mut command = riffle(&self.site, End::Giving, &folder);
        command.args(["send", "--tracker", &self.address, "--listen", "127.0.0.1:0"]).arg(&self.source);
        let mut owner = Process::start(&mut command, "owner", &folder)?;
        let files = std::slice::from_ref(&self.source);
        owner.wait_until(stage, "sharing the file", |said| shared_ids(said, files))?;
        let run = watch.now(&mut [owner], self.length)?;
        fs::remove_dir_all(&folder)?;
        Ok(run)
    }
}

/// `send` of a large file beside the same work without anything else.
pub(crate) fn send(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "send";
    let wanted = options.send_size.map_or(options.size(SEND), |size| size.as_u64());
    let room = available_memory().saturating_sub(LEFT) / MIB * MIB;
    let length = if in_memory(stage.path()) { wanted.min(room) } else { wanted };
    if length < wanted {
        table.note(format!("send: {} MiB instead of {}: no memory for more", length / MIB, wanted / MIB));
    }
    let all: Vec<Box<dyn Contestant + '_>> =
        vec![Box::new(Send::start(stage, length)?), Box::new(Hashing::on_all(stage, Work::Blake3, length)?)];
    table.interleave(stage, ROW, all, options.runs());
    fs::remove_file(stage.source(length)?)?;
    let (send, hashing) = (table.medians(ROW, "riffle send"), table.medians(ROW, "reading"));
    let ratio = send.zip(hashing).map(|(send, hashing)| send.megabytes / hashing.megabytes);
    table.must(ROW, "riffle send / (reading + BLAKE3 alone, all cores)", ratio, Bound::AtLeast(0.9, 1.0));
    Ok(())
}

/// Memory of both sides with a file of 20 GiB, from and to the disk, since memory does not hold it twice.
pub(crate) fn large(_: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "large";
    let (parent, length) = (std::env::temp_dir(), options.size(LARGE));
    let stage = Stage::open(&parent)?;
    stage.room_for(length)?;
    let (site, source) = (Site::loopback(), stage.path().join("large.bin"));
    File::create(&source)?.set_len(length)?;
    let mut swarm = Swarm::start(&stage, &site, "swarm-large", 1, &[source])?;
    swarm.only_length(LARGE_LIMIT);
    let run = swarm.download(&stage, 1)?;
    table.note(format!(
        "large: from a sparse file to {}, through the page cache: its rate is the disk's, its memory is what counts",
        parent.display()
    ));
    let (serving, downloading) = (run.giving.peak, run.taking.peak);
    table.add(ROW, format!("riffle, {} GiB", length / GIB), vec![run]);
    let mib = |bytes: u64| Some(bytes as f64 / MIB as f64);
    table.must(ROW, "RssAnon serving, MiB", mib(serving), Bound::AtMost(64.0, 32.0));
    table.must(ROW, "RssAnon downloading, MiB", mib(downloading), Bound::AtMost(160.0, 80.0));
    Ok(())
}
