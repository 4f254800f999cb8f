//! The tracker's name that a person gave, and where it leads: looked up when it is needed, when the tracker falls
//! silent, and now and then, each time on a thread of its own, so that a resolver that hangs holds up nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use channel::{ParseKeyError, PublicKey};
use config::{TrackerAddress, ValueError};

use super::probe::{Prober, can_reach};

/// A name that leads somewhere is looked up again this often, whether its tracker answers or not.
const LOOK_AGAIN: Duration = Duration::from_secs(180);
/// One that leads nowhere, or to nobody who answers, is looked up after this long,
const FIRST_REST: Duration = Duration::from_millis(500);
/// and then twice as late each time, up to this.
const MAX_REST: Duration = Duration::from_secs(10);
/// How long a node that starts waits for the first answer of the resolver before it goes on without.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// A tracker as a person names it: `HOST:PORT`, or `KEY@HOST:PORT` with its static public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTracker {
    /// Where it is.
    pub address: TrackerAddress,
    /// Its key, of 52 characters; `None`: the person did not say it.
    pub key: Option<PublicKey>,
}

/// Why some text names no tracker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamedTrackerError {
    /// What stands before the `@` is no key.
    #[error("what stands before the @ is no key: {0}")]
    Key(#[from] ParseKeyError),
    /// The rest is no address.
    #[error(transparent)]
    Address(#[from] ValueError),
}

impl From<TrackerAddress> for NamedTracker {
    fn from(address: TrackerAddress) -> NamedTracker {
        NamedTracker { address, key: None }
    }
}

impl FromStr for NamedTracker {
    type Err = NamedTrackerError;

    fn from_str(text: &str) -> Result<NamedTracker, NamedTrackerError> {
        let trimmed = text.trim();
        match trimmed.split_once('@') {
            Some((key, address)) => Ok(NamedTracker { key: Some(key.parse()?), address: address.parse()? }),
            None => Ok(NamedTracker { key: None, address: text.parse()? }),
        }
    }
}

/// As it is typed.
impl fmt::Display for NamedTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}@{}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Where names are looked up, and trackers asked whether they are there.
pub(crate) trait Directory: Send + Sync {
    /// Where `name` leads.
    fn resolve(&self, name: &TrackerAddress) -> io::Result<Vec<SocketAddr>>;

    /// Whether a tracker answers there, within a moment.
    fn answers(&self, address: SocketAddr) -> bool;
}

/// The system's resolver, and the network as who is of a swarm sees it.
pub(crate) struct System(pub(crate) Prober);

impl Directory for System {
    fn resolve(&self, name: &TrackerAddress) -> io::Result<Vec<SocketAddr>> {
        Ok((name.host(), name.port()).to_socket_addrs()?.collect())
    }

    fn answers(&self, address: SocketAddr) -> bool {
        self.0.finds(address)
    }
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// Where the name leads, in the order of the resolver.
    addresses: Vec<SocketAddr>,
    /// At which of these, and of where the tracker was so far, one answers.
    answering: Vec<SocketAddr>,
}

/// A tracker's name and where it leads.
pub(crate) struct TrackerName {
    name: TrackerAddress,
    /// Where the node listens: what it can reach from there.
    listen: IpAddr,
    directory: Arc<dyn Directory>,
    present: Option<SocketAddr>,
    /// Why the last look found nothing.
    trouble: Option<String>,
    /// A look under way; there is never more than one.
    look: Option<Receiver<Result<Found, String>>>,
    /// Whether the tracker has stopped answering where it is thought to be.
    is_silent: bool,
    due: Instant,
    rest: Duration,
}

impl TrackerName {
    /// Looks `name` up for a node that listens at `listen`, and waits a moment for the answer.
    pub(crate) fn look_up(
        name: TrackerAddress,
        listen: IpAddr,
        directory: Arc<dyn Directory>,
    ) -> TrackerName {
        let now = Instant::now();
        let mut this = TrackerName {
            name,
            listen,
            directory,
            present: None,
            trouble: None,
            look: None,
            is_silent: false,
            due: now,
            rest: FIRST_REST,
        };
        this.begin(now);
        let first = this.look.as_ref().map(|look| look.recv_timeout(FIRST_LOOK));
        match first {
            Some(Ok(found)) => this.on_found(found, Instant::now()),
            Some(Err(RecvTimeoutError::Disconnected)) => this.look = None,
            Some(Err(RecvTimeoutError::Timeout)) | None => {}
        }
        this
    }

