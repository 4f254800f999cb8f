//! A node of this program with what belongs around it: its state folder, its log, its tracker.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use config::{NodeLabel, NodeSettings};
use logs::{LogGuard, Owner};
use messages::tracker_to_node::RefusalCode;
use riffle::state::{StateError, StateFolder};
use riffle::{
    Event, Events, EventsError, Node, QueryError, StartError, TrackerChoice, TrackerError, TrackerForOthers,
    TrackerLog, TrackerQuery, TrackerStatus,
};
use tokio::sync::watch;

use crate::control::{Asked, Control, Request};
use crate::exit::{ExitCode, Stop, code_of};
use crate::logging::{LogPlan, Started, refused_log};
use crate::peers;
use crate::report;
use crate::screen::Screen;
use crate::settings;
use crate::signals::Leaving;
use crate::tracker_words::{self, TrackerWords as _};
use crate::units::duration;

/// What others are told of a tracker is looked for again after this long.
const FOR_OTHERS_TIME: Duration = Duration::from_secs(5);
/// A tracker that has not answered for this long after the start is said to be absent.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// Whether a node has to keep who it is and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The prompt: what it shares it shares again next time.
    Required,
    /// A command that is over when it is done.
    IfPossible,
}

/// Whether a node may become the tracker itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedding {
    /// A prompt or `send`: when no tracker was named and none answers.
    Allowed,
    /// A one-shot `download`: never.
    Never,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Running {
    /// The node itself.
    pub(crate) node: Node,
    /// Where other programs of the same person ask what it is at.
    control: Option<Control>,
    events: Events,
    /// What has to be known of events that were missed.
    missed: VecDeque<Event>,
    /// Its tracker, as it was said last.
    tracker: TrackerStatus,
    tracker_changes: watch::Receiver<TrackerStatus>,
    /// What other hosts are told of the tracker, and since when that is known of which address.
    for_others: RefCell<Option<(Instant, Option<SocketAddr>, TrackerForOthers)>>,
    /// What was said about the tracker last.
    contact: Contact,
    refusal: Option<RefusalCode>,
    // Dropped last: the log takes in what the others say while they end.
    _log: Option<LogGuard>,
}

/// What is known of the tracker's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// None yet, since the start.
    Starting { since: Instant },
    /// It answers.
    Answering,
    /// It does not, and the person knows.
    Silent,
}

impl Running {
    /// Starts the node that `settings` describe, and says on `screen` what a person should know.
    ///
    /// # Errors
    /// With the exit code that belongs to what is wrong: a label in use, a port taken, a folder or a tracker's name
    /// that cannot be used.
    pub(crate) fn start(
        settings: &NodeSettings,
        (embedding, keeping): (Embedding, Keeping),
        screen: &Screen,
    ) -> Result<Running> {
        let (state, log) = surroundings(settings, keeping, screen)?;
        let choice = match (&settings.tracker, embedding) {
            (Some(named), _) => TrackerChoice::Named(named.clone()),
            (None, Embedding::Allowed) => TrackerChoice::DefaultOrEmbedded,
            (None, Embedding::Never) => TrackerChoice::Default,
        };
        let tracker_log = LogPlan::new(settings, "tracker.log").ok();
        let mut builder =
            Node::builder().settings(settings.clone()).tracker_choice(choice).tracker_log(move || {
                tracker_log.clone().map_or_else(|| Ok(TrackerLog::none()), LogPlan::of_tracker)
            });
        if let Some(state) = state {
            builder = builder.state(state);
        }
        let node = builder.start_blocking().map_err(refused_start)?;
        let mut tracker_changes = node.tracker();
        let tracker = tracker_changes.borrow_and_update().clone();
        match tracker.address {
            Some(address) if tracker.is_embedded => {
                screen.note(&tracker_words::embedded(address, tracker.is_open));
            }
            Some(_) => {}
            None => screen.note(&tracker.is_not_there_yet()),
        }
        screen.notes(node.notes());
        // A file system without sockets is no reason not to run.
        let control = node.state().and_then(|state| {
            Control::open(state.path())
                .inspect_err(|error| tracing::warn!(%error, "`riffle status` cannot ask this node"))
                .ok()
        });
        let contact = match tracker.address {
            Some(_) => Contact::Starting { since: Instant::now() },
            None => Contact::Silent,
        };
        Ok(Running {
            events: node.events(),
            missed: VecDeque::new(),
            node,
            control,
            tracker,
            tracker_changes,
            for_others: RefCell::default(),
            contact,
            refusal: None,
            _log: log,
        })
    }

