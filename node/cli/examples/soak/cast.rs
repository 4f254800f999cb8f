//! The processes, what happens to them by chance, and what has to come of it.

use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::{Pid, Signal, kill_process};

use crate::same;

/// Downloaders that are killed and started again.
const LANES: usize = 3;
/// Owners; the first is never killed.
const OWNERS: usize = 3;
/// A life of a download may take this, and three times what its limit asks for.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Each of these happens to a process once in so many seconds, on average.
const KILL_LANE: f64 = 4.0;
const STOP_ANY: f64 = 15.0;
const KILL_OWNER: f64 = 15.0;
const KILL_TRACKER: f64 = 180.0;
/// The longest that a process is stopped, or gone.
const MAX_STOP: u64 = 4000;
const MAX_AWAY: u64 = 4000;
const LIMITS: [(&str, u64); 3] = [("none", 100 << 20), ("40MiB", 40 << 20), ("8MiB", 8 << 20)];

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    done: u64,
    bytes: u64,
    kills: u64,
    stops: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { done, bytes, kills, stops } = self;
        write!(f, "{done} downloads of {} MiB right, {kills} kills, {stops} stops", bytes >> 20)
    }
}

/// One program: its life, and how it is begun anew. Dropped, it is killed.
pub(crate) struct Actor {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    child: Option<Child>,
    stopped_until: Option<Instant>,
    away_until: Option<Instant>,
}

impl Actor {
    fn new(name: &str, program: &Path, folder: &Path, arguments: &[&str]) -> Actor {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let (name, program, folder) = (name.to_owned(), program.to_owned(), folder.to_owned());
        Actor { name, program, arguments, folder, child: None, stopped_until: None, away_until: None }
    }

    /// What it says, life after life.
    fn said(&self) -> PathBuf {
        self.folder.join(format!("{}.txt", self.name))
    }

    fn start(&mut self) {
        let said =
            File::options().create(true).append(true).open(self.said()).expect("a file for what it says");
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RIFFLE_")) {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            .current_dir(self.folder.join("owned"))
            .env("RIFFLE_STATE_DIR", self.folder.join("state"))
            .env("RIFFLE_LOG_DIR", self.folder.join("logs"))
            .env("XDG_CONFIG_HOME", self.folder.join("config"))
            .stdin(Stdio::piped())
            .stdout(said.try_clone().expect("one more"))
            .stderr(said)
            // Ctrl-C is for this program alone.
            .process_group(0);
        self.child = Some(command.spawn().expect("it starts"));
        (self.stopped_until, self.away_until) = (None, None);
    }

    fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.as_mut().and_then(|child| child.stdin.as_mut());
        writeln!(stdin.expect("it runs"), "{line}").expect("it reads");
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).expect("it is ours");
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    /// Kills it until a moment that chance says.
    fn kill_for_a_while(&mut self, now: Instant, rng: &mut StdRng) {
        self.kill();
        self.away_until = Some(now + Duration::from_millis(rng.random_range(0..MAX_AWAY)));
    }

    fn stop_for_a_while(&mut self, now: Instant, rng: &mut StdRng) -> bool {
        if self.child.is_none() || self.stopped_until.is_some() {
            return false;
        }
        self.signal(Signal::STOP);
        self.stopped_until = Some(now + Duration::from_millis(rng.random_range(0..MAX_STOP)));
        true
    }

    /// Lets it go on, and begins its next life, when it is time.
    fn on_time(&mut self, now: Instant) {
        if self.stopped_until.is_some_and(|until| now >= until) {
            self.stopped_until = None;
            self.signal(Signal::CONT);
        }
        if self.away_until.is_some_and(|until| now >= until) {
            self.start();
        }
    }

    /// How it ended, if it has done so by itself.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("waited for")?;
        self.child = None;
        Some(status)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A file on its way.
