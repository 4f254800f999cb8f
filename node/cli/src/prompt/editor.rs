//! The line editor on a terminal. One thread edits, and another writes above the line that is edited. Neither knows
//! what the lines mean.

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
use crate::tickets;
use riffle::state::files;

const PROMPT: &str = "riffle> ";
/// Ends bracketed paste, which rustyline turns on before each line and off after it.
const PASTE_OFF: &str = "\x1b[?2004l";
/// The history keeps at most this many lines.
const MAX_HISTORY: usize = 1000;

type LineEditor = Editor<Completion, FileHistory>;
type Printer = Box<dyn ExternalPrinter + Send>;

/// Restores the mode that the terminal had when the program began, however the editor left it.
#[derive(Debug)]
pub(crate) struct TerminalMode(Option<Termios>);

impl TerminalMode {
    /// Remembers the mode that the terminal has now.
    pub(crate) fn remember() -> TerminalMode {
        TerminalMode(termios::tcgetattr(io::stdin()).ok())
    }

    /// Restores the mode from another thread, when the program ends at once.
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
            // The next program begins on an empty line, as after a line that was finished.
            output_writer::steer(Stream::Stdout, format!("{PASTE_OFF}\n"));
        }
    }
}

/// Starts editing. Typed lines go to `typed`. The returned screen shows lines above the line that is edited, and needs
/// a [`ToPrompt::Release`] after each [`Typed::Line`].
///
/// # Errors
/// When the editor or one of its threads cannot be started.
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
        .max_history_size(MAX_HISTORY)?
        .history_ignore_space(true)
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(Completion::new(typed)));
    // The file is made here, so that only its owner can ever read it. A history that cannot be kept is no reason to
    // stop.
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
                if !tickets::has_secret(&line) {
                    let _ = editor.add_history_entry(&line);
                    save_history(&mut editor, history);
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(_) => Typed::End,
        };
        let more = !matches!(line, Typed::End);
        // The next prompt is shown when everything about this line is said.
        if typed.send(line).is_err() || !more || released.recv().is_err() {
            return;
        }
    }
}

/// Saves the history. rustyline may replace the file by one with the usual rights, so its rights are set again.
fn save_history(editor: &mut LineEditor, history: &Path) {
    let _ = editor.append_history(history);
    #[cfg(unix)]
    let _ = fs::set_permissions(history, std::os::unix::fs::PermissionsExt::from_mode(0o600));
}

fn write_lines(mut printer: Printer, reader: &PromptReader, release: &mpsc::Sender<()>) {
    while let Some(next) = reader.receive() {
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

/// Lets the editor read the next line, if `screen` is above an editor.
pub(crate) fn release(screen: &Screen) {
    if let Screen::Prompt(lines) = screen {
        lines.release();
    }
}