    /// What it keeps of itself.
    ///
    /// # Errors
    /// When it keeps nothing, which [`Keeping::Required`] does not let it start with.
    pub(crate) fn state(&self) -> Result<&StateFolder> {
        self.node.state().ok_or_else(|| Stop::new(ExitCode::Io, "there is no state folder").into())
    }

    /// What happens next.
    ///
    /// # Errors
    /// When the node has ended without being told to.
    pub(crate) async fn next_event(&mut self) -> Result<Event> {
        let ended = || Stop::new(ExitCode::Other, "the node has ended by itself; its log says why");
        loop {
            if let Some(event) = self.missed.pop_front() {
                return Ok(event);
            }
            tokio::select! {
                event = self.events.next() => match event {
                    Ok(event) => return Ok(event),
                    Err(EventsError::Lagged(missed)) => {
                        tracing::warn!(missed, "events were missed");
                        self.missed = self.node.milestones().into();
                    }
                    Err(EventsError::Ended) => return Err(ended().into()),
                },
                asked = next_asked(&mut self.control) => self.answer(asked),
            }
        }
    }

    /// Answers another program, without waiting for the node.
    fn answer(&self, Asked { request, answer }: Asked) {
        let (node, tracker) = (self.node.clone(), self.tracker.to_string());
        tokio::spawn(async move {
            let Ok(status) = node.status().await else { return };
            // Who asked may be gone.
            let _ = answer.send(match request {
                Request::Status => report::status(&status, &tracker),
                Request::Peers => peers::peers(&status),
            });
        });
    }

    /// Its tracker, as it was said last.
    pub(crate) fn tracker(&self) -> &TrackerStatus {
        &self.tracker
    }

    /// The tracker's address as other hosts reach it, for the line that is typed there. It is looked for only now and then: many
    /// lines are printed at once.
    pub(crate) fn tracker_for_others(&self) -> TrackerForOthers {
        let (now, at) = (Instant::now(), self.tracker.address);
        let mut found = self.for_others.borrow_mut();
        if let Some((since, of, known)) = &*found
            && *of == at
            && now < *since + FOR_OTHERS_TIME
        {
            return known.clone();
        }
        let fresh = self.node.tracker_for_others();
        *found = Some((Instant::now(), at, fresh.clone()));
        fresh
    }

