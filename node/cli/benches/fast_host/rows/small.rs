//! How soon a download begins, how many small files it fetches in a second, and how soon very many are shared.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::fs::{SeekFrom, seek};

use crate::figures::{MIB, Run};
use crate::options::Options;
use crate::peers::Contestant;
use crate::peers::curl::Curl;
use crate::peers::riffle::{Riffle, Swarm};
use crate::process::installed;
use crate::site::Site;
use crate::stage::Stage;
use crate::table::{Bound, Table};

/// How large the file is of which only the first bytes count.
const BEGUN: u64 = 64 * MIB;
/// The row of small files.
const FILES: usize = 1000;
const SMALL: usize = 10_000;
/// The row of many shares.
const SHARES: u64 = 20_000;
/// A download that has not begun by then has failed.
const BEGINNING: Duration = Duration::from_secs(20);
/// How often it is looked whether bytes are there.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// From the start of the process until verified bytes of the file are on the disk, outboard and all else before it.
struct First<'a>(Riffle<'a>, &'static str);

impl Contestant for First<'_> {
    fn name(&self) -> String {
        format!("{}, start to first bytes stored", self.1)
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        self.0.touches()
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let mut first = None;
        let mut run = self.0.swarm.download_watched(stage, 1, |began, folder| {
            first = Some(first_bytes(stage, began, folder)?);
            Ok(())
        })?;
        run.wall = first.unwrap_or(run.wall);
        // A moment, not a rate.
        run.bytes = 0;
        run.said.clear();
        Ok(run)
    }
}

/// When the first bytes were in a file of `folder`, the part file or the whole, if that was sooner than could be looked.
fn first_bytes(stage: &Stage, began: Instant, folder: &Path) -> Result<Duration> {
    loop {
        // What is allocated and not written is a hole, too; the journal, a log and the state are others' files.
        let is_content = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".riffle-part") || name.ends_with("-MiB.bin")
        };
        let has_bytes =
            |path: &Path| File::open(path).is_ok_and(|file| seek(&file, SeekFrom::Data(0)).is_ok());
        let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        if files.any(|path| is_content(&path) && has_bytes(&path)) {
            return Ok(began.elapsed());
        }
        stage.check()?;
        if began.elapsed() > BEGINNING {
            bail!("no byte was stored within {BEGINNING:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// `download` to first byte; beside it a whole download of next to nothing.
pub(crate) fn first_byte(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "first";
    let site = Site::loopback();
    let begun = Riffle::start(stage, &site, (1, 1), BEGUN)?;
    let sealed_site = Site::sealed_loopback();
    let sealed = Riffle::start(stage, &sealed_site, (1, 1), BEGUN)?;
    let tiny = small_files(stage, "tiny", 1)?;
    let whole = Files::start(stage, &site, "swarm-tiny", tiny.clone())?;
    let mut all: Vec<Box<dyn Contestant + '_>> =
        vec![Box::new(First(begun, "riffle")), Box::new(First(sealed, "riffle, sealed")), Box::new(whole)];
    if installed("nginx") && installed("curl") {
        all.push(Box::new(Curl::start(stage, &site, &tiny, false)?));
    }
    // It is short: more runs cost nothing and say more.
    table.interleave(stage, ROW, all, 3 * options.runs());
    for (name, what, goal) in [
        ("riffle, start", "`download` to first bytes verified and stored, ms", 5.0),
        ("riffle, sealed", "the same, sealed, ms", 8.0),
    ] {
        let ms = table.medians(ROW, name).map(|medians| medians.wall.as_secs_f64() * 1e3);
        table.must(ROW, what, ms, Bound::AtMost(20.0, goal));
    }
    Ok(())
}

/// Riffle with small files.
struct Files<'a> {
    swarm: Swarm<'a>,
    files: Vec<PathBuf>,
    /// Whether they are shared as the folder that they are in, and not each as a content of its own.
    is_folder: bool,
}

impl<'a> Files<'a> {
    fn start(stage: &Stage, site: &'a Site, folder: &str, files: Vec<PathBuf>) -> Result<Files<'a>> {
        Ok(Files { swarm: Swarm::start(stage, site, folder, 1, &files)?, files, is_folder: false })
    }

    /// The folder that `files` are in.
    fn start_folder(stage: &Stage, site: &'a Site, files: Vec<PathBuf>) -> Result<Files<'a>> {
        let top = files[0].parent().expect("a file is in a folder").to_owned();
        let swarm = Swarm::start(stage, site, "swarm-many-folder", 1, &[top])?;
        Ok(Files { swarm, files, is_folder: true })
    }
}

impl Contestant for Files<'_> {
    fn name(&self) -> String {
        let what = if self.is_folder { "riffle, a folder of" } else { "riffle," };
        format!("{what} {} of {} KB, start to end", self.files.len(), SMALL / 1000)
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (self.files.clone(), 0)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let mut run = self.swarm.download(stage, 1)?;
        run.said.clear();
        Ok(run)
    }
}

/// A thousand small files in one command, each a content of its own or all as a folder.
pub(crate) fn many_files(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "files";
    let site = Site::loopback();
    let count = options.size(FILES as u64) as usize;
    let files = small_files(stage, "many", count)?;
    let mut all: Vec<Box<dyn Contestant + '_>> = vec![
        Box::new(Files::start(stage, &site, "swarm-many", files.clone())?),
        Box::new(Files::start_folder(stage, &site, files.clone())?),
    ];
    if installed("nginx") && installed("curl") {
        all.push(Box::new(Curl::start(stage, &site, &files, false)?));
    }
    table.interleave(stage, ROW, all, options.runs());
    let seconds = |who| table.medians(ROW, who).map(|medians| medians.wall.as_secs_f64());
    let (each, folder, curl) = (seconds("riffle,"), seconds("riffle, a folder"), seconds("curl"));
    let rows = [
        ("files in one command, riffle / curl with one connection", each),
        ("files as one folder, riffle / curl with one connection", folder),
    ];
    table.must(
        ROW,
        "files a second in one command",
        each.map(|seconds| count as f64 / seconds),
        Bound::AtLeast(300.0, 1000.0),
    );
    for (what, riffle) in rows {
        let ratio = riffle.zip(curl).map(|(riffle, curl)| curl / riffle);
        table.must(ROW, what, ratio, Bound::AtLeast(1.0, 3.0));
    }
    Ok(())
}

/// An owner that begins to share, from its command until others can fetch every file.
struct Shares<'a> {
    site: &'a Site,
    files: Vec<PathBuf>,
}

