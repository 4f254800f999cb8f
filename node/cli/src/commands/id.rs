//! `riffle id`: who a node is, whether it runs or not.

use anyhow::Result;
use riffle::state::StateFolder;

use crate::arguments::Id;
use crate::exit::{ExitCode, Stop};
use crate::output_writer::{self, Stream};
use crate::settings::{self, Settings};

/// Prints the id of the node that `--id` names, or of the first. A node that has no key yet gets one.
///
/// # Errors
/// [`ExitCode::Io`] when there is no state folder, or its key cannot be read or made.
pub(crate) fn run(settings: &Settings, id: Id) -> Result<ExitCode> {
    let root = settings::state_root(settings)?;
    let key = StateFolder::key_of(&root, settings.id.as_ref());
    let key = key.map_err(|error| Stop::new(ExitCode::Io, error.to_string()))?;
    let node = key.node_id();
    let line = if id.json { format!("{{\"node\":\"{node}\"}}") } else { format!("node {node}") };
    output_writer::say(Stream::Stdout, &[line]);
    Ok(ExitCode::Done)
}
