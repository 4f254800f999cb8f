//! `riffle tracker`: does the same as the program `riffle-tracker`.

use anyhow::Result;
use tracker::program::{self, Flags, ProgramError, TrackerFlags};

use crate::arguments::Common;
use crate::exit::{ExitCode, Stop};

/// Runs the tracker until it is asked to leave. `--config` names a settings file of the tracker, not of a node.
///
/// # Errors
/// When settings are wrong, the port is taken, or the system fails; each with its exit code.
pub(crate) fn run(common: &Common, own: TrackerFlags) -> Result<ExitCode> {
    let flags = Flags {
        encryption: common.encryption.encryption,
        loopback_encryption: common.encryption.loopback_encryption,
        secret_file: common.secret_file.clone(),
        members_file: common.members_file.clone(),
        listen: common.listen,
        config: common.config.clone(),
        log_dir: common.log.log_dir.clone(),
        state_dir: common.state_dir.clone(),
        log_level: common.log.log_level.clone(),
        log_size: common.log.log_size,
        log_files: common.log.log_files,
        own,
    };
    program::plan(flags).and_then(program::run).map_err(stop)?;
    Ok(ExitCode::Done)
}

fn stop(error: ProgramError) -> Stop {
    let code = if error.exit_code() == ExitCode::Usage as u8 { ExitCode::Usage } else { ExitCode::Io };
    Stop::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;

    #[test]
    fn a_missing_settings_file_is_a_mistake_of_usage() {
        let common = Common { config: Some("/nowhere/tracker.toml".into()), ..Common::default() };
        let error = run(&common, TrackerFlags::default()).expect_err("missing");
        assert_eq!(code_of(&error), ExitCode::Usage);
        assert!(error.to_string().contains("/nowhere/tracker.toml"));
    }
}
