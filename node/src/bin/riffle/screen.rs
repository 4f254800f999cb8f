//! Where words go: results to stdout, all else to stderr, around progress bars and the prompt.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::SyncSender;

use indicatif::MultiProgress;

/// What the one thread that writes on a prompt's terminal is told.
#[derive(Debug)]
pub(crate) enum ToPrompt {
    /// Show these lines above the prompt.
    Lines(String),
    /// Everything that a command has to say is said: read the next line.
    Release,
}

/// A place for words. Cheap to clone; all clones are the same place.
#[derive(Clone, Debug)]
pub(crate) enum Screen {
    /// Plain lines.
    Lines,
    /// Lines above progress bars on stderr.
    Bars(MultiProgress),
    /// Lines above a prompt that is being edited.
    Prompt(SyncSender<ToPrompt>),
    /// Nowhere: tests are quiet.
    #[cfg(test)]
    Nowhere,
}

impl Screen {
    /// The screen of a command that runs once: with bars where they can move.
    pub(crate) fn of_one_shot() -> Screen {
        if can_animate() { Screen::Bars(MultiProgress::new()) } else { Screen::Lines }
    }

    /// Says something to the person.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Screen::Lines => write_line(io::stderr(), text),
            Screen::Bars(bars) => bars.suspend(|| write_line(io::stderr(), text)),
            Screen::Prompt(thread) => show_above_prompt(thread, text),
            #[cfg(test)]
            Screen::Nowhere => {}
        }
    }

    /// Hands over what was asked for.
    pub(crate) fn result(&self, text: &str) {
        match self {
            Screen::Lines => write_line(io::stdout(), text),
            Screen::Bars(bars) => bars.suspend(|| write_line(io::stdout(), text)),
            Screen::Prompt(thread) => show_above_prompt(thread, text),
            #[cfg(test)]
            Screen::Nowhere => {}
        }
    }

    /// [`Screen::note`] for each line.
    pub(crate) fn notes(&self, lines: &[String]) {
        if !lines.is_empty() {
            self.note(&lines.join("\n"));
        }
    }

    /// [`Screen::result`] for each line.
    pub(crate) fn results(&self, lines: &[String]) {
        if !lines.is_empty() {
            self.result(&lines.join("\n"));
        }
    }
}

/// Nobody reads any more when this fails, and that is no reason to stop serving.
fn write_line(mut stream: impl io::Write, text: &str) {
    let _ = writeln!(stream, "{text}").and_then(|()| stream.flush());
}

fn show_above_prompt(thread: &SyncSender<ToPrompt>, text: &str) {
    // rustyline's printer waits for ever for a text without a line's end.
    let _ = thread.send(ToPrompt::Lines(format!("{text}\n")));
}

/// Whether stderr is a terminal whose cursor can be moved.
pub(crate) fn can_animate() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person sits in front of a line editor: both ends must be a terminal.
pub(crate) fn can_edit() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}
