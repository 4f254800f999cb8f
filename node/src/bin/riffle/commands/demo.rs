//! `riffle demo`: a tracker, four owners and a downloader in one process, over real sockets, from start to end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use config::NodeSettings;
use logs::LogGuard;
use messages::{ContentId, Name, NodeId};
use node::{Command, Destination, DownloadOrder, Event, Patience, Summary, Wanted};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::driver::{self, DriverSettings, NodeHandle};
use crate::embedded::Embedded;
use crate::exit::{ExitCode, Stop};
use crate::progress::Progress;
use crate::report;
use crate::running::{log_settings, refused_log, refused_start};
use crate::screen::Screen;
use crate::sharing::{self, News, Sharing};
use crate::signals;
use crate::state::random_node;
use crate::units::{duration, percent, rate, size};

const OWNERS: usize = 4;
/// Bytes of the file that is made when none is named.
const LENGTH: u64 = 256 << 20;
/// Bytes that are made and written at a time.
const BLOCK: usize = 1 << 20;
/// The downloader gives up when nothing arrives for this long.
const PATIENCE: Duration = Duration::from_secs(20);
const DRAW_EVERY: Duration = Duration::from_millis(50);
/// How long the nodes may take to say goodbye to the tracker, all together.
const LEAVE_TIME: Duration = Duration::from_millis(1500);

/// One node of the demo.
struct DemoNode {
    handle: NodeHandle,
    node: NodeId,
    _log: LogGuard,
}

/// Everything that runs, and what happens to it, with the number of the node that it happens to. Owners are numbered
/// from 1; the downloader is the last.
struct Stage {
    // The order matters: nodes end first, then their tracker; the folder goes when nobody uses it any more.
    nodes: Vec<DemoNode>,
    events: UnboundedReceiver<(usize, Event)>,
    sender: mpsc::UnboundedSender<(usize, Event)>,
    tracker: Embedded,
    folder: TempDir,
}

/// Runs the demo with `file`, or with random bytes.
///
/// # Errors
/// What failed, with its exit code.
pub(crate) async fn run(settings: NodeSettings, file: Option<PathBuf>) -> Result<ExitCode> {
    let screen = Screen::of_one_shot();
    let leave = signals::leave_asked(screen.clone());
    tokio::select! {
        code = play(settings, file, &screen) => code,
        () = leave => {
            screen.note("the demo was interrupted; nothing of it is left");
            Ok(ExitCode::Killed)
        }
    }
}

async fn play(settings: NodeSettings, file: Option<PathBuf>, screen: &Screen) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("riffle-demo-").tempdir().context("no temporary folder")?;
    let (original, name) = match file {
        Some(file) => {
            let name = sharing::name_of(&file)
                .map_err(|error| Stop::new(ExitCode::of_disk(&error), error.to_string()))?;
            (file, name)
        }
        None => {
            screen.note(&format!("making a file of {} of random bytes", size(LENGTH)));
            let path = folder.path().join("demo.bin");
            (make_file(path.clone()).await?, sharing::name_of(&path)?)
        }
    };
    let mut stage = Stage::open(&settings, folder)?;
    let owners = stage.share(&settings, &original, screen).await?;
    let downloads = stage.folder.path().join("downloaded");
    std::fs::create_dir(&downloads).with_context(|| format!("{}", downloads.display()))?;
    let outcome = stage.download(&settings, name, &downloads, &owners, screen).await;
    let (path, summary) = match outcome? {
        Ok(done) => done,
        Err(code) => return Ok(code),
    };
    let hash = compare(original, path).await?;
    screen.results(&closing(&summary, &owners, &hash));
    if let Ok(logs) = crate::settings::log_folder(settings.log_dir.as_deref()) {
        screen.note(&format!("logs: {}", logs.join("node-demo-*.log").display()));
    }
    stage.close().await;
    Ok(ExitCode::Done)
}

