//! `riffle demo`: a tracker, four owners and a downloader in one process, over real sockets, from start to end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use config::{Interval, NodeSettings, SecretFiles};
use logs::LogGuard;
use messages::{Layout, Name, NodeId};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _};
use riffle::{
    DiskError, DownloadTimeouts, EmbeddedTracker, Event, EventsError, Node, Summary, TrackerLog,
    TrackerStatus, Wanted,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::exit::{ExitCode, Stop};
use crate::logging::{LogPlan, refused_log};
use crate::piece_bar::PieceBar;
use crate::progress::{FINAL_BAR_WIDTH, Progress};
use crate::report;
use crate::running::refused_start;
use crate::screen::Screen;
use crate::settings::Settings;
use crate::sharing::{self, News, SendAs, Sharing};
use crate::signals::Signals;
use crate::units::{duration, per_second, percent, rate, size};

const OWNERS: usize = 4;
/// The file that is made when none is named has this many bytes.
const LENGTH: u64 = 256 << 20;
/// This many bytes of the file are made and written at a time.
const BLOCK: usize = 1 << 20;
/// The downloader gives up after this long without progress.
const TIMEOUT: Duration = Duration::from_secs(20);
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// One node of the demo.
struct DemoNode {
    node: Node,
    _log: Option<LogGuard>,
}

/// The tracker and the nodes of the demo, and their events, each with the number of its node. Owners are numbered from
/// 1; the downloader comes last.
struct DemoNetwork {
    // The order of the fields matters: nodes are dropped first, then their tracker, and the folder when nobody uses it.
    nodes: Vec<DemoNode>,
    events: UnboundedReceiver<(usize, Event)>,
    sender: mpsc::UnboundedSender<(usize, Event)>,
    tracker: EmbeddedTracker,
    folder: TempDir,
}

/// The finished download.
struct Outcome {
    path: PathBuf,
    summary: Summary,
    /// The parts of the file that came from each owner.
    piece_bars: BTreeMap<NodeId, PieceBar>,
}

/// Runs the demo with `file`, or with random bytes.
///
/// # Errors
/// What failed, with its exit code.
pub(crate) async fn run(mut settings: Settings, file: Option<PathBuf>) -> Result<ExitCode> {
    // Its swarm is of this machine and of a minute, and its tracker has no secret.
    settings.secret_file = SecretFiles::NONE;
    settings.members_file = None;
    let screen = Screen::of_one_shot(settings.quiet);
    let mut signals = Signals::listen(screen.clone(), || {})?;
    let mut network = None;
    let code = tokio::select! {
        code = run_on(&settings, file, &screen, &mut network) => code,
        () = signals.asked() => {
            screen.note("the demo was interrupted; Ctrl-C again ends it at once");
            Ok(ExitCode::Killed)
        }
    };
    signals.leaving().begin();
    if let Some(network) = network {
        network.close().await;
    }
    code
}

async fn run_on(
    settings: &NodeSettings,
    file: Option<PathBuf>,
    screen: &Screen,
    network: &mut Option<DemoNetwork>,
) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("riffle-demo-").tempdir().context("no temporary folder")?;
    let network = network.insert(DemoNetwork::open(settings, folder)?);
    let original = match file {
        Some(file) => file,
        None => {
            screen.note(&format!("making a file of {} of random bytes", size(LENGTH)));
            make_file(network.folder.path().join("demo.bin")).await?
        }
    };
    let name = sharing::check(&original, None).map_err(refused)?;
    let owners = network.share(settings, &original, screen).await?;
    let downloads = network.folder.path().join("downloaded");
    std::fs::create_dir(&downloads).with_context(|| format!("{}", downloads.display()))?;
    let outcome = match network.download(settings, name, &downloads, &owners, screen).await? {
        Ok(outcome) => outcome,
        Err(code) => return Ok(code),
    };
    let hash = compare(original, outcome.path.clone()).await?;
    screen.results(&closing(&outcome, &owners, &hash));
    let logs = crate::settings::log_folder(settings)?;
    screen.note(&format!("logs: {}", logs.join("node-demo-*.log").display()));
    Ok(ExitCode::Done)
}

/// How often there are lines where there cannot be bars: each second, because the demo is over in seconds; or never.
fn line_interval(usual: Interval) -> Interval {
    if usual == Interval::NONE { usual } else { Interval::seconds(1) }
}

