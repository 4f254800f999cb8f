//! Copying on the same host: what moving a file costs when nothing is sent.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch};
use crate::stage::Stage;
use crate::trees::{compare_all, length_of, remove};

/// A program that is given a file or a folder and where to copy it.
pub(crate) struct Copy {
    words: &'static [&'static str],
    source: PathBuf,
    length: u64,
}

impl Copy {
    /// cp.
    pub(crate) fn cp(stage: &Stage, length: u64) -> Result<Copy> {
        Ok(Copy { words: &["cp", "--reflink=never"], source: stage.source(length)?, length })
    }

    /// cp of a folder.
    pub(crate) fn tree(source: PathBuf) -> Copy {
        let length = length_of(&source);
        Copy { words: &["cp", "-r", "--reflink=never"], source, length }
    }

    /// rsync, on the same host: it sends and receives through a socket pair, and checks the whole.
    pub(crate) fn rsync(stage: &Stage, length: u64) -> Result<Copy> {
        Ok(Copy { words: &["rsync", "--whole-file"], source: stage.source(length)?, length })
    }
}

impl Contestant for Copy {
    fn name(&self) -> String {
        self.words[0].to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        let sources = if self.source.is_dir() { Vec::new() } else { vec![self.source.clone()] };
        (sources, self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let copy = stage.path().join("copy");
        let watch = Watch::begin([])?;
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]).arg(&self.source).arg(&copy);
        let process = Process::start(&mut command, self.words[0], stage.path())?;
        let run = watch.until_ended(stage, vec![process], self.length, LIMIT)?;
        compare_all(&self.source, &copy)?;
        remove(&copy)?;
        Ok(run)
    }
}