pub(crate) struct Fetching {
    file: usize,
    limit: (&'static str, u64),
    deadline: Instant,
}

/// Everything that runs.
pub(crate) struct Stage {
    folder: PathBuf,
    files: usize,
    tracker: Actor,
    owners: Vec<Actor>,
    lanes: Vec<(Actor, Option<Fetching>)>,
    /// A prompt that fetches one file after the other, and is never killed.
    prompt: (Actor, Option<Fetching>),
    address: String,
    /// What has happened.
    pub(crate) counts: Counts,
    /// What must not have happened.
    pub(crate) faults: Vec<String>,
}

impl Stage {
    /// Starts the tracker, the owners of `files` files, and the prompt.
    pub(crate) fn open(riffle: PathBuf, folder: PathBuf, files: usize) -> Stage {
        fs::create_dir_all(folder.join("saved")).expect("a folder");
        let mut tracker = Actor::new("tracker", &riffle, &folder, &["tracker", "--listen", "127.0.0.1:0"]);
        tracker.start();
        let address = first_word_behind(&tracker.said(), "listening on ");
        // Its next lives are found where its first was.
        *tracker.arguments.last_mut().expect("an address") = address.clone();
        let actor = |name: &str, arguments: &[&str]| {
            let common = ["--id", name, "--tracker", &address, "--listen", "127.0.0.1:0"];
            Actor::new(name, &riffle, &folder, &[&common, arguments].concat())
        };
        let names: Vec<String> = (0..files).map(|index| format!("file-{index}")).collect();
        let send: Vec<&str> = std::iter::once("send").chain(names.iter().map(String::as_str)).collect();
        let mut owners: Vec<Actor> =
            (0..OWNERS).map(|index| actor(&format!("owner-{index}"), &send)).collect();
        owners.iter_mut().for_each(Actor::start);
        let lanes = (0..LANES).map(|index| (actor(&format!("lane-{index}"), &[]), None)).collect();
        let mut prompt = actor("prompt", &["--download-limit", "20MiB"]);
        prompt.start();
        let (counts, faults) = (Counts::default(), Vec::new());
        Stage { folder, files, tracker, owners, lanes, prompt: (prompt, None), address, counts, faults }
    }

    /// Those that live long, and their numbers.
    pub(crate) fn long_lived(&self) -> impl Iterator<Item = (&str, u32)> {
        let actors = [&self.tracker, &self.owners[0], &self.prompt.0];
        actors.into_iter().filter_map(|actor| Some((actor.name.as_str(), actor.id()?)))
    }

    /// What happens in one tick.
    pub(crate) fn play(&mut self, now: Instant, rng: &mut StdRng) {
        self.strike(now, rng);
        for lane in 0..self.lanes.len() {
            self.fetch_in_lane(lane, now, rng);
        }
        self.fetch_at_the_prompt(now, rng);
        let resident = [&mut self.tracker].into_iter().chain(&mut self.owners).chain([&mut self.prompt.0]);
        for actor in resident {
            actor.on_time(now);
            if let Some(status) = actor.ended() {
                self.faults.push(format!("{} ended by itself: {status}", actor.name));
            }
        }
    }

    /// Kills and stops by chance.
    fn strike(&mut self, now: Instant, rng: &mut StdRng) {
        let happens = |every: f64, rng: &mut StdRng| rng.random_bool(crate::TICK.as_secs_f64() / every);
        let killable = [(&mut self.tracker, KILL_TRACKER)].into_iter();
        let killable = killable.chain(self.owners.iter_mut().skip(1).map(|owner| (owner, KILL_OWNER)));
        let killable = killable.chain(self.lanes.iter_mut().map(|(lane, _)| (lane, KILL_LANE)));
        for (actor, every) in killable {
            if actor.child.is_some() && happens(every, rng) {
                actor.kill_for_a_while(now, rng);
                self.counts.kills += 1;
            }
        }
        let all = [&mut self.tracker, &mut self.prompt.0].into_iter().chain(&mut self.owners);
        for actor in all.chain(self.lanes.iter_mut().map(|(lane, _)| lane)) {
            if happens(STOP_ANY, rng) && actor.stop_for_a_while(now, rng) {
                self.counts.stops += 1;
            }
        }
    }