impl Contestant for Shares<'_> {
    fn name(&self) -> String {
        format!("riffle send, {} of {} KB, until announced", self.files.len(), SMALL / 1000)
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (self.files.clone(), 0)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        const FOLDER: &str = "swarm-shares";
        let run = Swarm::start(stage, self.site, FOLDER, 1, &self.files)?.beginning()?;
        fs::remove_dir_all(stage.folder(FOLDER)?)?;
        Ok(run)
    }
}

/// A folder of very many small files is shared: what each costs does not grow with how many there are.
pub(crate) fn many_shares(stage: &Stage, options: &Options, table: &mut Table) -> Result<()> {
    const ROW: &str = "shares";
    let site = Site::loopback();
    let count = options.size(SHARES) as usize;
    let files = small_files(stage, "shares", count)?;
    let all: Vec<Box<dyn Contestant + '_>> = vec![Box::new(Shares { site: &site, files })];
    table.interleave(stage, ROW, all, options.runs());
    let seconds = table.medians(ROW, "riffle send").map(|medians| medians.wall.as_secs_f64());
    table.must(ROW, "from `send` of many files until all are announced, s", seconds, Bound::AtMost(3.0, 1.5));
    Ok(())
}

fn small_files(stage: &Stage, folder: &str, count: usize) -> Result<Vec<PathBuf>> {
    let folder = stage.folder(folder)?;
    let mut rng = StdRng::seed_from_u64(count as u64);
    let mut bytes = vec![0; SMALL];
    let mut files = Vec::with_capacity(count);
    for index in 0..count {
        let path = folder.join(format!("file-{index:04}"));
        rng.fill_bytes(&mut bytes);
        fs::write(&path, &bytes)?;
        files.push(path);
    }
    Ok(files)
}
