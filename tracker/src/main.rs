//! `riffle-tracker`: reads the command line and runs the tracker.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use config::TrackerSettings;
use tracker::program::{self, Flags, variables};

/// Riffle's tracker: knows which node owns which file, and tells those who ask.
#[derive(Debug, Parser)]
#[command(name = "riffle-tracker", version, about, max_term_width = 110, after_long_help = AFTER)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Print a settings file with every setting, its comment and its default, and leave
    #[arg(long)]
    print_config: bool,
}

const AFTER: &str = "\
A flag goes before the environment, that before the settings file, that before the default.
Ctrl-C ends it; nodes keep their downloads and come back when a tracker answers again.
Exit codes: 0 done, 2 usage, settings or port taken, 10 the system failed.";

fn main() -> ExitCode {
    channel::secret_file::forbid_core_files();
    let arguments: Arguments = match variables::parse(Arguments::command()) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // Help and version: what was asked for.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let message = error.to_string();
            let line = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
            program::say(&format!("riffle-tracker: {line}; riffle-tracker --help explains"));
            return ExitCode::from(2);
        }
    };
    if arguments.print_config {
        print!("{}", TrackerSettings::annotated_defaults());
        return ExitCode::SUCCESS;
    }
    match program::plan(arguments.flags).and_then(program::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            program::say(&format!("riffle-tracker: {error}"));
            error.into()
        }
    }
}