    fn fetch_in_lane(&mut self, index: usize, now: Instant, rng: &mut StdRng) {
        let saved = self.folder.join("saved").join(format!("lane-{index}"));
        let (lane, fetching) = &mut self.lanes[index];
        let Some(order) = fetching else {
            let order = draw(self.files, None, now, rng);
            let (name, target) = (format!("file-{}", order.file), saved.to_str().expect("text").to_owned());
            let label = lane.name.clone();
            let arguments = ["--id", &label, "--tracker", &self.address, "--listen", "127.0.0.1:0"];
            let verb = ["download", "--wait", "--download-limit", order.limit.0, &name, "-o", &target];
            lane.arguments = arguments.iter().chain(&verb).map(|word| (*word).to_owned()).collect();
            lane.start();
            *fetching = Some(order);
            return;
        };
        let lived = lane.child.is_some();
        lane.on_time(now);
        if !lived && lane.child.is_some() {
            order.deadline = now + allowed(&self.folder, order);
        }
        match lane.ended() {
            Some(status) if status.success() => {
                let file = order.file;
                *fetching = None;
                self.compare(file, &saved);
            }
            Some(status) => self.faults.push(format!("{} ended with {status}; see what it said", lane.name)),
            None if lane.child.is_some() && now >= order.deadline => {
                self.faults.push(format!("{} does not end; see what it said", lane.name));
            }
            None => {}
        }
    }

    fn fetch_at_the_prompt(&mut self, now: Instant, rng: &mut StdRng) {
        let saved = self.folder.join("saved/prompt");
        let (prompt, fetching) = &mut self.prompt;
        if prompt.stopped_until.is_some() {
            return;
        }
        let Some(order) = fetching else {
            let mut order = draw(self.files, Some(LIMITS[2]), now, rng);
            order.deadline = now + allowed(&self.folder, &order);
            prompt.say(&format!("download --wait file-{} -o {}", order.file, saved.display()));
            *fetching = Some(order);
            return;
        };
        if saved.exists() {
            let file = order.file;
            *fetching = None;
            // It shares what it has fetched, under the file's own name.
            prompt.say(&format!("unshare file-{file}"));
            self.compare(file, &saved);
        } else if now >= order.deadline {
            self.faults.push("the prompt's download does not end; see what it said".to_owned());
        }
    }

    fn compare(&mut self, file: usize, saved: &Path) {
        let original = self.folder.join(format!("owned/file-{file}"));
        if !same(&original, saved) {
            self.faults.push(format!("{} differs from {}", saved.display(), original.display()));
            return;
        }
        self.counts.done += 1;
        self.counts.bytes += fs::metadata(saved).map_or(0, |metadata| metadata.len());
        fs::remove_file(saved).expect("it is there");
    }
}

/// A file and a limit by chance.
fn draw(files: usize, limit: Option<(&'static str, u64)>, now: Instant, rng: &mut StdRng) -> Fetching {
    let limit = limit.unwrap_or(LIMITS[rng.random_range(0..LIMITS.len())]);
    Fetching { file: rng.random_range(0..files), limit, deadline: now + TIMEOUT }
}

/// How long one life of a download may take.
fn allowed(folder: &Path, order: &Fetching) -> Duration {
    let length =
        fs::metadata(folder.join(format!("owned/file-{}", order.file))).map_or(0, |metadata| metadata.len());
    TIMEOUT + Duration::from_secs(3 * length / order.limit.1)
}

/// The word behind `words`, as soon as the file has a whole line with it.
fn first_word_behind(path: &Path, words: &str) -> String {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let behind = text.split_once(words).and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((word, _)) = behind {
            return word.trim().to_owned();
        }
        assert!(Instant::now() < deadline, "{} does not say {words:?}", path.display());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
