//! A node of this program with what belongs around it: its state folder, its log, its tracker.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use config::{NodeLabel, NodeSettings};
use logs::{LogGuard, Owner};
use messages::tracker_to_node::RefusalCode;
use riffle::{Command, Event};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::control::{Asked, Control, Request};
use crate::exit::{ExitCode, Stop, code_of};
use crate::logging::{LogPlan, Started, refused_log};
use crate::peers;
use crate::report;
use crate::screen::Screen;
use crate::settings;
use crate::signals::Leaving;
use crate::tracker_link::{self, Embedding, TrackerLink};
use crate::tracker_name::System;
use crate::tracker_words;
use crate::units::duration;
use riffle::state::{self, StateError, StateFolder};
use riffle::{DriverSettings, HashCache, NodeHandle, StartError};

/// How long a node that leaves waits for the tracker to hear of it.
const LEAVE_TIME: Duration = Duration::from_millis(1500);
/// A tracker that has not answered for this long after the start is said to be absent.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// How often a node looks whether the tracker at the default address is there, so that it can take its place.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why there can be no identity.
pub(crate) const NO_CHANCE: &str = "the system gives no random bytes";

/// Whether a node has to keep who it is and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The prompt: what it shares it shares again next time.
    Required,
    /// A command that is over when it is done.
    IfPossible,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Running {
    /// The node itself.
    pub(crate) handle: NodeHandle,
    /// Where other programs of the same person ask what it is at.
    control: Option<Control>,
    events: UnboundedReceiver<Event>,
    /// Its tracker.
    pub(crate) tracker: TrackerLink,
    /// What it keeps of itself; `None`: nothing, since there is no place for it.
    state: Option<StateFolder>,
    /// What was said about the tracker last.
    contact: Contact,
    refusal: Option<RefusalCode>,
    look_due: Instant,
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
    /// It did, and was not there at the last look; nobody has been told.
    Missing,
    /// It does not, and the person knows.
    Silent,
}

/// What a look at the tracker's address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Nothing.
    Settled,
    /// To look again: one look may fall between two lives of it.
    Again,
    /// To tell it everything at once: it is another life of it, or another node that took its place.
    Rejoin,
    /// To take its place.
    TakeOver,
}

