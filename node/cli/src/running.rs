//! A node of this program with its state folder, its log and its tracker.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use logs::LogGuard;
use messages::tracker_to_node::RefusalCode;
use riffle::state::StateFolder;
use riffle::{
    Event, Events, EventsError, Node, QueryError, SecretFiles, StartError, SwarmSecrets, TrackerChoice,
    TrackerError, TrackerForOthers, TrackerLog, TrackerQuery, TrackerStatus,
};
use tokio::sync::watch;

use crate::control::{Asked, Control, Request};
use crate::exit::{ExitCode, Stop};
use crate::folders::{Keeping, Kept, Logged, open_state_and_log};
use crate::logging::LogPlan;
use crate::peers;
use crate::report;
use crate::screen::Screen;
use crate::settings::{self, Settings};
use crate::signals::Leaving;
use crate::swarms::Swarm;
use crate::tracker_words::{self, TrackerWords as _};
use crate::units::duration;

/// The address of the tracker for other hosts is looked for again after this long.
const FOR_OTHERS_TIME: Duration = Duration::from_secs(5);
/// A tracker that has not answered for this long after the start is said to be silent.
const FIRST_ANSWER_TIME: Duration = Duration::from_secs(2);

/// Whether a node may become the tracker itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Embedding {
    /// A prompt or `send` may, when no tracker was named and none answers.
    Allowed,
    /// The same, and then it serves codes, in a closed swarm too.
    WithCodes,
    /// A one-shot `download` never does.
    Never,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Running {
    /// The node itself.
    pub(crate) node: Node,
    /// The socket at which other programs of the same person ask; `None`: the file system has none.
    control: Option<Control>,
    events: Events,
    /// The milestones of events that were missed, which come before the next events.
    missed: VecDeque<Event>,
    /// The tracker, as a person was last told of it.
    tracker: TrackerStatus,
    tracker_changes: watch::Receiver<TrackerStatus>,
    /// How other hosts reach the tracker, with when that was found and for which address.
    for_others: RefCell<Option<(Instant, Option<SocketAddr>, TrackerForOthers)>>,
    /// Whether the tracker answers, as a person was last told.
    contact: Contact,
    refusal: Option<RefusalCode>,
    /// The file with the secret of its closed swarm.
    secret_file: Option<PathBuf>,
    // The log is dropped last, because it takes in what the other fields log while they end.
    _log: Option<LogGuard>,
}

/// Whether the tracker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contact {
    /// The tracker has not answered since the start.
    Starting { since: Instant },
    /// The tracker answers.
    Answering,
    /// The tracker does not answer, and the person was told.
    Silent,
}

impl Running {
    /// Starts the node that `settings` describe. Says on `screen` what a person should know.
    ///
    /// # Errors
    /// When a label or a port is in use, or a folder or the name of a tracker cannot be used; each with its exit code.
    pub(crate) fn start(
        settings: &Settings,
        (embedding, keeping): (Embedding, Keeping),
        screen: &Screen,
    ) -> Result<Running> {
        Running::start_in(settings, (embedding, keeping, Logged::Process), &settings.secret_file, screen)
    }

