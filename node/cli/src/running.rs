//! A node of this program with what belongs around it: its state folder, its log, its tracker.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use config::NodeSettings;
use logs::LogGuard;
use messages::tracker_to_node::RefusalCode;
use riffle::state::StateFolder;
use riffle::{
    Event, Events, EventsError, Node, QueryError, StartError, TrackerChoice, TrackerError, TrackerForOthers,
    TrackerLog, TrackerQuery, TrackerStatus,
};
use tokio::sync::watch;

use crate::control::{Asked, Control, Request};
use crate::exit::{ExitCode, Stop};
use crate::folders::{Keeping, surroundings};
use crate::logging::LogPlan;
use crate::peers;
use crate::report;
use crate::screen::Screen;
use crate::signals::Leaving;
use crate::tracker_words::{self, TrackerWords as _};
use crate::units::duration;

/// What others are told of a tracker is looked for again after this long.
const FOR_OTHERS_TIME: Duration = Duration::from_secs(5);
/// A tracker that has not answered for this long after the start is said to be absent.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
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
        TrackerError::Unreachable { tracker, reason } => {
            Stop::new(ExitCode::TrackerUnreachable, format!("--tracker {tracker}: {reason}"))
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
