//! curl from nginx: one TCP stream out of sendfile, nothing verified. And curl with the check that it leaves out.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::riffle::RIFFLE;
use super::{Contestant, LIMIT};
use crate::figures::Run;
use crate::process::{Process, Watch, installed};
use crate::site::{End, Site};
use crate::stage::{Stage, compare};

/// In a namespace of one's own every port is free. There may be one nginx of each scheme.
const HTTP: u16 = 8080;
const HTTPS: u16 = 8443;

/// nginx, serving one folder.
pub(crate) struct Nginx {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Nginx {
    /// Starts it, with its files in a folder of that name; it listens when this returns.
    pub(crate) fn start(
        stage: &Stage,
        site: &Site,
        root: &Path,
        name: &str,
        scheme: Scheme,
    ) -> Result<Nginx> {
        let folder = stage.folder(name)?;
        let port = match (site.namespace(End::Giving), scheme) {
            (Some(_), Scheme::Http) => HTTP,
            (Some(_), Scheme::Https) => HTTPS,
            // Free a moment ago; when somebody else takes it, nginx says so.
            (None, _) => TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        };
        let address = format!("{}:{port}", site.address(End::Giving));
        let settings = folder.join("nginx.conf");
        if scheme == Scheme::Https {
            make_certificate(&folder)?;
        }
        fs::write(&settings, settings_of(&folder, root, &address, scheme))?;
        let running = folder.join("running");
        let _ = fs::remove_file(&running);
        let mut command = site.command(End::Giving, "nginx");
        command.arg("-p").arg(&folder).arg("-c").arg(&settings).args(["-e", "stderr"]);
        let mut process = Process::start(&mut command, "nginx", &folder)?;
        process.wait_until(stage, "listening", |_| running.exists().then_some(()))?;
        Ok(Nginx { process, url: format!("{}://{address}", scheme.text()) })
    }
}

/// One process, that looked at by number; else the defaults of its packages that bear on speed.
fn settings_of(folder: &Path, root: &Path, address: &str, scheme: Scheme) -> String {
    let (folder, root) = (folder.display(), root.display());
    let tls = match scheme {
        Scheme::Http => String::new(),
        // The kernel's TLS is off unless it is asked for.
        Scheme::Https => format!(
            "ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key; ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;"
        ),
    };
    let ssl = if scheme == Scheme::Https { " ssl" } else { "" };
    format!(
        "daemon off; master_process off; pid {folder}/running; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen {address}{ssl}; root {root}; {tls} }}
}}
"
    )
}

/// A certificate that nobody has signed, in `folder`.
fn make_certificate(folder: &Path) -> Result<()> {
    let (key, certificate) = (folder.join("key"), folder.join("certificate"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    command.args(["-subj", "/CN=riffle", "-days", "2", "-keyout"]).arg(key).arg("-out").arg(certificate);
    let made = command.output().context("openssl")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// How nginx and curl talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In the clear.
    Http,
    /// TLS 1.3 with AES-128-GCM, in the programs.
    Https,
}

impl Scheme {
    const fn text(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// One curl and one nginx.
pub(crate) struct Curl<'a> {
    scheme: Scheme,
    site: &'a Site,
    nginx: Nginx,
    files: Vec<PathBuf>,
    length: u64,
    /// Runs of a BLAKE3 sum over what curl has brought, each with the curl before it.
    checked: Option<Vec<Run>>,
}

impl<'a> Curl<'a> {
    /// Starts nginx over the folder of `files`. `check`: what has come is hashed, for `aside`.
    pub(crate) fn start(stage: &Stage, site: &'a Site, files: &[PathBuf], check: bool) -> Result<Curl<'a>> {
        Curl::start_over(Scheme::Http, stage, site, files, check)
    }

    /// The same over this scheme.
    pub(crate) fn start_over(
        scheme: Scheme,
        stage: &Stage,
        site: &'a Site,
        files: &[PathBuf],
        check: bool,
    ) -> Result<Curl<'a>> {
        let root = files.first().and_then(|file| file.parent()).context("a file in a folder")?;
        let nginx = Nginx::start(stage, site, root, &format!("nginx-{}", scheme.text()), scheme)?;
        let length = files.iter().map(|file| fs::metadata(file).map_or(0, |file| file.len())).sum();
        Ok(Curl { scheme, site, nginx, files: files.to_owned(), length, checked: check.then(Vec::new) })
    }
}

/// What hashes files with BLAKE3 on all cores, and what it is called.
fn blake3_sum() -> (&'static str, Command) {
    if installed("b3sum") {
        return ("b3sum", Command::new("b3sum"));
    }
    let mut command = Command::new(RIFFLE);
    command.arg("hash");
    ("riffle hash", command)
}

impl Contestant for Curl<'_> {
    fn name(&self) -> String {
        match self.scheme {
            Scheme::Http => "curl from nginx".to_owned(),
            Scheme::Https => "curl over https".to_owned(),
        }
    }

    fn touches(&self) -> (Vec<PathBuf>, u64) {
        (self.files.clone(), self.length)
    }

    fn run(&mut self, stage: &Stage) -> Result<Run> {
        let folder = stage.folder("curl")?;
        let mut command = self.site.command(End::Taking, "curl");
        command.args(["-sS", "--insecure", "--fail", "--remote-name-all"]).current_dir(&folder);
        let names: Vec<&str> = self.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        command.args(names.iter().map(|name| format!("{}/{name}", self.nginx.url)));
        let watch = Watch::begin([&mut self.nginx.process])?;
        let curl = Process::start(&mut command, "curl", stage.path())?;
        let run = watch.until_ended(stage, vec![curl], self.length, LIMIT)?;
        if let Some(checked) = &mut self.checked {
            let watch = Watch::begin([])?;
            let (name, mut command) = blake3_sum();
            let sum = Process::start(command.args(&names).current_dir(&folder), name, stage.path())?;
            let sum = watch.until_ended(stage, vec![sum], self.length, LIMIT)?;
            let mut both = run.clone();
            both.wall += sum.wall;
            both.taking.add(sum.taking);
            checked.push(both);
        }
        for (source, name) in self.files.iter().zip(&names) {
            compare(source, &folder.join(name))?;
        }
        fs::remove_dir_all(&folder)?;
        Ok(run)
    }

    fn aside(&mut self) -> Option<(String, Vec<Run>)> {
        Some((format!("curl, then {}", blake3_sum().0), self.checked.take()?))
    }
}