/// What to do when the default tracker is there, or is not.
fn look(contact: Contact, there: bool) -> Look {
    match (contact, there) {
        (Contact::Starting { .. }, _) | (Contact::Answering, true) => Look::Settled,
        (Contact::Answering, false) => Look::Again,
        (Contact::Missing | Contact::Silent, true) => Look::Rejoin,
        (Contact::Missing | Contact::Silent, false) => Look::TakeOver,
    }
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
        let node =
            state.as_ref().map_or_else(state::random_node, |state| Ok(state.node())).context(NO_CHANCE)?;
        let tracker = TrackerLink::find(settings, embedding, Arc::new(System))?;
        match tracker.address() {
            Some(address) if tracker.is_ours() => {
                screen.note(&tracker_words::embedded(address, tracker.is_open()));
            }
            Some(address) => tracing::info!(tracker = %tracker.words(), %address, "tracker"),
            None => {
                tracing::warn!(tracker = %tracker.words(), trouble = tracker.words().trouble, "no tracker yet");
                screen.note(&tracker.words().is_not_there_yet());
            }
        }
        let memory = state.as_ref().map(|state| HashCache::open(state.path()));
        let (memory, damage) = memory.unzip();
        if let Some(damage) = damage.flatten() {
            screen.note(&damage);
        }
        let (handle, events) = riffle::start(DriverSettings {
            settings: settings.clone(),
            listen: settings.listen.0,
            port: state.as_ref().and_then(StateFolder::port),
            tracker: tracker.address(),
            node,
            memory,
            locks: state.as_ref().map(StateFolder::locks),
            journal_key: state.as_ref().map(StateFolder::journal_key),
            log: tracing::dispatcher::get_default(Clone::clone),
        })
        .map_err(refused_start)?;
        if let Some(state) = &state {
            state.keep_port(handle.local_addr().port());
        }
        if let Some(hint) = handle.receive_buffer_hint() {
            screen.note(&hint);
        }
        // A file system without sockets is no reason not to run.
        let control = state.as_ref().and_then(|state| {
            Control::open(state.path())
                .inspect_err(|error| tracing::warn!(%error, "`riffle status` cannot ask this node"))
                .ok()
        });
        let now = Instant::now();
        let contact = match tracker.address() {
            Some(_) => Contact::Starting { since: now },
            None => Contact::Silent,
        };
        Ok(Running {
            handle,
            control,
            events,
            tracker,
            state,
            contact,
            refusal: None,
            look_due: now + LOOK_EVERY,
            _log: log,
        })
    }

    /// What it keeps of itself.
    ///
    /// # Errors
    /// When it keeps nothing, which [`Keeping::Required`] does not let it start with.
    pub(crate) fn state(&self) -> Result<&StateFolder> {
        self.state.as_ref().ok_or_else(|| Stop::new(ExitCode::Io, "there is no state folder").into())
    }

    /// What happens next.
    ///
    /// # Errors
    /// When the node has ended without being told to.
    pub(crate) async fn next_event(&mut self) -> Result<Event> {
        let ended = || Stop::new(ExitCode::Other, "the node has ended by itself; its log says why");
        loop {
            tokio::select! {
                event = self.events.recv() => return event.ok_or_else(|| ended().into()),
                asked = next_asked(&mut self.control) => self.answer(asked),
            }
        }
    }

    /// Answers another program, without waiting for the node.
    fn answer(&self, Asked { request, answer }: Asked) {
        let (status, tracker) = (self.handle.ask_for_status(), self.tracker.words().to_string());
        tokio::spawn(async move {
            let Ok(status) = status.await else { return };
            // Who asked may be gone.
            let _ = answer.send(match request {
                Request::Status => report::status(&status, &tracker),
                Request::Peers => peers::peers(&status),
            });
        });
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
                    screen.note(&format!("the tracker {} answers", self.tracker.words()));
                }
                self.tracker.on_answer(Instant::now());
                self.contact = Contact::Answering;
                self.refusal = None;
            }
            Event::TrackerSilent { silent, .. } => {
                if self.contact != Contact::Silent {
                    let (tracker, silent) = (self.tracker.words(), duration(*silent));
                    screen
                        .note(&format!("the tracker {tracker} has not answered for {silent}; asking again"));
                }
                self.tracker.on_silence(Instant::now());
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
            screen.note(&format!(
                "the tracker {} does not answer; asking again until it does",
                self.tracker.words()
            ));
            self.contact = Contact::Silent;
        }
        self.follow_tracker(now, screen);
        if self.tracker.is_replaceable() && now >= self.look_due {
            self.look_due = now + LOOK_EVERY;
            self.look_for_tracker(screen);
        }
    }

    /// To be called every second or so: goes where the tracker's name leads.
    pub(crate) fn follow_tracker(&mut self, now: Instant, screen: &Screen) {
        if self.tracker.follow_name(now)
            && let Some(tracker) = self.tracker.address()
        {
            screen.note(&self.tracker.words().is_there_now());
            tracing::info!(tracker = %self.tracker.words(), "tracker found by its name");
            self.handle.command(Command::UseTracker { tracker });
        }
    }

    /// The heartbeat would notice too, after a while in which nobody finds anything.
    fn look_for_tracker(&mut self, screen: &Screen) {
        let Some(tracker) = self.tracker.address() else { return };
        match look(self.contact, tracker_link::answers(tracker)) {
            Look::Settled => {}
            Look::Again => self.contact = Contact::Missing,
            Look::Rejoin => self.handle.command(Command::UseTracker { tracker }),
            Look::TakeOver => match self.tracker.embed() {
                Ok(true) => {
                    let tracker = self.tracker.address().unwrap_or(tracker);
                    screen.note(&tracker_words::taken_over(tracker, self.tracker.is_open()));
                    self.handle.command(Command::UseTracker { tracker });
                }
                // Another node was faster: the next look finds it.
                Ok(false) => {}
                Err(error) => screen.error(&format!("{error:#}")),
            },
        }
    }

    /// Takes leave of the tracker and of the other nodes, and ends the node. `seen` is told what still happens. The
    /// next signal ends the program.
    pub(crate) async fn leave(mut self, leaving: &Leaving, mut seen: impl FnMut(&Event)) {
        leaving.begin();
        self.control = None;
        self.handle.command(Command::Leave);
        let until_left = async {
            while let Some(event) = self.events.recv().await {
                seen(&event);
                if event == Event::Left {
                    return;
                }
            }
        };
        // The tracker finds out by itself when it does not hear of it.
        let _ = tokio::time::timeout(LEAVE_TIME, until_left).await;
        self.handle.stop();
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
    match error {
        StartError::AddressInUse(_) | StartError::Bind { .. } => {
            Stop::usage(format!("--listen {error}; choose another, or none for any free port"))
        }
        StartError::Threads(_) => Stop::new(ExitCode::Other, error.to_string()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_that_is_gone_is_replaced_at_the_second_look_and_a_new_one_is_told_everything() {
        let table = [
            (Contact::Starting { since: Instant::now() }, false, Look::Settled),
            (Contact::Answering, true, Look::Settled),
            (Contact::Answering, false, Look::Again),
            (Contact::Missing, false, Look::TakeOver),
            (Contact::Silent, false, Look::TakeOver),
            (Contact::Missing, true, Look::Rejoin),
            (Contact::Silent, true, Look::Rejoin),
        ];
        for (contact, there, expected) in table {
            assert_eq!(look(contact, there), expected, "{contact:?}, {there}");
        }
    }
}