    /// Where the tracker is, as far as is known.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.present
    }

    /// Why the name led nowhere the last time.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The tracker does not answer there: perhaps the name leads elsewhere by now.
    pub(crate) fn on_silence(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.is_silent, true) {
            (self.rest, self.due) = (FIRST_REST, now);
        }
    }

    /// The address answers.
    pub(crate) fn on_answer(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_silent) {
            self.due = now + LOOK_AGAIN;
        }
    }

    /// Takes in what a look has found, and begins the next when it is due. Says whether the tracker is somewhere else
    /// now.
    pub(crate) fn follow(&mut self, now: Instant) -> bool {
        let before = self.present;
        match self.look.as_ref().map(Receiver::try_recv) {
            Some(Ok(found)) => self.on_found(found, now),
            Some(Err(TryRecvError::Empty)) => {}
            // Its thread has ended without a word: another look is due as after a fruitless one.
            Some(Err(TryRecvError::Disconnected)) => self.plan(now),
            None if now >= self.due => self.begin(now),
            None => {}
        }
        self.present != before
    }

    fn begin(&mut self, now: Instant) {
        let (found, look) = channel();
        let (name, listen, present) = (self.name.clone(), self.listen, self.present);
        let directory = self.directory.clone();
        let run = move || {
            // Nobody may be listening any more.
            let _ = found.send(look_once(&name, listen, &*directory, present));
        };
        match thread::Builder::new().name("resolver".to_owned()).spawn(run) {
            Ok(_) => self.look = Some(look),
            Err(error) => {
                self.trouble = Some(format!("the system gives no thread to look it up ({error})"));
                self.plan(now);
            }
        }
    }

    fn on_found(&mut self, found: Result<Found, String>, now: Instant) {
        match found {
            Ok(found) => {
                self.present = choose(self.present, &found);
                self.trouble = None;
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
        self.plan(now);
    }

    fn plan(&mut self, now: Instant) {
        self.look = None;
        if self.present.is_some() && !self.is_silent {
            self.due = now + LOOK_AGAIN;
        } else {
            self.due = now + self.rest;
            self.rest = (self.rest * 2).min(MAX_REST);
        }
    }
}

impl fmt::Debug for TrackerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrackerName { name, present, trouble, is_silent, .. } = self;
        f.debug_struct("TrackerName")
            .field("name", name)
            .field("present", present)
            .field("trouble", trouble)
            .field("is_silent", is_silent)
            .finish_non_exhaustive()
    }
}

/// Where the tracker is: where it was while the name still leads there and it answers; else where the name leads and
/// one answers, which is where it has moved to; else where it was while it answers there. When nobody answers anywhere,
/// the name decides.
fn choose(present: Option<SocketAddr>, found: &Found) -> Option<SocketAddr> {
    let is_listed = |address: &SocketAddr| found.addresses.contains(address);
    let is_answering = |address: &SocketAddr| found.answering.contains(address);
    let stays = present.filter(|address| is_listed(address) && is_answering(address));
    let moved = || found.addresses.iter().copied().find(is_answering);
    let unlisted = || present.filter(is_answering);
    let quiet = || present.filter(is_listed).or_else(|| found.addresses.first().copied()).or(present);
    stays.or_else(moved).or_else(unlisted).or_else(quiet)
}

/// Looks the name up and asks everywhere at once whether a tracker answers; `Err` says why there is nowhere to ask.
fn look_once(
    name: &TrackerAddress,
    listen: IpAddr,
    directory: &dyn Directory,
    present: Option<SocketAddr>,
) -> Result<Found, String> {
    let all = directory.resolve(name).map_err(|error| format!("its name cannot be resolved ({error})"))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in all.into_iter().filter(|address| can_reach(listen, address.ip())) {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unreachable_from(listen));
    }
    let elsewhere = present.filter(|present| !addresses.contains(present));
    let candidates: Vec<SocketAddr> = addresses.iter().copied().chain(elsewhere).collect();
    let answering = if candidates.len() > 1 { who_answers(&candidates, directory) } else { Vec::new() };
    Ok(Found { addresses, answering })
}

/// That no address can be reached by a socket that is bound to `listen`.
pub(crate) fn unreachable_from(listen: IpAddr) -> String {
    format!("it has no address that can be reached from the listening address {listen}")
}

fn who_answers(candidates: &[SocketAddr], directory: &dyn Directory) -> Vec<SocketAddr> {
    thread::scope(|scope| {
        let ask = |&address| (address, scope.spawn(move || directory.answers(address)));
        let asked: Vec<_> = candidates.iter().map(ask).collect();
        let answering = |(address, asked): (_, thread::ScopedJoinHandle<'_, bool>)| {
            asked.join().unwrap_or(false).then_some(address)
        };
        asked.into_iter().filter_map(answering).collect()
    })
}

#[cfg(test)]
mod tests;