fn refused(error: DiskError) -> Stop {
    Stop::new(ExitCode::of_disk(&error), error.to_string())
}

impl DemoNetwork {
    fn open(settings: &NodeSettings, folder: TempDir) -> Result<DemoNetwork> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let log = LogPlan::new(settings, "tracker-demo.log").ok();
        let log = log.map_or_else(|| Ok(TrackerLog::none()), LogPlan::of_tracker)?;
        let tracker = EmbeddedTracker::start(listen, log)
            .map_err(|error| Stop::new(ExitCode::Other, format!("no tracker can be started: {error}")))?;
        let (sender, events) = mpsc::unbounded_channel();
        Ok(DemoNetwork { nodes: Vec::new(), events, sender, tracker, folder })
    }

    /// Starts one more node.
    fn add_node(&mut self, settings: &NodeSettings) -> Result<()> {
        let number = self.nodes.len() + 1;
        let file = format!("node-demo-{number}.log");
        let (log, guard) = LogPlan::new(settings, &file)?.scoped().map_err(|error| refused_log(&error))?;
        let tracker = self.tracker.address().to_string();
        let builder = Node::builder().settings(settings.clone()).tracker(tracker).log(log);
        let node = builder
            .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .start_blocking()
            .map_err(refused_start)?;
        let mut events = node.events();
        let sender = self.sender.clone();
        tokio::spawn(async move {
            loop {
                match events.next().await {
                    Ok(event) => {
                        if sender.send((number, event)).is_err() {
                            return;
                        }
                    }
                    Err(EventsError::Lagged(_)) => {}
                    Err(EventsError::Ended) => return,
                }
            }
        });
        self.nodes.push(DemoNode { node, _log: guard });
        Ok(())
    }

    /// Starts the owners and waits until the tracker knows what they share. Returns their names.
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
            let mut owner_sharing = Sharing::default();
            owner_sharing.begin(&[original.to_owned()], &SendAs::default(), &owner.node).map_err(refused)?;
            sharing.insert(number, owner_sharing);
            owners.insert(owner.node.id(), format!("owner {number}"));
        }
        screen.note(&format!(
            "a tracker at {} and {OWNERS} owners are running; each hashes the file and announces it",
            self.tracker.address()
        ));
        let mut progress = Progress::new(screen.clone(), BTreeMap::new(), settings.progress_period);
        while sharing.values().any(Sharing::is_unannounced) {
            let (number, event) = self.events.recv().await.context("an owner has ended by itself")?;
            // One bar is enough: all owners hash the same file at the same time.
            if number == 1 {
                progress.on_event(&event);
            }
            let Some(owner_sharing) = sharing.get_mut(&number) else { continue };
            for news in owner_sharing.on_event(&event) {
                if let News::Failed(error) | News::Ended(error) = news {
                    return Err(refused(error).into());
                }
            }
        }
        Ok(owners)
    }

    /// Fetches `name` from the owners. The inner error is the exit code of a download that failed, which was said.
    async fn download(
        &mut self,
        settings: &NodeSettings,
        name: Name,
        folder: &Path,
        owners: &BTreeMap<NodeId, String>,
        screen: &Screen,
    ) -> Result<Result<Outcome, ExitCode>> {
        self.add_node(settings)?;
        let downloader = self.nodes.last().context("no node")?;
        let timeouts = DownloadTimeouts {
            tracker: Some(TIMEOUT),
            nobody_shares: Some(TIMEOUT),
            no_progress: Some(TIMEOUT),
            disk_full: Some(TIMEOUT),
        };
        let tracker = TrackerStatus::at(self.tracker.address());
        screen.note(&format!("a fifth node downloads {name}"));
        let wanted = Wanted::Name(name.clone(), String::new());
        let _download = downloader.node.download(wanted).into_dir(folder).timeouts(timeouts).start();
        let interval = line_interval(settings.progress_period);
        let mut progress = Progress::new(screen.clone(), owners.clone(), interval);
        let mut first_stretches = owners.clone();
        let mut piece_bars = BTreeMap::new();
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
                                screen.note(&format!("  {owner} begins with {}", report::pieces(Some(pieces))));
                            }
                        }
                        Event::DownloadIdentified { length, .. } => {
                            let pieces = Layout::of(length).map_or(0, Layout::pieces);
                            let bar = |owner: &NodeId| (*owner, PieceBar::new(pieces, FINAL_BAR_WIDTH));
                            piece_bars = owners.keys().map(bar).collect();
                        }
                        Event::PieceVerified { piece, owners, .. } => {
                            let has_brought = |(owner, _): &(&NodeId, _)| owners.contains(owner);
                            piece_bars.iter_mut().filter(has_brought).for_each(|(_, bar)| bar.on_piece(piece));
                        }
                        Event::DownloadDone { path, summary, .. } => {
                            return Ok(Ok(Outcome { path, summary, piece_bars }));
                        }
                        Event::DownloadFailed { why, .. } => {
                            let place = report::Place::OneShot;
                            let context =
                                report::FailureContext { place, tracker: &tracker, has_some: false, waited: None };
                            screen.errors(&report::failure(name.as_str(), &why, &context));
                            return Ok(Err(ExitCode::of_failure(&why)));
                        }
                        _ => {}
                    }
                }
                _ = draw.tick() => {
                    if let Ok(status) = downloader.node.status().await {
                        progress.show(&status, Instant::now());
                    }
                }
            }
        }
    }

    /// Ends the nodes, then the tracker, and removes the folder.
    async fn close(mut self) {
        let shutdowns: Vec<_> = self.nodes.iter().map(|one| one.node.clone()).collect();
        let shutdowns: Vec<_> =
            shutdowns.into_iter().map(|node| tokio::spawn(async move { node.shutdown().await })).collect();
        for shutdown in shutdowns {
            // A panic was reported when it happened.
            let _ = shutdown.await;
        }
        self.nodes.clear();
    }
}

