//! scp, and rsync, over ssh: what most people copy a file to another machine with. A daemon of our own serves at loopback
//! with keys that are made for it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch, call, installed};
use crate::stage::{Stage, compare};

/// Where the daemon is on most systems: it must be started by its whole path.
const DAEMONS: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];
/// The fastest cipher that every OpenSSH has, where the processor has AES; Riffle uses the same.
const CIPHER: &str = "aes128-gcm@openssh.com";

/// What copies over ssh.
#[derive(Clone, Copy)]
pub(crate) enum Copying {
    Scp,
    Rsync,
}

/// A daemon, and what is copied from it.
pub(crate) struct Ssh {
    copying: Copying,
    daemon: Process,
    folder: PathBuf,
    port: u16,
    source: PathBuf,
    length: u64,
}

/// Whether all of it is here.
pub(crate) fn is_installed(copying: Copying) -> bool {
    let has_copying = match copying {
        Copying::Scp => installed("scp"),
        Copying::Rsync => installed("rsync"),
    };
    has_copying && installed("ssh-keygen") && DAEMONS.iter().any(|path| Path::new(path).exists())
}

impl Ssh {
    /// Starts a daemon that lets this user alone in, to copy a file of `length` bytes.
    pub(crate) fn start(copying: Copying, stage: &Stage, length: u64) -> Result<Ssh> {
        let folder = stage.folder(match copying {
            Copying::Scp => "sshd-scp",
            Copying::Rsync => "sshd-rsync",
        })?;
        let Some(program) = DAEMONS.iter().find(|path| Path::new(path).exists()) else {
            bail!("no sshd");
        };
        for key in ["host", "user"] {
            call(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(folder.join(key)),
            )?;
        }
        // Free a moment ago; when somebody else takes it, sshd says so.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let here = folder.display();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host\nAuthorizedKeysFile {here}/user.pub\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n"
        );
        fs::write(folder.join("settings"), settings)?;
        fs::set_permissions(folder.join("user.pub"), fs::Permissions::from_mode(0o600))?;
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(folder.join("settings"));
        let mut daemon = Process::start(&mut command, "sshd", &folder)?;
        daemon.wait_until(stage, "listening", |_| TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Ssh { copying, daemon, folder, port, source: stage.source(length)?, length })
    }

    /// What both ends of a connection are told.
    fn words(&self) -> Vec<String> {
        let mut words = vec!["-i".to_owned(), self.folder.join("user").display().to_string()];
        let options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
        words.extend(options.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        words.extend(["-F", "none", "-c", CIPHER].map(str::to_owned));
        words
    }
}

impl Contestant for Ssh {
    fn name(&self) -> String {
        match self.copying {
            Copying::Scp => "scp".to_owned(),
            Copying::Rsync => "rsync over ssh".to_owned(),
        }
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (vec![self.source.clone()], self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let name = self.source.file_name().context("a file has a name")?;
        let copy = stage.folder("ssh")?.join(name);
        let user = rustix::process::geteuid();
        let user = call(Command::new("id").args(["-nu", &user.as_raw().to_string()]))?;
        let from = format!("{}@127.0.0.1:{}", user.trim(), self.source.display());
        let (mut words, port) = (self.words(), self.port.to_string());
        let mut command = match self.copying {
            Copying::Scp => {
                let mut command = Command::new("scp");
                command.args(&words).args(["-q", "-P", &port]).arg(from).arg(&copy);
                command
            }
            Copying::Rsync => {
                words.splice(0..0, ["ssh".to_owned(), "-p".to_owned(), port]);
                let mut command = Command::new("rsync");
                command.args(["--whole-file", "-e", &words.join(" ")]).arg(from).arg(&copy);
                command
            }
        };
        let watch = Watch::begin([&mut self.daemon])?;
        let client = Process::start(&mut command, "ssh", stage.path())?;
        let run = watch.until_ended(stage, vec![client], self.length, LIMIT)?;
        compare(&self.source, &copy)?;
        fs::remove_file(&copy)?;
        Ok(run)
    }
}
