//! Riffle itself: a tracker, owners that serve on from run to run, and downloaders that begin anew each time.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{Contestant, LIMIT};
use crate::figures::{Run, Side};
use crate::process::{Process, Watch};
use crate::site::{End, Site};
use crate::stage::Stage;
use crate::trees::{self, compare_all, length_of};

/// The program, built as this measurement was.
pub(crate) const RIFFLE: &str = env!("CARGO_BIN_EXE_riffle");

/// How what has come is compared with what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Bytes,
    /// The files are too large to be read twice; Riffle has compared their hashes.
    Length,
}

/// A tracker with owners of the same files.
pub(crate) struct Swarm<'a> {
    site: &'a Site,
    folder: PathBuf,
    tracker: String,
    owners: Vec<Process>,
    /// The files and their content ids.
    shared: Vec<(PathBuf, String)>,
    /// How long the owners took from their start until everything was announced.
    beginning: Duration,
    check: Check,
    limit: Duration,
    /// What stands where the first of `shared` is saved, to be brought up to date.
    older: Option<PathBuf>,
    /// What the first downloader has logged of its last run.
    logged: Logged,
    _tracker: Process,
}

/// What a downloader has logged of a download.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logged {
    /// Bytes of the content.
    pub(crate) length: u64,
    /// Bytes that came from owners.
    pub(crate) fetched: u64,
}

impl<'a> Swarm<'a> {
    /// Starts a tracker and `owners` owners of `files`; they have hashed and announced them when this returns.
    pub(crate) fn start(
        stage: &Stage,
        site: &'a Site,
        name: &str,
        owners: usize,
        files: &[PathBuf],
    ) -> Result<Swarm<'a>> {
        let folder = stage.folder(name)?;
        let listen = format!("{}:0", site.address(End::Giving));
        let mut command = riffle(site, End::Giving, &folder.join("tracker"));
        let mut tracker = Process::start(command.args(["tracker", "--listen", &listen]), "tracker", &folder)?;
        let address = tracker.wait_until(stage, "its address", |said| {
            let (_, rest) = said.split_once("listening on ")?;
            Some(rest.split_once('\n')?.0.trim().to_owned())
        })?;
        let (began, mut started) = (Instant::now(), Vec::new());
        for index in 0..owners {
            let name = format!("owner-{index}");
            let mut command = configured(site.command_of_owner(index, RIFFLE), &folder.join(&name));
            let listen = format!("{}:0", site.address_of_owner(index));
            command.args(["send", "--tracker", &address, "--listen", &listen]).args(files);
            started.push(Process::start(&mut command, &name, &folder)?);
        }
        let mut ids = Vec::new();
        for owner in &mut started {
            ids = owner.wait_until(stage, "sharing everything", |said| shared_ids(said, files))?;
        }
        let shared = files.iter().cloned().zip(ids).collect();
        Ok(Swarm {
            site,
            folder,
            tracker: address,
            owners: started,
            shared,
            beginning: began.elapsed(),
            check: Check::Bytes,
            limit: LIMIT,
            older: None,
            logged: Logged::default(),
            _tracker: tracker,
        })
    }

    /// What it has cost the owners to hash and announce everything: a moment, not a rate.
    pub(crate) fn beginning(&mut self) -> Result<Run> {
        let mut giving = Side::default();
        for owner in &mut self.owners {
            owner.look();
            giving.add(owner.side(Duration::ZERO)?);
        }
        Ok(Run { wall: self.beginning, bytes: 0, giving, taking: Side::default(), said: String::new() })
    }

    /// From now on only lengths are compared, and runs may take `limit`.
    pub(crate) fn only_length(&mut self, limit: Duration) {
        (self.check, self.limit) = (Check::Length, limit);
    }

    /// From now on the folder `older` stands where the content is saved, and is brought up to date.
    pub(crate) fn over(&mut self, older: PathBuf) {
        self.older = Some(older);
    }

    /// What the first downloader has logged of its last run.
    pub(crate) fn logged(&self) -> Logged {
        self.logged
    }

    /// `downloaders` fetch everything at once, each into a folder of its own.
    pub(crate) fn download(&mut self, stage: &Stage, downloaders: usize) -> Result<Run> {
        self.download_watched(stage, downloaders, |_, _| Ok(()))
    }

    /// The same; `meanwhile` is called as soon as they are started, with the first one's folder.
    pub(crate) fn download_watched(
        &mut self,
        stage: &Stage,
        downloaders: usize,
        meanwhile: impl FnOnce(Instant, &Path) -> Result<()>,
    ) -> Result<Run> {
        let run = stage.folder(&format!("{}-run", self.folder.display()))?;
        let folders: Vec<PathBuf> = (0..downloaders).map(|index| run.join(index.to_string())).collect();
        let mut commands = Vec::new();
        for (index, folder) in folders.iter().enumerate() {
            fs::create_dir_all(folder)?;
            if let (Some(older), Some((source, _))) = (&self.older, self.shared.first()) {
                trees::copy(older, &folder.join(source.file_name().context("a folder has a name")?))?;
            }
            commands.push(self.downloader(folder, index));
        }
        let watch = Watch::begin(&mut self.owners)?;
        let mut takers = Vec::new();
        for (index, command) in commands.iter_mut().enumerate() {
            takers.push(Process::start(command, &format!("downloader-{index}"), &run)?);
        }
        meanwhile(watch.began, &folders[0])?;
        let length: u64 = self.shared.iter().map(|(file, _)| length_of(file)).sum();
        let result = watch.until_ended(stage, takers, length * downloaders as u64, self.limit)?;
        for (source, folder) in
            self.shared.iter().flat_map(|(source, _)| folders.iter().map(move |to| (source, to)))
        {
            let copy = folder.join(source.file_name().context("a file has a name")?);
            match self.check {
                Check::Bytes => compare_all(source, &copy)?,
                Check::Length => ensure!(length_of(source) == length_of(&copy), "{} is cut", copy.display()),
            }
        }
        self.logged = logged(&folders[0].join(".riffle/logs"))?;
        fs::remove_dir_all(&run)?;
        Ok(result)
    }

    /// The command of one who fetches everything into `folder`.
    fn downloader(&self, folder: &Path, index: usize) -> Command {
        let mut command = riffle(self.site, End::Taking, &folder.join(".riffle"));
        let listen = format!("{}:0", self.site.address(End::Taking));
        command.args([
            "--id",
            &format!("downloader-{index}"),
            "--tracker",
            &self.tracker,
            "--listen",
            &listen,
        ]);
        command.arg("--dir").arg(folder).arg("download").args(self.older.iter().map(|_| "--update"));
        command.args(self.shared.iter().map(|(_, id)| id));
        command
    }
}

