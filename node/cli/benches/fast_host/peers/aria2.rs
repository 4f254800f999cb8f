//! aria2 from nginx: four TCP streams of one file, nothing verified.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::curl::{Nginx, Scheme};
use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch};
use crate::site::{End, Site};
use crate::stage::{Stage, compare};

/// One aria2 and one nginx.
pub(crate) struct Aria2<'a> {
    site: &'a Site,
    nginx: Nginx,
    source: PathBuf,
    length: u64,
}

impl<'a> Aria2<'a> {
    /// Starts nginx over a file of `length` bytes.
    pub(crate) fn start(stage: &Stage, site: &'a Site, length: u64) -> Result<Aria2<'a>> {
        let source = stage.source(length)?;
        let root = source.parent().context("a file in a folder")?;
        Ok(Aria2 {
            site,
            nginx: Nginx::start(stage, site, root, "nginx-aria2", Scheme::Http)?,
            source,
            length,
        })
    }
}

impl Contestant for Aria2<'_> {
    fn name(&self) -> String {
        "aria2 from nginx, 4 streams".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.source.clone()], self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let folder = stage.folder("aria2")?;
        let name = self.source.file_name().unwrap_or_default();
        let mut command = self.site.command(End::Taking, "aria2c");
        command.args(["--no-conf", "--quiet", "--split=4", "--max-connection-per-server=4"]);
        command.args(["--file-allocation=none", "--disable-ipv6"]).arg("--dir").arg(&folder);
        command.arg(format!("{}/{}", self.nginx.url, name.display()));
        let watch = Watch::begin([&mut self.nginx.process])?;
        let aria2 = Process::start(&mut command, "aria2", stage.path())?;
        let run = watch.until_ended(stage, vec![aria2], self.length, LIMIT)?;
        compare(&self.source, &folder.join(name))?;
        fs::remove_dir_all(&folder)?;
        Ok(run)
    }
}