    /// Starts the nodes of a command that takes part in all of `swarms`: one in each. A tracker that one of them runs
    /// itself serves all of the swarms.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub(crate) fn start_in_each(
        swarms: &[Swarm],
        (embedding, keeping): (Embedding, Keeping),
        screen: &Screen,
    ) -> Result<Vec<Running>> {
        let all =
            swarms.iter().flat_map(|swarm| swarm.settings.secret_file.iter()).map(Path::to_owned).collect();
        let logged = std::iter::once(Logged::Process).chain(std::iter::repeat(Logged::Node));
        let each = swarms.iter().zip(logged);
        each.map(|(swarm, logged)| {
            Running::start_in(&swarm.settings, (embedding, keeping, logged), &all, screen)
        })
        .collect()
    }

    fn start_in(
        settings: &Settings,
        (embedding, keeping, logged): (Embedding, Keeping, Logged),
        tracker_swarms: &SecretFiles,
        screen: &Screen,
    ) -> Result<Running> {
        let Kept { state, log, dispatch } = open_state_and_log(settings, (keeping, logged), screen)?;
        let choice = match (settings.tracker_choice(), embedding) {
            (TrackerChoice::Default, Embedding::Allowed | Embedding::WithCodes) => {
                TrackerChoice::DefaultOrEmbedded
            }
            (choice, _) => choice,
        };
        let tracker_log = LogPlan::new(settings, "tracker.log").ok();
        let mut builder =
            Node::builder().settings((**settings).clone()).tracker_choice(choice).tracker_log(move || {
                tracker_log.clone().map_or_else(|| Ok(TrackerLog::none()), LogPlan::of_tracker)
            });
        builder = builder.tracker_swarms(tracker_swarms.clone());
        if embedding == Embedding::WithCodes {
            builder = builder.serve_codes();
        }
        if let Some(secrets) = settings.secrets.clone() {
            builder = builder.secrets(secrets);
        }
        if let Some(state) = state {
            builder = builder.state(state);
        }
        if let Some(dispatch) = dispatch {
            builder = builder.log(dispatch);
        }
        let node = builder.start_blocking().map_err(refused_start)?;
        let mut tracker_changes = node.tracker();
        let tracker = tracker_changes.borrow_and_update().clone();
        match tracker.address {
            Some(address) if tracker.is_embedded => {
                screen.note(&tracker_words::embedded(address, &tracker));
            }
            Some(_) => {}
            None => screen.note(&tracker.is_not_there_yet()),
        }
        screen.notes(node.notes());
        // The node runs on a file system without sockets too.
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
            secret_file: settings.secret_file.iter().next().map(Path::to_owned),
            _log: log,
        })
    }

    /// The state folder of the node.
    ///
    /// # Errors
    /// When the node has none. A node that was started with [`Keeping::Required`] has one.
    pub(crate) fn state(&self) -> Result<&StateFolder> {
        self.node.state().ok_or_else(|| Stop::new(ExitCode::Io, "there is no state folder").into())
    }

    /// Waits for the next event, and answers other programs meanwhile.
    ///
    /// # Errors
    /// When the node has ended by itself.
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

    /// Answers another program in a task of its own.
    fn answer(&self, Asked { request, answer }: Asked) {
        let (node, tracker, swarm) = (self.node.clone(), self.tracker.to_string(), self.swarm());
        tokio::spawn(async move {
            let Ok(status) = node.status().await else { return };
            // The program that asked may be gone.
            let lines = match request {
                Request::Status => report::status_of(node.id(), &status, &tracker),
                Request::Peers => peers::peers(&status),
            };
            let _ = answer.send([swarm, lines].concat());
        });
    }

    /// The line that says in which closed swarm the node is: by the fingerprint of the secret that is first in its file
    /// now. None in the open swarm.
    pub(crate) fn swarm(&self) -> Vec<String> {
        let secrets = self.secret_file.as_deref().and_then(|file| SwarmSecrets::of_file(file).ok());
        secrets.map(|secrets| format!("closed swarm {}", secrets.first().fingerprint())).into_iter().collect()
    }

    /// The tracker, as a person was last told of it.
    pub(crate) fn tracker(&self) -> &TrackerStatus {
        &self.tracker
    }

    /// The address of the tracker for other hosts, which stands in the line that is typed there. The address is kept
    /// for a few seconds, because many such lines are printed at once.
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

    /// Whether the tracker has not answered yet, and is not late.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.contact, Contact::Starting { .. })
    }

    /// Takes in an event. Says what a person should know of the tracker.
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
            Event::InTheClear { peer, is_tracker } => {
                screen.note(&report::in_the_clear(*peer, *is_tracker));
            }
            // A refused request is repeated and refused again: one line is enough.
            Event::TrackerRefused { code } if self.refusal != Some(*code) => {
                self.refusal = Some(*code);
                if let Some(what) = report::refusal(*code) {
                    screen.note(what);
                }
            }
            _ => {}
        }
    }

    /// To be called about every second. Says that the tracker does not answer, and what has changed about it.
    pub(crate) fn on_tick(&mut self, now: Instant, screen: &Screen) {
        if matches!(self.contact, Contact::Starting { since } if now >= since + FIRST_ANSWER_TIME) {
            screen.note(&format!("the tracker {} does not answer; asking again until it does", self.tracker));
            self.contact = Contact::Silent;
        }
        self.follow_tracker(screen);
    }

    /// Whether only who has the swarm's secret can fetch what is shared here.
    pub(crate) fn is_in_closed_swarm(&self) -> bool {
        self.tracker.is_closed
    }

    /// To be called about every second. Says where the tracker is now, or that this node is the tracker.
    pub(crate) fn follow_tracker(&mut self, screen: &Screen) {
        if !self.tracker_changes.has_changed().unwrap_or(false) {
            return;
        }
        let status = self.tracker_changes.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.tracker, status);
        match (&self.tracker, self.tracker.address) {
            (tracker, Some(address)) if tracker.is_embedded && !before.is_embedded => {
                screen.note(&tracker_words::taken_over(address, tracker));
            }
            (tracker, Some(_)) if tracker.address != before.address => screen.note(&tracker.is_there_now()),
            (TrackerStatus { trouble: Some(trouble), .. }, Some(_)) => screen.error(trouble),
            _ => {}
        }
    }

    /// Takes leave of the tracker and of the other nodes, and ends the node. `seen` is called for each event until
    /// then. From now on the next signal ends the program.
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

/// Waits for the next question of another program. Without a socket none ever comes.
async fn next_asked(control: &mut Option<Control>) -> Asked {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

/// The error for a node that cannot be started, with its exit code.
pub(crate) fn refused_start(error: StartError) -> Stop {
    match &error {
        StartError::AddressInUse(_) | StartError::Bind { .. } => {
            Stop::usage(format!("--listen {error}; choose another, or none for any free port"))
        }
        StartError::Tracker(tracker) => refused_tracker(tracker),
        StartError::TrackerAddress { .. } => Stop::usage(error.to_string()),
        StartError::SecretFile(_) | StartError::MembersFile(_) => Stop::new(ExitCode::Io, error.to_string()),
        StartError::SeveralSwarms(_) => Stop::usage(error.to_string()),
        StartError::State(_) => Stop::new(ExitCode::Io, error.to_string()),
        StartError::Threads(_) => Stop::new(ExitCode::Other, error.to_string()),
    }
}

/// The error for a tracker that cannot be used, with its exit code.
pub(crate) fn refused_tracker(error: &TrackerError) -> Stop {
    match error {
        TrackerError::Unreachable { tracker, reason } => {
            Stop::new(ExitCode::TrackerUnreachable, format!("--tracker {tracker}: {reason}"))
        }
        TrackerError::Embed(_) => Stop::new(ExitCode::Other, error.to_string()),
    }
}

/// A query to the tracker that `settings` name, which does not join it.
///
/// # Errors
/// When the tracker cannot be reached from this host, or the system gives no socket or no random bytes.
pub(crate) fn tracker_query(settings: &Settings) -> Result<TrackerQuery> {
    TrackerQuery::new(&settings.tracker_choice(), settings, settings::asker(settings)).map_err(|error| {
        match error {
            QueryError::Tracker(error) => refused_tracker(&error).into(),
            QueryError::SecretFile(error) => Stop::new(ExitCode::Io, error.to_string()).into(),
            error => error.into(),
        }
    })
}