/// What the log files in `folder` say of the last download that is complete.
fn logged(folder: &Path) -> Result<Logged> {
    let mut logged = Logged::default();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        let lines = text.lines().filter(|line| line.contains("download complete"));
        for words in lines.map(|line| line.split(' ')) {
            let number = |name: &str| words.clone().find_map(|word| word.strip_prefix(name)?.parse().ok());
            let (length, fetched) = (number("length="), number("fetched="));
            logged = length.zip(fetched).map_or(logged, |(length, fetched)| Logged { length, fetched });
        }
    }
    Ok(logged)
}

/// `riffle` at an end of `site`, with its files in `home` and nothing of the caller's settings.
pub(crate) fn riffle(site: &Site, end: End, home: &Path) -> Command {
    configured(site.command(end, RIFFLE), home)
}

fn configured(mut command: Command, home: &Path) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIFFLE_")) {
        command.env_remove(name);
    }
    command.env("RIFFLE_STATE_DIR", home.join("state")).env("RIFFLE_LOG_DIR", home.join("logs"));
    command.env("XDG_CONFIG_HOME", home.join("config"));
    command
}

/// The content ids of `files`, once all of them have been announced.
pub(crate) fn shared_ids(said: &str, files: &[PathBuf]) -> Option<Vec<String>> {
    // "sharing NAME (SIZE); on the other side:" on stderr, and the line to type, with the id or a ticket, on stdout: in the same order.
    let id = |line: &str| {
        let last = line.strip_prefix("riffle download ")?.split_whitespace().last()?.to_owned();
        (last.len() == 64 || last.starts_with("riffle1")).then_some(last)
    };
    let names: Vec<&str> =
        said.lines().filter_map(|line| Some(line.strip_prefix("sharing ")?.rsplit_once(" (")?.0)).collect();
    let ids: Vec<String> = said.lines().filter_map(id).collect();
    if ids.len() < files.len() || names.len() < files.len() {
        return None;
    }
    let by_name: BTreeMap<&OsStr, &String> = names.into_iter().map(OsStr::new).zip(&ids).collect();
    let id_of = |file: &PathBuf| by_name.get(file.file_name()?).map(|id| (*id).clone());
    files.iter().map(id_of).collect()
}

/// One file from some owners to some downloaders.
pub(crate) struct Riffle<'a> {
    name: String,
    /// Its processes.
    pub(crate) swarm: Swarm<'a>,
    source: PathBuf,
    length: u64,
    downloaders: usize,
}

impl<'a> Riffle<'a> {
    /// Starts the owners of a file of `length` bytes.
    pub(crate) fn start(
        stage: &Stage,
        site: &'a Site,
        (owners, downloaders): (usize, usize),
        length: u64,
    ) -> Result<Riffle<'a>> {
        let source = stage.source(length)?;
        let sealed = if site.is_sealed() { ", sealed" } else { "" };
        let folder = format!("swarm-{owners}-{downloaders}{}", sealed.replace(", ", "-"));
        let swarm = Swarm::start(stage, site, &folder, owners, std::slice::from_ref(&source))?;
        let name = format!("riffle{sealed}, {owners} → {downloaders}");
        Ok(Riffle { name, swarm, source, length, downloaders })
    }
}

impl Contestant for Riffle<'_> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.source.clone()], self.length * self.downloaders as u64)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        self.swarm.download(stage, self.downloaders)
    }
}
