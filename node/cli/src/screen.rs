//! Where words go: results to stdout, notes and errors to stderr, around progress bars and the prompt.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use indicatif::MultiProgress;

use crate::output_writer::{self, Stream};
use crate::terminal;

/// At most this many texts wait to be shown above the prompt; further ones are dropped, because nobody waits for a
/// terminal.
const MAX_WAITING: usize = 1024;

/// A message to the one thread that writes on a prompt's terminal.
#[derive(Debug)]
pub(crate) enum ToPrompt {
    /// Show these lines above the prompt.
    Lines(String),
    /// Read the next line: the command has said everything that it has to say.
    Release,
}

/// Sends lines to the thread that writes on a prompt's terminal.
#[derive(Clone, Debug)]
pub(crate) struct PromptLines {
    thread: Sender<ToPrompt>,
    waiting: Arc<AtomicUsize>,
}

impl PromptLines {
    /// The two ends of a new way to the thread.
    pub(crate) fn channel() -> (PromptLines, PromptReader) {
        let (thread, from_all) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (PromptLines { thread, waiting: waiting.clone() }, PromptReader { from_all, waiting })
    }

    /// Lets the editor read the next line, after everything that was said before.
    pub(crate) fn release(&self) {
        // The thread runs until the program ends.
        let _ = self.thread.send(ToPrompt::Release);
    }

    fn show<L: AsRef<str>>(&self, lines: &[L]) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // rustyline's printer waits for ever for the end of a line: each of these texts ends with one.
        let _ = self.thread.send(ToPrompt::Lines(output_writer::shown(lines)));
    }
}

/// The end at which the thread that writes on a prompt's terminal reads.
#[derive(Debug)]
pub(crate) struct PromptReader {
    from_all: Receiver<ToPrompt>,
    waiting: Arc<AtomicUsize>,
}

impl PromptReader {
    /// Waits for the next message; `None`: the program is over.
    pub(crate) fn receive(&self) -> Option<ToPrompt> {
        let next = self.from_all.recv().ok()?;
        if matches!(next, ToPrompt::Lines(_)) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Some(next)
    }
}

/// Where words are shown. Clones are cheap and are the same screen.
#[derive(Clone, Debug)]
pub(crate) enum Screen {
    /// Plain lines.
    Lines,
    /// Plain lines, of results and errors alone.
    Quiet,
    /// Lines above progress bars on stderr.
    Bars(MultiProgress),
    /// Lines above the line that is edited at a prompt.
    Prompt(PromptLines),
    /// Nowhere, in tests.
    #[cfg(test)]
    Nowhere,
}

impl Screen {
    /// The screen of a command that runs once: bars where the cursor can be moved, else lines.
    pub(crate) fn of_one_shot(quiet: bool) -> Screen {
        if quiet {
            Screen::Quiet
        } else if can_animate() {
            Screen::Bars(MultiProgress::with_draw_target(terminal::draw_target()))
        } else {
            Screen::Lines
        }
    }

    /// A screen without bars.
    pub(crate) fn of_lines(quiet: bool) -> Screen {
        if quiet { Screen::Quiet } else { Screen::Lines }
    }

    /// Says one line about what happens.
    pub(crate) fn note(&self, text: &str) {
        self.notes(&[text]);
    }

    /// Says one line about what has gone wrong. With `--quiet` this is said too.
    pub(crate) fn error(&self, text: &str) {
        self.say(Stream::Stderr, &[text]);
    }

    /// Says the last line before the process ends at once. Waits for nothing, not even for bars that are being drawn.
    pub(crate) fn last_note(&self, text: &str) {
        match self {
            Screen::Prompt(lines) => lines.show(&[text]),
            _ => output_writer::say(Stream::Stderr, &[text]),
        }
    }

    /// Says one line of what was asked for.
    pub(crate) fn result(&self, text: &str) {
        self.say(Stream::Stdout, &[text]);
    }

    /// Whether many more lines can be said before one is dropped because nobody reads.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Screen::Lines | Screen::Quiet | Screen::Bars(_) => output_writer::has_room(),
            Screen::Prompt(lines) => lines.waiting.load(Ordering::Relaxed) < MAX_WAITING / 2,
            #[cfg(test)]
            Screen::Nowhere => true,
        }
    }

    /// [`Screen::note`] for each line.
    pub(crate) fn notes<L: AsRef<str>>(&self, lines: &[L]) {
        if !matches!(self, Screen::Quiet) {
            self.say(Stream::Stderr, lines);
        }
    }

    /// [`Screen::error`] for each line.
    pub(crate) fn errors(&self, lines: &[String]) {
        self.say(Stream::Stderr, lines);
    }

    /// [`Screen::result`] for each line.
    pub(crate) fn results(&self, lines: &[String]) {
        self.say(Stream::Stdout, lines);
    }

    /// Shows each of `lines` as one line, whatever it contains.
    fn say<L: AsRef<str>>(&self, stream: Stream, lines: &[L]) {
        match self {
            _ if lines.is_empty() => {}
            Screen::Lines | Screen::Quiet => output_writer::say(stream, lines),
            Screen::Bars(bars) => bars.suspend(|| output_writer::say(stream, lines)),
            Screen::Prompt(prompt) => prompt.show(lines),
            #[cfg(test)]
            Screen::Nowhere => {}
        }
    }
}

/// Whether stderr is a terminal whose cursor can be moved.
pub(crate) fn can_animate() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person can edit lines here: stdin and stdout are terminals.
pub(crate) fn can_edit() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_above_the_prompt_is_one_line_that_steers_nothing() {
        let (lines, reader) = PromptLines::channel();
        let screen = Screen::Prompt(lines);
        screen.note("no share \"\u{1b}[2J\nriffle> \u{202e}\"");
        screen.results(&["a\u{9b}".to_owned(), "b".to_owned()]);
        for expected in ["no share \"\\u{1b}[2J\\nriffle> \\u{202e}\"\n", "a\\u{9b}\nb\n"] {
            assert!(matches!(reader.receive(), Some(ToPrompt::Lines(said)) if said == expected));
        }
    }
}