    /// Whether nothing is heard of the tracker yet, and it may still be on its way.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.contact, Contact::Starting { .. })
    }

    /// Says what a person should know about the tracker.
    pub(crate) fn on_event(&mut self, event: &Event, screen: &Screen) {
        match event {
            Event::TrackerReached { .. } | Event::TrackerRestored { .. } => {
                if self.contact == Contact::Silent {
                    screen.note(&format!("the tracker {} answers", self.tracker));
                }
                self.contact = Contact::Answering;
                self.refusal = None;
            }
            Event::TrackerSilent { silent, .. } => {
                if self.contact != Contact::Silent {
                    let (tracker, silent) = (&self.tracker, duration(*silent));
                    screen
                        .note(&format!("the tracker {tracker} has not answered for {silent}; asking again"));
                }
                self.contact = Contact::Silent;
            }
            // A refused request is repeated, and refused again: one line is enough.
            Event::TrackerRefused { code } if self.refusal != Some(*code) => {
                self.refusal = Some(*code);
                if let Some(what) = report::refusal(*code) {
                    screen.note(what);
                }
            }
            _ => {}
        }
    }

    /// To be called every second or so: says that a tracker is absent, and takes the place of a default one that is.
    pub(crate) fn on_tick(&mut self, now: Instant, screen: &Screen) {
        if matches!(self.contact, Contact::Starting { since } if now >= since + FIRST_ANSWER) {
            screen.note(&format!("the tracker {} does not answer; asking again until it does", self.tracker));
            self.contact = Contact::Silent;
        }
        self.follow_tracker(screen);
    }

    /// To be called every second or so: says where the tracker is now, or that this node is the tracker.
    pub(crate) fn follow_tracker(&mut self, screen: &Screen) {
        if !self.tracker_changes.has_changed().unwrap_or(false) {
            return;
        }
        let status = self.tracker_changes.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.tracker, status);
        match (&self.tracker, self.tracker.address) {
            (tracker, Some(address)) if tracker.is_embedded && !before.is_embedded => {
                screen.note(&tracker_words::taken_over(address, tracker.is_open));
            }
            (tracker, Some(_)) if tracker.address != before.address => screen.note(&tracker.is_there_now()),
            (TrackerStatus { trouble: Some(trouble), .. }, Some(_)) => screen.error(trouble),
            _ => {}
        }
    }

    /// Takes leave of the tracker and of the other nodes, and ends the node. `seen` is told what still happens. The
    /// next signal ends the program.
    pub(crate) async fn leave(mut self, leaving: &Leaving, mut seen: impl FnMut(&Event)) {
        leaving.begin();
        self.control = None;
        let node = self.node.clone();
        let shutdown = node.shutdown();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                event = self.events.next() => match event {
                    Ok(event) => seen(&event),
                    Err(EventsError::Lagged(_)) => {}
                    Err(EventsError::Ended) => {
                        shutdown.await;
                        break;
                    }
                },
            }
        }
    }
}

