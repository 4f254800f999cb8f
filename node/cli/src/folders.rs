//! The folders of a node: its state folder, its log folder, and the folder of a person's files.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use config::{NodeLabel, NodeSettings, ValueError};
use logs::{LogGuard, Owner};
use riffle::state::{StateError, StateFolder};
use tracing::Dispatch;

use crate::exit::{ExitCode, Stop, code_of};
use crate::logging::{LogPlan, StartedLog, refused_log};
use crate::report;
use crate::screen::Screen;
use crate::settings::{self, Settings};

/// Nodes without a label take the first free number up to this one.
const MAX_NUMBERED: u32 = 4096;

/// Whether a node must have a state folder and a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The prompt must, because it shares its files again at the next start.
    Required,
    /// A command that runs once goes on without what cannot be had.
    IfPossible,
}

/// What is logged to the log file of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    /// All that the process does.
    Process,
    /// What the node does, which is not the first of the process.
    Node,
}

/// What a node keeps, as far as it can be had.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its state folder.
    pub(crate) state: Option<StateFolder>,
    /// Keeps its log open.
    pub(crate) log: Option<LogGuard>,
    /// Where it logs to; `None`: where the process does.
    pub(crate) dispatch: Option<Dispatch>,
}

/// Opens the state folder and the log. Says in one line on `screen` what the run goes without.
///
/// # Errors
/// When what is required cannot be had, or what was named cannot be used.
pub(crate) fn open_state_and_log(
    settings: &Settings,
    (keeping, logged): (Keeping, Logged),
    screen: &Screen,
) -> Result<Kept> {
    let root = settings::state_root(settings);
    let own = label_among(settings)?;
    let taken = root.and_then(|root| match (&own, &settings.among) {
        (None, Some(swarm)) => take_numbered_state(&root, swarm),
        (label, _) => take_state(&root, label.as_ref()),
    });
    let (state, no_state) = match taken {
        Ok(state) => (Some(state), None),
        Err(error) if keeping == Keeping::IfPossible && code_of(&error) == ExitCode::Io => {
            (None, Some(format!("{error:#}")))
        }
        Err(error) => return Err(error),
    };
    let label = match (&state, &own) {
        (Some(state), _) => state.label().to_owned(),
        (None, Some(label)) => label.to_string(),
        // All nodes without state share one log: a file for each would have no bound.
        (None, None) => "without-state".to_owned(),
    };
    let (log, dispatch) = match (LogPlan::new(settings, &format!("node-{label}.log")), logged) {
        (Ok(plan), Logged::Process) => (plan.start().map_err(|error| refused_log(&error))?, None),
        (Ok(plan), Logged::Node) => {
            let (dispatch, guard) = plan.scoped().map_err(|error| refused_log(&error))?;
            (StartedLog { guard, trouble: None }, Some(dispatch))
        }
        (Err(_), _) => (StartedLog { guard: None, trouble: None }, None),
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
    Ok(Kept { state, log: log.guard, dispatch })
}

/// The label that was given, and of several swarms behind it which one the node is in.
///
/// # Errors
/// [`ExitCode::Usage`] when that is too long.
fn label_among(settings: &Settings) -> Result<Option<NodeLabel>> {
    let (Some(id), Some(swarm)) = (&settings.id, &settings.among) else { return Ok(settings.id.clone()) };
    let label = format!("{id}-{swarm}").parse();
    label.map(Some).map_err(|error: ValueError| Stop::usage(error.to_string()).into())
}

/// Takes the state folder of the first number that is free for a node in `swarm`.
fn take_numbered_state(root: &Path, swarm: &str) -> Result<StateFolder> {
    let mut number = 1;
    loop {
        let label: Result<NodeLabel, ValueError> = format!("{number}-{swarm}").parse();
        let taken = take_state(root, Some(&label.map_err(|error| Stop::usage(error.to_string()))?));
        match taken {
            Err(error) if code_of(&error) == ExitCode::Running && number < MAX_NUMBERED => number += 1,
            taken => return taken,
        }
    }
}

/// Takes the state folder of `label` below `root`, or that of the first free number.
fn take_state(root: &Path, label: Option<&NodeLabel>) -> Result<StateFolder> {
    let unusable = |folder: &Path, cause: &io::Error, owner: Option<Owner>| {
        let owner = owner.map_or_else(String::new, |owner| format!(" (it belongs to {owner})"));
        let folder = folder.display();
        let what =
            format!("the state folder {folder} cannot be used: {cause}{owner}; --state-dir names another");
        Stop::new(ExitCode::Io, what)
    };
    // The number of a node without a label is not known yet, so the folder above is checked.
    let own = label.map_or_else(|| root.to_owned(), |label| root.join(format!("node-{label}")));
    logs::keep_owner(&own).map_err(|cause| unusable(&own, &cause, None))?;
    StateFolder::take(root, label, &settings::folder_of_this_host()).map_err(|error| {
        let stop = match &error {
            StateError::InUse(_) => Stop::new(ExitCode::Running, format!("{error}: choose another --id")),
            StateError::AllInUse => Stop::new(ExitCode::Running, error.to_string()),
            // The owner of the folder explains why the system does not let this process in.
            StateError::Unusable { folder, cause } => unusable(folder, cause, Owner::of(folder)),
            StateError::Identity { .. } | StateError::DamagedIdentity { .. } => {
                Stop::new(ExitCode::Io, error.to_string())
            }
        };
        stop.into()
    })
}

/// Makes `--dir` the current folder, so that every relative path starts there. The other folders that `settings` name
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

/// The folder that downloads are saved in: the absolute path of the current folder.
///
/// # Errors
/// [`ExitCode::Io`] when that folder is gone.
pub(crate) fn download_folder() -> Result<PathBuf> {
    let folder = std::env::current_dir();
    folder.map_err(|error| {
        Stop::new(ExitCode::Io, format!("the current folder cannot be used: {error}")).into()
    })
}