impl Stage {
    fn open(settings: &NodeSettings, folder: TempDir) -> Result<Stage> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tracker = Embedded::start(listen, log_settings(settings, "tracker-demo.log")?)
            .map_err(|error| Stop::new(ExitCode::Other, format!("no tracker can be started: {error}")))?;
        let (sender, events) = mpsc::unbounded_channel();
        Ok(Stage { nodes: Vec::new(), events, sender, tracker, folder })
    }

    /// Starts one more node, whose events come with its number.
    fn add_node(&mut self, settings: &NodeSettings) -> Result<()> {
        let number = self.nodes.len() + 1;
        let file = format!("node-demo-{number}.log");
        let (log, guard) =
            logs::scoped(log_settings(settings, &file)?).map_err(|error| refused_log(&error))?;
        let node = random_node()?;
        let (handle, mut events) = driver::start(DriverSettings {
            settings: settings.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tracker: self.tracker.address(),
            node,
            log,
        })
        .map_err(refused_start)?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if sender.send((number, event)).is_err() {
                    return;
                }
            }
        });
        self.nodes.push(DemoNode { handle, node, _log: guard });
        Ok(())
    }

    /// Starts the owners, and returns what to call them once the tracker knows what they share.
    async fn share(
        &mut self,
        settings: &NodeSettings,
        original: &Path,
        screen: &Screen,
    ) -> Result<BTreeMap<NodeId, String>> {
        let mut owners = BTreeMap::new();
        let mut sharing = BTreeMap::new();
        for number in 1..=OWNERS {
            self.add_node(settings)?;
            let Some(owner) = self.nodes.last() else { break };
            let mut its = Sharing::default();
            its.begin(original, &owner.handle)
                .map_err(|error| Stop::new(ExitCode::of_disk(&error), error.to_string()))?;
            sharing.insert(number, its);
            owners.insert(owner.node, format!("owner {number}"));
        }
        screen.note(&format!(
            "a tracker at {} and {OWNERS} owners are running; each hashes the file and announces it",
            self.tracker.address()
        ));
        let mut progress = Progress::new(screen.clone(), BTreeMap::new());
        while sharing.values().any(Sharing::is_unannounced) {
            let (number, event) = self.events.recv().await.context("an owner has ended by itself")?;
            // One bar is enough: all of them do the same at the same time.
            if number == 1 {
                progress.on_event(&event);
            }
            let Some(its) = sharing.get_mut(&number) else { continue };
            for news in its.on_event(&event) {
                if let News::Failed(error) = news {
                    return Err(Stop::new(ExitCode::of_disk(&error), error.to_string()).into());
                }
            }
        }
        Ok(owners)
    }

    /// Fetches `name` from the owners. The inner result is an exit code when the download failed, as was said.
    async fn download(
        &mut self,
        settings: &NodeSettings,
        name: Name,
        folder: &Path,
        owners: &BTreeMap<NodeId, String>,
        screen: &Screen,
    ) -> Result<Result<(PathBuf, Summary), ExitCode>> {
        self.add_node(settings)?;
        let downloader = self.nodes.last().context("no node")?;
        let patience = Patience { tracker: Some(PATIENCE), unknown: Some(PATIENCE), stall: Some(PATIENCE) };
        let wanted = Wanted::Name(name.clone(), String::new());
        let order = DownloadOrder { wanted, destination: Destination::Folder(folder.to_owned()), patience };
        screen.note(&format!("a fifth node downloads {name}"));
        downloader.handle.command(Command::Download { download: downloader.handle.new_download(), order });
        let mut progress = Progress::new(screen.clone(), owners.clone());
        let mut first_stretches = owners.clone();
        let mut draw = tokio::time::interval(DRAW_EVERY);
        loop {
            tokio::select! {
                next = self.events.recv() => {
                    let (number, event) = next.context("the downloader has ended by itself")?;
                    if number != OWNERS + 1 {
                        continue;
                    }
                    progress.on_event(&event);
                    match event {
                        Event::StretchAssigned { owner, pieces, .. } => {
                            if let (Some(owner), Screen::Lines) = (first_stretches.remove(&owner), screen) {
                                screen.note(&format!("  {owner} begins with {}", report::pieces(&pieces)));
                            }
                        }
                        Event::DownloadDone { path, summary, .. } => return Ok(Ok((path, summary))),
                        Event::DownloadFailed { why, .. } => {
                            screen.notes(&report::failure(name.as_str(), &why, report::Place::OneShot));
                            return Ok(Err(ExitCode::of_failure(&why)));
                        }
                        _ => {}
                    }
                }
                _ = draw.tick() => {
                    if let Some(status) = downloader.handle.status().await {
                        progress.show(&status, Instant::now());
                    }
                }
            }
        }
    }

    /// Ends the nodes, then the tracker.
    async fn close(mut self) {
        self.nodes.iter().for_each(|node| node.handle.command(Command::Leave));
        let mut running = self.nodes.len();
        let all_left = async {
            while running > 0 {
                match self.events.recv().await {
                    Some((_, Event::Left)) => running -= 1,
                    Some(_) => {}
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(LEAVE_TIME, all_left).await;
        self.nodes.into_iter().for_each(|node| node.handle.stop());
    }
}

/// Writes the random file, away from the thread that draws.
async fn make_file(path: PathBuf) -> Result<PathBuf> {
    let write = move || -> io::Result<PathBuf> {
        let mut chance = StdRng::try_from_rng(&mut SysRng).map_err(io::Error::other)?;
        let mut file = File::create(&path)?;
        let mut block = vec![0; BLOCK];
        for _ in 0..LENGTH / BLOCK as u64 {
            chance.fill_bytes(&mut block);
            file.write_all(&block)?;
        }
        Ok(path)
    };
    tokio::task::spawn_blocking(write).await?.map_err(|error| {
        let code = if error.kind() == io::ErrorKind::StorageFull { ExitCode::DiskFull } else { ExitCode::Io };
        Stop::new(code, format!("the demo's file cannot be written in the temporary folder: {error}")).into()
    })
}

/// Hashes both files anew, from the disk, and returns the hash that they share.
async fn compare(original: PathBuf, copy: PathBuf) -> Result<blake3::Hash> {
    let hash = |path: &Path| -> Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        hasher.update_reader(file).with_context(|| format!("{}", path.display()))?;
        Ok(hasher.finalize())
    };
    let both = move || Ok::<_, anyhow::Error>((hash(&original)?, hash(&copy)?));
    let (original, copy) = tokio::task::spawn_blocking(both).await??;
    if original != copy {
        return Err(Stop::new(ExitCode::Integrity, "the copy differs from the original").into());
    }
    Ok(original)
}

/// The last lines: time, rate, what each owner gave, and the hash.
fn closing(summary: &Summary, owners: &BTreeMap<NodeId, String>, hash: &blake3::Hash) -> Vec<String> {
    let took = summary.took;
    let mut lines = vec![format!(
        "{} from {} owners in {}, {}",
        size(summary.length),
        summary.shares.len(),
        duration(took),
        rate(report::per_second(summary.length, took))
    )];
    let mut shares: Vec<(String, u64)> = summary
        .shares
        .iter()
        .map(|share| {
            (owners.get(&share.owner).cloned().unwrap_or_else(|| share.peer.to_string()), share.bytes)
        })
        .collect();
    shares.sort();
    lines.extend(shares.iter().map(|(owner, bytes)| {
        format!("  {owner}  {:>7}  {:>8}", percent(*bytes, summary.length), size(*bytes))
    }));
    lines.push(format!("verified: the copy's BLAKE3 is the original's, {hash}"));
    lines.push(format!("content id {}", ContentIdLine(summary.content)));
    lines
}

/// A content id with what it is for.
struct ContentIdLine(ContentId);

impl std::fmt::Display for ContentIdLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (what `riffle download` takes instead of a name)", self.0)
    }
}

#[cfg(test)]
mod tests {
    use node::Share;

    use super::*;

    #[test]
    fn the_closing_lines_have_time_rate_shares_and_hash() {
        let node = |byte| NodeId::from_bytes([byte; 16]);
        let share = |byte, bytes| Share { owner: node(byte), peer: ([127, 0, 0, 1], 4000).into(), bytes };
        let owners = (1..=2).map(|byte| (node(byte), format!("owner {byte}"))).collect();
        let summary = Summary {
            content: ContentId::from_bytes([9; 32]),
            length: 64 << 20,
            took: Duration::from_millis(500),
            shares: vec![share(2, 40 << 20), share(1, 24 << 20)],
            already_there: false,
        };
        let lines = closing(&summary, &owners, &blake3::hash(b""));
        assert_eq!(lines[0], "64.0 MiB from 2 owners in 500 ms, 128 MiB/s");
        assert_eq!(lines[1], "  owner 1   37.5 %  24.0 MiB");
        assert_eq!(lines[2], "  owner 2   62.5 %  40.0 MiB");
        assert!(lines[3].ends_with("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"));
        assert!(lines[4].contains(&"09".repeat(32)));
    }
}
