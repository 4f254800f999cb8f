//! `riffle`: shares files between machines. Reads the command line and calls the command.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program: here are the clock, the threads, the environment, the files and the sockets that the core is given"
)]

mod addresses;
mod arguments;
mod commands;
mod driver;
mod embedded;
mod exit;
mod fetching;
mod kept;
mod map;
mod progress;
mod prompt;
mod report;
mod running;
mod screen;
mod settings;
mod sharing;
mod signals;
mod state;
mod tracker_link;
mod units;
mod wanted;
mod words;

use anyhow::Result;
use clap::Parser as _;

use crate::arguments::{Arguments, Verb};
use crate::exit::ExitCode;

fn main() -> std::process::ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // Help and version: what was asked for.
            let _ = error.print();
            return ExitCode::Done.into();
        }
        Err(error) => {
            eprintln!("riffle: {}; riffle --help explains", arguments::one_line(&error.to_string()));
            return ExitCode::Usage.into();
        }
    };
    match run(arguments) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("riffle: {error:#}");
            exit::code_of(&error).into()
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { common, verb } = arguments;
    if let Some(Verb::Tracker) = verb {
        return commands::tracker::run(&common);
    }
    let settings = settings::load(&common)?;
    commands::block_on(async move {
        match verb {
            None => prompt::run(settings).await,
            Some(Verb::Send(send)) => commands::send::run(settings, send.files).await,
            Some(Verb::Download(download)) => commands::download::run(settings, download).await,
            Some(Verb::Demo(demo)) => commands::demo::run(settings, demo.file).await,
            Some(Verb::Tracker) => Ok(ExitCode::Done),
        }
    })
}
