//! The line editor on a terminal: one thread edits, another writes above it. Neither knows what the lines mean.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter};
use tokio::sync::mpsc::UnboundedSender;

use super::completion::Completion;
use super::input::Typed;
use crate::output_writer::{self, Stream};
use crate::screen::{PromptLines, PromptReader, Screen, ToPrompt};
use riffle::state::files;

const PROMPT: &str = "riffle> ";
/// Ends the bracketed paste that rustyline begins with each line and ends with it.
const PASTE_OFF: &str = "\x1b[?2004l";
/// Lines kept in the history.
const HISTORY: usize = 1000;

type LineEditor = Editor<Completion, FileHistory>;
type Printer = Box<dyn ExternalPrinter + Send>;

/// Puts the terminal back as it was when the program began, however the editor left it.
#[derive(Debug)]
pub(crate) struct TerminalMode(Option<Termios>);

impl TerminalMode {
    /// Remembers how the terminal is now.
    pub(crate) fn remember() -> TerminalMode {
        TerminalMode(termios::tcgetattr(io::stdin()).ok())
    }

    /// For another thread, when the program ends at once.
    pub(crate) fn restorer(&self) -> impl FnOnce() + Send + 'static {
        let mode = self.0.clone();
        move || drop(TerminalMode(mode))
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        let Some(mode) = &self.0 else { return };
        let edits = |mode: &Termios| !mode.local_modes.contains(LocalModes::ICANON);
        let is_editing = termios::tcgetattr(io::stdin()).is_ok_and(|now| edits(&now)) && !edits(mode);
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, mode);
        if is_editing {
            // Whoever comes next finds an empty line, as after a line that was ended.
            output_writer::steer(Stream::Stdout, format!("{PASTE_OFF}\n"));
        }
    }
}

/// Starts editing. What is typed goes to `typed`; the screen shows lines above the line being edited, and wants a
/// [`ToPrompt::Release`] after each [`Typed::Line`].
pub(crate) fn start(history: PathBuf, typed: UnboundedSender<Typed>) -> Result<Screen> {
    let (lines, reader) = PromptLines::channel();
    let (release, released) = mpsc::channel();
    let (printer_sender, printer_receiver) = mpsc::channel::<Result<Printer>>();
    let edit = move || match editor(&history, typed.clone()) {
        Ok((editor, printer)) => {
            let _ = printer_sender.send(Ok(printer));
            edit_lines(editor, &history, &typed, &released);
        }
        Err(error) => {
            let _ = printer_sender.send(Err(error));
        }
    };
    thread::Builder::new().name("prompt".to_owned()).spawn(edit).context("the system gives no thread")?;
    let printer = printer_receiver.recv().map_err(|_| anyhow!("the line editor did not start"))??;
    let write = move || write_lines(printer, &reader, &release);
    thread::Builder::new().name("screen".to_owned()).spawn(write).context("the system gives no thread")?;
    Ok(Screen::Prompt(lines))
}

fn editor(history: &Path, typed: UnboundedSender<Typed>) -> Result<(LineEditor, Printer)> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .auto_add_history(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(Completion::new(typed)));
    // Made here, so that nobody else ever reads it; a history that cannot be kept is no reason to stop.
    if files::private().append(true).create(true).open(history).is_ok() {
        let _ = editor.load_history(history);
    }
    let printer = editor.create_external_printer()?;
    Ok((editor, Box::new(printer)))
}

fn edit_lines(
    mut editor: LineEditor,
    history: &Path,
    typed: &UnboundedSender<Typed>,
    released: &Receiver<()>,
) {
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => {
                keep_private(&mut editor, history);
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(_) => Typed::End,
        };
        let more = !matches!(line, Typed::End);
        // The next prompt comes when all is said about this line.
        if typed.send(line).is_err() || !more || released.recv().is_err() {
            return;
        }
    }
}

/// rustyline may write the file anew, with the rights that new files have.
fn keep_private(editor: &mut LineEditor, history: &Path) {
    let _ = editor.append_history(history);
    #[cfg(unix)]
    let _ = fs::set_permissions(history, std::os::unix::fs::PermissionsExt::from_mode(0o600));
}

fn write_lines(mut printer: Printer, reader: &PromptReader, release: &mpsc::Sender<()>) {
    while let Some(next) = reader.next() {
        match next {
            ToPrompt::Lines(lines) => {
                let _ = printer.print(lines);
            }
            ToPrompt::Release => {
                let _ = release.send(());
            }
        }
    }
}

/// Lets the editor ask for the next line, when there is one.
pub(crate) fn release(screen: &Screen) {
    if let Screen::Prompt(lines) = screen {
        lines.release();
    }
}