/// Writes the random file, on another thread than the one that draws.
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

/// Hashes both files from the disk and returns their common hash.
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

/// The last lines: time, rate, the part of each owner, and the hash.
fn closing(outcome: &Outcome, owners: &BTreeMap<NodeId, String>, hash: &blake3::Hash) -> Vec<String> {
    let Outcome { summary, piece_bars, .. } = outcome;
    let (took, length) = (summary.took, summary.length);
    let rate = rate(per_second(length, took));
    let gave = match summary.shares.len() {
        1 => "1 owner".to_owned(),
        count => format!("{count} owners"),
    };
    let mut lines = vec![format!("{} from {gave} in {}, {rate}", size(length), duration(took))];
    let mut rows: Vec<String> = summary
        .shares
        .iter()
        .map(|share| {
            let name = owners.get(&share.owner).cloned().unwrap_or_else(|| share.peer.to_string());
            let bar = piece_bars.get(&share.owner).map_or_else(String::new, |bar| bar.draw(None));
            format!("  {name}  {bar}  {:>7}  {:>8}", percent(share.bytes, length), size(share.bytes))
        })
        .collect();
    rows.sort();
    lines.append(&mut rows);
    lines.push(format!("content id {}", summary.content));
    lines.push(format!("BLAKE3     {hash}, verified: the copy's and the original's"));
    lines
}

#[cfg(test)]
mod tests {
    use messages::ContentId;
    use riffle::OwnerShare;

    use super::*;

    #[test]
    fn the_closing_lines_have_time_rate_shares_and_hash() {
        let node = |byte| NodeId::from_bytes([byte; 16]);
        let share =
            |byte, bytes| OwnerShare { owner: node(byte), peer: ([127, 0, 0, 1], 4000).into(), bytes };
        let owners = (1..=2).map(|byte| (node(byte), format!("owner {byte}"))).collect();
        let summary = Summary {
            content: ContentId::from_bytes([9; 32]),
            length: 64 << 20,
            took: Duration::from_millis(500),
            shares: vec![share(2, 40 << 20), share(1, 24 << 20)],
            here_before: 0,
            already_there: false,
        };
        let mut bar = PieceBar::new(2, 4);
        bar.on_piece(messages::PieceIndex(1));
        let outcome = Outcome { path: PathBuf::new(), summary, piece_bars: BTreeMap::from([(node(1), bar)]) };
        let lines = closing(&outcome, &owners, &blake3::hash(b""));
        assert_eq!(lines[0], "64.0 MiB from 2 owners in 500 ms, 128 MiB/s");
        assert_eq!(lines[1], "  owner 1  ··██   37.5 %  24.0 MiB");
        assert_eq!(lines[2], "  owner 2     62.5 %  40.0 MiB");
        assert_eq!(lines[3], format!("content id {}", "09".repeat(32)));
        assert!(lines[4].contains("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"));
    }
}