/// The next question of another program; without a socket there never is one.
async fn next_asked(control: &mut Option<Control>) -> Asked {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

/// A node that cannot be started, with its exit code.
pub(crate) fn refused_start(error: StartError) -> Stop {
    match &error {
        StartError::AddressInUse(_) | StartError::Bind { .. } => {
            Stop::usage(format!("--listen {error}; choose another, or none for any free port"))
        }
        StartError::Tracker(tracker) => refused_tracker(tracker),
        StartError::TrackerAddress { .. } => Stop::usage(error.to_string()),
        StartError::State(_) => Stop::new(ExitCode::Io, error.to_string()),
        StartError::Threads(_) => Stop::new(ExitCode::Other, error.to_string()),
    }
}

/// A tracker that cannot be used, with its exit code.
fn refused_tracker(error: &TrackerError) -> Stop {
    match error {
        TrackerError::Unreachable { tracker, .. } => {
            let reason = error.to_string().replacen(
                &format!("the tracker {tracker}"),
                &format!("--tracker {tracker}"),
                1,
            );
            Stop::new(ExitCode::TrackerUnreachable, reason)
        }
        TrackerError::Embed(_) => Stop::new(ExitCode::Other, error.to_string()),
    }
}

/// Will ask the tracker that `settings` name, without joining it.
///
/// # Errors
/// When its address cannot be reached from this host, or the system gives no chance.
pub(crate) fn tracker_query(settings: &NodeSettings) -> Result<TrackerQuery> {
    let choice = settings.tracker.clone().map_or(TrackerChoice::Default, TrackerChoice::Named);
    TrackerQuery::new(&choice, settings.listen.0.ip()).map_err(|error| match error {
        QueryError::Tracker(error) => refused_tracker(&error).into(),
        error => error.into(),
    })
}

/// The state folder and the log. What cannot be had and need not be is said on `screen`, in one line.
fn surroundings(
    settings: &NodeSettings,
    keeping: Keeping,
    screen: &Screen,
) -> Result<(Option<StateFolder>, Option<LogGuard>)> {
    let root = settings::state_root(settings);
    let taken = root.and_then(|root| take_state(&root, settings.id.as_ref()));
    let (state, no_state) = match taken {
        Ok(state) => (Some(state), None),
        Err(error) if keeping == Keeping::IfPossible && code_of(&error) == ExitCode::Io => {
            (None, Some(format!("{error:#}")))
        }
        Err(error) => return Err(error),
    };
    let label = match (&state, &settings.id) {
        (Some(state), _) => state.label().to_owned(),
        (None, Some(label)) => label.to_string(),
        // One log for all of them: a file for each would have no bound.
        (None, None) => "without-state".to_owned(),
    };
    let log = match LogPlan::new(settings, &format!("node-{label}.log")) {
        Ok(plan) => plan.start().map_err(|error| refused_log(&error))?,
        Err(_) => Started { guard: None, trouble: None },
    };
    let no_log = log.trouble.as_ref().map(ToString::to_string);
    if keeping == Keeping::Required
        && let Some(trouble) = &log.trouble
    {
        return Err(refused_log(trouble).into());
    }
    if let Some(line) = report::without(no_state.as_deref(), no_log.as_deref()) {
        screen.note(&line);
    }
    if let Some(moved) = state.as_ref().and_then(StateFolder::locked_elsewhere) {
        screen.note(&moved);
    }
    Ok((state, log.guard))
}

/// The state folder of `label` below `root`, or that of the first free number.
fn take_state(root: &Path, label: Option<&NodeLabel>) -> Result<StateFolder> {
    let unusable = |folder: &Path, cause: &io::Error, owner: Option<Owner>| {
        let owner = owner.map_or_else(String::new, |owner| format!(" (it belongs to {owner})"));
        let folder = folder.display();
        let what =
            format!("the state folder {folder} cannot be used: {cause}{owner}; --state-dir names another");
        Stop::new(ExitCode::Io, what)
    };
    // Of a numbered node the folder above it is asked: which number it will be is not known yet.
    let own = label.map_or_else(|| root.to_owned(), |label| root.join(format!("node-{label}")));
    logs::keep_owner(&own).map_err(|cause| unusable(&own, &cause, None))?;
    StateFolder::take(root, label, &settings::folder_of_this_host()).map_err(|error| {
        let stop = match &error {
            StateError::InUse(_) => Stop::new(ExitCode::Running, format!("{error}: choose another --id")),
            StateError::AllInUse => Stop::new(ExitCode::Running, error.to_string()),
            // Whose it is says why the system does not let this process in.
            StateError::Unusable { folder, cause } => unusable(folder, cause, Owner::of(folder)),
            StateError::Identity { .. } | StateError::DamagedIdentity { .. } => {
                Stop::new(ExitCode::Io, error.to_string())
            }
        };
        stop.into()
    })
}

/// Makes `--dir` the current folder, so that every relative name starts there; the other folders that `settings` name
/// keep their meaning.
///
/// # Errors
/// [`ExitCode::Usage`] when there is no such folder.
pub(crate) fn enter_folder(settings: &mut NodeSettings) -> Result<()> {
    let Some(folder) = settings.dir.clone() else { return Ok(()) };
    for other in [&mut settings.log_dir, &mut settings.state_dir].into_iter().flatten() {
        *other = std::path::absolute(&*other).with_context(|| format!("{}", other.display()))?;
    }
    std::env::set_current_dir(&folder)
        .map_err(|error| Stop::usage(format!("--dir {}: {error}", folder.display())))?;
    Ok(())
}

/// The folder in which downloads are saved: the current one, by its whole path.
///
/// # Errors
/// [`ExitCode::Io`] when it is gone.
pub(crate) fn download_folder() -> Result<PathBuf> {
    let folder = std::env::current_dir();
    folder.map_err(|error| {
        Stop::new(ExitCode::Io, format!("the current folder cannot be used: {error}")).into()
    })
}
