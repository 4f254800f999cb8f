//! rsync from its daemon, over loopback: one TCP stream, the whole checked at the end.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch};
use crate::stage::Stage;
use crate::trees::{compare_all, length_of, remove};

/// A daemon that serves one folder. It has a process for each transfer, whose time is its own once they have ended.
pub(crate) struct Rsync {
    daemon: Process,
    port: u16,
    source: PathBuf,
    length: u64,
    /// What the client is told.
    words: &'static [&'static str],
}

impl Rsync {
    /// Starts the daemon over the folder of a file of `length` bytes.
    pub(crate) fn start(stage: &Stage, length: u64) -> Result<Rsync> {
        Rsync::serve(stage, stage.source(length)?, &["--whole-file"])
    }

    /// Starts the daemon over the folder in which the folder `source` stands.
    pub(crate) fn tree(stage: &Stage, source: PathBuf) -> Result<Rsync> {
        Rsync::serve(stage, source, &["-a", "--whole-file"])
    }

    fn serve(stage: &Stage, source: PathBuf, words: &'static [&'static str]) -> Result<Rsync> {
        let (length, folder) = (length_of(&source), stage.folder("rsyncd")?);
        let root = source.parent().context("a file in a folder")?;
        // Free a moment ago; when somebody else takes it, rsync says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = folder.join("rsyncd.conf");
        // As root it would serve as nobody, who may not read the folder.
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let who = if uid == 0 { format!("uid = {uid}\ngid = {gid}\n") } else { String::new() };
        let text = format!("use chroot = no\n{who}[sources]\npath = {}\nread only = yes\n", root.display());
        fs::write(&settings, text)?;
        let mut command = Command::new("rsync");
        command.args(["--daemon", "--no-detach", "--address=127.0.0.1"]);
        command.arg(format!("--port={port}")).arg(format!("--config={}", settings.display()));
        let mut daemon = Process::start(&mut command, "rsyncd", &folder)?;
        daemon.wait_until(stage, "listening", |_| TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Rsync { daemon, port, source, length, words })
    }
}

impl Contestant for Rsync {
    fn name(&self) -> String {
        "rsync from its daemon".to_owned()
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        let sources = if self.source.is_dir() { Vec::new() } else { vec![self.source.clone()] };
        (sources, self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let name = self.source.file_name().unwrap_or_default();
        let into = stage.folder("rsync")?;
        let copy = into.join(name);
        let mut command = Command::new("rsync");
        command.args(self.words);
        command.arg(format!("rsync://127.0.0.1:{}/sources/{}", self.port, name.display())).arg(&into);
        let watch = Watch::begin([&mut self.daemon])?;
        let client = Process::start(&mut command, "rsync", stage.path())?;
        let run = watch.until_ended(stage, vec![client], self.length, LIMIT)?;
        compare_all(&self.source, &copy)?;
        remove(&copy)?;
        Ok(run)
    }
}
