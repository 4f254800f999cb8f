//! Where words go: results to stdout, all else to stderr, around progress bars and the prompt.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use indicatif::MultiProgress;

use crate::output_writer::{self, Stream};
use crate::terminal;

/// Lines that may wait to be shown above the prompt; further ones are dropped: nobody waits for a terminal.
const WAITING_LINES: usize = 1024;

/// What the one thread that writes on a prompt's terminal is told.
#[derive(Debug)]
pub(crate) enum ToPrompt {
    /// Show these lines above the prompt.
    Lines(String),
    /// Everything that a command has to say is said: read the next line.
    Release,
}

/// The way to the thread that writes on a prompt's terminal.
#[derive(Clone, Debug)]
pub(crate) struct PromptLines {
    thread: Sender<ToPrompt>,
    waiting: Arc<AtomicUsize>,
}

impl PromptLines {
    /// A way, and where it leads.
    pub(crate) fn channel() -> (PromptLines, PromptReader) {
        let (thread, from_all) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (PromptLines { thread, waiting: waiting.clone() }, PromptReader { from_all, waiting })
    }

    /// Lets the editor read the next line, after all that was said.
    pub(crate) fn release(&self) {
        // The thread ends with the program only.
        let _ = self.thread.send(ToPrompt::Release);
    }

    fn show<L: AsRef<str>>(&self, lines: &[L]) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_LINES {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // rustyline's printer waits for ever for a text without a line's end: each of these has one.
        let _ = self.thread.send(ToPrompt::Lines(output_writer::shown(lines)));
    }
}

/// What the thread that writes on a prompt's terminal reads.
#[derive(Debug)]
pub(crate) struct PromptReader {
    from_all: Receiver<ToPrompt>,
    waiting: Arc<AtomicUsize>,
}

impl PromptReader {
    /// What is to be done next; `None` when the program is through.
    pub(crate) fn next(&self) -> Option<ToPrompt> {
        let next = self.from_all.recv().ok()?;
        if matches!(next, ToPrompt::Lines(_)) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Some(next)
    }
}

/// A place for words. Cheap to clone; all clones are the same place.
#[derive(Clone, Debug)]
pub(crate) enum Screen {
    /// Plain lines.
    Lines,
    /// Plain lines, and of them only results and errors.
    Quiet,
    /// Lines above progress bars on stderr.
    Bars(MultiProgress),
    /// Lines above a prompt that is being edited.
    Prompt(PromptLines),
    /// Nowhere: tests are quiet.
    #[cfg(test)]
    Nowhere,
}

impl Screen {
    /// The screen of a command that runs once: with bars where they can move.
    pub(crate) fn of_one_shot(quiet: bool) -> Screen {
        if quiet {
            Screen::Quiet
        } else if can_animate() {
            Screen::Bars(MultiProgress::with_draw_target(terminal::draw_target()))
        } else {
            Screen::Lines
        }
    }

    /// The screen of a program that is not asked anything: without bars.
    pub(crate) fn of_lines(quiet: bool) -> Screen {
        if quiet { Screen::Quiet } else { Screen::Lines }
    }

    /// Says something to the person, in one line.
    pub(crate) fn note(&self, text: &str) {
        self.notes(&[text]);
    }

    /// Says what has gone wrong, in one line: that is said to those too who want no notes.
    pub(crate) fn error(&self, text: &str) {
        self.say(Stream::Stderr, &[text]);
    }

    /// Says the last thing before the process ends at once: waits for nobody, not even for bars that are being drawn.
    pub(crate) fn last_note(&self, text: &str) {
        match self {
            Screen::Prompt(lines) => lines.show(&[text]),
            _ => output_writer::say(Stream::Stderr, &[text]),
        }
    }

    /// Hands over what was asked for, in one line.
    pub(crate) fn result(&self, text: &str) {
        self.say(Stream::Stdout, &[text]);
    }

    /// Whether much more can be said before lines are dropped that nobody reads.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Screen::Lines | Screen::Quiet | Screen::Bars(_) => output_writer::has_room(),
            Screen::Prompt(lines) => lines.waiting.load(Ordering::Relaxed) < WAITING_LINES / 2,
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

    /// Whatever a line contains, it is shown as one.
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

/// Whether a person sits in front of a line editor: both ends must be a terminal.
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
            assert!(matches!(reader.next(), Some(ToPrompt::Lines(said)) if said == expected));
        }
    }
}
