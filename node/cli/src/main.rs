//! `riffle`: shares files between machines. Reads the command line and calls the command.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program: here are the clock, the threads, the environment, the files and the sockets that the core is given"
)]
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "words go through `output_writer`, which shows what is in them"
)]

mod arguments;
mod codes;
mod commands;
mod control;
mod deliveries;
mod descriptions;
mod exit;
mod fetching;
#[cfg(test)]
mod fixtures;
mod folders;
mod goal;
mod inside;
mod logging;
mod output_writer;
mod peers;
mod piece_bar;
mod piece_scan;
mod plain_progress;
mod progress;
mod prompt;
mod report;
mod running;
mod screen;
#[cfg(test)]
#[path = "../../fuzz/oracles/seeds.rs"]
mod seeds;
mod setting_values;
mod settings;
mod sharing;
mod shell_words;
mod signals;
mod source;
mod spool;
mod swarms;
mod target;
mod terminal;
mod tickets;
mod tracker_words;
mod tree;
mod units;

use anyhow::Result;

use crate::arguments::{Arguments, Verb};
use crate::control::Request;
use crate::exit::ExitCode;

fn main() -> std::process::ExitCode {
    riffle::raise_open_files();
    riffle::forbid_core_files();
    tracker::program::signals::survive_file_size_limit();
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // Help and version are no mistakes: they were asked for.
            let _ = error.print();
            return ExitCode::Done.into();
        }
        Err(error) => {
            let refusal = arguments::one_line(&error.to_string());
            return end(ExitCode::Usage, Some(format!("riffle: {refusal}; riffle --help explains")));
        }
    };
    match run(arguments) {
        Ok(code) => end(code, None),
        Err(error) => end(exit::code_of(&error), Some(format!("riffle: {error:#}"))),
    }
}

/// Says the last words, waits a moment for them to be read, and gives the exit code.
fn end(code: ExitCode, words: Option<String>) -> std::process::ExitCode {
    if let Some(words) = words {
        output_writer::say(output_writer::Stream::Stderr, &[words]);
    }
    output_writer::flush(output_writer::LAST_WORDS);
    code.into()
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { common, prompt, verb } = arguments;
    if let Some(Verb::Tracker(own)) = verb {
        return commands::tracker::run(&common, own);
    }
    if let Some(Verb::Hash(hash)) = verb {
        return Ok(commands::hash::run(&hash));
    }
    if let Some(Verb::Secret(secret)) = verb {
        return commands::secret::run(&secret);
    }
    let settings = settings::load(&common)?;
    if let Some(Verb::Verify(verify)) = verb {
        return commands::verify::run(settings, &verify);
    }
    if let Some(Verb::Id(id)) = verb {
        return commands::id::run(&settings, id);
    }
    commands::block_on(async move {
        match verb {
            None => prompt::run(settings, prompt.on_mistake()).await,
            Some(Verb::Send(send)) => commands::send::run(settings, send).await,
            Some(Verb::Download(download)) => commands::download::run(settings, download).await,
            Some(Verb::List(list)) => commands::list::run(settings, list).await,
            Some(Verb::Info(info)) => commands::info::run(settings, info).await,
            Some(Verb::Status) => commands::look::run(settings, Request::Status).await,
            Some(Verb::Peers) => commands::look::run(settings, Request::Peers).await,
            Some(Verb::Demo(demo)) => commands::demo::run(settings, demo.file).await,
            Some(Verb::Hash(_) | Verb::Verify(_) | Verb::Id(_) | Verb::Tracker(_) | Verb::Secret(_)) => {
                Ok(ExitCode::Done)
            }
        }
    })
}
